//! What a broker is started with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use rustls::ServerConfig;

pub use crate::connection::write_timeout::WriteTimeout;
use crate::leaf::options::LeafOptions;
use crate::limits;
use crate::listener::proxy::ProxyHeaders;
use crate::websocket::WebsocketOptions;

/// Settings of the data plane. [`Default`] has nats-server's limits and listens on loopback.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Name shown to clients; the server id when empty.
    pub server_name: String,
    /// Where clients connect; port 0 picks one.
    pub listen: SocketAddr,
    /// What clients are told instead of the address listened on.
    pub advertised: Option<Advertised>,
    /// Whose word about a client's address is taken.
    pub proxies: ProxyHeaders,
    /// Tags that monitoring shows.
    pub tags: Vec<String>,
    /// Names and values that monitoring shows.
    pub metadata: BTreeMap<String, String>,
    /// Accounts without streams here, whose requests to `$JS.API` are carried to this domain.
    pub default_domains: BTreeMap<AccountName, Arc<str>>,
    /// The digest of the configuration, for monitoring.
    pub config_digest: String,
    /// Messages may have headers.
    pub headers: bool,
    /// Where monitoring listens.
    pub monitor: Option<SocketAddr>,
    /// Monitoring speaks TLS.
    pub monitor_tls: Option<Arc<ServerConfig>>,
    /// What the paths of monitoring's pages begin with: empty, or one or more names, each after a slash.
    pub monitor_base: String,
    /// TLS for clients; `None` is insecure and must have been asked for.
    pub tls: Option<TlsOptions>,
    /// Clients over WebSocket; none if `None`.
    pub websocket: Option<WebsocketOptions>,
    /// A client certificate names the user.
    pub map_certificates: bool,
    /// The account whose members run the broker.
    pub system_account: Option<AccountKey>,
    /// Where security events are kept; in memory only when `None`.
    pub security_dir: Option<PathBuf>,
    /// Whether account JWTs may be deleted over NATS.
    pub allow_delete: bool,
    /// Bound on the arguments of a control line.
    pub max_control_line: usize,
    /// Bound on one message.
    pub max_payload: usize,
    /// Bound on output queued for one connection.
    pub max_pending: usize,
    /// Bound on open connections, those in their TLS handshake included.
    pub max_connections: usize,
    /// Bound on TLS handshakes at the same time; further ones wait within their time for it.
    pub max_handshakes: usize,
    /// Bound on TLS handshakes of clients begun in a second; any number when `None`.
    pub handshake_rate: Option<u32>,
    /// Closed connections that monitoring remembers.
    pub max_closed: usize,
    /// Bound on subscriptions of one connection.
    pub max_subscriptions: Option<usize>,
    /// Bound on tokens of a subscription's subject.
    pub max_sub_tokens: Option<usize>,
    /// Interval of pings to an idle peer.
    pub ping_interval: Duration,
    /// Pings that may be unanswered.
    pub ping_max: u32,
    /// Publishers are never slowed down: messages for a receiver with three quarters of `max_pending` waiting are
    /// dropped instead.
    pub no_fast_producer_stall: bool,
    /// Longest time for one batch of writes.
    pub write_deadline: Duration,
    /// What becomes of a receiver that needs longer.
    pub write_timeout: WriteTimeout,
    /// Time for CONNECT.
    pub auth_timeout: Duration,
    /// What a log of the protocol shows, when there is one.
    pub traffic: TrafficOptions,
    /// Time a lame duck goes on serving before it closes connections.
    pub lame_duck_grace: Duration,
    /// Time a lame duck takes in all.
    pub lame_duck_duration: Duration,
    /// Leaf nodes, in both directions.
    pub leaf: Arc<LeafOptions>,
}

/// Where clients are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The host.
    pub host: Arc<str>,
    /// The port; the one listened on if not given.
    pub port: Option<u16>,
}

/// What a log of the protocol shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficOptions {
    /// Members of the system account, too.
    pub verbose: bool,
    /// Of messages, headers alone.
    pub headers_only: bool,
    /// Bytes of a payload; all when 0.
    pub max_payload: usize,
}

/// TLS for clients.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Certificates, versions, client verification; `Arc` so that it can be replaced on reload.
    pub config: Arc<ServerConfig>,
    /// A client certificate is demanded.
    pub verify: bool,
    /// Peers may also speak plain text: insecure, must be asked for.
    pub allow_plain: bool,
    /// When the handshake begins.
    pub first: HandshakeFirst,
    /// Time for a handshake.
    pub timeout: Duration,
}

/// Whether TLS begins before INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFirst {
    /// INFO in plain text, then TLS: what every client speaks.
    No,
    /// TLS at once; INFO inside.
    Always,
    /// TLS if bytes come within this time, otherwise as `No`.
    Within(Duration),
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            server_name: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 4222)),
            advertised: None,
            proxies: ProxyHeaders::Off,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            default_domains: BTreeMap::new(),
            config_digest: String::new(),
            headers: true,
            monitor: None,
            monitor_tls: None,
            monitor_base: String::new(),
            tls: None,
            websocket: None,
            map_certificates: false,
            system_account: None,
            security_dir: None,
            allow_delete: false,
            max_control_line: limits::MAX_CONTROL_LINE,
            max_payload: limits::MAX_PAYLOAD,
            max_pending: limits::MAX_PENDING,
            max_connections: limits::MAX_CONNECTIONS,
            max_handshakes: limits::MAX_HANDSHAKES,
            handshake_rate: None,
            max_closed: limits::MAX_CLOSED_CONNECTIONS,
            max_subscriptions: None,
            max_sub_tokens: None,
            ping_interval: limits::PING_INTERVAL,
            ping_max: limits::PING_MAX,
            no_fast_producer_stall: false,
            write_deadline: limits::WRITE_DEADLINE,
            write_timeout: WriteTimeout::Close,
            auth_timeout: limits::AUTH_TIMEOUT,
            traffic: TrafficOptions::default(),
            lame_duck_grace: limits::LAME_DUCK_GRACE,
            lame_duck_duration: limits::LAME_DUCK_DURATION,
            leaf: Arc::default(),
        }
    }
}
