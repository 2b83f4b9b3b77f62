//! Requests about consumers (jetstream.md 3.1, 3.9).

use std::sync::Arc;

use cordon_accounts::permissions::Permissions;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::paging::{ITEMS, NAMES, Paged};
use super::{ApiError, json as body_json, streams};
use crate::account::Account;
use crate::config::{ConsumerConfig, Moment, has_path_separator, level};
use crate::consumer::ConsumerInfo;
use crate::consumer::check::{Bounds, check_group};
use crate::stream::{Action, Core, Room, Stream};
use crate::{reader, share};

/// Which of the subjects a consumer is made by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form<'a> {
    /// `CONSUMER.CREATE.<stream>[.<name>[.<filter>]]`.
    Subject { name: Option<&'a str>, filter: Option<&'a str> },
    /// `CONSUMER.DURABLE.CREATE.<stream>.<name>`.
    Durable(&'a str),
}

/// For whom a consumer is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    /// The share by which another account asks.
    pub(super) share: Option<&'a str>,
    /// What the asker may subscribe to, if that bounds what it reads.
    pub(super) reader: Option<&'a Permissions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CreateRequest {
    stream_name: String,
    config: Option<ConsumerConfig>,
    action: Wish,
    pedantic: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    #[default]
    #[serde(rename = "")]
    Any,
    Create,
    Update,
}

fn shown(account: &Account, mut info: ConsumerInfo, share: Option<&str>) -> ConsumerInfo {
    if let Some(share) = share {
        share::show(&mut info.config, share);
    }
    level::show(&mut info.config.metadata, &account.settings().version);
    info
}

pub(super) fn create(
    account: &Arc<Account>,
    stream: &str,
    form: Form<'_>,
    body: &[u8],
    asker: &Asker<'_>,
) -> Result<Answer, ApiError> {
    let request: CreateRequest = body_json::request(body, account.settings().strict)?;
    if request.stream_name != stream {
        return Err(ApiError::stream_mismatch());
    }
    let mut config = request.config.unwrap_or_default();
    named(&mut config, form)?;
    let found = streams::find(account, stream)?;
    let limits = account.single_limits()?;
    let settings = account.settings();
    let room =
        Room { bounds: Bounds::of(settings, &limits), max_consumers: limits.max_consumers, pedantic: request.pedantic };
    let action = match request.action {
        Wish::Any => Action::Any,
        Wish::Create => Action::Create,
        Wish::Update => Action::Update,
    };
    let new = !found.has_consumer(&config.name) || config.name.is_empty();
    if new && account.consumers() >= settings.caps.consumers {
        return Err(ApiError::maximum_consumers());
    }
    let info = found.change(|core, now| {
        if asker.reader.is_some() {
            reader::check(asker.reader, &reader::shown_by(core.config(), &config))?;
        }
        core.own_consumer(&mut config, asker.share)?;
        core.put_consumer(config, action, &room, now)
    })?;
    Ok(Answer::of("consumer_create_response", &shown(account, info, asker.share)))
}

/// The name in the subject is the one of the configuration.
fn named(config: &mut ConsumerConfig, form: Form<'_>) -> Result<(), ApiError> {
    match form {
        Form::Durable(name) => {
            if config.durable_name.is_empty() {
                return Err(ApiError::consumer_durable_name_not_set());
            }
            if config.durable_name != name {
                return Err(ApiError::consumer_durable_name_not_match_subject());
            }
        }
        Form::Subject { name: None, .. } => {
            if !config.durable_name.is_empty() {
                return Err(ApiError::consumer_ephemeral_with_durable_name());
            }
        }
        Form::Subject { name: Some(name), filter } => {
            if has_path_separator(name) {
                return Err(ApiError::consumer_name_contains_path_separators());
            }
            if !config.durable_name.is_empty() && config.durable_name != name {
                return Err(ApiError::consumer_durable_name_not_match_subject());
            }
            name.clone_into(&mut config.name);
            if let Some(filter) = filter {
                if !config.filter_subjects.is_empty() {
                    return Err(ApiError::consumer_multiple_filters_not_allowed());
                }
                if config.filter_subject != filter {
                    return Err(ApiError::consumer_create_filter_subject_mismatch());
                }
            }
        }
    }
    Ok(())
}

pub(super) fn names(account: &Account, stream: &str, body: &[u8], share: Option<&str>) -> Result<Answer, ApiError> {
    let paged = Paged::read(body, account.settings().strict)?;
    let stream = streams::find(account, stream)?;
    let mut names = stream.look(Core::consumer_names);
    names.retain(|name| share.is_none_or(|share| stream.is_of_share(name, share)));
    let (page, answer) = paged.page("consumer_names_response", &names, NAMES);
    Ok(answer.with("consumers", json!(page)))
}

pub(super) fn list(account: &Account, stream: &str, body: &[u8], share: Option<&str>) -> Result<Answer, ApiError> {
    let paged = Paged::read(body, account.settings().strict)?;
    let stream = streams::find(account, stream)?;
    let (mut names, mut offline) = stream.look(|core| (core.consumer_names(), core.consumers_offline().clone()));
    if let Some(share) = share {
        names.retain(|name| stream.is_of_share(name, share));
        offline.clear();
    }
    let (page, mut answer) = paged.page("consumer_list_response", &names, ITEMS);
    let now = account.setup.clock.unix_nanos();
    let infos: Vec<Value> = page
        .iter()
        .filter_map(|name| stream.ask(|core| core.consumer_info(name, now)))
        .map(|mut info| {
            if let Some(share) = share {
                share::show(&mut info.config, share);
            }
            info
        })
        .filter_map(|info| serde_json::to_value(info).ok())
        .collect();
    answer = answer.with("consumers", infos);
    if !offline.is_empty() {
        let missing: Vec<&String> = offline.keys().collect();
        answer = answer.with("missing", json!(missing)).with("offline", json!(offline));
    }
    Ok(answer)
}

/// The consumer is not there: because there is none, or because it cannot be read.
fn missing(stream: &Stream, name: &str) -> ApiError {
    match stream.look(|core| core.consumer_offline(name).map(str::to_owned)) {
        Some(reason) => ApiError::consumer_offline(reason),
        None => ApiError::consumer_not_found(),
    }
}

pub(super) fn info(
    account: &Account,
    stream: &str,
    name: &str,
    body: &[u8],
    share: Option<&str>,
) -> Result<Answer, ApiError> {
    if !body_json::is_empty(body) {
        return Err(ApiError::not_empty_request());
    }
    let stream = streams::find(account, stream)?;
    let now = account.setup.clock.unix_nanos();
    let info = stream.ask_in_order(|core| core.consumer_info(name, now)).ok_or_else(|| missing(&stream, name))?;
    Ok(Answer::of("consumer_info_response", &shown(account, info, share)))
}

pub(super) fn delete(account: &Account, stream: &str, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    if !body_json::is_empty(body) {
        return Err(ApiError::not_empty_request());
    }
    let stream = streams::find(account, stream)?;
    if !stream.change(|core, now| core.delete_consumer(name, now))? {
        return Err(ApiError::consumer_not_found());
    }
    Ok(Answer::of("consumer_delete_response", &json!({"success": true})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PauseRequest {
    pause_until: Moment,
}

pub(super) fn pause(account: &Account, stream: &str, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    let request: PauseRequest = if body_json::is_given(body) {
        body_json::request(body, account.settings().strict)?
    } else {
        PauseRequest::default()
    };
    let stream = streams::find(account, stream)?;
    let state = stream.change(|core, now| core.pause_consumer(name, request.pause_until.0, now))?;
    Ok(Answer::of("consumer_pause_response", &state))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UnpinRequest {
    group: String,
}

pub(super) fn unpin(account: &Account, stream: &str, name: &str, body: &[u8]) -> Result<Answer, ApiError> {
    let request: UnpinRequest = body_json::request(body, false)?;
    if request.group.is_empty() {
        return Err(ApiError::invalid_json("consumer group not specified"));
    }
    check_group(&request.group)?;
    let stream = streams::find(account, stream)?;
    stream
        .change(|core, now| core.unpin_consumer(name, &request.group, now))
        .ok_or_else(ApiError::consumer_not_found)?
        .map_err(|_| ApiError::consumer_invalid_priority_group())?;
    Ok(Answer::of("consumer_unpin_response", &json!({})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResetRequest {
    seq: u64,
}

pub(super) fn reset(
    account: &Account,
    stream: &str,
    name: &str,
    body: &[u8],
    share: Option<&str>,
) -> Result<Answer, ApiError> {
    let request: ResetRequest =
        if body_json::is_empty(body) { ResetRequest::default() } else { body_json::request(body, false)? };
    let stream = streams::find(account, stream)?;
    let to = (request.seq > 0).then_some(request.seq);
    let (seq, info) = stream
        .change(|core, now| core.reset_consumer(name, to, now))
        .ok_or_else(ApiError::consumer_not_found)?
        .map_err(ApiError::consumer_invalid_reset)?;
    Ok(Answer::of("consumer_reset_response", &shown(account, info, share)).with("reset_seq", seq))
}
