//! What a consumer writes down of its progress: changes, as compact bytes, one entry for each round of work.
//!
//! An entry is a run of records: a tag, then numbers as LEB128. Deliveries and acknowledgements of successive
//! sequences share one record. The store checks that an entry is whole; here, what cannot be read ends the entry.

use super::progress::Change;

/// Most sequences that one record covers.
const RUN_MAX: u64 = 1 << 16;

const TIME: u8 = 1;
const DELIVERED: u8 = 2;
const REDELIVERED: u8 = 3;
const ACKED: u8 = 4;
const ACKED_ALL: u8 = 5;
const DUE: u8 = 6;
const EXHAUSTED: u8 = 7;
const GONE: u8 = 8;
const NEXT: u8 = 9;
const RESET: u8 = 10;

/// Gathers the changes of one round into an entry.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    bytes: Vec<u8>,
    /// A record that may still grow: tag, first sequence, how many.
    run: Option<(u8, u64, u64)>,
    time: i64,
}

impl Entry {
    /// Nothing has been noted since the last [`Entry::take`].
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.run.is_none()
    }

    /// Notes a change that happened at `now`.
    pub(crate) fn note(&mut self, change: Change, now: i64) {
        if now != self.time && matches!(change, Change::Delivered(_) | Change::Redelivered(_)) {
            self.close_run();
            self.time = now;
            self.bytes.push(TIME);
            self.bytes.extend_from_slice(&now.to_le_bytes());
        }
        match change {
            Change::Delivered(seq) => self.grow(DELIVERED, seq),
            Change::Acked(seq) => self.grow(ACKED, seq),
            Change::Redelivered(seq) => self.single(REDELIVERED, seq),
            Change::AckedAll(seq) => self.single(ACKED_ALL, seq),
            Change::Exhausted(seq) => self.single(EXHAUSTED, seq),
            Change::Gone(seq) => self.single(GONE, seq),
            Change::Next(seq) => self.single(NEXT, seq),
            Change::Reset(seq) => self.single(RESET, seq),
            Change::Due(seq, at) => {
                self.single(DUE, seq);
                self.bytes.extend_from_slice(&at.to_le_bytes());
            }
        }
    }

    /// The entry so far; the next one begins.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) {
        self.close_run();
        self.time = 0;
        out.clear();
        std::mem::swap(out, &mut self.bytes);
    }

    fn grow(&mut self, tag: u8, seq: u64) {
        match &mut self.run {
            Some((same, first, count)) if *same == tag && *count < RUN_MAX && first.wrapping_add(*count) == seq => {
                *count += 1;
            }
            _ => {
                self.close_run();
                self.run = Some((tag, seq, 1));
            }
        }
    }

    fn single(&mut self, tag: u8, seq: u64) {
        self.close_run();
        self.bytes.push(tag);
        push_varint(&mut self.bytes, seq);
    }

    fn close_run(&mut self) {
        if let Some((tag, first, count)) = self.run.take() {
            self.bytes.push(tag);
            push_varint(&mut self.bytes, first);
            push_varint(&mut self.bytes, count);
        }
    }
}

/// Reads an entry: `each` gets every change, with the time that it happened at if it has one. Gives `false` if the
/// entry ends in what cannot be read.
pub(crate) fn read(bytes: &[u8], mut each: impl FnMut(Change, i64)) -> bool {
    let mut cursor = Cursor(bytes);
    let mut time = 0;
    while !cursor.0.is_empty() {
        if read_one(&mut cursor, &mut time, &mut each).is_none() {
            return false;
        }
    }
    true
}

fn read_one(cursor: &mut Cursor<'_>, time: &mut i64, each: &mut impl FnMut(Change, i64)) -> Option<()> {
    let tag = cursor.byte()?;
    if tag == TIME {
        *time = cursor.i64()?;
        return Some(());
    }
    let seq = cursor.varint()?;
    match tag {
        DELIVERED | ACKED => {
            let count = cursor.varint().filter(|count| *count <= RUN_MAX)?;
            let end = seq.checked_add(count)?;
            (seq..end).for_each(|seq| {
                each(if tag == DELIVERED { Change::Delivered(seq) } else { Change::Acked(seq) }, *time);
            });
        }
        REDELIVERED => each(Change::Redelivered(seq), *time),
        ACKED_ALL => each(Change::AckedAll(seq), *time),
        DUE => each(Change::Due(seq, cursor.i64()?), *time),
        EXHAUSTED => each(Change::Exhausted(seq), *time),
        GONE => each(Change::Gone(seq), *time),
        NEXT => each(Change::Next(seq), *time),
        RESET => each(Change::Reset(seq), *time),
        _ => return None,
    }
    Some(())
}

/// Appends `number` as LEB128.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes that are read from the front and cannot be read beyond their end.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl Cursor<'_> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(i64::from_le_bytes(*bytes))
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_change() -> impl Strategy<Value = Change> {
        let seq = prop_oneof![0u64..20, Just(u64::MAX - 1), any::<u64>().prop_map(|seq| seq / 2)];
        (seq, 0usize..9, any::<i64>()).prop_map(|(seq, kind, at)| match kind {
            0 => Change::Delivered(seq),
            1 => Change::Redelivered(seq),
            2 => Change::Acked(seq),
            3 => Change::AckedAll(seq),
            4 => Change::Due(seq, at),
            5 => Change::Exhausted(seq),
            6 => Change::Gone(seq),
            7 => Change::Next(seq),
            _ => Change::Reset(seq),
        })
    }

    proptest! {
        #[test]
        fn what_was_noted_is_what_is_read(changes in proptest::collection::vec((any_change(), 1i64..4), 0..40)) {
            let mut entry = Entry::default();
            for (change, now) in &changes {
                entry.note(*change, *now);
            }
            let mut bytes = Vec::new();
            entry.take(&mut bytes);
            prop_assert!(entry.is_empty());
            let mut seen = Vec::new();
            prop_assert!(read(&bytes, |change, time| seen.push((change, time))));
            prop_assert_eq!(seen.len(), changes.len());
            for ((change, now), (read, time)) in changes.iter().zip(&seen) {
                prop_assert_eq!(change, read);
                if matches!(change, Change::Delivered(_) | Change::Redelivered(_)) {
                    prop_assert_eq!(now, time);
                }
            }
        }

        #[test]
        fn bytes_of_any_kind_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            read(&bytes, |_, _| {});
        }
    }

    #[test]
    fn a_thousand_deliveries_in_order_take_a_few_bytes() {
        let mut entry = Entry::default();
        (1..=1000).for_each(|seq| entry.note(Change::Delivered(seq), 7));
        (1..=1000).for_each(|seq| entry.note(Change::Acked(seq), 8));
        let mut bytes = Vec::new();
        entry.take(&mut bytes);
        assert!(bytes.len() < 24, "{}", bytes.len());
    }
}
