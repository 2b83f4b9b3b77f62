//! What a stream calls itself, so that mirrors and sources elsewhere notice when it is another one of the same name
//! (jetstream.md 2.11): `Nats-Stream-Identity`, in requests for consumers and in their answers.

use super::{ApiError, Endpoint, Request};
use crate::account::Account;
use crate::stream::head::{self, Builder};

const HEADER: &str = "Nats-Stream-Identity";

fn asked<'a>(endpoint: &Endpoint<'a>, header: &'a [u8]) -> Option<(&'a str, &'a [u8])> {
    let (Endpoint::ConsumerCreate { stream, .. }
    | Endpoint::ConsumerDurableCreate { stream, .. }
    | Endpoint::ConsumerReset { stream, .. }) = endpoint
    else {
        return None;
    };
    Some((stream, head::value(header, HEADER)?))
}

/// The stream is the one that the asker knows.
///
/// # Errors
///
/// 10225 with what it calls itself.
pub(super) fn check(account: &Account, endpoint: &Endpoint<'_>, header: &[u8]) -> Result<(), ApiError> {
    let Some((stream, known)) = asked(endpoint, header) else { return Ok(()) };
    let Some(stream) = account.stream(stream).filter(|_| !known.is_empty()) else { return Ok(()) };
    let own = crate::stream::stamp(stream.created().0);
    if own.as_bytes() == known { Ok(()) } else { Err(ApiError::consumer_stream_identity_mismatch(own)) }
}

/// The header block of the answer to a request; empty unless the asker wants to know.
pub fn answer_header(account: &Account, request: &Request<'_>) -> Vec<u8> {
    // Who asks by a share is told nothing of streams that are not shared, nor that they are there.
    if request.header.is_empty() || request.share.is_some() {
        return Vec::new();
    }
    let Some(endpoint) = Endpoint::parse(request.subject) else { return Vec::new() };
    let stream = asked(&endpoint, request.header).and_then(|(stream, _)| account.stream(stream));
    stream
        .map(|stream| Builder::from(b"", |_| false).add(HEADER, crate::stream::stamp(stream.created().0)).done())
        .unwrap_or_default()
}
