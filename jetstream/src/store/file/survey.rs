//! What a stream's folder holds, found without changing anything in it; and the repairs that lose nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::super::{State, StoreError};
use super::disk::{Disk as _, RealDisk, io_error};
use super::glass::{Glass, Thorough};
use super::record::FIRST;
use super::scan::{Found, filled, scan};
use super::segment::{Segment, Table};
use super::stamp::{self, Origin};
use super::whole::{self, Keys};
use super::{AccountKey, FileOptions, checkpoint, describe, journal, recover};

/// Bytes of a file that are no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where they begin.
    pub from: u64,
    /// Where they end.
    pub to: u64,
    /// The message that they were, if that can still be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// The end of a file that a crash tore: nothing was promised of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Torn {
    /// The file.
    pub file: String,
    /// Where what is whole ends.
    pub at: u64,
    /// Bytes behind that.
    pub bytes: u64,
}

/// What a stream's folder holds.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Its description.
    pub description: Vec<u8>,
    /// Its messages.
    pub state: State,
    /// Files with messages, and their bytes.
    pub segments: usize,
    /// Bytes of all its files, without the room that is written ahead of records.
    pub disk_bytes: u64,
    /// Files are encrypted.
    pub encrypted: bool,
    /// Its consumers.
    pub consumers: Vec<String>,
    /// Sequences that damage took.
    pub lost: Vec<u64>,
    /// Bytes that damage took.
    pub lost_bytes: u64,
    /// Where.
    pub damage: Vec<Damage>,
    /// Ends that a crash tore.
    pub torn: Vec<Torn>,
    /// Caches that cannot be read.
    pub bad_caches: Vec<String>,
    /// Files that are of no use any more.
    pub leftovers: Vec<String>,
    /// Files that are not this stream's, or were made under another name.
    pub stray: Vec<String>,
    /// How much an opening keeps of files that it cuts off.
    kept: BTreeMap<String, u64>,
}

/// Looks at the stream in the folder `dir`.
///
/// # Errors
///
/// As opening it has; nothing was touched.
pub fn survey(dir: &Path, key: Option<&AccountKey>) -> Result<Survey, StoreError> {
    let stream = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let keys = Keys { key: key.cloned(), stream };
    let glass = Glass::default();
    let notes = glass.notes.clone();
    let options = FileOptions { key: key.cloned(), ..FileOptions::default() };
    let opened = recover::open(Arc::new(glass), dir, &options)?;
    let names = RealDisk.list(dir).map_err(io_error("list", dir))?;
    let (lost, lost_bytes) = opened.store.lost();
    let mut survey = Survey {
        description: opened.description,
        state: opened.store.state(),
        disk_bytes: names.iter().map(|(_, len)| len).sum(),
        consumers: opened.consumers.into_iter().map(|(name, _)| name).collect(),
        lost,
        lost_bytes,
        ..Survey::default()
    };
    let name_of = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    {
        let notes = notes.lock();
        for (path, at) in &notes.cuts {
            survey.cut(path, name_of(path), *at)?;
        }
        survey.leftovers.extend(notes.removals.iter().map(|path| name_of(path)));
    }
    // Whatever it does on its way out stays behind the glass.
    drop(opened.store);
    let segments: Vec<Segment> = names.iter().filter_map(|(name, len)| Segment::of_name(name, *len)).collect();
    survey.stray.extend(stamp::foreign(&RealDisk, dir, &keys, &segments, |_| true)?);
    for (name, len) in &names {
        survey.look_at(dir, &keys, name, *len)?;
    }
    Ok(survey)
}

impl Survey {
    /// Something is wrong.
    pub fn has_damage(&self) -> bool {
        !self.damage.is_empty() || !self.lost.is_empty() || self.lost_bytes > 0
    }

    /// An opening would cut the file off at `at`: what is behind that is torn, or room.
    fn cut(&mut self, path: &Path, file: String, at: u64) -> Result<(), StoreError> {
        let bytes = RealDisk.read(path).map_err(io_error("read", path))?;
        let filled = filled(&bytes).max(at);
        self.disk_bytes = self.disk_bytes.saturating_sub((bytes.len() as u64).saturating_sub(filled));
        self.kept.insert(file.clone(), at);
        if filled > at {
            self.torn.push(Torn { file, at, bytes: filled - at });
        }
        Ok(())
    }

    fn look_at(&mut self, dir: &Path, keys: &Keys, name: &str, len: u64) -> Result<(), StoreError> {
        if self.stray.iter().any(|stray| stray == name) {
            return Ok(());
        }
        if let Some(segment) = Segment::of_name(name, len) {
            self.segments += 1;
            self.encrypted |= segment.encrypted;
            return self.scan(dir, keys, &segment);
        }
        let is_table = name.strip_suffix(".table").is_some();
        if is_table || name == checkpoint::FILE {
            let read = whole::read(&RealDisk, &dir.join(name), keys);
            let is_good = read.is_ok_and(|(_, content)| !is_table || Table::decode(&content).is_some());
            if !is_good {
                self.bad_caches.push(name.to_owned());
            }
            return Ok(());
        }
        if let Some((_, salt, _)) = journal::of_name(name) {
            if stamp::origin(&RealDisk, dir, keys, name, &salt)? == Origin::Copied {
                self.stray.push(name.to_owned());
            }
            return Ok(());
        }
        let is_consumer = name.starts_with("consumer-") && name.strip_suffix(".desc").is_some();
        let is_consumer = is_consumer || name.strip_suffix(super::shelf::SUFFIX).is_some();
        let is_ours = name == describe::STREAM_FILE || is_consumer;
        if !is_ours && !self.leftovers.iter().any(|leftover| leftover == name) {
            self.stray.push(name.to_owned());
        }
        Ok(())
    }

    fn scan(&mut self, dir: &Path, keys: &Keys, segment: &Segment) -> Result<(), StoreError> {
        let (path, file) = (segment.path(dir), segment.name());
        let format = segment.format(keys).ok_or_else(|| StoreError::Key { path: path.display().to_string() })?;
        let bytes = Bytes::from(RealDisk.read(&path).map_err(io_error("read", &path))?);
        let damage = &mut self.damage;
        let end = scan(&format, &bytes, FIRST.min(bytes.len() as u64), &mut |found| {
            if let Found::Damage { from, to, seq } = found {
                damage.push(Damage { file: file.clone(), from, to, seq });
            }
        });
        let to = self.kept.get(&file).copied().unwrap_or(bytes.len() as u64);
        if end < to {
            self.damage.push(Damage { file, from: end, to, seq: None });
        }
        Ok(())
    }
}

/// Copies what is damaged to the folder `to`, so that it is there when the files are written anew one day. Gives how
/// many copies were made; those that are there already are left alone.
///
/// # Errors
///
/// [`StoreError::Io`].
pub fn quarantine(dir: &Path, survey: &Survey, to: &Path) -> Result<usize, StoreError> {
    let mut made = 0;
    for one in &survey.damage {
        let copy = to.join(format!("{}@{}-{}", one.file, one.from, one.to));
        if copy.exists() {
            continue;
        }
        fs::DirBuilder::new().recursive(true).create(to).map_err(io_error("create", to))?;
        let path = dir.join(&one.file);
        let bytes = RealDisk.read(&path).map_err(io_error("read", &path))?;
        let damaged = bytes.get(one.from as usize..one.to as usize).unwrap_or_default();
        let write = || {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy)?;
            file.write_all(damaged)?;
            file.sync_all()
        };
        write().map_err(io_error("write", &copy))?;
        made += 1;
    }
    Ok(made)
}

/// Does what an opening does: cuts off what a crash tore, takes away what is of no use, makes caches anew. What is
/// damaged stays where it is and is skipped.
///
/// # Errors
///
/// As opening the stream has.
pub fn mend(dir: &Path, key: Option<&AccountKey>, survey: &Survey) -> Result<(), StoreError> {
    for cache in &survey.bad_caches {
        let path = dir.join(cache);
        RealDisk.remove(&path).map_err(io_error("remove", &path))?;
    }
    let options = FileOptions { key: key.cloned(), ..FileOptions::default() };
    let mut opened = recover::open(Arc::new(Thorough), dir, &options)?;
    if let Some(sync) = opened.store.flush()? {
        sync.run()?;
    }
    Ok(())
}
