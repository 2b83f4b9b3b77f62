//! The accounts of a configuration file, as one value that is put in force as a whole.
//!
//! To change accounts while the broker runs, read the new file and hand the value over:
//!
//! ```text
//! let configured = config.compile(..)?;                        // users and accounts, both checked
//! broker.replace_identities(Mode::Configured(configured.users));  // who connects from now on
//! broker.tenants.configure(&broker, configured.accounts).await;   // what is connected
//! ```
//!
//! [`Tenants::configure`] compares the new value with the one in force account by account. An account whose [`Terms`]
//! are equal is not touched. Of the others, exports, imports, mappings and limits are exchanged in place, like those of
//! a pushed JWT; accounts that are gone lose their connections. Then every connection is held against the users that
//! are configured now ([`ConfiguredUsers::standing`](cordon_auth::configured::ConfiguredUsers::standing)): it stays with
//! the permissions its user has now, or ends.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cordon_accounts::name::AccountName;

use super::directory::{Tenants, exporters, tell};
use super::{JetStreamTerms, Tenant, Terms, apply};
use crate::broker::Broker;

/// All accounts of a configuration, `$G` and the system account among them.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredAccounts {
    accounts: BTreeMap<AccountName, Arc<Terms>>,
    system: Option<AccountName>,
}

impl ConfiguredAccounts {
    /// These accounts. `$G`, and the system account if there is one, are added if they are not among them.
    pub fn new(accounts: impl IntoIterator<Item = Terms>, system: Option<AccountName>) -> Self {
        let mut all: BTreeMap<_, _> = accounts.into_iter().map(|terms| (terms.name.clone(), Arc::new(terms))).collect();
        for name in std::iter::once(AccountName::global()).chain(system.clone()) {
            all.entry(name.clone()).or_insert_with(|| Arc::new(Terms::new(name)));
        }
        // Where nobody made accounts, the one that everybody is in has streams without bound, as in nats-server.
        let is_own = |name: &AccountName| *name == AccountName::global() || system.as_ref() == Some(name);
        if all.keys().all(is_own)
            && let Some(global) = all.get_mut(&AccountName::global())
        {
            Arc::make_mut(global).jetstream.get_or_insert_with(|| Arc::new(JetStreamTerms::unlimited()));
        }
        Self { accounts: all, system }
    }

    /// The system account; `None` if there is none.
    pub fn system(&self) -> Option<&AccountName> {
        self.system.as_ref()
    }

    /// One account.
    pub fn get(&self, name: &AccountName) -> Option<&Arc<Terms>> {
        self.accounts.get(name)
    }

    /// All accounts, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Terms>> {
        self.accounts.values()
    }
}

impl Tenants {
    /// Accounts of a configuration; they are in force once the broker has started.
    pub fn of_configuration(accounts: Arc<ConfiguredAccounts>) -> Self {
        let tenants = Self::new(None, accounts.system().cloned());
        tenants.configured.store(Some(accounts));
        tenants
    }

    /// The accounts of the configuration; `None` in operator mode.
    pub fn configured(&self) -> Option<Arc<ConfiguredAccounts>> {
        self.configured.load_full()
    }

    /// Puts the accounts of a configuration in force, and the users as they are configured now, on everything that is
    /// connected; see the [module](self). Nothing is interrupted that stays as it was.
    ///
    /// The system account stays the one that the broker was started with.
    pub async fn configure(&self, broker: &Arc<Broker>, accounts: Arc<ConfiguredAccounts>) {
        let mut importers = self.installing.lock().await;
        self.configured.store(Some(accounts.clone()));
        let mut changed: Vec<Arc<Tenant>> = Vec::new();
        for terms in accounts.all() {
            let tenant = self.get_or_create(broker, &terms.name);
            if tenant.terms().as_ref() != Some(terms) {
                importers.replace(
                    &tenant.name,
                    &exporters(tenant.sharing().as_deref()),
                    &exporters(Some(&terms.sharing)),
                );
                tenant.set_terms(terms.clone());
                changed.push(tenant);
            }
        }
        let gone: Vec<_> = self.all().into_iter().filter(|tenant| accounts.get(&tenant.name).is_none()).collect();
        for tenant in &gone {
            importers.replace(&tenant.name, &exporters(tenant.sharing().as_deref()), &[]);
            tenant.clear_record();
        }
        changed.extend(gone.iter().cloned());
        self.recompile(broker, &importers, &changed);
        for tenant in &gone {
            apply::account_unconfigured(tenant);
            self.let_go(&tenant.name);
        }
        let gone: HashSet<_> = gone.iter().map(|tenant| &tenant.name).collect();
        for tenant in self.all().iter().filter(|tenant| !gone.contains(&tenant.name)) {
            apply::to_connections(broker, tenant);
        }
        drop(importers);
        tell(broker, &changed).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Terms {
        Terms::new(name.into())
    }

    #[test]
    fn the_accounts_that_every_broker_has_are_added() {
        let accounts = ConfiguredAccounts::new([named("A")], Some(AccountName::system()));
        let names: Vec<_> = accounts.all().map(|terms| terms.name.to_string()).collect();
        assert_eq!(names, ["$G", "$SYS", "A"]);
        assert!(ConfiguredAccounts::new([named("A")], None).get(&AccountName::system()).is_none());
    }

    #[test]
    fn the_global_account_has_streams_by_itself_only_while_nobody_made_another() {
        let of_global = |names: &[&str], system: bool| {
            let accounts =
                ConfiguredAccounts::new(names.iter().map(|name| named(name)), system.then(AccountName::system));
            accounts.get(&AccountName::global()).unwrap().jetstream.is_some()
        };
        for (names, system, expected) in [
            (&[][..], false, true),
            (&[], true, true),
            (&["$SYS"], true, true),
            (&["A"], false, false),
            (&["A"], true, false),
        ] {
            assert_eq!(of_global(names, system), expected, "{names:?}");
        }
    }

    #[test]
    fn terms_are_equal_until_something_in_them_differs() {
        let bounded = Terms { max_connections: Some(3), ..named("A") };
        let all = |terms: &[&Terms]| ConfiguredAccounts::new(terms.iter().copied().cloned(), None);
        assert_eq!(all(&[&named("A")]), all(&[&named("A")]));
        assert_ne!(all(&[&named("A")]), all(&[&bounded]));
        assert_ne!(all(&[&named("A")]), all(&[&named("A"), &named("B")]));
    }
}
