//! Messages of a leaf node that are reported on: those that ask for it, and those that the account has chosen.
//!
//! A report is a publication of the leaf node: it goes nowhere that the leaf node itself could not publish.

use cordon_accounts::reason::Reason;
use cordon_accounts::subject::{MapOutcome, matching};
use smallvec::SmallVec;

use crate::connection::publish_inside;
use crate::leaf::filter::Held;
use crate::leaf::forward::is_token;
use crate::leaf::parser::Forwarded;
use crate::leaf::session::LeafSession;
use crate::leaf::traffic::arrived;
use crate::protocol::encode;
use crate::routing::match_set::MatchSet;
use crate::tracing_messages::{self, Onward, Report, Traced, Undelivered, Wish};

impl LeafSession {
    /// A message that asks for a report.
    pub(super) fn message_traced(&mut self, forwarded: &Forwarded<'_>, wish: &Wish<'_>) {
        if wish.is_forged {
            let (header, payload) = forwarded.body.split_at_checked(forwarded.header_len).unwrap_or_default();
            let (header_len, body) = tracing_messages::hidden_body(header, payload);
            return self.message_mapped(&Forwarded {
                header_len,
                body: &body,
                queues: forwarded.queues.iter().copied().collect(),
                ..*forwarded
            });
        }
        if !wish.is_valid() {
            // Nobody could get the report; and who asked for nothing else gets nothing else.
            if !wish.only {
                self.message_mapped(forwarded);
            }
            return;
        }
        match self.reports_to(wish.destination) {
            Ok(()) => self.report_on(forwarded, wish.destination, wish.only),
            Err(held) => {
                self.note(
                    held.reason,
                    wish.destination,
                    &held.rule,
                    "a leaf node wants a report where it may not publish",
                );
                // Any client of the other side can ask for that: it ends nothing of the others'.
                self.error(&format!("Permissions Violation for Publish to {}", encode::quoted(wish.destination)));
            }
        }
    }

    /// Where the account wants a report of a message that asks for none itself. A leaf node that may not publish there
    /// sends nothing there, and is not kept from publishing either.
    pub(super) fn sampled(&mut self, header: &[u8]) -> Option<Vec<u8>> {
        let terms = self.tenant.terms()?;
        let trace = terms.trace.as_ref()?;
        let destination = trace.destination.as_bytes();
        let is_chosen = tracing_messages::is_sampled(trace, header, |bound| self.batch.draw(bound))
            && Wish { destination, only: false, is_forged: false }.is_valid()
            && self.reports_to(destination).is_ok();
        is_chosen.then(|| destination.to_vec())
    }

    /// Whether reports about messages of this leaf node may go to `destination`: no granted reply is used up for it.
    fn reports_to(&self, destination: &[u8]) -> Result<(), Held> {
        let nobodys = || Held { reason: Reason::SubjectReserved, rule: String::new() };
        if !is_token(destination) || !matching::is_publishable(destination) || self.is_reserved(destination) {
            return Err(nobodys());
        }
        self.filter().ok_or_else(nobodys)?.comes_in(destination)
    }

    /// A message of which a report goes to `destination`.
    pub(super) fn report_on(&mut self, forwarded: &Forwarded<'_>, destination: &[u8], only: bool) {
        let header = forwarded.body.get(..forwarded.header_len).unwrap_or_default();
        let report = Report::new(&self.connection, forwarded.subject, header, forwarded.body.len()).coming_by(header);
        let traced = Traced { report, only, onward: Some(Onward::of(header, destination)) };
        let report = self.route_traced(forwarded, traced);
        let (header, body) = report.finish(&self.connection.broker);
        let tenant = self.tenant.clone();
        publish_inside(&tenant, destination, b"", header, &body, &mut self.batch);
    }

    fn route_traced(&mut self, forwarded: &Forwarded<'_>, mut traced: Traced) -> Report {
        if !self.may_come_in(forwarded.subject) {
            traced.report.refused(Undelivered::Publish.text());
            return traced.report;
        }
        let tenant = self.tenant.clone();
        let mapped = match tenant.has_mappings().then(|| tenant.map(forwarded.subject, &mut self.batch)) {
            Some(MapOutcome::Dropped) => return traced.report,
            Some(MapOutcome::Mapped(subject)) => Some(subject),
            Some(MapOutcome::Unchanged) | None => None,
        };
        if let Some(subject) = &mapped {
            traced.report.mapped(&self.connection.broker, subject);
        }
        let subject = mapped.as_deref().unwrap_or(forwarded.subject);
        // The groups of the other side are those of the subject there.
        let listed = mapped.is_none().then(|| SmallVec::as_slice(&forwarded.queues));
        let mut set = MatchSet::default();
        tenant.interest.matches(subject, &mut set);
        let cleaned = self.cleaned(forwarded);
        let told = self.told_reply(subject, forwarded);
        let message = arrived(&self.connection, subject, told, forwarded, cleaned.as_ref());
        self.batch.traced = Some(Box::new(traced));
        tracing_messages::route_to(&set, &message, listed, &mut self.batch);
        self.batch.traced.take().map(|traced| traced.report).unwrap_or_default()
    }
}
