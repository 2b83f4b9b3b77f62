//! All that streams ask of a disk: so small that a test can put one in its place that loses, tears and refuses.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::super::StoreError;

/// A file system. What was done is there after a loss of power once the file, and for names the directory, was synced.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a directory for its owner alone; one that is there is none the worse. Returns whether it was made.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;
    /// The names in a directory, with the sizes of files.
    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>>;
    /// Opens a file to read and write; with `new`, one that must not be there yet, for its owner alone.
    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// All of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Puts a file, or a directory, in the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a file away; one that is not there is none the worse.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Takes a directory away with all that is in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes names that came and went in a directory last.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Work that nobody waits for is done by another thread; else at once.
    fn has_background(&self) -> bool {
        true
    }
    /// From which sizes on caches are worth it.
    fn limits(&self) -> Limits {
        Limits::default()
    }
}

/// From which sizes on caches are worth it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A stream of at most so many bytes is read as a whole when it is opened, so that damage shows at once.
    pub(crate) read_all: u64,
    /// At least so much is logged between two checkpoints.
    pub(crate) checkpoint: u64,
    /// Segments below this have no table on disk: reading them is as fast.
    pub(crate) table: u64,
    /// A journal whose entries take no more is never asked to give way to snapshots.
    pub(crate) journal: u64,
    /// Segments of no more bytes are not written anew for what is dead in them.
    pub(crate) rewrite: u64,
    /// At most so much room is written ahead of the records of a file that is synced often.
    pub(crate) ahead: u64,
    /// From so many messages on, a part of the index is in a file.
    pub(crate) shelf: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_all: 16 << 20,
            checkpoint: 32 << 20,
            table: 256 << 10,
            journal: 1 << 20,
            rewrite: 4 << 10,
            ahead: 4 << 20,
            shelf: 100_000,
        }
    }
}

/// An open file.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads into `bytes` from `offset` until it is full or the file ends; how much there was.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes what was written last.
    fn sync(&self) -> io::Result<()>;
    /// Cuts it off.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// How long it is.
    fn len(&self) -> io::Result<u64>;
}

/// Names what failed.
pub(crate) fn io_error<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { what, path: path.display().to_string(), source }
}

/// The operating system's.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                all.push((name, entry.metadata()?.len()));
            }
        }
        Ok(all)
    }

    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(new);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        File::open(path)?.sync_all()?;
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&self.0, bytes, offset)?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
            offset += written as u64;
        }
        Ok(())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            #[cfg(unix)]
            let read = std::os::unix::fs::FileExt::read_at(&self.0, rest, offset + done as u64);
            #[cfg(windows)]
            let read = std::os::windows::fs::FileExt::seek_read(&self.0, rest, offset + done as u64);
            match read {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
