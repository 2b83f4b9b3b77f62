//! Streams as others write them, whole and cut, and as nobody should.

use std::io::Write as _;

use proptest::prelude::*;

use super::super::outgoing::Outgoing;
use super::*;
use crate::connection::chunks::Chunks;

/// What a stranger may send.
const EARLY_MAX: usize = 64 * 1024;

/// Keeps what it gets, and takes no more after so many bytes.
struct Kept {
    bytes: Vec<u8>,
    pause_at: usize,
}

impl Sink for Kept {
    fn gather(&mut self, bytes: &[u8], _mask: [u8; 4]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn show(&mut self) -> bool {
        self.bytes.len() < self.pause_at
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn give_back(&mut self, _buffer: Vec<u8>) {}
}

/// What a stream holds when it comes in pieces of `size`.
fn read(stream: &[u8], size: usize, trusted: bool) -> (Vec<u8>, Option<S2Error>) {
    let mut incoming = Incoming::new((!trusted).then_some(EARLY_MAX));
    let mut kept = Kept { bytes: Vec::new(), pause_at: usize::MAX };
    for piece in stream.chunks(size) {
        incoming.feed(piece, &mut kept);
        while incoming.has_left() {
            incoming.resume(&mut kept);
        }
    }
    (kept.bytes, incoming.error())
}

fn written(text: &[u8], compress: bool, size: usize) -> Vec<u8> {
    let mut outgoing = Outgoing::new(compress);
    let (mut chunks, mut wire) = (Chunks::default(), Vec::new());
    chunks.append(text.len(), |into| into.extend_from_slice(text));
    let write = |wire: &mut Vec<u8>, vectors: &[std::io::IoSlice<'_>]| {
        let all: Vec<u8> = vectors.iter().flat_map(|vector| vector.to_vec()).take(size).collect();
        wire.extend_from_slice(&all);
        Ok(all.len())
    };
    while outgoing.step(&mut chunks, |vectors| write(&mut wire, vectors)).unwrap() > 0 {}
    wire
}

fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let [l0, l1, l2, _] = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&[kind, l0, l1, l2], body].concat()
}

fn plain(text: &[u8]) -> Vec<u8> {
    chunk(PLAIN, &[&checksum(text).to_le_bytes(), text].concat())
}

proptest! {
    #[test]
    fn any_cut_of_a_stream_gives_the_same(
        words in prop::collection::vec("[a-d]{1,9}", 0..2000), size in 1usize..300, compress in any::<bool>(),
    ) {
        let text = words.concat().into_bytes();
        let wire = written(&text, compress, size);
        prop_assert_eq!(read(&wire, size, true), (text.clone(), None));
        // Snappy's own framing is read, too, and reads what goes out.
        let mut snappy = snap::write::FrameEncoder::new(Vec::new());
        snappy.write_all(&text).unwrap();
        prop_assert_eq!(read(&snappy.into_inner().unwrap(), size, true), (text.clone(), None));
        let as_snappy = [MAGIC_SNAPPY.as_slice(), wire.get(MAGIC.len()..).unwrap_or_default()].concat();
        let mut back = Vec::new();
        std::io::Read::read_to_end(&mut snap::read::FrameDecoder::new(as_snappy.as_slice()), &mut back).unwrap();
        prop_assert_eq!(back, text);
    }
}

#[test]
fn what_may_be_skipped_is_and_streams_may_follow_one_another() {
    let stream = [
        MAGIC.to_vec(),
        plain(b"one "),
        chunk(0xfe, &vec![0; 70_000]),
        chunk(0x99, b"an index"),
        chunk(0x80, b""),
        MAGIC.to_vec(),
        MAGIC_SNAPPY.to_vec(),
        plain(b""),
        plain(b"two"),
    ]
    .concat();
    for size in [1, 5, 100_000] {
        assert_eq!(read(&stream, size, false), (b"one two".to_vec(), None));
    }
}

#[test]
fn what_no_stream_holds_ends_it() {
    let after = |more: Vec<u8>| [MAGIC.to_vec(), more].concat();
    let cases = [
        (plain(b"x"), S2Error::Identifier),
        (b"INFO {}\r\n".to_vec(), S2Error::Identifier),
        (chunk(0xff, b"S2sTwX"), S2Error::Identifier),
        (chunk(0xff, b"S2sTwOO"), S2Error::Identifier),
        (chunk(0xff, b"S2"), S2Error::Damaged),
        (after(chunk(0x02, b"x")), S2Error::UnknownKind(2)),
        (after(chunk(0x7f, b"")), S2Error::UnknownKind(0x7f)),
        (after(chunk(PLAIN, b"abc")), S2Error::Damaged),
        (after(chunk(PLAIN, b"abcdwrong")), S2Error::Damaged),
        (after(chunk(COMPRESSED, b"abcd")), S2Error::Damaged),
        (after(chunk(COMPRESSED, b"abcd\x01")), S2Error::Damaged),
        (after(plain(&vec![b'x'; EARLY_MAX + 1])), S2Error::TooLong),
        // 64 KiB and one more in all.
        (after([plain(&vec![b'x'; EARLY_MAX]), plain(b"x")].concat()), S2Error::TooLong),
        // A bomb: four million from a few bytes.
        (after(chunk(COMPRESSED, b"abcd\x80\x80\x80\x02\x00a\x01\x01\x1d\x00\xf7\xff\x3e")), S2Error::TooLong),
    ];
    for (stream, error) in cases {
        for size in [1, 3, 1 << 20] {
            assert_eq!(read(&stream, size, false).1, Some(error), "{:?}", &stream[..stream.len().min(40)]);
        }
    }
}

#[test]
fn nothing_is_kept_by_what_a_header_announces() {
    let mut incoming = Incoming::new(None);
    let mut kept = Kept { bytes: Vec::new(), pause_at: usize::MAX };
    incoming.feed(&[&MAGIC[..], &[PLAIN, 0, 0, 0x40, 1, 2]].concat(), &mut kept);
    assert!(incoming.error().is_none() && incoming.body.capacity() < 64, "{}", incoming.body.capacity());
    let mut incoming = Incoming::new(None);
    incoming.feed(&[&MAGIC[..], &[PLAIN, 5, 0, 0x40]].concat(), &mut kept);
    assert_eq!(incoming.error(), Some(S2Error::TooLong));
}

#[test]
fn who_pauses_gets_the_rest_later_and_much_is_taken_in_steps() {
    let stream = [MAGIC.to_vec(), plain(b"one"), plain(b"two"), plain(b"three")].concat();
    let mut incoming = Incoming::new(Some(EARLY_MAX));
    let mut kept = Kept { bytes: Vec::new(), pause_at: 3 };
    incoming.feed(&stream, &mut kept);
    assert_eq!((kept.bytes.as_slice(), incoming.has_left()), (b"one".as_slice(), true));
    incoming.trust();
    kept.pause_at = usize::MAX;
    incoming.resume(&mut kept);
    assert_eq!((kept.bytes.as_slice(), incoming.has_left()), (b"onetwothree".as_slice(), false));
    // Few bytes that become many do not become all of them at once.
    let text = vec![b'x'; 3 * BLOCK_MAX / 4];
    let body = [&checksum(&text).to_le_bytes()[..], &snap::raw::Encoder::new().compress_vec(&text).unwrap()].concat();
    let stream = [MAGIC.to_vec(), chunk(COMPRESSED, &body).repeat(4)].concat();
    let mut incoming = Incoming::new(None);
    let mut kept = Kept { bytes: Vec::new(), pause_at: usize::MAX };
    incoming.feed(&stream, &mut kept);
    assert_eq!((kept.bytes.len(), incoming.has_left()), (text.len() * 2, true));
    incoming.resume(&mut kept);
    assert_eq!((kept.bytes.len(), incoming.has_left(), incoming.error()), (text.len() * 4, false, None));
}
