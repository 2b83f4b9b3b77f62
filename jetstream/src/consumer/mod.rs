//! One consumer: what comes next, who asked, what is not acknowledged yet.
//!
//! A consumer is plain synchronous code. Its stream calls it under its lock with a [`Context`]: the store, the way out
//! and the time. It has no threads and no timers: [`Consumer::deadline`] says when it wants to be called again.
//!
//! ```text
//! start      where it begins                          request, waiting   pull requests
//! progress   what was delivered, waits, is due        flow, rate         how fast a push consumer may send
//! journal    changes of it as bytes; snapshot         priority           which request of a group is served
//! deliver    the next message and where it goes       advisory, info     what others are told
//! ack        acknowledgements                         check, update      configurations
//! push, pull, life   the rest of what happens to it
//! ```
//!
//! How a stream uses it in one round: apply acknowledgements and requests ([`Consumer::acknowledge`],
//! [`Consumer::request`]), [`Consumer::write`] what changed, flush and sync the store, send the answers gathered in
//! [`Effects`], then [`Consumer::pump`] messages up to the durable sequence.

mod ack;
mod advisory;
mod archived;
pub mod check;
mod deliver;
mod flow;
mod header;
mod info;
mod journal;
mod life;
mod number;
mod priority;
mod progress;
mod pull;
mod push;
mod request;
mod snapshot;
pub(crate) mod sourcing;
mod start;
mod status;
mod subject;
pub mod update;
mod waiting;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use cordon_accounts::subject::Pattern;

use crate::config::{AckPolicy, ConsumerConfig, DeliverPolicy, ReplayPolicy};
use crate::port::{Outgoing, Port};
use crate::share;
use crate::store::{Filter, Journalled, Store, StoreError};

pub use advisory::{consumer_created, consumer_deleted};
pub(crate) use archived::{Archived, ArchivedState};
pub use info::{ConsumerInfo, Description, PauseState, PinInfo, STOPPED, SequenceInfo};
pub(crate) use journal::push_varint;
pub use life::{End, ResetError};
pub use priority::UnpinError;
pub use progress::Pair;
pub use subject::{ACK_PREFIX, AckForm, AckSubject, AckTokens, FLOW_PREFIX, parse_ack, parse_flow};

use journal::Entry;
use progress::{Change, Progress, Tracking};
use waiting::Queue;

/// Where a consumer is, and what does not change while it is called.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The account's name.
    pub account: &'a str,
    /// The stream's name.
    pub stream: &'a str,
    /// The server's domain.
    pub domain: Option<&'a str>,
    /// How reply subjects are written.
    pub form: &'a AckForm,
    /// Largest message of the stream, which a rate limit lets pass at once.
    pub max_message: u64,
    /// What the stream may hold.
    pub holds: &'a [Pattern],
}

/// What a consumer works with while it is called.
pub struct Context<'a> {
    /// Where it is.
    pub place: Place<'a>,
    /// The stream's messages and journal.
    pub store: &'a mut dyn Store,
    /// The way out.
    pub port: &'a dyn Port,
    /// Unix nanoseconds.
    pub now: i64,
    /// Messages up to this sequence survive a crash; no other is delivered.
    pub durable: u64,
    /// What the stream is to do afterwards.
    pub effects: &'a mut Effects,
}

/// What a stream is to do for a consumer that it called.
#[derive(Debug, Default)]
pub struct Effects {
    /// Reply subjects that get an empty message once what was journalled so far is synced.
    pub answers: Vec<Bytes>,
    /// Messages that this consumer needs no more; streams that keep by interest may remove them.
    pub settled: Vec<u64>,
    /// Nobody used the consumer for too long: it is to be deleted.
    pub unused: bool,
}

/// One consumer.
pub struct Consumer {
    name: String,
    created: i64,
    config: ConsumerConfig,
    filter: Filter,
    progress: Progress,
    /// Matching messages that were not delivered yet.
    ahead: u64,
    entry: Entry,
    scratch: Vec<u8>,
    acks: subject::AckWriter,
    queue: Queue,
    push: Option<push::Push>,
    pin: Option<priority::Pin>,
    replay: Option<Replay>,
    /// Deliveries stop until then; 0 for none.
    paused_until: i64,
    /// When somebody used it last.
    used: i64,
    /// When it is looked at whether somebody uses it; 0 for never.
    look_at: i64,
    /// Nothing is delivered before then, since reading failed.
    held_until: i64,
    last_delivery: i64,
    last_ack: i64,
    sampled: u32,
    /// The greatest part of 100 acknowledgements that is told of.
    sample: u32,
}

/// A consumer that delivers what was stored before it was there at its original pace.
#[derive(Clone, Copy, Debug)]
struct Replay {
    /// Up to and including this sequence.
    until: u64,
    /// When the last message was stored that it delivered.
    last_ts: i64,
    /// When the next one may go.
    not_before: i64,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("name", &self.name).field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Consumer {
    /// A new consumer with a configuration that was completed and checked ([`check::complete`]); it begins where its
    /// deliver policy says.
    ///
    /// The caller describes it in the store ([`Consumer::description`]) before it says that it is there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if its beginning cannot be journalled.
    pub fn create(name: &str, config: ConsumerConfig, cx: &mut Context<'_>) -> Result<Self, StoreError> {
        let filter = filter_of(&config);
        let progress = start::begin(&config, &filter, cx.store);
        let mut consumer = Self::assemble(name, config, filter, progress, cx.now, cx);
        if consumer.config.replay_policy == ReplayPolicy::Original {
            consumer.replay = Some(Replay { until: cx.store.state().last_seq, last_ts: 0, not_before: 0 });
        }
        consumer.enter(cx);
        if consumer.is_kept() {
            let snapshot = consumer.snapshot();
            cx.store.snapshot(name, &snapshot)?;
        }
        Ok(consumer)
    }

    /// A consumer as it was when the stream was open last. What its journal does not know any more was delivered but
    /// not written down; it is delivered once more.
    pub fn recover(description: Description, journalled: &Journalled, cx: &mut Context<'_>) -> Self {
        let Description { name, created, config } = description;
        let filter = filter_of(&config);
        let read = journalled.snapshot.as_deref().and_then(snapshot::read);
        let replay_until = read.as_ref().map_or(0, |(_, until)| *until);
        let mut progress = match read {
            Some((image, _)) => Progress::of_image(tracking_of(&config), &waits_of(&config), image),
            None => start::begin(&config, &filter, cx.store),
        };
        for entry in &journalled.entries {
            if !journal::read(entry, |change, at| progress.apply(change, at)) {
                tracing::warn!(stream = cx.place.stream, consumer = name, "an entry of the journal cannot be read");
            }
        }
        let mut consumer = Self::assemble(&name, config, filter, progress, created.0, cx);
        if consumer.config.replay_policy == ReplayPolicy::Original && replay_until > 0 {
            consumer.replay = Some(Replay { until: replay_until, last_ts: 0, not_before: 0 });
        }
        consumer.drop_missing(cx);
        consumer.enter(cx);
        consumer
    }

    fn assemble(
        name: &str,
        config: ConsumerConfig,
        filter: Filter,
        progress: Progress,
        created: i64,
        cx: &Context<'_>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            created,
            acks: subject::AckWriter::new(
                share::form(&config.metadata).as_ref().unwrap_or(cx.place.form),
                cx.place.stream,
                name,
            ),
            push: push::Push::of(&config, cx),
            filter,
            progress,
            ahead: 0,
            entry: Entry::default(),
            scratch: Vec::new(),
            queue: Queue::default(),
            pin: None,
            replay: None,
            paused_until: config.pause_until.map_or(0, |until| until.0),
            used: cx.now,
            look_at: 0,
            held_until: 0,
            last_delivery: 0,
            last_ack: 0,
            sampled: 0,
            sample: check::sample_percent(&config.sample_freq).unwrap_or(0),
            config,
        }
    }

    /// From now on it is one of the stream's consumers.
    fn enter(&mut self, cx: &mut Context<'_>) {
        if self.paused_until != 0 && self.paused_until <= cx.now {
            self.paused_until = 0;
        }
        self.recount(cx);
        self.watch(true, cx);
        self.interest_changed(cx);
        self.schedule_look(cx.now);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its configuration.
    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// What it wants of the stream.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Its deliveries are acknowledged on their reply subjects.
    pub fn takes_acks(&self) -> bool {
        !matches!(self.config.ack_policy, AckPolicy::None | AckPolicy::FlowControl)
    }

    /// The share by which another account made it.
    pub fn share(&self) -> Option<&str> {
        share::of(&self.config.metadata)
    }

    /// An acknowledgement whose subject names this owner is of its deliveries: those of a share name the share.
    pub fn is_acknowledged_by(&self, owner: Option<&[u8]>) -> bool {
        match (self.share(), owner.and_then(|owner| std::str::from_utf8(owner).ok())) {
            (Some(share), owner) => owner == Some(share),
            (None, Some(owner)) => !cordon_accounts::share::is_id(owner),
            (None, None) => owner.is_none(),
        }
    }

    /// It belongs to a mirror or a source, and is in no list.
    pub fn is_internal(&self) -> bool {
        self.config.direct
    }

    /// It has a description and a journal in the store.
    pub fn is_kept(&self) -> bool {
        !self.config.mem_storage && !self.config.direct
    }

    // ---- the stream's messages

    /// A message was stored.
    pub fn stored(&mut self, seq: u64, subject: &[u8]) {
        if seq >= self.progress.open_from() && self.filter.matches(subject) {
            self.ahead += 1;
        }
    }

    /// A message is no more: a limit took it, or somebody deleted it. If it waited for its acknowledgement, the account
    /// is told that it never comes again.
    pub fn removed(&mut self, seq: u64, subject: &[u8], cx: &mut Context<'_>) {
        if let Some(delivery) = self.forget(seq, subject, cx) {
            self.tell_terminated(&delivery, "Unacknowledged message was deleted", cx);
        }
    }

    /// A message was purged. Nobody is told of what waited: a purge is of all messages, not of one.
    pub fn purged_one(&mut self, seq: u64, subject: &[u8], cx: &mut Context<'_>) {
        self.forget(seq, subject, cx);
    }

    /// A message is no more; gives its delivery if it waited.
    fn forget(&mut self, seq: u64, subject: &[u8], cx: &mut Context<'_>) -> Option<advisory::Delivery> {
        if self.progress.is_ahead(seq) {
            if self.filter.matches(subject) {
                self.ahead = self.ahead.saturating_sub(1);
            }
            return None;
        }
        let deliveries = self.progress.deliveries(seq);
        if self.progress.pending(seq).is_none() && !self.progress.is_exhausted(seq) {
            return None;
        }
        self.note(Change::Gone(seq), cx.now);
        let pending = self.progress.gone(seq)?;
        self.last_ack = cx.now;
        Some(advisory::Delivery { stream_seq: seq, consumer_seq: pending.consumer_seq, deliveries })
    }

    /// All messages below `seq` are no more, and [`Consumer::removed`] was told of each of them or is not: nothing
    /// there waits any more, and what is to come is counted anew.
    pub fn purged(&mut self, seq: u64, cx: &mut Context<'_>) {
        if self.progress.next() < seq || self.progress.floor_pair().stream < seq.saturating_sub(1) {
            self.note(Change::Next(seq), cx.now);
            self.note(Change::AckedAll(seq.saturating_sub(1)), cx.now);
            self.progress.cut_below(seq, &mut |_| {});
        }
        self.recount(cx);
    }

    /// Whether a message must be kept for it (jetstream.md 3.10).
    pub fn still_needs(&self, seq: u64, subject: &[u8]) -> bool {
        if !self.filter.matches(subject) {
            return false;
        }
        if self.progress.is_exhausted(seq) || self.progress.is_ahead(seq) {
            return true;
        }
        match self.config.ack_policy {
            AckPolicy::None => false,
            AckPolicy::All | AckPolicy::FlowControl => seq > self.progress.floor_pair().stream,
            AckPolicy::Explicit => self.progress.pending(seq).is_some(),
        }
    }

    /// The lowest sequence that it may still need; messages below are judged by [`Consumer::still_needs`] without it.
    pub fn floor(&self) -> Pair {
        self.progress.floor_pair()
    }

    // ---- the journal

    /// Journals what changed since the last call. The stream calls it before it flushes the store: an acknowledgement
    /// is answered only after that.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing that waits for this entry may be answered then.
    pub fn write(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        if self.entry.is_empty() {
            return Ok(());
        }
        self.entry.take(&mut self.scratch);
        if self.is_kept() { store.journal(&self.name, &self.scratch) } else { Ok(()) }
    }

    /// All that the journal must know of it, in the place of what it knows.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.progress.image(), self.replay.map_or(0, |replay| replay.until))
    }

    /// Gives the journal a snapshot in the place of all entries so far.
    ///
    /// # Errors
    ///
    /// As [`Consumer::write`].
    pub fn write_snapshot(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        self.entry.take(&mut self.scratch);
        if self.is_kept() { store.snapshot(&self.name, &self.snapshot()) } else { Ok(()) }
    }

    fn note(&mut self, change: Change, now: i64) {
        if self.is_kept() {
            self.entry.note(change, now);
        }
    }

    // ---- small things that all parts use

    fn is_push(&self) -> bool {
        self.push.is_some()
    }

    fn is_paused(&self, now: i64) -> bool {
        self.paused_until > now
    }

    /// No new message is delivered until some are acknowledged.
    fn is_full(&self) -> bool {
        self.config.max_ack_pending > 0
            && self.config.ack_policy != AckPolicy::None
            && self.progress.pending_count() as u64 >= self.config.max_ack_pending.cast_unsigned()
    }

    /// Counts anew what is to be delivered.
    fn recount(&mut self, cx: &Context<'_>) {
        let listed = self.progress.listed().iter().filter(|seq| cx.store.peek(**seq).is_some()).count() as u64;
        self.ahead = listed + cx.store.count(&self.filter, self.progress.open_from());
    }

    /// What waits for acknowledgement but is no more in the store waits no more. Only after a crash, or damage.
    fn drop_missing(&mut self, cx: &mut Context<'_>) {
        let state = cx.store.state();
        let gone: Vec<u64> = self.progress.pending_seqs().filter(|seq| cx.store.peek(*seq).is_none()).collect();
        for seq in gone {
            self.note(Change::Gone(seq), cx.now);
            self.progress.gone(seq);
        }
        if state.first_seq > self.progress.next() {
            self.progress.skip_to(state.first_seq);
        }
    }
}

/// Sends a status message: a header block alone.
fn send_status(to: &[u8], header: &[u8], cx: &Context<'_>) {
    cx.port.send(&Outgoing { to, header, ..Outgoing::default() });
}

/// The filter that a checked configuration means.
pub fn filter_of(config: &ConsumerConfig) -> Filter {
    let one = (!config.filter_subject.is_empty()).then_some(&config.filter_subject);
    Filter::of(one.into_iter().chain(&config.filter_subjects).filter_map(|text| Pattern::parse(text).ok()))
}

fn tracking_of(config: &ConsumerConfig) -> Tracking {
    if config.ack_policy == AckPolicy::None { Tracking::Nothing } else { Tracking::Waiting }
}

/// Waits before redeliveries: the list of the configuration, or `ack_wait`; none if there is no end.
fn waits_of(config: &ConsumerConfig) -> Vec<i64> {
    if !matches!(config.ack_policy, AckPolicy::All | AckPolicy::Explicit) {
        Vec::new()
    } else if config.backoff.is_empty() {
        Vec::from_iter((config.ack_wait > 0).then_some(config.ack_wait))
    } else {
        config.backoff.clone()
    }
}

/// It delivers the last message of each subject first.
fn starts_with_last_of_each(config: &ConsumerConfig) -> bool {
    config.deliver_policy == DeliverPolicy::LastPerSubject
}
