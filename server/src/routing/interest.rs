//! The subscriptions of one account.
//!
//! Readers of the tree share a lock; a change takes it alone and then raises the generation of the part of the tree
//! it touched: the one that the hash of the first token chooses, or all when the first token is a wildcard. So the
//! coming and going of inboxes leaves cached matches of other subjects valid.
//!
//! What is on the other side of leaf connections stands in a tree of its own, and a [`Ledger`] tells leaf connections
//! of changes; an account without leaf nodes has neither.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::connection::Connection;
use crate::leaf::ledger::Ledger;
use crate::limits::{DEEPEST, REMOVED_AT_ONCE};
use crate::routing::generation::{Generations, Stamp};
use crate::routing::match_set::MatchSet;
use crate::routing::subscription::{Receiver, Subscription};
use crate::routing::tree::{Level, TokenHasher, token_at};

/// The interest of one account.
#[derive(Default)]
pub struct Interest {
    root: RwLock<Root>,
    generations: Generations,
    count: AtomicUsize,
    hasher: TokenHasher,
    watcher: OnceLock<Arc<dyn Watcher>>,
}

/// Told of subscriptions that come and go, by whoever brings or ends them: never waits.
pub trait Watcher: Send + Sync {
    /// One with this subject has come or gone.
    fn changed(&self, subject: &[u8]);
}

#[derive(Default)]
struct Root {
    here: Level,
    /// What is on the other side of leaf connections.
    far: Option<Box<Level>>,
    /// What leaf connections are told; there while the account has some.
    ledger: Option<Box<Ledger>>,
}

impl Root {
    fn insert(&mut self, subscription: &Subscription, hasher: &TokenHasher) {
        if subscription.is_far() {
            self.far.get_or_insert_default().insert(subscription, hasher);
        } else {
            self.here.insert(subscription, hasher);
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.added(subscription);
        }
    }

    fn remove(&mut self, subscription: &Subscription, hasher: &TokenHasher) -> bool {
        let removed = if subscription.is_far() {
            let Some(far) = &mut self.far else { return false };
            let removed = far.remove(subscription, 0, hasher);
            if far.is_empty() {
                self.far = None;
            }
            removed
        } else {
            self.here.remove(subscription, 0, hasher)
        };
        if let Some(ledger) = self.ledger.as_mut().filter(|_| removed) {
            ledger.removed(subscription);
        }
        removed
    }
}

/// Whether a subject has more than `most` tokens; counts only where it may.
pub fn has_more_tokens(subject: &[u8], most: usize) -> bool {
    subject.len() >= most && memchr::memchr_iter(b'.', subject).count() >= most
}

impl Interest {
    /// No subscriptions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subscription that is not there yet; the subject must be valid. One of more than [`DEEPEST`] tokens
    /// receives nothing.
    pub fn insert(&self, subscription: &Subscription) {
        if has_more_tokens(subscription.subject(), DEEPEST) {
            return;
        }
        self.root.write().insert(subscription, &self.hasher);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.touch(subscription.subject());
        if let Some(watcher) = self.watcher.get() {
            watcher.changed(subscription.subject());
        }
    }

    /// Removes a subscription; one that is not there changes nothing.
    pub fn remove(&self, subscription: &Subscription) {
        self.remove_all(std::slice::from_ref(subscription));
    }

    /// Removes many subscriptions, with room for others to publish in between.
    pub fn remove_all(&self, subscriptions: &[Subscription]) {
        for some in subscriptions.chunks(REMOVED_AT_ONCE) {
            let mut removed = 0;
            {
                let mut root = self.root.write();
                for subscription in some {
                    removed += usize::from(root.remove(subscription, &self.hasher));
                }
            }
            self.count.fetch_sub(removed, Ordering::Relaxed);
            if removed > 0 {
                for subscription in some {
                    self.touch(subscription.subject());
                    if let Some(watcher) = self.watcher.get() {
                        watcher.changed(subscription.subject());
                    }
                }
            }
        }
    }

    /// Whoever has these subscriptions may do something else than before: those who wait for changes look again.
    pub fn reconsider(&self, subscriptions: &[Subscription]) {
        if let Some(watcher) = self.watcher.get() {
            for subscription in subscriptions {
                watcher.changed(subscription.subject());
            }
        }
    }

    /// Finds all receivers of a published subject. One with an empty token has none.
    pub fn matches(&self, subject: &[u8], into: &mut MatchSet) {
        into.clear();
        if !cordon_accounts::subject::matching::is_publishable(subject) {
            return;
        }
        let root = self.root.read();
        root.here.collect(subject, 0, &self.hasher, into);
        into.finish();
        if let Some(far) = &root.far {
            let mut beyond = MatchSet::default();
            far.collect(subject, 0, &self.hasher, &mut beyond);
            beyond.finish();
            into.far = (!beyond.is_empty()).then(|| Box::new(beyond));
        }
    }

    /// The stamp that a match of `subject` made now bears. Take it before matching.
    pub fn stamp(&self, subject: &[u8]) -> Stamp {
        self.generations.stamp(self.hasher.hash(token_at(subject, 0)))
    }

    /// A match that bears `stamp` is still right.
    #[inline]
    pub fn holds(&self, stamp: &Stamp) -> bool {
        self.generations.holds(stamp)
    }

    /// Subscriptions, of every kind.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// No subscriptions at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From now on `watcher` is told of what comes and goes; only the first call counts.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        // Streams begin once in an account, and stay.
        let _first = self.watcher.set(watcher);
    }

    /// From now on `leaf` is told of the account's interest, beginning with all that there is. `own` are subjects
    /// that the account takes without having subscriptions for them.
    pub fn tell(&self, leaf: &Arc<Connection>, own: &[Box<[u8]>]) {
        let mut root = self.root.write();
        let Root { here, far, ledger } = &mut *root;
        let ledger = ledger.get_or_insert_with(|| {
            let mut ledger = Box::new(Ledger::new(own));
            here.for_each(&mut |subscription| ledger.added(subscription));
            if let Some(far) = far {
                far.for_each(&mut |subscription| ledger.added(subscription));
            }
            ledger
        });
        ledger.admit(leaf);
    }

    /// `leaf` is told no more.
    pub fn tell_no_more(&self, leaf: &Connection) {
        let mut root = self.root.write();
        if let Some(ledger) = &mut root.ledger
            && ledger.dismiss(leaf)
        {
            root.ledger = None;
        }
    }

    /// A queue group beyond a leaf connection has another number of members from now on.
    pub fn reweigh(&self, subscription: &Subscription, receiver: &dyn Receiver, weight: u32) {
        let mut root = self.root.write();
        let before = receiver.reweigh(weight);
        if let Some(ledger) = &mut root.ledger {
            ledger.reweighed(subscription, before);
        }
    }

    /// Changes the ledger under the lock of the tree, where there is one.
    pub fn with_ledger(&self, change: impl FnOnce(&mut Ledger)) {
        if let Some(ledger) = &mut self.root.write().ledger {
            change(ledger);
        }
    }

    fn touch(&self, subject: &[u8]) {
        match token_at(subject, 0) {
            b"*" | b">" => self.generations.raise_all(),
            literal => self.generations.raise(self.hasher.hash(literal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use cordon_accounts::subject::matching;
    use proptest::prelude::*;

    use super::*;
    use crate::routing::deliver::Batch;
    use crate::routing::message::Message;
    use crate::routing::subscription::Sink;

    struct Nobody;

    impl Receiver for Nobody {
        fn receive(&self, _: &Subscription, _: &Message<'_>, _: &mut Batch) -> bool {
            true
        }
    }

    fn subscription(subject: &str, queue: Option<&str>, sid: usize) -> Subscription {
        let sid = sid.to_string();
        let sink = Sink::Inside(Arc::new(Nobody));
        Subscription::new(subject.as_bytes(), queue.map(str::as_bytes), sid.as_bytes(), sink)
    }

    fn sid(subscription: &Subscription) -> String {
        String::from_utf8_lossy(subscription.sid()).into_owned()
    }

    fn found(interest: &Interest, subject: &str) -> BTreeSet<String> {
        let mut set = MatchSet::default();
        interest.matches(subject.as_bytes(), &mut set);
        for group in &set.queues {
            assert!(group.members.iter().all(|member| member.queue() == Some(&group.name)));
        }
        let queued = set.queues.iter().flat_map(|group| &group.members);
        let all: Vec<_> = set.plain.iter().chain(queued).map(sid).collect();
        let distinct: BTreeSet<_> = all.iter().cloned().collect();
        assert_eq!(distinct.len(), all.len(), "found twice");
        distinct
    }

    #[test]
    fn one_queue_group_spans_all_filters_that_match() {
        let interest = Interest::new();
        for (sid, subject) in ["a.b", "a.*", "a.>"].into_iter().enumerate() {
            interest.insert(&subscription(subject, Some("q"), sid));
        }
        let mut set = MatchSet::default();
        interest.matches(b"a.b", &mut set);
        assert_eq!((set.queues.len(), set.queues[0].members.len()), (1, 3));
    }

    #[test]
    fn the_deepest_subject_fits_the_stack_and_a_deeper_one_is_not_taken() {
        let interest = Interest::new();
        let deep = |tokens: usize| vec!["a"; tokens].join(".");
        let deepest = subscription(&deep(DEEPEST), None, 1);
        interest.insert(&deepest);
        for tokens in [DEEPEST + 1, 50_000] {
            let deeper = subscription(&deep(tokens), None, 2);
            interest.insert(&deeper);
            assert!(found(&interest, &deep(tokens)).is_empty());
            interest.remove(&deeper);
        }
        assert_eq!((found(&interest, &deep(DEEPEST)).len(), interest.len()), (1, 1));
        interest.remove(&deepest);
        assert!(interest.root.read().here.is_empty());
    }

    #[test]
    fn a_watcher_hears_of_each_subscription_that_comes_or_goes_and_of_none_that_was_not_there() {
        struct Heard(parking_lot::Mutex<Vec<String>>);
        impl Watcher for Heard {
            fn changed(&self, subject: &[u8]) {
                self.0.lock().push(String::from_utf8_lossy(subject).into_owned());
            }
        }
        let (interest, heard) = (Interest::new(), Arc::new(Heard(parking_lot::Mutex::default())));
        interest.insert(&subscription("before", None, 0));
        interest.watch(heard.clone());
        let (one, other) = (subscription("a.b", None, 1), subscription("a.*", Some("q"), 2));
        interest.insert(&one);
        interest.insert(&other);
        interest.remove_all(&[one.clone(), other]);
        interest.remove(&one);
        assert_eq!(*heard.0.lock(), ["a.b", "a.*", "a.b", "a.*"]);
    }

    #[test]
    fn thousands_of_queue_groups_are_told_apart_and_removed() {
        let interest = Interest::new();
        let filters = ["a.b", "a.*", "a.>"];
        let members: Vec<_> =
            (0..6000).map(|n| subscription(filters[n % 3], Some(&format!("q{}", n / 3)), n)).collect();
        for member in &members {
            interest.insert(member);
        }
        let mut set = MatchSet::default();
        interest.matches(b"a.b", &mut set);
        assert_eq!(set.queues.len(), 2000);
        assert!(set.queues.iter().all(|group| group.members.len() == 3));
        for (n, member) in members.iter().enumerate().rev() {
            interest.remove(member);
            if n % 997 == 0 {
                interest.matches(b"a.b", &mut set);
                let left: usize = set.queues.iter().map(|group| group.members.len()).sum();
                assert_eq!(left, n);
            }
        }
        assert!(interest.root.read().here.is_empty());
    }

    #[test]
    fn tokens_are_counted_exactly() {
        for (subject, tokens) in [("a", 1), ("a.b", 2), ("a..", 3), (".", 2), ("..", 3), ("abc.*.>", 3)] {
            for most in 1..6 {
                assert_eq!(has_more_tokens(subject.as_bytes(), most), tokens > most, "{subject} {most}");
            }
        }
    }

    #[test]
    fn inboxes_come_and_go_without_touching_other_parts() {
        let interest = Interest::new();
        let inbox = interest.stamp(b"_INBOX.x");
        interest.insert(&subscription("_INBOX.y", None, 1));
        assert!(!interest.holds(&inbox), "the same part");
        let inbox = interest.stamp(b"_INBOX.x");
        let others: Vec<_> = (0..100).map(|n| interest.stamp(format!("s{n}").as_bytes())).collect();
        interest.insert(&subscription("_INBOX.x", None, 2));
        assert!(others.iter().filter(|stamp| interest.holds(stamp)).count() > 50, "most lie elsewhere");
        assert!(!interest.holds(&inbox));
        interest.insert(&subscription("*.x", None, 3));
        assert!(!others.iter().any(|stamp| interest.holds(stamp)));
    }

    /// Few tokens, so that subscriptions meet, part and end below one another, and some that begin alike.
    fn subject() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec!["a", "b", "ab", "*", ">"]);
        prop::collection::vec(token, 1..6).prop_map(|tokens| tokens.join("."))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add {
            subject: String,
            queue: Option<&'static str>,
        },
        /// The same subject again: the shape converts back and forth.
        AddLike {
            of: usize,
        },
        Remove {
            which: usize,
        },
        RemoveMany {
            from: usize,
            count: usize,
        },
        Publish {
            tokens: Vec<&'static str>,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        let queue = prop::option::weighted(0.3, prop::sample::select(vec!["q", "r"]));
        let tokens = prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "c", "*", ">"]), 1..6);
        prop_oneof![
            4 => (subject(), queue).prop_map(|(subject, queue)| Step::Add { subject, queue }),
            2 => any::<usize>().prop_map(|of| Step::AddLike { of }),
            4 => any::<usize>().prop_map(|which| Step::Remove { which }),
            1 => (any::<usize>(), 0..30_usize).prop_map(|(from, count)| Step::RemoveMany { from, count }),
            3 => tokens.prop_map(|tokens| Step::Publish { tokens }),
        ]
    }

    fn expected(model: &[Subscription], published: &str) -> BTreeSet<String> {
        model.iter().filter(|s| matching::matches(s.subject(), published.as_bytes())).map(sid).collect()
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_matching_one_by_one(steps in prop::collection::vec(step(), 1..120)) {
            let interest = Interest::new();
            let mut model: Vec<Subscription> = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Add { subject, queue } => {
                        let added = subscription(&subject, queue, number);
                        if matching::is_valid(subject.as_bytes()) {
                            interest.insert(&added);
                            model.push(added);
                        } else {
                            interest.remove(&added);
                        }
                    }
                    Step::AddLike { of } if !model.is_empty() => {
                        let like = model[of % model.len()].subject();
                        let added = subscription(std::str::from_utf8(like).unwrap(), None, number);
                        interest.remove(&added);
                        interest.insert(&added);
                        model.push(added);
                    }
                    Step::Remove { which } if !model.is_empty() => {
                        let gone = model.swap_remove(which % model.len());
                        interest.remove(&gone);
                        interest.remove(&gone);
                    }
                    Step::RemoveMany { from, count } if !model.is_empty() => {
                        let from = from % model.len();
                        let gone: Vec<_> = model.drain(from..model.len().min(from + count)).collect();
                        interest.remove_all(&gone);
                        interest.remove_all(&gone);
                    }
                    Step::Publish { tokens } => {
                        let published = tokens.join(".");
                        prop_assert_eq!(found(&interest, &published), expected(&model, &published), "{}", published);
                    }
                    Step::AddLike { .. } | Step::Remove { .. } | Step::RemoveMany { .. } => {}
                }
                prop_assert_eq!((interest.len(), interest.root.read().here.check()), (model.len(), model.len()));
            }
            for published in ["a", "b.a", "a.b.ab", "ab.ab.a.b", "a.a.a.a.a"] {
                prop_assert_eq!(found(&interest, published), expected(&model, published));
            }
            interest.remove_all(&model);
            prop_assert!(interest.root.read().here.is_empty() && interest.is_empty());
        }
    }

    #[test]
    fn what_shares_a_beginning_meets_as_deep_as_it_parts() {
        let interest = Interest::new();
        let subjects = ["a.b.c.d.e", "a.b.c.d.f", "a.b.c", "a.b.>", "a.*.c.d.e", "a.b.c.d.e"];
        let all: Vec<_> = subjects.iter().enumerate().map(|(n, subject)| subscription(subject, None, n)).collect();
        for (n, one) in all.iter().enumerate() {
            interest.insert(one);
            assert_eq!(interest.root.read().here.check(), n + 1);
        }
        assert_eq!(found(&interest, "a.b.c.d.e"), ["0", "3", "4", "5"].map(String::from).into());
        assert_eq!(found(&interest, "a.b.c.d"), ["3"].map(String::from).into());
        assert_eq!(found(&interest, "a.b.c"), ["2", "3"].map(String::from).into());
        for (n, one) in all.iter().enumerate() {
            interest.remove(one);
            assert_eq!(interest.root.read().here.check(), all.len() - n - 1);
        }
    }
}
