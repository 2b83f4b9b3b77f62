//! The messages of one subject: the newest in memory; older ones, once there are many, in parcels on a shelf.
//!
//! Memory: 32 bytes for some hundred messages on the shelf, and what has no parcel yet.

use std::fmt::Debug;

use bytes::Bytes;

use super::block::{self, Run};
use super::posting::Posting;

/// Where sequences are put away that are seldom asked for.
pub(crate) trait Shelf: Debug + Send + Sync {
    /// Puts bytes away; where they are. `None` if there is no room for them: they stay in memory.
    fn put(&self, bytes: &[u8]) -> Option<u64>;
    /// What was put there; `None` if it cannot be read, and then the shelf is not believed any more.
    fn get(&self, at: u64, len: usize) -> Option<Bytes>;
    /// So many bytes are of no use any more.
    fn forget(&self, len: usize);
}

/// A shelf, if there is one.
pub(crate) type On<'a> = Option<&'a dyn Shelf>;

/// Blocks in memory that may wait for a parcel.
const WAIT_MAX: usize = 4;

/// Sequences on the shelf. Those outside of `first` to `last` are not meant any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) at: u64,
    pub(crate) count: u32,
    pub(crate) len: u32,
}

impl Parcel {
    /// Its runs. What cannot be read counts as empty: the shelf says that it is broken.
    fn runs(&self, shelf: On<'_>) -> impl Iterator<Item = Run> + use<> {
        let (first, end) = (self.first, self.last + 1);
        let bytes = shelf.and_then(|shelf| shelf.get(self.at, self.len as usize)).unwrap_or_default();
        let (mut at, mut behind) = (0, 0_u64);
        let all = std::iter::from_fn(move || {
            let mut rest = bytes.get(at..)?;
            let (gap, len) = block::decode(&mut rest)?;
            at = bytes.len() - rest.len();
            let start = behind.checked_add(gap)?;
            behind = start.checked_add(len)?;
            Some((start, len))
        });
        let meant = all.map(move |(start, len)| (start.max(first), (start + len).min(end)));
        meant.filter(|(start, end)| start < end).map(|(start, end)| (start, end - start))
    }
}

/// The messages of one subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Messages {
    away: Option<Box<Away>>,
    /// All above those that are away.
    rest: Posting,
}

/// At least one parcel, ascending.
#[derive(Clone, Debug)]
struct Away {
    list: Vec<Parcel>,
    count: u64,
}

impl Messages {
    /// As they were saved; `None` if it cannot be so.
    pub(crate) fn of(list: Vec<Parcel>, rest: Posting) -> Option<Self> {
        let rises = list.is_sorted_by(|one, next| one.last < next.first);
        let whole = list.iter().all(|one| one.first <= one.last && one.count > 0);
        let below = list.last().is_none_or(|last| rest.first().is_none_or(|first| last.last < first));
        let count = list.iter().map(|one| u64::from(one.count)).sum();
        let away = (!list.is_empty()).then(|| Box::new(Away { list, count }));
        (rises && whole && below).then_some(Self { away, rest })
    }

    /// What is on the shelf.
    pub(crate) fn parcels(&self) -> &[Parcel] {
        self.away.as_ref().map_or(&[], |away| &away.list)
    }

    /// What is there too, to be moved.
    pub(crate) fn parcels_mut(&mut self) -> &mut [Parcel] {
        self.away.as_mut().map_or(&mut [], |away| &mut away.list)
    }

    /// What is in memory.
    pub(crate) fn rest(&self) -> &Posting {
        &self.rest
    }

    pub(crate) fn count(&self) -> u64 {
        self.away.as_ref().map_or(0, |away| away.count) + self.rest.count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.away.is_none() && self.rest.is_empty()
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.parcels().first().map(|parcel| parcel.first).or_else(|| self.rest.first())
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.rest.last().or_else(|| self.parcels().last().map(|parcel| parcel.last))
    }

    /// Adds a sequence above all others.
    pub(crate) fn push(&mut self, seq: u64) {
        self.rest.push(seq);
    }

    /// Puts older ones away if there are many.
    pub(crate) fn put_away(&mut self, shelf: &dyn Shelf) {
        if !matches!(self.rest, Posting::Blocks(_)) {
            return;
        }
        let waiting = self.parcels().len().clamp(1, WAIT_MAX);
        let Some(older) = self.rest.older(waiting) else { return };
        let runs: Vec<Run> = older.collect();
        let Some(parcel) = packed(&runs, shelf) else { return };
        self.rest.keep_newest();
        let away = self.away.get_or_insert_with(|| Box::new(Away { list: Vec::new(), count: 0 }));
        away.count += u64::from(parcel.count);
        // Most subjects have few: room for more than is needed would be most of what it takes.
        if away.list.len() == away.list.capacity() {
            away.list.reserve_exact(1 + away.list.len() / 4);
        }
        away.list.push(parcel);
    }

    /// The first at or above `from`.
    pub(crate) fn next(&self, from: u64, shelf: On<'_>) -> Option<u64> {
        let list = self.parcels();
        let Some(parcel) = list.get(list.partition_point(|parcel| parcel.last < from)) else {
            return self.rest.next(from);
        };
        if from <= parcel.first {
            return Some(parcel.first);
        }
        parcel.runs(shelf).find(|(start, len)| start + len > from).map(|(start, _)| start.max(from))
    }

    /// The last at or below `to`.
    pub(crate) fn prev(&self, to: u64, shelf: On<'_>) -> Option<u64> {
        self.rest.prev(to).or_else(|| {
            let list = self.parcels();
            let parcel = list.get(list.partition_point(|parcel| parcel.first <= to).checked_sub(1)?)?;
            if to >= parcel.last {
                return Some(parcel.last);
            }
            let below = parcel.runs(shelf).take_while(|(start, _)| *start <= to).last();
            below.map(|(start, len)| to.min(start + len - 1))
        })
    }

    pub(crate) fn contains(&self, seq: u64, shelf: On<'_>) -> bool {
        self.next(seq, shelf) == Some(seq)
    }

    /// How many at or above `from`.
    pub(crate) fn count_from(&self, from: u64, shelf: On<'_>) -> u64 {
        let list = self.parcels();
        let at = list.partition_point(|parcel| parcel.last < from);
        let within = match list.get(at) {
            Some(parcel) if parcel.first < from => {
                let runs = parcel.runs(shelf).filter(|(start, len)| start + len > from);
                let some: u64 = runs.map(|(start, len)| start + len - start.max(from)).sum();
                some + list.iter().skip(at + 1).map(|parcel| u64::from(parcel.count)).sum::<u64>()
            }
            Some(_) => list.iter().skip(at).map(|parcel| u64::from(parcel.count)).sum(),
            None => 0,
        };
        within + self.rest.count_from(from)
    }

    /// Takes a sequence out; `false` if it is not there.
    pub(crate) fn remove(&mut self, seq: u64, shelf: On<'_>) -> bool {
        let list = self.parcels();
        let number = list.partition_point(|parcel| parcel.last < seq);
        let Some(&parcel) = list.get(number) else { return self.rest.remove(seq) };
        let Some(changed) = without(parcel, &|other| other == seq, shelf) else { return false };
        self.change(number, changed, shelf);
        true
    }

    /// Takes out those that are `gone`.
    pub(crate) fn remove_all(&mut self, gone: &Posting, shelf: On<'_>) {
        let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return };
        for number in (0..self.parcels().len()).rev() {
            let Some(&parcel) = self.parcels().get(number) else { continue };
            if parcel.first <= last
                && parcel.last >= first
                && let Some(changed) = without(parcel, &|seq| gone.contains(seq), shelf)
            {
                self.change(number, changed, shelf);
            }
        }
        let mut at = first;
        while let Some(seq) = self.rest.next(at).filter(|seq| *seq <= last) {
            at = seq + 1;
            if gone.contains(seq) {
                self.rest.remove(seq);
            }
        }
    }

    /// Puts in the place of a parcel what is left of it.
    fn change(&mut self, number: usize, changed: Changed, shelf: On<'_>) {
        let Some(away) = &mut self.away else { return };
        let Some(place) = away.list.get_mut(number) else { return };
        let (count, len) = (u64::from(place.count), place.len as usize);
        match changed {
            Changed::Bounds(parcel) => {
                away.count -= count - u64::from(parcel.count);
                *place = parcel;
            }
            Changed::Runs(runs) => {
                if let Some(parcel) = shelf.and_then(|shelf| packed(&runs, shelf)) {
                    away.count -= count - u64::from(parcel.count);
                    *place = parcel;
                    forget(shelf, len);
                } else {
                    self.bring_back(number, &runs, shelf);
                }
            }
            Changed::Nothing => {
                away.count -= count;
                away.list.remove(number);
                forget(shelf, len);
            }
        }
        if self.parcels().is_empty() {
            self.away = None;
        }
    }

    /// There is no room on the shelf: what stands from the n-th parcel on comes back into memory, that one as `runs`.
    fn bring_back(&mut self, number: usize, runs: &[Run], shelf: On<'_>) {
        let Some(away) = &mut self.away else { return };
        let back = away.list.split_off(number);
        away.count = away.list.iter().map(|parcel| u64::from(parcel.count)).sum();
        let mut rest = Posting::default();
        let others = back.iter().skip(1).flat_map(|parcel| parcel.runs(shelf));
        for run in runs.iter().copied().chain(others).chain(self.rest.runs()) {
            rest.push_run(run);
        }
        self.rest = rest;
        for parcel in back {
            forget(shelf, parcel.len as usize);
        }
    }

    /// Bytes of memory that it takes beyond itself.
    pub(crate) fn heap(&self) -> usize {
        let away = self.away.as_ref().map_or(0, |away| size_of::<Away>() + away.list.capacity() * size_of::<Parcel>());
        away + self.rest.heap()
    }
}

/// What a removal leaves of a parcel.
enum Changed {
    /// Fewer at its ends: it stays where it is.
    Bounds(Parcel),
    /// These.
    Runs(Vec<Run>),
    Nothing,
}

/// The parcel without those that are gone; `None` if it has none of them, or cannot be read.
fn without(parcel: Parcel, is_gone: &dyn Fn(u64) -> bool, shelf: On<'_>) -> Option<Changed> {
    let mut left = Posting::default();
    let mut count = 0;
    for (start, len) in parcel.runs(shelf) {
        for seq in (start..start + len).filter(|seq| !is_gone(*seq)) {
            left.push(seq);
        }
        count += len;
    }
    if left.count() == count {
        return None;
    }
    let (Some(first), Some(last)) = (left.first(), left.last()) else { return Some(Changed::Nothing) };
    let had = parcel.runs(shelf).map(|(start, len)| (start + len).min(last + 1).saturating_sub(start.max(first)));
    Some(if had.sum::<u64>() == left.count() {
        Changed::Bounds(Parcel { first, last, count: left.count() as u32, ..parcel })
    } else {
        Changed::Runs(left.runs().collect())
    })
}

fn forget(shelf: On<'_>, len: usize) {
    if let Some(shelf) = shelf {
        shelf.forget(len);
    }
}

fn packed(runs: &[Run], shelf: &dyn Shelf) -> Option<Parcel> {
    let (first, last) = (runs.first()?, runs.last()?);
    let count = runs.iter().map(|(_, len)| len).sum::<u64>();
    let (mut bytes, mut behind) = (Vec::with_capacity(runs.len() * 4), 0);
    for &(start, len) in runs {
        block::encode(&mut bytes, start - behind, len);
        behind = start + len;
    }
    let (count, len) = (u32::try_from(count).ok()?, u32::try_from(bytes.len()).ok()?);
    Some(Parcel { first: first.0, last: last.0 + last.1 - 1, at: shelf.put(&bytes)?, count, len })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicBool, Ordering};

    use parking_lot::Mutex;
    use proptest::prelude::*;

    use super::*;

    /// A shelf that may be full.
    #[derive(Debug, Default)]
    struct Boards {
        bytes: Mutex<Vec<u8>>,
        full: AtomicBool,
        forgotten: Mutex<usize>,
    }

    impl Shelf for Boards {
        fn put(&self, bytes: &[u8]) -> Option<u64> {
            if self.full.load(Ordering::Relaxed) {
                return None;
            }
            let mut all = self.bytes.lock();
            let at = all.len();
            all.extend_from_slice(bytes);
            Some(at as u64)
        }

        fn get(&self, at: u64, len: usize) -> Option<Bytes> {
            self.bytes.lock().get(at as usize..at as usize + len).map(Bytes::copy_from_slice)
        }

        fn forget(&self, len: usize) {
            *self.forgotten.lock() += len;
        }
    }

    fn agrees(messages: &Messages, model: &BTreeSet<u64>, at: u64, on: On<'_>) {
        assert_eq!(messages.count(), model.len() as u64);
        assert_eq!(messages.first(), model.first().copied());
        assert_eq!(messages.last(), model.last().copied());
        assert_eq!(messages.next(at, on), model.range(at..).next().copied());
        assert_eq!(messages.prev(at, on), model.range(..=at).next_back().copied());
        assert_eq!(messages.count_from(at, on), model.range(at..).count() as u64);
        assert_eq!(messages.contains(at, on), model.contains(&at));
        assert_eq!(messages.is_empty(), model.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn messages_on_a_shelf_are_a_set(
            steps in prop::collection::vec((1_u64..2000, prop::bool::weighted(0.1)), 1..1500),
            removals in prop::collection::vec((0_u64..5, any::<u64>()), 0..600),
            full_from in 0_usize..1200,
        ) {
            let boards = Boards::default();
            let on: On<'_> = Some(&boards);
            let (mut messages, mut model, mut at) = (Messages::default(), BTreeSet::new(), 0);
            for (step, is_far) in steps {
                at += if is_far { step } else { step % 3 + 1 };
                messages.push(at);
                messages.put_away(&boards);
                model.insert(at);
            }
            agrees(&messages, &model, at / 2, on);
            for (number, (how, which)) in removals.into_iter().enumerate() {
                boards.full.store(number > full_from, Ordering::Relaxed);
                let seq = match how {
                    0 => model.first().copied(),
                    1 => model.last().copied(),
                    2 => Some(which % (at + 2)),
                    _ => model.iter().nth(which as usize % model.len().max(1)).copied(),
                };
                let Some(seq) = seq else { break };
                if how == 4 {
                    let mut gone = Posting::default();
                    (seq..seq + which % 40).step_by(2).for_each(|seq| gone.push(seq));
                    messages.remove_all(&gone, on);
                    model.retain(|seq| !gone.contains(*seq));
                } else {
                    prop_assert_eq!(messages.remove(seq, on), model.remove(&seq));
                }
                agrees(&messages, &model, seq, on);
                agrees(&messages, &model, which % (at + 2), on);
            }
            let parcels = messages.parcels().iter().flat_map(|parcel| parcel.runs(on));
            let listed: Vec<u64> =
                parcels.chain(messages.rest().runs()).flat_map(|(start, len)| start..start + len).collect();
            prop_assert_eq!(listed, model.iter().copied().collect::<Vec<_>>());
            let used: usize = messages.parcels().iter().map(|parcel| parcel.len as usize).sum();
            prop_assert_eq!(*boards.forgotten.lock() + used, boards.bytes.lock().len());
            let again = Messages::of(messages.parcels().to_vec(), messages.rest().clone()).unwrap();
            agrees(&again, &model, at / 3, on);
        }
    }

    #[test]
    fn what_is_away_takes_a_few_bits() {
        let boards = Boards::default();
        let mut messages = Messages::default();
        for number in 0..100_000_u64 {
            messages.push(number * 1000);
            messages.put_away(&boards);
        }
        // Blocks are small in tests; there are some eight times as many parcels as else.
        assert!(messages.heap() < 100_000 / 8 * 7, "{}", messages.heap());
    }
}
