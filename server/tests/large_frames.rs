//! Frames that come in many pieces, and output that is still on its way when a connection ends.

mod support;

use cordon_server::{BrokerOptions, HandshakeFirst, TlsOptions};
use support::tls::Certificates;
use support::{Peer, QUIET, TestBroker, count, nobody};

/// PUBs of sizes around every bound of the reader, as bytes, and the deliveries that they cause.
fn traffic() -> (Vec<u8>, Vec<u8>) {
    let (mut sent, mut delivered) = (Vec::new(), Vec::new());
    for size in [0, 1, 5000, 32_767, 32_768, 65_535, 65_536, 70_001, 262_144, 300_007, 1_048_576, 3] {
        let body: Vec<u8> = (b'a'..=b'w').cycle().take(size).collect();
        for (line, into) in
            [(format!("PUB foo {size}\r\n"), &mut sent), (format!("MSG foo 1 {size}\r\n"), &mut delivered)]
        {
            into.extend_from_slice(line.as_bytes());
            into.extend_from_slice(&body);
            into.extend_from_slice(b"\r\n");
        }
    }
    (sent, delivered)
}

/// Sends all traffic in pieces of changing sizes to a subscriber of its own and requires it back whole.
fn comes_back(mut peer: Peer, largest: usize) {
    let (sent, delivered) = traffic();
    peer.exchange(format!("CONNECT {QUIET}\r\nSUB foo 1\r\nPING\r\n"), "PONG\r\n");
    let mut rest = sent.as_slice();
    let mut step = 1;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(step.min(rest.len()));
        peer.send(piece);
        rest = after;
        step = (step * 7 + 3) % largest + 1;
    }
    peer.expect(&delivered);
    peer.expect_nothing();
}

fn secured(certificates: &Certificates) -> TestBroker {
    let tls: TlsOptions = certificates.server(HandshakeFirst::No, false);
    TestBroker::with(BrokerOptions { tls: Some(tls), ..BrokerOptions::default() }, nobody())
}

#[test]
fn frames_in_pieces_come_back_whole() {
    let broker = TestBroker::open();
    for largest in [977, 40_009, 250_007] {
        comes_back(broker.raw(), largest);
    }
}

#[test]
fn frames_in_many_tls_records_come_back_whole() {
    let certificates = Certificates::new();
    let broker = secured(&certificates);
    for largest in [977, 40_009, 250_007] {
        comes_back(certificates.upgrade(broker.socket()), largest);
    }
}

#[test]
fn what_a_slow_tls_peer_was_sent_before_its_error_arrives_before_its_error() {
    let certificates = Certificates::new();
    let broker = secured(&certificates);
    let socket = broker.socket();
    socket2::SockRef::from(&socket).set_recv_buffer_size(16 * 1024).unwrap();
    let mut slow = certificates.upgrade(socket);
    slow.exchange(format!("CONNECT {QUIET}\r\nSUB foo 1\r\nPING\r\n"), "PONG\r\n");
    let mut publisher = certificates.upgrade(broker.socket());
    publisher.exchange(format!("CONNECT {QUIET}\r\nPING\r\n"), "PONG\r\n");
    let messages = 96;
    let message = format!("PUB foo 65536\r\n{}\r\n", "x".repeat(65536));
    for _ in 0..messages {
        publisher.exchange(format!("{message}PING\r\n"), "PONG\r\n");
    }
    slow.send("NONSENSE\r\n");
    let rest = slow.rest();
    assert_eq!(count(&rest, "MSG foo 1 65536\r\n"), messages);
    assert!(rest.ends_with(b"-ERR 'Unknown Protocol Operation'\r\n"), "{}", rest.len());
}
