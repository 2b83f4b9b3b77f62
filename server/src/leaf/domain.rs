//! The default JetStream domain of an account (`default_js_domain`): what its clients ask `$JS.API` is asked of the domain,
//! which is on the other side of a leaf connection.
//!
//! Permissions are those for what a client publishes, `$JS.API.>`, as with nats-server. An account that has streams here
//! asks them, and no others.

use std::sync::{Arc, Weak};

use crate::broker::Broker;
use crate::routing::match_set::MatchSet;
use crate::routing::{Batch, Message, Receiver, Sink, Subscription, route};
use crate::tenant::Tenant;

/// What the API of one's own streams is called.
const API: &[u8] = b"$JS.API.";

/// Carries requests of an account to its domain.
struct ToDomain {
    tenant: Weak<Tenant>,
    /// `$JS.<domain>.API.`
    api: Box<[u8]>,
}

/// Has requests of `tenant` carried to its default domain, if it has one.
pub fn offer(broker: &Broker, tenant: &Arc<Tenant>) {
    let Some(domain) = broker.options.load().default_domains.get(&tenant.name).cloned() else { return };
    let api = format!("$JS.{domain}.API.").into_bytes().into();
    let receiver = Arc::new(ToDomain { tenant: Arc::downgrade(tenant), api });
    let subscription = Subscription::new(&[API, b">"].concat(), None, b"", Sink::Inside(receiver));
    tenant.interest.insert(&subscription);
}

impl Receiver for ToDomain {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(tenant) = self.tenant.upgrade() else { return false };
        let has_own = || tenant.broker()?.extension().map(|streams| streams.serves(&tenant));
        let Some(rest) = message.subject.strip_prefix(API).filter(|_| has_own() != Some(true)) else { return false };
        let subject = [&self.api, rest].concat();
        let mut set = MatchSet::default();
        tenant.interest.matches(&subject, &mut set);
        !set.is_empty() && route(&set, &message.moved_to(&subject), batch) > 0
    }
}
