//! One client connection of the generator: plain or TLS, blocking, no buffering of its own beyond TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use socket2::{Domain, Socket, Type};

use crate::tenancy::Identity;
use crate::tls_stream::TlsStream;
use crate::wire::{Frame, next_frame};

/// Nothing in a healthy run takes as long; what does is reported instead of waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How often a reader that gets nothing looks whether the run is over.
const GLANCE: Duration = Duration::from_millis(50);
/// Read-ahead of a TLS connection that carries traffic: rustls asks its socket for 4 KiB at a time.
const READ_AHEAD: usize = 256 * 1024;
/// Read-ahead of a TLS connection that stays idle.
const READ_AHEAD_IDLE: usize = 4 * 1024;

/// How to reach a server, and as whom.
#[derive(Clone)]
pub(crate) struct Dialer {
    /// The server's client address.
    pub(crate) address: SocketAddr,
    /// The TLS side of the scenario, if it has one.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// A user of a JWT account, if the scenario has them.
    pub(crate) identity: Option<Arc<Identity>>,
}

/// A connection that has been through CONNECT and the first PONG.
pub(crate) struct Link {
    stream: Stream,
    /// Received and not yet looked at.
    pending: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

/// What one attempt to read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes.
    Bytes(usize),
    /// The server closed the connection.
    Closed,
    /// Nothing for now.
    Nothing,
}

impl Dialer {
    /// Connects, sends CONNECT, `lines` (SUBs, say) and PING, and waits for the PONG.
    ///
    /// # Errors
    ///
    /// Whatever the server refuses, in its words.
    pub(crate) fn connect(&self, lines: &str) -> Result<Link> {
        self.connect_with(open(self.address, None)?, lines, READ_AHEAD)
    }

    /// As [`Dialer::connect`], for a connection that will stay silent and must cost little memory.
    ///
    /// # Errors
    ///
    /// As [`Dialer::connect`].
    pub(crate) fn connect_idle(&self, lines: &str) -> Result<Link> {
        self.connect_with(open(self.address, None)?, lines, READ_AHEAD_IDLE)
    }

    /// As [`Dialer::connect_idle`], from another loopback address: each has its own ports, and its own failures.
    ///
    /// # Errors
    ///
    /// As [`Dialer::connect`].
    pub(crate) fn connect_from(&self, source: Ipv4Addr, lines: &str) -> Result<Link> {
        self.connect_with(open(self.address, Some(source))?, lines, READ_AHEAD_IDLE)
    }

    fn connect_with(&self, mut socket: TcpStream, lines: &str, read_ahead: usize) -> Result<Link> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let info = read_info(&mut socket)?;
        let greeting = self.greeting(&info, lines)?;
        let stream = match &self.tls {
            None => Stream::Plain(socket),
            Some(config) => {
                let connection = ClientConnection::new(Arc::clone(config), ServerName::from(self.address.ip()))?;
                Stream::Tls(Box::new(TlsStream::new(connection.into(), socket, read_ahead)?))
            }
        };
        let mut link = Link { stream, pending: Vec::new() };
        link.send(greeting.as_bytes())?;
        link.await_pong()?;
        Ok(link)
    }

    /// CONNECT with what the server asked for, then `lines`, then PING.
    fn greeting(&self, info: &[u8], lines: &str) -> Result<String> {
        let mut connect = serde_json::json!({
            "verbose": false, "pedantic": false, "echo": true, "headers": true, "no_responders": true,
            "protocol": 1, "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "name": "cordon-bench",
            "tls_required": self.tls.is_some(),
        });
        if let (Some(identity), Some(fields)) = (&self.identity, connect.as_object_mut()) {
            let info: serde_json::Value = serde_json::from_slice(info).context("INFO is not JSON")?;
            let nonce = info.get("nonce").and_then(serde_json::Value::as_str);
            fields.extend(identity.proof(nonce)?);
        }
        Ok(format!("CONNECT {connect}\r\n{lines}PING\r\n"))
    }
}

/// A TCP connection to `address`, from `source` where it is given.
///
/// # Errors
///
/// When there is none within [`PATIENCE`].
pub(crate) fn open(address: SocketAddr, source: Option<Ipv4Addr>) -> Result<TcpStream> {
    let context = || format!("cannot connect to `{address}`");
    let Some(source) = source else {
        return TcpStream::connect_timeout(&address, PATIENCE).with_context(context);
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Without it a port in TIME_WAIT counts as taken, whoever it was connected to.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect_timeout(&address.into(), PATIENCE).with_context(context)?;
    Ok(socket.into())
}

/// The first line of a server, without the verb.
///
/// # Errors
///
/// When something else comes, or nothing.
pub(crate) fn read_info(socket: &mut TcpStream) -> Result<Vec<u8>> {
    let mut line = Vec::with_capacity(1024);
    let mut part = [0; 4096];
    loop {
        let count = socket.read(&mut part).context("no INFO from the server")?;
        if count == 0 {
            bail!("the server closed the connection before INFO");
        }
        line.extend_from_slice(part.get(..count).unwrap_or_default());
        match next_frame(&line).map_err(|malformed| anyhow!(malformed.0))? {
            Some((Frame::Info(json), _)) => return Ok(json.to_vec()),
            Some((other, _)) => bail!("the server began with {other:?} instead of INFO"),
            None => {}
        }
    }
}

impl Link {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the server does not take them within [`PATIENCE`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes),
        };
        sent.context("the server does not take what is sent")
    }

    /// Reads what is there into `space`, which must not be empty.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub(crate) fn receive(&mut self, space: &mut [u8]) -> Result<Received> {
        // A signal, such as a helper process that ended, is no answer of the server: read again.
        let read = loop {
            let read = match &mut self.stream {
                Stream::Plain(socket) => socket.read(space),
                Stream::Tls(tls) => tls.read(space),
            };
            if !matches!(&read, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
                break read;
            }
        };
        match read {
            Ok(0) => Ok(Received::Closed),
            Ok(count) => Ok(Received::Bytes(count)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(Received::Nothing)
            }
            Err(error) => Err(error).context("reading from the server failed"),
        }
    }

    /// Takes what was received ahead of the caller's own reading.
    pub(crate) fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// From now on a read that gets nothing returns after a moment.
    ///
    /// # Errors
    ///
    /// When the socket is gone.
    pub(crate) fn glance(&self) -> Result<()> {
        Ok(self.socket().set_read_timeout(Some(GLANCE))?)
    }

    /// From now on a read that gets nothing returns at once.
    ///
    /// # Errors
    ///
    /// When the socket is gone.
    pub(crate) fn never_wait(&self) -> Result<()> {
        Ok(self.socket().set_nonblocking(true)?)
    }

    /// Sends PING and waits for the PONG: everything sent before has been handled by then.
    ///
    /// # Errors
    ///
    /// When the server sends `-ERR`, closes, or does not answer within [`PATIENCE`].
    pub(crate) fn fence(&mut self) -> Result<()> {
        self.send(b"PING\r\n")?;
        self.await_pong()
    }

    /// Waits for one PONG. Messages that come before it are skipped.
    ///
    /// # Errors
    ///
    /// As [`Link::fence`].
    pub(crate) fn await_pong(&mut self) -> Result<()> {
        let mut part = [0; 4096];
        loop {
            let mut pings = 0;
            let mut found = false;
            let mut used = 0;
            while !found
                && let Some((frame, length)) = next_frame(self.pending.get(used..).unwrap_or_default())
                    .map_err(|malformed| anyhow!(malformed.0))?
            {
                used += length;
                match frame {
                    Frame::Pong => found = true,
                    Frame::Ping => pings += 1,
                    Frame::Error(text) => {
                        bail!("the server refused: {}", String::from_utf8_lossy(text))
                    }
                    Frame::Message(_) | Frame::Info(_) | Frame::Ok => {}
                }
            }
            self.pending.drain(..used);
            for _ in 0..pings {
                self.send(b"PONG\r\n")?;
            }
            if found {
                return Ok(());
            }
            match self.receive(&mut part)? {
                Received::Bytes(count) => self.pending.extend_from_slice(part.get(..count).unwrap_or_default()),
                Received::Closed => {
                    bail!("the server closed the connection instead of answering PING")
                }
                Received::Nothing => bail!("no PONG within {} s", PATIENCE.as_secs()),
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => tls.socket(),
        }
    }
}
