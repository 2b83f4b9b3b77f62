//! The accepting side: INFO, TLS, CONNECT, and the account that is joined.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::reason::Reason;
use cordon_auth::principal::{Method, Principal};
use cordon_auth::proof::{ClientDetails, ConnectCredentials, ConnectionType, Proof};
use cordon_auth::refusal::{ClosePolicy, Refusal};
use futures_util::FutureExt;
use secrecy::ExposeSecret as _;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::connection::close::Closing;
use crate::connection::handshake::ended;
use crate::connection::reader::Reader;
use crate::connection::{ClientNames, Connection, Identity, Transport};
use crate::gate::Entry;
use crate::leaf::filter::{Filter, Whose};
use crate::leaf::info::{self, LeafConnect, LeafInfo};
use crate::leaf::options::version;
use crate::leaf::reload;
use crate::leaf::session::{Framing, LeafSession, attach, contain};
use crate::leaf::state::{Denied, Introduced, Leaf};
use crate::limits::MAX_LEAF_CONNECTIONS;
use crate::listener::tls::{self, Opening};
use crate::protocol::{ProtocolError, encode};
use crate::system::security::SecurityEvent;
use crate::tenant::{AdmissionRefused, Tenant, apply};
use crate::websocket::incoming::Input;
use crate::websocket::outgoing::Output;
use crate::websocket::request::Upgrade;

/// How long a peer that is turned away may take to read why.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Deny lists of a peer, in entries: each is looked at for each message.
const DENIED_MAX: usize = 256;

/// Accepts leaf nodes until `stop` is cancelled.
pub async fn listen(listener: TcpListener, broker: Arc<Broker>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("no TCP_NODELAY for {peer}: {error}");
                }
                broker.tasks.spawn(serve(stream, peer, broker.clone()));
            }
            Err(error) => {
                tracing::warn!("accept of a leaf node failed: {error}; trying again in {ACCEPT_PAUSE:?}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves an accepted socket until it ends. A defect met on the way ends this connection alone.
pub async fn serve(stream: TcpStream, peer: SocketAddr, broker: Arc<Broker>) {
    let connection = Connection::new(peer, Transport::Tcp, broker.clone());
    // Proxies are heeded where clients connect.
    connection.tell_peer(peer);
    let life = AssertUnwindSafe(async {
        if let Some((session, reader)) = Box::pin(begin(stream, connection.clone())).await {
            session.run(reader).await;
        }
    });
    if life.catch_unwind().await.is_err() {
        contain(&connection);
    }
}

/// From an accepted socket to a session; `None` when it ended before.
async fn begin(stream: TcpStream, connection: Arc<Connection>) -> Option<(Box<LeafSession>, Reader)> {
    let broker = connection.broker.clone();
    let local = stream.local_addr().map_or(connection.peer().ip(), |address| address.ip());
    let nonce: Arc<str> = cordon_auth::nonce::fresh_nonce(&mut rand::rngs::OsRng).into();
    let info = LeafInfo::on_accept(&broker, &connection, local, &nonce).line();
    if broker.leafs.tls().is_some() && broker.is_throttled(connection.peer().ip()) {
        turn_away(stream, &connection, &info, "Connection throttling is active. Please try again later.").await;
        return None;
    }
    match broker.leafs.open.enter(connection.cid, connection.clone(), MAX_LEAF_CONNECTIONS) {
        Entry::Admitted => {}
        Entry::Full => {
            turn_away(stream, &connection, &info, "maximum connections exceeded").await;
            return None;
        }
        Entry::Shut => return None,
    }
    let opened = tokio::select! {
        opened = tls::open_with(stream, &connection, broker.leafs.tls(), || info.clone()) => opened,
        () = ended(&connection) => Err(std::io::ErrorKind::ConnectionAborted.into()),
    };
    let Opening { stream, tls, certificates } = match opened {
        Ok(opening) => opening,
        Err(error) => {
            not_opened(&connection, &error);
            return None;
        }
    };
    if let Some(session) = &tls {
        connection.identity.write().tls = Some(tls::names(session));
    }
    let reader = attach(stream, tls.map(rustls::Connection::Server), None, &connection);
    let mut session = LeafSession::new(connection, nonce, local, certificates, None);
    session.expect_within(broker.leafs.listen().map_or(crate::limits::AUTH_TIMEOUT, |listen| listen.auth_timeout));
    Some((session, reader))
}

/// Serves a leaf node that came over WebSocket until it ends; so far the connection was among those of clients.
pub(crate) async fn serve_upgraded(opening: Opening, upgrade: Upgrade, connection: Arc<Connection>) {
    let broker = connection.broker.clone();
    broker.connections.hand_over(&connection);
    if broker.leafs.open.enter(connection.cid, connection.clone(), MAX_LEAF_CONNECTIONS) != Entry::Admitted {
        broker.connections.remember_closed(&connection, "Maximum Connections Exceeded", 0);
        return;
    }
    let life = AssertUnwindSafe(async {
        let Opening { stream, tls, certificates } = opening;
        let local = stream.local_addr().map_or(connection.peer().ip(), |address| address.ip());
        let nonce: Arc<str> = cordon_auth::nonce::fresh_nonce(&mut rand::rngs::OsRng).into();
        if let Some(session) = &tls {
            connection.identity.write().tls = Some(tls::names(session));
        }
        let most = broker.options.load().max_payload;
        let framing = Framing {
            input: Input::new(upgrade.masked, upgrade.compression, most),
            output: Output::new(upgrade.fragments, upgrade.compression),
        };
        let reader = attach(stream, tls.map(rustls::Connection::Server), Some(framing), &connection);
        let info = LeafInfo::on_accept(&broker, &connection, local, &nonce);
        let mut session = LeafSession::new(connection.clone(), nonce, local, certificates, None);
        session.line(&info.line());
        session.expect_within(broker.leafs.listen().map_or(crate::limits::AUTH_TIMEOUT, |listen| listen.auth_timeout));
        session.run(reader).await;
    });
    if life.catch_unwind().await.is_err() {
        contain(&connection);
    }
}

async fn turn_away(mut stream: TcpStream, connection: &Arc<Connection>, info: &[u8], text: &str) {
    let last_words = async {
        stream.write_all(&[info, &encode::error_line(text)].concat()).await?;
        stream.shutdown().await
    };
    // The peer may be gone, or not read: neither keeps its socket here.
    let _said = tokio::time::timeout(LAST_WRITE, last_words).await;
    connection.broker.connections.remember_closed(connection, "Maximum Connections Exceeded", 0);
}

/// INFO or the TLS handshake failed.
fn not_opened(connection: &Arc<Connection>, error: &std::io::Error) {
    let broker = &connection.broker;
    tracing::debug!(connection.id = connection.cid, peer = %connection.peer(), "leaf node did not get through its handshake: {error}");
    if error.kind() == std::io::ErrorKind::InvalidData {
        broker.count_failure(connection.peer().ip());
    }
    let is_tls = broker.leafs.tls().is_some();
    if is_tls {
        broker.security.note(SecurityEvent::of(connection, Reason::TlsFailed).about(b"", "", &error.to_string()));
    }
    broker.leafs.open.leave(connection.cid);
    let reason = if is_tls { "TLS Handshake Failure" } else { "Client Closed" };
    broker.connections.remember_closed(connection, reason, 0);
}

impl LeafSession {
    /// CONNECT: who the peer is, and the account that it joins.
    pub(super) async fn connect(&mut self, json: &[u8]) -> Result<(), Closing> {
        self.timers.authentication = None;
        let connect: LeafConnect = info::read(json).map_err(|_| Closing::breach(ProtocolError::Json("CONNECT")))?;
        self.check_kind(&connect)?;
        let principal = self.prove(&connect).await?;
        // A service may take its time: who has gone meanwhile must not count in the account that it was put into.
        if principal.method == Method::Callout && self.connection.outbound.is_read_closed() {
            return Err(Closing::by_peer());
        }
        self.check_version(&connect, &principal)?;
        self.join(connect, Arc::new(principal)).await
    }

    /// What must hold whoever the peer is.
    fn check_kind(&self, connect: &LeafConnect) -> Result<(), Closing> {
        let own = self.connection.broker.leafs.cluster();
        let text = if connect.lang.as_ref().is_some_and(|lang| !lang.is_empty()) {
            "attempted to connect to leaf node port"
        } else if connect.cluster.contains(' ') {
            "cluster name cannot contain spaces"
        } else if !own.is_empty() && *connect.cluster == *own {
            "remote leafnode has same cluster name"
        } else if connect.gateway.as_ref().is_some_and(|gateway| !gateway.is_empty()) {
            "attempted to connect a gateway to leaf node port"
        } else {
            return Ok(());
        };
        self.note(Reason::ProtocolViolation, b"", "", text);
        let close_reason = match text {
            "remote leafnode has same cluster name" => "Cluster Names Identical",
            "cluster name cannot contain spaces" => "Protocol Violation",
            _ => "Incorrect Port",
        };
        Err(Closing::told(text, close_reason, Reason::ProtocolViolation))
    }

    async fn prove(&self, connect: &LeafConnect) -> Result<Principal, Closing> {
        let broker = &self.connection.broker;
        let tls = self.connection.identity().tls;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let secret =
            |secret: &Option<secrecy::SecretString>| secret.clone().filter(|text| !text.expose_secret().is_empty());
        let credentials = ConnectCredentials {
            jwt: some(&connect.jwt),
            sig: some(&connect.sig),
            nkey: some(&connect.nkey),
            user: some(&connect.user),
            pass: secret(&connect.password),
            auth_token: secret(&connect.auth_token),
            account: false,
            proxy_sig: some(&connect.proxy_sig),
        };
        let Some(listen) = broker.leafs.listen() else { return Err(Closing::silent("Client Closed", None)) };
        let (connection_type, map_certificates) = match self.connection.transport {
            Transport::Tcp => (ConnectionType::Leafnode, listen.map_certificates),
            Transport::Websocket => (
                ConnectionType::LeafnodeWs,
                broker.options.load().websocket.as_ref().is_some_and(|websocket| websocket.map_certificates),
            ),
        };
        let proof = Proof {
            connect: &credentials,
            nonce: self.nonce.as_bytes(),
            peer_ip: Some(self.connection.peer().ip()),
            certificates: &self.certificates,
            connection_type,
            map_certificates,
            client: ClientDetails {
                id: self.connection.cid,
                name: &connect.name,
                lang: "",
                version: &connect.version,
                protocol: connect.protocol,
                tls: tls.as_ref().map(|tls| (tls.version, tls.suite)),
            },
        };
        // The service of an account has as much time again, and is waited for where it is asked.
        let patience =
            if broker.authenticator().may_call_out() { listen.auth_timeout * 2 } else { listen.auth_timeout };
        let now = broker.clock.unix_seconds();
        let deciding = async {
            match broker.leafs.users() {
                Some(users) => users.authenticate(proof, now).await,
                None if !broker.demands_credentials(connection_type) => {
                    Ok(Principal::anonymous(listen.account.clone()))
                }
                None => broker.authenticate(proof).await,
            }
        };
        tokio::select! {
            decided = tokio::time::timeout(patience, deciding) => {
                let decided = decided.map_err(|_| self.connection.not_decided_in_time())?;
                decided.map_err(|refusal| self.connection.refused(&refusal))
            }
            () = ended(&self.connection) => Err(Closing::silent("Client Closed", None)),
        }
    }

    /// Too old a server is told so after its account, as it expects.
    fn check_version(&mut self, connect: &LeafConnect, principal: &Principal) -> Result<(), Closing> {
        let Some(least) = self.connection.broker.leafs.listen().and_then(|listen| listen.min_version) else {
            return Ok(());
        };
        if version(&connect.version).is_some_and(|version| version >= least) {
            return Ok(());
        }
        let text = too_old(least);
        tracing::warn!(connection.id = self.connection.cid, account = %principal.account, "leaf node of version `{}`: {text}", connect.version.chars().take(32).filter(|c| !c.is_control()).collect::<String>());
        let info = LeafInfo {
            connect_info: true,
            ..LeafInfo::on_accept(&self.connection.broker, &self.connection, self.local, &self.nonce)
        };
        self.line(&info.line());
        Err(Closing::told(text, "Minimum Version Required", Reason::ProtocolViolation))
    }

    /// Binds the connection to its account under the limits in force, and tells the peer.
    async fn join(&mut self, connect: LeafConnect, principal: Arc<Principal>) -> Result<(), Closing> {
        let connection = self.connection.clone();
        let broker = connection.broker.clone();
        let tenant = broker
            .tenants
            .tenant_of(&broker, &principal.account)
            .await
            .map_err(|error| self.connection.refused(&error))?;
        if tenant.is_system() && !broker.leafs.listen().is_some_and(|listen| listen.system_account) {
            let detail = "leaf nodes may not join the system account";
            let refusal = Refusal::new(Reason::ConnectionTypeNotAllowed, detail).in_account(&tenant.name);
            return Err(self.connection.refused(&refusal));
        }
        self.admit(&tenant, &principal)?;
        replace_older(&tenant, &connect);
        let names = ClientNames {
            name: connect.name.chars().take(256).collect(),
            version: connect.version.chars().take(64).collect(),
            protocol: 0,
            ..ClientNames::default()
        };
        connection.set_reads_headers(connect.headers);
        connection.set_limits(principal.limits.min(tenant.limits()));
        let isolated = broker.leafs.listen().is_some_and(|listen| listen.isolated) || connect.isolate;
        self.show_as(leaf_of(connect, &principal, isolated, tenant.is_system()));
        connection.set_rights(principal.permissions.clone());
        self.rights_version = connection.rights_version();
        let identity = Identity {
            tenant: tenant.clone(),
            principal: Some(principal),
            client: Arc::new(names),
            tls: connection.identity().tls,
        };
        connection.bind(identity);
        apply::to_connection(&broker, &connection, &tenant, broker.clock.unix_seconds());
        // The listener may have changed since it was asked.
        reload::hold_to_listener(&connection);
        self.tenant = tenant;
        let info = LeafInfo::on_join(&broker, &connection, self.local, &self.nonce);
        self.line(&info.line());
        self.tenant.interest.tell(&connection, &self.tenant.own_subjects());
        self.refresh_rights();
        self.joined();
        broker.observer().connected(&connection);
        tracing::info!(connection.id = connection.cid, peer = %connection.peer(), account = %self.tenant.name, "Leafnode connection created for account: {}", self.tenant.name);
        Ok(())
    }

    /// A place in the account.
    pub(super) fn admit(&self, tenant: &Arc<Tenant>, principal: &Principal) -> Result<(), Closing> {
        let broker = &self.connection.broker;
        match tenant.admit_leaf(&self.connection, principal, broker.clock.unix_seconds()) {
            Ok(()) => Ok(()),
            Err(AdmissionRefused::Full) => {
                broker.security.note(SecurityEvent::of_account(
                    &self.connection,
                    tenant,
                    Reason::AccountConnectionLimit,
                ));
                let detail = "the account has as many leaf nodes as it may";
                Err(Closing::by_policy(ClosePolicy::ACCOUNT_CONNECTIONS, Reason::AccountConnectionLimit, detail))
            }
            Err(AdmissionRefused::NoLonger(reason)) => {
                let refusal = Refusal::new(reason, "the account changed while connecting").in_account(&tenant.name);
                Err(self.connection.refused(&refusal))
            }
        }
    }
}

/// What a server is told whose version is below the least.
pub(super) fn too_old([major, minor, patch]: [u32; 3]) -> String {
    format!("connection rejected since minimum version required is \"{major}.{minor}.{patch}\"")
}

/// What the connection is from now on.
fn leaf_of(connect: LeafConnect, principal: &Principal, isolated: bool, is_system: bool) -> Leaf {
    let outward: Vec<String> = connect.deny_pub.into_iter().take(DENIED_MAX).collect();
    let filter = Filter::new(Whose::Peer, principal.permissions.clone(), is_system).deny_out(&outward);
    let peer = Introduced {
        name: connect.name,
        server_id: connect.server_id,
        cluster: connect.cluster,
        remote_account: connect.remote_account,
        headers: connect.headers,
        protocol: connect.protocol,
        asks_isolation: connect.isolate,
    };
    Leaf::new(peer, !connect.is_hub, false, isolated, Denied { inward: Vec::new(), outward }, filter)
}

/// The same server connected again: what is left of its older connection ends.
fn replace_older(tenant: &Tenant, connect: &LeafConnect) {
    if connect.remote_account.is_empty() || connect.name.is_empty() {
        return;
    }
    for other in tenant.leaf_connections() {
        let is_same = other.leaf().is_some_and(|leaf| {
            !leaf.dialled
                && leaf.name == connect.name
                && leaf.cluster == connect.cluster
                && leaf.remote_account == connect.remote_account
        });
        if is_same {
            let text = "Duplicate Remote LeafNode Connection";
            other.close(Closing { wire_text: Some(text.to_owned()), ..Closing::silent(text, None) });
        }
    }
}
