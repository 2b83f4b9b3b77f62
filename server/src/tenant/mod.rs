//! An account as the broker runs it: its interest, its connections, its compiled claims.
//!
//! [`directory::Tenants`] holds all of them. A tenant comes to be when its account is first
//! needed; [`apply`] puts a changed account JWT in force on what is running, and [`configured`] a
//! changed configuration. What either says of an account is compiled into its [`Terms`].

pub mod apply;
pub mod configured;
pub mod counters;
pub mod directory;
mod stand_in;
mod terms;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use cordon_accounts::sharing::AccountSharing;
use cordon_accounts::subject::{MapOutcome, Mappings};
use cordon_auth::account_record::AccountRecord;
use cordon_auth::principal::Principal;
use cordon_auth::standing;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::border::{self, Crossings};
use crate::broker::Broker;
use crate::connection::Connection;
use crate::routing::Batch;
use crate::routing::interest::Interest;
use crate::tenant::counters::Counters;
use crate::tenant::directory::Tenants;

pub use terms::{JetStreamTerms, Terms};

/// The account that connections belong to before they have proved anything.
pub const GLOBAL: &str = "$G";

/// One account.
pub struct Tenant {
    /// Its name: the public key in operator mode.
    pub name: AccountName,
    /// Its subscriptions.
    pub interest: Interest,
    /// Its figures.
    pub counters: Counters,
    /// What crosses its border.
    pub crossings: Crossings,
    record: ArcSwapOption<AccountRecord>,
    terms: ArcSwapOption<Terms>,
    /// Mappings that the broker makes besides those of the terms.
    made: ArcSwapOption<Mappings>,
    mapped: AtomicBool,
    traced: AtomicBool,
    system: bool,
    connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
    leafs: Mutex<BTreeMap<u64, Arc<Connection>>>,
    loop_mark: OnceLock<Box<[u8]>>,
    expiry: Mutex<Option<AbortHandle>>,
    broker: OnceLock<Weak<Broker>>,
}

/// Why a principal is not let into its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdmissionRefused {
    /// The account has as many connections as it may.
    Full,
    /// The account no longer accepts the principal.
    NoLonger(Reason),
}

impl Tenant {
    pub(super) fn new(name: AccountName, system: bool) -> Self {
        Self {
            name,
            interest: Interest::new(),
            counters: Counters::default(),
            crossings: Crossings::default(),
            record: ArcSwapOption::empty(),
            terms: ArcSwapOption::empty(),
            made: ArcSwapOption::empty(),
            mapped: AtomicBool::new(false),
            traced: AtomicBool::new(false),
            system,
            connections: Mutex::default(),
            leafs: Mutex::default(),
            loop_mark: OnceLock::new(),
            expiry: Mutex::default(),
            broker: OnceLock::new(),
        }
    }

    pub(super) fn attach(&self, broker: &Arc<Broker>) {
        // Only the first call matters: a tenant never moves to another broker.
        let _first = self.broker.set(Arc::downgrade(broker));
    }

    /// The broker it runs in; `None` once that is gone.
    pub fn broker(&self) -> Option<Arc<Broker>> {
        self.broker.get()?.upgrade()
    }

    /// It is the system account: `$SYS.>` of the whole broker.
    pub fn is_system(&self) -> bool {
        self.system
    }

    /// Its verified claims; `None` outside operator mode.
    pub fn record(&self) -> Option<Arc<AccountRecord>> {
        self.record.load_full()
    }

    /// Name that people gave it.
    pub fn display_name(&self) -> String {
        self.record().map(|record| record.claims.name.clone()).unwrap_or_default()
    }

    /// What it may do and shares, whether by its claims or by the configuration.
    pub fn terms(&self) -> Option<Arc<Terms>> {
        self.terms.load_full()
    }

    pub(super) fn set_record(&self, record: Arc<AccountRecord>) {
        let mut terms = Terms::of_record(&record);
        if self.system {
            terms.sharing = Arc::new(border::system::with_exports(&terms.sharing));
        }
        self.set_terms(Arc::new(terms));
        self.record.store(Some(record));
    }

    pub(super) fn set_terms(&self, terms: Arc<Terms>) {
        self.interest.with_ledger(|ledger| {
            terms.mappings.sources().for_each(|source| ledger.own(source, true));
            self.terms
                .load()
                .iter()
                .flat_map(|old| old.mappings.sources())
                .for_each(|source| ledger.own(source, false));
        });
        self.mapped.store(!terms.mappings.is_empty() || self.made.load().is_some(), Ordering::Release);
        self.traced.store(terms.trace.is_some(), Ordering::Release);
        self.terms.store(Some(terms));
    }

    /// Maps by `made` what the mappings of the account leave as it is; `None` takes that back.
    pub fn set_made_mappings(&self, made: Option<Arc<Mappings>>) {
        let before = self.made.swap(made.clone());
        self.interest.with_ledger(|ledger| {
            made.iter().flat_map(|new| new.sources()).for_each(|source| ledger.own(source, true));
            before.iter().flat_map(|old| old.sources()).for_each(|source| ledger.own(source, false));
        });
        let own = self.terms.load().as_ref().is_some_and(|terms| !terms.mappings.is_empty());
        self.mapped.store(own || made.is_some(), Ordering::Release);
    }

    pub(super) fn clear_record(&self) {
        self.interest.with_ledger(|ledger| {
            self.terms
                .load()
                .iter()
                .flat_map(|old| old.mappings.sources())
                .for_each(|source| ledger.own(source, false));
        });
        self.mapped.store(self.made.load().is_some(), Ordering::Release);
        self.traced.store(false, Ordering::Release);
        self.terms.store(None);
        self.record.store(None);
    }

    /// Its exports and imports.
    pub fn sharing(&self) -> Option<Arc<AccountSharing>> {
        self.terms.load().as_ref().map(|terms| terms.sharing.clone())
    }

    /// Published subjects may be mapped to others.
    #[inline]
    pub fn has_mappings(&self) -> bool {
        self.mapped.load(Ordering::Acquire)
    }

    /// Messages with a sampled `traceparent` may be reported on.
    #[inline]
    pub fn has_trace(&self) -> bool {
        self.traced.load(Ordering::Relaxed)
    }

    /// What the account's mappings make of a subject.
    pub fn map(&self, subject: &[u8], batch: &mut Batch) -> MapOutcome {
        let by_terms = self
            .terms
            .load()
            .as_ref()
            .map_or(MapOutcome::Unchanged, |terms| terms.mappings.map(subject, |bound| batch.draw(bound)));
        match (by_terms, &*self.made.load()) {
            (MapOutcome::Unchanged, Some(made)) => made.map(subject, |bound| batch.draw(bound)),
            (outcome, _) => outcome,
        }
    }

    /// Limits it puts on each of its connections.
    pub fn limits(&self) -> ConnectionLimits {
        self.terms.load().as_ref().map_or(ConnectionLimits::UNLIMITED, |terms| terms.limits)
    }

    /// Most connections it may have; `None` without bound.
    pub fn max_connections(&self) -> Option<u32> {
        self.terms.load().as_ref().and_then(|terms| terms.max_connections)
    }

    /// Most leaf nodes it may have; `None` without bound.
    pub fn max_leafs(&self) -> Option<u32> {
        self.terms.load().as_ref().and_then(|terms| terms.max_leafnodes)
    }

    /// The subject by which a leaf connection that leads back here is found: this account's in this broker alone.
    pub fn loop_mark(&self) -> &[u8] {
        self.loop_mark.get_or_init(|| format!("$LDS.{}", nuid::next()).into_bytes().into())
    }

    /// Subjects that it takes from leaf nodes without having subscriptions for them.
    pub fn own_subjects(&self) -> Vec<Box<[u8]>> {
        let mut own = vec![self.loop_mark().into()];
        own.extend(self.terms.load().iter().flat_map(|terms| terms.mappings.sources()).map(Box::from));
        own.extend(self.made.load().iter().flat_map(|made| made.sources()).map(Box::from));
        own
    }

    /// Takes a connection in, if the account as it is now has room and accepts the principal.
    ///
    /// # Errors
    ///
    /// [`AdmissionRefused`] says why not.
    pub fn admit(&self, connection: &Arc<Connection>, principal: &Principal, now: i64) -> Result<(), AdmissionRefused> {
        self.admit_to(&self.connections, Self::max_connections, connection, principal, now)
    }

    /// Takes a connection of a leaf node in, as [`Self::admit`] does one of a client: they are counted apart.
    ///
    /// # Errors
    ///
    /// [`AdmissionRefused`] says why not.
    pub fn admit_leaf(
        &self,
        connection: &Arc<Connection>,
        principal: &Principal,
        now: i64,
    ) -> Result<(), AdmissionRefused> {
        self.admit_to(&self.leafs, Self::max_leafs, connection, principal, now)
    }

    fn admit_to(
        &self,
        connections: &Mutex<BTreeMap<u64, Arc<Connection>>>,
        most: fn(&Self) -> Option<u32>,
        connection: &Arc<Connection>,
        principal: &Principal,
        now: i64,
    ) -> Result<(), AdmissionRefused> {
        let mut connections = connections.lock();
        if let Some(record) = self.record.load().as_ref() {
            // Claims that end now have ended: the timer that closes connections has fired already.
            if record.claims.expires > 0 && record.claims.expires <= now {
                return Err(AdmissionRefused::NoLonger(Reason::AccountExpired));
            }
            standing::still_valid(principal, record, now).map_err(|(reason, _)| AdmissionRefused::NoLonger(reason))?;
        } else if self.broker().is_some_and(|broker| broker.tenants.knows_accounts() && self.terms.load().is_none()) {
            // It was deleted since the principal was accepted.
            return Err(AdmissionRefused::NoLonger(Reason::AccountUnknown));
        }
        if most(self).is_some_and(|max| connections.len() >= max as usize) {
            return Err(AdmissionRefused::Full);
        }
        connections.insert(connection.cid, connection.clone());
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps the task that waits for the account, or an import of it, to expire; ends an earlier one.
    pub(super) fn wait_with(&self, task: Option<AbortHandle>) {
        if let Some(earlier) = std::mem::replace(&mut *self.expiry.lock(), task) {
            earlier.abort();
        }
    }

    /// Lets a connection go.
    pub fn release(&self, connection: &Connection) {
        self.connections.lock().remove(&connection.cid);
        self.leafs.lock().remove(&connection.cid);
        if self.connection_count() + self.leaf_count() == 0
            && self.record.load().is_none()
            && let Some(broker) = self.broker()
        {
            Tenants::let_go_soon(&broker, &self.name);
        }
    }

    /// Its connections, oldest first.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.lock().values().cloned().collect()
    }

    /// Its leaf connections, oldest first.
    pub fn leaf_connections(&self) -> Vec<Arc<Connection>> {
        self.leafs.lock().values().cloned().collect()
    }

    /// Number of its leaf connections.
    pub fn leaf_count(&self) -> usize {
        self.leafs.lock().len()
    }

    /// Number of its connections.
    pub fn connection_count(&self) -> usize {
        self.connections.lock().len()
    }
}
