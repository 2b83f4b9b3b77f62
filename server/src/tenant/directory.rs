//! All accounts of the broker, and how a changed one takes effect.
//!
//! ```text
//! account JWT -> AccountRecord (verified, compiled: auth-service)
//!             -> install: tenant, its exporters, border of it and of its importers, connections
//! configuration -> ConfiguredAccounts -> configure: the same, for all that differ
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use cordon_accounts::sharing::AccountSharing;
use cordon_auth::account_record::AccountRecord;
use cordon_auth::lookup::{AccountLookup as _, CachedAccounts, LookupError};
use cordon_auth::refusal::Refusal;
use futures_util::future::join_all;
use parking_lot::RwLock;

use crate::border;
use crate::broker::Broker;
use crate::leaf::domain;
use crate::limits::LOOKUPS_AT_ONCE;
use crate::tenant::configured::ConfiguredAccounts;
use crate::tenant::counters::{Counters, Figures};
use crate::tenant::{GLOBAL, Tenant, apply, stand_in};

/// Tells what is built on the broker of accounts whose terms have changed.
pub(super) async fn tell(broker: &Broker, changed: &[Arc<Tenant>]) {
    for (extension, tenant) in changed.iter().filter_map(|tenant| Some((broker.extension()?, tenant))) {
        extension.tenant_changed(tenant).await;
    }
}

/// The accounts that this broker has met.
pub struct Tenants {
    by_name: RwLock<HashMap<AccountName, Arc<Tenant>>>,
    global: Arc<Tenant>,
    system: Option<Arc<Tenant>>,
    accounts: Option<Arc<CachedAccounts>>,
    pub(super) configured: ArcSwapOption<ConfiguredAccounts>,
    /// Changes take effect one after the other. What it guards says who imports from whom, so that a change costs as
    /// much as what depends on it, however many accounts there are.
    pub(super) installing: tokio::sync::Mutex<Importers>,
    /// Traffic of the accounts that were deleted.
    departed: Counters,
}

/// The accounts in force that import from an account, by exporter.
#[derive(Debug, Default)]
pub(super) struct Importers {
    by_exporter: HashMap<AccountName, HashSet<AccountName>>,
}

impl Importers {
    /// `importer` imports from the exporters of `new`, and no longer from those of `old`.
    pub(super) fn replace(&mut self, importer: &AccountName, old: &[AccountName], new: &[AccountName]) {
        for exporter in old {
            if let Some(importers) = self.by_exporter.get_mut(exporter) {
                importers.remove(importer);
                if importers.is_empty() {
                    self.by_exporter.remove(exporter);
                }
            }
        }
        for exporter in new {
            self.by_exporter.entry(exporter.clone()).or_default().insert(importer.clone());
        }
    }

    /// `changed` and whoever imports from them, directly or over others.
    fn depending_on(&self, changed: impl IntoIterator<Item = AccountName>) -> Vec<AccountName> {
        let mut found: Vec<AccountName> = changed.into_iter().collect();
        let mut known: HashSet<AccountName> = found.iter().cloned().collect();
        let mut next = 0;
        while let Some(exporter) = found.get(next).cloned() {
            next += 1;
            for importer in self.by_exporter.get(&exporter).into_iter().flatten() {
                if known.insert(importer.clone()) {
                    found.push(importer.clone());
                }
            }
        }
        found
    }
}

impl Tenants {
    /// Accounts of a broker in operator mode (`accounts`), or of one without (`None`).
    pub fn new(accounts: Option<Arc<CachedAccounts>>, system: Option<AccountName>) -> Self {
        let global = Arc::new(Tenant::new(AccountName::from(GLOBAL), false));
        let system = system.map(|name| Arc::new(Tenant::new(name, true)));
        let both = [Some(global.clone()), system.clone()].into_iter().flatten();
        Self {
            by_name: RwLock::new(both.map(|tenant| (tenant.name.clone(), tenant)).collect()),
            global,
            system,
            accounts,
            configured: ArcSwapOption::empty(),
            installing: tokio::sync::Mutex::default(),
            departed: Counters::default(),
        }
    }

    /// The account of connections that have proved nothing.
    pub fn global(&self) -> Arc<Tenant> {
        self.global.clone()
    }

    /// The system account.
    pub fn system(&self) -> Option<&Arc<Tenant>> {
        self.system.as_ref()
    }

    /// Verified accounts, in operator mode.
    pub fn accounts(&self) -> Option<&Arc<CachedAccounts>> {
        self.accounts.as_ref()
    }

    /// An account that is in use.
    pub fn find(&self, name: &AccountName) -> Option<Arc<Tenant>> {
        self.by_name.read().get(name).cloned()
    }

    /// All accounts in use.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Traffic of all accounts together, of those that were deleted, too.
    pub fn traffic(&self) -> Figures {
        let all = self.by_name.read();
        all.values().fold(self.departed.figures(), |sum, tenant| {
            let figures = tenant.counters.figures();
            Figures {
                in_messages: sum.in_messages + figures.in_messages,
                in_bytes: sum.in_bytes + figures.in_bytes,
                out_messages: sum.out_messages + figures.out_messages,
                out_bytes: sum.out_bytes + figures.out_bytes,
            }
        })
    }

    /// Accounts are told by claims or by a configuration, and others do not exist.
    pub(super) fn knows_accounts(&self) -> bool {
        self.accounts.is_some() || self.configured.load().is_some()
    }

    /// Loads the system account, in operator mode; with a configuration, all its accounts.
    ///
    /// # Errors
    ///
    /// When its claims are there but do not hold. That they are missing is none: they may still
    /// be pushed.
    pub async fn load_system(&self, broker: &Arc<Broker>) -> Result<(), String> {
        if let Some(configured) = self.configured() {
            self.configure(broker, configured).await;
        }
        let (Some(system), Some(accounts)) = (&self.system, &self.accounts) else { return Ok(()) };
        let Ok(key) = system.name.as_str().parse::<AccountKey>() else { return Ok(()) };
        match accounts.account(&key, broker.clock.unix_seconds()).await {
            Ok(record) => self.install(broker, record).await,
            Err(LookupError::Unknown(_)) => self.wait_for_system(broker, accounts, key).await,
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    async fn wait_for_system(&self, broker: &Arc<Broker>, accounts: &Arc<CachedAccounts>, key: AccountKey) {
        let Some(record) = accounts.stand_in(broker.clock.unix_seconds()) else {
            tracing::warn!("the system account `{key}` is not known yet; push its JWT");
            return;
        };
        tracing::warn!(
            "the system account `{key}` is not known yet: until its JWT is pushed, users whom its identity key signed \
             may push claims, and nothing else"
        );
        self.install(broker, record).await;
        broker.tasks.spawn(stand_in::until_known(broker.clone(), accounts.clone(), key));
    }

    /// The account that a principal was accepted for, ready for connections.
    ///
    /// # Errors
    ///
    /// When it went away between authentication and now.
    pub async fn tenant_of(&self, broker: &Arc<Broker>, name: &AccountName) -> Result<Arc<Tenant>, Refusal> {
        let gone = || Refusal::new(Reason::AccountUnknown, "the account is not loaded").in_account(name);
        let Some(accounts) = &self.accounts else {
            return match self.configured() {
                Some(_) => self.find(name).ok_or_else(gone),
                None => Ok(self.get_or_create(broker, name)),
            };
        };
        let key: Result<AccountKey, _> = name.as_str().parse();
        let record = key.ok().and_then(|key| accounts.loaded(&key)).ok_or_else(gone)?;
        let current = self.find(name).filter(|tenant| tenant.record().is_some_and(|old| Arc::ptr_eq(&old, &record)));
        if let Some(tenant) = current {
            return Ok(tenant);
        }
        self.install(broker, record).await;
        // Not made anew where it was deleted meanwhile: nobody would take it away again.
        self.find(name).ok_or_else(gone)
    }

    /// Puts a verified account in force: on itself, its importers and its connections.
    pub async fn install(&self, broker: &Arc<Broker>, record: Arc<AccountRecord>) {
        // Before the turn: whoever is slow to answer holds nobody else up.
        self.load_exporters(&record, broker.clock.unix_seconds()).await;
        let mut importers = self.installing.lock().await;
        let mut changed: Vec<Arc<Tenant>> = Vec::new();
        let mut work = vec![record];
        while let Some(record) = work.pop() {
            // While this waited for its turn a newer record may have come, or the account may have gone.
            let Some(record) = self.newest(record) else { continue };
            let tenant = self.get_or_create(broker, &record.name);
            if tenant.record().is_none_or(|old| !Arc::ptr_eq(&old, &record)) {
                let (old, new) = (exporters(tenant.sharing().as_deref()), exporters(Some(&record.sharing)));
                importers.replace(&tenant.name, &old, &new);
                tenant.set_record(record.clone());
                changed.push(tenant);
            }
            // Also of a record that was put in force by another, who had loaded the exporters of the one before.
            let accounts = self.accounts.iter();
            work.extend(accounts.flat_map(|all| self.missing_exporters(&record).filter_map(|key| all.loaded(&key))));
        }
        self.recompile(broker, &importers, &changed);
        for tenant in &changed {
            apply::to_connections(broker, tenant);
        }
        drop(importers);
        tell(broker, &changed).await;
    }

    fn newest(&self, record: Arc<AccountRecord>) -> Option<Arc<AccountRecord>> {
        match &self.accounts {
            Some(accounts) => accounts.loaded(&record.key),
            None => Some(record),
        }
    }

    /// Takes an account out of force: its connections end, its importers lose what it exported.
    pub async fn remove(&self, broker: &Arc<Broker>, key: AccountKey) {
        self.take_out(broker, key, Reason::AccountExpired, "the account was deleted").await;
    }

    /// As [`Self::remove`], for another reason: the account may come back.
    pub async fn take_out(&self, broker: &Arc<Broker>, key: AccountKey, reason: Reason, detail: &str) {
        let mut importers = self.installing.lock().await;
        if let Some(accounts) = &self.accounts {
            accounts.forget(&key);
        }
        let Some(tenant) = self.find(&AccountName::from(key)) else { return };
        importers.replace(&tenant.name, &exporters(tenant.sharing().as_deref()), &[]);
        tenant.clear_record();
        self.recompile(broker, &importers, std::slice::from_ref(&tenant));
        apply::account_ended(&tenant, reason, detail);
        self.let_go(&tenant.name);
        drop(importers);
        tell(broker, &[tenant]).await;
    }

    /// Called when an account without claims has lost its last connection: if it was deleted, it goes, too.
    pub(super) fn let_go_soon(broker: &Arc<Broker>, name: &AccountName) {
        if !broker.tenants.may_go(name) {
            return;
        }
        let (broker, name) = (broker.clone(), name.clone());
        broker.tasks.clone().spawn(async move {
            let _one_at_a_time = broker.tenants.installing.lock().await;
            broker.tenants.let_go(&name);
        });
    }

    /// Gives back the memory of a deleted account, unless it has connections still or was pushed again. The caller
    /// holds `installing`: claims come only then, and nobody is admitted without.
    pub(super) fn let_go(&self, name: &AccountName) {
        let mut all = self.by_name.write();
        let is_over =
            |tenant: &Arc<Tenant>| tenant.terms().is_none() && tenant.connection_count() + tenant.leaf_count() == 0;
        if !self.may_go(name) || !all.get(name).is_some_and(is_over) {
            return;
        }
        if let Some(tenant) = all.remove(name) {
            let figures = tenant.counters.figures();
            self.departed.received(figures.in_messages, figures.in_bytes);
            self.departed.sent(figures.out_messages, figures.out_bytes);
        }
    }

    /// Only accounts that have claims or are configured can be deleted, and the broker's own are always there.
    fn may_go(&self, name: &AccountName) -> bool {
        let is_own = *name == self.global.name || self.system.as_ref().is_some_and(|system| system.name == *name);
        let is_configured = self.configured.load().as_ref().is_some_and(|all| all.get(name).is_some());
        self.knows_accounts() && !is_own && !is_configured
    }

    /// Acts on the expiry, at `due`, of an account or of one of its imports.
    pub(super) async fn expire(&self, broker: &Arc<Broker>, tenant: &Arc<Tenant>, due: i64) {
        let importers = self.installing.lock().await;
        let now = broker.clock.unix_seconds();
        if tenant.record().is_some_and(|record| record.claims.expires > 0 && record.claims.expires <= now) {
            apply::account_ended(tenant, Reason::AccountExpired, "the account's claims have expired");
        }
        for affected in self.depending_on(&importers, std::slice::from_ref(tenant)) {
            border::compile(broker, &affected);
        }
        apply::watch_expiry(broker, tenant, due);
    }

    /// Compiles the border of `changed` and of all that depend on them anew.
    pub(super) fn recompile(&self, broker: &Arc<Broker>, importers: &Importers, changed: &[Arc<Tenant>]) {
        for tenant in self.depending_on(importers, changed) {
            border::compile(broker, &tenant);
            apply::watch_expiry(broker, &tenant, i64::MIN);
        }
    }

    /// `changed` and whoever imports from them, directly or over others: what one account imports may
    /// close or open a cycle that begins far away.
    fn depending_on(&self, importers: &Importers, changed: &[Arc<Tenant>]) -> Vec<Arc<Tenant>> {
        let names = importers.depending_on(changed.iter().map(|tenant| tenant.name.clone()));
        names.iter().filter_map(|name| self.find(name)).collect()
    }

    /// The exports and imports of an account, for the border.
    pub fn sharing(&self, name: &AccountName) -> Option<Arc<AccountSharing>> {
        self.find(name)?.sharing()
    }

    /// Fetches the exporters that an account imports from, and theirs, as far as they can be had.
    async fn load_exporters(&self, record: &Arc<AccountRecord>, now: i64) {
        let Some(accounts) = &self.accounts else { return };
        let mut asked = HashSet::new();
        let mut work = vec![record.clone()];
        while let Some(importer) = work.pop() {
            let keys: Vec<_> = self.missing_exporters(&importer).filter(|key| asked.insert(*key)).collect();
            for some in keys.chunks(LOOKUPS_AT_ONCE) {
                for found in join_all(some.iter().map(|key| accounts.account(key, now))).await {
                    match found {
                        Ok(exporter) => work.push(exporter),
                        Err(error) => {
                            tracing::debug!(account = %importer.name, "import waits for its exporter: {error}");
                        }
                    }
                }
            }
        }
    }

    /// Exporters of an account that are not in force.
    fn missing_exporters(&self, importer: &AccountRecord) -> impl Iterator<Item = AccountKey> {
        let in_force = |name| self.find(name).is_some_and(|tenant| tenant.record().is_some());
        let exporters = importer.sharing.imports.iter().map(|import| &import.exporter);
        exporters.filter(move |name| !in_force(name)).filter_map(|name| name.as_str().parse().ok())
    }

    /// Ties the accounts to the broker that runs them, before anything else happens.
    pub fn attach(&self, broker: &Arc<Broker>) {
        for tenant in self.all() {
            self.prepare(broker, &tenant);
        }
    }

    fn prepare(&self, broker: &Arc<Broker>, tenant: &Arc<Tenant>) {
        tenant.attach(broker);
        if let Some(system) = &self.system {
            border::system::offer(tenant, system);
        }
        domain::offer(broker, tenant);
    }

    pub(super) fn get_or_create(&self, broker: &Arc<Broker>, name: &AccountName) -> Arc<Tenant> {
        if let Some(tenant) = self.find(name) {
            return tenant;
        }
        let mut all = self.by_name.write();
        let entry = all.entry(name.clone());
        entry
            .or_insert_with(|| {
                let tenant = Arc::new(Tenant::new(name.clone(), false));
                self.prepare(broker, &tenant);
                tenant
            })
            .clone()
    }
}

/// Whom an account imports from.
pub(super) fn exporters(sharing: Option<&AccountSharing>) -> Vec<AccountName> {
    sharing.into_iter().flat_map(|sharing| &sharing.imports).map(|import| import.exporter.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<AccountName> {
        text.split_whitespace().map(AccountName::from).collect()
    }

    fn depending_on(importers: &Importers, changed: &str) -> Vec<AccountName> {
        let mut found = importers.depending_on(names(changed));
        found.sort();
        found
    }

    #[test]
    fn whoever_imports_directly_or_over_others_depends() {
        let mut importers = Importers::default();
        for (importer, exporters) in [("b", "a"), ("c", "b"), ("d", "a x"), ("e", "y"), ("a", "c")] {
            importers.replace(&AccountName::from(importer), &[], &names(exporters));
        }
        let cases = [("a", "a b c d"), ("b", "a b c d"), ("x", "d x"), ("e", "e"), ("y e", "e y"), ("z", "z")];
        for (changed, expected) in cases {
            assert_eq!(depending_on(&importers, changed), names(expected), "{changed}");
        }
    }

    #[test]
    fn what_is_imported_no_longer_leaves_nothing_behind() {
        let mut importers = Importers::default();
        let importer = AccountName::from("b");
        importers.replace(&importer, &[], &names("a x"));
        importers.replace(&importer, &names("a x"), &names("x y"));
        assert_eq!(depending_on(&importers, "a"), names("a"));
        assert_eq!(depending_on(&importers, "y"), names("b y"));
        importers.replace(&importer, &names("x y"), &[]);
        assert!(importers.by_exporter.is_empty());
    }
}
