//! What a store is, written as simply as it can be: both stores are held against it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordon_accounts::subject::Pattern;
use proptest::prelude::*;

use super::{Filter, NewMessage, OfSubject, Removed, State, Store, Stored};

/// One thing done to a store.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Append(Message),
    Together(Vec<Message>),
    /// So many sequences further.
    Skip(u64),
    /// The n-th message of those there, or that sequence.
    Remove(u64, bool, bool),
    /// The n-th message of those there, or that sequence.
    Below(u64, bool),
    /// The first message of the subject of the n-th of those there.
    First(u64),
    Flush,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// Later than the one before, or earlier.
    pub(crate) ts: i64,
    pub(crate) expires: i64,
}

impl Message {
    pub(crate) fn as_new(&self) -> NewMessage<'_> {
        NewMessage {
            subject: self.subject.as_bytes(),
            header: &self.header,
            payload: &self.payload,
            ts: self.ts,
            expires: self.expires,
        }
    }
}

fn message() -> impl Strategy<Value = Message> {
    let subject = "(a|b|a-|c)([.](a|b|a-|x)){0,2}";
    // Now and then one that is worth compressing.
    let bytes = prop_oneof![
        5 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 100_usize..300).prop_map(|(byte, len)| vec![byte; len]),
    ];
    let header = prop_oneof![Just(Vec::new()), Just(b"NATS/1.0\r\nA: b\r\n\r\n".to_vec())];
    let expires = prop_oneof![3 => Just(0_i64), 1 => Just(-1), 1 => 1_i64..2000];
    (subject, header, bytes, 0_i64..1000, expires).prop_map(|(subject, header, payload, ts, expires)| Message {
        subject,
        header,
        payload,
        ts,
        expires,
    })
}

/// Any step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => message().prop_map(Step::Append),
        1 => prop::collection::vec(message(), 0..4).prop_map(Step::Together),
        1 => (0_u64..6).prop_map(Step::Skip),
        4 => (any::<u64>(), any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(which, erase, there)| Step::Remove(which, erase, there)),
        1 => (any::<u64>(), prop::bool::weighted(0.8)).prop_map(|(which, there)| Step::Below(which, there)),
        3 => any::<u64>().prop_map(Step::First),
        2 => Just(Step::Flush),
    ]
}

impl Step {
    /// A step of a long life: one of few subjects, now and then a removal.
    pub(crate) fn numbered(number: u64) -> Self {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        match mixed % 16 {
            0..=2 => Self::Remove(mixed / 16, mixed.is_multiple_of(5), true),
            3 if mixed.is_multiple_of(31) => Self::Below(mixed / 500, true),
            4 if mixed.is_multiple_of(7) => Self::Skip(mixed / 16 % 5),
            5 => Self::Flush,
            6 => Self::First(mixed / 16),
            _ => Self::Append(Message {
                subject: format!("s.{}.{}", mixed / 16 % 11, mixed / 200 % 3),
                header: Vec::new(),
                payload: vec![number as u8; (mixed / 16 % 90) as usize],
                ts: number.cast_signed(),
                expires: if mixed.is_multiple_of(5) { number.cast_signed() + 100 } else { 0 },
            }),
        }
    }
}

/// The naive store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) messages: BTreeMap<u64, Message>,
    pub(crate) last_seq: u64,
    pub(crate) last_ts: i64,
    pub(crate) in_memory: bool,
}

impl Model {
    pub(crate) fn in_memory() -> Self {
        Self { in_memory: true, ..Self::default() }
    }

    pub(crate) fn in_files() -> Self {
        Self::default()
    }

    fn size(&self, message: &Message) -> u64 {
        let (subject, header, payload) = (message.subject.len(), message.header.len(), message.payload.len());
        let fixed = match (self.in_memory, header) {
            (true, _) => 16,
            (false, 0) => 30,
            (false, _) => 34,
        };
        (fixed + subject + header + payload) as u64
    }

    fn removed(&self, seq: u64, message: &Message) -> Removed {
        let subject = bytes::Bytes::copy_from_slice(message.subject.as_bytes());
        Removed { seq, ts: message.ts, subject, size: self.size(message) }
    }

    fn add(&mut self, message: &Message) -> u64 {
        self.last_seq += 1;
        self.last_ts = self.last_ts.max(message.ts);
        self.messages.insert(self.last_seq, Message { ts: self.last_ts, ..message.clone() });
        self.last_seq
    }

    fn nth(&self, which: u64) -> Option<u64> {
        self.messages.keys().nth((which % (self.messages.len() as u64).max(1)) as usize).copied()
    }

    fn take(&mut self, seq: u64) -> Option<Removed> {
        let message = self.messages.remove(&seq)?;
        Some(self.removed(seq, &message))
    }

    /// Does `step` here and there; both must answer alike.
    pub(crate) fn apply(&mut self, store: &mut dyn Store, step: &Step) {
        match step {
            Step::Append(message) => {
                let seq = self.add(message);
                assert_eq!(store.append(&message.as_new()).unwrap(), seq);
            }
            Step::Together(messages) => {
                let first = self.last_seq + 1;
                for message in messages {
                    self.add(message);
                }
                let all: Vec<_> = messages.iter().map(Message::as_new).collect();
                assert_eq!(store.append_together(&all).unwrap(), first);
            }
            Step::Skip(further) => {
                if *further > 0 {
                    self.last_seq += further;
                    self.last_ts = self.last_ts.max(500);
                }
                store.skip_to(self.last_seq, 500).unwrap();
            }
            Step::Remove(which, erase, there) => {
                let seq = if *there { self.nth(*which).unwrap_or(3) } else { which % 64 };
                let removed = self.take(seq);
                assert_eq!(store.remove(seq, *erase).unwrap(), removed);
            }
            Step::First(which) => {
                let subject = self.nth(*which).map_or("none".to_owned(), |seq| self.messages[&seq].subject.clone());
                let first = self.messages.iter().find(|(_, message)| message.subject == subject).map(|(seq, _)| *seq);
                first.map(|seq| self.messages.remove(&seq));
                assert_eq!(store.remove_first(subject.as_bytes()).unwrap(), first);
            }
            Step::Below(which, there) => {
                let seq = if *there { self.nth(*which).unwrap_or(3) } else { which % (self.last_seq + 4) };
                self.below(store, seq);
            }
            Step::Flush => {
                if let Some(sync) = store.flush().unwrap() {
                    sync.run().unwrap();
                }
            }
        }
    }

    fn below(&mut self, store: &mut dyn Store, seq: u64) {
        let gone: Vec<u64> = self.messages.range(..seq).map(|(seq, _)| *seq).collect();
        let expected: Vec<_> = gone.into_iter().filter_map(|seq| self.take(seq)).collect();
        self.last_seq = self.last_seq.max(seq.saturating_sub(1));
        let mut told = Vec::new();
        store.remove_below(seq, &mut |removed| told.push(removed)).unwrap();
        assert_eq!(told, expected);
    }

    pub(crate) fn state(&self) -> State {
        let first = self.messages.first_key_value();
        let mut subjects: Vec<_> = self.messages.values().map(|message| &message.subject).collect();
        subjects.sort();
        subjects.dedup();
        State {
            messages: self.messages.len() as u64,
            bytes: self.messages.values().map(|message| self.size(message)).sum(),
            first_seq: first.map_or(if self.last_seq == 0 { 0 } else { self.last_seq + 1 }, |(seq, _)| *seq),
            first_ts: first.map_or(0, |(_, message)| message.ts),
            last_seq: self.last_seq,
            last_ts: self.last_ts,
            subjects: subjects.len() as u64,
        }
    }

    fn of_subjects(&self) -> BTreeMap<Vec<u8>, OfSubject> {
        let mut all: BTreeMap<Vec<u8>, OfSubject> = BTreeMap::new();
        for (seq, message) in &self.messages {
            let one = all
                .entry(message.subject.clone().into_bytes())
                .or_insert(OfSubject { first: *seq, ..OfSubject::default() });
            one.count += 1;
            one.last = *seq;
        }
        all
    }

    /// Holds everything that can be asked of a store against the model.
    pub(crate) fn check(&self, store: &dyn Store) {
        assert_eq!(store.state(), self.state());
        for seq in 0..(self.last_seq + 2).min(600) {
            self.check_message(store, seq);
        }
        let gaps: Vec<u64> = self.messages.keys().next().map_or(Vec::new(), |first| {
            (*first..=self.last_seq).filter(|seq| !self.messages.contains_key(seq)).collect()
        });
        assert_eq!(store.gaps(usize::MAX), gaps);
        assert_eq!(store.gaps(2), gaps.iter().copied().take(2).collect::<Vec<_>>());
        let expiry = self.messages.iter().filter(|(_, message)| message.expires > 0);
        assert_eq!(store.next_expiry(), expiry.map(|(seq, message)| (message.expires, *seq)).min());
        for ts in [0, 1, 300, 500, 501, 900, 1000, 4000] {
            let at =
                self.messages.iter().find(|(_, message)| message.ts >= ts).map_or(self.last_seq + 1, |(seq, _)| *seq);
            assert_eq!(store.at_time(ts), at, "time {ts}");
        }
        self.check_filters(store);
    }

    fn check_message(&self, store: &dyn Store, seq: u64) {
        let message = self.messages.get(&seq);
        let stored = message.map(|message| {
            let bytes = [message.subject.as_bytes(), &message.header, &message.payload].concat();
            Stored::new(seq, message.ts, bytes.into(), message.subject.len(), message.header.len())
        });
        assert_eq!(store.get(seq).unwrap(), stored, "sequence {seq}");
        assert_eq!(store.peek(seq), message.map(|message| self.removed(seq, message)));
        assert_eq!(store.is_kept(seq), message.is_some_and(|message| message.expires == -1));
    }

    fn check_filters(&self, store: &dyn Store) {
        let subjects = self.of_subjects();
        let pattern = |text: &str| Pattern::parse(text).unwrap();
        let filters = [
            Filter::All,
            Filter::one(pattern("a")),
            Filter::one(pattern("s.3.1")),
            Filter::one(pattern("a.>")),
            Filter::one(pattern("s.*.1")),
            Filter::one(pattern("*.x")),
            Filter::one(pattern("*.*.a")),
            Filter::of([pattern("a.b"), pattern("c")]),
            Filter::of([pattern("b.*"), pattern("a.>"), pattern("*.nothing.here")]),
        ];
        for filter in &filters {
            for (subject, _) in subjects.iter().take(3) {
                assert_eq!(store.of_subject(subject), subjects.get(subject).copied());
                Self::check_walk(store, filter, &subjects, Some(subject));
            }
            Self::check_walk(store, filter, &subjects, None);
            for at in [0, 1, self.last_seq / 3, self.last_seq / 2, self.last_seq, self.last_seq + 1] {
                let meant = |seq: &u64| filter.matches(self.messages[seq].subject.as_bytes());
                let above: Vec<u64> = self.messages.range(at..).map(|(seq, _)| *seq).filter(meant).collect();
                let below = self.messages.range(..=at).map(|(seq, _)| *seq).rfind(meant);
                assert_eq!(store.next(filter, at), above.first().copied(), "{filter:?} from {at}");
                assert_eq!(store.last(filter, at), below, "{filter:?} to {at}");
                assert_eq!(store.count(filter, at), above.len() as u64, "{filter:?} from {at}");
                let count = subjects.iter().filter(|(text, one)| one.last >= at && filter.matches(text)).count();
                assert_eq!(store.count_subjects(filter, at), count as u64, "{filter:?} from {at}");
            }
        }
    }

    fn check_walk(store: &dyn Store, filter: &Filter, all: &BTreeMap<Vec<u8>, OfSubject>, after: Option<&[u8]>) {
        let mut walked = Vec::new();
        store.subjects(filter, after, &mut |subject, one| {
            walked.push((subject.to_vec(), one));
            walked.len() < 5
        });
        let above = all.iter().filter(|(text, _)| after.is_none_or(|after| text.as_slice() > after));
        let wanted: Vec<_> =
            above.filter(|(text, _)| filter.matches(text)).take(5).map(|(text, one)| (text.clone(), *one)).collect();
        assert_eq!(walked, wanted, "{filter:?} after {after:?}");
        let (mut walked, mut from) = (Vec::new(), after.map(Arc::from));
        loop {
            let before = walked.len();
            from = store
                .subjects_part(filter, from.as_deref(), 3, &mut |subject, one| walked.push((subject.to_vec(), one)));
            assert!(walked.len() <= before + 3);
            if from.is_none() {
                break;
            }
        }
        let above = all.iter().filter(|(text, _)| after.is_none_or(|after| text.as_slice() > after));
        let wanted: Vec<_> =
            above.filter(|(text, _)| filter.matches(text)).map(|(text, one)| (text.clone(), *one)).collect();
        assert_eq!(walked, wanted, "in parts, {filter:?} after {after:?}");
    }
}
