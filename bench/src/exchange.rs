//! Requests and replies: a requester that keeps a number of requests in flight, and the responder.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::histogram::Histogram;
use crate::inbox::Inbox;
use crate::link::{Dialer, Link, PATIENCE, Received};
use crate::shape::SID;
use crate::stamp;
use crate::via::Via;
use crate::wire::Frame;

/// What is asked.
pub(crate) const SERVICE: &str = "bench.service";
/// The forwarder's names for the two ways.
const REQUESTS_CHANNEL: &str = "requests";
const ANSWERS_CHANNEL: &str = "answers";
const ANSWERS: &str = "_INBOX.bench.1";
/// Payload of a request and of its reply.
const PAYLOAD: usize = 128;

/// What the threads of an exchange share with who measures it.
#[derive(Default)]
pub(crate) struct Progress {
    /// Ask no more.
    pub(crate) over: AtomicBool,
    /// The window is open: latencies count.
    pub(crate) measuring: AtomicBool,
    /// Replies so far.
    pub(crate) answered: AtomicU64,
}

/// The asking side.
pub(crate) struct Requester {
    link: Link,
    inbox: Inbox,
    /// What announces a request.
    head: String,
    waiting: VecDeque<(u64, Instant)>,
    next: u64,
    outgoing: Vec<u8>,
    latencies: Histogram,
}

impl Requester {
    /// Connects and subscribes to its inbox.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub(crate) fn connect(dialer: &Dialer, via: Via) -> Result<Self> {
        let lines = via.subscribe(ANSWERS_CHANNEL, ANSWERS) + &via.publish(REQUESTS_CHANNEL);
        let mut link = dialer.connect(&lines)?;
        let mut inbox = Inbox::new();
        inbox.load(&link.take_pending());
        Ok(Self {
            link,
            inbox,
            head: match via {
                Via::Forwarder => format!("MSG {SERVICE} {SID} {ANSWERS} {PAYLOAD}\r\n"),
                Via::Server => format!("PUB {SERVICE} {ANSWERS} {PAYLOAD}\r\n"),
            },
            waiting: VecDeque::new(),
            next: 1,
            outgoing: Vec::new(),
            latencies: Histogram::default(),
        })
    }

    /// Keeps `in_flight` requests on the way until it is over, then waits for the last replies.
    ///
    /// # Errors
    ///
    /// When a reply is missing, late in order, or not the request's.
    pub(crate) fn run_closed(mut self, in_flight: usize, progress: &Progress) -> Result<Histogram> {
        let mut due = in_flight as u64;
        while due > 0 || !self.waiting.is_empty() {
            let now = Instant::now();
            for _ in 0..due {
                self.prepare(now);
            }
            self.send()?;
            let answered = self.receive(progress)?;
            due = if progress.over.load(Relaxed) { 0 } else { answered };
        }
        Ok(self.latencies)
    }

    /// Asks `per_second` times a second, one after another; latency counts from when each was due.
    ///
    /// # Errors
    ///
    /// As [`Requester::run_closed`].
    pub(crate) fn run_paced(mut self, per_second: u32, progress: &Progress) -> Result<Histogram> {
        let interval = Duration::from_secs(1) / per_second;
        let mut due = Instant::now();
        while !progress.over.load(Relaxed) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.prepare(due);
            self.send()?;
            while !self.waiting.is_empty() {
                self.receive(progress)?;
            }
            due += interval;
        }
        Ok(self.latencies)
    }

    fn prepare(&mut self, since: Instant) {
        self.outgoing.extend_from_slice(self.head.as_bytes());
        let start = self.outgoing.len();
        self.outgoing.resize(start + PAYLOAD, b'x');
        stamp::write(self.next, self.outgoing.get_mut(start..).unwrap_or_default());
        self.outgoing.extend_from_slice(b"\r\n");
        self.waiting.push_back((self.next, since));
        self.next += 1;
    }

    fn send(&mut self) -> Result<()> {
        if !self.outgoing.is_empty() {
            self.link.send(&self.outgoing)?;
            self.outgoing.clear();
        }
        Ok(())
    }

    /// One read; how many replies it brought.
    fn receive(&mut self, progress: &Progress) -> Result<u64> {
        match self.inbox.fill(&mut self.link)? {
            Received::Bytes(_) => {}
            Received::Closed => bail!("the server closed the requester's connection"),
            Received::Nothing => bail!("no reply within {} s", PATIENCE.as_secs()),
        }
        let now = Instant::now();
        let measuring = progress.measuring.load(Relaxed);
        let (waiting, latencies, outgoing) = (&mut self.waiting, &mut self.latencies, &mut self.outgoing);
        let mut answered = 0;
        self.inbox.frames(|frame| {
            match frame {
                Frame::Message(message) => {
                    let Some((number, since)) = waiting.pop_front() else {
                        bail!("a reply came without a request");
                    };
                    if message.payload.len() != PAYLOAD || stamp::read(message.payload) != Some(number) {
                        bail!("request {number} got a reply that is not its own");
                    }
                    if measuring {
                        latencies.record(now.saturating_duration_since(since));
                    }
                    answered += 1;
                }
                Frame::Ping => outgoing.extend_from_slice(b"PONG\r\n"),
                Frame::Error(text) => {
                    bail!("the requester was told: {}", String::from_utf8_lossy(text))
                }
                Frame::Pong | Frame::Info(_) | Frame::Ok => {}
            }
            Ok(())
        })?;
        progress.answered.fetch_add(answered, Relaxed);
        Ok(answered)
    }
}

/// A connection that will answer requests.
///
/// # Errors
///
/// When the server refuses.
pub(crate) fn connect_responder(dialer: &Dialer, via: Via) -> Result<Link> {
    dialer.connect(&(via.subscribe(REQUESTS_CHANNEL, SERVICE) + &via.publish(ANSWERS_CHANNEL)))
}

/// Answers every request with its own payload until `over`.
///
/// # Errors
///
/// When the server refuses or closes, or a request has nowhere to be answered to.
pub(crate) fn respond(mut link: Link, via: Via, over: &AtomicBool) -> Result<()> {
    link.glance()?;
    let mut inbox = Inbox::new();
    inbox.load(&link.take_pending());
    let mut outgoing = Vec::new();
    while !over.load(Relaxed) {
        match inbox.fill(&mut link)? {
            Received::Bytes(_) => {}
            Received::Closed => bail!("the server closed the responder's connection"),
            Received::Nothing => continue,
        }
        outgoing.clear();
        inbox.frames(|frame| answer(&frame, via, &mut outgoing))?;
        if !outgoing.is_empty() {
            link.send(&outgoing)?;
        }
    }
    Ok(())
}

fn answer(frame: &Frame<'_>, via: Via, outgoing: &mut Vec<u8>) -> Result<()> {
    match frame {
        Frame::Message(message) => {
            let Some(reply) = message.reply else {
                bail!("a request came without a reply subject");
            };
            outgoing.extend_from_slice(if via.is_forwarder() { b"MSG " } else { b"PUB " });
            outgoing.extend_from_slice(reply);
            if via.is_forwarder() {
                write!(outgoing, " {SID}")?;
            }
            write!(outgoing, " {}\r\n", message.payload.len())?;
            outgoing.extend_from_slice(message.payload);
            outgoing.extend_from_slice(b"\r\n");
        }
        Frame::Ping => outgoing.extend_from_slice(b"PONG\r\n"),
        Frame::Error(text) => bail!("the responder was told: {}", String::from_utf8_lossy(text)),
        Frame::Pong | Frame::Info(_) | Frame::Ok => {}
    }
    Ok(())
}
