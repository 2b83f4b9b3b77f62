//! A broker in this thread, and a peer that says its piece to it over a pair of local sockets.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_auth::configured::ConfiguredUsers;
use cordon_server::connection::handshake;
use cordon_server::tenant::directory::Tenants;
use cordon_server::{Broker, BrokerOptions, RunningBroker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

/// Output after which a peer is answered without bound.
const OUTPUT_MAX: usize = 8 * 1024 * 1024;

/// A broker and the one thread that it runs on.
pub(crate) struct Rig {
    pub(crate) running: RunningBroker,
    runtime: Runtime,
}

impl Rig {
    pub(crate) fn new(options: BrokerOptions, users: ConfiguredUsers) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = BrokerOptions { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..options };
        let authenticator = Authenticator::new(Mode::Configured(users), Clock::system());
        let start = Broker::start(options, authenticator, Tenants::new(None, None), Clock::system());
        Self { running: runtime.block_on(start).unwrap(), runtime }
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.running.broker
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Serves one peer that sends the pieces, then no more; gives what it got until its end.
    pub(crate) fn talk<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let broker = self.running.broker.clone();
        self.runtime.block_on(async {
            let (mut near, far) = UnixStream::pair().unwrap();
            let task = tokio::spawn(handshake::serve(as_tcp(far), stranger(), broker.clone()));
            let mut got = Vec::new();
            for piece in pieces {
                // The broker may have ended it by now.
                if near.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
                drop(near.try_read_buf(&mut got));
            }
            drop(near.shutdown().await);
            let mut limited = (&mut near).take(OUTPUT_MAX as u64);
            // A reset is an end, too: the broker had not read everything.
            drop(limited.read_to_end(&mut got).await);
            assert!(got.len() < OUTPUT_MAX, "output is bounded");
            task.await.expect("a connection's task ends");
            assert_eq!(broker.panics.load(Ordering::Relaxed), 0, "no defect of the broker");
            got
        })
    }
}

/// The broker's end of a local pair as the stream that it serves: it uses nothing that only TCP has.
pub(crate) fn as_tcp(stream: UnixStream) -> TcpStream {
    let fd = OwnedFd::from(stream.into_std().unwrap());
    TcpStream::from_std(std::net::TcpStream::from(fd)).unwrap()
}

/// An address that nobody came from lately, or failures of one input would slow down the next.
pub(crate) fn stranger() -> SocketAddr {
    static LAST: AtomicU32 = AtomicU32::new(0x0a00_0000);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from((std::net::Ipv4Addr::from(number), 1024))
}
