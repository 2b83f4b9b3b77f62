//! A publisher that sends as fast as the flow's window and the server let it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Result;

use crate::flow::Flow;
use crate::link::Link;
use crate::shape::Shape;

/// One publishing connection of a flow.
pub(crate) struct Publisher<'a> {
    /// Its connection.
    pub(crate) link: Link,
    /// Its number within the flow.
    pub(crate) number: usize,
    /// What it publishes.
    pub(crate) shape: &'a Shape,
    /// Where it counts.
    pub(crate) flow: &'a Flow,
}

impl Publisher<'_> {
    /// Publishes until `over`, then makes sure that the server has handled everything.
    ///
    /// The connection comes back, to be closed only once everything has arrived.
    ///
    /// # Errors
    ///
    /// When the server refuses, closes or stops taking messages.
    pub(crate) fn run(mut self, over: &AtomicBool) -> Result<Link> {
        let mut batch = self.shape.batch(self.flow.batch_max());
        let count = batch.count();
        let mut next = 1;
        while self.flow.wait_for_room(|| over.load(Relaxed))? {
            let (bytes, sum) = batch.stamped(self.number, next);
            // Counted before it is sent: receivers must never be ahead of what they are checked against.
            self.flow.add_published(count, sum);
            self.link.send(bytes)?;
            next += count;
        }
        // A forwarder answers no PING.
        if !self.shape.as_delivered {
            self.link.fence()?;
        }
        Ok(self.link)
    }
}
