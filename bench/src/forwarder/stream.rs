//! One connection of the forwarder, plain or TLS.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::Result;
use rustls::{Connection, ServerConfig, ServerConnection};

use super::PIECE;
use crate::tls_stream::{TlsStream, send};

/// Enough for a greeting.
const GREETING_AHEAD: usize = 4 * 1024;

/// A connection. An idle one keeps nothing but its socket and its keys.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
    /// TLS, written to and never read again.
    TlsOutput(Box<(Connection, TcpStream)>),
}

impl Stream {
    /// Does the TLS handshake, if there is one.
    pub(super) fn new(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Result<Self> {
        let Some(config) = tls else {
            return Ok(Self::Plain(socket));
        };
        let connection = ServerConnection::new(Arc::clone(config))?;
        Ok(Self::Tls(Box::new(TlsStream::new(connection.into(), socket, GREETING_AHEAD)?)))
    }

    /// The same connection a second time, to write while the first reads; plain connections only.
    pub(super) fn second(&self) -> Option<Self> {
        match self {
            Self::Plain(socket) => socket.try_clone().ok().map(Self::Plain),
            Self::Tls(_) | Self::TlsOutput(_) => None,
        }
    }

    /// From now on large reads are worth their buffer.
    pub(super) fn expect_much(&mut self) {
        if let Self::Tls(tls) = self {
            tls.set_read_ahead(PIECE);
        }
    }

    /// Gives up reading, and what it takes.
    pub(super) fn without_input(self) -> Self {
        match self {
            Self::Tls(tls) => Self::TlsOutput(Box::new(tls.into_parts())),
            other => other,
        }
    }

    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Plain(socket) => socket.read(space),
                Self::Tls(tls) => tls.read(space),
                Self::TlsOutput(_) => Ok(0),
            };
            if !matches!(&read, Err(error) if error.kind() == ErrorKind::Interrupted) {
                return read;
            }
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(tls) => tls.write_all(bytes),
            Self::TlsOutput(parts) => send(&mut parts.0, &mut parts.1, bytes),
        }
    }
}
