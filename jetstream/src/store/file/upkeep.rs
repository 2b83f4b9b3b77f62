//! What a store does for its files besides writing: drops what is dead, writes anew what is half dead, saves its index.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::StoreError;
use super::super::index::block::Run;
use super::super::index::messages::Shelf;
use super::super::index::posting::Posting;
use super::background;
use super::checkpoint::{self, Checkpoint, Known};
use super::compact;
use super::disk::io_error;
use super::record::{Head, Kind, New};
use super::segment::{Segment, Table};
use super::shelf::{FileShelf, Name};
use super::store::{FileStore, Tail};
use super::sync::{Erasure, Shared};
use super::whole;

/// So many times what the last checkpoint took is logged before the next one.
const CHECKPOINT_SHARE: u64 = 8;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// Bytes logged since the last checkpoint.
    pub(super) logged: u64,
    /// What that took.
    saved: u64,
    /// Segments that are no part of the stream any more.
    doomed: Vec<Doomed>,
    /// The segment that is being written anew, and whether it was erased in since.
    rewriting: Option<(u32, bool)>,
    /// Messages of batches that did not come whole, found while the stream was opened.
    pub(super) dropped: Vec<u64>,
    /// Files that parcels of the index were in: they go with the next checkpoint.
    pub(super) shelves: Vec<String>,
    /// Messages that a checkpoint knows and no file holds: removed since, or lost.
    pub(super) absent: Posting,
    /// Messages whose segments' sizes must be counted anew: they went unread.
    pub(super) recount: BTreeSet<u64>,
    /// Messages that were to be overwritten and were not.
    pub(super) unerased: Vec<(usize, u64, Head)>,
    /// Bytes to overwrite once the records of their removal are written: a sync that comes before must not do it.
    pub(super) erasures: Vec<Erasure>,
}

#[derive(Debug)]
struct Doomed {
    segment: Segment,
    end: u64,
    /// Its file goes once this is synced.
    after: u64,
    /// Its name is gone for good once this is.
    gone: Option<u64>,
}

impl Upkeep {
    pub(super) fn erased_in(&mut self, id: u32) {
        if let Some((rewriting, is_stale)) = &mut self.rewriting {
            *is_stale |= *rewriting == id;
        }
    }

    /// A file that was found beside the one that took its place.
    pub(super) fn doom(&mut self, segment: Segment) {
        self.doomed.push(Doomed { end: u64::MAX, segment, after: 0, gone: None });
    }
}

impl FileStore {
    /// Hands what waits to the operating system.
    pub(super) fn write(&mut self) -> Result<(), StoreError> {
        let done = self.write_files();
        self.is_blocked = done.is_err();
        done.map_err(|error| {
            let error = io_error("write in", &self.shared.dir)(error);
            if !error.is_full() {
                self.shared.fail(&error);
            }
            error
        })
    }

    /// The journal first: what it says of a message that a kill kept away is found out, what it lacks is not.
    fn write_files(&mut self) -> std::io::Result<()> {
        self.journal.write(&self.shared)?;
        if let Some(tail) = &mut self.tail
            && tail.log.write()?
        {
            self.shared.wrote(&tail.log.file, tail.log.mark(self.last_seq));
        }
        self.upkeep.erasures.drain(..).for_each(|erasure| self.shared.erase(erasure));
        Ok(())
    }

    /// The last segment is another from now on.
    pub(super) fn seal(&mut self, tail: Tail) {
        let Tail { mut segment, log, table } = tail;
        segment.len = log.end();
        self.save_table(&segment, &table.encode());
        // Who has read of it reads on.
        let mut cache = self.cache.borrow_mut();
        if cache.reads((segment.id, segment.generation)) {
            let loaded = super::cache::Loaded { file: log.file, format: log.format, table: Arc::new(table) };
            cache.put((segment.id, segment.generation), loaded);
        }
        drop(cache);
        self.segments.push(segment);
    }

    /// Saves where in a segment its messages are; not worth an error.
    pub(super) fn save_table(&self, segment: &Segment, table: &[u8]) {
        if segment.len >= self.shared.disk.limits().table {
            let content = whole::encode(&self.keys, segment.name().as_bytes(), table);
            let _ = whole::replace(&*self.shared.disk, &self.shared.dir, &segment.table_name(), &content);
        }
    }

    /// The table of a segment that was saved, if it was.
    pub(super) fn saved_table(&self, segment: &Segment) -> Option<Table> {
        let path = self.shared.dir.join(segment.table_name());
        let (name, bytes) = whole::read(&*self.shared.disk, &path, &self.keys).ok()?;
        if name[..] == *segment.name().as_bytes() { Table::decode(&bytes) } else { None }
    }

    /// Does for good what opening the stream found to be due.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        for seq in std::mem::take(&mut self.upkeep.dropped) {
            self.mark(&New { expires: self.last_seq.cast_signed(), ..New::mark(Kind::Removed, seq, 1) })?;
        }
        for (number, at, head) in std::mem::take(&mut self.upkeep.unerased) {
            let Some(segment) = self.segments.get(number).cloned() else { continue };
            let loaded = self.load(&segment)?;
            self.upkeep.erasures.push(Erasure { file: loaded.file, at, bytes: loaded.format.erased(&head, at) });
        }
        Ok(())
    }

    /// Counts the sizes of messages anew where some went unread.
    pub(super) fn recount(&mut self) {
        let mut done = 0;
        for seq in std::mem::take(&mut self.upkeep.recount) {
            let tail = self.tail.as_ref().filter(|tail| seq >= tail.segment.base);
            let number = if tail.is_some() { None } else { self.segment_of(seq) };
            let (base, end) = match (tail, number.and_then(|number| self.segments.get(number))) {
                (Some(tail), _) => (tail.segment.base, u64::MAX),
                (None, Some(segment)) => (segment.base, number.map_or(u64::MAX, |number| self.end_of(number))),
                (None, None) => continue,
            };
            if base < done {
                continue;
            }
            let Some(size) = self.size_within(base, end) else {
                self.upkeep.recount.insert(seq);
                continue;
            };
            done = end;
            let segment = match (&mut self.tail, number) {
                (_, Some(number)) => self.segments.get_mut(number),
                (Some(tail), None) => Some(&mut tail.segment),
                (None, None) => None,
            };
            if let Some(segment) = segment {
                self.bytes = (self.bytes + size).saturating_sub(segment.size);
                segment.size = size;
            }
        }
    }

    /// The sizes of the messages from `at` to below `end`; `None` if the disk does not tell.
    fn size_within(&self, mut at: u64, end: u64) -> Option<u64> {
        let mut size = 0;
        while let Some(seq) = self.index.all().next(at).filter(|seq| *seq < end) {
            at = seq + 1;
            match self.look(seq) {
                Ok(gone) => size += gone.removed.size,
                // Its turn comes.
                Err(StoreError::Damaged { .. }) => {}
                Err(_) => return None,
            }
        }
        Some(size)
    }

    /// One above the last sequence that the n-th segment can hold.
    pub(super) fn end_of(&self, number: usize) -> u64 {
        let next = self.segments.get(number + 1).map(|segment| segment.base);
        next.or_else(|| self.tail.as_ref().map(|tail| tail.segment.base)).unwrap_or(self.last_seq + 1)
    }

    /// The sequences of all files that are there, without the n-th segment's.
    fn ranges_without(&self, number: usize) -> Vec<(u64, u64)> {
        let others = self.segments.iter().enumerate().filter(|(other, _)| *other != number);
        let others = others.map(|(other, segment)| (segment.base, self.end_of(other)));
        others.chain(self.upkeep.doomed.iter().map(|doomed| (doomed.segment.base, doomed.end))).collect()
    }

    fn is_needed(&self, number: usize, segment: &Segment) -> bool {
        let Some((low, high)) = segment.removals else { return false };
        let before = self.segments.iter().take(number).enumerate();
        let mut before = before.map(|(other, segment)| (segment.base, self.end_of(other)));
        let is_about = |(base, end): (u64, u64)| base <= high && end > low;
        before.any(is_about) || self.upkeep.doomed.iter().any(|doomed| is_about((doomed.segment.base, doomed.end)))
    }

    /// Takes the segments without messages out of the stream.
    fn drop_dead(&mut self, after: u64) {
        let mut number = 0;
        while let Some(segment) = self.segments.get(number) {
            let is_last = self.tail.is_none() && number + 1 == self.segments.len();
            if segment.live > 0 || is_last || self.is_needed(number, segment) {
                number += 1;
                continue;
            }
            let end = self.end_of(number);
            let segment = self.segments.remove(number);
            self.cache.borrow_mut().forget((segment.id, segment.generation));
            self.upkeep.doomed.push(Doomed { segment, end, after, gone: None });
        }
    }

    /// Removes the files of segments that are no part of the stream any more, once that is on disk.
    fn sweep_dead(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.upkeep.doomed.retain(|doomed| doomed.gone.is_none_or(|gone| gone > shared.synced()));
        for doomed in &mut self.upkeep.doomed {
            if doomed.gone.is_none() && doomed.after <= shared.synced() {
                let path = doomed.segment.path(&shared.dir);
                let table = shared.dir.join(doomed.segment.table_name());
                shared
                    .disk
                    .remove(&path)
                    .and_then(|()| shared.disk.remove(&table))
                    .map_err(io_error("remove", &path))?;
                doomed.gone = Some(shared.named());
            }
        }
        Ok(())
    }

    /// The disk is full: gives back what is dead already, before the record of that is on disk. A crash brings back
    /// what was not acknowledged as gone, or does not.
    pub(super) fn make_room(&mut self) -> bool {
        self.drop_dead(0);
        let doomed = self.upkeep.doomed.iter_mut().filter(|doomed| doomed.gone.is_none());
        let any = doomed.map(|doomed| doomed.after = 0).count() > 0;
        any && self.sweep_dead().is_ok()
    }

    /// Does what is due; nothing of it can fail what was stored.
    pub(super) fn keep_up(&mut self) {
        self.install();
        self.recount();
        self.drop_dead(self.shared.generation());
        let swept = self.sweep_dead();
        let swept = swept
            .and_then(|()| self.journal.sweep(&self.shared).map_err(io_error("remove a journal in", &self.shared.dir)));
        if let Err(error) = swept {
            tracing::warn!(%error, "cannot remove a file that is of no use any more");
        }
        if !self.shared.is_busy.load(Ordering::Acquire) && !self.shared.has_erasures() {
            self.begin_work();
        }
    }

    fn begin_work(&mut self) {
        if self.upkeep.logged > self.shared.disk.limits().checkpoint.max(CHECKPOINT_SHARE * self.upkeep.saved) {
            let Some(saving) = self.checkpoint(false) else { return };
            let shared = Arc::clone(&self.shared);
            self.work(Box::new(move || {
                if let Err(error) = saving.run(&shared) {
                    tracing::warn!(%error, "cannot save the index of a stream");
                }
            }));
        } else if let Some(number) = self.segments.iter().position(|segment| self.is_worth_it(segment)) {
            self.rewrite(number);
        }
    }

    fn is_worth_it(&self, segment: &Segment) -> bool {
        let is_half_dead = segment.dead * 2 > segment.len && segment.len > self.shared.disk.limits().rewrite;
        is_half_dead || segment.encrypted != self.keys.encrypts()
    }

    fn rewrite(&mut self, number: usize) {
        let Some(segment) = self.segments.get(number) else { return };
        let end = self.end_of(number);
        let live: Vec<Run> = self.index.all().runs_from(segment.base).take_while(|(start, _)| *start < end).collect();
        let old = segment.clone();
        let task = compact::Task { old, end, live, others: self.ranges_without(number), keys: self.keys.clone() };
        self.upkeep.rewriting = Some((task.old.id, false));
        let shared = Arc::clone(&self.shared);
        self.work(Box::new(move || {
            let done = compact::run(&shared, task);
            *shared.rewritten.lock() = Some(done);
        }));
    }

    fn work(&self, work: Box<dyn FnOnce() + Send>) {
        self.shared.is_busy.store(true, Ordering::Release);
        let shared = Arc::clone(&self.shared);
        let guarded = move || {
            {
                let _working = shared.working.lock();
                if !shared.closed.load(Ordering::Acquire) && shared.writable().is_ok() {
                    work();
                }
            }
            shared.is_busy.store(false, Ordering::Release);
        };
        if self.shared.disk.has_background() { background::later(Duration::ZERO, Box::new(guarded)) } else { guarded() }
    }

    /// Puts a segment that was written anew in the place of what it was.
    fn install(&mut self) {
        let Some(done) = self.shared.rewritten.lock().take() else { return };
        let is_stale = self.upkeep.rewriting.take().is_none_or(|(_, is_stale)| is_stale);
        let old = done.old;
        let number = self.segments.iter().position(|one| (one.id, one.generation) == (old.id, old.generation));
        let (Some(number), Some((mut new, table))) = (number, done.new.clone()) else {
            if let (Some(number), None) = (number, &done.new) {
                // It cannot be written anew: it is not tried again.
                if let Some(segment) = self.segments.get_mut(number) {
                    segment.dead = 0;
                }
            }
            self.discard(done.new.map(|(new, _)| new));
            return;
        };
        if is_stale {
            self.discard(Some(new));
            return;
        }
        let end = self.end_of(number);
        new.live = self.index.all().count_from(new.base) - self.index.all().count_from(end);
        new.size = self.segments.get(number).map_or(0, |segment| segment.size);
        self.save_table(&new, &table.encode());
        self.cache.borrow_mut().forget((old.id, old.generation));
        if let Some(place) = self.segments.get_mut(number) {
            *place = new;
        }
        self.upkeep.doomed.push(Doomed { segment: old, end, after: 0, gone: None });
    }

    fn discard(&mut self, new: Option<Segment>) {
        if let Some(new) = new {
            let path = new.path(&self.shared.dir);
            if let Err(error) = self.shared.disk.remove(&path) {
                tracing::warn!(%error, path = %path.display(), "cannot remove a file that is of no use any more");
            }
            self.shared.named();
        }
    }

    /// The index can be believed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`]: the store is read-only then, and the index is made anew when it is opened.
    pub(super) fn check_index(&self) -> Result<(), StoreError> {
        if !self.shelf.is_broken() {
            return Ok(());
        }
        let path = self.shared.dir.join(checkpoint::FILE);
        let _ = self.shared.disk.remove(&path);
        self.shared.named();
        let path = path.display().to_string();
        let error = StoreError::Damaged { path, offset: 0, what: "a part of the index cannot be read" };
        self.shared.fail(&error);
        Err(error)
    }

    /// Another file takes the place of the one that parcels are in, if that is mostly of no use any more.
    fn repack(&mut self) {
        if !self.shelf.is_wasteful() {
            return;
        }
        let new = Arc::new(FileShelf::new(Arc::clone(&self.shared), self.keys.clone()));
        let Some(places) = self.index.copy_parcels(&*self.shelf, &*new) else { return new.discard() };
        self.put_on(new, places);
    }

    /// What is on a shelf is on this one now, at these places.
    pub(super) fn put_on(&mut self, shelf: Arc<FileShelf>, places: Vec<u64>) {
        self.index.move_parcels(places);
        self.index.set_shelf(Arc::clone(&shelf) as Arc<dyn Shelf>, self.shared.disk.limits().shelf);
        let old = std::mem::replace(&mut self.shelf, shelf);
        self.upkeep.shelves.extend(old.name().map(|name| name.file()));
    }

    /// What is to be saved; `None` if it cannot be just now.
    fn checkpoint(&mut self, closed: bool) -> Option<Saving> {
        self.repack();
        let Ok(shelf) = self.shelf.write() else {
            self.upkeep.logged = 0;
            return None;
        };
        let (content, stale) = (self.encoded(shelf, closed), std::mem::take(&mut self.upkeep.shelves));
        Some(Saving { content, shelf: Arc::clone(&self.shelf), stale })
    }

    fn encoded(&mut self, shelf: Option<(Name, u64)>, closed: bool) -> Vec<u8> {
        let (segment, offset) = match &self.tail {
            Some(tail) => (tail.segment.id, tail.log.end()),
            None => (self.next_id, 0),
        };
        let tail = self.tail.iter().map(|tail| &tail.segment);
        let saved = Checkpoint {
            last_seq: self.last_seq,
            last_ts: self.last_ts,
            segment,
            offset,
            segments: self.segments.iter().chain(tail).map(Known::of).collect(),
            lost: self.lost.iter().copied().collect(),
            lost_bytes: self.lost_bytes,
            shelf,
            closed,
            ..Checkpoint::default()
        };
        let content = saved.encode(&self.index, self.upkeep.saved as usize);
        (self.upkeep.logged, self.upkeep.saved) = (0, content.len() as u64);
        whole::encode(&self.keys, b"", &content)
    }

    /// Has what was written synced in its time.
    pub(super) fn sync_later(&self) {
        let Some(interval) = self.sync.interval().filter(|_| self.shared.disk.has_background()) else { return };
        if !self.shared.is_dirty() || self.shared.is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let sync = move || {
            let _working = shared.working.lock();
            shared.is_due.store(false, Ordering::Release);
            if shared.closed.load(Ordering::Acquire) {
                return;
            }
            match shared.sync() {
                Ok(()) => shared.write_marks(),
                Err(error) => tracing::error!(%error, "a stream takes no more writes"),
            }
        };
        background::later(interval, Box::new(sync));
    }

    /// Cuts room off the files that are written.
    fn finish(&mut self) -> std::io::Result<()> {
        if let Some(tail) = &mut self.tail
            && tail.log.finish()?
        {
            self.shared.wrote(&tail.log.file, tail.log.mark(self.last_seq));
        }
        self.journal.finish(&self.shared)
    }

    /// Writes and syncs everything and saves the index, so that the next start is a short one.
    pub(super) fn close_files(&mut self) {
        if self.shared.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let _working = shared.working.lock();
        let closed = self.write().and_then(|()| {
            self.finish().map_err(io_error("cut a file in", &shared.dir))?;
            shared.sync()
        });
        let closed = closed.and_then(|()| {
            self.install();
            if self.upkeep.logged == 0 || self.check_index().is_err() {
                self.shelf.discard();
                return Ok(());
            }
            if let Some(tail) = &self.tail {
                let segment = Segment { len: tail.log.end(), ..tail.segment.clone() };
                self.save_table(&segment, &tail.table.encode());
            }
            self.checkpoint(true).map_or(Ok(()), |saving| saving.run(&shared))
        });
        shared.write_marks();
        if let Err(error) = closed {
            tracing::warn!(%error, dir = %shared.dir.display(), "a stream was not closed in order");
        }
    }
}

/// A checkpoint on its way to the disk.
struct Saving {
    content: Vec<u8>,
    shelf: Arc<FileShelf>,
    /// What no checkpoint speaks of after it.
    stale: Vec<String>,
}

impl Saving {
    fn run(self, shared: &Shared) -> Result<(), StoreError> {
        // It must not know of anything that a loss of power takes.
        shared.sync()?;
        self.shelf.sync()?;
        whole::replace(&*shared.disk, &shared.dir, checkpoint::FILE, &self.content)?;
        for name in self.stale {
            let path = shared.dir.join(name);
            shared.disk.remove(&path).map_err(io_error("remove", &path))?;
        }
        Ok(())
    }
}
