//! The header that a proxy sends before the bytes of its client, and whose header is believed.
//!
//! The address in it counts for everything that the socket's own would count for: limits, networks of credentials, the log,
//! monitoring. So whoever may send one chooses who to be; which peers may is named in the configuration.

pub mod header;

use std::fmt;
use std::io;
use std::net::IpAddr;

use cordon_accounts::claims::Network;
use cordon_accounts::reason::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};
use zeroize::Zeroizing;

use self::header::{HeaderError, LONGEST, Reading};
use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::listener::patience::FIRST_PAUSE;
use crate::protocol::encode;
use crate::system::security::SecurityEvent;

/// So many bytes are the beginning of a header and of nothing else.
const TELLING: usize = 5;

/// Whose headers are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeaders {
    /// Nobody's: there is no such header.
    #[default]
    Off,
    /// Anybody's who sends one: insecure, must be asked for.
    OfAnybody,
    /// Those of peers in these networks, who must send one.
    Of(Vec<Network>),
}

/// What is expected of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// It may send a header.
    Optional,
    /// It must.
    Required,
}

impl ProxyHeaders {
    /// What is expected of a peer; nothing where no header of it is believed.
    pub(crate) fn demand(&self, peer: IpAddr) -> Option<Demand> {
        match self {
            Self::Off => None,
            Self::OfAnybody => Some(Demand::Optional),
            Self::Of(networks) => networks.iter().any(|network| network.contains(peer)).then_some(Demand::Required),
        }
    }
}

impl fmt::Display for ProxyHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::OfAnybody => f.write_str("of anybody"),
            Self::Of(networks) => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                write!(f, "of {}", networks.join(", "))
            }
        }
    }
}

/// Why a connection ends before it says anything.
#[derive(Debug, thiserror::Error)]
enum NotHeeded {
    #[error("the peer went away: {0}")]
    Broken(#[from] io::Error),
    #[error("the PROXY header is refused: {0}")]
    Header(#[from] HeaderError),
    #[error("a proxy must send a PROXY header first")]
    Missing,
    #[error("too many failed attempts from the address that the PROXY header names")]
    Throttled,
    #[error("the PROXY header did not come in time")]
    TooSlow,
}

/// What is still expected of a connection that was accepted; nothing once it is decided what its address is.
pub(crate) fn awaited(connection: &Connection) -> Option<Demand> {
    if connection.has_told_peer() {
        return None;
    }
    connection.broker.options.load().proxies.demand(connection.socket_peer.ip())
}

/// Whether anything is.
pub(crate) fn is_awaited(connection: &Connection) -> bool {
    awaited(connection).is_some()
}

/// Takes the header off the connection, where one is awaited, and decides what its address is.
///
/// # Errors
///
/// When the header is refused, missing or late; it is decided then how the connection ends, and noted.
pub(crate) async fn heed(stream: TcpStream, connection: &Connection, by: Instant) -> io::Result<TcpStream> {
    heed_with(stream, connection, by, true).await
}

/// As [`heed`], for what comes until then: what has not come is awaited later.
///
/// # Errors
///
/// As [`heed`], when something came.
pub(crate) async fn heed_what_comes(stream: TcpStream, connection: &Connection, by: Instant) -> io::Result<TcpStream> {
    heed_with(stream, connection, by, false).await
}

async fn heed_with(stream: TcpStream, connection: &Connection, by: Instant, last: bool) -> io::Result<TcpStream> {
    let Some(demand) = awaited(connection) else { return Ok(stream) };
    // In a box: a connection has it for its first moments alone.
    let error = match Box::pin(take(stream, connection, demand, by, last)).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    let (close_reason, reason) = match &error {
        NotHeeded::Broken(_) => ("Client Closed", None),
        NotHeeded::Header(_) | NotHeeded::Missing => ("Protocol Violation", Some(Reason::ProtocolViolation)),
        NotHeeded::Throttled => ("Authentication Failure", Some(Reason::Throttled)),
        NotHeeded::TooSlow => ("Authentication Timeout", Some(Reason::AuthenticationTimeout)),
    };
    tracing::debug!(connection.id = connection.cid, peer = %connection.socket_peer, "{error}");
    if let Some(reason) = reason {
        connection.broker.security.note(SecurityEvent::of(connection, reason).about(b"", "", &error.to_string()));
    }
    connection.close(Closing::silent(close_reason, reason).because(error.to_string()));
    Err(io::Error::new(io::ErrorKind::ConnectionAborted, error))
}

async fn take(
    stream: TcpStream,
    connection: &Connection,
    demand: Demand,
    by: Instant,
    last: bool,
) -> Result<TcpStream, NotHeeded> {
    // A peer that says nothing has its time for it. What comes later than its first byte is looked for after pauses that
    // double: nobody is woken for each byte.
    let _elapsed = timeout_at(by, stream.readable()).await;
    let stream = stream.into_std()?;
    let mut pause = FIRST_PAUSE;
    let decided = loop {
        let over = Instant::now() >= by;
        match look(&stream)? {
            (Reading::Partial, _) if !over => {
                sleep_until(by.min(Instant::now() + pause)).await;
                pause *= 2;
            }
            other => break other,
        }
    };
    let mut stream = TcpStream::from_std(stream)?;
    match decided {
        (Reading::Header { length, source }, _) => {
            stream.read_exact(&mut vec![0; length]).await?;
            connection.tell_peer(source.unwrap_or(connection.socket_peer));
            let (peer, proxy) = (connection.peer(), connection.socket_peer);
            tracing::debug!(connection.id = connection.cid, %peer, "told by the proxy {proxy}");
            if is_throttled(connection) { Err(turned_away(&mut stream).await) } else { Ok(stream) }
        }
        (Reading::Partial, _) if !last => Ok(stream),
        (Reading::Partial, seen) if seen > TELLING => Err(HeaderError::Incomplete.into()),
        _ if demand == Demand::Optional => {
            connection.tell_peer(connection.socket_peer);
            Ok(stream)
        }
        (Reading::None, _) => Err(NotHeeded::Missing),
        (Reading::Partial, _) => Err(NotHeeded::TooSlow),
    }
}

/// What has come, and how much of it.
fn look(stream: &std::net::TcpStream) -> Result<(Reading, usize), NotHeeded> {
    // It may be a password.
    let mut seen = Zeroizing::new([0; LONGEST]);
    let count = match stream.peek(seen.as_mut_slice()) {
        Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error.into()),
    };
    Ok((header::read(seen.get(..count).unwrap_or_default())?, count))
}

/// Whoever cannot authenticate again so soon does not cost a signature either.
fn is_throttled(connection: &Connection) -> bool {
    let broker = &connection.broker;
    broker.tls_of(connection.transport).is_some() && broker.is_throttled(connection.peer().ip())
}

async fn turned_away(stream: &mut TcpStream) -> NotHeeded {
    // Where TLS comes first the peer cannot read it; and it may be gone.
    let _sent = stream.write_all(&encode::error_line("Connection throttling is active. Please try again later.")).await;
    NotHeeded::Throttled
}
