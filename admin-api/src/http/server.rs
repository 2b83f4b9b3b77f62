//! The TLS listener: sockets in, requests out, every step bounded.
//!
//! A connection costs at most a handshake (bounded in number and time) before it has sent a byte of
//! HTTP, and a request head is read against a deadline. One address can hold only its share of the
//! connections.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::HttpBody;
use axum::http::Request;
use cordon_auth::throttle::prefix;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::limits;

/// Most connections of one address, or one IPv6 site.
const PER_ADDRESS_MAX: u32 = 512;

/// Most TLS handshakes of one address at the same time: half of all, so that no one has them all.
const HANDSHAKES_PER_ADDRESS_MAX: u32 = 64;

const _: () = assert!((HANDSHAKES_PER_ADDRESS_MAX as usize) < limits::HANDSHAKES_MAX);

/// Where a request came from. Put into the request's extensions by the listener.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The listening side of the admin API.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) tls: TlsAcceptor,
    pub(crate) router: Router,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

#[derive(Clone)]
struct Shared {
    tls: TlsAcceptor,
    router: Router,
    stop: CancellationToken,
    handshakes: Arc<Semaphore>,
    shaking: Addresses,
}

impl Server {
    /// Accepts until told to stop; then lets requests in progress end, for a bounded time.
    pub(crate) async fn run(self) {
        let connections = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
        let addresses = Addresses::new(PER_ADDRESS_MAX);
        let shared = Shared {
            tls: self.tls,
            router: self.router,
            stop: self.stop.clone(),
            handshakes: Arc::new(Semaphore::new(limits::HANDSHAKES_MAX)),
            shaking: Addresses::new(HANDSHAKES_PER_ADDRESS_MAX),
        };
        loop {
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    rest_after(&error).await;
                    continue;
                }
            };
            let Some(seat) = addresses.take(peer.ip()) else { continue };
            let shared = shared.clone();
            self.tasks.spawn(async move {
                shared.connection(stream, peer).await;
                drop((permit, seat));
            });
        }
    }
}

/// Waits a little when the process is out of descriptors, so that the loop does not spin.
async fn rest_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "the admin API cannot accept connections at the moment");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
}

impl Shared {
    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::trace!(%error, "could not set TCP_NODELAY");
        }
        let Some(tls) = self.handshake(stream, peer).await else { return };
        let service = WithPeer { router: self.router, peer: Peer(peer) };
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEADER_READ_TIME_MAX)
            .max_buf_size(64 * 1024);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(limits::HEADER_READ_TIME_MAX)
            .keep_alive_timeout(limits::HEADER_READ_TIME_MAX)
            .max_concurrent_streams(64)
            .max_header_list_size(64 * 1024);
        let serving = builder.serve_connection(TokioIo::new(tls), TowerToHyperService::new(service));
        tokio::pin!(serving);
        let result = tokio::select! {
            result = serving.as_mut() => result,
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::time::timeout(limits::SHUTDOWN_TIME_MAX, serving).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, %peer, "an admin connection ended with an error");
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
        let shake = async {
            // A peer that says nothing has its time for it, but no place among the handshakes.
            stream.peek(&mut [0]).await.ok()?;
            let _seat = self.shaking.take(peer.ip())?;
            let _permit = self.handshakes.acquire().await.ok()?;
            match self.tls.accept(stream).await {
                Ok(tls) => Some(tls),
                Err(error) => {
                    tracing::debug!(%error, %peer, "a TLS handshake with the admin API failed");
                    None
                }
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => None,
            done = tokio::time::timeout(limits::HANDSHAKE_TIME_MAX, shake) => done.ok().flatten(),
        }
    }
}

/// Counts per address what it holds. Never longer than the number of open connections.
#[derive(Clone)]
struct Addresses {
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
    most: u32,
}

/// One counted connection; gives its place back when dropped.
struct Seat {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    fn new(most: u32) -> Self {
        Self { counts: Arc::default(), most }
    }

    fn take(&self, address: IpAddr) -> Option<Seat> {
        let address = prefix(address);
        let mut counts = self.counts.lock();
        let count = counts.entry(address).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Seat { addresses: self.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// The router, telling each request where it came from.
#[derive(Clone)]
struct WithPeer {
    router: Router,
    peer: Peer,
}

impl<B> Service<Request<B>> for WithPeer
where
    B: HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_holds_only_its_share_and_gets_it_back() {
        let addresses = Addresses::new(PER_ADDRESS_MAX);
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let mut seats: Vec<_> = (0..PER_ADDRESS_MAX).map(|_| addresses.take(here).unwrap()).collect();
        assert!(addresses.take(here).is_none());
        assert!(addresses.take("192.0.2.2".parse().unwrap()).is_some());
        let site = |last: u16| addresses.take(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        let of_site: Vec<_> = (0..1000).filter_map(site).collect();
        assert_eq!(of_site.len(), PER_ADDRESS_MAX as usize, "an IPv6 site is one address");
        drop(of_site);
        seats.pop();
        assert!(addresses.take(here).is_some());
        drop(seats);
        assert!(addresses.counts.lock().is_empty());
    }
}
