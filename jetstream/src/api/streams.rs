//! Requests about streams.

use std::sync::Arc;

use cordon_accounts::permissions::Permissions;
use cordon_accounts::subject::Pattern;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::paging::{ITEMS, NAMES, Paged};
use super::{ApiError, json as body_json};
use crate::account::Account;
use crate::config::{StreamConfig, has_path_separator};
use crate::reader;
use crate::store::Filter;
use crate::stream::{Stream, StreamInfo};

/// How long the answer for a stream that is offline waits, as clients expect of one that may come back.
const OFFLINE_DELAY: std::time::Duration = std::time::Duration::from_millis(500);

/// The stream of a request.
pub(crate) fn find(account: &Account, name: &str) -> Result<Arc<Stream>, ApiError> {
    account.stream(name).ok_or_else(|| match account.offline_reason(name) {
        Some(reason) => {
            std::thread::sleep(OFFLINE_DELAY);
            ApiError::stream_offline(reason)
        }
        None => ApiError::stream_not_found(),
    })
}

/// Checks that a reader may have everything that a stream holds.
pub(super) fn may_be_read(account: &Account, name: &str, by: Option<&Permissions>) -> Result<(), ApiError> {
    if by.is_none() {
        return Ok(());
    }
    let all = find(account, name)?.look(|core| reader::all_of(core.config()));
    reader::check(by, &all)
}

/// A configuration, and whether its sender is pedantic.
fn read_config(account: &Account, name: &str, body: &[u8]) -> Result<(StreamConfig, bool), ApiError> {
    let mut value = body_json::value(body)?;
    let pedantic = value.as_object_mut().and_then(|members| members.shift_remove("pedantic"));
    let pedantic = match pedantic {
        None => false,
        Some(Value::Bool(pedantic)) => pedantic,
        Some(_) => return Err(ApiError::invalid_json("`pedantic` is no boolean")),
    };
    let config: StreamConfig = body_json::of_value(value, account.settings().strict)?;
    if config.name != name {
        return Err(ApiError::stream_mismatch());
    }
    Ok((config, pedantic))
}

fn shown(account: &Account, stream: &Stream) -> StreamInfo {
    let now = account.setup.clock.unix_nanos();
    stream.look(|core| core.info(now, true))
}

pub(super) fn create(account: &Arc<Account>, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    let (config, pedantic) = read_config(account, name, body)?;
    if has_path_separator(name) {
        return Err(ApiError::stream_name_contains_path_separators());
    }
    let stream = account.create_stream(config, pedantic)?;
    let mut info = shown(account, &stream);
    info.domain = None;
    Ok(Answer::of("stream_create_response", &info).with("did_create", true))
}

pub(super) fn update(account: &Arc<Account>, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    let (config, pedantic) = read_config(account, name, body)?;
    let stream = account.update_stream(config, pedantic)?;
    Ok(Answer::of("stream_update_response", &shown(account, &stream)))
}

/// Streams that have to do with a subject; all without one.
fn chosen(account: &Account, paged: &Paged) -> Result<Vec<Arc<Stream>>, ApiError> {
    let streams = account.streams();
    if paged.subject().is_empty() {
        return Ok(streams);
    }
    let Ok(wanted) = Pattern::parse(paged.subject()) else { return Err(ApiError::bad_request()) };
    let has = |stream: &Arc<Stream>| {
        stream.look(|core| {
            let own = core.config().subjects.iter().filter_map(|subject| Pattern::parse(subject).ok());
            own.into_iter().any(|subject| subject.overlaps(&wanted))
        })
    };
    Ok(streams.into_iter().filter(has).collect())
}

pub(super) fn names(account: &Account, body: &[u8]) -> Result<Answer, ApiError> {
    let paged = Paged::read(body, account.settings().strict)?;
    let mut names: Vec<String> = chosen(account, &paged)?.iter().map(|stream| stream.name().to_string()).collect();
    if paged.subject().is_empty() {
        names.extend(account.offline().into_keys());
        names.sort_unstable();
    }
    let (page, answer) = paged.page("stream_names_response", &names, NAMES);
    let streams = if page.is_empty() { Value::Null } else { json!(page) };
    Ok(answer.with("streams", streams))
}

pub(super) fn list(account: &Account, body: &[u8]) -> Result<Answer, ApiError> {
    let paged = Paged::read(body, account.settings().strict)?;
    let streams = chosen(account, &paged)?;
    let now = account.setup.clock.unix_nanos();
    let (page, mut answer) = paged.page("stream_list_response", &streams, ITEMS);
    let infos: Vec<Value> = page
        .iter()
        .map(|stream| stream.look(|core| core.info(now, false)))
        .filter_map(|info| serde_json::to_value(info).ok())
        .collect();
    answer = answer.with("streams", infos);
    let offline = account.offline();
    if !offline.is_empty() {
        let missing: Vec<&String> = offline.keys().collect();
        answer = answer.with("missing", json!(missing)).with("offline", json!(offline));
    }
    Ok(answer)
}

/// What a request for information says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InfoRequest {
    offset: i64,
    deleted_details: bool,
    subjects_filter: String,
}

pub(super) fn info(account: &Account, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    let request: InfoRequest = if body_json::is_given(body) {
        body_json::request(body, account.settings().strict)?
    } else {
        InfoRequest::default()
    };
    let stream = find(account, name)?;
    let now = account.setup.clock.unix_nanos();
    let mut info = stream.look(|core| {
        let mut info = core.info(now, true);
        if request.deleted_details {
            info.state.deleted = core.deleted();
        }
        info
    });
    let mut page = crate::stream::SubjectsPage::default();
    if let Ok(filter) = Pattern::parse(&request.subjects_filter) {
        let offset = usize::try_from(request.offset).unwrap_or(0);
        (info.state.subjects, page) = stream.subjects(&Filter::one(filter), offset);
    }
    let mut members = Map::new();
    for (name, number) in [("total", page.total), ("offset", page.offset), ("limit", page.limit)] {
        members.insert(name.to_owned(), number.into());
    }
    if let Ok(Value::Object(info)) = serde_json::to_value(info) {
        members.extend(info);
    }
    Ok(Answer::of("stream_info_response", &members))
}

pub(super) fn delete(account: &Arc<Account>, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    if !body_json::is_empty(body) {
        return Err(ApiError::not_empty_request());
    }
    account.delete_stream(name)?;
    Ok(Answer::of("stream_delete_response", &json!({"success": true})))
}

/// What a purge says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PurgeRequest {
    filter: String,
    seq: u64,
    keep: u64,
}

pub(super) fn purge(account: &Account, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    let request: PurgeRequest = if body_json::is_given(body) {
        body_json::request(body, account.settings().strict)?
    } else {
        PurgeRequest::default()
    };
    if request.seq > 0 && request.keep > 0 {
        return Err(ApiError::bad_request());
    }
    let stream = find(account, name)?;
    let filter = if request.filter.is_empty() {
        None
    } else {
        Some(Pattern::parse(&request.filter).map_err(ApiError::stream_general)?)
    };
    let purged = stream.change(|core, now| core.purge(filter.as_ref(), request.seq, request.keep, now))?;
    Ok(Answer::of("stream_purge_response", &json!({"success": true, "purged": purged})))
}
