//! Canonical bytes: a writer, and a cursor that cannot run off the end.
//!
//! Integers are big-endian; texts and lists carry their length first; what may be absent has a
//! byte before it, 0 or 1. There is one way to write a value, and the reader takes no other.
#![warn(clippy::arithmetic_side_effects)]

use super::Digest;

/// Why bytes are not canonical.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset} is not canonical")]
pub struct CodecError {
    what: &'static str,
    offset: usize,
}

#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn count(&mut self, value: usize) {
        // Counts and lengths are bounded far below; a longer one would be cut in `Leaf::new`.
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn unsigned(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn digest(&mut self, value: &Digest) {
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(super) fn text(&mut self, value: &str) {
        self.count(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(super) fn optional<T: ?Sized>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// Says that everything was read.
    pub(super) fn end(&self) -> Result<(), CodecError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fault("what follows the entry")) }
    }

    pub(super) fn fault(&self, what: &'static str) -> CodecError {
        CodecError { what, offset: self.length.saturating_sub(self.rest.len()) }
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.fault(what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CodecError> {
        let fault = self.fault(what);
        <[u8; N]>::try_from(self.take(N, what)?).map_err(|_| fault)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, CodecError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(super) fn count(&mut self, max: usize, what: &'static str) -> Result<usize, CodecError> {
        let fault = self.fault(what);
        let count = u32::from_be_bytes(self.array(what)?) as usize;
        if count > max { Err(fault) } else { Ok(count) }
    }

    pub(super) fn unsigned(&mut self, what: &'static str) -> Result<u64, CodecError> {
        self.array(what).map(u64::from_be_bytes)
    }

    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, CodecError> {
        self.array(what).map(i64::from_be_bytes)
    }

    pub(super) fn digest(&mut self, what: &'static str) -> Result<Digest, CodecError> {
        self.array(what).map(Digest)
    }

    pub(super) fn text(&mut self, max: usize, what: &'static str) -> Result<String, CodecError> {
        let fault = self.fault(what);
        let length = self.count(max, what)?;
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| fault)
    }

    pub(super) fn optional<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        match self.byte(what)? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(self.fault(what)),
        }
    }
}
