//! The receivers of one subject: shared, immutable.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use crate::routing::subscription::Subscription;

/// Queue groups' places in a list, by name.
pub(super) type Places = HashMap<Box<[u8]>, usize, RandomState>;

/// From so many queue groups on, one is looked for by hash.
pub(super) const INDEX_FROM: usize = 16;

/// All subscriptions of an account that match one subject.
#[derive(Default)]
pub struct MatchSet {
    /// Each of these gets a copy.
    pub plain: Vec<Subscription>,
    /// One member of each group gets a copy.
    pub queues: Vec<QueueGroup>,
    /// Those on the other side of leaf connections, where there are any.
    pub far: Option<Box<MatchSet>>,
    /// Places of the groups by name while a match is being made, if there are many.
    index: Option<Box<Places>>,
}

/// The members of one queue group, across all filters that match.
pub struct QueueGroup {
    /// Name of the group.
    pub name: Box<[u8]>,
    /// Members, in a fixed order.
    pub members: Vec<Subscription>,
}

impl MatchSet {
    /// Nobody is interested.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queues.is_empty() && self.far.is_none()
    }

    /// Receivers, those in groups included; at least 1, for the set itself.
    pub fn weight(&self) -> usize {
        let far = self.far.as_ref().map_or(0, |far| far.weight());
        self.plain.len() + self.queues.iter().map(|group| group.members.len() + 1).sum::<usize>() + 1 + far
    }

    /// Forgets all receivers, keeping the memory.
    pub fn clear(&mut self) {
        self.plain.clear();
        self.queues.clear();
        self.far = None;
        self.index = None;
    }

    pub(super) fn add(&mut self, subscription: &Subscription) {
        match subscription.queue() {
            None => self.plain.push(subscription.clone()),
            Some(name) => self.add_members(name, std::slice::from_ref(subscription)),
        }
    }

    pub(super) fn add_members(&mut self, name: &[u8], members: &[Subscription]) {
        let known = match &self.index {
            Some(index) => index.get(name).copied(),
            None => self.queues.iter().position(|group| *group.name == *name),
        };
        if let Some(group) = known.and_then(|at| self.queues.get_mut(at)) {
            group.members.extend_from_slice(members);
            return;
        }
        if let Some(index) = &mut self.index {
            index.insert(name.into(), self.queues.len());
        } else if self.queues.len() == INDEX_FROM {
            let named = self.queues.iter().map(|group| group.name.clone()).chain([name.into()]);
            self.index = Some(Box::new(named.enumerate().map(|(at, name)| (name, at)).collect()));
        }
        self.queues.push(QueueGroup { name: name.into(), members: members.to_vec() });
    }

    /// Ends the making of a match.
    pub(super) fn finish(&mut self) {
        self.index = None;
    }
}
