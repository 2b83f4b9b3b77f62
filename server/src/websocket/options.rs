//! What the WebSocket listener is started with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::options::TlsOptions;
use crate::websocket::origin::OriginPolicy;

/// Settings of the WebSocket listener.
#[derive(Clone, Debug)]
pub struct WebsocketOptions {
    /// Where clients connect; port 0 picks one.
    pub listen: SocketAddr,
    /// What INFO names as the URL that clients may come back to, `host:port`, where it is not what is listened on.
    pub advertise: Option<String>,
    /// TLS; `None` is insecure and must have been asked for.
    pub tls: Option<Arc<TlsOptions>>,
    /// A client certificate names the user.
    pub map_certificates: bool,
    /// Which pages may connect.
    pub origins: OriginPolicy,
    /// Compression is agreed to, for those who offer it.
    pub compression: bool,
    /// Time for the request that asks for WebSocket, after TLS.
    pub handshake_timeout: Duration,
    /// Time for CONNECT; that of other clients if `None`.
    pub auth_timeout: Option<Duration>,
    /// Interval of pings to an idle peer; that of other clients if `None`.
    pub ping_interval: Option<Duration>,
    /// Cookies that stand for credentials.
    pub cookies: CookieNames,
    /// The user that stands in for those who present nothing, for monitoring.
    pub no_auth_user: Option<String>,
    /// Further header lines of the answer, each `Name: value`.
    pub headers: Vec<(String, String)>,
}

/// Names of cookies that stand for fields of CONNECT.
#[derive(Clone, Debug, Default)]
pub struct CookieNames {
    /// For `jwt`.
    pub jwt: Option<String>,
    /// For `user`.
    pub user: Option<String>,
    /// For `pass`.
    pub pass: Option<String>,
    /// For `auth_token`.
    pub token: Option<String>,
}

impl Default for WebsocketOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            tls: None,
            map_certificates: false,
            origins: OriginPolicy::default(),
            compression: false,
            handshake_timeout: limits::UPGRADE_TIMEOUT,
            auth_timeout: None,
            ping_interval: None,
            cookies: CookieNames::default(),
            no_auth_user: None,
            headers: Vec::new(),
        }
    }
}
