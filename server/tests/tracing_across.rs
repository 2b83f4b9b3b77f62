//! Message tracing over the border: `allow_trace` decides (auth.md 6.11).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod house;
mod support;

use cordon_accounts::claims::ExportKind::{Service, Stream};
use house::{Account, Got, House, expect_quiet, is_nobody};
use serde_json::Value;
use support::Peer;

fn publish(peer: &mut Peer, subject: &str, reply: &str, only: bool) {
    let only = if only { "Nats-Trace-Only: 1\r\n" } else { "Nats-Trace-Only: 0\r\nNats-Trace-Hop: 1\r\n" };
    let header = format!("NATS/1.0\r\nNats-Trace-Dest: t\r\n{only}\r\n");
    peer.send(format!("HPUB {subject} {reply} {} {}\r\n{header}hi\r\n", header.len(), header.len() + 2));
}

/// Kinds of the events in a report, with the accounts that they name.
fn events(report: &Value) -> Vec<(String, Option<String>)> {
    let text = |event: &Value, field: &str| event[field].as_str().map(str::to_owned);
    report["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (text(event, "type").unwrap(), text(event, "acc")))
        .collect()
}

/// Two accounts, of which the first exports to the second, and whether that lets itself be traced.
fn pair(allowed: bool) -> (House, Account, Account) {
    let mut exporter = Account::new("EXPORTER").exporting(Service, "svc").exporting(Stream, "ev.>");
    exporter.claims.nats.exports[0].allow_trace = allowed;
    let mut importer = Account::new("IMPORTER")
        .importing(Service, &exporter, "svc", "ask")
        .importing(Stream, &exporter, "ev.>", "from.>");
    importer.claims.nats.imports[1].allow_trace = allowed;
    (House::new(&[&exporter, &importer]), exporter, importer)
}

#[test]
fn a_traced_request_is_followed_where_the_export_allows_it() {
    for allowed in [true, false] {
        for only in [false, true] {
            let (house, exporter, importer) = pair(allowed);
            let mut service = house.join(&exporter);
            service.exchange("SUB svc 1\r\nPING\r\n", "PONG\r\n");
            let mut peer = house.join(&importer);
            peer.exchange("SUB t 1\r\nPING\r\n", "PONG\r\n");
            publish(&mut peer, "ask", "r", only);
            let found = events(&Got::next(&mut peer).json());
            let (mine, theirs) = (importer.key().to_string(), exporter.key().to_string());
            let mut expected = vec![("in".to_owned(), Some(mine)), ("si".to_owned(), Some(theirs.clone()))];
            if allowed {
                expected.push(("eg".to_owned(), Some(theirs)));
            }
            assert_eq!(found, expected, "{allowed} {only}");
            if only {
                expect_quiet(&mut service);
            } else {
                let got = Got::next(&mut service);
                assert_eq!(got.values("Nats-Trace-Dest"), ["trace disabled"]);
                assert_eq!((got.values("Nats-Request-Info").len(), got.body.as_str()), (1, "hi"));
            }
        }
    }
}

#[test]
fn a_traced_message_is_followed_to_importers_who_allow_it() {
    for allowed in [true, false] {
        for only in [false, true] {
            let (house, exporter, importer) = pair(allowed);
            let mut receiver = house.join(&importer);
            receiver.exchange("SUB from.> 1\r\nPING\r\n", "PONG\r\n");
            let mut peer = house.join(&exporter);
            peer.exchange("SUB t 1\r\nPING\r\n", "PONG\r\n");
            publish(&mut peer, "ev.x", "", only);
            let found = events(&Got::next(&mut peer).json());
            let (mine, theirs) = (exporter.key().to_string(), importer.key().to_string());
            let mut expected = vec![("in".to_owned(), Some(mine))];
            if allowed {
                expected.extend([("se".to_owned(), Some(theirs.clone())), ("eg".to_owned(), Some(theirs))]);
            }
            assert_eq!(found, expected, "{allowed} {only}");
            if only {
                expect_quiet(&mut receiver);
            } else {
                let got = Got::next(&mut receiver);
                let destination = if allowed { "t" } else { "trace disabled" };
                assert_eq!(got.header.len(), if allowed { 4 } else { 2 }, "{:?}", got.header);
                assert_eq!(
                    (got.subject.as_str(), got.values("Nats-Trace-Dest")),
                    ("from.x", vec![destination.to_owned()])
                );
            }
        }
    }
}

#[test]
fn an_answer_does_not_tell_the_service_what_its_requester_imports() {
    let third = Account::new("THIRD").exporting(Service, "deep");
    let mut exporter = Account::new("EXPORTER").exporting(Service, "svc");
    exporter.claims.nats.exports[0].allow_trace = true;
    let importer =
        Account::new("IMPORTER").importing(Service, &exporter, "svc", "ask").importing(Service, &third, "deep", "down");
    let house = House::new(&[&third, &exporter, &importer]);
    let (mut service, mut peer) = (house.join(&exporter), house.join(&importer));
    service.exchange("SUB svc 1\r\nSUB t 2\r\nPING\r\n", "PONG\r\n");
    peer.exchange("SUB in 1\r\nSUB t 2\r\nPING\r\n", "PONG\r\n");
    for reply in ["in", "down"] {
        peer.send(format!("PUB ask {reply} 0\r\n\r\n"));
        let asked = Got::next(&mut service);
        publish(&mut service, &asked.reply, "", false);
        assert_eq!(events(&Got::next(&mut service).json()).len(), 1, "no more than that it came: {reply}");
    }
    let answer = Got::next(&mut peer);
    assert_eq!((answer.subject.as_str(), answer.values("Nats-Trace-Dest")), ("in", vec!["trace disabled".to_owned()]));
    expect_quiet(&mut peer);
}

#[test]
fn whoever_only_looks_at_what_it_may_not_follow_is_told_that_nobody_is_there() {
    let (house, exporter, importer) = pair(false);
    let mut service = house.join(&exporter);
    service.exchange("SUB svc 1\r\nPING\r\n", "PONG\r\n");
    let mut peer = house.join(&importer);
    peer.exchange("SUB r 1\r\nPING\r\n", "PONG\r\n");
    publish(&mut peer, "ask", "r", true);
    assert!(is_nobody(&Got::next(&mut peer)));
    expect_quiet(&mut service);
}
