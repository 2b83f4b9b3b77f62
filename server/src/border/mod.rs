//! The one border: every message that passes from one account to another passes here.
//!
//! What may pass is a table of crossings, compiled from verified claims by
//! `cordon_accounts::sharing` ([`compile`]). A *service* crossing is a subscription of the border
//! in the importer ([`service`]): a request that matches it is carried into the exporter, and its
//! answer back by a mapping made for that one request ([`reply`]). A *stream* crossing gives every
//! overlapping subscription of the importer a shadow in the exporter ([`stream`]). Nothing else
//! in the broker publishes or subscribes in an account on behalf of another.

pub mod info;
mod latency;
pub mod reply;
mod report;
pub mod service;
pub mod stream;
pub mod system;
mod table;

use std::sync::Arc;

use cordon_accounts::sharing;

use crate::broker::Broker;
use crate::routing::{Sink, Subscription};
use crate::tenant::Tenant;

pub use table::Crossings;

/// Compiles the crossings of an importer anew and puts what changed in force.
pub fn compile(broker: &Arc<Broker>, tenant: &Arc<Tenant>) {
    let sharing = tenant.sharing();
    tenant.crossings.replies.keep_exported(sharing.as_deref());
    let Some(sharing) = sharing else {
        tenant.crossings.replace(broker, tenant, Vec::new(), Vec::new());
        return;
    };
    let lookup = |name: &cordon_accounts::name::AccountName| broker.tenants.sharing(name);
    let resolution = sharing::resolve(&sharing, &lookup, broker.clock.unix_seconds());
    for refused in &resolution.refused {
        tracing::info!(account = %tenant.name, subject = %refused.subject, reason = refused.reason.code(), "import not in force: {}", refused.text);
    }
    let crossings = resolution.crossings.into_iter().map(Arc::new).collect();
    tenant.crossings.replace(broker, tenant, crossings, resolution.refused);
}

/// A client subscription came: its shadows go to the exporters of streams that it overlaps.
pub fn subscription_added(broker: &Arc<Broker>, tenant: &Arc<Tenant>, subscription: &Subscription) {
    let is_asked_for = matches!(subscription.sink(), Sink::Client(_)) || subscription.is_far();
    if tenant.crossings.has_streams() && is_asked_for {
        tenant.crossings.add_shadows(broker, subscription);
    }
}

/// A subscription of the broker itself came, made for a tenant who wants what is published there: it has shadows as a
/// client's has, whatever becomes of the imports, until [`listener_ended`].
pub fn listener_added(broker: &Arc<Broker>, tenant: &Arc<Tenant>, subscription: &Subscription) {
    tenant.crossings.add_listener(broker, subscription);
}

/// A subscription of the broker itself ends, and its shadows do.
pub fn listener_ended(tenant: &Arc<Tenant>, subscription: &Subscription) {
    // Whoever makes shadows at this moment sees it.
    subscription.close();
    tenant.crossings.drop_listener(subscription);
}

/// A client subscription ended: so do its shadows.
pub fn subscription_ended(tenant: &Arc<Tenant>, subscription: &Subscription) {
    if tenant.crossings.has_shadows() {
        tenant.crossings.drop_shadows(subscription);
    }
}
