//! Requests that nobody receives.

mod support;

use support::{QUIET, TestBroker};

/// What the requester of `foo` reads on `r` under id 1.
const STATUS: &str = "HMSG r 1 35 35\r\nNATS/1.0 503\r\nNats-Subject: foo\r\n\r\n\r\n";

#[test]
fn a_request_without_receivers_is_answered_with_its_subject() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB r 1\r\nPUB foo r 2\r\nhi\r\n", STATUS);
    peer.exchange_only("HPUB foo r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", STATUS);
}

#[test]
fn without_a_plain_subscription_of_ones_own_nothing_is_said() {
    let broker = TestBroker::open();
    let mut other = broker.peer();
    other.exchange_only("SUB r 1\r\n", "");
    let mut peer = broker.peer();
    peer.exchange_only("PUB foo r 0\r\n\r\nSUB r q 2\r\nPUB foo r 0\r\n\r\nPUB foo 0\r\n\r\n", "");
    other.expect_nothing();
}

#[test]
fn a_wildcard_inbox_gets_the_literal_reply_subject() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only(
        "SUB _INBOX.x.* 1\r\nPUB foo _INBOX.x.7 0\r\n\r\n",
        "HMSG _INBOX.x.7 1 35 35\r\nNATS/1.0 503\r\nNats-Subject: foo\r\n\r\n\r\n",
    );
    peer.exchange_only(
        "SUB _INBOX.> 2\r\nUNSUB 1\r\nPUB foo _INBOX.x.8 0\r\n\r\n",
        "HMSG _INBOX.x.8 2 35 35\r\nNATS/1.0 503\r\nNats-Subject: foo\r\n\r\n\r\n",
    );
}

#[test]
fn only_those_who_asked_for_it_are_told() {
    let broker = TestBroker::open();
    for connect in [r#"{"verbose":false,"headers":true}"#, r#"{"verbose":false,"headers":true,"no_responders":false}"#]
    {
        let mut peer = broker.peer_with(connect);
        peer.exchange_only("SUB r 1\r\nPUB foo r 0\r\n\r\n", "");
    }
}

#[test]
fn being_told_uses_up_no_maximum() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB r 1\r\nUNSUB 1 1\r\nPUB foo r 0\r\n\r\nPUB foo r 0\r\n\r\n", STATUS.repeat(2));
    peer.exchange_only("PUB r 0\r\n\r\nPUB foo r 0\r\n\r\n", "MSG r 1 0\r\n\r\n");
}

#[test]
fn a_request_to_oneself_without_echo_has_no_responders() {
    let broker = TestBroker::open();
    let mut peer = broker.peer_with(&QUIET.replace("\"headers\"", "\"echo\":false,\"headers\""));
    peer.exchange_only("SUB r 1\r\nSUB foo 2\r\nPUB foo r 0\r\n\r\n", STATUS);
}

#[test]
fn interest_that_ends_is_noticed_by_a_publisher_that_knew_it() {
    let broker = TestBroker::open();
    let mut responder = broker.peer();
    responder.exchange_only("SUB foo 1\r\n", "");
    let mut peer = broker.peer();
    peer.exchange_only("SUB r 1\r\nPUB foo r 0\r\n\r\n", "");
    responder.exchange_only("", "MSG foo 1 r 0\r\n\r\n");
    responder.exchange_only("UNSUB 1\r\n", "");
    peer.exchange_only("PUB foo r 0\r\n\r\n", STATUS);
    responder.exchange_only("SUB foo 1\r\nUNSUB 1 1\r\n", "");
    peer.exchange_only("PUB foo r 0\r\n\r\nPUB foo r 0\r\n\r\n", STATUS);
}
