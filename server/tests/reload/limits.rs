//! Limits and times.

use crate::site::{OPEN, Site};
use crate::support::QUIET;

const PROTOCOL_1: &str = r#"{"verbose":false,"pedantic":false,"protocol":1,"headers":true,"no_responders":true}"#;

#[test]
fn a_lower_payload_limit_is_told_and_counts_at_once() {
    let site = Site::start(OPEN);
    let mut told = site.broker.peer_with(PROTOCOL_1);
    // INFO after the first PONG.
    told.line();
    let old = site.broker.peer_with(QUIET);
    let changes = site.reloaded(&format!("{OPEN}max_payload: 8\n"));
    assert_eq!(changes, ["max_payload: 1048576 -> 8"]);
    let info = String::from_utf8(told.fenced()).unwrap();
    assert!(info.contains("INFO {") && info.contains("\"max_payload\":8,"), "{info}");
    told.exchange_only("PUB a 8\r\n12345678\r\n", "");
    for mut peer in [told, old] {
        peer.send("PUB a 9\r\n123456789\r\n");
        peer.expect_end("-ERR 'Maximum Payload Violation'\r\n");
    }
    let fresh = site.broker.raw();
    assert_eq!(fresh.info()["max_payload"], 8);
}

#[test]
fn a_higher_payload_limit_counts_at_once() {
    let site = Site::start(&format!("{OPEN}max_payload: 8\n"));
    let mut peer = site.broker.peer();
    site.reloaded(&format!("{OPEN}max_payload: 9\n"));
    peer.exchange_only("SUB a 1\r\nPUB a 9\r\n123456789\r\n", "MSG a 1 9\r\n123456789\r\n");
}

#[test]
fn a_longer_control_line_counts_at_once_and_so_does_a_shorter_one() {
    let site = Site::start(OPEN);
    let mut peer = site.broker.peer();
    let line = format!("SUB {} 1\r\n", "a".repeat(5000));
    site.reloaded(&format!("{OPEN}max_control_line: 8192\n"));
    peer.exchange_only(&line, "");
    site.reloaded(&format!("{OPEN}max_control_line: 1024\n"));
    peer.send(line.replace(" 1", " 2"));
    peer.expect_end("-ERR 'maximum control line exceeded'\r\n");
}

#[test]
fn the_newest_of_too_many_connections_are_told_and_closed() {
    let site = Site::start(OPEN);
    let mut peers: Vec<_> = (0..4).map(|_| site.broker.peer()).collect();
    site.reloaded(&format!("{OPEN}max_connections: 2\n"));
    for mut peer in peers.drain(2..) {
        peer.expect_end("-ERR 'maximum connections exceeded'\r\n");
    }
    for peer in &mut peers {
        peer.expect_nothing();
    }
    site.broker.until("they are gone", |broker| broker.connections.count() == 2);
    site.broker.raw().expect_end("-ERR 'maximum connections exceeded'\r\n");
    site.reloaded(&format!("{OPEN}max_connections: 3\n"));
    site.broker.peer();
}

#[test]
fn who_has_too_many_subscriptions_is_told_and_closed() {
    let site = Site::start(OPEN);
    let (mut many, mut few) = (site.broker.peer(), site.broker.peer());
    many.exchange_only("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n", "");
    few.exchange_only("SUB a 1\r\n", "");
    site.reloaded(&format!("{OPEN}max_subscriptions: 2\n"));
    many.expect_end("-ERR 'maximum subscriptions exceeded'\r\n");
    few.exchange("SUB b 2\r\nSUB c 3\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    site.reloaded(OPEN);
    few.exchange_only("SUB c 3\r\n", "");
}

#[test]
fn deeper_subjects_are_subscribed_to_when_the_limit_goes() {
    let site = Site::start(&format!("{OPEN}max_sub_tokens: 2\n"));
    let mut peer = site.broker.peer();
    let refusal = "-ERR 'Permissions Violation for Subscription to \"a.b.c\", too many tokens'\r\n";
    peer.exchange("SUB a.b.c 1\r\n", refusal);
    site.reloaded(OPEN);
    peer.exchange_only("SUB a.b.c 1\r\n", "");
    site.reloaded(&format!("{OPEN}max_sub_tokens: 2\n"));
    peer.exchange_only("SUB a.b.c 2\r\n", refusal);
}

#[test]
fn pings_come_at_the_new_interval_from_the_next_on() {
    let site = Site::start(&format!("{OPEN}ping_interval: \"200ms\"\nping_max: 1000\n"));
    let mut peer = site.broker.peer();
    site.reloaded(&format!("{OPEN}ping_interval: \"50ms\"\nping_max: 2\n"));
    let begun = std::time::Instant::now();
    // Those that were sent before do not count against the new bound: the peer answers what it hears.
    let rest = String::from_utf8(peer.rest()).unwrap();
    assert!(rest.ends_with("-ERR 'Stale Connection'\r\n"), "{rest}");
    assert!(begun.elapsed() < crate::support::PATIENCE);
}

#[test]
fn a_receiver_is_held_to_the_new_pending_limit() {
    let site = Site::start(OPEN);
    let (mut receiver, mut publisher) = (site.broker.peer(), site.broker.peer());
    receiver.exchange_only("SUB a 1\r\n", "");
    site.reloaded(&format!("{OPEN}max_payload: 8\nmax_pending: 8\n"));
    // A line of the protocol and eight bytes are more than may wait.
    publisher.exchange("PUB a 8\r\n12345678\r\nPING\r\n", "PONG\r\n");
    assert_eq!(receiver.rest(), b"");
}

#[test]
fn nothing_happens_to_anybody_when_nothing_has_changed() {
    let site = Site::start(OPEN);
    let mut peers = [site.broker.peer(), site.broker.peer_with(r#"{"verbose":false,"user":"u","pass":"p"}"#)];
    for _ in 0..3 {
        assert_eq!(site.reloaded(OPEN), Vec::<String>::new());
    }
    for peer in &mut peers {
        peer.expect_nothing();
    }
}
