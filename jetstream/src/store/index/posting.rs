//! A set of sequences that grows at its upper end and loses any: which messages a subject has.

use std::collections::VecDeque;

use super::block::{Block, Left, Run};

/// A set of sequences. One run costs nothing beyond the value itself; others three or four bytes for a run.
#[derive(Clone, Debug)]
pub(crate) enum Posting {
    /// One run; of length 0 if the set is empty.
    Run(u64, u64),
    /// Two that do not follow one another: what a subject has for a moment that keeps its last message alone.
    Two(u64, u64),
    /// Some runs.
    Block(Box<Block>),
    /// Many; at least one block, none empty, ascending.
    Blocks(Box<Blocks>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    count: u64,
    list: VecDeque<Block>,
}

impl Default for Posting {
    fn default() -> Self {
        Self::Run(0, 0)
    }
}

impl Posting {
    pub(crate) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Run(_, len) => *len,
            Self::Two(..) => 2,
            Self::Block(block) => block.count(),
            Self::Blocks(blocks) => blocks.count,
        }
    }

    pub(crate) fn first(&self) -> Option<u64> {
        match self {
            Self::Run(_, 0) => None,
            Self::Run(start, _) | Self::Two(start, _) => Some(*start),
            Self::Block(block) => Some(block.first()),
            Self::Blocks(blocks) => blocks.list.front().map(Block::first),
        }
    }

    pub(crate) fn last(&self) -> Option<u64> {
        match self {
            Self::Run(_, 0) => None,
            Self::Run(start, len) => Some(start + len - 1),
            Self::Two(_, last) => Some(*last),
            Self::Block(block) => Some(block.last()),
            Self::Blocks(blocks) => blocks.list.back().map(Block::last),
        }
    }

    /// Adds a sequence above all others.
    pub(crate) fn push(&mut self, seq: u64) {
        self.push_run((seq, 1));
    }

    /// Adds a run of sequences above all others.
    pub(crate) fn push_run(&mut self, (start, len): Run) {
        debug_assert!(self.last().is_none_or(|last| start > last), "sequences rise");
        match self {
            Self::Run(first, have @ 0) => {
                *first = start;
                *have = len;
            }
            Self::Run(first, have) if *first + *have == start => *have += len,
            Self::Run(first, 1) if len == 1 => *self = Self::Two(*first, start),
            Self::Two(first, second) => {
                let mut block = Block::of((*first, 1));
                block.push((*second, 1));
                block.push((start, len));
                *self = Self::Block(Box::new(block));
            }
            Self::Run(first, have) => {
                let mut block = Block::of((*first, *have));
                block.push((start, len));
                *self = Self::Block(Box::new(block));
            }
            Self::Block(block) => {
                if !block.push((start, len)) {
                    let full = std::mem::replace(&mut **block, Block::of((0, 0)));
                    let count = full.count() + len;
                    let list = VecDeque::from([full, Block::of((start, len))]);
                    *self = Self::Blocks(Box::new(Blocks { count, list }));
                }
            }
            Self::Blocks(blocks) => {
                blocks.count += len;
                let pushed = blocks.list.back_mut().is_some_and(|block| block.push((start, len)));
                if !pushed {
                    blocks.list.push_back(Block::of((start, len)));
                }
            }
        }
    }

    /// Takes a sequence out; `false` if it is not in the set.
    pub(crate) fn remove(&mut self, seq: u64) -> bool {
        match self {
            Self::Run(start, len) => {
                let Some(offset) = seq.checked_sub(*start).filter(|offset| offset < len) else { return false };
                if offset == 0 {
                    *start += 1;
                    *len -= 1;
                } else if offset + 1 == *len {
                    *len -= 1;
                } else {
                    let mut block = Block::of((*start, offset));
                    block.push((seq + 1, *len - offset - 1));
                    *self = Self::Block(Box::new(block));
                }
                true
            }
            Self::Two(first, last) => {
                let left = if seq == *first { *last } else { *first };
                let found = seq == *first || seq == *last;
                if found {
                    *self = Self::Run(left, 1);
                }
                found
            }
            Self::Block(block) => match block.remove(seq) {
                None => false,
                Some(Left::One) => {
                    if let Some((start, len)) = block.single() {
                        *self = Self::Run(start, len);
                    }
                    true
                }
                Some(Left::Nothing) => {
                    *self = Self::default();
                    true
                }
                Some(Left::Two(upper)) => {
                    let lower = std::mem::replace(&mut **block, Block::of((0, 0)));
                    let count = lower.count() + upper.count();
                    *self = Self::Blocks(Box::new(Blocks { count, list: VecDeque::from([lower, upper]) }));
                    true
                }
            },
            Self::Blocks(blocks) => {
                let removed = blocks.remove(seq);
                if let [_] = blocks.list.as_slices().0
                    && blocks.list.len() == 1
                    && let Some(only) = blocks.list.pop_front()
                {
                    *self = Self::Block(Box::new(only));
                }
                removed
            }
        }
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.next(seq) == Some(seq)
    }

    /// The first at or above `from`.
    pub(crate) fn next(&self, from: u64) -> Option<u64> {
        match self {
            Self::Run(start, len) => (*len > 0 && from < start + len).then(|| from.max(*start)),
            Self::Two(first, last) => [*first, *last].into_iter().find(|seq| *seq >= from),
            Self::Block(block) => next_in(block, from),
            Self::Blocks(blocks) => {
                let at = blocks.list.partition_point(|block| block.last() < from);
                blocks.list.get(at).and_then(|block| next_in(block, from))
            }
        }
    }

    /// The last at or below `to`.
    pub(crate) fn prev(&self, to: u64) -> Option<u64> {
        match self {
            Self::Run(start, len) => (*len > 0 && to >= *start).then(|| to.min(start + len - 1)),
            Self::Two(first, last) => [*last, *first].into_iter().find(|seq| *seq <= to),
            Self::Block(block) => prev_in(block, to),
            Self::Blocks(blocks) => {
                let above = blocks.list.partition_point(|block| block.first() <= to);
                blocks.list.get(above.checked_sub(1)?).and_then(|block| prev_in(block, to))
            }
        }
    }

    /// How many at or above `from`.
    pub(crate) fn count_from(&self, from: u64) -> u64 {
        match self {
            Self::Run(start, len) => (start + len).saturating_sub(from.max(*start)).min(*len),
            Self::Two(first, last) => u64::from(from <= *first) + u64::from(from <= *last),
            Self::Block(block) => count_in(block, from),
            Self::Blocks(blocks) => {
                let at = blocks.list.partition_point(|block| block.last() < from);
                let boundary = blocks.list.get(at).map_or(0, |block| count_in(block, from));
                // From the nearer end.
                if at < blocks.list.len() / 2 {
                    let below: u64 = blocks.list.iter().take(at + 1).map(Block::count).sum();
                    blocks.count - below.min(blocks.count) + boundary
                } else {
                    boundary + blocks.list.iter().skip(at + 1).map(Block::count).sum::<u64>()
                }
            }
        }
    }

    /// Its runs, ascending.
    pub(crate) fn runs(&self) -> Box<dyn Iterator<Item = Run> + '_> {
        match self {
            Self::Run(_, 0) => Box::new(std::iter::empty()),
            Self::Run(start, len) => Box::new(std::iter::once((*start, *len))),
            Self::Two(first, last) => Box::new([(*first, 1), (*last, 1)].into_iter()),
            Self::Block(block) => Box::new(block.runs()),
            Self::Blocks(blocks) => Box::new(Runs { list: &blocks.list, at: 0, block: None }),
        }
    }

    /// The runs of all its blocks but the last, if there are more than `waiting` of them.
    pub(crate) fn older(&self, waiting: usize) -> Option<impl Iterator<Item = Run> + '_> {
        let Self::Blocks(blocks) = self else { return None };
        let older = blocks.list.len().checked_sub(1).filter(|older| *older >= waiting)?;
        Some(blocks.list.iter().take(older).flat_map(Block::runs))
    }

    /// Keeps no block but the last.
    pub(crate) fn keep_newest(&mut self) {
        if let Self::Blocks(blocks) = self
            && let Some(newest) = blocks.list.pop_back()
        {
            *self = Self::Block(Box::new(newest));
        }
    }

    /// Bytes of memory that it takes beyond itself.
    pub(crate) fn heap(&self) -> usize {
        match self {
            Self::Run(..) | Self::Two(..) => 0,
            Self::Block(block) => size_of::<Block>() + block.heap(),
            Self::Blocks(blocks) => {
                let within: usize = blocks.list.iter().map(Block::heap).sum();
                size_of::<Blocks>() + blocks.list.capacity() * size_of::<Block>() + within
            }
        }
    }
}

impl Blocks {
    fn remove(&mut self, seq: u64) -> bool {
        let at = self.list.partition_point(|block| block.last() < seq);
        let left = self.list.get_mut(at).and_then(|block| block.remove(seq));
        match left {
            None => return false,
            Some(Left::One) => {}
            Some(Left::Nothing) => {
                self.list.remove(at);
            }
            Some(Left::Two(upper)) => self.list.insert(at + 1, upper),
        }
        self.count -= 1;
        true
    }
}

/// The runs of several blocks.
struct Runs<'a> {
    list: &'a VecDeque<Block>,
    at: usize,
    block: Option<super::block::Runs<'a>>,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        loop {
            if let Some(run) = self.block.as_mut().and_then(Iterator::next) {
                return Some(run);
            }
            self.block = Some(self.list.get(self.at)?.runs());
            self.at += 1;
        }
    }
}

fn next_in(block: &Block, from: u64) -> Option<u64> {
    if from <= block.first() {
        return Some(block.first());
    }
    block.runs().find(|(start, len)| start + len > from).map(|(start, _)| start.max(from))
}

fn prev_in(block: &Block, to: u64) -> Option<u64> {
    if to >= block.last() {
        return Some(block.last());
    }
    block.runs().take_while(|(start, _)| *start <= to).last().map(|(start, len)| to.min(start + len - 1))
}

fn count_in(block: &Block, from: u64) -> u64 {
    if from <= block.first() {
        return block.count();
    }
    block.runs().map(|(start, len)| (start + len).saturating_sub(from.max(start)).min(len)).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn agrees(posting: &Posting, model: &BTreeSet<u64>, at: u64) {
        assert_eq!(posting.count(), model.len() as u64);
        assert_eq!(posting.first(), model.first().copied());
        assert_eq!(posting.last(), model.last().copied());
        assert_eq!(posting.next(at), model.range(at..).next().copied());
        assert_eq!(posting.prev(at), model.range(..=at).next_back().copied());
        assert_eq!(posting.count_from(at), model.range(at..).count() as u64);
        assert_eq!(posting.contains(at), model.contains(&at));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Rises by small and large steps, loses from the front, the back and anywhere.
        #[test]
        fn a_posting_is_a_set(
            steps in prop::collection::vec((1_u64..4, 0_u64..3000, prop::bool::weighted(0.05)), 0..2000),
            removals in prop::collection::vec((0_u64..4, 0_u64..6000), 0..1500),
        ) {
            let (mut posting, mut model, mut at) = (Posting::default(), BTreeSet::new(), 0);
            for (step, far, is_far) in steps {
                at += if is_far { far * 1_000_000 + 2 } else { step };
                posting.push(at);
                model.insert(at);
            }
            agrees(&posting, &model, at / 2);
            for (how, which) in removals {
                let all = model.len().max(1);
                let seq = match how {
                    0 => model.first().copied(),
                    1 => model.last().copied(),
                    2 => model.iter().nth(which as usize % all).copied(),
                    _ => Some(which),
                };
                let Some(seq) = seq else { break };
                prop_assert_eq!(posting.remove(seq), model.remove(&seq));
                agrees(&posting, &model, seq);
                agrees(&posting, &model, which);
            }
            let listed: Vec<u64> = posting.runs().flat_map(|(start, len)| start..start + len).collect();
            prop_assert_eq!(listed, model.iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn holes_in_a_long_run_split_blocks_and_keep_the_rest() {
        let mut posting = Posting::default();
        posting.push_run((1, 100_000));
        for seq in (2..100_000).step_by(3) {
            assert!(posting.remove(seq));
        }
        assert_eq!(posting.count(), 100_000 - 33_333);
        assert_eq!(posting.next(50_000), Some(50_001));
        assert!(posting.heap() < 33_333 * 12);
    }
}
