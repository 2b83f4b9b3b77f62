//! What one connection remembers about the subjects it publishes to.
//!
//! An entry says that the principal may publish the subject and who receives it. It is never
//! shared between connections, and is dropped whole when the connection's account or permissions
//! change.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::limits::{MATCH_CACHE, MATCH_CACHE_RECEIVERS};
use crate::routing::generation::Stamp;
use crate::routing::interest::Interest;
use crate::routing::match_set::MatchSet;

/// Permitted subjects and their receivers, of one connection.
#[derive(Default)]
pub struct MatchCache {
    last: Option<(Box<[u8]>, Entry)>,
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
    /// Receivers in `entries`, subjects counted as one each.
    weight: usize,
}

#[derive(Clone)]
struct Entry {
    stamp: Stamp,
    set: Arc<MatchSet>,
}

impl MatchCache {
    /// The receivers of a permitted subject, if they are known and still right.
    #[inline]
    pub fn find(&mut self, subject: &[u8], interest: &Interest) -> Option<Arc<MatchSet>> {
        if let Some((last, entry)) = &self.last
            && **last == *subject
        {
            return entry.current(interest);
        }
        let entry = self.entries.get(subject)?.clone();
        let found = entry.current(interest)?;
        self.last = Some((subject.into(), entry));
        Some(found)
    }

    /// Remembers the receivers of a permitted subject; `stamp` was taken before matching.
    pub fn keep(&mut self, subject: &[u8], stamp: Stamp, set: Arc<MatchSet>) {
        let weight = set.weight();
        let entry = Entry { stamp, set };
        if weight <= MATCH_CACHE_RECEIVERS {
            if (self.entries.len() >= MATCH_CACHE && !self.entries.contains_key(subject))
                || self.weight + weight > MATCH_CACHE_RECEIVERS
            {
                self.entries.clear();
                self.weight = 0;
            }
            let replaced = self.entries.insert(subject.into(), entry.clone());
            self.weight = (self.weight + weight).saturating_sub(replaced.map_or(0, |old| old.set.weight()));
        }
        self.last = Some((subject.into(), entry));
    }

    /// Forgets what no longer holds, so that ended subscriptions and their connections are not kept alive by a
    /// publisher that has gone quiet.
    pub fn prune(&mut self, interest: &Interest) {
        self.last.take_if(|(_, entry)| entry.current(interest).is_none());
        self.entries.retain(|_, entry| entry.current(interest).is_some());
        self.weight = self.entries.values().map(|entry| entry.set.weight()).sum();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Entry {
    #[inline]
    fn current(&self, interest: &Interest) -> Option<Arc<MatchSet>> {
        interest.holds(&self.stamp).then(|| self.set.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::routing::deliver::Batch;
    use crate::routing::message::Message;
    use crate::routing::subscription::{Receiver, Sink, Subscription};

    struct Nobody;

    impl Receiver for Nobody {
        fn receive(&self, _: &Subscription, _: &Message<'_>, _: &mut Batch) -> bool {
            false
        }
    }

    fn subscribe(interest: &Interest, subject: &str) -> (Subscription, Weak<Nobody>) {
        let receiver = Arc::new(Nobody);
        let alive = Arc::downgrade(&receiver);
        let subscription = Subscription::new(subject.as_bytes(), None, b"1", Sink::Inside(receiver));
        interest.insert(&subscription);
        (subscription, alive)
    }

    fn keep(cache: &mut MatchCache, interest: &Interest, subject: &str) {
        let stamp = interest.stamp(subject.as_bytes());
        let mut set = MatchSet::default();
        interest.matches(subject.as_bytes(), &mut set);
        cache.keep(subject.as_bytes(), stamp, Arc::new(set));
    }

    #[test]
    fn many_receivers_of_many_subjects_do_not_add_up_without_bound() {
        let interest = Interest::new();
        for _ in 0..1000 {
            subscribe(&interest, ">");
        }
        let mut cache = MatchCache::default();
        for subject in 0..MATCH_CACHE {
            keep(&mut cache, &interest, &format!("s.{subject}"));
            let kept: usize = cache.entries.values().map(|entry| entry.set.plain.len()).sum();
            assert!(kept <= MATCH_CACHE_RECEIVERS, "{kept}");
            assert_eq!(cache.weight, cache.entries.values().map(|entry| entry.set.weight()).sum::<usize>());
            assert!(cache.find(format!("s.{subject}").as_bytes(), &interest).is_some(), "the newest is always there");
        }
    }

    #[test]
    fn what_no_longer_holds_is_let_go_of() {
        let interest = Interest::new();
        let (gone, alive) = subscribe(&interest, "a");
        subscribe(&interest, "b");
        let mut cache = MatchCache::default();
        let other = interest.stamp(b"b");
        for subject in ["b", "a"] {
            keep(&mut cache, &interest, subject);
        }
        interest.remove(&gone);
        drop(gone);
        assert!(alive.upgrade().is_some(), "a cached match keeps it");
        cache.prune(&interest);
        assert!(alive.upgrade().is_none());
        assert_eq!(cache.find(b"b", &interest).is_some(), interest.holds(&other));
    }
}
