//! One entry of an account's interest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::connection::Connection;
use crate::routing::deliver::Batch;
use crate::routing::message::Message;

/// A subscription: of a client, of the border, or of the broker itself.
pub struct Subscription {
    /// Subject, with wildcards.
    pub subject: Box<[u8]>,
    /// Queue group.
    pub queue: Option<Box<[u8]>>,
    /// The client's id for it, empty for others.
    pub sid: Box<[u8]>,
    /// Who receives.
    pub sink: Sink,
    /// Place in its node's list, kept by the tree.
    pub(super) slot: AtomicUsize,
    closed: AtomicBool,
    max: AtomicU64,
    delivered: AtomicU64,
    filtered: AtomicBool,
}

/// Who receives what a subscription matches.
pub enum Sink {
    /// A client connection.
    Client(Arc<Connection>),
    /// Something inside the broker.
    Inside(Arc<dyn Receiver>),
}

/// A receiver inside the broker: the border, the system account, later streams.
pub trait Receiver: Send + Sync {
    /// Takes a message; returns whether it was accepted (a queue group tries another member, and
    /// a requester hears of "no responders", when not). Called on the publisher's thread: never
    /// waits.
    fn receive(&self, subscription: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool;
}

impl Subscription {
    /// A subscription not yet in any interest.
    pub fn new(subject: &[u8], queue: Option<&[u8]>, sid: &[u8], sink: Sink) -> Self {
        Self {
            subject: subject.into(),
            queue: queue.map(Into::into),
            sid: sid.into(),
            sink,
            slot: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            max: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            filtered: AtomicBool::new(false),
        }
    }

    /// Ends it: nothing is queued for it any more. For a client's subscription the caller holds
    /// the lock of the connection's output.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// It has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Deliveries after which it ends; 0 is without bound.
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Sets the number of deliveries after which it ends.
    pub fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Each delivery must be checked against deny rules.
    pub fn is_filtered(&self) -> bool {
        self.filtered.load(Ordering::Relaxed)
    }

    /// Sets whether deliveries must be checked against deny rules.
    pub fn set_filtered(&self, filtered: bool) {
        self.filtered.store(filtered, Ordering::Relaxed);
    }

    /// Counts a delivery if the subscription still takes one. The caller holds the lock of the
    /// connection's output, so plain loads and stores do.
    #[inline]
    pub fn admit(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        let delivered = self.delivered.load(Ordering::Relaxed) + 1;
        let max = self.max.load(Ordering::Relaxed);
        if max != 0 && delivered > max {
            return false;
        }
        self.delivered.store(delivered, Ordering::Relaxed);
        true
    }

    /// The last delivery it wanted has been made.
    #[inline]
    pub fn is_spent(&self) -> bool {
        let max = self.max();
        max != 0 && self.delivered() >= max
    }
}
