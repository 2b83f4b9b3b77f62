//! The receivers of one subject: shared, immutable.

use std::sync::Arc;

use crate::routing::subscription::Subscription;

/// All subscriptions of an account that match one subject.
#[derive(Default)]
pub struct MatchSet {
    /// Each of these gets a copy.
    pub plain: Vec<Arc<Subscription>>,
    /// One member of each group gets a copy.
    pub queues: Vec<QueueGroup>,
}

/// The members of one queue group, across all filters that match.
pub struct QueueGroup {
    /// Name of the group.
    pub name: Box<[u8]>,
    /// Members, in a fixed order.
    pub members: Vec<Arc<Subscription>>,
}

impl MatchSet {
    /// Nobody is interested.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queues.is_empty()
    }

    /// Forgets all receivers, keeping the memory.
    pub fn clear(&mut self) {
        self.plain.clear();
        self.queues.clear();
    }

    pub(super) fn add_members(&mut self, name: &[u8], members: &[Arc<Subscription>]) {
        if let Some(group) = self.queues.iter_mut().find(|group| *group.name == *name) {
            group.members.extend_from_slice(members);
        } else {
            self.queues.push(QueueGroup { name: name.into(), members: members.to_vec() });
        }
    }
}
