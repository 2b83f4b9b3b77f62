//! The store of streams that live in memory: what is not read any more, a restart forgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::index::Index;
use super::index::weight::Weight;
use super::{Filter, NewMessage, OfSubject, Removed, State, Store, StoreError, Stored, Sync};

/// Largest message with subject and headers: the bound of a record in files, so that a stream may change its storage.
const RECORD_BYTES_MAX: usize = 32 << 20;

/// Messages in memory. There is no journal: nobody can read it again.
#[derive(Debug, Default)]
pub struct MemoryStore {
    messages: BTreeMap<u64, Kept>,
    index: Index,
    bytes: u64,
    last_seq: u64,
    last_ts: i64,
}

#[derive(Debug)]
struct Kept {
    message: Stored,
    expires: i64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn take(&mut self, seq: u64) -> Option<Removed> {
        let kept = self.messages.remove(&seq)?;
        self.index.remove(seq, kept.message.subject(), kept.expires);
        let removed = self.removed(&kept.message);
        self.bytes -= removed.size;
        Some(removed)
    }

    fn removed(&self, message: &Stored) -> Removed {
        let (subject, header, payload) = (message.subject(), message.header(), message.payload());
        Removed {
            seq: message.seq,
            ts: message.ts,
            subject: message.bytes.slice_ref(subject),
            size: self.size_of(subject.len(), header.len(), payload.len()),
        }
    }

    fn means(&self, filter: &Filter, seq: u64) -> bool {
        self.messages.get(&seq).is_some_and(|kept| filter.matches(kept.message.subject()))
    }
}

impl Store for MemoryStore {
    fn state(&self) -> State {
        let first = self.messages.first_key_value();
        State {
            messages: self.index.messages(),
            bytes: self.bytes,
            first_seq: first.map_or(if self.last_seq == 0 { 0 } else { self.last_seq + 1 }, |(seq, _)| *seq),
            first_ts: first.map_or(0, |(_, kept)| kept.message.ts),
            last_seq: self.last_seq,
            last_ts: self.last_ts,
            subjects: self.index.subject_count(),
        }
    }

    fn size_of(&self, subject: usize, header: usize, payload: usize) -> u64 {
        16 + (subject + header + payload) as u64
    }

    fn append(&mut self, message: &NewMessage<'_>) -> Result<u64, StoreError> {
        let (subject, header, payload) = (message.subject, message.header, message.payload);
        let len = subject.len() + header.len() + payload.len();
        if len > RECORD_BYTES_MAX {
            return Err(StoreError::TooLarge);
        }
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(subject);
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(payload);
        self.last_seq += 1;
        self.last_ts = self.last_ts.max(message.ts);
        let stored = Stored::new(self.last_seq, self.last_ts, Bytes::from(bytes), subject.len(), header.len());
        self.index.append(self.last_seq, subject, message.expires, Weight::default());
        self.bytes += self.size_of(subject.len(), header.len(), payload.len());
        self.messages.insert(self.last_seq, Kept { message: stored, expires: message.expires });
        Ok(self.last_seq)
    }

    fn append_together(&mut self, messages: &[NewMessage<'_>]) -> Result<u64, StoreError> {
        let first = self.last_seq + 1;
        let too_large =
            |one: &NewMessage<'_>| one.subject.len() + one.header.len() + one.payload.len() > RECORD_BYTES_MAX;
        if messages.iter().any(too_large) {
            return Err(StoreError::TooLarge);
        }
        for message in messages {
            self.append(message)?;
        }
        Ok(first)
    }

    fn skip_to(&mut self, last: u64, ts: i64) -> Result<(), StoreError> {
        if last > self.last_seq {
            self.last_seq = last;
            self.last_ts = self.last_ts.max(ts);
        }
        Ok(())
    }

    fn get(&self, seq: u64) -> Result<Option<Stored>, StoreError> {
        Ok(self.messages.get(&seq).map(|kept| kept.message.clone()))
    }

    fn peek(&self, seq: u64) -> Option<Removed> {
        self.messages.get(&seq).map(|kept| self.removed(&kept.message))
    }

    fn remove(&mut self, seq: u64, _erase: bool) -> Result<Option<Removed>, StoreError> {
        Ok(self.take(seq))
    }

    fn remove_below(&mut self, seq: u64, gone: &mut dyn FnMut(Removed)) -> Result<(), StoreError> {
        while let Some(removed) = self.index.first().filter(|first| *first < seq).and_then(|first| self.take(first)) {
            gone(removed);
        }
        self.last_seq = self.last_seq.max(seq.saturating_sub(1));
        Ok(())
    }

    fn of_subject(&self, subject: &[u8]) -> Option<OfSubject> {
        self.index.of_subject(subject)
    }

    fn subjects(&self, filter: &Filter, after: Option<&[u8]>, each: &mut dyn FnMut(&[u8], OfSubject) -> bool) {
        self.index.subjects(filter, after, each);
    }

    fn subjects_part(
        &self,
        filter: &Filter,
        after: Option<&[u8]>,
        most: usize,
        each: &mut dyn FnMut(&[u8], OfSubject),
    ) -> Option<Arc<[u8]>> {
        self.index.subjects_part(filter, after, most, each)
    }

    fn next(&self, filter: &Filter, from: u64) -> Option<u64> {
        self.index.next(filter, from, &|seq| self.means(filter, seq))
    }

    fn last(&self, filter: &Filter, to: u64) -> Option<u64> {
        self.index.last(filter, to, &|seq| self.means(filter, seq))
    }

    fn count(&self, filter: &Filter, from: u64) -> u64 {
        self.index.count(filter, from, &|seq| self.means(filter, seq))
    }

    fn count_subjects(&self, filter: &Filter, from: u64) -> u64 {
        self.index.count_subjects(filter, from)
    }

    fn at_time(&self, ts: i64) -> u64 {
        let is_reached = |seq| self.messages.get(&seq).is_some_and(|kept| kept.message.ts >= ts);
        self.index.first_where(is_reached).unwrap_or(self.last_seq + 1)
    }

    fn gaps(&self, most: usize) -> Vec<u64> {
        self.index.gaps(self.last_seq, most)
    }

    fn lost(&self) -> (Vec<u64>, u64) {
        (Vec::new(), 0)
    }

    fn next_expiry(&self) -> Option<(i64, u64)> {
        self.index.next_end()
    }

    fn is_kept(&self, seq: u64) -> bool {
        self.index.is_kept(seq)
    }

    fn journal(&mut self, _owner: &str, _entry: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn wants_snapshots(&self) -> bool {
        false
    }

    fn snapshot(&mut self, _owner: &str, _snapshot: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn describe(&mut self, _description: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn describe_consumer(&mut self, _name: &str, _description: Option<&[u8]>) -> Result<(), StoreError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<Option<Box<dyn Sync>>, StoreError> {
        Ok(None)
    }

    fn destroy(&mut self) -> Result<(), StoreError> {
        *self = Self::new();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::model::{self, Model, Step};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn memory_is_the_model(steps in prop::collection::vec(model::step(), 0..80), every in 1_usize..20) {
            let (mut store, mut model) = (MemoryStore::new(), Model::in_memory());
            for (number, step) in steps.iter().enumerate() {
                model.apply(&mut store, step);
                if number % every == 0 {
                    model.check(&store);
                }
            }
            model.check(&store);
        }
    }

    #[test]
    fn a_long_life_agrees_with_the_model() {
        let (mut store, mut model) = (MemoryStore::new(), Model::in_memory());
        for number in 0..4000_u64 {
            model.apply(&mut store, &Step::numbered(number));
        }
        model.check(&store);
    }

    #[test]
    fn a_message_that_is_too_large_takes_no_sequence_and_none_of_its_batch_is_stored() {
        let mut store = MemoryStore::new();
        let large = vec![0; RECORD_BYTES_MAX + 1];
        let bad = NewMessage { subject: b"a", payload: &large, ..NewMessage::default() };
        assert!(matches!(store.append(&bad), Err(StoreError::TooLarge)));
        let good = NewMessage { subject: b"a", ..NewMessage::default() };
        assert!(matches!(store.append_together(&[good, bad]), Err(StoreError::TooLarge)));
        assert_eq!(store.state(), State::default());
    }
}
