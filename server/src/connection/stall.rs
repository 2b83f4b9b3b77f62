//! Slowing a publisher down while its receivers are behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::limits::STALL_MAX;
use crate::tenant::Tenant;

impl Connection {
    /// Waits while receivers of its account `tenant` are far behind but moving, for a bounded time: producers are slowed
    /// before consumers are dropped. Receivers of other accounts are not waited for: no tenant can slow another down.
    /// `others` says that some receivers have kept up.
    pub(crate) async fn wait_for_receivers(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        mut behind: Vec<Arc<Self>>,
        others: bool,
    ) {
        if self.broker.options.drop_above().is_some() {
            return;
        }
        behind.retain(|receiver| !Arc::ptr_eq(receiver, self) && receiver.is_of(tenant));
        let until = Instant::now() + STALL_MAX;
        let hard = self.max_pending() / 4 * 3;
        let mut waited = false;
        for receiver in behind {
            let left = until.saturating_duration_since(Instant::now());
            if left > Duration::ZERO {
                waited |= receiver.outbound.wait_for_room(left, hard, others).await;
            }
        }
        if waited {
            self.traffic.stalled.fetch_add(1, Ordering::Relaxed);
            self.broker.stalled.fetch_add(1, Ordering::Relaxed);
        }
    }
}
