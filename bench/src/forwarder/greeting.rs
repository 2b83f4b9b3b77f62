//! The greeting: INFO, perhaps a TLS handshake, and what the client sends up to its first PING. Its PONG comes when the
//! connection has its place.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Result, bail};
use rustls::ServerConfig;

use super::channels::{Role, Taking};
use super::stream::Stream;

/// A greeting is CONNECT, two lines and PING; longer is not a client of this generator.
const GREETING_MAX: usize = 8 * 1024;

/// Greets a client as a server would; what it is for.
///
/// # Errors
///
/// When it is not a client of this generator.
pub(super) fn greet(mut socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Result<(Stream, Role)> {
    socket.set_nodelay(true)?;
    socket.write_all(b"INFO {\"headers\":true,\"max_payload\":1048576} \r\n")?;
    let mut stream = Stream::new(socket, tls)?;
    let mut greeting = Vec::new();
    let mut part = [0; 4096];
    while !greeting.ends_with(b"PING\r\n") {
        let count = stream.read(&mut part)?;
        if count == 0 || greeting.len() > GREETING_MAX {
            bail!("not a client");
        }
        greeting.extend_from_slice(part.get(..count).unwrap_or_default());
    }
    Ok((stream, role(&String::from_utf8_lossy(&greeting))))
}

fn role(greeting: &str) -> Role {
    let mut role = Role::default();
    for line in greeting.lines() {
        match line.split_once(' ') {
            Some(("FEED", channel)) => role.feeds = Some(channel.to_owned()),
            Some((verb @ ("TAKE" | "SHARE"), channel)) => {
                role.takes = Some(Taking { channel: channel.to_owned(), shared: verb == "SHARE" });
            }
            _ => {}
        }
    }
    role
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_lines_count() {
        let taking = |shared| Some(Taking { channel: "c".into(), shared });
        let cases = [
            ("CONNECT {}\r\nPING\r\n", None, None),
            ("CONNECT {}\r\nSUB c 1\r\nPING\r\n", None, None),
            ("CONNECT {}\r\nTAKE c\r\nPING\r\n", None, taking(false)),
            ("CONNECT {}\r\nSHARE c\r\nPING\r\n", None, taking(true)),
            ("CONNECT {}\r\nTAKE c\r\nFEED d\r\nPING\r\n", Some("d"), taking(false)),
        ];
        for (greeting, feeds, takes) in cases {
            assert_eq!(role(greeting), Role { feeds: feeds.map(str::to_owned), takes }, "{greeting}");
        }
    }
}
