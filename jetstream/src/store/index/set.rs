//! All sequences of a stream that hold a message: found, added and taken out at the same cost however many there are.
//!
//! Sequences are kept by pages of 4,096, in the form that suits what is in one: a run takes nothing beyond the page
//! itself, few take two bytes each, and others a bit for each sequence of the page.

use std::collections::VecDeque;

use super::block::Run;
use super::posting::Posting;

/// Sequences of a page.
const PAGE: u64 = if cfg!(test) { 256 } else { 4096 };
const WORDS: usize = (PAGE / 64) as usize;
/// A page with more than this is kept by bits; one with bits that has come down to half of it is not any more.
const FEW: usize = (PAGE / 32) as usize;

/// A set of sequences.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    /// Ascending; none is empty.
    pages: VecDeque<Page>,
    count: u64,
    /// Of all; of no meaning if there are none.
    first: u64,
    last: u64,
}

#[derive(Clone, Debug)]
struct Page {
    number: u64,
    count: u32,
    form: Form,
}

/// What is in a page, counted from its beginning.
#[derive(Clone, Debug)]
enum Form {
    /// From here on, one behind the other.
    Run(u16),
    Few(Vec<u16>),
    Bits(Box<[u64; WORDS]>),
}

impl Set {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn first(&self) -> Option<u64> {
        (self.count > 0).then_some(self.first)
    }

    pub(crate) fn last(&self) -> Option<u64> {
        (self.count > 0).then_some(self.last)
    }

    /// Adds a sequence above all others.
    pub(crate) fn push(&mut self, seq: u64) {
        self.push_run((seq, 1));
    }

    /// Adds a run of sequences above all others.
    pub(crate) fn push_run(&mut self, (start, len): Run) {
        debug_assert!(self.last().is_none_or(|last| start > last), "sequences rise");
        let (mut seq, end) = (start, start + len);
        if self.count == 0 {
            self.first = start;
        }
        while seq < end {
            let (number, at) = (seq / PAGE, (seq % PAGE) as u16);
            let len = (end - seq).min(PAGE - u64::from(at)) as u16;
            match self.pages.back_mut().filter(|page| page.number == number) {
                Some(page) => page.push(at, len),
                None => self.pages.push_back(Page { number, count: len.into(), form: Form::Run(at) }),
            }
            seq += u64::from(len);
        }
        self.last = end - 1;
        self.count += len;
    }

    /// The page with this number, or where it would be.
    fn place(&self, number: u64) -> Result<usize, usize> {
        let Some(front) = self.pages.front() else { return Err(0) };
        // Most sets have all pages from their first one on.
        let guess = usize::try_from(number.wrapping_sub(front.number)).unwrap_or(usize::MAX);
        if self.pages.get(guess).is_some_and(|page| page.number == number) {
            return Ok(guess);
        }
        self.pages.binary_search_by_key(&number, |page| page.number)
    }

    /// Takes a sequence out; `false` if it is not in the set.
    pub(crate) fn remove(&mut self, seq: u64) -> bool {
        let Ok(place) = self.place(seq / PAGE) else { return false };
        let Some(page) = self.pages.get_mut(place) else { return false };
        if !page.remove((seq % PAGE) as u16) {
            return false;
        }
        if page.count == 0 {
            self.pages.remove(place);
        }
        self.count -= 1;
        if self.count > 0 {
            if seq == self.first {
                self.first = self.next_from(seq).unwrap_or(self.last);
            }
            if seq == self.last {
                self.last = self.prev_from(seq).unwrap_or(self.first);
            }
        }
        true
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        let page = self.place(seq / PAGE).ok().and_then(|place| self.pages.get(place));
        page.is_some_and(|page| page.contains((seq % PAGE) as u16))
    }

    /// The first at or above `from`.
    pub(crate) fn next(&self, from: u64) -> Option<u64> {
        if from <= self.first { self.first() } else { self.next_from(from) }
    }

    fn next_from(&self, from: u64) -> Option<u64> {
        let above = match self.place(from / PAGE) {
            Ok(place) => {
                let page = self.pages.get(place)?;
                if let Some(at) = page.next((from % PAGE) as u16) {
                    return Some(page.number * PAGE + u64::from(at));
                }
                place + 1
            }
            Err(place) => place,
        };
        self.pages.get(above).and_then(|page| Some(page.number * PAGE + u64::from(page.next(0)?)))
    }

    /// The last at or below `to`.
    pub(crate) fn prev(&self, to: u64) -> Option<u64> {
        if to >= self.last { self.last() } else { self.prev_from(to) }
    }

    fn prev_from(&self, to: u64) -> Option<u64> {
        let end = match self.place(to / PAGE) {
            Ok(place) => {
                let page = self.pages.get(place)?;
                if let Some(at) = page.prev((to % PAGE) as u16) {
                    return Some(page.number * PAGE + u64::from(at));
                }
                place
            }
            Err(place) => place,
        };
        let page = self.pages.get(end.checked_sub(1)?)?;
        Some(page.number * PAGE + u64::from(page.prev((PAGE - 1) as u16)?))
    }

    /// How many at or above `from`.
    pub(crate) fn count_from(&self, from: u64) -> u64 {
        if self.count == 0 || from <= self.first {
            return self.count;
        }
        let (place, within) = match self.place(from / PAGE) {
            Ok(place) => {
                let within = self.pages.get(place).map_or(0, |page| page.count_from((from % PAGE) as u16));
                (place + 1, u64::from(within))
            }
            Err(place) => (place, 0),
        };
        let of = |pages: &mut dyn Iterator<Item = &Page>| pages.map(|page| u64::from(page.count)).sum::<u64>();
        // From the nearer end.
        within
            + if place < self.pages.len() / 2 {
                self.count - of(&mut self.pages.iter().take(place))
            } else {
                of(&mut self.pages.iter().skip(place))
            }
    }

    /// Its runs, ascending.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs_from(0)
    }

    /// Its runs from this sequence on, ascending.
    pub(crate) fn runs_from(&self, from: u64) -> impl Iterator<Item = Run> + '_ {
        let mut at = from;
        std::iter::from_fn(move || {
            let start = self.next(at)?;
            let end = self.end_of_run(start);
            at = end;
            Some((start, end - start))
        })
    }

    /// One above the last of those that follow one another from `start` on, which is in the set.
    fn end_of_run(&self, start: u64) -> u64 {
        let Ok(mut place) = self.place(start / PAGE) else { return start + 1 };
        let mut at = start;
        while let Some(page) = self.pages.get(place).filter(|page| page.number == at / PAGE) {
            let end = page.gap((at % PAGE) as u16);
            at = page.number * PAGE + u64::from(end);
            if u64::from(end) < PAGE {
                break;
            }
            place += 1;
        }
        at
    }

    /// Bytes of memory that it takes beyond itself.
    pub(crate) fn heap(&self) -> usize {
        let within: usize = self.pages.iter().map(|page| page.form.heap()).sum();
        self.pages.capacity() * size_of::<Page>() + within
    }
}

impl From<&Posting> for Set {
    fn from(posting: &Posting) -> Self {
        let mut set = Self::default();
        posting.runs().for_each(|run| set.push_run(run));
        set
    }
}

impl Page {
    /// Adds so many from `at` on.
    fn push(&mut self, at: u16, len: u16) {
        match &mut self.form {
            Form::Run(start) if u32::from(*start) + self.count == u32::from(at) => {}
            Form::Few(few) if few.len() + usize::from(len) <= FEW => few.extend(at..at + len),
            Form::Bits(bits) => (at..at + len).for_each(|at| set(bits, at)),
            Form::Run(_) | Form::Few(_) => {
                self.split(len);
                return self.push(at, len);
            }
        }
        self.count += u32::from(len);
    }

    /// Another form, which `more` can be added to, and any be taken from.
    fn split(&mut self, more: u16) {
        self.form = match &self.form {
            Form::Run(start) if self.count as usize + usize::from(more) <= FEW => {
                let mut few = Vec::with_capacity(self.count as usize + usize::from(more) + 2);
                few.extend(*start..*start + self.count as u16);
                Form::Few(few)
            }
            Form::Run(start) => {
                let mut bits = Box::new([0; WORDS]);
                (*start..*start + self.count as u16).for_each(|at| set(&mut bits, at));
                Form::Bits(bits)
            }
            Form::Few(few) => {
                let mut bits = Box::new([0; WORDS]);
                for at in few {
                    set(&mut bits, *at);
                }
                Form::Bits(bits)
            }
            Form::Bits(_) => return,
        };
    }

    fn remove(&mut self, at: u16) -> bool {
        if !self.contains(at) {
            return false;
        }
        match &mut self.form {
            Form::Run(start) if *start == at => *start += 1,
            Form::Run(start) if u32::from(*start) + self.count == u32::from(at) + 1 => {}
            Form::Run(_) => {
                self.split(0);
                return self.remove(at);
            }
            Form::Few(few) => {
                if let Ok(place) = few.binary_search(&at) {
                    few.remove(place);
                }
            }
            Form::Bits(bits) => {
                if let Some(word) = bits.get_mut(usize::from(at) / 64) {
                    *word &= !(1 << (at % 64));
                }
            }
        }
        self.count -= 1;
        if self.count as usize <= FEW / 2
            && let Form::Bits(bits) = &self.form
        {
            let mut few = Vec::with_capacity(self.count as usize);
            let mut from = 0;
            while let Some(at) = next_bit(bits, from) {
                few.push(at);
                from = at + 1;
            }
            self.form = Form::Few(few);
        }
        true
    }

    fn contains(&self, at: u16) -> bool {
        match &self.form {
            Form::Run(start) => at >= *start && u32::from(at) < u32::from(*start) + self.count,
            Form::Few(few) => few.binary_search(&at).is_ok(),
            Form::Bits(bits) => bits.get(usize::from(at) / 64).is_some_and(|word| word >> (at % 64) & 1 == 1),
        }
    }

    fn next(&self, from: u16) -> Option<u16> {
        match &self.form {
            Form::Run(start) => (u32::from(from) < u32::from(*start) + self.count).then_some(from.max(*start)),
            Form::Few(few) => few.get(few.partition_point(|at| *at < from)).copied(),
            Form::Bits(bits) => next_bit(bits, from),
        }
    }

    fn prev(&self, to: u16) -> Option<u16> {
        match &self.form {
            Form::Run(start) => (to >= *start).then(|| to.min(*start + (self.count - 1) as u16)),
            Form::Few(few) => few.get(few.partition_point(|at| *at <= to).checked_sub(1)?).copied(),
            Form::Bits(bits) => {
                let mut at = usize::from(to) / 64;
                let mut word = bits.get(at)? & (u64::MAX >> (63 - to % 64));
                while word == 0 {
                    at = at.checked_sub(1)?;
                    word = *bits.get(at)?;
                }
                Some((at * 64) as u16 + 63 - word.leading_zeros() as u16)
            }
        }
    }

    fn count_from(&self, from: u16) -> u32 {
        match &self.form {
            Form::Run(start) => (u32::from(*start) + self.count).saturating_sub(from.max(*start).into()),
            Form::Few(few) => (few.len() - few.partition_point(|at| *at < from)) as u32,
            Form::Bits(bits) => {
                let at = usize::from(from) / 64;
                let cut = bits.get(at).map_or(0, |word| (word & (u64::MAX << (from % 64))).count_ones());
                cut + bits.iter().skip(at + 1).map(|word| word.count_ones()).sum::<u32>()
            }
        }
    }

    /// The first at or above `from` that is not in it.
    fn gap(&self, from: u16) -> u16 {
        match &self.form {
            Form::Run(start) if from < *start => from,
            Form::Run(start) => (u32::from(*start) + self.count) as u16,
            Form::Few(few) => {
                let rest = few.iter().skip(few.partition_point(|at| *at < from));
                from + rest.enumerate().take_while(|(more, at)| usize::from(**at - from) == *more).count() as u16
            }
            Form::Bits(bits) => {
                let mut at = usize::from(from) / 64;
                let mut word = bits.get(at).map_or(0, |word| !word & (u64::MAX << (from % 64)));
                while word == 0 {
                    at += 1;
                    let Some(next) = bits.get(at) else { return PAGE as u16 };
                    word = !next;
                }
                (at * 64) as u16 + word.trailing_zeros() as u16
            }
        }
    }
}

impl Form {
    fn heap(&self) -> usize {
        match self {
            Self::Run(_) => 0,
            Self::Few(few) => few.capacity() * 2,
            Self::Bits(_) => WORDS * 8,
        }
    }
}

fn set(bits: &mut [u64; WORDS], at: u16) {
    if let Some(word) = bits.get_mut(usize::from(at) / 64) {
        *word |= 1 << (at % 64);
    }
}

fn next_bit(bits: &[u64; WORDS], from: u16) -> Option<u16> {
    let mut at = usize::from(from) / 64;
    let mut word = bits.get(at)? & (u64::MAX << (from % 64));
    while word == 0 {
        at += 1;
        word = *bits.get(at)?;
    }
    Some((at * 64) as u16 + word.trailing_zeros() as u16)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn agrees(set: &Set, model: &BTreeSet<u64>, at: u64) {
        assert_eq!(set.count(), model.len() as u64);
        assert_eq!(set.is_empty(), model.is_empty());
        assert_eq!(set.first(), model.first().copied());
        assert_eq!(set.last(), model.last().copied());
        assert_eq!(set.next(at), model.range(at..).next().copied(), "next of {at}");
        assert_eq!(set.prev(at), model.range(..=at).next_back().copied(), "prev of {at}");
        assert_eq!(set.count_from(at), model.range(at..).count() as u64);
        assert_eq!(set.contains(at), model.contains(&at));
    }

    /// What the runs hold; a difference is told by where it begins.
    fn same(runs: impl Iterator<Item = Run>, expected: impl Iterator<Item = u64>) {
        let mut pairs = listed(runs).into_iter().map(Some).chain([None]).zip(expected.map(Some).chain([None]));
        assert_eq!(pairs.find(|(found, expected)| found != expected), None);
    }

    fn listed(runs: impl Iterator<Item = Run>) -> Vec<u64> {
        let mut end = None;
        let mut all = Vec::new();
        for (start, len) in runs {
            assert!(len > 0 && end.is_none_or(|end| start > end), "runs do not touch");
            all.extend(start..start + len);
            end = Some(start + len);
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Rises by small and large steps, by runs, loses from the front, the back and anywhere, and rises again.
        #[test]
        fn a_set_is_a_set(
            rounds in prop::collection::vec((
                prop::collection::vec((1_u64..4, 0_u64..3000, 0_u8..20), 0..250),
                prop::collection::vec((0_u64..5, any::<u64>()), 0..250),
            ), 1..4),
        ) {
            let (mut set, mut model, mut at) = (Set::default(), BTreeSet::new(), 0);
            for (steps, removals) in rounds {
                for (step, far, how) in steps {
                    match how {
                        0 => at += far * 1_000_003 + 2,
                        1 => {
                            set.push_run((at + step, far % 300 + 1));
                            model.extend(at + step..=at + step + far % 300);
                            at += step + far % 300;
                            continue;
                        }
                        _ => at += step,
                    }
                    set.push(at);
                    model.insert(at);
                }
                agrees(&set, &model, at / 2);
                for (how, which) in removals {
                    let seq = match how {
                        0 => model.first().copied(),
                        1 => model.last().copied(),
                        2 => Some(which % (at + 2)),
                        // Near the end, where much was removed before.
                        3 => Some(at.saturating_sub(which % 1000)),
                        _ => model.iter().nth(which as usize % model.len().max(1)).copied(),
                    };
                    let Some(seq) = seq else { break };
                    prop_assert_eq!(set.remove(seq), model.remove(&seq));
                    agrees(&set, &model, seq);
                    agrees(&set, &model, which % (at + 2));
                }
                same(set.runs(), model.iter().copied());
                let from = at / 3;
                same(set.runs_from(from), model.range(from..).copied());
            }
        }
    }

    #[test]
    fn a_set_without_holes_takes_next_to_nothing_and_one_with_some_few_bits() {
        let mut set = Set::default();
        set.push_run((1, 100 * PAGE));
        assert!(set.heap() <= 256 * size_of::<Page>(), "{}", set.heap());
        for seq in (2..100 * PAGE).step_by(3) {
            assert!(set.remove(seq));
        }
        assert!(set.heap() < 256 * size_of::<Page>() + (100 * PAGE / 6) as usize, "{}", set.heap());
        let mut sparse = Set::default();
        (0..1000_u64).for_each(|number| sparse.push(number * PAGE * 7));
        assert!(sparse.heap() < 1000 * 80, "{}", sparse.heap());
    }
}
