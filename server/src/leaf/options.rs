//! What leaf nodes are configured with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::name::AccountName;
use cordon_auth::configured::ConfiguredUser;
use rustls::ClientConfig;
use secrecy::SecretString;

use crate::leaf::compression::Compression;
use crate::leaf::proxy::ProxyOptions;
use crate::options::{TlsOptions, WriteTimeout};

/// Time between attempts to reach a remote, unless configured: a random part of as much is added.
pub const RECONNECT: Duration = Duration::from_secs(1);
/// Time for a connect to a remote.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for the first INFO of a remote.
pub const FIRST_INFO_TIMEOUT: Duration = Duration::from_secs(1);
/// Where leaf nodes listen, unless a URL says otherwise.
pub const PORT: u16 = 7422;

/// Leaf nodes, in both directions.
#[derive(Clone, Debug, Default)]
pub struct LeafOptions {
    /// The listening side.
    pub listen: Option<LeafListen>,
    /// The servers that this broker joins.
    pub remotes: Vec<Arc<RemoteOptions>>,
    /// Longest time for one batch of writes to a leaf node; that of clients if `None`.
    pub write_deadline: Option<Duration>,
    /// What becomes of a leaf node then; as for clients if `None`.
    pub write_timeout: Option<WriteTimeout>,
}

/// The listening side.
#[derive(Clone, Debug)]
pub struct LeafListen {
    /// Where leaf nodes connect; port 0 picks one.
    pub address: SocketAddr,
    /// TLS; `None` is insecure off loopback and must have been asked for.
    pub tls: Option<TlsOptions>,
    /// A client certificate names the user.
    pub map_certificates: bool,
    /// Host and port that other servers are told instead of the address.
    pub advertise: Option<(String, u16)>,
    /// No address is told at all.
    pub no_advertise: bool,
    /// Users of this listener alone. If there are none, leaf nodes authenticate like clients.
    pub users: Vec<ConfiguredUser>,
    /// The account of those who need no credentials.
    pub account: AccountName,
    /// Time for CONNECT.
    pub auth_timeout: Duration,
    /// Older servers are refused.
    pub min_version: Option<[u32; 3]>,
    /// No leaf node is told of interest beyond another.
    pub isolated: bool,
    /// Leaf nodes may join the system account.
    pub system_account: bool,
    /// How connections are compressed.
    pub compression: Compression,
}

impl LeafListen {
    /// A listener in plain text without users of its own.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            map_certificates: false,
            advertise: None,
            no_advertise: false,
            users: Vec::new(),
            account: AccountName::global(),
            auth_timeout: crate::limits::AUTH_TIMEOUT,
            min_version: None,
            isolated: false,
            system_account: false,
            compression: Compression::default(),
        }
    }
}

/// A server, or the servers of one cluster, that this broker joins as a leaf node.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Where it is; tried one after the other.
    pub urls: Vec<RemoteUrl>,
    /// The account of this broker that is joined.
    pub account: AccountName,
    /// Creds file.
    pub credentials: Option<PathBuf>,
    /// Seed, or the file that holds it.
    pub nkey: Option<SecretString>,
    /// TLS; where this is `None` and the server demands it, with the roots of this machine.
    pub tls: Option<RemoteTls>,
    /// This broker takes the role of the hub.
    pub hub: bool,
    /// Subjects that do not come in.
    pub deny_imports: Vec<String>,
    /// Subjects that do not go out.
    pub deny_exports: Vec<String>,
    /// URLs are tried in the order in which they stand.
    pub in_order: bool,
    /// Time for the first INFO.
    pub first_info_timeout: Duration,
    /// Time for a connect.
    pub dial_timeout: Duration,
    /// Time between attempts; a random part of as much is added.
    pub reconnect: Duration,
    /// URLs of INFO are not used.
    pub ignore_discovered: bool,
    /// The remote is not told of interest beyond other leaf nodes.
    pub isolated: bool,
    /// The remote is asked not to tell of interest beyond other leaf nodes.
    pub request_isolation: bool,
    /// The account may be the system account.
    pub system_account: bool,
    /// Not used until a reload enables it.
    pub disabled: bool,
    /// Compression is asked for over WebSocket.
    pub ws_compression: bool,
    /// To send frames without a mask is asked for over WebSocket.
    pub ws_no_masking: bool,
    /// How the connection is compressed, other than over WebSocket.
    pub compression: Compression,
    /// The proxy that leads there; over WebSocket alone.
    pub proxy: Option<ProxyOptions>,
}

impl RemoteOptions {
    /// A remote joined to the global account in plain text, without credentials.
    pub fn new(urls: Vec<RemoteUrl>) -> Self {
        Self {
            urls,
            account: AccountName::global(),
            credentials: None,
            nkey: None,
            tls: None,
            hub: false,
            deny_imports: Vec::new(),
            deny_exports: Vec::new(),
            in_order: false,
            first_info_timeout: FIRST_INFO_TIMEOUT,
            dial_timeout: DIAL_TIMEOUT,
            reconnect: RECONNECT,
            ignore_discovered: false,
            isolated: false,
            request_isolation: false,
            system_account: false,
            disabled: false,
            ws_compression: false,
            ws_no_masking: false,
            compression: Compression::default(),
            proxy: None,
        }
    }
}

/// How a remote is spoken to in TLS.
#[derive(Clone, Debug)]
pub struct RemoteTls {
    /// Roots, certificate of this broker, versions.
    pub config: Arc<ClientConfig>,
    /// The files that it was made of: what they hold counts when a configuration is read again.
    pub files: Vec<PathBuf>,
    /// TLS 1.3 alone.
    pub newest_only: bool,
    /// The handshake comes before INFO.
    pub first: bool,
    /// Time for the handshake.
    pub timeout: Duration,
}

/// Where a remote is, and who this broker is there.
#[derive(Clone, Debug)]
pub struct RemoteUrl {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The scheme demands TLS.
    pub tls: bool,
    /// The path of a WebSocket listener, up to where `/leafnode` follows; `None` without WebSocket.
    pub websocket: Option<String>,
    /// User, or token when there is no password.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretString>,
    /// The name that its certificate must have, if that is not the host.
    pub tls_name: Option<String>,
}

/// A URL that names no leaf node listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is none that is spoken here.
    #[error("the scheme of `{0}` is not spoken here: use nats-leaf://, tls://, ws:// or wss://")]
    Scheme(String),
    /// Host or port cannot be read.
    #[error("`{0}` is no URL of a leaf node listener: write nats-leaf://host:{PORT}")]
    Malformed(String),
}

impl RemoteUrl {
    /// Reads a URL; the scheme may be missing. No error repeats a password.
    ///
    /// # Errors
    ///
    /// [`UrlError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("nats-leaf", text));
        let shown = rest.rsplit_once('@').map_or(rest, |(_, host)| host).to_owned();
        let (tls, websocket) = match scheme.to_ascii_lowercase().as_str() {
            "nats-leaf" | "nats" => (false, false),
            "tls" => (true, false),
            "ws" => (false, true),
            "wss" => (true, true),
            _ => return Err(UrlError::Scheme(shown)),
        };
        let malformed = || UrlError::Malformed(shown.clone());
        let (userinfo, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        let host = host.trim_end_matches('/');
        let (host, path) = host.find('/').filter(|_| websocket).map_or((host, ""), |at| host.split_at(at));
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#')) {
            return Err(malformed());
        }
        let (host, port) = match host.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']').ok_or_else(malformed)?;
                (host, port.strip_prefix(':'))
            }
            None => host.rsplit_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None | Some("") => PORT,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(malformed)?,
        };
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'@' | b'?' | b'#');
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(malformed());
        }
        let (user, password) = match userinfo.map(|userinfo| {
            userinfo.split_once(':').map_or((userinfo, None), |(user, password)| (user, Some(password)))
        }) {
            None | Some(("", None)) => (None, None),
            Some((user, password)) => {
                let user = unescape(user).ok_or_else(malformed)?;
                let password = password.map(|text| unescape(text).ok_or_else(malformed)).transpose()?;
                (Some(user), password.map(SecretString::from))
            }
        };
        let websocket = websocket.then(|| path.to_owned());
        Ok(Self { host: host.to_owned(), port, tls, websocket, user, password, tls_name: None })
    }
}

/// Takes percent signs out of user and password.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// A version as `major.minor.patch`, with or without `v`; what follows the patch is not compared.
pub fn version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.trim().trim_start_matches('v').splitn(3, '.');
    let mut number = || {
        let part = parts.next()?;
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part.get(..end)?.parse().ok()
    };
    Some([number()?, number()?, number()?])
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn urls_are_read_with_port_and_user() {
        let cases = [
            ("nats-leaf://hub.example:7000", "hub.example", 7000, false, None, None),
            ("nats://hub", "hub", PORT, false, None, None),
            ("tls://hub:1/", "hub", 1, true, None, None),
            ("hub:5", "hub", 5, false, None, None),
            ("nats-leaf://[::1]:9", "::1", 9, false, None, None),
            ("nats-leaf://[::1]", "::1", PORT, false, None, None),
            ("nats-leaf://u:p%40x@hub", "hub", PORT, false, Some("u"), Some("p@x")),
            ("nats-leaf://token@hub", "hub", PORT, false, Some("token"), None),
        ];
        for (text, host, port, tls, user, password) in cases {
            let url = RemoteUrl::parse(text).unwrap();
            assert_eq!(url.websocket, None, "{text}");
            let shown = (url.host.as_str(), url.port, url.tls, url.user.as_deref());
            assert_eq!(shown, (host, port, tls, user), "{text}");
            assert_eq!(url.password.as_ref().map(ExposeSecret::expose_secret), password, "{text}");
        }
    }

    #[test]
    fn urls_of_websocket_may_have_a_path() {
        let cases = [
            ("ws://hub", "hub", PORT, false, ""),
            ("wss://u:p@hub:443/", "hub", 443, true, ""),
            ("wss://hub/nats/", "hub", PORT, true, "/nats"),
            ("ws://[::1]:80/a/b", "::1", 80, false, "/a/b"),
        ];
        for (text, host, port, tls, path) in cases {
            let url = RemoteUrl::parse(text).unwrap();
            let shown = (url.host.as_str(), url.port, url.tls, url.websocket.as_deref());
            assert_eq!(shown, (host, port, tls, Some(path)), "{text}");
        }
    }

    #[test]
    fn wrong_urls_are_refused_without_their_password() {
        let cases = [
            "http://x",
            "ws://u:canary@x/a?b=c",
            "wss://u:canary@x/a b",
            "nats-leaf://",
            "nats-leaf://x:0",
            "nats-leaf://x:70000",
            "nats-leaf://u:canary@x:abc",
            "nats-leaf://[::1:5",
            "nats-leaf://a b",
            "nats-leaf://u:%zz@x",
            "nats-leaf://x/p",
        ];
        for text in cases {
            let error = RemoteUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn versions_compare_by_their_numbers() {
        for (text, numbers) in [("2.8.0", [2, 8, 0]), ("v2.15.0", [2, 15, 0]), ("2.15.0-dev", [2, 15, 0])] {
            assert_eq!(version(text), Some(numbers), "{text}");
        }
        for text in ["", "2", "2.8", "a.b.c", "2..1"] {
            assert_eq!(version(text), None, "{text}");
        }
        assert!(version("2.10.0") > version("2.9.9"));
    }
}
