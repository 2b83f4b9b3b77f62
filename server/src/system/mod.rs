//! The system account: requests about claims and connections, events, security events.
//!
//! Everything here speaks NATS: a request arrives as a message in the system account, an event
//! leaves as one. Subjects and bodies are those of nats-server (auth.md 8,
//! monitoring-and-system.md 2), so that `nsc`, the `nats` command and a control plane need nothing
//! else.
//!
//! ```text
//! desk      receives on the publisher's thread, queues          -> worker task
//! ask       what a subject asks for
//! claims    account JWTs: update, look-up, list, delete, pack
//! server    PING.<KIND>, <id>.<KIND>, KICK, LDM, CORDON.EVENTS
//! account   <account>.<KIND>, for that account alone
//! subscribers  DEBUG.SUBSCRIBERS
//! user      USER.INFO
//! callout   USER.AUTH, asked by the broker itself in accounts that have a service for it
//! event     CONNECT, DISCONNECT, AUTH.ERR, CONNS
//! heartbeat STATSZ, CONNS from time to time
//! security  numbered security events
//! ```
//!
//! To add a request: a variant in [`ask`], an answer in the file it belongs to.

pub mod account;
pub mod ask;
pub mod callout;
pub mod claims;
pub mod desk;
pub mod envelope;
pub mod event;
pub mod heartbeat;
pub mod security;
pub mod server;
mod subscribers;
pub mod user;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::broker::Broker;
use crate::connection::publish_inside;
use crate::routing::Batch;
use crate::routing::match_set::MatchSet;
use crate::tenant::Tenant;

/// What the parts of the system account share.
#[derive(Debug, Default)]
pub struct System {
    sequence: AtomicU64,
    requests: AtomicU64,
    overflowed: AtomicU64,
}

impl System {
    /// Numbers of the server's own messages: strictly rising.
    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Requests taken, and requests not taken because too many waited.
    pub fn requests(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.overflowed.load(Ordering::Relaxed))
    }
}

/// Sets the system account up: its claims, its services, its events.
///
/// # Errors
///
/// When its claims cannot be loaded or are not trusted.
pub async fn start(broker: &Arc<Broker>) -> Result<(), String> {
    broker.tenants.load_system(broker).await?;
    broker.tasks.spawn(security::keep(broker.clone()));
    if let Some(system) = broker.tenants.system() {
        desk::open(broker, system);
        broker.observe(Arc::new(event::Reporter));
        broker.tasks.spawn(heartbeat::beat(broker.clone()));
    }
    Ok(())
}

/// Tells the system account that the broker is about to stop: `LAMEDUCK` or `SHUTDOWN`.
pub fn announce(broker: &Broker, what: &str) {
    let subject = format!("$SYS.SERVER.{}.{what}", broker.id);
    publish_event(broker, &subject, || envelope::server_info(broker));
}

/// Publishes an event in the system account; builds its body only if somebody listens.
fn publish_event(broker: &Broker, subject: &str, body: impl FnOnce() -> serde_json::Value) {
    if let Some(system) = broker.tenants.system() {
        publish_event_in(broker, system, subject, body);
    }
}

fn publish_event_in(broker: &Broker, tenant: &Tenant, subject: &str, body: impl FnOnce() -> serde_json::Value) {
    let mut set = MatchSet::default();
    tenant.interest.matches(subject.as_bytes(), &mut set);
    if !set.is_empty() {
        let body = serde_json::to_vec(&body()).unwrap_or_default();
        publish(broker, tenant, subject.as_bytes(), b"", &body);
    }
}

/// Publishes a message of the broker itself in one account and writes it out.
fn publish(broker: &Broker, tenant: &Tenant, subject: &[u8], header: &[u8], payload: &[u8]) -> usize {
    let mut batch = Batch::new(broker.clock.nanos());
    let accepted = publish_inside(tenant, subject, b"", header, payload, &mut batch);
    tenant.counters.sent(batch.delivered, batch.delivered_bytes);
    batch.flush(&mut Vec::new());
    accepted
}

#[cfg(test)]
mod tests;
