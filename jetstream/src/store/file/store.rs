//! The store itself: the contract over the files.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::super::index::Index;
use super::super::index::messages::Shelf;
use super::super::index::weight::Weight;
use super::super::{Filter, NewMessage, OfSubject, Opened, Removed, State, Store, StoreError, Stored, Sync};
use super::cache::Cache;
use super::describe;
use super::disk::{Disk, RealDisk, io_error};
use super::journal::Journal;
use super::log::{Ahead, Log};
use super::read::Gone;
use super::record::{CLOSES, ERASES, Format, HEAD, Kind, New, OPENS, TOGETHER, record_len};
use super::scrub::{Ill, Sealed};
use super::segment::{Segment, Table, number};
use super::shelf::FileShelf;
use super::sync::{Erasure, Group, Shared};
use super::upkeep::Upkeep;
use super::whole::Keys;
use super::{FileOptions, SyncMode, recover};

/// What a message counts for beyond its bytes, and what it does if it has headers: as nats-server counts.
const SIZE: u64 = 30;
const SIZE_OF_HEADER: u64 = 4;
/// Largest message with subject and headers.
pub(super) const RECORD_BYTES_MAX: usize = 32 << 20;
/// Smallest bound of a segment.
const SEGMENT_BYTES_MIN: u64 = 512;
/// Largest batch.
const TOGETHER_BYTES_MAX: usize = 1 << 30;
/// What waits beyond this is written before more comes.
const BUFFER_BYTES: usize = 4 << 20;

/// The messages and the journal of one stream, in files of one folder.
pub struct FileStore {
    pub(super) keys: Keys,
    pub(super) shared: Arc<Shared>,
    pub(super) sync: SyncMode,
    pub(super) segment_bytes: u64,
    /// New messages are compressed.
    compresses: bool,
    pub(super) index: Index,
    /// What of the index is not in memory.
    pub(super) shelf: Arc<FileShelf>,
    /// Those that are written no more, ascending.
    pub(super) segments: Vec<Segment>,
    /// The one that is written; made with the first record.
    pub(super) tail: Option<Tail>,
    pub(super) next_id: u32,
    pub(super) bytes: u64,
    pub(super) last_seq: u64,
    pub(super) last_ts: i64,
    pub(super) lost: BTreeSet<u64>,
    pub(super) lost_bytes: u64,
    pub(super) journal: Journal,
    pub(super) cache: RefCell<Cache>,
    /// The segment that is being read while the stream is opened.
    pub(super) reading: Option<Reading>,
    first_ts: Cell<(u64, i64)>,
    pub(super) upkeep: Upkeep,
    /// The disk was full: what waits must be written before more is taken.
    pub(super) is_blocked: bool,
}

/// The last segment.
pub(super) struct Tail {
    pub(super) segment: Segment,
    pub(super) log: Log,
    pub(super) table: Table,
}

/// A segment in memory.
pub(super) struct Reading {
    pub(super) base: u64,
    pub(super) format: Arc<Format>,
    pub(super) bytes: Bytes,
    pub(super) table: Table,
}

impl FileStore {
    /// A new stream in the folder `dir`, which must not be there yet; folders above it are made.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; a folder without a description may be left, see [`StoreError::Unfinished`].
    pub fn create(dir: &Path, options: &FileOptions, description: &[u8]) -> Result<Self, StoreError> {
        Self::create_on(Arc::new(RealDisk), dir, options, description)
    }

    /// Opens the stream in the folder `dir`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] if it is encrypted under another key, [`StoreError::Damaged`] if a description cannot be
    /// read, [`StoreError::Unfinished`] if it was never made to its end, [`StoreError::Io`]. Nothing was touched then.
    pub fn open(dir: &Path, options: &FileOptions) -> Result<Opened, StoreError> {
        recover::open(Arc::new(RealDisk), dir, options)
    }

    /// Takes away what is left of streams whose end was interrupted, from the folder that streams' folders are in.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn sweep(streams: &Path) -> Result<(), StoreError> {
        let names = RealDisk.list(streams).map_err(io_error("list", streams))?;
        for (name, _) in names.iter().filter(|(name, _)| name.starts_with(GONE)) {
            let path = streams.join(name);
            RealDisk.remove_dir(&path).map_err(io_error("remove", &path))?;
        }
        Ok(())
    }

    /// Bytes of memory that its index takes, without the allocator's own.
    pub fn index_bytes(&self) -> usize {
        self.index.heap()
    }

    pub(super) fn create_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: &FileOptions,
        description: &[u8],
    ) -> Result<Self, StoreError> {
        let made = create_dirs(&*disk, dir).map_err(io_error("create", dir))?;
        let names = disk.list(dir).map_err(io_error("list", dir))?;
        if !made && names.iter().any(|(name, _)| name == describe::STREAM_FILE || Segment::of_name(name, 0).is_some()) {
            return Err(io_error("create", dir)(std::io::ErrorKind::AlreadyExists.into()));
        }
        let store = Self::empty(disk, dir, options);
        describe::write_stream(&store.shared, &store.keys, description)?;
        Ok(store)
    }

    pub(super) fn empty(disk: Arc<dyn Disk>, dir: &Path, options: &FileOptions) -> Self {
        let stream = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let keys = Keys { key: options.key.clone(), stream };
        let shared = Arc::new(Shared::new(disk, dir.to_owned()));
        let shelf = Arc::new(FileShelf::new(Arc::clone(&shared), keys.clone()));
        let mut index = Index::default();
        index.set_shelf(Arc::clone(&shelf) as Arc<dyn Shelf>, shared.disk.limits().shelf);
        Self {
            keys,
            shared,
            sync: options.sync,
            segment_bytes: options.segment_bytes.clamp(SEGMENT_BYTES_MIN, 1 << 30),
            compresses: options.compression,
            index,
            shelf,
            segments: Vec::new(),
            tail: None,
            next_id: 0,
            bytes: 0,
            last_seq: 0,
            last_ts: 0,
            lost: BTreeSet::new(),
            lost_bytes: 0,
            journal: Journal::new(options.sync == SyncMode::Always),
            cache: RefCell::default(),
            reading: None,
            first_ts: Cell::new((0, 0)),
            upkeep: Upkeep::default(),
            is_blocked: false,
        }
    }

    pub(super) fn record_of<'a>(message: &NewMessage<'a>, seq: u64, ts: i64, flags: u8) -> New<'a> {
        let NewMessage { subject, header, payload, expires, .. } = *message;
        New { kind: Kind::Message, flags, seq, ts, expires, subject, header, payload, squeeze: false }
    }

    /// Makes sure that a record of `len` bytes can be added.
    fn room(&mut self, len: usize) -> Result<(), StoreError> {
        self.shared.writable()?;
        let waiting = self.tail.as_ref().map_or(0, |tail| tail.log.waiting()) + self.journal.waiting();
        if self.is_blocked || waiting > BUFFER_BYTES {
            self.write()?;
        }
        let next = self.last_seq + 1;
        let full = self.tail.as_ref().is_none_or(|tail| {
            let is_full = tail.log.end() + len as u64 > self.segment_bytes && !tail.log.is_fresh();
            is_full || !tail.table.takes(next)
        });
        if full { self.roll() } else { Ok(()) }
    }

    /// Begins another segment. What is in the one before is synced first, so only the last one can be torn by a crash.
    fn roll(&mut self) -> Result<(), StoreError> {
        let encrypted = self.keys.encrypts();
        let id = number(self.next_id).map_err(io_error("begin another segment in", &self.shared.dir))?;
        let segment = Segment::new(id, self.last_seq + 1, encrypted);
        let path = segment.path(&self.shared.dir);
        let Some(format) = segment.format(&self.keys) else {
            return Err(StoreError::Key { path: path.display().to_string() });
        };
        self.write()?;
        if let Some(tail) = &mut self.tail {
            // A file that has another behind it has no room.
            if tail.log.finish().map_err(io_error("cut the last segment in", &self.shared.dir))? {
                self.shared.wrote(&tail.log.file, tail.log.mark(self.last_seq));
            }
            self.shared.sync()?;
        }
        let disk = Arc::clone(&self.shared.disk);
        let ahead = self.ahead(self.segment_bytes, self.tail.is_some());
        let log =
            Log::create(&*disk, &path, format, self.keys.header(&segment.name(), &segment.salt, encrypted), ahead);
        let log = log.map_err(io_error("create", &path))?;
        self.shared.named();
        self.next_id += 1;
        let tail = self.tail.replace(Tail { segment, log, table: Table::default() });
        if let Some(tail) = tail {
            self.seal(tail);
        }
        if self.last_seq > 0 {
            // The segments before may go with all that tells when the last message came.
            let expires = self.last_seq.cast_signed();
            self.put_mark(&New { expires, ..New::mark(Kind::Skip, self.last_seq, self.last_ts) });
        }
        Ok(())
    }

    /// The room of a file of at most `bound` bytes: at once as much as may be, if such a file was filled before. Where
    /// syncs are seldom, nothing is gained by it.
    fn ahead(&self, bound: u64, is_busy: bool) -> Ahead {
        let most = if self.sync == SyncMode::Always { self.shared.disk.limits().ahead } else { 0 };
        Ahead { first: if is_busy { most } else { 0 }, most, bound }
    }

    fn put(&mut self, message: &NewMessage<'_>, flags: u8) -> Option<u64> {
        let size = self.size_of(message.subject.len(), message.header.len(), message.payload.len());
        let tail = self.tail.as_mut()?;
        let (seq, ts) = (self.last_seq + 1, self.last_ts.max(message.ts));
        let before = tail.log.end();
        let at = tail.log.push(&New { squeeze: self.compresses, ..Self::record_of(message, seq, ts, flags) });
        tail.table.push(seq, at);
        tail.segment.live += 1;
        tail.segment.size += size;
        self.upkeep.logged += tail.log.end() - before;
        // What is compressed takes less room than its size says.
        let weight = if self.compresses { Weight::default() } else { Weight::new(size, !message.header.is_empty()) };
        self.index.append(seq, message.subject, message.expires, weight);
        (self.last_seq, self.last_ts) = (seq, ts);
        self.bytes += size;
        Some(seq)
    }

    /// Adds a record that is no message.
    pub(super) fn mark(&mut self, new: &New<'_>) -> Result<(), StoreError> {
        self.room(HEAD + 8 + 16)?;
        self.put_mark(new);
        Ok(())
    }

    fn put_mark(&mut self, new: &New<'_>) {
        let Some(tail) = &mut self.tail else { return };
        let before = tail.log.end();
        tail.log.push(new);
        let len = tail.log.end() - before;
        tail.segment.dead += len;
        self.upkeep.logged += len;
        match new.kind {
            Kind::Removed => tail.segment.removes(new.seq, new.seq + new.ts.max(1).cast_unsigned() - 1),
            Kind::Below => tail.segment.removes(0, new.seq.saturating_sub(1)),
            _ => {}
        }
    }

    /// Takes a message out of everything but the files.
    pub(super) fn drop_message(&mut self, gone: &Gone) {
        self.index.remove(gone.removed.seq, &gone.removed.subject, gone.expires);
        self.bytes = self.bytes.saturating_sub(gone.removed.size);
        let segment = match gone.segment {
            Some(number) => self.segments.get_mut(number),
            None => self.tail.as_mut().map(|tail| &mut tail.segment),
        };
        if let Some(segment) = segment {
            segment.loses(gone.removed.size, u64::from(gone.head.len));
        }
    }

    /// The segment that holds `seq`, or would.
    fn holder(&mut self, seq: u64) -> Option<&mut Segment> {
        let number = self.segment_of(seq);
        match &mut self.tail {
            Some(tail) if seq >= tail.segment.base => Some(&mut tail.segment),
            _ => self.segments.get_mut(number?),
        }
    }

    /// Overwrites a message that was taken out.
    fn erase(&mut self, gone: &Gone) -> Result<(), StoreError> {
        let (file, format) = if let Some(number) = gone.segment {
            let Some(segment) = self.segments.get(number).cloned() else { return Ok(()) };
            self.upkeep.erased_in(segment.id);
            let loaded = self.load(&segment)?;
            (loaded.file, loaded.format)
        } else {
            let Some(tail) = &mut self.tail else { return Ok(()) };
            let bytes = tail.log.format.erased(&gone.head, gone.at);
            if tail.log.overwrite(gone.at, &bytes) {
                return Ok(());
            }
            (Arc::clone(&tail.log.file), Arc::clone(&tail.log.format))
        };
        self.cache.borrow_mut().forget_bytes();
        self.upkeep.erasures.push(Erasure { file, at: gone.at, bytes: format.erased(&gone.head, gone.at) });
        Ok(())
    }

    /// A message that cannot be read is no more; it is listed.
    pub(super) fn give_up(&mut self, seq: u64) {
        if !self.index.remove_unread(seq) {
            return;
        }
        self.lost.insert(seq);
        if let Some(segment) = self.holder(seq) {
            segment.live = segment.live.saturating_sub(1);
        }
        // How large it was cannot be told.
        self.upkeep.recount.insert(seq);
        tracing::error!(seq, dir = %self.shared.dir.display(), "a stored message is damaged");
    }

    fn means(&self, filter: &Filter, seq: u64) -> bool {
        self.find(seq, false).is_ok_and(|place| filter.matches(place.record.subject()))
    }
}

impl Store for FileStore {
    fn state(&self) -> State {
        let first = self.index.first();
        let first_ts = first.map_or(0, |seq| {
            let (known, ts) = self.first_ts.get();
            if known == seq {
                return ts;
            }
            let ts = self.find(seq, false).map_or(0, |place| place.record.head.ts);
            self.first_ts.set((seq, ts));
            ts
        });
        State {
            messages: self.index.messages(),
            bytes: self.bytes,
            first_seq: first.unwrap_or(if self.last_seq == 0 { 0 } else { self.last_seq + 1 }),
            first_ts,
            last_seq: self.last_seq,
            last_ts: self.last_ts,
            subjects: self.index.subject_count(),
        }
    }

    fn size_of(&self, subject: usize, header: usize, payload: usize) -> u64 {
        SIZE + if header == 0 { 0 } else { SIZE_OF_HEADER } + (subject + header + payload) as u64
    }

    fn append(&mut self, message: &NewMessage<'_>) -> Result<u64, StoreError> {
        let len = checked_len(message)?;
        self.room(len)?;
        self.put(message, 0).ok_or(StoreError::TooLarge)
    }

    fn append_together(&mut self, messages: &[NewMessage<'_>]) -> Result<u64, StoreError> {
        let first = self.last_seq + 1;
        let mut len = 0;
        for message in messages {
            len += checked_len(message)?;
        }
        if len > TOGETHER_BYTES_MAX {
            return Err(StoreError::TooLarge);
        }
        if messages.is_empty() {
            return Ok(first);
        }
        self.room(len)?;
        for (number, message) in messages.iter().enumerate() {
            let opens = if number == 0 { OPENS } else { 0 };
            let closes = if number + 1 == messages.len() { CLOSES } else { 0 };
            self.put(message, TOGETHER | opens | closes).ok_or(StoreError::TooLarge)?;
        }
        Ok(first)
    }

    fn skip_to(&mut self, last: u64, ts: i64) -> Result<(), StoreError> {
        if last <= self.last_seq {
            return Ok(());
        }
        if last >= recover::SEQUENCE_END {
            return Err(StoreError::TooLarge);
        }
        let ts = self.last_ts.max(ts);
        let expires = self.last_seq.cast_signed();
        self.mark(&New { expires, ..New::mark(Kind::Skip, last, ts) })?;
        (self.last_seq, self.last_ts) = (last, ts);
        Ok(())
    }

    fn get(&self, seq: u64) -> Result<Option<Stored>, StoreError> {
        if !self.index.contains(seq) {
            return Ok(None);
        }
        let record = self.find(seq, true)?.record;
        let (subject, header) = (usize::from(record.head.subject_len), record.head.header_len as usize);
        Ok(Some(Stored::new(seq, record.head.ts, record.content(), subject, header)))
    }

    fn peek(&self, seq: u64) -> Option<Removed> {
        if !self.index.contains(seq) {
            return None;
        }
        self.look(seq).ok().map(|gone| gone.removed)
    }

    fn remove(&mut self, seq: u64, erase: bool) -> Result<Option<Removed>, StoreError> {
        if !self.index.contains(seq) {
            return Ok(None);
        }
        let gone = match self.look(seq) {
            Ok(gone) => gone,
            Err(StoreError::Damaged { .. }) => {
                self.give_up(seq);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let flags = if erase { ERASES } else { 0 };
        let expires = self.last_seq.cast_signed();
        let segments = self.segments.len();
        self.mark(&New { flags, expires, ..New::mark(Kind::Removed, seq, 1) })?;
        // The record may have begun another segment.
        let is_other = gone.segment.is_none() && self.segments.len() > segments;
        let gone = if is_other { self.look(seq)? } else { gone };
        self.drop_message(&gone);
        if erase {
            self.erase(&gone)?;
        }
        Ok(Some(gone.removed))
    }

    fn remove_first(&mut self, subject: &[u8]) -> Result<Option<u64>, StoreError> {
        let Some((seq, weight)) = self.index.first_of(subject) else { return Ok(None) };
        let Some((size, has_header)) = weight.known() else {
            return Ok(self.remove(seq, false)?.map(|removed| removed.seq));
        };
        let expires = self.last_seq.cast_signed();
        self.mark(&New { expires, ..New::mark(Kind::Removed, seq, 1) })?;
        self.index.remove(seq, subject, 0);
        let content = size.saturating_sub(SIZE + if has_header { SIZE_OF_HEADER } else { 0 });
        if let Some(segment) = self.holder(seq) {
            segment.loses(size, record_len(content, segment.encrypted));
        }
        self.bytes = self.bytes.saturating_sub(size);
        Ok(Some(seq))
    }

    fn remove_below(&mut self, seq: u64, gone: &mut dyn FnMut(Removed)) -> Result<(), StoreError> {
        if self.index.first().is_none_or(|first| first >= seq) && seq <= self.last_seq + 1 {
            return Ok(());
        }
        if seq >= recover::SEQUENCE_END {
            return Err(StoreError::TooLarge);
        }
        let expires = self.last_seq.cast_signed();
        self.mark(&New { expires, ..New::mark(Kind::Below, seq, 0) })?;
        while let Some(first) = self.index.first().filter(|first| *first < seq) {
            match self.look(first) {
                Ok(one) => {
                    self.drop_message(&one);
                    gone(one.removed);
                }
                Err(_) => self.give_up(first),
            }
        }
        self.lost = self.lost.split_off(&seq);
        self.last_seq = self.last_seq.max(seq.saturating_sub(1));
        Ok(())
    }

    fn of_subject(&self, subject: &[u8]) -> Option<OfSubject> {
        self.index.of_subject(subject)
    }

    fn subjects(&self, filter: &Filter, after: Option<&[u8]>, each: &mut dyn FnMut(&[u8], OfSubject) -> bool) {
        self.index.subjects(filter, after, each);
    }

    fn subjects_part(
        &self,
        filter: &Filter,
        after: Option<&[u8]>,
        most: usize,
        each: &mut dyn FnMut(&[u8], OfSubject),
    ) -> Option<Arc<[u8]>> {
        self.index.subjects_part(filter, after, most, each)
    }

    fn next(&self, filter: &Filter, from: u64) -> Option<u64> {
        self.index.next(filter, from, &|seq| self.means(filter, seq))
    }

    fn last(&self, filter: &Filter, to: u64) -> Option<u64> {
        self.index.last(filter, to, &|seq| self.means(filter, seq))
    }

    fn count(&self, filter: &Filter, from: u64) -> u64 {
        self.index.count(filter, from, &|seq| self.means(filter, seq))
    }

    fn count_subjects(&self, filter: &Filter, from: u64) -> u64 {
        self.index.count_subjects(filter, from)
    }

    fn at_time(&self, ts: i64) -> u64 {
        let is_reached = |seq| self.find(seq, false).is_ok_and(|place| place.record.head.ts >= ts);
        self.index.first_where(is_reached).unwrap_or(self.last_seq + 1)
    }

    fn gaps(&self, most: usize) -> Vec<u64> {
        self.index.gaps(self.last_seq, most)
    }

    fn lost(&self) -> (Vec<u64>, u64) {
        (self.lost.iter().copied().collect(), self.lost_bytes)
    }

    fn next_expiry(&self) -> Option<(i64, u64)> {
        self.index.next_end()
    }

    fn is_kept(&self, seq: u64) -> bool {
        self.index.is_kept(seq)
    }

    fn journal(&mut self, owner: &str, entry: &[u8]) -> Result<(), StoreError> {
        self.shared.writable()?;
        if self.is_blocked {
            self.write()?;
        }
        self.journal.enter(&self.shared, &self.keys, owner, entry)
    }

    fn wants_snapshots(&self) -> bool {
        self.journal.wants_snapshots(&self.shared)
    }

    fn snapshot(&mut self, owner: &str, snapshot: &[u8]) -> Result<(), StoreError> {
        self.shared.writable()?;
        self.journal.snapshot(&self.shared, &self.keys, owner, snapshot)
    }

    fn compress(&mut self, on: bool) {
        self.compresses = on;
    }

    fn describe(&mut self, description: &[u8]) -> Result<(), StoreError> {
        self.shared.writable()?;
        describe::write_stream(&self.shared, &self.keys, description)
    }

    fn describe_consumer(&mut self, name: &str, description: Option<&[u8]>) -> Result<(), StoreError> {
        self.shared.writable()?;
        describe::write_consumer(&self.shared, &self.keys, name, description)?;
        if description.is_none() {
            self.journal.forget(&self.shared, &self.keys, name)?;
        }
        Ok(())
    }

    fn sealed(&self, from: u32) -> Option<Sealed> {
        self.sealed_from(from)
    }

    fn found_ill(&mut self, ill: &Ill) -> u64 {
        self.take_ill(ill)
    }

    fn flush(&mut self) -> Result<Option<Box<dyn Sync>>, StoreError> {
        self.shared.writable()?;
        self.check_index()?;
        let found = std::mem::take(&mut *self.shared.found.lock());
        for seq in found {
            self.give_up(seq);
        }
        if let Err(error) = self.write() {
            if self.shared.writable().is_err() || !self.make_room() {
                return Err(error);
            }
            self.write()?;
        }
        self.keep_up();
        if self.sync == SyncMode::Always {
            return Ok(self.shared.is_dirty().then(|| Box::new(Group(Arc::clone(&self.shared))) as Box<dyn Sync>));
        }
        if self.shared.has_erasures() {
            self.shared.sync()?;
        }
        self.sync_later();
        Ok(None)
    }

    fn close(&mut self) {
        self.close_files();
        self.shared.fail(&StoreError::ReadOnly("it was closed".to_owned()));
    }

    fn abandon(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.fail(&StoreError::ReadOnly("it was set apart".to_owned()));
        // What works on the files comes to its end.
        drop(self.shared.working.lock());
    }

    fn destroy(&mut self) -> Result<(), StoreError> {
        self.shared.closed.store(true, Ordering::Release);
        let _working = self.shared.working.lock();
        let dir = &self.shared.dir;
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let salt = data_encoding::HEXLOWER.encode(&super::whole::salt());
        let away = dir.with_file_name(format!("{GONE}{name}-{}", salt.get(..8).unwrap_or_default()));
        let disk = &self.shared.disk;
        disk.rename(dir, &away).map_err(io_error("remove", dir))?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(io_error("sync", parent))?;
        }
        // It is no stream any more; what is left of it goes with the next start.
        if let Err(error) = disk.remove_dir(&away) {
            tracing::warn!(%error, path = %away.display(), "cannot remove the files of a deleted stream");
        }
        Ok(())
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        self.close_files();
    }
}

/// How the folders of streams that are no more begin.
pub(crate) const GONE: &str = ".gone-";

fn checked_len(message: &NewMessage<'_>) -> Result<usize, StoreError> {
    let len = message.subject.len() + message.header.len() + message.payload.len();
    if len > RECORD_BYTES_MAX || message.subject.len() > usize::from(u16::MAX) {
        return Err(StoreError::TooLarge);
    }
    Ok(len + HEAD + 8 + 16)
}

/// Makes a folder with those above it, and makes their names last.
fn create_dirs(disk: &dyn Disk, dir: &Path) -> std::io::Result<bool> {
    let made = match disk.create_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let Some(parent) = dir.parent() else { return Err(error) };
            create_dirs(disk, parent)?;
            disk.create_dir(dir)?
        }
        made => made?,
    };
    if let Some(parent) = dir.parent().filter(|_| made) {
        disk.sync_dir(parent)?;
    }
    Ok(made)
}
