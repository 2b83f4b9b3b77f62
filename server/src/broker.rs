//! The broker as a whole: what all its parts share, how it starts and how it ends.
//!
//! ```text
//! listener -> connection (session) -> routing -> connection (outbound)
//!                 |                     |
//!              auth-service          border -> routing of another account
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cordon_accounts::key::{KeyError, Role, Seed};
use cordon_auth::authenticator::{Authenticator, Mode, OperatorMode};
use cordon_auth::clock::Clock;
use cordon_auth::configured::ConfiguredUsersError;
use cordon_auth::nonce::fresh_nonce;
use cordon_auth::principal::Principal;
use cordon_auth::proof::{ConnectionType, Proof};
use cordon_auth::refusal::Refusal;
use cordon_auth::standing::Standing;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::close::Closing;
use crate::connection::{Connection, Transport};
use crate::connections::Connections;
use crate::extension::Extension;
use crate::leaf::{self, Leafs};
use crate::limits::UPGRADES_AT_ONCE;
use crate::listener;
use crate::listener::handshakes::Handshakes;
use crate::listener::proxy;
use crate::monitoring::Listening;
use crate::monitoring::listening::Move;
use crate::observer::Observer;
use crate::options::{BrokerOptions, HandshakeFirst, TlsOptions};
use crate::protocol::info::{EMULATED_VERSION, Info};
use crate::reload::{LiveOptions, Reloads};
use crate::system::System;
use crate::system::security::Security;
use crate::tenant::directory::Tenants;

/// What the parts of a running broker share.
pub struct Broker {
    /// Settings, as they are in force.
    pub options: LiveOptions,
    /// The time.
    pub clock: Clock,
    /// Public server key, new at every start.
    pub id: Arc<str>,
    /// Name shown to people.
    pub name: Arc<str>,
    /// When it started, Unix nanoseconds.
    pub started: i64,
    /// The accounts.
    pub tenants: Tenants,
    /// The connections.
    pub connections: Connections,
    /// Numbered security events.
    pub security: Security,
    /// Events and requests of the system account.
    pub system: System,
    /// All tasks, so that stopping can wait for them.
    pub tasks: TaskTracker,
    /// Cancelled when no more clients are accepted.
    pub listening: CancellationToken,
    /// Cancelled once the listener is closed, so that new connects are refused.
    pub unreachable: CancellationToken,
    /// Cancelled when everything stops.
    pub stopping: CancellationToken,
    /// Connections that ended because they did not keep up.
    pub slow_consumers: AtomicU64,
    /// How often a publisher waited for receivers that were behind.
    pub stalled: AtomicU64,
    /// Connections ever accepted.
    pub total_connections: AtomicU64,
    /// Messages dropped because receivers were behind and publishers may not be slowed down.
    pub dropped_messages: AtomicU64,
    /// Connections that ended because of a defect of the broker.
    pub panics: AtomicU64,
    /// Connections of leaf nodes.
    pub leafs: Leafs,
    /// Room for TLS handshakes.
    pub handshakes: Handshakes,
    /// What the next reload goes by.
    pub reloads: Reloads,
    /// Where monitoring listens.
    pub monitoring: Listening,
    /// Room for requests that ask for WebSocket.
    pub upgrades: Handshakes,
    authenticator: Authenticator,
    tls: ArcSwapOption<TlsOptions>,
    observer: OnceLock<Arc<dyn Observer>>,
    extension: Option<Arc<dyn Extension>>,
    next_cid: AtomicU64,
    lame: AtomicBool,
    address: OnceLock<SocketAddr>,
    websocket_address: OnceLock<SocketAddr>,
}

/// A broker that serves clients.
pub struct RunningBroker {
    /// What its parts share.
    pub broker: Arc<Broker>,
    /// Where clients connect.
    pub client_address: SocketAddr,
    /// Where clients connect by WebSocket.
    pub websocket_address: Option<SocketAddr>,
    /// Where monitoring listens.
    pub monitor_address: Option<SocketAddr>,
    /// Where leaf nodes connect.
    pub leaf_address: Option<SocketAddr>,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {purpose}: {source}; choose another address or stop what uses it")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The users of the leaf node listener do not go together.
    #[error("the users of `leafnodes` cannot be used: {0}")]
    LeafUsers(#[from] ConfiguredUsersError),
    /// What is built on the broker cannot serve.
    #[error("JetStream cannot be started: {0}")]
    Extension(String),
    /// The system account cannot be set up.
    #[error("the system account cannot be loaded: {0}")]
    SystemAccount(String),
    /// The key just made does not serve, which no key of its kind does.
    #[error("the server's own key cannot be used: {0}")]
    Key(#[from] KeyError),
    /// Security events cannot be kept.
    #[error("security events cannot be kept: {0}")]
    Security(#[from] std::io::Error),
}

impl Broker {
    /// Starts a broker: binds its addresses, then serves.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what to change.
    pub async fn start(
        options: BrokerOptions,
        authenticator: Authenticator,
        tenants: Tenants,
        clock: Clock,
    ) -> Result<RunningBroker, StartError> {
        Self::start_with(options, authenticator, tenants, clock, None).await
    }

    /// Starts a broker with what is built on it.
    ///
    /// # Errors
    ///
    /// [`StartError`] names what to change.
    pub async fn start_with(
        options: BrokerOptions,
        authenticator: Authenticator,
        tenants: Tenants,
        clock: Clock,
        extension: Option<Arc<dyn Extension>>,
    ) -> Result<RunningBroker, StartError> {
        let clients = listen(options.listen, "clients")?;
        let websocket = options.websocket.as_ref().map(|own| listen(own.listen, "websocket clients")).transpose()?;
        let monitor = Move::between(None, options.monitor, "monitoring")?;
        let leaf_nodes = options.leaf.listen.as_ref().map(|leaf| leaf.address);
        let leaf_nodes = Move::between(None, leaf_nodes, "leaf nodes")?;
        let key = Seed::generate(Role::Server, &mut rand::rngs::OsRng);
        let id: Arc<str> = key.public().to_string().into();
        let name = if options.server_name.is_empty() { id.clone() } else { options.server_name.as_str().into() };
        let broker = Arc::new(Self {
            started: clock.unix_nanos(),
            security: Security::open(options.security_dir.as_deref(), clock.clone())?,
            system: System::default(),
            tls: ArcSwapOption::from_pointee(options.tls.clone()),
            handshakes: Handshakes::new(options.max_handshakes),
            reloads: Reloads::default(),
            monitoring: Listening::default(),
            upgrades: Handshakes::new(UPGRADES_AT_ONCE),
            leafs: Leafs::new(options.leaf.clone(), &name, &clock)?,
            options: LiveOptions::new(options),
            clock,
            id,
            name,
            tenants,
            connections: Connections::default(),
            tasks: TaskTracker::new(),
            listening: CancellationToken::new(),
            unreachable: CancellationToken::new(),
            stopping: CancellationToken::new(),
            slow_consumers: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            total_connections: AtomicU64::new(0),
            dropped_messages: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            authenticator,
            observer: OnceLock::new(),
            extension,
            next_cid: AtomicU64::new(1),
            lame: AtomicBool::new(false),
            address: OnceLock::new(),
            websocket_address: OnceLock::new(),
        });
        tracing::info!("  Name:     {}", broker.name);
        tracing::info!("  ID:       {}", broker.id);
        let client_address = local(&clients, broker.options.load().listen);
        // Nothing else sets it.
        let _fresh = broker.address.set(client_address);
        crate::system::callout::open(&broker, key)?;
        let asked = broker.options.load().websocket.as_ref().map_or(client_address, |own| own.listen);
        let websocket_address = websocket.as_ref().map(|listener| local(listener, asked));
        if let Some(address) = websocket_address {
            let _fresh = broker.websocket_address.set(address);
        }
        broker.load().await?;
        broker.monitoring.act(&broker, monitor);
        let monitor_address = broker.monitoring.address();
        let websockets = websocket.map(|listener| (Transport::Websocket, listener));
        let listeners = [(Transport::Tcp, clients)].into_iter().chain(websockets).collect();
        broker.tasks.spawn(listener::accept(listeners, broker.clone()));
        let leaf_address = leaf::start(&broker, leaf_nodes);
        broker.announce(client_address);
        Ok(RunningBroker { broker, client_address, websocket_address, monitor_address, leaf_address })
    }

    /// Loads the accounts, and what is built on them.
    async fn load(self: &Arc<Self>) -> Result<(), StartError> {
        self.tenants.attach(self);
        self.tasks.spawn(sweep_replies(self.clone()));
        if let Some(extension) = self.extension() {
            extension.begin(self).map_err(StartError::Extension)?;
        }
        crate::system::start(self).await.map_err(StartError::SystemAccount)?;
        if let Some(extension) = self.extension() {
            extension.ready(self).await;
        }
        Ok(())
    }

    /// Says where it listens: harnesses look for these lines.
    fn announce(&self, client_address: SocketAddr) {
        if let Some(address) = self.websocket_address() {
            let scheme = if self.tls_of(Transport::Websocket).is_some() { "wss" } else { "ws" };
            tracing::info!("Listening for websocket clients on {scheme}://{address}");
        }
        tracing::info!("Listening for client connections on {client_address}");
        match self.tls() {
            None => {}
            Some(tls) if tls.allow_plain => tracing::info!("TLS available for client connections"),
            Some(_) => tracing::info!("TLS required for client connections"),
        }
        tracing::info!("Server is ready");
    }

    /// What is built on it.
    pub fn extension(&self) -> Option<&Arc<dyn Extension>> {
        self.extension.as_ref()
    }

    /// The name of its domain of streams, if they have one.
    pub fn domain(&self) -> Option<Arc<str>> {
        self.extension.as_ref().and_then(|streams| streams.domain())
    }

    /// Who decides about proofs.
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Decides who presents `proof`.
    ///
    /// # Errors
    ///
    /// The refusal, with its reason.
    pub async fn authenticate(&self, proof: Proof<'_>) -> Result<Principal, Refusal> {
        self.authenticator.authenticate(proof, self.clock.unix_seconds()).await
    }

    /// What the users that are configured now mean for an open connection; `None` in operator mode.
    pub fn configured_standing(&self, principal: &Principal) -> Option<Standing> {
        self.authenticator.configured_standing(principal)
    }

    /// Whether an address has failed so often of late that it is turned away before it costs a handshake.
    pub fn is_throttled(&self, ip: IpAddr) -> bool {
        self.authenticator.throttle().check(ip, self.clock.nanos()).is_err()
    }

    /// Counts a TLS handshake of a client, unless there were as many as there may be in this second.
    pub fn may_begin_handshake(&self) -> bool {
        self.options.load().handshake_rate.is_none_or(|most| self.handshakes.count(most, self.clock.unix_seconds()))
    }

    /// Counts a failure of an address that shows before its credentials are seen.
    pub fn count_failure(&self, ip: IpAddr) {
        self.authenticator.throttle().failed(ip, self.clock.nanos());
    }

    /// Clients must present credentials before anything else.
    pub fn demands_credentials(&self, kind: ConnectionType) -> bool {
        self.authenticator.requires_authentication(kind)
    }

    /// A client that sends no CONNECT is served as a configured user.
    pub fn admits_without_connect(&self, kind: ConnectionType) -> bool {
        self.authenticator.admits_without_connect(kind)
    }

    /// Where clients connect.
    pub fn client_address(&self) -> SocketAddr {
        self.address.get().copied().unwrap_or_else(|| self.options.load().listen)
    }

    /// Where clients are told to connect: where they do, unless the configuration names something else.
    pub fn told_address(&self) -> (Arc<str>, u16) {
        let listening = self.client_address();
        let told = self.options.load().advertised.clone();
        let port = told.as_ref().and_then(|told| told.port).unwrap_or(listening.port());
        (told.map_or_else(|| listening.ip().to_string().into(), |told| told.host), port)
    }

    /// Where clients connect by WebSocket.
    pub fn websocket_address(&self) -> Option<SocketAddr> {
        self.websocket_address.get().copied()
    }

    /// TLS of the listener for this transport, as configured now.
    pub fn tls_of(&self, transport: Transport) -> Option<Arc<TlsOptions>> {
        match transport {
            Transport::Tcp => self.tls(),
            Transport::Websocket => self.options.load().websocket.as_ref().and_then(|own| own.tls.clone()),
        }
    }

    /// TLS for clients, as configured now.
    pub fn tls(&self) -> Option<Arc<TlsOptions>> {
        self.tls.load_full()
    }

    /// Replaces TLS for new connections; open ones stay.
    pub fn replace_tls(&self, options: Option<TlsOptions>) {
        self.tls.store(options.map(Arc::new));
    }

    /// Exchanges where identities come from, for connections from now on.
    pub fn replace_identities(&self, mode: Mode) {
        self.authenticator.replace_mode(mode);
    }

    /// Exchanges what operator mode goes by, for connections from now on.
    pub fn update_operators(&self, change: impl Fn(&OperatorMode) -> OperatorMode) {
        self.authenticator.update_operators(change);
    }

    /// Where connects, disconnects and refusals are reported.
    pub fn observer(&self) -> &dyn Observer {
        self.observer.get().map_or(&crate::observer::Nobody, |observer| &**observer)
    }

    /// Sets the observer, once.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        // A second observer would be a programming error; the first one stays.
        let _first = self.observer.set(observer);
    }

    /// An id for the next connection.
    pub fn next_cid(&self) -> u64 {
        self.total_connections.fetch_add(1, Ordering::Relaxed);
        self.next_cid.fetch_add(1, Ordering::Relaxed)
    }

    /// An open connection, of a client or a leaf node.
    pub fn connection(&self, cid: u64) -> Option<Arc<Connection>> {
        self.connections.find(cid).or_else(|| self.leafs.open.find(cid))
    }

    /// A challenge for a new connection; empty when nothing would be signed.
    pub fn fresh_nonce(&self) -> Arc<str> {
        if self.authenticator.needs_nonce() { fresh_nonce(&mut rand::rngs::OsRng).into() } else { "".into() }
    }

    /// INFO for a connection just accepted.
    pub fn info_on_accept(&self, connection: &Connection, nonce: &Arc<str>) -> Info {
        let mut info = Info { nonce: nonce.clone(), ..self.info(connection) };
        // Whose address it is, the header of a proxy is still to say.
        if proxy::awaited(connection).is_some() {
            info.client_ip = "".into();
        }
        info
    }

    /// INFO after the first PONG: where the client has landed.
    pub fn info_after_connect(&self, connection: &Connection) -> Info {
        let tenant = connection.tenant();
        Info {
            connect_info: true,
            remote_account: tenant.name.to_string().into(),
            acc_is_sys: tenant.is_system(),
            ..self.info(connection)
        }
    }

    /// INFO for a connection whose limits have changed.
    pub fn info_on_change(&self, connection: &Connection) -> Info {
        self.info(connection)
    }

    fn info(&self, connection: &Connection) -> Info {
        let transport = connection.transport;
        let tls = self.tls_of(transport);
        // A WebSocket is inside TLS before it is one; nats-server says both of it.
        let (required, available) = match (transport, &tls) {
            (_, None) => (false, false),
            (Transport::Websocket, Some(_)) => (true, true),
            (Transport::Tcp, Some(tls)) => {
                let required = !tls.allow_plain || tls.first != HandshakeFirst::No;
                (required, !required)
            }
        };
        let own = self.websocket_address().filter(|_| transport == Transport::Websocket);
        let (host, port) = own.map_or_else(|| self.told_address(), |own| (own.ip().to_string().into(), own.port()));
        Info {
            server_id: self.id.clone(),
            server_name: self.name.clone(),
            version: EMULATED_VERSION,
            proto: 1,
            go: concat!("cordon ", env!("CARGO_PKG_VERSION")),
            host,
            port,
            headers: self.options.load().headers,
            auth_required: self.authenticator.announces_authentication(transport.client_type()),
            tls_required: required,
            tls_verify: tls.as_ref().is_some_and(|tls| tls.verify),
            tls_available: available,
            max_payload: connection.max_payload(),
            jetstream: self.extension().is_some(),
            domain: self.domain().unwrap_or_default(),
            client_id: connection.cid,
            client_ip: connection.peer().ip().to_string().into(),
            nonce: "".into(),
            xkey: self.authenticator.caller().map(|caller| caller.curve_key().clone()).unwrap_or_default(),
            ldm: self.lame.load(Ordering::Relaxed),
            connect_info: false,
            remote_account: "".into(),
            acc_is_sys: false,
        }
    }
}

impl RunningBroker {
    /// Stops at once: clients see their connection end.
    pub async fn shutdown(&self) {
        let broker = &self.broker;
        broker.listening.cancel();
        crate::system::announce(broker, "SHUTDOWN");
        if let Some(extension) = broker.extension() {
            extension.stop().await;
        }
        for connection in broker.connections.shut().into_iter().chain(broker.leafs.open.shut()) {
            connection.close(Closing::silent("Server Shutdown", None));
        }
        broker.stopping.cancel();
        broker.tasks.close();
        if tokio::time::timeout(Duration::from_secs(5), broker.tasks.wait()).await.is_err() {
            tracing::warn!("{} tasks did not end in time", broker.tasks.len());
        }
    }

    /// Stops gently: no new clients, a notice to those connected, then one after the other ends.
    pub async fn lame_duck(&self) {
        let broker = &self.broker;
        if broker.lame.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::info!("Entering lame duck mode, stop accepting new clients");
        crate::system::announce(broker, "LAMEDUCK");
        broker.listening.cancel();
        // Whoever hears the notice must not be able to come back.
        broker.unreachable.cancelled().await;
        let connections = broker.connections.open();
        if !connections.is_empty() {
            for connection in connections.iter().filter(|connection| connection.wants_info()) {
                connection.send_line(&broker.info(connection).line());
            }
            let grace = broker.options.load().lame_duck_grace;
            tokio::time::sleep(grace).await;
            self.close_one_by_one().await;
        }
        self.shutdown().await;
    }

    async fn close_one_by_one(&self) {
        let options = self.broker.options.load();
        let time = options.lame_duck_duration.saturating_sub(options.lame_duck_grace);
        drop(options);
        let connections = self.broker.connections.open();
        let step = (time / u32::try_from(connections.len()).unwrap_or(u32::MAX).max(1)).min(Duration::from_secs(1));
        for connection in connections {
            connection.close(Closing::silent("Server Shutdown", None));
            tokio::time::sleep(step.mul_f64(rand::Rng::gen_range(&mut rand::thread_rng(), 0.5..1.0))).await;
        }
    }
}

/// Binds an address; `purpose` is for people.
pub(crate) fn listen(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, StartError> {
    listener::bind(address).map_err(|source| StartError::Bind { address, purpose, source })
}

/// The address as it was asked for, with the port that was picked.
pub(crate) fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    SocketAddr::new(asked.ip(), listener.local_addr().map_or(asked.port(), |bound| bound.port()))
}

/// Drops answers that nobody waits for any more, once a second.
async fn sweep_replies(broker: Arc<Broker>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = broker.stopping.cancelled() => return,
            _ = second.tick() => {}
        }
        for tenant in broker.tenants.all() {
            tenant.crossings.replies.sweep(&broker, &tenant);
        }
    }
}
