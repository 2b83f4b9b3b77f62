//! All open connections of the broker, and the last closed ones.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::connection::{Connection, ShownIdentity, Transport};
use crate::gate::{Entry, Gate};

/// Open and lately closed connections.
#[derive(Default)]
pub struct Connections {
    open: Gate<Arc<Connection>>,
    closed: Mutex<VecDeque<Arc<Closed>>>,
}

/// What monitoring remembers of a closed connection.
pub struct Closed {
    /// Its id.
    pub cid: u64,
    /// `Client` or `Leafnode`.
    pub kind: &'static str,
    /// The peer's address.
    pub peer: std::net::SocketAddr,
    /// How its bytes travelled.
    pub transport: Transport,
    /// When it was accepted, Unix nanoseconds.
    pub started: i64,
    /// When it closed, Unix nanoseconds.
    pub stopped: i64,
    /// Last activity, Unix nanoseconds.
    pub last_activity: i64,
    /// Why it closed.
    pub reason: &'static str,
    /// Subscriptions it held at its end.
    pub subscriptions: usize,
    /// Who it was.
    pub identity: ShownIdentity,
    /// Messages and bytes received.
    pub received: (u64, u64),
    /// Messages and bytes delivered.
    pub delivered: (u64, u64),
    /// Round-trip time, nanoseconds.
    pub rtt: u64,
}

impl Connections {
    /// Registers a connection, unless the broker has as many as it may or is stopping.
    pub fn admit(&self, connection: &Arc<Connection>) -> Entry {
        self.open.enter(connection.cid, connection.clone(), connection.broker.options.load().max_connections)
    }

    /// Admits none any more; all that are open.
    pub fn shut(&self) -> Vec<Arc<Connection>> {
        self.open.shut()
    }

    /// Takes a connection off the list and remembers it, with the number of subscriptions it held at its end, among
    /// the closed ones.
    pub fn remove(&self, connection: &Connection, reason: &'static str, subscriptions: usize) {
        self.open.leave(connection.cid);
        self.remember_closed(connection, reason, subscriptions);
    }

    /// Takes a connection off the list that goes on as one of a leaf node.
    pub fn hand_over(&self, connection: &Connection) {
        self.open.leave(connection.cid);
    }

    /// Remembers a connection that closed.
    pub fn remember_closed(&self, connection: &Connection, reason: &'static str, subscriptions: usize) {
        use std::sync::atomic::Ordering::Relaxed;
        let traffic = &connection.traffic;
        let closed = Arc::new(Closed {
            cid: connection.cid,
            kind: connection.kind(),
            peer: connection.peer(),
            transport: connection.transport,
            started: connection.started,
            stopped: connection.broker.clock.unix_nanos(),
            last_activity: traffic.last_activity.load(Relaxed),
            reason,
            subscriptions,
            identity: connection.identity().into(),
            received: (traffic.in_messages.load(Relaxed), traffic.in_bytes.load(Relaxed)),
            delivered: connection.outbound.counters(),
            rtt: traffic.rtt.load(Relaxed),
        });
        let most = connection.broker.options.load().max_closed;
        let mut ring = self.closed.lock();
        ring.push_back(closed);
        while ring.len() > most {
            ring.pop_front();
        }
    }

    /// One open connection.
    pub fn find(&self, cid: u64) -> Option<Arc<Connection>> {
        self.open.find(cid)
    }

    /// All open connections, oldest first.
    pub fn open(&self) -> Vec<Arc<Connection>> {
        self.open.list()
    }

    /// The last closed connections, oldest first.
    pub fn closed(&self) -> Vec<Arc<Closed>> {
        self.closed.lock().iter().cloned().collect()
    }

    /// Number of open connections.
    pub fn count(&self) -> usize {
        self.open.len()
    }
}
