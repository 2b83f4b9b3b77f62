//! Compression of single messages: header block and payload as one block of Snappy, which S2 is a superset of.
//!
//! Each message by itself: one is read without others, and how long it is on disk says nothing of what others hold, who
//! may be of other publishers. Where files are encrypted it is compressed first; how well a message compresses shows
//! then in the length of its record.

use std::cell::RefCell;

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::store::RECORD_BYTES_MAX;

/// Largest header block and payload.
pub(super) const MOST: usize = RECORD_BYTES_MAX;
/// What is smaller stays as it is.
const LEAST: usize = 128;
/// A copy of 64 bytes takes 3: nothing that was compressed is smaller than this part of it.
const RATIO_MAX: usize = 22;
/// A buffer that is larger is given back.
const KEPT: usize = 1 << 20;

thread_local! {
    /// The compressor and a place to put header block and payload one behind the other.
    static PACKER: RefCell<(Encoder, Vec<u8>)> = RefCell::new((Encoder::new(), Vec::new()));
}

/// Appends header block and payload compressed, and gives how long they were; `None` if less than an eighth is gained,
/// and what was appended is of no use then.
pub(super) fn pack(into: &mut Vec<u8>, header: &[u8], payload: &[u8]) -> Option<u32> {
    let raw_len = header.len() + payload.len();
    if !(LEAST..=MOST).contains(&raw_len) {
        return None;
    }
    PACKER.with_borrow_mut(|(encoder, both)| {
        let raw = if header.is_empty() {
            payload
        } else {
            both.clear();
            both.extend_from_slice(header);
            both.extend_from_slice(payload);
            &**both
        };
        let at = into.len();
        into.resize(at + max_compress_len(raw_len), 0);
        let packed = encoder.compress(raw, into.get_mut(at..)?).ok();
        if both.capacity() > KEPT {
            *both = Vec::new();
        }
        let packed = packed.filter(|packed| *packed <= raw_len - raw_len / 8)?;
        into.truncate(at + packed);
        u32::try_from(raw_len).ok()
    })
}

/// `front`, and behind it what `packed` was, which is `raw_len` bytes; `None` if it is not.
pub(super) fn unpack(front: &[u8], packed: &[u8], raw_len: usize) -> Option<Vec<u8>> {
    // Nothing is made room for that cannot come.
    if decompress_len(packed).ok()? != raw_len || raw_len > MOST || raw_len > packed.len().saturating_mul(RATIO_MAX) {
        return None;
    }
    let mut body = vec![0; front.len() + raw_len];
    let (place, rest) = body.split_at_mut_checked(front.len())?;
    place.copy_from_slice(front);
    let unpacked = Decoder::new().decompress(packed, rest).ok()?;
    (unpacked == raw_len).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(header: &[u8], payload: &[u8]) -> Option<(Vec<u8>, u32)> {
        let mut into = b"before".to_vec();
        let raw_len = pack(&mut into, header, payload)?;
        Some((into.split_off(6), raw_len))
    }

    #[test]
    fn what_was_compressed_comes_back_behind_its_front() {
        for (header, payload) in [(&b"NATS/1.0\r\nA: b\r\n\r\n"[..], vec![b'x'; 500]), (b"", b"abc".repeat(100_000))] {
            let (bytes, raw_len) = packed(header, &payload).unwrap();
            assert!(bytes.len() < payload.len() / 4);
            assert_eq!(raw_len as usize, header.len() + payload.len());
            let body = unpack(b"front", &bytes, raw_len as usize).unwrap();
            assert_eq!(body, [b"front", header, &payload].concat());
        }
    }

    #[test]
    fn what_gains_nothing_stays_as_it_is() {
        let mut state = 1_u64;
        let mut next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as u8
        };
        let noise: Vec<u8> = (0..4000).map(&mut next).collect();
        for payload in [&noise[..], &[0; LEAST - 1], b""] {
            assert_eq!(packed(b"", payload), None, "{} bytes", payload.len());
        }
    }

    #[test]
    fn no_more_is_unpacked_than_was_said_and_can_be() {
        let (bytes, raw_len) = packed(b"", &[7; 5000]).unwrap();
        for wrong in [0, 1, raw_len as usize - 1, raw_len as usize + 1, MOST, usize::MAX] {
            assert_eq!(unpack(b"", &bytes, wrong), None, "{wrong}");
        }
        for len in 0..bytes.len() {
            assert_eq!(unpack(b"", &bytes[..len], raw_len as usize), None, "{len} bytes");
        }
        // A block that promises the most and holds next to nothing.
        let mut bomb = vec![0x80, 0x80, 0x80, 0x10];
        assert_eq!(decompress_len(&bomb), Ok(MOST));
        bomb.extend([0, b'a', 0xfe, 1, 0]);
        assert_eq!(unpack(b"", &bomb, MOST), None);
    }
}
