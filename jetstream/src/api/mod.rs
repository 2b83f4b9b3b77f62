//! Requests on `$JS.API.>` and their answers (jetstream.md 1).
//!
//! ```text
//! endpoint   which request it is, from its subject
//! json       bodies                       paging    pages of lists
//! answer     the envelope of answers      audit     what an account is told of requests
//! identity   which stream of a name it is
//! streams, messages, consumers, account   what each does
//! shared     what other accounts may ask of a stream that is shared with them
//! ```
//!
//! The node gives a request to [`serve`] on an API worker: it may wait for a disk.

mod account;
mod answer;
mod audit;
mod consumers;
mod endpoint;
mod error;
mod identity;
pub(crate) mod json;
mod messages;
mod paging;
mod shared;
mod streams;

use std::sync::Arc;

use cordon_accounts::permissions::Permissions;
use serde_json::Value;

pub use account::{AccountInfo, ApiStatistics, account_info};
pub use error::{ApiError, ERRORS};
pub use identity::answer_header;

use crate::account::Account;
use crate::archive;
use crate::port::Outgoing;
use endpoint::Endpoint;

pub(crate) use answer::Answer;
pub(crate) use streams::find;

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its subject: `$JS.API.…`, without domain.
    pub subject: &'a str,
    /// Its header block.
    pub header: &'a [u8],
    /// Its body.
    pub payload: &'a [u8],
    /// Where its answer goes.
    pub reply: &'a [u8],
    /// What the asker may subscribe to, if that bounds what it reads.
    pub reader: Option<&'a Permissions>,
    /// The share by which another account asks.
    pub share: Option<&'a str>,
    /// Who asks, as `Nats-Request-Info` tells it; null if nobody knows.
    pub client: Value,
}

/// Answers a request to an account that has JetStream. `None` if it gets no answer. Direct reads, pull requests and their
/// kin are not for this: they go to streams.
pub fn serve(account: &Arc<Account>, request: &Request<'_>) -> Option<Vec<u8>> {
    let Some(endpoint) = Endpoint::parse(request.subject) else {
        return Some(Answer::failed("io.nats.jetstream.api.v1.error_response", &ApiError::bad_request()).bytes());
    };
    let result = if crate::stream::direct::level_is_met(request.header) {
        match request.share {
            Some(share) => shared::act(account, &endpoint, request.payload, share).map(Some),
            None => act(account, &endpoint, request),
        }
    } else {
        Err(ApiError::required_api_level())
    };
    let refused = result.is_err();
    let answer = match result {
        Ok(Some(answer)) => answer,
        Ok(None) => return None,
        Err(error) => Answer::refused(&endpoint, &error),
    };
    let (bytes, then) = answer.parts();
    if endpoint.is_counted() || refused {
        account.ledger().called(refused);
    }
    if endpoint.is_counted() {
        audit::tell(account, request, &bytes);
    }
    if let Some(then) = then {
        // What it begins must not be heard before the answer is.
        let port = &account.setup.port;
        if !request.reply.is_empty() {
            port.send(&Outgoing { to: request.reply, payload: &bytes, ..Outgoing::default() });
            port.flush();
        }
        // Nobody waits for it any more: the account ends.
        let _began = then.send(());
        return None;
    }
    Some(bytes)
}

/// The answer to a request to an account that has no JetStream; `None` for what is no request at all.
pub fn not_enabled(subject: &str) -> Option<Vec<u8>> {
    let endpoint = Endpoint::parse(subject)?;
    Some(Answer::refused(&endpoint, &ApiError::not_enabled_for_account()).bytes())
}

fn act(account: &Arc<Account>, endpoint: &Endpoint<'_>, request: &Request<'_>) -> Result<Option<Answer>, ApiError> {
    let body = request.payload;
    identity::check(account, endpoint, request.header)?;
    let asker = consumers::Asker { share: None, reader: request.reader };
    let answer = match endpoint {
        Endpoint::Info => Ok(account::info(account)),
        Endpoint::StreamCreate(name) => streams::create(account, name, body),
        Endpoint::StreamUpdate(name) => streams::update(account, name, body),
        Endpoint::StreamNames => streams::names(account, body),
        Endpoint::StreamList => streams::list(account, body),
        Endpoint::StreamInfo(name) => streams::info(account, name, body),
        Endpoint::StreamDelete(name) => streams::delete(account, name, body),
        Endpoint::StreamPurge(name) => streams::purge(account, name, body),
        Endpoint::StreamSnapshot(name) => streams::may_be_read(account, name, request.reader)
            .and_then(|()| archive::snapshot(account, name, body, &request.client)),
        Endpoint::StreamRestore(name) => archive::restore(account, name, body, &request.client),
        Endpoint::MessageGet(name) => messages::get(account, name, body, request.reader),
        Endpoint::MessageDelete(name) => messages::delete(account, name, body),
        Endpoint::ConsumerCreate { stream, name, filter } => {
            let form = consumers::Form::Subject { name: *name, filter: *filter };
            consumers::create(account, stream, form, body, &asker)
        }
        Endpoint::ConsumerDurableCreate { stream, name } => {
            consumers::create(account, stream, consumers::Form::Durable(name), body, &asker)
        }
        Endpoint::ConsumerNames(stream) => consumers::names(account, stream, body, None),
        Endpoint::ConsumerList(stream) => consumers::list(account, stream, body, None),
        Endpoint::ConsumerInfo { stream, name } => consumers::info(account, stream, name, body, None),
        Endpoint::ConsumerDelete { stream, name } => consumers::delete(account, stream, name, body),
        Endpoint::ConsumerPause { stream, name } => consumers::pause(account, stream, name, body),
        Endpoint::ConsumerUnpin { stream, name } => consumers::unpin(account, stream, name, body),
        Endpoint::ConsumerReset { stream, name } => consumers::reset(account, stream, name, body, None),
        Endpoint::Malformed(_) => Err(ApiError::bad_request()),
        Endpoint::Clustered => return Ok(None),
    };
    answer.map(Some)
}
