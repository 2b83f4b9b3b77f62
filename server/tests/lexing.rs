//! How bytes become operations, and what becomes of bytes that are none.

mod support;

use support::{QUIET, TestBroker};

const UNKNOWN: &str = "-ERR 'Unknown Protocol Operation'\r\n";
const TOO_LONG: &str = "-ERR 'maximum control line exceeded'\r\n";

#[test]
fn ping_is_answered_in_any_case_and_with_anything_behind_it() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    for ping in ["ping\n", "PiNg\r\n", "PINGxyz\r\n", "PING \t\r\n"] {
        peer.exchange(ping, "PONG\r\n");
    }
    peer.expect_nothing();
}

#[test]
fn what_is_no_operation_is_told_and_ends_the_connection() {
    let broker = TestBroker::open();
    let bad = [
        " PING\r\n",
        "\r\n",
        "\n",
        "\tPING\r\n",
        "MSG foo 1 0\r\n\r\n",
        "HMSG foo 1 0 0\r\n",
        "RS+ $G foo\r\n",
        "RMSG $G foo 0\r\n",
        "A+ x\r\n",
        "LS+ foo\r\n",
        "LMSG foo 0\r\n",
        "PUB\r\n",
        "UNSUB\r\n",
        "SUB\r\n",
        "PUBfoo 0\r\n",
        "GET / HTTP/1.1\r\n",
        "\0",
        "PIN\r\n",
    ];
    for bytes in bad {
        let mut peer = broker.peer();
        peer.send(bytes);
        peer.expect_end(UNKNOWN);
    }
}

#[test]
fn blanks_and_tabs_separate_and_trailing_ones_do_not_count() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB \t foo \t 1 \t\r\nPUB\tfoo   2\t \r\nhi\r\n");
    peer.expect("MSG foo 1 2\r\nhi\r\n");
    peer.exchange_only("UNSUB   1\t\r\nHPUB foo\t 0  2 \r\nhi\r\n", "");
}

#[test]
fn a_control_line_may_end_in_lf_alone_but_a_payload_may_not() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange("SUB foo 1\nPUB foo 2\nhi\r\nPING\n", "MSG foo 1 2\r\nhi\r\nPONG\r\n");
    peer.send("PUB foo 2\r\nhi\nPING\r\n");
    peer.expect_end(UNKNOWN);
}

#[test]
fn wrong_arguments_end_the_connection_silently() {
    let broker = TestBroker::open();
    let bad = [
        "PUB foo xx\r\n",
        "PUB foo -1\r\n",
        "PUB foo +1\r\n",
        "PUB foo 0x1\r\n",
        "PUB foo\r\n",
        "PUB a b c 1\r\n",
        "PUB  \r\n",
        "SUB a\r\n",
        "SUB a b c d\r\n",
        "UNSUB 1 2 3\r\n",
        "PUB foo 0000000002\r\nhi\r\n",
        "PUB foo 1e1\r\n",
        "HPUB foo 2\r\n",
        "HPUB foo x 2\r\n",
        "HPUB foo 3 2\r\nhi\r\n",
        "HPUB a b c 1 2\r\n",
        "INFO {bad\r\n",
        "-ERR 'x'\r\n",
    ];
    for bytes in bad {
        let mut peer = broker.peer();
        peer.send(bytes);
        peer.expect_end("");
    }
}

#[test]
fn sizes_have_up_to_nine_digits() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo 1\r\nPUB foo 000000002\r\nhi\r\n");
    let line = peer.line();
    assert!(line == "MSG foo 1 2" || line == "MSG foo 1 000000002", "{line}");
    peer.expect("hi\r\n");
    peer.expect_nothing();
}

#[test]
fn ok_and_info_of_a_client_are_ignored() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange("+OK\r\n+ok whatever\r\nINFO {}\r\nINFO {\"a\":[1]}\r\nPING\r\n", "PONG\r\n");
}

#[test]
fn an_argument_of_the_limit_passes_and_one_more_byte_does_not() {
    let broker = TestBroker::open();
    let subject = "a".repeat(4096 - 2);
    let mut peer = broker.peer();
    peer.exchange_only(format!("SUB {subject} 1\r\n"), "");
    peer.send(format!("SUB {subject}a 1\r\n"));
    peer.expect_end(TOO_LONG);
    let mut unauthenticated = broker.raw();
    unauthenticated.send(format!("CONNECT {{\"name\":\"{subject}\"}}\r\n"));
    unauthenticated.expect_end(TOO_LONG);
}

#[test]
fn the_limit_of_a_control_line_can_be_raised() {
    let broker = TestBroker::tuned(|options| options.max_control_line = 8192);
    let mut peer = broker.peer();
    peer.exchange_only(format!("SUB {} 1\r\n", "a".repeat(8190)), "");
    peer.send(format!("SUB {} 1\r\n", "a".repeat(8191)));
    peer.expect_end(TOO_LONG);
}

#[test]
fn a_line_without_end_is_refused_before_its_end() {
    let broker = TestBroker::open();
    for op in ["PUB ", "CONNECT ", "SUB ", "PING"] {
        let mut peer = broker.peer();
        peer.send(format!("{op}{}", "a".repeat(5000)));
        peer.expect_end(TOO_LONG);
    }
    let mut pieces = broker.peer();
    pieces.send("PUB ");
    while pieces.try_send("a".repeat(100)) {
        // Bytes that the broker no longer reads make the socket fail at some point.
    }
    let rest = String::from_utf8(pieces.rest()).unwrap();
    assert!(rest == TOO_LONG || rest.is_empty(), "{rest}");
}

#[test]
fn connect_may_come_in_any_pieces() {
    let broker = TestBroker::open();
    let connect = format!("CONNECT {QUIET}\r\nPING\r\n");
    for cut in 1..connect.len() {
        let mut peer = broker.raw();
        let (head, tail) = connect.split_at(cut);
        peer.send(head);
        peer.send(tail);
        peer.expect("PONG\r\n");
    }
    let mut drop_by_drop = broker.raw();
    for byte in connect.as_bytes() {
        drop_by_drop.send([*byte]);
    }
    drop_by_drop.expect("PONG\r\n");
}

#[test]
fn operations_before_a_bad_one_take_effect_and_are_answered_first() {
    let broker = TestBroker::open();
    let mut subscriber = broker.peer();
    subscriber.exchange_only("SUB foo 1\r\n", "");
    let mut peer = broker.peer();
    peer.send("PING\r\nPUB foo 2\r\nhi\r\nSUB own 9\r\nPUB own 1\r\nx\r\nBAD\r\nPUB foo 2\r\nno\r\n");
    peer.expect_end(&format!("PONG\r\nMSG own 9 1\r\nx\r\n{UNKNOWN}"));
    subscriber.expect("MSG foo 1 2\r\nhi\r\n");
    subscriber.expect_nothing();
}

#[test]
fn a_carriage_return_inside_an_argument_is_refused() {
    let broker = TestBroker::open();
    for bytes in ["SUB fo\ro 1\r\n", "PUB fo\ro 0\r\n\r\n", "SUB foo 1\r\r\n"] {
        let mut peer = broker.peer();
        peer.send(bytes);
        peer.expect_end(UNKNOWN);
    }
}
