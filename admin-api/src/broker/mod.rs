//! Brokers, as the control plane sees them: an ordinary NATS client on the system account.
//!
//! [`Broker`] is the seam: [`nats::NatsBroker`] speaks to a fleet of Cordon brokers or stock
//! nats-servers, tests put their own behind it. Everything goes through the same requests that `nsc`
//! and `nats` use; there is no back door. What brokers report without being asked arrives as
//! [`event::BrokerEvent`].

pub mod credentials;
pub mod event;
pub mod nats;
pub mod recorder;
pub mod reply;

use cordon_accounts::key::AccountKey;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// Why a broker could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The broker answered that it will not.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// No broker answered in time.
    #[error("no broker answered in time")]
    Silent,
    /// There is no connection to any broker at the moment.
    #[error("there is no connection to a broker: {0}")]
    Unreachable(String),
}

/// One broker, by what it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerInfo {
    /// Its server key, `N..`; new at each start of a stock server.
    pub id: String,
    /// Its configured name.
    pub name: String,
    /// The host it runs on.
    pub host: String,
    /// The cluster it belongs to; empty for none.
    pub cluster: String,
    /// Its version.
    #[serde(rename = "ver")]
    pub version: String,
}

/// A broker that answered lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBroker {
    /// What it says of itself.
    pub info: BrokerInfo,
    /// When it last answered, unix seconds.
    pub seen_at: i64,
}

/// What one broker answered to a push or a delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which broker.
    pub broker: String,
    /// Its name, for people.
    pub name: String,
    /// Whether it took the change.
    pub accepted: bool,
    /// Its words.
    pub message: String,
}

/// Which connections are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Only those of this account.
    pub account: Option<AccountKey>,
    /// Only this one, on the named broker.
    pub one: Option<(String, u64)>,
}

/// One connection of one broker, as `CONNZ` tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// The broker's id. Not in the broker's answer; filled in from its envelope.
    #[serde(skip)]
    pub server: String,
    /// The broker's name.
    #[serde(skip)]
    pub server_name: String,
    /// Unique on its broker for the broker's life.
    pub cid: u64,
    /// `Client` or `Leafnode`.
    pub kind: String,
    /// Peer address.
    pub ip: String,
    /// Peer port.
    pub port: u32,
    /// When it began.
    pub start: String,
    /// When it last did anything.
    pub last_activity: String,
    /// Round trip time as a Go duration.
    pub rtt: String,
    /// How long it has been open.
    pub uptime: String,
    /// How long it has been silent.
    pub idle: String,
    /// Bytes waiting to be sent to it.
    pub pending_bytes: i64,
    /// Messages received from it.
    pub in_msgs: i64,
    /// Messages sent to it.
    pub out_msgs: i64,
    /// Bytes received from it.
    pub in_bytes: i64,
    /// Bytes sent to it.
    pub out_bytes: i64,
    /// Number of subscriptions.
    pub subscriptions: u32,
    /// The client's own name.
    pub name: String,
    /// The client's language.
    pub lang: String,
    /// The client library's version.
    pub version: String,
    /// TLS version, when there is TLS.
    pub tls_version: String,
    /// Who it is: a user key in operator mode.
    pub authorized_user: String,
    /// Its account.
    pub account: String,
    /// The account's name.
    pub name_tag: String,
    /// The user's JWT. Never handed on: it is read for the issue time and dropped.
    #[serde(skip_serializing)]
    pub jwt: String,
}

/// A part of a broker's numbered security events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replay {
    /// Number of the oldest event that the broker still has.
    pub first: u64,
    /// Number of its newest.
    pub last: u64,
    /// The events asked for, in order.
    pub events: Vec<serde_json::Value>,
}

/// A future of the broker seam.
pub type Answering<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

/// The brokers of one installation.
pub trait Broker: Send + Sync + 'static {
    /// Whether there is a connection to any broker now.
    fn is_connected(&self) -> bool;

    /// The brokers that answered lately; a push is confirmed when all of them have taken it.
    fn known(&self) -> Vec<KnownBroker>;

    /// Gives an account JWT to every broker.
    fn push<'a>(&'a self, jwt: &'a str) -> Answering<'a, Vec<Answer>>;

    /// Gives a signed delete request to every broker.
    fn delete<'a>(&'a self, request: &'a str) -> Answering<'a, Vec<Answer>>;

    /// The JWT that the brokers hold for an account; the first that is found.
    fn lookup<'a>(&'a self, account: &'a AccountKey) -> Answering<'a, Option<String>>;

    /// The account keys that each broker holds.
    fn list(&self) -> Answering<'_, Vec<(BrokerInfo, Vec<String>)>>;

    /// Connections, open now.
    fn connections<'a>(&'a self, filter: &'a ConnectionFilter) -> Answering<'a, Vec<Connection>>;

    /// Ends one connection.
    fn kick<'a>(&'a self, server: &'a str, cid: u64) -> Answering<'a, ()>;

    /// Numbered security events after `after`; `None` from a broker that has none (a stock one).
    fn replay<'a>(&'a self, server: &'a str, after: u64, limit: u32) -> Answering<'a, Option<Replay>>;
}
