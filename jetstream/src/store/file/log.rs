//! A file that grows: records are encoded into a buffer, and written together.
//!
//! Zeros are written ahead of them as *room*, so that a sync concerns data alone: a file that grows makes the file system
//! write down its length each time, which takes many times as long. Room grows with the file, up to a bound, and is cut
//! off when the file is finished. A crash leaves it. It is told from everything else by what it is: zeros up to the end
//! of the last file, where no record begins. A torn record is not only zeros, or nothing of it was written. That nothing
//! promised is taken for room, the [mark](super::mark) and the checkpoint see to.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::disk::{Disk, DiskFile};
use super::mark::{self, Mark};
use super::record::{FIRST, Format, New, Record};

/// Emptied buffers that the process keeps, and the largest of them: files that nothing is added to hold none.
const SPARE_MAX: usize = 2;
const SPARE_BYTES: usize = 2 << 20;
/// What fills less than this part of its buffer is copied out of it, to be kept.
const SPARSE: usize = 4;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// How much of what was written last is kept to be read without the disk.
const RECENT_BYTES: usize = 512 << 10;
/// Files below this get no room: many small streams take no more than they hold.
const ROOM_FROM: u64 = 4 << 10;
/// Room is written by pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The end of a file.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) format: Arc<Format>,
    /// How much of it the operating system has.
    written: u64,
    buffer: Vec<u8>,
    recent: VecDeque<(u64, Bytes)>,
    recent_bytes: usize,
    ahead: Ahead,
    /// Up to here there is room.
    prepared: u64,
    /// The file may be as long as this.
    reached: u64,
}

/// How much room a file gets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    /// At first. Later as much as the file has.
    pub(crate) first: u64,
    /// At most; 0 for none.
    pub(crate) most: u64,
    /// The file will not grow beyond this, or not much.
    pub(crate) bound: u64,
}

impl Log {
    /// A new file, which begins with `header`.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        format: Arc<Format>,
        header: [u8; FIRST as usize],
        ahead: Ahead,
    ) -> io::Result<Self> {
        let file = disk.open(path, true)?;
        let buffer = header.to_vec();
        let recent = VecDeque::new();
        Ok(Self { file, format, written: 0, buffer, recent, recent_bytes: 0, ahead, prepared: 0, reached: 0 })
    }

    /// Where the next record will stand.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// It holds no record.
    pub(crate) fn is_fresh(&self) -> bool {
        self.end() == FIRST
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a record; gives where it stands.
    pub(crate) fn push(&mut self, new: &New<'_>) -> u64 {
        let at = self.end();
        if self.buffer.capacity() == 0 {
            self.buffer = SPARE.lock().pop().unwrap_or_default();
        }
        self.format.encode(&mut self.buffer, at, new);
        at
    }

    /// Hands what waits to the operating system; what it does not take waits on.
    pub(crate) fn write(&mut self) -> io::Result<bool> {
        if self.buffer.is_empty() {
            return Ok(false);
        }
        self.file.write_at(&self.buffer, self.written)?;
        let size = self.buffer.len();
        let written = if size < self.buffer.capacity() / SPARSE {
            let copy = Bytes::copy_from_slice(&self.buffer);
            spare(std::mem::take(&mut self.buffer));
            copy
        } else {
            Bytes::from(std::mem::take(&mut self.buffer))
        };
        self.recent.push_back((self.written, written));
        self.recent_bytes += size;
        self.written += size as u64;
        while self.recent_bytes > RECENT_BYTES {
            let Some((_, gone)) = self.recent.pop_front() else { break };
            self.recent_bytes -= gone.len();
            recycle(gone);
        }
        if self.written > self.prepared {
            self.prepare();
        }
        Ok(true)
    }

    /// Writes room. Where there is none to be had, the file grows by its records from now on.
    fn prepare(&mut self) {
        let Ahead { first, most, bound } = self.ahead;
        self.prepared = self.written;
        let wanted = self.written.max(first).min(most).min(bound.saturating_sub(self.written));
        if wanted == 0 || self.written.max(first) < ROOM_FROM.min(most) {
            return;
        }
        let end = self.written + wanted;
        self.reached = end;
        while self.prepared < end {
            let len = (end - self.prepared).min(ZEROS.len() as u64);
            let piece = ZEROS.get(..len as usize).unwrap_or_default();
            if self.file.write_at(piece, self.prepared).is_err() {
                // What it took of a full disk is given back; if not now, then when the file is finished.
                let _ = self.finish();
                return;
            }
            self.prepared += len;
        }
    }

    /// Cuts room off: there will be none any more. Returns whether there was any.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        self.ahead = Ahead::default();
        self.prepared = self.written;
        if self.reached <= self.written {
            return Ok(false);
        }
        self.file.set_len(self.written)?;
        self.reached = self.written;
        Ok(true)
    }

    /// What its header says once all that the operating system has is synced.
    pub(crate) fn mark(&self, last_seq: u64) -> [u8; mark::LEN] {
        Mark { end: self.written, last_seq }.encode(&self.format)
    }

    /// The record at `at`, if it is in memory.
    pub(crate) fn held(&self, at: u64) -> Option<Record> {
        if let Some(offset) = at.checked_sub(self.written) {
            let rest = self.buffer.get(usize::try_from(offset).ok()?..)?;
            let head = self.format.head(rest, at)?;
            let bytes = Bytes::copy_from_slice(rest.get(..head.len as usize)?);
            return self.format.record(&bytes, at);
        }
        let above = self.recent.partition_point(|(start, _)| *start <= at);
        let (start, chunk) = self.recent.get(above.checked_sub(1)?)?;
        let offset = usize::try_from(at - start).ok().filter(|offset| *offset < chunk.len())?;
        self.format.record(&chunk.slice(offset..), at)
    }

    /// Writes over the record at `at`, if it still waits.
    pub(crate) fn overwrite(&mut self, at: u64, bytes: &[u8]) -> bool {
        let Some(offset) = at.checked_sub(self.written).and_then(|offset| usize::try_from(offset).ok()) else {
            // What was read without the disk must not outlive what is on it.
            self.recent.clear();
            self.recent_bytes = 0;
            return false;
        };
        if let Some(place) = self.buffer.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        true
    }
}

/// Keeps a buffer that nobody reads any more.
fn recycle(gone: Bytes) {
    if gone.is_unique() {
        spare(Vec::from(gone));
    }
}

fn spare(mut buffer: Vec<u8>) {
    buffer.clear();
    let mut spare = SPARE.lock();
    if spare.len() < SPARE_MAX && buffer.capacity() <= SPARE_BYTES {
        spare.push(buffer);
    }
}
