//! Connections that say nothing, or one byte at a time: opened at the order's rate, kept until the server ends them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustls::ClientConnection;
use rustls_pki_types::ServerName;

use super::{Kind, Order, Tally};
use crate::link::open;
use crate::tls;

/// Each connection sends one byte so often.
const BYTE_EVERY: Duration = Duration::from_millis(100);
/// How long it sleeps between looking what is due.
const NAP: Duration = Duration::from_millis(2);

/// An open connection and what it has sent.
struct Drip {
    socket: TcpStream,
    sent: usize,
}

pub(super) fn run(order: &Order) -> Result<Tally> {
    let script = script(order)?;
    let pace = order.pace()?;
    let mut tally = Tally::default();
    let mut open_ones: Vec<Drip> = Vec::new();
    let mut next_pass = Instant::now();
    while !pace.is_over() {
        while tally.attempts < pace.due() && open_ones.len() < order.at_once && !pace.is_over() {
            tally.attempts += 1;
            // A server that takes no connection is no trouble of the attacker.
            let Ok(socket) = open(order.target, Some(order.source(tally.attempts))) else {
                tally.closed += 1;
                continue;
            };
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            open_ones.push(Drip { socket, sent: 0 });
        }
        if Instant::now() >= next_pass {
            let before = open_ones.len();
            open_ones.retain_mut(|drip| drip.advance(&script));
            tally.closed += (before - open_ones.len()) as u64;
            next_pass = Instant::now() + BYTE_EVERY;
        }
        thread::sleep(NAP);
    }
    Ok(tally)
}

impl Drip {
    /// Sends the next byte; whether the connection is still there.
    fn advance(&mut self, script: &[u8]) -> bool {
        let mut heard = [0; 1024];
        let alive = match self.socket.read(&mut heard) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        };
        match script.get(self.sent..=self.sent) {
            Some(byte) if alive => {
                self.sent += 1;
                self.socket.write_all(byte).is_ok()
            }
            _ => alive,
        }
    }
}

/// What each connection says, byte by byte.
fn script(order: &Order) -> Result<Vec<u8>> {
    match order.kind {
        Kind::SlowHello => {
            let config = tls::trusting(order.certificate.as_deref().context("the order names no certificate")?)?;
            let mut client = ClientConnection::new(config, ServerName::from(order.target.ip()))?;
            let mut hello = Vec::new();
            client.write_tls(&mut hello)?;
            Ok(hello)
        }
        Kind::SlowConnect => Ok(format!("CONNECT {{\"name\":\"{}\"}}\r\n", "x".repeat(1_000)).into_bytes()),
        _ => Ok(Vec::new()),
    }
}
