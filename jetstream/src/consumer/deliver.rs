//! Delivery: the next message, and where it goes.
//!
//! For each message there is one read of the store and one reply subject written into a buffer that is used again.

use super::header;
use super::number::push_u64;
use super::progress::Change;
use super::push::reads;
use super::subject::AckTokens;
use super::{Consumer, Context};
use crate::config::AckPolicy;
use crate::port::Outgoing;
use crate::store::{StoreError, Stored};

/// Messages of one call of [`Consumer::pump`]; other consumers and publishers are waiting, too.
const PUMP_MAX: usize = 512;
/// How long a consumer waits whose stream could not be read.
const HOLD: i64 = 1_000_000_000;

/// A message chosen for delivery.
pub(super) struct Chosen {
    pub(super) message: Stored,
    /// Which delivery it will be.
    pub(super) deliveries: u32,
}

/// What came of an attempt to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A message went out, or a request came to its end: there may be more to do.
    Done,
    /// Nothing is there to be delivered.
    Idle,
    /// Something is there, but nobody may have it now.
    Blocked,
}

impl Consumer {
    /// Delivers what can be delivered. Gives `true` if there is more: the stream calls again after others had a turn.
    pub fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_paused(cx.now) || self.held_until > cx.now {
            return false;
        }
        for _ in 0..PUMP_MAX {
            let step = if self.is_push() { self.push_step(cx) } else { self.pull_step(cx) };
            match step {
                Step::Done => {}
                Step::Idle => {
                    self.end_without_wait(cx);
                    return false;
                }
                Step::Blocked => return false,
            }
        }
        true
    }

    /// The next message to be delivered: one that is due again, or a new one. It stays the next one until
    /// [`Consumer::record`].
    pub(super) fn choose(&mut self, cx: &mut Context<'_>) -> Result<Chosen, Step> {
        while let Some(seq) = self.progress.first_due() {
            if let Some(message) = self.read(seq, cx)? {
                return Ok(Chosen { message, deliveries: self.progress.deliveries(seq) + 1 });
            }
            self.note(Change::Gone(seq), cx.now);
            self.progress.gone(seq);
        }
        if self.is_full() {
            return Err(if self.ahead == 0 { Step::Idle } else { Step::Blocked });
        }
        self.choose_new(cx)
    }

    fn choose_new(&mut self, cx: &mut Context<'_>) -> Result<Chosen, Step> {
        while let Some(seq) = self.progress.next_listed() {
            if seq > cx.durable {
                return Err(Step::Blocked);
            }
            match self.read(seq, cx)? {
                Some(message) => return self.in_time(message, cx),
                None => self.progress.skip_to(seq + 1),
            }
        }
        loop {
            let last = cx.store.state().last_seq;
            if self.progress.next() > last {
                return Err(Step::Idle);
            }
            let Some(seq) = cx.store.next(&self.filter, self.progress.next()) else {
                // Nothing up to the last sequence is for it, whatever was counted.
                self.ahead = 0;
                self.progress.skip_to(last + 1);
                return Err(Step::Idle);
            };
            if seq > cx.durable {
                return Err(Step::Blocked);
            }
            match self.read(seq, cx)? {
                Some(message) => return self.in_time(message, cx),
                None => self.progress.skip_to(seq + 1),
            }
        }
    }

    /// Reads a message. One that is damaged is as good as gone; if the disk does not answer, the consumer tries later.
    fn read(&mut self, seq: u64, cx: &Context<'_>) -> Result<Option<Stored>, Step> {
        match cx.store.get(seq) {
            Ok(message) => Ok(message),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(stream = cx.place.stream, consumer = self.name, seq, %error, "a message cannot be delivered");
                Ok(None)
            }
            Err(error) => {
                tracing::error!(stream = cx.place.stream, consumer = self.name, seq, %error, "deliveries wait");
                self.held_until = cx.now.saturating_add(HOLD);
                Err(Step::Blocked)
            }
        }
    }

    /// A new message, unless it is to be replayed at its pace and its time has not come.
    fn in_time(&mut self, message: Stored, cx: &Context<'_>) -> Result<Chosen, Step> {
        if let Some(replay) = &mut self.replay {
            if message.seq > replay.until {
                self.replay = None;
            } else {
                if replay.last_ts != 0 && replay.not_before == 0 {
                    replay.not_before = self.last_delivery.saturating_add((message.ts - replay.last_ts).max(0));
                }
                if replay.not_before > cx.now {
                    return Err(Step::Blocked);
                }
            }
        }
        Ok(Chosen { message, deliveries: 1 })
    }

    /// Bytes that a delivery counts for: subject, reply subject, header block and payload. The reply subject is written
    /// by it.
    pub(super) fn weigh(&mut self, chosen: &Chosen) -> u64 {
        let message = &chosen.message;
        let pending = if chosen.deliveries == 1 { self.ahead.saturating_sub(1) } else { self.ahead };
        let reply = self.acks.write(&AckTokens {
            deliveries: u64::from(chosen.deliveries),
            stream_seq: message.seq,
            consumer_seq: self.progress.delivered_pair().consumer + 1,
            ts: message.ts,
            pending,
        });
        let payload = if self.config.headers_only { 0 } else { message.payload().len() };
        (reply.len() + message.subject().len() + message.header().len() + payload) as u64
    }

    /// Sends what was chosen and weighed to `to`; `false` if nobody took it.
    pub(super) fn send(&mut self, chosen: &Chosen, to: &[u8], pin: Option<&str>, cx: &Context<'_>) -> bool {
        let message = &chosen.message;
        let mut out = Outgoing {
            to,
            shown: message.subject(),
            reply: self.acks.written(),
            header: message.header(),
            payload: message.payload(),
            // Who pulls was asked when it asked.
            reads: if self.push.is_some() { reads(&self.filter, cx.place.holds) } else { &[] },
        };
        if !self.config.headers_only && pin.is_none() {
            return cx.port.send(&out);
        }
        let mut size = Vec::new();
        push_u64(&mut size, message.payload().len() as u64);
        let mut add: smallvec::SmallVec<[(&str, &[u8]); 2]> = smallvec::SmallVec::new();
        if self.config.headers_only {
            add.push(("Nats-Msg-Size", &size));
            out.payload = &[];
        }
        if let Some(pin) = pin {
            add.push(("Nats-Pin-Id", pin.as_bytes()));
        }
        header::with(message.header(), &add, &mut self.scratch);
        cx.port.send(&Outgoing { header: &self.scratch, ..out })
    }

    /// What was chosen was delivered.
    pub(super) fn record(&mut self, chosen: &Chosen, cx: &mut Context<'_>) {
        let seq = chosen.message.seq;
        self.last_delivery = cx.now;
        if chosen.deliveries > 1 {
            self.note(Change::Redelivered(seq), cx.now);
            self.progress.redelivered(seq, cx.now);
            return;
        }
        self.note(Change::Delivered(seq), cx.now);
        self.progress.delivered(seq, cx.now);
        self.ahead = self.ahead.saturating_sub(1);
        if let Some(replay) = &mut self.replay {
            (replay.last_ts, replay.not_before) = (chosen.message.ts, 0);
        }
        if self.config.ack_policy == AckPolicy::None {
            cx.effects.settled.push(seq);
        }
    }
}
