//! The subscriptions of one account, as a tree of tokens.
//!
//! Every level has a map of literal tokens and a place each for `*` and `>`. Readers share a lock;
//! a change takes it alone and then raises the generation of the part of the tree it touched: the
//! one that the hash of the first token chooses, or all when the first token is a wildcard. So the
//! coming and going of inboxes leaves cached matches of other subjects valid.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::RandomState;
use parking_lot::RwLock;

use crate::limits::DEEPEST;
use crate::routing::generation::{Generations, Stamp};
use crate::routing::match_set::{INDEX_FROM, MatchSet, Places};
use crate::routing::subscription::Subscription;

/// The interest of one account.
pub struct Interest {
    root: RwLock<Level>,
    generations: Generations,
    count: AtomicUsize,
    hasher: RandomState,
}

type Subscriptions = Vec<Arc<Subscription>>;

#[derive(Default)]
struct Level {
    literal: HashMap<Box<[u8]>, Node, RandomState>,
    any: Option<Box<Node>>,
    rest: Option<Box<Node>>,
}

#[derive(Default)]
struct Node {
    next: Option<Box<Level>>,
    plain: Subscriptions,
    queues: Option<Box<Groups>>,
}

/// The queue groups of one node. One importer can bring many of them into an exporter's tree, so that no
/// step may take time in proportion to their number.
#[derive(Default)]
struct Groups {
    list: Vec<(Box<[u8]>, Subscriptions)>,
    /// Places in `list` by name, once there are many.
    index: Places,
}

impl Interest {
    /// No subscriptions.
    pub fn new() -> Self {
        Self {
            root: RwLock::default(),
            generations: Generations::new(),
            count: AtomicUsize::new(0),
            hasher: RandomState::default(),
        }
    }

    /// Adds a subscription; the subject must be valid. One of more than [`DEEPEST`] tokens receives nothing.
    pub fn insert(&self, subscription: Arc<Subscription>) {
        if memchr::memchr_iter(b'.', &subscription.subject).count() >= DEEPEST {
            return;
        }
        {
            let mut level = &mut *self.root.write();
            let subject: &[u8] = &subscription.subject.clone();
            let mut tokens = subject.split(|b| *b == b'.').peekable();
            while let Some(token) = tokens.next() {
                let node = level.child(token);
                if tokens.peek().is_none() {
                    node.add(subscription.clone());
                    break;
                }
                level = node.next.get_or_insert_default();
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.touch(&subscription.subject);
    }

    /// Removes a subscription; one that is not there changes nothing.
    pub fn remove(&self, subscription: &Arc<Subscription>) {
        let removed = self.root.write().remove(&subscription.subject, subscription);
        if removed {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.touch(&subscription.subject);
        }
    }

    /// Finds all receivers of a published subject. One with an empty token has none.
    pub fn matches(&self, subject: &[u8], into: &mut MatchSet) {
        into.clear();
        if !cordon_accounts::subject::matching::is_publishable(subject) {
            return;
        }
        self.root.read().collect(subject, into);
        into.finish();
    }

    /// The stamp that a match of `subject` made now bears. Take it before matching.
    pub fn stamp(&self, subject: &[u8]) -> Stamp {
        self.generations.stamp(self.hasher.hash_one(first_token(subject)))
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

    fn touch(&self, subject: &[u8]) {
        match first_token(subject) {
            b"*" | b">" => self.generations.raise_all(),
            literal => self.generations.raise(self.hasher.hash_one(literal)),
        }
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::new()
    }
}

impl Level {
    fn child(&mut self, token: &[u8]) -> &mut Node {
        match token {
            b"*" => self.any.get_or_insert_default(),
            b">" => self.rest.get_or_insert_default(),
            literal => self.literal.entry(literal.into()).or_default(),
        }
    }

    fn remove(&mut self, subject: &[u8], subscription: &Arc<Subscription>) -> bool {
        let (token, rest) = match memchr::memchr(b'.', subject) {
            Some(dot) => {
                let (token, rest) = subject.split_at_checked(dot).unwrap_or((subject, &[]));
                (token, rest.get(1..))
            }
            None => (subject, None),
        };
        let place = match token {
            b"*" => self.any.as_deref_mut(),
            b">" => self.rest.as_deref_mut(),
            literal => self.literal.get_mut(literal),
        };
        let Some(node) = place else { return false };
        let removed = match rest {
            None => node.drop_subscription(subscription),
            Some(rest) => node.next.as_mut().is_some_and(|next| next.remove(rest, subscription)),
        };
        if removed {
            if node.next.as_ref().is_some_and(|next| next.is_empty()) {
                node.next = None;
            }
            if node.is_empty() {
                match token {
                    b"*" => self.any = None,
                    b">" => self.rest = None,
                    literal => drop(self.literal.remove(literal)),
                }
                if self.literal.capacity() > 64 && self.literal.len() * 4 < self.literal.capacity() {
                    self.literal.shrink_to_fit();
                }
            }
        }
        removed
    }

    fn collect(&self, subject: &[u8], into: &mut MatchSet) {
        if let Some(node) = &self.rest {
            node.append_to(into);
        }
        let (token, rest) = match memchr::memchr(b'.', subject) {
            Some(dot) => {
                let (token, rest) = subject.split_at_checked(dot).unwrap_or((subject, &[]));
                (token, rest.get(1..))
            }
            None => (subject, None),
        };
        for node in self.any.as_deref().into_iter().chain(self.literal.get(token)) {
            match rest {
                None => node.append_to(into),
                Some(rest) => {
                    if let Some(next) = &node.next {
                        next.collect(rest, into);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.any.is_none() && self.rest.is_none()
    }
}

impl Node {
    fn add(&mut self, subscription: Arc<Subscription>) {
        let list = match &subscription.queue {
            None => &mut self.plain,
            Some(name) => match self.queues.get_or_insert_default().members(name) {
                Some(list) => list,
                None => return,
            },
        };
        subscription.slot.store(list.len(), Ordering::Relaxed);
        if list.is_empty() {
            list.reserve_exact(1);
        }
        list.push(subscription);
    }

    fn drop_subscription(&mut self, subscription: &Arc<Subscription>) -> bool {
        match &subscription.queue {
            None => take_out(&mut self.plain, subscription),
            Some(name) => {
                let Some(groups) = &mut self.queues else { return false };
                let removed = groups.take_out(name, subscription);
                if groups.list.is_empty() {
                    self.queues = None;
                }
                removed
            }
        }
    }

    fn append_to(&self, into: &mut MatchSet) {
        into.plain.extend_from_slice(&self.plain);
        for (name, members) in self.queues.iter().flat_map(|groups| &groups.list) {
            into.add_members(name, members);
        }
    }

    fn is_empty(&self) -> bool {
        self.next.is_none() && self.plain.is_empty() && self.queues.is_none()
    }
}

impl Groups {
    fn place(&self, name: &[u8]) -> Option<usize> {
        if self.index.is_empty() {
            self.list.iter().position(|(other, _)| **other == *name)
        } else {
            self.index.get(name).copied()
        }
    }

    /// The members of a group, which begins to be if need be.
    fn members(&mut self, name: &[u8]) -> Option<&mut Subscriptions> {
        let at = self.place(name).unwrap_or_else(|| {
            self.list.push((name.into(), Vec::new()));
            let at = self.list.len() - 1;
            if !self.index.is_empty() {
                self.index.insert(name.into(), at);
            } else if at == INDEX_FROM {
                self.index = self.list.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
            }
            at
        });
        self.list.get_mut(at).map(|(_, members)| members)
    }

    fn take_out(&mut self, name: &[u8], subscription: &Arc<Subscription>) -> bool {
        let Some(at) = self.place(name) else { return false };
        let Some((_, members)) = self.list.get_mut(at) else { return false };
        let removed = take_out(members, subscription);
        if members.is_empty() {
            self.list.swap_remove(at);
            self.index.remove(name);
            if let Some((moved, _)) = self.list.get(at)
                && let Some(place) = self.index.get_mut(moved)
            {
                *place = at;
            }
        }
        removed
    }
}

fn first_token(subject: &[u8]) -> &[u8] {
    subject.split(|b| *b == b'.').next().unwrap_or_default()
}

/// Removes in constant time: every subscription knows its slot.
fn take_out(list: &mut Subscriptions, subscription: &Arc<Subscription>) -> bool {
    let slot = subscription.slot.load(Ordering::Relaxed);
    if !list.get(slot).is_some_and(|found| Arc::ptr_eq(found, subscription)) {
        return false;
    }
    list.swap_remove(slot);
    if let Some(moved) = list.get(slot) {
        moved.slot.store(slot, Ordering::Relaxed);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cordon_accounts::subject::matching;
    use proptest::prelude::*;

    use super::*;
    use crate::routing::deliver::Batch;
    use crate::routing::message::Message;
    use crate::routing::subscription::{Receiver, Sink};

    struct Nobody;

    impl Receiver for Nobody {
        fn receive(&self, _: &Subscription, _: &Message<'_>, _: &mut Batch) -> bool {
            true
        }
    }

    fn subscription(subject: &str, queue: Option<&str>, sid: usize) -> Arc<Subscription> {
        let sid = sid.to_string();
        Arc::new(Subscription::new(
            subject.as_bytes(),
            queue.map(str::as_bytes),
            sid.as_bytes(),
            Sink::Inside(Arc::new(Nobody)),
        ))
    }

    fn found(interest: &Interest, subject: &str) -> BTreeSet<String> {
        let mut set = MatchSet::default();
        interest.matches(subject.as_bytes(), &mut set);
        let queued = set.queues.iter().flat_map(|group| &group.members);
        set.plain.iter().chain(queued).map(|s| String::from_utf8_lossy(&s.sid).into_owned()).collect()
    }

    #[test]
    fn one_queue_group_spans_all_filters_that_match() {
        let interest = Interest::new();
        for (sid, subject) in ["a.b", "a.*", "a.>"].into_iter().enumerate() {
            interest.insert(subscription(subject, Some("q"), sid));
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
        interest.insert(deepest.clone());
        for tokens in [DEEPEST + 1, 50_000] {
            let deeper = subscription(&deep(tokens), None, 2);
            interest.insert(deeper.clone());
            assert!(found(&interest, &deep(tokens)).is_empty());
            interest.remove(&deeper);
        }
        assert_eq!((found(&interest, &deep(DEEPEST)).len(), interest.len()), (1, 1));
        interest.remove(&deepest);
        assert!(interest.root.read().is_empty());
    }

    #[test]
    fn thousands_of_queue_groups_are_told_apart_and_removed() {
        let interest = Interest::new();
        let filters = ["a.b", "a.*", "a.>"];
        let members: Vec<_> =
            (0..6000).map(|n| subscription(filters[n % 3], Some(&format!("q{}", n / 3)), n)).collect();
        for member in &members {
            interest.insert(member.clone());
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
        assert!(interest.root.read().is_empty());
    }

    #[test]
    fn inboxes_come_and_go_without_touching_other_parts() {
        let interest = Interest::new();
        let inbox = interest.stamp(b"_INBOX.x");
        interest.insert(subscription("_INBOX.y", None, 1));
        assert!(!interest.holds(&inbox), "the same part");
        let inbox = interest.stamp(b"_INBOX.x");
        let others: Vec<_> = (0..100).map(|n| interest.stamp(format!("s{n}").as_bytes())).collect();
        interest.insert(subscription("_INBOX.x", None, 2));
        assert!(others.iter().filter(|stamp| interest.holds(stamp)).count() > 50, "most lie elsewhere");
        assert!(!interest.holds(&inbox));
        interest.insert(subscription("*.x", None, 3));
        assert!(!others.iter().any(|stamp| interest.holds(stamp)));
    }

    fn subject() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "*", ">"]), 1..4).prop_map(|tokens| tokens.join("."))
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_matching_one_by_one(
            steps in prop::collection::vec((subject(), prop::option::of(prop::sample::select(vec!["q", "r"])), any::<bool>()), 1..40),
            published in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4),
        ) {
            let interest = Interest::new();
            let mut model: Vec<Arc<Subscription>> = Vec::new();
            for (sid, (subject, queue, remove)) in steps.into_iter().enumerate() {
                if remove && !model.is_empty() {
                    let gone = model.swap_remove(sid % model.len());
                    interest.remove(&gone);
                    interest.remove(&gone);
                } else if matching::is_valid(subject.as_bytes()) {
                    let added = subscription(&subject, queue, sid);
                    interest.insert(added.clone());
                    model.push(added);
                }
            }
            prop_assert_eq!(interest.len(), model.len());
            let published = published.join(".");
            let expected: BTreeSet<String> = model.iter().filter(|s| matching::matches(&s.subject, published.as_bytes()))
                .map(|s| String::from_utf8_lossy(&s.sid).into_owned()).collect();
            prop_assert_eq!(found(&interest, &published), expected);
            for gone in model.drain(..) { interest.remove(&gone); }
            prop_assert!(interest.root.read().is_empty());
        }
    }
}
