//! Publish and deliver: payloads, replies and headers as bytes on the wire.

mod support;

use support::{QUIET, TestBroker};

#[test]
fn a_message_comes_back_in_the_protocols_form() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo 1\r\nPUB foo 5\r\nhello\r\n", "MSG foo 1 5\r\nhello\r\n");
    peer.exchange_only("PUB foo 0\r\n\r\n", "MSG foo 1 0\r\n\r\n");
    peer.exchange_only("PUB foo bar 2\r\nhi\r\n", "MSG foo 1 bar 2\r\nhi\r\n");
    peer.exchange_only("PUB foo a.*..b 2\r\nhi\r\n", "MSG foo 1 a.*..b 2\r\nhi\r\n");
    peer.exchange_only("HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "HMSG foo 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    peer.exchange_only("HPUB foo r 12 12\r\nNATS/1.0\r\n\r\n\r\n", "HMSG foo 1 r 12 12\r\nNATS/1.0\r\n\r\n\r\n");
}

#[test]
fn a_payload_that_does_not_end_where_it_should_is_not_delivered() {
    let broker = TestBroker::open();
    let mut subscriber = broker.peer();
    subscriber.exchange_only("SUB foo 1\r\n", "");
    for bytes in ["PUB foo 5\r\nabc\r\nPING\r\n", "PUB foo 2\r\nhixx", "PUB foo 0\r\nPING\r\n"] {
        let mut peer = broker.peer();
        peer.send(bytes);
        peer.expect_end("-ERR 'Unknown Protocol Operation'\r\n");
    }
    subscriber.expect_nothing();
}

#[test]
fn a_payload_may_hold_anything() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    let payload: Vec<u8> = b"\r\nPING\r\n-ERR 'x'\r\n".iter().copied().chain(0..=255).collect();
    let size = payload.len();
    peer.exchange_only(
        [format!("SUB foo 1\r\nPUB foo {size}\r\n").as_bytes(), &payload, b"\r\n"].concat(),
        [format!("MSG foo 1 {size}\r\n").as_bytes(), &payload, b"\r\n"].concat(),
    );
}

#[test]
fn the_payload_limit_passes_and_one_byte_more_does_not() {
    let broker = TestBroker::tuned(|options| options.max_payload = 1000);
    let mut peer = broker.peer();
    assert_eq!(peer.info()["max_payload"], 1000);
    let payload = "x".repeat(1000);
    peer.exchange_only(
        format!("SUB foo 1\r\nPUB foo 1000\r\n{payload}\r\n"),
        format!("MSG foo 1 1000\r\n{payload}\r\n"),
    );
    let with_header = format!("NATS/1.0\r\n\r\n{}", "x".repeat(988));
    peer.exchange_only(
        format!("HPUB foo 12 1000\r\n{with_header}\r\n"),
        format!("HMSG foo 1 12 1000\r\n{with_header}\r\n"),
    );
    // Told before the payload arrives.
    for line in ["PUB foo 1001\r\n", "HPUB foo 12 1001\r\n", "PUB foo 999999999\r\n"] {
        let mut peer = broker.peer();
        peer.send(line);
        peer.expect_end("-ERR 'Maximum Payload Violation'\r\n");
    }
}

#[test]
fn receivers_without_headers_get_the_payload_alone() {
    let broker = TestBroker::open();
    let mut plain = broker.peer_with(r#"{"verbose":false,"headers":false}"#);
    plain.exchange_only("SUB foo 1\r\n", "");
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo 2\r\n", "");
    peer.exchange("HPUB foo r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "HMSG foo 2 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    plain.expect("MSG foo 1 r 2\r\nhi\r\n");
}

#[test]
fn headers_must_have_been_negotiated() {
    let broker = TestBroker::open();
    for connect in [r#"{"verbose":false}"#, r#"{"verbose":false,"headers":false}"#] {
        let mut peer = broker.peer_with(connect);
        peer.send("HPUB foo 12 12\r\nNATS/1.0\r\n\r\n\r\n");
        peer.expect_end("");
    }
    let mut silent = broker.raw();
    silent.send("HPUB foo 0 0\r\n\r\n");
    silent.expect_end("");
}

#[test]
fn header_sizes_must_fit_and_an_empty_header_is_none() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo 1\r\nHPUB foo 0 2\r\nhi\r\n", "MSG foo 1 2\r\nhi\r\n");
    peer.send("HPUB foo 3 2\r\nhi\r\n");
    peer.expect_end("");
}

#[test]
fn header_blocks_pass_unread() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo 1\r\n", "");
    for block in [
        "NATS/1.0\r\nB: 2\r\nA: 1\r\na:  1 \r\nB: 3\r\n\r\n",
        "xyz",
        "NATS/1.0 503\r\n\r\n",
        "NATS/1.0\r\nname: sp\u{e4}ti\r\n\r\n",
    ] {
        let (header, total) = (block.len(), block.len() + 2);
        peer.exchange_only(
            format!("HPUB foo {header} {total}\r\n{block}hi\r\n"),
            format!("HMSG foo 1 {header} {total}\r\n{block}hi\r\n"),
        );
    }
}

#[test]
fn without_echo_nothing_comes_back() {
    let broker = TestBroker::open();
    let mut other = broker.peer();
    other.exchange_only("SUB foo 7\r\n", "");
    let mut peer = broker.peer_with(&QUIET.replace("\"headers\"", "\"echo\":false,\"headers\""));
    peer.exchange_only("SUB foo 1\r\nSUB foo q 2\r\nSUB > 3\r\nPUB foo 0\r\n\r\n", "");
    other.exchange_only("PUB foo 0\r\n\r\n", "MSG foo 7 0\r\n\r\nMSG foo 7 0\r\n\r\n");
    let got = String::from_utf8(peer.fenced()).unwrap();
    assert_eq!(got.matches("MSG foo ").count(), 3, "{got}");
}

#[test]
fn each_matching_subscription_gets_its_own_copy() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo.bar 1\r\nSUB foo.* 2\r\nPUB foo.bar 2\r\nhi\r\n");
    let got = String::from_utf8(peer.fenced()).unwrap();
    let (first, second) = ("MSG foo.bar 1 2\r\nhi\r\n", "MSG foo.bar 2 2\r\nhi\r\n");
    assert!(got == format!("{first}{second}") || got == format!("{second}{first}"), "{got}");
}

#[test]
fn every_split_of_the_bytes_gives_the_same_deliveries() {
    let broker = TestBroker::open();
    let mut subscriber = broker.peer();
    subscriber.exchange_only("SUB foo 1\r\n", "");
    let mut peer = broker.peer();
    let stream = b"PUB foo 11\r\nhello\r\nworl\r\nHPUB foo re 12 14\r\nNATS/1.0\r\n\r\nhi\r\n";
    for cut in 1..stream.len() {
        peer.send(&stream[..cut]);
        peer.send(&stream[cut..]);
        subscriber.expect("MSG foo 1 11\r\nhello\r\nworl\r\nHMSG foo 1 re 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    }
    for byte in stream {
        peer.send([*byte]);
    }
    subscriber.expect("MSG foo 1 11\r\nhello\r\nworl\r\nHMSG foo 1 re 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
}

#[test]
fn large_messages_arrive_whole() {
    let broker = TestBroker::open();
    let mut receivers = [(1, broker.peer()), (7, broker.peer())];
    for (sid, receiver) in &mut receivers {
        receiver.exchange_only(format!("SUB big {sid}\r\n"), "");
    }
    let mut peer = broker.peer();
    for size in [8 * 1024, 65_535, 262_144, 300_000, 1_048_576] {
        let payload: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
        peer.send([format!("PUB big {size}\r\n").as_bytes(), &payload, b"\r\n"].concat());
        for (sid, receiver) in &mut receivers {
            receiver.expect([format!("MSG big {sid} {size}\r\n").as_bytes(), &payload, b"\r\n"].concat());
        }
    }
}

#[test]
fn a_closed_receiver_does_not_disturb_the_others() {
    let broker = TestBroker::open();
    let mut stays = broker.peer();
    stays.exchange_only("SUB foo 1\r\n", "");
    let mut peer = broker.peer();
    for _ in 0..20 {
        let mut leaves = broker.peer();
        leaves.exchange_only("SUB foo 1\r\n", "");
        drop(leaves);
        peer.exchange_only("PUB foo 0\r\n\r\n", "");
        stays.expect("MSG foo 1 0\r\n\r\n");
    }
}

#[test]
fn every_delivery_and_its_bytes_are_counted() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    // Two receive `foo`; the second reads no headers, so that it gets the payload alone.
    let mut other = broker.peer_with(r#"{"verbose":false,"headers":false}"#);
    other.exchange_only("SUB foo 7\r\n", "");
    peer.exchange_only("SUB foo 1\r\n", "");
    peer.exchange_only("PUB foo 5\r\nhello\r\nPUB nobody 9\r\nunwanted!\r\n", "MSG foo 1 5\r\nhello\r\n");
    peer.exchange_only("HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "HMSG foo 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    // One more round trip: what a read has delivered is added when it is worked off.
    peer.exchange_only("", "");
    let figures = broker.running.broker.tenants.traffic();
    assert_eq!((figures.out_messages, figures.out_bytes), (4, 5 + 5 + 14 + 2));
    assert_eq!(figures.in_messages, 3);
}
