//! The beginning and the end of a connection: INFO and TLS, CONNECT, and cleaning up.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::reason::Reason;
use cordon_auth::principal::{Method, Principal};
use cordon_auth::proof::{ClientDetails, Proof};
use cordon_auth::refusal::{ClosePolicy, Refusal};
use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::connection::close::Closing;
use crate::connection::reader::Reader;
use crate::connection::session::{Phase, Session};
use crate::connection::socket::Socket;
use crate::connection::{ClientNames, Connection, Identity, Transport, first_line, traffic};
use crate::gate::Entry;
use crate::leaf::accept;
use crate::limits::FIRST_PING;
use crate::listener::proxy;
use crate::listener::tls::{self, Opening};
use crate::options::HandshakeFirst;
use crate::protocol::connect::Introduction;
use crate::protocol::encode;
use crate::system::security::SecurityEvent;
use crate::tenant::{AdmissionRefused, apply};
use crate::websocket::incoming::Input;
use crate::websocket::outgoing::Output;
use crate::websocket::request::{Kind, Upgrade};
use crate::websocket::upgrade::{self, NotUpgraded};

/// How long a closing connection may take to accept its last bytes.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Serves an accepted socket until it ends. A defect met on the way ends this connection alone.
pub async fn serve(stream: TcpStream, peer: SocketAddr, transport: Transport, broker: Arc<Broker>) {
    let connection = Connection::new(peer, transport, broker);
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!("{} - Client connection created", traffic::label(&connection));
    }
    let life = AssertUnwindSafe(live(stream, connection.clone()));
    if life.catch_unwind().await.is_err() {
        contain(&connection);
    }
}

async fn live(stream: TcpStream, connection: Arc<Connection>) {
    // In a box, so that what only the beginning needs does not last as long as the connection.
    match Box::pin(begin(stream, connection)).await {
        Some(Begun::Client(session, reader)) => session.run(reader).await,
        Some(Begun::Leaf(leaf)) => {
            let Upgraded { opening, upgrade, connection } = *leaf;
            Box::pin(accept::serve_upgraded(opening, upgrade, connection)).await;
        }
        None => {}
    }
}

/// What a socket turned out to be.
enum Begun {
    Client(Box<Session>, Reader),
    Leaf(Box<Upgraded>),
}

/// A leaf node that came to the WebSocket listener.
struct Upgraded {
    opening: Opening,
    upgrade: Upgrade,
    connection: Arc<Connection>,
}

/// From an accepted socket to a session that can be served; `None` when it ended before.
async fn begin(stream: TcpStream, connection: Arc<Connection>) -> Option<Begun> {
    let broker = connection.broker.clone();
    let nonce = broker.fresh_nonce();
    let over_tcp = connection.transport == Transport::Tcp;
    let awaited = proxy::awaited(&connection).is_some();
    let costly = !over_tcp || broker.tls().is_some();
    // Before a handshake: whoever is turned away costs no signature.
    if costly && (!awaited && broker.is_throttled(connection.peer().ip()) || over_tcp && !broker.may_begin_handshake())
    {
        let text = "Connection throttling is active. Please try again later.";
        let closing = Closing::told(text, "Authentication Failure", Reason::Throttled);
        turn_away(stream, &connection, &nonce, closing).await;
        return None;
    }
    let refusal = match broker.connections.admit(&connection) {
        Entry::Admitted => {
            // A reload finds it from now on, and may have come since it was made.
            connection.bind_limits(ConnectionLimits::UNLIMITED);
            None
        }
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
    match connection.transport {
        Transport::Tcp => begin_tcp(stream, connection, nonce).await,
        Transport::Websocket => begin_websocket(stream, connection, nonce).await,
    }
}

async fn begin_tcp(stream: TcpStream, connection: Arc<Connection>, nonce: Arc<str>) -> Option<Begun> {
    let accepted = Instant::now();
    let awaited = proxy::awaited(&connection).is_some();
    let opened = tokio::select! {
        opened = tls::open(stream, &connection, &nonce) => opened,
        () = ended(&connection) => Err(std::io::ErrorKind::ConnectionAborted.into()),
    };
    // Waiting for the header of a proxy is a part of the time for CONNECT.
    let plain = opened.as_ref().is_ok_and(|opening| opening.tls.is_none());
    let since = if awaited && plain { accepted } else { Instant::now() };
    let opened = match opened {
        Ok(opening) => with_first_line(opening, &connection, since).await,
        Err(error) => Err(error),
    };
    match opened {
        Ok(opening) => Some(attach(opening, None, connection, nonce, since)),
        Err(error) => {
            not_opened(&connection, &error);
            None
        }
    }
}

/// Where CONNECT is demanded in plain text, what a session needs is there once there is something for it to act on.
async fn with_first_line(mut opening: Opening, connection: &Connection, since: Instant) -> std::io::Result<Opening> {
    let demanded = connection.broker.demands_credentials(connection.transport.client_type());
    if demanded && opening.tls.is_none() && !connection.is_closing() {
        let until = since + connection.auth_timeout().min(connection.ping_interval());
        opening.stream = first_line::arrived(opening.stream, connection, until).await?;
    }
    Ok(opening)
}

async fn begin_websocket(stream: TcpStream, connection: Arc<Connection>, nonce: Arc<str>) -> Option<Begun> {
    let upgraded = tokio::select! {
        upgraded = upgrade::open(stream, &connection) => upgraded,
        () = ended(&connection) => Err(NotUpgraded::Broken(std::io::ErrorKind::ConnectionAborted.into())),
    };
    match upgraded {
        Ok((opening, upgrade)) if upgrade.kind == Kind::Leafnode => {
            Some(Begun::Leaf(Box::new(Upgraded { opening, upgrade, connection })))
        }
        Ok((opening, upgrade)) => {
            let begun = attach(opening, Some(upgrade), connection.clone(), nonce.clone(), Instant::now());
            connection.send_line(&connection.broker.info_on_accept(&connection, &nonce).line());
            Some(begun)
        }
        Err(NotUpgraded::Tls(error)) => {
            not_opened(&connection, &error);
            None
        }
        Err(error) => {
            not_upgraded(&connection, &error);
            None
        }
    }
}

/// Returns once somebody has decided that the connection ends.
pub(crate) async fn ended(connection: &Connection) {
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
    if connection.transport == Transport::Websocket {
        lines = upgrade::turned_away(connection, closing.reason == Some(Reason::Throttled));
    } else if broker.tls().is_none_or(|tls| tls.first == HandshakeFirst::No) {
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
    } else if broker.tls_of(connection.transport).is_none() {
        broker.connections.remove(connection, "Client Closed", 0);
    } else {
        tracing::debug!(connection.id = connection.cid, peer = %connection.peer(), "TLS handshake error: {error}");
        if error.kind() == std::io::ErrorKind::InvalidData {
            broker.count_failure(connection.peer().ip());
        }
        broker.security.note(SecurityEvent::of(connection, Reason::TlsFailed).about(b"", "", &error.to_string()));
        broker.connections.remove(connection, "TLS Handshake Failure", 0);
    }
}

/// What was asked for at the WebSocket listener is not granted.
fn not_upgraded(connection: &Arc<Connection>, error: &NotUpgraded) {
    let broker = &connection.broker;
    let reason = match (error, connection.closing()) {
        (_, Some(closing)) => closing.close_reason,
        (NotUpgraded::Refused(refused), None) => {
            tracing::debug!(connection.id = connection.cid, peer = %connection.peer(), "no WebSocket: {refused}");
            if refused.counts_as_failure() {
                broker.count_failure(connection.peer().ip());
            }
            let event = SecurityEvent::of(connection, Reason::ProtocolViolation);
            broker.security.note(event.about(b"", "", &refused.to_string()));
            "Protocol Violation"
        }
        (NotUpgraded::TooSlow, None) => {
            broker.security.note(SecurityEvent::of(connection, Reason::AuthenticationTimeout));
            "Authentication Timeout"
        }
        (NotUpgraded::Broken(_) | NotUpgraded::Tls(_), None) => "Client Closed",
    };
    broker.connections.remove(connection, reason, 0);
}

/// After a panic: gives back everything the connection held. Its socket went with its task.
fn contain(connection: &Arc<Connection>) {
    let broker = &connection.broker;
    broker.panics.fetch_add(1, Ordering::Relaxed);
    tracing::error!(connection.id = connection.cid, peer = %connection.peer(), "a connection ended because of a defect of the broker");
    connection.close(Closing { reason: Some(Reason::InternalError), ..Closing::broken("Unknown State") });
    connection.end_subscriptions();
    connection.tenant().release(connection);
    connection.outbound.say_goodbye("Unknown State");
    connection.outbound.detach();
    broker.connections.remove(connection, "Unknown State", 0);
    broker.security.note(SecurityEvent::of(connection, Reason::InternalError));
    if let (Some(_), Some(closing)) = (connection.identity().principal, connection.closing()) {
        broker.observer().disconnected(connection, &closing);
    }
}

fn attach(
    opening: Opening,
    upgrade: Option<Upgrade>,
    connection: Arc<Connection>,
    nonce: Arc<str>,
    since: Instant,
) -> Begun {
    let Opening { stream, tls, certificates } = opening;
    if let Some(session) = &tls {
        connection.identity.write().tls = Some(tls::names(session));
    }
    let (read, write) = stream.into_split();
    let mut socket = Socket::new(write, tls.map(rustls::Connection::Server));
    let mut input = None;
    let mut cookies = None;
    if let Some(upgrade) = upgrade {
        let max_payload = connection.broker.options.load().max_payload;
        socket = socket.framed(Output::new(upgrade.fragments, upgrade.compression));
        input = Some(Input::new(true, upgrade.compression, max_payload));
        cookies = upgrade.cookies;
    }
    let socket = Arc::new(socket);
    connection.outbound.attach(socket.clone());
    let mut reader = Reader::new(read, socket);
    if let Some(input) = input {
        reader = reader.framed(input);
    }
    let mut session = Session::new(connection, nonce, certificates, since);
    session.cookies = cookies;
    Begun::Client(session, reader)
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
    if tracing::enabled!(tracing::Level::DEBUG) {
        let (label, reason) = (traffic::label(&connection), closing.close_reason);
        tracing::debug!(detail = %closing.detail, "{label} - Client connection closed: {reason}");
    }
    drop(session);
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

impl Session {
    /// CONNECT: options, proof, principal, account.
    pub(super) async fn connect(&mut self, json: &[u8]) -> Result<(), Closing> {
        self.timers.authentication = None;
        self.timers.expiry = None;
        let again = self.phase == Phase::Authenticated;
        // Of an earlier CONNECT the names stay, and the credentials do not: what it proved is proved anew.
        let mut introduction = Introduction::of(&self.connection.identity().client);
        self.options.merge(json, &mut introduction).map_err(Closing::breach)?;
        self.options.headers &= self.connection.broker.options.load().headers;
        if let Some(cookies) = self.cookies.take() {
            introduction.credentials.fill_from(*cookies);
        }
        if again {
            // Nothing of the previous principal may outlive it: subscriptions, cached matches, place.
            self.connection.end_subscriptions();
            self.connection.broker.observer().disconnected(&self.connection, &Closing::silent("Client Closed", None));
            self.connection.tenant().release(&self.connection);
            self.connection.unbind();
            self.phase = Phase::Connecting;
        }
        if introduction.credentials.account {
            return Err(self
                .connection
                .refused(&Refusal::new(Reason::ObsoleteAccountField, "CONNECT names an account")));
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
        let principal = self.prove(introduction).await?;
        // A service may take its time: who has gone meanwhile must not count in the account that it was put into.
        if principal.method == Method::Callout && self.connection.outbound.is_read_closed() {
            return Err(Closing::by_peer());
        }
        self.bind(Arc::new(principal), self.names(introduction)).await
    }

    async fn prove(&self, introduction: &Introduction) -> Result<Principal, Closing> {
        let broker = &self.connection.broker;
        let tls = self.connection.identity().tls;
        let proof = Proof {
            connect: &introduction.credentials,
            nonce: self.nonce.as_bytes(),
            peer_ip: Some(self.connection.peer().ip()),
            certificates: &self.certificates,
            connection_type: self.connection.transport.client_type(),
            map_certificates: self.connection.maps_certificates(),
            client: ClientDetails {
                id: self.connection.cid,
                name: &introduction.name,
                lang: &introduction.lang,
                version: &introduction.version,
                protocol: self.options.protocol,
                tls: tls.as_ref().map(|tls| (tls.version, tls.suite)),
            },
        };
        // Passwords wait for their turn, and a resolver may hang: neither holds a connection beyond its time, nor
        // one that somebody has ended meanwhile.
        let once = self.connection.auth_timeout();
        // The service of an account has as much time again, and is waited for where it is asked.
        let patience = if broker.authenticator().may_call_out() { once * 2 } else { once };
        let deciding = tokio::time::timeout(patience, broker.authenticate(proof));
        tokio::select! {
            decided = deciding => match decided {
                Ok(decided) => decided.map_err(|refusal| self.connection.refused(&refusal)),
                Err(_) => Err(self.connection.not_decided_in_time()),
            },
            () = ended(&self.connection) => Err(Closing::silent("Client Closed", None)),
        }
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
        let tenant = broker
            .tenants
            .tenant_of(&broker, &principal.account)
            .await
            .map_err(|error| self.connection.refused(&error))?;
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
                    .connection
                    .refused(&Refusal::new(reason, "the account changed while connecting").in_account(&tenant.name)));
            }
        }
        connection.echo.store(self.options.echo, Ordering::Relaxed);
        connection.headers.store(self.options.headers, Ordering::Relaxed);
        self.rules.headers = self.options.headers;
        connection.bind_limits(principal.limits.min(tenant.limits()));
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
        let first = self.connection.ping_interval().min(FIRST_PING);
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

pub(crate) fn expiry(broker: &Broker, principal: &Principal, now: Instant) -> Option<Instant> {
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
    pub(crate) fn bind(&self, identity: Identity) {
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
    fn size_of_future<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
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
