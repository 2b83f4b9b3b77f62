//! The beginning of a WebSocket connection: TLS, the request, and the answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::limits::{FIRST_READ, UPGRADE_BYTES};
use crate::listener::proxy;
use crate::listener::tls::{self, Opening};
use crate::websocket::WebsocketOptions;
use crate::websocket::request::{self, Upgrade, UpgradeRefused};

/// How long a peer that is refused may take to hear it.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Why a connection did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum NotUpgraded {
    /// The peer went away.
    #[error("the peer went away: {0}")]
    Broken(#[from] io::Error),
    /// The request is not granted.
    #[error(transparent)]
    Refused(#[from] UpgradeRefused),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    /// The request did not come in time.
    #[error("the request did not come in time")]
    TooSlow,
}

/// Makes the TLS handshake, where there is TLS, and grants the request.
///
/// # Errors
///
/// [`NotUpgraded`]; the peer has had its answer then.
pub async fn open(stream: TcpStream, connection: &Arc<Connection>) -> Result<(Opening, Upgrade), NotUpgraded> {
    let broker = &connection.broker;
    let options = broker.options.load_full();
    let Some(options) = &options.websocket else {
        return Err(io::Error::from(io::ErrorKind::NotConnected).into());
    };
    let until = Instant::now() + options.handshake_timeout;
    let stream = proxy::heed(stream, connection, until).await?;
    let opening = match &options.tls {
        None => tls::plain(stream),
        Some(tls) => {
            let (stream, session) = tls::handshake(stream, tls, connection).await.map_err(NotUpgraded::Tls)?;
            tls::secured(stream, session)
        }
    };
    let mut wire = Wire(opening);
    let granting = tokio::time::timeout(options.handshake_timeout, grant(&mut wire, options, connection)).await;
    match granting {
        Ok(Ok(upgrade)) => Ok((wire.0, upgrade)),
        Ok(Err(error)) => {
            if let NotUpgraded::Refused(refused) = &error
                && let Some((status, text)) = refused.status()
            {
                wire.say_last(&request::refusal(status, text)).await;
            }
            Err(error)
        }
        Err(_) => Err(NotUpgraded::TooSlow),
    }
}

/// What a peer is answered that is turned away before it has asked for anything; nothing where TLS would come first.
pub fn turned_away(connection: &Connection, throttled: bool) -> Vec<u8> {
    if connection.broker.tls_of(connection.transport).is_some() {
        return Vec::new();
    }
    let (status, text) = if throttled { (429, "Too Many Requests") } else { (503, "Service Unavailable") };
    request::refusal(status, text)
}

async fn grant(
    wire: &mut Wire,
    options: &WebsocketOptions,
    connection: &Arc<Connection>,
) -> Result<Upgrade, NotUpgraded> {
    // A peer that says nothing has its time for it, and no place.
    if !wire.has_read_ahead() {
        wire.0.stream.peek(&mut [0]).await?;
    }
    let _place = connection.broker.upgrades.place(connection.peer().ip()).await.map_err(io::Error::other)?;
    // There may be a password in it, or a token.
    let mut head = Zeroizing::new(Vec::with_capacity(UPGRADE_BYTES));
    let leafs = connection.broker.leafs.listen().is_some();
    let upgrade = loop {
        wire.read(&mut head).await?;
        if let Some(upgrade) = request::read(&head, options, wire.0.tls.is_some(), leafs)? {
            break upgrade;
        }
        if head.len() >= UPGRADE_BYTES {
            return Err(UpgradeRefused::TooLong.into());
        }
    };
    if wire.has_read_ahead() {
        return Err(UpgradeRefused::Early.into());
    }
    if let Some(address) = upgrade.forwarded_for {
        tracing::debug!(connection.id = connection.cid, peer = %connection.peer(), "WebSocket, forwarded for {address}");
    }
    wire.write(&upgrade.answer).await?;
    Ok(upgrade)
}

/// A socket before it is attached, inside TLS or not.
struct Wire(Opening);

impl Wire {
    /// TLS holds plain text that was not read yet.
    fn has_read_ahead(&mut self) -> bool {
        let Some(tls) = &mut self.0.tls else { return false };
        tls.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// Reads once, behind what `into` holds and as far as its capacity goes.
    async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let from = into.len();
        let room = into.capacity() - from;
        let Some(tls) = &mut self.0.tls else {
            let stream = &mut self.0.stream;
            return if stream.take(room as u64).read_buf(into).await? == 0 { Err(end()) } else { Ok(()) };
        };
        let mut sealed = Zeroizing::new(vec![0; FIRST_READ]);
        loop {
            into.resize(from + room, 0);
            let read = io::Read::read(&mut tls.reader(), into.get_mut(from..).unwrap_or_default());
            into.truncate(from + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => return Err(end()),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let count = self.0.stream.read(&mut sealed).await?;
            let mut rest = sealed.get(..count).filter(|rest| !rest.is_empty()).ok_or_else(end)?;
            while !rest.is_empty() {
                tls.read_tls(&mut rest)?;
                tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.0.tls else { return self.0.stream.write_all(bytes).await };
        io::Write::write_all(&mut tls.writer(), bytes)?;
        let records = records(tls)?;
        self.0.stream.write_all(&records).await
    }

    /// The answer to a peer that is refused, and the end. It may be gone, or not read: neither keeps it here.
    async fn say_last(&mut self, bytes: &[u8]) {
        let last = async {
            self.write(bytes).await?;
            if let Some(tls) = &mut self.0.tls {
                tls.send_close_notify();
                let records = records(tls)?;
                self.0.stream.write_all(&records).await?;
            }
            self.0.stream.shutdown().await
        };
        let _said = tokio::time::timeout(LAST_WRITE, last).await;
    }
}

fn records(tls: &mut ServerConnection) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut records)?;
    }
    Ok(records)
}

fn end() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
