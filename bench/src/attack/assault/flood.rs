//! Whole attempts at a fixed rate, by as many threads as may be under way at once: each connects, does its worst, and
//! waits until the server ends it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::{Kind, Order, Tally};
use crate::attack::ground::VICTIM;
use crate::link::{open, read_info};
use crate::tls;

/// Longer than any server gives an unknown peer.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A line that is longer than every limit of lines.
const OVERSIZED_BYTES: usize = 64 * 1024;
const STACK_BYTES: usize = 128 * 1024;

/// What one attempt sends after INFO, or does instead.
enum Deed {
    /// Sends this, and waits for the end.
    Lines(Vec<u8>),
    /// Makes a handshake, and goes.
    Handshake(Arc<ClientConfig>),
    /// Tries a password that nobody had before.
    Guess,
}

pub(super) fn run(order: &Order) -> Result<Tally> {
    let deed = deed(order)?;
    let pace = order.pace()?;
    let (next, made, closed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let worker = || {
            loop {
                // Each waits for an attempt of its own: if all woke for the next one, they would take the processors
                // from those whom the attack is to be measured by.
                let number = next.fetch_add(1, Relaxed);
                thread::sleep(pace.time_of(number).saturating_duration_since(Instant::now()));
                if pace.is_over() {
                    return;
                }
                made.fetch_add(1, Relaxed);
                // That the server ends it, in whatever way, is how an attempt goes.
                if attempt(order, &deed, number).is_ok() {
                    closed.fetch_add(1, Relaxed);
                }
            }
        };
        for _ in 0..order.at_once {
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker)?;
        }
        anyhow::Ok(())
    })?;
    Ok(Tally { attempts: made.into_inner(), closed: closed.into_inner(), cpu_seconds: 0.0 })
}

fn deed(order: &Order) -> Result<Deed> {
    Ok(match order.kind {
        Kind::Handshake => {
            Deed::Handshake(tls::trusting(order.certificate.as_deref().context("the order names no certificate")?)?)
        }
        Kind::Signature => {
            // A true signature of the right key, over a nonce that the server did not send.
            let proof = order.identity()?.proof(Some("a nonce of another time"))?;
            Deed::Lines(format!("CONNECT {}\r\nPING\r\n", serde_json::Value::Object(proof)).into_bytes())
        }
        Kind::Password => Deed::Guess,
        _ => Deed::Lines(format!("CONNECT {{\"name\":\"{}", "x".repeat(OVERSIZED_BYTES)).into_bytes()),
    })
}

/// One attempt; good when the server ended it.
fn attempt(order: &Order, deed: &Deed, number: u64) -> Result<()> {
    let mut socket = open(order.target, Some(order.source(number)))?;
    socket.set_read_timeout(Some(WAIT_MAX))?;
    socket.set_write_timeout(Some(WAIT_MAX))?;
    read_info(&mut socket)?;
    match deed {
        Deed::Lines(lines) => await_end(socket, lines),
        Deed::Guess => {
            let connect = serde_json::json!({ "user": VICTIM, "pass": format!("guess-{number}") });
            await_end(socket, format!("CONNECT {connect}\r\nPING\r\n").as_bytes())
        }
        Deed::Handshake(config) => {
            let mut client = ClientConnection::new(Arc::clone(config), ServerName::from(order.target.ip()))?;
            while client.is_handshaking() {
                client.complete_io(&mut socket)?;
            }
            Ok(())
        }
    }
}

fn await_end(mut socket: TcpStream, lines: &[u8]) -> Result<()> {
    // A server that has seen enough may close before it has taken all.
    let _ = socket.write_all(lines);
    let mut heard = [0; 1024];
    loop {
        match socket.read(&mut heard) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(anyhow!(error).context("the server did not end the attempt")),
        }
    }
}
