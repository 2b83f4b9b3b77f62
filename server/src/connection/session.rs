//! A connection's own task: read, parse, act, flush; and its end.
//!
//! ```text
//! Connecting --CONNECT accepted--> Authenticated --close--> (subscriptions end, output drains)
//! ```
//!
//! While Connecting and authentication is demanded, the first operation must be CONNECT: the peer
//! can cost a control line of memory, the authentication timeout and one signature check.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cordon_accounts::permissions::Permissions;
use cordon_accounts::reason::Reason;
use cordon_auth::proof::ConnectCredentials;
use cordon_auth::refusal::ClosePolicy;
use rustls_pki_types::CertificateDer;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::connection::reader::{Consumed, Read, Reader};
use crate::connection::timers::{Tick, Timers};
use crate::connection::traffic;
use crate::limits::FLUSH_AFTER;
use crate::listener::patience::FIRST_PAUSE;
use crate::protocol::connect::{ConnectOptions, Introduction};
use crate::protocol::parser::{self, Rules, Step};
use crate::protocol::{Frame, ProtocolError, encode};
use crate::routing::Batch;
use crate::routing::cache::MatchCache;
use crate::routing::match_set::MatchSet;
use crate::system::security::SecurityEvent;
use crate::tenant::Tenant;

/// So often pauses double: the longest is of a second.
const MOST_DOUBLINGS: u8 = 10;

/// What only a connection's own task needs.
pub struct Session {
    pub(super) connection: Arc<Connection>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) options: ConnectOptions,
    pub(super) rules: Rules,
    pub(super) rights: Arc<Permissions>,
    rights_version: u64,
    pub(super) cache: MatchCache,
    pub(super) scratch: MatchSet,
    pub(super) cacheable: bool,
    pub(super) batch: Batch,
    /// Receivers far behind, of what was read last.
    behind: Vec<Arc<Connection>>,
    /// Others of its receivers keep up.
    others: bool,
    /// What was read last led to so many.
    deliveries: u64,
    pub(super) in_messages: u64,
    pub(super) in_bytes: u64,
    active: bool,
    pub(super) timers: Timers,
    pub(super) nonce: Arc<str>,
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// Credentials that came before CONNECT, and count where it leaves them out.
    pub(super) cookies: Option<Box<ConnectCredentials>>,
    pub(super) phase: Phase,
    /// How often a CONNECT was looked at that had not come whole.
    looks: u8,
    pub(super) first_pong_sent: bool,
    /// What to do once the frames at hand are flushed.
    pending: Option<Pending>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No CONNECT yet, and one with credentials is demanded.
    Connecting,
    /// Operations are served, without a CONNECT so far.
    Open,
    /// A CONNECT was accepted.
    Authenticated,
}

/// What cannot be done while bytes are being parsed.
enum Pending {
    /// Admit a peer that sends no CONNECT, as the configuration says.
    Anonymous,
    Connect(Zeroizing<Vec<u8>>),
    End(Box<Closing>),
}

impl Session {
    /// The session of a connection whose socket was ready `since` then.
    pub(super) fn new(
        connection: Arc<Connection>,
        nonce: Arc<str>,
        certificates: Vec<CertificateDer<'static>>,
        since: Instant,
    ) -> Box<Self> {
        let options = connection.broker.options.load();
        let now = Instant::now();
        let mut timers = Timers::new(now, connection.ping_interval());
        // Before it is known: whoever begins to ask everybody in between ends it.
        connection.unasked.store(true, Ordering::SeqCst);
        let demanded = connection.broker.demands_credentials(connection.transport.client_type());
        connection.unasked.store(!demanded, Ordering::SeqCst);
        if demanded {
            timers.authentication = Some(since + connection.auth_timeout());
        }
        let rules =
            Rules { max_control_line: options.max_control_line, max_payload: options.max_payload, headers: false };
        drop(options);
        Box::new(Self {
            tenant: connection.tenant(),
            rights: connection.rights(),
            rights_version: connection.rights_version(),
            options: ConnectOptions::default(),
            rules,
            cache: MatchCache::default(),
            scratch: MatchSet::default(),
            cacheable: true,
            batch: Batch::new(connection.cid.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            behind: Vec::new(),
            others: false,
            deliveries: 0,
            in_messages: 0,
            in_bytes: 0,
            active: false,
            timers,
            nonce,
            certificates,
            cookies: None,
            phase: if demanded { Phase::Connecting } else { Phase::Open },
            looks: 0,
            first_pong_sent: false,
            pending: None,
            connection,
        })
    }

    /// Serves the connection until it ends.
    pub(super) async fn run(mut self: Box<Self>, mut reader: Reader) {
        if self.phase != Phase::Connecting {
            reader.trust();
        }
        if let Err(error) = reader.take_early() {
            self.connection.close(Closing::broken("Read Error").because(error.to_string()));
        }
        let read = reader.replay(&mut |bytes| self.consume(bytes));
        self.after_read(Ok(read));
        self.settle(&mut reader).await;
        let timer = tokio::time::sleep_until(self.timers.next());
        tokio::pin!(timer);
        let connection = self.connection.clone();
        while !connection.is_closing() {
            tokio::select! {
                biased;
                () = connection.woken() => self.timers.ping = self.timers.ping.max(Instant::now()),
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
        Box::pin(super::handshake::finish(self, reader)).await;
    }

    fn after_read(&mut self, read: std::io::Result<Read>) {
        match read {
            Ok(Read::Some) => {}
            Ok(Read::End) => self.connection.close(Closing::by_peer()),
            Ok(Read::Closed) => self.connection.close(Closing::silent("Client Closed", None)),
            Ok(Read::Pinged) => {
                let appended = self.connection.outbound.poke();
                self.follow(appended);
            }
            Ok(Read::Damaged(error)) => {
                self.connection.close(Closing::broken("Read Error").because(error.to_string()));
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

    /// Does what the frames left to do. Whatever may wait is in a box: an idle connection has no room for it.
    async fn settle(&mut self, reader: &mut Reader) {
        self.flush();
        if self.pending.is_some() {
            Box::pin(self.work_off(reader)).await;
        }
        if !self.behind.is_empty() {
            Box::pin(self.wait_for_receivers()).await;
        }
        self.others = false;
        if self.phase == Phase::Connecting && reader.has_begun() && !self.connection.is_closing() {
            Box::pin(self.look_away()).await;
        }
    }

    /// A CONNECT that has not come whole is looked at again after pauses that double, however its peer sends it: a thousand
    /// peers that send a byte at a time, together, must not keep everybody else waiting.
    async fn look_away(&mut self) {
        let pause = FIRST_PAUSE * (1 << self.looks.min(MOST_DOUBLINGS));
        self.looks = self.looks.saturating_add(1);
        let until = self.timers.next().min(Instant::now() + pause);
        let connection = self.connection.clone();
        tokio::select! {
            biased;
            () = connection.woken() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// Does what is pending, until the frames after it leave nothing more.
    async fn work_off(&mut self, reader: &mut Reader) {
        loop {
            match self.pending.take() {
                None => break,
                Some(Pending::End(closing)) => {
                    self.connection.close(*closing);
                    break;
                }
                Some(Pending::Anonymous) => {
                    self.timers.authentication = None;
                    let admitted = self.admit(&Introduction::default()).await;
                    if self.stopped_by(admitted) {
                        break;
                    }
                    reader.trust();
                    let read = reader.replay(&mut |bytes| self.consume(bytes));
                    self.after_read(Ok(read));
                }
                Some(Pending::Connect(json)) => {
                    let connected = self.connect(&json).await;
                    if self.stopped_by(connected) {
                        break;
                    }
                    reader.trust();
                    let read = reader.replay(&mut |bytes| self.consume(bytes));
                    self.after_read(Ok(read));
                }
            }
            self.flush();
        }
    }

    fn stopped_by(&self, outcome: Result<(), Closing>) -> bool {
        if let Err(closing) = outcome {
            self.connection.close(closing);
            return true;
        }
        false
    }

    /// Processes every complete frame in `bytes`.
    fn consume(&mut self, bytes: &[u8]) -> Consumed {
        // A changed account, and a reload, take effect with the next read.
        self.rules.max_payload = self.connection.max_payload();
        self.rules.max_control_line = self.connection.broker.options.max_control_line();
        let mut at = 0;
        while self.pending.is_none() {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            if self.phase == Phase::Connecting && !matches!(rest.first(), Some(b'C' | b'c')) {
                let admitted = self.connection.broker.admits_without_connect(self.connection.transport.client_type());
                self.pending =
                    Some(if admitted { Pending::Anonymous } else { Pending::End(Box::new(self.early_operation())) });
                break;
            }
            match parser::next(rest, &self.rules) {
                Ok(Step::Frame(frame, len)) => {
                    at += len;
                    self.act(&frame);
                    if self.batch.delivered_bytes > FLUSH_AFTER {
                        self.flush();
                    }
                }
                Ok(Step::Incomplete(wanted)) => return Consumed { bytes: at, wanted, paused: false },
                Err(error) => {
                    if let ProtocolError::Payload { size, .. } = error
                        && let Some(frame) = parser::oversized(rest)
                    {
                        self.report_oversized(&frame, size);
                    }
                    self.pending = Some(Pending::End(Box::new(self.breach(error))));
                }
            }
        }
        Consumed { bytes: at, wanted: 0, paused: self.pending.is_some() }
    }

    fn act(&mut self, frame: &Frame<'_>) {
        if traffic::is_on() {
            traffic::received(&self.connection, frame);
        }
        match frame {
            Frame::Publish(publish) => {
                self.active = true;
                self.publish(publish);
            }
            Frame::Subscribe(subscribe) => {
                self.active = true;
                self.subscribe(subscribe);
            }
            Frame::Unsubscribe(unsubscribe) => {
                self.active = true;
                self.unsubscribe(unsubscribe);
            }
            Frame::Ping => self.ping(),
            Frame::Pong => {
                if let Some(rtt) = self.timers.pong(Instant::now()) {
                    self.connection.traffic.rtt.store(rtt.as_nanos() as u64, Ordering::Relaxed);
                }
            }
            Frame::Connect(json) => self.pending = Some(Pending::Connect(Zeroizing::new(json.to_vec()))),
            Frame::Info(json) => {
                if serde_json::from_slice::<serde::de::IgnoredAny>(json).is_err() {
                    self.pending = Some(Pending::End(Box::new(Closing::breach(ProtocolError::Json("INFO")))));
                }
            }
            Frame::Ok => {}
            Frame::PeerError(_) => {
                self.pending = Some(Pending::End(Box::new(Closing::breach(ProtocolError::PeerError))));
            }
        }
    }

    /// PONG, and after the first one the INFO that says where the client has landed.
    fn ping(&mut self) {
        self.active = true;
        self.line(b"PONG\r\n");
        if !self.first_pong_sent {
            self.first_pong_sent = true;
            self.connection.set_announced();
            if self.options.protocol >= 1 {
                let info = self.connection.broker.info_after_connect(&self.connection);
                self.line(&info.line());
            }
        }
    }

    fn early_operation(&self) -> Closing {
        self.note(Reason::MissingCredentials, b"", "", "an operation came before CONNECT");
        Closing::by_policy(
            ClosePolicy::AUTHORIZATION_VIOLATION,
            Reason::MissingCredentials,
            "an operation came before CONNECT",
        )
    }

    fn breach(&self, error: ProtocolError) -> Closing {
        self.note(error.reason(), b"", "", &error.to_string());
        Closing::breach(error)
    }

    /// Queues a protocol line for the client.
    pub(super) fn line(&mut self, line: &[u8]) {
        if traffic::is_on() {
            traffic::said(&self.connection, line);
        }
        let appended = self.connection.outbound.line(self.connection.max_pending(), line);
        self.follow(appended);
    }

    fn follow(&mut self, appended: super::Appended) {
        match appended {
            super::Appended::Owe => self.batch.touch(&self.connection),
            super::Appended::Overflow => self.connection.overflowed(),
            super::Appended::Queued | super::Appended::Refused => {}
        }
    }

    /// Queues an error for the client.
    pub(super) fn error(&mut self, text: &str) {
        self.line(&encode::error_line(text));
    }

    /// `+OK`, for those who want it.
    pub(super) fn acknowledge(&mut self) {
        if self.options.verbose {
            self.line(b"+OK\r\n");
        }
    }

    /// Refuses an operation but not the connection: the client gets the protocol's text, the log
    /// and the tenant's feed the reason and rule.
    pub(super) fn refuse(&mut self, reason: Reason, subject: &[u8], rule: &str, text: &str) {
        self.note(reason, subject, rule, text);
        self.error(text);
    }

    pub(super) fn note(&self, reason: Reason, subject: &[u8], rule: &str, detail: &str) {
        self.connection.broker.security.note(SecurityEvent::of(&self.connection, reason).about(subject, rule, detail));
    }

    /// Takes over changed rights; what was remembered under the old ones is forgotten.
    #[inline]
    pub(super) fn refresh_rights(&mut self) {
        let version = self.connection.rights_version();
        if version != self.rights_version {
            self.rights = self.connection.rights();
            self.rights_version = version;
            self.cache.clear();
        }
    }

    /// The rights in force now.
    pub(super) fn current_rights(&mut self) -> Arc<Permissions> {
        self.refresh_rights();
        self.rights.clone()
    }

    /// Once per read: figures, then output.
    fn flush(&mut self) {
        let now = if self.active || self.in_messages > 0 { Some(Instant::now()) } else { None };
        if let Some(now) = now {
            self.active = false;
            self.timers.active(now);
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

    /// Slows this publisher down while its receivers are far behind.
    async fn wait_for_receivers(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        self.connection.wait_for_receivers(&self.tenant, behind, self.others).await;
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if self.timers.authentication.is_some_and(|due| due <= now) {
            self.note(Reason::AuthenticationTimeout, b"", "", "no CONNECT arrived in time");
            let policy = ClosePolicy::AUTHENTICATION_TIMEOUT;
            self.connection.close(Closing::by_policy(policy, Reason::AuthenticationTimeout, "no CONNECT in time"));
        } else if self.timers.expiry.is_some_and(|due| due <= now) {
            self.note(Reason::Expired, b"", "", "the credentials of the connection have expired");
            self.connection.close(Closing::by_policy(
                ClosePolicy::USER_EXPIRED,
                Reason::Expired,
                "credentials expired",
            ));
        } else if self.timers.ping <= now {
            self.rearm(now);
            self.cache.prune(&self.tenant.interest);
            let rtt_known = self.connection.traffic.rtt.load(Ordering::Relaxed) > 0;
            let ping_max = self.connection.broker.options.load().ping_max;
            self.timers.set_interval(self.connection.ping_interval());
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
}
