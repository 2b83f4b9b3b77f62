//! PUB and HPUB: permission, receivers, delivery.

use std::sync::Arc;

use cordon_accounts::reason::Reason;
use cordon_accounts::subject::MapOutcome;
use cordon_accounts::subject::matching;

use crate::connection::session::Session;
use crate::protocol::{Publish, encode, headers};
use crate::routing::match_set::MatchSet;
use crate::routing::message::Passage;
use crate::routing::{Message, Sink, deliver, route};
use crate::system::callout;
use crate::tracing_messages::Wish;

/// Reply subjects that belong to the broker: service replies, stream acks, gateway replies.
const RESERVED_REPLIES: [&[u8]; 3] = [b"_R_.", b"$JS.ACK.", b"_GR_."];

impl Session {
    /// One message of the client.
    pub(super) fn publish(&mut self, frame: &Publish<'_>) {
        self.in_messages += 1;
        self.in_bytes += frame.body.len() as u64;
        if self.options.pedantic && !(matching::is_valid(frame.subject) && matching::is_literal(frame.subject)) {
            self.error("Invalid Publish Subject");
        }
        if frame.header_len > 0 {
            let header = frame.body.get(..frame.header_len).unwrap_or_default();
            if let Some(wish) = Wish::of(header) {
                return self.publish_traced(frame, wish);
            }
            if self.tenant.has_trace()
                && let Some(destination) = self.sampled(header)
            {
                return self.publish_traced(frame, Wish { destination: &destination, only: false, is_forged: false });
            }
        }
        self.publish_mapped(frame);
    }

    #[inline]
    pub(super) fn publish_mapped(&mut self, frame: &Publish<'_>) {
        if self.tenant.has_mappings() {
            let tenant = self.tenant.clone();
            match tenant.map(frame.subject, &mut self.batch) {
                MapOutcome::Unchanged => self.publish_to(frame.subject, frame),
                MapOutcome::Mapped(subject) => self.publish_to(&subject, frame),
                MapOutcome::Dropped => self.acknowledge(),
            }
        } else {
            self.publish_to(frame.subject, frame);
        }
    }

    #[inline]
    fn publish_to(&mut self, subject: &[u8], frame: &Publish<'_>) {
        self.refresh_rights();
        match self.cache.find(subject, &self.tenant.interest) {
            Some(set) => self.send(subject, frame, &set),
            None => self.publish_unknown(subject, frame),
        }
    }

    /// A subject whose receivers are not known, or are others by now.
    fn publish_unknown(&mut self, subject: &[u8], frame: &Publish<'_>) {
        if !self.may_publish(subject) {
            return;
        }
        let stamp = self.tenant.interest.stamp(subject);
        let mut set = std::mem::take(&mut self.scratch);
        self.tenant.interest.matches(subject, &mut set);
        if self.cacheable {
            let set = Arc::new(set);
            self.cache.keep(subject, stamp, set.clone());
            self.send(subject, frame, &set);
        } else {
            self.send(subject, frame, &set);
            set.clear();
            self.scratch = set;
        }
    }

    /// Decides about a subject that is not cached; notes whether it may be.
    pub(super) fn may_publish(&mut self, subject: &[u8]) -> bool {
        // Inboxes are used once: remembering them would only push out what is used again.
        self.cacheable = !subject.starts_with(b"_INBOX.");
        let reserved = (subject.starts_with(b"_GR_.") && subject.len() > 5)
            || (subject.starts_with(b"$NRG.") && !self.tenant.is_system())
            || callout::is_reserved(&self.connection.broker, &self.tenant, subject);
        let denial = if reserved { None } else { self.rights.may_publish(subject).err() };
        if !reserved && denial.is_none() {
            return true;
        }
        if !reserved && self.connection.take_reply_grant(subject) {
            self.cacheable = false;
            return true;
        }
        let reason = denial.as_ref().map_or(Reason::SubjectReserved, |denial| denial.reason);
        let rule = denial.map(|denial| denial.rule.to_string()).unwrap_or_default();
        let text = format!("Permissions Violation for Publish to {}", encode::quoted(subject));
        self.refuse(reason, subject, &rule, &text);
        false
    }

    /// Refuses reply subjects that belong to the broker.
    #[inline]
    pub(super) fn may_reply_to(&mut self, reply: &[u8]) -> bool {
        if RESERVED_REPLIES.iter().any(|reserved| reply.len() > reserved.len() && reply.starts_with(reserved)) {
            let text = format!("Permissions Violation for Publish with Reply of {}", encode::quoted(reply));
            self.refuse(Reason::ReplyReserved, reply, "", &text);
            return false;
        }
        true
    }

    fn send(&mut self, subject: &[u8], frame: &Publish<'_>, set: &MatchSet) {
        let reply = frame.reply;
        if !reply.is_empty() && !self.may_reply_to(reply) {
            return;
        }
        self.acknowledge();
        if set.is_empty() && (reply.is_empty() || !self.options.no_responders) {
            return;
        }
        let mut message = Message {
            subject,
            shown: subject,
            reply,
            header_len: frame.header_len,
            body: frame.body,
            origin: Some(&self.connection),
            passage: Passage::default(),
        };
        let cleaned;
        if frame.header_len > 0 && headers::has_request_info(message.header()) {
            let header = headers::without(message.header(), headers::REQUEST_INFO);
            cleaned = [&header, message.payload()].concat();
            message.header_len = header.len();
            message.body = &cleaned;
        }
        let accepted = route(set, &message, &mut self.batch);
        if accepted == 0 && self.options.no_responders && !reply.is_empty() {
            self.no_responders(subject, reply);
        }
    }

    /// Tells a requester that nobody received its request, by one of its own subscriptions.
    pub(super) fn no_responders(&mut self, subject: &[u8], reply: &[u8]) {
        let mut set = MatchSet::default();
        self.tenant.interest.matches(reply, &mut set);
        let own = set.plain.iter().find(|subscription| match subscription.sink() {
            Sink::Client(connection) => Arc::ptr_eq(connection, &self.connection) && !subscription.is_closed(),
            Sink::Inside(_) => false,
        });
        let Some(subscription) = own else { return };
        let header = encode::no_responders(subject);
        let mut line = Vec::with_capacity(reply.len() + header.len() + 48);
        let mut tail = Vec::with_capacity(16);
        encode::line_tail(&mut tail, b"", Some(header.len()), header.len());
        encode::delivery_line(&mut line, true, reply, subscription.sid(), &tail);
        line.extend_from_slice(&header);
        line.extend_from_slice(b"\r\n");
        self.line(&line);
    }
}

/// Delivers a message of the broker itself in one account; returns how many accepted it.
pub fn publish_inside(
    tenant: &crate::tenant::Tenant,
    subject: &[u8],
    reply: &[u8],
    header: &[u8],
    payload: &[u8],
    batch: &mut deliver::Batch,
) -> usize {
    let mut set = MatchSet::default();
    tenant.interest.matches(subject, &mut set);
    if set.is_empty() {
        return 0;
    }
    let joined;
    let body = if header.is_empty() {
        payload
    } else {
        joined = [header, payload].concat();
        &joined
    };
    let message = Message::of_broker(subject, reply, header.len(), body);
    route(&set, &message, batch)
}
