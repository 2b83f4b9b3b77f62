//! PUB and HPUB of messages whose publisher wants a report: off the fast path, one receiver at a time.

use cordon_accounts::reason::Reason;
use cordon_accounts::subject::MapOutcome;

use crate::connection::publish::publish_inside;
use crate::connection::session::Session;
use crate::protocol::{Publish, encode, headers};
use crate::routing::Message;
use crate::routing::match_set::MatchSet;
use crate::routing::message::Passage;
use crate::system::callout;
use crate::tracing_messages::{self, Onward, Report, Traced, Undelivered, Wish};

impl Session {
    /// One message of the client, with a report of its way.
    pub(super) fn publish_traced(&mut self, frame: &Publish<'_>, wish: Wish<'_>) {
        if wish.is_forged {
            let (header, payload) = frame.body.split_at_checked(frame.header_len).unwrap_or((&[], frame.body));
            let (header_len, body) = tracing_messages::hidden_body(header, payload);
            return self.publish_mapped(&Publish { header_len, body: &body, ..*frame });
        }
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
        let accepted = self.route_traced(subject, frame, &wish, &mut report);
        self.report(wish.destination, report);
        if accepted == 0 && self.options.no_responders && !frame.reply.is_empty() {
            self.no_responders(subject, frame.reply);
        }
    }

    /// A message that is too large: if its header is here already, its publisher still gets a report.
    pub(super) fn report_oversized(&mut self, frame: &Publish<'_>, size: usize) {
        let header = frame.body.get(..frame.header_len).unwrap_or_default();
        let Some(wish) = Wish::of(header).filter(|wish| wish.is_valid() && !wish.is_forged) else { return };
        if self.may_trace_to(wish.destination) {
            let mut report = Report::new(&self.connection, frame.subject, header, size);
            report.refused("maximum payload exceeded");
            self.report(wish.destination, report);
        }
    }

    fn report(&mut self, destination: &[u8], report: Report) {
        let (header, body) = report.finish(&self.connection.broker);
        let tenant = self.tenant.clone();
        publish_inside(&tenant, destination, b"", header, &body, &mut self.batch);
    }

    /// Where the account wants a report of a message that asks for none itself. Who may not publish there sends nothing
    /// there, and is not kept from publishing either: it has not asked for it.
    pub(super) fn sampled(&mut self, header: &[u8]) -> Option<Vec<u8>> {
        let terms = self.tenant.terms()?;
        let trace = terms.trace.as_ref()?;
        let destination = trace.destination.as_bytes();
        let is_chosen = tracing_messages::is_sampled(trace, header, |bound| self.batch.draw(bound))
            && Wish { destination, only: false, is_forged: false }.is_valid()
            && !self.is_reserved_for_reports(destination)
            && self.current_rights().may_publish(destination).is_ok();
        is_chosen.then(|| destination.to_vec())
    }

    fn is_reserved_for_reports(&self, destination: &[u8]) -> bool {
        [b"_GR_.".as_slice(), b"$NRG."].iter().any(|prefix| destination.starts_with(prefix))
            || callout::is_reserved(&self.connection.broker, &self.tenant, destination)
    }

    /// A report is a publication of its publisher: no more is allowed, and no granted reply is used up for it.
    fn may_trace_to(&mut self, destination: &[u8]) -> bool {
        let rights = self.current_rights();
        let denial = rights.may_publish(destination).err();
        let reserved = self.is_reserved_for_reports(destination);
        if denial.is_none() && !reserved {
            return true;
        }
        let reason = denial.as_ref().map_or(Reason::SubjectReserved, |denial| denial.reason);
        let rule = denial.map(|denial| denial.rule.to_string()).unwrap_or_default();
        let text = format!("Permissions Violation for Publish to {}", encode::quoted(destination));
        self.refuse(reason, destination, &rule, &text);
        false
    }

    fn route_traced(&mut self, subject: &[u8], frame: &Publish<'_>, wish: &Wish<'_>, report: &mut Report) -> usize {
        let Wish { destination, only, .. } = *wish;
        let mut set = MatchSet::default();
        self.tenant.interest.matches(subject, &mut set);
        let origin = self.connection.clone();
        let block = frame.body.get(..frame.header_len).unwrap_or_default();
        let onward = Onward::of(block, destination);
        let header = headers::without(block, headers::REQUEST_INFO);
        let body = [&header, frame.body.get(frame.header_len..).unwrap_or_default()].concat();
        let message = Message {
            subject,
            shown: subject,
            reply: frame.reply,
            header_len: header.len(),
            body: &body,
            origin: Some(&origin),
            passage: Passage::default(),
        };
        let begun = std::mem::take(report);
        self.batch.traced = Some(Box::new(Traced { report: begun, only, onward: Some(onward) }));
        let accepted = tracing_messages::route(&set, &message, &mut self.batch);
        if let Some(traced) = self.batch.traced.take() {
            *report = traced.report;
        }
        accepted
    }
}
