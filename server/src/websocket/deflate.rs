//! `permessage-deflate` without context takeover (RFC 7692): every message is compressed by itself.
//!
//! So a connection keeps no state of it: what compresses belongs to the worker, and what inflates is lent to a
//! connection only while it is in the middle of a compressed message.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::websocket::frame::FrameError;

/// What ends every compressed message, and is left away (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// What inflates, kept by a worker for the next that needs it.
const POOLED: usize = 4;

thread_local! {
    static COMPRESS: RefCell<Option<Compress>> = const { RefCell::new(None) };
    static POOL: RefCell<Vec<Decompress>> = const { RefCell::new(Vec::new()) };
}

/// Compresses one message, which `each` hands over piece by piece, behind what `into` holds.
///
/// # Errors
///
/// Never for good input: the compressor has no state that could be wrong.
pub fn deflate<'a>(pieces: impl Iterator<Item = &'a [u8]>, into: &mut Vec<u8>) -> std::io::Result<()> {
    COMPRESS.with_borrow_mut(|slot| {
        let compress = slot.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        compress.reset();
        for piece in pieces {
            run(compress, piece, into, FlushCompress::None)?;
        }
        run(compress, &[], into, FlushCompress::Sync)?;
        if into.ends_with(&TAIL) {
            into.truncate(into.len() - TAIL.len());
        }
        Ok(())
    })
}

fn run(compress: &mut Compress, mut piece: &[u8], into: &mut Vec<u8>, flush: FlushCompress) -> std::io::Result<()> {
    loop {
        into.reserve(piece.len() / 2 + 64);
        let (read, written) = (compress.total_in(), compress.total_out());
        compress.compress_vec(piece, into, flush).map_err(std::io::Error::other)?;
        let taken = usize::try_from(compress.total_in() - read).unwrap_or(0);
        piece = piece.get(taken..).unwrap_or_default();
        let full = into.len() == into.capacity();
        let idle = taken == 0 && compress.total_out() == written;
        if piece.is_empty() && (idle || !full) {
            return Ok(());
        }
    }
}

/// Inflates one message, as its bytes come.
#[derive(Debug)]
pub struct Inflater {
    inner: Option<Decompress>,
    /// The last block has ended, though the message has not.
    ended: bool,
    /// Bytes of the tail that are used up.
    tail: usize,
    taken: u64,
    given: u64,
    /// Bounds on compressed and inflated bytes of one message.
    most: (u64, u64),
}

/// How far inflating came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inflated {
    /// All that was handed in is used up.
    All,
    /// The room is full; so many bytes of what was handed in are used up.
    Full(usize),
}

impl Inflater {
    /// Messages of at most so many bytes, compressed and inflated.
    pub const fn new(most_compressed: u64, most_inflated: u64) -> Self {
        Self { inner: None, ended: false, tail: 0, taken: 0, given: 0, most: (most_compressed, most_inflated) }
    }

    /// Inflates `bytes` of the message behind what `into` holds, as far as its capacity goes.
    ///
    /// # Errors
    ///
    /// [`FrameError::Deflate`] for what cannot be inflated, [`FrameError::TooLarge`] once the message is too large.
    pub fn inflate(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<Inflated, FrameError> {
        let mut at = 0;
        while at < bytes.len() && !self.ended {
            if into.len() == into.capacity() {
                return Ok(Inflated::Full(at));
            }
            match self.step(bytes.get(at..).unwrap_or_default(), into)? {
                (0, 0) if !self.ended => return Err(FrameError::Deflate),
                (used, _) => at += used,
            }
        }
        // Behind its last block a message has at most the byte that stands for the tail.
        match bytes.get(at..) {
            None | Some([] | [0]) => Ok(Inflated::All),
            Some(_) => Err(FrameError::Deflate),
        }
    }

    /// Inflates what the end of the message brings, as far as the capacity of `into` goes; whether that is all.
    ///
    /// # Errors
    ///
    /// As [`Self::inflate`].
    pub fn finish(&mut self, into: &mut Vec<u8>) -> Result<bool, FrameError> {
        while !self.ended {
            if into.len() == into.capacity() {
                return Ok(false);
            }
            match self.step(TAIL.get(self.tail..).unwrap_or_default(), into)? {
                (0, 0) => break,
                (used, _) => self.tail += used,
            }
        }
        self.release();
        Ok(true)
    }

    /// Bytes used up and given out by one step.
    fn step(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(usize, usize), FrameError> {
        let inner =
            self.inner.get_or_insert_with(|| POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| Decompress::new(false)));
        let (read, before) = (inner.total_in(), into.len());
        let status = inner.decompress_vec(bytes, into, FlushDecompress::Sync).map_err(|_| FrameError::Deflate)?;
        let used = inner.total_in() - read;
        let given = into.len() - before;
        self.taken += used;
        self.given += given as u64;
        self.ended = status == Status::StreamEnd;
        if self.taken > self.most.0 || self.given > self.most.1 {
            return Err(FrameError::TooLarge);
        }
        Ok((usize::try_from(used).unwrap_or(bytes.len()), given))
    }

    /// The message is over: what inflates goes back to the worker.
    fn release(&mut self) {
        (self.ended, self.tail, self.taken, self.given) = (false, 0, 0, 0);
        if let Some(mut inner) = self.inner.take() {
            inner.reset(false);
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED {
                    pool.push(inner);
                }
            });
        }
    }
}

#[cfg(test)]
#[path = "deflate_tests.rs"]
mod tests;
