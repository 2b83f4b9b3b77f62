//! What an update of a stream may change (jetstream.md 2.1, column `U`).

use super::{Discard, Retention, StreamConfig, level};
use crate::api::ApiError;

fn refused(what: &str) -> ApiError {
    ApiError::stream_invalid_config(format_args!("stream configuration update can not {what}"))
}

/// Checks that a stream may change from `old` to `new`, both completed; gives what it becomes.
///
/// # Errors
///
/// The refusal that the client gets.
pub fn check(old: &StreamConfig, mut new: StreamConfig) -> Result<StreamConfig, ApiError> {
    if new.first_seq == 0 {
        new.first_seq = old.first_seq;
    }
    let fixed = [
        (old.storage != new.storage, "change storage type"),
        (old.persist_mode != new.persist_mode, "change persist mode"),
        (old.allow_msg_counter != new.allow_msg_counter, "change message counter setting"),
        (old.first_seq != new.first_seq, "change first sequence"),
        (changes_queue(old.retention, new.retention), "change retention policy to/from workqueue"),
        (old.sealed && !new.sealed, "unseal a sealed stream"),
        (old.deny_delete && !new.deny_delete, "cancel deny message deletes"),
        (old.deny_purge && !new.deny_purge && new.subject_delete_marker_ttl == 0, "cancel deny purge"),
        (old.allow_msg_ttl && !new.allow_msg_ttl, "disable message TTLs"),
    ];
    if old.allow_msg_schedules && !new.allow_msg_schedules {
        return Err(ApiError::stream_invalid_config("message schedules can not be disabled"));
    }
    if let Some((_, what)) = fixed.iter().find(|(holds, _)| *holds) {
        return Err(refused(what));
    }
    if new.mirror.is_some() && old.mirror != new.mirror {
        return Err(ApiError::mirror_not_updatable());
    }
    if new.sealed && !old.sealed {
        new.max_age = 0;
        new.discard = Discard::New;
        new.deny_delete = true;
        new.deny_purge = true;
        new.allow_rollup_hdrs = false;
    }
    Ok(new)
}

fn changes_queue(old: Retention, new: Retention) -> bool {
    old != new && (old == Retention::WorkQueue || new == Retention::WorkQueue)
}

/// Both mean the same stream: equal but for what the server says itself.
pub fn is_same(one: &StreamConfig, other: &StreamConfig) -> bool {
    let plain = |config: &StreamConfig| {
        let mut config = config.clone();
        level::strip(&mut config.metadata);
        config
    };
    plain(one) == plain(other)
}
