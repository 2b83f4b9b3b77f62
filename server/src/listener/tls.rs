//! INFO and TLS, in the order that the listener's options say.
//!
//! Modes as in core-protocol.md section 5: INFO first then TLS, TLS optional by the first byte,
//! TLS first, or TLS first if the peer speaks within a moment.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;
use rustls::server::Acceptor;
use rustls_pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;

use crate::connection::{Connection, TlsNames};
use crate::listener::{hello, proxy};
use crate::options::{HandshakeFirst, TlsOptions};
use crate::protocol::encode;

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// A socket ready for the client protocol.
pub struct Opening {
    /// The socket.
    pub stream: TcpStream,
    /// TLS, when there is any, after its handshake.
    pub tls: Option<ServerConnection>,
    /// The verified certificate chain of the client, leaf first.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Sends INFO and makes the TLS handshake.
///
/// # Errors
///
/// When the peer fails the handshake, takes too long, or goes away.
pub async fn open(stream: TcpStream, connection: &Arc<Connection>, nonce: &Arc<str>) -> io::Result<Opening> {
    let broker = &connection.broker;
    let info = || broker.info_on_accept(connection, nonce).line();
    open_with(stream, connection, broker.tls(), info).await
}

/// As [`open`], with the TLS and the INFO of another listener.
///
/// # Errors
///
/// When the peer fails the handshake, takes too long, or goes away.
pub async fn open_with(
    stream: TcpStream,
    connection: &Arc<Connection>,
    options: Option<Arc<TlsOptions>>,
    info: impl Fn() -> Vec<u8>,
) -> io::Result<Opening> {
    let by = Instant::now() + connection.auth_timeout();
    let Some(options) = options else {
        let stream = greeted(stream, connection, &info(), by).await?;
        return Ok(plain(stream));
    };
    let (stream, early) = match options.first {
        HandshakeFirst::No => (stream, false),
        HandshakeFirst::Always => (proxy::heed(stream, connection, by).await?, true),
        HandshakeFirst::Within(wait) => {
            let stream = proxy::heed_what_comes(stream, connection, Instant::now() + wait).await?;
            let early = !proxy::is_awaited(connection) && peek(&stream, wait).await?.is_some();
            (stream, early)
        }
    };
    if early {
        let (stream, tls) = handshake(stream, &options, connection).await?;
        send_inside(stream, tls, &info()).await
    } else {
        let stream = greeted(stream, connection, &info(), by).await?;
        if options.allow_plain && peek(&stream, options.timeout).await? != Some(TLS_HANDSHAKE) {
            return Ok(plain(stream));
        }
        let (stream, tls) = handshake(stream, &options, connection).await?;
        Ok(secured(stream, tls))
    }
}

/// INFO in plain text, and what a proxy says where one is heeded: some wait for the server to speak first.
async fn greeted(mut stream: TcpStream, connection: &Connection, info: &[u8], by: Instant) -> io::Result<TcpStream> {
    stream.write_all(info).await?;
    proxy::heed(stream, connection, by).await
}

/// Names of protocol version and cipher suite, for monitoring.
pub fn names(tls: &ServerConnection) -> TlsNames {
    let version = match tls.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        _ => "unknown",
    };
    let suite = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    TlsNames { version, suite }
}

/// A socket without TLS.
pub fn plain(stream: TcpStream) -> Opening {
    Opening { stream, tls: None, certificates: Vec::new() }
}

/// A socket after its handshake.
pub fn secured(stream: TcpStream, mut tls: ServerConnection) -> Opening {
    // What may wait is bounded by `max_pending` before it is encrypted.
    tls.set_buffer_limit(None);
    let certificates = tls.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
    Opening { stream, tls: Some(tls), certificates }
}

/// Makes the handshake, within its time.
///
/// # Errors
///
/// As [`open`].
pub async fn handshake(
    mut stream: TcpStream,
    options: &TlsOptions,
    connection: &Connection,
) -> io::Result<(TcpStream, ServerConnection)> {
    let handshakes = &connection.broker.handshakes;
    let until = Instant::now() + options.timeout;
    let entering = async {
        // A peer that says nothing has its time for it, and no more than that.
        stream.peek(&mut [0]).await?;
        handshakes.place(connection.peer().ip()).await.map_err(io::Error::other)
    };
    let Ok(entered) = timeout_at(until, entering).await else { return Err(too_slow(&stream)) };
    let _place = entered?;
    stream = hello::arrived(stream, until).await?;
    let accepting = async {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), &mut stream).await?;
        let turn = handshakes.turn().await.map_err(io::Error::other)?;
        let answering = hello.into_stream(options.config.clone());
        drop(turn);
        answering.await
    };
    match timeout_at(until, accepting).await.map(|done| done.map(|tls| tls.into_inner().1)) {
        Ok(tls) => Ok((stream, tls?)),
        Err(_) => Err(too_slow(&stream)),
    }
}

fn too_slow(stream: &TcpStream) -> io::Error {
    // The peer mostly does not see this any more; it is what nats-server says, too.
    let _sent = stream.try_write(&encode::error_line("Secure Connection - TLS Required"));
    io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")
}

/// INFO as the first thing inside TLS.
async fn send_inside(mut stream: TcpStream, mut tls: ServerConnection, info: &[u8]) -> io::Result<Opening> {
    io::Write::write_all(&mut tls.writer(), info)?;
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    stream.write_all(&records).await?;
    Ok(secured(stream, tls))
}

/// The first byte the peer sends, or `None` when it sends none in time.
async fn peek(stream: &TcpStream, wait: Duration) -> io::Result<Option<u8>> {
    let mut first = [0u8; 1];
    match tokio::time::timeout(wait, stream.peek(&mut first)).await {
        Err(_) => Ok(None),
        Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Ok(_)) => Ok(first.first().copied()),
        Ok(Err(error)) => Err(error),
    }
}
