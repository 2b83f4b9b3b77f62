//! Output inside frames: what is pending becomes one message, or several for browsers.
//!
//! ```text
//! head: a header, a compressed message or a control frame, with the socket next
//! left: bytes of the queue that belong to the frame whose header was the last head
//! ```
//!
//! Nothing is copied but what is compressed: headers go out in one write with the queue's own buffers.

use std::io::{self, IoSlice};

use crate::connection::chunks::Chunks;
use crate::limits::{DEFLATE_FROM, DEFLATE_STEP, WRITE_VECTORS};
use crate::websocket::close;
use crate::websocket::deflate::deflate;
use crate::websocket::frame::{self, CloseFrame, Opcode};
use crate::websocket::request::Fragments;

/// A head that is larger gives its memory back once it is written.
const HEAD_KEPT: usize = 64;

/// The frame that is under way, and what comes before the next.
#[derive(Debug)]
pub struct Output {
    fragments: Fragments,
    compression: bool,
    /// This side dialled: its frames are masked.
    masked: bool,
    head: Vec<u8>,
    head_written: usize,
    left: usize,
    /// The answer to the last ping; earlier ones need none (RFC 6455 section 5.5.3).
    pong: Option<Vec<u8>>,
    /// The close frame, once it is decided otherwise than by why the connection ends.
    answer: Option<Vec<u8>>,
    closed: bool,
}

impl Output {
    /// Output cut as `fragments` say, and compressed if that was agreed to.
    pub const fn new(fragments: Fragments, compression: bool) -> Self {
        Self {
            fragments,
            compression,
            masked: false,
            head: Vec::new(),
            head_written: 0,
            left: 0,
            pong: None,
            answer: None,
            closed: false,
        }
    }

    /// The same, with every frame under a mask.
    #[must_use]
    pub fn masked(self) -> Self {
        Self { masked: true, ..self }
    }

    /// Has the next frame answer a ping.
    pub fn pong(&mut self, payload: &[u8]) {
        self.pong = Some(self.control(frame::control_frame(Opcode::Pong, payload)));
    }

    fn control(&self, frame: Vec<u8>) -> Vec<u8> {
        if self.masked { frame::masked_control(&frame, rand::random()) } else { frame }
    }

    /// Has the last frame say this, in answer to what the peer sent.
    pub fn answer_close(&mut self, close: Option<&CloseFrame>) {
        self.answer = Some(self.control(frame::close_frame(close)));
    }

    /// One write of at most about `most` bytes of `chunks`, in frames; 0 when there is nothing to write.
    ///
    /// # Errors
    ///
    /// Those of `write`, which may take less than it is given.
    pub fn step(
        &mut self,
        chunks: &mut Chunks,
        most: usize,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.closed {
            // Nothing follows a close frame.
            chunks.clear();
            return Ok(0);
        }
        if self.is_between_frames() {
            self.begin(chunks)?;
        }
        let head = self.head.get(self.head_written..).unwrap_or_default();
        let mut vectors = [IoSlice::new(&[]); WRITE_VECTORS];
        let pieces = std::iter::once(head).chain(chunks.slices(self.left.min(most))).filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (vector, piece) in vectors.iter_mut().zip(pieces) {
            *vector = IoSlice::new(piece);
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        let written = write(vectors.get(..count).unwrap_or_default())?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_head = written.min(head.len());
        self.head_written += of_head;
        self.left -= written - of_head;
        chunks.advance(written - of_head);
        Ok(written)
    }

    /// The close frame of a connection that ends because of `reason`; `None` inside a frame, and after the first.
    pub fn close(&mut self, reason: &str) -> Option<Vec<u8>> {
        if self.closed || !self.is_between_frames() {
            return None;
        }
        self.closed = true;
        let answer = self.answer.take();
        Some(answer.unwrap_or_else(|| self.control(frame::close_frame(Some(&close::frame_of(reason))))))
    }

    fn is_between_frames(&self) -> bool {
        self.left == 0 && self.head_written == self.head.len()
    }

    fn begin(&mut self, chunks: &mut Chunks) -> io::Result<()> {
        self.head.clear();
        self.head.shrink_to(HEAD_KEPT);
        self.head_written = 0;
        if let Some(pong) = self.pong.take() {
            self.head = pong;
        } else if self.compression && chunks.len() >= DEFLATE_FROM {
            self.compress(chunks)?;
        } else if self.masked && !chunks.is_empty() {
            self.mask(chunks);
        } else if !chunks.is_empty() {
            self.left = chunks.len().min(self.fragments.most);
            frame::put_header(Opcode::Binary, true, false, self.left, &mut self.head);
        }
        Ok(())
    }

    /// One message under a mask, which is a copy: what it holds no longer counts as pending, so it must be little.
    fn mask(&mut self, chunks: &mut Chunks) {
        let len = chunks.len().min(DEFLATE_STEP);
        let payload = chunks.slices(len).collect::<Vec<_>>().concat();
        chunks.advance(len);
        frame::put_masked(Opcode::Binary, true, false, &payload, rand::random(), &mut self.head);
    }

    /// One compressed message: what it holds no longer counts as pending, so it must be little.
    fn compress(&mut self, chunks: &mut Chunks) -> io::Result<()> {
        let len = chunks.len().min(DEFLATE_STEP);
        let mut message = Vec::new();
        deflate(chunks.slices(len), &mut message)?;
        chunks.advance(len);
        let most = if self.fragments.compressed { self.fragments.most } else { usize::MAX };
        let mut rest = message.as_slice();
        let mut opcode = Opcode::Binary;
        while !rest.is_empty() {
            let (fragment, after) = rest.split_at(rest.len().min(most));
            let (last, first) = (after.is_empty(), opcode == Opcode::Binary);
            if self.masked {
                frame::put_masked(opcode, last, first, fragment, rand::random(), &mut self.head);
            } else {
                frame::put_header(opcode, last, first, fragment.len(), &mut self.head);
                self.head.extend_from_slice(fragment);
            }
            (rest, opcode) = (after, Opcode::Continuation);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
