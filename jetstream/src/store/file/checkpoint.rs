//! Checkpoints of the index: a stream that is opened reads only what was written since. Never more than a cache: one
//! that cannot be read, or does not fit what lies beside it, is ignored.

use super::super::index::Index;
use super::super::index::block::Run;
use super::super::index::messages::{Messages, Parcel};
use super::super::index::posting::Posting;
use super::super::index::varint::{put, take};
use super::record::HEAD;
use super::recover::SEQUENCE_END;
use super::segment::Segment;
use super::shelf::Name;

/// The file.
pub(crate) const FILE: &str = "index.checkpoint";
const VERSION: u64 = 2;

/// All that a store knows of its messages, at one point of its log.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) last_seq: u64,
    pub(crate) last_ts: i64,
    /// The point: a segment, and how far in it.
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) segments: Vec<Known>,
    pub(crate) lost: Vec<u64>,
    pub(crate) lost_bytes: u64,
    /// The stream was closed in order: nothing was left to be done.
    pub(crate) closed: bool,
    /// The file that parcels of the index are in, and how much of it is meant.
    pub(crate) shelf: Option<(Name, u64)>,
    pub(crate) index: Index,
}

/// What was known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: u32,
    pub(crate) generation: u32,
    pub(crate) base: u64,
    pub(crate) len: u64,
    pub(crate) dead: u64,
    pub(crate) size: u64,
    pub(crate) removals: Option<(u64, u64)>,
}

impl Known {
    pub(crate) fn of(segment: &Segment) -> Self {
        let Segment { id, generation, base, len, dead, size, removals, .. } = *segment;
        Self { id, generation, base, len, dead, size, removals }
    }
}

fn put_runs(into: &mut Vec<u8>, runs: impl Iterator<Item = Run>) {
    let mut end = 0;
    for (start, len) in runs {
        put(into, len);
        put(into, start - end);
        end = start + len;
    }
    put(into, 0);
}

fn take_posting(from: &mut &[u8]) -> Option<Posting> {
    let (mut posting, mut end) = (Posting::default(), 0_u64);
    loop {
        let len = take(from)?;
        if len == 0 {
            return Some(posting);
        }
        let start = end.checked_add(take(from)?)?;
        end = start.checked_add(len).filter(|end| *end <= SEQUENCE_END)?;
        if posting.last().is_some_and(|last| start <= last) {
            return None;
        }
        posting.push_run((start, len));
    }
}

fn put_shelf(into: &mut Vec<u8>, shelf: Option<(Name, u64)>) {
    let (name, end) = shelf.unwrap_or((Name { salt: [0; 16], encrypted: false }, 0));
    put(into, end);
    put(into, name.encrypted.into());
    into.extend_from_slice(&name.salt);
}

/// The file, and how much of it; nothing of it if there is none.
fn take_shelf(from: &mut &[u8]) -> Option<(Name, u64)> {
    let end = take(from)?;
    let encrypted = take(from)? == 1;
    let (salt, rest) = from.split_first_chunk::<16>()?;
    *from = rest;
    Some((Name { salt: *salt, encrypted }, end))
}

fn put_messages(into: &mut Vec<u8>, messages: &Messages) {
    let parcels = messages.parcels();
    put(into, parcels.len() as u64);
    let mut end = 0;
    for parcel in parcels {
        for number in [parcel.first - end, parcel.last - parcel.first, parcel.at] {
            put(into, number);
        }
        put(into, parcel.count.into());
        put(into, parcel.len.into());
        end = parcel.last;
    }
    put_runs(into, messages.rest().runs());
}

fn take_messages(from: &mut &[u8]) -> Option<Messages> {
    let (mut parcels, mut end) = (Vec::new(), 0_u64);
    for _ in 0..take(from)? {
        let first = end.checked_add(take(from)?)?;
        let last = first.checked_add(take(from)?)?;
        let at = take(from)?;
        let (count, len) = (u32::try_from(take(from)?).ok()?, u32::try_from(take(from)?).ok()?);
        parcels.push(Parcel { first, last, at, count, len });
        end = last;
    }
    Messages::of(parcels, take_posting(from)?)
}

impl Checkpoint {
    /// As bytes, with the index apart from it: it is the store's.
    pub(crate) fn encode(&self, index: &Index, room: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(room);
        let into = &mut bytes;
        for number in [VERSION, self.last_seq, self.last_ts.cast_unsigned(), self.segment.into(), self.offset] {
            put(into, number);
        }
        put(into, self.segments.len() as u64);
        for known in &self.segments {
            let (low, high) = known.removals.unwrap_or((1, 0));
            put(into, known.id.into());
            put(into, known.generation.into());
            for number in [known.base, known.len, known.dead, known.size, low, high] {
                put(into, number);
            }
        }
        put(into, self.lost_bytes);
        put(into, self.lost.len() as u64);
        self.lost.iter().for_each(|seq| put(into, *seq));
        put(into, self.closed.into());
        put_shelf(into, self.shelf);
        put_runs(into, index.all().runs());
        put(into, index.subject_count());
        for (text, messages) in index.entries() {
            put(into, text.len() as u64);
            into.extend_from_slice(text);
            put_messages(into, messages);
        }
        let (ends, kept) = index.ends();
        put(into, ends.len() as u64);
        for (at, seq) in ends {
            put(into, at.cast_unsigned());
            put(into, *seq);
        }
        put_runs(into, kept.runs());
        bytes
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        if take(from)? != VERSION {
            return None;
        }
        let mut found = Self {
            last_seq: take(from)?,
            last_ts: take(from)?.cast_signed(),
            segment: u32::try_from(take(from)?).ok()?,
            offset: take(from)?,
            ..Self::default()
        };
        for _ in 0..take(from)? {
            let (id, generation) = (u32::try_from(take(from)?).ok()?, u32::try_from(take(from)?).ok()?);
            let (base, len) = (take(from)?, take(from)?);
            let (dead, size) = (take(from)?, take(from)?);
            let (low, high) = (take(from)?, take(from)?);
            let removals = (low <= high).then_some((low, high));
            found.segments.push(Known { id, generation, base, len, dead, size, removals });
        }
        found.lost_bytes = take(from)?;
        for _ in 0..take(from)? {
            found.lost.push(take(from)?);
        }
        found.closed = take(from)? == 1;
        found.shelf = Some(take_shelf(from)?).filter(|(_, end)| *end > 0);
        let all = take_posting(from)?;
        // What cannot be so must not take memory either.
        let bytes = found.segments.iter().fold(found.offset, |sum, known| sum.saturating_add(known.len));
        if all.count() > bytes / HEAD as u64 {
            return None;
        }
        found.index.restore_all(&all);
        for _ in 0..take(from)? {
            let len = usize::try_from(take(from)?).ok()?;
            let (text, rest) = from.split_at_checked(len)?;
            *from = rest;
            let messages = take_messages(from)?;
            if found.shelf.is_none() && !messages.parcels().is_empty() {
                return None;
            }
            found.index.restore_subject(text, messages);
        }
        for _ in 0..take(from)? {
            let at = take(from)?.cast_signed();
            let seq = take(from)?;
            found.index.append_end(seq, at);
        }
        let kept = take_posting(from)?;
        let messages = {
            let mut counts = found.index.entries().map(|(_, messages)| messages.count());
            counts.try_fold(0_u64, u64::checked_add)?
        };
        if !from.is_empty() || messages != found.index.messages() || kept.count() > messages {
            return None;
        }
        for (start, len) in kept.runs() {
            (start..start + len).for_each(|seq| found.index.append_end(seq, -1));
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::index::weight::Weight;
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written_and_no_part_of_it_is_one() {
        let mut index = Index::default();
        for seq in 1..200_u64 {
            index.append(
                seq * 3,
                format!("s.{}", seq % 7).as_bytes(),
                if seq % 5 == 0 { seq.cast_signed() } else { 0 },
                Weight::default(),
            );
        }
        index.append(1000, b"kept", -1, Weight::default());
        let known = Known { id: 4, generation: 1, base: 2, len: 9999, dead: 3, size: 8, removals: Some((2, 9)) };
        let written =
            Checkpoint { last_seq: 1001, last_ts: -5, segments: vec![known], lost: vec![7], ..Checkpoint::default() };
        let bytes = written.encode(&index, 0);
        let read = Checkpoint::decode(&bytes).unwrap();
        assert_eq!((read.last_seq, read.last_ts, read.segments, read.lost), (1001, -5, vec![known], vec![7]));
        assert_eq!(read.index.of_subject(b"s.3"), index.of_subject(b"s.3"));
        assert_eq!(read.index.next_end(), index.next_end());
        assert!(read.index.is_kept(1000));
        for len in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..len]).is_none(), "{len} bytes");
        }
    }
}
