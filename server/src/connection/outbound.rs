//! One connection's pending output: anyone may append, one writes at a time.
//!
//! ```text
//! publishers --append--> queue --(a publisher at the end of its batch)--> socket
//!                                  \--(a drain task while the socket blocks)--/
//! ```
//!
//! Whoever finds `owed` unset sets it and must call [`Outbound::flush`] later; so bytes never wait
//! without somebody in charge of them, and nobody is woken per message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

pub use crate::connection::backlog::Appended;
use crate::connection::backlog::Backlog;
use crate::connection::chunks::Chunks;
use crate::connection::socket::{Progress, Socket};
use crate::connection::write_timeout::WriteTimeout;
use crate::limits::FLUSH_ROUNDS;
use crate::sync::Mutex;

/// Pending output and who writes it.
#[derive(Debug)]
pub struct Outbound {
    state: Mutex<State>,
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    backlog: Backlog,
    socket: Option<Arc<Socket>>,
}

/// What the writer should do next.
#[derive(Debug)]
pub enum Flushed {
    /// Nothing waits, or somebody else is writing.
    Idle,
    /// The socket blocks; the caller must start a drain task.
    Blocked(Arc<Socket>),
    /// The socket is broken.
    Broken(std::io::Error),
}

impl Outbound {
    /// Output of a connection whose socket is not yet attached.
    pub fn new() -> Self {
        Self { state: Mutex::default(), drained: Notify::new() }
    }

    /// Whether the peer has closed its side, whatever it sent before.
    pub fn is_read_closed(&self) -> bool {
        self.state.lock().socket.as_ref().is_some_and(|socket| socket.is_read_closed())
    }

    /// The socket that it writes to, once it has one.
    pub fn socket(&self) -> Option<Arc<Socket>> {
        self.state.lock().socket.clone()
    }

    /// Gives the socket to write to.
    pub fn attach(&self, socket: Arc<Socket>) {
        self.state.lock().socket = Some(socket);
    }

    /// Appends a delivery if `accept`, asked under the lock, agrees.
    ///
    /// The lock makes UNSUB a fence: whoever closes a subscription under [`Self::with_lock`] knows
    /// that no further message for it is queued.
    #[inline]
    pub fn deliver(
        &self,
        max_pending: usize,
        message_bytes: usize,
        accept: impl FnOnce() -> bool,
        append: impl FnOnce(&mut Chunks),
    ) -> Appended {
        let mut state = self.state.lock();
        if state.backlog.is_closed() || !accept() {
            return Appended::Refused;
        }
        state.backlog.deliver(max_pending, message_bytes, append)
    }

    /// Appends a protocol line. It counts as pending like a delivery: a client can ask for lines.
    pub fn line(&self, max_pending: usize, line: &[u8]) -> Appended {
        let mut state = self.state.lock();
        if state.backlog.is_closed() {
            return Appended::Refused;
        }
        state.backlog.line(max_pending, line)
    }

    /// Has whoever writes next take along what the socket has of its own to write.
    pub fn poke(&self) -> Appended {
        self.state.lock().backlog.poke()
    }

    /// Runs `change` while nothing can be appended.
    pub fn with_lock<T>(&self, change: impl FnOnce() -> T) -> T {
        let _guard = self.state.lock();
        change()
    }

    /// Writes what is pending, as far as the socket takes it.
    pub fn flush(&self) -> Flushed {
        for _ in 0..FLUSH_ROUNDS {
            let (mut batch, socket) = {
                let mut state = self.state.lock();
                let Some(socket) = state.socket.clone() else {
                    state.backlog.release();
                    return Flushed::Idle;
                };
                let Some(batch) = state.backlog.begin() else { return Flushed::Idle };
                (batch, socket)
            };
            let before = batch.len();
            let outcome = socket.write(&mut batch);
            let mut state = self.state.lock();
            self.settle(&mut state, batch, before);
            match outcome {
                Ok(Progress::Done) => state.backlog.stop_writing(),
                Ok(Progress::Blocked) => return Flushed::Blocked(socket),
                Err(error) => {
                    self.stop_writing(&mut state);
                    return Flushed::Broken(error);
                }
            }
            if state.backlog.is_empty() {
                return Flushed::Idle;
            }
        }
        let mut state = self.state.lock();
        let Some(socket) = state.socket.clone() else { return Flushed::Idle };
        if state.backlog.hand_over() { Flushed::Blocked(socket) } else { Flushed::Idle }
    }

    /// Puts back what a write left over and wakes producers that wait.
    fn settle(&self, state: &mut State, rest: Chunks, before: usize) {
        if state.backlog.settle(rest, before) {
            self.drained.notify_waiters();
        }
    }

    /// One round of a drain task: `Some(true)` when all is written, `None` when broken or closed.
    pub fn drain_round(&self, socket: &Socket) -> Option<bool> {
        let mut batch = {
            let mut state = self.state.lock();
            // An empty queue is no reason to stop: TLS may hold records that are still to go.
            let Some(batch) = state.backlog.take_more() else {
                self.stop_writing(&mut state);
                return Some(true);
            };
            batch
        };
        let before = batch.len();
        let outcome = socket.write(&mut batch);
        let mut state = self.state.lock();
        self.settle(&mut state, batch, before);
        match outcome {
            Ok(Progress::Done) if state.backlog.is_empty() => {
                self.stop_writing(&mut state);
                Some(true)
            }
            Ok(Progress::Done | Progress::Blocked) => Some(false),
            Err(_) => {
                self.stop_writing(&mut state);
                None
            }
        }
    }

    fn stop_writing(&self, state: &mut State) {
        state.backlog.stop_writing();
        self.drained.notify_waiters();
    }

    /// Writes until nothing is pending; what is pending at one moment must be gone after
    /// `deadline`, however much arrives meanwhile. With [`WriteTimeout::Retry`] whoever took something until then has as
    /// much time again: the caller goes on after [`Drained::Late`].
    pub async fn drain(
        &self,
        socket: &Socket,
        (deadline, then): (Duration, WriteTimeout),
        now: impl Fn() -> Instant,
    ) -> Drained {
        let (mut goal, mut due) = (self.queued_in_all(), now() + deadline);
        let mut before = self.state.lock().backlog.written();
        loop {
            let left = due.saturating_duration_since(now());
            match tokio::time::timeout(left, socket.writable()).await {
                Err(_) if then == WriteTimeout::Retry && self.state.lock().backlog.written() > before => {
                    return Drained::Late { chunks: self.pending() };
                }
                Err(_) => {
                    self.stop_writing(&mut self.state.lock());
                    return Drained::TooSlow { chunks: self.pending() };
                }
                Ok(Err(_)) => {
                    self.stop_writing(&mut self.state.lock());
                    return Drained::Broken;
                }
                Ok(Ok(())) => {}
            }
            match self.drain_round(socket) {
                Some(true) => return Drained::Done,
                Some(false) => {}
                None => return Drained::Broken,
            }
            if self.state.lock().backlog.written() >= goal {
                (goal, due) = (self.queued_in_all(), now() + deadline);
                before = self.state.lock().backlog.written();
            }
            tokio::task::yield_now().await;
        }
    }

    fn queued_in_all(&self) -> u64 {
        let state = self.state.lock();
        state.backlog.written() + state.backlog.pending() as u64
    }

    /// Queues `last_words`, which nothing follows and no bound holds against the receiver, and stops queueing; unless
    /// `keep`, what is pending is dropped.
    pub fn close(&self, keep: bool, last_words: &[u8]) {
        {
            let mut state = self.state.lock();
            if !last_words.is_empty() && !state.backlog.is_closed() {
                state.backlog.line(usize::MAX, last_words);
            }
            state.backlog.close(keep);
        }
        self.drained.notify_waiters();
    }

    /// Lets go of the socket: it closes when its reader does, too.
    pub fn detach(&self) {
        let mut state = self.state.lock();
        state.backlog.discard();
        state.socket = None;
    }

    /// Bytes not yet with the kernel.
    pub fn pending(&self) -> usize {
        self.state.lock().backlog.pending()
    }

    /// Messages and bytes delivered.
    pub fn counters(&self) -> (u64, u64) {
        self.state.lock().backlog.counters()
    }

    /// Nothing waits and nobody writes: all is with the kernel, or never will be.
    pub fn is_settled(&self) -> bool {
        self.state.lock().backlog.is_settled()
    }

    /// Waits until output was written, at most until `limit` has passed.
    pub async fn wait_for_drain(&self, limit: Duration) {
        let notified = self.drained.notified();
        if !self.is_settled() {
            // Running out of time is one of the two ways this is meant to end.
            let _elapsed = tokio::time::timeout(limit, notified).await;
        }
    }

    /// Ends TLS and the sending direction properly, so that the peer sees an end and no reset; a WebSocket with
    /// `reason`, as monitoring names it.
    pub fn say_goodbye(&self, reason: &str) {
        let socket = self.state.lock().socket.clone();
        if let Some(socket) = socket {
            socket.finish(reason);
        }
    }

    /// Waits, at most until `limit` has passed, for a receiver that is behind; see [`Backlog::is_behind`]. Whether it
    /// had to.
    pub async fn wait_for_room(&self, limit: Duration, hard: usize, others: bool) -> bool {
        let notified = self.drained.notified();
        let written = {
            let state = self.state.lock();
            if !state.backlog.is_behind(hard, others) {
                return false;
            }
            state.backlog.written()
        };
        if tokio::time::timeout(limit, notified).await.is_err() {
            self.state.lock().backlog.waited_in_vain(written);
        }
        true
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self::new()
    }
}

/// How a drain task ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Drained {
    /// All is written.
    Done,
    /// The write deadline passed, and what waits is still to be written: something was.
    Late {
        /// Bytes that are still pending.
        chunks: usize,
    },
    /// The write deadline passed.
    TooSlow {
        /// Bytes that were still pending.
        chunks: usize,
    },
    /// The socket is broken.
    Broken,
}
