//! Archives are S2 streams on their way; reading one is bounded by the longest block of the format.

use std::io::{self, Read, Write};

use cordon_server::s2::incoming::Incoming;
use cordon_server::s2::{self, MAGIC};
use cordon_server::websocket::incoming::Sink;
use snap::raw::Encoder;

/// Bytes of one block that is written: what Snappy allows.
const BLOCK: usize = 64 * 1024;
/// Bytes that are read at once.
const AT_ONCE: usize = 64 * 1024;
const COMPRESSED: u8 = 0;
const PLAIN: u8 = 1;

/// Compresses what is written. [`Packer::finish`] ends it: what was written since the last block is lost without.
pub struct Packer<W> {
    out: W,
    block: Vec<u8>,
    encoder: Encoder,
    packed: Vec<u8>,
    begun: bool,
}

impl<W: Write> Packer<W> {
    /// Compressed bytes go to `out`.
    pub fn new(out: W) -> Self {
        Self { out, block: Vec::with_capacity(BLOCK), encoder: Encoder::new(), packed: Vec::new(), begun: false }
    }

    /// Writes what is left; gives what it wrote to.
    ///
    /// # Errors
    ///
    /// Those of what it writes to.
    pub fn finish(mut self) -> io::Result<W> {
        self.block()?;
        Ok(self.out)
    }

    fn block(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.out.write_all(&MAGIC)?;
        }
        if self.block.is_empty() {
            return Ok(());
        }
        self.packed.resize(snap::raw::max_compress_len(self.block.len()), 0);
        let len = self.encoder.compress(&self.block, &mut self.packed).map_err(io::Error::other)?;
        let packed = self.packed.get(..len).unwrap_or_default();
        let (kind, body) = if len < self.block.len() { (COMPRESSED, packed) } else { (PLAIN, self.block.as_slice()) };
        let [l0, l1, l2, _] = (body.len() as u32 + 4).to_le_bytes();
        self.out.write_all(&[kind, l0, l1, l2])?;
        self.out.write_all(&s2::checksum(&self.block).to_le_bytes())?;
        self.out.write_all(body)?;
        self.block.clear();
        Ok(())
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() >= BLOCK {
            self.block()?;
        }
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.block()?;
        self.out.flush()
    }
}

/// Gives what an S2 stream holds. Whatever the stream says, it keeps no more than two of the longest blocks.
pub struct Unpacker<R> {
    input: R,
    incoming: Incoming,
    out: Gathered,
    at: usize,
    raw: Vec<u8>,
}

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    spare: Vec<u8>,
}

impl Sink for Gathered {
    fn gather(&mut self, bytes: &[u8], _mask: [u8; 4]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn show(&mut self) -> bool {
        true
    }

    fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.spare);
        buffer.clear();
        buffer
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        self.spare = buffer;
    }
}

impl<R: Read> Unpacker<R> {
    /// Reads `input`.
    pub fn new(input: R) -> Self {
        Self { input, incoming: Incoming::new(None), out: Gathered::default(), at: 0, raw: vec![0; AT_ONCE] }
    }
}

impl<R: Read> Read for Unpacker<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = self.out.bytes.get(self.at..).unwrap_or_default();
            if !ready.is_empty() || into.is_empty() {
                let count = ready.len().min(into.len());
                for (place, byte) in into.iter_mut().zip(ready) {
                    *place = *byte;
                }
                self.at += count;
                return Ok(count);
            }
            self.out.bytes.clear();
            self.at = 0;
            if let Some(error) = self.incoming.error() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            if self.incoming.has_left() {
                self.incoming.resume(&mut self.out);
                continue;
            }
            let count = self.input.read(&mut self.raw)?;
            if count == 0 {
                return Ok(0);
            }
            self.incoming.feed(self.raw.get(..count).unwrap_or_default(), &mut self.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_no_stream_is_ends_in_an_error_and_keeps_little() {
        for bytes in [&b"INFO {}\r\n"[..], b"\xff\x06\x00\x00S2sTwX", b"\xff\x06\x00\x00S2sTwO\x02\x00\x00\x00"] {
            let error = Unpacker::new(bytes).read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_what_is_unpacked(
            words in prop::collection::vec("[a-d]{1,9}", 0..2000), noise in prop::collection::vec(any::<u8>(), 0..900),
            sizes in prop::collection::vec(1usize..70_000, 1..5),
        ) {
            let text = [words.concat().repeat(20).into_bytes(), noise].concat();
            let mut packer = Packer::new(Vec::new());
            let mut rest = text.as_slice();
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                packer.write_all(piece).unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let packed = packer.finish().unwrap();
            let mut back = Vec::new();
            Unpacker::new(packed.as_slice()).read_to_end(&mut back).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
