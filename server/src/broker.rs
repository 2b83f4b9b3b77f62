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
use cordon_accounts::key::{Role, Seed};
use cordon_auth::authenticator::Authenticator;
use cordon_auth::clock::Clock;
use cordon_auth::nonce::fresh_nonce;
use cordon_auth::principal::Principal;
use cordon_auth::proof::{ConnectionType, Proof};
use cordon_auth::refusal::Refusal;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::connections::Connections;
use crate::listener;
use crate::listener::handshakes::Handshakes;
use crate::observer::Observer;
use crate::options::{BrokerOptions, HandshakeFirst, TlsOptions};
use crate::protocol::info::{EMULATED_VERSION, Info};
use crate::system::System;
use crate::system::security::Security;
use crate::tenant::directory::Tenants;

/// What the parts of a running broker share.
pub struct Broker {
    /// Settings.
    pub options: BrokerOptions,
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
    /// Room for TLS handshakes.
    pub handshakes: Handshakes,
    authenticator: Authenticator,
    tls: ArcSwapOption<TlsOptions>,
    observer: OnceLock<Arc<dyn Observer>>,
    next_cid: AtomicU64,
    lame: AtomicBool,
    address: OnceLock<SocketAddr>,
}

/// A broker that serves clients.
pub struct RunningBroker {
    /// What its parts share.
    pub broker: Arc<Broker>,
    /// Where clients connect.
    pub client_address: SocketAddr,
    /// Where monitoring listens.
    pub monitor_address: Option<SocketAddr>,
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
    /// The system account cannot be set up.
    #[error("the system account cannot be loaded: {0}")]
    SystemAccount(String),
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
        // What follows "nats-server" in these lines is ours; harnesses look for the lines themselves.
        tracing::info!("Starting nats-server compatible broker: Cordon {}", env!("CARGO_PKG_VERSION"));
        let clients = listen(options.listen, "clients")?;
        let monitor = options.monitor.map(|address| listen(address, "monitoring")).transpose()?;
        let id: Arc<str> = Seed::generate(Role::Server, &mut rand::rngs::OsRng).public().to_string().into();
        let name = if options.server_name.is_empty() { id.clone() } else { options.server_name.as_str().into() };
        let broker = Arc::new(Self {
            started: clock.unix_nanos(),
            security: Security::open(options.security_dir.as_deref(), clock.clone())?,
            system: System::default(),
            tls: ArcSwapOption::from_pointee(options.tls.clone()),
            handshakes: Handshakes::new(options.max_handshakes),
            options,
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
            next_cid: AtomicU64::new(1),
            lame: AtomicBool::new(false),
            address: OnceLock::new(),
        });
        let client_address = local(&clients, broker.options.listen);
        // Nothing else sets it.
        let _fresh = broker.address.set(client_address);
        broker.tenants.attach(&broker);
        broker.tasks.spawn(sweep_replies(broker.clone()));
        crate::system::start(&broker).await.map_err(StartError::SystemAccount)?;
        let monitor_address = monitor.map(|listener| {
            let address = local(&listener, client_address);
            broker.tasks.spawn(crate::monitoring::serve(listener, broker.clone()));
            address
        });
        broker.tasks.spawn(listener::accept(clients, broker.clone()));
        tracing::info!("Listening for client connections on {client_address}");
        tracing::info!("Server is ready");
        Ok(RunningBroker { broker, client_address, monitor_address })
    }

    /// Decides who presents `proof`.
    ///
    /// # Errors
    ///
    /// The refusal, with its reason.
    pub async fn authenticate(&self, proof: Proof<'_>) -> Result<Principal, Refusal> {
        self.authenticator.authenticate(proof, self.clock.unix_seconds()).await
    }

    /// Whether an address has failed so often of late that it is turned away before it costs a handshake.
    pub fn is_throttled(&self, ip: IpAddr) -> bool {
        self.authenticator.throttle().check(ip, self.clock.nanos()).is_err()
    }

    /// Counts a failure of an address that shows before its credentials are seen.
    pub fn count_failure(&self, ip: IpAddr) {
        self.authenticator.throttle().failed(ip, self.clock.nanos());
    }

    /// Clients must present credentials before anything else.
    pub fn demands_credentials(&self) -> bool {
        self.authenticator.requires_authentication()
    }

    /// A client that sends no CONNECT is served as a configured user.
    pub fn admits_without_connect(&self) -> bool {
        self.authenticator.admits_without_connect(ConnectionType::Standard)
    }

    /// Where clients connect.
    pub fn client_address(&self) -> SocketAddr {
        self.address.get().copied().unwrap_or(self.options.listen)
    }

    /// TLS for clients, as configured now.
    pub fn tls(&self) -> Option<Arc<TlsOptions>> {
        self.tls.load_full()
    }

    /// Replaces certificates for new connections; open ones stay.
    pub fn replace_tls(&self, options: TlsOptions) {
        self.tls.store(Some(Arc::new(options)));
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

    /// A challenge for a new connection; empty when nothing would be signed.
    pub fn fresh_nonce(&self) -> Arc<str> {
        if self.authenticator.needs_nonce() { fresh_nonce(&mut rand::rngs::OsRng).into() } else { "".into() }
    }

    /// INFO for a connection just accepted.
    pub fn info_on_accept(&self, connection: &Connection, nonce: &Arc<str>) -> Info {
        Info { nonce: nonce.clone(), ..self.info(connection) }
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

    fn info(&self, connection: &Connection) -> Info {
        let tls = self.tls();
        let required = tls.as_ref().is_some_and(|tls| !tls.allow_plain || tls.first != HandshakeFirst::No);
        let address = self.client_address();
        Info {
            server_id: self.id.clone(),
            server_name: self.name.clone(),
            version: EMULATED_VERSION,
            proto: 1,
            go: concat!("cordon ", env!("CARGO_PKG_VERSION")),
            host: address.ip().to_string().into(),
            port: address.port(),
            headers: true,
            auth_required: self.authenticator.announces_authentication(),
            tls_required: required,
            tls_verify: tls.as_ref().is_some_and(|tls| tls.verify),
            tls_available: tls.is_some() && !required,
            max_payload: connection.max_payload(),
            jetstream: false,
            client_id: connection.cid,
            client_ip: connection.peer.ip().to_string().into(),
            nonce: "".into(),
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
        for connection in broker.connections.shut() {
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
            tokio::time::sleep(broker.options.lame_duck_grace).await;
            self.close_one_by_one().await;
        }
        self.shutdown().await;
    }

    async fn close_one_by_one(&self) {
        let options = &self.broker.options;
        let connections = self.broker.connections.open();
        let time = options.lame_duck_duration.saturating_sub(options.lame_duck_grace);
        let step = (time / u32::try_from(connections.len()).unwrap_or(u32::MAX).max(1)).min(Duration::from_secs(1));
        for connection in connections {
            connection.close(Closing::silent("Server Shutdown", None));
            tokio::time::sleep(step.mul_f64(rand::Rng::gen_range(&mut rand::thread_rng(), 0.5..1.0))).await;
        }
    }
}

fn listen(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, StartError> {
    listener::bind(address).map_err(|source| StartError::Bind { address, purpose, source })
}

fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
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
