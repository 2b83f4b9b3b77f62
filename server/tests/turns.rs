//! A peer that never stops sending leaves others their turns.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;

use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_server::limits::{READ_BUFFER, TURN};
use cordon_server::tenant::directory::Tenants;
use cordon_server::{Broker, BrokerOptions};

use crate::support::QUIET;

/// Bytes of the flood that are looked at.
const FLOOD: usize = 32 * 1024 * 1024;

/// On a runtime of one thread, whatever the flood is at between two turns of another task is what that task waits for.
#[test]
fn a_flood_keeps_nobody_waiting_for_more_than_a_turn() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (longest, flooding) = runtime.block_on(async {
        let options = BrokerOptions { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..BrokerOptions::default() };
        let authenticator = Authenticator::new(Mode::Configured(support::nobody()), Clock::system());
        let tenants = Tenants::new(None, None);
        let running = Broker::start(options, authenticator, tenants, Clock::system()).await.unwrap();
        let stream = TcpStream::connect(running.client_address).unwrap();
        let writing = stream.try_clone().unwrap();
        let flooding = thread::spawn(move || flood(writing));
        let (mut seen, mut longest) = (0, 0);
        while seen < FLOOD {
            tokio::task::yield_now().await;
            let open = running.broker.connections.open();
            let now: u64 = open.iter().map(|connection| connection.traffic.in_bytes.load(Ordering::Relaxed)).sum();
            let now = usize::try_from(now).unwrap();
            longest = longest.max(now - seen);
            seen = now;
        }
        stream.shutdown(Shutdown::Both).unwrap();
        (longest, flooding)
    });
    flooding.join().unwrap();
    assert!(longest <= TURN + READ_BUFFER, "{longest} bytes");
}

/// Publishes without pause, until its socket is shut.
fn flood(mut stream: TcpStream) {
    stream.write_all(format!("CONNECT {QUIET}\r\n").as_bytes()).unwrap();
    let messages = format!("PUB flood 256\r\n{}\r\n", "x".repeat(256)).repeat(4096);
    while stream.write_all(messages.as_bytes()).is_ok() {}
}
