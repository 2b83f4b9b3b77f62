//! A consumer's progress as one block of bytes, which takes the place of its journal so far.

use super::journal::{Cursor, push_varint};
use super::progress::{Image, Pair, Pending};

/// The first byte; another one is of a later version.
const VERSION: u8 = 1;

/// Writes `image`, and the last sequence that is replayed at its original pace.
pub(crate) fn write(image: &Image, replay_until: u64) -> Vec<u8> {
    let mut out = vec![VERSION];
    for number in [
        image.consumer_seq,
        image.next,
        image.last,
        image.floor.consumer,
        image.floor.stream,
        image.resume,
        replay_until,
        image.listed.len() as u64,
    ] {
        push_varint(&mut out, number);
    }
    push_rising(&mut out, image.listed.iter().copied());
    push_varint(&mut out, image.pending.len() as u64);
    push_rising(&mut out, image.pending.iter().map(|(seq, _)| *seq));
    for (_, pending) in &image.pending {
        push_varint(&mut out, pending.consumer_seq);
        out.extend_from_slice(&pending.sent.to_le_bytes());
        out.extend_from_slice(&pending.deadline.to_le_bytes());
    }
    push_varint(&mut out, image.counts.len() as u64);
    push_rising(&mut out, image.counts.iter().map(|(seq, _)| *seq));
    image.counts.iter().for_each(|(_, count)| push_varint(&mut out, u64::from(*count)));
    push_varint(&mut out, image.exhausted.len() as u64);
    push_rising(&mut out, image.exhausted.iter().copied());
    out
}

/// Reads what [`write()`] wrote; nothing if it is something else.
pub(crate) fn read(bytes: &[u8]) -> Option<(Image, u64)> {
    let mut cursor = Cursor(bytes);
    if cursor.byte()? != VERSION {
        return None;
    }
    let mut image =
        Image { consumer_seq: cursor.varint()?, next: cursor.varint()?, last: cursor.varint()?, ..Image::default() };
    image.floor = Pair { consumer: cursor.varint()?, stream: cursor.varint()? };
    image.resume = cursor.varint()?;
    let replay_until = cursor.varint()?;
    image.listed = rising(&mut cursor)?;
    for seq in rising(&mut cursor)? {
        image.pending.push((seq, Pending { consumer_seq: 0, sent: 0, deadline: 0 }));
    }
    for (_, pending) in &mut image.pending {
        *pending = Pending { consumer_seq: cursor.varint()?, sent: cursor.i64()?, deadline: cursor.i64()? };
    }
    for seq in rising(&mut cursor)? {
        image.counts.push((seq, 0));
    }
    for (_, count) in &mut image.counts {
        *count = u32::try_from(cursor.varint()?).ok()?;
    }
    image.exhausted = rising(&mut cursor)?;
    cursor.0.is_empty().then_some((image, replay_until))
}

/// Rising numbers, each as its distance to the one before.
fn push_rising(out: &mut Vec<u8>, numbers: impl Iterator<Item = u64>) {
    let mut before = 0;
    for number in numbers {
        push_varint(out, number - before);
        before = number;
    }
}

/// A count and as many rising numbers. A count that the rest cannot hold is refused before anything is set aside.
fn rising(cursor: &mut Cursor<'_>) -> Option<Vec<u64>> {
    let count = usize::try_from(cursor.varint()?).ok().filter(|count| *count <= cursor.0.len())?;
    let mut numbers = Vec::with_capacity(count);
    let mut before = 0u64;
    for _ in 0..count {
        before = before.checked_add(cursor.varint()?)?;
        numbers.push(before);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some_image() -> Image {
        Image {
            consumer_seq: 9,
            next: 1000,
            last: 998,
            floor: Pair { consumer: 2, stream: 300 },
            resume: 7,
            listed: vec![1000, 1005, 5000],
            pending: vec![
                (301, Pending { consumer_seq: 3, sent: -5, deadline: i64::MAX }),
                (999, Pending { consumer_seq: 8, sent: i64::MAX, deadline: 12 }),
            ],
            counts: vec![(200, 5), (301, 2)],
            exhausted: vec![200],
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for image in [Image::default(), some_image()] {
            assert_eq!(read(&write(&image, 77)), Some((image, 77)));
        }
    }

    #[test]
    fn a_cut_or_lengthened_snapshot_is_refused() {
        let bytes = write(&some_image(), 1);
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), None, "{len}");
        }
        assert_eq!(read(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(read(&[&[2], &bytes[1..]].concat()), None);
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_read_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            read(&bytes);
        }
    }
}
