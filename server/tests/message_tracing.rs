//! Message tracing: what a publisher learns of its message's way.

mod support;

use cordon_accounts::claims::{Mapping, PermissionsClaim, Trace};
use cordon_server::BrokerOptions;
use serde_json::Value;
use support::tenant::TestTenant;
use support::{Peer, QUIET, TestBroker, permissions, users};

/// HPUB of `payload` to `subject` with these header lines.
fn traced(subject: &str, lines: &[&str], payload: &str) -> String {
    let block = format!("NATS/1.0\r\n{}\r\n\r\n", lines.join("\r\n"));
    let (header, total) = (block.len(), block.len() + payload.len());
    format!("HPUB {subject} {header} {total}\r\n{block}{payload}\r\n")
}

/// The next message of `peer`, which must be a report on `t`.
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test's helper")]
fn report(peer: &mut Peer) -> Value {
    let line = peer.line();
    let size: usize = line.strip_prefix("MSG t 9 ").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    let text = String::from_utf8(peer.until("\r\n")).unwrap();
    assert_eq!(text.len(), size + 2);
    serde_json::from_str(&text).unwrap()
}

#[expect(clippy::unwrap_used, reason = "a test's helper")]
fn kinds(report: &Value) -> Vec<&str> {
    report["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[test]
fn a_report_has_the_ingress_and_every_delivery() {
    let broker = TestBroker::open();
    let mut watcher = broker.peer();
    watcher.exchange_only("SUB t 9\r\n", "");
    let mut first = broker.peer_with(&QUIET.replace("\"headers\"", "\"name\":\"first\",\"headers\""));
    let mut second = broker.peer();
    first.exchange_only("SUB foo.* 1\r\n", "");
    second.exchange_only("SUB foo.> q 2\r\n", "");
    let mut publisher = broker.peer();
    let message = traced("foo.bar", &["Nats-Trace-Dest: t", "A: 1", "A: 2"], "hi");
    publisher.exchange_only(&message, "");
    let event = report(&mut watcher);
    assert_eq!(event["server"]["id"], broker.raw().info()["server_id"]);
    assert_eq!(event["request"]["header"]["A"], serde_json::json!(["1", "2"]));
    assert_eq!(event["request"]["msgsize"], message.len() - message.find("NATS").unwrap() - 2);
    assert_eq!(kinds(&event), ["in", "eg", "eg"]);
    let events = &event["events"];
    assert_eq!(
        (&events[0]["subj"], &events[0]["acc"], &events[0]["kind"]),
        (&"foo.bar".into(), &"$G".into(), &0.into())
    );
    assert_eq!((&events[1]["name"], &events[1]["sub"]), (&"first".into(), &"foo.*".into()));
    assert_eq!((&events[2]["queue"], &events[2]["sub"]), (&"q".into(), &"foo.>".into()));
    assert!(events.as_array().unwrap().iter().all(|event| event["ts"].is_string() && event.get("error").is_none()));
    first.until("HMSG foo.bar 1 ");
    second.until("HMSG foo.bar 2 ");
    watcher.expect_nothing();
}

#[test]
fn with_trace_only_nothing_but_the_report_is_delivered() {
    let broker = TestBroker::open();
    let mut watcher = broker.peer();
    watcher.exchange_only("SUB t 9\r\nSUB foo 1\r\nUNSUB 1 1\r\nSUB foo q 2\r\n", "");
    let mut publisher = broker.peer();
    for yes in ["true", "1", "ON"] {
        let only = format!("Nats-Trace-Only: {yes}");
        publisher.exchange_only(traced("foo", &["Nats-Trace-Dest: t", &only], "hi"), "");
        assert_eq!(kinds(&report(&mut watcher)), ["in", "eg", "eg"]);
        watcher.expect_nothing();
    }
    // No delivery was counted, and the request counts as received.
    publisher.exchange_only("SUB r 1\r\n", "");
    publisher.exchange_only(traced("foo r", &["Nats-Trace-Dest: t", "Nats-Trace-Only: 1"], ""), "");
    report(&mut watcher);
    publisher.exchange_only("PUB foo 0\r\n\r\n", "");
    watcher.until("MSG foo 1 0\r\n\r\n");
}

#[test]
fn other_spellings_of_the_header_are_headers_like_others() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB t 9\r\nSUB foo 1\r\n", "");
    for header in ["nats-trace-dest: t", "NATS-TRACE-DEST: t", "Nats-Trace-Dest: trace disabled"] {
        peer.send(traced("foo", &[header], "hi"));
        let got = String::from_utf8(peer.fenced()).unwrap();
        assert!(got.starts_with("HMSG foo 1 ") && !got.contains("MSG t"), "{got}");
    }
}

#[test]
fn without_a_valid_destination_only_the_message_is_delivered_if_at_all() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo 1\r\nSUB t.> 2\r\n", "");
    for destination in ["Nats-Trace-Dest: t.*", "Nats-Trace-Dest: t..x", "Nats-Trace-Dest:"] {
        peer.exchange_only(traced("foo", &[destination, "Nats-Trace-Only: true"], "hi"), "");
        peer.send(traced("foo", &[destination], "hi"));
        let got = String::from_utf8(peer.fenced()).unwrap();
        assert!(got.starts_with("HMSG foo 1 ") && !got.contains("MSG t."), "{got}");
    }
}

#[test]
fn a_mapping_is_reported_and_the_original_subject_kept() {
    let (broker, tenant) = TestTenant::start(|claims| {
        let target = Mapping { subject: "bar".to_owned(), weight: 100, cluster: String::new() };
        claims.nats.mappings.insert("foo".to_owned(), vec![target]);
    });
    let mut peer = tenant.peer(&broker, |_| {});
    peer.exchange_only("SUB t 9\r\n", "");
    peer.send(traced("foo", &["Nats-Trace-Dest: t"], "hi"));
    let event = report(&mut peer);
    assert_eq!(kinds(&event), ["in", "sm"]);
    assert_eq!((&event["events"][0]["subj"], &event["events"][1]["to"]), (&"foo".into(), &"bar".into()));
}

#[test]
fn an_oversized_message_is_reported_before_the_end() {
    let broker = TestBroker::open();
    let mut watcher = broker.peer();
    watcher.exchange_only("SUB t 9\r\n", "");
    let mut publisher = broker.peer();
    let block = "NATS/1.0\r\nNats-Trace-Dest: t\r\n\r\n";
    publisher.send(format!("HPUB foo {} 9999999\r\n{block}hello", block.len()));
    publisher.expect_end("-ERR 'Maximum Payload Violation'\r\n");
    let event = report(&mut watcher);
    assert_eq!(kinds(&event), ["in"]);
    assert_eq!(event["events"][0]["error"], "maximum payload exceeded");
}

#[test]
fn what_keeps_a_message_from_its_receivers_is_reported() {
    let limited = permissions((&["foo", "no.*", "t"], &["no.x"]), (&[], &["foo"]));
    let broker =
        TestBroker::with(BrokerOptions::default(), users(&[("alice", limited), ("root", PermissionsClaim::default())]));
    let mut watcher = broker.peer_as("root");
    watcher.exchange_only("SUB t 9\r\n", "");
    let mut peer = broker.peer_as("alice");
    peer.exchange_only("SUB * 1\r\nUNSUB 1\r\nSUB f* 3\r\n", "");
    let mut all = broker.peer_as("alice");
    all.exchange_only("SUB > 4\r\n", "");
    peer.send(traced("foo", &["Nats-Trace-Dest: t", "Nats-Trace-Only: 1"], ""));
    let event = report(&mut watcher);
    assert_eq!(event["events"][1]["error"], "Not delivered because subscription denies this subject");
    peer.exchange_only(
        traced("no.x", &["Nats-Trace-Dest: t"], ""),
        "-ERR 'Permissions Violation for Publish to \"no.x\"'\r\n",
    );
    assert_eq!(report(&mut watcher)["events"][0]["error"], "Not delivered because publish denied for this subject");
    // Where the publisher may not publish, no report goes either, and the message with it.
    peer.exchange_only(
        traced("foo", &["Nats-Trace-Dest: u"], ""),
        "-ERR 'Permissions Violation for Publish to \"u\"'\r\n",
    );
    watcher.expect_nothing();
}

#[test]
fn a_report_tells_of_a_bounded_number_of_receivers_and_all_get_the_message() {
    let broker = TestBroker::open();
    let mut watcher = broker.peer();
    watcher.exchange_only("SUB t 9\r\n", "");
    let mut receiver = broker.peer();
    let all: Vec<String> = (0..2000).map(|sid| format!("SUB foo {sid}\r\n")).collect();
    receiver.exchange_only(all.concat(), "");
    broker.peer().exchange_only(traced("foo", &["Nats-Trace-Dest: t"], ""), "");
    assert_eq!(kinds(&report(&mut watcher)).len(), 1 + 1024);
    assert_eq!(support::count(&receiver.fenced(), "HMSG foo "), 2000);
}

#[test]
fn a_message_that_passes_for_another_servers_is_delivered_and_not_followed() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB foo 1\r\nSUB t 9\r\n", "");
    for only in ["Nats-Trace-Only: 1", "A: 1"] {
        peer.send(traced("foo", &["Nats-Trace-Dest: t", "Nats-Trace-Origin-Account: $G", only], "hi"));
        let got = String::from_utf8(peer.fenced()).unwrap();
        assert!(got.starts_with("HMSG foo 1 ") && !got.contains("MSG t"), "{got}");
        assert!(got.contains("Nats-Trace-Dest: trace disabled\r\n") && got.ends_with("\r\n\r\nhi\r\n"), "{got}");
    }
}

#[test]
fn a_report_is_compressed_where_that_is_asked_for() {
    let broker = TestBroker::open();
    let mut watcher = broker.peer();
    watcher.exchange_only("SUB t 9\r\n", "");
    for (asked, is_compressed) in [("gzip", true), ("s2, GZIP", true), ("snappy", false), ("gzipped", false)] {
        let encoding = format!("accept-encoding: {asked}");
        broker.peer().exchange_only(traced("foo", &["Nats-Trace-Dest: t", &encoding], "hi"), "");
        if !is_compressed {
            assert_eq!(kinds(&report(&mut watcher)), ["in"], "{asked}");
            continue;
        }
        let line = watcher.line();
        let sizes: Vec<usize> = line.split(' ').skip(3).map(|size| size.parse().unwrap()).collect();
        assert_eq!(watcher.take(sizes[0]), b"NATS/1.0\r\nContent-Encoding: gzip\r\n\r\n");
        let body = watcher.take(sizes[1] - sizes[0]);
        let event: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&*body)).unwrap();
        assert_eq!(kinds(&event), ["in"], "{asked}");
        watcher.expect("\r\n");
    }
}

#[test]
fn an_account_has_sampled_messages_reported_on() {
    let (broker, tenant) = TestTenant::start(|claims| {
        claims.nats.trace = Some(Trace { destination: "t".to_owned(), sampling: 0 });
    });
    let mut watcher = tenant.peer(&broker, |_| {});
    watcher.exchange_only("SUB t 9\r\nSUB foo 1\r\n", "");
    let mut peer = tenant.peer(&broker, |_| {});
    let parent = |flags: &str| format!("traceparent: 00-aa-bb-{flags}");
    // The message goes as it is, and no header of a request keeps it back.
    let message = traced("foo", &[&parent("01"), "Nats-Trace-Only: 1"], "hi");
    peer.exchange_only(&message, "");
    watcher.expect(message.replacen("HPUB foo", "HMSG foo 1", 1));
    assert_eq!(kinds(&report(&mut watcher)), ["in", "eg"]);
    for lines in [
        vec![parent("00")],
        vec![parent("01"), "Nats-Trace-Dest: trace disabled".to_owned()],
        vec![parent("01"), "Nats-Trace-Dest: a.*".to_owned()],
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let message = traced("foo", &lines, "hi");
        peer.exchange_only(&message, "");
        watcher.expect(message.replacen("HPUB foo", "HMSG foo 1", 1));
        watcher.expect_nothing();
    }
}

#[test]
fn who_may_not_publish_reports_publishes_all_the_same_and_unreported() {
    let (broker, tenant) = TestTenant::start(|claims| {
        claims.nats.trace = Some(Trace { destination: "t".to_owned(), sampling: 100 });
    });
    let mut watcher = tenant.peer(&broker, |_| {});
    watcher.exchange_only("SUB > 9\r\n", "");
    let mut peer = tenant.peer(&broker, |claims| claims.nats.template.permissions.publish.deny = vec!["t".to_owned()]);
    let message = traced("foo", &["traceparent: 00-aa-bb-01"], "hi");
    peer.exchange_only(&message, "");
    watcher.expect(message.replacen("HPUB foo", "HMSG foo 9", 1));
    watcher.expect_nothing();
    peer.exchange_only(
        traced("foo", &["Nats-Trace-Dest: t"], "hi"),
        "-ERR 'Permissions Violation for Publish to \"t\"'\r\n",
    );
}
