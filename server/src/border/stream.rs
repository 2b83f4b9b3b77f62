//! Stream crossings: what an exporter publishes reaches subscriptions of its importers.
//!
//! A shadow subscription stands in the exporter's interest for each importer subscription that
//! overlaps the import (auth.md 6.3). It joins queue groups of the same name, so that members on
//! both sides of the border share each message.

use std::sync::Arc;

use cordon_accounts::sharing::Crossing;

use crate::border::table::inside;
use crate::routing::deliver::deliver_one;
use crate::routing::{Batch, Message, Receiver, Sink, Subscription};

/// The exporter-side subscription that stands for `original`, if the two have anything in common.
pub(super) fn shadow(original: &Subscription, crossing: &Arc<Crossing>) -> Option<Subscription> {
    let subject = crossing.shadow(original.subject())?;
    let receiver = Shadow { original: original.clone(), crossing: crossing.clone() };
    Some(Subscription::new(&subject, original.queue(), b"", inside(Arc::new(receiver))))
}

/// The space of answers on their way back: each is for one requester, however wide an export is.
const REPLIES: &[u8] = b"_R_.";

/// Receives in the exporter for a subscription of the importer.
struct Shadow {
    original: Subscription,
    crossing: Arc<Crossing>,
}

impl Shadow {
    /// The activation has expired; the timer that takes the crossing away may be late.
    fn has_ended(&self) -> bool {
        match self.original.sink() {
            Sink::Client(connection) => self.crossing.has_ended(connection.broker.clock.unix_seconds()),
            Sink::Inside(_) => false,
        }
    }
}

impl Receiver for Shadow {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        // A service request, or the answer to one, is not for stream importers.
        if message.passage.response || !message.passage.crossings.is_empty() || message.subject.starts_with(REPLIES) {
            return false;
        }
        if self.crossing.expires.is_some() && self.has_ended() {
            return false;
        }
        let Some(subject) = self.crossing.delivered_as(message.subject) else { return false };
        let crossed = Message { subject: &subject, ..*message };
        deliver_one(&self.original, &crossed, batch)
    }
}
