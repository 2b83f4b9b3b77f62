//! Requests about single messages.

use cordon_accounts::permissions::Permissions;
use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::{ApiError, json as body_json, streams};
use crate::account::Account;
use crate::config::Moment;
use crate::reader;
use crate::stream::{ShownMessage, Wanted};

/// What a read says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GetRequest {
    seq: u64,
    last_by_subj: String,
    next_by_subj: String,
    start_time: Option<Moment>,
    no_hdr: bool,
    batch: i64,
    max_bytes: i64,
    multi_last: Vec<String>,
    up_to_seq: u64,
    up_to_time: Option<Moment>,
}

pub(super) fn get(
    account: &Account,
    name: &str,
    body: &[u8],
    reader: Option<&Permissions>,
) -> Result<Answer, ApiError> {
    if body_json::is_empty(body) {
        return Err(ApiError::bad_request());
    }
    let request: GetRequest = body_json::request(body, account.settings().strict)?;
    let stream = streams::find(account, name)?;
    let direct_only = request.batch != 0
        || request.max_bytes != 0
        || !request.multi_last.is_empty()
        || request.up_to_seq != 0
        || request.up_to_time.is_some();
    let some = |subject: String| (!subject.is_empty()).then_some(subject);
    let wanted = Wanted {
        seq: request.seq,
        last_of: some(request.last_by_subj),
        next_of: some(request.next_by_subj),
        since: request.start_time,
    };
    if direct_only || !wanted.is_valid() {
        return Err(ApiError::bad_request());
    }
    let stored = stream.ask_in_order(|core| {
        if reader.is_some() {
            let subjects = [&wanted.last_of, &wanted.next_of].map(|subject| subject.as_deref().unwrap_or_default());
            reader::check(reader, &reader::part_of(core.config(), &subjects))?;
        }
        core.message(&wanted)
    })?;
    let message = ShownMessage::of(&stored, request.no_hdr);
    Ok(Answer::of("stream_msg_get_response", &json!({"message": message})))
}

/// What a deletion says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DeleteRequest {
    seq: u64,
    no_erase: bool,
}

pub(super) fn delete(account: &Account, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    if body_json::is_empty(body) {
        return Err(ApiError::bad_request());
    }
    let request: DeleteRequest = body_json::request(body, account.settings().strict)?;
    let stream = streams::find(account, name)?;
    stream.change(|core, now| core.delete_message(request.seq, !request.no_erase, now))?;
    Ok(Answer::of("stream_msg_delete_response", &json!({"success": true})))
}
