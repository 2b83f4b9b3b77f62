//! A broker in this thread, and a peer that says its piece to it over a pair of local sockets.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_auth::configured::ConfiguredUsers;
use cordon_server::connection::{Transport, handshake};
use cordon_server::tenant::directory::Tenants;
use cordon_server::{Broker, BrokerOptions, RunningBroker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

/// Output after which a peer is answered without bound.
const OUTPUT_MAX: usize = 8 * 1024 * 1024;

/// So many pieces come one by one, what follows them in one. A local socket is full after some 270 pieces, however small,
/// and a broker that waits for the whole of something looks at what is there without taking it: it would wait for what
/// cannot come. TCP puts pieces together.
const PIECES_APART: usize = 128;

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
        self.talk_over(Transport::Tcp, b"", pieces)
    }

    /// The same over another transport, for which the peer asks with `request`; it waits for the answer.
    pub(crate) fn talk_over<'a>(
        &self,
        transport: Transport,
        request: &[u8],
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Vec<u8> {
        let serve = move |stream, broker| handshake::serve(stream, stranger(), transport, broker);
        self.converse(serve, request, pieces, async || {})
    }

    /// The same with whoever `serve` makes of the socket; `meanwhile` happens before the peer says that it has ended.
    pub(crate) fn talk_with<'a, F: Future<Output = ()> + Send + 'static>(
        &self,
        serve: impl FnOnce(TcpStream, Arc<Broker>) -> F,
        pieces: impl Iterator<Item = &'a [u8]>,
        meanwhile: impl AsyncFnOnce(),
    ) -> Vec<u8> {
        self.converse(serve, b"", pieces, meanwhile)
    }

    fn converse<'a, F: Future<Output = ()> + Send + 'static>(
        &self,
        serve: impl FnOnce(TcpStream, Arc<Broker>) -> F,
        request: &[u8],
        pieces: impl Iterator<Item = &'a [u8]>,
        meanwhile: impl AsyncFnOnce(),
    ) -> Vec<u8> {
        let broker = self.running.broker.clone();
        self.runtime.block_on(async {
            let (mut near, far) = UnixStream::pair().unwrap();
            let task = tokio::spawn(serve(as_tcp(far), broker.clone()));
            let mut got = Vec::new();
            if !request.is_empty() {
                near.write_all(request).await.unwrap();
                while !got.windows(4).any(|window| window == b"\r\n\r\n") {
                    assert!(near.read_buf(&mut got).await.unwrap() > 0, "the request is answered");
                }
            }
            let mut pieces = pieces;
            let apart: Vec<&[u8]> = pieces.by_ref().take(PIECES_APART).collect();
            let together = pieces.collect::<Vec<_>>().concat();
            for piece in apart.into_iter().chain((!together.is_empty()).then_some(together.as_slice())) {
                // The broker may have ended it by now.
                if near.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
                drop(near.try_read_buf(&mut got));
            }
            meanwhile().await;
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

    /// A client that stays, named and proved by `name`, after it has said `first`.
    pub(crate) fn client(&self, name: &str, first: &str) -> Client {
        let broker = self.running.broker.clone();
        self.block_on(async {
            let (near, far) = UnixStream::pair().unwrap();
            tokio::spawn(handshake::serve(as_tcp(far), stranger(), Transport::Tcp, broker.clone()));
            let mut client = Client { near, account: String::new() };
            let hello = format!("CONNECT {{\"user\":\"{name}\",\"pass\":\"{name}\",\"verbose\":false}}\r\n{first}");
            client.exchange(hello.as_bytes()).await;
            let own = broker.connections.open().into_iter().max_by_key(|connection| connection.cid).unwrap();
            client.account = own.tenant().name.to_string();
            client
        })
    }
}

/// A client that is connected all the time.
pub(crate) struct Client {
    near: UnixStream,
    /// The account that it is in.
    pub(crate) account: String,
}

impl Client {
    /// Says something, and gives what came until all of it was done.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let marked = [bytes, b"PING\r\n".as_slice()].concat();
        let mut rest = marked.as_slice();
        while !rest.is_empty() {
            self.near.writable().await.unwrap();
            if let Ok(written) = self.near.try_write(rest) {
                rest = &rest[written..];
            }
        }
        let mut got = Vec::new();
        while !has_pong(&got) {
            self.near.readable().await.unwrap();
            drop(self.near.try_read_buf(&mut got));
        }
        got
    }
}

/// Whether a PONG is among what a client got, read message by message, and nothing is cut. Messages of others may follow it.
fn has_pong(got: &[u8]) -> bool {
    let (mut rest, mut found) = (got, false);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..end];
        found |= line == b"PONG";
        let is_message = line.starts_with(b"MSG ") || line.starts_with(b"HMSG ");
        let size = line.rsplit(|byte| *byte == b' ').next().filter(|_| is_message);
        let size = size.map_or(0, |size| std::str::from_utf8(size).unwrap().parse::<usize>().unwrap() + 2);
        let Some(after) = rest.get(end + 2 + size..) else { return false };
        rest = after;
    }
    rest.is_empty() && found
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
