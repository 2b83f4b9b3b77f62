//! A snapshot on its way out: chunks that are acknowledged, and no more of them under way than the window holds.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::account::{Account, Ear};
use crate::port::{Outgoing, Port};

/// How long a thread waits before it looks whether somebody still listens.
const LOOK: Duration = Duration::from_millis(100);

/// Why a snapshot ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    /// No chunk was acknowledged for too long.
    #[error("no flow response")]
    NoFlow,
    /// Nobody listens any more.
    #[error("no interest")]
    NoInterest,
    /// The account ends here.
    #[error("the server stops, or the account has no streams any more")]
    Ended,
}

/// How large chunks are, and how many bytes of them may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes of a chunk.
    pub(super) chunk: usize,
    /// Bytes that are not acknowledged.
    pub(super) window: usize,
}

impl Pace {
    /// As asked for, within bounds; 0 and less is the usual.
    pub(super) fn of(chunk: i64, window: i64) -> Self {
        let bounded = |asked: i64, usual: usize, most: usize| match usize::try_from(asked) {
            Ok(0) | Err(_) => usual,
            Ok(asked) => asked.clamp(1024, most),
        };
        Self { chunk: bounded(chunk, 128 << 10, 1 << 20), window: bounded(window, 8 << 20, 32 << 20) }
    }
}

#[derive(Debug, Default)]
struct UnderWay {
    by_index: BTreeMap<u64, usize>,
    bytes: usize,
    /// Acknowledgements so far.
    acked: u64,
}

/// Acknowledgements that came, on their publishers' threads.
#[derive(Debug, Default)]
pub(super) struct Flow {
    under_way: Mutex<UnderWay>,
    acked: Condvar,
}

impl Ear for Flow {
    fn hear(&self, subject: &[u8], _reply: &[u8], _payload: &[u8]) -> bool {
        let index = subject.rsplit(|byte| *byte == b'.').next().and_then(|text| std::str::from_utf8(text).ok());
        let Some(index) = index.and_then(|text| text.parse::<u64>().ok()) else { return false };
        let mut under_way = self.under_way.lock();
        let Some(len) = under_way.by_index.remove(&index) else { return false };
        under_way.bytes -= len;
        under_way.acked += 1;
        drop(under_way);
        self.acked.notify_one();
        true
    }
}

/// Sends what is written in chunks.
pub(super) struct Chunks<'a> {
    pub(super) account: &'a Account,
    pub(super) flow: &'a Flow,
    pub(super) pace: Pace,
    /// Where chunks go.
    pub(super) to: &'a str,
    /// What the subjects of acknowledgements begin with.
    pub(super) acks: &'a str,
    /// Somebody listened to exactly that subject.
    pub(super) exactly: bool,
    pub(super) buffer: Vec<u8>,
    pub(super) index: u64,
}

impl Chunks<'_> {
    /// Sends what is left. It has no reply subject, as the other server's last chunk.
    pub(super) fn finish(self) {
        if !self.buffer.is_empty() {
            self.port().send(&Outgoing { to: self.to.as_bytes(), payload: &self.buffer, ..Outgoing::default() });
        }
    }

    fn port(&self) -> &dyn Port {
        &*self.account.setup.port
    }

    fn send(&mut self) -> Result<(), Stop> {
        self.wait_for_room()?;
        self.index += 1;
        let len = self.buffer.len();
        {
            let mut under_way = self.flow.under_way.lock();
            under_way.by_index.insert(self.index, len);
            under_way.bytes += len;
        }
        let reply = format!("{}.{len}.{}", self.acks, self.index);
        let (to, reply) = (self.to.as_bytes(), reply.as_bytes());
        self.port().send(&Outgoing { to, reply, payload: &self.buffer, ..Outgoing::default() });
        self.port().flush();
        self.buffer.clear();
        Ok(())
    }

    fn wait_for_room(&self) -> Result<(), Stop> {
        let mut under_way = self.flow.under_way.lock();
        let (mut acked, mut since) = (under_way.acked, Instant::now());
        loop {
            if self.account.has_ended() {
                return Err(Stop::Ended);
            }
            let to = self.to.as_bytes();
            let listens =
                if self.exactly { self.port().is_subscribed(to, None) } else { self.port().has_interest(to, None) };
            if !listens {
                return Err(Stop::NoInterest);
            }
            if under_way.bytes == 0 || under_way.bytes + self.buffer.len() <= self.pace.window {
                return Ok(());
            }
            if under_way.acked != acked {
                (acked, since) = (under_way.acked, Instant::now());
            }
            let left = self.account.settings().archives.flow.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(Stop::NoFlow);
            }
            self.flow.acked.wait_for(&mut under_way, left.min(LOOK));
        }
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.pace.chunk - self.buffer.len();
        let count = bytes.len().min(room);
        self.buffer.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if self.buffer.len() == self.pace.chunk {
            self.send().map_err(io::Error::other)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_windows_are_bounded() {
        for (chunk, window, expected) in [
            (0, 0, (128 << 10, 8 << 20)),
            (-1, -1, (128 << 10, 8 << 20)),
            (1, 1, (1024, 1024)),
            (i64::MAX, i64::MAX, (1 << 20, 32 << 20)),
            (4096, 8192, (4096, 8192)),
        ] {
            let pace = Pace::of(chunk, window);
            assert_eq!((pace.chunk, pace.window), expected);
        }
    }

    #[test]
    fn only_what_is_under_way_is_acknowledged_and_once() {
        let flow = Flow::default();
        flow.under_way.lock().by_index.insert(7, 100);
        flow.under_way.lock().bytes = 100;
        for (subject, taken) in [("a.100.8", false), ("a.100.x", false), ("a.999.7", true), ("a.100.7", false)] {
            assert_eq!(flow.hear(subject.as_bytes(), b"", b""), taken, "{subject}");
        }
        assert_eq!(flow.under_way.lock().bytes, 0);
    }
}
