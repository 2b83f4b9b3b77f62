//! The state of a stream, behind its lock: plain code over a store, with the time passed in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Reach;
use super::batch::Batches;
use super::consumers::Consumers;
use super::dedupe::Dedupe;
use super::follow::Readers;
use super::inflow::Inflow;
use super::rules::Rules;
use super::schedule::Schedules;
use super::{Answers, Arrival, Kind, place::Location};
use crate::account::{Description, Ledger};
use crate::api::ApiError;
use crate::config::{Compression, Storage, StreamConfig};
use crate::consumer::{Consumer, End};
use crate::port::Port;
use crate::reader;
use crate::store::{Journalled, STREAM, Store, StoreError, Sync};

/// So long after the disk had no room it is tried again.
const RETRY_FULL: i64 = 1_000_000_000;

/// What was written by consumers after the last sync is synced after this time at the latest.
const UNSYNCED_MAX: i64 = 100_000_000;

/// The state of a stream.
pub struct Core {
    pub(super) config: Arc<StreamConfig>,
    pub(super) created: i64,
    pub(super) rules: Rules,
    pub(super) store: Box<dyn Store>,
    pub(super) port: Arc<dyn Port>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) place: Location,
    pub(super) consumers: Consumers,
    pub(super) inflow: Inflow,
    pub(super) readers: Readers,
    pub(super) answers: Answers,
    pub(super) ids: Dedupe,
    pub(super) schedules: Schedules,
    pub(super) batches: Batches,
    /// The beginning of every positive answer to a publisher.
    pub(super) ack_head: Vec<u8>,
    /// The last sequence that is on disk: consumers see nothing above it.
    pub(super) durable: u64,
    /// The time of what is applied now.
    pub(super) now: i64,
    /// When the first message ends by age that does not outlive it; known after a look.
    pub(super) next_age: Option<i64>,
    /// All messages below this one outlive the age limit.
    pub(super) outlived: u64,
    /// Bytes that the ledger knows of.
    counted: u64,
    /// Something was journalled that nobody was promised and that is not synced, since this time.
    pub(super) unsynced: Option<i64>,
    /// Why nothing is stored any more.
    failure: Option<String>,
    /// The disk had no room at this time; it is tried again.
    full: Option<i64>,
    /// What consumers or the stream noted may be missing in the journal.
    unnoted: bool,
    /// Consumers that are on disk and cannot be read, and why.
    pub(super) consumers_offline: BTreeMap<String, String>,
    /// What no consumer needs any more is to be looked for, once whoever reads from here is known.
    unswept: bool,
    /// Consumers came or went.
    pub(super) consumers_changed: bool,
    /// It is deleted, or its account ended.
    pub(super) ended: bool,
}

/// What a stream is made from.
pub(super) struct Parts {
    pub(super) config: StreamConfig,
    pub(super) created: i64,
    pub(super) store: Box<dyn Store>,
    pub(super) port: Arc<dyn Port>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) place: Location,
    pub(super) journal: Vec<(String, Journalled)>,
    pub(super) consumers: Vec<(String, Vec<u8>)>,
}

/// What waits for a sync: answers, and the last sequence that was written before it.
pub(super) struct Promised {
    answers: Answers,
    last: u64,
}

impl Core {
    /// A stream over a store that may hold something already.
    pub(super) fn new(parts: Parts, now: i64) -> Self {
        let state = parts.store.state();
        let mut core = Self {
            rules: Rules::of(&parts.config),
            created: parts.created,
            store: parts.store,
            port: parts.port,
            place: parts.place,
            consumers: Consumers::default(),
            inflow: Inflow::default(),
            readers: Readers::default(),
            answers: Answers::default(),
            ids: Dedupe::default(),
            schedules: Schedules::default(),
            batches: Batches::new(parts.ledger.node().clone()),
            ledger: parts.ledger,
            ack_head: Vec::new(),
            durable: state.last_seq,
            now,
            next_age: None,
            outlived: 0,
            counted: 0,
            unsynced: None,
            failure: None,
            full: None,
            unnoted: false,
            consumers_offline: BTreeMap::new(),
            unswept: false,
            consumers_changed: false,
            ended: false,
            config: Arc::new(parts.config),
        };
        core.configured();
        core.recover(&parts.journal, &parts.consumers, now);
        core.count();
        core
    }

    /// Its configuration, completed and checked.
    pub fn config(&self) -> &Arc<StreamConfig> {
        &self.config
    }

    /// Its messages.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The last sequence that consumers may see.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// What follows from the configuration alone.
    pub(super) fn configured(&mut self) {
        self.rules = Rules::of(&self.config);
        self.store.compress(self.config.compression != Compression::None);
        for feed in self.inflow.configure(&self.config, self.place.domain.as_deref()) {
            self.end_far(&feed, End::Deleted);
        }
        self.place.holds = reader::all_of(&self.config);
        self.place.max_message = u64::try_from(self.config.max_msg_size).unwrap_or(1 << 20);
        let domain = self.place.domain.as_ref().map(|domain| format!("\"domain\":\"{domain}\","));
        let domain = domain.unwrap_or_default();
        self.ack_head = format!("{{\"stream\":\"{}\",{domain}\"seq\":", self.config.name).into_bytes();
    }

    fn recover(&mut self, journal: &[(String, Journalled)], consumers: &[(String, Vec<u8>)], now: i64) {
        let own = journal.iter().find(|(owner, _)| owner == STREAM).map(|(_, own)| own);
        let nothing = Journalled::default();
        let own = own.unwrap_or(&nothing);
        if self.recover_notes(own, now) | self.recover_schedules(own, now) {
            self.settle_notes();
        }
        self.recover_consumers(journal, consumers, now);
        self.limits_changed(now);
        self.unswept = true;
    }

    /// It is kept in files.
    pub(super) fn is_in_files(&self) -> bool {
        self.config.storage == Storage::File
    }

    /// Applies one arrival.
    pub(super) fn apply(&mut self, arrival: &Arrival<'_>, now: i64) {
        self.now = now;
        if self.ended {
            return;
        }
        match arrival.kind {
            Kind::Publish => self.publish(arrival, now),
            Kind::Acknowledge => self.acknowledge(arrival, now),
            Kind::Request => self.request(arrival, now),
            Kind::Flow => self.flow(arrival, now),
            Kind::Origin(number) => self.heard_from_far(number, arrival, now),
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: i64) {
        self.now = now;
        if self.ended {
            return;
        }
        if std::mem::take(&mut self.unswept) {
            self.sweep(now);
        }
        self.expire(now);
        self.expire_batches(now);
        self.fire(now);
        self.tick_consumers(now);
        self.delete_unused(now);
        self.tick_far(now);
    }

    /// When something is due.
    pub(super) fn deadline(&mut self, now: i64) -> Option<i64> {
        if self.ended {
            return None;
        }
        let ids =
            self.ids.oldest().map(|at| at.saturating_add(self.config.duplicate_window).saturating_add(1_000_000_000));
        let consumers = self.consumers_deadline(now);
        let unsynced = self.unsynced.map(|at| at + UNSYNCED_MAX);
        let batches = self.batches.deadline(self.batch_timeout());
        let full = self.full.map(|at| at.saturating_add(RETRY_FULL));
        let all =
            [self.next_end(), ids, consumers, unsynced, self.inflow.deadline(), batches, self.next_schedule(), full];
        let first = all.into_iter().flatten().min();
        // What cannot be written now is not tried again and again.
        let earliest = if self.trouble().is_some() { now.saturating_add(RETRY_FULL) } else { i64::MIN };
        first.map(|at| at.max(earliest))
    }

    /// Names of its consumers, and whether their deliveries are acknowledged one by one.
    pub(super) fn names(&self) -> HashMap<Box<str>, Reach> {
        let reach = |consumer: &Consumer| Reach {
            acks: consumer.takes_acks(),
            share: consumer.share().map(Into::into),
            shows: consumer.filter().clone(),
        };
        self.consumers.crowd.all().map(|consumer| (consumer.name().into(), reach(consumer))).collect()
    }

    /// Consumers came or went since the last call.
    pub(super) fn take_consumers_changed(&mut self) -> bool {
        std::mem::take(&mut self.consumers_changed)
    }

    /// Takes a checked configuration in the place of its own, and does what follows from it.
    pub(super) fn reconfigure(&mut self, description: &Description, now: i64) -> Result<(), ApiError> {
        self.now = now;
        let violating = self.beyond_limits(&description.config.consumer_limits);
        if !violating.is_empty() {
            let names = violating.join(", ");
            return Err(ApiError::stream_update(format_args!("change to limits violates consumers: {names}")));
        }
        self.store.describe(&description.write()).map_err(ApiError::stream_update)?;
        let old = std::mem::replace(&mut self.config, Arc::new(description.config.clone()));
        self.configured();
        self.batches_configured();
        if self.config.allow_msg_schedules && !old.allow_msg_schedules && self.is_in_files() {
            // What is stored already is no schedule, whatever it says.
            self.snapshot_notes();
        }
        self.limits_changed(now);
        if old.retention != self.config.retention {
            self.sweep(now);
        }
        Ok(())
    }

    /// The stream ends.
    pub(super) fn end(&mut self, why: End, now: i64) {
        self.end_consumers(why, now);
        for feed in &self.inflow.feeds {
            self.end_far(feed, why);
        }
        if why == End::Deleted {
            self.consumers = Consumers::default();
        }
        self.ended = true;
    }

    /// Nothing of it remains.
    pub(super) fn destroy(&mut self) -> Result<(), ApiError> {
        self.store.destroy().map_err(ApiError::stream_delete)
    }

    /// Hands over to the disk; gives what waits for the sync, and the sync.
    pub(super) fn flush(&mut self) -> (Promised, Result<Option<Box<dyn Sync>>, StoreError>) {
        self.note_far();
        let written = self.write_consumers();
        if std::mem::take(&mut self.unnoted) {
            self.snapshot_notes();
            self.snapshot_consumers();
        }
        self.snapshots();
        self.count();
        let promised = Promised { answers: std::mem::take(&mut self.answers), last: self.store.state().last_seq };
        if let Some(failure) = &self.failure {
            return (promised, Err(StoreError::ReadOnly(failure.clone())));
        }
        (promised, written.and_then(|()| self.store.flush()))
    }

    /// What was written may wait for the next sync: nobody is promised anything by it, and it has not waited for long.
    /// So it is with deliveries, and with acknowledgements that ask for no answer.
    pub(super) fn may_wait(&mut self, promised: &Promised, now: i64) -> bool {
        let since = *self.unsynced.get_or_insert(now);
        promised.last <= self.durable
            && !promised.answers.promise_something()
            && now < since.saturating_add(UNSYNCED_MAX)
    }

    /// What was promised is on disk, or is not: answers go out, and consumers see what they may.
    pub(super) fn settle(&mut self, promised: &mut Promised, outcome: Result<(), StoreError>, now: i64) {
        let failed = outcome.err().map(|error| {
            let error = self.store_failed(&error);
            super::refusal(&self.config.name, &error)
        });
        if failed.is_none() {
            self.durable = self.durable.max(promised.last);
            if self.full.take().is_some() {
                tracing::warn!(account = %self.place.account, stream = %self.config.name, "there is room again: the stream stores");
            }
        }
        promised.answers.send(&*self.port, failed.as_deref());
        if !self.ended && failed.is_none() {
            self.pump(now);
        }
    }

    /// Storing failed: it is told once, and the error that clients get is given.
    pub(super) fn store_failed(&mut self, error: &StoreError) -> ApiError {
        if matches!(error, StoreError::TooLarge) {
            return ApiError::stream_store_failed(error);
        }
        if error.is_full() {
            if self.full.is_none() {
                tracing::error!(account = %self.place.account, stream = %self.config.name, %error, "the stream stores nothing until there is room");
            }
            self.full = Some(self.now);
            (self.unnoted, self.unswept) = (true, true);
            return ApiError::insufficient_resources();
        }
        if self.failure.is_none() {
            tracing::error!(account = %self.place.account, stream = %self.config.name, %error, "the stream stores nothing any more");
            self.failure = Some(error.to_string());
        }
        ApiError::stream_store_failed(error)
    }

    /// Why the stream stores nothing.
    pub fn trouble(&self) -> Option<&str> {
        self.failure.as_deref().or(self.full.map(|_| "there is no room on the disk"))
    }

    /// Nothing more will be written; its files are left in order.
    pub(super) fn close(&mut self) {
        self.store.close();
    }

    /// Its state cannot be trusted any more: nothing of it is written or sent.
    pub(super) fn give_up(&mut self) {
        self.consumers = Consumers::default();
        self.ended = true;
        self.store.abandon();
        self.count();
    }

    /// Puts another store around its own.
    #[cfg(test)]
    pub(crate) fn wrap_store(&mut self, wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) {
        let store = std::mem::replace(&mut self.store, Box::new(crate::store::memory::MemoryStore::new()));
        self.store = wrap(store);
    }

    /// Tells the ledger how large the stream is now.
    pub(super) fn count(&mut self) {
        let bytes = if self.ended { 0 } else { self.store.state().bytes };
        if bytes != self.counted {
            self.ledger.moved(self.config.storage, bytes.cast_signed().wrapping_sub(self.counted.cast_signed()));
            self.counted = bytes;
        }
    }

    /// When the journal has grown, each owner says anew what it needs.
    fn snapshots(&mut self) {
        if !self.store.wants_snapshots() {
            return;
        }
        self.snapshot_notes();
        self.snapshot_consumers();
    }
}
