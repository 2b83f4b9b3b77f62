//! An upload, chunk by chunk: each is a request, answered once it is used up, so that who sends waits for who reads.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::account::{Account, Ear};
use crate::port::Outgoing;

/// Bytes that may wait: who does not wait for answers gets so far ahead.
const WAITING_MAX: usize = 16 << 20;
/// How long a thread waits before it looks whether its account is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Why an upload ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing came for too long.
    #[error("nothing came for too long")]
    Silence,
    /// A chunk came that cannot be answered.
    #[error("a chunk has no reply subject")]
    NoReply,
    /// Its sender does not wait.
    #[error("more chunks were sent at once than are taken: wait for answers")]
    Overrun,
    /// The account ends here.
    #[error("the server stops, or the account has no streams any more")]
    Ended,
}

#[derive(Debug)]
struct Chunk {
    reply: Vec<u8>,
    payload: Vec<u8>,
}

#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    fault: Option<Fault>,
}

/// Chunks that came, on their publishers' threads.
#[derive(Debug, Default)]
pub(super) struct Upload {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

impl Ear for Upload {
    fn hear(&self, _subject: &[u8], reply: &[u8], payload: &[u8]) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.fault.is_some() {
            return false;
        }
        waiting.bytes += payload.len() + reply.len() + size_of::<Chunk>();
        if reply.is_empty() {
            waiting.fault = Some(Fault::NoReply);
        } else if waiting.bytes > WAITING_MAX {
            waiting.fault = Some(Fault::Overrun);
        } else {
            waiting.chunks.push_back(Chunk { reply: reply.to_vec(), payload: payload.to_vec() });
        }
        drop(waiting);
        self.came.notify_one();
        true
    }
}

/// Reads what was uploaded, up to the empty chunk that ends it.
pub(super) struct Uploaded<'a> {
    upload: &'a Upload,
    account: &'a Account,
    current: Option<Chunk>,
    at: usize,
    ended: bool,
    /// Bytes that were read.
    pub(super) bytes: u64,
}

impl<'a> Uploaded<'a> {
    /// Reads `upload`.
    pub(super) fn new(upload: &'a Upload, account: &'a Account) -> Self {
        Self { upload, account, current: None, at: 0, ended: false, bytes: 0 }
    }

    /// Answers the chunk that is being read, or the one that ended it. No other is taken.
    pub(super) fn answer(&mut self, payload: &[u8]) {
        let late: Vec<Chunk> = {
            let mut waiting = self.upload.waiting.lock();
            waiting.fault.get_or_insert(Fault::Ended);
            waiting.chunks.drain(..).collect()
        };
        let port = &self.account.setup.port;
        for chunk in self.current.take().into_iter().chain(late) {
            port.send(&Outgoing { to: &chunk.reply, payload, ..Outgoing::default() });
        }
        port.flush();
    }

    fn next(&mut self) -> Result<(), Fault> {
        if let Some(done) = self.current.take() {
            let port = &self.account.setup.port;
            port.send(&Outgoing { to: &done.reply, ..Outgoing::default() });
            port.flush();
        }
        self.at = 0;
        let patience = self.account.settings().archives.silence;
        let since = Instant::now();
        let mut waiting = self.upload.waiting.lock();
        loop {
            if let Some(chunk) = waiting.chunks.pop_front() {
                waiting.bytes -= chunk.payload.len() + chunk.reply.len() + size_of::<Chunk>();
                self.current = Some(chunk);
                return Ok(());
            }
            if let Some(fault) = waiting.fault {
                return Err(fault);
            }
            if self.account.has_ended() {
                return Err(Fault::Ended);
            }
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(Fault::Silence);
            }
            self.upload.came.wait_for(&mut waiting, left.min(LOOK));
        }
    }
}

impl Read for Uploaded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.ended || into.is_empty() {
                return Ok(0);
            }
            if let Some(chunk) = &self.current {
                if chunk.payload.is_empty() {
                    // Its answer says how all of it ended.
                    self.ended = true;
                    return Ok(0);
                }
                let ready = chunk.payload.get(self.at..).unwrap_or_default();
                if !ready.is_empty() {
                    let count = ready.len().min(into.len());
                    for (place, byte) in into.iter_mut().zip(ready) {
                        *place = *byte;
                    }
                    self.at += count;
                    self.bytes += count as u64;
                    return Ok(count);
                }
            }
            self.next().map_err(io::Error::other)?;
        }
    }
}
