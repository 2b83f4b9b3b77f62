//! What is used and reserved: by one account, and by all of a node together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use super::{AccountLimits, Settings};
use crate::api::ApiError;
use crate::config::Storage;

/// A figure for each kind of storage.
#[derive(Debug, Default)]
pub struct ByStorage {
    memory: AtomicI64,
    file: AtomicI64,
}

impl ByStorage {
    fn of(&self, storage: Storage) -> &AtomicI64 {
        match storage {
            Storage::Memory => &self.memory,
            Storage::File => &self.file,
        }
    }

    /// The figure; never negative.
    pub fn get(&self, storage: Storage) -> u64 {
        u64::try_from(self.of(storage).load(Ordering::Relaxed)).unwrap_or(0)
    }

    fn add(&self, storage: Storage, by: i64) {
        self.of(storage).fetch_add(by, Ordering::Relaxed);
    }
}

/// What all accounts of a node use together.
#[derive(Debug, Default)]
pub struct Totals {
    used: ByStorage,
    reserved: ByStorage,
    /// Open atomic batches.
    pub(crate) atomic_batches: AtomicUsize,
    /// Open fast batches.
    pub(crate) fast_batches: AtomicUsize,
    /// Bytes that wait for streams.
    waiting: AtomicUsize,
    api: Calls,
}

impl Totals {
    /// Bytes stored.
    pub fn used(&self, storage: Storage) -> u64 {
        self.used.get(storage)
    }

    /// Bytes promised to streams by their `max_bytes`.
    pub fn reserved(&self, storage: Storage) -> u64 {
        self.reserved.get(storage)
    }

    /// Bytes that wait for streams, in steps.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// API requests of all accounts.
    pub fn api(&self) -> &Calls {
        &self.api
    }
}

/// API requests.
#[derive(Debug, Default)]
pub struct Calls {
    total: AtomicU64,
    errors: AtomicU64,
}

impl Calls {
    /// All that were counted.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Those that were refused.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    fn count(&self, refused: bool) {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(u64::from(refused), Ordering::Relaxed);
    }
}

/// What one account uses, and what it may use.
#[derive(Debug)]
pub struct Ledger {
    used: ByStorage,
    reserved: ByStorage,
    node: Arc<Totals>,
    settings: Arc<Settings>,
    limits: ArcSwap<AccountLimits>,
    /// The bytes that the limits allow, for publishers: -1 without limit, -2 if there are no limits for a single copy.
    most: ByStorage,
    /// Bytes that wait for streams.
    waiting: AtomicUsize,
    api: Calls,
}

/// In [`Ledger::most`]: no tier covers a stream of one copy.
const NO_TIER: i64 = -2;

impl Ledger {
    /// Nothing used.
    pub(crate) fn new(node: Arc<Totals>, settings: Arc<Settings>, limits: AccountLimits) -> Self {
        let ledger = Self {
            used: ByStorage::default(),
            reserved: ByStorage::default(),
            node,
            settings,
            limits: ArcSwap::from_pointee(AccountLimits::default()),
            most: ByStorage::default(),
            waiting: AtomicUsize::new(0),
            api: Calls::default(),
        };
        ledger.set_limits(limits);
        ledger
    }

    /// The limits now.
    pub fn limits(&self) -> Arc<AccountLimits> {
        self.limits.load_full()
    }

    pub(super) fn set_limits(&self, limits: AccountLimits) {
        let single = limits.single();
        let (memory, file) = single.map_or((NO_TIER, NO_TIER), |limits| (limits.max_memory, limits.max_storage));
        self.most.memory.store(memory, Ordering::Relaxed);
        self.most.file.store(file, Ordering::Relaxed);
        self.limits.store(Arc::new(limits));
    }

    /// Bytes stored.
    pub fn used(&self, storage: Storage) -> u64 {
        self.used.get(storage)
    }

    /// Bytes promised to streams by their `max_bytes`.
    pub fn reserved(&self, storage: Storage) -> u64 {
        self.reserved.get(storage)
    }

    /// API requests.
    pub fn api(&self) -> &Calls {
        &self.api
    }

    /// An API request was answered.
    pub(crate) fn called(&self, refused: bool) {
        self.api.count(refused);
        self.node.api.count(refused);
    }

    /// The node's figures.
    pub(crate) fn node(&self) -> &Arc<Totals> {
        &self.node
    }

    /// The node's settings.
    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// A stream grew or shrank.
    pub(crate) fn moved(&self, storage: Storage, by: i64) {
        self.used.add(storage, by);
        self.node.used.add(storage, by);
    }

    /// A stream's `max_bytes` came, changed or went.
    pub(super) fn reserve(&self, storage: Storage, by: i64) {
        self.reserved.add(storage, by);
        self.node.reserved.add(storage, by);
    }

    /// Bytes that wait for its streams, in steps.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// So many more bytes wait for streams; false, and none do, if that were more than those for the account or the node.
    #[must_use]
    pub(crate) fn hold(&self, bytes: usize, account: usize, node: usize) -> bool {
        let of_account = self.waiting.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let of_node = self.node.waiting.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let held = of_account <= account && of_node <= node;
        if !held {
            self.let_go(bytes);
        }
        held
    }

    /// So many bytes wait no more.
    pub(crate) fn let_go(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.node.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// There is room for another message of `size` bytes.
    ///
    /// # Errors
    ///
    /// 10023 if the node has none, 10002 if the account has none, 10120 without limits for a single copy.
    pub(crate) fn room(&self, storage: Storage, size: u64) -> Result<(), ApiError> {
        let server = match storage {
            Storage::Memory => self.settings.max_memory,
            Storage::File => self.settings.max_storage,
        };
        if self.node.used(storage).saturating_add(size) > server {
            return Err(ApiError::insufficient_resources());
        }
        match self.most.of(storage).load(Ordering::Relaxed) {
            NO_TIER => Err(ApiError::no_limits()),
            most if most >= 0 && self.used(storage).saturating_add(size) > most.unsigned_abs() => {
                Err(ApiError::account_resources_exceeded())
            }
            _ => Ok(()),
        }
    }
}
