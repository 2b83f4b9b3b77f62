//! What a consumer knows after a restart is what its journal says: at every point of it.

use std::sync::Arc;

use super::*;
use crate::config::DeliverPolicy;
use crate::store::{Filter, OfSubject, Removed, State, StoreError, Stored, Sync};

/// A store that hands over its journal, as it would be found after a crash.
struct Noting {
    inner: MemoryStore,
    journal: Journalled,
}

impl Noting {
    fn entries(&self) -> &[Vec<u8>] {
        &self.journal.entries
    }
}

macro_rules! reads {
    ($($name:ident($($arg:ident: $of:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self $(, $arg: $of)*) $(-> $result)? { self.inner.$name($($arg),*) })*
    };
}

macro_rules! writes {
    ($($name:ident($($arg:ident: $of:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&mut self $(, $arg: $of)*) $(-> $result)? { self.inner.$name($($arg),*) })*
    };
}

impl Store for Noting {
    reads! {
        state() -> State;
        size_of(subject: usize, header: usize, payload: usize) -> u64;
        get(seq: u64) -> Result<Option<Stored>, StoreError>;
        peek(seq: u64) -> Option<Removed>;
        of_subject(subject: &[u8]) -> Option<OfSubject>;
        subjects(filter: &Filter, after: Option<&[u8]>, each: &mut dyn FnMut(&[u8], OfSubject) -> bool);
        subjects_part(filter: &Filter, after: Option<&[u8]>, most: usize, each: &mut dyn FnMut(&[u8], OfSubject)) -> Option<Arc<[u8]>>;
        next(filter: &Filter, from: u64) -> Option<u64>;
        last(filter: &Filter, to: u64) -> Option<u64>;
        count(filter: &Filter, from: u64) -> u64;
        count_subjects(filter: &Filter, from: u64) -> u64;
        at_time(ts: i64) -> u64;
        gaps(most: usize) -> Vec<u64>;
        lost() -> (Vec<u64>, u64);
        next_expiry() -> Option<(i64, u64)>;
        is_kept(seq: u64) -> bool;
        wants_snapshots() -> bool;
    }

    writes! {
        append(message: &NewMessage<'_>) -> Result<u64, StoreError>;
        append_together(messages: &[NewMessage<'_>]) -> Result<u64, StoreError>;
        skip_to(last: u64, ts: i64) -> Result<(), StoreError>;
        remove(seq: u64, erase: bool) -> Result<Option<Removed>, StoreError>;
        remove_below(seq: u64, gone: &mut dyn FnMut(Removed)) -> Result<(), StoreError>;
        describe(description: &[u8]) -> Result<(), StoreError>;
        describe_consumer(name: &str, description: Option<&[u8]>) -> Result<(), StoreError>;
        flush() -> Result<Option<Box<dyn Sync>>, StoreError>;
        destroy() -> Result<(), StoreError>;
    }

    fn journal(&mut self, owner: &str, entry: &[u8]) -> Result<(), StoreError> {
        assert_eq!(owner, "D");
        self.journal.entries.push(entry.to_vec());
        Ok(())
    }

    fn snapshot(&mut self, owner: &str, snapshot: &[u8]) -> Result<(), StoreError> {
        assert_eq!(owner, "D");
        self.journal = Journalled { snapshot: Some(snapshot.to_vec()), entries: Vec::new() };
        Ok(())
    }
}

struct Run {
    store: Noting,
    wire: Wire,
    effects: Effects,
    now: i64,
}

impl Run {
    fn new() -> Self {
        let store = Noting { inner: MemoryStore::new(), journal: Journalled::default() };
        Self { store, wire: Wire::default(), effects: Effects::default(), now: BEGIN }
    }

    fn cx<R>(&mut self, act: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let place =
            Place { account: "A", stream: "S", domain: None, form: &AckForm::Short, max_message: 1 << 20, holds: &[] };
        let durable = self.store.state().last_seq;
        act(&mut Context {
            place,
            store: &mut self.store,
            port: &self.wire,
            now: self.now,
            durable,
            effects: &mut self.effects,
        })
    }

    fn publish(&mut self, subject: &str) -> u64 {
        let message = NewMessage { subject: subject.as_bytes(), payload: b"x", ts: self.now, ..NewMessage::default() };
        self.store.append(&message).unwrap()
    }

    fn create(&mut self, config: ConsumerConfig) -> Consumer {
        let mut config = ConsumerConfig { durable_name: "D".into(), ..config };
        check::complete(&mut config, &stream(), &Bounds::default(), false).unwrap();
        self.cx(|cx| Consumer::create("D", config, cx).unwrap())
    }

    fn recovered(&mut self, of: &Consumer, journal: &Journalled) -> Consumer {
        let description = of.description();
        self.cx(|cx| Consumer::recover(description, journal, cx))
    }
}

/// What must be the same in a consumer and in the one that takes its place.
fn state(consumer: &Consumer) -> (super::super::progress::Image, u64) {
    let mut image = consumer.progress.image();
    // What became due by time becomes so again.
    image.pending.iter_mut().for_each(|(_, pending)| pending.deadline = 0);
    (image, consumer.ahead)
}

#[test]
fn at_every_point_the_journal_says_what_the_consumer_knows() {
    for config in [
        durable(),
        ConsumerConfig { ack_policy: AckPolicy::All, ..durable() },
        ConsumerConfig { ack_policy: AckPolicy::None, ..durable() },
        ConsumerConfig { deliver_policy: DeliverPolicy::LastPerSubject, filter_subject: "a.>".into(), ..durable() },
        ConsumerConfig { filter_subject: "a.1".into(), max_deliver: 2, ..durable() },
    ] {
        let mut run = Run::new();
        for round in 0..20 {
            run.publish(["a.1", "a.2", "b", "a.3"][round % 4]);
        }
        let mut consumer = run.create(config);
        let mut states = vec![(run.store.journal.clone(), state(&consumer))];
        for round in 0..60 {
            run.now += SECOND;
            run.cx(|cx| {
                let body = if round % 3 == 0 { "3" } else { "1" };
                consumer.request(b"", body.as_bytes(), b"in", cx);
                consumer.tick(cx);
                consumer.pump(cx);
            });
            let sent = std::mem::take(&mut *run.wire.sent.lock());
            for (index, message) in
                sent.iter().filter(|message| message.to == "in" && message.status().is_none()).enumerate()
            {
                let body = ["", "-NAK", "+TERM", "-NAK 3s", "+WPI"][(round + index) % 5];
                let tokens = message.ack().tokens;
                run.cx(|cx| consumer.acknowledge(&tokens, body.as_bytes(), b"", cx));
            }
            if round % 17 == 16 {
                let at = 1 + round as u64 / 4;
                if let Some(removed) = run.store.remove(at, false).unwrap() {
                    run.cx(|cx| consumer.removed(removed.seq, &removed.subject, cx));
                }
            }
            let before = run.store.entries().len();
            consumer.write(&mut run.store).unwrap();
            assert!(run.store.entries().len() <= before + 1);
            states.push((run.store.journal.clone(), state(&consumer)));
            if round == 30 {
                let snapshot = consumer.snapshot();
                run.store.snapshot("D", &snapshot).unwrap();
                states.push((run.store.journal.clone(), state(&consumer)));
            }
            let (journal, expected) = states.last().unwrap().clone();
            let again = run.recovered(&consumer, &journal);
            let mut got = state(&again);
            // Positions beyond what was delivered are found again, not journalled.
            got.0.next = got.0.next.max(expected.0.next);
            got.0.floor = expected.0.floor;
            assert_eq!(got, expected, "round {round}");
        }
        // Every earlier state of the journal is one of a consumer that can go on, and misses nothing.
        for (journal, _) in &states {
            let mut again = run.recovered(&consumer, journal);
            let wanted: BTreeSet<u64> = again.progress.pending_seqs().collect();
            run.now += 3600 * SECOND;
            run.cx(|cx| {
                again.request(b"", b"1000", b"in", cx);
                again.tick(cx);
                while again.pump(cx) {}
            });
            let sent = std::mem::take(&mut *run.wire.sent.lock());
            let got: BTreeSet<u64> =
                sent.iter().filter(|one| one.to == "in" && one.status().is_none()).map(Sent::seq).collect();
            let exhausted: BTreeSet<u64> = again.progress.image().exhausted.into_iter().collect();
            assert!(wanted.is_subset(&got.union(&exhausted).copied().collect()), "{wanted:?} {got:?}");
        }
    }
}

#[test]
fn an_acknowledged_message_never_comes_again_and_a_pending_one_does() {
    let mut run = Run::new();
    for _ in 0..4 {
        run.publish("b");
    }
    let mut consumer = run.create(durable());
    run.cx(|cx| {
        consumer.request(b"", b"3", b"in", cx);
        consumer.pump(cx);
    });
    let sent = std::mem::take(&mut *run.wire.sent.lock());
    let tokens = sent[1].ack().tokens;
    run.cx(|cx| consumer.acknowledge(&tokens, b"", b"", cx));
    consumer.write(&mut run.store).unwrap();
    let journal = run.store.journal.clone();
    let mut again = run.recovered(&consumer, &journal);
    run.now += 31 * SECOND;
    run.cx(|cx| {
        again.request(b"", b"9", b"in", cx);
        again.tick(cx);
        again.pump(cx);
    });
    let seen: Vec<(u64, u64, u64)> = run
        .wire
        .sent
        .lock()
        .iter()
        .map(|one| (one.seq(), one.ack().tokens.deliveries, one.ack().tokens.consumer_seq))
        .collect();
    assert_eq!(seen, [(1, 2, 4), (3, 2, 5), (4, 1, 6)]);
}

#[test]
fn deliveries_that_were_not_journalled_are_repeated() {
    let mut run = Run::new();
    run.publish("b");
    let mut consumer = run.create(durable());
    let journal = run.store.journal.clone();
    run.cx(|cx| {
        consumer.request(b"", b"3", b"in", cx);
        consumer.pump(cx);
    });
    let mut again = run.recovered(&consumer, &journal);
    run.wire.sent.lock().clear();
    run.cx(|cx| {
        again.request(b"", b"3", b"in", cx);
        again.pump(cx);
    });
    assert_eq!(run.wire.sent.lock()[0].ack().tokens.deliveries, 1);
}

#[test]
fn messages_that_are_gone_at_recovery_wait_no_more() {
    let mut run = Run::new();
    for _ in 0..3 {
        run.publish("b");
    }
    let mut consumer = run.create(durable());
    run.cx(|cx| {
        consumer.request(b"", b"2", b"in", cx);
        consumer.pump(cx);
    });
    consumer.write(&mut run.store).unwrap();
    run.store.remove(1, false).unwrap();
    let journal = run.store.journal.clone();
    let again = run.recovered(&consumer, &journal);
    assert_eq!(again.progress.pending_seqs().collect::<Vec<_>>(), [2]);
    assert_eq!(again.ahead, 1);
}
