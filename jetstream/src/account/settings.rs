//! What the node's configuration says of JetStream, as its accounts need it.

use std::path::PathBuf;
use std::time::Duration;

use crate::archive::Patience;
use crate::store::file::StorageKey;
use crate::stream::IntakeLimits;

/// Settings of the node; the same for all accounts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that holds `jetstream/`; `None` if nothing is kept in files.
    pub store_dir: Option<PathBuf>,
    /// What files are encrypted under: the storage key, then those that it replaces; none for no encryption.
    pub keys: Vec<StorageKey>,
    /// How often files are synced; `None`: before anything is acknowledged.
    pub sync_interval: Option<Duration>,
    /// The node's JetStream domain.
    pub domain: Option<String>,
    /// Reply subjects of deliveries name domain and account.
    pub long_acks: bool,
    /// The node's name, as advisories tell it.
    pub server: String,
    /// The version that metadata tells of.
    pub version: String,
    /// Requests with unknown fields are refused.
    pub strict: bool,
    /// Most bytes of all streams in memory.
    pub max_memory: u64,
    /// Most bytes of all streams in files.
    pub max_storage: u64,
    /// What waits for a stream.
    pub intake: IntakeLimits,
    /// Longest duplicate window; 0 for none.
    pub max_duplicate_window: i64,
    /// Most messages of any consumer that wait for acknowledgement; 0 for no limit.
    pub max_ack_pending: i64,
    /// Most messages of one pull request; 0 for no limit.
    pub max_request_batch: i64,
    /// How long snapshots and restores wait for the other side.
    pub archives: Patience,
    /// Bounds of batches.
    pub batch: BatchLimits,
    /// What one account may use of what no limit of the protocol bounds.
    pub caps: Caps,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store_dir: None,
            keys: Vec::new(),
            sync_interval: None,
            domain: None,
            long_acks: false,
            server: String::new(),
            version: "2.15.0".to_owned(),
            strict: true,
            max_memory: u64::MAX,
            max_storage: u64::MAX,
            intake: IntakeLimits::default(),
            max_duplicate_window: 0,
            max_ack_pending: 0,
            max_request_batch: 0,
            archives: Patience::default(),
            batch: BatchLimits::default(),
            caps: Caps::default(),
        }
    }
}

/// Bounds of batches (jetstream.md 2.9.2, 2.9.3).
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Open atomic batches of a stream.
    pub atomic_per_stream: usize,
    /// Open atomic batches of the node.
    pub atomic_total: usize,
    /// Messages of an atomic batch.
    pub size: usize,
    /// A batch without news ends after it.
    pub timeout: Duration,
    /// Open fast batches of a stream.
    pub fast_per_stream: usize,
    /// Open fast batches of the node.
    pub fast_total: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            atomic_per_stream: 50,
            atomic_total: 1000,
            size: 1000,
            timeout: Duration::from_secs(10),
            fast_per_stream: 1000,
            fast_total: 50_000,
        }
    }
}

/// What one account may use of what no limit of the protocol bounds.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Ids of messages that a stream remembers; the oldest go first.
    pub ids: usize,
    /// Consumers of all streams together.
    pub consumers: usize,
    /// Streams.
    pub streams: usize,
    /// Schedules of a stream: each takes some 80 bytes of memory.
    pub schedules: usize,
    /// Bytes of all open atomic batches of a stream.
    pub batch_bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { ids: 5_000_000, consumers: 100_000, streams: 100_000, schedules: 1_000_000, batch_bytes: 64 << 20 }
    }
}
