//! The search for damage while the broker runs: one thread that reads through the files of all streams, slowly.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

use super::Shared;
use cordon_server::config::jetstream::JetStreamOptions;

/// Bytes of a second, if nothing else is said: what one disk does not notice, and 350 GB a day.
const RATE: u64 = 4 << 20;
/// A round begins so long after the one before began, if nothing else is said.
const EVERY: Duration = Duration::from_hours(24);
/// The first one begins so long after the start at the latest.
const FIRST: Duration = Duration::from_mins(10);

/// How the search goes on.
pub(super) struct Scrub {
    /// Bytes of a second; 0 for no search.
    rate: u64,
    every: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopped: bool,
    /// When the next bytes may be read.
    next: Option<Instant>,
    bytes: u64,
    rounds: u64,
    files: u64,
    /// Of all rounds.
    damaged_files: u64,
    lost: u64,
}

impl Scrub {
    pub(super) fn new(options: &JetStreamOptions) -> Self {
        let rate = options.scrub_rate.unwrap_or(RATE);
        let every = options.scrub_interval.unwrap_or(EVERY);
        Self { rate, every, state: Mutex::default(), changed: Condvar::new() }
    }

    /// There is to be one.
    pub(super) fn is_on(&self) -> bool {
        self.rate > 0
    }

    /// Ends [`Scrub::run`], soon.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// As monitoring shows it.
    pub(super) fn shown(&self) -> Value {
        let state = self.state.lock();
        json!({
            "rate": self.rate,
            "interval": self.every.as_nanos() as u64,
            "rounds": state.rounds,
            "files": state.files,
            "bytes": state.bytes,
            "damaged_files": state.damaged_files,
            "lost": state.lost,
        })
    }

    /// Searches, round by round, until it is stopped.
    pub(super) fn run(&self, node: &Shared) {
        // Others go first; where that is for the process as a whole, it is left alone.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::nice(19) {
            tracing::debug!(%error, "the search for damage has the priority of others");
        }
        let mut at = Instant::now() + self.every.min(FIRST);
        while self.wait_until(at) {
            at = Instant::now() + self.every;
            if !self.round(node) {
                return;
            }
        }
    }

    fn round(&self, node: &Shared) -> bool {
        for member in node.members() {
            for stream in member.account.streams() {
                let done = stream.scrub(&mut |bytes| self.pace(bytes));
                let mut state = self.state.lock();
                if state.stopped {
                    return false;
                }
                let Some(done) = done else { continue };
                state.files += done.files;
                state.damaged_files += done.ill;
                state.lost += done.messages;
            }
        }
        self.state.lock().rounds += 1;
        true
    }

    /// Waits until so many bytes may be read; false once it is stopped.
    fn pace(&self, bytes: u64) -> bool {
        let at = {
            let mut state = self.state.lock();
            let at = state.next.unwrap_or_else(Instant::now).max(Instant::now());
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
            state.next = Some(at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX >> 8)));
            state.bytes += bytes;
            at
        };
        self.wait_until(at)
    }

    fn wait_until(&self, at: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.stopped && Instant::now() < at {
            self.changed.wait_until(&mut state, at);
        }
        !state.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_paced_and_a_stop_ends_the_wait() {
        let options = JetStreamOptions { scrub_rate: Some(1_000_000), ..JetStreamOptions::default() };
        let scrub = std::sync::Arc::new(Scrub::new(&options));
        let began = Instant::now();
        for _ in 0..5 {
            assert!(scrub.pace(10_000));
        }
        assert!(began.elapsed() >= Duration::from_millis(40), "50 KB at 1 MB a second, but for the last");
        let waiting = scrub.clone();
        let waits = std::thread::spawn(move || (0..3).all(|_| waiting.pace(1 << 40)));
        scrub.stop();
        assert!(!waits.join().unwrap() && !scrub.pace(1));
        assert!(!Scrub::new(&JetStreamOptions { scrub_rate: Some(0), ..JetStreamOptions::default() }).is_on());
    }
}
