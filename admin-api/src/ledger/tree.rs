//! The Merkle tree of RFC 6962, section 2.1.
//!
//! ```text
//! leaf hash = SHA-256(0x00 || bytes)      node hash = SHA-256(0x01 || left || right)
//! ```
//!
//! A tree of n leaves splits at the largest power of two below n. So it is a row of complete
//! subtrees, one for each bit of n, from large to small: its [`Edge`]. To append, and to say the
//! root, the edge suffices; proofs need the roots of complete subtrees further in, which the store
//! keeps as (level, position).
#![warn(clippy::arithmetic_side_effects)]

use super::Digest;

/// The hash of a leaf's canonical bytes.
pub(crate) fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], bytes])
}

/// The hash of two subtrees side by side.
pub(crate) fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root of several complete subtrees side by side, from large to small.
pub(crate) fn fold(roots: &[Digest]) -> Digest {
    roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| Digest::of(b""))
}

/// The right edge of a tree: how many leaves it has, and the roots of its complete subtrees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    roots: Vec<Digest>,
}

impl Edge {
    /// The edge that was stored; `None` if the bytes cannot be the edge of a tree of this size.
    pub(crate) fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<32>();
        let whole = rest.is_empty() && chunks.len() == size.count_ones() as usize;
        whole.then(|| Self { size, roots: chunks.iter().copied().map(Digest).collect() })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.roots.iter().flat_map(|root| root.0).collect()
    }

    /// Appends a leaf; `complete` is told of each subtree that it completes: level, position, root.
    pub(crate) fn append(&mut self, leaf: Digest, mut complete: impl FnMut(u32, u64, Digest)) {
        let mut root = leaf;
        // Each complete subtree at the end that has the size of the new one merges with it.
        for merged in 0..self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            root = node_hash(&left, &root);
            let level = merged.saturating_add(1);
            complete(level, self.size.checked_shr(level).unwrap_or_default(), root);
        }
        self.roots.push(root);
        self.size = self.size.saturating_add(1);
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root; of an empty tree the hash of nothing.
    pub fn root(&self) -> Digest {
        fold(&self.roots)
    }
}

/// Leaves `start..end`, as they occur in proofs: `start` is a multiple of the smallest power of two
/// that is not below the length.
pub(crate) type Range = (u64, u64);

/// The complete subtrees (level, position) that a range consists of, from large to small.
pub(crate) fn subtrees((start, end): Range) -> Vec<(u32, u64)> {
    let mut parts = Vec::new();
    let mut at = start;
    while at < end {
        let level = end.saturating_sub(at).ilog2();
        parts.push((level, at.checked_shr(level).unwrap_or_default()));
        at = at.saturating_add(1_u64.checked_shl(level).unwrap_or(u64::MAX));
    }
    parts
}

/// Where a tree over a range splits: after the largest power of two below its length (length > 1).
fn split((start, end): Range) -> u64 {
    let length = end.saturating_sub(start);
    start.saturating_add(1 << length.saturating_sub(1).max(1).ilog2())
}

/// The ranges whose roots prove that leaf `index` is in a tree of `size` leaves: RFC 6962, 2.1.1.
pub(crate) fn inclusion_ranges(index: u64, size: u64) -> Vec<Range> {
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, size);
    while end.saturating_sub(start) > 1 {
        let middle = split((start, end));
        if index < middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges whose roots prove that a tree of `old` leaves is the beginning of one of `size`
/// leaves: RFC 6962, 2.1.2.
pub(crate) fn consistency_ranges(old: u64, size: u64) -> Vec<Range> {
    let mut ranges = Vec::new();
    if old == 0 || old >= size {
        return ranges;
    }
    let (mut start, mut end) = (0, size);
    // Whether the old tree's root itself is at hand: then the first range need not be told.
    let mut from_start = true;
    while end != old {
        let middle = split((start, end));
        if old <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
            from_start = false;
        }
    }
    if !from_start {
        ranges.push((start, end));
    }
    ranges.reverse();
    ranges
}
