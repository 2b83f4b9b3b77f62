//! A connection's subscriptions by id.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::routing::Subscription;

/// Subscriptions by the id that the client gave them.
#[derive(Default)]
pub(super) struct Subscriptions {
    by_sid: HashSet<Key, RandomState>,
}

/// A subscription, hashed and compared by its id: no second copy of the id is kept.
struct Key(Arc<Subscription>);

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.sid.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.sid == other.0.sid
    }
}

impl Eq for Key {}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0.sid
    }
}

impl Subscriptions {
    pub(super) fn get(&self, sid: &[u8]) -> Option<Arc<Subscription>> {
        self.by_sid.get(sid).map(|key| key.0.clone())
    }

    pub(super) fn contains(&self, sid: &[u8]) -> bool {
        self.by_sid.contains(sid)
    }

    pub(super) fn insert(&mut self, subscription: Arc<Subscription>) {
        self.by_sid.insert(Key(subscription));
    }

    /// Removes exactly this subscription, not another one under the same id.
    pub(super) fn remove(&mut self, subscription: &Arc<Subscription>) -> bool {
        let same = self.get(&subscription.sid).is_some_and(|found| Arc::ptr_eq(&found, subscription));
        if same {
            self.by_sid.remove(&*subscription.sid);
            if self.by_sid.is_empty() {
                self.by_sid = HashSet::default();
            }
        }
        same
    }

    pub(super) fn take(&mut self) -> Vec<Arc<Subscription>> {
        std::mem::take(&mut self.by_sid).into_iter().map(|key| key.0).collect()
    }

    pub(super) fn list(&self) -> Vec<Arc<Subscription>> {
        self.by_sid.iter().map(|key| key.0.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_sid.len()
    }
}
