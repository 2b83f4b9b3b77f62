//! The system account: requests about claims and connections, events, security events.
//!
//! Everything here speaks NATS: a request arrives as a message in the system account, an event
//! leaves as one. Subjects and bodies are those of nats-server, so that `nsc`, the `nats` command
//! and a control plane need nothing else.

pub mod security;

use std::sync::Arc;

use crate::broker::Broker;

/// Sets the system account up.
///
/// # Errors
///
/// When its claims cannot be loaded or are not trusted.
pub async fn start(broker: &Arc<Broker>) -> Result<(), String> {
    broker.tenants.load_system(broker).await
}
