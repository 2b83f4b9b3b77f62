//! The ports file: where a broker listens, for who started it with ports that the system picks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cordon_server::Broker;
use cordon_server::connection::Transport;
use serde_json::{Map, Value};

use super::Program;
use crate::files::{self, Readable};

/// A ports file that was written; to be removed at the end.
#[derive(Debug)]
pub(super) struct PortsFile {
    folder: PathBuf,
    path: PathBuf,
    listeners: Listeners,
}

impl PortsFile {
    /// Writes where a broker listens into `folder`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; a broker serves all the same.
    pub(super) fn write(folder: &Path, program: &Program, listeners: Listeners) -> anyhow::Result<Self> {
        let path = folder.join(format!("{}_{}.ports", program.file, std::process::id()));
        let text = listeners.to_json(&interfaces());
        files::write(&path, text.as_bytes(), Readable::ByAll).context("Error writing ports file")?;
        Ok(Self { folder: folder.to_owned(), path, listeners })
    }

    /// Whether it is in `folder`.
    pub(super) fn is_in(&self, folder: Option<&Path>) -> bool {
        Some(self.folder.as_path()) == folder
    }

    /// Whether it names these listeners.
    pub(super) fn names(&self, listeners: &Listeners) -> bool {
        self.listeners == *listeners
    }

    /// Removes it.
    pub(super) fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::error!("Error cleaning up ports file {}: {error}", self.path.display());
        }
    }
}

/// Each kind of listener with the scheme of its URLs, and where it listens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listeners(Vec<(&'static str, &'static str, SocketAddr)>);

impl Listeners {
    /// The listeners of a broker, as they are now.
    pub(super) fn of(broker: &Broker) -> Self {
        let clients = if broker.tls().is_some() { "tls" } else { "nats" };
        let mut listeners = vec![("nats", clients, broker.client_address())];
        let secure = broker.tls_of(Transport::Websocket).is_some();
        let scheme = if secure { "wss" } else { "ws" };
        listeners.extend(broker.websocket_address().map(|address| ("websocket", scheme, address)));
        let monitoring = if broker.options.load().monitor_tls.is_some() { "https" } else { "http" };
        listeners.extend(broker.monitoring.address().map(|address| ("monitoring", monitoring, address)));
        Self(listeners)
    }

    fn to_json(&self, interfaces: &[IpAddr]) -> String {
        let mut object = Map::new();
        for (kind, scheme, address) in &self.0 {
            let urls = reachable(*address, interfaces).into_iter();
            let urls = urls.map(|address| Value::from(format!("{scheme}://{address}")));
            object.insert((*kind).to_owned(), urls.collect());
        }
        Value::Object(object).to_string()
    }
}

/// Addresses under which a listener can be reached, loopback first: readers take the first one.
fn reachable(address: SocketAddr, interfaces: &[IpAddr]) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let others = interfaces.iter().copied().filter(|ip| !loopback.contains(ip));
    loopback.into_iter().chain(others).map(|ip| SocketAddr::new(ip, address.port())).collect()
}

fn interfaces() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.into_iter().map(|interface| interface.ip()).collect(),
        Err(error) => {
            tracing::warn!("the addresses of this machine are not known: {error}");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_urls_and_what_does_not_listen_is_left_out() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let interfaces = ["127.0.0.1", "10.0.0.5", "fd00::2"].map(|ip| ip.parse().unwrap());
        for (listeners, expected) in [
            (vec![("nats", "nats", at("127.0.0.1:4222"))], r#"{"nats":["nats://127.0.0.1:4222"]}"#),
            (
                vec![("nats", "tls", at("[::1]:4222")), ("monitoring", "http", at("10.0.0.5:8222"))],
                r#"{"monitoring":["http://10.0.0.5:8222"],"nats":["tls://[::1]:4222"]}"#,
            ),
            (
                vec![("nats", "nats", at("0.0.0.0:4222"))],
                r#"{"nats":["nats://127.0.0.1:4222","nats://[::1]:4222","nats://10.0.0.5:4222","nats://[fd00::2]:4222"]}"#,
            ),
            (
                vec![("nats", "nats", at("[::]:4222"))],
                r#"{"nats":["nats://127.0.0.1:4222","nats://[::1]:4222","nats://10.0.0.5:4222","nats://[fd00::2]:4222"]}"#,
            ),
        ] {
            let written: Value = serde_json::from_str(&Listeners(listeners).to_json(&interfaces)).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(expected).unwrap());
        }
    }

    #[test]
    fn this_machine_has_addresses() {
        assert!(!interfaces().is_empty());
    }
}
