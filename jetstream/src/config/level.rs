//! What metadata says of the API: the level that an asset needs, and what this server is.
//!
//! `_nats.req.level` is computed and stored with an asset. `_nats.ver` and `_nats.level` are added to what is shown, and
//! never stored (jetstream.md 2.1).

use std::collections::BTreeMap;

use super::{PersistMode, StreamConfig};

/// The level of the API that this server speaks.
pub const API_LEVEL: u32 = 5;

/// The level that an asset needs.
pub const REQUIRED_LEVEL: &str = "_nats.req.level";
const SERVER_VERSION: &str = "_nats.ver";
const SERVER_LEVEL: &str = "_nats.level";

/// The level that a stream of this configuration needs.
pub fn of_stream(config: &StreamConfig) -> u32 {
    if config.allow_batched {
        4
    } else if config.allow_msg_counter
        || config.allow_atomic
        || config.allow_msg_schedules
        || config.persist_mode == PersistMode::Async
    {
        2
    } else {
        u32::from(config.allow_msg_ttl || config.subject_delete_marker_ttl > 0)
    }
}

/// Sets the level that an asset needs, and takes out what is only ever shown.
pub fn stamp(metadata: &mut BTreeMap<String, String>, level: impl std::fmt::Display) {
    strip(metadata);
    metadata.insert(REQUIRED_LEVEL.to_owned(), level.to_string());
}

/// Takes out everything that the server owns: for comparisons.
pub fn strip(metadata: &mut BTreeMap<String, String>) {
    for key in [REQUIRED_LEVEL, SERVER_VERSION, SERVER_LEVEL] {
        metadata.remove(key);
    }
}

/// Adds what is shown of this server.
pub fn show(metadata: &mut BTreeMap<String, String>, version: &str) {
    metadata.insert(SERVER_VERSION.to_owned(), version.to_owned());
    metadata.insert(SERVER_LEVEL.to_owned(), API_LEVEL.to_string());
}

/// The level that stored metadata asks for is one that this server has; a level that is no number is not.
pub fn is_supported(metadata: &BTreeMap<String, String>) -> bool {
    metadata.get(REQUIRED_LEVEL).is_none_or(|level| level.parse::<u32>().is_ok_and(|level| level <= API_LEVEL))
}
