//! Addresses to listen on, and those that clients are told.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::value::{Node, Problem, Value};
use crate::options::Advertised;

/// An address as far as it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// The address; any if not given.
    pub host: Option<IpAddr>,
    /// The port; 0 lets the system choose.
    pub port: Option<u16>,
}

impl Partial {
    /// The address, with what was not given.
    pub fn or(self, host: IpAddr, port: u16) -> SocketAddr {
        SocketAddr::new(self.host.unwrap_or(host), self.port.unwrap_or(port))
    }
}

/// `host:port`, `:port`, or a port alone. Port 0 is none, as with nats-server, and -1 any.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn address(node: &Node) -> Result<Partial, Problem> {
    if matches!(node.value, Value::Int(..)) {
        return Ok(Partial { host: None, port: port_or_none(node)? });
    }
    let text = node.text()?;
    let wrong = || node.problem(format!("`{text}` is no address: write host and port, like \"127.0.0.1:4222\""));
    let (host, number) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bracketed.is_none() && host.contains([':', '[', ']']) {
        return Err(
            node.problem(format!("`{text}` is no address: an IPv6 address stands in brackets, like \"[::1]:4222\""))
        );
    }
    let number = number.parse::<i64>().map_err(|_| wrong())?;
    let port = port_of(number).ok_or_else(wrong)?;
    let host = bracketed.unwrap_or(host);
    Ok(Partial {
        host: if host.is_empty() { None } else { Some(resolve(host, node)?) },
        port: Some(port).filter(|_| number != 0),
    })
}

/// A host by name or address.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn host(node: &Node) -> Result<IpAddr, Problem> {
    resolve(node.text()?, node)
}

/// A port; -1 lets the system choose.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn port(node: &Node) -> Result<u16, Problem> {
    let number = node.integer()?;
    port_of(number)
        .ok_or_else(|| node.problem(format!("`{number}` is no port: give one from 1 to 65535, or -1 for any")))
}

/// A port; -1 lets the system choose, 0 is what nats-server takes for "not given".
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn port_or_none(node: &Node) -> Result<Option<u16>, Problem> {
    let number = port(node)?;
    Ok(Some(number).filter(|_| node.integer().is_ok_and(|given| given != 0)))
}

/// What clients are told instead of the address listened on: a host, or host and port.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn advertised(node: &Node) -> Result<Option<Advertised>, Problem> {
    let text = node.text()?;
    let wrong = || node.problem(format!("`{text}` is no address for clients: write host, or host and port"));
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, Some(port.parse::<u16>().map_err(|_| wrong())?))
        }
        // An IPv6 address alone.
        _ => (text, None),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    match (host, is_host) {
        ("", _) if port.is_none() => Ok(None),
        ("", _) | (_, false) => Err(wrong()),
        (host, true) => Ok(Some(Advertised { host: host.into(), port: port.filter(|port| *port > 0) })),
    }
}

fn port_of(number: i64) -> Option<u16> {
    if number == -1 { Some(0) } else { u16::try_from(number).ok() }
}

/// A name is resolved once. Of several addresses an IPv4 one is taken, as Go does for what it listens on.
fn resolve(host: &str, node: &Node) -> Result<IpAddr, Problem> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let found: Vec<SocketAddr> = (host, 0).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let chosen = found.iter().find(|address| address.is_ipv4()).or(found.first());
    chosen.map(SocketAddr::ip).ok_or_else(|| {
        node.problem(format!("the host `{host}` has no address: give one of this machine, or 0.0.0.0 for all"))
    })
}
