//! A connection's subscriptions by id.

use std::hash::{BuildHasher, Hasher as _};

use foldhash::quality::RandomState;

use crate::routing::Subscription;
use crate::routing::table::Table;

/// Subscriptions by the id that the client gave them, which is read out of each: no second copy is kept.
#[derive(Default)]
pub(super) struct Subscriptions {
    by_sid: Table<Subscription>,
    hasher: SidHasher,
}

#[derive(Default)]
struct SidHasher(RandomState);

impl SidHasher {
    #[inline]
    fn hash(&self, sid: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(sid);
        hasher.finish()
    }

    fn of_subscription(&self) -> impl Fn(&Subscription) -> u64 {
        |subscription| self.hash(subscription.sid())
    }
}

impl Subscriptions {
    pub(super) fn get(&self, sid: &[u8]) -> Option<&Subscription> {
        self.by_sid.find(self.hasher.hash(sid), |found| found.sid() == sid)
    }

    /// Adds a subscription whose id is not taken.
    pub(super) fn insert(&mut self, subscription: Subscription) {
        let hash = self.hasher.hash(subscription.sid());
        self.by_sid.insert(hash, subscription, &self.hasher.of_subscription());
    }

    /// Removes exactly this subscription, not another one under the same id.
    pub(super) fn remove(&mut self, subscription: &Subscription) -> bool {
        let hash = self.hasher.hash(subscription.sid());
        self.by_sid.remove(hash, |found| found.is(subscription), &self.hasher.of_subscription()).is_some()
    }

    pub(super) fn take(&mut self) -> Vec<Subscription> {
        self.by_sid.take()
    }

    pub(super) fn list(&self) -> Vec<Subscription> {
        let mut all = Vec::with_capacity(self.by_sid.len());
        self.by_sid.for_each(&mut |subscription| all.push(subscription.clone()));
        all
    }

    pub(super) fn len(&self) -> usize {
        self.by_sid.len()
    }
}
