//! The streams of one account: names, subjects, limits, usage.
//!
//! The node makes one [`Account`] for each account that has JetStream, gives it its limits when they change, and hands it
//! what arrives: pull requests ([`Account::request`]), acknowledgements ([`Account::acknowledge`]), answers to flow control
//! ([`Account::flow`]), API requests ([`crate::api::serve`]) and direct reads ([`Account::direct`]). Messages to store come
//! to [`Stream::take`] directly, by what [`Host::listen`] said.

mod apart;
mod host;
mod inbound;
mod ledger;
mod limits;
mod recover;
mod reserve;
mod settings;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cordon_accounts::name::AccountName;
use cordon_accounts::subject::Pattern;
use cordon_auth::clock::Clock;
use parking_lot::{Mutex, RwLock};

pub use host::{Ear, Hearing, Host, Work};
pub use inbound::PutOff;
pub use ledger::{ByStorage, Calls, Ledger, Totals};
pub use limits::{AccountLimits, Limits};
pub use settings::{BatchLimits, Caps, Settings};

pub(crate) use recover::{file_name, name_of_folder};
pub(crate) use streams::{Description, Found};

use crate::archive::Running;
use crate::port::Port;
use crate::store::file::AccountKey;
use crate::stream::Stream;

/// What an account is made from.
pub struct Setup {
    /// Its name; also the name of its folder.
    pub name: AccountName,
    /// The node's settings.
    pub settings: Arc<Settings>,
    /// What all accounts of the node use.
    pub totals: Arc<Totals>,
    /// The node.
    pub host: Arc<dyn Host>,
    /// The way out into the account.
    pub port: Arc<dyn Port>,
    /// The way out into the system account, for what operators are told.
    pub system: Option<Arc<dyn Port>>,
    /// The time.
    pub clock: Clock,
    /// What it may use.
    pub limits: AccountLimits,
}

/// The streams of one account.
pub struct Account {
    pub(crate) setup: Setup,
    ledger: Arc<Ledger>,
    streams: RwLock<BTreeMap<Arc<str>, Entry>>,
    /// Streams on disk that cannot be opened, and why. They are left as they are.
    offline: RwLock<BTreeMap<String, String>>,
    /// How often each stream was set apart.
    set_apart: Mutex<BTreeMap<String, usize>>,
    /// What its files are encrypted under.
    key: Mutex<Option<AccountKey>>,
    /// Held while a stream is made, changed or deleted.
    changes: Mutex<()>,
    /// Snapshots and restores.
    pub(crate) archives: Running,
    /// It is not served any more.
    ended: AtomicBool,
}

struct Entry {
    stream: Arc<Stream>,
    subjects: Vec<Pattern>,
}

impl Account {
    /// An account without streams; those on disk come back with [`Account::recover`].
    pub fn new(setup: Setup) -> Arc<Self> {
        let ledger = Ledger::new(setup.totals.clone(), setup.settings.clone(), setup.limits.clone());
        Arc::new(Self {
            setup,
            ledger: Arc::new(ledger),
            streams: RwLock::default(),
            offline: RwLock::default(),
            set_apart: Mutex::default(),
            key: Mutex::default(),
            changes: Mutex::default(),
            archives: Running::default(),
            ended: AtomicBool::new(false),
        })
    }

    /// It is not served any more: nothing new begins.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Its name.
    pub fn name(&self) -> &AccountName {
        &self.setup.name
    }

    /// The node's settings.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.setup.settings
    }

    /// What it uses and may use.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Its limits.
    pub fn limits(&self) -> Arc<AccountLimits> {
        self.ledger.limits()
    }

    /// New limits, from now on. What is there already stays.
    pub fn set_limits(&self, limits: AccountLimits) {
        self.ledger.set_limits(limits);
    }

    /// The stream of that name. Cheap: for publishers' threads.
    pub fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams.read().get(name).map(|entry| entry.stream.clone())
    }

    /// The stream that answers `DIRECT.GET` for that name, if one does. Cheap: for publishers' threads. Its
    /// [`Stream::direct_get`] may read from a disk, and is for API workers.
    pub fn direct(&self, name: &str) -> Option<Arc<Stream>> {
        let streams = self.streams.read();
        if let Some(entry) = streams.get(name).filter(|entry| entry.stream.allows_direct()) {
            return Some(entry.stream.clone());
        }
        streams.values().find(|entry| entry.stream.answers_for(name)).map(|entry| entry.stream.clone())
    }

    /// All streams, by name.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        self.streams.read().values().map(|entry| entry.stream.clone()).collect()
    }

    /// Consumers of all streams, but for internal ones.
    pub fn consumers(&self) -> usize {
        self.streams().iter().map(|stream| stream.look(|core| core.consumer_names().len())).sum()
    }

    /// Streams on disk that cannot be opened, and why.
    pub fn offline(&self) -> BTreeMap<String, String> {
        self.offline.read().clone()
    }

    /// Why the stream of that name cannot be opened.
    pub fn offline_reason(&self, name: &str) -> Option<String> {
        self.offline.read().get(name).cloned()
    }
}
