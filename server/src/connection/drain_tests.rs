//! What waits for a receiver that takes it slowly. Apart from `outbound`, which the models read too: the socket is a real one here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::connection::outbound::{Drained, Flushed, Outbound};
use crate::connection::socket::Socket;
use crate::connection::write_timeout::WriteTimeout;

/// Output of which some waits, its socket, and the peer that has read nothing.
async fn blocked(bytes: usize) -> (Outbound, Arc<Socket>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, write) = listener.accept().await.unwrap().0.into_split();
    let outbound = Outbound::new();
    outbound.attach(Arc::new(Socket::new(write, None)));
    outbound.line(usize::MAX, &vec![b'x'; bytes]);
    let Flushed::Blocked(socket) = outbound.flush() else { panic!("the kernel took it all") };
    (outbound, socket, peer)
}

#[tokio::test]
async fn who_takes_something_in_its_time_may_be_given_more() {
    const ALL: usize = 64 * 1024 * 1024;
    let deadline = Duration::from_secs(1);
    for (then, more) in [(WriteTimeout::Retry, true), (WriteTimeout::Close, false)] {
        let (outbound, socket, mut peer) = blocked(ALL).await;
        let mut some = vec![0; ALL / 4];
        let (drained, read) =
            tokio::join!(outbound.drain(&socket, (deadline, then), Instant::now), peer.read_exact(&mut some));
        assert_eq!((read.unwrap(), matches!(drained, Drained::Late { .. })), (some.len(), more), "{drained:?}");
        if more {
            let mut rest = vec![0; ALL - some.len()];
            let (drained, read) =
                tokio::join!(outbound.drain(&socket, (deadline, then), Instant::now), peer.read_exact(&mut rest));
            assert_eq!((read.unwrap(), drained), (rest.len(), Drained::Done));
        }
    }
    let (outbound, socket, _peer) = blocked(ALL).await;
    let mut drained = Drained::Late { chunks: 0 };
    while matches!(drained, Drained::Late { .. }) {
        drained = outbound.drain(&socket, (Duration::from_millis(50), WriteTimeout::Retry), Instant::now).await;
    }
    assert!(matches!(drained, Drained::TooSlow { .. }), "who takes nothing gets no more time");
}
