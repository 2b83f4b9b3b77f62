//! Leaf nodes: an account of this broker joined to an account of another server, in both directions.
//!
//! ```text
//!             accept (listen side)  \
//!  parser ->                         session -> routing::route_to -> border
//!             remote (dials out)    /
//!
//!  routing::Interest -> ledger -> LS+ / LS- to every leaf connection of the account
//!  routing::route    -> forward -> LMSG / HMSG
//! ```
//!
//! **One connection, one account on either side.** No account name travels with interest or messages, so a leaf
//! connection sees and sets subjects of its own account alone; into other accounts its messages get, as everybody's,
//! through the border. Of the two ends one is the *hub*: the one that accepted, unless the other claimed the role.
//!
//! **What the other side wants** (`LS+`) stands in the account's interest beside the subscriptions of clients, as
//! [`Subscription::far`](crate::routing::Subscription::far) in a tree of its own: a match has those of this broker as
//! before, and, only if there are any, a second set of those beyond leaf connections. So a publish of an account
//! without leaf nodes costs one branch. A subscription that came over a leaf connection is held by its [`Connection`]
//! like a client's, counts against the same limits, has shadows in the exporters of imported streams, and ends with
//! its connection.
//!
//! **What this side wants** is told by the [`ledger`]: while an account has leaf connections it counts the account's
//! subscriptions by subject and queue group, under the lock under which they change, and queues `LS+` and `LS-` to
//! each leaf connection right there. Interest therefore always precedes the messages that depend on it on the same
//! connection: the inbox of a request, or the reply space of an import. Between leaf connections interest and messages
//! pass by one rule ([`state::Leaf::passes_to`]): not back, not into the cluster they came from, and not from one hub
//! to another.
//!
//! **A message from the other side** is a publish of its connection: checked against what the peer may publish, mapped,
//! matched, and routed with its list of queue groups, through the same border. **A message to the other side** is one
//! `LMSG` for each leaf connection, however many subscriptions it has that match; of a queue group members in this
//! broker come first, then one leaf connection is chosen by the number of members it announced.
//!
//! **A traced message** is reported on by both sides ([`traced`], and [`crate::tracing_messages`]), each in the account
//! that is joined there.
//!
//! **Trust.** A leaf is a peer at the level of a tenant: its user's permissions are enforced here whatever it promises,
//! and a connection that breaks them ends. What arrives is parsed by [`parser`] alone, and each stage of the handshake
//! has its list of operations. Before authentication a peer costs as little as a client. The JetStream API, key-value
//! and object subjects do not cross, since both sides may have their own; the system account takes no leaf connections
//! unless that is asked for.
//!
//! **A reload** exchanges what is in force ([`Leafs`]) and acts on what is open ([`reload`]): remotes come and go by
//! themselves ([`remotes`]), and of the accepted connections those end that would not be accepted as they are.
//!
//! The most common change is a field of the handshake: [`info`], then [`accept`] and [`remote`].

pub mod accept;
pub mod compression;
pub mod credentials;
mod describe;
mod dial;
pub mod domain;
pub mod filter;
pub mod forward;
pub mod info;
pub mod ledger;
mod negotiation;
pub mod options;
pub mod parser;
pub mod proxy;
pub(crate) mod reload;
pub mod remote;
mod remotes;
pub mod session;
pub mod state;
mod traced;
mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_auth::configured::{ConfiguredUsers, ConfiguredUsersBuilder, ConfiguredUsersError};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, local};
use crate::connection::{Connection, Transport};
use crate::gate::Gate;
use crate::leaf::compression::Compression;
use crate::leaf::options::{LeafListen, LeafOptions};
use crate::leaf::remotes::Remotes;
use crate::monitoring::listening::Move;
use crate::options::TlsOptions;

pub use describe::describe;

/// The leaf connections of a broker.
pub struct Leafs {
    /// Those that are open, in either direction.
    pub open: Gate<Arc<Connection>>,
    in_force: ArcSwap<InForce>,
    place: Mutex<Option<Place>>,
    remotes: Remotes,
}

/// What is configured now.
struct InForce {
    options: Arc<LeafOptions>,
    listen: Option<Arc<LeafListen>>,
    tls: Option<Arc<TlsOptions>>,
    users: Option<Arc<Authenticator>>,
    cluster: Arc<str>,
}

/// Where leaf nodes connect.
struct Place {
    bound: SocketAddr,
    stop: CancellationToken,
}

impl InForce {
    fn new(options: Arc<LeafOptions>, users: Option<Arc<Authenticator>>, server_name: &Arc<str>) -> Self {
        let tls = options.listen.as_ref().and_then(|listen| listen.tls.clone());
        Self {
            cluster: if options.remotes.is_empty() { "".into() } else { server_name.clone() },
            listen: options.listen.clone().map(Arc::new),
            tls: tls.map(Arc::new),
            users,
            options,
        }
    }
}

/// The users of the listener alone, if it has some.
fn own_users(options: &LeafOptions) -> Result<Option<ConfiguredUsers>, ConfiguredUsersError> {
    let users = options.listen.as_ref().map(|listen| listen.users.clone()).unwrap_or_default();
    if users.is_empty() {
        return Ok(None);
    }
    users.into_iter().fold(ConfiguredUsers::builder().required(), ConfiguredUsersBuilder::user).build().map(Some)
}

fn authenticator(users: ConfiguredUsers, clock: &Clock) -> Arc<Authenticator> {
    Arc::new(Authenticator::new(Mode::Configured(users), clock.clone()))
}

impl Leafs {
    /// None so far.
    ///
    /// # Errors
    ///
    /// If the users of the listener do not go together.
    pub fn new(options: Arc<LeafOptions>, server_name: &Arc<str>, clock: &Clock) -> Result<Self, ConfiguredUsersError> {
        let users = own_users(&options)?.map(|users| authenticator(users, clock));
        Ok(Self {
            in_force: ArcSwap::from_pointee(InForce::new(options, users, server_name)),
            open: Gate::new(),
            place: Mutex::default(),
            remotes: Remotes::default(),
        })
    }

    /// Settings, as they are in force.
    pub fn options(&self) -> Arc<LeafOptions> {
        self.in_force.load().options.clone()
    }

    /// The name of this broker's cluster: its own, if it dials out.
    pub fn cluster(&self) -> Arc<str> {
        self.in_force.load().cluster.clone()
    }

    /// Where leaf nodes connect; `None` where none are accepted.
    pub fn address(&self) -> Option<SocketAddr> {
        self.place.lock().as_ref().map(|place| place.bound)
    }

    /// TLS for leaf nodes, as configured now.
    pub fn tls(&self) -> Option<Arc<TlsOptions>> {
        self.in_force.load().tls.clone()
    }

    /// Users of the leaf listener alone, where it has some.
    pub fn users(&self) -> Option<Arc<Authenticator>> {
        self.in_force.load().users.clone()
    }

    /// How an accepted connection may be compressed: over WebSocket, by WebSocket alone.
    pub(crate) fn compression(&self, connection: &Connection) -> Compression {
        let over_tcp = connection.transport == Transport::Tcp;
        self.listen().filter(|_| over_tcp).map_or(Compression::OFF, |listen| listen.compression)
    }

    /// The listening side, where there is one.
    pub(crate) fn listen(&self) -> Option<Arc<LeafListen>> {
        self.in_force.load().listen.clone()
    }

    /// Acts on a change of where leaf nodes connect; open connections stay.
    fn act(&self, broker: &Arc<Broker>, change: Move) {
        let place = match change {
            Move::Stays => return,
            Move::Ends => None,
            Move::To(listener, asked) => {
                let bound = local(&listener, asked);
                let stop = broker.listening.child_token();
                tracing::info!("Listening for leafnode connections on {bound}");
                broker.tasks.spawn(accept::listen(listener, broker.clone(), stop.clone()));
                Some(Place { bound, stop })
            }
        };
        if let Some(earlier) = std::mem::replace(&mut *self.place.lock(), place) {
            earlier.stop.cancel();
        }
    }
}

/// Serves leaf nodes: accepts on `listener`, and dials out to every remote.
pub(crate) fn start(broker: &Arc<Broker>, listener: Move) -> Option<SocketAddr> {
    broker.leafs.act(broker, listener);
    broker.leafs.remotes.replace(broker, &broker.leafs.options().remotes);
    broker.leafs.address()
}
