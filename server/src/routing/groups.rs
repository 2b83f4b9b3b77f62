//! The queue groups of one place in the tree, and lists of subscriptions that know their slots.

use crate::routing::match_set::{INDEX_FROM, MatchSet, Places};
use crate::routing::subscription::Subscription;

/// Subscriptions that know their places in it.
#[derive(Default)]
pub(super) struct Slots {
    list: Vec<Subscription>,
}

impl Slots {
    pub(super) fn add(&mut self, subscription: &Subscription) {
        subscription.set_slot(self.list.len());
        if self.list.is_empty() {
            self.list.reserve_exact(1);
        }
        self.list.push(subscription.clone());
    }

    /// Removes in constant time; one that is not there changes nothing.
    pub(super) fn remove(&mut self, subscription: &Subscription) -> bool {
        let slot = subscription.slot();
        if !self.list.get(slot).is_some_and(|found| found.is(subscription)) {
            return false;
        }
        self.list.swap_remove(slot);
        if let Some(moved) = self.list.get(slot) {
            moved.set_slot(slot);
        }
        if self.list.capacity() > 64 && self.list.len() * 8 < self.list.capacity() {
            self.list.shrink_to(self.list.len() * 2);
        }
        true
    }

    pub(super) fn as_slice(&self) -> &[Subscription] {
        &self.list
    }

    /// Takes out the one subscription there is, if there is just one.
    pub(super) fn take_sole(&mut self) -> Option<Subscription> {
        if self.list.len() == 1 { std::mem::take(&mut self.list).pop() } else { None }
    }
}

/// The queue groups of one node. One importer can bring many of them into an exporter's tree, so that no
/// step may take time in proportion to their number.
#[derive(Default)]
pub(super) struct Groups {
    list: Vec<(Box<[u8]>, Slots)>,
    /// Places in `list` by name, once there are many.
    index: Places,
}

impl Groups {
    /// Adds a member to the group of this name, which begins to be if need be.
    pub(super) fn add(&mut self, name: &[u8], subscription: &Subscription) {
        let at = self.place(name).unwrap_or_else(|| {
            self.list.push((name.into(), Slots::default()));
            let at = self.list.len() - 1;
            if !self.index.is_empty() {
                self.index.insert(name.into(), at);
            } else if at == INDEX_FROM {
                self.index = self.list.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
            }
            at
        });
        if let Some((_, members)) = self.list.get_mut(at) {
            members.add(subscription);
        }
    }

    /// Removes a member; one that is not there changes nothing.
    pub(super) fn remove(&mut self, name: &[u8], subscription: &Subscription) -> bool {
        let Some(at) = self.place(name) else { return false };
        let Some((_, members)) = self.list.get_mut(at) else { return false };
        let removed = members.remove(subscription);
        if members.as_slice().is_empty() {
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

    pub(super) fn append_to(&self, into: &mut MatchSet) {
        for (name, members) in &self.list {
            into.add_members(name, members.as_slice());
        }
    }

    /// Shows `look` every member of every group.
    pub(super) fn for_each(&self, look: &mut dyn FnMut(&Subscription)) {
        for (_, members) in &self.list {
            members.as_slice().iter().for_each(&mut *look);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes out the one subscription there is, if there is just one.
    pub(super) fn take_sole(&mut self) -> Option<Subscription> {
        let [(_, members)] = self.list.as_mut_slice() else { return None };
        let sole = members.take_sole()?;
        *self = Self::default();
        Some(sole)
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        if self.index.is_empty() {
            self.list.iter().position(|(other, _)| **other == *name)
        } else {
            self.index.get(name).copied()
        }
    }
}
