//! A blocking TLS connection of either side: reads ahead of rustls, which asks its socket for 4 KiB at a time.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result};
use rustls::Connection;

/// A connection whose handshake is done.
pub(crate) struct TlsStream {
    connection: Connection,
    input: BufReader<TcpStream>,
}

impl TlsStream {
    /// Does the whole handshake; reads up to `read_ahead` bytes at a time then.
    ///
    /// # Errors
    ///
    /// When the peer does not agree.
    pub(crate) fn new(mut connection: Connection, mut socket: TcpStream, read_ahead: usize) -> Result<Self> {
        connection.set_buffer_limit(None);
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).context("the TLS handshake failed")?;
        }
        Ok(Self { connection, input: BufReader::with_capacity(read_ahead, socket) })
    }

    /// Changes how much is read ahead.
    pub(crate) fn set_read_ahead(&mut self, read_ahead: usize) {
        // What is left of the old buffer would be lost: keep it while it has something.
        if self.input.buffer().is_empty()
            && let Ok(socket) = self.socket().try_clone()
        {
            self.input = BufReader::with_capacity(read_ahead, socket);
        }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.input.get_ref()
    }

    /// Without the read-ahead, for a connection that will only be written to.
    pub(crate) fn into_parts(self) -> (Connection, TcpStream) {
        (self.connection, self.input.into_inner())
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        send(&mut self.connection, self.input.get_mut(), bytes)
    }

    /// Fills `space` as far as it goes without a further system call.
    ///
    /// # Errors
    ///
    /// Those of the socket, and records that cannot be opened.
    pub(crate) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            match self.connection.reader().read(space.get_mut(count..).unwrap_or_default()) {
                Ok(0) => return Ok(count),
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if count > 0 && self.input.buffer().is_empty() {
                        return Ok(count);
                    }
                    // An end of file reaches rustls too, which then answers the next read with 0 or an error.
                    self.input.fill_buf()?;
                    self.connection.read_tls(&mut self.input)?;
                    self.connection.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Encrypts `bytes` and writes all that is pending.
///
/// # Errors
///
/// Those of the socket.
pub(crate) fn send(connection: &mut Connection, socket: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    connection.writer().write_all(bytes)?;
    while connection.wants_write() {
        connection.write_tls(socket)?;
    }
    Ok(())
}
