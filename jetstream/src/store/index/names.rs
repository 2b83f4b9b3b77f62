//! The subjects of a stream by their text: numbers that stay the same as long as a subject is there.
//!
//! A lookup touches two places of memory, whatever their number is: a table of numbers with a part of the hash each,
//! and the subject itself with its text. Neither is copied whole when more subjects come but the table of numbers, which
//! is done without looking at a subject.

use std::cell::Cell;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::messages::Messages;
use super::text::Text;
use super::weight::Weights;

/// Subjects that are kept side by side.
const SHEET: usize = 1024;

/// What is known of a subject.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) text: Text,
    pub(crate) messages: Messages,
    pub(crate) weights: Weights,
}

/// Subjects by text and by number.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Numbers, each with a part of the hash of its text.
    by_text: HashTable<(u32, u32)>,
    sheets: Vec<Vec<Option<Subject>>>,
    free: Vec<u32>,
    /// The subject asked for last: what is done to a message asks several times.
    recent: Cell<u32>,
    hasher: RandomState,
}

/// The hash that the table goes by, from the part of it that is kept.
fn spread(part: u32) -> u64 {
    u64::from(part).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Names {
    fn part(&self, text: &[u8]) -> u32 {
        self.hasher.hash_one(text) as u32
    }

    /// The subject with this number.
    pub(crate) fn get(&self, id: u32) -> Option<&Subject> {
        self.sheets.get(id as usize / SHEET)?.get(id as usize % SHEET)?.as_ref()
    }

    /// As [`Names::get`], to be changed.
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Subject> {
        self.sheets.get_mut(id as usize / SHEET)?.get_mut(id as usize % SHEET)?.as_mut()
    }

    /// All, by number.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Subject> {
        self.sheets.iter().flatten().flatten()
    }

    /// As [`Names::all`], to be changed.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Subject> {
        self.sheets.iter_mut().flatten().flatten()
    }

    /// One above the highest number.
    pub(crate) fn end(&self) -> u32 {
        let full = self.sheets.len().saturating_sub(1) * SHEET;
        (full + self.sheets.last().map_or(0, Vec::len)) as u32
    }

    /// The number of a subject.
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        let recent = self.recent.get();
        if self.get(recent).is_some_and(|known| *known.text == *text) {
            return Some(recent);
        }
        self.find_by(self.part(text), text)
    }

    fn find_by(&self, part: u32, text: &[u8]) -> Option<u32> {
        let is_it = |&(other, id): &(u32, u32)| other == part && self.get(id).is_some_and(|known| *known.text == *text);
        let (_, id) = self.by_text.find(spread(part), is_it).copied()?;
        self.recent.set(id);
        Some(id)
    }

    /// The number of a subject, and whether it is new.
    pub(crate) fn enter(&mut self, text: &[u8]) -> Option<(u32, bool)> {
        let recent = self.recent.get();
        if self.get(recent).is_some_and(|known| *known.text == *text) {
            return Some((recent, false));
        }
        let part = self.part(text);
        if let Some(id) = self.find_by(part, text) {
            return Some((id, false));
        }
        let entry = Some(Subject { text: text.into(), messages: Messages::default(), weights: Weights::default() });
        let id = if let Some(id) = self.free.pop() {
            *self.sheets.get_mut(id as usize / SHEET)?.get_mut(id as usize % SHEET)? = entry;
            id
        } else {
            let id = self.end();
            if id as usize == self.sheets.len() * SHEET {
                // The first grows as it must: most streams have few subjects.
                self.sheets.push(Vec::with_capacity(if self.sheets.is_empty() { 1 } else { SHEET }));
            }
            self.sheets.last_mut()?.push(entry);
            id
        };
        self.by_text.insert_unique(spread(part), (part, id), |(part, _)| spread(*part));
        self.recent.set(id);
        Some((id, true))
    }

    /// Takes a subject out.
    pub(crate) fn forget(&mut self, id: u32) -> Option<Subject> {
        let part = self.part(&self.get(id)?.text);
        if let Ok(entry) = self.by_text.find_entry(spread(part), |(_, other)| *other == id) {
            entry.remove();
        }
        let gone = self.sheets.get_mut(id as usize / SHEET)?.get_mut(id as usize % SHEET)?.take();
        self.free.push(id);
        gone
    }

    /// Bytes of memory that it takes beyond itself, with texts and messages.
    pub(crate) fn heap(&self) -> usize {
        let within: usize = self.all().map(|subject| subject.text.heap() + subject.messages.heap()).sum();
        let slots: usize = self.sheets.iter().map(Vec::capacity).sum();
        within + slots * size_of::<Option<Subject>>() + self.by_text.capacity() * 10 + self.free.capacity() * 4
    }
}
