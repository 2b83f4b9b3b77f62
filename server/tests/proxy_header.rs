//! Clients behind a proxy that says where they are.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use cordon_accounts::claims::{Network, PermissionsClaim};
use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_auth::throttle::ThrottleOptions;
use cordon_server::listener::proxy::ProxyHeaders;
use cordon_server::tenant::directory::Tenants;
use cordon_server::{BrokerOptions, HandshakeFirst, WebsocketOptions};
use support::tenant::TestTenant;
use support::tls::Certificates;
use support::websocket::{Socket, dial};
use support::{Peer, QUIET, TestBroker, users};

const HEADER: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 4222\r\n";
const HERE: &str = "127.0.0.0/8";

fn of(network: &str) -> ProxyHeaders {
    ProxyHeaders::Of(vec![Network::parse(network).unwrap()])
}

fn broker(proxies: ProxyHeaders) -> TestBroker {
    TestBroker::tuned(|options| options.proxies = proxies)
}

/// Version 2 of [`HEADER`].
fn binary() -> Vec<u8> {
    let block = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x10, 0x7e];
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &block].concat()
}

/// A socket on which these bytes were sent first.
fn behind(broker: &TestBroker, first: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = broker.socket();
    stream.write_all(first.as_ref()).unwrap();
    stream
}

/// Where the only client is, as the broker has it.
fn seen(broker: &TestBroker) -> SocketAddr {
    let open = broker.running.broker.connections.open();
    assert_eq!(open.len(), 1);
    open.first().unwrap().peer()
}

fn connect(peer: &mut Peer) {
    peer.exchange(format!("CONNECT {QUIET}\r\nPING\r\n"), "PONG\r\n");
}

/// The reason why the last connection closed.
fn closed_as(broker: &TestBroker, reason: &'static str) {
    broker.until(reason, |broker| broker.connections.closed().iter().any(|closed| closed.reason == reason));
    assert_eq!(broker.running.broker.connections.count(), 0);
}

#[test]
fn the_address_that_a_proxy_tells_is_the_clients() {
    for (proxies, first) in [
        (of(HERE), HEADER.as_bytes().to_vec()),
        (of(HERE), binary()),
        (ProxyHeaders::OfAnybody, HEADER.as_bytes().to_vec()),
        (ProxyHeaders::OfAnybody, binary()),
    ] {
        let broker = broker(proxies);
        let mut peer = Peer::new(behind(&broker, first));
        peer.read_info();
        assert!(peer.info().get("client_ip").is_none(), "it is not known before the header");
        peer.send(format!("CONNECT {}\r\nPING\r\n", QUIET.replace('{', "{\"protocol\":1,")));
        peer.expect("PONG\r\n");
        let later = String::from_utf8(peer.until("\r\n")).unwrap();
        assert!(later.contains(r#""client_ip":"192.0.2.7""#), "{later}");
        assert_eq!(seen(&broker), "192.0.2.7:4711".parse().unwrap());
        peer.exchange_only("SUB a 1\r\nPUB a 1\r\nx\r\n", "MSG a 1 1\r\nx\r\n");
    }
}

#[test]
fn a_header_may_come_in_pieces_and_together_with_connect() {
    let broker = broker(of(HERE));
    let mut stream = broker.socket();
    let mut peer = Peer::of(&stream);
    peer.read_info();
    for piece in binary().chunks(5) {
        stream.write_all(piece).unwrap();
        stream.flush().unwrap();
        std::thread::yield_now();
    }
    connect(&mut peer);
    let mut second = Peer::new(behind(&broker, format!("{HEADER}CONNECT {QUIET}\r\nPING\r\n")));
    second.read_info();
    second.expect("PONG\r\n");
}

#[test]
fn a_proxy_may_speak_for_itself() {
    for first in [b"PROXY UNKNOWN\r\n".as_slice(), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let broker = broker(of(HERE));
        let mut peer = Peer::new(behind(&broker, first));
        peer.read_info();
        connect(&mut peer);
        assert!(seen(&broker).ip().is_loopback());
    }
}

#[test]
fn who_is_not_named_is_not_believed() {
    for proxies in [ProxyHeaders::Off, of("192.0.2.0/24")] {
        let broker = broker(proxies);
        let mut honest = broker.raw();
        assert_eq!(honest.info()["client_ip"], "127.0.0.1");
        connect(&mut honest);
        assert!(seen(&broker).ip().is_loopback());
        drop(honest);
        let mut liar = Peer::new(behind(&broker, HEADER));
        liar.read_info();
        assert!(String::from_utf8_lossy(&liar.rest()).contains("-ERR 'Unknown Protocol Operation'"));
        broker.until("both are gone", |broker| broker.connections.count() == 0);
        let closed = broker.running.broker.connections.closed();
        assert!(closed.iter().all(|closed| closed.peer.ip().is_loopback()));
    }
}

#[test]
fn a_named_proxy_must_send_one_and_anybody_may() {
    let strict = broker(of(HERE));
    let mut peer = Peer::new(behind(&strict, format!("CONNECT {QUIET}\r\nPING\r\n")));
    peer.read_info();
    assert!(peer.rest().is_empty());
    closed_as(&strict, "Protocol Violation");
    let open = broker(ProxyHeaders::OfAnybody);
    let mut peer = open.raw();
    connect(&mut peer);
    assert!(seen(&open).ip().is_loopback());
}

#[test]
fn a_bad_header_ends_the_connection() {
    for first in [
        b"PROXY TCP4 ::1 ::1 1 2\r\n".as_slice(),
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &[b"PROXY ".as_slice(), &[b'x'; 200]].concat(),
    ] {
        for proxies in [of(HERE), ProxyHeaders::OfAnybody] {
            let broker = broker(proxies);
            let mut peer = Peer::new(behind(&broker, first));
            peer.read_info();
            peer.try_send(format!("CONNECT {QUIET}\r\nPING\r\n"));
            assert!(!String::from_utf8_lossy(&peer.rest()).contains("PONG"));
            closed_as(&broker, "Protocol Violation");
        }
    }
}

#[test]
fn a_header_has_the_time_for_connect_and_no_more() {
    for (first, reason) in [
        (b"".as_slice(), "Authentication Timeout"),
        (b"PROX", "Authentication Timeout"),
        (b"PROXY TCP4 192.0.2.7", "Protocol Violation"),
    ] {
        let broker = TestBroker::tuned(|options| {
            options.proxies = of(HERE);
            options.auth_timeout = Duration::from_millis(50);
        });
        let mut peer = Peer::new(behind(&broker, first));
        peer.read_info();
        assert!(peer.rest().is_empty());
        closed_as(&broker, reason);
    }
    let broker = broker(of(HERE));
    let stream = behind(&broker, "PROXY TCP4 1");
    stream.shutdown(Shutdown::Write).unwrap();
    closed_as(&broker, "Protocol Violation");
}

#[test]
fn who_waits_for_a_header_has_a_place_among_the_connections() {
    let broker = TestBroker::tuned(|options| {
        options.proxies = of(HERE);
        options.max_connections = 1;
    });
    let _first = broker.raw();
    let mut second = broker.raw();
    second.expect_end("-ERR 'maximum connections exceeded'\r\n");
}

#[test]
fn credentials_count_from_where_the_proxy_says() {
    let options = BrokerOptions { proxies: of(HERE), ..BrokerOptions::default() };
    let (broker, tenant) = TestTenant::start_with(options, |_| {});
    for (network, allowed) in [("192.0.2.0/24", true), ("127.0.0.0/8", false)] {
        let mut peer = Peer::new(behind(&broker, HEADER));
        peer.read_info();
        let credentials = tenant.credentials(&peer, |user| user.nats.template.src = vec![network.to_owned()]);
        peer.send(format!("CONNECT {{\"verbose\":false,{credentials}}}\r\nPING\r\n"));
        let answer = if allowed { "PONG\r\n" } else { "-ERR 'Authorization Violation'\r\n" };
        peer.expect(answer);
    }
}

#[test]
fn failures_count_for_the_client_and_not_for_its_proxy() {
    let certificates = Certificates::new();
    let options = BrokerOptions {
        proxies: of(HERE),
        tls: Some(certificates.server(HandshakeFirst::No, true)),
        ..BrokerOptions::default()
    };
    let mode = Mode::Configured(users(&[("alice", PermissionsClaim::default())]));
    let throttle = ThrottleOptions { burst: 3, ..ThrottleOptions::default() };
    let authenticator = Authenticator::new(mode, Clock::system()).with_throttle(throttle);
    let broker = TestBroker::start(options, authenticator, Tenants::new(None, None));
    let ask = |header: &str, password: &str| {
        let mut peer = Peer::new(behind(&broker, header));
        peer.read_info();
        peer.try_send(format!("CONNECT {{\"verbose\":false,\"user\":\"alice\",\"pass\":\"{password}\"}}\r\nPING\r\n"));
        String::from_utf8_lossy(&if password == "alice" { peer.until("\r\n") } else { peer.rest() }).into_owned()
    };
    for _ in 0..3 {
        assert_eq!(ask(HEADER, "wrong"), "-ERR 'Authorization Violation'\r\n");
    }
    let is_throttled = |ip: &str| broker.running.broker.is_throttled(ip.parse().unwrap());
    assert!(is_throttled("192.0.2.7") && !is_throttled("127.0.0.1"));
    let mut late = Peer::new(behind(&broker, HEADER));
    late.read_info();
    late.expect_end("-ERR 'Connection throttling is active. Please try again later.'\r\n");
    assert_eq!(ask("PROXY TCP4 203.0.113.9 198.51.100.1 1 2\r\n", "alice"), "PONG\r\n");
}

#[test]
fn tls_begins_behind_the_header_in_every_mode() {
    let certificates = Certificates::new();
    for first in [HandshakeFirst::No, HandshakeFirst::Always, HandshakeFirst::Within(Duration::from_secs(2))] {
        let broker = TestBroker::tuned(|options| {
            options.proxies = of(HERE);
            options.tls = Some(certificates.server(first, false));
        });
        let stream = behind(&broker, binary());
        let mut peer = if first == HandshakeFirst::No {
            certificates.upgrade(stream)
        } else {
            let mut peer = Peer::new(certificates.client(stream, None));
            peer.read_info();
            assert_eq!(peer.info()["client_ip"], "192.0.2.7");
            peer
        };
        connect(&mut peer);
        assert_eq!(seen(&broker).to_string(), "192.0.2.7:4711");
    }
}

#[test]
fn a_proxy_may_wait_for_the_server_to_speak() {
    let certificates = Certificates::new();
    let broker = TestBroker::tuned(|options| {
        options.proxies = of(HERE);
        options.tls = Some(certificates.server(HandshakeFirst::Within(Duration::from_millis(20)), false));
    });
    let mut stream = broker.socket();
    let mut plain = Peer::of(&stream);
    plain.read_info();
    stream.write_all(HEADER.as_bytes()).unwrap();
    connect(&mut Peer::new(certificates.client(stream, None)));
}

#[test]
fn websocket_is_asked_for_behind_the_header() {
    let broker = TestBroker::tuned(|options| {
        options.proxies = of(HERE);
        options.websocket = Some(WebsocketOptions::default());
    });
    let mut stream = dial(&broker);
    stream.write_all(HEADER.as_bytes()).unwrap();
    let mut socket = Socket::open(stream, &[]);
    assert_eq!(socket.info()["client_ip"], "192.0.2.7");
    socket.exchange(format!("CONNECT {QUIET}\r\nPING\r\n"), "PONG\r\n");
    assert_eq!(seen(&broker).to_string(), "192.0.2.7:4711");
}
