//! `+OK`: for whom, for what, and when.

mod support;

use cordon_server::BrokerOptions;
use support::{TestBroker, permissions, users};

#[test]
fn each_accepted_operation_is_acknowledged_once() {
    let broker = TestBroker::open();
    let mut peer = broker.raw();
    for (operation, answer) in [
        ("CONNECT {\"headers\":true,\"pedantic\":false}\r\n", "+OK\r\n"),
        ("PING\r\n", "PONG\r\n"),
        ("PONG\r\n", ""),
        ("+OK\r\n", ""),
        ("INFO {}\r\n", ""),
        ("SUB foo 1\r\n", "+OK\r\n"),
        ("SUB foo 1\r\n", "+OK\r\n"),
        ("PUB foo 0\r\n\r\n", "+OK\r\nMSG foo 1 0\r\n\r\n"),
        ("HPUB foo 0 0\r\n\r\n", "+OK\r\nMSG foo 1 0\r\n\r\n"),
        ("UNSUB 1 9\r\n", "+OK\r\n"),
        ("UNSUB 1\r\n", "+OK\r\n"),
        ("UNSUB 1\r\n", "+OK\r\n"),
        ("PUB foo 0\r\n\r\n", "+OK\r\n"),
        ("SUB a..b 2\r\n", "-ERR 'Invalid Subject'\r\n"),
        ("CONNECT {}\r\n", "+OK\r\n"),
    ] {
        peer.exchange_only(operation, answer);
    }
}

#[test]
fn what_is_refused_is_not_acknowledged() {
    let limited = permissions((&["ok"], &[]), (&["ok"], &[]));
    let broker = TestBroker::with(BrokerOptions::default(), users(&[("alice", limited)]));
    let mut peer = broker.raw();
    peer.exchange_only("CONNECT {\"user\":\"alice\",\"pass\":\"alice\"}\r\n", "+OK\r\n");
    peer.exchange_only("PUB no 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"no\"'\r\n");
    peer.exchange_only("SUB no 1\r\n", "-ERR 'Permissions Violation for Subscription to \"no\"'\r\n");
    peer.exchange_only("PUB ok 0\r\n\r\n", "+OK\r\n");
    peer.exchange_only(
        "PUB ok _R_.x 0\r\n\r\n",
        "-ERR 'Permissions Violation for Publish with Reply of \"_R_.x\"'\r\n",
    );
}
