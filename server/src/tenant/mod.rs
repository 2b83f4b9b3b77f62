//! An account as the broker runs it: its interest, its connections, its compiled claims.
//!
//! [`directory::Tenants`] holds all of them. A tenant comes to be when its account is first
//! needed; [`apply`] puts a changed account JWT in force on what is running.

pub mod apply;
pub mod counters;
pub mod directory;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use cordon_accounts::sharing::AccountSharing;
use cordon_accounts::subject::MapOutcome;
use cordon_auth::account_record::AccountRecord;
use cordon_auth::principal::Principal;
use cordon_auth::standing;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::border::Crossings;
use crate::broker::Broker;
use crate::connection::Connection;
use crate::routing::Batch;
use crate::routing::interest::Interest;
use crate::tenant::counters::Counters;
use crate::tenant::directory::Tenants;

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
    sharing: ArcSwapOption<AccountSharing>,
    mapped: AtomicBool,
    system: bool,
    connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
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
            sharing: ArcSwapOption::empty(),
            mapped: AtomicBool::new(false),
            system,
            connections: Mutex::default(),
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

    pub(super) fn set_record(&self, record: Arc<AccountRecord>) {
        self.mapped.store(!record.mappings.is_empty(), Ordering::Release);
        self.sharing.store(Some(record.sharing.clone()));
        self.record.store(Some(record));
    }

    pub(super) fn clear_record(&self) {
        self.mapped.store(false, Ordering::Release);
        self.sharing.store(None);
        self.record.store(None);
    }

    /// Its exports and imports.
    pub fn sharing(&self) -> Option<Arc<AccountSharing>> {
        self.sharing.load_full()
    }

    /// Published subjects may be mapped to others.
    #[inline]
    pub fn has_mappings(&self) -> bool {
        self.mapped.load(Ordering::Acquire)
    }

    /// What the account's mappings make of a subject.
    pub fn map(&self, subject: &[u8], batch: &mut Batch) -> MapOutcome {
        self.record
            .load()
            .as_ref()
            .map_or(MapOutcome::Unchanged, |record| record.mappings.map(subject, |bound| batch.draw(bound)))
    }

    /// Limits it puts on each of its connections.
    pub fn limits(&self) -> ConnectionLimits {
        self.record.load().as_ref().map_or(ConnectionLimits::UNLIMITED, |record| record.limits)
    }

    /// Most connections it may have; `None` without bound.
    pub fn max_connections(&self) -> Option<u32> {
        self.record.load().as_ref().and_then(|record| record.claims.nats.limits.conn.bound())
    }

    /// Takes a connection in, if the account as it is now has room and accepts the principal.
    ///
    /// # Errors
    ///
    /// [`AdmissionRefused`] says why not.
    pub fn admit(&self, connection: &Arc<Connection>, principal: &Principal, now: i64) -> Result<(), AdmissionRefused> {
        let mut connections = self.connections.lock();
        if let Some(record) = self.record.load().as_ref() {
            // Claims that end now have ended: the timer that closes connections has fired already.
            if record.claims.expires > 0 && record.claims.expires <= now {
                return Err(AdmissionRefused::NoLonger(Reason::AccountExpired));
            }
            standing::still_valid(principal, record, now).map_err(|(reason, _)| AdmissionRefused::NoLonger(reason))?;
        } else if self.broker().is_some_and(|broker| broker.tenants.accounts().is_some()) {
            // It was deleted since the principal was accepted.
            return Err(AdmissionRefused::NoLonger(Reason::AccountUnknown));
        }
        if self.max_connections().is_some_and(|max| connections.len() >= max as usize) {
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
        let is_empty = {
            let mut connections = self.connections.lock();
            connections.remove(&connection.cid);
            connections.is_empty()
        };
        if is_empty
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

    /// Number of its connections.
    pub fn connection_count(&self) -> usize {
        self.connections.lock().len()
    }
}
