//! Consumers over a store in memory, a clock that is a number, and a way out that is a list.

mod config;
mod life;
mod model;
mod priority;
mod pull;
mod push;
mod recovery;

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use super::check::{self, Bounds};
use super::{AckForm, AckSubject, Consumer, ConsumerInfo, Context, Effects, Place, parse_ack};
use crate::api::ApiError;
use crate::config::{AckPolicy, ConsumerConfig, StreamConfig};
use crate::port::{Outgoing, Port};
use crate::store::memory::MemoryStore;
use crate::store::{Journalled, NewMessage, Store};

/// What most streams of these tests hold.
const FIVE: [&str; 5] = ["a.1", "a.2", "a.1", "b", "a.2"];

const SECOND: i64 = 1_000_000_000;
/// When the tests begin.
const BEGIN: i64 = 1_700_000_000 * SECOND;

/// A message that went out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sent {
    to: String,
    shown: String,
    reply: String,
    header: String,
    payload: String,
}

impl Sent {
    /// The status line without version, if it is a status message.
    fn status(&self) -> Option<&str> {
        let line = self.header.strip_prefix("NATS/1.0 ")?;
        line.split("\r\n").next()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.header.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn ack(&self) -> AckSubject<'_> {
        parse_ack(self.reply.as_bytes()).unwrap()
    }

    fn seq(&self) -> u64 {
        self.ack().tokens.stream_seq
    }
}

/// Collects what goes out; everything but [`Wire::away`] has a listener.
#[derive(Default)]
struct Wire {
    sent: Mutex<Vec<Sent>>,
    /// Header blocks that nobody took.
    missed: Mutex<Vec<String>>,
    away: Mutex<BTreeSet<String>>,
    watched: Mutex<BTreeMap<String, i64>>,
}

impl Port for Wire {
    fn send(&self, message: &Outgoing<'_>) -> bool {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.away.lock().contains(&text(message.to)) {
            self.missed.lock().push(text(message.header));
            return false;
        }
        self.sent.lock().push(Sent {
            to: text(message.to),
            shown: text(message.shown),
            reply: text(message.reply),
            header: text(message.header),
            payload: text(message.payload),
        });
        true
    }

    fn has_interest(&self, subject: &[u8], _group: Option<&[u8]>) -> bool {
        !self.away.lock().contains(&*String::from_utf8_lossy(subject))
    }

    fn watch(&self, stream: &str, subject: &[u8], watching: bool) {
        assert_eq!(stream, "S");
        let subject = String::from_utf8_lossy(subject).into_owned();
        *self.watched.lock().entry(subject).or_default() += if watching { 1 } else { -1 };
    }

    fn hear(&self, _: &str, _: &[u8], _: u32) {}

    fn deafen(&self, _: u32) {}

    fn forget(&self, _: &str) {}

    fn flush(&self) {}
}

/// One stream with one consumer, and what happens around them.
struct World {
    store: MemoryStore,
    wire: Wire,
    now: i64,
    durable: Option<u64>,
    effects: Effects,
    consumer: Option<Consumer>,
}

impl World {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            wire: Wire::default(),
            now: BEGIN,
            durable: None,
            effects: Effects::default(),
            consumer: None,
        }
    }

    /// With messages on these subjects.
    fn with(subjects: &[&str]) -> Self {
        let mut world = Self::new();
        for subject in subjects {
            world.publish(subject, "x");
        }
        world
    }

    fn create(&mut self, config: ConsumerConfig) -> Result<&mut Self, ApiError> {
        let mut config = config;
        if config.name.is_empty() && config.durable_name.is_empty() {
            config.name = "C".into();
        }
        check::complete(&mut config, &stream(), &Bounds::default(), false)?;
        let consumer = self.act_without(|cx| Consumer::create(&config.name.clone(), config, cx).unwrap());
        self.consumer = Some(consumer);
        self.pump();
        Ok(self)
    }

    fn consumer(&mut self) -> &mut Consumer {
        self.consumer.as_mut().unwrap()
    }

    fn act_without<R>(&mut self, act: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let durable = self.durable.unwrap_or(self.store.state().last_seq);
        let place =
            Place { account: "A", stream: "S", domain: None, form: &AckForm::Short, max_message: 1 << 20, holds: &[] };
        act(&mut Context {
            place,
            store: &mut self.store,
            port: &self.wire,
            now: self.now,
            durable,
            effects: &mut self.effects,
        })
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Consumer, &mut Context<'_>) -> R) -> R {
        let mut consumer = self.consumer.take().unwrap();
        let result = self.act_without(|cx| act(&mut consumer, cx));
        self.consumer = Some(consumer);
        result
    }

    fn pump(&mut self) {
        while self.act(Consumer::pump) {}
    }

    fn publish(&mut self, subject: &str, payload: &str) -> u64 {
        self.publish_with(subject, "", payload)
    }

    fn publish_with(&mut self, subject: &str, header: &str, payload: &str) -> u64 {
        let message = NewMessage {
            subject: subject.as_bytes(),
            header: header.as_bytes(),
            payload: payload.as_bytes(),
            ts: self.now,
            expires: 0,
        };
        let seq = self.store.append(&message).unwrap();
        if self.consumer.is_some() {
            self.consumer().stored(seq, subject.as_bytes());
            self.pump();
        }
        seq
    }

    fn remove(&mut self, seq: u64) {
        if let Some(removed) = self.store.remove(seq, false).unwrap() {
            self.act(|consumer, cx| consumer.removed(removed.seq, &removed.subject, cx));
        }
        self.pump();
    }

    fn pull(&mut self, body: &str, reply: &str) {
        self.act(|consumer, cx| consumer.request(b"", body.as_bytes(), reply.as_bytes(), cx));
        self.pump();
    }

    /// Answers a delivery; gives the reply subjects that are answered in turn.
    fn answer(&mut self, to: &Sent, body: &str, reply: &str) -> Vec<String> {
        let tokens = to.ack().tokens;
        self.act(|consumer, cx| consumer.acknowledge(&tokens, body.as_bytes(), reply.as_bytes(), cx));
        self.pump();
        self.effects.answers.drain(..).map(|answer| String::from_utf8_lossy(&answer).into_owned()).collect()
    }

    /// Time goes on until `now + by`, with a stop at each deadline.
    fn wait(&mut self, by: i64) {
        let end = self.now + by;
        loop {
            let now = self.now;
            let at = self.consumer().deadline(now).filter(|at| *at <= end);
            self.now = at.unwrap_or(end).max(now);
            self.act(Consumer::tick);
            self.pump();
            if at.is_none() {
                break;
            }
        }
    }

    fn info(&mut self) -> ConsumerInfo {
        self.act(Consumer::info)
    }

    /// What went out since the last call.
    fn sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut *self.wire.sent.lock())
    }

    /// Sequences and status lines that went out since the last call.
    fn heard(&mut self) -> Vec<String> {
        let sent = self.sent();
        let plain = |message: &Sent| match message.status() {
            Some(status) => status.to_owned(),
            None => message.seq().to_string(),
        };
        sent.iter().filter(|message| !message.to.starts_with("$JS.EVENT")).map(plain).collect()
    }

    /// Advisories among what went out: the subject's tail, and what they say.
    fn told(&mut self) -> Vec<(String, serde_json::Value)> {
        let sent = self.sent();
        let events = sent.iter().filter_map(|message| {
            let tail = message.to.strip_prefix("$JS.EVENT.")?;
            Some((tail.to_owned(), serde_json::from_str(&message.payload).unwrap()))
        });
        events.collect()
    }

    fn away(&mut self, subject: &str, away: bool) {
        let mut all = self.wire.away.lock();
        if away {
            all.insert(subject.to_owned())
        } else {
            all.remove(subject)
        };
    }
}

fn stream() -> StreamConfig {
    StreamConfig {
        name: "S".into(),
        subjects: vec!["a.>".into(), "b".into()],
        num_replicas: 1,
        ..StreamConfig::default()
    }
}

/// A pull consumer that stays, with explicit acknowledgements.
fn durable() -> ConsumerConfig {
    ConsumerConfig { durable_name: "D".into(), ack_policy: AckPolicy::Explicit, ..ConsumerConfig::default() }
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}
