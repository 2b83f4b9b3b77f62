//! Reservation: `max_bytes` of a stream is promised to it (jetstream.md 5.3).

use super::{Account, Limits};
use crate::api::ApiError;
use crate::config::{Storage, StreamConfig};

/// What a stream reserves.
pub(super) fn reserved(config: &StreamConfig) -> u64 {
    u64::try_from(config.max_bytes).unwrap_or(0)
}

/// Negative is no limit.
fn bound(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

impl Account {
    /// The limits of streams with one copy.
    ///
    /// # Errors
    ///
    /// 10120 if there are none.
    pub(crate) fn single_limits(&self) -> Result<Limits, ApiError> {
        self.limits().single().copied().ok_or_else(ApiError::no_limits)
    }

    /// The account may have this stream: its `max_bytes`, which the account's limits and what others reserved allow.
    /// `before` is what the stream reserved until now.
    pub(super) fn check_limits(&self, config: &StreamConfig, before: u64) -> Result<(), ApiError> {
        let limits = self.single_limits()?;
        if config.max_consumers > 0 && limits.max_consumers > 0 && config.max_consumers > limits.max_consumers {
            return Err(ApiError::maximum_consumers());
        }
        if limits.max_bytes_required && config.max_bytes <= 0 {
            return Err(ApiError::stream_max_bytes_required());
        }
        let (most_stream, most, server) = match config.storage {
            Storage::Memory => (limits.memory_max_stream_bytes, limits.max_memory, self.settings().max_memory),
            Storage::File => (limits.storage_max_stream_bytes, limits.max_storage, self.settings().max_storage),
        };
        if most_stream > 0 && config.max_bytes > most_stream {
            return Err(ApiError::stream_max_stream_bytes_exceeded());
        }
        let exceeded = || match config.storage {
            Storage::Memory => ApiError::memory_resources_exceeded(),
            Storage::File => ApiError::storage_resources_exceeded(),
        };
        let wanted = reserved(config).max(1);
        if wanted <= before {
            return Ok(());
        }
        let account = self.ledger().reserved(config.storage).saturating_sub(before);
        let node = self.ledger().node().reserved(config.storage).saturating_sub(before);
        if account.saturating_add(wanted) > bound(most) || node.saturating_add(wanted) > server {
            return Err(exceeded());
        }
        Ok(())
    }
}
