//! What a stream itself writes into its journal: ids of messages, positions in its origins. An entry, and a snapshot, is
//! a row of notes: a tag, a length, the note.

use super::Core;
use crate::store::{Journalled, STREAM};

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// Ids of messages ([`super::dedupe`]).
    Ids = 1,
    /// Positions in origins ([`super::inflow`]).
    Positions = 2,
    /// When schedules are due ([`super::schedule`]).
    Schedules = 3,
}

/// Appends a note.
fn write(tag: Tag, note: &[u8], out: &mut Vec<u8>) {
    out.push(tag as u8);
    out.extend_from_slice(&(note.len() as u32).to_le_bytes());
    out.extend_from_slice(note);
}

/// A note as an entry of the journal.
pub(super) fn entry(tag: Tag, note: &[u8]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(note.len() + 5);
    write(tag, note, &mut entry);
    entry
}

/// The notes with one tag, oldest first; what is torn ends them.
pub(super) fn read(journalled: &Journalled, tag: Tag) -> Vec<&[u8]> {
    let rows = journalled.snapshot.iter().chain(&journalled.entries);
    let mut notes = Vec::new();
    for row in rows {
        let mut rest = row.as_slice();
        while let Some((head, after)) = rest.split_first_chunk::<5>() {
            let [kind, len @ ..] = *head;
            let Some((note, after)) = after.split_at_checked(u32::from_le_bytes(len) as usize) else { break };
            if kind == tag as u8 {
                notes.push(note);
            }
            rest = after;
        }
    }
    notes
}

impl Core {
    /// Writes down a note, if the stream is kept in files.
    pub(super) fn note(&mut self, tag: Tag, note: &[u8]) {
        if !self.is_in_files() {
            return;
        }
        if let Err(error) = self.store.journal(STREAM, &entry(tag, note)) {
            self.store_failed(&error);
        }
    }

    /// Everything that the notes must say, in the place of all of them.
    pub(super) fn snapshot_notes(&mut self) {
        let mut ids = Vec::new();
        self.ids.snapshot(&mut ids);
        let mut all = Vec::with_capacity(ids.len() + 64);
        write(Tag::Ids, &ids, &mut all);
        write(Tag::Positions, &self.positions(), &mut all);
        if self.config.allow_msg_schedules {
            let mut schedules = Vec::new();
            self.schedules.snapshot(self.durable, &mut schedules);
            // Also without any: then nobody looks for them.
            write(Tag::Schedules, &schedules, &mut all);
        }
        if let Err(error) = self.store.snapshot(STREAM, &all) {
            self.store_failed(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_by_their_tag_up_to_what_is_torn() {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        write(Tag::Ids, b"a", &mut one);
        write(Tag::Positions, b"b", &mut one);
        write(Tag::Ids, b"c", &mut two);
        two.extend_from_slice(&[1, 9, 0, 0, 0, b'x']);
        let journalled = Journalled { snapshot: Some(one), entries: vec![two] };
        assert_eq!(read(&journalled, Tag::Ids), [b"a", b"c"]);
        assert_eq!(read(&journalled, Tag::Positions), [b"b"]);
    }
}
