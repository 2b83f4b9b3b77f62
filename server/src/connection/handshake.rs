//! The beginning and the end of a connection: INFO and TLS, CONNECT, and cleaning up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cordon_accounts::reason::Reason;
use cordon_auth::principal::Principal;
use cordon_auth::proof::{ConnectionType, Proof};
use cordon_auth::refusal::{ClosePolicy, Refusal};
use rustls::ServerConnection;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::connection::close::Closing;
use crate::connection::reader::Reader;
use crate::connection::session::{Phase, Session};
use crate::connection::socket::Socket;
use crate::connection::{ClientNames, Connection, Identity};
use crate::limits::FIRST_PING;
use crate::listener::tls::{self, Opening};
use crate::system::security::SecurityEvent;
use crate::tenant::AdmissionRefused;

/// How long a closing connection may take to accept its last bytes.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Serves an accepted socket until it ends.
pub async fn serve(stream: TcpStream, peer: SocketAddr, broker: Arc<Broker>) {
    let connection = Connection::new(broker.next_cid(), peer, broker.clone(), broker.tenants.global());
    let nonce = broker.fresh_nonce();
    let opened = tls::open(stream, &connection, &nonce).await;
    let (stream, session, certificates) = match opened {
        Ok(Opening { stream, tls, certificates }) => (stream, tls, certificates),
        Err(error) => {
            tracing::debug!(connection.id = connection.cid, peer = %peer, "TLS handshake error: {error}");
            broker.security.note(SecurityEvent::of(&connection, Reason::TlsFailed).about(b"", "", &error.to_string()));
            broker.connections.remember_closed(&connection, "TLS Handshake Failure");
            return;
        }
    };
    if let Some(session) = &session {
        connection.identity.write().tls = Some(tls::names(session));
    }
    let (reader, socket) = attach(stream, session, &connection);
    if !broker.connections.admit(&connection) {
        broker.security.note(SecurityEvent::of(&connection, Reason::ConnectionLimit));
        connection.close(Closing::told("maximum connections exceeded", "Maximum Connections Exceeded", Reason::ConnectionLimit));
    }
    drop(socket);
    Session::new(connection, nonce, certificates).run(reader).await;
}

fn attach(stream: TcpStream, session: Option<ServerConnection>, connection: &Arc<Connection>) -> (Reader, Arc<Socket>) {
    let (read, write) = stream.into_split();
    let socket = Arc::new(Socket::new(write, session));
    connection.outbound.attach(socket.clone());
    (Reader::new(read, socket.clone()), socket)
}

/// Ends a session whose connection is closing: its subscriptions, its place in the account, and
/// whatever output may still go.
pub(super) async fn finish(session: Session, reader: Reader) {
    let connection = session.connection.clone();
    connection.end_subscriptions();
    let closing = connection.closing().unwrap_or_else(Closing::by_peer);
    connection.tenant().release(&connection);
    connection.broker.connections.remove(&connection, closing.close_reason);
    if session.phase == Phase::Authenticated {
        connection.broker.observer().disconnected(&connection, &closing);
    }
    tracing::debug!(connection.id = connection.cid, reason = closing.close_reason, detail = %closing.detail, "connection closed");
    drop(session);
    if closing.keep_output {
        connection.flush();
        let until = Instant::now() + LAST_WRITE;
        while connection.outbound.pending() > 0 && Instant::now() < until {
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
        self.options.merge(json).map_err(Closing::breach)?;
        if again {
            // Nothing of the previous principal may outlive it: subscriptions, cached matches, place.
            self.connection.end_subscriptions();
            self.connection.broker.observer().disconnected(&self.connection, &Closing::silent("Client Closed", None));
            self.connection.tenant().release(&self.connection);
            self.connection.unbind();
        }
        if self.options.credentials.account {
            return Err(self.refused(&Refusal::new(Reason::ObsoleteAccountField, "CONNECT names an account")));
        }
        if !(0..=1).contains(&self.options.protocol) {
            let closing = Closing::told("invalid client protocol", "Bad Client Protocol Version", Reason::ProtocolViolation);
            return Err(closing.because("`protocol` must be 0 or 1"));
        }
        if self.options.no_responders && !self.options.headers {
            let text = "no responders requires headers support";
            return Err(Closing::told(text, "No Responders Requires Headers", Reason::ProtocolViolation));
        }
        self.admit().await?;
        self.acknowledge();
        Ok(())
    }

    /// Proof, principal, account.
    pub(super) async fn admit(&mut self) -> Result<(), Closing> {
        let principal = self.prove().await?;
        self.bind(Arc::new(principal)).await
    }

    async fn prove(&self) -> Result<Principal, Closing> {
        let broker = &self.connection.broker;
        let proof = Proof {
            connect: &self.options.credentials,
            nonce: self.nonce.as_bytes(),
            peer_ip: Some(self.connection.peer.ip()),
            certificates: &self.certificates,
            connection_type: ConnectionType::Standard,
            map_certificates: broker.options.map_certificates,
        };
        broker.authenticate(proof).await.map_err(|refusal| self.refused(&refusal))
    }

    fn refused(&self, refusal: &Refusal) -> Closing {
        let broker = &self.connection.broker;
        tracing::info!(connection.id = self.connection.cid, peer = %self.connection.peer, reason = refusal.reason.code(), "authentication refused: {refusal}");
        broker.security.note(SecurityEvent::of_refusal(&self.connection, refusal));
        broker.observer().authentication_refused(&self.connection, refusal, &self.names());
        Closing::by_policy(refusal.close_policy(), refusal.reason, refusal.detail.clone())
    }

    fn names(&self) -> ClientNames {
        ClientNames {
            name: self.options.name.chars().take(256).collect(),
            lang: self.options.lang.chars().take(64).collect(),
            version: self.options.version.chars().take(64).collect(),
            protocol: self.options.protocol,
        }
    }

    /// Binds the connection to its account under the limits in force.
    async fn bind(&mut self, principal: Arc<Principal>) -> Result<(), Closing> {
        let connection = self.connection.clone();
        let broker = connection.broker.clone();
        let tenant = broker.tenants.tenant_of(&broker, &principal.account).await.map_err(|error| self.refused(&error))?;
        // Under the account's lock: whoever applies a changed account sees this connection, or
        // this connection sees the change.
        match tenant.admit(&connection, &principal, broker.clock.unix_seconds()) {
            Ok(()) => {}
            Err(AdmissionRefused::Full) => {
                broker.security.note(SecurityEvent::of_account(&connection, &tenant, Reason::AccountConnectionLimit));
                return Err(Closing::by_policy(ClosePolicy::ACCOUNT_CONNECTIONS, Reason::AccountConnectionLimit, "the account is full"));
            }
            Err(AdmissionRefused::NoLonger(reason)) => {
                return Err(self.refused(&Refusal::new(reason, "the account changed while connecting").in_account(&tenant.name)));
            }
        }
        connection.echo.store(self.options.echo, Ordering::Relaxed);
        connection.headers.store(self.options.headers, Ordering::Relaxed);
        self.rules.headers = self.options.headers;
        connection.set_limits(principal.limits.min(tenant.limits()));
        connection.bind(Identity {
            tenant: tenant.clone(),
            principal: Some(principal.clone()),
            client: Arc::new(self.names()),
            tls: connection.identity().tls,
        });
        connection.set_rights(principal.permissions.clone());
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
        self.timers.expiry = principal.expires.map(|at| {
            let left_ns = at.saturating_mul(1_000_000_000).saturating_sub(broker.clock.unix_nanos());
            now + Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0))
        });
        let first = broker.options.ping_interval.min(FIRST_PING);
        let spread = first.mul_f64(f64::from(self.batch.draw(200)) / 1000.0);
        self.timers.connected(now, first + spread);
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
