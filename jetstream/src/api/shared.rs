//! What other accounts may ask of a stream that is shared with them: to read it, and about the consumers of their share.
//!
//! Which requests come here at all, for which stream and with which filters, the exports of the share say
//! (`cordon_accounts::share`). This list holds whatever they say.

use std::sync::Arc;

use super::answer::Answer;
use super::consumers::{self, Asker, Form};
use super::endpoint::Endpoint;
use super::{ApiError, account, messages, streams};
use crate::account::Account;

/// Answers a request of the importer of `share`.
pub(super) fn act(
    account: &Arc<Account>,
    endpoint: &Endpoint<'_>,
    body: &[u8],
    share: &str,
) -> Result<Answer, ApiError> {
    let own = |stream: &str, name: &str| {
        let stream = streams::find(account, stream)?;
        if stream.is_of_share(name, share) { Ok(()) } else { Err(ApiError::consumer_not_found()) }
    };
    // What it may read, the exports say.
    let asker = Asker { share: Some(share), reader: None };
    match endpoint {
        // What the exporter uses and may use is none of their business.
        Endpoint::Info => Ok(account::nothing_of(account)),
        // Nor is which subjects it has: a part of the stream may be shared.
        Endpoint::StreamInfo(name) => streams::info(account, name, b""),
        Endpoint::MessageGet(name) => messages::get(account, name, body, None),
        Endpoint::ConsumerCreate { stream, name, filter } => {
            consumers::create(account, stream, Form::Subject { name: *name, filter: *filter }, body, &asker)
        }
        Endpoint::ConsumerDurableCreate { stream, name } => {
            consumers::create(account, stream, Form::Durable(name), body, &asker)
        }
        Endpoint::ConsumerNames(stream) => consumers::names(account, stream, body, Some(share)),
        Endpoint::ConsumerList(stream) => consumers::list(account, stream, body, Some(share)),
        Endpoint::ConsumerInfo { stream, name } => {
            own(stream, name)?;
            consumers::info(account, stream, name, body, Some(share))
        }
        Endpoint::ConsumerDelete { stream, name } => {
            own(stream, name)?;
            consumers::delete(account, stream, name, body)
        }
        Endpoint::ConsumerPause { stream, name } => {
            own(stream, name)?;
            consumers::pause(account, stream, name, body)
        }
        Endpoint::ConsumerUnpin { stream, name } => {
            own(stream, name)?;
            consumers::unpin(account, stream, name, body)
        }
        Endpoint::ConsumerReset { stream, name } => {
            own(stream, name)?;
            consumers::reset(account, stream, name, body, Some(share))
        }
        Endpoint::StreamCreate(_)
        | Endpoint::StreamUpdate(_)
        | Endpoint::StreamNames
        | Endpoint::StreamList
        | Endpoint::StreamDelete(_)
        | Endpoint::StreamPurge(_)
        | Endpoint::StreamSnapshot(_)
        | Endpoint::StreamRestore(_)
        | Endpoint::MessageDelete(_)
        | Endpoint::Malformed(_)
        | Endpoint::Clustered => Err(ApiError::bad_request()),
    }
}
