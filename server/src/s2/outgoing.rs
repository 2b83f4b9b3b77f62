//! Output as a stream of blocks.
//!
//! What a block holds is copied out of the queue and no longer counts as pending, so it is little: [`BLOCK`].

use std::cell::RefCell;
use std::io::{self, IoSlice};

use snap::raw::{Encoder, max_compress_len};

use super::{MAGIC, checksum};
use crate::connection::chunks::Chunks;

/// Bytes of one block.
const BLOCK: usize = 64 * 1024;
/// Shorter ones are not compressed.
const COMPRESS_FROM: usize = 64;
/// A head that is larger gives its memory back once it is written.
const HEAD_KEPT: usize = 64;

thread_local! {
    static ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new());
}

/// Where the output stands.
#[derive(Debug)]
pub struct Outgoing {
    compress: bool,
    begun: bool,
    head: Vec<u8>,
    head_written: usize,
}

impl Outgoing {
    /// A stream that begins; its blocks are compressed if `compress`, else plain.
    pub const fn new(compress: bool) -> Self {
        Self { compress, begun: false, head: Vec::new(), head_written: 0 }
    }

    /// From the next block on.
    pub fn set_compress(&mut self, compress: bool) {
        self.compress = compress;
    }

    /// One write; 0 when there is nothing to write.
    ///
    /// # Errors
    ///
    /// Those of `write`, which may take less than it is given.
    pub fn step(
        &mut self,
        chunks: &mut Chunks,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.head_written == self.head.len() {
            self.head.clear();
            self.head.shrink_to(HEAD_KEPT);
            self.head_written = 0;
            if chunks.is_empty() {
                return Ok(0);
            }
            self.block(chunks)?;
        }
        let written = write(&[IoSlice::new(self.head.get(self.head_written..).unwrap_or_default())])?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.head_written += written;
        Ok(written)
    }

    fn block(&mut self, chunks: &mut Chunks) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            self.head.extend_from_slice(&MAGIC);
        }
        let length = chunks.len().min(BLOCK);
        let bytes = chunks.slices(length).collect::<Vec<_>>().concat();
        chunks.advance(length);
        let begin = self.head.len();
        self.head.resize(begin + 8, 0);
        let compressed = self.compress && length >= COMPRESS_FROM && self.compressed(&bytes)?;
        if !compressed {
            self.head.truncate(begin + 8);
            self.head.extend_from_slice(&bytes);
        }
        let [_, l0, l1, l2] =
            u32::try_from(self.head.len() - begin - 4).unwrap_or(u32::MAX).rotate_left(8).to_le_bytes();
        let [c0, c1, c2, c3] = checksum(&bytes).to_le_bytes();
        if let Some(header) = self.head.get_mut(begin..begin + 8) {
            header.copy_from_slice(&[u8::from(!compressed), l0, l1, l2, c0, c1, c2, c3]);
        }
        Ok(())
    }

    /// Appends `bytes` compressed; `false` if that gains nothing.
    fn compressed(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let from = self.head.len();
        self.head.resize(from + max_compress_len(bytes.len()), 0);
        let room = self.head.get_mut(from..).unwrap_or_default();
        let length = ENCODER.with_borrow_mut(|encoder| encoder.compress(bytes, room)).map_err(io::Error::other)?;
        self.head.truncate(from + length);
        Ok(length < bytes.len() - bytes.len() / 8)
    }
}
