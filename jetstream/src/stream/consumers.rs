//! A stream's consumers: what arrives for them, what they are told of messages, and what follows from their
//! acknowledgements.

use super::crowd::{Crowd, Id};
use super::{Arrival, Core};
use crate::config::Retention;
use crate::consumer::{Consumer, Context, Description, Effects, parse_ack, parse_flow};
use crate::store::{Filter, Journalled, StoreError};

/// The consumers of a stream, and what follows from what they did.
#[derive(Default)]
pub(super) struct Consumers {
    pub(super) crowd: Crowd,
    /// Messages that some consumer needs no more.
    settled: Vec<u64>,
    /// Consumers that nobody used for too long.
    pub(super) unused: Vec<String>,
    effects: Effects,
    scratch: Vec<Id>,
}

impl Core {
    /// Lets a consumer do something; takes over what follows from it.
    pub(super) fn with_consumer<R>(
        &mut self,
        name: &str,
        now: i64,
        act: impl FnOnce(&mut Consumer, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let id = self.consumers.crowd.id(name)?;
        let result = self.with_one(id, now, act);
        self.consumers.crowd.touched(id, now);
        result
    }

    fn with_one<R>(&mut self, id: Id, now: i64, act: impl FnOnce(&mut Consumer, &mut Context<'_>) -> R) -> Option<R> {
        let mut effects = std::mem::take(&mut self.consumers.effects);
        let consumer = self.consumers.crowd.get_mut(id);
        let result = consumer.map(|consumer| {
            let mut cx = Context {
                place: self.place.place(),
                store: &mut *self.store,
                port: &*self.port,
                now,
                durable: self.durable,
                effects: &mut effects,
            };
            let result = act(consumer, &mut cx);
            if std::mem::take(&mut effects.unused) {
                self.consumers.unused.push(consumer.name().to_owned());
            }
            result
        });
        self.take_over(&mut effects);
        self.consumers.effects = effects;
        result
    }

    /// Lets each of these consumers do something.
    fn with_each(&mut self, ids: &[Id], now: i64, mut act: impl FnMut(&mut Consumer, &mut Context<'_>)) {
        for id in ids {
            self.with_one(*id, now, &mut act);
            self.consumers.crowd.touched(*id, now);
        }
    }

    fn take_over(&mut self, effects: &mut Effects) {
        for reply in effects.answers.drain(..) {
            self.answers.promise(&reply, b"", b"");
        }
        if self.config.retention == Retention::Limits {
            effects.settled.clear();
        } else {
            self.consumers.settled.append(&mut effects.settled);
        }
    }

    // ---- arrivals

    pub(super) fn acknowledge(&mut self, arrival: &Arrival<'_>, now: i64) {
        let Some(ack) = parse_ack(arrival.subject) else { return };
        let Ok(name) = std::str::from_utf8(ack.consumer) else { return };
        if self.consumers.crowd.get(name).is_some_and(|consumer| !consumer.is_acknowledged_by(ack.owner)) {
            return;
        }
        self.with_consumer(name, now, |consumer, cx| {
            consumer.acknowledge(&ack.tokens, arrival.payload, arrival.reply, cx);
        });
        self.release(now);
    }

    pub(super) fn request(&mut self, arrival: &Arrival<'_>, now: i64) {
        let Ok(name) = std::str::from_utf8(arrival.subject) else { return };
        self.with_consumer(name, now, |consumer, cx| {
            consumer.request(arrival.header, arrival.payload, arrival.reply, cx);
        });
    }

    pub(super) fn flow(&mut self, arrival: &Arrival<'_>, now: i64) {
        let Some((_, name)) = parse_flow(arrival.subject) else { return };
        let Ok(name) = std::str::from_utf8(name) else { return };
        self.with_consumer(name, now, |consumer, cx| consumer.flow_reply(arrival.subject, arrival.header, cx));
        self.release(now);
    }

    // ---- messages

    /// A message was stored.
    pub(super) fn tell_stored(&mut self, seq: u64, subject: &[u8]) {
        self.consumers.crowd.stored(seq, subject);
    }

    /// A message is no more: a limit took it, or somebody deleted it.
    pub(super) fn gone(&mut self, seq: u64, subject: &[u8], now: i64) {
        self.tell_gone(seq, subject, now, Consumer::removed);
    }

    /// A message was purged.
    pub(super) fn gone_in_purge(&mut self, seq: u64, subject: &[u8], now: i64) {
        self.tell_gone(seq, subject, now, Consumer::purged_one);
    }

    fn tell_gone(&mut self, seq: u64, subject: &[u8], now: i64, tell: fn(&mut Consumer, u64, &[u8], &mut Context<'_>)) {
        self.schedules.forget(seq);
        if !self.consumers.crowd.is_empty() {
            let mut ids = std::mem::take(&mut self.consumers.scratch);
            self.consumers.crowd.wanting(subject, &mut ids);
            self.with_each(&ids, now, |consumer, cx| tell(consumer, seq, subject, cx));
            self.consumers.scratch = ids;
        }
    }

    /// Everything below `seq` is no more.
    pub(super) fn tell_purged(&mut self, seq: u64, now: i64) {
        let ids = self.consumers.crowd.ids();
        self.with_each(&ids, now, |consumer, cx| consumer.purged(seq, cx));
    }

    // ---- retention

    /// Some consumer wants messages of this subject.
    pub(super) fn is_wanted(&self, subject: &[u8]) -> bool {
        self.readers.wants(subject) || self.consumers.crowd.wants(subject)
    }

    /// Removes what consumers have just settled, if no other needs it (jetstream.md 3.10).
    pub(super) fn release(&mut self, now: i64) {
        if self.consumers.settled.is_empty() {
            return;
        }
        let settled = std::mem::take(&mut self.consumers.settled);
        for seq in settled {
            self.release_one(seq, now);
        }
    }

    pub(super) fn release_one(&mut self, seq: u64, now: i64) {
        let Some(message) = self.store.peek(seq) else { return };
        if self.readers.need(seq, &message.subject) || self.consumers.crowd.needs(seq, &message.subject) {
            return;
        }
        // A work queue keeps what has no consumer; who acknowledged it is there, or it would not be looked at.
        if self.config.retention == Retention::Interest || self.is_wanted(&message.subject) {
            self.take_out(seq, false, now);
        }
    }

    /// Looks at everything that no consumer may need any more: after a restart, when a consumer went or wants something
    /// else, when the retention became another.
    pub(super) fn sweep(&mut self, now: i64) {
        match self.config.retention {
            Retention::Limits => {}
            Retention::Interest if self.consumers.crowd.is_empty() && self.readers.is_empty() => {
                let last = self.store.state().last_seq;
                self.take_below(last + 1, now);
            }
            Retention::Interest | Retention::WorkQueue => {
                let mut at = self.store.state().first_seq;
                while let Some(seq) = self.store.next(&Filter::All, at) {
                    self.release_one(seq, now);
                    at = seq + 1;
                }
            }
        }
    }

    // ---- time and the journal

    pub(super) fn tick_consumers(&mut self, now: i64) {
        let pushing = self.consumers.crowd.pushing();
        self.with_each(&pushing, now, Consumer::interest_changed);
        let due = self.consumers.crowd.take_due(now);
        self.with_each(&due, now, Consumer::tick);
        self.release(now);
    }

    pub(super) fn consumers_deadline(&self, now: i64) -> Option<i64> {
        let busy = self.consumers.crowd.has_ready() || !self.consumers.unused.is_empty();
        if busy { Some(now) } else { self.consumers.crowd.deadline() }
    }

    /// Consumers deliver what they may.
    pub(super) fn pump(&mut self, now: i64) {
        let ready = self.consumers.crowd.take_ready();
        for id in &ready {
            let more = self.with_one(*id, now, Consumer::pump).unwrap_or(false);
            self.consumers.crowd.pumped(*id, more, now);
        }
        self.release(now);
        if !ready.is_empty() && self.is_in_files() {
            self.unsynced.get_or_insert(now);
        }
    }

    /// Consumers write down what changed.
    pub(super) fn write_consumers(&mut self) -> Result<(), StoreError> {
        self.consumers.crowd.write(&mut *self.store)
    }

    /// Each consumer says anew what the journal must know.
    pub(super) fn snapshot_consumers(&mut self) {
        let kept: Vec<(String, Vec<u8>)> = self
            .consumers
            .crowd
            .all()
            .filter(|consumer| consumer.is_kept())
            .map(|consumer| (consumer.name().to_owned(), consumer.snapshot()))
            .collect();
        for (name, snapshot) in kept {
            if let Err(error) = self.store.snapshot(&name, &snapshot) {
                self.store_failed(&error);
            }
        }
    }

    /// Consumers as they were when the stream was open last. One that cannot be read stays as it is on disk.
    pub(super) fn recover_consumers(
        &mut self,
        journal: &[(String, Journalled)],
        consumers: &[(String, Vec<u8>)],
        now: i64,
    ) {
        for (name, description) in consumers {
            let description = match crate::api::json::stored::<Description>(description) {
                Ok(description) if crate::config::level::is_supported(&description.config.metadata) => description,
                Ok(_) => {
                    self.consumers_offline.insert(name.clone(), "it needs a newer server".to_owned());
                    continue;
                }
                Err(error) => {
                    tracing::error!(stream = %self.config.name, consumer = %name, %error, "a consumer is offline");
                    self.consumers_offline.insert(name.clone(), error);
                    continue;
                }
            };
            let nothing = Journalled::default();
            let journalled = journal.iter().find(|(owner, _)| owner == name).map_or(&nothing, |(_, own)| own);
            let mut effects = Effects::default();
            let mut cx = Context {
                place: self.place.place(),
                store: &mut *self.store,
                port: &*self.port,
                now,
                durable: self.durable,
                effects: &mut effects,
            };
            let consumer = Consumer::recover(description, journalled, &mut cx);
            self.consumers.crowd.insert(consumer, now);
        }
    }
}
