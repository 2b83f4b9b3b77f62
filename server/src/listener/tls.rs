//! INFO and TLS, in the order that the listener's options say.
//!
//! Modes as in core-protocol.md section 5: INFO first then TLS, TLS optional by the first byte,
//! TLS first, or TLS first if the peer speaks within a moment.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;
use rustls_pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::connection::{Connection, TlsNames};
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
pub async fn open(mut stream: TcpStream, connection: &Arc<Connection>, nonce: &Arc<str>) -> io::Result<Opening> {
    let broker = &connection.broker;
    let info = broker.info_on_accept(connection, nonce).line();
    let Some(options) = broker.tls() else {
        stream.write_all(&info).await?;
        return Ok(plain(stream));
    };
    let early = match options.first {
        HandshakeFirst::No => false,
        HandshakeFirst::Always => true,
        HandshakeFirst::Within(wait) => peek(&stream, wait).await?.is_some(),
    };
    if early {
        let (stream, tls) = handshake(stream, &options, connection).await?;
        send_inside(stream, tls, &info).await
    } else {
        stream.write_all(&info).await?;
        if options.allow_plain && peek(&stream, options.timeout).await? != Some(TLS_HANDSHAKE) {
            return Ok(plain(stream));
        }
        let (stream, tls) = handshake(stream, &options, connection).await?;
        Ok(secured(stream, tls))
    }
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

fn plain(stream: TcpStream) -> Opening {
    Opening { stream, tls: None, certificates: Vec::new() }
}

fn secured(stream: TcpStream, mut tls: ServerConnection) -> Opening {
    // What may wait is bounded by `max_pending` before it is encrypted.
    tls.set_buffer_limit(None);
    let certificates = tls.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
    Opening { stream, tls: Some(tls), certificates }
}

async fn handshake(
    mut stream: TcpStream,
    options: &TlsOptions,
    connection: &Connection,
) -> io::Result<(TcpStream, ServerConnection)> {
    let acceptor = TlsAcceptor::from(options.config.clone());
    let accepting = async {
        // A peer that says nothing has its time for it, and no more than that.
        stream.peek(&mut [0]).await?;
        let _place = connection.broker.handshakes.place(connection.peer.ip()).await.map_err(io::Error::other)?;
        acceptor.accept(&mut stream).await
    };
    let outcome = tokio::time::timeout(options.timeout, accepting).await.map(|done| done.map(|tls| tls.into_inner().1));
    match outcome {
        Ok(Ok(tls)) => Ok((stream, tls)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            // The peer mostly does not see this any more; it is what nats-server says, too.
            let _sent = stream.try_write(&encode::error_line("Secure Connection - TLS Required"));
            Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))
        }
    }
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
