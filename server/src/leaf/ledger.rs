//! What the leaf connections of one account are told of its interest.
//!
//! For each subject, with its queue group, the ledger counts subscriptions in this broker and beyond each leaf
//! connection. What one leaf connection is told is the sum over all from whom interest passes to it: `LS+` when a
//! subject comes to have some, `LS-` when it has none any more, and for a queue group every change of the sum. All of
//! it happens under the lock of the account's interest, so lines are queued in the order of the changes.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use crate::connection::Connection;
use crate::leaf::filter::{Filter, LOOP_DETECTION};
use crate::leaf::forward::is_token;
use crate::protocol::encode::Digits;
use crate::routing::Subscription;

/// The interest of one account, as its leaf connections see it.
pub struct Ledger {
    counts: HashMap<Box<[u8]>, Count, RandomState>,
    leafs: Vec<Arc<Connection>>,
}

/// How many are interested in one subject.
#[derive(Default)]
struct Count {
    here: u32,
    far: Vec<(Arc<Connection>, u32)>,
}

impl Count {
    /// How many of them `leaf` is told of.
    fn told_to(&self, leaf: &Connection, is_loop_detection: bool) -> u32 {
        let far = self.far.iter().filter(|(from, _)| passes(from, leaf, is_loop_detection));
        far.fold(self.here, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn of(&mut self, from: Option<&Arc<Connection>>) -> &mut u32 {
        let Some(from) = from else { return &mut self.here };
        let at = self.far.iter().position(|(known, _)| Arc::ptr_eq(known, from));
        let at = at.unwrap_or_else(|| {
            self.far.push((from.clone(), 0));
            self.far.len() - 1
        });
        // It was found or pushed just now.
        self.far.get_mut(at).map_or(&mut self.here, |(_, count)| count)
    }

    fn is_empty(&self) -> bool {
        self.here == 0 && self.far.is_empty()
    }
}

/// Whether interest beyond `from` is told to `to`.
fn passes(from: &Connection, to: &Connection, is_loop_detection: bool) -> bool {
    let (Some(source), Some(target)) = (from.leaf(), to.leaf()) else { return false };
    from.cid != to.cid && source.passes_to(target) && (is_loop_detection || !target.isolated)
}

impl Ledger {
    /// An account that takes these subjects without having subscriptions for them.
    pub fn new(own: &[Box<[u8]>]) -> Self {
        let mut counts: HashMap<Box<[u8]>, Count, RandomState> = HashMap::default();
        for subject in own {
            counts.entry(subject.clone()).or_default().here += 1;
        }
        Self { counts, leafs: Vec::new() }
    }

    /// A subscription came.
    pub fn added(&mut self, subscription: &Subscription) {
        self.change(subscription, u32::saturating_add);
    }

    /// A subscription went.
    pub fn removed(&mut self, subscription: &Subscription) {
        self.change(subscription, u32::saturating_sub);
    }

    /// A queue group beyond a leaf connection has another number of members.
    pub fn reweighed(&mut self, subscription: &Subscription, before: u32) {
        self.change(subscription, |count, weight| count.saturating_sub(before).saturating_add(weight));
    }

    /// The account takes a subject, or takes it no more, without a subscription for it.
    pub fn own(&mut self, subject: &[u8], takes: bool) {
        let change = if takes { u32::saturating_add } else { u32::saturating_sub };
        self.change_of(subject.into(), subject, None, None, |count| change(count, 1));
    }

    fn change(&mut self, subscription: &Subscription, change: impl Fn(u32, u32) -> u32) {
        let (subject, queue) = (subscription.subject(), subscription.queue());
        let far = subscription.beyond();
        let weight = far.map_or(1, |far| far.weight);
        let from = far.map(|far| far.connection);
        self.change_of(key(subject, queue), subject, queue, from, |count| change(count, weight));
    }

    fn change_of(
        &mut self,
        key: Box<[u8]>,
        subject: &[u8],
        queue: Option<&[u8]>,
        from: Option<&Arc<Connection>>,
        change: impl Fn(u32) -> u32,
    ) {
        let detects = subject.starts_with(LOOP_DETECTION);
        let count = self.counts.entry(key).or_default();
        let before: SmallVec<[u32; 8]> = self.leafs.iter().map(|leaf| count.told_to(leaf, detects)).collect();
        let part = count.of(from);
        *part = change(*part);
        count.far.retain(|(_, count)| *count > 0);
        for (leaf, before) in self.leafs.iter().zip(before) {
            let after = count.told_to(leaf, detects);
            if is_news(queue, before, after)
                && let Some(state) = leaf.leaf()
                && state.filter().is_told(subject, queue)
            {
                leaf.queue_line(&line(subject, queue, after));
            }
        }
        if count.is_empty() {
            self.counts.remove(&self::key(subject, queue));
        }
    }

    /// `leaf` is told everything, and from now on what changes.
    pub fn admit(&mut self, leaf: &Arc<Connection>) {
        self.leafs.push(leaf.clone());
        let Some(state) = leaf.leaf() else { return };
        let filter = state.filter();
        let mut lines = Vec::new();
        for (key, count) in &self.counts {
            let (subject, queue) = parts(key);
            let told = count.told_to(leaf, subject.starts_with(LOOP_DETECTION));
            if told > 0 && filter.is_told(subject, queue) {
                lines.extend_from_slice(&line(subject, queue, told));
            }
        }
        leaf.queue_line(&lines);
    }

    /// Whether a leaf node of that cluster is connected, whose connection this broker accepted.
    pub fn has_cluster(&self, cluster: &str) -> bool {
        let of_it = |leaf: &Arc<Connection>| leaf.leaf().is_some_and(|leaf| !leaf.dialled && leaf.cluster == cluster);
        !cluster.is_empty() && self.leafs.iter().any(of_it)
    }

    /// `leaf` is told no more. Whether it was the last.
    pub fn dismiss(&mut self, leaf: &Connection) -> bool {
        self.leafs.retain(|known| known.cid != leaf.cid);
        self.leafs.is_empty()
    }

    /// What may come from `leaf` has changed: it is told what it was not, and that what it may not send is not wanted.
    pub fn refilter(&self, leaf: &Connection, before: &Filter, after: &Filter) {
        let mut lines = Vec::new();
        for (key, count) in &self.counts {
            let (subject, queue) = parts(key);
            let told = count.told_to(leaf, subject.starts_with(LOOP_DETECTION));
            match (before.is_told(subject, queue), after.is_told(subject, queue)) {
                (false, true) if told > 0 => lines.extend_from_slice(&line(subject, queue, told)),
                (true, false) if told > 0 => lines.extend_from_slice(&line(subject, queue, 0)),
                _ => {}
            }
        }
        if !lines.is_empty() {
            leaf.queue_line(&lines);
        }
    }
}

/// Whether a leaf node must hear of a change of the sum.
fn is_news(queue: Option<&[u8]>, before: u32, after: u32) -> bool {
    match queue {
        None => (before == 0) != (after == 0),
        Some(_) => before != after,
    }
}

/// Subject and queue group as one: neither has a space in it.
pub fn key(subject: &[u8], queue: Option<&[u8]>) -> Box<[u8]> {
    match queue {
        None => subject.into(),
        Some(queue) => [subject, b" ", queue].concat().into(),
    }
}

fn parts(key: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = key.splitn(2, |byte| *byte == b' ');
    (parts.next().unwrap_or_default(), parts.next())
}

/// `LS+` or, for none, `LS-`. What a line cannot hold is not told.
fn line(subject: &[u8], queue: Option<&[u8]>, count: u32) -> Vec<u8> {
    if !is_token(subject) || !queue.is_none_or(is_token) {
        return Vec::new();
    }
    let mut line = Vec::with_capacity(subject.len() + 32);
    line.extend_from_slice(if count > 0 { b"LS+ " } else { b"LS- " });
    line.extend_from_slice(subject);
    if let Some(queue) = queue {
        line.push(b' ');
        line.extend_from_slice(queue);
        if count > 0 {
            line.push(b' ');
            line.extend_from_slice(Digits::of(count as usize).as_bytes());
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_protocol() {
        for (subject, queue, count, expected) in [
            ("foo", None, 3, "LS+ foo\r\n"),
            ("foo", None, 0, "LS- foo\r\n"),
            ("foo", Some("q"), 3, "LS+ foo q 3\r\n"),
            ("foo", Some("q"), 0, "LS- foo q\r\n"),
            ("fo\x01o", None, 1, ""),
            ("foo", Some("q\x7f"), 1, ""),
            ("fo o", None, 1, ""),
            ("", None, 1, ""),
        ] {
            let made = line(subject.as_bytes(), queue.map(str::as_bytes), count);
            assert_eq!(String::from_utf8(made).unwrap(), expected);
        }
    }

    #[test]
    fn plain_interest_is_news_at_its_ends_and_groups_at_every_change() {
        for (before, after, plain, group) in
            [(0, 1, true, true), (1, 2, false, true), (2, 2, false, false), (1, 0, true, true)]
        {
            assert_eq!((is_news(None, before, after), is_news(Some(b"q"), before, after)), (plain, group));
        }
    }

    #[test]
    fn keys_come_apart_as_they_were_joined() {
        for (subject, queue) in [("a.b", None), ("a.>", Some("q"))] {
            let (subject, queue) = (subject.as_bytes(), queue.map(str::as_bytes));
            assert_eq!(parts(&key(subject, queue)), (subject, queue));
        }
    }
}
