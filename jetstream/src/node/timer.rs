//! One thread that wakes streams when something is due in them, or somebody they wait for has come or gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cordon_auth::clock::Clock;
use foldhash::quality::RandomState;
use parking_lot::{Condvar, Mutex};

use crate::account::Account;
use crate::stream::Stream;

/// The clock is looked at as often: it may be set while somebody waits.
const LOOK: Duration = Duration::from_millis(500);

/// So long after somebody came who was waited for, a stream is woken: members of a queue group come one by one.
const GATHER: Duration = Duration::from_millis(2);

/// Which stream is to be woken, and when.
#[derive(Default)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    by_time: BTreeMap<(i64, usize), Weak<Stream>>,
    /// When each is woken, by its address.
    of: HashMap<usize, i64, RandomState>,
    /// Streams to be woken soon, by name: whoever says so may hold locks. And when.
    soon: Vec<(Weak<Account>, Arc<str>)>,
    soon_at: Option<Instant>,
    stopped: bool,
}

impl Timer {
    /// Wakes the stream at `at`, Unix nanoseconds, and not when it was said before; `i64::MAX` is never.
    pub(super) fn at(&self, stream: &Arc<Stream>, at: i64) {
        let address = Arc::as_ptr(stream).addr();
        let mut state = self.state.lock();
        let first = state.by_time.first_key_value().map(|((first, _), _)| *first);
        if let Some(before) = state.of.remove(&address) {
            state.by_time.remove(&(before, address));
        }
        if at == i64::MAX {
            return;
        }
        state.of.insert(address, at);
        state.by_time.insert((at, address), Arc::downgrade(stream));
        drop(state);
        if first.is_none_or(|first| at < first) {
            self.changed.notify_one();
        }
    }

    /// Wakes a stream of an account soon.
    pub(super) fn soon(&self, account: Weak<Account>, stream: Arc<str>) {
        let mut state = self.state.lock();
        state.soon.push((account, stream));
        state.soon_at.get_or_insert_with(|| Instant::now() + GATHER);
        drop(state);
        self.changed.notify_one();
    }

    /// Ends [`Timer::run`].
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Wakes streams until it is stopped.
    pub(super) fn run(&self, clock: &Clock) {
        while let Some((due, named)) = self.wait(clock) {
            for stream in due.iter().filter_map(Weak::upgrade) {
                stream.wake();
            }
            for (account, name) in named {
                if let Some(stream) = account.upgrade().and_then(|account| account.stream(&name)) {
                    stream.wake();
                }
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "the two lists are taken apart at once")]
    fn wait(&self, clock: &Clock) -> Option<(Vec<Weak<Stream>>, Vec<(Weak<Account>, Arc<str>)>)> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            let now = clock.unix_nanos();
            let mut due = Vec::new();
            while let Some(first) = state.by_time.first_entry().filter(|first| first.key().0 <= now) {
                let ((_, address), stream) = first.remove_entry();
                state.of.remove(&address);
                due.push(stream);
            }
            let gathered = state.soon_at.map(|at| at.saturating_duration_since(Instant::now()));
            let mut named = Vec::new();
            if gathered == Some(Duration::ZERO) {
                state.soon_at = None;
                named = std::mem::take(&mut state.soon);
            }
            if !due.is_empty() || !named.is_empty() {
                return Some((due, named));
            }
            let until = state.by_time.first_key_value().map(|((at, _), _)| at.saturating_sub(now));
            let until = until.and_then(|ns| u64::try_from(ns).ok()).map_or(LOOK, Duration::from_nanos);
            let until = until.min(gathered.unwrap_or(LOOK));
            self.changed.wait_for(&mut state, until.clamp(Duration::from_micros(100), LOOK));
        }
    }
}
