//! One client's socket and state.
//!
//! A [`Connection`] is what others see of it: publishers append to its [`outbound::Outbound`],
//! the system account closes it, monitoring reads it. Its own task runs a [`session::Session`],
//! which reads, parses and acts; what only that task needs lives there.

pub mod backlog;
pub mod chunks;
pub mod close;
#[cfg(test)]
mod drain_tests;
mod first_line;
mod framed;
pub mod handshake;
pub mod layer;
pub mod outbound;
mod publish;
pub(crate) mod reader;
mod refused;
pub mod session;
pub mod socket;
mod stall;
mod subscribe;
mod subscriptions;
pub(crate) mod timers;
mod traced;
pub mod traffic;
pub mod write_timeout;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::permissions::response::ReplyGrants;
use cordon_accounts::reason::Reason;
use cordon_auth::principal::Principal;
use cordon_auth::proof::ConnectionType;
use cordon_auth::standing::PrincipalUpdate;
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::broker::Broker;
use crate::connection::close::Closing;
use crate::connection::outbound::{Appended, Drained, Flushed, Outbound};
pub use crate::connection::publish::publish_inside;
use crate::connection::socket::Socket;
use crate::connection::subscriptions::Subscriptions;
use crate::leaf::state::Leaf;
use crate::limits::SOFT_PENDING;
use crate::options::{BrokerOptions, WriteTimeout};
use crate::protocol::encode;
use crate::routing::Subscription;
use crate::tenant::{Tenant, apply};
use crate::websocket::WebsocketOptions;

/// One client connection, as the rest of the broker sees it.
pub struct Connection {
    /// Unique in this broker's life.
    pub cid: u64,
    /// The address that the socket is connected to.
    pub socket_peer: SocketAddr,
    /// The address that a proxy told of, or that of the socket once it is decided that none does.
    told_peer: OnceLock<Box<SocketAddr>>,
    /// How its bytes travel.
    pub transport: Transport,
    /// When it was accepted, Unix nanoseconds.
    pub started: i64,
    /// Pending output.
    pub outbound: Outbound,
    /// The broker it belongs to.
    pub broker: Arc<Broker>,
    /// Figures for monitoring.
    pub traffic: Traffic,
    echo: AtomicBool,
    headers: AtomicBool,
    tracks_replies: AtomicBool,
    announced: AtomicBool,
    unasked: AtomicBool,
    max_payload: AtomicUsize,
    max_subscriptions: AtomicUsize,
    rights: RwLock<Arc<Permissions>>,
    rights_version: AtomicU64,
    grants: Mutex<Option<Box<ReplyGrants>>>,
    subscriptions: Mutex<Subscriptions>,
    pub(crate) identity: RwLock<Identity>,
    closing: Mutex<Option<Box<Closing>>>,
    changing: Mutex<()>,
    wake: Notify,
    leaf: OnceLock<Box<Leaf>>,
}

/// How the bytes of a connection travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As they are.
    Tcp,
    /// Inside WebSocket frames.
    Websocket,
}

impl Transport {
    /// What a client over it is, for `allowed_connection_types`.
    pub const fn client_type(self) -> ConnectionType {
        match self {
            Self::Tcp => ConnectionType::Standard,
            Self::Websocket => ConnectionType::Websocket,
        }
    }

    /// What a leaf node over it is, for `allowed_connection_types`.
    pub const fn leaf_type(self) -> ConnectionType {
        match self {
            Self::Tcp => ConnectionType::Leafnode,
            Self::Websocket => ConnectionType::LeafnodeWs,
        }
    }

    /// What monitoring and events call the type of a client over it.
    pub const fn client_name(self) -> &'static str {
        match self {
            Self::Tcp => "nats",
            Self::Websocket => "websocket",
        }
    }
}

/// Who a connection is, for monitoring and events.
#[derive(Clone)]
pub struct Identity {
    /// The account it is bound to.
    pub tenant: Arc<Tenant>,
    /// What its proof was accepted as; `None` before that.
    pub principal: Option<Arc<Principal>>,
    /// Names its client gave.
    pub client: Arc<ClientNames>,
    /// TLS version and cipher suite, when there is TLS.
    pub tls: Option<TlsNames>,
}

/// What monitoring shows of an [`Identity`]; it holds no account, which may be deleted meanwhile.
#[derive(Clone)]
pub struct ShownIdentity {
    /// The account it was bound to.
    pub account: AccountName,
    /// Name that people gave the account.
    pub display_name: String,
    /// What its proof was accepted as; `None` before that.
    pub principal: Option<Arc<Principal>>,
    /// Names its client gave.
    pub client: Arc<ClientNames>,
    /// TLS version and cipher suite, when there is TLS.
    pub tls: Option<TlsNames>,
}

impl From<Identity> for ShownIdentity {
    fn from(identity: Identity) -> Self {
        let Identity { tenant, principal, client, tls } = identity;
        Self { account: tenant.name.clone(), display_name: tenant.display_name(), principal, client, tls }
    }
}

/// What was agreed on for TLS, as monitoring shows it.
#[derive(Clone, Copy, Debug)]
pub struct TlsNames {
    /// Version of the protocol: `1.2` or `1.3`.
    pub version: &'static str,
    /// Cipher suite.
    pub suite: &'static str,
}

/// What a client says of itself at CONNECT.
#[derive(Clone, Debug, Default)]
pub struct ClientNames {
    /// Name of the client.
    pub name: String,
    /// Language of its library.
    pub lang: String,
    /// Version of its library.
    pub version: String,
    /// Protocol level.
    pub protocol: i64,
}

/// Counters of a connection; output is counted with the queue.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Messages received.
    pub in_messages: AtomicU64,
    /// Bytes of messages received.
    pub in_bytes: AtomicU64,
    /// Last activity, Unix nanoseconds.
    pub last_activity: AtomicI64,
    /// Round-trip time, nanoseconds; 0 when unknown.
    pub rtt: AtomicU64,
    /// How often it waited for its receivers.
    pub stalled: AtomicU64,
}

impl Connection {
    /// A connection just accepted, bound to no principal yet.
    pub fn new(peer: SocketAddr, transport: Transport, broker: Arc<Broker>) -> Arc<Self> {
        let (cid, tenant) = (broker.next_cid(), broker.tenants.global());
        let started = broker.clock.unix_nanos();
        let options = broker.options.load();
        let max_payload = options.max_payload;
        let max_subscriptions = options.max_subscriptions.unwrap_or(usize::MAX);
        drop(options);
        Arc::new(Self {
            cid,
            // Where IPv6 and IPv4 are listened on at once, IPv4 peers come as IPv6 ones: rules about addresses must see
            // what the peer has.
            socket_peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            told_peer: OnceLock::new(),
            transport,
            started,
            outbound: Outbound::new(),
            traffic: Traffic { last_activity: AtomicI64::new(started), ..Traffic::default() },
            echo: AtomicBool::new(true),
            headers: AtomicBool::new(false),
            tracks_replies: AtomicBool::new(false),
            announced: AtomicBool::new(false),
            unasked: AtomicBool::new(false),
            max_payload: AtomicUsize::new(max_payload),
            max_subscriptions: AtomicUsize::new(max_subscriptions),
            rights: RwLock::new(Permissions::everything_shared()),
            rights_version: AtomicU64::new(0),
            grants: Mutex::default(),
            subscriptions: Mutex::default(),
            identity: RwLock::new(Identity { tenant, principal: None, client: Arc::default(), tls: None }),
            closing: Mutex::default(),
            changing: Mutex::default(),
            wake: Notify::new(),
            leaf: OnceLock::new(),
            broker,
        })
    }

    /// The peer's address: what a proxy told of it where proxies are believed, or else that of the socket.
    pub fn peer(&self) -> SocketAddr {
        self.told_peer.get().map_or(self.socket_peer, |told| **told)
    }

    /// It is decided what the peer's address is, once.
    pub(crate) fn tell_peer(&self, peer: SocketAddr) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        // A second header is no header: it is what the peer sends.
        let _first = self.told_peer.set(Box::new(peer));
    }

    /// Whether it is decided what the peer's address is, where a proxy may tell of another.
    pub(crate) fn has_told_peer(&self) -> bool {
        self.told_peer.get().is_some()
    }

    /// What it is as a connection of a leaf node; `None` for a client, and before a leaf node is joined.
    pub fn leaf(&self) -> Option<&Leaf> {
        self.leaf.get().map(|leaf| &**leaf)
    }

    /// Makes it a connection of a leaf node, once.
    pub(crate) fn set_leaf(&self, leaf: Leaf) {
        // It is joined once; a second time would be refused before.
        let _first = self.leaf.set(Box::new(leaf));
    }

    /// What monitoring and events call it.
    pub fn kind(&self) -> &'static str {
        if self.leaf.get().is_some() { "Leafnode" } else { "Client" }
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        self.identity.read().clone()
    }

    /// The account it is bound to.
    pub fn tenant(&self) -> Arc<Tenant> {
        self.identity.read().tenant.clone()
    }

    /// Whether `tenant` is the account it is bound to.
    pub(crate) fn is_of(&self, tenant: &Arc<Tenant>) -> bool {
        Arc::ptr_eq(&self.identity.read().tenant, tenant)
    }

    /// Writes what is pending as far as it goes, and starts a drain task when the socket blocks.
    /// Returns whether the receiver is far behind.
    pub fn flush(self: &Arc<Self>) -> bool {
        match self.outbound.flush() {
            Flushed::Idle => {}
            Flushed::Blocked(socket) => self.start_draining(socket),
            Flushed::Broken(_) => self.close(Closing::broken("Write Error")),
        }
        self.outbound.pending() >= SOFT_PENDING
    }

    fn start_draining(self: &Arc<Self>, socket: Arc<Socket>) {
        let connection = self.clone();
        self.broker.tasks.spawn(async move {
            let (deadline, drained) = loop {
                let (deadline, then) = connection.write_deadline();
                match connection.outbound.drain(&socket, (deadline, then), std::time::Instant::now).await {
                    Drained::Late { chunks } => connection.is_late(deadline, chunks),
                    drained => break (deadline, drained),
                }
            };
            match drained {
                Drained::Done | Drained::Late { .. } => {}
                Drained::TooSlow { chunks } => {
                    tracing::info!(
                        connection.id = connection.cid,
                        "Slow Consumer Detected: WriteDeadline of {deadline:?} exceeded with {chunks} bytes pending."
                    );
                    connection.close(Closing::slow("Slow Consumer (Write Deadline)", Reason::SlowConsumerDeadline));
                }
                Drained::Broken => connection.close(Closing::broken("Write Error")),
            }
        });
    }

    /// The write deadline passed, and the connection stays because its peer took something.
    fn is_late(&self, deadline: Duration, chunks: usize) {
        tracing::info!(
            connection.id = self.cid,
            "Slow Consumer State: WriteDeadline of {deadline:?} exceeded with {chunks} bytes pending."
        );
        self.broker.slow_consumers.fetch_add(1, Ordering::Relaxed);
        self.tenant().counters.slow_consumers.fetch_add(1, Ordering::Relaxed);
    }

    fn write_deadline(&self) -> (Duration, WriteTimeout) {
        let options = self.broker.options.load();
        let leaf = Some(&options.leaf).filter(|_| self.leaf().is_some());
        let deadline = leaf.and_then(|leaf| leaf.write_deadline).unwrap_or(options.write_deadline);
        (deadline, leaf.and_then(|leaf| leaf.write_timeout).unwrap_or(options.write_timeout))
    }

    /// Queues a protocol line and writes it; for use outside a batch.
    pub fn send_line(self: &Arc<Self>, line: &[u8]) {
        match self.outbound.line(self.max_pending(), line) {
            Appended::Owe => {
                self.flush();
            }
            Appended::Overflow => self.overflowed(),
            Appended::Queued | Appended::Refused => {}
        }
    }

    /// Queues a protocol line that no bound holds against the receiver; its own task writes it.
    pub(crate) fn queue_line(&self, line: &[u8]) {
        if self.outbound.line(usize::MAX, line) == Appended::Owe {
            self.wake.notify_one();
        }
    }

    /// Asks the connection's own task to end it; the first call decides.
    pub fn close(&self, closing: Closing) {
        let mut slot = self.closing.lock();
        if slot.is_some() {
            return;
        }
        if let Some(text) = closing.wire_text.as_ref().filter(|_| traffic::is_on()) {
            traffic::said(self, &encode::error_line(text));
        }
        let last_words = closing.wire_text.as_ref().map(|text| encode::error_line(text));
        self.outbound.close(closing.keep_output, last_words.as_deref().unwrap_or_default());
        *slot = Some(Box::new(closing));
        drop(slot);
        self.wake.notify_one();
    }

    /// How it ends, once that is decided.
    pub fn closing(&self) -> Option<Closing> {
        self.closing.lock().as_deref().cloned()
    }

    /// It is decided that it ends.
    pub fn is_closing(&self) -> bool {
        self.closing.lock().is_some()
    }

    /// More waits for it than may.
    pub fn overflowed(&self) {
        tracing::info!(
            connection.id = self.cid,
            "Slow Consumer Detected: MaxPending of {} Exceeded",
            self.max_pending()
        );
        self.close(Closing::slow("Slow Consumer (Pending Bytes)", Reason::SlowConsumerPending));
    }

    /// A setting that the listener it came by may have of its own.
    fn setting<T>(&self, own: fn(&WebsocketOptions) -> Option<T>, shared: fn(&BrokerOptions) -> T) -> T {
        let options = self.broker.options.load();
        let websocket = options.websocket.as_ref().filter(|_| self.transport == Transport::Websocket);
        websocket.and_then(own).unwrap_or_else(|| shared(&options))
    }

    /// Interval of pings while it is idle.
    pub fn ping_interval(&self) -> Duration {
        self.setting(|own| own.ping_interval, |shared| shared.ping_interval)
    }

    /// Time for CONNECT.
    pub fn auth_timeout(&self) -> Duration {
        self.setting(|own| own.auth_timeout, |shared| shared.auth_timeout)
    }

    /// Whether its certificate names the user.
    pub fn maps_certificates(&self) -> bool {
        self.setting(|own| Some(own.map_certificates), |shared| shared.map_certificates)
    }

    /// Bound on its pending output.
    pub fn max_pending(&self) -> usize {
        self.broker.options.max_pending()
    }

    /// Bound on one message it publishes.
    pub fn max_payload(&self) -> usize {
        self.max_payload.load(Ordering::Relaxed)
    }

    /// Bound on its subscriptions.
    pub fn max_subscriptions(&self) -> usize {
        self.max_subscriptions.load(Ordering::Relaxed)
    }

    /// Puts limits of its user and account in force, as far as they are tighter than the broker's.
    ///
    /// Whether it has more subscriptions now than it may, and had not before.
    pub fn set_limits(&self, limits: ConnectionLimits) -> bool {
        let before = self.max_subscriptions();
        let options = self.broker.options.load();
        let tighter = |limit: Option<u32>, own: usize| limit.map_or(own, |limit| own.min(limit as usize));
        let own = options.max_subscriptions.unwrap_or(usize::MAX);
        self.max_subscriptions.store(tighter(limits.subscriptions, own), Ordering::Relaxed);
        self.max_payload.store(tighter(limits.payload, options.max_payload), Ordering::Relaxed);
        let held = self.subscription_count();
        held > self.max_subscriptions() && held <= before
    }

    /// As [`Self::set_limits`], while nobody else does.
    fn bind_limits(self: &Arc<Self>, limits: ConnectionLimits) {
        let _one_at_a_time = self.change();
        if self.set_limits(limits) {
            apply::end_soon(&self.broker, self.clone());
        }
    }

    /// Held while a changed account is put in force on it.
    pub fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// Takes over what a changed account means for its principal.
    pub fn update_principal(&self, update: &PrincipalUpdate) {
        let mut identity = self.identity.write();
        if let Some(principal) = &identity.principal {
            let mut changed = Principal::clone(principal);
            update.apply(&mut changed);
            identity.principal = Some(Arc::new(changed));
        }
    }

    /// It has had its first PONG, and wants to hear when INFO changes.
    pub fn wants_info(&self) -> bool {
        self.announced.load(Ordering::Relaxed) && self.identity.read().client.protocol >= 1
    }

    /// It is served without ever having been asked who it is, and has not said so either.
    pub fn is_served_unasked(&self) -> bool {
        self.unasked.load(Ordering::SeqCst) && self.identity.read().principal.is_none()
    }

    pub(crate) fn set_announced(&self) {
        self.announced.store(true, Ordering::Relaxed);
    }

    /// It wants its own messages back.
    pub fn echoes(&self) -> bool {
        self.echo.load(Ordering::Relaxed)
    }

    /// Sets whether its peer understands headers.
    pub(crate) fn set_reads_headers(&self, reads: bool) {
        self.headers.store(reads, Ordering::Relaxed);
    }

    /// Its client understands headers.
    pub fn reads_headers(&self) -> bool {
        self.headers.load(Ordering::Relaxed)
    }

    /// What it may publish and subscribe to.
    pub fn rights(&self) -> Arc<Permissions> {
        self.rights.read().clone()
    }

    /// Changes whenever [`Self::rights`] do.
    pub fn rights_version(&self) -> u64 {
        self.rights_version.load(Ordering::Acquire)
    }

    /// Has its session decide anew about subjects that it has decided about.
    pub fn forget_decisions(&self) {
        self.rights_version.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a message on `subject` may reach it, for subscriptions that overlap a deny rule.
    pub fn may_receive(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        self.rights.read().may_deliver(subject, queue).is_ok()
    }

    /// Remembers a reply subject that its response rule lets it answer to.
    pub fn grant_reply(&self, reply: &[u8]) {
        if !self.tracks_replies.load(Ordering::Relaxed) || self.rights().may_publish(reply).is_ok() {
            return;
        }
        if let Some(grants) = &mut *self.grants.lock() {
            grants.granted(reply, self.broker.clock.nanos());
        }
    }

    /// Uses up one granted reply; `false` when there is none.
    pub fn take_reply_grant(&self, subject: &[u8]) -> bool {
        let now = self.broker.clock.nanos();
        self.grants.lock().as_mut().is_some_and(|grants| grants.take(subject, now))
    }

    /// Subscriptions it holds.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.lock().len()
    }

    /// A copy of the list of its subscriptions.
    pub fn subscription_list(&self) -> Vec<Subscription> {
        self.subscriptions.lock().list()
    }

    /// Has its task look again at what was changed about it.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn woken(&self) -> Notified<'_> {
        self.wake.notified()
    }
}
