//! Proofs, and checking them: RFC 9162, 2.1.3.2 and 2.1.4.2.
//!
//! An inclusion proof shows one entry to somebody without showing the others. A consistency proof
//! shows that a later tree only added to an earlier one.

use serde::{Deserialize, Serialize};

use super::Digest;
use super::tree::{fold, leaf_hash, node_hash};

/// Shows that a leaf is in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The leaf's place.
    pub index: u64,
    /// How many leaves the tree has.
    pub size: u64,
    /// The roots beside the path from leaf to root, from the leaf up.
    pub path: Vec<Digest>,
}

/// Shows that one tree is the beginning of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyProof {
    /// How many leaves the earlier tree has.
    pub old_size: u64,
    /// How many leaves the later tree has.
    pub size: u64,
    /// The roots that connect the two.
    pub path: Vec<Digest>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Its numbers do not fit together, or it is too short or too long.
    #[error("the proof is malformed")]
    Malformed,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    OtherRoot,
}

impl InclusionProof {
    /// Checks that the leaf with these canonical bytes is in the tree with this root.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when that is not shown.
    pub fn verify(&self, leaf: &[u8], root: &Digest) -> Result<(), ProofError> {
        if self.index >= self.size {
            return Err(ProofError::Malformed);
        }
        let (mut at, mut last) = (self.index, self.size - 1);
        let mut hash = leaf_hash(leaf);
        for beside in &self.path {
            if last == 0 {
                return Err(ProofError::Malformed);
            }
            if at & 1 == 1 || at == last {
                hash = node_hash(beside, &hash);
                // On the right edge there are levels without a sibling: skip them.
                let skip = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
                at = at.checked_shr(skip).unwrap_or_default();
                last = last.checked_shr(skip).unwrap_or_default();
            } else {
                hash = node_hash(&hash, beside);
            }
            at >>= 1;
            last >>= 1;
        }
        match (last, hash == *root) {
            (0, true) => Ok(()),
            (0, false) => Err(ProofError::OtherRoot),
            _ => Err(ProofError::Malformed),
        }
    }
}

impl ConsistencyProof {
    /// Checks that the tree with `old_root` is the beginning of the tree with `root`.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when that is not shown.
    pub fn verify(&self, old_root: &Digest, root: &Digest) -> Result<(), ProofError> {
        if self.old_size > self.size {
            return Err(ProofError::Malformed);
        }
        if self.old_size == 0 || self.old_size == self.size {
            // Nothing to connect: every tree begins with the empty one, and with itself.
            let expected = if self.old_size == 0 { fold(&[]) } else { *root };
            return match (self.path.is_empty(), *old_root == expected) {
                (true, true) => Ok(()),
                (true, false) => Err(ProofError::OtherRoot),
                (false, _) => Err(ProofError::Malformed),
            };
        }
        // A whole old tree is a subtree of the new one: its root begins the path and is not told again.
        let whole = self.old_size.is_power_of_two().then_some(*old_root);
        let mut path = whole.iter().chain(&self.path);
        let first = *path.next().ok_or(ProofError::Malformed)?;
        let shift = (self.old_size - 1).trailing_ones();
        let (mut at, mut last) = ((self.old_size - 1) >> shift, (self.size - 1) >> shift);
        let (mut old, mut new) = (first, first);
        for beside in path {
            if last == 0 {
                return Err(ProofError::Malformed);
            }
            if at & 1 == 1 || at == last {
                old = node_hash(beside, &old);
                new = node_hash(beside, &new);
                let skip = if at & 1 == 1 || at == 0 { 0 } else { at.trailing_zeros() };
                at = at.checked_shr(skip).unwrap_or_default();
                last = last.checked_shr(skip).unwrap_or_default();
            } else {
                new = node_hash(&new, beside);
            }
            at >>= 1;
            last >>= 1;
        }
        match (last, old == *old_root && new == *root) {
            (0, true) => Ok(()),
            (0, false) => Err(ProofError::OtherRoot),
            _ => Err(ProofError::Malformed),
        }
    }
}
