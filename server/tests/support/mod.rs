//! A broker in this process and raw sockets to it: bytes in, bytes out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "test helpers, shared by several test programs"
)]

pub mod configured;
pub mod leaf;
pub mod log;
pub mod peer;
pub mod tenant;
pub mod tls;
pub mod websocket;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::claims::{PermissionsClaim, SubjectsClaim};
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, Credential};
use cordon_server::tenant::directory::Tenants;
use cordon_server::{Broker, BrokerOptions, RunningBroker};

pub use self::peer::Peer;

/// Longest wait for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// CONNECT of a client that wants nothing said but what it asks for.
pub const QUIET: &str = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;

/// A broker on a port of its own, on a runtime of its own.
pub struct TestBroker {
    /// The broker.
    pub running: RunningBroker,
    runtime: tokio::runtime::Runtime,
}

impl TestBroker {
    /// A broker that asks for no credentials.
    pub fn open() -> Self {
        Self::tuned(|_| {})
    }

    /// A broker that asks for no credentials, with some options changed.
    pub fn tuned(change: impl FnOnce(&mut BrokerOptions)) -> Self {
        let mut options = BrokerOptions::default();
        change(&mut options);
        Self::with(options, nobody())
    }

    /// A broker with these options and users.
    pub fn with(options: BrokerOptions, users: ConfiguredUsers) -> Self {
        let authenticator = Authenticator::new(Mode::Configured(users), Clock::system());
        Self::start(options, authenticator, Tenants::new(None, None))
    }

    /// A broker made of these parts.
    pub fn start(options: BrokerOptions, authenticator: Authenticator, tenants: Tenants) -> Self {
        Self::start_with(options, authenticator, tenants, Clock::system())
    }

    /// A broker made of these parts that knows the time from this clock.
    pub fn start_with(options: BrokerOptions, authenticator: Authenticator, tenants: Tenants, clock: Clock) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = BrokerOptions { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..options };
        let running = runtime.block_on(Broker::start(options, authenticator, tenants, clock)).unwrap();
        Self { running, runtime }
    }

    /// A broker as `start` makes it.
    pub fn begin(start: impl AsyncFnOnce() -> RunningBroker) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let running = runtime.block_on(start());
        Self { running, runtime }
    }

    /// Runs something on the broker's runtime and waits for it.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A socket that has said and heard nothing.
    pub fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running.client_address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A raw connection that has read INFO.
    pub fn raw(&self) -> Peer {
        let mut peer = Peer::new(self.socket());
        peer.read_info();
        peer
    }

    /// A connection after a quiet CONNECT with headers and no-responders.
    pub fn peer(&self) -> Peer {
        self.peer_with(QUIET)
    }

    /// A connection after this CONNECT and its PONG.
    pub fn peer_with(&self, options: &str) -> Peer {
        let mut peer = self.raw();
        peer.send(format!("CONNECT {options}\r\nPING\r\n"));
        peer.expect("PONG\r\n");
        peer
    }

    /// A quiet connection of a configured user, whose password is its name.
    pub fn peer_as(&self, name: &str) -> Peer {
        let quiet = QUIET.trim_end_matches('}');
        self.peer_with(&format!(r#"{quiet},"user":"{name}","pass":"{name}"}}"#))
    }

    /// Waits until `condition` holds, looking again whenever a PING has gone round.
    pub fn until(&self, what: &str, condition: impl Fn(&Broker) -> bool) {
        let until = std::time::Instant::now() + PATIENCE;
        while !condition(&self.running.broker) {
            assert!(std::time::Instant::now() < until, "never: {what}");
            std::thread::yield_now();
        }
    }
}

/// No users: credentials are not asked for.
pub fn nobody() -> ConfiguredUsers {
    ConfiguredUsers::builder().build().unwrap()
}

/// Users of the global account, each with its name as password.
pub fn users(all: &[(&str, PermissionsClaim)]) -> ConfiguredUsers {
    let mut builder = ConfiguredUsers::builder();
    for (name, permissions) in all {
        builder = builder.user(user(name, permissions));
    }
    builder.build().unwrap()
}

/// A user of the global account with its name as password.
pub fn user(name: &str, permissions: &PermissionsClaim) -> ConfiguredUser {
    let credential = Credential::Password(name.to_owned().into());
    let mut user = ConfiguredUser::new(name, credential, AccountName::global());
    user.permissions = Arc::new(Permissions::compile(permissions).unwrap());
    user
}

/// Permission to publish and subscribe: what is allowed and denied of each.
pub fn permissions(publish: (&[&str], &[&str]), subscribe: (&[&str], &[&str])) -> PermissionsClaim {
    let list = |(allow, deny): (&[&str], &[&str])| SubjectsClaim {
        allow: allow.iter().map(|subject| (*subject).to_owned()).collect(),
        deny: deny.iter().map(|subject| (*subject).to_owned()).collect(),
    };
    PermissionsClaim { publish: list(publish), subscribe: list(subscribe), ..PermissionsClaim::default() }
}

/// How often `needle` occurs in `bytes`.
pub fn count(bytes: &[u8], needle: &str) -> usize {
    bytes.windows(needle.len()).filter(|window| *window == needle.as_bytes()).count()
}
