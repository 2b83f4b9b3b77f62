//! Finding and reading a stored message.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::super::{Removed, Store, StoreError};
use super::cache::{Loaded, Name};
use super::disk::{DiskFile, io_error};
use super::record::{FIRST, Format, Head, Kind, Record};
use super::scan::{Found, scan};
use super::segment::{Segment, Table};
use super::store::FileStore;

/// A record that was found.
pub(crate) struct Place {
    pub(crate) record: Record,
    /// Which of the sealed segments it is in; `None` for the last segment.
    pub(crate) segment: Option<usize>,
    pub(crate) at: u64,
}

/// A message on its way out.
pub(crate) struct Gone {
    pub(crate) removed: Removed,
    pub(crate) expires: i64,
    pub(crate) segment: Option<usize>,
    pub(crate) at: u64,
    pub(crate) head: Head,
}

impl FileStore {
    /// Which of the sealed segments would hold `seq`.
    pub(crate) fn segment_of(&self, seq: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.base <= seq).checked_sub(1)
    }

    /// The record of a message that the index has; all of it, or as much as its subject takes.
    pub(crate) fn find(&self, seq: u64, all: bool) -> Result<Place, StoreError> {
        let found = self.find_in_files(seq, all)?;
        found.filter(|place| place.record.head.kind == Kind::Message && place.record.head.seq == seq).ok_or_else(|| {
            let mut known = self.shared.found.lock();
            if !known.contains(&seq) {
                known.push(seq);
            }
            let segment = self.segment_of(seq).and_then(|number| self.segments.get(number));
            let path = segment.map_or_else(|| self.shared.dir.clone(), |segment| segment.path(&self.shared.dir));
            StoreError::Damaged { path: path.display().to_string(), offset: 0, what: "a message cannot be read" }
        })
    }

    fn find_in_files(&self, seq: u64, all: bool) -> Result<Option<Place>, StoreError> {
        if let Some(reading) = self.reading.as_ref().filter(|reading| seq >= reading.base) {
            let Some(at) = reading.table.find(seq) else { return Ok(None) };
            let rest = reading.bytes.slice((at as usize).min(reading.bytes.len())..);
            let segment = self.segments.len().checked_sub(1);
            return Ok(reading.format.record(&rest, at).map(|record| Place { record, segment, at }));
        }
        if let Some(tail) = self.tail.as_ref().filter(|tail| seq >= tail.segment.base) {
            let Some(at) = tail.table.find(seq) else { return Ok(None) };
            if let Some(record) = tail.log.held(at) {
                return Ok(Some(Place { record, segment: None, at }));
            }
            let name = (tail.segment.id, tail.segment.generation);
            let record = self.fetch(name, &tail.log.file, &tail.log.format, at, all);
            let record = record.map_err(|error| io_error("read", &tail.segment.path(&self.shared.dir))(error))?;
            return Ok(record.map(|record| Place { record, segment: None, at }));
        }
        let Some(number) = self.segment_of(seq) else { return Ok(None) };
        let Some(segment) = self.segments.get(number) else { return Ok(None) };
        let loaded = self.load(segment)?;
        let Some(at) = loaded.table.find(seq) else { return Ok(None) };
        let name = (segment.id, segment.generation);
        let record = self.fetch(name, &loaded.file, &loaded.format, at, all);
        let record = record.map_err(|error| io_error("read", &segment.path(&self.shared.dir))(error))?;
        Ok(record.map(|record| Place { record, segment: Some(number), at }))
    }

    fn fetch(
        &self,
        name: Name,
        file: &Arc<dyn DiskFile>,
        format: &Format,
        at: u64,
        all: bool,
    ) -> io::Result<Option<Record>> {
        let mut cache = self.cache.borrow_mut();
        if let Some(held) = cache.window(name, at)
            && let Some(record) = format.record(&held, at)
        {
            return Ok(Some(record));
        }
        let bytes = read_some(file, at, cache.reach(name, at, all))?;
        cache.set_window(name, at, bytes.clone());
        let Some(head) = format.head(&bytes, at) else { return Ok(None) };
        if bytes.len() >= head.len as usize {
            return Ok(format.record(&bytes, at));
        }
        if !all && let Some(record) = format.beginning(&bytes, at) {
            return Ok(Some(record));
        }
        Ok(format.record(&read_some(file, at, head.len as usize)?, at))
    }

    /// The segment's file and table, as they were kept, or from the disk.
    pub(crate) fn load(&self, segment: &Segment) -> Result<Loaded, StoreError> {
        let name = (segment.id, segment.generation);
        if let Some(loaded) = self.cache.borrow_mut().get(name) {
            return Ok(loaded);
        }
        let path = segment.path(&self.shared.dir);
        let file = self.shared.disk.open(&path, false).map_err(io_error("open", &path))?;
        let format = segment.format(&self.keys);
        let format = format.ok_or_else(|| StoreError::Key { path: path.display().to_string() })?;
        let table = if let Some(table) = self.saved_table(segment) {
            table
        } else {
            let bytes = Bytes::from(self.shared.disk.read(&path).map_err(io_error("read", &path))?);
            table_of(&format, &bytes)
        };
        let loaded = Loaded { file, format, table: Arc::new(table) };
        self.cache.borrow_mut().put(name, loaded.clone());
        Ok(loaded)
    }

    /// What a message that the index has is, to take it out.
    pub(crate) fn look(&self, seq: u64) -> Result<Gone, StoreError> {
        let mut place = self.find(seq, false)?;
        let right = |record: &Record| self.index.of_subject(record.subject()).is_some();
        if !right(&place.record) {
            place = self.find(seq, true)?;
        }
        let Place { record, segment, at } = place;
        let head = record.head;
        let subject = record.content().slice(..usize::from(head.subject_len));
        // What is kept of it must not keep all that was read with it.
        let subject = Bytes::copy_from_slice(&subject);
        let size = self.size_by_head(&head, segment);
        Ok(Gone { removed: Removed { seq, ts: head.ts, subject, size }, expires: record.expires(), segment, at, head })
    }

    /// The segment that holds what was erased of a message, and the size that the message had.
    pub(crate) fn find_erased(&self, seq: u64) -> Option<(usize, u64)> {
        let place = self.find_in_files(seq, true).ok()??;
        let head = place.record.head;
        let size = self.size_by_head(&head, place.segment);
        (head.kind == Kind::Erased && head.seq == seq).then_some((place.segment?, size))
    }

    /// The size of a message in the n-th segment, or in the last, by its head.
    pub(crate) fn size_by_head(&self, head: &Head, segment: Option<usize>) -> u64 {
        let encrypted = match segment {
            Some(number) => self.segments.get(number).is_some_and(|segment| segment.encrypted),
            None => self.keys.encrypts(),
        };
        self.size_of(usize::from(head.subject_len), head.header_len as usize, head.payload_len(encrypted))
    }
}

/// Up to `len` bytes of a file.
pub(crate) fn read_some(file: &Arc<dyn DiskFile>, at: u64, len: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    Ok(bytes.into())
}

/// The table of a segment by reading it.
pub(crate) fn table_of(format: &Format, bytes: &Bytes) -> Table {
    let (mut table, mut last) = (Table::default(), 0);
    scan(format, bytes, FIRST, &mut |found| {
        if let Found::Record(at, record) = found
            && matches!(record.head.kind, Kind::Message | Kind::Erased)
            && record.head.seq > last
            && table.takes(record.head.seq)
        {
            last = record.head.seq;
            table.push(last, at);
        }
    });
    table
}
