//! Accepting sockets: one task for all listeners, one task per connection.

pub mod handshakes;
mod hello;
pub(crate) mod patience;
pub mod proxy;
pub mod tls;

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::broker::Broker;
use crate::connection::{Transport, handshake};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Pauses after a failed accept, first and longest.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Binds a listening socket that a restarted broker can take over at once. All addresses are those of IPv6 and IPv4,
/// whichever of the two is written, as with Go; those of IPv4 where there is no IPv6.
///
/// # Errors
///
/// When the address is taken or not ours.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    if !address.ip().is_unspecified() {
        return bind_one(address, false);
    }
    let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port());
    match bind_one(everywhere, true) {
        Err(error) if error.kind() != ErrorKind::AddrInUse && address.is_ipv4() => bind_one(address, false),
        bound => bound,
    }
}

fn bind_one(address: SocketAddr, both: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if both {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts clients of all listeners until the broker stops listening.
pub async fn accept(listeners: Vec<(Transport, TcpListener)>, broker: Arc<Broker>) {
    let each = listeners.into_iter().map(|(transport, listener)| accept_until_stopped(transport, listener, &broker));
    join_all(each).await;
    broker.unreachable.cancel();
}

async fn accept_until_stopped(transport: Transport, listener: TcpListener, broker: &Arc<Broker>) {
    let mut pause = ACCEPT_PAUSE.0;
    loop {
        let accepted = tokio::select! {
            () = broker.listening.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = ACCEPT_PAUSE.0;
                begin(stream, peer, transport, broker);
                // A burst of them must not keep the messages waiting that came meanwhile.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!("accept failed: {error}; trying again in {pause:?}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE.1);
            }
        }
    }
}

fn begin(stream: TcpStream, peer: SocketAddr, transport: Transport, broker: &Arc<Broker>) {
    // Small messages go out at once: batches are made here, not in the kernel.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("no TCP_NODELAY for {peer}: {error}");
    }
    broker.tasks.spawn(handshake::serve(stream, peer, transport, broker.clone()));
}
