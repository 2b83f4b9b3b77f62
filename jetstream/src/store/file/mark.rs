//! How far a file was synced once, noted in its header: tells what was promised and is damaged from what a crash tore.
//!
//! A crash leaves at the end of the last file what was on its way: parts of records, or room ([`log`](super::log)). What
//! was synced before is whole then. So if records end before the mark says, or there is room where it says that records
//! were, that is damage: it is told, the sequences are lost and are not given again. The mark is written over the one
//! before it, in one piece of 20 bytes with a check of its own; one that cannot be read says nothing. It is written a
//! second after the sync at the latest, and is not synced itself: it says less than it could after a loss of power within
//! that time, never too much. Damage in what has records behind it needs no mark.

use super::record::Format;

/// Where it stands: in the header, behind what that says and before its check.
pub(crate) const AT: u64 = 28;
/// Its bytes.
pub(crate) const LEN: usize = 20;
/// No file reaches this.
const END_MAX: u64 = 1 << 40;
/// What its check begins with, where a record's has its offset.
const PLACE: u64 = u64::MAX;

/// How far a file was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Records up to here.
    pub(crate) end: u64,
    /// The last sequence of the stream then.
    pub(crate) last_seq: u64,
}

impl Mark {
    /// As it stands in the file that has this format.
    pub(crate) fn encode(self, format: &Format) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let (numbers, check) = bytes.split_at_mut(16);
        let (end, last_seq) = numbers.split_at_mut(8);
        end.copy_from_slice(&self.end.to_le_bytes());
        last_seq.copy_from_slice(&self.last_seq.to_le_bytes());
        check.copy_from_slice(&format.check(numbers, PLACE).to_le_bytes());
        bytes
    }

    /// The one in the file that begins with `bytes`.
    pub(crate) fn of(format: &Format, bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.get(AT as usize..)?.split_first_chunk::<16>()?;
        let check = u32::from_le_bytes(*rest.first_chunk()?);
        let (end, last_seq) = numbers.split_first_chunk::<8>()?;
        let mark = Self { end: u64::from_le_bytes(*end), last_seq: u64::from_le_bytes(*last_seq.first_chunk()?) };
        (check == format.check(numbers, PLACE) && mark.end < END_MAX).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_any_other_bit_says_nothing() {
        let format = Format::new(&[3; 16], None);
        let mark = Mark { end: 4711, last_seq: 99 };
        let mut bytes = vec![0; 64];
        assert_eq!(Mark::of(&format, &bytes), None);
        bytes[AT as usize..AT as usize + LEN].copy_from_slice(&mark.encode(&format));
        assert_eq!(Mark::of(&format, &bytes), Some(mark));
        assert_eq!(Mark::of(&Format::new(&[4; 16], None), &bytes), None, "of another file");
        for bit in 0..LEN * 8 {
            let mut bad = bytes.clone();
            bad[AT as usize + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::of(&format, &bad), None, "bit {bit}");
        }
        for len in 0..AT as usize + LEN {
            assert_eq!(Mark::of(&format, &bytes[..len]), None, "{len} bytes");
        }
    }
}
