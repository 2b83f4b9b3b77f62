//! Receivers that do not keep up, and what their publishers notice.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cordon_server::BrokerOptions;
use cordon_server::options::WriteTimeout;
use support::log::Log;
use support::{Peer, QUIET, TestBroker, count};

/// Messages of 64 KiB that no kernel buffers on the way to one receiver.
const FLOOD: usize = 512;

/// A subscriber to `foo` that reads nothing from now on.
#[expect(clippy::unwrap_used, reason = "a test's helper")]
fn lazy(broker: &TestBroker) -> Peer {
    let socket = broker.socket();
    socket2::SockRef::from(&socket).set_recv_buffer_size(16 * 1024).unwrap();
    let mut peer = Peer::new(socket);
    peer.read_info();
    peer.exchange(format!("CONNECT {QUIET}\r\nSUB foo 1\r\nPING\r\n"), "PONG\r\n");
    peer
}

/// Publishes `count` messages of 64 KiB to `foo`; the publisher stays connected.
fn flood(broker: &TestBroker, count: usize) {
    let mut publisher = broker.peer();
    let message = format!("PUB foo 65536\r\n{}\r\n", "x".repeat(65536));
    for _ in 0..count {
        publisher.send(&message);
    }
    publisher.expect_nothing();
}

/// Waits for a connection to end for this reason.
fn ends(broker: &TestBroker, reason: &str) {
    broker.until(reason, |broker| broker.connections.closed().iter().any(|closed| closed.reason == reason));
}

#[test]
fn a_receiver_with_too_much_pending_is_closed_and_its_publisher_is_not() {
    let log = Log::capture();
    let broker = TestBroker::tuned(|options| {
        options.max_pending = 2 * 1024 * 1024;
        options.write_deadline = Duration::from_mins(1);
    });
    let mut slow = lazy(&broker);
    flood(&broker, FLOOD);
    let rest = slow.rest();
    assert!(count(&rest, "MSG foo") < FLOOD && count(&rest, "-ERR") == 0);
    assert!(log.has("Slow Consumer Detected: MaxPending of 2097152 Exceeded"));
    ends(&broker, "Slow Consumer (Pending Bytes)");
    assert_eq!(broker.running.broker.slow_consumers.load(Ordering::Relaxed), 1);
}

#[test]
fn a_receiver_that_takes_nothing_for_too_long_is_closed() {
    let log = Log::capture();
    let broker = TestBroker::tuned(|options| options.write_deadline = Duration::from_millis(300));
    let begun = Instant::now();
    let mut slow = lazy(&broker);
    flood(&broker, FLOOD);
    ends(&broker, "Slow Consumer (Write Deadline)");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(log.has("Slow Consumer Detected: WriteDeadline of 300ms exceeded"));
    let rest = slow.rest();
    assert!(count(&rest, "MSG foo") < FLOOD && count(&rest, "-ERR") == 0);
    assert_eq!(broker.running.broker.slow_consumers.load(Ordering::Relaxed), 1);
}

#[test]
fn a_receiver_that_takes_nothing_at_all_is_closed_whatever_it_may_be_given() {
    let broker = TestBroker::tuned(|options| {
        options.write_deadline = Duration::from_millis(100);
        options.write_timeout = WriteTimeout::Retry;
    });
    let _slow = lazy(&broker);
    flood(&broker, FLOOD);
    ends(&broker, "Slow Consumer (Write Deadline)");
}

#[test]
fn a_receiver_that_reads_slowly_but_steadily_loses_nothing() {
    let broker = TestBroker::open();
    let mut slow = lazy(&broker);
    std::thread::scope(|scope| {
        scope.spawn(|| flood(&broker, FLOOD));
        let body = format!("MSG foo 1 65536\r\n{}\r\n", "x".repeat(65536));
        for _ in 0..FLOOD {
            slow.expect(&body);
        }
    });
    slow.expect_nothing();
}

#[test]
fn a_publisher_waits_for_receivers_of_its_own_account() {
    let broker = TestBroker::open();
    let _slow = lazy(&broker);
    flood(&broker, FLOOD);
    assert!(broker.running.broker.stalled.load(Ordering::Relaxed) > 0);
}

#[test]
fn one_stalled_receiver_does_not_hold_up_the_others() {
    let broker = TestBroker::open();
    let _stalled = lazy(&broker);
    let mut quick = lazy(&broker);
    let mut publisher = broker.peer();
    let message = format!("PUB foo 65536\r\n{}\r\n", "x".repeat(65536));
    let body = format!("MSG foo 1 65536\r\n{}\r\n", "x".repeat(65536));
    let begun = Instant::now();
    for _ in 0..FLOOD {
        publisher.exchange(format!("{message}PING\r\n"), "PONG\r\n");
        quick.expect(&body);
    }
    // Each message of 64 KiB is one or more reads, of which each may wait 10 ms.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(broker.running.broker.slow_consumers.load(Ordering::Relaxed), 0);
}

#[test]
fn one_slow_receiver_does_not_hold_up_the_others() {
    let broker = TestBroker::open();
    let mut slow = lazy(&broker);
    let mut quick = lazy(&broker);
    let mut publisher = broker.peer();
    let message = format!("PUB foo 65536\r\n{}\r\n", "x".repeat(65536));
    let body = format!("MSG foo 1 65536\r\n{}\r\n", "x".repeat(65536));
    for round in 0..FLOOD {
        publisher.exchange(format!("{message}PING\r\n"), "PONG\r\n");
        quick.expect(&body);
        if round % 4 == 0 {
            slow.expect(&body);
        }
    }
    let stalled = broker.running.broker.stalled.load(Ordering::Relaxed);
    assert!(stalled < FLOOD as u64 / 8, "{stalled} waits for {FLOOD} messages");
    assert_eq!(broker.running.broker.slow_consumers.load(Ordering::Relaxed), 0);
}

#[test]
fn publishers_that_may_not_be_slowed_down_lose_messages_instead() {
    let broker = TestBroker::tuned(|options| {
        options.max_pending = 2 * 1024 * 1024;
        options.no_fast_producer_stall = true;
    });
    let mut slow = lazy(&broker);
    flood(&broker, FLOOD);
    let dropped = broker.running.broker.dropped_messages.load(Ordering::Relaxed) as usize;
    let got = slow.fenced();
    assert!(dropped > 0);
    assert_eq!(count(&got, "MSG foo 1 65536\r\n") + dropped, FLOOD);
    assert_eq!(broker.running.broker.slow_consumers.load(Ordering::Relaxed), 0);
}

#[test]
fn a_client_that_asks_without_reading_is_bounded_too() {
    let broker = TestBroker::tuned(|options| options.max_pending = 1024 * 1024);
    let mut greedy = broker.peer();
    let pings = "PING\r\n".repeat(10_000);
    let mut sent = 0;
    while greedy.try_send(&pings) {
        sent += pings.len();
        assert!(sent < 256 * 1024 * 1024, "nobody stopped it");
    }
    ends(&broker, "Slow Consumer (Pending Bytes)");
}

#[test]
fn stopping_does_not_wait_for_a_receiver_that_reads_nothing() {
    let broker = TestBroker::with(BrokerOptions::default(), support::nobody());
    let mut slow = lazy(&broker);
    flood(&broker, FLOOD);
    let begun = Instant::now();
    broker.block_on(broker.running.shutdown());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(count(&slow.rest(), "MSG foo") < FLOOD);
}
