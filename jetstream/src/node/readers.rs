//! Who gets what a push consumer delivers, where reading needs permission: the rights of this moment count, whoever made
//! the consumer.
//!
//! Receivers inside the broker and in other accounts are no readers: streams store for their account, and of other
//! accounts its exports say what they read.

use std::sync::Arc;

use cordon_accounts::subject::Pattern;
use cordon_server::connection::Connection;
use cordon_server::routing::match_set::{MatchSet, QueueGroup};
use cordon_server::routing::{Sink, Subscription};
use cordon_server::tenant::Tenant;

use crate::reader;

/// Of the receivers of a subject, those who may read; good as long as nobody's rights change.
pub(super) struct Readers {
    reads: Vec<Pattern>,
    seen: Vec<(Arc<Connection>, u64)>,
    /// Who may read.
    pub(super) set: MatchSet,
}

impl Readers {
    /// Those of `set` who may subscribe to all of `reads`.
    pub(super) fn of(tenant: &Arc<Tenant>, set: &MatchSet, reads: &[Pattern]) -> Self {
        let mut readers = Self { reads: reads.to_vec(), seen: Vec::new(), set: MatchSet::default() };
        readers.set = readers.allowed(tenant, set);
        readers
    }

    /// They are still those who may.
    pub(super) fn hold(&self, reads: &[Pattern]) -> bool {
        self.reads == reads && self.seen.iter().all(|(connection, version)| connection.rights_version() == *version)
    }

    fn allowed(&mut self, tenant: &Arc<Tenant>, set: &MatchSet) -> MatchSet {
        let mut allowed = MatchSet::default();
        allowed.plain = self.of_list(tenant, &set.plain);
        for group in &set.queues {
            let members = self.of_list(tenant, &group.members);
            if !members.is_empty() {
                allowed.queues.push(QueueGroup { name: group.name.clone(), members });
            }
        }
        let far = set.far.as_ref().map(|far| self.allowed(tenant, far));
        allowed.far = far.filter(|far| !far.is_empty()).map(Box::new);
        allowed
    }

    fn of_list(&mut self, tenant: &Arc<Tenant>, list: &[Subscription]) -> Vec<Subscription> {
        let mut allowed = Vec::new();
        for subscription in list {
            if let Some(connection) = reader(tenant, subscription) {
                // The version first: rights that change in between are looked at again.
                self.seen.push((connection.clone(), connection.rights_version()));
            }
            if may_read(tenant, subscription, &self.reads) {
                allowed.push(subscription.clone());
            }
        }
        allowed
    }
}

/// Who has the subscription may read what these patterns match, or is no reader.
pub(super) fn may_read(tenant: &Arc<Tenant>, subscription: &Subscription, reads: &[Pattern]) -> bool {
    reader(tenant, subscription).is_none_or(|connection| reader::check(Some(&connection.rights()), reads).is_ok())
}

/// The client or leaf connection of the account that gets what the subscription matches.
fn reader<'a>(tenant: &Arc<Tenant>, subscription: &'a Subscription) -> Option<&'a Arc<Connection>> {
    match subscription.sink() {
        Sink::Client(connection) => Some(connection),
        Sink::Inside(_) => {
            let far = subscription.beyond().map(|far| far.connection);
            far.filter(|connection| Arc::ptr_eq(&connection.tenant(), tenant))
        }
    }
}
