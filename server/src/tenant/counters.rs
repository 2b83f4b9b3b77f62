//! Figures of one account.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages and bytes of an account's clients, and its connections ever.
#[derive(Debug, Default)]
pub struct Counters {
    in_messages: AtomicU64,
    in_bytes: AtomicU64,
    out_messages: AtomicU64,
    out_bytes: AtomicU64,
    /// Connections ever admitted.
    pub connections: AtomicU64,
    /// Connections ended for not keeping up.
    pub slow_consumers: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages received from clients.
    pub in_messages: u64,
    /// Bytes of them.
    pub in_bytes: u64,
    /// Messages delivered to clients.
    pub out_messages: u64,
    /// Bytes of them.
    pub out_bytes: u64,
}

impl Counters {
    /// Adds what one read brought.
    pub fn received(&self, messages: u64, bytes: u64) {
        self.in_messages.fetch_add(messages, Ordering::Relaxed);
        self.in_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds what one batch delivered.
    pub fn sent(&self, messages: u64, bytes: u64) {
        self.out_messages.fetch_add(messages, Ordering::Relaxed);
        self.out_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The figures now.
    pub fn figures(&self) -> Figures {
        Figures {
            in_messages: self.in_messages.load(Ordering::Relaxed),
            in_bytes: self.in_bytes.load(Ordering::Relaxed),
            out_messages: self.out_messages.load(Ordering::Relaxed),
            out_bytes: self.out_bytes.load(Ordering::Relaxed),
        }
    }
}
