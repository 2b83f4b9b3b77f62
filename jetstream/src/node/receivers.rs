//! What arrives for streams: taken on the publisher's thread, copied, and done elsewhere.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use cordon_server::connection::publish_inside;
use cordon_server::protocol::headers;
use cordon_server::routing::{Batch, Later, Message, Receiver, Subscription};
use cordon_server::tenant::Tenant;

use super::Shared;
use super::desk::{self, Ask, Request};
use super::member::Member;
use super::purge::PURGE;
use crate::account::{Account, Ear};
use crate::api;
use crate::consumer::parse_ack;
use crate::stream::{Arrival, Kind, OVERLOAD_HEADER, Stream, Taken};

/// What the API is called.
pub(super) const API: &[u8] = b"$JS.API.";
pub(super) const NEXT: &[u8] = b"CONSUMER.MSG.NEXT.";
pub(super) const DIRECT: &[u8] = b"DIRECT.GET.";

/// The answer to who may not have what a consumer shows.
const NOT_PERMITTED: &[u8] = b"NATS/1.0 403 Permission Violation\r\n\r\n";

/// What is left of a header block when its only field was the border's.
const NO_FIELDS: &[u8] = b"NATS/1.0\r\n\r\n";

/// Messages for one stream.
pub(super) struct Incoming {
    tenant: Weak<Tenant>,
    stream: Weak<Stream>,
}

impl Incoming {
    /// Those of an account that the stream is to store.
    pub(super) fn new(tenant: &Arc<Tenant>, stream: &Arc<Stream>) -> Self {
        Self { tenant: Arc::downgrade(tenant), stream: Arc::downgrade(stream) }
    }
}

impl Receiver for Incoming {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(stream) = self.stream.upgrade() else { return false };
        if message.passage.imported {
            // Who published has its inbox in another account. In this one it would choose what an answer reaches.
            let unanswered = Message { reply: b"", ..*message };
            return store(&stream, &self.tenant, message.subject, &unanswered, batch);
        }
        store(&stream, &self.tenant, message.subject, message, batch)
    }

    fn stream(&self) -> Option<Arc<str>> {
        Some(self.stream.upgrade()?.name().clone())
    }
}

impl Later for Stream {
    fn begin(self: Arc<Self>) {
        Self::begin(&self);
    }
}

/// Streams begin when all frames of one read are processed.
fn put_off(batch: &mut Batch) -> impl FnMut(&Arc<Stream>) {
    |stream| batch.put_off(stream.clone())
}

/// Gives a message to a stream, as one of `subject`.
pub(super) fn store(
    stream: &Arc<Stream>,
    tenant: &Weak<Tenant>,
    subject: &[u8],
    message: &Message<'_>,
    batch: &mut Batch,
) -> bool {
    let header = message.header();
    let cleaned;
    // Who published is nobody's business who reads it later.
    let header = if header.is_empty() || !headers::has_request_info(header) {
        header
    } else {
        cleaned = headers::without(header, headers::REQUEST_INFO);
        if cleaned == NO_FIELDS { &[] } else { cleaned.as_slice() }
    };
    let arrival = Arrival { kind: Kind::Publish, subject, reply: message.reply, header, payload: message.payload() };
    let taken = stream.take_of_many(&arrival, &mut put_off(batch));
    match taken {
        Taken::Yes => true,
        Taken::Gone => false,
        Taken::Overloaded => {
            if let Some(tenant) = tenant.upgrade().filter(|_| !message.reply.is_empty()) {
                publish_inside(&tenant, message.reply, b"", OVERLOAD_HEADER, &stream.overload(), batch);
            }
            true
        }
    }
}

/// What a far origin sends to one stream.
pub(super) struct FromOrigin {
    account: Weak<Account>,
    stream: Box<str>,
    number: u32,
}

impl FromOrigin {
    /// What arrives at that stream under `number`.
    pub(super) fn new(account: Weak<Account>, stream: &str, number: u32) -> Self {
        Self { account, stream: stream.into(), number }
    }
}

impl Receiver for FromOrigin {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(stream) = self.account.upgrade().and_then(|account| account.stream(&self.stream)) else {
            return false;
        };
        let arrival = Arrival {
            kind: Kind::Origin(self.number),
            subject: message.shown,
            reply: message.reply,
            header: message.header(),
            payload: message.payload(),
        };
        // What is too much is missed, and asked for anew.
        stream.take_of_many(&arrival, &mut put_off(batch)) == Taken::Yes
    }
}

/// Acknowledgements of an account.
pub(super) struct Acknowledgements {
    account: Weak<Account>,
    door: Weak<Door>,
}

impl Acknowledgements {
    /// Those of the account whose API that is.
    pub(super) fn new(account: &Arc<Account>, door: &Arc<Door>) -> Self {
        Self { account: Arc::downgrade(account), door: Arc::downgrade(door) }
    }

    /// An acknowledgement that asks for more is a pull request, too.
    fn may_pull(&self, account: &Account, message: &Message<'_>) -> bool {
        if !message.payload().starts_with(b"+NXT") {
            return true;
        }
        let Some(ack) = parse_ack(message.subject) else { return true };
        let (Ok(stream), Ok(consumer)) = (std::str::from_utf8(ack.stream), std::str::from_utf8(ack.consumer)) else {
            return true;
        };
        self.door.upgrade().is_none_or(|door| door.may_pull(account, stream, consumer, message))
    }
}

impl Receiver for Acknowledgements {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(account) = self.account.upgrade() else { return false };
        if !self.may_pull(&account, message) {
            return false;
        }
        account.acknowledge(message.subject, message.reply, message.payload(), &mut put_off(batch))
    }
}

/// Answers to flow control of an account.
pub(super) struct Flow(pub(super) Weak<Account>);

impl Receiver for Flow {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(account) = self.0.upgrade() else { return false };
        account.flow(message.subject, message.reply, message.header(), message.payload(), &mut put_off(batch))
    }
}

/// Messages that somebody in the node waits for.
pub(super) struct Heard(pub(super) Arc<dyn Ear>);

impl Receiver for Heard {
    fn receive(&self, _: &Subscription, message: &Message<'_>, _: &mut Batch) -> bool {
        self.0.hear(message.subject, message.reply, message.payload())
    }
}

/// The API, in every account but the system account: one without streams is told so.
pub(super) struct Door {
    node: Weak<Shared>,
    tenant: Weak<Tenant>,
    member: ArcSwapOption<Member>,
}

impl Door {
    /// The API of `tenant`, who has no streams yet.
    pub(super) fn new(node: &Arc<Shared>, tenant: &Arc<Tenant>) -> Self {
        Self { node: Arc::downgrade(node), tenant: Arc::downgrade(tenant), member: ArcSwapOption::empty() }
    }

    /// Who has streams, and since when it does.
    pub(super) fn member(&self) -> Option<Arc<Member>> {
        self.member.load_full()
    }

    /// From now on it has streams, or none.
    pub(super) fn set_member(&self, member: Option<Arc<Member>>) {
        self.member.store(member);
    }

    fn is_checked(&self) -> bool {
        let (node, tenant) = (self.node.upgrade(), self.tenant.upgrade());
        node.zip(tenant).is_some_and(|(node, tenant)| node.reads_need_permission(&tenant))
    }

    /// Who asks a consumer for messages may have what it shows; of other accounts, exports say so.
    fn may_pull(&self, account: &Account, stream: &str, consumer: &str, message: &Message<'_>) -> bool {
        let Some(origin) = message.origin.filter(|_| message.passage.crossings.is_empty()) else { return true };
        if !self.is_checked() {
            return true;
        }
        account.stream(stream).is_none_or(|stream| stream.may_be_pulled(consumer, &origin.rights()))
    }

    fn refuse(&self, tail: &[u8], message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(tenant) = self.tenant.upgrade() else { return false };
        if let Some(name) = tail.strip_prefix(PURGE).filter(|_| tenant.is_system()) {
            let Some(node) = self.node.upgrade() else { return false };
            let answer = node.purge(name);
            if !message.reply.is_empty() {
                publish_inside(&tenant, message.reply, b"", b"", &answer, batch);
            }
            return true;
        }
        // With leaf nodes, the streams may be on their side.
        if tail.starts_with(NEXT) || tail.starts_with(DIRECT) || tenant.leaf_count() > 0 {
            return false;
        }
        let answer = std::str::from_utf8(message.subject).ok().and_then(api::not_enabled);
        let Some(answer) = answer else { return false };
        if !message.reply.is_empty() {
            publish_inside(&tenant, message.reply, b"", b"", &answer, batch);
        }
        true
    }

    /// The account, and whether it has streams.
    pub(super) fn served(&self) -> Option<(Arc<Tenant>, Arc<Member>)> {
        Some((self.tenant.upgrade()?, self.member()?))
    }

    /// A request in words of the API, whatever its subject is; `share` says by which share another account asks.
    pub(super) fn ask(
        &self,
        ask: Ask,
        member: Arc<Member>,
        subject: &[u8],
        share: Option<&str>,
        message: &Message<'_>,
        batch: &mut Batch,
    ) -> bool {
        let Some(node) = self.node.upgrade() else { return false };
        let Ok(subject) = std::str::from_utf8(subject) else { return false };
        let request = Request {
            member,
            ask,
            subject: subject.to_owned(),
            share: share.map(Into::into),
            checked: self.is_checked(),
            reply: message.reply.to_vec(),
            header: message.header().to_vec(),
            payload: message.payload().to_vec(),
            asker: message.origin.cloned(),
            crossed: !message.passage.crossings.is_empty(),
        };
        desk::take(node.lanes, request, batch)
    }
}

impl Receiver for Door {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(tail) = message.subject.strip_prefix(API) else { return false };
        let Some(member) = self.member.load_full() else { return self.refuse(tail, message, batch) };
        if let Some(names) = tail.strip_prefix(NEXT) {
            let Some((stream, consumer)) = two_names(names) else { return false };
            if !self.may_pull(&member.account, stream, consumer, message) {
                if let Some(tenant) = self.tenant.upgrade().filter(|_| !message.reply.is_empty()) {
                    publish_inside(&tenant, message.reply, b"", NOT_PERMITTED, b"", batch);
                }
                return true;
            }
            return pull(&member, (stream, consumer), message, batch);
        }
        if let Some(names) = tail.strip_prefix(DIRECT) {
            let stream = names.split(|byte| *byte == b'.').next().and_then(|name| std::str::from_utf8(name).ok());
            if stream.is_none_or(|stream| member.account.direct(stream).is_none()) {
                return false;
            }
            return self.ask(Ask::Direct, member, message.subject, None, message, batch);
        }
        self.ask(Ask::Api, member, message.subject, None, message, batch)
    }
}

/// A request to a consumer for messages.
pub(super) fn pull(member: &Member, names: (&str, &str), message: &Message<'_>, batch: &mut Batch) -> bool {
    member.account.request(names, message.reply, message.header(), message.payload(), &mut put_off(batch))
}

pub(super) fn two_names(tail: &[u8]) -> Option<(&str, &str)> {
    let (stream, consumer) = std::str::from_utf8(tail).ok()?.split_once('.')?;
    (!stream.is_empty() && !consumer.is_empty() && !consumer.contains('.')).then_some((stream, consumer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_names_a_stream_and_a_consumer_and_nothing_more() {
        for (tail, expected) in
            [("S.c", Some(("S", "c"))), ("S.", None), (".c", None), ("S", None), ("S.c.d", None), ("", None)]
        {
            assert_eq!(two_names(tail.as_bytes()), expected, "{tail}");
        }
        assert_eq!(two_names(b"\xff.c"), None);
    }
}
