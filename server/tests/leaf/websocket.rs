//! Leaf nodes over WebSocket: raw sockets at the listener, and two brokers.

use std::sync::Arc;

use cordon_server::leaf::options::{RemoteOptions, RemoteUrl};
use cordon_server::{BrokerOptions, HandshakeFirst, WebsocketOptions};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use crate::house::{Account, House};
use crate::listening;
use crate::remote::{client_tls, exchange, joined, spoke};
use crate::support::tls::Certificates;
use crate::support::websocket::{BINARY, FIN, Socket, dial, good, request, unmasked};
use crate::support::{self, TestBroker};

/// A broker that accepts leaf nodes over TCP and, as `change` has it, over WebSocket.
fn hub(change: impl FnOnce(&mut WebsocketOptions)) -> BrokerOptions {
    let mut own = WebsocketOptions { compression: true, ..WebsocketOptions::default() };
    change(&mut own);
    BrokerOptions { websocket: Some(own), ..listening(|_| {}) }
}

/// A raw leaf node that was let in below `path`, with more headers than it needs.
fn open(broker: &TestBroker, path: &str, more: &[(&str, &str)]) -> (Socket, serde_json::Value) {
    let mut socket = Socket::asking(dial(broker), &request(&format!("GET {path} HTTP/1.1"), &[&good(), more].concat()));
    assert_eq!(socket.status(), "101", "{}", socket.head);
    let info = socket.info();
    (socket, info)
}

fn connect(more: serde_json::Value) -> String {
    let mut fields = json!({"version": "2.15.0", "server_id": "far", "name": "far", "cluster": "far", "headers": true});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("CONNECT {fields}\r\n")
}

#[test]
fn below_leafnode_the_leaf_protocol_is_spoken() {
    let broker = TestBroker::with(hub(|_| {}), support::nobody());
    for path in ["/leafnode", "/behind/a/proxy/leafnode", "/leafnode?x=y"] {
        let mut client = broker.peer();
        client.exchange_only("SUB up 1\r\n", "");
        let (mut leaf, info) = open(&broker, path, &[]);
        let urls = json!([broker.running.leaf_address.unwrap().to_string()]);
        assert_eq!((info["leafnode_urls"].clone(), info["compression"].as_str()), (urls, Some("off")));
        assert!(info["client_id"].as_u64().unwrap() > 0 && info.get("tls_required").is_none());
        leaf.say(connect(json!({})));
        assert_eq!(leaf.info()["connect_info"], true);
        leaf.say("LS+ down\r\nLMSG up 2\r\nhi\r\n");
        client.expect("MSG up 1 2\r\nhi\r\n");
        let own = &broker.running.broker;
        assert_eq!((own.connections.count(), own.leafs.open.len()), (1, 1));
        drop(leaf);
        broker.until("the leaf has gone", |broker| broker.leafs.open.is_empty());
    }
}

#[test]
fn what_is_no_leaf_node_there_is_told_so() {
    let broker = TestBroker::with(hub(|_| {}), support::nobody());
    let (mut leaf, _) = open(&broker, "/leafnode", &[]);
    leaf.say("CONNECT {\"lang\":\"go\",\"verbose\":false}\r\n");
    leaf.expect("-ERR 'attempted to connect to leaf node port'\r\n");
    let (mut early, _) = open(&broker, "/leafnode", &[]);
    early.say("LS+ foo\r\n");
    early.expect("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn frames_without_a_mask_are_taken_only_where_that_was_granted() {
    let broker = TestBroker::with(hub(|_| {}), support::nobody());
    let (mut strict, _) = open(&broker, "/leafnode", &[("Nats-No-Masking", "yes")]);
    assert!(!strict.head.contains("Masking"));
    strict.send(unmasked(FIN | BINARY, connect(json!({})).as_bytes()));
    strict.expect_closed_as(1002);
    let (mut granted, _) = open(&broker, "/leafnode", &[("Nats-No-Masking", "true")]);
    assert!(granted.answered("Nats-No-Masking: true"));
    granted.send(unmasked(FIN | BINARY, connect(json!({})).as_bytes()));
    assert_eq!(granted.info()["connect_info"], true);
    // A browser's page must not choose what stands on the wire: clients mask in any case.
    let client = Socket::open(dial(&broker), &[("Nats-No-Masking", "true")]);
    assert!(!client.head.contains("Masking"));
}

#[test]
fn connection_types_tell_leaf_nodes_over_websocket_from_others() {
    let account = Account::new("a");
    let house = House::build(&[&account], hub(|_| {}), |_| {}, None, None);
    for (types, joins) in [(vec!["LEAFNODE_WS"], true), (vec!["LEAFNODE"], false), (vec!["WEBSOCKET"], false)] {
        let user = account.user(|claims| {
            claims.nats.template.allowed_connection_types = types.iter().map(ToString::to_string).collect();
        });
        let (mut leaf, info) = open(&house.broker, "/leafnode", &[]);
        let sig = BASE64URL_NOPAD.encode(&user.seed.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap());
        leaf.say(connect(json!({"jwt": user.jwt, "sig": sig})));
        if joins {
            assert_eq!(leaf.info()["connect_info"], true);
        } else {
            leaf.expect("-ERR 'Authorization Violation'\r\n");
            leaf.expect_close(1008, "Authentication Failure");
        }
    }
}

#[test]
fn two_brokers_carry_requests_both_ways_over_websocket() {
    let certificates = Certificates::new();
    for (tls, compression, no_masking) in
        [(false, false, false), (false, true, true), (true, true, false), (true, false, true)]
    {
        let secure = tls.then(|| Arc::new(certificates.server(HandshakeFirst::No, false)));
        let hub = TestBroker::with(hub(|own| own.tls = secure), support::nobody());
        let scheme = if tls { "wss" } else { "ws" };
        let port = hub.running.websocket_address.unwrap().port();
        let url = RemoteUrl::parse(&format!("{scheme}://localhost:{port}/nats")).unwrap();
        let spoke = spoke(RemoteOptions {
            tls: tls.then(|| client_tls(&certificates)),
            ws_compression: compression,
            ws_no_masking: no_masking,
            ..RemoteOptions::new(vec![url])
        });
        joined(&spoke, 1);
        joined(&hub, 1);
        exchange(&hub, &spoke);
        exchange(&spoke, &hub);
    }
}

/// A proxy: it refuses the first, and leads the next to wherever it asks for; what was asked for each time.
fn proxy() -> (u16, std::sync::mpsc::Receiver<String>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, asks) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for is_first in [true, false] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap();
            asked.send(head.clone()).unwrap();
            if is_first {
                stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").unwrap();
                continue;
            }
            let place = head.split(' ').nth(1).unwrap();
            let far = std::net::TcpStream::connect(place).unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), far.try_clone().unwrap());
            let outward = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            // Either way ends with its sockets.
            let _inward = std::io::copy(&mut &far, &mut stream);
            drop(outward);
        }
    });
    (port, asks)
}

#[test]
fn a_remote_is_reached_through_a_proxy_that_is_asked_again_when_it_refuses() {
    let certificates = Certificates::new();
    let secure = Arc::new(certificates.server(HandshakeFirst::No, false));
    let hub = TestBroker::with(hub(|own| own.tls = Some(secure)), support::nobody());
    let (port, asks) = proxy();
    let place = format!("localhost:{}", hub.running.websocket_address.unwrap().port());
    let spoke = spoke(RemoteOptions {
        tls: Some(client_tls(&certificates)),
        proxy: Some(cordon_server::leaf::proxy::ProxyOptions {
            host: "127.0.0.1".to_owned(),
            port,
            login: Some(("u".to_owned(), "p w".to_owned().into())),
            timeout: Some(support::PATIENCE),
        }),
        ..RemoteOptions::new(vec![RemoteUrl::parse(&format!("wss://{place}")).unwrap()])
    });
    joined(&spoke, 1);
    joined(&hub, 1);
    exchange(&hub, &spoke);
    exchange(&spoke, &hub);
    let line = "Proxy-Authorization: Basic dTpwIHc=\r\n";
    let wanted = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{line}\r\n");
    assert_eq!(asks.iter().take(2).collect::<Vec<_>>(), [wanted.clone(), wanted]);
}

#[test]
fn a_hub_tells_where_its_websocket_listener_is_and_spokes_come_back_there() {
    let told = |change: &dyn Fn(&mut WebsocketOptions), no_advertise: bool| {
        let mut options = hub(|own| change(own));
        let mut leaf = cordon_server::leaf::options::LeafOptions::clone(&options.leaf);
        leaf.listen.as_mut().unwrap().no_advertise = no_advertise;
        options.leaf = Arc::new(leaf);
        let broker = TestBroker::with(options, support::nobody());
        let port = broker.running.websocket_address.unwrap().port();
        let over_tcp = support::leaf::RawLeaf::dial(&broker).info["ws_connect_urls"].clone();
        let (_, info) = open(&broker, "/leafnode", &[]);
        assert_eq!(info["ws_connect_urls"], over_tcp);
        let client = Socket::open(dial(&broker), &[]).info();
        assert!(client.get("ws_connect_urls").is_none(), "{client}");
        (over_tcp, port)
    };
    let (urls, port) = told(&|_| {}, false);
    assert_eq!(urls, json!([format!("127.0.0.1:{port}")]));
    let (urls, port) = told(&|own| own.advertise = Some("hub.example".to_owned()), false);
    assert_eq!(urls, json!([format!("hub.example:{port}")]));
    let (urls, _) = told(&|own| own.advertise = Some("[::1]:443".to_owned()), false);
    assert_eq!(urls, json!(["[::1]:443"]));
    assert_eq!(told(&|_| {}, true).0, serde_json::Value::Null);

    // The second hub is only told of by the first, as it would be in a cluster.
    let second = TestBroker::with(hub(|_| {}), support::nobody());
    let second_port = second.running.websocket_address.unwrap().port();
    let first =
        TestBroker::with(hub(|own| own.advertise = Some(format!("127.0.0.1:{second_port}"))), support::nobody());
    let url = format!("ws://127.0.0.1:{}/nats", first.running.websocket_address.unwrap().port());
    let spoke = spoke(RemoteOptions::new(vec![RemoteUrl::parse(&url).unwrap()]));
    joined(&spoke, 1);
    joined(&first, 1);
    first.block_on(first.running.shutdown());
    joined(&second, 1);
}
