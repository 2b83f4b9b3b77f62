//! The store of streams in files.
//!
//! ```text
//! <stream>/stream.desc                  description of the stream, replaced as a whole
//!          consumer-<digest>.desc       of a consumer
//!          <id>-<generation>-<base>-<salt>-<plain|sealed>.seg      messages and their removals, one log
//!          <id>-<generation>.table      where in a segment each message is; a cache
//!          <id>-<salt>-<plain|sealed>.journal                      what is not a message
//!          index.checkpoint             the index at one point of the log; a cache
//!          <salt>-<plain|sealed>.shelf  what of the index is not in memory; a cache, and nothing without a checkpoint
//! ```
//!
//! What may be relied on:
//! - What a [`Sync`](super::Sync) ran for is there after a loss of power, in order, once. A batch is there or not.
//! - No sequence is given twice, even if no message is left: each segment's name says where it begins.
//! - Only bytes at the end of the last segment with no record behind them, where nothing was synced yet, are cut off:
//!   that is what a crash leaves, torn records and the room that is written ahead of them ([`log`]). How far was synced
//!   the file's [mark](mark) says. Other bytes that are no record are damage. The file stays as it is, what lies behind is read, and the sequences
//!   are listed in [`Store::lost`](super::Store::lost).
//! - A file that was opened is never added to, and what is rewritten is another file under another salt.
//! - A file that grows knows what it was called when it was made ([`stamp`]). A copy under another name is left alone and
//!   told, and so is a file of another stream. Files of earlier versions do not know.
//! - A removal's record goes only after the file that it is about, and that file's name is synced away first.
//! - A description that cannot be read, or not with this key, is an error before anything is touched.
//!
//! Memory for each stream: the index (see [`index`](super::index)), 100 bytes for each segment, the table of the last
//! segment at 4 bytes for each message in it, some tables of others as they are read (at most 16 MiB), half a
//! megabyte of what was written last, a quarter of what was read last.

mod background;
mod cache;
mod checkpoint;
mod compact;
mod describe;
mod disk;
mod glass;
mod journal;
pub mod key;
mod log;
mod mark;
mod read;
mod record;
mod recover;
mod scan;
mod scrub;
mod seal;
mod segment;
mod shelf;
mod squeeze;
mod stamp;
mod store;
mod survey;
mod sync;
mod upkeep;
mod whole;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::key::{AccountKey, StorageKey};
pub use self::scrub::{Ill, Looked, Sealed};
pub use self::store::FileStore;
pub(crate) use self::store::GONE;
pub use self::survey::{Damage, Survey, Torn, mend, quarantine, survey};

/// When what is written is synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// Before it is acknowledged; what waits during one sync shares the next.
    #[default]
    Always,
    /// So long after it was acknowledged, at the latest: what a loss of power takes.
    Interval(Duration),
    /// As [`SyncMode::Interval`] of two minutes.
    Async,
}

impl SyncMode {
    fn interval(self) -> Option<Duration> {
        match self {
            Self::Always => None,
            Self::Interval(interval) => Some(interval),
            Self::Async => Some(Duration::from_mins(2)),
        }
    }
}

/// How a stream's files are kept.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// When what is written is synced.
    pub sync: SyncMode,
    /// A segment of this many bytes is followed by another.
    pub segment_bytes: u64,
    /// Messages are compressed from now on, see [`Store::compress`](super::Store::compress).
    pub compression: bool,
    /// Encrypts all files under it.
    pub key: Option<AccountKey>,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { sync: SyncMode::Always, segment_bytes: 8 << 20, compression: false, key: None }
    }
}
