//! One compressed block, decoded.
//!
//! ```text
//! block = decoded length (varint) (literal | copy)..
//! tag & 3: 0 literal, 1 copy with an offset of 11 bits, 2 of 16 bits, 3 of 32 bits
//! ```
//!
//! A copy of kind 1 with offset 0 repeats the last offset, with a length of its own form: that is what S2 adds.

use super::incoming::S2Error;

/// Decodes a block of at most `most` bytes behind what `into` holds.
///
/// # Errors
///
/// [`S2Error`] when it is damaged or longer.
pub fn decode(block: &[u8], most: usize, into: &mut Vec<u8>) -> Result<(), S2Error> {
    let mut rest = Bytes(block);
    let length = rest.varint()?;
    if length > most {
        return Err(S2Error::TooLong);
    }
    let mut out = Out { begin: into.len(), end: into.len() + length, into };
    let mut offset = 0;
    while let Some(tag) = rest.byte() {
        match tag & 3 {
            0 => {
                let length = rest.literal_length(tag >> 2)?;
                out.literal(rest.take(length)?)?;
            }
            1 => {
                let near = usize::from(tag & 0xe0) << 3 | rest.number(1)?;
                let length = if near == 0 { rest.repeat_length(tag >> 2 & 7)? } else { usize::from(tag >> 2 & 7) };
                offset = if near == 0 { offset } else { near };
                out.copy(offset, length + 4)?;
            }
            kind => {
                offset = rest.number(if kind == 2 { 2 } else { 4 })?;
                out.copy(offset, usize::from(tag >> 2) + 1)?;
            }
        }
    }
    if out.is_full() { Ok(()) } else { Err(S2Error::Damaged) }
}

/// What is left of the block.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], S2Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(S2Error::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Little endian, of up to four bytes.
    fn number(&mut self, count: usize) -> Result<usize, S2Error> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// The length of what the block holds: at most five bytes.
    fn varint(&mut self) -> Result<usize, S2Error> {
        let mut number = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte().ok_or(S2Error::Damaged)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(number).map_err(|_| S2Error::TooLong);
            }
        }
        Err(S2Error::Damaged)
    }

    fn literal_length(&mut self, code: u8) -> Result<usize, S2Error> {
        let length = match code {
            60 => self.number(1)?,
            61 => self.number(2)?,
            62 => self.number(3)?,
            63 => self.number(4)?,
            short => usize::from(short),
        };
        length.checked_add(1).ok_or(S2Error::Damaged)
    }

    /// Four less than the length of a repeated copy.
    fn repeat_length(&mut self, code: u8) -> Result<usize, S2Error> {
        match code {
            5 => Ok(self.number(1)? + 4),
            6 => Ok(self.number(2)? + (1 << 8)),
            7 => Ok(self.number(3)? + (1 << 16)),
            short => Ok(usize::from(short)),
        }
    }
}

/// What is decoded, up to where it must end.
struct Out<'a> {
    begin: usize,
    end: usize,
    into: &'a mut Vec<u8>,
}

impl Out<'_> {
    fn is_full(&self) -> bool {
        self.into.len() == self.end
    }

    fn has_room(&self, length: usize) -> Result<(), S2Error> {
        if length > self.end - self.into.len() { Err(S2Error::Damaged) } else { Ok(()) }
    }

    fn literal(&mut self, bytes: &[u8]) -> Result<(), S2Error> {
        self.has_room(bytes.len())?;
        self.into.extend_from_slice(bytes);
        Ok(())
    }

    fn copy(&mut self, offset: usize, length: usize) -> Result<(), S2Error> {
        self.has_room(length)?;
        let behind = self.into.len() - self.begin;
        if offset == 0 || offset > behind {
            return Err(S2Error::Damaged);
        }
        let from = self.into.len() - offset;
        let mut left = length;
        // What is copied may be what this copy makes: then it doubles with each round.
        while left > 0 {
            let count = left.min(self.into.len() - from);
            self.into.extend_from_within(from..from + count);
            left -= count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(block: &[u8]) -> Result<Vec<u8>, S2Error> {
        let mut out = b"before".to_vec();
        decode(block, 1 << 20, &mut out).map(|()| out.split_off(6))
    }

    #[test]
    fn every_kind_of_copy_and_literal_is_read() {
        let long = vec![b'x'; 300];
        let cases: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (vec![0], vec![]),
            (vec![3, 2 << 2, b'a', b'b', b'c'], b"abc".to_vec()),
            // Offset of 11, 16 and 32 bits.
            (vec![7, 2 << 2, b'a', b'b', b'c', 1, 3], b"abcabca".to_vec()),
            (vec![5, 2 << 2, b'a', b'b', b'c', 1 << 2 | 2, 2, 0], b"abcbc".to_vec()),
            (vec![5, 2 << 2, b'a', b'b', b'c', 1 << 2 | 3, 1, 0, 0, 0], b"abccc".to_vec()),
            // Repeats: of the last offset, by each form of length.
            (vec![9, 0, b'a', 1, 1, 1, 0], b"aaaaaaaaa".to_vec()),
            (vec![14, 0, b'a', 1, 1, 5 << 2 | 1, 0, 1], b"a".repeat(14)),
            ([vec![0x8a, 2, 0, b'a', 1, 1], vec![6 << 2 | 1, 0, 1, 0]].concat(), b"a".repeat(266)),
            ([vec![0x89, 0x80, 4, 0, b'a', 1, 1], vec![7 << 2 | 1, 0, 0, 0, 0]].concat(), b"a".repeat(65545)),
            ([vec![0xac, 2, 61 << 2, 43, 1], long.clone()].concat(), long.clone()),
            ([vec![0xac, 2, 62 << 2, 43, 1, 0], long.clone()].concat(), long.clone()),
            ([vec![0xac, 2, 63 << 2, 43, 1, 0, 0], long.clone()].concat(), long),
        ];
        for (block, text) in cases {
            assert_eq!(decoded(&block), Ok(text), "{block:?}");
        }
    }

    #[test]
    fn what_points_outside_or_does_not_end_where_it_should_is_damaged() {
        let cases: [&[u8]; 16] = [
            &[],
            &[0x80],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 1],
            &[1],
            &[1, 0],
            &[1, 0, b'a', 0, b'b'],
            &[2, 1 << 2, b'a'],
            &[5, 0, b'a', 1, 2],
            &[5, 0, b'a', 1, 0],
            &[4, 1, 1],
            &[6, 0, b'a', 1],
            &[6, 0, b'a', 2, 1],
            &[6, 0, b'a', 3, 1, 0, 0],
            &[6, 0, b'a', 1, 1, 7 << 2 | 1, 0, 0, 0],
            &[1, 63 << 2, 0xff, 0xff, 0xff, 0xff],
            &[4, 0, b'a', 1, 1],
        ];
        for block in cases {
            assert_eq!(decoded(block), Err(S2Error::Damaged), "{block:?}");
        }
        // What is in the buffer from before is none of its business.
        assert_eq!(decoded(&[5, 0, b'a', 1 << 2 | 2, 6, 0]), Err(S2Error::Damaged));
        let mut out = Vec::new();
        assert_eq!(decode(&[0x81, 0x80, 0x40], 1 << 20, &mut out), Err(S2Error::TooLong));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff, 0x7f], 1 << 20, &mut out), Err(S2Error::TooLong));
        assert!(out.capacity() == 0, "nothing is allocated by what a block announces");
    }

    proptest! {
        #[test]
        fn what_snappy_wrote_is_read(words in prop::collection::vec("[a-c]{1,12}", 0..400)) {
            let text = words.concat().into_bytes();
            let block = snap::raw::Encoder::new().compress_vec(&text).unwrap();
            prop_assert_eq!(decoded(&block), Ok(text));
        }

        #[test]
        fn damage_is_an_error_and_never_more_than_was_allowed(block in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            if decode(&block, 1000, &mut out).is_err() {
                prop_assert!(out.len() <= 1000);
            }
        }
    }
}
