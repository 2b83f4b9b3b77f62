//! One client's socket and state.
//!
//! A [`Connection`] is what others see of it: publishers append to its [`outbound::Outbound`],
//! the system account closes it, monitoring reads it. Its own task runs a [`session::Session`],
//! which reads, parses and acts; what only that task needs lives there.

pub mod backlog;
pub mod chunks;
pub mod close;
pub mod handshake;
pub mod outbound;
mod publish;
mod reader;
pub mod session;
pub mod socket;
mod subscribe;
mod subscriptions;
mod timers;
mod traced;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::permissions::response::ReplyGrants;
use cordon_accounts::reason::Reason;
use cordon_auth::principal::Principal;
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
use crate::limits::SOFT_PENDING;
use crate::protocol::encode;
use crate::routing::Subscription;
use crate::tenant::Tenant;

/// One client connection, as the rest of the broker sees it.
pub struct Connection {
    /// Unique in this broker's life.
    pub cid: u64,
    /// The peer's address.
    pub peer: SocketAddr,
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
    max_payload: AtomicUsize,
    max_subscriptions: AtomicUsize,
    rights: RwLock<Arc<Permissions>>,
    rights_version: AtomicU64,
    grants: Mutex<Option<Box<ReplyGrants>>>,
    subscriptions: Mutex<Subscriptions>,
    identity: RwLock<Identity>,
    closing: Mutex<Option<Box<Closing>>>,
    changing: Mutex<()>,
    wake: Notify,
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
    pub fn new(cid: u64, peer: SocketAddr, broker: Arc<Broker>, tenant: Arc<Tenant>) -> Arc<Self> {
        let started = broker.clock.unix_nanos();
        let max_payload = broker.options.max_payload;
        let max_subscriptions = broker.options.max_subscriptions.unwrap_or(usize::MAX);
        Arc::new(Self {
            cid,
            peer,
            started,
            outbound: Outbound::new(),
            traffic: Traffic { last_activity: AtomicI64::new(started), ..Traffic::default() },
            echo: AtomicBool::new(true),
            headers: AtomicBool::new(false),
            tracks_replies: AtomicBool::new(false),
            announced: AtomicBool::new(false),
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
            broker,
        })
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
    fn is_of(&self, tenant: &Arc<Tenant>) -> bool {
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
            let deadline = connection.broker.options.write_deadline;
            match connection.outbound.drain(&socket, deadline, std::time::Instant::now).await {
                Drained::Done => {}
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

    /// Asks the connection's own task to end it; the first call decides.
    pub fn close(&self, closing: Closing) {
        let mut slot = self.closing.lock();
        if slot.is_some() {
            return;
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

    /// Bound on its pending output.
    pub fn max_pending(&self) -> usize {
        self.broker.options.max_pending
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
    pub fn set_limits(&self, limits: ConnectionLimits) {
        let options = &self.broker.options;
        let tighter = |limit: Option<u32>, own: usize| limit.map_or(own, |limit| own.min(limit as usize));
        let own = options.max_subscriptions.unwrap_or(usize::MAX);
        self.max_subscriptions.store(tighter(limits.subscriptions, own), Ordering::Relaxed);
        self.max_payload.store(tighter(limits.payload, options.max_payload), Ordering::Relaxed);
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

    fn set_announced(&self) {
        self.announced.store(true, Ordering::Relaxed);
    }

    /// It wants its own messages back.
    pub fn echoes(&self) -> bool {
        self.echo.load(Ordering::Relaxed)
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

    fn woken(&self) -> Notified<'_> {
        self.wake.notified()
    }
}
