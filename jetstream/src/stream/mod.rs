//! One stream: takes messages in, keeps its limits, owns its consumers.
//!
//! ```text
//! publishers' threads   Stream::take     copy into the intake, have the stream scheduled
//! a worker              Stream::run      take the intake, apply it, write, sync, settle
//! an API worker         Stream::change   the same with something else to apply
//! the node's timer      Stream::wake     have the stream scheduled: something is due, or interest changed
//! ```
//!
//! *Settling* is what may happen only once everything written is on disk: answers go out, and consumers see the messages.
//! One thread at a time writes and settles ([`Stream::run`] and [`Stream::change`] take turns); the lock of the core is
//! free while it syncs, so that reads do not wait for a disk.

pub(crate) mod advisory;
mod answers;
pub(crate) mod archived;
mod batch;
mod consumers;
mod core;
mod counter;
mod crowd;
mod dedupe;
pub(crate) mod direct;
mod follow;
mod get;
pub(crate) mod head;
mod inflow;
mod intake;
mod limits;
mod manage;
mod notes;
mod place;
mod publish;
mod recovered;
mod republish;
mod rules;
mod schedule;
mod scrub;
mod state;
mod ttl;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use cordon_accounts::permissions::Permissions;
use cordon_auth::clock::Clock;
use parking_lot::{Mutex, MutexGuard, RwLock};

pub use answers::Answers;
pub use core::Core;
pub use direct::DirectRequest;
pub use get::{ShownMessage, Wanted};
pub(crate) use inflow::stamp;
pub use intake::{Arrival, Intake, IntakeLimits, Kind};
pub use manage::{Action, Room};
pub use state::{Lost, SUBJECTS_PAGE, SourceInfo, StreamInfo, StreamState, SubjectsPage};

use crate::account::{Account, Description, Found, Host, Ledger};
use crate::api::ApiError;
use crate::consumer::{AckForm, End};
use crate::port::Port;
use crate::reader;
use crate::store::Filter;
use place::Location;

/// A stream.
pub struct Stream {
    name: Arc<str>,
    created: crate::config::Moment,
    domain: Option<Arc<str>>,
    intake: Mutex<Intake>,
    limits: IntakeLimits,
    ledger: Arc<Ledger>,
    core: Mutex<Core>,
    /// Held by whoever writes, from before the first change until it is settled.
    turn: Mutex<()>,
    /// Whether a worker is asked for: one of [`IDLE`], [`PUT_OFF`], [`SCHEDULED`].
    asked: AtomicU8,
    /// Something other than arrivals is to be done.
    woken: AtomicBool,
    /// It answers `DIRECT.GET`.
    direct: AtomicBool,
    /// The origin for which it answers `DIRECT.GET`, too.
    mirrored: RwLock<Option<String>>,
    /// It takes nothing any more.
    gone: AtomicBool,
    /// When the node was asked to wake it; `i64::MAX` for never.
    deadline: AtomicI64,
    /// Names of its consumers, for publishers' threads.
    consumers: RwLock<HashMap<Box<str>, Reach>>,
    /// Streams that read from this one.
    followers: Mutex<Vec<Weak<Self>>>,
    account: Weak<Account>,
    host: Arc<dyn Host>,
    port: Arc<dyn Port>,
    clock: Clock,
}

/// What publishers' threads know of a consumer.
struct Reach {
    /// Its deliveries are acknowledged one by one.
    acks: bool,
    /// The share by which another account made it.
    share: Option<Box<str>>,
    /// What it shows.
    shows: Filter,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// It is in the intake.
    Yes,
    /// Too much waits already. A publisher is to be told by [`OVERLOAD_HEADER`] and [`Stream::overload`].
    Overloaded,
    /// The stream has ended.
    Gone,
}

/// Nobody asked for a worker.
const IDLE: u8 = 0;
/// Somebody will, by [`Stream::begin`].
const PUT_OFF: u8 = 1;
/// A worker was asked for and has not begun.
const SCHEDULED: u8 = 2;

/// A worker is asked for at once when so much waits, whatever else is still to come.
const MUCH: usize = 64 << 10;

/// Why a stream writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// It works off what arrived; what somebody waits for is synced.
    Arrivals,
    /// Somebody waits until all of it is on disk.
    Change,
}

/// The header block of the answer to a message for which there was no room.
pub const OVERLOAD_HEADER: &[u8] = b"NATS/1.0 429 Too Many Requests\r\n\r\n";

impl Stream {
    /// A stream over what was found; the account puts it among its streams.
    pub(crate) fn new(account: &Arc<Account>, found: Found) -> Arc<Self> {
        let setup = &account.setup;
        let name: Arc<str> = found.description.config.name.as_str().into();
        let domain: Option<Arc<str>> = setup.settings.domain.as_deref().map(Arc::from);
        let place = Location {
            account: setup.name.as_str().into(),
            stream: name.clone(),
            domain: domain.clone(),
            form: AckForm::of(&setup.settings, setup.name.as_str()),
            max_message: 0,
            holds: Vec::new(),
        };
        let created = found.description.created;
        let parts = core::Parts {
            config: found.description.config,
            created: created.0,
            store: found.store,
            port: setup.port.clone(),
            ledger: account.ledger().clone(),
            place,
            journal: found.journal,
            consumers: found.consumers,
        };
        let core = Core::new(parts, setup.clock.unix_nanos());
        let stream = Self {
            name,
            created,
            domain,
            intake: Mutex::default(),
            limits: setup.settings.intake,
            ledger: account.ledger().clone(),
            direct: AtomicBool::new(core.config().allow_direct),
            mirrored: RwLock::new(answers_for(core.config())),
            consumers: RwLock::new(core.names()),
            core: Mutex::new(core),
            turn: Mutex::new(()),
            asked: AtomicU8::new(IDLE),
            woken: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            deadline: AtomicI64::new(i64::MAX),
            followers: Mutex::default(),
            account: Arc::downgrade(account),
            host: setup.host.clone(),
            port: setup.port.clone(),
            clock: setup.clock.clone(),
        };
        Arc::new(stream)
    }

    /// Takes a copy of an arrival and has the stream scheduled.
    pub fn take(self: &Arc<Self>, arrival: &Arrival<'_>) -> Taken {
        self.take_of_many(arrival, &mut Self::begin)
    }

    /// Takes a copy of an arrival, of which there may be more to come at once. If nobody has the stream scheduled yet, it
    /// is given to `put_off`, which calls [`Stream::begin`] once all are taken. Called on publishers' threads, by the node's
    /// receivers: never waits but for another copy.
    pub fn take_of_many(self: &Arc<Self>, arrival: &Arrival<'_>, put_off: &mut dyn FnMut(&Arc<Self>)) -> Taken {
        if self.gone.load(Ordering::Relaxed) {
            return Taken::Gone;
        }
        let mut intake = self.intake.lock();
        if !intake.push(arrival, self.limits, &self.ledger) {
            return Taken::Overloaded;
        }
        let much = intake.bytes() > MUCH;
        drop(intake);
        if much {
            self.schedule();
        } else if self.asked.compare_exchange(IDLE, PUT_OFF, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            put_off(self);
        }
        Taken::Yes
    }

    /// Has the stream scheduled after [`Stream::take_of_many`].
    pub fn begin(self: &Arc<Self>) {
        if self.asked.compare_exchange(PUT_OFF, SCHEDULED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.host.schedule(self);
        }
    }

    /// Has the stream look at what is due and at who listens. Called by the node's timer and for what
    /// [`Port::watch`] watches.
    pub fn wake(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.schedule();
    }

    /// Works off what waits. Called by a worker of the node, once for each [`Host::schedule`].
    pub fn run(self: &Arc<Self>) {
        let turn = self.turn.lock();
        self.asked.store(IDLE, Ordering::Release);
        let mut arrivals = Intake::default();
        let woken = self.woken.swap(false, Ordering::AcqRel);
        let now = self.clock.unix_nanos();
        self.write(&turn, Round::Arrivals, |core| {
            // With the core locked: who finds nothing waiting and looks then sees all of it.
            arrivals = std::mem::take(&mut *self.intake.lock());
            for arrival in arrivals.iter() {
                core.apply(&arrival, now);
            }
            if woken {
                core.tick(now);
            }
        });
        arrivals.recycle();
        drop(turn);
        if woken && !self.gone.load(Ordering::Relaxed) && self.follows() {
            self.follow();
        }
    }

    /// Changes the stream in its turn, after what arrived before, and returns once the change is on disk. May wait: for
    /// API workers.
    pub fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut Core, i64) -> R) -> R {
        // What this thread answered before is not held up.
        self.port.flush();
        let turn = self.turn.lock();
        let now = self.clock.unix_nanos();
        self.write(&turn, Round::Change, |core| {
            let arrivals = std::mem::take(&mut *self.intake.lock());
            for arrival in arrivals.iter() {
                core.apply(&arrival, now);
            }
            arrivals.recycle();
            change(core, now)
        })
    }

    /// Asks it something, after what arrived before: who acknowledged a message and asks then hears that it is
    /// acknowledged. May wait if something has arrived: for API workers.
    pub(crate) fn ask_in_order<R>(self: &Arc<Self>, ask: impl FnOnce(&mut Core) -> R) -> R {
        let waiting = !self.intake.lock().is_empty();
        if waiting { self.change(|core, _| ask(core)) } else { self.ask(ask) }
    }

    fn written<R>(self: &Arc<Self>, change: impl FnOnce(&mut Core) -> R) -> R {
        let turn = self.turn.lock();
        self.write(&turn, Round::Change, change)
    }

    /// Looks at the stream. What it shows may not be on disk yet.
    pub fn look<R>(&self, look: impl FnOnce(&Core) -> R) -> R {
        look(&self.core.lock())
    }

    /// Answers a `DIRECT.GET`; who calls flushes. May read from a disk: for API workers.
    pub fn direct_get(&self, asked: &DirectRequest<'_>) {
        self.core.lock().direct_get(asked);
    }

    /// It answers `DIRECT.GET`.
    pub fn allows_direct(&self) -> bool {
        self.direct.load(Ordering::Relaxed)
    }

    /// It is a mirror that answers `DIRECT.GET` for its origin.
    pub(crate) fn answers_for(&self, origin: &str) -> bool {
        self.mirrored.read().as_deref() == Some(origin)
    }

    /// When it was made.
    pub fn created(&self) -> crate::config::Moment {
        self.created
    }

    /// The node's domain.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Takes a checked configuration in the place of its own.
    pub(crate) fn reconfigure(self: &Arc<Self>, description: &Description) -> Result<(), ApiError> {
        self.change(|core, now| core.reconfigure(description, now))?;
        self.direct.store(description.config.allow_direct, Ordering::Relaxed);
        *self.mirrored.write() = answers_for(&description.config);
        Ok(())
    }

    /// Ends it, with everything it holds.
    pub(crate) fn delete(self: &Arc<Self>) -> Result<(), ApiError> {
        self.gone.store(true, Ordering::Relaxed);
        self.detach();
        self.change(|core, now| core.end(End::Deleted, now));
        self.consumers.write().clear();
        let destroyed = self.core.lock().destroy();
        self.host.wake_at(self, i64::MAX);
        destroyed
    }

    /// Ends it; what it holds stays on disk.
    pub(crate) fn stop(self: &Arc<Self>) {
        self.gone.store(true, Ordering::Relaxed);
        self.change(|core, now| core.end(End::Shutdown, now));
        self.consumers.write().clear();
        let turn = self.turn.lock();
        self.core.lock().close();
        drop(turn);
        self.host.wake_at(self, i64::MAX);
    }

    /// Ends it without a word, and without writing anything more.
    pub(crate) fn abandon(self: &Arc<Self>) {
        self.gone.store(true, Ordering::Relaxed);
        self.consumers.write().clear();
        let turn = self.turn.lock();
        self.core.lock().give_up();
        drop(turn);
        *self.intake.lock() = Intake::default();
        self.host.wake_at(self, i64::MAX);
    }

    /// The account that it belongs to.
    pub(crate) fn account(&self) -> Option<Arc<Account>> {
        self.account.upgrade()
    }

    /// Asks it something that may bring its notes up to date, and changes nothing else.
    pub(crate) fn ask<R>(&self, ask: impl FnOnce(&mut Core) -> R) -> R {
        ask(&mut self.core.lock())
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// It has a consumer of that name. Cheap: for publishers' threads.
    pub fn has_consumer(&self, name: &str) -> bool {
        self.consumers.read().contains_key(name)
    }

    /// It has a consumer of that name whose deliveries are acknowledged one by one. Cheap: for publishers' threads.
    pub fn takes_acks(&self, name: &str) -> bool {
        self.consumers.read().get(name).is_some_and(|reach| reach.acks)
    }

    /// It has a consumer of that name that was made by that share. Cheap: for publishers' threads.
    pub fn is_of_share(&self, name: &str, share: &str) -> bool {
        self.consumers.read().get(name).is_some_and(|reach| reach.share.as_deref() == Some(share))
    }

    /// Somebody may have what that consumer shows. Cheap where it has a filter: for publishers' threads.
    pub fn may_be_pulled(&self, name: &str, reader: &Permissions) -> bool {
        let shows = self.consumers.read().get(name).map(|reach| reach.shows.clone());
        match shows {
            None => true,
            Some(Filter::Any(patterns)) => reader::check(Some(reader), &patterns).is_ok(),
            Some(Filter::All) => reader::check(Some(reader), &self.look(|core| reader::all_of(core.config()))).is_ok(),
        }
    }

    /// Consumers that other accounts made, and by which shares.
    pub fn shared(&self) -> Vec<(String, String)> {
        let consumers = self.consumers.read();
        let of_share = consumers.iter().filter_map(|(name, reach)| Some((name, reach.share.as_ref()?)));
        of_share.map(|(name, share)| (name.to_string(), share.to_string())).collect()
    }

    /// When it wants to be woken next, Unix nanoseconds.
    pub fn deadline(&self) -> Option<i64> {
        Some(self.deadline.load(Ordering::Acquire)).filter(|at| *at != i64::MAX)
    }

    /// The payload of the answer to a message for which there was no room.
    pub fn overload(&self) -> Vec<u8> {
        refusal(&self.name, &crate::api::ApiError::too_many_requests())
    }

    fn schedule(self: &Arc<Self>) {
        if self.asked.swap(SCHEDULED, Ordering::AcqRel) != SCHEDULED {
            self.host.schedule(self);
        }
    }

    fn write<R>(self: &Arc<Self>, _turn: &MutexGuard<'_, ()>, round: Round, change: impl FnOnce(&mut Core) -> R) -> R {
        let _watch = Watch(self);
        let mut core = self.core.lock();
        let result = change(&mut core);
        let (mut promised, flushed) = core.flush();
        let outcome = match flushed {
            Ok(Some(_)) if round == Round::Arrivals && core.may_wait(&promised, self.clock.unix_nanos()) => Ok(()),
            Ok(sync) => {
                core.unsynced = None;
                sync.map_or(Ok(()), |sync| MutexGuard::unlocked(&mut core, || sync.run()))
            }
            Err(error) => {
                core.unsynced = None;
                Err(error)
            }
        };
        let now = self.clock.unix_nanos();
        // Before they deliver: what is delivered may be acknowledged at once.
        if core.take_consumers_changed() {
            *self.consumers.write() = core.names();
        }
        let before = core.durable();
        core.settle(&mut promised, outcome, now);
        let grown = core.durable() > before;
        let deadline = core.deadline(now).unwrap_or(i64::MAX);
        drop(core);
        self.port.flush();
        if grown {
            self.wake_followers();
        }
        if deadline <= now {
            self.deadline.store(i64::MAX, Ordering::Release);
            self.wake();
        } else if self.deadline.swap(deadline, Ordering::AcqRel) != deadline {
            self.host.wake_at(self, deadline);
        }
        result
    }
}

/// Sees to it that nobody uses a stream whose state a panic left half changed.
struct Watch<'a>(&'a Arc<Stream>);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.gone.store(true, Ordering::Relaxed);
            self.0.host.broken(self.0);
        }
    }
}

/// The origin for which a stream of this configuration answers `DIRECT.GET`.
fn answers_for(config: &crate::config::StreamConfig) -> Option<String> {
    config.mirror.as_ref().filter(|_| config.mirror_direct).map(|mirror| mirror.name.clone())
}

/// The payload of a publish answer that refuses.
pub(crate) fn refusal(stream: &str, error: &ApiError) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Refusal<'a> {
        error: &'a ApiError,
        stream: &'a str,
        seq: u64,
    }
    serde_json::to_vec(&Refusal { error, stream, seq: 0 }).unwrap_or_default()
}
