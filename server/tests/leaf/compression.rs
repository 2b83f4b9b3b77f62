//! S2 between leaf nodes: how it is agreed on, by raw sockets, and what passes between two brokers that agreed.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use cordon_server::BrokerOptions;
use cordon_server::leaf::compression::{Compression, Mode};
use cordon_server::leaf::options::{LeafListen, LeafOptions, RemoteOptions};
use cordon_server::monitoring::leafz;
use serde_json::json;

use crate::listening;
use crate::remote::{RawHub, answer, exchange, greeting, joined, remote, spoke};
use crate::support::leaf::RawLeaf;
use crate::support::{self, TestBroker};

const MAGIC: &[u8] = b"\xff\x06\x00\x00S2sTwO";

fn hub(mode: Mode) -> TestBroker {
    let compression = Compression { mode, ..Compression::default() };
    TestBroker::with(listening(|listen| listen.compression = compression), support::nobody())
}

/// A stream as another library writes it.
fn packed(text: &str) -> Vec<u8> {
    let mut snappy = snap::write::FrameEncoder::new(Vec::new());
    snappy.write_all(text.as_bytes()).unwrap();
    snappy.into_inner().unwrap()
}

/// What a stream holds, as another library reads it.
fn unpacked(stream: &[u8]) -> String {
    let rest = stream.strip_prefix(MAGIC).unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(stream)));
    let mut text = String::new();
    let stream = [b"\xff\x06\x00\x00sNaPpY", rest].concat();
    snap::read::FrameDecoder::new(stream.as_slice()).read_to_string(&mut text).unwrap();
    text
}

fn ask(leaf: &mut RawLeaf, mode: &str) {
    leaf.send(format!("INFO {}\r\n", json!({"server_id": "", "client_id": 5, "compression": mode})));
}

#[test]
fn info_that_asks_for_it_is_answered_compressed_with_the_same_nonce() {
    let broker = hub(Mode::Auto);
    let mut client = broker.peer();
    client.exchange_only("SUB up 1\r\n", "");
    let mut leaf = RawLeaf::dial(&broker);
    ask(&mut leaf, "s2_fast");
    let connect = json!({"version": "2.15.0", "server_id": "far", "name": "far", "cluster": "far", "lang": ""});
    // The rest of the session in one stream, and its end.
    leaf.send(packed(&format!("CONNECT {connect}\r\nLMSG up 2\r\nhi\r\nnonsense\r\n")));
    client.expect("MSG up 1 2\r\nhi\r\n");
    let said = unpacked(&leaf.peer.rest());
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("LS+")).collect();
    let infos: Vec<serde_json::Value> =
        lines[..2].iter().map(|line| serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap()).collect();
    assert_eq!((&infos[0]["nonce"], infos[0]["compression"].as_str()), (&leaf.info["nonce"], Some("s2_auto")));
    assert_eq!(infos[1]["connect_info"], true);
    assert_eq!(lines[2..], ["-ERR 'Unknown Protocol Operation'"]);
}

#[test]
fn one_info_is_taken_before_connect_and_only_where_compression_may_be() {
    let closed = hub(Mode::Off);
    let mut off = RawLeaf::dial(&closed);
    ask(&mut off, "s2_fast");
    off.expect_refused("Authorization Violation");
    let broker = hub(Mode::Accept);
    let mut twice = RawLeaf::dial(&broker);
    ask(&mut twice, "accept");
    ask(&mut twice, "accept");
    twice.expect_refused("Authorization Violation");
    let mut unknown = RawLeaf::dial(&broker);
    ask(&mut unknown, "gzip");
    unknown.expect_refused("unsupported route compression mode \"gzip\"");
    // Both would only accept: there is none.
    let mut plain = RawLeaf::dial(&broker);
    ask(&mut plain, "accept");
    plain.connect("far", json!({}));
    plain.read_joined();
}

#[test]
fn what_is_compressed_counts_as_what_it_becomes_before_the_peer_has_proved_who_it_is() {
    let broker = hub(Mode::Fast);
    for (name, stream) in [
        ("an endless line", packed(&format!("CONNECT {{\"name\":\"{}", "x".repeat(60_000)))),
        ("much in all", packed(&"CONNECT {}".repeat(20_000))),
        ("no stream", b"CONNECT {}\r\n".to_vec()),
        ("an operation too early", packed("LS+ foo\r\n")),
        ("damage", [MAGIC, b"\x00\x09\x00\x00aaaabbbbb"].concat()),
        ("a bomb", [MAGIC, b"\x00\x10\x00\x00abcd\x80\x80\x80\x02\x00a\x01\x01\x1d\x00\xf7\xff"].concat()),
    ] {
        let mut leaf = RawLeaf::dial(&broker);
        ask(&mut leaf, "s2_fast");
        leaf.peer.try_send(&stream);
        let said = unpacked(&leaf.peer.rest());
        let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("INFO")).collect();
        assert!(lines.iter().all(|line| line.starts_with("-ERR")), "{name}: {lines:?}");
        broker.until("it is gone", |broker| broker.leafs.open.is_empty());
    }
    let mut client = broker.peer();
    client.exchange_only("PING\r\n", "PONG\r\n");
}

#[test]
fn a_hub_that_would_have_it_is_answered_with_info_first() {
    let raw = RawHub::new();
    let compression = Compression { mode: Mode::Best, ..Compression::default() };
    let broker = spoke(RemoteOptions { compression, ..remote(&raw) });
    let mut hub = raw.accept();
    let mut info = greeting();
    info["compression"] = json!("s2_auto");
    hub.send(format!("INFO {info}\r\n"));
    let asked: serde_json::Value = serde_json::from_str(hub.line().strip_prefix("INFO ").unwrap()).unwrap();
    assert_eq!((asked["compression"].as_str(), asked["nonce"].as_str()), (Some("s2_best"), None));
    info["nonce"] = json!("BBBBBBBBBBBBBBB");
    let both = format!("INFO {info}\r\nINFO {}\r\nnonsense\r\n", answer(json!({})));
    hub.send(packed(&both));
    let said = unpacked(&hub.peer.rest());
    let connect = said.lines().next().unwrap().strip_prefix("CONNECT ").unwrap();
    let connect: serde_json::Value = serde_json::from_str(connect).unwrap();
    assert_eq!(connect["compress_mode"], "s2_best");
    drop(broker);
}

#[test]
fn two_brokers_carry_requests_both_ways_in_every_mode() {
    for (here, there, level) in [
        (Mode::Auto, Mode::Auto, "s2_uncompressed"),
        (Mode::Fast, Mode::Accept, "s2_fast"),
        (Mode::Accept, Mode::Best, "s2_best"),
        (Mode::Off, Mode::Auto, "off"),
        (Mode::Accept, Mode::Accept, "off"),
    ] {
        let hub = hub(there);
        let address = hub.running.leaf_address.unwrap();
        let url = cordon_server::leaf::options::RemoteUrl::parse(&address.to_string()).unwrap();
        let compression = Compression { mode: here, ..Compression::default() };
        let spoke = spoke(RemoteOptions { compression, ..RemoteOptions::new(vec![url]) });
        joined(&spoke, 1);
        joined(&hub, 1);
        exchange(&hub, &spoke);
        exchange(&spoke, &hub);
        let shown = leafz::leafz(&spoke.running.broker, &leafz::LeafzOptions::default(), None);
        assert_eq!(shown["leafs"][0]["compression"], level, "{here:?} {there:?}");
    }
}

#[test]
fn the_level_follows_the_round_trip_time_while_messages_pass() {
    // Every round trip takes longer than these.
    let slow = Compression { mode: Mode::Auto, thresholds: [Duration::ZERO, Duration::ZERO, Duration::from_hours(1)] };
    let mut listen = LeafListen::new(([127, 0, 0, 1], 0).into());
    listen.compression = slow;
    let leaf = LeafOptions { listen: Some(listen), remotes: Vec::new(), write_deadline: None, write_timeout: None };
    let hub = TestBroker::with(BrokerOptions { leaf: Arc::new(leaf), ..BrokerOptions::default() }, support::nobody());
    let address = hub.running.leaf_address.unwrap();
    let url = cordon_server::leaf::options::RemoteUrl::parse(&address.to_string()).unwrap();
    let spoke = spoke(RemoteOptions { compression: slow, ..RemoteOptions::new(vec![url]) });
    joined(&spoke, 1);
    exchange(&hub, &spoke);
    let level = |broker: &cordon_server::Broker| {
        let shown = leafz::leafz(broker, &leafz::LeafzOptions::default(), None);
        shown["leafs"][0]["compression"].as_str().map(str::to_owned)
    };
    for broker in [&hub, &spoke] {
        broker.until("the level has changed", |broker| level(broker).as_deref() == Some("s2_better"));
    }
    exchange(&hub, &spoke);
    exchange(&spoke, &hub);
}
