//! Roots at the sizes of checkpoints, and who is to blame when they differ.
//!
//! Each entry holds the leaf hash of the one before. Where that does not fit, either the entry
//! before or the entry itself was replaced. So from there on a second tree is built, with the leaf
//! that the chain remembers in the place of the entry before: if a checkpoint knows that tree, the
//! entry before was replaced, else the entry itself.

use super::fault::{Fault, FaultKind, Part};
use crate::ledger::{Checkpoint, Digest, Edge};

/// A place where the chain does not fit.
pub(super) struct ChainBreak {
    /// The entry that does not follow the one before it.
    index: u64,
    /// The tree as the chain remembers it.
    alternate: Edge,
}

impl ChainBreak {
    /// `before` is the edge without the entry before; `remembered` the leaf hash that the chain has for it.
    pub(super) fn new(index: u64, before: Edge, remembered: Digest) -> Self {
        let mut alternate = before;
        // The first entry has none before it: there it is the entry itself that is wrong.
        if index > 0 {
            alternate.append(remembered, |_, _, _| {});
        }
        Self { index, alternate }
    }
}

/// The roots that were met.
pub(super) struct Roots {
    /// Sizes at which a root is wanted, ascending.
    sizes: Vec<u64>,
    met: Vec<(u64, Digest)>,
    /// The same sizes in the tree that the chain remembers, after a break.
    alternates: Vec<(u64, Digest)>,
    first_break: Option<ChainBreak>,
}

impl Roots {
    pub(super) fn new(sizes: Vec<u64>, empty: &Edge) -> Self {
        let mut roots = Self { sizes, met: Vec::new(), alternates: Vec::new(), first_break: None };
        roots.meet(empty);
        roots
    }

    /// Notes that an entry does not follow the one before it; the first such place counts.
    pub(super) fn broken(&mut self, at: ChainBreak) {
        self.first_break.get_or_insert(at);
    }

    /// Notes that a leaf was appended.
    pub(super) fn appended(&mut self, leaf: Digest, edge: &Edge) {
        self.meet(edge);
        if let Some(at) = &mut self.first_break {
            at.alternate.append(leaf, |_, _, _| {});
            if self.sizes.binary_search(&at.alternate.size()).is_ok() {
                self.alternates.push((at.alternate.size(), at.alternate.root()));
            }
        }
    }

    fn meet(&mut self, edge: &Edge) {
        if self.sizes.binary_search(&edge.size()).is_ok() {
            self.met.push((edge.size(), edge.root()));
        }
    }

    /// Compares the roots with the checkpoints, the smallest first.
    pub(super) fn compare(&self, checkpoints: &[Checkpoint], size: u64) -> Result<(), Fault> {
        let mut ascending: Vec<&Checkpoint> = checkpoints.iter().collect();
        ascending.sort_by_key(|checkpoint| checkpoint.size);
        let mut vouched = 0;
        for checkpoint in &ascending {
            if checkpoint.size > size {
                let detail = format!("a trusted checkpoint knows {} entries, the export ends here", checkpoint.size);
                return Err(Fault::new(Part::Entry, size, FaultKind::Cut, &detail));
            }
            if root_at(&self.met, checkpoint.size) == Some(checkpoint.root) {
                vouched = checkpoint.size;
                continue;
            }
            if let Some(at) = self.first_break.as_ref().filter(|at| at.index <= checkpoint.size) {
                return Err(self.blame(at, &ascending));
            }
            let last = checkpoint.size.saturating_sub(1);
            let detail = format!("the entries from this one to entry {last} are not the ones that were signed");
            return Err(Fault::new(Part::Entry, vouched, FaultKind::Changed, &detail));
        }
        self.first_break.as_ref().map_or(Ok(()), |at| Err(self.blame(at, &ascending)))
    }

    fn blame(&self, at: &ChainBreak, checkpoints: &[&Checkpoint]) -> Fault {
        let remembered = checkpoints.iter().any(|checkpoint| {
            checkpoint.size > at.index && root_at(&self.alternates, checkpoint.size) == Some(checkpoint.root)
        });
        // A checkpoint right after the entry before knows its leaf without the chain.
        let before_is_other = checkpoints
            .iter()
            .any(|checkpoint| checkpoint.size == at.index && root_at(&self.met, at.index) != Some(checkpoint.root));
        if (remembered || before_is_other) && at.index > 0 {
            let detail = format!("it is not the entry that entry {} follows", at.index);
            return Fault::new(Part::Entry, at.index - 1, FaultKind::Changed, &detail);
        }
        Fault::new(Part::Entry, at.index, FaultKind::Changed, "it does not follow the entry before it")
    }
}

fn root_at(roots: &[(u64, Digest)], size: u64) -> Option<Digest> {
    roots.iter().find(|(at, _)| *at == size).map(|(_, root)| *root)
}
