//! A leaf connection's own task: read, parse, act, flush; and its end.
//!
//! ```text
//! accepted:  Connecting --CONNECT accepted-->                         Joined
//! dialled:   Greeting --INFO, CONNECT sent--> Joining --second INFO--> Joined
//! ```
//!
//! Each stage has its list of operations ([`Stage::takes`]); anything else ends the connection.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cordon_accounts::reason::Reason;
use cordon_auth::refusal::ClosePolicy;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::connection::outbound::Appended;
use crate::connection::reader::{Consumed, Read, Reader};
use crate::connection::socket::Socket;
use crate::connection::timers::{Tick, Timers};
use crate::leaf::compression::{Compression, Mode};
use crate::leaf::info::{self, LeafInfo};
use crate::leaf::parser::{self, Frame, Rules, Step};
use crate::leaf::remote::Dialled;
use crate::limits::FLUSH_AFTER;
use crate::protocol::{ProtocolError, encode};
use crate::routing::Batch;
use crate::routing::cache::MatchCache;
use crate::system::security::SecurityEvent;
use crate::tenant::Tenant;
use crate::websocket::incoming::Input;
use crate::websocket::outgoing::Output;

/// How long a closing connection may take to accept its last bytes.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// A first ping is sent after this time, to learn the round-trip time.
const FIRST_PING: Duration = Duration::from_secs(1);
/// Control lines may be longer than a client's by this factor: they carry lists of queue groups.
const LONGER_LINES: usize = 16;
/// Before CONNECT they may be longer by this one: it carries more than a client's.
const LONGER_CONNECT: usize = 2;

/// What only a leaf connection's own task needs.
pub struct LeafSession {
    pub(super) connection: Arc<Connection>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) stage: Stage,
    pub(super) batch: Batch,
    pub(super) cache: MatchCache,
    pub(super) nonce: Arc<str>,
    /// The address of this end.
    pub(super) local: IpAddr,
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) timers: Timers,
    /// What the dialling side knows; `None` for an accepted connection.
    pub(super) dialled: Option<Arc<Dialled>>,
    pub(super) rights_version: u64,
    /// How this side would have the connection compressed.
    pub(super) compression: Compression,
    /// What was agreed on; `None` before the other side had its say.
    pub(super) agreed: Option<Mode>,
    pub(super) in_messages: u64,
    pub(super) in_bytes: u64,
    pending: Option<Pending>,
    behind: Vec<Arc<Connection>>,
    others: bool,
    /// What was read last led to so many.
    deliveries: u64,
    active: bool,
}

/// How far a leaf connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Accepted; CONNECT must come.
    Connecting,
    /// Dialled; INFO must come.
    Greeting,
    /// Dialled, and CONNECT was sent; INFO must come again.
    Joining,
    /// Interest and messages pass.
    Joined,
}

/// What cannot be done while bytes are being parsed.
enum Pending {
    Compress,
    Connect(Zeroizing<Vec<u8>>),
    End(Box<Closing>),
}

impl Stage {
    /// Whether this operation belongs here.
    fn takes(self, frame: &Frame<'_>) -> bool {
        match self {
            Self::Connecting => matches!(frame, Frame::Connect(_) | Frame::Info(_)),
            Self::Greeting => matches!(frame, Frame::Info(_) | Frame::PeerError(_)),
            Self::Joining => {
                matches!(frame, Frame::Info(_) | Frame::PeerError(_) | Frame::Ping | Frame::Pong | Frame::Ok)
            }
            Self::Joined => !matches!(frame, Frame::Connect(_)),
        }
    }
}

impl LeafSession {
    /// The session of a connection whose socket is ready.
    pub(super) fn new(
        connection: Arc<Connection>,
        nonce: Arc<str>,
        local: IpAddr,
        certificates: Vec<CertificateDer<'static>>,
        dialled: Option<Arc<Dialled>>,
    ) -> Box<Self> {
        let now = Instant::now();
        let interval = connection.broker.options.load().ping_interval;
        Box::new(Self {
            tenant: connection.tenant(),
            stage: if dialled.is_some() { Stage::Greeting } else { Stage::Connecting },
            batch: Batch::new(connection.cid.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            cache: MatchCache::default(),
            nonce,
            local,
            certificates,
            timers: Timers::new(now, interval),
            compression: match &dialled {
                Some(dialled) => dialled.compression(),
                None => connection.broker.leafs.compression(&connection),
            },
            agreed: None,
            dialled,
            rights_version: connection.rights_version(),
            in_messages: 0,
            in_bytes: 0,
            pending: None,
            behind: Vec::new(),
            others: false,
            deliveries: 0,
            active: false,
            connection,
        })
    }

    /// Serves the connection until it ends.
    pub(super) async fn run(mut self: Box<Self>, mut reader: Reader) {
        if let Err(error) = reader.take_early() {
            self.connection.close(Closing::broken("Read Error").because(error.to_string()));
        }
        reader.replay(&mut |bytes| self.consume(bytes));
        self.settle(&mut reader).await;
        let timer = tokio::time::sleep_until(self.timers.next());
        tokio::pin!(timer);
        let connection = self.connection.clone();
        while !connection.is_closing() {
            tokio::select! {
                biased;
                () = connection.woken() => self.woken(),
                read = poll_fn(|cx| reader.poll(cx, &mut |bytes| self.consume(bytes))) => self.after_read(read),
                () = &mut timer => self.on_timer(),
            }
            self.settle(&mut reader).await;
            reader.weigh(std::mem::take(&mut self.deliveries));
            reader.give_way().await;
            if timer.deadline() != self.timers.next() {
                timer.as_mut().reset(self.timers.next());
            }
        }
        Box::pin(self.finish(reader)).await;
    }

    /// Lines were queued from elsewhere, or rights have changed.
    fn woken(&mut self) {
        self.rearm(Instant::now());
        self.refresh_rights();
        self.tell_move();
        self.connection.flush();
    }

    fn after_read(&mut self, read: std::io::Result<Read>) {
        match read {
            Ok(Read::Some) => {}
            Ok(Read::Pinged) => {
                if matches!(self.connection.outbound.poke(), Appended::Owe) {
                    self.batch.touch(&self.connection);
                }
            }
            Ok(Read::End | Read::Closed) => self.connection.close(Closing::by_peer()),
            Ok(Read::Damaged(error)) => {
                self.note(Reason::ProtocolViolation, b"", "", &error.to_string());
                let closing = Closing::silent("Protocol Violation", Some(Reason::ProtocolViolation));
                self.connection.close(closing.because(error.to_string()));
            }
            Ok(Read::Breach(error)) => {
                self.note(Reason::ProtocolViolation, b"", "", &error.to_string());
                self.connection.close(Closing::framing(error));
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                self.connection.close(Closing::by_peer());
            }
            Err(error) => self.connection.close(Closing::broken("Read Error").because(error.to_string())),
        }
    }

    async fn settle(&mut self, reader: &mut Reader) {
        self.flush();
        while let Some(pending) = self.pending.take() {
            match pending {
                Pending::End(closing) => {
                    self.connection.close(*closing);
                    return;
                }
                Pending::Connect(json) => {
                    if let Err(closing) = Box::pin(self.connect(&json)).await {
                        self.connection.close(closing);
                        return;
                    }
                    reader.trust();
                    reader.replay(&mut |bytes| self.consume(bytes));
                }
                Pending::Compress => {
                    if let Err(closing) = Box::pin(self.compress(reader)).await {
                        self.connection.close(closing);
                        return;
                    }
                    let read = reader.replay(&mut |bytes| self.consume(bytes));
                    self.after_read(Ok(read));
                }
            }
            self.flush();
        }
        if self.stage == Stage::Joined {
            reader.trust();
        }
        if !self.behind.is_empty() {
            Box::pin(self.wait_for_receivers()).await;
        }
        self.others = false;
    }

    /// Bytes of a control line.
    pub(super) fn longest_line(&self) -> usize {
        let longer = if self.stage == Stage::Connecting { LONGER_CONNECT } else { LONGER_LINES };
        self.connection.broker.options.max_control_line().saturating_mul(longer)
    }

    /// Processes every complete frame in `bytes`.
    fn consume(&mut self, bytes: &[u8]) -> Consumed {
        let rules = Rules { max_control_line: self.longest_line(), max_payload: self.connection.max_payload() };
        let mut at = 0;
        while self.pending.is_none() {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            // A peer that has proved nothing is told the same whatever it says.
            if self.stage == Stage::Connecting && !self.may_begin_with(rest.first()) {
                self.end(self.early_operation());
                break;
            }
            match parser::next(rest, &rules) {
                Ok(Step::Frame(frame, len)) => {
                    at += len;
                    self.act(frame);
                    if self.batch.delivered_bytes > FLUSH_AFTER {
                        self.flush();
                    }
                }
                Ok(Step::Incomplete(wanted)) => return Consumed { bytes: at, wanted, paused: false },
                Err(error) => {
                    self.note(error.reason(), b"", "", &error.to_string());
                    self.end(Closing::breach(error));
                }
            }
        }
        Consumed { bytes: at, wanted: 0, paused: self.pending.is_some() }
    }

    /// CONNECT, or one INFO that asks for compression where that may be.
    fn may_begin_with(&self, first: Option<&u8>) -> bool {
        match first {
            Some(b'C' | b'c') => true,
            Some(b'I' | b'i') => self.agreed.is_none() && self.compression.mode != Mode::Off,
            _ => false,
        }
    }

    fn act(&mut self, frame: Frame<'_>) {
        if !self.stage.takes(&frame) {
            let closing = match self.stage {
                Stage::Connecting => self.early_operation(),
                _ => Closing::breach(ProtocolError::UnknownOperation).because("an operation out of its place"),
            };
            return self.end(closing);
        }
        match frame {
            Frame::Message(message) => {
                self.active = true;
                self.message(&message);
            }
            Frame::Subscribe(subject, queue) => {
                self.active = true;
                self.subscribe(subject, queue);
            }
            Frame::Unsubscribe(subject, queue) => {
                self.active = true;
                self.unsubscribe(subject, queue);
            }
            Frame::Ping => self.line(b"PONG\r\n"),
            Frame::Pong => {
                if let Some(rtt) = self.timers.pong(Instant::now()) {
                    self.connection.traffic.rtt.store(rtt.as_nanos() as u64, Ordering::Relaxed);
                    self.relevel(rtt);
                }
            }
            Frame::Connect(json) => self.pending = Some(Pending::Connect(Zeroizing::new(json.to_vec()))),
            Frame::Info(json) => match info::read::<LeafInfo>(json) {
                Ok(info) if self.stage == Stage::Connecting => self.negotiate(&info),
                Ok(info) => self.told(info),
                Err(_) => self.end(Closing::breach(ProtocolError::Json("INFO"))),
            },
            Frame::PeerError(text) => self.peer_error(&String::from_utf8_lossy(text)),
            Frame::Ok => {}
        }
    }

    /// The other server reports an error; whether the connection goes on is its decision.
    fn peer_error(&self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).take(256).collect();
        tracing::warn!(connection.id = self.connection.cid, peer = %self.connection.peer(), account = %self.tenant.name, "Leafnode Error {text}");
        if let Some(dialled) = &self.dialled {
            dialled.heard(&text);
        }
    }

    /// Both sides speak S2 once the frames at hand are done with.
    pub(super) fn switch(&mut self) {
        self.pending.get_or_insert(Pending::Compress);
    }

    /// Ends the connection once the frames at hand are done with.
    pub(super) fn end(&mut self, closing: Closing) {
        self.pending.get_or_insert(Pending::End(Box::new(closing)));
    }

    fn early_operation(&self) -> Closing {
        let detail = "an operation came before CONNECT";
        self.note(Reason::MissingCredentials, b"", "", detail);
        Closing::by_policy(ClosePolicy::AUTHORIZATION_VIOLATION, Reason::MissingCredentials, detail)
    }

    /// Queues a protocol line for the peer.
    pub(super) fn line(&mut self, line: &[u8]) {
        match self.connection.outbound.line(self.connection.max_pending(), line) {
            Appended::Owe => self.batch.touch(&self.connection),
            Appended::Overflow => self.connection.overflowed(),
            Appended::Queued | Appended::Refused => {}
        }
    }

    /// Queues an error for the peer.
    pub(super) fn error(&mut self, text: &str) {
        self.line(&encode::error_line(text));
    }

    pub(super) fn note(&self, reason: Reason, subject: &[u8], rule: &str, detail: &str) {
        self.connection.broker.security.note(SecurityEvent::of(&self.connection, reason).about(subject, rule, detail));
    }

    /// Once per read: figures, then output.
    fn flush(&mut self) {
        if self.active {
            self.active = false;
            self.timers.active(Instant::now());
            let traffic = &self.connection.traffic;
            traffic.last_activity.store(self.connection.broker.clock.unix_nanos(), Ordering::Relaxed);
            if self.in_messages > 0 {
                traffic.in_messages.fetch_add(self.in_messages, Ordering::Relaxed);
                traffic.in_bytes.fetch_add(self.in_bytes, Ordering::Relaxed);
                self.tenant.counters.received(self.in_messages, self.in_bytes);
                (self.in_messages, self.in_bytes) = (0, 0);
            }
        }
        if self.batch.delivered > 0 {
            self.tenant.counters.sent(self.batch.delivered, self.batch.delivered_bytes);
            self.deliveries += self.batch.delivered;
            (self.batch.delivered, self.batch.delivered_bytes) = (0, 0);
        }
        self.others |= self.batch.flush(&mut self.behind);
    }

    /// Slows the peer down while receivers of its account are far behind.
    async fn wait_for_receivers(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        self.connection.wait_for_receivers(&self.tenant, behind, self.others).await;
    }

    /// What must come next must come by then.
    pub(super) fn expect_within(&mut self, time: Duration) {
        self.timers.authentication = Some(Instant::now() + time);
    }

    /// The handshake is over.
    pub(super) fn joined(&mut self) {
        let now = Instant::now();
        self.stage = Stage::Joined;
        self.timers.authentication = None;
        self.rearm(now);
        let first = self.connection.broker.options.load().ping_interval.min(FIRST_PING);
        let spread = first.mul_f64(f64::from(self.batch.draw(200)) / 1000.0);
        self.timers.connected(now, first + spread);
    }

    fn rearm(&mut self, now: Instant) {
        if let Some(principal) = self.connection.identity().principal {
            self.timers.expiry = crate::connection::handshake::expiry(&self.connection.broker, &principal, now);
        }
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if self.timers.authentication.is_some_and(|due| due <= now) {
            self.connection.close(self.too_late());
        } else if self.timers.expiry.is_some_and(|due| due <= now) {
            self.note(Reason::Expired, b"", "", "the credentials of the connection have expired");
            let closing = Closing::by_policy(ClosePolicy::USER_EXPIRED, Reason::Expired, "credentials expired");
            self.connection.close(closing);
        } else if self.timers.ping <= now {
            self.rearm(now);
            self.cache.prune(&self.tenant.interest);
            let rtt_known = self.connection.traffic.rtt.load(Ordering::Relaxed) > 0;
            let ping_max = self.connection.broker.options.load().ping_max;
            match self.timers.tick(now, ping_max, rtt_known) {
                Tick::Ping => self.line(b"PING\r\n"),
                Tick::Quiet => {}
                Tick::Stale => {
                    let closing = Closing::told("Stale Connection", "Stale Connection", Reason::StaleConnection);
                    self.connection.close(closing.because("pings were not answered"));
                }
            }
        }
    }

    fn too_late(&self) -> Closing {
        match self.stage {
            Stage::Joining => {
                let text = "Stale Leaf Node Connection - Closing";
                Closing::told(text, "Stale Connection", Reason::StaleConnection).because("CONNECT was not answered")
            }
            Stage::Greeting => {
                Closing::silent("Stale Connection", Some(Reason::StaleConnection)).because("no INFO came")
            }
            Stage::Connecting | Stage::Joined => {
                self.note(Reason::AuthenticationTimeout, b"", "", "no CONNECT arrived in time");
                let policy = ClosePolicy::AUTHENTICATION_TIMEOUT;
                Closing::by_policy(policy, Reason::AuthenticationTimeout, "no CONNECT in time")
            }
        }
    }

    /// Ends a session whose connection is closing: interest, its place in the account, and what output may still go.
    async fn finish(self: Box<Self>, reader: Reader) {
        let connection = self.connection.clone();
        let held = connection.subscription_count();
        let closing = connection.closing().unwrap_or_else(Closing::by_peer);
        connection.tenant().interest.tell_no_more(&connection);
        connection.end_subscriptions_in_turns().await;
        retire(&connection, &closing, held);
        tracing::info!(connection.id = connection.cid, peer = %connection.peer(), account = %self.tenant.name, reason = closing.close_reason, detail = %closing.detail, "Leafnode connection closed: {}", closing.close_reason);
        drop(self);
        if closing.keep_output {
            connection.flush();
            let until = Instant::now() + LAST_WRITE;
            while !connection.outbound.is_settled() && Instant::now() < until {
                connection.outbound.wait_for_drain(until - Instant::now()).await;
            }
        }
        connection.outbound.say_goodbye(closing.close_reason);
        connection.outbound.detach();
        drop(reader);
    }
}

/// WebSocket frames around a leaf connection.
pub(super) struct Framing {
    pub(super) input: Input,
    pub(super) output: Output,
}

/// Gives a connection its socket.
pub(super) fn attach(
    stream: TcpStream,
    tls: Option<rustls::Connection>,
    framing: Option<Framing>,
    connection: &Connection,
) -> Reader {
    let (read, write) = stream.into_split();
    let socket = Socket::new(write, tls);
    let (socket, input) = match framing {
        Some(Framing { input, output }) => (socket.framed(output), Some(input)),
        None => (socket.compressible(), None),
    };
    let socket = Arc::new(socket);
    connection.outbound.attach(socket.clone());
    let reader = Reader::new(read, socket);
    match input {
        Some(input) => reader.framed(input),
        None => reader,
    }
}

/// Takes a connection that has ended off every list.
pub(super) fn retire(connection: &Arc<Connection>, closing: &Closing, held: usize) {
    let broker = &connection.broker;
    if let Some(reason @ (Reason::SlowConsumerPending | Reason::SlowConsumerDeadline)) = closing.reason {
        broker.slow_consumers.fetch_add(1, Ordering::Relaxed);
        connection.tenant().counters.slow_consumers.fetch_add(1, Ordering::Relaxed);
        broker.security.note(SecurityEvent::of(connection, reason));
    }
    connection.tenant().release(connection);
    broker.leafs.open.leave(connection.cid);
    broker.connections.remember_closed(connection, closing.close_reason, held);
    if connection.leaf().is_some_and(|leaf| !leaf.dialled) {
        broker.observer().disconnected(connection, closing);
    }
}

/// After a panic: gives back everything the connection held. Its socket went with its task.
pub(super) fn contain(connection: &Arc<Connection>) {
    connection.broker.panics.fetch_add(1, Ordering::Relaxed);
    tracing::error!(connection.id = connection.cid, peer = %connection.peer(), "a leaf connection ended because of a defect of the broker");
    connection.close(Closing { reason: Some(Reason::InternalError), ..Closing::broken("Unknown State") });
    connection.tenant().interest.tell_no_more(connection);
    connection.end_subscriptions();
    connection.outbound.say_goodbye("");
    connection.outbound.detach();
    connection.broker.security.note(SecurityEvent::of(connection, Reason::InternalError));
    retire(connection, &connection.closing().unwrap_or_else(Closing::by_peer), 0);
}
