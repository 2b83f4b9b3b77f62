//! A publisher that sends as fast as the flow's window and the server let it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Result;

use crate::flow::Flow;
use crate::link::Link;
use crate::shape::Batch;

/// One publishing connection of a flow.
pub(crate) struct Publisher<'a> {
    /// Its connection.
    pub(crate) link: Link,
    /// Its number within the flow.
    pub(crate) number: usize,
    /// What it publishes, again and again; not empty.
    pub(crate) batches: Vec<Batch>,
    /// Whether to ask the server at the end if it has handled everything. A forwarder cannot say.
    pub(crate) fence: bool,
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
        let mut next = 1;
        let mut turn = 0;
        while self.flow.wait_for_room(|| over.load(Relaxed))? {
            let Some(batch) = self.batches.get_mut(turn) else {
                break;
            };
            let count = batch.count();
            let (bytes, sum) = batch.stamped(self.number, next);
            // Counted before it is sent: receivers must never be ahead of what they are checked against.
            self.flow.add_published(count, sum);
            self.link.send(bytes)?;
            next += count;
            turn = (turn + 1) % self.batches.len();
        }
        if self.fence {
            self.link.fence()?;
        }
        Ok(self.link)
    }
}
