//! WebSocket, by raw sockets: requests, frames, closing. The numbers are those of checklist 7.1.

mod support;

use std::time::{Duration, Instant};

use cordon_server::WebsocketOptions;
use support::websocket::{
    ACCEPT, BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, Socket, TEXT, deflate, dial, good, masked, numbers,
    request, unmasked,
};
use support::{QUIET, TestBroker};

fn broker(change: impl FnOnce(&mut WebsocketOptions)) -> TestBroker {
    let mut own = WebsocketOptions::default();
    change(&mut own);
    TestBroker::tuned(|options| options.websocket = Some(own))
}

/// A client that has read INFO.
fn raw(broker: &TestBroker, more: &[(&str, &str)]) -> Socket {
    let mut socket = Socket::open(dial(broker), more);
    socket.info();
    socket
}

/// A client after CONNECT.
fn client(broker: &TestBroker) -> Socket {
    let mut socket = raw(broker, &[]);
    socket.exchange(format!("CONNECT {QUIET}\r\nPING\r\n"), "PONG\r\n");
    socket
}

/// The answer to a request.
fn answer(broker: &TestBroker, request: &str) -> Socket {
    Socket::asking(dial(broker), request)
}

/// A good request, but for one header; left out without a value.
fn but(name: &str, value: Option<&str>) -> String {
    let mut headers = good();
    headers.retain(|(own, _)| *own != name);
    let mut headers: Vec<(&str, &str)> = headers.into_iter().collect();
    headers.extend(value.map(|value| (name, value)));
    request("GET / HTTP/1.1", &headers)
}

#[test]
fn w1_the_key_is_answered() {
    let broker = broker(|_| {});
    let socket = answer(&broker, &request("GET / HTTP/1.1", &good()));
    assert_eq!(socket.status(), "101");
    assert!(socket.answered(&format!("Sec-WebSocket-Accept: {ACCEPT}")), "{}", socket.head);
    assert!(socket.answered("Upgrade: websocket") && socket.answered("Connection: Upgrade"));
    assert!(!socket.head.to_lowercase().contains("extensions"), "{}", socket.head);
    assert!(!socket.head.to_lowercase().contains("protocol:"), "{}", socket.head);
}

#[test]
fn w2_w3_every_part_of_the_request_counts() {
    let broker = broker(|_| {});
    let cases = [
        (request("POST / HTTP/1.1", &good()), "405"),
        (request("get / HTTP/1.1", &good()), "405"),
        (but("Host", None), "400"),
        (but("Host", Some("")), "400"),
        (but("Upgrade", None), "400"),
        (but("Upgrade", Some("h2c")), "400"),
        (but("Connection", None), "400"),
        (but("Connection", Some("keep-alive")), "400"),
        (but("Sec-WebSocket-Key", None), "400"),
        (but("Sec-WebSocket-Key", Some("AAAA")), "400"),
        (but("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZSE=")), "400"),
        (but("Sec-WebSocket-Key", Some("not base64 at all!!!!!==")), "400"),
        (but("Sec-WebSocket-Version", None), "400"),
        (but("Sec-WebSocket-Version", Some("8")), "400"),
        (request("GET / HTTP/1.0", &good()), "400"),
        ("CONNECT {\"verbose\":false}\r\nPING\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost localhost\r\n\r\n".to_owned(), "400"),
    ];
    for (request, status) in cases {
        let mut socket = answer(&broker, &request);
        assert_eq!(socket.status(), status, "{request}");
        assert!(socket.answered("Sec-Websocket-Version: 13"), "{}", socket.head);
        assert!(String::from_utf8(socket.rest()).unwrap().ends_with('\n'));
    }
}

#[test]
fn w4_tokens_are_found_in_lists_and_in_any_case() {
    let broker = broker(|_| {});
    for request in [
        but("Connection", Some("keep-alive, Upgrade")),
        but("Connection", Some("upgrade")),
        but("Upgrade", Some("foo, WebSocket")),
        but("Sec-WebSocket-Version", Some("8, 13")),
        but("Upgrade", Some("h2c\r\nUPGRADE: websocket")),
    ] {
        assert_eq!(answer(&broker, &request).status(), "101", "{request}");
    }
}

#[test]
fn w5_w6_any_path_is_a_client_but_those_of_others() {
    let broker = broker(|_| {});
    let paths = ["/", "/x/y?z=/mqtt", "/leafnodes", "/mqtt/", "/a%2Fmqtt", "/x#/leafnode"];
    for (path, status) in paths.map(|path| (path, "101")).into_iter().chain([
        ("/mqtt", "404"),
        ("/p/mqtt", "404"),
        ("/mqtt?x", "404"),
        ("/leafnode", "404"),
        ("/x/y/leafnode", "404"),
    ]) {
        let socket = answer(&broker, &request(&format!("GET {path} HTTP/1.1"), &good()));
        assert_eq!(socket.status(), status, "{path}");
    }
}

#[test]
fn w7_to_w10_pages_of_other_sites_are_refused() {
    let other = ("Origin", "http://other.example");
    let same = ("Origin", "http://localhost");
    let listed = ("Origin", "http://ok.example");
    let old = ("Sec-WebSocket-Origin", "http://other.example");
    let ask = |broker: &TestBroker, more: &[(&str, &str)]| {
        answer(broker, &request("GET / HTTP/1.1", &[&good(), more].concat())).status().to_owned()
    };
    let open = broker(|_| {});
    assert_eq!(ask(&open, &[other]), "101");
    let strict = broker(|own| own.origins.same = true);
    for (more, status) in [
        (&[][..], "101"),
        (&[same], "101"),
        (&[other], "403"),
        (&[("Origin", "https://localhost")], "403"),
        (&[("Origin", "http://localhost:81")], "403"),
        (&[("Origin", "null")], "403"),
        (&[old], "403"),
        (&[same, old], "101"),
    ] {
        assert_eq!(ask(&strict, more), status, "{more:?}");
    }
    let listing = |same| {
        broker(move |own| {
            own.origins.same = same;
            own.origins.allowed = vec!["http://ok.example:80".parse().unwrap()];
        })
    };
    let list = listing(false);
    for (more, status) in [(listed, "101"), (same, "403"), (("Origin", "https://ok.example"), "403")] {
        assert_eq!(ask(&list, &[more]), status, "{more:?}");
    }
    let both = listing(true);
    assert_eq!([ask(&both, &[listed]), ask(&both, &[same]), ask(&both, &[])], ["403", "403", "101"]);
}

#[test]
fn w12_w13_clients_must_mask() {
    let broker = broker(|_| {});
    let mut socket = raw(&broker, &[("Nats-No-Masking", "true")]);
    assert!(!socket.head.contains("No-Masking"), "{}", socket.head);
    socket.send(unmasked(FIN | BINARY, b"PING\r\n"));
    socket.expect_close(1002, "a frame without a mask");
}

#[test]
fn w14_an_offer_of_compression_is_met_with_our_own_parameters() {
    let offer = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits; server_max_window_bits=8");
    let on = broker(|own| own.compression = true);
    let socket = raw(&on, &[offer]);
    let line = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert!(socket.answered(line), "{}", socket.head);
    assert!(!raw(&on, &[]).head.contains("Extensions"));
    assert!(!raw(&on, &[("Sec-WebSocket-Extensions", "x-webkit-deflate-frame")]).head.contains("Extensions"));
    assert!(!raw(&broker(|_| {}), &[offer]).head.contains("Extensions"));
}

const DEFLATE: (&str, &str) = ("Sec-WebSocket-Extensions", "permessage-deflate");

/// A client after CONNECT, compressing.
fn compressing(broker: &TestBroker, more: &[(&str, &str)]) -> Socket {
    let mut socket = raw(broker, &[&[DEFLATE], more].concat());
    socket.say_compressed(format!("CONNECT {QUIET}\r\nPING\r\n"));
    socket.expect("PONG\r\n");
    socket
}

#[test]
fn w15_short_output_is_not_compressed() {
    let broker = broker(|own| own.compression = true);
    let mut socket = compressing(&broker, &[]);
    assert_eq!(socket.frames, [(FIN | BINARY, 6)], "PONG is short");
    socket.frames.clear();
    let payload = "x".repeat(48);
    socket.exchange(format!("SUB a 1\r\nPUB a 48\r\n{payload}\r\n"), format!("MSG a 1 48\r\n{payload}\r\n"));
    assert_eq!(socket.frames, [(FIN | BINARY, 62)]);
    let payload = "x".repeat(500);
    socket.exchange(format!("PUB a 500\r\n{payload}\r\n"), format!("MSG a 1 500\r\n{payload}\r\n"));
    let (first, len) = socket.frames[1];
    assert!(first == FIN | RSV1 | BINARY && len < 100, "{first:x} {len}");
}

#[test]
fn w16_reserved_bits_end_the_connection() {
    let plain = broker(|_| {});
    let on = broker(|own| own.compression = true);
    for (frames, negotiated) in [
        (masked(FIN | RSV1 | BINARY, &deflate(b"PING\r\n")), false),
        (masked(FIN | 0x20 | BINARY, b"PING\r\n"), false),
        (masked(FIN | 0x10 | BINARY, b"PING\r\n"), false),
        (masked(FIN | 0x20 | BINARY, b"PING\r\n"), true),
        (masked(FIN | RSV1 | PING, b""), true),
        ([masked(BINARY, b"PI"), masked(FIN | RSV1 | CONTINUATION, b"NG\r\n")].concat(), true),
    ] {
        let mut socket = if negotiated { raw(&on, &[DEFLATE]) } else { raw(&plain, &[]) };
        socket.send(&frames);
        socket.expect_closed_as(1002);
    }
}

#[test]
fn w17_what_is_inflated_has_a_bound() {
    let broker = broker(|own| own.compression = true);
    let mut socket = compressing(&broker, &[]);
    let payload = "0123456789abcdef".repeat(65536);
    let message = format!("SUB a 1\r\nPUB a {}\r\n{payload}\r\nPING\r\n", payload.len());
    socket.say_compressed(&message);
    socket.expect(format!("MSG a 1 {}\r\n{payload}\r\nPONG\r\n", payload.len()));
    // Many of them, more than a payload's worth, and less than the bound.
    let batch = format!("PUB b {}\r\n{payload}\r\n", payload.len()).repeat(4);
    socket.say_compressed(format!("{batch}PING\r\n"));
    socket.expect("PONG\r\n");
    // Good operations all, but a bomb.
    let bomb = "PING\r\n".repeat(9 << 20);
    let bomb = deflate(&bomb.as_bytes()[..(9 << 20)]);
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    socket.try_send(masked(FIN | RSV1 | BINARY, &bomb));
    let mut pongs = 0;
    loop {
        let (first, payload) = socket.next().expect("a close frame");
        if first == FIN | CLOSE {
            assert_eq!(u16::from_be_bytes([payload[0], payload[1]]), 1009);
            break;
        }
        pongs += 1;
    }
    assert!(pongs > 0);
    assert_eq!(socket.next(), None);
}

#[test]
fn w17_a_damaged_message_ends_the_connection() {
    let broker = broker(|own| own.compression = true);
    for bad in [&[0x07, 1, 2, 3][..], &[0xff; 100], &[0x00, 0x05, 0x00, 0x00, 0x00]] {
        let mut socket = raw(&broker, &[DEFLATE]);
        socket.frame(FIN | RSV1 | BINARY, bad);
        socket.expect_closed_as(1002);
    }
}

#[test]
fn w17_compressed_messages_may_be_in_pieces() {
    let broker = broker(|own| own.compression = true);
    let mut socket = compressing(&broker, &[]);
    let payload = numbers(20_000);
    let message = deflate(format!("SUB a 1\r\nPUB a {}\r\n{payload}\r\n", payload.len()).as_bytes());
    let (last, pieces) = message.chunks(1000).collect::<Vec<_>>().split_last().map(|(l, p)| (*l, p.to_vec())).unwrap();
    for (place, piece) in pieces.iter().enumerate() {
        socket.frame(if place == 0 { RSV1 | BINARY } else { CONTINUATION }, piece);
    }
    socket.frame(FIN | PING, b"in between");
    socket.expect_frame(FIN | PONG, b"in between");
    socket.frame(FIN | CONTINUATION, last);
    socket.expect(format!("MSG a 1 {}\r\n{payload}\r\n", payload.len()));
}

#[test]
fn w18_info_is_that_of_the_listener() {
    let broker = broker(|own| own.advertise = Some("adv.example:99".to_owned()));
    let address = broker.running.websocket_address.unwrap();
    let mut socket = Socket::open(dial(&broker), &[]);
    let info = socket.info();
    assert_eq!((info["host"].as_str(), info["port"].as_u64()), (Some("127.0.0.1"), Some(u64::from(address.port()))));
    assert_ne!(address.port(), broker.running.client_address.port());
    for absent in ["tls_required", "tls_available", "ws_connect_urls", "connect_urls"] {
        assert!(info.get(absent).is_none(), "{absent}: {info}");
    }
    assert_eq!(info["client_ip"], "127.0.0.1");
}

#[test]
fn w19_control_frames_come_between_fragments() {
    let broker = broker(|_| {});
    let mut socket = client(&broker);
    socket.send([masked(BINARY, b"PI"), masked(FIN | PING, b"hello"), masked(FIN | CONTINUATION, b"NG\r\n")].concat());
    socket.expect_frame(FIN | PONG, b"hello");
    socket.expect_frame(FIN | BINARY, b"PONG\r\n");
    socket.frame(FIN | PONG, b"nobody asked");
    socket.exchange("PING\r\n", "PONG\r\n");
}

#[test]
fn w19_only_the_last_of_many_pings_must_be_answered() {
    let broker = broker(|_| {});
    let mut socket = client(&broker);
    let pings: Vec<u8> = (0..100u8).flat_map(|n| masked(FIN | PING, &[n])).collect();
    socket.send(pings);
    while socket.next() != Some((FIN | PONG, vec![99])) {}
    socket.exchange("PING\r\n", "PONG\r\n");
}

#[test]
fn w20_messages_and_operations_have_nothing_to_do_with_one_another() {
    let broker = broker(|_| {});
    let mut socket = client(&broker);
    socket.exchange("SUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n", "MSG a 1 1\r\nx\r\nPONG\r\n");
    for byte in "PUB a 3\r\nxyz\r\n".bytes() {
        socket.frame(FIN | BINARY, [byte]);
        socket.frame(FIN | BINARY, b"");
    }
    socket.expect("MSG a 1 3\r\nxyz\r\n");
    // Every byte of the frames by itself.
    for byte in masked(FIN | BINARY, b"PUB a 3\r\nabc\r\n") {
        socket.send([byte]);
    }
    socket.expect("MSG a 1 3\r\nabc\r\n");
}

#[test]
fn w20_large_messages_pass_in_frames_of_any_size() {
    let broker = broker(|_| {});
    let mut socket = client(&broker);
    socket.exchange("SUB a 1\r\nPING\r\n", "PONG\r\n");
    let payload = numbers(90_000);
    let message = format!("PUB a {}\r\n{payload}\r\nPING\r\n", payload.len());
    let expected = format!("MSG a 1 {}\r\n{payload}\r\nPONG\r\n", payload.len());
    socket.exchange(&message, &expected);
    for size in [1000, 4096, 65_535, 65_536, 300_000] {
        let frames: Vec<u8> = message.as_bytes().chunks(size).flat_map(|piece| masked(FIN | BINARY, piece)).collect();
        socket.send(frames);
        socket.expect(&expected);
    }
}

#[test]
fn w21_text_is_data_and_output_is_binary() {
    let broker = broker(|_| {});
    let mut socket = client(&broker);
    socket.frame(FIN | TEXT, b"PING\r\n");
    socket.expect_frame(FIN | BINARY, b"PONG\r\n");
}

#[test]
fn w22_w23_broken_frames_end_the_connection() {
    let broker = broker(|_| {});
    let top_bit = [FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4].to_vec();
    for frames in [
        masked(FIN | PING, &[0; 126]),
        masked(PING, b"half"),
        masked(CLOSE, b""),
        masked(FIN | 3, b"PING\r\n"),
        masked(FIN | 0xb, b""),
        masked(FIN | CONTINUATION, b"PING\r\n"),
        [masked(BINARY, b"PI"), masked(FIN | BINARY, b"NG\r\n")].concat(),
        top_bit,
    ] {
        let mut socket = client(&broker);
        socket.send(&frames);
        socket.expect_closed_as(1002);
    }
    broker.until("all are told apart", |broker| {
        broker.connections.closed().iter().filter(|closed| closed.reason == "Protocol Violation").count() == 8
    });
}

#[test]
fn w23_a_frame_costs_what_it_holds_and_not_what_it_announces() {
    let broker = broker(|_| {});
    let mut socket = client(&broker);
    let huge = [FIN | BINARY, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    socket.send([&huge[..], b"PING\r\nPING\r\n"].concat());
    socket.expect("PONG\r\nPONG\r\n");
}

#[test]
fn w24_the_peers_close_is_answered() {
    let broker = broker(|_| {});
    let close = |status: u16, reason: &[u8]| [&status.to_be_bytes(), reason].concat();
    for (payload, answer) in [
        (close(1000, b"bye"), Some(close(1000, b"bye"))),
        (close(1001, b""), Some(close(1001, b""))),
        (close(4999, b""), Some(close(4999, b""))),
        (vec![], Some(vec![])),
        (vec![3], None),
        (close(1005, b""), None),
        (close(1006, b""), None),
        (close(1015, b""), None),
        (close(1016, b""), None),
        (close(2999, b""), None),
        (close(5000, b""), None),
        (close(999, b""), None),
    ] {
        let mut socket = client(&broker);
        socket.frame(FIN | CLOSE, &payload);
        match answer {
            Some(answer) => {
                socket.expect_frame(FIN | CLOSE, answer);
                assert_eq!(socket.next(), None);
            }
            None => socket.expect_closed_as(1002),
        }
    }
    let mut socket = client(&broker);
    socket.frame(FIN | CLOSE, close(1000, &[0xff, 0xfe]));
    socket.expect_closed_as(1007);
    let mut socket = client(&broker);
    socket.send(
        [masked(FIN | BINARY, b"PING\r\n"), masked(FIN | CLOSE, b""), masked(FIN | BINARY, b"PING\r\n")].concat(),
    );
    socket.expect("PONG\r\n");
    socket.expect_frame(FIN | CLOSE, b"");
    assert_eq!(socket.next(), None, "nothing behind a close counts");
}

#[test]
fn w26_w28_breaches_are_told_and_closed_with_their_status() {
    let broker = broker(|_| {});
    for (said, error, status, reason) in [
        ("PUB a 2000000\r\n", "Maximum Payload Violation", 1009, "Maximum Message Payload Exceeded"),
        ("NONSENSE\r\n", "Unknown Protocol Operation", 1002, "Protocol Violation"),
    ] {
        let mut socket = client(&broker);
        socket.exchange(said, format!("-ERR '{error}'\r\n"));
        socket.expect_close(status, reason);
    }
    let mut socket = client(&broker);
    socket.exchange(format!("SUB {} 1\r\n", "x".repeat(5000)), "-ERR 'maximum control line exceeded'\r\n");
    socket.expect_close(1008, "Maximum Control Line Exceeded");
}

#[test]
fn w27_a_broker_that_stops_says_so() {
    let broker = broker(|_| {});
    let mut socket = client(&broker);
    broker.block_on(broker.running.shutdown());
    socket.expect_close(1001, "Server Shutdown");
    assert!(std::net::TcpStream::connect(broker.running.websocket_address.unwrap()).is_err());
}

#[test]
fn w27_a_stale_peer_is_told() {
    let broker = broker(|own| own.ping_interval = Some(Duration::from_millis(50)));
    let mut socket = client(&broker);
    socket.expect("PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
    socket.expect_close(1001, "Stale Connection");
}

#[test]
fn w34_a_silent_peer_has_its_time() {
    let broker = broker(|own| own.handshake_timeout = Duration::from_millis(200));
    for said in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let begun = Instant::now();
        let mut socket = Socket::new(dial(&broker));
        socket.send(said);
        assert_eq!(socket.rest(), b"");
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }
    broker.until("it is remembered", |broker| {
        broker.connections.closed().iter().filter(|closed| closed.reason == "Authentication Timeout").count() == 2
    });
}

#[test]
fn w34_nothing_may_follow_the_request() {
    let broker = broker(|_| {});
    let early = [request("GET / HTTP/1.1", &good()).into_bytes(), masked(FIN | BINARY, b"PING\r\n")].concat();
    let mut socket = Socket::new(dial(&broker));
    socket.send(early);
    assert_eq!(socket.rest(), b"");
}

#[test]
fn w35_further_headers_are_sent() {
    let broker = broker(|own| own.headers = vec![("X-Mine".to_owned(), "a b".to_owned())]);
    assert!(raw(&broker, &[]).answered("X-Mine: a b"));
}

#[test]
fn w36_browsers_get_short_frames() {
    let broker = broker(|own| own.compression = true);
    let safari = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/17.0 Safari/605.1.15";
    let payload = numbers(3000);
    let message = format!("PUB a {}\r\n{payload}\r\n", payload.len());
    let expected = format!("MSG a 1 {}\r\n{payload}\r\n", payload.len());
    let frames = |mut socket: Socket| {
        socket.exchange("SUB a 1\r\nPING\r\n", "PONG\r\n");
        socket.frames.clear();
        socket.exchange(&message, &expected);
        socket.frames
    };
    let whole = frames(raw_client(&broker, &[]));
    assert_eq!(whole, [(FIN | BINARY, expected.len())]);
    let short = frames(raw_client(&broker, &[("User-Agent", "Mozilla/5.0")]));
    let (last, full) = short.split_last().unwrap();
    assert!(full.iter().all(|frame| *frame == (FIN | BINARY, 4096)) && last.0 == FIN | BINARY, "{short:?}");
    let compressed = frames(compressing(&broker, &[("User-Agent", "Mozilla/5.0")]));
    assert_eq!(compressed[0], (RSV1 | BINARY, 4096));
    let (last, rest) = compressed[1..].split_last().unwrap();
    assert!(rest.iter().all(|frame| *frame == (CONTINUATION, 4096)) && last.0 == FIN | CONTINUATION, "{compressed:?}");
    let unbroken = frames(compressing(&broker, &[("User-Agent", safari)]));
    assert!(unbroken.len() == 1 && unbroken[0].0 == FIN | RSV1 | BINARY && unbroken[0].1 > 4096, "{unbroken:?}");
}

/// A client after CONNECT that asked with more headers.
fn raw_client(broker: &TestBroker, more: &[(&str, &str)]) -> Socket {
    let mut socket = raw(broker, more);
    socket.exchange(format!("CONNECT {QUIET}\r\nPING\r\n"), "PONG\r\n");
    socket
}

#[test]
fn w38_a_request_has_a_bound() {
    let broker = broker(|_| {});
    let long = "x".repeat(9000);
    for headers in [vec![("X-Long", long.as_str())], vec![("X-Many", "x"); 100]] {
        let mut socket = Socket::new(dial(&broker));
        socket.try_send(request("GET / HTTP/1.1", &[good(), headers].concat()));
        socket.read_head();
        assert_eq!(socket.status(), "431");
    }
}
