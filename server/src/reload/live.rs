//! The options as they are in force now: whatever a reload may change is read here, and not from what was started.
//!
//! Most readers load the options as one value. What is read for each message or each read has an atomic of its own,
//! which costs no more than a plain field.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::{ArcSwap, Guard};

use crate::limits::DEEPEST;
use crate::options::BrokerOptions;

/// Options that can be exchanged while the broker runs.
#[derive(Debug)]
pub struct LiveOptions {
    all: ArcSwap<BrokerOptions>,
    max_control_line: AtomicUsize,
    max_pending: AtomicUsize,
    max_sub_tokens: AtomicUsize,
    /// Pending bytes of a receiver from which messages for it are dropped.
    drop_above: AtomicUsize,
}

impl LiveOptions {
    /// The options that a broker starts with.
    pub fn new(options: BrokerOptions) -> Self {
        let live = Self {
            max_control_line: AtomicUsize::default(),
            max_pending: AtomicUsize::default(),
            max_sub_tokens: AtomicUsize::default(),
            drop_above: AtomicUsize::default(),
            all: ArcSwap::from_pointee(options.clone()),
        };
        live.replace(options);
        live
    }

    /// The options in force. Not to be kept: the next reload does not reach what was loaded before.
    pub fn load(&self) -> Guard<Arc<BrokerOptions>> {
        self.all.load()
    }

    /// As [`Self::load`], for whoever waits while having them.
    pub fn load_full(&self) -> Arc<BrokerOptions> {
        self.all.load_full()
    }

    /// Puts other options in force for whoever reads them from now on.
    pub fn replace(&self, options: BrokerOptions) {
        let drop_above = if options.no_fast_producer_stall { options.max_pending / 4 * 3 } else { usize::MAX };
        self.max_control_line.store(options.max_control_line, Ordering::Relaxed);
        self.max_pending.store(options.max_pending, Ordering::Relaxed);
        self.max_sub_tokens.store(options.max_sub_tokens.unwrap_or(DEEPEST).min(DEEPEST), Ordering::Relaxed);
        self.drop_above.store(drop_above, Ordering::Relaxed);
        self.all.store(Arc::new(options));
    }

    /// Bound on the arguments of a control line.
    #[inline]
    pub fn max_control_line(&self) -> usize {
        self.max_control_line.load(Ordering::Relaxed)
    }

    /// Bound on output queued for one connection.
    #[inline]
    pub fn max_pending(&self) -> usize {
        self.max_pending.load(Ordering::Relaxed)
    }

    /// Bound on tokens of a subscription's subject.
    #[inline]
    pub fn max_sub_tokens(&self) -> usize {
        self.max_sub_tokens.load(Ordering::Relaxed)
    }

    /// Pending bytes of a receiver from which messages for it are dropped; `None` where publishers are slowed down
    /// instead.
    #[inline]
    pub fn drop_above(&self) -> Option<usize> {
        Some(self.drop_above.load(Ordering::Relaxed)).filter(|bytes| *bytes != usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_on_the_hot_path_follows_the_options() {
        let live = LiveOptions::new(BrokerOptions { max_pending: 400, ..BrokerOptions::default() });
        assert_eq!((live.max_pending(), live.drop_above(), live.max_sub_tokens()), (400, None, DEEPEST));
        live.replace(BrokerOptions {
            max_control_line: 7,
            max_pending: 800,
            max_sub_tokens: Some(3),
            no_fast_producer_stall: true,
            ..BrokerOptions::default()
        });
        assert_eq!((live.max_control_line(), live.max_pending(), live.max_sub_tokens()), (7, 800, 3));
        assert_eq!((live.drop_above(), live.load().max_pending), (Some(600), 800));
    }
}
