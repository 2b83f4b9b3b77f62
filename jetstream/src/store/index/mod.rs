//! Which messages there are: by sequence, by subject, by the time they end. Both stores keep one; neither sequences nor
//! subjects that do not match are looked at on the way to those that do.
//!
//! Memory: a subject costs some 140 bytes with its text, a message nothing while its subject's messages follow one
//! another, else three or four bytes, and two at most for the holes between all of them; one that ends by its own time 24 more. With a [shelf](messages::Shelf), a subject
//! with many messages has at most 1.3 KiB of them in memory, and less than a bit for each of the others.

pub(crate) mod block;
pub(crate) mod messages;
mod names;
pub(crate) mod posting;
pub(crate) mod set;
mod text;
pub(crate) mod varint;
pub(crate) mod walk;
pub(crate) mod weight;

use std::collections::BTreeSet;
use std::sync::Arc;

use cordon_accounts::subject::Pattern;

use self::messages::{Messages, On, Shelf};
use self::names::{Names, Subject};
use self::posting::Posting;
use self::set::Set;
use self::walk::{Ordered, Step, Walk};
use self::weight::{Weight, Weights};
use super::{Filter, OfSubject};

/// How many steps the two ways to search take in turn at first; it doubles each time.
const STEPS: usize = 64;

/// Whether the message with a sequence has a subject that the filter means.
pub(crate) type IsMeant<'a> = &'a dyn Fn(u64) -> bool;

impl Subject {
    fn state(&self) -> OfSubject {
        OfSubject {
            count: self.messages.count(),
            first: self.messages.first().unwrap_or_default(),
            last: self.messages.last().unwrap_or_default(),
        }
    }
}

/// The messages of a stream.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// All sequences with a message.
    all: Set,
    names: Names,
    ordered: Ordered,
    /// When messages end by their own time.
    ends: BTreeSet<(i64, u64)>,
    /// Those that outlive the stream's age limit.
    kept: Posting,
    /// Where older messages of subjects are put, and how many messages there must be for that.
    shelf: Option<(Arc<dyn Shelf>, u64)>,
}

impl Index {
    pub(crate) fn messages(&self) -> u64 {
        self.all.count()
    }

    pub(crate) fn subject_count(&self) -> u64 {
        self.ordered.len() as u64
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.all.first()
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.all.contains(seq)
    }

    /// All sequences with a message.
    pub(crate) fn all(&self) -> &Set {
        &self.all
    }

    /// Adds a message above all others; `expires` as in [`NewMessage`](super::NewMessage). Of one that expires, no weight is
    /// kept: what knows it without reading it does not know when it ends.
    pub(crate) fn append(&mut self, seq: u64, subject: &[u8], expires: i64, weight: Weight) {
        self.all.push(seq);
        let id = self.enter(subject);
        let Self { all, names, shelf, .. } = self;
        if let Some(known) = id.and_then(|id| names.get_mut(id)) {
            known.messages.push(seq);
            known.weights.push(if expires == 0 { weight } else { Weight::default() });
            if let Some((shelf, _)) = shelf.as_ref().filter(|(_, from)| all.count() >= *from) {
                known.messages.put_away(&**shelf);
            }
        }
        self.append_end(seq, expires);
    }

    /// Adds when a message ends.
    pub(crate) fn append_end(&mut self, seq: u64, expires: i64) {
        match expires {
            0 => {}
            -1 => self.kept.push(seq),
            at => {
                self.ends.insert((at, seq));
            }
        }
    }

    /// Adds a subject with its messages, as they were saved; [`Index::restore_all`] adds the sequences.
    pub(crate) fn restore_subject(&mut self, subject: &[u8], messages: Messages) {
        if !messages.is_empty()
            && let Some(known) = self.enter(subject).and_then(|id| self.names.get_mut(id))
        {
            (known.messages, known.weights) = (messages, Weights::default());
        }
    }

    /// Older messages of subjects are put on `shelf`, while there are at least `from` messages.
    pub(crate) fn set_shelf(&mut self, shelf: Arc<dyn Shelf>, from: u64) {
        self.shelf = Some((shelf, from));
    }

    fn on(&self) -> On<'_> {
        self.shelf.as_ref().map(|(shelf, _)| &**shelf)
    }

    /// Copies what is on one shelf to another; the new places, in the order of [`Index::move_parcels`]. `None` if
    /// something cannot be read or written.
    pub(crate) fn copy_parcels(&self, from: &dyn Shelf, to: &dyn Shelf) -> Option<Vec<u64>> {
        let all = self.names.all().flat_map(|subject| subject.messages.parcels());
        all.map(|parcel| to.put(&from.get(parcel.at, parcel.len as usize)?)).collect()
    }

    /// What is on the shelf is in other places now.
    pub(crate) fn move_parcels(&mut self, places: Vec<u64>) {
        let all = self.names.all_mut().flat_map(|subject| subject.messages.parcels_mut());
        all.zip(places).for_each(|(parcel, at)| parcel.at = at);
    }

    /// Sets all sequences, as they were saved.
    pub(crate) fn restore_all(&mut self, all: &Posting) {
        self.all = all.into();
    }

    fn enter(&mut self, subject: &[u8]) -> Option<u32> {
        let (id, is_new) = self.names.enter(subject)?;
        if is_new {
            self.ordered.insert(subject.into(), id);
        }
        Some(id)
    }

    fn named(&self, subject: &[u8]) -> Option<&Subject> {
        self.names.get(self.names.find(subject)?)
    }

    /// Takes a message out; `false` if it was not there.
    pub(crate) fn remove(&mut self, seq: u64, subject: &[u8], expires: i64) -> bool {
        if !self.all.remove(seq) {
            return false;
        }
        match expires {
            0 => {}
            -1 => {
                self.kept.remove(seq);
            }
            at => {
                self.ends.remove(&(at, seq));
            }
        }
        let Self { names, shelf, .. } = self;
        let Some(id) = names.find(subject) else { return true };
        let Some(known) = names.get_mut(id) else { return true };
        known.weights.removed(known.messages.last() == Some(seq));
        known.messages.remove(seq, shelf.as_ref().map(|(shelf, _)| &**shelf));
        if known.messages.is_empty() {
            self.forget(id);
        }
        true
    }

    /// Takes a message out whose record cannot be read any more.
    pub(crate) fn remove_unread(&mut self, seq: u64) -> bool {
        let subject = self.names.all().find(|subject| subject.messages.contains(seq, self.on()));
        let Some(text) = subject.map(|subject| subject.text.clone()) else {
            return self.all.remove(seq);
        };
        let expires = if self.kept.contains(seq) {
            -1
        } else {
            self.ends.iter().find(|(_, other)| *other == seq).map_or(0, |(at, _)| *at)
        };
        self.remove(seq, &text, expires)
    }

    /// Takes out many messages of which nothing else is known.
    pub(crate) fn remove_all(&mut self, gone: &Posting) {
        for id in 0..self.names.end() {
            let Self { names, shelf, .. } = self;
            let Some(known) = names.get_mut(id) else { continue };
            known.messages.remove_all(gone, shelf.as_ref().map(|(shelf, _)| &**shelf));
            known.weights = Weights::default();
            if known.messages.is_empty() {
                self.forget(id);
            }
        }
        for seq in gone.runs().flat_map(|(start, len)| start..start + len) {
            self.all.remove(seq);
        }
        self.ends.retain(|(_, seq)| !gone.contains(*seq));
        let kept: Vec<u64> = self.kept.runs().flat_map(|(start, len)| start..start + len).collect();
        for seq in kept.into_iter().filter(|seq| gone.contains(*seq)) {
            self.kept.remove(seq);
        }
    }

    fn forget(&mut self, id: u32) {
        if let Some(gone) = self.names.forget(id) {
            self.ordered.remove(&gone.text);
        }
    }

    /// The messages of one subject.
    pub(crate) fn of_subject(&self, subject: &[u8]) -> Option<OfSubject> {
        self.named(subject).map(Subject::state)
    }

    /// The first message of a subject, and what is known of it.
    pub(crate) fn first_of(&self, subject: &[u8]) -> Option<(u64, Weight)> {
        let known = self.named(subject)?;
        Some((known.messages.first()?, known.weights.first_of(known.messages.count())))
    }

    /// The subjects that `filter` means, in byte order from the first above `after`.
    fn meant<'a>(&'a self, filter: &'a Filter, after: Option<&[u8]>) -> impl Iterator<Item = &'a Subject> {
        let everything = matches!(filter, Filter::All);
        let bound = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let all = everything.then(|| self.ordered.range::<[u8], _>((bound, std::ops::Bound::Unbounded)));
        let patterns: &[Pattern] = match filter {
            Filter::All => &[],
            Filter::Any(patterns) => patterns,
        };
        let mut walks: Vec<_> =
            patterns.iter().map(|pattern| Walk::new(&self.ordered, pattern, after).peekable()).collect();
        let merged = std::iter::from_fn(move || {
            let texts = walks.iter_mut().enumerate().filter_map(|(at, walk)| Some((walk.peek()?.0, at)));
            let (_, least) = texts.min()?;
            walks.get_mut(least)?.next().map(|(_, id)| id)
        });
        all.into_iter().flatten().map(|(_, id)| *id).chain(merged).filter_map(|id| self.names.get(id))
    }

    /// Walks the subjects that `filter` means, in byte order from the first above `after`, until `each` says `false`.
    pub(crate) fn subjects(
        &self,
        filter: &Filter,
        after: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], OfSubject) -> bool,
    ) {
        if let Some(literal) = filter.literal() {
            if after.is_none_or(|after| literal > after)
                && let Some(subject) = self.named(literal)
            {
                each(&subject.text, subject.state());
            }
            return;
        }
        for subject in self.meant(filter, after) {
            if !each(&subject.text, subject.state()) {
                return;
            }
        }
    }

    /// As [`Index::subjects`], but looks at no more than `most`; the one to go on after, unless those were all.
    pub(crate) fn subjects_part(
        &self,
        filter: &Filter,
        after: Option<&[u8]>,
        most: usize,
        each: &mut dyn FnMut(&[u8], OfSubject),
    ) -> Option<Arc<[u8]>> {
        let mut left = most;
        match filter {
            Filter::Any(patterns) if filter.literal().is_none() && patterns.len() == 1 => {
                let mut walk = Walk::new(&self.ordered, patterns.first()?, after);
                loop {
                    let at = match walk.step()? {
                        Step::Passed(at) => at,
                        Step::Found(at, id) => {
                            self.names.get(id).into_iter().for_each(|one| each(at, one.state()));
                            at
                        }
                    };
                    left = left.saturating_sub(1);
                    if left == 0 {
                        return Some(Arc::from(&**at));
                    }
                }
            }
            _ => {
                let mut last = None;
                self.subjects(filter, after, &mut |subject, of| {
                    each(subject, of);
                    left = left.saturating_sub(1);
                    if left == 0 {
                        last = Some(Arc::from(subject));
                    }
                    left > 0
                });
                last
            }
        }
    }

    /// All subjects with their messages, in byte order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &Messages)> {
        self.ordered.values().filter_map(|id| self.names.get(*id)).map(|subject| (&*subject.text, &subject.messages))
    }

    /// The messages of a filter without wildcards.
    fn literals<'a>(&'a self, patterns: &'a [Pattern]) -> Option<impl Iterator<Item = &'a Messages>> {
        let literal = patterns.iter().all(Pattern::is_literal);
        literal.then(|| patterns.iter().filter_map(|one| self.named(one.as_bytes())).map(|subject| &subject.messages))
    }

    /// The first sequence at or above `from` whose message `filter` means.
    ///
    /// With wildcards there are two ways: look at one message after the other, or at one subject after the other.
    /// They take turns, so it costs no more than four times what the shorter way does.
    pub(crate) fn next(&self, filter: &Filter, from: u64, is_meant: IsMeant<'_>) -> Option<u64> {
        let Filter::Any(patterns) = filter else { return self.all.next(from) };
        if let Some(postings) = self.literals(patterns) {
            return postings.filter_map(|posting| posting.next(from, self.on())).min();
        }
        let (mut at, mut steps, mut least) = (from, STEPS, None);
        let mut subjects = self.meant(filter, None);
        loop {
            for _ in 0..steps {
                at = self.all.next(at)?;
                if least.is_some_and(|least| least <= at) || is_meant(at) {
                    return Some(at);
                }
                at += 1;
            }
            for _ in 0..steps {
                let Some(subject) = subjects.next() else { return least };
                least = least.into_iter().chain(subject.messages.next(at, self.on())).min();
            }
            steps *= 2;
        }
    }

    /// The last sequence at or below `to` whose message `filter` means.
    pub(crate) fn last(&self, filter: &Filter, to: u64, is_meant: IsMeant<'_>) -> Option<u64> {
        let Filter::Any(patterns) = filter else { return self.all.prev(to) };
        if let Some(postings) = self.literals(patterns) {
            return postings.filter_map(|posting| posting.prev(to, self.on())).max();
        }
        let (mut at, mut steps, mut most) = (to, STEPS, None);
        let mut subjects = self.meant(filter, None);
        loop {
            for _ in 0..steps {
                at = self.all.prev(at)?;
                if most.is_some_and(|most| most >= at) || is_meant(at) {
                    return Some(at);
                }
                at = at.checked_sub(1)?;
            }
            for _ in 0..steps {
                let Some(subject) = subjects.next() else { return most };
                most = most.into_iter().chain(subject.messages.prev(at, self.on())).max();
            }
            steps *= 2;
        }
    }

    /// How many messages at or above `from` `filter` means.
    pub(crate) fn count(&self, filter: &Filter, from: u64, is_meant: IsMeant<'_>) -> u64 {
        let Filter::Any(patterns) = filter else { return self.all.count_from(from) };
        if let Some(postings) = self.literals(patterns) {
            return postings.map(|posting| posting.count_from(from, self.on())).sum();
        }
        if self.all.count_from(from) < self.subject_count() / 8 {
            return self.from(from).filter(|seq| is_meant(*seq)).count() as u64;
        }
        self.meant(filter, None).map(|subject| subject.messages.count_from(from, self.on())).sum()
    }

    /// How many subjects `filter` means whose last message is at or above `from`.
    pub(crate) fn count_subjects(&self, filter: &Filter, from: u64) -> u64 {
        if matches!(filter, Filter::All) && self.first().is_none_or(|first| from <= first) {
            return self.subject_count();
        }
        if let Filter::Any(patterns) = filter
            && let Some(postings) = self.literals(patterns)
        {
            return postings.filter(|posting| posting.last() >= Some(from)).count() as u64;
        }
        self.meant(filter, None).filter(|subject| subject.messages.last() >= Some(from)).count() as u64
    }

    fn from(&self, from: u64) -> impl Iterator<Item = u64> {
        let first = self.all.next(from);
        std::iter::successors(first, |seq| self.all.next(seq + 1))
    }

    /// The first sequence whose message `is_reached` says `true` of, where it says so of all behind it too.
    pub(crate) fn first_where(&self, is_reached: impl Fn(u64) -> bool) -> Option<u64> {
        let (mut low, mut high) = (self.all.first()?, self.all.last()? + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.all.next(middle) {
                Some(seq) if seq < high && !is_reached(seq) => low = seq + 1,
                _ => high = middle,
            }
        }
        self.all.next(low)
    }

    /// Sequences from the first message to `last` that hold none, ascending; at most `most`.
    pub(crate) fn gaps(&self, last: u64, most: usize) -> Vec<u64> {
        let mut gaps = Vec::new();
        let mut end = None;
        for (start, len) in self.all.runs().chain([(last + 1, 0)]) {
            gaps.extend((end.unwrap_or(start)..start).take(most - gaps.len()));
            if gaps.len() == most {
                break;
            }
            end = Some(start + len);
        }
        if self.all.is_empty() { Vec::new() } else { gaps }
    }

    /// The message that ends next by its own time.
    pub(crate) fn next_end(&self) -> Option<(i64, u64)> {
        self.ends.first().copied()
    }

    /// When messages end by their own time, and which are kept.
    pub(crate) fn ends(&self) -> (&BTreeSet<(i64, u64)>, &Posting) {
        (&self.ends, &self.kept)
    }

    pub(crate) fn is_kept(&self, seq: u64) -> bool {
        self.kept.contains(seq)
    }

    /// Bytes of memory that it takes, without the overhead of the allocator.
    pub(crate) fn heap(&self) -> usize {
        self.names.heap() + self.ordered.len() * 45 + self.ends.len() * 24 + self.all.heap() + self.kept.heap()
    }
}
