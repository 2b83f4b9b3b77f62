//! Writing a segment anew without what is dead in it: another file under another salt, complete before its name is.

use bytes::Bytes;

use super::super::StoreError;
use super::super::index::block::Run;
use super::disk::io_error;
use super::record::{FIRST, Format, Kind, New, Record, SQUEEZED};
use super::scan::{Found, scan};
use super::segment::{Segment, Table};
use super::sync::Shared;
use super::whole::{self, Keys};

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) old: Segment,
    /// One above the last sequence that it can hold.
    pub(crate) end: u64,
    /// Messages that are still there.
    pub(crate) live: Vec<Run>,
    /// Sequences that other files may hold: removals of those stay.
    pub(crate) others: Vec<(u64, u64)>,
    pub(crate) keys: Keys,
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) old: Segment,
    /// Nothing if it could not be done: the segment is damaged, or the disk refused.
    pub(crate) new: Option<(Segment, Table)>,
}

pub(crate) fn run(shared: &Shared, task: Task) -> Rewritten {
    let done = rewrite(shared, &task);
    let new = done.unwrap_or_else(|error| {
        tracing::warn!(%error, "a segment cannot be written anew");
        None
    });
    Rewritten { old: task.old, new }
}

struct Copy<'a> {
    task: &'a Task,
    format: Format,
    into: Vec<u8>,
    new: Segment,
    table: Table,
    /// Sequences of removals that stay, not written yet.
    removed: Option<Run>,
    /// The time of the last message that it ever held, or of one before.
    last_ts: i64,
    is_damaged: bool,
}

fn rewrite(shared: &Shared, task: &Task) -> Result<Option<(Segment, Table)>, StoreError> {
    let path = task.old.path(&shared.dir);
    let bytes = Bytes::from(shared.disk.read(&path).map_err(io_error("read", &path))?);
    let encrypted = task.keys.encrypts();
    let new = task.old.next_generation(encrypted);
    let key = || StoreError::Key { path: path.display().to_string() };
    let old_format = task.old.format(&task.keys).ok_or_else(key)?;
    let format = task.keys.format(&new.salt, encrypted).ok_or_else(key)?;
    let into = task.keys.header(&new.name(), &new.salt, encrypted).to_vec();
    let mut copy =
        Copy { task, format, into, new, table: Table::default(), removed: None, last_ts: 0, is_damaged: false };
    let end = scan(&old_format, &bytes, FIRST, &mut |found| match found {
        Found::Record(_, record) => copy.take(&record),
        Found::Damage { .. } => copy.is_damaged = true,
    });
    if copy.is_damaged || end < bytes.len() as u64 {
        return Ok(None);
    }
    copy.put_removals();
    copy.put(&New::mark(Kind::Skip, task.end.saturating_sub(1), copy.last_ts));
    let Copy { into, mut new, table, .. } = copy;
    new.len = into.len() as u64;
    whole::replace(&*shared.disk, &shared.dir, &new.name(), &into)?;
    let synced = shared.disk.sync_dir(&shared.dir).map_err(io_error("sync", &shared.dir));
    synced.inspect_err(|error| shared.fail(error))?;
    Ok(Some((new, table)))
}

impl Copy<'_> {
    fn is_live(&self, seq: u64) -> bool {
        let after = self.task.live.partition_point(|(start, _)| *start <= seq);
        let run = after.checked_sub(1).and_then(|number| self.task.live.get(number));
        run.is_some_and(|(start, len)| seq < start + len)
    }

    fn is_elsewhere(&self, low: u64, high: u64) -> bool {
        self.task.others.iter().any(|(base, end)| *base <= high && *end > low)
    }

    fn put(&mut self, new: &New<'_>) -> u64 {
        let at = self.into.len() as u64;
        self.format.encode(&mut self.into, at, new);
        at
    }

    fn take(&mut self, record: &Record) {
        let (seq, ts) = (record.head.seq, record.head.ts);
        if matches!(record.head.kind, Kind::Message | Kind::Erased | Kind::Skip) {
            self.last_ts = self.last_ts.max(ts);
        }
        match record.head.kind {
            Kind::Message if self.is_live(seq) => {
                self.put_removals();
                let content: Bytes = record.content();
                let (subject, rest) = content.split_at(record.subject().len().min(content.len()));
                let (header, payload) = rest.split_at((record.head.header_len as usize).min(rest.len()));
                let expires = record.expires();
                // It stays as it came.
                let squeeze = record.head.flags & SQUEEZED != 0;
                let new = New { kind: Kind::Message, flags: 0, seq, ts, expires, subject, header, payload, squeeze };
                let at = self.put(&new);
                self.table.push(seq, at);
            }
            Kind::Removed => {
                let count = ts.max(1).cast_unsigned();
                let high = seq.saturating_add(count - 1);
                if !self.is_elsewhere(seq, high) {
                    return;
                }
                self.new.removes(seq, high);
                match &mut self.removed {
                    Some((start, len)) if *start + *len == seq => *len += count,
                    _ => {
                        self.put_removals();
                        self.removed = Some((seq, count));
                    }
                }
            }
            Kind::Below if self.is_elsewhere(0, seq.saturating_sub(1)) => {
                self.put_removals();
                self.new.removes(0, seq.saturating_sub(1));
                self.put(&New::mark(Kind::Below, seq, 0));
            }
            _ => {}
        }
    }

    fn put_removals(&mut self) {
        if let Some((start, len)) = self.removed.take() {
            self.put(&New::mark(Kind::Removed, start, len.cast_signed()));
        }
    }
}
