//! Ids of messages, so that a publisher who tries again does not store twice (jetstream.md 2.7).
//!
//! Ids live apart from messages: in a stream in files each is a journal entry, so it survives a restart also if its
//! message is gone.

use std::collections::VecDeque;

use bytes::Bytes;
use hashbrown::HashMap;

/// The ids of a window of time.
#[derive(Debug, Default)]
pub(super) struct Dedupe {
    by_id: HashMap<Bytes, u64, foldhash::fast::RandomState>,
    by_time: VecDeque<Seen>,
    /// The id of the message stored last; `None` if it had none.
    last: Option<(u64, Bytes)>,
}

#[derive(Debug)]
struct Seen {
    at: i64,
    seq: u64,
    id: Bytes,
}

impl Dedupe {
    /// The sequence under which a message with this id was stored.
    pub(super) fn find(&self, id: &[u8]) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    /// A message with this id was stored; beyond `most` ids the oldest goes.
    pub(super) fn add(&mut self, id: &[u8], seq: u64, at: i64, most: usize) {
        let id = Bytes::copy_from_slice(id);
        self.last = Some((seq, id.clone()));
        self.by_id.insert(id.clone(), seq);
        self.by_time.push_back(Seen { at, seq, id });
        while self.by_time.len() > most {
            self.drop_first();
        }
    }

    /// The id of the message with the stream's last sequence.
    pub(super) fn last_id(&self, last_seq: u64) -> &[u8] {
        self.last.as_ref().filter(|(seq, _)| *seq == last_seq).map_or(&[], |(_, id)| id)
    }

    /// Forgets what was stored before `since`.
    pub(super) fn expire(&mut self, since: i64) {
        while self.by_time.front().is_some_and(|seen| seen.at <= since) {
            self.drop_first();
        }
    }

    /// Forgets ids of messages that `is_stored` does not know; gives whether there were any.
    pub(super) fn retain(&mut self, is_stored: impl Fn(u64) -> bool) -> bool {
        let count = self.by_time.len();
        self.by_time.retain(|seen| is_stored(seen.seq));
        self.by_id.retain(|_, seq| is_stored(*seq));
        self.last = self.by_time.back().map(|seen| (seen.seq, seen.id.clone()));
        self.by_time.len() < count
    }

    /// The sequence of the newest id; 0 for none.
    pub(super) fn newest(&self) -> u64 {
        self.by_time.iter().map(|seen| seen.seq).max().unwrap_or(0)
    }

    /// When the oldest was stored.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.by_time.front().map(|seen| seen.at)
    }

    fn drop_first(&mut self) {
        if let Some(seen) = self.by_time.pop_front()
            && self.by_id.get(&seen.id) == Some(&seen.seq)
        {
            self.by_id.remove(&seen.id);
        }
    }

    /// An id as a journal entry.
    pub(super) fn entry(id: &[u8], seq: u64, at: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&seq.to_le_bytes());
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&(id.len() as u32).to_le_bytes());
        out.extend_from_slice(id);
    }

    /// All ids, as one snapshot of entries.
    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        for seen in &self.by_time {
            Self::entry(&seen.id, seen.seq, seen.at, out);
        }
    }

    /// Takes back entries; what cannot be read ends it.
    pub(super) fn restore(&mut self, mut entries: &[u8], most: usize) {
        while let Some((head, rest)) = entries.split_first_chunk::<20>() {
            let (seq, at) = (read8(head, 0), read8(head, 8).cast_signed());
            let len = head.get(16..).and_then(|len| len.try_into().ok()).map_or(0, u32::from_le_bytes);
            let Some((id, rest)) = rest.split_at_checked(len as usize) else { return };
            self.add(id, seq, at, most);
            entries = rest;
        }
    }
}

fn read8(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_for_their_window_and_survive_a_snapshot() {
        let mut ids = Dedupe::default();
        ids.add(b"a", 1, 10, 100);
        ids.add(b"b", 2, 20, 100);
        assert_eq!((ids.find(b"a"), ids.find(b"b"), ids.find(b"c")), (Some(1), Some(2), None));
        let mut bytes = Vec::new();
        ids.snapshot(&mut bytes);
        let mut again = Dedupe::default();
        again.restore(&bytes, 100);
        again.restore(b"torn", 100);
        assert_eq!((again.find(b"a"), again.last_id(2), again.last_id(3)), (Some(1), &b"b"[..], &b""[..]));
        again.expire(10);
        assert_eq!((again.find(b"a"), again.find(b"b"), again.oldest()), (None, Some(2), Some(20)));
    }

    #[test]
    fn an_id_that_came_back_is_not_forgotten_with_its_first_use() {
        let mut ids = Dedupe::default();
        ids.add(b"a", 1, 10, 100);
        ids.add(b"a", 2, 20, 100);
        ids.expire(15);
        assert_eq!(ids.find(b"a"), Some(2));
        ids.add(b"b", 3, 30, 1);
        assert_eq!((ids.find(b"a"), ids.find(b"b")), (None, Some(3)));
    }
}
