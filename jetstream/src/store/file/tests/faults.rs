//! Lives of a stream that end by loss of power, by kills, refusals and full disks, at any operation.
//!
//! After each: what was acknowledged is there, what was acknowledged as gone is not, nothing is there that was never
//! written, batches came whole or not at all, no acknowledged sequence is given again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::super::model::{Message, Model};
use super::super::super::{Filter, NewMessage, Opened, STREAM, Store, StoreError, Sync};
use super::super::FileOptions;
use super::sim::{Sim, Trouble};
use super::{AccountKey, create, dir, options, recover, reopen};

const OWNERS: [&str; 3] = [STREAM, "c", "d"];

#[derive(Clone, Debug)]
enum Entry {
    Entry(Vec<u8>),
    Snapshot(Vec<u8>),
}

/// What may be found, and what must be.
#[derive(Default)]
struct Truth {
    issued: BTreeMap<u64, Message>,
    acked: BTreeSet<u64>,
    /// A removal was begun.
    going: BTreeSet<u64>,
    /// And went well.
    done: BTreeSet<u64>,
    /// And is acknowledged.
    gone: BTreeSet<u64>,
    batches: Vec<(u64, u64)>,
    last_issued: u64,
    last_acked: u64,
    /// Entries of each owner, and how many are acknowledged.
    journal: BTreeMap<&'static str, (Vec<Entry>, usize)>,
}

impl Truth {
    fn ack(&mut self) {
        self.acked.extend(self.issued.keys());
        self.gone.clone_from(&self.done);
        self.last_acked = self.last_issued;
        for (entries, acked) in self.journal.values_mut() {
            *acked = entries.len();
        }
    }

    fn begin_removal(&mut self, seqs: impl IntoIterator<Item = u64>) {
        self.going.extend(seqs);
    }

    /// Holds what was found against it, and begins anew from there.
    fn check(&mut self, opened: &Opened, life: &str) {
        let store = &*opened.store;
        let state = store.state();
        let mut model = Model { last_seq: state.last_seq, last_ts: state.last_ts, ..Model::in_files() };
        let mut at = 0;
        while let Some(seq) = store.next(&Filter::All, at) {
            at = seq + 1;
            let found = store.get(seq).unwrap_or_else(|error| panic!("{life}: {seq} cannot be read: {error}")).unwrap();
            let issued = self.issued.get(&seq).unwrap_or_else(|| panic!("{life}: {seq} was never stored"));
            assert_eq!(found.payload(), issued.payload, "{life}: {seq} is another message");
            assert!(!self.gone.contains(&seq), "{life}: {seq} came back");
            model.messages.insert(seq, Message { ts: found.ts, ..issued.clone() });
        }
        for seq in self.acked.difference(&self.going) {
            assert!(model.messages.contains_key(seq), "{life}: {seq} is lost, {:?}", store.lost());
        }
        for (first, last) in &self.batches {
            let members: Vec<u64> = (*first..=*last).filter(|seq| !self.going.contains(seq)).collect();
            let there = members.iter().filter(|seq| model.messages.contains_key(seq)).count();
            assert!(there == 0 || there == members.len(), "{life}: half of the batch {first} to {last}");
        }
        assert!(state.last_seq >= self.last_acked, "{life}: sequence {} after {}", state.last_seq, self.last_acked);
        assert!(state.last_seq <= self.last_issued, "{life}: sequence {} after {}", state.last_seq, self.last_issued);
        assert_eq!(state, model.state(), "{life}");
        if state.last_seq.is_multiple_of(5) {
            model.check(store);
        }
        let mut journal = BTreeMap::new();
        for owner in OWNERS {
            let kept =
                opened.journal.iter().find(|(name, _)| name == owner).map(|(_, kept)| kept.clone()).unwrap_or_default();
            let (entries, acked) = self.journal.remove(owner).unwrap_or_default();
            check_journal(&entries, acked, kept.snapshot.as_ref(), &kept.entries, life);
            let mut again: Vec<Entry> = kept.snapshot.into_iter().map(Entry::Snapshot).collect();
            again.extend(kept.entries.into_iter().map(Entry::Entry));
            let count = again.len();
            journal.insert(owner, (again, count));
        }
        *self = Self { issued: model.messages, last_issued: state.last_seq, journal, ..Self::default() };
        self.ack();
    }
}

fn check_journal(issued: &[Entry], acked: usize, snapshot: Option<&Vec<u8>>, entries: &[Vec<u8>], life: &str) {
    let is_snapshot = |entry: &Entry| matches!(entry, Entry::Snapshot(_));
    let needed = issued[..acked].iter().rposition(is_snapshot);
    let found = snapshot.map(|found| {
        let same = |entry: &Entry| matches!(entry, Entry::Snapshot(bytes) if bytes == found);
        issued.iter().position(same).unwrap_or_else(|| panic!("{life}: a snapshot that nobody gave"))
    });
    assert!(found >= needed, "{life}: snapshot {found:?} instead of {needed:?}");
    let from = found.map_or(0, |at| at + 1);
    let mut rest = entries.iter();
    for (number, entry) in issued.iter().enumerate().skip(from) {
        let Entry::Entry(bytes) = entry else { continue };
        let mut ahead = rest.clone();
        if ahead.next() == Some(bytes) {
            rest = ahead;
        } else {
            assert!(number >= acked, "{life}: entry {number} of {acked} is lost");
        }
    }
    assert_eq!(rest.next(), None, "{life}: entries that nobody made, or in another order");
}

struct Life {
    random: StdRng,
    truth: Truth,
    number: u64,
}

impl Life {
    fn message(&mut self) -> Message {
        self.number += 1;
        let mut payload = self.number.to_le_bytes().to_vec();
        payload.resize(8 + self.random.gen_range(0..200), self.number as u8);
        Message {
            subject: format!("s.{}", self.random.gen_range(0..6)),
            header: Vec::new(),
            payload,
            ts: self.number.cast_signed(),
            expires: if self.random.gen_bool(0.1) { 5000 } else { 0 },
        }
    }

    /// One thing done to the stream; an error is no reason to stop, the contract says what it means.
    fn step(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        match self.random.gen_range(0..20) {
            0..=7 => {
                let message = self.message();
                let seq = store.append(&message.as_new())?;
                self.truth.issued.insert(seq, message);
                self.truth.last_issued = seq;
            }
            8 => {
                let messages: Vec<Message> = (0..self.random.gen_range(2..6)).map(|_| self.message()).collect();
                let new: Vec<NewMessage<'_>> = messages.iter().map(Message::as_new).collect();
                let first = store.append_together(&new)?;
                self.truth.last_issued = first + messages.len() as u64 - 1;
                self.truth.batches.push((first, self.truth.last_issued));
                self.truth.issued.extend((first..).zip(messages));
            }
            9 => {
                let to = store.state().last_seq + self.random.gen_range(1..4);
                store.skip_to(to, 0)?;
                self.truth.last_issued = to;
            }
            10..=12 => {
                let at = self.random.gen_range(0..=store.state().last_seq + 1);
                if let Some(seq) = store.next(&Filter::All, at) {
                    self.truth.begin_removal([seq]);
                    store.remove(seq, self.random.gen_bool(0.3))?;
                    self.truth.done.insert(seq);
                }
            }
            13 => {
                let (first, last) = (store.state().first_seq, store.state().last_seq);
                let to = if self.random.gen_bool(0.1) {
                    last + 1
                } else {
                    first + self.random.gen_range(0..6).min(last + 1 - first)
                };
                let below: Vec<u64> = self.truth.issued.range(..to).map(|(seq, _)| *seq).collect();
                self.truth.begin_removal(below.clone());
                store.remove_below(to, &mut |_| {})?;
                self.truth.done.extend(below);
            }
            14..=15 => {
                let owner = OWNERS[self.random.gen_range(0..3)];
                self.number += 1;
                let entry = self.number.to_le_bytes().repeat(self.random.gen_range(1..10));
                store.journal(owner, &entry)?;
                self.truth.journal.entry(owner).or_default().0.push(Entry::Entry(entry));
                if store.wants_snapshots() {
                    for owner in OWNERS {
                        self.number += 1;
                        let snapshot = self.number.to_le_bytes().to_vec();
                        store.snapshot(owner, &snapshot)?;
                        self.truth.journal.entry(owner).or_default().0.push(Entry::Snapshot(snapshot));
                    }
                }
            }
            _ => {
                if let Some(sync) = store.flush()? {
                    sync.run()?;
                }
                self.truth.ack();
            }
        }
        Ok(())
    }
}

/// One stream with several lives; gives how many there were.
fn stream(seed: u64) -> u64 {
    let mut random = StdRng::seed_from_u64(seed);
    let key = random.gen_bool(0.3).then(|| AccountKey::generate("A"));
    let options = options(random.gen_range(512..3000), key.as_ref());
    let options = FileOptions { compression: random.gen_bool(0.4), ..options };
    let sim = Sim::new(seed);
    let mut store: Box<dyn Store> = Box::new(create(&sim, &options));
    for owner in ["c", "d"] {
        store.describe_consumer(owner, Some(b"consumer")).unwrap();
    }
    let mut life = Life { random, truth: Truth::default(), number: 0 };
    let lives = life.random.gen_range(1..6);
    for number in 0..lives {
        let name = format!("seed {seed}, life {number}");
        let troubles = [Trouble::Crash, Trouble::Crash, Trouble::Refuse, Trouble::Full(15)];
        let trouble = troubles[life.random.gen_range(0..4)];
        if life.random.gen_bool(0.8) {
            sim.trouble(life.random.gen_range(1..150), trouble);
        }
        for _ in 0..life.random.gen_range(1..120) {
            let _ = life.step(&mut *store);
        }
        end(&sim, &mut life, store, &name);
        store = begin(&sim, &options, &mut life, &name);
    }
    lives
}

/// The power goes, the process is killed, or it ends in order.
fn end(sim: &Arc<Sim>, life: &mut Life, mut store: Box<dyn Store>, name: &str) {
    match life.random.gen_range(0..3) {
        0 => {
            sim.calm();
            let closed = store.flush().and_then(|sync| sync.map_or(Ok(()), Sync::run));
            assert!(closed.is_ok() || matches!(closed, Err(StoreError::ReadOnly(_))), "{name}: {closed:?}");
            if closed.is_ok() {
                life.truth.ack();
                drop(store);
            } else {
                drop(store);
                sim.crash();
            }
        }
        1 => {
            sim.trouble(0, Trouble::Crash);
            drop(store);
            sim.calm();
        }
        _ => {
            sim.trouble(0, Trouble::Crash);
            drop(store);
            sim.crash();
        }
    }
}

fn begin(sim: &Arc<Sim>, options: &FileOptions, life: &mut Life, name: &str) -> Box<dyn Store> {
    // The next loss of power may come while it is opened.
    while life.random.gen_bool(0.3) {
        sim.trouble(life.random.gen_range(1..40), Trouble::Crash);
        drop(recover::open(sim.clone(), dir(), options));
        sim.crash();
    }
    let opened = reopen(sim, options);
    life.truth.check(&opened, name);
    opened.store
}

fn streams(seeds: impl Iterator<Item = u64>) -> u64 {
    seeds.map(stream).sum()
}

/// Some lives of some streams; in a long run `CORDON_FAULT_LIVES` of them, from the seed in `CORDON_FAULT_SEED`.
#[test]
fn what_is_acknowledged_outlives_any_end() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let Some(most) = given("CORDON_FAULT_LIVES") else {
        let lives = streams(0..100);
        assert!(lives > 200, "{lives}");
        return;
    };
    let first = given("CORDON_FAULT_SEED").unwrap_or_else(|| rand::thread_rng().gen_range(1000..u64::MAX / 2));
    let (mut seed, mut lives) = (first, 0);
    while lives < most {
        lives += stream(seed);
        seed += 1;
    }
    eprintln!("{lives} lives of {} streams from seed {first}", seed - first);
}
