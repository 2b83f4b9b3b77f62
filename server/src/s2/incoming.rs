//! A stream of blocks that comes in, decoded as it comes.

use super::{BLOCK_MAX, MAGIC, MAGIC_SNAPPY, STEP, block, checksum};
use crate::websocket::incoming::Sink;

const COMPRESSED: u8 = 0x00;
const PLAIN: u8 = 0x01;
const IDENTIFIER: u8 = 0xff;
/// Kinds from here on may be skipped by those who do not know them.
const SKIPPABLE: u8 = 0x80;
const HEADER: usize = 4;
const CHECKSUM: usize = 4;

/// Why a stream cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum S2Error {
    /// A block that is no block, or whose checksum is another.
    #[error("a compressed block is damaged")]
    Damaged,
    /// It does not begin as a stream does.
    #[error("the stream does not begin with its identifier")]
    Identifier,
    /// A block that is longer than allowed, or more than a stranger may send.
    #[error("a compressed block holds more than is taken")]
    TooLong,
    /// A kind that must not be skipped.
    #[error("a block of the unknown kind {0:#04x}")]
    UnknownKind(u8),
}

/// Where the input stands.
#[derive(Debug)]
pub struct Incoming {
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes of the body that are still to come.
    missing: usize,
    body: Vec<u8>,
    begun: bool,
    /// Longest block, decoded.
    most: usize,
    /// Decoded bytes that a stranger has left.
    allowance: usize,
    /// Bytes that were read and not yet taken apart.
    left: Vec<u8>,
    error: Option<S2Error>,
}

impl Incoming {
    /// The input of a peer. One that has proved nothing may send `early` bytes in all, and no longer block; a peer that
    /// this side chose has no such bound.
    pub fn new(early: Option<usize>) -> Self {
        Self {
            header: [0; HEADER],
            header_len: 0,
            missing: 0,
            body: Vec::new(),
            begun: false,
            most: early.map_or(BLOCK_MAX, |most| most.min(BLOCK_MAX)),
            allowance: early.unwrap_or(usize::MAX),
            left: Vec::new(),
            error: None,
        }
    }

    /// The same, which begins with bytes that were read before.
    #[must_use]
    pub fn after(self, bytes: Vec<u8>) -> Self {
        Self { left: bytes, ..self }
    }

    /// The peer has proved who it is.
    pub fn trust(&mut self) {
        self.most = BLOCK_MAX;
        self.allowance = usize::MAX;
    }

    /// Why it ended, if it has.
    pub fn error(&self) -> Option<S2Error> {
        self.error
    }

    /// Something was left.
    pub fn has_left(&self) -> bool {
        !self.left.is_empty() && self.error.is_none()
    }

    /// Decodes blocks and hands what they hold to `sink`. When that takes no more, or it was much, the rest waits for
    /// [`Self::resume`].
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        if self.has_left() {
            self.left.extend_from_slice(bytes);
            return;
        }
        let mut rest = bytes;
        let mut decoded = 0;
        while !rest.is_empty() && self.error.is_none() {
            match self.next(&mut rest, sink) {
                Ok(None) => {}
                Ok(Some(count)) => {
                    decoded += count;
                    if !sink.show() || decoded >= STEP {
                        self.left = rest.to_vec();
                        return;
                    }
                }
                Err(error) => self.error = Some(error),
            }
        }
    }

    /// Goes on with what was left.
    pub fn resume(&mut self, sink: &mut impl Sink) {
        let left = std::mem::take(&mut self.left);
        self.feed(&left, sink);
    }

    /// Takes of `rest` what completes a header or a body; how many bytes that decoded to, once it did.
    fn next(&mut self, rest: &mut &[u8], sink: &mut impl Sink) -> Result<Option<usize>, S2Error> {
        if self.header_len < HEADER {
            let Some((first, after)) = rest.split_first() else { return Ok(None) };
            *rest = after;
            if let Some(slot) = self.header.get_mut(self.header_len) {
                *slot = *first;
            }
            self.header_len += 1;
            if self.header_len == HEADER {
                self.begin()?;
            }
            return Ok(None);
        }
        let [kind, ..] = self.header;
        let count = self.missing.min(rest.len());
        let (taken, after) = rest.split_at(count);
        *rest = after;
        self.missing -= count;
        if !is_skipped(kind) {
            self.body.extend_from_slice(taken);
        }
        if self.missing > 0 { Ok(None) } else { self.finish(kind, sink) }
    }

    /// A header is whole: what it announces must be allowed.
    fn begin(&mut self) -> Result<(), S2Error> {
        let [kind, b0, b1, b2] = self.header;
        let length = usize::from(b0) | usize::from(b1) << 8 | usize::from(b2) << 16;
        if !self.begun && kind != IDENTIFIER {
            return Err(S2Error::Identifier);
        }
        let (least, most) = match kind {
            COMPRESSED => (CHECKSUM + 1, CHECKSUM + longest(self.most)),
            PLAIN => (CHECKSUM, CHECKSUM + self.most),
            IDENTIFIER => (MAGIC.len() - HEADER, MAGIC.len() - HEADER),
            SKIPPABLE.. => (0, usize::MAX),
            _ => return Err(S2Error::UnknownKind(kind)),
        };
        if length < least {
            return Err(S2Error::Damaged);
        }
        if length > most {
            return Err(if kind == IDENTIFIER { S2Error::Identifier } else { S2Error::TooLong });
        }
        self.missing = length;
        if length == 0 {
            self.header_len = 0;
        }
        Ok(())
    }

    fn finish(&mut self, kind: u8, sink: &mut impl Sink) -> Result<Option<usize>, S2Error> {
        self.header_len = 0;
        if is_skipped(kind) {
            return Ok(None);
        }
        let body = std::mem::take(&mut self.body);
        if kind == IDENTIFIER {
            let known = [MAGIC, MAGIC_SNAPPY].iter().any(|magic| magic.get(HEADER..) == Some(&body));
            self.begun = true;
            return if known { Ok(None) } else { Err(S2Error::Identifier) };
        }
        let (sum, block) = body.split_first_chunk::<CHECKSUM>().ok_or(S2Error::Damaged)?;
        let sum = u32::from_le_bytes(*sum);
        if kind == PLAIN {
            return self.hand_on(block, sum, sink).map(Some);
        }
        let mut buffer = sink.buffer();
        let decoded = block::decode(block, self.most, &mut buffer);
        let outcome = decoded.and_then(|()| self.hand_on(&buffer, sum, sink));
        sink.give_back(buffer);
        outcome.map(Some)
    }

    fn hand_on(&mut self, bytes: &[u8], sum: u32, sink: &mut impl Sink) -> Result<usize, S2Error> {
        if checksum(bytes) != sum {
            return Err(S2Error::Damaged);
        }
        self.allowance = self.allowance.checked_sub(bytes.len()).ok_or(S2Error::TooLong)?;
        sink.gather(bytes, [0; 4]);
        Ok(bytes.len())
    }
}

fn is_skipped(kind: u8) -> bool {
    (SKIPPABLE..IDENTIFIER).contains(&kind)
}

/// What so many bytes may become at most when they are compressed.
const fn longest(decoded: usize) -> usize {
    decoded + decoded / 6 + 32
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
