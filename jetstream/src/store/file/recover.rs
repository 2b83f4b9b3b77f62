//! Opening a stream: reads what a checkpoint does not know, tells a torn end from damage, and touches nothing before
//! all descriptions were read.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::super::index::messages::Shelf;
use super::super::index::posting::Posting;
use super::super::index::weight::Weight;
use super::super::{Journalled, Opened, StoreError};
use super::cache::Loaded;
use super::checkpoint::{self, Checkpoint, Known};
use super::disk::{Disk, io_error};
use super::journal::Journal;
use super::mark::Mark;
use super::read::{read_some, table_of};
use super::record::{CLOSES, ERASES, FIRST, Format, Kind, OPENS, Record, TOGETHER};
use super::scan::{Found, filled, scan};
use super::segment::{Segment, Table};
use super::shelf::{self, FileShelf};
use super::store::{FileStore, Reading};
use super::sync::Shared;
use super::whole;
use super::{FileOptions, SyncMode, describe, stamp};

/// No sequence reaches this.
pub(super) const SEQUENCE_END: u64 = 1 << 62;
/// At most so many sequences are listed as lost for one place of damage.
const LOST_MAX: u64 = 1 << 20;
/// So much read without a checkpoint makes the next one worth writing.
const SAVED_FROM: u64 = 1 << 20;

pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path, options: &FileOptions) -> Result<Opened, StoreError> {
    let mut store = FileStore::empty(disk, dir, options);
    let opened = open_into(&mut store, dir);
    if opened.is_err() {
        // Nothing is written on the way out.
        store.shared.closed.store(true, std::sync::atomic::Ordering::Release);
    }
    let (description, consumers, journal) = opened?;
    Ok(Opened { store: Box::new(store), description, consumers, journal })
}

type Parts = (Vec<u8>, Vec<(String, Vec<u8>)>, Vec<(String, Journalled)>);

fn open_into(store: &mut FileStore, dir: &Path) -> Result<Parts, StoreError> {
    let shared = Arc::clone(&store.shared);
    let mut names = shared.disk.list(dir).map_err(io_error("list", dir))?;
    names.sort();
    let segments = names.iter().filter_map(|(name, len)| Segment::of_name(name, *len));
    let segments: Vec<Segment> = segments.filter(|segment| segment.base < SEQUENCE_END).collect();
    if !names.iter().any(|(name, _)| name == describe::STREAM_FILE) {
        let path = dir.display().to_string();
        return Err(if segments.is_empty() {
            StoreError::Unfinished { path }
        } else {
            StoreError::Damaged { path, offset: 0, what: "it has messages and no description" }
        });
    }
    let (description, consumers) = describe::read(&shared, &store.keys, &names)?;
    let saved = load_checkpoint(store);
    // A file that is left out has its number, too: another of that number would be taken for its elder.
    store.next_id = segments.iter().map(|segment| segment.id + 1).max().unwrap_or(0);
    let segments = without_foreign(store, saved.as_ref(), segments)?;
    if let Some(segment) = segments.iter().find(|segment| segment.encrypted && !store.keys.encrypts()) {
        return Err(StoreError::Key { path: segment.path(dir).display().to_string() });
    }
    let (journal, mut contents) = Journal::open(&shared, &store.keys, &names, store.sync == SyncMode::Always)?;
    store.journal = journal;
    shared.disk.sync_dir(dir).map_err(io_error("sync", dir))?;
    let stale = recover(store, segments, saved)?;
    store.settle()?;
    let is_there = |owner: &str| consumers.iter().any(|(name, _)| name == owner);
    store.journal.retain(&shared, &store.keys, &mut contents, is_there)?;
    if contents.damaged > 0 {
        store.lost_bytes += contents.damaged;
        tracing::error!(bytes = contents.damaged, dir = %dir.display(), "the journal of a stream is damaged");
    }
    if !store.lost.is_empty() {
        tracing::error!(messages = store.lost.len(), dir = %dir.display(), "stored messages are damaged");
    }
    for segment in stale {
        store.upkeep.doom(segment);
    }
    for (name, _) in names.iter().filter(|(name, _)| is_leftover(name, store)) {
        let _ = shared.disk.remove(&dir.join(name));
    }
    Ok((description, consumers, contents.owners.into_iter().collect()))
}

/// A file that was never finished, or a table of a segment that is not there.
fn is_leftover(name: &str, store: &FileStore) -> bool {
    name.strip_suffix(".tmp").is_some()
        || (name.strip_suffix(shelf::SUFFIX).is_some()
            && store.shelf.name().is_none_or(|own| own.file() != name)
            && !store.upkeep.shelves.iter().any(|known| known == name))
        || (name.strip_suffix(".table").is_some() && !store.segments.iter().any(|segment| segment.table_name() == name))
}

/// The segments that are what their names say. Of a stream that is not read as a whole the headers are read of those that
/// the checkpoint does not know, and of those that share a number or a salt.
fn without_foreign(
    store: &FileStore,
    saved: Option<&Checkpoint>,
    mut all: Vec<Segment>,
) -> Result<Vec<Segment>, StoreError> {
    let size = all.iter().map(|segment| segment.len).sum::<u64>();
    let saved = saved.filter(|_| size > store.shared.disk.limits().read_all);
    let mut known = BTreeSet::new();
    if let Some(saved) = saved {
        let (mut numbers, mut salts) = (BTreeMap::new(), BTreeMap::new());
        for segment in &all {
            *numbers.entry(segment.id).or_insert(0) += 1;
            *salts.entry(segment.salt).or_insert(0) += 1;
        }
        let is_alone =
            |segment: &&Segment| numbers.get(&segment.id) == Some(&1) && salts.get(&segment.salt) == Some(&1);
        let named: BTreeSet<_> = saved.segments.iter().map(|known| (known.id, known.generation, known.base)).collect();
        let is_known = |segment: &&Segment| named.contains(&(segment.id, segment.generation, segment.base));
        known.extend(all.iter().filter(is_alone).filter(is_known).map(|segment| segment.id));
    }
    let Shared { disk, dir, .. } = &*store.shared;
    let foreign = stamp::foreign(&**disk, dir, &store.keys, &all, |segment| !known.contains(&segment.id))?;
    for name in &foreign {
        tracing::error!(dir = %dir.display(), name, "{}", stamp::FOREIGN);
    }
    all.retain(|segment| !foreign.contains(&segment.name()));
    Ok(all)
}

/// Reads the segments; gives those whose successors are there.
fn recover(store: &mut FileStore, all: Vec<Segment>, saved: Option<Checkpoint>) -> Result<Vec<Segment>, StoreError> {
    let mut newest: BTreeMap<u32, Segment> = BTreeMap::new();
    let mut stale = Vec::new();
    for segment in all {
        match newest.get_mut(&segment.id) {
            Some(other) if other.generation >= segment.generation => stale.push(segment),
            Some(other) => stale.push(std::mem::replace(other, segment)),
            None => {
                newest.insert(segment.id, segment);
            }
        }
    }
    let mut segments: Vec<Segment> = newest.into_values().collect();
    // Bases rise with ids, and no two files have a salt in common; a name that breaks that was not written by a store.
    let (mut base, mut salts) = (0, BTreeSet::new());
    segments.retain(|segment| {
        let is_own = segment.base >= base && salts.insert(segment.salt);
        base = base.max(segment.base);
        is_own
    });
    store.upkeep.shelves.extend(saved.as_ref().and_then(|saved| saved.shelf).map(|(name, _)| name.file()));
    let floor = saved.as_ref().map(|saved| (saved.segment, saved.offset, saved.last_seq));
    let size = segments.iter().map(|segment| segment.len).sum::<u64>();
    let is_worth_it = size > store.shared.disk.limits().read_all;
    let saved = saved.filter(|saved| is_worth_it && fits(saved, &segments));
    let closed = saved.as_ref().is_some_and(|saved| saved.closed);
    let known: Option<(u32, u64, Vec<Known>)> = saved.and_then(|saved| start_from(store, saved));
    if let Some((_, _, known)) = &known {
        reconcile(store, known, &segments)?;
    }
    let last = segments.iter().rposition(|segment| segment.len > FIRST);
    let count = segments.len();
    for (number, mut segment) in segments.clone().into_iter().enumerate() {
        let from = known.as_ref().map_or(Some(FIRST), |known| begin(known, &mut segment));
        // What was closed in order and has not grown need not be read.
        let grown = |from: &u64| !closed || *from != segment.len || store.saved_table(&segment).is_none();
        let from = from.filter(grown);
        store.last_seq = store.last_seq.max(segment.base.saturating_sub(1));
        let Some(from) = from else {
            store.segments.push(segment);
            continue;
        };
        let next = segments.get(number + 1).filter(|next| next.id == segment.id + 1).map(|next| next.base);
        let is_last = Some(number) == last || number + 1 == count;
        let floor = floor.filter(|(id, ..)| *id == segment.id && segment.generation == 0);
        let floor = floor.map(|(_, end, last_seq)| Mark { end, last_seq });
        let bounds = Bounds { from, next: next.filter(|_| !is_last), is_last, floor };
        read_segment(store, segment, &bounds)?;
    }
    if store.upkeep.logged < SAVED_FROM {
        store.upkeep.logged = 0;
    }
    for number in 0..store.segments.len() {
        let all = store.index.all();
        let base = store.segments.get(number).map_or(0, |segment| segment.base);
        let live = all.count_from(base) - all.count_from(store.end_of(number).max(base));
        if let Some(segment) = store.segments.get_mut(number) {
            segment.live = live;
        }
    }
    store.bytes = store.segments.iter().map(|segment| segment.size).sum();
    store.recount();
    let absent = std::mem::take(&mut store.upkeep.absent);
    store.lost.extend(absent.runs().flat_map(|(start, len)| start..start + len).take(LOST_MAX as usize));
    Ok(stale)
}

fn load_checkpoint(store: &FileStore) -> Option<Checkpoint> {
    let path = store.shared.dir.join(checkpoint::FILE);
    let (_, content) = whole::read(&*store.shared.disk, &path, &store.keys).ok()?;
    Checkpoint::decode(&content).filter(|saved| saved.last_seq < SEQUENCE_END)
}

/// What it knows of the files is what they are.
fn fits(saved: &Checkpoint, segments: &[Segment]) -> bool {
    segments.iter().all(|segment| {
        let same = |known: &&Known| known.id == segment.id && known.generation == segment.generation;
        let known = saved.segments.iter().find(same);
        known.is_none_or(|known| segment.len == known.len || (known.id == saved.segment && segment.len >= saved.offset))
    })
}

fn start_from(store: &mut FileStore, saved: Checkpoint) -> Option<(u32, u64, Vec<Known>)> {
    let Checkpoint { mut index, .. } = saved;
    if let Some((name, end)) = saved.shelf {
        // Each parcel is read once: what cannot be read any more shows here.
        let old = FileShelf::open(&store.shared, &store.keys, name, end)?;
        let places = index.copy_parcels(&old, &*store.shelf)?;
        index.move_parcels(places);
    }
    index.set_shelf(Arc::clone(&store.shelf) as Arc<dyn Shelf>, store.shared.disk.limits().shelf);
    (store.last_seq, store.last_ts) = (saved.last_seq, saved.last_ts);
    store.index = index;
    store.lost = saved.lost.into_iter().collect();
    store.lost_bytes = saved.lost_bytes;
    Some((saved.segment, saved.offset, saved.segments))
}

/// From where on the segment is to be read; `None` if all of it is known.
fn begin((at, offset, known): &(u32, u64, Vec<Known>), segment: &mut Segment) -> Option<u64> {
    let same = known.iter().find(|known| known.id == segment.id && known.generation == segment.generation);
    if let Some(same) = same {
        segment.dead = same.dead;
        segment.size = same.size;
        segment.removals = same.removals;
    }
    match (segment.id.cmp(at), same) {
        (Ordering::Less, Some(_)) => None,
        (Ordering::Equal, Some(_)) => Some((*offset).max(FIRST)),
        // It is new, or was written anew and is read for what it still holds.
        _ => Some(FIRST),
    }
}

/// Takes out of the index what the checkpoint knows and no file holds any more: it was removed later, and its segment
/// dropped or written anew. What nothing says was removed is lost.
fn reconcile(store: &mut FileStore, known: &[Known], segments: &[Segment]) -> Result<(), StoreError> {
    let mut absent = Posting::default();
    for (number, one) in known.iter().enumerate() {
        let end = known.get(number + 1).map_or(store.last_seq + 1, |next| next.base);
        let file = segments.iter().find(|segment| segment.id == one.id);
        let table = match file {
            Some(file) if file.generation == one.generation => continue,
            Some(file) => Some(store.load(file)?.table),
            None => None,
        };
        let mut at = one.base;
        while let Some(seq) = store.index.all().next(at).filter(|seq| *seq < end) {
            at = seq + 1;
            if table.as_ref().is_none_or(|table| table.find(seq).is_none()) {
                absent.push(seq);
            }
        }
    }
    if !absent.is_empty() {
        store.index.remove_all(&absent);
    }
    store.upkeep.absent = absent;
    Ok(())
}

/// What is known of a segment before it is read.
struct Bounds {
    /// Where to begin.
    from: u64,
    /// Where the next one begins, if it follows without a gap.
    next: Option<u64>,
    is_last: bool,
    /// It was once synced up to this offset, and the stream to this sequence.
    floor: Option<Mark>,
}

fn read_segment(store: &mut FileStore, segment: Segment, bounds: &Bounds) -> Result<(), StoreError> {
    let Bounds { from, is_last, .. } = *bounds;
    let path = segment.path(&store.shared.dir);
    let file = store.shared.disk.open(&path, false).map_err(io_error("open", &path))?;
    let len = file.len().map_err(io_error("read", &path))?;
    let bytes = read_some(&file, 0, len as usize).map_err(io_error("read", &path))?;
    let key = || StoreError::Key { path: path.display().to_string() };
    let format = segment.format(&store.keys).ok_or_else(key)?;
    let base = segment.base;
    // With a checkpoint, what stands before is known and only its places are missing.
    let known = bytes.slice(..from.min(bytes.len() as u64) as usize);
    let table = if from > FIRST { table_of(&format, &known) } else { Table::default() };
    let expected = base.max(store.last_seq + 1);
    store.segments.push(segment);
    store.reading = Some(Reading { base, format: Arc::clone(&format), bytes: bytes.clone(), table });
    let erasing = if is_last { erasing(&format, &bytes) } else { BTreeSet::new() };
    let mut reader = Reader {
        store,
        is_last,
        expected,
        damage: vec![],
        lost: vec![],
        batch: vec![],
        dropped: vec![],
        gone: vec![],
        erasing,
    };
    let end = scan(&format, &bytes, from, &mut |found| reader.take(found));
    let floor = Mark::of(&format, &bytes).into_iter().chain(bounds.floor).max_by_key(|mark| mark.end);
    let floor = floor.filter(|mark| is_last && end < mark.end && mark.last_seq < SEQUENCE_END);
    // What is behind that in the last file is room.
    let filled = if is_last { filled(&bytes).max(end) } else { len };
    let (end, is_torn) = reader.end(end, filled, bounds.next, floor);
    let kept = if is_torn { end } else { floor.map_or(filled, |mark| mark.end.max(filled)).min(len) };
    let Reader { lost, damage, dropped, gone, .. } = reader;
    remove_gone(store, gone);
    store.lost_bytes += damage.iter().map(|(from, to)| to - from).sum::<u64>();
    let gone: Vec<u64> = lost.into_iter().filter(|seq| !store.index.contains(*seq)).collect();
    store.lost.extend(gone.into_iter().chain(dropped.iter().copied()));
    store.upkeep.dropped.extend(dropped);
    if kept < len {
        file.set_len(kept).map_err(io_error("truncate", &path))?;
    }
    if is_last {
        // A process that was killed had not synced it; those who read from now on take it for stored.
        file.sync().map_err(io_error("sync", &path))?;
    }
    if let Some(segment) = store.segments.last_mut() {
        segment.len = kept;
    }
    store.upkeep.logged += kept - from.min(kept);
    let Some(Reading { table, .. }) = store.reading.take() else { return Ok(()) };
    if let Some(segment) = store.segments.last() {
        let name = (segment.id, segment.generation);
        if store.saved_table(segment).is_none() {
            store.save_table(segment, &table.encode());
        }
        store.cache.borrow_mut().put(name, Loaded { file, format, table: Arc::new(table) });
    }
    Ok(())
}

/// Messages that were to be overwritten.
fn erasing(format: &Format, bytes: &Bytes) -> BTreeSet<u64> {
    let mut all = BTreeSet::new();
    scan(format, bytes, FIRST, &mut |found| {
        if let Found::Record(_, record) = found
            && record.head.kind == Kind::Removed
            && record.head.flags & ERASES != 0
        {
            all.insert(record.head.seq);
        }
    });
    all
}

/// Takes out messages that were removed and are overwritten, or damaged.
fn remove_gone(store: &mut FileStore, mut gone: Vec<u64>) {
    gone.sort_unstable();
    gone.dedup();
    let mut all = Posting::default();
    for seq in gone {
        all.push(seq);
        if let Some((number, size)) = store.find_erased(seq) {
            if let Some(segment) = store.segments.get_mut(number) {
                segment.size = segment.size.saturating_sub(size);
            }
        } else {
            store.upkeep.recount.insert(seq);
        }
    }
    store.index.remove_all(&all);
}

/// One segment on its way into the store.
struct Reader<'a> {
    store: &'a mut FileStore,
    is_last: bool,
    /// The sequence that comes next if nothing is missing.
    expected: u64,
    damage: Vec<(u64, u64)>,
    /// Sequences that damage is known to have taken.
    lost: Vec<u64>,
    /// Messages that come together, as far as they came.
    batch: Vec<(u64, Record)>,
    /// Sequences of such that are not complete.
    dropped: Vec<u64>,
    /// Messages that were removed and cannot be read any more.
    gone: Vec<u64>,
    /// Messages that the segment says are being overwritten: a crash may have left them torn.
    erasing: BTreeSet<u64>,
}

impl Reader<'_> {
    /// Where the segment ends, of which there are bytes up to `len`, and whether what is behind that was left by a crash.
    /// It was synced up to `floor`, if there is less of it; the next one begins with the sequence `next`.
    fn end(&mut self, mut end: u64, len: u64, next: Option<u64>, floor: Option<Mark>) -> (u64, bool) {
        if self.is_last
            && floor.is_none()
            && self.damage.is_empty()
            && let Some((at, _)) = self.batch.first()
        {
            // A batch that was not written to its end, and nothing behind it.
            end = *at;
            self.batch.clear();
        }
        self.end_batch();
        let is_torn = self.is_last && end < len && floor.is_none();
        if end < len && !is_torn {
            self.damage.push((end, len));
        }
        if let Some(Mark { end, last_seq }) = floor {
            // It was synced further than it reads: that is no crash.
            self.damage.push((len.min(end), end));
            self.miss(last_seq + 1);
        }
        if let Some(next) = next {
            self.miss(next);
        }
        (end, is_torn)
    }

    fn take(&mut self, found: Found) {
        match found {
            Found::Damage { from, to, seq } => {
                self.damage.push((from, to));
                if !self.erasing.is_empty() && !self.batch.is_empty() {
                    // It may be a member that is being overwritten: what comes tells.
                    return;
                }
                self.end_batch();
                if let Some(seq) = seq.filter(|seq| *seq >= self.expected && *seq < SEQUENCE_END) {
                    self.miss(seq + 1);
                }
            }
            Found::Record(at, record) => {
                // No stream has such a sequence: the record lies, and takes part in nothing.
                if record.head.seq >= SEQUENCE_END {
                    return self.end_batch();
                }
                let is_message = matches!(record.head.kind, Kind::Message | Kind::Erased);
                let is_together = is_message && record.head.flags & TOGETHER != 0;
                if !is_together {
                    self.end_batch();
                    return self.apply(at, &record);
                }
                if record.head.flags & OPENS != 0 || !self.follows(&record) {
                    self.end_batch();
                }
                let closes = record.head.flags & CLOSES != 0;
                self.batch.push((at, record));
                if closes && self.opens() {
                    for (at, record) in std::mem::take(&mut self.batch) {
                        self.apply(at, &record);
                    }
                } else if closes {
                    self.end_batch();
                }
            }
        }
    }

    fn follows(&self, record: &Record) -> bool {
        self.batch.last().is_none_or(|(_, last)| self.are_erasing(last.head.seq + 1, record.head.seq))
    }

    /// The batch has its first member, or that is being overwritten.
    fn opens(&self) -> bool {
        self.batch.first().is_some_and(|(_, first)| {
            let missing = self.expected < first.head.seq && self.are_erasing(self.expected, first.head.seq);
            first.head.flags & OPENS != 0 || missing
        })
    }

    /// All from `from` to below `to` are being overwritten.
    fn are_erasing(&self, from: u64, to: u64) -> bool {
        from <= to && to - from <= self.erasing.len() as u64 && (from..to).all(|seq| self.erasing.contains(&seq))
    }

    /// The batch goes no further. At the end of the log it was never whole; further up all of it once was.
    fn end_batch(&mut self) {
        let last = self.batch.last().map(|(_, last)| last.head.seq);
        let closes = last.is_some_and(|last| self.erasing.contains(&(last + 1)));
        let is_whole = closes && self.opens();
        for (at, record) in std::mem::take(&mut self.batch) {
            let seq = record.head.seq;
            if !self.is_last || is_whole {
                self.apply(at, &record);
            } else if seq > self.store.last_seq {
                self.miss(seq);
                self.dropped.push(seq);
                self.used(seq, record.head.ts);
            }
        }
    }

    /// Sequences from the expected one to below `to` are not there.
    fn miss(&mut self, to: u64) {
        if to <= self.expected {
            return;
        }
        let from = std::mem::replace(&mut self.expected, to);
        let segment = self.store.segments.last();
        let is_whole = segment.is_none_or(|segment| segment.generation == 0);
        if is_whole {
            self.lost.extend(from..to.min(from + LOST_MAX));
        } else if !self.damage.is_empty()
            && let Some(table) = segment.and_then(|segment| self.store.saved_table(segment))
        {
            // What was dead when it was written anew is not lost: its table knows what was there.
            let within = self.damage.iter().flat_map(|(low, high)| table.within(*low, *high));
            self.lost.extend(within.filter(|seq| *seq >= from && *seq < to));
        } else if !self.damage.is_empty() {
            self.lost.extend(from..to.min(from + LOST_MAX));
        }
        self.store.last_seq = self.store.last_seq.max(to - 1);
    }

    /// A removal says which sequence was the last then.
    fn reached(&mut self, record: &Record) {
        let last = u64::try_from(record.expires()).unwrap_or_default();
        if last < SEQUENCE_END {
            self.miss(last + 1);
        }
    }

    fn used(&mut self, seq: u64, ts: i64) {
        self.expected = self.expected.max(seq + 1);
        self.store.last_seq = self.store.last_seq.max(seq);
        self.store.last_ts = self.store.last_ts.max(ts);
    }

    fn apply(&mut self, at: u64, record: &Record) {
        let (seq, ts) = (record.head.seq, record.head.ts);
        match record.head.kind {
            Kind::Message => self.message(at, record),
            Kind::Erased => {
                if self.store.index.contains(seq) {
                    // What a checkpoint knows as a message; its removal comes.
                    self.count(record);
                }
                if let Some(reading) = &mut self.store.reading
                    && reading.table.takes(seq)
                {
                    reading.table.push(seq, at);
                }
                self.miss(seq);
                self.used(seq, ts);
            }
            Kind::Removed => {
                let end = seq.saturating_add(ts.max(1).cast_unsigned());
                self.reached(record);
                self.remove(seq, end, record.head.flags & ERASES != 0);
            }
            Kind::Below => {
                self.reached(record);
                self.remove(0, seq, false);
                self.used(seq.saturating_sub(1), 0);
            }
            Kind::Skip => {
                self.reached(record);
                let is_whole = self.store.segments.last().is_none_or(|segment| segment.generation == 0);
                if !is_whole {
                    self.miss(seq + 1);
                }
                self.used(seq, ts);
            }
            _ => {}
        }
        if record.head.kind != Kind::Message
            && let Some(segment) = self.store.segments.last_mut()
        {
            segment.dead += u64::from(record.head.len);
        }
    }

    fn message(&mut self, at: u64, record: &Record) {
        let (seq, ts) = (record.head.seq, record.head.ts);
        let Some(reading) = &mut self.store.reading else { return };
        if seq < reading.base || !reading.table.takes(seq) || reading.table.find(seq).is_some() {
            return;
        }
        if seq <= self.store.last_seq {
            // A checkpoint knows it.
            if self.store.index.contains(seq) {
                reading.table.push(seq, at);
                self.count(record);
            }
            return;
        }
        self.miss(seq);
        if let Some(reading) = &mut self.store.reading {
            reading.table.push(seq, at);
        }
        self.used(seq, ts);
        self.store.index.append(seq, record.subject(), record.expires(), Weight::default());
        self.count(record);
    }

    fn count(&mut self, record: &Record) {
        let number = self.store.segments.len().checked_sub(1);
        let size = self.store.size_by_head(&record.head, number);
        if let Some(segment) = self.store.segments.last_mut() {
            segment.size += size;
        }
    }

    fn remove(&mut self, from: u64, to: u64, erase: bool) {
        let store = &mut *self.store;
        if let Some(segment) = store.segments.last_mut() {
            segment.removes(from, to.saturating_sub(1));
        }
        let mut at = from;
        while let Some(seq) = store.index.all().next(at).filter(|seq| *seq < to) {
            at = seq + 1;
            match store.look(seq) {
                Ok(gone) => {
                    store.drop_message(&gone);
                    if erase {
                        store.upkeep.unerased.extend(gone.segment.map(|number| (number, gone.at, gone.head)));
                    }
                }
                Err(_) => self.gone.push(seq),
            }
        }
        let absent = &mut store.upkeep.absent;
        while let Some(seq) = absent.next(from).filter(|seq| *seq < to) {
            absent.remove(seq);
        }
        let kept = store.lost.split_off(&to);
        store.lost.split_off(&from);
        store.lost.extend(kept);
        self.lost.retain(|seq| *seq < from || *seq >= to);
    }
}
