//! The beginning and the end of a connection: INFO and TLS, CONNECT, and cleaning up.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cordon_accounts::reason::Reason;
use cordon_auth::principal::Principal;
use cordon_auth::proof::{ConnectCredentials, ConnectionType, Proof};
use cordon_auth::refusal::{ClosePolicy, Refusal};
use futures_util::FutureExt;
use rustls::ServerConnection;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::connection::close::Closing;
use crate::connection::reader::Reader;
use crate::connection::session::{Phase, Session};
use crate::connection::socket::Socket;
use crate::connection::{ClientNames, Connection, Identity};
use crate::gate::Entry;
use crate::limits::FIRST_PING;
use crate::listener::tls::{self, Opening};
use crate::options::HandshakeFirst;
use crate::protocol::connect::Introduction;
use crate::protocol::encode;
use crate::system::security::SecurityEvent;
use crate::tenant::{AdmissionRefused, apply};

/// How long a closing connection may take to accept its last bytes.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Serves an accepted socket until it ends. A defect met on the way ends this connection alone.
pub async fn serve(stream: TcpStream, peer: SocketAddr, broker: Arc<Broker>) {
    let connection = Connection::new(broker.next_cid(), peer, broker.clone(), broker.tenants.global());
    let life = AssertUnwindSafe(live(stream, connection.clone()));
    if life.catch_unwind().await.is_err() {
        contain(&connection);
    }
}

async fn live(stream: TcpStream, connection: Arc<Connection>) {
    // In a box, so that what only the beginning needs does not last as long as the connection.
    if let Some((session, reader)) = Box::pin(begin(stream, connection)).await {
        session.run(reader).await;
    }
}

/// From an accepted socket to a session that can be served; `None` when it ended before.
async fn begin(stream: TcpStream, connection: Arc<Connection>) -> Option<(Box<Session>, Reader)> {
    let broker = connection.broker.clone();
    let nonce = broker.fresh_nonce();
    // Before a handshake: whoever is turned away costs no signature.
    if broker.tls().is_some() && broker.is_throttled(connection.peer.ip()) {
        let text = "Connection throttling is active. Please try again later.";
        let closing = Closing::told(text, "Authentication Failure", Reason::Throttled);
        turn_away(stream, &connection, &nonce, closing).await;
        return None;
    }
    let refusal = match broker.connections.admit(&connection) {
        Entry::Admitted => None,
        Entry::Full => {
            let text = "maximum connections exceeded";
            Some(Closing::told(text, "Maximum Connections Exceeded", Reason::ConnectionLimit))
        }
        Entry::Shut => Some(Closing::silent("Server Shutdown", None)),
    };
    if let Some(closing) = refusal {
        turn_away(stream, &connection, &nonce, closing).await;
        return None;
    }
    let opened = tokio::select! {
        opened = tls::open(stream, &connection, &nonce) => opened,
        () = ended(&connection) => Err(std::io::ErrorKind::ConnectionAborted.into()),
    };
    let (stream, session, certificates) = match opened {
        Ok(Opening { stream, tls, certificates }) => (stream, tls, certificates),
        Err(error) => {
            not_opened(&connection, &error);
            return None;
        }
    };
    if let Some(session) = &session {
        connection.identity.write().tls = Some(tls::names(session));
    }
    let reader = attach(stream, session, &connection);
    Some((Session::new(connection, nonce, certificates), reader))
}

/// Returns once somebody has decided that the connection ends.
async fn ended(connection: &Connection) {
    while !connection.is_closing() {
        connection.woken().await;
    }
}

/// INFO, the reason, and the end: in plain text, also where TLS would follow.
async fn turn_away(mut stream: TcpStream, connection: &Arc<Connection>, nonce: &Arc<str>, closing: Closing) {
    let broker = &connection.broker;
    if let Some(reason) = closing.reason {
        broker.security.note(SecurityEvent::of(connection, reason));
    }
    let mut lines = Vec::new();
    if broker.tls().is_none_or(|tls| tls.first == HandshakeFirst::No) {
        lines = broker.info_on_accept(connection, nonce).line();
        lines.extend(closing.wire_text.iter().flat_map(|text| encode::error_line(text)));
    }
    let last_words = async {
        stream.write_all(&lines).await?;
        stream.shutdown().await
    };
    // The peer may be gone, or not read: neither keeps its socket here.
    let _said = tokio::time::timeout(LAST_WRITE, last_words).await;
    broker.connections.remember_closed(connection, closing.close_reason, 0);
}

/// INFO or the TLS handshake failed.
fn not_opened(connection: &Arc<Connection>, error: &std::io::Error) {
    let broker = &connection.broker;
    if let Some(closing) = connection.closing() {
        broker.connections.remove(connection, closing.close_reason, 0);
    } else if broker.tls().is_none() {
        broker.connections.remove(connection, "Client Closed", 0);
    } else {
        tracing::debug!(connection.id = connection.cid, peer = %connection.peer, "TLS handshake error: {error}");
        if error.kind() == std::io::ErrorKind::InvalidData {
            broker.count_failure(connection.peer.ip());
        }
        broker.security.note(SecurityEvent::of(connection, Reason::TlsFailed).about(b"", "", &error.to_string()));
        broker.connections.remove(connection, "TLS Handshake Failure", 0);
    }
}

/// After a panic: gives back everything the connection held. Its socket went with its task.
fn contain(connection: &Arc<Connection>) {
    let broker = &connection.broker;
    broker.panics.fetch_add(1, Ordering::Relaxed);
    tracing::error!(connection.id = connection.cid, peer = %connection.peer, "a connection ended because of a defect of the broker");
    connection.close(Closing { reason: Some(Reason::InternalError), ..Closing::broken("Unknown State") });
    connection.end_subscriptions();
    connection.tenant().release(connection);
    connection.outbound.say_goodbye();
    connection.outbound.detach();
    broker.connections.remove(connection, "Unknown State", 0);
    broker.security.note(SecurityEvent::of(connection, Reason::InternalError));
    if let (Some(_), Some(closing)) = (connection.identity().principal, connection.closing()) {
        broker.observer().disconnected(connection, &closing);
    }
}

fn attach(stream: TcpStream, session: Option<ServerConnection>, connection: &Arc<Connection>) -> Reader {
    let (read, write) = stream.into_split();
    let socket = Arc::new(Socket::new(write, session));
    connection.outbound.attach(socket.clone());
    Reader::new(read, socket)
}

/// Ends a session whose connection is closing: its subscriptions, its place in the account, and
/// whatever output may still go.
pub(super) async fn finish(session: Box<Session>, reader: Reader) {
    let connection = session.connection.clone();
    let held = connection.subscription_count();
    connection.end_subscriptions_in_turns().await;
    let closing = connection.closing().unwrap_or_else(Closing::by_peer);
    if let Some(reason @ (Reason::SlowConsumerPending | Reason::SlowConsumerDeadline)) = closing.reason {
        connection.broker.slow_consumers.fetch_add(1, Ordering::Relaxed);
        connection.tenant().counters.slow_consumers.fetch_add(1, Ordering::Relaxed);
        connection.broker.security.note(SecurityEvent::of(&connection, reason));
    }
    connection.tenant().release(&connection);
    connection.broker.connections.remove(&connection, closing.close_reason, held);
    if session.phase == Phase::Authenticated {
        connection.broker.observer().disconnected(&connection, &closing);
    }
    tracing::debug!(connection.id = connection.cid, reason = closing.close_reason, detail = %closing.detail, "connection closed");
    drop(session);
    if closing.keep_output {
        connection.flush();
        let until = Instant::now() + LAST_WRITE;
        while !connection.outbound.is_settled() && Instant::now() < until {
            connection.outbound.wait_for_drain(until - Instant::now()).await;
        }
    }
    connection.outbound.say_goodbye();
    connection.outbound.detach();
    drop(reader);
}

impl Session {
    /// CONNECT: options, proof, principal, account.
    pub(super) async fn connect(&mut self, json: &[u8]) -> Result<(), Closing> {
        self.timers.authentication = None;
        self.timers.expiry = None;
        let again = self.phase == Phase::Authenticated;
        // Of an earlier CONNECT the names stay, and the credentials do not: what it proved is proved anew.
        let mut introduction = Introduction::of(&self.connection.identity().client);
        self.options.merge(json, &mut introduction).map_err(Closing::breach)?;
        if again {
            // Nothing of the previous principal may outlive it: subscriptions, cached matches, place.
            self.connection.end_subscriptions();
            self.connection.broker.observer().disconnected(&self.connection, &Closing::silent("Client Closed", None));
            self.connection.tenant().release(&self.connection);
            self.connection.unbind();
            self.phase = Phase::Connecting;
        }
        if introduction.credentials.account {
            return Err(self.refused(&Refusal::new(Reason::ObsoleteAccountField, "CONNECT names an account")));
        }
        if !(0..=1).contains(&self.options.protocol) {
            let closing =
                Closing::told("invalid client protocol", "Bad Client Protocol Version", Reason::ProtocolViolation);
            return Err(closing.because("`protocol` must be 0 or 1"));
        }
        if self.options.no_responders && !self.options.headers {
            let text = "no responders requires headers support";
            return Err(Closing::told(text, "No Responders Requires Headers", Reason::ProtocolViolation));
        }
        self.admit(&introduction).await?;
        self.acknowledge();
        Ok(())
    }

    /// Proof, principal, account.
    pub(super) async fn admit(&mut self, introduction: &Introduction) -> Result<(), Closing> {
        let principal = self.prove(&introduction.credentials).await?;
        self.bind(Arc::new(principal), self.names(introduction)).await
    }

    async fn prove(&self, credentials: &ConnectCredentials) -> Result<Principal, Closing> {
        let broker = &self.connection.broker;
        let proof = Proof {
            connect: credentials,
            nonce: self.nonce.as_bytes(),
            peer_ip: Some(self.connection.peer.ip()),
            certificates: &self.certificates,
            connection_type: ConnectionType::Standard,
            map_certificates: broker.options.map_certificates,
        };
        // Passwords wait for their turn, and a resolver may hang: neither holds a connection beyond its time, nor
        // one that somebody has ended meanwhile.
        let deciding = tokio::time::timeout(broker.options.auth_timeout, broker.authenticate(proof));
        tokio::select! {
            decided = deciding => match decided {
                Ok(decided) => decided.map_err(|refusal| self.refused(&refusal)),
                Err(_) => Err(self.not_decided_in_time()),
            },
            () = ended(&self.connection) => Err(Closing::silent("Client Closed", None)),
        }
    }

    fn not_decided_in_time(&self) -> Closing {
        let detail = "the credentials could not be checked in time";
        self.note(Reason::AuthenticationTimeout, b"", "", detail);
        Closing::by_policy(ClosePolicy::AUTHENTICATION_TIMEOUT, Reason::AuthenticationTimeout, detail)
    }

    fn refused(&self, refusal: &Refusal) -> Closing {
        let broker = &self.connection.broker;
        tracing::info!(connection.id = self.connection.cid, peer = %self.connection.peer, reason = refusal.reason.code(), "authentication refused: {refusal}");
        broker.security.note(SecurityEvent::of_refusal(&self.connection, refusal));
        broker.observer().authentication_refused(&self.connection, refusal);
        Closing::by_policy(refusal.close_policy(), refusal.reason, refusal.detail.clone())
    }

    fn names(&self, introduction: &Introduction) -> ClientNames {
        ClientNames {
            name: introduction.name.chars().take(256).collect(),
            lang: introduction.lang.chars().take(64).collect(),
            version: introduction.version.chars().take(64).collect(),
            protocol: self.options.protocol,
        }
    }

    /// Binds the connection to its account under the limits in force.
    async fn bind(&mut self, principal: Arc<Principal>, names: ClientNames) -> Result<(), Closing> {
        let connection = self.connection.clone();
        let broker = connection.broker.clone();
        let tenant =
            broker.tenants.tenant_of(&broker, &principal.account).await.map_err(|error| self.refused(&error))?;
        // Under the account's lock: whoever applies a changed account sees this connection, or
        // this connection sees the change.
        match tenant.admit(&connection, &principal, broker.clock.unix_seconds()) {
            Ok(()) => {}
            Err(AdmissionRefused::Full) => {
                broker.security.note(SecurityEvent::of_account(&connection, &tenant, Reason::AccountConnectionLimit));
                return Err(Closing::by_policy(
                    ClosePolicy::ACCOUNT_CONNECTIONS,
                    Reason::AccountConnectionLimit,
                    "the account is full",
                ));
            }
            Err(AdmissionRefused::NoLonger(reason)) => {
                return Err(self
                    .refused(&Refusal::new(reason, "the account changed while connecting").in_account(&tenant.name)));
            }
        }
        connection.echo.store(self.options.echo, Ordering::Relaxed);
        connection.headers.store(self.options.headers, Ordering::Relaxed);
        self.rules.headers = self.options.headers;
        connection.set_limits(principal.limits.min(tenant.limits()));
        if !Arc::ptr_eq(&self.tenant, &tenant) {
            // Subscriptions made before CONNECT are of the account they were made in.
            connection.end_subscriptions();
        }
        // Before the principal is there for others to update: what they put in force must not be overwritten.
        connection.set_rights(principal.permissions.clone());
        connection.bind(Identity {
            tenant: tenant.clone(),
            principal: Some(principal.clone()),
            client: Arc::new(names),
            tls: connection.identity().tls,
        });
        apply::to_connection(&broker, &connection, &tenant, broker.clock.unix_seconds());
        self.tenant = tenant;
        self.cache.clear();
        self.phase = Phase::Authenticated;
        self.arm(&principal);
        broker.observer().connected(&connection);
        Ok(())
    }

    fn arm(&mut self, principal: &Principal) {
        let broker = &self.connection.broker;
        let now = Instant::now();
        self.timers.expiry = expiry(broker, principal, now);
        let first = broker.options.ping_interval.min(FIRST_PING);
        let spread = first.mul_f64(f64::from(self.batch.draw(200)) / 1000.0);
        self.timers.connected(now, first + spread);
    }

    /// Sets the timer of the credentials by the clock again, which may have been set since.
    pub(super) fn rearm(&mut self, now: Instant) {
        if let Some(principal) = self.connection.identity().principal {
            self.timers.expiry = expiry(&self.connection.broker, &principal, now);
        }
    }
}

fn expiry(broker: &Broker, principal: &Principal, now: Instant) -> Option<Instant> {
    let left_ns = principal.expires?.saturating_mul(1_000_000_000).saturating_sub(broker.clock.unix_nanos());
    now.checked_add(Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0)))
}

impl Introduction {
    /// Of a client that has given these names before.
    fn of(names: &ClientNames) -> Self {
        let ClientNames { name, lang, version, .. } = names.clone();
        Self { name, lang, version, ..Self::default() }
    }
}

impl Connection {
    fn bind(&self, identity: Identity) {
        *self.identity.write() = identity;
    }

    /// Back to the state before CONNECT.
    fn unbind(self: &Arc<Self>) {
        let mut identity = self.identity.write();
        identity.tenant = self.broker.tenants.global();
        identity.principal = None;
        drop(identity);
        self.grants.lock().take();
        self.tracks_replies.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The future of an `async fn`, without running it.
    fn size_of_future<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        // Each is in memory once for every connection: what a part needs only at times belongs in a box.
        for (part, bytes, most) in [
            ("task", size_of_future(serve), 640),
            ("session", size_of::<Session>(), 576),
            ("what others see", size_of::<Connection>(), 512),
            ("plain socket", size_of::<Socket>(), 32),
        ] {
            assert!(bytes <= most, "{part}: {bytes} bytes");
        }
    }
}
