//! Changes of a consumer's configuration: which are allowed, and what follows from them (jetstream.md 3.2).

use super::progress::Change;
use super::{Consumer, Context, check, filter_of, waits_of};
use crate::api::ApiError;
use crate::config::ConsumerConfig;

/// Keys of metadata that the server writes into answers; they are no part of what was asked for.
const SAID_BY_SERVER: [&str; 2] = ["_nats.ver", "_nats.level"];

/// Two completed configurations mean the same consumer; a pause is a state, not a wish.
pub fn same(one: &ConsumerConfig, other: &ConsumerConfig) -> bool {
    let plain = |config: &ConsumerConfig| {
        let mut config = config.clone();
        config.pause_until = None;
        config.metadata.retain(|key, _| !SAID_BY_SERVER.contains(&key.as_str()) && key != "_nats.req.level");
        config
    };
    plain(one) == plain(other)
}

/// Checks whether a consumer with the configuration `old` may become `new`; `bound` is whether somebody listens to the
/// deliver subject of the old one.
///
/// # Errors
///
/// 10012 with what cannot be changed; 10013 for another deliver subject while somebody listens to the present one.
pub fn check_update(old: &ConsumerConfig, new: &ConsumerConfig, bound: bool) -> Result<(), ApiError> {
    let fixed = [
        (old.deliver_policy != new.deliver_policy, "deliver policy can not be updated"),
        (old.opt_start_seq != new.opt_start_seq, "start sequence can not be updated"),
        (old.opt_start_time != new.opt_start_time, "start time can not be updated"),
        (old.ack_policy != new.ack_policy, "ack policy can not be updated"),
        (old.replay_policy != new.replay_policy, "replay policy can not be updated"),
        (old.idle_heartbeat != new.idle_heartbeat, "heart beats can not be updated"),
        (old.flow_control != new.flow_control, "flow control can not be updated"),
        (old.mem_storage != new.mem_storage, "storage type can not be updated"),
        (
            old.deliver_subject.is_empty() && !new.deliver_subject.is_empty(),
            "can not update pull consumer to push based",
        ),
        (
            !old.deliver_subject.is_empty() && new.deliver_subject.is_empty(),
            "can not update push consumer to pull based",
        ),
        (old.max_waiting != new.max_waiting, "max waiting can not be updated"),
        (old.direct != new.direct || old.sourcing != new.sourcing, "kind of consumer can not be updated"),
    ];
    if let Some((_, text)) = fixed.iter().find(|(changed, _)| *changed) {
        return Err(ApiError::consumer_create(text));
    }
    if old.deliver_subject != new.deliver_subject && bound {
        return Err(ApiError::consumer_name_exists());
    }
    Ok(())
}

impl Consumer {
    /// Takes a completed and checked configuration ([`check_update`]) in the place of its own. Gives whether it wants
    /// other messages now: a stream that keeps by interest looks anew at what it must keep.
    pub fn update(&mut self, mut config: ConsumerConfig, cx: &mut Context<'_>) -> bool {
        config.pause_until = self.config.pause_until;
        let filter = filter_of(&config);
        let refiltered = filter != self.filter;
        let moved = config.deliver_subject != self.config.deliver_subject;
        let unpinned = config.priority_policy != self.config.priority_policy
            || config.priority_groups != self.config.priority_groups;
        if moved {
            self.watch(false, cx);
        }
        self.config = config;
        self.sample = check::sample_percent(&self.config.sample_freq).unwrap_or(0);
        self.progress.set_waits(&waits_of(&self.config));
        if unpinned {
            self.pin = None;
        }
        if refiltered {
            // Where it is does not follow from the journal any more: what was passed over is passed over.
            self.filter = filter;
            self.note(Change::Next(self.progress.next()), cx.now);
            self.recount(cx);
        }
        self.push_changed(moved, cx);
        if moved {
            self.watch(true, cx);
            self.interest_changed(cx);
            self.progress.all_due();
        }
        self.touch(cx.now);
        self.schedule_look(cx.now);
        refiltered
    }
}
