//! Whether a match made earlier is still right.
//!
//! A tree of subscriptions is divided into [`PARTS`]. A match takes a [`Stamp`] of its part *before* it looks at the
//! tree; a change raises the generation *after* the tree has it. So of a change and a match at the same time, either
//! the match saw the change, or its stamp is older than the raise and no longer [holds](Generations::holds).

use crate::sync::atomic::{AtomicU64, Ordering};

/// Parts of a tree with generations of their own.
pub const PARTS: usize = 64;

/// The generations of one tree.
#[derive(Debug)]
pub struct Generations {
    parts: [AtomicU64; PARTS],
    /// Raised by changes that may concern any part.
    everywhere: AtomicU64,
}

/// The generations that decide about one subject, as they were at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    index: usize,
    part: u64,
    everywhere: u64,
}

impl Generations {
    /// Nothing has changed yet.
    pub fn new() -> Self {
        Self { parts: std::array::from_fn(|_| AtomicU64::new(0)), everywhere: AtomicU64::new(0) }
    }

    /// What a match in the part that `hash` chooses bears. Take it before matching.
    #[inline]
    pub fn stamp(&self, hash: u64) -> Stamp {
        self.stamp_at(hash as usize % PARTS)
    }

    /// Nothing that concerns a match with this stamp has changed since.
    #[inline]
    pub fn holds(&self, stamp: &Stamp) -> bool {
        self.stamp_at(stamp.index) == *stamp
    }

    /// The part that `hash` chooses has changed. Call it after the change.
    pub fn raise(&self, hash: u64) {
        if let Some(part) = self.parts.get(hash as usize % PARTS) {
            part.fetch_add(1, Ordering::Release);
        }
    }

    /// Any part may have changed. Call it after the change.
    pub fn raise_all(&self) {
        self.everywhere.fetch_add(1, Ordering::Release);
    }

    #[inline]
    fn stamp_at(&self, index: usize) -> Stamp {
        Stamp {
            index,
            part: self.parts.get(index).map_or(0, |part| part.load(Ordering::Acquire)),
            everywhere: self.everywhere.load(Ordering::Acquire),
        }
    }
}

impl Default for Generations {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_until_its_own_part_or_all_change() {
        let generations = Generations::new();
        let stamp = generations.stamp(3);
        generations.raise(4);
        assert!(generations.holds(&stamp), "another part");
        assert_eq!(generations.stamp(3 + PARTS as u64), stamp, "the same part by another hash");
        generations.raise(3);
        assert!(!generations.holds(&stamp), "its own part");
        let stamp = generations.stamp(3);
        assert!(generations.holds(&stamp));
        generations.raise_all();
        assert!(!generations.holds(&stamp), "all parts");
    }
}
