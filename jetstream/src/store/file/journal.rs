//! The journal: what consumers acknowledged and the like, in files of its own beside the segments.
//!
//! A file ends where snapshots begin; it goes when every owner has given a snapshot in a later one.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;

use super::super::{Journalled, STREAM, StoreError};
use super::disk::io_error;
use super::log::{Ahead, Log};
use super::mark::Mark;
use super::record::{FIRST, Kind, New};
use super::scan::{Found, filled, scan};
use super::segment::{NUMBER_END, number};
use super::stamp::{self, Origin};
use super::sync::Shared;
use super::whole::{self, Keys};

/// So many files, each from another start, are.
const FILES_MAX: usize = 16;
/// At most so much room is written ahead of its entries.
const ROOM_MAX: u64 = 512 << 10;
/// Largest entry or snapshot.
const ENTRY_BYTES_MAX: usize = 1 << 30;

/// The journal of one stream.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Files that are written no more, oldest first.
    old: VecDeque<(u32, String)>,
    log: Option<(u32, String, Log)>,
    next_id: u32,
    /// For each owner the first file that it needs.
    owners: BTreeMap<String, u32>,
    /// Bytes of entries, and of snapshots, since the last rotation.
    entries: u64,
    snapshots: u64,
    rotated: bool,
    /// A snapshot waits to be written, and the generation of the last that was: older files go once that is synced.
    is_superseding: bool,
    superseded: u64,
    /// The file that went last and the generation that makes that last.
    going: Option<u64>,
    /// It is synced often: room is written ahead of its entries.
    is_ahead: bool,
}

/// What was read of it.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) owners: BTreeMap<String, Journalled>,
    /// Bytes of damage.
    pub(crate) damaged: u64,
}

fn file_name(id: u32, salt: &[u8; 16], encrypted: bool) -> String {
    let kind = if encrypted { "sealed" } else { "plain" };
    format!("{id:08x}-{}-{kind}.journal", HEXLOWER.encode(salt))
}

/// The number, the salt and whether it is encrypted, of a file of this name.
pub(crate) fn of_name(name: &str) -> Option<(u32, [u8; 16], bool)> {
    let mut parts = name.strip_suffix(".journal")?.split('-');
    let id = u32::from_str_radix(parts.next()?, 16).ok()?;
    let salt = HEXLOWER.decode(parts.next()?.as_bytes()).ok()?.try_into().ok()?;
    let encrypted = parts.next()? == "sealed";
    (file_name(id, &salt, encrypted) == name && id < NUMBER_END).then_some((id, salt, encrypted))
}

impl Journal {
    /// An empty one; `is_ahead` if it is synced often.
    pub(crate) fn new(is_ahead: bool) -> Self {
        Self { is_ahead, ..Self::default() }
    }

    /// Reads the journal whose files are among `names`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Key`].
    pub(crate) fn open(
        shared: &Shared,
        keys: &Keys,
        names: &[(String, u64)],
        is_ahead: bool,
    ) -> Result<(Self, Contents), StoreError> {
        let mut files: Vec<_> = names.iter().filter_map(|(name, _)| Some((of_name(name)?, name))).collect();
        files.sort();
        let (mut journal, mut contents) = (Self::new(is_ahead), Contents::default());
        let mut own = Vec::new();
        for ((id, salt, encrypted), name) in files {
            // One that is left out has its number, too.
            journal.next_id = id + 1;
            if stamp::origin(&*shared.disk, &shared.dir, keys, name, &salt)? == Origin::Copied {
                tracing::error!(dir = %shared.dir.display(), name, "{}", stamp::FOREIGN);
            } else {
                own.push((id, salt, encrypted, name));
            }
        }
        let last = own.len().saturating_sub(1);
        for (number, (id, salt, encrypted, name)) in own.into_iter().enumerate() {
            let path = shared.dir.join(name);
            let bytes = Bytes::from(shared.disk.read(&path).map_err(io_error("read", &path))?);
            let format = keys.format(&salt, encrypted);
            let format = format.ok_or_else(|| StoreError::Key { path: path.display().to_string() })?;
            let end = scan(&format, &bytes, FIRST, &mut |found| journal.read(id, found, &mut contents));
            let len = bytes.len() as u64;
            if number < last {
                contents.damaged += len.saturating_sub(end);
            } else {
                // It was synced further than it reads: that is no crash.
                let promised = Mark::of(&format, &bytes).map_or(0, |mark| mark.end).max(end);
                let keep = if promised > end { promised.max(filled(&bytes)) } else { end };
                contents.damaged += keep - end;
                // What a killed process had not synced is taken for stored from now on.
                let file = shared.disk.open(&path, false).map_err(io_error("open", &path))?;
                let cut = if keep < len { file.set_len(keep) } else { Ok(()) };
                cut.and_then(|()| file.sync()).map_err(io_error("sync", &path))?;
            }
            journal.old.push_back((id, name.clone()));
        }
        Ok((journal, contents))
    }

    fn read(&mut self, id: u32, found: Found, contents: &mut Contents) {
        let record = match found {
            Found::Damage { from, to, .. } => {
                contents.damaged += to - from;
                return;
            }
            Found::Record(_, record) => record,
        };
        let Ok(owner) = std::str::from_utf8(record.subject()) else { return };
        let payload = record.payload();
        match record.head.kind {
            Kind::Entry => {
                self.owners.entry(owner.to_owned()).or_insert(id);
                self.entries += u64::from(record.head.len);
                contents.owners.entry(owner.to_owned()).or_default().entries.push(payload.to_vec());
            }
            Kind::Snapshot => {
                self.owners.insert(owner.to_owned(), id);
                let kept = Journalled { snapshot: Some(payload.to_vec()), entries: Vec::new() };
                contents.owners.insert(owner.to_owned(), kept);
            }
            Kind::Forget => {
                self.owners.remove(owner);
                contents.owners.remove(owner);
            }
            _ => {}
        }
    }

    /// Forgets what belongs to consumers that are not there.
    pub(crate) fn retain(
        &mut self,
        shared: &Shared,
        keys: &Keys,
        contents: &mut Contents,
        is_there: impl Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        let gone: Vec<String> =
            contents.owners.keys().filter(|owner| *owner != STREAM && !is_there(owner)).cloned().collect();
        for owner in gone {
            contents.owners.remove(&owner);
            self.forget(shared, keys, &owner)?;
        }
        Ok(())
    }

    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if a file cannot be made, [`StoreError::TooLarge`].
    pub(crate) fn enter(&mut self, shared: &Shared, keys: &Keys, owner: &str, entry: &[u8]) -> Result<(), StoreError> {
        let (id, len) = self.push(shared, keys, &New::named(Kind::Entry, owner.as_bytes(), entry))?;
        if !self.owners.contains_key(owner) {
            self.owners.insert(owner.to_owned(), id);
        }
        self.entries += len;
        Ok(())
    }

    /// Replaces an owner's entries.
    ///
    /// # Errors
    ///
    /// As [`Journal::enter`].
    pub(crate) fn snapshot(
        &mut self,
        shared: &Shared,
        keys: &Keys,
        owner: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return self.forget(shared, keys, owner);
        }
        if self.wants_snapshots(shared) {
            self.rotate(shared)?;
        }
        let (id, len) = self.push(shared, keys, &New::named(Kind::Snapshot, owner.as_bytes(), bytes))?;
        self.owners.insert(owner.to_owned(), id);
        self.snapshots += len;
        Ok(())
    }

    /// Forgets an owner.
    ///
    /// # Errors
    ///
    /// As [`Journal::enter`].
    pub(crate) fn forget(&mut self, shared: &Shared, keys: &Keys, owner: &str) -> Result<(), StoreError> {
        if self.owners.contains_key(owner) {
            self.push(shared, keys, &New::named(Kind::Forget, owner.as_bytes(), &[]))?;
            self.owners.remove(owner);
        }
        Ok(())
    }

    pub(crate) fn wants_snapshots(&self, shared: &Shared) -> bool {
        self.entries > shared.disk.limits().journal.max(2 * self.snapshots)
            || (self.old.len() > FILES_MAX && !self.rotated)
    }

    fn rotate(&mut self, shared: &Shared) -> Result<(), StoreError> {
        self.write(shared).map_err(io_error("write the journal in", &shared.dir))?;
        if let Some((id, name, mut log)) = self.log.take() {
            if log.finish().map_err(io_error("cut the journal in", &shared.dir))? {
                shared.wrote(&log.file, log.mark(0));
            }
            // Only the last file can be torn by a crash.
            shared.sync()?;
            self.old.push_back((id, name));
        }
        (self.entries, self.snapshots, self.rotated) = (0, 0, true);
        Ok(())
    }

    fn push(&mut self, shared: &Shared, keys: &Keys, new: &New<'_>) -> Result<(u32, u64), StoreError> {
        if new.payload.len() > ENTRY_BYTES_MAX || new.subject.len() > usize::from(u16::MAX) {
            return Err(StoreError::TooLarge);
        }
        if self.log.is_none() {
            let salt = whole::salt();
            let encrypted = keys.encrypts();
            let id = number(self.next_id).map_err(io_error("begin another journal in", &shared.dir))?;
            let name = file_name(id, &salt, encrypted);
            let path = shared.dir.join(&name);
            let format = keys.format(&salt, encrypted);
            let format = format.ok_or_else(|| StoreError::Key { path: path.display().to_string() })?;
            let most = if self.is_ahead { shared.disk.limits().ahead } else { 0 };
            let ahead = Ahead { first: 0, most: most.min(ROOM_MAX), bound: u64::MAX };
            let log = Log::create(&*shared.disk, &path, Arc::new(format), keys.header(&name, &salt, encrypted), ahead);
            self.log = Some((id, name, log.map_err(io_error("create", &path))?));
            self.next_id += 1;
            shared.named();
        }
        let Some((id, _, log)) = &mut self.log else { return Err(StoreError::TooLarge) };
        log.push(new);
        self.is_superseding |= new.kind != Kind::Entry;
        Ok((*id, log.format.len_of(new) as u64))
    }

    /// Hands what waits to the operating system.
    ///
    /// # Errors
    ///
    /// The system's; what it did not take waits on.
    pub(crate) fn write(&mut self, shared: &Shared) -> io::Result<()> {
        let Some((_, _, log)) = &mut self.log else { return Ok(()) };
        if log.write()? {
            let generation = shared.wrote(&log.file, log.mark(0));
            if std::mem::take(&mut self.is_superseding) {
                self.superseded = generation;
            }
        }
        Ok(())
    }

    /// Cuts room off.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn finish(&mut self, shared: &Shared) -> io::Result<()> {
        if let Some((_, _, log)) = &mut self.log
            && log.finish()?
        {
            shared.wrote(&log.file, log.mark(0));
        }
        Ok(())
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.log.as_ref().map_or(0, |(_, _, log)| log.waiting())
    }

    /// Takes the oldest file away if nobody needs it, one after the other: a name that comes back with an older file
    /// must find what was said about it since.
    pub(crate) fn sweep(&mut self, shared: &Shared) -> io::Result<()> {
        if self.going.is_some_and(|generation| generation > shared.synced()) {
            return Ok(());
        }
        self.going = None;
        let needed = self.owners.values().min().copied().unwrap_or(u32::MAX);
        let Some((id, name)) = self.old.front() else { return Ok(()) };
        // What replaced it must be on disk first.
        if *id >= needed || self.is_superseding || self.superseded > shared.synced() {
            return Ok(());
        }
        shared.disk.remove(&shared.dir.join(name))?;
        self.old.pop_front();
        self.going = Some(shared.named());
        Ok(())
    }
}
