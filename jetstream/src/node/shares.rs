//! Requests and messages from accounts that streams are shared with (`cordon_accounts::share`).
//!
//! They come over the border, by the exports of one share, on subjects of that share: `$JS.SHARE.<id>.…`. A user of the
//! account itself gets nothing there, whatever its permissions are.

use std::sync::{Arc, Weak};

use cordon_accounts::share::{self, Part, ShareSubject};
use cordon_accounts::sharing::{AccountSharing, ExportKind};
use cordon_accounts::subject::{Pattern, matching};
use cordon_server::connection::publish_inside;
use cordon_server::routing::{Batch, Message, Receiver, Subscription};
use cordon_server::tenant::Tenant;

use super::desk::Ask;
use super::member::Member;
use super::receivers::{API, DIRECT, Door, NEXT, pull, store, two_names};
use crate::api::ApiError;
use crate::share as owner;
use crate::stream::head::fields;
use crate::stream::refusal;

/// What arrives by shares of an account's streams.
pub(super) struct Shares(Weak<Door>);

impl Shares {
    /// Those of the account whose API this is.
    pub(super) fn new(door: &Arc<Door>) -> Self {
        Self(Arc::downgrade(door))
    }
}

impl Receiver for Shares {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        if message.passage.crossings.is_empty() {
            return false;
        }
        let Some(door) = self.0.upgrade() else { return false };
        let Some((tenant, member)) = door.served() else { return false };
        let Ok(subject) = std::str::from_utf8(message.subject) else { return false };
        let Some(asked) = share::parse(subject) else { return false };
        let Some(sharing) = tenant.sharing() else { return false };
        if !share::covers(exported(&sharing, asked.id), subject) {
            return false;
        }
        match asked.part {
            Part::Api => request(&door, member, &asked, message, batch),
            Part::Put => put(&tenant, &member, &asked, message, batch),
        }
    }
}

/// What the account exports of a share to be asked for.
fn exported<'a>(sharing: &'a AccountSharing, id: &'a str) -> impl Iterator<Item = &'a Pattern> {
    let is_of = move |subject: &&Pattern| {
        let rest = subject.as_str().strip_prefix(share::PREFIX).and_then(|rest| rest.strip_prefix(id));
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let services = sharing.exports.iter().filter(|export| export.kind == ExportKind::Service);
    services.map(|export| &export.subject).filter(is_of)
}

fn request(
    door: &Arc<Door>,
    member: Arc<Member>,
    asked: &ShareSubject<'_>,
    message: &Message<'_>,
    batch: &mut Batch,
) -> bool {
    let tail = asked.rest.as_bytes();
    if let Some(names) = tail.strip_prefix(NEXT) {
        let Some((name, consumer)) = two_names(names) else { return false };
        let is_own = member.account.stream(name).is_some_and(|stream| stream.is_of_share(consumer, asked.id));
        return is_own && pull(&member, (name, consumer), message, batch);
    }
    let subject = [API, tail].concat();
    if let Some(names) = tail.strip_prefix(DIRECT) {
        let name = names.split(|byte| *byte == b'.').next().and_then(|name| std::str::from_utf8(name).ok());
        if name.is_none_or(|name| member.account.direct(name).is_none()) {
            return false;
        }
        return door.ask(Ask::Direct, member, &subject, Some(asked.id), message, batch);
    }
    door.ask(Ask::Api, member, &subject, Some(asked.id), message, batch)
}

/// Has a message stored by the shared stream, and by nobody else.
fn put(
    tenant: &Arc<Tenant>,
    member: &Arc<Member>,
    asked: &ShareSubject<'_>,
    message: &Message<'_>,
    batch: &mut Batch,
) -> bool {
    let Some((name, subject)) = asked.rest.split_once('.') else { return false };
    if !matching::is_literal(subject.as_bytes()) {
        return false;
    }
    let Some(stream) = member.storing(name, subject.as_bytes()) else { return false };
    if let Err(error) = stays_within(message.header(), subject.as_bytes()) {
        if !message.reply.is_empty() {
            publish_inside(tenant, message.reply, b"", b"", &refusal(name, &error), batch);
        }
        return true;
    }
    store(&stream, &Arc::downgrade(tenant), subject.as_bytes(), message, batch)
}

/// A header may not reach beyond the subject of its message, nor tell of what lies there: a part of the stream may be
/// shared. Batches hold places of which a stream has few, and are its account's own.
fn stays_within(header: &[u8], subject: &[u8]) -> Result<(), ApiError> {
    // As the stream reads them.
    for (name, value) in fields(header) {
        let name = name.to_ascii_lowercase();
        match name.as_slice() {
            b"nats-rollup" if value != b"sub" => {
                return Err(ApiError::stream_rollup_failed("rollup of other subjects not permitted"));
            }
            b"nats-expected-last-subject-sequence-subject" if value != subject => return Err(ApiError::bad_request()),
            // It is answered with the id that is the last, whatever its subject.
            b"nats-expected-last-msg-id" => return Err(ApiError::bad_request()),
            _ => {}
        }
        if name.starts_with(b"nats-schedule") {
            return Err(ApiError::message_schedules_target_invalid());
        }
        if name.starts_with(b"nats-batch-") {
            return Err(ApiError::atomic_publish_disabled());
        }
    }
    Ok(())
}

/// Consumers whose share is withdrawn, or no longer covers them, are deleted: their deliveries end, and who waits hears it.
pub(super) fn end_withdrawn(tenant: &Tenant, member: &Member) {
    for stream in member.account.streams() {
        for (name, id) in stream.shared() {
            let Some(config) = stream.look(|core| core.consumer_config(&name).cloned()) else { continue };
            let request = format!("{}{id}.API.{}", share::PREFIX, owner::request(stream.name(), &config));
            let sharing = tenant.sharing();
            if sharing.is_some_and(|sharing| share::covers(exported(&sharing, &id), &request)) {
                continue;
            }
            tracing::info!(account = %tenant.name, stream = %stream.name(), consumer = %name, share = %id, "the share is withdrawn, its consumer is deleted");
            if let Err(error) = stream.change(|core, now| core.delete_consumer(&name, now)) {
                tracing::error!(stream = %stream.name(), consumer = %name, "a consumer of a withdrawn share stays: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_reach_no_further_than_their_message() {
        for (header, good) in [
            ("", true),
            ("NATS/1.0\r\nNats-Rollup: sub\r\n\r\n", true),
            ("NATS/1.0\r\nNats-Msg-Id: 1\r\nNats-TTL: 5s\r\n\r\n", true),
            ("NATS/1.0\r\nNats-Rollup: all\r\n\r\n", false),
            ("NATS/1.0\r\nNats-Rollup: sub\r\nNats-Rollup: all\r\n\r\n", false),
            ("NATS/1.0\r\nNats-Schedule: @at 2030\r\n\r\n", false),
            ("NATS/1.0\r\nnats-schedule-target: other\r\n\r\n", false),
            ("NATS/1.0\r\nX: y\r\nNats-Scheduler: other\r\n\r\n", false),
            ("NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 4\r\n\r\n", true),
            ("NATS/1.0\r\nNats-Expected-Last-Subject-Sequence-Subject: eu.de\r\n\r\n", true),
            ("NATS/1.0\r\nNats-Expected-Last-Subject-Sequence-Subject: us.>\r\n\r\n", false),
            ("NATS/1.0\r\nNats-Expected-Last-Msg-Id: x\r\n\r\n", false),
            ("NATS/1.0\r\nNats-Batch-Id: x\r\nNats-Batch-Sequence: 1\r\n\r\n", false),
        ] {
            assert_eq!(stays_within(header.as_bytes(), b"eu.de").is_ok(), good, "{header}");
        }
    }
}
