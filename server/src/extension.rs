//! What is built on the broker and lives in it: streams.
//!
//! The broker holds one [`Extension`] at most, tells it of accounts, and asks it for its part of what monitoring and
//! INFO show. It receives and sends by the routing alone, as everything else inside the broker does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::broker::Broker;
use crate::monitoring::Fault;
use crate::monitoring::jsz::{HealthOptions, JszOptions};
use crate::tenant::Tenant;

/// Something that the broker waits for.
pub type Pending<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Streams, as the broker sees them.
pub trait Extension: Send + Sync {
    /// The broker is about to load its accounts; nobody is connected yet.
    ///
    /// # Errors
    ///
    /// Why it cannot serve; the broker does not start then.
    fn begin(&self, broker: &Arc<Broker>) -> Result<(), String>;

    /// All accounts that the broker knows by itself are loaded; listeners open once this is done.
    fn ready<'a>(&'a self, broker: &'a Arc<Broker>) -> Pending<'a>;

    /// An account has come, has other terms, or has none any more. Its connections wait for this.
    fn tenant_changed<'a>(&'a self, tenant: &'a Arc<Tenant>) -> Pending<'a>;

    /// The broker stops: nobody is served any more, connections are open still. What was promised is on disk after this.
    fn stop(&self) -> Pending<'_>;

    /// The name of the domain; `None` if it has none.
    fn domain(&self) -> Option<Arc<str>>;

    /// Whether an account has streams, or may have some.
    fn serves(&self, tenant: &Tenant) -> bool;

    /// Its part of `/varz`.
    fn varz(&self) -> Value;

    /// `/jsz`.
    ///
    /// # Errors
    ///
    /// [`Fault`] names what cannot be shown.
    fn jsz(&self, options: &JszOptions) -> Result<Value, Fault>;

    /// `JSZ` of one account.
    ///
    /// # Errors
    ///
    /// [`Fault`] if it has no streams.
    fn account(&self, name: &str, options: &JszOptions) -> Result<Value, Fault>;

    /// What is wrong with it: HTTP status code and what `/healthz` says; `None` if nothing is.
    fn healthz(&self, options: &HealthOptions) -> Option<(u16, String)>;
}
