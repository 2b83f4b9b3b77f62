//! Accepting sockets: one task per listener, one task per connection.

pub mod handshakes;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::broker::Broker;
use crate::connection::handshake;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Pauses after a failed accept, first and longest.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Binds a listening socket that a restarted broker can take over at once.
///
/// # Errors
///
/// When the address is taken or not ours.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts clients until the broker stops listening.
pub async fn accept(listener: TcpListener, broker: Arc<Broker>) {
    accept_until_stopped(&listener, &broker).await;
    drop(listener);
    broker.unreachable.cancel();
}

async fn accept_until_stopped(listener: &TcpListener, broker: &Arc<Broker>) {
    let mut pause = ACCEPT_PAUSE.0;
    loop {
        let accepted = tokio::select! {
            () = broker.listening.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = ACCEPT_PAUSE.0;
                begin(stream, peer, broker);
            }
            Err(error) => {
                tracing::warn!("accept failed: {error}; trying again in {pause:?}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE.1);
            }
        }
    }
}

fn begin(stream: TcpStream, peer: SocketAddr, broker: &Arc<Broker>) {
    // Small messages go out at once: batches are made here, not in the kernel.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("no TCP_NODELAY for {peer}: {error}");
    }
    broker.tasks.spawn(handshake::serve(stream, peer, broker.clone()));
}
