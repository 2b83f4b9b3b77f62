//! Who is let in over WebSocket, and what is seen of them: credentials, cookies, TLS, monitoring. The numbers are those
//! of checklist 7.1.

mod support;

use std::net::TcpStream;
use std::sync::Arc;

use cordon_accounts::claims::PermissionsClaim;
use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers};
use cordon_auth::throttle::ThrottleOptions;
use cordon_server::monitoring::connz::{ConnzOptions, connz};
use cordon_server::monitoring::varz::varz;
use cordon_server::tenant::directory::Tenants;
use cordon_server::websocket::CookieNames;
use cordon_server::{BrokerOptions, HandshakeFirst, WebsocketOptions};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use support::tenant::TestTenant;
use support::tls::Certificates;
use support::websocket::{BINARY, CLOSE, FIN, PING, PONG, Socket, dial, good, masked, request};
use support::{Peer, QUIET, TestBroker, user};

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

fn with(change: impl FnOnce(&mut WebsocketOptions)) -> BrokerOptions {
    let mut own = WebsocketOptions::default();
    change(&mut own);
    BrokerOptions { websocket: Some(own), ..BrokerOptions::default() }
}

fn stream(broker: &TestBroker) -> TcpStream {
    dial(broker)
}

/// A client that has read INFO.
fn raw(broker: &TestBroker, more: &[(&str, &str)]) -> Socket {
    let mut socket = Socket::open(stream(broker), more);
    socket.info();
    socket
}

fn connect(fields: &str) -> String {
    let quiet = QUIET.trim_end_matches('}');
    format!("CONNECT {quiet}{fields}}}\r\nPING\r\n")
}

fn somebody(name: &str, types: &[&str]) -> ConfiguredUser {
    let mut somebody = user(name, &PermissionsClaim::default());
    somebody.connection_types = types.iter().map(|name| (*name).to_owned()).collect();
    somebody
}

/// Requires that a client with these cookies that says this is let in, or is not.
fn decide(broker: &TestBroker, cookies: &str, fields: &str, admitted: bool) {
    let more = if cookies.is_empty() { vec![] } else { vec![("Cookie", cookies)] };
    let mut socket = raw(broker, &more);
    socket.say(connect(fields));
    if admitted {
        socket.expect("PONG\r\n");
    } else {
        socket.expect(VIOLATION);
        socket.expect_close(1008, "Authentication Failure");
    }
}

#[test]
fn w25_who_is_refused_is_told_and_closed() {
    let users = ConfiguredUsers::builder().user(somebody("alice", &[])).build().unwrap();
    let broker = TestBroker::with(with(|_| {}), users);
    decide(&broker, "", r#","user":"alice","pass":"wrong""#, false);
    decide(&broker, "", r#","user":"alice","pass":"alice""#, true);
    let mut socket = raw(&broker, &[]);
    socket.exchange("PING\r\n", VIOLATION);
    socket.expect_close(1008, "Authentication Failure");
}

#[test]
fn w25_silence_after_the_request_is_bounded_by_the_listeners_own_time() {
    let users = ConfiguredUsers::builder().user(somebody("alice", &[])).build().unwrap();
    let time = std::time::Duration::from_millis(100);
    let broker = TestBroker::with(with(|own| own.auth_timeout = Some(time)), users);
    let mut socket = raw(&broker, &[]);
    socket.expect("-ERR 'Authentication Timeout'\r\n");
    socket.expect_close(1008, "Authentication Timeout");
}

#[test]
fn w29_users_connect_in_the_ways_they_may() {
    let users = ConfiguredUsers::builder().user(somebody("tcp", &["STANDARD"])).user(somebody("web", &["websocket"]));
    let broker = TestBroker::with(with(|_| {}), users.build().unwrap());
    decide(&broker, "", r#","user":"web","pass":"web""#, true);
    decide(&broker, "", r#","user":"tcp","pass":"tcp""#, false);
    for (name, answer) in [("tcp", "PONG\r\n"), ("web", VIOLATION)] {
        let mut peer = broker.raw();
        peer.exchange(connect(&format!(r#","user":"{name}","pass":"{name}""#)), answer);
    }
}

fn cookies() -> CookieNames {
    let name = |name: &str| Some(name.to_owned());
    CookieNames { jwt: name("j"), user: name("u"), pass: name("p"), token: name("t") }
}

#[test]
fn w30_cookies_count_where_connect_is_silent() {
    let users = ConfiguredUsers::builder().user(somebody("alice", &[])).user(somebody("bob", &[]));
    let broker = TestBroker::with(with(|own| own.cookies = cookies()), users.build().unwrap());
    for (cookies, fields, admitted) in [
        ("u=alice; p=alice", "", true),
        ("u=alice; p=wrong", "", false),
        ("u=alice", r#","pass":"alice""#, true),
        ("u=alice; p=alice", r#","user":"bob""#, false),
        ("u=alice; p=alice", r#","user":"bob","pass":"bob""#, true),
        ("u=alice; p=alice", r#","user":"","pass":"""#, true),
        ("x=alice; p=alice", "", false),
    ] {
        decide(&broker, cookies, fields, admitted);
    }
    let token = ConfiguredUsers::builder().token("secret".into()).build().unwrap();
    let broker = TestBroker::with(with(|own| own.cookies = cookies()), token);
    decide(&broker, "t=secret", "", true);
    decide(&broker, "t=secret", r#","auth_token":"other""#, false);
}

#[test]
fn w30_cookies_are_for_the_first_connect() {
    let users = ConfiguredUsers::builder().user(somebody("alice", &[])).build().unwrap();
    let broker = TestBroker::with(with(|own| own.cookies = cookies()), users);
    let mut socket = raw(&broker, &[("Cookie", "u=alice; p=alice")]);
    socket.exchange(connect(""), "PONG\r\n");
    socket.exchange(connect(""), VIOLATION);
}

#[test]
fn w30_a_jwt_in_a_cookie_proves_no_more_than_in_connect() {
    let (broker, tenant) = TestTenant::start_with(with(|own| own.cookies = cookies()), |_| {});
    for (bearer, signed, admitted) in [(true, false, true), (false, false, false), (false, true, true)] {
        let (jwt, user) = tenant.user(|claims| claims.nats.template.bearer_token = bearer);
        let mut socket = Socket::open(stream(&broker), &[("Cookie", &format!("j={jwt}"))]);
        let info = socket.info();
        let signature = user.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap();
        let signature = BASE64URL_NOPAD.encode(&signature);
        socket.say(connect(&if signed { format!(r#","sig":"{signature}""#) } else { String::new() }));
        socket.expect(if admitted { "PONG\r\n" } else { VIOLATION });
    }
}

#[test]
fn w32_the_listener_may_have_a_stand_in_of_its_own() {
    let all = ConfiguredUsers::builder().user(somebody("alice", &[])).user(somebody("guest", &[]));
    let users = all.clone().websocket(all.no_auth_user("guest")).build().unwrap();
    let broker = TestBroker::with(with(|_| {}), users);
    decide(&broker, "", "", true);
    decide(&broker, "", r#","user":"guest","pass":"wrong""#, false);
    let mut silent = raw(&broker, &[]);
    // Who sends no CONNECT is served verbosely.
    silent.exchange("SUB a 1\r\n", "+OK\r\n");
    let mut tcp = broker.raw();
    assert_eq!(tcp.info()["auth_required"], true);
    tcp.exchange(connect(""), VIOLATION);
    let mut socket = Socket::open(stream(&broker), &[]);
    assert!(socket.info().get("auth_required").is_none());
}

#[test]
fn w33_a_proxy_tells_the_log_and_nobody_else() {
    let broker = TestBroker::with(with(|_| {}), support::nobody());
    let mut socket = Socket::open(stream(&broker), &[("X-Forwarded-For", "192.0.2.1")]);
    assert_eq!(socket.info()["client_ip"], "127.0.0.1");
    let shown = connz(&broker.running.broker, &ConnzOptions::default(), None).unwrap();
    assert_eq!(shown["connections"][0]["ip"], "127.0.0.1");
}

#[test]
fn monitoring_knows_the_listener_and_its_clients() {
    let options = with(|own| {
        own.compression = true;
        own.origins.same = true;
        own.origins.allowed = vec!["https://a.example".parse().unwrap()];
        own.cookies.jwt = Some("j".to_owned());
    });
    let broker = TestBroker::with(options, support::nobody());
    let port = broker.running.websocket_address.unwrap().port();
    let shown = varz(&broker.running.broker, json!({}));
    assert_eq!(
        shown["websocket"],
        json!({"host": "127.0.0.1", "port": port, "jwt_cookie": "j", "handshake_timeout": 2_000_000_000, "no_tls": true,
            "same_origin": true, "allowed_origins": ["https://a.example:443"], "compression": true})
    );
    let mut socket = raw(&broker, &[]);
    socket.exchange(connect(r#","name":"page""#), "PONG\r\n");
    let _tcp = broker.peer();
    let types = |state| {
        let options = ConnzOptions { state, ..ConnzOptions::default() };
        let shown = connz(&broker.running.broker, &options, None).unwrap();
        let rows = shown["connections"].as_array().unwrap().clone();
        rows.iter().map(|row| format!("{} {}", row["kind"], row["type"])).collect::<Vec<_>>()
    };
    assert_eq!(types(0), [r#""Client" "websocket""#, r#""Client" "nats""#]);
    socket.frame(FIN | CLOSE, b"");
    socket.expect_frame(FIN | CLOSE, b"");
    broker.until("it is off the list", |broker| broker.connections.count() == 1);
    assert_eq!(types(1), [r#""Client" "websocket""#]);
    let none = TestBroker::open();
    assert_eq!(varz(&none.running.broker, json!({}))["websocket"], json!({}));
    assert!(none.running.websocket_address.is_none());
}

#[test]
fn w11_w18_everything_is_inside_tls() {
    let certificates = Certificates::new();
    let tls = certificates.server(HandshakeFirst::No, false);
    let options = with(|own| {
        own.tls = Some(Arc::new(tls));
        own.compression = true;
    });
    let broker = TestBroker::with(options, support::nobody());
    let mut socket = Socket::open(certificates.client(stream(&broker), None), &[]);
    let info = socket.info();
    assert_eq!((&info["tls_required"], &info["tls_available"]), (&json!(true), &json!(true)));
    assert!(broker.raw().info().get("tls_required").is_none(), "the other listener is another matter");
    socket.exchange(connect(""), "PONG\r\n");
    let payload = "x".repeat(700_000);
    let message = format!("SUB a 1\r\nPUB a {}\r\n{payload}\r\n", payload.len());
    socket.exchange(&message, format!("MSG a 1 {}\r\n{payload}\r\n", payload.len()));
    socket.send([masked(FIN | PING, b"x"), masked(FIN | BINARY, b"PING\r\n")].concat());
    socket.expect_frame(FIN | PONG, b"x");
    socket.expect("PONG\r\n");
    let mut squeezed =
        Socket::open(certificates.client(stream(&broker), None), &[("Sec-WebSocket-Extensions", "permessage-deflate")]);
    squeezed.info();
    squeezed.say_compressed(connect(""));
    squeezed.expect("PONG\r\n");
    squeezed.say_compressed(&message);
    squeezed.expect(format!("MSG a 1 {}\r\n{payload}\r\n", payload.len()));
    squeezed.exchange("NONSENSE\r\n", "-ERR 'Unknown Protocol Operation'\r\n");
    squeezed.expect_close(1002, "Protocol Violation");
    let shown = connz(&broker.running.broker, &ConnzOptions::default(), None).unwrap();
    assert!(shown["connections"][0]["tls_version"].is_string(), "{shown}");
}

#[test]
fn w11_plain_text_is_no_way_in_where_there_is_tls() {
    let certificates = Certificates::new();
    let tls = certificates.server(HandshakeFirst::No, false);
    let broker = TestBroker::with(with(|own| own.tls = Some(Arc::new(tls))), support::nobody());
    let mut socket = Socket::new(stream(&broker));
    socket.send(request("GET / HTTP/1.1", &good()));
    let rest = socket.rest();
    assert!(!rest.starts_with(b"HTTP") && !rest.windows(4).any(|window| window == b"INFO"), "{rest:?}");
    let mut early = Socket::new(certificates.client(stream(&broker), None));
    early.send([request("GET / HTTP/1.1", &good()).into_bytes(), masked(FIN | BINARY, b"PING\r\n")].concat());
    assert_eq!(early.rest(), b"", "nothing may follow the request inside TLS either");
    let mut wrong = Socket::asking(certificates.client(stream(&broker), None), &request("PUT / HTTP/1.1", &good()));
    assert_eq!(wrong.status(), "405");
    wrong.rest();
}

#[test]
fn w11_a_certificate_is_demanded_by_the_listener_that_says_so() {
    let certificates = Certificates::new();
    let tls = certificates.verifying_server();
    let broker = TestBroker::with(with(|own| own.tls = Some(Arc::new(tls))), support::nobody());
    let mut nobody = Socket::new(certificates.client(stream(&broker), None));
    nobody.try_send(request("GET / HTTP/1.1", &good()));
    let mut somebody = Socket::open(certificates.client(stream(&broker), Some(certificates.identity("alice"))), &[]);
    assert_eq!(somebody.info()["tls_verify"], true);
    broker.until("the other is refused", |broker| {
        broker.connections.closed().iter().any(|closed| closed.reason == "TLS Handshake Failure")
    });
}

#[test]
fn w38_an_address_has_a_part_of_the_places() {
    let slow = std::time::Duration::from_mins(1);
    let broker = TestBroker::with(with(|own| own.handshake_timeout = slow), support::nobody());
    let free = broker.running.broker.upgrades.free();
    let mut half: Vec<Socket> = (0..free / 4).map(|_| Socket::new(stream(&broker))).collect();
    for socket in &mut half {
        socket.send("GET");
    }
    broker.until("its places are taken", |broker| broker.upgrades.free() == free - free / 4);
    let mut waiting = Socket::new(stream(&broker));
    waiting.send(request("GET / HTTP/1.1", &good()));
    let mut tcp = broker.peer();
    tcp.expect_nothing();
    assert_eq!(broker.running.broker.upgrades.free(), free - free / 4, "it waits");
    drop(half.pop());
    waiting.read_head();
    assert_eq!(waiting.status(), "101");
}

#[test]
fn w38_noise_slows_its_address_down() {
    let throttle = ThrottleOptions { loopback_burst: 3, ..ThrottleOptions::default() };
    let authenticator =
        Authenticator::new(Mode::Configured(support::nobody()), Clock::system()).with_throttle(throttle);
    let broker = TestBroker::start(with(|_| {}), authenticator, Tenants::new(None, None));
    let mut statuses = Vec::new();
    // What is forgiven meanwhile makes it a few more than three.
    while statuses.last().is_none_or(|status| status != "429") {
        let mut socket = Socket::new(stream(&broker));
        socket.try_send("nonsense\r\n\r\n");
        socket.read_head();
        statuses.push(socket.status().to_owned());
        assert!(statuses.len() < 1000, "{statuses:?}");
    }
    assert_eq!((statuses[0].as_str(), statuses.last().unwrap().as_str()), ("400", "429"));
}

#[test]
fn a_full_broker_says_so() {
    let options = BrokerOptions { max_connections: 1, ..with(|_| {}) };
    let broker = TestBroker::with(options, support::nobody());
    let _first = raw(&broker, &[]);
    let mut second = Socket::new(stream(&broker));
    second.try_send(request("GET / HTTP/1.1", &good()));
    second.read_head();
    assert_eq!(second.status(), "503");
}

#[test]
fn messages_pass_between_both_kinds_of_clients() {
    let broker = TestBroker::with(with(|own| own.compression = true), support::nobody());
    let mut tcp: Peer = broker.peer();
    let mut web = raw(&broker, &[("Sec-WebSocket-Extensions", "permessage-deflate")]);
    web.exchange(connect(""), "PONG\r\n");
    web.exchange("SUB a 1\r\nPING\r\n", "PONG\r\n");
    tcp.exchange_only("SUB b 1\r\n", "");
    let payload = "y".repeat(20_000);
    tcp.send(format!("PUB a 20000\r\n{payload}\r\n"));
    web.expect(format!("MSG a 1 20000\r\n{payload}\r\n"));
    web.say(format!("PUB b 20000\r\n{payload}\r\n"));
    tcp.expect(format!("MSG b 1 20000\r\n{payload}\r\n"));
}
