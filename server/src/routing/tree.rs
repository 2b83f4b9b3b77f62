//! Subscriptions by the tokens of their subjects.
//!
//! A subscription that is alone below a token is held by the level of that token as it is, whatever follows the
//! token: what follows is compared when a subject gets there. A [`Node`] comes only where two subscriptions meet, and
//! goes when but one is left. So the shape of a tree depends on what it holds and not on how it came about, and a
//! subscription that shares no more than the beginnings of its subject costs one pointer in one [`Table`].

use std::hash::{BuildHasher, Hasher as _};

use cordon_accounts::subject::matching;
use foldhash::quality::RandomState;

use crate::routing::groups::{Groups, Slots};
use crate::routing::match_set::MatchSet;
use crate::routing::subscription::Subscription;
use crate::routing::table::Table;

/// What may follow one sequence of tokens. All subjects below a level have the same bytes before its token.
#[derive(Default)]
pub(super) struct Level {
    /// Subscriptions alone below a literal token, found by that token of their own subjects.
    alone: Table<Subscription>,
    nodes: Table<Box<Node>>,
    any: Option<Place>,
    rest: Option<Place>,
}

/// What is below a wildcard token.
enum Place {
    Alone(Subscription),
    Node(Box<Node>),
}

/// Two or more subscriptions below one token.
#[derive(Default)]
struct Node {
    token: Box<[u8]>,
    next: Option<Box<Level>>,
    plain: Slots,
    queues: Option<Box<Groups>>,
}

/// Hashes tokens with a seed that outsiders cannot guess.
#[derive(Default)]
pub(super) struct TokenHasher(RandomState);

impl TokenHasher {
    #[inline]
    pub(super) fn hash(&self, token: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(token);
        hasher.finish()
    }

    fn of_subscription(&self, from: usize) -> impl Fn(&Subscription) -> u64 {
        move |subscription| self.hash(token_at(subscription.subject(), from))
    }

    fn of_node(&self) -> impl Fn(&Box<Node>) -> u64 {
        |node| self.hash(&node.token)
    }
}

/// The token of `subject` that begins at `from`.
#[inline]
pub(super) fn token_at(subject: &[u8], from: usize) -> &[u8] {
    let rest = subject.get(from..).unwrap_or_default();
    let end = memchr::memchr(b'.', rest).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

impl Level {
    /// Adds a subscription that is not there yet.
    pub(super) fn insert(&mut self, subscription: &Subscription, hasher: &TokenHasher) {
        let subject = subscription.subject();
        let (mut level, mut from) = (self, 0);
        loop {
            let token = token_at(subject, from);
            let Some(node) = level.meet(token, from, subscription, hasher) else { return };
            from += token.len() + 1;
            if from > subject.len() {
                node.add(subscription);
                return;
            }
            level = node.next.get_or_insert_default();
        }
    }

    /// Removes a subscription; `from` is where this level's token begins in its subject. One that is not there
    /// changes nothing.
    pub(super) fn remove(&mut self, subscription: &Subscription, from: usize, hasher: &TokenHasher) -> bool {
        match token_at(subscription.subject(), from) {
            b"*" => remove_from(&mut self.any, subscription, from + 2, hasher),
            b">" => remove_from(&mut self.rest, subscription, from + 2, hasher),
            token => self.remove_literal(token, subscription, from, hasher),
        }
    }

    /// Finds what matches a subject of which `rest` is not yet compared; `from` is where this level's token begins in
    /// the subjects of the subscriptions here.
    pub(super) fn collect(&self, rest: &[u8], from: usize, hasher: &TokenHasher, into: &mut MatchSet) {
        match &self.rest {
            None => {}
            // A `>` is the last token of a valid subject.
            Some(Place::Alone(subscription)) => into.add(subscription),
            Some(Place::Node(node)) => node.append_to(into),
        }
        let token = token_at(rest, 0);
        let rest = rest.get(token.len() + 1..);
        match &self.any {
            None => {}
            Some(Place::Alone(subscription)) => add_if_matching(subscription, from + 2, rest, into),
            Some(Place::Node(node)) => node.collect(rest, from + 2, hasher, into),
        }
        if self.alone.is_empty() && self.nodes.is_empty() {
            return;
        }
        let hash = hasher.hash(token);
        let next = from + token.len() + 1;
        if let Some(node) = self.nodes.find(hash, |node| *node.token == *token) {
            node.collect(rest, next, hasher, into);
        } else if let Some(subscription) = self.alone.find(hash, has(token, from)) {
            add_if_matching(subscription, next, rest, into);
        }
    }

    /// Shows `look` every subscription that is here.
    pub(super) fn for_each(&self, look: &mut dyn FnMut(&Subscription)) {
        self.alone.for_each(&mut |subscription| look(subscription));
        self.nodes.for_each(&mut |node| node.for_each(look));
        for place in [&self.any, &self.rest].into_iter().flatten() {
            match place {
                Place::Alone(subscription) => look(subscription),
                Place::Node(node) => node.for_each(look),
            }
        }
    }

    /// Nothing is here.
    pub(super) fn is_empty(&self) -> bool {
        self.places() == 0
    }

    /// Puts `subscription` here if it is alone below its token, which begins at `from`; else gives the node where it
    /// meets others.
    fn meet(
        &mut self,
        token: &[u8],
        from: usize,
        subscription: &Subscription,
        hasher: &TokenHasher,
    ) -> Option<&mut Node> {
        let place = match token {
            b"*" => &mut self.any,
            b">" => &mut self.rest,
            literal => return self.meet_literal(literal, from, subscription, hasher),
        };
        match place {
            None => {
                *place = Some(Place::Alone(subscription.clone()));
                None
            }
            Some(place) => {
                if let Place::Alone(other) = place {
                    *place = Place::Node(Box::new(Node::around(token, from, other, hasher)));
                }
                match place {
                    Place::Node(node) => Some(node),
                    Place::Alone(_) => None,
                }
            }
        }
    }

    fn meet_literal(
        &mut self,
        token: &[u8],
        from: usize,
        subscription: &Subscription,
        hasher: &TokenHasher,
    ) -> Option<&mut Node> {
        let hash = hasher.hash(token);
        let is_node = stands_for(token);
        if self.nodes.find(hash, &is_node).is_none() {
            let Some(other) = self.alone.remove(hash, has(token, from), &hasher.of_subscription(from)) else {
                self.alone.insert(hash, subscription.clone(), &hasher.of_subscription(from));
                return None;
            };
            let node = Box::new(Node::around(token, from, &other, hasher));
            self.nodes.insert(hash, node, &hasher.of_node());
        }
        self.nodes.find_mut(hash, is_node).map(|node| &mut **node)
    }

    fn remove_literal(&mut self, token: &[u8], subscription: &Subscription, from: usize, hasher: &TokenHasher) -> bool {
        let hash = hasher.hash(token);
        let is_node = stands_for(token);
        let Some(node) = self.nodes.find_mut(hash, &is_node) else {
            let is_it = |found: &Subscription| found.is(subscription);
            return self.alone.remove(hash, is_it, &hasher.of_subscription(from)).is_some();
        };
        let removed = node.remove(subscription, from + token.len() + 1, hasher);
        if let Some(last) = node.take_sole() {
            self.nodes.remove(hash, is_node, &hasher.of_node());
            self.alone.insert(hash, last, &hasher.of_subscription(from));
        }
        removed
    }

    /// Takes out the one subscription there is, if there is just one.
    fn take_sole(&mut self) -> Option<Subscription> {
        if self.places() != 1 {
            return None;
        }
        if let Some(sole) = self.alone.pop() {
            return Some(sole);
        }
        let place = if self.any.is_some() { &mut self.any } else { &mut self.rest };
        match place.take() {
            Some(Place::Alone(sole)) => Some(sole),
            // A node has at least two.
            node => {
                *place = node;
                None
            }
        }
    }

    fn places(&self) -> usize {
        self.alone.len() + self.nodes.len() + usize::from(self.any.is_some()) + usize::from(self.rest.is_some())
    }
}

/// Removes a subscription from below a wildcard; `next` is where the token after that would begin.
fn remove_from(place: &mut Option<Place>, subscription: &Subscription, next: usize, hasher: &TokenHasher) -> bool {
    match place {
        None => false,
        Some(Place::Alone(found)) => {
            let is_it = found.is(subscription);
            if is_it {
                *place = None;
            }
            is_it
        }
        Some(Place::Node(node)) => {
            let removed = node.remove(subscription, next, hasher);
            if let Some(last) = node.take_sole() {
                *place = Some(Place::Alone(last));
            }
            removed
        }
    }
}

/// Whether a subscription has `token` at `from`, where one of its tokens begins.
fn has(token: &[u8], from: usize) -> impl Fn(&Subscription) -> bool {
    move |subscription| {
        let rest = subscription.subject().get(from..).unwrap_or_default();
        rest.strip_prefix(token).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'.'))
    }
}

/// Whether a node is the one of `token`.
fn stands_for(token: &[u8]) -> impl Fn(&Box<Node>) -> bool {
    move |node| *node.token == *token
}

/// Adds a subscription whose subject up to `next` has been compared, if what follows matches `rest`.
#[inline]
fn add_if_matching(subscription: &Subscription, next: usize, rest: Option<&[u8]>, into: &mut MatchSet) {
    let matches = match (subscription.subject().get(next..), rest) {
        (None, None) => true,
        (Some(pattern), Some(rest)) => pattern == rest || matching::matches(pattern, rest),
        _ => false,
    };
    if matches {
        into.add(subscription);
    }
}

impl Node {
    /// A node that has `other` alone, and waits for another.
    fn around(token: &[u8], from: usize, other: &Subscription, hasher: &TokenHasher) -> Self {
        let mut node = Self { token: token.into(), ..Self::default() };
        let next = from + token.len() + 1;
        if next > other.subject().len() {
            node.add(other);
        } else {
            let level = node.next.insert(Box::default());
            // An empty level takes it alone.
            let _none = level.meet(token_at(other.subject(), next), next, other, hasher);
        }
        node
    }

    fn for_each(&self, look: &mut dyn FnMut(&Subscription)) {
        self.plain.as_slice().iter().for_each(&mut *look);
        if let Some(groups) = &self.queues {
            groups.for_each(look);
        }
        if let Some(level) = &self.next {
            level.for_each(look);
        }
    }

    fn add(&mut self, subscription: &Subscription) {
        match subscription.queue() {
            None => self.plain.add(subscription),
            Some(name) => self.queues.get_or_insert_default().add(name, subscription),
        }
    }

    fn remove(&mut self, subscription: &Subscription, next: usize, hasher: &TokenHasher) -> bool {
        if next <= subscription.subject().len() {
            let Some(level) = &mut self.next else { return false };
            let removed = level.remove(subscription, next, hasher);
            if level.is_empty() {
                self.next = None;
            }
            return removed;
        }
        let Some(name) = subscription.queue() else { return self.plain.remove(subscription) };
        let Some(groups) = &mut self.queues else { return false };
        let removed = groups.remove(name, subscription);
        if groups.is_empty() {
            self.queues = None;
        }
        removed
    }

    /// Takes out the one subscription there is, if there is just one.
    fn take_sole(&mut self) -> Option<Subscription> {
        match (&mut self.next, &mut self.queues) {
            (None, None) => self.plain.take_sole(),
            (Some(level), None) if self.plain.as_slice().is_empty() => level.take_sole(),
            (None, Some(groups)) if self.plain.as_slice().is_empty() => groups.take_sole(),
            _ => None,
        }
    }

    fn collect(&self, rest: Option<&[u8]>, from: usize, hasher: &TokenHasher, into: &mut MatchSet) {
        match (rest, &self.next) {
            (None, _) => self.append_to(into),
            (Some(rest), Some(level)) => level.collect(rest, from, hasher, into),
            (Some(_), None) => {}
        }
    }

    fn append_to(&self, into: &mut MatchSet) {
        into.plain.extend_from_slice(self.plain.as_slice());
        if let Some(groups) = &self.queues {
            groups.append_to(into);
        }
    }
}

#[cfg(test)]
impl Level {
    /// Checks that no more is there than must be; gives the number of subscriptions.
    pub(super) fn check(&self) -> usize {
        let mut count = self.alone.len();
        self.nodes.for_each(&mut |node| count += node.check());
        for place in [&self.any, &self.rest].into_iter().flatten() {
            count += match place {
                Place::Node(node) => node.check(),
                Place::Alone(_) => 1,
            };
        }
        count
    }
}

#[cfg(test)]
impl Node {
    fn check(&self) -> usize {
        let mut groups = MatchSet::default();
        self.queues.iter().for_each(|queues| queues.append_to(&mut groups));
        assert!(self.queues.is_none() || !groups.queues.is_empty());
        let queued: usize = groups.queues.iter().map(|group| group.members.len()).sum();
        let below = self.next.as_ref().map_or(0, |level| level.check());
        assert!(self.next.is_none() || below > 0);
        let held = self.plain.as_slice().len() + queued + below;
        assert!(held >= 2, "a node with {held} subscriptions");
        held
    }
}
