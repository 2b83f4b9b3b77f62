//! Service crossings: a request of an importer is carried into the exporter.
//!
//! auth.md 6.4: loop guard, reply mapping, transform, the exporter's mappings, request info,
//! delivery in the exporter's subject space, "no responders" when nobody is there.

use std::sync::{Arc, Weak};

use cordon_accounts::sharing::Crossing;
use cordon_accounts::subject::MapOutcome;

use crate::border::info;
use crate::border::latency::{Outcome, Probe};
use crate::border::reply::Expected;
use crate::border::report::Detour;
use crate::border::table::inside;
use crate::broker::Broker;
use crate::limits::{CROSSING_DEPTH, CROSSINGS_OF_ONE};
use crate::protocol::headers;
use crate::routing::match_set::MatchSet;
use crate::routing::message::Passage;
use crate::routing::{Batch, Message, Receiver, Subscription, route};
use crate::system::callout;
use crate::tenant::Tenant;
use crate::tracing_messages;

/// Receives requests in the importer and carries them into the exporter.
pub struct Service {
    importer: Weak<Tenant>,
    crossing: Arc<Crossing>,
    /// Tells this crossing from others in the loop guard.
    mark: u64,
}

impl Service {
    /// The border's subscription in the importer for one service crossing.
    pub(super) fn subscription(importer: &Arc<Tenant>, crossing: Arc<Crossing>) -> Subscription {
        let local = crossing.local.as_str().to_owned();
        let mark = mark_of(&crossing);
        let service = Self { importer: Arc::downgrade(importer), crossing, mark };
        Subscription::new(local.as_bytes(), None, b"", inside(Arc::new(service)))
    }

    fn carry(&self, broker: &Arc<Broker>, importer: &Arc<Tenant>, message: &Message<'_>, batch: &mut Batch) -> bool {
        // The timer that takes the crossing away may be late.
        if self.crossing.expires.is_some() && self.crossing.has_ended(broker.clock.unix_seconds()) {
            return false;
        }
        let Some(exporter) = broker.tenants.find(&self.crossing.exporter) else { return false };
        let Some(subject) = self.crossing.requested_as(message.subject) else { return false };
        let subject = match exporter.map(&subject, batch) {
            MapOutcome::Unchanged => subject,
            MapOutcome::Mapped(mapped) => mapped,
            MapOutcome::Dropped => return true,
        };
        if callout::is_reserved(broker, &exporter, &subject) {
            return false;
        }
        if let Some(traced) = &mut batch.traced {
            traced.report.imported(broker, exporter.name.as_str(), message.subject, &subject);
        }
        let only = batch.traced.as_ref().is_some_and(|traced| traced.only);
        if batch.traced.is_some() && !self.crossing.allow_trace {
            // The exporter has not agreed to be looked at.
            return !only
                && tracing_messages::unseen(message, batch, |message, batch| {
                    self.carry_on(broker, importer, &exporter, &subject, message, batch)
                });
        }
        if only {
            // Nobody gets it, so nobody answers, and nothing is measured.
            return !matches!(
                self.deliver(broker, importer, &exporter, &subject, &Message { reply: b"", ..*message }, None, batch),
                Some(Outcome::NobodyThere)
            );
        }
        self.carry_on(broker, importer, &exporter, &subject, message, batch)
    }

    /// Carries a request, and measures it if the exporter wants that.
    fn carry_on(
        &self,
        broker: &Arc<Broker>,
        importer: &Arc<Tenant>,
        exporter: &Arc<Tenant>,
        subject: &[u8],
        message: &Message<'_>,
        batch: &mut Batch,
    ) -> bool {
        let probe = Probe::choose(broker, importer, &self.crossing, message, batch);
        let outcome = self.deliver(broker, importer, exporter, subject, message, probe.clone(), batch);
        let accepted = !matches!(outcome, Some(Outcome::NobodyThere));
        if let (Some(probe), Some(outcome)) = (probe, outcome) {
            // What is measured is no part of the message.
            let traced = batch.traced.take();
            probe.publish(broker, exporter, outcome, None, batch);
            batch.traced = traced;
        }
        accepted
    }

    /// Delivers in the exporter; `None` when somebody took the request and an answer may come.
    #[expect(clippy::too_many_arguments, reason = "both accounts and all of the request are part of it")]
    fn deliver(
        &self,
        broker: &Arc<Broker>,
        importer: &Arc<Tenant>,
        exporter: &Arc<Tenant>,
        subject: &[u8],
        message: &Message<'_>,
        probe: Option<Probe>,
        batch: &mut Batch,
    ) -> Option<Outcome> {
        let mut set = MatchSet::default();
        exporter.interest.matches(subject, &mut set);
        if set.is_empty() {
            return Some(Outcome::NobodyThere);
        }
        let measured = probe.is_some();
        let expected = self.expect(broker, importer, exporter, message, probe);
        let reply = match &expected {
            _ if message.reply.is_empty() => &[],
            Some(expected) => expected.subject(),
            None if message.reply.starts_with(b"$JS.ACK.") => message.reply,
            None => return Some(Outcome::NobodyThere),
        };
        let info = info::request_info(broker, importer, &self.crossing, message);
        // The report is made here: no client makes one, too. Servers further on are asked as they get it.
        let shut = batch
            .traced
            .as_ref()
            .map(|_| headers::with(message.header(), tracing_messages::DESTINATION, tracing_messages::DISABLED));
        let header = headers::with(shut.as_deref().unwrap_or(message.header()), headers::REQUEST_INFO, &info);
        let body = [&header, message.payload()].concat();
        let crossings = [message.passage.crossings, &[self.mark]].concat();
        let crossed = Message {
            reply,
            header_len: header.len(),
            body: &body,
            passage: Passage { crossings: &crossings, response: false, imported: false },
            ..message.moved_to(subject)
        };
        batch.depth += 1;
        let accepted = match Detour::begin(broker, exporter, importer, &self.crossing, message, batch) {
            None => route(&set, &crossed, batch) > 0,
            Some(detour) => {
                let accepted = tracing_messages::route(&set, &crossed, batch) > 0;
                detour.end(exporter, batch);
                accepted
            }
        };
        batch.depth -= 1;
        if accepted {
            return (measured && message.reply.is_empty()).then_some(Outcome::NoReply);
        }
        if let Some(expected) = expected {
            exporter.crossings.replies.forget(expected.subject());
        }
        Some(Outcome::NobodyThere)
    }

    fn expect(
        &self,
        broker: &Arc<Broker>,
        importer: &Arc<Tenant>,
        exporter: &Arc<Tenant>,
        message: &Message<'_>,
        probe: Option<Probe>,
    ) -> Option<Expected> {
        if message.reply.is_empty() || message.reply.starts_with(b"$JS.ACK.") {
            return None;
        }
        exporter.crossings.replies.expect(broker, exporter, importer, &self.crossing, message, probe)
    }
}

impl Receiver for Service {
    fn traces(&self) -> bool {
        true
    }

    fn receive(&self, subscription: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        // A request may reach one account on many ways: their number doubles with each account of a web of pairs.
        batch.crossed = if batch.depth == 0 { 1 } else { batch.crossed + 1 };
        if batch.crossed > CROSSINGS_OF_ONE {
            return false;
        }
        let seen = message.passage.crossings.contains(&self.mark);
        if seen || message.passage.crossings.len() >= CROSSING_DEPTH || batch.depth as usize >= CROSSING_DEPTH {
            return false;
        }
        // A reply subject with wildcards would match more than one requester.
        if message.reply.split(|b| *b == b'.').any(|token| token == b"*" || token == b">") {
            return false;
        }
        let Some(importer) = self.importer.upgrade() else { return false };
        let Some(broker) = importer.broker() else { return false };
        // An answer must not pass for a question of the broker.
        if callout::is_reserved(&broker, &importer, message.reply) {
            return false;
        }
        let accepted = self.carry(&broker, &importer, message, batch);
        if subscription.is_closed() {
            // The import ended while its request was on its way.
            importer.crossings.end_answers(&broker, &importer, &self.crossing);
        }
        accepted
    }
}

/// Two imports of the same export are one step in a loop.
fn mark_of(crossing: &Crossing) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    crossing.exporter.as_str().hash(&mut hasher);
    crossing.export.as_str().hash(&mut hasher);
    crossing.importer.as_str().hash(&mut hasher);
    hasher.finish()
}
