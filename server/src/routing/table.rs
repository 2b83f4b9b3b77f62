//! A hash table that never moves all of what it holds at once.
//!
//! A plain hash table doubles by moving every entry; with a million subscriptions that takes a tenth of a second, in
//! which nobody of the account could publish. Here a table that has become large divides into [`PARTS`] tables, each
//! of which grows, and divides, by itself. The caller supplies hashes and comparisons, so that an entry can be a bare
//! pointer whose key is read out of what it points to.

use hashbrown::HashTable;

/// Entries of a table before it divides: what 4096 buckets hold.
const WHOLE: usize = 3584;
/// A divided table that holds no more becomes one again.
const REUNITE: usize = WHOLE / 8;
/// Tables that one divides into.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 6;
/// Bits of a hash below this find the bucket in a table, the uppermost 7 tell entries apart there.
const FIRST_SHIFT: u32 = 20;
const LAST_SHIFT: u32 = FIRST_SHIFT + 5 * PART_BITS;

const _: () = assert!(LAST_SHIFT + PART_BITS <= u64::BITS - 7 && 1 << FIRST_SHIFT > WHOLE * 8 / 7);

/// A set of entries found by hash.
#[derive(Debug)]
pub struct Table<T> {
    kind: Kind<T>,
}

#[derive(Debug)]
enum Kind<T> {
    Whole(HashTable<T>),
    Divided(Box<Divided<T>>),
}

#[derive(Debug)]
struct Divided<T> {
    parts: [Table<T>; PARTS],
    len: usize,
}

impl<T> Table<T> {
    /// Adds an entry that is not there yet.
    pub fn insert(&mut self, hash: u64, entry: T, hasher: &impl Fn(&T) -> u64) {
        self.insert_at(FIRST_SHIFT, hash, entry, hasher);
    }

    /// Takes out the entry that `is` it.
    pub fn remove(&mut self, hash: u64, is: impl FnMut(&T) -> bool, hasher: &impl Fn(&T) -> u64) -> Option<T> {
        self.remove_at(FIRST_SHIFT, hash, is, hasher)
    }

    /// Takes out any entry.
    pub fn pop(&mut self) -> Option<T> {
        match &mut self.kind {
            Kind::Whole(table) => table.extract_if(|_| true).next(),
            Kind::Divided(divided) => {
                let popped = divided.parts.iter_mut().find_map(Self::pop)?;
                divided.len -= 1;
                Some(popped)
            }
        }
    }

    /// Finds the entry that `is` it, to change what its key is not read from.
    pub fn find_mut(&mut self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let (mut table, mut shift) = (self, FIRST_SHIFT);
        loop {
            match &mut table.kind {
                Kind::Whole(entries) => return entries.find_mut(hash, is),
                Kind::Divided(divided) => table = divided.part_mut(hash >> shift),
            }
            shift += PART_BITS;
        }
    }

    /// Finds the entry that `is` it.
    #[inline]
    pub fn find(&self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<&T> {
        let (mut table, mut shift) = (self, FIRST_SHIFT);
        loop {
            match &table.kind {
                Kind::Whole(entries) => return entries.find(hash, is),
                Kind::Divided(divided) => table = divided.part(hash >> shift),
            }
            shift += PART_BITS;
        }
    }

    /// Shows `look` every entry.
    pub fn for_each(&self, look: &mut impl FnMut(&T)) {
        match &self.kind {
            Kind::Whole(table) => table.iter().for_each(look),
            Kind::Divided(divided) => divided.parts.iter().for_each(|part| part.for_each(look)),
        }
    }

    /// Entries.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.kind {
            Kind::Whole(table) => table.len(),
            Kind::Divided(divided) => divided.len,
        }
    }

    /// No entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries; the table is empty then.
    pub fn take(&mut self) -> Vec<T> {
        let mut all = Vec::with_capacity(self.len());
        std::mem::take(self).move_to(&mut all);
        all
    }

    fn with_room(entries: usize) -> Self {
        Self { kind: Kind::Whole(HashTable::with_capacity(entries)) }
    }

    fn move_to(self, all: &mut Vec<T>) {
        match self.kind {
            Kind::Whole(table) => all.extend(table),
            Kind::Divided(divided) => divided.parts.into_iter().for_each(|part| part.move_to(all)),
        }
    }

    fn insert_at(&mut self, shift: u32, hash: u64, entry: T, hasher: &impl Fn(&T) -> u64) {
        if let Kind::Whole(table) = &mut self.kind {
            if table.len() < WHOLE || shift > LAST_SHIFT {
                table.insert_unique(hash, entry, hasher);
                return;
            }
            let mut divided =
                Divided { parts: std::array::from_fn(|_| Self::with_room(WHOLE / PARTS)), len: table.len() };
            for moved in std::mem::take(table) {
                let hash = hasher(&moved);
                divided.part_mut(hash >> shift).insert_at(shift + PART_BITS, hash, moved, hasher);
            }
            self.kind = Kind::Divided(Box::new(divided));
        }
        if let Kind::Divided(divided) = &mut self.kind {
            divided.len += 1;
            divided.part_mut(hash >> shift).insert_at(shift + PART_BITS, hash, entry, hasher);
        }
    }

    fn remove_at(
        &mut self,
        shift: u32,
        hash: u64,
        is: impl FnMut(&T) -> bool,
        hasher: &impl Fn(&T) -> u64,
    ) -> Option<T> {
        match &mut self.kind {
            Kind::Whole(table) => {
                let (removed, _) = table.find_entry(hash, is).ok()?.remove();
                if table.is_empty() {
                    *table = HashTable::new();
                } else if table.capacity() > 64 && table.len() * 8 < table.capacity() {
                    table.shrink_to(table.len() * 2, hasher);
                }
                Some(removed)
            }
            Kind::Divided(divided) => {
                let removed = divided.part_mut(hash >> shift).remove_at(shift + PART_BITS, hash, is, hasher)?;
                divided.len -= 1;
                if divided.len <= REUNITE {
                    let mut table = HashTable::with_capacity(divided.len * 2);
                    for entry in self.take() {
                        table.insert_unique(hasher(&entry), entry, hasher);
                    }
                    self.kind = Kind::Whole(table);
                }
                Some(removed)
            }
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { kind: Kind::Whole(HashTable::new()) }
    }
}

impl<T> Divided<T> {
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder of the number of parts")]
    fn part(&self, bits: u64) -> &Table<T> {
        &self.parts[bits as usize % PARTS]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a remainder of the number of parts")]
    fn part_mut(&mut self, bits: u64) -> &mut Table<T> {
        &mut self.parts[bits as usize % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use foldhash::quality::RandomState;
    use proptest::prelude::*;

    use super::*;

    fn entries(table: &Table<u64>) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        table.for_each(&mut |entry| assert!(found.insert(*entry)));
        found
    }

    #[test]
    fn no_insert_and_no_removal_moves_more_than_one_part() {
        let state = RandomState::default();
        let moved = Cell::new(0);
        let hasher = |entry: &u64| {
            moved.set(moved.get() + 1);
            state.hash_one(entry)
        };
        let count = 300_000;
        let mut table = Table::default();
        for entry in 0..count {
            moved.set(0);
            table.insert(state.hash_one(entry), entry, &hasher);
            // A table that divides may have to grow parts that got more than their share.
            assert!(moved.get() <= 2 * WHOLE, "{} moved for one", moved.get());
        }
        assert!((0..count).all(|entry| table.find(state.hash_one(entry), |found| *found == entry) == Some(&entry)));
        assert_eq!(table.find(state.hash_one(count), |found| *found == count), None);
        for entry in 0..count {
            moved.set(0);
            assert_eq!(table.remove(state.hash_one(entry), |found| *found == entry, &hasher), Some(entry));
            assert!(moved.get() <= 2 * WHOLE, "{} moved for one", moved.get());
        }
        assert!(table.is_empty() && matches!(&table.kind, Kind::Whole(rest) if rest.capacity() == 0));
    }

    #[test]
    fn entries_whose_hashes_are_all_equal_are_told_apart() {
        let mut table = Table::default();
        let hasher = |_: &u64| 0;
        let count = WHOLE as u64 + 100;
        (0..count).for_each(|entry| table.insert(0, entry, &hasher));
        assert!((0..count).all(|entry| table.find(0, |found| *found == entry).is_some()));
        assert!((0..count).all(|entry| table.remove(0, |found| *found == entry, &hasher).is_some()));
        assert!(table.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn it_agrees_with_a_sorted_set(
            steps in prop::collection::vec((0..3_u8, 0..6000_u64, 1..4000_u64), 1..12),
        ) {
            let state = RandomState::default();
            let hasher = |entry: &u64| state.hash_one(entry);
            let (mut table, mut model) = (Table::default(), BTreeSet::new());
            for (kind, from, many) in steps {
                for entry in from..from + many {
                    let hash = hasher(&entry);
                    if kind < 2 {
                        if model.insert(entry) {
                            table.insert(hash, entry, &hasher);
                        }
                        prop_assert!(table.find_mut(hash, |found| *found == entry).is_some());
                    } else {
                        prop_assert_eq!(table.remove(hash, |found| *found == entry, &hasher).is_some(), model.remove(&entry));
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(&entries(&table), &model);
            }
            if let Some(popped) = table.pop() {
                prop_assert!(model.remove(&popped));
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(table.take().into_iter().collect::<BTreeSet<_>>(), model);
            prop_assert!(table.is_empty());
        }
    }
}
