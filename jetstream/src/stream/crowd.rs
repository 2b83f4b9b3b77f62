//! The consumers of a stream, found by name and by what they want.
//!
//! What a stream does for its consumers does not grow with those that a message does not concern: literal filters are
//! looked up, equal patterns are matched once, deadlines are in a heap, and only consumers that something happened to
//! are written and pumped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use cordon_accounts::subject::Pattern;
use hashbrown::HashMap;

use crate::consumer::Consumer;
use crate::store::{Filter, Store, StoreError};

/// Where a consumer is kept, for as long as it is there.
pub(super) type Id = usize;

/// Consumers by what they want.
#[derive(Debug, Default)]
struct Wanting {
    all: Vec<Id>,
    literal: HashMap<Box<[u8]>, Vec<Id>, foldhash::fast::RandomState>,
    patterns: Vec<(Pattern, Vec<Id>)>,
}

impl Wanting {
    fn add(&mut self, filter: &Filter, id: Id) {
        let Filter::Any(patterns) = filter else { return self.all.push(id) };
        for pattern in patterns {
            if pattern.is_literal() {
                self.literal.entry(pattern.as_bytes().into()).or_default().push(id);
            } else if let Some((_, ids)) = self.patterns.iter_mut().find(|(other, _)| other == pattern) {
                ids.push(id);
            } else {
                self.patterns.push((pattern.clone(), vec![id]));
            }
        }
    }

    fn remove(&mut self, filter: &Filter, id: Id) {
        let Filter::Any(patterns) = filter else { return self.all.retain(|other| *other != id) };
        for pattern in patterns {
            if pattern.is_literal() {
                if let Some(ids) = self.literal.get_mut(pattern.as_bytes()) {
                    ids.retain(|other| *other != id);
                    if ids.is_empty() {
                        self.literal.remove(pattern.as_bytes());
                    }
                }
            } else if let Some(at) = self.patterns.iter().position(|(other, _)| other == pattern)
                && let Some((_, ids)) = self.patterns.get_mut(at)
            {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.patterns.swap_remove(at);
                }
            }
        }
    }

    /// Tells `each` of every consumer that wants `subject`, once: the filters of one consumer do not overlap.
    fn each(&self, subject: &[u8], mut each: impl FnMut(Id)) {
        for id in &self.all {
            each(*id);
        }
        if !self.literal.is_empty()
            && let Some(ids) = self.literal.get(subject)
        {
            for id in ids {
                each(*id);
            }
        }
        for (pattern, ids) in &self.patterns {
            if pattern.matches(subject) {
                for id in ids {
                    each(*id);
                }
            }
        }
    }
}

/// A consumer and what is noted of it.
#[derive(Debug)]
struct Slot {
    consumer: Consumer,
    /// The filter by which it is found.
    filter: Filter,
    ready: bool,
    unwritten: bool,
    /// The earliest of its entries among the timers.
    armed: i64,
}

/// The consumers of a stream.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    slots: Vec<Option<Slot>>,
    free: Vec<Id>,
    names: BTreeMap<String, Id>,
    /// Those that deliver to a subject: they ask anew who listens.
    pushing: Vec<Id>,
    wanting: Wanting,
    /// Those that may have something to deliver.
    ready: Vec<Id>,
    /// Those that may have something for the journal.
    unwritten: Vec<Id>,
    timers: BinaryHeap<Reverse<(i64, Id)>>,
}

impl Crowd {
    /// Takes a consumer in; one of its name has been removed before.
    pub(super) fn insert(&mut self, consumer: Consumer, now: i64) {
        let id = self.free.pop().unwrap_or(self.slots.len());
        let filter = consumer.filter().clone();
        self.wanting.add(&filter, id);
        self.names.insert(consumer.name().to_owned(), id);
        if !consumer.config().deliver_subject.is_empty() {
            self.pushing.push(id);
        }
        let slot = Some(Slot { consumer, filter, ready: false, unwritten: false, armed: i64::MAX });
        match self.slots.get_mut(id) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        self.touched(id, now);
    }

    /// Takes a consumer out.
    pub(super) fn remove(&mut self, name: &str) -> Option<Consumer> {
        let id = self.names.remove(name)?;
        let slot = self.slots.get_mut(id)?.take()?;
        self.wanting.remove(&slot.filter, id);
        for list in [&mut self.pushing, &mut self.ready, &mut self.unwritten] {
            list.retain(|other| *other != id);
        }
        self.free.push(id);
        Some(slot.consumer)
    }

    /// There is none.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The consumer of that name.
    pub(super) fn id(&self, name: &str) -> Option<Id> {
        self.names.get(name).copied()
    }

    /// The consumer of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Consumer> {
        Some(&self.slots.get(self.id(name)?)?.as_ref()?.consumer)
    }

    /// The consumer that is kept there; say [`Crowd::touched`] when it did something.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Consumer> {
        Some(&mut self.slots.get_mut(id)?.as_mut()?.consumer)
    }

    /// All, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = &Consumer> {
        self.names.values().filter_map(|id| Some(&self.slots.get(*id)?.as_ref()?.consumer))
    }

    /// Where all of them are kept.
    pub(super) fn ids(&self) -> Vec<Id> {
        self.names.values().copied().collect()
    }

    /// Where those are kept that deliver to a subject.
    pub(super) fn pushing(&self) -> Vec<Id> {
        self.pushing.clone()
    }

    /// Those that lists show and limits count.
    pub(super) fn shown(&self) -> usize {
        self.all().filter(|consumer| !consumer.is_internal()).count()
    }

    /// Something happened to a consumer: it may have something to write and to deliver, at other times than before, and
    /// want other messages.
    pub(super) fn touched(&mut self, id: Id, now: i64) {
        let Some(slot) = self.slots.get_mut(id).and_then(Option::as_mut) else { return };
        if !std::mem::replace(&mut slot.ready, true) {
            self.ready.push(id);
        }
        if !std::mem::replace(&mut slot.unwritten, true) {
            self.unwritten.push(id);
        }
        if slot.filter != *slot.consumer.filter() {
            self.wanting.remove(&slot.filter, id);
            slot.filter = slot.consumer.filter().clone();
            self.wanting.add(&slot.filter, id);
        }
        arm(slot, id, now, &mut self.timers);
    }

    // ---- messages

    /// A message was stored.
    pub(super) fn stored(&mut self, seq: u64, subject: &[u8]) {
        let Self { slots, ready, wanting, .. } = self;
        wanting.each(subject, |id| {
            if let Some(slot) = slots.get_mut(id).and_then(Option::as_mut) {
                slot.consumer.stored(seq, subject);
                if !std::mem::replace(&mut slot.ready, true) {
                    ready.push(id);
                }
            }
        });
    }

    /// Where those are kept that want `subject`.
    pub(super) fn wanting(&self, subject: &[u8], out: &mut Vec<Id>) {
        out.clear();
        self.wanting.each(subject, |id| out.push(id));
    }

    /// Some consumer wants messages of `subject`.
    pub(super) fn wants(&self, subject: &[u8]) -> bool {
        let mut wanted = false;
        self.wanting.each(subject, |_| wanted = true);
        wanted
    }

    /// Some consumer still needs that message.
    pub(super) fn needs(&self, seq: u64, subject: &[u8]) -> bool {
        let mut needed = false;
        self.wanting.each(subject, |id| {
            let slot = self.slots.get(id).and_then(Option::as_ref);
            needed = needed || slot.is_some_and(|slot| slot.consumer.still_needs(seq, subject));
        });
        needed
    }

    // ---- rounds

    /// Some consumer may have something to deliver.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Those that may have something to deliver; none has until it is told of anew.
    pub(super) fn take_ready(&mut self) -> Vec<Id> {
        let ready = std::mem::take(&mut self.ready);
        for id in &ready {
            if let Some(slot) = self.slots.get_mut(*id).and_then(Option::as_mut) {
                slot.ready = false;
            }
        }
        ready
    }

    /// A consumer delivered; `more` if it stopped before its end.
    pub(super) fn pumped(&mut self, id: Id, more: bool, now: i64) {
        if more {
            return self.touched(id, now);
        }
        let Some(slot) = self.slots.get_mut(id).and_then(Option::as_mut) else { return };
        if !std::mem::replace(&mut slot.unwritten, true) {
            self.unwritten.push(id);
        }
        arm(slot, id, now, &mut self.timers);
    }

    /// Consumers write down what changed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; those that did not write try again the next time.
    pub(super) fn write(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        while let Some(id) = self.unwritten.last().copied() {
            if let Some(slot) = self.slots.get_mut(id).and_then(Option::as_mut) {
                slot.consumer.write(store)?;
                slot.unwritten = false;
            }
            self.unwritten.pop();
        }
        Ok(())
    }

    /// When something is due for one of them.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Those for which something is due.
    pub(super) fn take_due(&mut self, now: i64) -> Vec<Id> {
        let mut due = Vec::new();
        while let Some(Reverse((at, id))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.timers.pop();
            if let Some(slot) = self.slots.get_mut(id).and_then(Option::as_mut).filter(|slot| slot.armed == at) {
                slot.armed = i64::MAX;
                due.push(id);
            }
        }
        due
    }
}

/// Notes when a consumer is to be called, if that is earlier than what is noted. A deadline that moved to a later time is
/// found out at the earlier one.
fn arm(slot: &mut Slot, id: Id, now: i64, timers: &mut BinaryHeap<Reverse<(i64, Id)>>) {
    if let Some(at) = slot.consumer.deadline(now).filter(|at| *at < slot.armed) {
        slot.armed = at;
        timers.push(Reverse((at, id)));
    }
}
