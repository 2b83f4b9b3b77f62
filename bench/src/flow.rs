//! The account of one flow of messages: what was published into it, what came out, and whether that agrees.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::link::PATIENCE;

/// Deliveries on the way at most, in bytes. A quarter of the 64 MiB at which a server may drop a slow
/// consumer, and far more than any pause of a thread of the generator lets pile up.
const UNDER_WAY_BYTES: u64 = 16 * 1024 * 1024;

/// Counters shared by the publishers and receivers of one flow. Each is changed once per batch.
pub(crate) struct Flow {
    /// Deliveries that each published message causes.
    copies: u64,
    /// Deliveries that may be on the way.
    window: u64,
    published: AtomicU64,
    published_sum: AtomicU64,
    delivered: AtomicU64,
    delivered_sum: AtomicU64,
}

impl Flow {
    /// A flow in which each message of `frame` bytes is delivered `copies` times.
    pub(crate) fn new(frame: usize, copies: u64) -> Self {
        Self {
            copies,
            window: (UNDER_WAY_BYTES / frame as u64).max(copies),
            published: AtomicU64::new(0),
            published_sum: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            delivered_sum: AtomicU64::new(0),
        }
    }

    /// The most messages that one batch should have, so that several batches fit the window.
    pub(crate) fn batch_max(&self) -> usize {
        usize::try_from(self.window / self.copies / 4).unwrap_or(usize::MAX).max(1)
    }

    /// Waits until the receivers have caught up enough; `false` when `over` says so first.
    ///
    /// # Errors
    ///
    /// When nothing at all is delivered for as long as [`PATIENCE`].
    pub(crate) fn wait_for_room(&self, over: impl Fn() -> bool) -> Result<bool> {
        let mut seen = self.delivered();
        let mut since = None;
        while !over() {
            let delivered = self.delivered();
            if (self.published.load(Relaxed) * self.copies).saturating_sub(delivered) < self.window {
                return Ok(true);
            }
            let start = *since.get_or_insert_with(Instant::now);
            if delivered != seen {
                (seen, since) = (delivered, None);
            } else if start.elapsed() > PATIENCE {
                bail!("no delivery for {} s", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_micros(100));
        }
        Ok(false)
    }

    /// Counts published messages and the sum of their stamps.
    pub(crate) fn add_published(&self, count: u64, sum: u64) {
        self.published_sum.fetch_add(sum, Relaxed);
        self.published.fetch_add(count, Relaxed);
    }

    /// Counts delivered messages and the sum of their stamps.
    pub(crate) fn add_delivered(&self, count: u64, sum: u64) {
        self.delivered_sum.fetch_add(sum, Relaxed);
        self.delivered.fetch_add(count, Relaxed);
    }

    /// Deliveries so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// Whether everything published has been delivered as often as it should be.
    pub(crate) fn is_complete(&self) -> bool {
        self.delivered() >= self.expected()
    }

    /// Says what is wrong with a flow that has ended.
    ///
    /// # Errors
    ///
    /// When deliveries are missing, too many, or not those that were published.
    pub(crate) fn verify(&self) -> Result<()> {
        let (delivered, expected) = (self.delivered(), self.expected());
        if delivered != expected {
            bail!("{expected} deliveries were due and {delivered} came");
        }
        if self.delivered_sum.load(Relaxed) != self.published_sum.load(Relaxed).wrapping_mul(self.copies) {
            bail!("{delivered} deliveries came, as many as were due, but not of the messages that were published");
        }
        Ok(())
    }

    fn expected(&self) -> u64 {
        self.published.load(Relaxed) * self.copies
    }
}

/// Waits until every flow is complete.
///
/// # Errors
///
/// When deliveries are still missing after [`PATIENCE`] without progress.
pub(crate) fn settle(flows: &[&Flow]) -> Result<()> {
    let mut last = (0, Instant::now());
    while !flows.iter().all(|flow| flow.is_complete()) {
        let delivered = flows.iter().map(|flow| flow.delivered()).sum();
        if delivered != last.0 {
            last = (delivered, Instant::now());
        } else if last.1.elapsed() > PATIENCE {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    flows.iter().try_for_each(|flow| if flow.is_complete() { Ok(()) } else { flow.verify() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_doubled_and_swapped_deliveries_are_found() {
        let cases: [(&str, u64, u64, bool); 4] = [
            ("complete", 4, 6, true),
            ("lost", 3, 2 * 3 - 1, false),
            ("doubled", 5, 2 * 3 + 2, false),
            ("one lost, one doubled", 4, 7, false),
        ];
        for (name, count, sum, good) in cases {
            let flow = Flow::new(100, 2);
            flow.add_published(2, 3);
            flow.add_delivered(count, sum);
            assert_eq!(flow.verify().is_ok(), good, "{name}");
        }
    }

    #[test]
    fn publishers_wait_when_the_window_is_full() {
        let flow = Flow::new(1024 * 1024, 1);
        assert_eq!(flow.batch_max(), 4);
        flow.add_published(15, 0);
        assert!(flow.wait_for_room(|| false).unwrap());
        flow.add_published(1, 0);
        assert!(!flow.wait_for_room(|| true).unwrap());
        flow.add_delivered(1, 0);
        assert!(flow.wait_for_room(|| false).unwrap());
    }
}
