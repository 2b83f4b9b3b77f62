//! Locks and atomics of the parts that `models/` runs in every order of events: there these names are loom's.

pub(crate) use parking_lot::Mutex;

/// Atomics.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}
