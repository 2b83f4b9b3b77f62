//! The read buffer of a connection, or of several that one thread reads in turn.

use anyhow::{Result, anyhow};

use crate::link::{Link, Received};
use crate::wire::{Frame, next_frame};

/// Large enough that a read seldom stops short of what the socket holds, and for 64 KiB messages.
const CAPACITY: usize = 256 * 1024;

/// Bytes received and not yet consumed; what is there always begins at a frame.
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    filled: usize,
}

impl Inbox {
    /// An empty buffer.
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; CAPACITY], filled: 0 }
    }

    /// A buffer for frames of up to `longest` bytes.
    pub(crate) fn for_frames(longest: usize) -> Self {
        Self { buffer: vec![0; CAPACITY.max(longest * 2)], filled: 0 }
    }

    /// Replaces what is held by `bytes`.
    pub(crate) fn load(&mut self, bytes: &[u8]) {
        let space = self.buffer.get_mut(..bytes.len());
        self.filled = space.map_or(0, |space| {
            space.copy_from_slice(bytes);
            bytes.len()
        });
    }

    /// Moves what is held to `rest`.
    pub(crate) fn unload(&mut self, rest: &mut Vec<u8>) {
        rest.clear();
        rest.extend_from_slice(self.held());
        self.filled = 0;
    }

    /// One read.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or one frame is larger than the buffer.
    pub(crate) fn fill(&mut self, link: &mut Link) -> Result<Received> {
        let space = self.buffer.get_mut(self.filled..).filter(|space| !space.is_empty());
        let space = space.ok_or_else(|| anyhow!("a frame is longer than {} bytes", self.filled))?;
        let received = link.receive(space)?;
        if let Received::Bytes(count) = received {
            self.filled += count;
        }
        Ok(received)
    }

    /// Gives what is held to `consume`, and drops as many bytes as it says it has used.
    ///
    /// # Errors
    ///
    /// Those of `consume`.
    pub(crate) fn consume(&mut self, consume: impl FnOnce(&[u8]) -> Result<usize>) -> Result<()> {
        let used = consume(self.held())?.min(self.filled);
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
        Ok(())
    }

    /// Gives every complete frame to `each`.
    ///
    /// # Errors
    ///
    /// Those of `each`, and what is not the protocol.
    pub(crate) fn frames(&mut self, mut each: impl FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
        self.consume(|bytes| {
            let mut used = 0;
            while let Some((frame, length)) =
                next_frame(bytes.get(used..).unwrap_or_default()).map_err(|malformed| anyhow!(malformed.0))?
            {
                each(frame)?;
                used += length;
            }
            Ok(used)
        })
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}
