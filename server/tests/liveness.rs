//! Pings of the broker, and peers that do not answer them.

mod support;

use std::time::{Duration, Instant};

use support::TestBroker;

const STALE: &str = "-ERR 'Stale Connection'\r\n";

fn pinging(interval: Duration) -> TestBroker {
    TestBroker::tuned(|options| {
        options.ping_interval = interval;
        options.ping_max = 2;
    })
}

#[test]
fn a_peer_that_answers_no_ping_is_stale_after_the_third_interval() {
    let interval = Duration::from_millis(200);
    let broker = pinging(interval);
    let begun = Instant::now();
    let mut peer = broker.peer();
    peer.expect_end(&format!("PING\r\nPING\r\n{STALE}"));
    assert!(begun.elapsed() >= 3 * interval, "{:?}", begun.elapsed());
}

#[test]
fn a_client_is_pinged_soon_after_connect_and_then_rarely() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    let begun = Instant::now();
    peer.expect("PING\r\n");
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(1900) && waited < Duration::from_secs(4), "{waited:?}");
    peer.send("PONG\r\n");
    peer.expect_nothing();
    let connection = broker.running.broker.connections.open().pop().unwrap();
    assert!(connection.traffic.rtt.load(std::sync::atomic::Ordering::Relaxed) > 0);
}

#[test]
fn answered_pings_keep_a_silent_peer() {
    let broker = pinging(Duration::from_millis(100));
    let mut peer = broker.peer();
    for _ in 0..5 {
        peer.expect("PING\r\n");
        peer.send("PONG\r\n");
    }
    let got = peer.fenced();
    assert!(got.is_empty() || got == b"PING\r\n", "{}", String::from_utf8_lossy(&got));
}

#[test]
fn a_busy_client_is_pinged_once_for_its_round_trip_time() {
    let interval = Duration::from_millis(300);
    let broker = pinging(interval);
    let mut peer = broker.peer();
    let begun = Instant::now();
    let mut pings = 0;
    while begun.elapsed() < 4 * interval {
        let got = String::from_utf8(peer.fenced()).unwrap();
        if !got.is_empty() {
            assert_eq!(got, "PING\r\n");
            pings += 1;
            peer.send("PONG\r\n");
        }
    }
    assert_eq!(pings, 1);
}

#[test]
fn pongs_in_advance_do_not_count() {
    let broker = pinging(Duration::from_millis(150));
    let mut peer = broker.peer();
    peer.send("PONG\r\n".repeat(1000));
    peer.expect_end(&format!("PING\r\nPING\r\n{STALE}"));
}

#[test]
fn the_clock_runs_without_connect() {
    let broker = pinging(Duration::from_millis(150));
    let mut peer = broker.raw();
    peer.expect_end(&format!("PING\r\nPING\r\n{STALE}"));
}

#[test]
fn short_intervals_are_honoured() {
    let broker = pinging(Duration::from_millis(50));
    let begun = Instant::now();
    broker.peer().expect_end(&format!("PING\r\nPING\r\n{STALE}"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
