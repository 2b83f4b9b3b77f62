//! What was read of segments and may be wanted again: tables of some, and the bytes read last.

use std::sync::Arc;

use bytes::Bytes;

use super::disk::DiskFile;
use super::record::Format;
use super::segment::Table;

/// Bytes of tables that are kept, and how many.
const TABLE_BYTES: usize = 16 << 20;
const TABLES: usize = 64;
/// What is read at a time: a record's beginning somewhere, a record somewhere, and behind what was read last.
const GLANCE: usize = 512;
const NEAR: usize = 4 << 10;
const AHEAD: usize = 256 << 10;

/// A segment by id and generation.
pub(crate) type Name = (u32, u32);

/// A segment that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) format: Arc<Format>,
    pub(crate) table: Arc<Table>,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// The one used last at the end.
    loaded: Vec<(Name, Loaded)>,
    window: Option<Window>,
}

#[derive(Debug)]
struct Window {
    segment: Name,
    at: u64,
    bytes: Bytes,
}

impl Cache {
    pub(crate) fn get(&mut self, name: Name) -> Option<Loaded> {
        let at = self.loaded.iter().rposition(|(other, _)| *other == name)?;
        if at + 1 < self.loaded.len() {
            let found = self.loaded.remove(at);
            self.loaded.push(found);
        }
        self.loaded.last().map(|(_, loaded)| loaded.clone())
    }

    pub(crate) fn put(&mut self, name: Name, loaded: Loaded) {
        self.forget(name);
        self.loaded.push((name, loaded));
        let mut bytes: usize = self.loaded.iter().map(|(_, loaded)| loaded.table.heap()).sum();
        while self.loaded.len() > 1 && (bytes > TABLE_BYTES || self.loaded.len() > TABLES) {
            let (_, gone) = self.loaded.remove(0);
            bytes -= gone.table.heap();
        }
    }

    /// Nothing of this segment is used again.
    pub(crate) fn forget(&mut self, name: Name) {
        self.loaded.retain(|(other, _)| *other != name);
        self.forget_bytes();
    }

    pub(crate) fn forget_bytes(&mut self) {
        self.window = None;
    }

    /// The bytes read last are of this segment.
    pub(crate) fn reads(&self, segment: Name) -> bool {
        self.window.as_ref().is_some_and(|window| window.segment == segment)
    }

    /// The bytes from `at` on that are in memory.
    pub(crate) fn window(&self, segment: Name, at: u64) -> Option<Bytes> {
        let window = self.window.as_ref().filter(|window| window.segment == segment)?;
        let offset = usize::try_from(at.checked_sub(window.at)?).ok()?;
        (offset < window.bytes.len()).then(|| window.bytes.slice(offset..))
    }

    /// How much to read at `at`, all of the record or its beginning: more if somebody reads one record after the other.
    pub(crate) fn reach(&self, segment: Name, at: u64, all: bool) -> usize {
        match self.window.as_ref().filter(|window| window.is_near(segment, at)) {
            Some(window) => (window.bytes.len() * 4).clamp(NEAR, AHEAD),
            None if all => NEAR,
            None => GLANCE,
        }
    }

    /// Keeps what was read; a glance somewhere does not take the place of what somebody reads on from.
    pub(crate) fn set_window(&mut self, segment: Name, at: u64, bytes: Bytes) {
        let is_wanted = |window: &Window| window.bytes.len() > NEAR && !window.is_near(segment, at);
        if bytes.len() > GLANCE || !self.window.as_ref().is_some_and(is_wanted) {
            self.window = Some(Window { segment, at, bytes });
        }
    }
}

impl Window {
    /// What is at `at` is in it, or shortly behind.
    fn is_near(&self, segment: Name, at: u64) -> bool {
        let end = self.at + self.bytes.len() as u64;
        self.segment == segment && at >= self.at && at <= end + NEAR as u64
    }
}
