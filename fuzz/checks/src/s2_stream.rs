//! S2: however a stream is cut, the same comes out, and no more than is allowed; what Snappy reads, this reads alike.
//!
//! The first byte chooses what the rest is: one block, a stream, or text to be written and read back. The second seeds
//! the sizes of the pieces.

use cordon_server::s2::incoming::{Incoming, S2Error};
use cordon_server::s2::outgoing::Outgoing;
use cordon_server::s2::{MAGIC, STEP, block};
use cordon_server::websocket::incoming::Sink;

use crate::input::{Input, Pieces};

/// What a stranger may send.
const EARLY_MAX: usize = 9 * 1024;

/// Keeps what it gets.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) bytes: Vec<u8>,
}

impl Sink for Gathered {
    fn gather(&mut self, bytes: &[u8], _mask: [u8; 4]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn show(&mut self) -> bool {
        true
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn give_back(&mut self, _buffer: Vec<u8>) {}
}

/// Panics when a cut changes what is read, or more is read than is allowed.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, seed) = (input.byte(), input.byte());
    match choice & 3 {
        0 => one_block(input.rest()),
        // The checksum is put right, so that what is behind it is reached.
        1 => stream(&[&MAGIC, sealed(input.rest()).as_slice()].concat(), seed),
        2 => stream(input.rest(), seed),
        _ => back(input.rest(), choice & 4 != 0, seed),
    }
}

fn one_block(bytes: &[u8]) {
    const MOST: usize = 1 << 16;
    let mut own = b"before".to_vec();
    let outcome = block::decode(bytes, MOST, &mut own);
    assert!(own.starts_with(b"before") && own.len() <= MOST + 6, "more than is allowed");
    // Of a block that announces more, the other library allocates all of it at once.
    if snap::raw::decompress_len(bytes).is_ok_and(|length| length <= MOST)
        && let Ok(theirs) = snap::raw::Decoder::new().decompress_vec(bytes)
    {
        assert_eq!(outcome, Ok(()), "what Snappy reads");
        assert_eq!(own[6..], theirs, "what Snappy reads");
    }
}

/// Chunks of text, each with the checksum that it needs, as long as they are plain.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for piece in bytes.split(|byte| *byte == 0) {
        let sum = crc32c::crc32c(piece).rotate_right(15).wrapping_add(0xa282_ead8);
        let [l0, l1, l2, _] = u32::try_from(piece.len() + 4).unwrap().to_le_bytes();
        stream.extend_from_slice(&[1, l0, l1, l2]);
        stream.extend_from_slice(&sum.to_le_bytes());
        stream.extend_from_slice(piece);
    }
    stream
}

fn read(stream: &[u8], trusted: bool, mut next: impl FnMut() -> usize) -> (Vec<u8>, Option<S2Error>) {
    let mut incoming = Incoming::new((!trusted).then_some(EARLY_MAX));
    let mut gathered = Gathered::default();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(next().min(rest.len()));
        rest = after;
        let before = gathered.bytes.len();
        incoming.feed(piece, &mut gathered);
        assert!(gathered.bytes.len() - before <= 2 * STEP, "others have their turn");
        while incoming.has_left() {
            incoming.resume(&mut gathered);
        }
    }
    (gathered.bytes, incoming.error())
}

fn stream(bytes: &[u8], seed: u8) {
    for trusted in [false, true] {
        let mut pieces = Pieces::new(seed);
        let whole = read(bytes, trusted, || usize::MAX);
        assert_eq!(read(bytes, trusted, || pieces.next()), whole, "pieces and whole");
        assert!(trusted || whole.0.len() <= EARLY_MAX, "a stranger has its bounds");
    }
}

fn back(text: &[u8], compress: bool, seed: u8) {
    let mut pieces = Pieces::new(seed);
    let mut wire = Vec::new();
    let mut outgoing = Outgoing::new(compress);
    let mut chunks = cordon_server::connection::chunks::Chunks::default();
    for part in text.chunks(100) {
        chunks.append(part.len(), |into| into.extend_from_slice(part));
        let mut write = |vectors: &[std::io::IoSlice<'_>]| {
            let all: Vec<u8> = vectors.iter().flat_map(|vector| vector.to_vec()).take(pieces.next()).collect();
            wire.extend_from_slice(&all);
            Ok(all.len())
        };
        while outgoing.step(&mut chunks, &mut write).unwrap() > 0 {}
    }
    assert_eq!(read(&wire, true, || pieces.next()), (text.to_vec(), None), "written and read back");
}
