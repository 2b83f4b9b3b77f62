//! Operators, preloaded accounts and pinned ones, exchanged while their users are connected.
//!
//! An operator that comes is believed from then on; accounts of one that goes are cut off, and what is stored of them
//! is believed again should it come back.

use std::collections::HashSet;
use std::sync::Arc;

use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use cordon_auth::account_record::AccountRecord;
use cordon_auth::authenticator::OperatorMode;
use cordon_auth::lookup::CachedAccounts;
use cordon_auth::refusal::ClosePolicy;
use cordon_auth::resolver::{ResolverError, StorePolicy};
use cordon_auth::trust::Trust;

use crate::broker::Broker;
use crate::config::{self, Identities, LoadedConfig, OperatorConfig, StartFailure};
use crate::reload::refusal::ReloadRefusal;
use crate::tenant::apply;

/// The accounts that a configuration brings with it.
#[derive(Debug, Default)]
pub(super) struct Preloaded(HashSet<AccountKey>);

impl Preloaded {
    pub(super) fn of(config: &LoadedConfig) -> Self {
        match &config.identities {
            Identities::Operator(operator) => Self(operator.preload.iter().map(|(key, _)| *key).collect()),
            Identities::Configured(..) => Self::default(),
        }
    }
}

/// Operators and accounts that have been checked, and can be put in force.
pub(super) struct Operators {
    trust: Arc<Trust>,
    preload: Vec<Arc<AccountRecord>>,
    pinned: Option<HashSet<AccountKey>>,
    sentinel: Option<String>,
}

impl Operators {
    /// Checks what is configured; nothing is changed.
    pub(super) fn check(broker: &Broker, config: OperatorConfig) -> Result<Self, ReloadRefusal> {
        let now = broker.clock.unix_seconds();
        let trust = config::trust(&config)?;
        let preload = config.preload.iter().map(|(account, token)| {
            let admitted = trust.admit_account(token, Some(account), now);
            admitted.map_err(|source| StartFailure::Account { account: *account, source })
        });
        let preload = preload.collect::<Result<Vec<_>, _>>()?;
        keep_system_account(broker, &trust, &preload)?;
        let pinned = config.pinned_accounts.map(|keys| keys.into_iter().collect());
        Ok(Self { trust, preload, pinned, sentinel: config.default_sentinel })
    }

    /// Puts them in force, after `before`.
    pub(super) async fn put_in_force(self, broker: &Arc<Broker>, before: &Preloaded) {
        let Some(accounts) = broker.tenants.accounts().cloned() else { return };
        trust(broker, self.trust.clone()).await;
        let listed: HashSet<AccountKey> = self.preload.iter().map(|record| record.key).collect();
        for key in before.0.difference(&listed) {
            if accounts.resolver().forget(key) {
                let detail = "the account is not configured any more";
                broker.tenants.take_out(broker, *key, Reason::AccountUnknown, detail).await;
            }
        }
        self.store(broker, &accounts).await;
        look_again(broker, &accounts).await;
        broker.update_operators(|mode| OperatorMode {
            pinned_accounts: self.pinned.clone(),
            default_sentinel: self.sentinel.clone(),
            ..mode.clone()
        });
        if let Some(pinned) = &self.pinned {
            close_unpinned(broker, pinned);
        }
    }

    /// Stores what is preloaded, unless something newer is there, and puts it in force where it is in use.
    async fn store(&self, broker: &Arc<Broker>, accounts: &Arc<CachedAccounts>) {
        let now = broker.clock.unix_seconds();
        for record in &self.preload {
            let (resolver, offered) = (accounts.resolver().clone(), record.clone());
            let stored = tokio::task::spawn_blocking(move || resolver.store(&offered, StorePolicy::Merge, now)).await;
            if let Ok(Err(error)) = stored {
                tracing::error!(account.key = %record.key, "a preloaded account JWT cannot be stored: {error}");
            }
            if accounts.loaded(&record.key).is_some()
                && let Ok(in_force) = accounts.put(record.clone(), now)
            {
                broker.tenants.install(broker, in_force).await;
            }
        }
    }
}

/// Trusts these operators from now on, in place of those before. Accounts of an operator that is not among them are
/// cut off, and accounts that waited for an exporter of a new one get what they import.
pub async fn trust(broker: &Arc<Broker>, trust: Arc<Trust>) {
    let Some(accounts) = broker.tenants.accounts().cloned() else { return };
    let now = broker.clock.unix_seconds();
    let outcome = accounts.retrust(trust.clone(), now);
    broker.update_operators(|mode| OperatorMode { trust: trust.clone(), ..mode.clone() });
    for (key, error) in &outcome.lost {
        tracing::warn!(account.key = %key, "the account is cut off: {error}");
        let detail = "the operator that signed the account is no longer trusted";
        broker.tenants.take_out(broker, *key, Reason::AccountUntrusted, detail).await;
    }
    for record in outcome.changed {
        broker.tenants.install(broker, record).await;
    }
    for tenant in broker.tenants.all() {
        if let Some(record) = tenant.record().filter(|_| !tenant.crossings.refused().is_empty()) {
            broker.tenants.install(broker, record).await;
        }
    }
}

/// Takes over what others have changed in the resolver's folder.
async fn look_again(broker: &Arc<Broker>, accounts: &Arc<CachedAccounts>) {
    let now = broker.clock.unix_seconds();
    let (loaded, resolver) = (accounts.all_loaded(), accounts.resolver().clone());
    let look = move || {
        let Some(gone_for_good) = resolver.rescan(now)? else { return Ok((false, Vec::new())) };
        let found: Result<Vec<_>, _> =
            loaded.into_iter().map(|record| Ok((resolver.lookup(&record.key)?, record))).collect();
        found.map(|found| (gone_for_good, found))
    };
    let found: Result<_, ResolverError> = match tokio::task::spawn_blocking(look).await {
        Ok(found) => found,
        Err(_) => return,
    };
    let (gone_for_good, found) = match found {
        Ok(found) => found,
        Err(error) => return tracing::error!("the resolver's folder was not looked at anew: {error}"),
    };
    let system = broker.tenants.system().map(|system| &system.name);
    for (token, record) in found {
        match token {
            None if gone_for_good && system != Some(&record.name) => {
                let detail = "the account is not in the resolver's folder any more";
                broker.tenants.take_out(broker, record.key, Reason::AccountUnknown, detail).await;
            }
            Some(token) if token != record.token() => take_over(broker, accounts, &token, &record.key).await,
            _ => {}
        }
    }
}

async fn take_over(broker: &Arc<Broker>, accounts: &CachedAccounts, token: &str, key: &AccountKey) {
    let now = broker.clock.unix_seconds();
    let admitted = accounts.trust().admit_account(token, Some(key), now);
    match admitted.and_then(|record| accounts.put(record, now)) {
        Ok(in_force) => broker.tenants.install(broker, in_force).await,
        Err(error) => tracing::warn!(account.key = %key, "the account's file is not believed: {error}"),
    }
}

/// Without its system account the broker could not be administered: that needs a restart on purpose.
fn keep_system_account(broker: &Broker, trust: &Trust, preload: &[Arc<AccountRecord>]) -> Result<(), ReloadRefusal> {
    let running = broker.tenants.system();
    let before = running.map_or_else(|| "none".to_owned(), |system| system.name.to_string());
    let named = trust.system_account().map(AccountName::from);
    let after = named.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    if before != after {
        return Err(ReloadRefusal::NotLive(vec![super::Change {
            name: "system_account".to_owned(),
            old: Some(before),
            new: Some(after),
            effect: super::Effect::AtStart { field: "SystemAccount" },
        }]));
    }
    let Some(record) = running.and_then(|system| system.record()) else { return Ok(()) };
    if preload.iter().any(|preloaded| preloaded.key == record.key) {
        return Ok(());
    }
    let now = broker.clock.unix_seconds();
    match trust.admit_account(record.token(), Some(&record.key), now) {
        Ok(_) => Ok(()),
        Err(error) => Err(ReloadRefusal::SystemAccount { account: before, cause: error.to_string() }),
    }
}

fn close_unpinned(broker: &Arc<Broker>, pinned: &HashSet<AccountKey>) {
    for tenant in broker.tenants.all() {
        let Ok(key) = AccountKey::parse(tenant.name.as_str()) else { continue };
        if tenant.is_system() || pinned.contains(&key) {
            continue;
        }
        for connection in tenant.connections().into_iter().chain(tenant.leaf_connections()) {
            let detail = "the account is not among the pinned ones any more";
            apply::end(&connection, ClosePolicy::AUTHORIZATION_VIOLATION, Reason::AccountUnknown, detail);
        }
    }
}
