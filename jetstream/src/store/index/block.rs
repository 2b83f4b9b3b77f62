//! Some hundred runs of sequences in few bytes: what a [`Posting`](super::posting::Posting) is made of.
//!
//! A run is coded as the gap since the one before it, shifted left by one, with the lowest bit set if it is longer
//! than one, and then its length less two. A single sequence far from its neighbours takes three or four bytes, a
//! million in a row take four together. The last run is kept apart from the code: it is the one that grows.

use smallvec::SmallVec;

use super::varint;

/// From here on a new run begins a new block.
const FULL: usize = if cfg!(test) { 32 } else { 240 };
/// A block that removals made longer than this is split.
const TOO_LONG: usize = 2 * FULL;

/// A run of sequences: the first, and how many.
pub(crate) type Run = (u64, u64);

/// At least one run, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The first sequence.
    first: u64,
    /// One above the last sequence that is coded; the first sequence while nothing is.
    coded_to: u64,
    /// The last run.
    tail: Run,
    count: u64,
    code: Vec<u8>,
}

impl Block {
    pub(crate) fn of(run: Run) -> Self {
        Self { first: run.0, coded_to: run.0, tail: run, count: run.1, code: Vec::new() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn last(&self) -> u64 {
        self.tail.0 + self.tail.1 - 1
    }

    /// The only run, if there is no other.
    pub(crate) fn single(&self) -> Option<Run> {
        self.code.is_empty().then_some(self.tail)
    }

    /// Bytes of memory that it takes beyond itself.
    pub(crate) fn heap(&self) -> usize {
        self.code.capacity()
    }

    pub(crate) fn runs(&self) -> Runs<'_> {
        Runs { code: &self.code, end: self.first, tail: Some(self.tail) }
    }

    /// Adds a run above all others; `false` if it belongs into another block.
    pub(crate) fn push(&mut self, (start, len): Run) -> bool {
        if start == self.tail.0 + self.tail.1 {
            self.tail.1 += len;
        } else if self.code.len() >= FULL {
            self.code.shrink_to_fit();
            return false;
        } else {
            encode(&mut self.code, self.tail.0 - self.coded_to, self.tail.1);
            self.coded_to = self.tail.0 + self.tail.1;
            self.tail = (start, len);
        }
        self.count += len;
        true
    }

    /// Takes a sequence out; `None` if it is not in it.
    pub(crate) fn remove(&mut self, seq: u64) -> Option<Left> {
        if seq < self.first || seq > self.last() {
            return None;
        }
        if seq == self.first && self.count > 1 {
            self.remove_first();
            self.count -= 1;
            return Some(Left::One);
        }
        if !self.remove_within(seq)? {
            return Some(Left::Nothing);
        }
        if self.code.len() <= TOO_LONG {
            return Some(Left::One);
        }
        let runs: SmallVec<[Run; 128]> = self.runs().collect();
        let (low, high) = runs.split_at(runs.len() / 2);
        self.rebuild(low);
        self.code.shrink_to_fit();
        let mut upper = Self::of((0, 0));
        upper.rebuild(high);
        upper.code.shrink_to_fit();
        Some(Left::Two(upper))
    }

    /// Takes a sequence out that is not the first, or is the only one: says whether any are left, `None` if it is not in
    /// it. Only the code of its run, and of the one behind it, is written anew.
    fn remove_within(&mut self, seq: u64) -> Option<bool> {
        let (all, mut at, mut rest) = (self.code.len(), self.first, self.code.as_slice());
        loop {
            let before = all - rest.len();
            let Some((gap, len)) = decode(&mut rest) else { return self.remove_from_tail(seq) };
            let (start, end) = (at + gap, at + gap + len);
            if seq >= end {
                at = end;
                continue;
            }
            if seq < start {
                return None;
            }
            let mut patch = Vec::new();
            if seq > start {
                encode(&mut patch, start - at, seq - start);
                at = seq;
            }
            if seq + 1 < end {
                encode(&mut patch, seq + 1 - at, end - seq - 1);
                at = end;
            }
            let next = if at == end { None } else { decode(&mut rest) };
            if let Some((gap, len)) = next {
                encode(&mut patch, end + gap - at, len);
            } else if at != end {
                self.coded_to = at;
            }
            let behind = all - rest.len();
            self.code.splice(before..behind, patch);
            self.count -= 1;
            return Some(true);
        }
    }

    fn remove_from_tail(&mut self, seq: u64) -> Option<bool> {
        let (start, len) = self.tail;
        if seq < start || seq >= start + len {
            return None;
        }
        if len == 1 {
            let runs: SmallVec<[Run; 128]> = self.runs().collect();
            return Some(self.rebuild(runs.split_last().map_or(&[], |(_, others)| others)));
        }
        if seq == start {
            self.tail = (start + 1, len - 1);
        } else if seq + 1 == start + len {
            self.tail = (start, len - 1);
        } else {
            encode(&mut self.code, start - self.coded_to, seq - start);
            self.coded_to = seq;
            self.tail = (seq + 1, start + len - seq - 1);
        }
        self.count -= 1;
        Some(true)
    }

    fn remove_first(&mut self) {
        let (len, rest) = {
            let mut code = self.code.as_slice();
            match decode(&mut code) {
                None => (self.tail.1, None),
                Some((_, len)) => (len, Some((code.len(), decode(&mut code), code.len()))),
            }
        };
        let mut head = Vec::new();
        let Some((behind_first, second, behind_second)) = rest else {
            // Nothing is coded: the tail is the first run.
            self.tail = (self.tail.0 + 1, len.saturating_sub(1));
            self.first = self.tail.0;
            self.coded_to = self.tail.0;
            return;
        };
        let all = self.code.len();
        let cut = if len > 1 {
            self.first += 1;
            encode(&mut head, 0, len - 1);
            all - behind_first
        } else if let Some((gap, second)) = second {
            self.first += 1 + gap;
            encode(&mut head, 0, second);
            all - behind_second
        } else {
            self.first = self.tail.0;
            self.coded_to = self.tail.0;
            all
        };
        self.code.splice(..cut, head);
    }

    fn rebuild(&mut self, runs: &[Run]) -> bool {
        let mut code = std::mem::take(&mut self.code);
        code.clear();
        let Some((&first, rest)) = runs.split_first() else {
            self.count = 0;
            return false;
        };
        *self = Self { code, ..Self::of(first) };
        for &(start, len) in rest {
            encode(&mut self.code, self.tail.0 - self.coded_to, self.tail.1);
            self.coded_to = self.tail.0 + self.tail.1;
            self.tail = (start, len);
            self.count += len;
        }
        true
    }
}

/// What a removal leaves of a block.
#[derive(Debug)]
pub(crate) enum Left {
    /// The block.
    One,
    /// None of it.
    Nothing,
    /// The block, and another above it.
    Two(Block),
}

/// The runs of a block, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Runs<'a> {
    code: &'a [u8],
    end: u64,
    tail: Option<Run>,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let Some((gap, len)) = decode(&mut self.code) else {
            return self.tail.take();
        };
        let start = self.end + gap;
        self.end = start + len;
        Some((start, len))
    }
}

/// Adds a run that begins `gap` behind the one before it.
pub(crate) fn encode(into: &mut Vec<u8>, gap: u64, len: u64) {
    varint::put(into, gap << 1 | u64::from(len > 1));
    if len > 1 {
        varint::put(into, len - 2);
    }
}

/// Takes a run off the front: its gap, and its length.
pub(crate) fn decode(from: &mut &[u8]) -> Option<Run> {
    let coded = varint::take(from)?;
    let len = if coded & 1 == 0 { 1 } else { varint::take(from)? + 2 };
    Some((coded >> 1, len))
}
