//! PUB and HPUB of messages whose publisher wants a report: off the fast path, one receiver at a time.

use std::sync::Arc;

use cordon_accounts::reason::Reason;
use cordon_accounts::subject::MapOutcome;

use crate::connection::Connection;
use crate::connection::publish::publish_inside;
use crate::connection::session::Session;
use crate::protocol::{Publish, encode, headers};
use crate::routing::deliver::deliver_one;
use crate::routing::match_set::MatchSet;
use crate::routing::message::Passage;
use crate::routing::{Message, Sink, Subscription};
use crate::tracing_messages::{Report, Undelivered, Wish};

impl Session {
    /// One message of the client, with a report of its way.
    pub(super) fn publish_traced(&mut self, frame: &Publish<'_>, wish: Wish<'_>) {
        if !wish.is_valid() {
            // Nobody could get the report; and who asked for nothing else gets nothing else.
            if !wish.only {
                self.publish_mapped(frame);
            }
            return;
        }
        if !self.may_trace_to(wish.destination) {
            return;
        }
        let header = frame.body.get(..frame.header_len).unwrap_or_default();
        let mut report = Report::new(&self.connection, frame.subject, header, frame.body.len());
        let tenant = self.tenant.clone();
        let mapped = match tenant.has_mappings().then(|| tenant.map(frame.subject, &mut self.batch)) {
            Some(MapOutcome::Mapped(subject)) => Some(subject),
            Some(MapOutcome::Dropped) => {
                self.acknowledge();
                return self.report(wish.destination, report);
            }
            Some(MapOutcome::Unchanged) | None => None,
        };
        if let Some(subject) = &mapped {
            report.mapped(&self.connection.broker, subject);
        }
        let subject = mapped.as_deref().unwrap_or(frame.subject);
        if !self.may_publish(subject) || !self.may_reply_to(frame.reply) {
            report.refused(Undelivered::Publish.text());
            return self.report(wish.destination, report);
        }
        self.acknowledge();
        let accepted = self.route_traced(subject, frame, wish.only, &mut report);
        self.report(wish.destination, report);
        if accepted == 0 && self.options.no_responders && !frame.reply.is_empty() {
            self.no_responders(subject, frame.reply);
        }
    }

    /// A message that is too large: if its header is here already, its publisher still gets a report.
    pub(super) fn report_oversized(&mut self, frame: &Publish<'_>, size: usize) {
        let header = frame.body.get(..frame.header_len).unwrap_or_default();
        let Some(wish) = Wish::of(header).filter(Wish::is_valid) else { return };
        if self.may_trace_to(wish.destination) {
            let mut report = Report::new(&self.connection, frame.subject, header, size);
            report.refused("maximum payload exceeded");
            self.report(wish.destination, report);
        }
    }

    fn report(&mut self, destination: &[u8], report: Report) {
        let text = report.finish(&self.connection.broker);
        let tenant = self.tenant.clone();
        publish_inside(&tenant, destination, b"", b"", &text, &mut self.batch);
    }

    /// A report is a publication of its publisher: no more is allowed, and no granted reply is used up for it.
    fn may_trace_to(&mut self, destination: &[u8]) -> bool {
        let rights = self.current_rights();
        let denial = rights.may_publish(destination).err();
        let reserved = [b"_GR_.".as_slice(), b"$NRG."].iter().any(|prefix| destination.starts_with(prefix));
        if denial.is_none() && !reserved {
            return true;
        }
        let reason = denial.as_ref().map_or(Reason::SubjectReserved, |denial| denial.reason);
        let rule = denial.map(|denial| denial.rule.to_string()).unwrap_or_default();
        let text = format!("Permissions Violation for Publish to {}", encode::quoted(destination));
        self.refuse(reason, destination, &rule, &text);
        false
    }

    fn route_traced(&mut self, subject: &[u8], frame: &Publish<'_>, only: bool, report: &mut Report) -> usize {
        let mut set = MatchSet::default();
        self.tenant.interest.matches(subject, &mut set);
        let origin = self.connection.clone();
        let block = frame.body.get(..frame.header_len).unwrap_or_default();
        let header = headers::without(block, headers::REQUEST_INFO);
        let body = [&header, frame.body.get(frame.header_len..).unwrap_or_default()].concat();
        let message = Message {
            subject,
            reply: frame.reply,
            header_len: header.len(),
            body: &body,
            origin: Some(&origin),
            passage: Passage::default(),
        };
        let mut accepted = 0;
        for subscription in &set.plain {
            accepted += usize::from(self.offer_traced(subscription, &message, only, report));
        }
        for group in &set.queues {
            let start = self.batch.draw(group.members.len() as u32) as usize;
            let (before, from) = group.members.split_at_checked(start).unwrap_or((&[], &group.members));
            let taken = from.iter().chain(before).any(|member| self.offer_traced(member, &message, only, report));
            accepted += usize::from(taken);
        }
        accepted
    }

    fn offer_traced(
        &mut self,
        subscription: &Subscription,
        message: &Message<'_>,
        only: bool,
        report: &mut Report,
    ) -> bool {
        let Sink::Client(receiver) = subscription.sink() else {
            // Behind the border the message would be another's: it is not sent there just to be looked at.
            return only || deliver_one(subscription, message, &mut self.batch);
        };
        let mut error = obstacle(subscription, receiver, message);
        if error.is_none() && !only && !deliver_one(subscription, message, &mut self.batch) {
            error = Some(obstacle(subscription, receiver, message).unwrap_or(Undelivered::Closed));
        }
        report.offered(receiver, subscription, error);
        error.is_none()
    }
}

/// What keeps a message from a receiver.
fn obstacle(subscription: &Subscription, receiver: &Arc<Connection>, message: &Message<'_>) -> Option<Undelivered> {
    if message.origin.is_some_and(|origin| Arc::ptr_eq(origin, receiver)) && !receiver.echoes() {
        Some(Undelivered::Echo)
    } else if subscription.is_filtered() && !receiver.may_receive(message.subject, subscription.queue()) {
        Some(Undelivered::Subscription)
    } else if subscription.is_spent() {
        Some(Undelivered::Maximum)
    } else if receiver.closing().is_some() {
        Some(Undelivered::Closed)
    } else if subscription.is_closed() {
        Some(Undelivered::Ended)
    } else {
        None
    }
}
