//! Segments: the files that a stream's messages lie in, one behind the other, and where in them each message is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::record::{FIRST, Format};
use super::whole::{self, Keys};

/// One segment. Its name says all that is needed to read it, so damage to its first bytes costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its place in the order.
    pub(crate) id: u32,
    /// How often it was written anew with less in it.
    pub(crate) generation: u32,
    /// No sequence in it is below this one, and none of an earlier segment is not.
    pub(crate) base: u64,
    pub(crate) salt: [u8; 16],
    pub(crate) encrypted: bool,
    /// Bytes of it.
    pub(crate) len: u64,
    /// Bytes of records that are of no use any more.
    pub(crate) dead: u64,
    /// Messages in it that are still there.
    pub(crate) live: u64,
    /// Their sizes as the stream counts them.
    pub(crate) size: u64,
    /// The lowest and highest sequence that a removal in it is about.
    pub(crate) removals: Option<(u64, u64)>,
}

/// No file has this number or a higher one.
pub(crate) const NUMBER_END: u32 = 1 << 31;

/// The number of a new file, if there is one left: a file with a number that no stream comes to may have been put there.
///
/// # Errors
///
/// When there is none.
pub(crate) fn number(next: u32) -> io::Result<u32> {
    let told = "a file here has the highest number that there is: it was not written by this stream, move it away";
    if next < NUMBER_END { Ok(next) } else { Err(io::Error::other(told)) }
}

impl Segment {
    pub(crate) fn new(id: u32, base: u64, encrypted: bool) -> Self {
        let salt = whole::salt();
        Self { id, generation: 0, base, salt, encrypted, len: FIRST, dead: 0, live: 0, size: 0, removals: None }
    }

    /// The same segment written anew, empty as yet.
    pub(crate) fn next_generation(&self, encrypted: bool) -> Self {
        Self { generation: self.generation + 1, ..Self::new(self.id, self.base, encrypted) }
    }

    pub(crate) fn name(&self) -> String {
        let salt = HEXLOWER.encode(&self.salt);
        let kind = if self.encrypted { "sealed" } else { "plain" };
        format!("{:08x}-{:04x}-{:016x}-{salt}-{kind}.seg", self.id, self.generation, self.base)
    }

    /// The segment that a file of this name and length is.
    pub(crate) fn of_name(name: &str, len: u64) -> Option<Self> {
        let mut parts = name.strip_suffix(".seg")?.split('-');
        let mut next = || parts.next();
        let id = u32::from_str_radix(next()?, 16).ok()?;
        let generation = u32::from_str_radix(next()?, 16).ok()?;
        let base = u64::from_str_radix(next()?, 16).ok()?;
        let salt = HEXLOWER.decode(next()?.as_bytes()).ok()?.try_into().ok()?;
        let encrypted = next()? == "sealed";
        let found = Self { id, generation, base, salt, encrypted, len, dead: 0, live: 0, size: 0, removals: None };
        (found.name() == name && id < NUMBER_END && generation < NUMBER_END).then_some(found)
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }

    pub(crate) fn table_name(&self) -> String {
        format!("{:08x}-{:04x}.table", self.id, self.generation)
    }

    pub(crate) fn format(&self, keys: &Keys) -> Option<Arc<Format>> {
        keys.format(&self.salt, self.encrypted).map(Arc::new)
    }

    /// Notes a removal that is recorded in it.
    pub(crate) fn removes(&mut self, from: u64, to: u64) {
        let (low, high) = self.removals.unwrap_or((from, to));
        self.removals = Some((low.min(from), high.max(to)));
    }

    /// A message of this size is no more; its record has so many bytes.
    pub(crate) fn loses(&mut self, size: u64, record: u64) {
        self.live = self.live.saturating_sub(1);
        self.size = self.size.saturating_sub(size);
        self.dead += record;
    }
}

/// Where each message of a segment is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    base: u64,
    /// How far above `base` each is; empty while none is missing.
    above: Vec<u32>,
    at: Vec<u32>,
}

impl Table {
    /// Adds a message above all others.
    pub(crate) fn push(&mut self, seq: u64, at: u64) {
        if self.at.is_empty() {
            self.base = seq;
        }
        let above = (seq - self.base) as u32;
        if self.above.is_empty() && above as usize != self.at.len() {
            self.above = (0..self.at.len() as u32).collect();
        }
        if above as usize != self.at.len() || !self.above.is_empty() {
            self.above.push(above);
        }
        self.at.push(at as u32);
    }

    /// A message with this sequence can be added: it is above all others, and the table's numbers have room for it.
    pub(crate) fn takes(&self, seq: u64) -> bool {
        let last = self.above.last().map_or(self.at.len().saturating_sub(1) as u64, |above| u64::from(*above));
        self.at.is_empty() || (seq > self.base + last && seq - self.base < u64::from(u32::MAX))
    }

    pub(crate) fn find(&self, seq: u64) -> Option<u64> {
        let above = u32::try_from(seq.checked_sub(self.base)?).ok()?;
        let number = if self.above.is_empty() { above as usize } else { self.above.binary_search(&above).ok()? };
        self.at.get(number).map(|at| u64::from(*at))
    }

    /// Sequences whose records begin in this range of the file.
    pub(crate) fn within(&self, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let low = self.at.partition_point(|at| u64::from(*at) < from);
        let high = self.at.partition_point(|at| u64::from(*at) < to);
        (low..high).map(|number| {
            let above = if self.above.is_empty() {
                number as u64
            } else {
                self.above.get(number).map_or(0, |above| u64::from(*above))
            };
            self.base + above
        })
    }

    /// Bytes of memory that it takes.
    pub(crate) fn heap(&self) -> usize {
        (self.above.capacity() + self.at.capacity()) * 4
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + (self.above.len() + self.at.len()) * 4);
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&(self.at.len() as u32).to_le_bytes());
        for number in self.at.iter().chain(&self.above) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (base, rest) = bytes.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count) as usize;
        let (numbers, rest) = rest.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let at: Vec<u32> = numbers.by_ref().take(count).collect();
        let above: Vec<u32> = numbers.collect();
        let whole = rest.is_empty() && at.len() == count && (above.is_empty() || above.len() == count);
        let sorted = at.is_sorted() && above.is_sorted();
        (whole && sorted).then_some(Self { base: u64::from_le_bytes(*base), above, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_the_segment_is() {
        let segment = Segment { generation: 3, ..Segment::new(17, 99, true) };
        let found = Segment::of_name(&segment.name(), segment.len);
        assert_eq!(found, Some(segment));
        for bad in ["", ".seg", "00000011-0000-1.seg", "stream.desc", "0-0-0-0-plain.seg"] {
            assert_eq!(Segment::of_name(bad, 0), None, "{bad}");
        }
    }

    #[test]
    fn a_table_finds_what_was_put_in_with_and_without_gaps() {
        for step in [1, 3] {
            let mut table = Table::default();
            for number in 0..100 {
                table.push(50 + number * step, 64 + number * 10);
            }
            assert_eq!(table.find(50 + 7 * step), Some(134));
            assert_eq!(table.find(49), None);
            assert_eq!(table.find(50 + 100 * step), None);
            assert_eq!(table.within(70, 90).collect::<Vec<_>>(), [50 + step, 50 + 2 * step]);
            assert_eq!(Table::decode(&table.encode()), Some(table));
        }
        let mut late = Table::default();
        late.push(1, 64);
        late.push(2, 100);
        late.push(5, 140);
        assert_eq!((late.find(2), late.find(3), late.find(5)), (Some(100), None, Some(140)));
        assert_eq!(Table::decode(&[0; 13]), None);
    }
}
