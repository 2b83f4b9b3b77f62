//! Bytes as a script: small numbers, lines, rests.

/// A cursor that never runs dry: what is missing is zero, or empty.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Up to `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// What stands before the next newline.
    pub(crate) fn line(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let line = self.bytes(end);
        self.bytes(1);
        line
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// For what only must not panic.
pub(crate) fn ran<T>(_: T) {}

/// Sizes of pieces: often one byte, seldom many.
#[cfg(feature = "broker")]
pub(crate) struct Pieces {
    state: u32,
}

#[cfg(feature = "broker")]
impl Pieces {
    pub(crate) fn new(seed: u8) -> Self {
        Self { state: u32::from(seed) }
    }

    pub(crate) fn next(&mut self) -> usize {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let drawn = (self.state >> 24) as usize;
        if drawn < 128 { 1 } else { drawn % 29 + 1 }
    }
}
