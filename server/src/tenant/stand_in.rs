//! Waiting for the system account while something stands in for it.

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::key::AccountKey;
use cordon_auth::lookup::CachedAccounts;

use crate::broker::Broker;

/// How often the system account is looked for: as often as nats-server does.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks for the account until its own claims are in force: pushed, or found elsewhere.
pub(super) async fn until_known(broker: Arc<Broker>, accounts: Arc<CachedAccounts>, key: AccountKey) {
    while accounts.loaded(&key).is_some_and(|record| record.stands_in) {
        tokio::select! {
            () = broker.stopping.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Some(record) = accounts.replace_stand_in(key, broker.clock.unix_seconds()).await {
            broker.tenants.install(&broker, record).await;
        }
    }
    if accounts.loaded(&key).is_some() {
        tracing::info!(account.key = %key, "the system account is known now");
    }
}
