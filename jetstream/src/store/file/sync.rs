//! What is written and not synced yet: kept apart from the store, so that it is synced without the stream's lock. And
//! what was synced and is not noted as such in its file yet.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::super::{StoreError, Sync};
use super::compact::Rewritten;
use super::disk::{Disk, DiskFile, io_error};
use super::{background, mark};

/// So long after a sync it is noted in the file, at the latest.
const MARK_AFTER: Duration = Duration::from_secs(1);

/// What a store shares with those who work on its files without its lock.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    dirty: Mutex<Dirty>,
    /// One syncs at a time.
    running: Mutex<()>,
    failed: AtomicBool,
    why: Mutex<String>,
    /// All up to this generation is synced.
    synced: AtomicU64,
    /// Nobody may touch the files any more.
    pub(crate) closed: AtomicBool,
    /// Held while something works on the files without the store's lock.
    pub(crate) working: Mutex<()>,
    /// A sync is due in the background.
    pub(crate) is_due: AtomicBool,
    /// Marks are due in the background.
    is_mark_due: AtomicBool,
    /// Work goes on in the background.
    pub(crate) is_busy: AtomicBool,
    /// What that work came to.
    pub(crate) rewritten: Mutex<Option<Rewritten>>,
    /// Messages that a look through the files found damaged.
    pub(crate) found: Mutex<Vec<u64>>,
}

#[derive(Debug, Default)]
struct Dirty {
    files: Vec<Written>,
    /// What is to be noted in files of what was synced of them.
    marks: Vec<(Arc<dyn DiskFile>, Noted)>,
    /// The generation in which names in the directory changed.
    names: Option<u64>,
    erasures: Vec<Erasure>,
    generation: u64,
}

/// The mark of a file as it is in it.
type Noted = [u8; mark::LEN];

/// A file that was written.
#[derive(Clone, Debug)]
struct Written {
    file: Arc<dyn DiskFile>,
    generation: u64,
    /// How far, as its mark.
    mark: Noted,
}

/// Bytes that are to be overwritten once their removal is synced.
#[derive(Clone, Debug)]
pub(crate) struct Erasure {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self {
            disk,
            dir,
            dirty: Mutex::default(),
            running: Mutex::default(),
            failed: AtomicBool::new(false),
            why: Mutex::default(),
            synced: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            working: Mutex::default(),
            is_due: AtomicBool::new(false),
            is_mark_due: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            rewritten: Mutex::default(),
            found: Mutex::default(),
        }
    }

    /// A file was written, as far as `mark` says; gives the generation that must be synced for it.
    pub(crate) fn wrote(&self, file: &Arc<dyn DiskFile>, mark: Noted) -> u64 {
        let mut dirty = self.dirty.lock();
        dirty.generation += 1;
        let generation = dirty.generation;
        match dirty.files.iter_mut().find(|written| Arc::ptr_eq(&written.file, file)) {
            Some(written) => (written.generation, written.mark) = (generation, mark),
            None => dirty.files.push(Written { file: Arc::clone(file), generation, mark }),
        }
        generation
    }

    /// Names came or went; gives the generation that must be synced for it.
    pub(crate) fn named(&self) -> u64 {
        let mut dirty = self.dirty.lock();
        dirty.generation += 1;
        dirty.names = Some(dirty.generation);
        dirty.generation
    }

    pub(crate) fn erase(&self, erasure: Erasure) {
        let mut dirty = self.dirty.lock();
        dirty.generation += 1;
        dirty.erasures.push(erasure);
    }

    /// The generation that everything so far belongs to.
    pub(crate) fn generation(&self) -> u64 {
        self.dirty.lock().generation
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(crate) fn is_dirty(&self) -> bool {
        let dirty = self.dirty.lock();
        !dirty.files.is_empty() || dirty.names.is_some() || !dirty.erasures.is_empty()
    }

    pub(crate) fn has_erasures(&self) -> bool {
        !self.dirty.lock().erasures.is_empty()
    }

    /// Nothing may be written any more.
    pub(crate) fn fail(&self, why: &StoreError) {
        let mut kept = self.why.lock();
        if kept.is_empty() {
            *kept = why.to_string();
        }
        self.failed.store(true, Ordering::Release);
    }

    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] if a write or sync failed before.
    pub(crate) fn writable(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::ReadOnly(self.why.lock().clone()));
        }
        Ok(())
    }

    /// Syncs everything written so far.
    ///
    /// # Errors
    ///
    /// The first that failed; the store is read-only then.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let _running = self.running.lock();
        self.writable()?;
        self.sync_all().inspect_err(|error| self.fail(error))
    }

    fn sync_all(&self) -> Result<(), StoreError> {
        let (files, names, erasures, generation) = {
            let dirty = self.dirty.lock();
            (dirty.files.clone(), dirty.names, dirty.erasures.clone(), dirty.generation)
        };
        for written in &files {
            written.file.sync().map_err(io_error("sync a file of", &self.dir))?;
        }
        if names.is_some() {
            self.disk.sync_dir(&self.dir).map_err(io_error("sync", &self.dir))?;
        }
        self.overwrite(&erasures)?;
        let mut dirty = self.dirty.lock();
        dirty.files.retain(|written| written.generation > generation);
        for Written { file, mark, .. } in files {
            match dirty.marks.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &file)) {
                Some((_, noted)) => *noted = mark,
                None => dirty.marks.push((file, mark)),
            }
        }
        dirty.names = dirty.names.filter(|at| *at > generation);
        dirty.erasures.drain(..erasures.len());
        self.synced.fetch_max(generation, Ordering::AcqRel);
        Ok(())
    }

    /// Notes in the files how far they were synced. That is not synced itself, and no harm if it fails.
    pub(crate) fn write_marks(&self) {
        let marks = std::mem::take(&mut self.dirty.lock().marks);
        for (file, mark) in marks {
            if let Err(error) = file.write_at(&mark, mark::AT) {
                tracing::debug!(%error, dir = %self.dir.display(), "cannot note how far a file was synced");
            }
        }
    }

    /// Has that done soon.
    fn mark_later(self: &Arc<Self>) {
        if !self.disk.has_background() {
            return self.write_marks();
        }
        if self.is_mark_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(self);
        let note = move || {
            let _working = shared.working.lock();
            shared.is_mark_due.store(false, Ordering::Release);
            if !shared.closed.load(Ordering::Acquire) {
                shared.write_marks();
            }
        };
        background::later(MARK_AFTER, Box::new(note));
    }

    fn overwrite(&self, erasures: &[Erasure]) -> Result<(), StoreError> {
        let mut files: Vec<&Arc<dyn DiskFile>> = Vec::new();
        for erasure in erasures {
            erasure.file.write_at(&erasure.bytes, erasure.at).map_err(io_error("overwrite in", &self.dir))?;
            if !files.iter().any(|file| Arc::ptr_eq(file, &erasure.file)) {
                files.push(&erasure.file);
            }
        }
        for file in files {
            file.sync().map_err(io_error("sync a file of", &self.dir))?;
        }
        Ok(())
    }
}

/// Syncs what a store wrote up to now.
#[derive(Debug)]
pub(crate) struct Group(pub(crate) Arc<Shared>);

impl Sync for Group {
    fn run(self: Box<Self>) -> Result<(), StoreError> {
        self.0.sync()?;
        self.0.mark_later();
        Ok(())
    }
}
