//! Stream crossings: what an exporter publishes reaches subscriptions of its importers.
//!
//! A shadow subscription stands in the exporter's interest for each importer subscription that
//! overlaps the import (auth.md 6.3). It joins queue groups of the same name, so that members on
//! both sides of the border share each message.

use std::borrow::Cow;
use std::sync::{Arc, Weak};

use cordon_accounts::sharing::Crossing;

use crate::border::table::inside;
use crate::broker::Broker;
use crate::routing::deliver::deliver_one;
use crate::routing::{Batch, Far, Followed, Message, Receiver, Sink, Subscription};
use crate::tracing_messages;

/// The exporter-side subscription that stands for `original`, if the two have anything in common.
pub(super) fn shadow(broker: &Arc<Broker>, original: &Subscription, crossing: &Arc<Crossing>) -> Option<Subscription> {
    let subject = crossing.shadow(original.subject())?;
    let receiver = Shadow { original: original.clone(), crossing: crossing.clone(), broker: Arc::downgrade(broker) };
    if original.is_far() {
        return Some(Subscription::far(&subject, original.queue(), b"", Arc::new(receiver)));
    }
    Some(Subscription::new(&subject, original.queue(), b"", inside(Arc::new(receiver))))
}

/// The space of answers on their way back: each is for one requester, however wide an export is.
const REPLIES: &[u8] = b"_R_.";

/// Receives in the exporter for a subscription of the importer.
struct Shadow {
    original: Subscription,
    crossing: Arc<Crossing>,
    broker: Weak<Broker>,
}

impl Shadow {
    /// The activation has expired; the timer that takes the crossing away may be late.
    fn has_ended(&self) -> bool {
        self.broker.upgrade().is_none_or(|broker| self.crossing.has_ended(broker.clock.unix_seconds()))
    }

    /// A traced message: seen on its way by those who agreed to it, and without a word of them otherwise.
    fn receive_traced(&self, shadow: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        if self.crossing.allow_trace {
            if let (Some(traced), Sink::Client(connection)) = (&mut batch.traced, self.original.sink()) {
                traced.report.exported(&connection.broker, self.crossing.importer.as_str(), message.subject);
            }
            return tracing_messages::offer(&self.original, shadow, message, batch);
        }
        if batch.traced.as_ref().is_some_and(|traced| traced.only) {
            return false;
        }
        tracing_messages::unseen(message, batch, |message, batch| deliver_one(&self.original, message, batch))
    }

    /// The subject under which a message crosses, if it may.
    fn crosses_as(&self, message: &Message<'_>) -> Option<Vec<u8>> {
        // A service request, or the answer to one, is not for stream importers.
        if message.passage.response || !message.passage.crossings.is_empty() || message.subject.starts_with(REPLIES) {
            return None;
        }
        if self.crossing.expires.is_some() && self.has_ended() {
            return None;
        }
        self.crossing.delivered_as(message.subject)
    }
}

impl Receiver for Shadow {
    fn receive(&self, subscription: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(subject) = self.crosses_as(message) else { return false };
        let mut crossed = message.moved_to(&subject);
        crossed.passage.imported = true;
        if batch.traced.is_some() {
            return self.receive_traced(subscription, &crossed, batch);
        }
        deliver_one(&self.original, &crossed, batch)
    }

    fn far(&self) -> Option<Far<'_>> {
        // Its group in the exporter counts it as one, however many members the importer has there.
        // Where the report goes is a subject of the exporter: in the importer it would be another one.
        let followed = if self.crossing.allow_trace { Followed::ToTheEdge } else { Followed::Nowhere };
        self.original.beyond().map(|far| Far { weight: 1, followed, ..far })
    }

    fn far_subject<'a>(&self, message: &Message<'a>) -> Option<Cow<'a, [u8]>> {
        self.crosses_as(message).map(Cow::Owned)
    }

    fn traces(&self) -> bool {
        true
    }
}
