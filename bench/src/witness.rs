//! A tenant whose requests show what others do to it: 1,000 a second, each answered by a second connection.
//!
//! Latency counts from when a request was due, so that nothing hides behind a late one. Each phase has a histogram of its
//! own. Every request must get its own answer, in order: a lost or doubled one ends the run.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::exchange::{SERVICE, connect_responder, respond};
use crate::histogram::Histogram;
use crate::inbox::Inbox;
use crate::link::{Dialer, Link, PATIENCE, Received};
use crate::stamp;
use crate::traffic::joined;
use crate::via::Via;
use crate::wire::Frame;

/// Time between two requests.
const INTERVAL: Duration = Duration::from_millis(1);
/// Payload of a request and of its answer.
const PAYLOAD: usize = 128;
const ANSWERS: &str = "_INBOX.bench.witness";

/// What is told apart: the first phases that a run uses.
pub(crate) const PHASES: usize = 4;

/// Which phase requests are counted in.
pub(crate) struct Phases {
    now: AtomicUsize,
    over: AtomicBool,
    failed: AtomicBool,
}

/// The latencies of each phase; none before the first [`Phases::enter`].
pub(crate) struct Testimony {
    phases: [Histogram; PHASES],
    /// Requests that were answered in all.
    pub(crate) answered: u64,
}

impl Phases {
    /// From now on requests are counted in `phase`, for `length`.
    ///
    /// # Errors
    ///
    /// When the witness has failed meanwhile: its own error says why.
    pub(crate) fn enter(&self, phase: usize, length: Duration) -> Result<()> {
        self.now.store(phase, Relaxed);
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.check()?;
            thread::sleep(end.saturating_duration_since(Instant::now()).min(Duration::from_millis(20)));
        }
        self.check()
    }

    /// From now on requests are counted nowhere.
    pub(crate) fn leave(&self) {
        self.now.store(PHASES, Relaxed);
    }

    fn check(&self) -> Result<()> {
        if self.failed.load(Relaxed) {
            bail!("the tenant beside it did not get its answers");
        }
        Ok(())
    }
}

impl Testimony {
    /// The latency, in µs, that `share` of the requests of `phase` did not exceed.
    pub(crate) fn percentile_us(&self, phase: usize, share: f64) -> f64 {
        self.phases.get(phase).map_or(0.0, |latencies| latencies.percentile_us(share))
    }
}

/// Runs `during` beside the witness, who connects by `dialer` first.
///
/// # Errors
///
/// Those of the witness, whose view comes first, and of `during`.
pub(crate) fn beside<T>(dialer: &Dialer, during: impl FnOnce(&Phases) -> Result<T>) -> Result<(T, Testimony)> {
    let responder = connect_responder(dialer, Via::Server)?;
    let requester = dialer.connect(&format!("SUB {ANSWERS} 1\r\n"))?;
    let phases = Phases { now: AtomicUsize::new(PHASES), over: AtomicBool::new(false), failed: AtomicBool::new(false) };
    let answered = AtomicBool::new(false);
    let noted = |failed: bool| phases.failed.fetch_or(failed, Relaxed);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let end = ask(requester, &phases);
            noted(end.is_err());
            end
        });
        let answering = scope.spawn(|| {
            let end = respond(responder, Via::Server, &answered);
            noted(end.is_err());
            end
        });
        let done = during(&phases);
        phases.over.store(true, Relaxed);
        let testimony = joined(asking);
        answered.store(true, Relaxed);
        joined(answering)?;
        // What the witness saw explains why the rest was given up.
        let testimony = testimony?;
        Ok((done?, testimony))
    })
}

fn ask(mut link: Link, phases: &Phases) -> Result<Testimony> {
    let mut inbox = Inbox::new();
    inbox.load(&link.take_pending());
    let mut testimony = Testimony { phases: std::array::from_fn(|_| Histogram::default()), answered: 0 };
    let mut request = Vec::new();
    let mut due = Instant::now();
    while !phases.over.load(Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let number = testimony.answered + 1;
        request.clear();
        write!(request, "PUB {SERVICE} {ANSWERS} {PAYLOAD}\r\n")?;
        let start = request.len();
        request.resize(start + PAYLOAD, b'x');
        stamp::write(number, request.get_mut(start..).unwrap_or_default());
        request.extend_from_slice(b"\r\n");
        let phase = phases.now.load(Relaxed);
        link.send(&request)?;
        while testimony.answered < number {
            testimony.answered += await_answer(&mut link, &mut inbox, number)?;
        }
        if let Some(latencies) = testimony.phases.get_mut(phase) {
            latencies.record(due.elapsed());
        }
        due += INTERVAL;
    }
    Ok(testimony)
}

/// One read; whether it brought the answer to request `number`.
fn await_answer(link: &mut Link, inbox: &mut Inbox, number: u64) -> Result<u64> {
    match inbox.fill(link)? {
        Received::Bytes(_) => {}
        Received::Closed => bail!("the server closed the tenant's connection"),
        Received::Nothing => bail!("request {number} had no answer within {} s", PATIENCE.as_secs()),
    }
    let (mut answers, mut pings) = (0, 0);
    inbox.frames(|frame| {
        match frame {
            Frame::Message(message) if stamp::read(message.payload) == Some(number) && answers == 0 => answers += 1,
            Frame::Message(_) => bail!("request {number} got an answer that is not its own"),
            Frame::Ping => pings += 1,
            Frame::Error(text) => bail!("the tenant was told: {}", String::from_utf8_lossy(text)),
            Frame::Pong | Frame::Info(_) | Frame::Ok => {}
        }
        Ok(())
    })?;
    for _ in 0..pings {
        link.send(b"PONG\r\n")?;
    }
    Ok(answers)
}
