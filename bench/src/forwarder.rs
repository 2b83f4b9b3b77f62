//! A server that parses nothing: it copies what publishers send to the subscribers, 256 KiB at a time.
//! What it costs is the least that any broker could cost on the same machine.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context as _, Result, bail};
use memchr::memmem;

const PIECE: usize = 256 * 1024;
/// A greeting is CONNECT, perhaps SUB, and PING; longer is not a client of this generator.
const GREETING_MAX: usize = 8 * 1024;

/// Serves one subscriber, and after it one publisher, whose bytes the subscriber gets; again and again.
///
/// # Errors
///
/// When the address is taken.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).with_context(|| format!("cannot listen on `{listen}`"))?;
    let mut subscriber = None;
    loop {
        let (socket, _) = listener.accept()?;
        match greet(socket) {
            Ok((socket, true)) => subscriber = Some(socket),
            Ok((socket, false)) => {
                if let Some(to) = subscriber.take() {
                    thread::spawn(move || copy(socket, to));
                }
            }
            // A probe that only waits for INFO.
            Err(_) => {}
        }
    }
}

/// Greets a client as a server would; whether it subscribes.
fn greet(mut socket: TcpStream) -> Result<(TcpStream, bool)> {
    socket.set_nodelay(true)?;
    socket.write_all(b"INFO {\"headers\":true,\"max_payload\":1048576} \r\n")?;
    let mut greeting = Vec::new();
    let mut part = [0; 4096];
    while !greeting.ends_with(b"PING\r\n") {
        let count = socket.read(&mut part)?;
        if count == 0 || greeting.len() > GREETING_MAX {
            bail!("not a client");
        }
        greeting.extend_from_slice(part.get(..count).unwrap_or_default());
    }
    socket.write_all(b"PONG\r\n")?;
    Ok((socket, memmem::find(&greeting, b"\r\nSUB ").is_some()))
}

/// Copies until either side is gone.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return,
            Ok(count) => {
                if to.write_all(piece.get(..count).unwrap_or_default()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
