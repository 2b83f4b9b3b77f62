//! Batches: atomic ones, whose messages are stored together or not at all, and fast ones, whose publisher is told how fast
//! to go (jetstream.md 2.9.2, 2.9.3).

mod atomic;
mod fast;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::Core;
use super::advisory::{About, publish};
use crate::account::Totals;
use atomic::Atomic;
use fast::Fast;

/// Longest id of a batch.
const ID_MAX: usize = 64;

/// The open batches of a stream.
pub(super) struct Batches {
    atomic: HashMap<Vec<u8>, Atomic>,
    fast: HashMap<Vec<u8>, Fast>,
    /// Bytes staged in atomic batches.
    bytes: usize,
    node: Arc<Totals>,
}

impl Batches {
    pub(super) fn new(node: Arc<Totals>) -> Self {
        Self { atomic: HashMap::new(), fast: HashMap::new(), bytes: 0, node }
    }

    fn end_atomic(&mut self, id: &[u8]) -> Option<Atomic> {
        let batch = self.atomic.remove(id)?;
        self.bytes = self.bytes.saturating_sub(batch.bytes());
        self.node.atomic_batches.fetch_sub(1, Ordering::Relaxed);
        Some(batch)
    }

    fn end_fast(&mut self, id: &[u8]) -> Option<Fast> {
        let batch = self.fast.remove(id)?;
        self.node.fast_batches.fetch_sub(1, Ordering::Relaxed);
        Some(batch)
    }

    /// When the next batch has been silent for too long.
    pub(super) fn deadline(&self, timeout: i64) -> Option<i64> {
        let atomic = self.atomic.values().map(Atomic::heard);
        let fast = self.fast.values().map(Fast::heard);
        atomic.chain(fast).min().map(|heard| heard.saturating_add(timeout))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.node.atomic_batches.fetch_sub(self.atomic.len(), Ordering::Relaxed);
        self.node.fast_batches.fetch_sub(self.fast.len(), Ordering::Relaxed);
    }
}

/// One more, if there are less than `most`.
fn count_in(counter: &AtomicUsize, most: usize) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < most).then_some(count + 1)).is_ok()
}

impl Core {
    /// How long a batch may be silent.
    pub(super) fn batch_timeout(&self) -> i64 {
        i64::try_from(self.ledger.settings().batch.timeout.as_nanos()).unwrap_or(i64::MAX)
    }

    /// Ends batches that were silent for too long.
    pub(super) fn expire_batches(&mut self, now: i64) {
        let before = now.saturating_sub(self.batch_timeout());
        let over: Vec<Vec<u8>> =
            self.batches.atomic.iter().filter(|(_, one)| one.heard() <= before).map(|(id, _)| id.clone()).collect();
        for id in over {
            self.abandon(&id, "timeout");
        }
        let over: Vec<Vec<u8>> =
            self.batches.fast.iter().filter(|(_, one)| one.heard() <= before).map(|(id, _)| id.clone()).collect();
        for id in over {
            self.batches.end_fast(&id);
        }
    }

    /// Ends what the configuration allows no more.
    pub(super) fn batches_configured(&mut self) {
        if !self.config.allow_atomic {
            for id in self.batches.atomic.keys().cloned().collect::<Vec<_>>() {
                self.batches.end_atomic(&id);
            }
        }
        if !self.config.allow_batched {
            for id in self.batches.fast.keys().cloned().collect::<Vec<_>>() {
                self.batches.end_fast(&id);
            }
        }
    }

    /// An atomic batch ends without being stored; the account is told.
    fn abandon(&mut self, id: &[u8], reason: &str) {
        self.batches.end_atomic(id);
        let place = About { domain: self.place.domain.as_deref(), now: self.now };
        let tail = format!("ADVISORY.STREAM.BATCH_ABANDONED.{}", self.config.name);
        publish(&place, &*self.port, &tail, "stream_batch_abandoned", || {
            json!({
                "account": &*self.place.account,
                "stream": self.config.name,
                "batch": String::from_utf8_lossy(id),
                "reason": reason,
            })
        });
    }
}
