//! What an account may use of JetStream (jetstream.md 5.1, 5.2).

use std::collections::BTreeMap;

use serde::Serialize;

/// Limits of one tier, or of an account without tiers; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Bytes of streams in memory.
    pub max_memory: i64,
    /// Bytes of streams in files.
    pub max_storage: i64,
    /// Streams.
    pub max_streams: i64,
    /// Consumers of one stream.
    pub max_consumers: i64,
    /// Messages of one consumer that wait for acknowledgement.
    pub max_ack_pending: i64,
    /// Largest `max_bytes` of a stream in memory.
    pub memory_max_stream_bytes: i64,
    /// Largest `max_bytes` of a stream in files.
    pub storage_max_stream_bytes: i64,
    /// Streams must have `max_bytes`.
    pub max_bytes_required: bool,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Self = Self {
        max_memory: -1,
        max_storage: -1,
        max_streams: -1,
        max_consumers: -1,
        max_ack_pending: -1,
        memory_max_stream_bytes: -1,
        storage_max_stream_bytes: -1,
        max_bytes_required: false,
    };

    /// What account information shows beside tiers.
    pub const ZERO: Self = Self {
        max_memory: 0,
        max_storage: 0,
        max_streams: 0,
        max_consumers: 0,
        max_ack_pending: 0,
        memory_max_stream_bytes: 0,
        storage_max_stream_bytes: 0,
        max_bytes_required: false,
    };
}

/// Limits of an account: one set for everything, or one for each number of copies (`R1`, `R3`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountLimits {
    /// One set.
    Flat(Limits),
    /// By tier; a stream whose tier is missing is refused (10120).
    Tiered(BTreeMap<String, Limits>),
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self::Flat(Limits::NONE)
    }
}

impl AccountLimits {
    /// The tier of a single node.
    pub const SINGLE: &'static str = "R1";

    /// The limits of streams with one copy; `None` if tiers leave that one out.
    pub fn single(&self) -> Option<&Limits> {
        match self {
            Self::Flat(limits) => Some(limits),
            Self::Tiered(tiers) => tiers.get(Self::SINGLE),
        }
    }
}
