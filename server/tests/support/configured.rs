//! A broker started from the text of a configuration file.

use std::sync::Arc;

use cordon_auth::clock::Clock;
use cordon_server::config::accounts::Configured;
use cordon_server::config::{Identities, LoadedConfig, load_text, start};
use cordon_server::tenant::Tenant;

use super::{Peer, QUIET, TestBroker};

/// Reads a configuration that names users or accounts.
pub fn identities(text: &str) -> Configured {
    match loaded(text).identities {
        Identities::Configured(configured) => configured,
        Identities::Operator(_) => panic!("no operators here"),
    }
}

fn loaded(text: &str) -> LoadedConfig {
    let text = format!("listen: \"127.0.0.1:-1\"\n{text}");
    load_text(&text, "test.conf").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

impl TestBroker {
    /// A broker of this configuration, on a port of its own.
    pub fn of_text(text: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let running = runtime.block_on(start(loaded(text), Clock::system())).unwrap();
        Self { running, runtime }
    }

    /// A connection that has sent CONNECT with these fields, and a PING.
    pub fn present(&self, fields: &str) -> Peer {
        let mut peer = self.raw();
        let quiet = QUIET.trim_end_matches('}');
        let comma = if fields.is_empty() { "" } else { "," };
        peer.send(format!("CONNECT {quiet}{comma}{fields}}}\r\nPING\r\n"));
        peer
    }

    /// Requires that a CONNECT with these fields is refused.
    pub fn refuses(&self, fields: &str) {
        self.present(fields).expect_end("-ERR 'Authorization Violation'\r\n");
    }

    /// Requires that a CONNECT with these fields is accepted.
    pub fn accepts(&self, fields: &str) -> Peer {
        let mut peer = self.present(fields);
        peer.expect("PONG\r\n");
        peer
    }

    /// The account of that name as the broker runs it.
    pub fn account(&self, name: &str) -> Arc<Tenant> {
        self.running.broker.tenants.find(&name.into()).unwrap()
    }
}
