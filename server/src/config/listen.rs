//! Addresses to listen on.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::value::{Node, Problem, Value};

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

/// `host:port`, `:port`, or a port alone.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn address(node: &Node) -> Result<Partial, Problem> {
    if matches!(node.value, Value::Int(..)) {
        return Ok(Partial { host: None, port: Some(port(node)?) });
    }
    let text = node.text()?;
    let wrong = || node.problem(format!("`{text}` is no address: write host and port, like \"127.0.0.1:4222\""));
    let (host, number) = text.rsplit_once(':').ok_or_else(wrong)?;
    let number = number.parse::<i64>().map_err(|_| wrong())?;
    let port = port_of(number).ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(Partial { host: if host.is_empty() { None } else { Some(resolve(host, node)?) }, port: Some(port) })
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

fn port_of(number: i64) -> Option<u16> {
    if number == -1 { Some(0) } else { u16::try_from(number).ok() }
}

fn resolve(host: &str, node: &Node) -> Result<IpAddr, Problem> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let found = (host, 0).to_socket_addrs().ok().and_then(|mut found| found.next());
    found.map(|address| address.ip()).ok_or_else(|| node.problem(format!("the host `{host}` has no address")))
}
