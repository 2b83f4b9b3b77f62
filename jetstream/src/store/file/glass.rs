//! A disk that shows what is there and keeps nothing of what is done to it: for looking at a stream's files as an opening
//! would, without an opening's repairs. What would be done is noted.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, DiskFile, Limits, RealDisk};

/// What would have been done.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Files that would be cut off, and where.
    pub(crate) cuts: Vec<(PathBuf, u64)>,
    /// Files that would be removed.
    pub(crate) removals: Vec<PathBuf>,
}

/// The disk, behind glass.
#[derive(Debug, Default)]
pub(crate) struct Glass {
    pub(crate) notes: Arc<Mutex<Notes>>,
}

impl Disk for Glass {
    fn create_dir(&self, _path: &Path) -> io::Result<bool> {
        Ok(false)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        RealDisk.list(dir)
    }

    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>> {
        let real = if new { None } else { Some(std::fs::File::open(path)?) };
        Ok(Arc::new(GlassFile { path: path.to_owned(), real, notes: self.notes.clone() }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if path.exists() {
            self.notes.lock().removals.push(path.to_owned());
        }
        Ok(())
    }

    fn remove_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn has_background(&self) -> bool {
        false
    }

    fn limits(&self) -> Limits {
        // Caches are not believed: everything is read.
        Limits {
            read_all: u64::MAX,
            checkpoint: u64::MAX,
            shelf: u64::MAX,
            table: u64::MAX,
            journal: u64::MAX,
            ..Limits::default()
        }
    }
}

/// A file of it; without a real one, one that was made and holds nothing.
#[derive(Debug)]
struct GlassFile {
    path: PathBuf,
    real: Option<std::fs::File>,
    notes: Arc<Mutex<Notes>>,
}

impl DiskFile for GlassFile {
    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(real) = &self.real else { return Ok(0) };
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match std::os::unix::fs::FileExt::read_at(real, rest, offset + done as u64)? {
                0 => break,
                read => done += read,
            }
        }
        Ok(done)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.notes.lock().cuts.push((self.path.clone(), len));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.real.as_ref().map_or(Ok(0), |real| Ok(real.metadata()?.len()))
    }
}

/// The disk, but nothing is left to another thread and no cache is believed.
#[derive(Debug)]
pub(crate) struct Thorough;

impl Disk for Thorough {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        RealDisk.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        RealDisk.list(dir)
    }

    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path, new)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn has_background(&self) -> bool {
        false
    }

    fn limits(&self) -> Limits {
        Limits { read_all: u64::MAX, ..Limits::default() }
    }
}
