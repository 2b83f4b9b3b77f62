//! Parcels of an index in a file, in the place of memory.
//!
//! A cache. The checkpoint says which file is meant and how much of it is on disk; a file that it does not speak of goes
//! when the stream is opened, and without a checkpoint the index is made from the segments. Nothing is written over:
//! a file of which much is of no use any more is followed by another.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;

use super::super::StoreError;
use super::super::index::messages::Shelf;
use super::disk::{DiskFile, io_error};
use super::read::read_some;
use super::record::{FIRST, Format, HEAD, Kind, New};
use super::seal::TAG;
use super::stamp;
use super::sync::Shared;
use super::whole::{self, Keys};

/// How its files' names end.
pub(crate) const SUFFIX: &str = ".shelf";
/// So much is written together.
const BUFFER_BYTES: usize = 128 << 10;
/// So many parcels that were read are kept.
const KEPT: u64 = 64;

/// A file of parcels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) salt: [u8; 16],
    pub(crate) encrypted: bool,
}

impl Name {
    pub(crate) fn file(&self) -> String {
        let kind = if self.encrypted { "sealed" } else { "plain" };
        format!("{}-{kind}{SUFFIX}", HEXLOWER.encode(&self.salt))
    }
}

/// One file; made with the first parcel.
#[derive(Debug)]
pub(crate) struct FileShelf {
    shared: Arc<Shared>,
    keys: Keys,
    inner: Mutex<Inner>,
    /// A parcel could not be read.
    is_broken: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    open: Option<Open>,
    /// Nothing is added any more.
    is_closed: bool,
    /// A checkpoint speaks of it.
    is_known: bool,
    /// Bytes of parcels, and of those that are of no use any more.
    used: u64,
    wasted: u64,
    kept: Vec<Option<(u64, Bytes)>>,
}

#[derive(Debug)]
struct Open {
    name: Name,
    file: Arc<dyn DiskFile>,
    format: Format,
    written: u64,
    buffer: Vec<u8>,
}

impl Open {
    fn write(&mut self) -> std::io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_at(&self.buffer, self.written)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    fn read(&self, at: u64, len: usize) -> Option<Bytes> {
        let bytes = match at.checked_sub(self.written) {
            Some(offset) => Bytes::copy_from_slice(self.buffer.get(usize::try_from(offset).ok()?..)?),
            None => read_some(&self.file, at, HEAD + len + TAG).ok()?,
        };
        let record = self.format.record(&bytes, at).filter(|record| record.head.kind == Kind::Whole)?;
        Some(record.content()).filter(|content| content.len() == len)
    }
}

impl FileShelf {
    /// One without a file as yet.
    pub(crate) fn new(shared: Arc<Shared>, keys: Keys) -> Self {
        Self { shared, keys, inner: Mutex::default(), is_broken: AtomicBool::new(false) }
    }

    /// The file that a checkpoint speaks of, up to `end`; to read from alone. `None` if that much of it is not there.
    pub(crate) fn open(shared: &Arc<Shared>, keys: &Keys, name: Name, end: u64) -> Option<Self> {
        let file = shared.disk.open(&shared.dir.join(name.file()), false).ok()?;
        let format = keys.format(&name.salt, name.encrypted)?;
        // In one go: its parcels are wanted in another order.
        let mut at = 0;
        while at < end {
            let len = BUFFER_BYTES.min(usize::try_from(end - at).ok()?);
            if read_some(&file, at, len).ok()?.len() < len {
                return None;
            }
            at += len as u64;
        }
        let shelf = Self::new(Arc::clone(shared), keys.clone());
        let open = Some(Open { name, file, format, written: end, buffer: Vec::new() });
        *shelf.inner.lock() = Inner { open, is_closed: true, is_known: true, ..Inner::default() };
        Some(shelf)
    }

    /// Its file.
    pub(crate) fn name(&self) -> Option<Name> {
        self.inner.lock().open.as_ref().map(|open| open.name)
    }

    /// A parcel could not be read: the index cannot be believed.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// More than half of it is of no use any more.
    pub(crate) fn is_wasteful(&self) -> bool {
        let inner = self.inner.lock();
        inner.wasted * 2 > inner.used && inner.used > self.shared.disk.limits().rewrite
    }

    /// Hands all of it to the operating system, for a checkpoint that speaks of it; its file, and how long that is.
    pub(crate) fn write(&self) -> std::io::Result<Option<(Name, u64)>> {
        let mut inner = self.inner.lock();
        let Some(open) = &mut inner.open else { return Ok(None) };
        open.write()?;
        let known = (open.name, open.written);
        inner.is_known = true;
        Ok(Some(known))
    }

    /// Syncs what was handed over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let file = self.inner.lock().open.as_ref().map(|open| Arc::clone(&open.file));
        file.map_or(Ok(()), |file| file.sync()).map_err(io_error("sync the index in", &self.shared.dir))
    }

    /// Takes its file away if no checkpoint speaks of it.
    pub(crate) fn discard(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        if let Some(open) = inner.open.as_ref().filter(|_| !inner.is_known) {
            let _ = self.shared.disk.remove(&self.path(open.name));
        }
    }

    fn path(&self, name: Name) -> PathBuf {
        self.shared.dir.join(name.file())
    }

    fn make(&self) -> Option<Open> {
        let name = Name { salt: whole::salt(), encrypted: self.keys.encrypts() };
        let format = self.keys.format(&name.salt, name.encrypted)?;
        let file = self.shared.disk.open(&self.path(name), true).ok()?;
        self.shared.named();
        Some(Open {
            name,
            file,
            format,
            written: 0,
            buffer: whole::header(&name.salt, name.encrypted, stamp::NONE).to_vec(),
        })
    }
}

impl Shelf for FileShelf {
    fn put(&self, bytes: &[u8]) -> Option<u64> {
        let mut inner = self.inner.lock();
        if inner.is_closed || self.shared.closed.load(Ordering::Acquire) || self.shared.writable().is_err() {
            return None;
        }
        if inner.open.is_none() {
            inner.open = self.make();
        }
        let Some(open) = &mut inner.open else {
            inner.is_closed = true;
            return None;
        };
        if open.buffer.len() >= BUFFER_BYTES && open.write().is_err() {
            return None;
        }
        let at = open.written + open.buffer.len() as u64;
        open.format.encode(&mut open.buffer, at, &New::named(Kind::Whole, b"", bytes));
        inner.used += bytes.len() as u64;
        Some(at)
    }

    fn get(&self, at: u64, len: usize) -> Option<Bytes> {
        let mut inner = self.inner.lock();
        let place = (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % KEPT;
        if let Some(Some((_, bytes))) =
            inner.kept.get(place as usize).filter(|kept| kept.as_ref().is_some_and(|(of, _)| *of == at))
        {
            return Some(bytes.clone());
        }
        let found = inner.open.as_ref().filter(|_| at >= FIRST).and_then(|open| open.read(at, len));
        let Some(bytes) = found else {
            if !self.is_broken.swap(true, Ordering::Relaxed) {
                tracing::error!(dir = %self.shared.dir.display(), "a part of the index of a stream cannot be read");
            }
            return None;
        };
        inner.kept.resize(KEPT as usize, None);
        if let Some(kept) = inner.kept.get_mut(place as usize) {
            *kept = Some((at, bytes.clone()));
        }
        Some(bytes)
    }

    fn forget(&self, len: usize) {
        self.inner.lock().wasted += len as u64;
    }
}
