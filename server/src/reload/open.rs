//! What a reload means for the connections that are open: their limits, and whether there are too many.

use std::collections::BTreeSet;
use std::sync::Arc;

use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::reason::Reason;

use crate::broker::Broker;
use crate::config::tls::pinned::is_pinned;
use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::system::security::SecurityEvent;
use crate::tenant::apply;

/// Connections that are looked at before other tasks get a turn.
const IN_A_TURN: usize = 256;

/// Puts the limits of the options in force on all connections.
pub(super) async fn renew_all(broker: &Arc<Broker>) {
    for connection in broker.leafs.open.list() {
        renew_limits(broker, &connection);
    }
    for some in broker.connections.open().chunks(IN_A_TURN) {
        for connection in some {
            renew_limits(broker, connection);
        }
        tokio::task::yield_now().await;
    }
}

/// Closes the newest of too many connections.
pub(super) fn close_surplus(broker: &Broker) {
    let room = broker.options.load().max_connections;
    for connection in broker.connections.open().iter().filter(|connection| !connection.is_closing()).skip(room) {
        let text = "maximum connections exceeded";
        broker.security.note(SecurityEvent::of(connection, Reason::ConnectionLimit));
        connection.close(Closing::told(text, "Maximum Connections Exceeded", Reason::ConnectionLimit));
    }
}

/// Closes those connections over TLS whose certificates are none of the pinned ones.
pub(super) fn close_unpinned(broker: &Broker, connections: Vec<Arc<Connection>>, keys: &BTreeSet<[u8; 32]>) {
    if keys.is_empty() {
        return;
    }
    for connection in connections {
        let Some(certificate) = connection.outbound.socket().and_then(|socket| socket.peer_certificate()) else {
            continue;
        };
        if !certificate.is_some_and(|certificate| is_pinned(&certificate, keys).unwrap_or(false)) {
            let detail = "the client certificate is not pinned any more";
            broker.security.note(SecurityEvent::of(&connection, Reason::TlsFailed).about(b"", "", detail));
            connection.close(Closing::silent("TLS Handshake Failure", Some(Reason::TlsFailed)).because(detail));
        }
    }
}

/// The limits of a connection under the options, its account and its user as they are now.
pub fn renew_limits(broker: &Arc<Broker>, connection: &Arc<Connection>) {
    let _one_at_a_time = connection.change();
    let identity = connection.identity();
    let of_user = identity.principal.map_or(ConnectionLimits::UNLIMITED, |principal| principal.limits);
    let before = connection.max_payload();
    if connection.set_limits(of_user.min(identity.tenant.limits())) {
        apply::end_soon(broker, connection.clone());
    }
    // nats-server says nothing, and closes whoever publishes too much then.
    if connection.max_payload() != before && connection.wants_info() {
        connection.send_line(&broker.info_on_change(connection).line());
    }
}
