//! Starting, stopping, lame duck, and what a defect ends.

mod support;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cordon_server::BrokerOptions;
use cordon_server::routing::{Batch, Message, Receiver, Sink, Subscription};
use support::log::Log;
use support::{TestBroker, count, nobody, peer::parse_info};

#[test]
fn the_log_has_the_lines_that_harnesses_look_for() {
    let log = Log::capture();
    let broker = TestBroker::open();
    let address = broker.running.client_address;
    for line in ["  ID:       N", &format!("Listening for client connections on {address}"), "Server is ready"] {
        assert!(log.has(line), "{line}");
    }
}

#[test]
fn stopping_ends_every_connection_without_an_error() {
    let broker = TestBroker::open();
    let (mut peer, mut other, mut early) = (broker.peer(), broker.peer(), broker.raw());
    other.exchange_only("SUB foo 1\r\n", "");
    peer.exchange_only("PUB foo 0\r\n\r\n", "");
    broker.block_on(broker.running.shutdown());
    peer.expect_end("");
    other.expect_end("MSG foo 1 0\r\n\r\n");
    early.expect_end("");
    assert!(TcpStream::connect(broker.running.client_address).is_err());
    assert!(broker.running.broker.tenants.global().interest.is_empty());
    for closed in broker.running.broker.connections.closed() {
        assert_eq!(closed.reason, "Server Shutdown");
    }
}

#[test]
fn the_port_can_be_taken_again_at_once() {
    let broker = TestBroker::open();
    let address = broker.running.client_address;
    let _peer = broker.peer();
    broker.block_on(broker.running.shutdown());
    let listener = broker.block_on(async { cordon_server::listener::bind(address) });
    assert!(listener.is_ok(), "{listener:?}");
}

#[test]
fn a_lame_duck_tells_its_clients_serves_on_and_then_lets_them_go() {
    let log = Log::capture();
    let options = BrokerOptions {
        lame_duck_grace: Duration::from_millis(500),
        lame_duck_duration: Duration::from_millis(600),
        ..BrokerOptions::default()
    };
    let broker = TestBroker::with(options, nobody());
    let mut told = broker.peer_with(r#"{"verbose":false,"protocol":1}"#);
    assert!(parse_info(&told.line())["connect_info"].as_bool().unwrap());
    told.exchange_only("SUB foo 1\r\n", "");
    let mut old = broker.peer_with(r#"{"verbose":false,"protocol":0}"#);
    let mut never_pinged = broker.raw();
    never_pinged.exchange("CONNECT {\"protocol\":1}\r\n", "+OK\r\n");
    std::thread::scope(|scope| {
        scope.spawn(|| broker.block_on(broker.running.lame_duck()));
        let info = parse_info(&told.line());
        assert_eq!(info["ldm"], true);
        assert!(info.get("connect_info").is_none() && info.get("remote_account").is_none());
        assert!(info.get("connect_urls").is_none());
        assert!(TcpStream::connect(broker.running.client_address).is_err());
        old.exchange_only("PUB foo 0\r\n\r\n", "");
        told.expect_end("MSG foo 1 0\r\n\r\n");
        old.expect_end("");
        never_pinged.expect_end("");
    });
    assert!(log.has("Entering lame duck mode, stop accepting new clients"));
}

#[test]
fn a_lame_duck_without_clients_stops_at_once() {
    let broker = TestBroker::open();
    broker.block_on(async { tokio::time::timeout(support::PATIENCE, broker.running.lame_duck()).await }).unwrap();
}

/// A receiver with a defect.
struct Defect;

impl Receiver for Defect {
    #[expect(clippy::panic, reason = "the defect")]
    fn receive(&self, _: &Subscription, _: &Message<'_>, _: &mut Batch) -> bool {
        panic!("a defect, for the test")
    }
}

#[test]
fn a_defect_ends_the_connection_that_met_it_and_no_other() {
    let broker = TestBroker::open();
    let tenant = broker.running.broker.tenants.global();
    tenant.interest.insert(&Subscription::new(b"boom", None, b"", Sink::Inside(Arc::new(Defect))));
    let mut other = broker.peer();
    other.exchange_only("SUB > 1\r\nSUB own q 2\r\n", "");
    let mut victim = broker.peer();
    victim.exchange_only("SUB own q 3\r\n", "");
    victim.send("PUB before 0\r\n\r\nPUB boom 0\r\n\r\nPUB after 0\r\n\r\n");
    assert_eq!(count(&victim.rest(), "-ERR"), 0);
    // What was queued before still goes out, although its publisher did not live to write it.
    other.expect("MSG before 1 0\r\n\r\n");
    broker.until("the connection is gone", |broker| broker.connections.closed().len() == 1);
    assert_eq!(broker.running.broker.panics.load(Ordering::Relaxed), 1);
    assert_eq!(tenant.connection_count(), 1);
    assert_eq!(tenant.interest.len(), 3);
    assert_eq!(broker.running.broker.connections.closed().pop().unwrap().reason, "Unknown State");
    let mut publisher = broker.peer();
    publisher.exchange_only("PUB own 0\r\n\r\nPUB own 0\r\n\r\n", "");
    assert_eq!(count(&other.fenced(), "MSG own 2 0\r\n"), 2);
}

#[test]
fn a_closed_connection_is_remembered_with_the_subscriptions_it_held() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo 1\r\nSUB bar 2\r\n", "");
    drop(peer);
    broker.until("the connection is remembered", |broker| !broker.connections.closed().is_empty());
    let closed = broker.running.broker.connections.closed();
    assert_eq!(closed.first().map(|closed| closed.subscriptions), Some(2));
}
