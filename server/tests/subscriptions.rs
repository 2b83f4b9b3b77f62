//! SUB, UNSUB, auto-unsubscribe and queue groups.

mod support;

use support::{TestBroker, count};

#[test]
fn a_second_subscription_of_the_same_id_is_ignored() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo 1\r\nSUB bar 1\r\nPUB bar 0\r\n\r\nPUB foo 0\r\n\r\n");
    peer.expect("MSG foo 1 0\r\n\r\n");
    peer.expect_nothing();
    assert_eq!(broker.running.broker.tenants.global().interest.len(), 1);
}

#[test]
fn an_id_can_be_used_again_at_once() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only(
        "SUB foo 1\r\nUNSUB 1\r\nSUB bar 1\r\nPUB foo 0\r\n\r\nPUB bar 0\r\n\r\n",
        "MSG bar 1 0\r\n\r\n",
    );
}

#[test]
fn ids_are_any_token() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo $a.b-7\r\nPUB foo 0\r\n\r\n", "MSG foo $a.b-7 0\r\n\r\n");
}

#[test]
fn unsubscribing_what_is_not_there_is_no_error() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("UNSUB 99\r\nUNSUB 99 5\r\n", "");
    let mut verbose = broker.peer_with(r#"{"verbose":true}"#.replace("true", "false").as_str());
    verbose.exchange_only("CONNECT {\"verbose\":true}\r\nUNSUB 99\r\n", "+OK\r\n+OK\r\n");
}

#[test]
fn a_subscription_ends_by_itself_after_its_maximum() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo 1\r\nUNSUB 1 2\r\n");
    peer.send("PUB foo 1\r\na\r\nPUB foo 1\r\nb\r\nPUB foo 1\r\nc\r\nPUB foo 1\r\nd\r\n");
    peer.expect("MSG foo 1 1\r\na\r\nMSG foo 1 1\r\nb\r\n");
    peer.expect_nothing();
    assert!(broker.running.broker.tenants.global().interest.is_empty());
}

#[test]
fn a_maximum_reached_already_ends_the_subscription_at_once() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    let message = "PUB foo 1\r\na\r\n";
    peer.exchange_only(format!("SUB foo 1\r\n{}", message.repeat(3)), "MSG foo 1 1\r\na\r\n".repeat(3));
    peer.exchange_only(format!("UNSUB 1 2\r\n{message}"), "");
    assert!(broker.running.broker.tenants.global().interest.is_empty());
}

#[test]
fn a_later_maximum_replaces_an_earlier_one() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    let (message, delivery) = ("PUB foo 1\r\na\r\n", "MSG foo 1 1\r\na\r\n");
    peer.exchange_only(format!("SUB foo 1\r\nUNSUB 1 1\r\nUNSUB 1 3\r\n{}", message.repeat(5)), delivery.repeat(3));
    peer.exchange_only(format!("SUB foo 1\r\nUNSUB 1 4\r\nUNSUB 1 2\r\n{}", message.repeat(5)), delivery.repeat(2));
    peer.exchange_only(format!("SUB foo 1\r\nUNSUB 1 5\r\n{message}UNSUB 1\r\n{message}"), delivery);
}

#[test]
fn a_maximum_that_is_none_unsubscribes_at_once() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    for max in ["xx", "0", "-1", "0000000009"] {
        peer.exchange_only(format!("SUB foo 1\r\nUNSUB 1 {max}\r\nPUB foo 0\r\n\r\n"), "");
    }
}

#[test]
fn each_message_goes_to_exactly_one_member_of_a_queue_group() {
    let broker = TestBroker::open();
    let mut members = [broker.peer(), broker.peer()];
    for member in &mut members {
        member.exchange_only("SUB foo workers 7\r\n", "");
    }
    let mut publisher = broker.peer();
    publisher.send("PUB foo 1\r\nx\r\n".repeat(1000));
    publisher.expect_nothing();
    let shares = members.map(|mut member| count(&member.fenced(), "MSG foo 7 1\r\n"));
    assert_eq!(shares.iter().sum::<usize>(), 1000);
    assert!(shares.iter().all(|share| (350..=650).contains(share)), "{shares:?}");
}

#[test]
fn a_queue_group_spans_subjects() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB a.b q 3\r\nSUB a.* q 4\r\nSUB > q 5\r\n");
    peer.send("PUB a.b 0\r\n\r\n".repeat(60));
    let got = peer.fenced();
    assert_eq!(count(&got, "MSG a.b "), 60);
    for sid in ["MSG a.b 3 0", "MSG a.b 4 0", "MSG a.b 5 0"] {
        assert!(count(&got, sid) > 0, "{sid}");
    }
}

#[test]
fn each_queue_group_and_each_plain_subscription_gets_a_copy() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo q1 1\r\nSUB foo q1 2\r\nSUB foo q2 3\r\nSUB foo 4\r\nPUB foo 0\r\n\r\n");
    let got = peer.fenced();
    assert_eq!(count(&got, "MSG foo 1 0\r\n") + count(&got, "MSG foo 2 0\r\n"), 1);
    assert_eq!((count(&got, "MSG foo 3 0\r\n"), count(&got, "MSG foo 4 0\r\n")), (1, 1));
}

#[test]
fn queue_names_are_tokens_without_wildcards() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo * 1\r\nSUB foo > 2\r\nPUB foo 0\r\n\r\n");
    assert_eq!(count(&peer.fenced(), "MSG foo "), 2);
}

#[test]
fn the_brokers_own_queue_name_is_refused() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only(
        "SUB foo _sys_ 1\r\n",
        "-ERR 'Permissions Violation for Subscription to \"foo\" using queue \"_sys_\"'\r\n",
    );
}

#[test]
fn a_member_that_wants_no_echo_is_passed_over() {
    let broker = TestBroker::open();
    let mut other = broker.peer();
    other.exchange_only("SUB foo q 1\r\n", "");
    let mut silent = broker.peer_with(r#"{"verbose":false,"echo":false}"#);
    silent.send("SUB foo q 1\r\n");
    silent.send("PUB foo 0\r\n\r\n".repeat(20));
    silent.expect_nothing();
    assert_eq!(count(&other.fenced(), "MSG foo 1 0\r\n"), 20);
}

#[test]
fn a_queue_member_past_its_maximum_is_passed_over() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo q 1\r\nUNSUB 1 3\r\nSUB foo q 2\r\n");
    peer.send("PUB foo 0\r\n\r\n".repeat(50));
    let got = peer.fenced();
    assert_eq!((count(&got, "MSG foo 1 0\r\n"), count(&got, "MSG foo 2 0\r\n")), (3, 47));
}

#[test]
fn subscriptions_are_bounded_for_each_connection() {
    let broker = TestBroker::tuned(|options| options.max_subscriptions = Some(2));
    let mut peer = broker.peer();
    peer.exchange_only("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    peer.exchange_only("UNSUB 1\r\nSUB c 3\r\nPUB c 0\r\n\r\n", "MSG c 3 0\r\n\r\n");
    broker.peer().exchange_only("SUB a 1\r\nSUB b 2\r\n", "");
}

#[test]
fn a_connection_that_ends_leaves_no_interest_behind() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB a.b.c 1\r\nSUB > 2\r\nSUB * q 3\r\n", "");
    drop(peer);
    broker.until("no interest", |broker| broker.tenants.global().interest.is_empty());
}
