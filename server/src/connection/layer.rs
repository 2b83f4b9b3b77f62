//! What stands between a connection's socket, or its TLS, and its parser: frames of WebSocket, or S2.

use std::io::{self, IoSlice};

use crate::connection::chunks::Chunks;
use crate::limits::WRITE_VECTORS;
use crate::s2::incoming::Incoming;
use crate::s2::outgoing::Outgoing;
use crate::websocket::incoming::{Input, Sink};
use crate::websocket::outgoing::Output;

/// Around the input.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is in a box wherever it is kept, with or without frames")]
pub enum InputLayer {
    /// Frames of WebSocket.
    Websocket(Input),
    /// Blocks of S2.
    S2(Incoming),
}

impl InputLayer {
    /// Takes bytes apart and hands what they carry to `sink`.
    pub fn feed(&mut self, bytes: &mut [u8], sink: &mut impl Sink) {
        match self {
            Self::Websocket(input) => input.feed(bytes, sink),
            Self::S2(incoming) => incoming.feed(bytes, sink),
        }
    }

    /// Goes on with what was left.
    pub fn resume(&mut self, sink: &mut impl Sink) {
        match self {
            Self::Websocket(input) => input.resume(sink),
            Self::S2(incoming) => incoming.resume(sink),
        }
    }

    /// Something was left that nobody paused for: it was much at once.
    pub fn has_more(&self) -> bool {
        matches!(self, Self::S2(incoming) if incoming.has_left())
    }

    /// The peer has proved who it is.
    pub fn trust(&mut self) {
        if let Self::S2(incoming) = self {
            incoming.trust();
        }
    }
}

/// Around the output.
#[derive(Debug)]
pub enum OutputLayer {
    /// Nothing so far.
    Plain,
    /// Frames of WebSocket.
    Websocket(Output),
    /// Blocks of S2.
    S2(Outgoing),
}

impl OutputLayer {
    /// One write of at most about `most` bytes of `chunks`; 0 when there is nothing to write.
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
        match self {
            Self::Plain => {
                let mut vectors = [IoSlice::new(&[]); WRITE_VECTORS];
                let mut count = 0;
                for (vector, piece) in vectors.iter_mut().zip(chunks.slices(most)) {
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
                chunks.advance(written);
                Ok(written)
            }
            Self::Websocket(output) => output.step(chunks, most, write),
            // Its blocks are short anyway.
            Self::S2(outgoing) => outgoing.step(chunks, write),
        }
    }

    /// What says that the connection ends because of `reason`, if anything does.
    pub fn close(&mut self, reason: &str) -> Option<Vec<u8>> {
        match self {
            Self::Websocket(output) => output.close(reason),
            Self::Plain | Self::S2(_) => None,
        }
    }
}
