//! What follows what: fences, order of one publisher, and queue members that leave.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use support::{TestBroker, count};

#[test]
fn a_pong_is_a_fence_for_everything_published_before() {
    let broker = TestBroker::open();
    let (mut a, mut b) = (broker.peer(), broker.peer());
    b.exchange_only("SUB foo 1\r\n", "");
    for _ in 0..200 {
        a.exchange("PUB foo 1\r\nx\r\nPING\r\n", "PONG\r\n");
        b.exchange("PING\r\n", "MSG foo 1 1\r\nx\r\nPONG\r\n");
    }
}

#[test]
fn a_pong_is_a_fence_for_subscriptions() {
    let broker = TestBroker::open();
    let (mut a, mut b) = (broker.peer(), broker.peer());
    for round in 0..200 {
        b.exchange_only(format!("SUB foo {round}\r\n"), "");
        a.exchange_only("PUB foo 0\r\n\r\n", "");
        b.exchange_only(format!("UNSUB {round}\r\n"), format!("MSG foo {round} 0\r\n\r\n"));
        a.exchange_only("PUB foo 0\r\n\r\n", "");
    }
    b.expect_nothing();
}

#[test]
fn messages_of_one_publisher_stay_in_order_over_all_subjects() {
    let broker = TestBroker::open();
    let mut subscriber = broker.peer();
    for subject in 0..10 {
        subscriber.send(format!("SUB s.{subject} {subject}\r\n"));
    }
    subscriber.expect_nothing();
    let mut publisher = broker.peer();
    let writer = std::thread::spawn(move || {
        for first in (0..10_000).step_by(100) {
            let batch: Vec<_> = (first..first + 100).map(|n| format!("PUB s.{} 5\r\n{n:05}\r\n", n % 10)).collect();
            publisher.send(batch.concat());
        }
    });
    for n in 0..10_000 {
        subscriber.expect(format!("MSG s.{0} {0} 5\r\n{n:05}\r\n", n % 10));
    }
    writer.join().unwrap();
}

#[test]
fn after_the_pong_of_an_unsub_nothing_comes_for_it() {
    let broker = TestBroker::open();
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut publisher = broker.peer();
        scope.spawn(move || {
            let batch = "PUB foo 1\r\nx\r\n".repeat(50);
            while !stop.load(Ordering::Relaxed) {
                publisher.exchange(format!("{batch}PING\r\n"), "PONG\r\n");
            }
        });
        let mut subscriber = broker.peer();
        for sid in 0..100 {
            subscriber.send(format!("SUB foo {sid}\r\n"));
            subscriber.until(&format!("MSG foo {sid} 1\r\nx\r\n"));
            subscriber.send(format!("UNSUB {sid}\r\nPING\r\n"));
            subscriber.until("PONG\r\n");
            subscriber.expect_nothing();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn queue_members_that_leave_lose_nothing() {
    const TOTAL: usize = 4096;
    let broker = TestBroker::open();
    let mut members: Vec<_> = (0..8).map(|_| broker.peer()).collect();
    for member in &mut members {
        member.exchange_only("SUB foo q 1\r\n", "");
    }
    let mut last = members.pop().unwrap();
    last.exchange_only("SUB done 2\r\n", "");
    let mut publisher = broker.peer();
    let received = std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..TOTAL / 64 {
                publisher.exchange(format!("{}PING\r\n", "PUB foo 1\r\nx\r\n".repeat(64)), "PONG\r\n");
            }
            publisher.exchange_only("PUB done 0\r\n\r\n", "");
        });
        let leaving: Vec<_> = members
            .into_iter()
            .enumerate()
            .map(|(at, mut member)| {
                scope.spawn(move || {
                    // Each leaves at another moment of the stream.
                    let mut got = 0;
                    while got < 20 * (at + 1) {
                        member.until("MSG foo 1 1\r\nx\r\n");
                        got += 1;
                    }
                    member.send("UNSUB 1\r\n");
                    got + count(&member.fenced(), "MSG foo 1 1\r\nx\r\n")
                })
            })
            .collect();
        let left: usize = leaving.into_iter().map(|member| member.join().unwrap()).sum();
        left + count(&last.until("MSG done 2 0\r\n\r\n"), "MSG foo 1 1\r\nx\r\n")
    });
    assert_eq!(received, TOTAL);
}
