//! The dialling side: a remote is kept connected, from URL to URL, for as long as the broker runs.
//!
//! ```text
//! pick URL -> connect -> [TLS] -> INFO -> [TLS] -> CONNECT -> INFO -> joined -> closed -> wait -> pick URL
//! ```
//!
//! Between attempts it waits for the configured time and a random part of as much; longer when the other server said
//! that coming back at once is pointless ([`delay_for`]).

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::claims::PermissionsClaim;
use cordon_accounts::permissions::Permissions;
use cordon_auth::principal::Principal;
use futures_util::FutureExt;
use parking_lot::Mutex;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::connection::close::Closing;
use crate::connection::{ClientNames, Connection, Identity, Transport};
use crate::gate::Entry;
use crate::leaf::compression::Compression;
use crate::leaf::credentials::Credentials;
use crate::leaf::dial::{self, Greeted};
use crate::leaf::filter::{Filter, Whose};
use crate::leaf::info::{LeafConnect, LeafInfo, PROTO};
use crate::leaf::options::{RemoteOptions, RemoteUrl};
use crate::leaf::proxy;
use crate::leaf::session::{LeafSession, Stage, attach, contain};
use crate::leaf::state::{Denied, Introduced, Leaf};
use crate::limits::MAX_LEAF_CONNECTIONS;
use crate::protocol::ProtocolError;
use crate::protocol::info::EMULATED_VERSION;
use crate::tenant::Tenant;

/// Time for the INFO that answers CONNECT.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// URLs that are remembered of one INFO.
const DISCOVERED_MAX: usize = 256;
/// Waits after errors that are not soon over.
const LONG_DELAY: Duration = Duration::from_secs(30);
const VERSION_DELAY: Duration = Duration::from_secs(5);

/// One connection to a remote, as its session knows it.
#[derive(Debug)]
pub struct Dialled {
    options: Arc<RemoteOptions>,
    url: RemoteUrl,
    credentials: Credentials,
    learned: Mutex<Learned>,
}

/// What a connection taught about the next one.
#[derive(Debug, Default)]
pub struct Learned {
    delay: Option<Duration>,
    urls: Option<Vec<String>>,
}

impl Dialled {
    /// How the connection may be compressed: over WebSocket, by WebSocket alone.
    pub(super) fn compression(&self) -> Compression {
        if self.url.websocket.is_some() { Compression::OFF } else { self.options.compression }
    }

    /// The other server, or this one, said why the connection ends.
    pub(super) fn heard(&self, text: &str) {
        if let Some(delay) = delay_for(text) {
            self.learned.lock().delay = Some(delay);
        }
    }
}

/// How long coming back is pointless after this error; `None` if it may work at once.
fn delay_for(text: &str) -> Option<Duration> {
    let long = ["Loop detected", "Permissions Violation", "remote leafnode has same cluster name"];
    if long.iter().any(|part| text.contains(part)) {
        return Some(LONG_DELAY);
    }
    text.contains("connection rejected since minimum version required is").then_some(VERSION_DELAY)
}

/// Why a remote is not joined.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The account of this side cannot be used.
    #[error("the local account `{0}` cannot be joined: {1}")]
    Account(String, String),
    /// Creds or seed cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// The first INFO is no INFO.
    #[error("what answers there is no leaf node listener")]
    NoInfo,
    /// The proxy leads nowhere.
    #[error("the proxy does not lead there: {0}")]
    Proxy(String),
    /// The socket, or TLS.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// Plain text where TLS is demanded.
    #[error("the server does not offer TLS, which {0}")]
    Plain(&'static str),
    /// Something took too long.
    #[error("{0} took too long")]
    TooSlow(&'static str),
    /// The request for WebSocket was not granted as it should be.
    #[error("no WebSocket: {0}")]
    Websocket(String),
}

/// The URLs of a remote, and which is next.
struct Pool {
    configured: Vec<RemoteUrl>,
    discovered: Vec<RemoteUrl>,
    next: usize,
}

impl Pool {
    fn new(options: &RemoteOptions) -> Self {
        let mut configured = options.urls.clone();
        if !options.in_order {
            configured.shuffle(&mut rand::thread_rng());
        }
        Self { configured, discovered: Vec::new(), next: 0 }
    }

    fn next(&mut self) -> Option<RemoteUrl> {
        let all = self.configured.len() + self.discovered.len();
        let at = self.next.checked_rem(all)?;
        self.next = at + 1;
        self.configured.iter().chain(&self.discovered).nth(at).cloned()
    }

    /// Takes over the URLs of an INFO: user, password and TLS are those of the first configured URL.
    fn learn(&mut self, urls: &[String]) {
        let Some(first) = self.configured.first() else { return };
        let known =
            |url: &RemoteUrl| self.configured.iter().any(|known| (&known.host, known.port) == (&url.host, url.port));
        let found = urls.iter().take(DISCOVERED_MAX).filter_map(|text| RemoteUrl::parse(text).ok());
        let found = found.filter(|url| url.user.is_none() && url.websocket.is_none() && !known(url)).map(|url| {
            let name = first.tls_name.clone().unwrap_or_else(|| first.host.clone());
            let is_ip = url.host.parse::<IpAddr>().is_ok();
            RemoteUrl { host: url.host, port: url.port, tls_name: is_ip.then_some(name), ..first.clone() }
        });
        self.discovered = found.collect();
    }
}

/// Keeps a remote connected until `stop` is cancelled; its connection has ended when this returns.
pub async fn keep_connected(broker: Arc<Broker>, options: Arc<RemoteOptions>, stop: CancellationToken) {
    let mut pool = Pool::new(&options);
    while !stop.is_cancelled() {
        let Some(url) = pool.next() else { return };
        let shown = format!("{}:{}", url.host, url.port);
        let outcome = Box::pin(attempt(&broker, &options, url, &stop)).await;
        let jitter = rand::thread_rng().gen_range(0.0..1.0);
        let mut wait = options.reconnect + options.reconnect.mul_f64(jitter);
        match outcome {
            Ok(learned) => {
                if let Some(urls) = learned.urls.filter(|_| !options.ignore_discovered) {
                    pool.learn(&urls);
                }
                wait = learned.delay.unwrap_or(wait);
            }
            Err(error) => {
                tracing::error!(account = %options.account, "Error trying to connect as leafnode to remote server \"{shown}\": {error}");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// One connection from beginning to end; gives what was learned on it.
async fn attempt(
    broker: &Arc<Broker>,
    options: &Arc<RemoteOptions>,
    url: RemoteUrl,
    stop: &CancellationToken,
) -> Result<Learned, DialError> {
    let stream = tokio::select! {
        stream = proxy::reach(options, &url) => stream?,
        () = stop.cancelled() => return Ok(Learned::default()),
    };
    stream.set_nodelay(true)?;
    let ends = (stream.peer_addr()?, stream.local_addr()?.ip());
    join_over(stream, ends, broker, options, url, stop).await
}

/// Joins whoever is at the other end of `stream`, until that ends or `stop` is cancelled; `ends` are its address and
/// this side's.
///
/// # Errors
///
/// [`DialError`] when nobody is joined.
pub async fn join_over(
    stream: TcpStream,
    ends: (SocketAddr, IpAddr),
    broker: &Arc<Broker>,
    options: &Arc<RemoteOptions>,
    url: RemoteUrl,
    stop: &CancellationToken,
) -> Result<Learned, DialError> {
    let (peer, local) = ends;
    let most = broker.options.load().max_payload;
    let beginning = async {
        let tenant = account(broker, options).await?;
        let credentials = Credentials::read(options, &url).map_err(DialError::Credentials)?;
        let greeted = dial::greet(stream, peer, options, &url, &credentials, most).await?;
        Ok::<_, DialError>((tenant, credentials, greeted))
    };
    let (tenant, credentials, greeted) = tokio::select! {
        begun = beginning => begun?,
        () = stop.cancelled() => return Ok(Learned::default()),
    };
    let Greeted { stream, tls, framing, info } = greeted;
    let transport = if framing.is_some() { Transport::Websocket } else { Transport::Tcp };
    let connection = Connection::new(peer, transport, broker.clone());
    if broker.leafs.open.enter(connection.cid, connection.clone(), MAX_LEAF_CONNECTIONS) != Entry::Admitted {
        return Ok(Learned::default());
    }
    let dialled = Arc::new(Dialled { options: options.clone(), url, credentials, learned: Mutex::default() });
    let reader = attach(stream, tls.map(rustls::Connection::Client), framing, &connection);
    let mut session = LeafSession::new(connection.clone(), "".into(), local, Vec::new(), Some(dialled.clone()));
    session.tenant = tenant;
    session.expect_within(options.first_info_timeout);
    let life = AssertUnwindSafe(async {
        if let Some(info) = info {
            session.told(info);
        }
        session.run(reader).await;
    });
    let lived = tokio::select! {
        lived = life.catch_unwind() => lived,
        never = end_with(stop, &connection) => match never {},
    };
    if lived.is_err() {
        contain(&connection);
    }
    let learned = std::mem::take(&mut *dialled.learned.lock());
    Ok(learned)
}

/// Has the session end, in its own time, once `stop` is cancelled.
async fn end_with(stop: &CancellationToken, connection: &Connection) -> Infallible {
    stop.cancelled().await;
    connection.close(Closing::silent("Client Closed", None).because("the remote is not configured like this any more"));
    std::future::pending().await
}

/// The account of this side, ready for connections.
async fn account(broker: &Arc<Broker>, options: &RemoteOptions) -> Result<Arc<Tenant>, DialError> {
    let name = &options.account;
    let unusable = |cause: String| DialError::Account(name.to_string(), cause);
    if let Some(accounts) = broker.tenants.accounts() {
        use cordon_auth::lookup::AccountLookup as _;
        let key = name.as_str().parse().map_err(|_| unusable("it is no public key of an account".to_owned()))?;
        accounts.account(&key, broker.clock.unix_seconds()).await.map_err(|error| unusable(error.to_string()))?;
    }
    let tenant = broker.tenants.tenant_of(broker, name).await.map_err(|refusal| unusable(refusal.to_string()))?;
    if tenant.is_system() && !options.system_account {
        return Err(unusable(
            "it is the system account; `allow_system_account: true` in the remote would join it".to_owned(),
        ));
    }
    Ok(tenant)
}

impl LeafSession {
    /// INFO of the other server.
    pub(super) fn told(&mut self, info: LeafInfo) {
        let Some(dialled) = self.dialled.clone() else {
            // Only the side that dialled takes permissions from the other.
            return;
        };
        let over_websocket = dialled.url.websocket.is_some();
        let urls = if over_websocket { Some(&info.ws_connect_urls) } else { info.leafnode_urls.as_ref() };
        if let Some(urls) = urls {
            dialled.learned.lock().urls = Some(urls.clone());
        }
        match self.stage {
            Stage::Greeting if self.agreed.is_none() => {
                if !self.asks_for_compression(&info) {
                    self.introduce(&dialled, info);
                }
            }
            Stage::Greeting => self.introduce(&dialled, info),
            Stage::Joining => self.join_hub(&dialled, info),
            Stage::Joined => self.take_over(&dialled, info),
            Stage::Connecting => {}
        }
    }

    /// The first INFO is answered with CONNECT.
    fn introduce(&mut self, dialled: &Dialled, info: LeafInfo) {
        let broker = self.connection.broker.clone();
        let own = broker.leafs.cluster();
        if info.client_id == 0 || info.leafnode_urls.is_none() {
            tracing::error!(peer = %self.connection.peer(), "the port at {}:{} is none of leaf nodes", dialled.url.host, dialled.url.port);
            return self.end(Closing::silent("Incorrect Port", None));
        }
        let text = if info.cluster.contains(' ') {
            Some("cluster name cannot contain spaces")
        } else if !info.cluster.is_empty() && *info.cluster == *own {
            Some("remote leafnode has same cluster name")
        } else {
            None
        };
        if let Some(text) = text {
            tracing::error!(peer = %self.connection.peer(), "{text}");
            dialled.heard(text);
            let closing = Closing::silent("Cluster Names Identical", None);
            return self.end(Closing { wire_text: Some(text.to_owned()), ..closing });
        }
        self.nonce = info.nonce.as_str().into();
        let connect = match self.connect_line(dialled, &info) {
            Ok(connect) => connect,
            Err(text) => {
                tracing::error!(account = %self.tenant.name, "{text}");
                return self.end(Closing::silent("Authentication Failure", None));
            }
        };
        self.line(&connect);
        self.stage = Stage::Joining;
        self.expect_within(JOIN_TIMEOUT);
        if !info.info_on_connect {
            self.join_hub(dialled, info);
        }
    }

    fn connect_line(&self, dialled: &Dialled, info: &LeafInfo) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
        let broker = &self.connection.broker;
        let options = &dialled.options;
        let mut connect = LeafConnect {
            version: EMULATED_VERSION.to_owned(),
            server_id: broker.id.to_string(),
            name: broker.name.to_string(),
            cluster: broker.leafs.cluster().to_string(),
            is_hub: options.hub,
            headers: true,
            jetstream: broker.extension().is_some_and(|streams| streams.serves(&self.tenant)),
            domain: broker.domain().unwrap_or_default().to_string(),
            deny_pub: options.deny_imports.clone(),
            isolate: options.request_isolation,
            compress_mode: self.level().name().to_owned(),
            remote_account: self.tenant.name.to_string(),
            protocol: i64::from(PROTO),
            ..LeafConnect::default()
        };
        dialled.credentials.prove(&mut connect, info.nonce.as_bytes())?;
        let json = zeroize::Zeroizing::new(serde_json::to_vec(&connect).map_err(|error| error.to_string())?);
        Ok([b"CONNECT ".as_slice(), &json, b"\r\n"].concat().into())
    }

    /// CONNECT was answered: this side's account is joined.
    fn join_hub(&mut self, dialled: &Dialled, info: LeafInfo) {
        let connection = self.connection.clone();
        let principal = Principal::anonymous(dialled.options.account.clone());
        let tenant = self.tenant.clone();
        let mut is_loop = false;
        tenant.interest.with_ledger(|ledger| is_loop = ledger.has_cluster(&info.cluster));
        if is_loop {
            let text = format!(
                "Loop detected for leafnode account=\"{}\". Delaying attempt to reconnect for 30s",
                tenant.name
            );
            tracing::error!(peer = %connection.peer(), "{text}");
            dialled.heard(&text);
            return self.end(Closing { wire_text: Some(text), ..Closing::silent("Protocol Violation", None) });
        }
        let filter = match self.filter_of(dialled, &info) {
            Ok(filter) => filter,
            Err(closing) => return self.end(closing),
        };
        if let Err(closing) = self.admit(&tenant, &principal) {
            return self.end(closing);
        }
        let options = &dialled.options;
        let denied = Denied { inward: options.deny_imports.clone(), outward: options.deny_exports.clone() };
        connection.set_limits(tenant.limits());
        connection.set_reads_headers(info.headers);
        let names = ClientNames { name: info.server_name.clone(), version: info.version, ..ClientNames::default() };
        let peer = Introduced {
            name: info.server_name,
            server_id: info.server_id,
            cluster: info.cluster,
            remote_account: info.remote_account,
            headers: info.headers,
            protocol: info.proto,
            asks_isolation: false,
        };
        self.show_as(Leaf::new(peer, options.hub, true, options.isolated, denied, filter));
        connection.bind(Identity {
            tenant: tenant.clone(),
            principal: Some(Arc::new(principal)),
            client: Arc::new(names),
            tls: connection.identity().tls,
        });
        tenant.interest.tell(&connection, &tenant.own_subjects());
        self.joined();
        tracing::info!(connection.id = connection.cid, peer = %connection.peer(), account = %tenant.name, "Leafnode connection created for account: {}", tenant.name);
    }

    /// What may pass, as the hub has it, and as this side's own lists narrow it.
    fn filter_of(&self, dialled: &Dialled, info: &LeafInfo) -> Result<Filter, Closing> {
        let claim = PermissionsClaim {
            publish: info.export.clone().unwrap_or_default().into(),
            subscribe: info.import.clone().unwrap_or_default().into(),
            ..PermissionsClaim::default()
        };
        let rights = Permissions::compile(&claim).map_err(|error| {
            tracing::error!(peer = %self.connection.peer(), "the permissions in INFO of the hub cannot be read: {error}");
            Closing::breach(ProtocolError::Json("INFO"))
        })?;
        Ok(Filter::new(Whose::Own, Arc::new(rights), self.tenant.is_system())
            .deny_in(&dialled.options.deny_imports)
            .deny_out(&dialled.options.deny_exports))
    }

    /// A later INFO of the hub may change what passes.
    fn take_over(&mut self, dialled: &Dialled, info: LeafInfo) {
        if info.import.is_none() && info.export.is_none() && !info.connect_info {
            return;
        }
        match self.filter_of(dialled, &info) {
            Ok(filter) => self.refilter(filter),
            Err(closing) => self.end(closing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(urls: &[&str]) -> RemoteOptions {
        let urls = urls.iter().map(|text| RemoteUrl::parse(text).unwrap()).collect();
        RemoteOptions { in_order: true, ..RemoteOptions::new(urls) }
    }

    fn places(pool: &mut Pool, count: usize) -> Vec<String> {
        (0..count).map(|_| pool.next().map(|url| format!("{}:{}", url.host, url.port)).unwrap()).collect()
    }

    #[test]
    fn urls_are_tried_in_turn_with_those_of_info_after_them() {
        let mut pool = Pool::new(&options(&["a:1", "b:2"]));
        assert_eq!(places(&mut pool, 3), ["a:1", "b:2", "a:1"]);
        pool.learn(&["c:3".to_owned(), "a:1".to_owned(), "wss://x".to_owned(), "u:p@evil:1".to_owned()]);
        assert_eq!(places(&mut pool, 4), ["b:2", "c:3", "a:1", "b:2"]);
        pool.learn(&[]);
        assert_eq!(places(&mut pool, 2), ["a:1", "b:2"]);
    }

    #[test]
    fn discovered_addresses_keep_name_and_user_of_the_first_url() {
        let mut pool = Pool::new(&options(&["tls://u:p@hub.example:1"]));
        pool.learn(&["10.0.0.1:7".to_owned(), "other.example:8".to_owned()]);
        let found: Vec<_> =
            pool.discovered.iter().map(|url| (url.tls, url.user.clone(), url.tls_name.clone())).collect();
        let user = Some("u".to_owned());
        assert_eq!(found, [(true, user.clone(), Some("hub.example".to_owned())), (true, user, None)]);
    }

    #[test]
    fn errors_that_last_are_waited_out() {
        for (text, seconds) in [
            ("'Loop detected for leafnode account=\"A\". Delaying'", Some(30)),
            ("'Permissions Violation for Publish to \"x\"'", Some(30)),
            ("'remote leafnode has same cluster name'", Some(30)),
            ("'connection rejected since minimum version required is \"2.15.0\"'", Some(5)),
            ("'Authorization Violation'", None),
        ] {
            assert_eq!(delay_for(text).map(|delay| delay.as_secs()), seconds, "{text}");
        }
    }
}
