//! TLS in all its modes.

mod support;

use std::time::{Duration, Instant};

use cordon_server::{HandshakeFirst, TlsOptions};
use support::tls::Certificates;
use support::{Peer, QUIET, TestBroker};

fn secured(options: TlsOptions) -> TestBroker {
    TestBroker::tuned(|broker| broker.tls = Some(options))
}

/// Speaks the protocol inside TLS.
fn serve(peer: &mut Peer) {
    peer.exchange(format!("CONNECT {QUIET}\r\nPING\r\n"), "PONG\r\n");
    peer.exchange_only("SUB foo 1\r\nPUB foo 5\r\nhello\r\n", "MSG foo 1 5\r\nhello\r\n");
    let payload = "x".repeat(400_000);
    peer.exchange_only(format!("PUB foo 400000\r\n{payload}\r\n"), format!("MSG foo 1 400000\r\n{payload}\r\n"));
}

#[test]
fn tls_is_demanded_in_plain_text_and_then_spoken() {
    let certificates = Certificates::new();
    let broker = secured(certificates.server(HandshakeFirst::No, false));
    let mut peer = certificates.upgrade(broker.socket());
    let info = peer.info();
    assert_eq!(info["tls_required"], true);
    assert!(info.get("tls_available").is_none() && info.get("tls_verify").is_none());
    serve(&mut peer);
}

#[test]
fn plain_text_where_tls_is_demanded_ends_the_connection() {
    let certificates = Certificates::new();
    let broker = secured(certificates.server(HandshakeFirst::No, false));
    let mut peer = broker.raw();
    peer.try_send(format!("CONNECT {QUIET}\r\nPING\r\n"));
    let rest = String::from_utf8_lossy(&peer.rest()).into_owned();
    assert!(!rest.contains("PONG"), "{rest}");
    broker.until("it is off the list", |broker| {
        broker.connections.closed().iter().any(|closed| closed.reason == "TLS Handshake Failure")
    });
    assert_eq!(broker.running.broker.connections.count(), 0);
}

#[test]
fn tls_may_be_optional() {
    let certificates = Certificates::new();
    let broker = secured(certificates.server(HandshakeFirst::No, true));
    let mut plain = broker.peer();
    let info = plain.info();
    assert_eq!(info["tls_available"], true);
    assert!(info.get("tls_required").is_none());
    let mut peer = certificates.upgrade(broker.socket());
    serve(&mut peer);
    peer.exchange_only("SUB over 2\r\n", "");
    plain.send("PUB over 0\r\n\r\n");
    peer.expect("MSG over 2 0\r\n\r\n");
}

#[test]
fn a_silent_peer_of_optional_tls_is_taken_for_a_plain_one() {
    let certificates = Certificates::new();
    let timeout = Duration::from_millis(100);
    let options = TlsOptions { timeout, ..certificates.server(HandshakeFirst::No, true) };
    let broker = TestBroker::tuned(|broker| {
        broker.tls = Some(options);
        broker.ping_interval = timeout;
    });
    // It is served, since it is pinged.
    broker.raw().expect("PING\r\n");
}

#[test]
fn handshake_first_says_nothing_in_plain_text() {
    let certificates = Certificates::new();
    let broker = secured(certificates.server(HandshakeFirst::Always, false));
    let mut peer = Peer::new(certificates.client(broker.socket(), None));
    peer.read_info();
    assert_eq!(peer.info()["tls_required"], true);
    serve(&mut peer);
}

#[test]
fn handshake_first_ends_those_who_wait_for_info() {
    let certificates = Certificates::new();
    let timeout = Duration::from_millis(300);
    let broker = secured(TlsOptions { timeout, ..certificates.server(HandshakeFirst::Always, true) });
    let begun = Instant::now();
    let rest = Peer::of(&broker.socket()).rest();
    assert!(!String::from_utf8_lossy(&rest).contains("INFO"));
    assert!(begun.elapsed() >= timeout);
}

#[test]
fn a_moment_for_the_handshake_and_then_info_in_plain_text() {
    let certificates = Certificates::new();
    let wait = Duration::from_millis(50);
    let broker = secured(certificates.server(HandshakeFirst::Within(wait), false));
    let mut quick = Peer::new(certificates.client(broker.socket(), None));
    // The first bytes go out with the first write, so the peer speaks before it has read.
    quick.send("");
    quick.read_info();
    serve(&mut quick);
    let begun = Instant::now();
    let mut slow = certificates.upgrade(broker.socket());
    assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());
    assert_eq!(slow.info()["tls_required"], true);
    serve(&mut slow);
}

#[test]
fn a_handshake_must_end_in_time() {
    let certificates = Certificates::new();
    let timeout = Duration::from_millis(300);
    let broker = secured(TlsOptions { timeout, ..certificates.server(HandshakeFirst::No, false) });
    let begun = Instant::now();
    let rest = String::from_utf8(broker.raw().rest()).unwrap();
    assert!(begun.elapsed() >= timeout && begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(rest.is_empty() || rest == "-ERR 'Secure Connection - TLS Required'\r\n", "{rest}");
}

#[test]
fn handshakes_at_the_same_time_are_bounded_and_the_others_wait() {
    let certificates = Certificates::new();
    let timeout = Duration::from_millis(1500);
    let options = TlsOptions { timeout, ..certificates.server(HandshakeFirst::No, false) };
    let broker = TestBroker::tuned(|broker| {
        broker.tls = Some(options);
        broker.max_handshakes = 1;
    });
    let mut silent = broker.raw();
    serve(&mut certificates.upgrade(broker.socket()));
    assert_eq!(broker.running.broker.handshakes.free(), 1, "a peer that sends nothing has no place");
    let mut idle = broker.raw();
    // The beginning of a record, and no more.
    idle.send([0x16]);
    broker.until("the idle peer has the only place", |broker| broker.handshakes.free() == 0);
    let mut next = broker.raw();
    next.send([0x16]);
    let begun = Instant::now();
    silent.rest();
    idle.rest();
    next.rest();
    broker.until("the place is free again", |broker| broker.handshakes.free() == 1);
    assert!(begun.elapsed() < Duration::from_secs(8));
    serve(&mut certificates.upgrade(broker.socket()));
}

#[test]
fn a_client_certificate_is_demanded_and_checked() {
    let certificates = Certificates::new();
    let broker = secured(certificates.verifying_server());
    let begin = |identity| {
        let socket = broker.socket();
        let mut plain = Peer::of(&socket);
        plain.read_info();
        assert_eq!(plain.info()["tls_verify"], true);
        certificates.client(socket, identity)
    };
    let mut known = Peer::new(begin(Some(certificates.identity("alice"))));
    serve(&mut known);
    for identity in [None, Some(Certificates::new().identity("alice"))] {
        let mut stream = begin(identity);
        // The handshake ends for the client before the broker has judged its certificate.
        let spoken = std::io::Write::write_all(&mut stream, b"PING\r\n")
            .and_then(|()| std::io::Read::read_exact(&mut stream, &mut [0]));
        let error = spoken.unwrap_err();
        // An alert and no bare end, so that the client can tell why.
        assert!(error.to_string().contains("fatal alert"), "{error}");
    }
}

#[test]
fn over_the_limit_the_error_comes_before_any_handshake() {
    let certificates = Certificates::new();
    let options = certificates.server(HandshakeFirst::No, false);
    let broker = TestBroker::tuned(|broker| {
        broker.tls = Some(options);
        broker.max_connections = 1;
    });
    let mut first = certificates.upgrade(broker.socket());
    serve(&mut first);
    broker.raw().expect_end("-ERR 'maximum connections exceeded'\r\n");
    first.expect_nothing();
}

#[test]
fn errors_reach_the_peer_inside_tls_before_a_clean_end() {
    let certificates = Certificates::new();
    let broker = secured(certificates.server(HandshakeFirst::No, false));
    let mut peer = certificates.upgrade(broker.socket());
    peer.exchange(format!("CONNECT {QUIET}\r\nPING\r\n"), "PONG\r\n");
    peer.send("BAD\r\n");
    peer.expect_end("-ERR 'Unknown Protocol Operation'\r\n");
}
