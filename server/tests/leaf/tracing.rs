//! Traced messages where they come to leaf nodes, and from them.

use cordon_accounts::claims::ExportKind::{Service, Stream};
use serde_json::{Value, json};

use crate::crossing;
use crate::house::{Account, Got};
use crate::open;
use crate::remote::{has_far, joined, joined_to};
use crate::support::TestBroker;
use crate::support::leaf::RawLeaf;

const LISTENING: &str = "leafnodes { listen: \"127.0.0.1:-1\" }\naccounts { A { users: [ {user: u, password: p}\n";
const DELIVERED: &str =
    "Message delivered but remote does not support message tracing so no trace event generated from there";
const NOT_DELIVERED: &str = "Not delivered because remote does not support message tracing";

fn traced(verb: &str, subject: &str, lines: &[&str]) -> String {
    let block = format!("NATS/1.0\r\n{}\r\n\r\n", lines.join("\r\n"));
    format!("{verb} {subject} {} {}\r\n{block}hi\r\n", block.len(), block.len() + 2)
}

/// What a report says of its only receiver.
fn egress(report: &Value) -> Value {
    let events = report["events"].as_array().unwrap();
    assert_eq!((events.len(), &events[1]["type"]), (2, &json!("eg")), "{report}");
    let mut event = events[1].clone();
    let fields = event.as_object_mut().unwrap();
    fields.retain(|name, _| !["type", "ts", "cid"].contains(&name.as_str()));
    event
}

/// A broker whose account's subscribers see `subjects`, and a leaf node of it that wants `theirs`.
fn between(subjects: &[&str], theirs: &str) -> (TestBroker, RawLeaf, crate::support::Peer) {
    let broker = open();
    let mut leaf = RawLeaf::join(&broker, "far", json!({}));
    leaf.send(theirs);
    let mut peer = broker.peer();
    for (number, subject) in subjects.iter().enumerate() {
        peer.exchange_only(format!("SUB {subject} {number}\r\n"), "");
    }
    leaf.fenced();
    (broker, leaf, peer)
}

#[test]
fn a_leaf_node_is_asked_to_go_on_with_the_report() {
    let (_broker, mut leaf, mut peer) = between(&["t"], "LS+ foo\r\nLS+ foo q 2\r\n");
    peer.send(traced("HPUB", "foo", &["A: b", "Nats-Trace-Dest: t", "nats-trace-only: 0", "Nats-Trace-Hop: 7"]));
    leaf.expect(&["HMSG foo | q 77 79", "NATS/1.0", "Nats-Trace-Dest: t", "Nats-Trace-Hop: 1", "A: b"]);
    leaf.expect(&["nats-trace-only: 0", "", "hi"]);
    let report = Got::next(&mut peer).json();
    assert_eq!(egress(&report), json!({"kind": 4, "name": "far", "hop": "1"}));
    assert_eq!((&report["hops"], &report["request"]["header"]["Nats-Trace-Hop"]), (&json!(1), &json!(["7"])));
    peer.send(traced("HPUB", "foo", &["Nats-Trace-Dest: t", "Nats-Trace-Only: 1"]));
    leaf.expect(&["HMSG foo | q 71 73", "NATS/1.0", "Nats-Trace-Dest: t", "Nats-Trace-Hop: 1", "Nats-Trace-Only: 1"]);
    leaf.expect(&["", "hi"]);
    assert_eq!(egress(&Got::next(&mut peer).json()), json!({"kind": 4, "name": "far", "hop": "1"}));
    leaf.expect_nothing();
}

#[test]
fn a_report_ends_at_a_leaf_node_that_cannot_go_on_with_it() {
    for older in [json!({"protocol": 2}), json!({"protocol": 2, "is_hub": true}), json!({"protocol": -3})] {
        let broker = open();
        let mut leaf = RawLeaf::join(&broker, "far", older);
        leaf.send("LS+ foo\r\n");
        let mut peer = broker.peer();
        peer.exchange_only("SUB t 1\r\n", "");
        leaf.fenced();
        peer.send(traced("HPUB", "foo", &["A: b", "Nats-Trace-Dest: t", "Nats-Trace-Hop: 7"]));
        leaf.expect(&["HMSG foo 51 53", "NATS/1.0", "Nats-Trace-Dest: trace disabled", "A: b", "", "hi"]);
        let report = Got::next(&mut peer).json();
        assert_eq!(egress(&report), json!({"kind": 4, "name": "far", "error": DELIVERED}));
        assert!(report.get("hops").is_none(), "{report}");
        peer.send(traced("HPUB", "foo", &["Nats-Trace-Dest: t", "Nats-Trace-Only: 1"]));
        let report = Got::next(&mut peer).json();
        assert_eq!(egress(&report), json!({"kind": 4, "name": "far", "error": NOT_DELIVERED}));
        leaf.expect_nothing();
    }
}

#[test]
fn a_leaf_node_that_reads_no_headers_is_asked_for_nothing() {
    let broker = open();
    let mut leaf = RawLeaf::join(&broker, "far", json!({"headers": false}));
    leaf.send("LS+ foo\r\n");
    let mut peer = broker.peer();
    peer.exchange_only("SUB t 1\r\n", "");
    leaf.fenced();
    peer.send(traced("HPUB", "foo", &["Nats-Trace-Dest: t", "Nats-Trace-Only: 1"]));
    assert_eq!(egress(&Got::next(&mut peer).json())["error"], NOT_DELIVERED);
    leaf.expect_nothing();
}

#[test]
fn a_leaf_node_that_may_not_report_there_gets_the_message_alone() {
    let mut text = String::from(LISTENING);
    text.push_str(
        "{user: l, password: p, permissions: {publish: \"up\", subscribe: [foo, t2]}} ] } }\nno_auth_user: u\n",
    );
    let broker = TestBroker::of_text(&text);
    let mut leaf = RawLeaf::join(&broker, "far", json!({"user": "l", "pass": "p"}));
    leaf.send("LS+ foo\r\n");
    let mut peer = broker.accepts("");
    peer.exchange_only("SUB t 1\r\nSUB t2 2\r\n", "");
    leaf.fenced();
    peer.send(traced("HPUB", "foo", &["Nats-Trace-Dest: t"]));
    leaf.expect(&["HMSG foo 45 47", "NATS/1.0", "Nats-Trace-Dest: trace disabled", "", "hi"]);
    assert_eq!(egress(&Got::next(&mut peer).json())["error"], DELIVERED);
    peer.send(traced("HPUB", "foo", &["Nats-Trace-Dest: t2"]));
    leaf.expect(&["HMSG foo 52 54", "NATS/1.0", "Nats-Trace-Dest: t2", "Nats-Trace-Hop: 1", "", "hi"]);
    assert_eq!(egress(&Got::next(&mut peer).json())["hop"], "1");
}

#[test]
fn a_member_here_is_served_before_one_beyond() {
    let (_broker, mut leaf, mut peer) = between(&["t", "foo q"], "LS+ foo q 2\r\n");
    peer.send(traced("HPUB", "foo", &["Nats-Trace-Dest: t"]));
    assert_eq!(Got::next(&mut peer).subject, "foo");
    assert_eq!(Got::next(&mut peer).json()["events"][1]["kind"], 0);
    leaf.expect_nothing();
}

#[test]
fn a_message_of_a_leaf_node_is_reported_on_here_too() {
    let (_broker, mut leaf, mut peer) = between(&["t", "foo", "foo q", "foo r"], "");
    leaf.send(traced("HMSG", "foo | q", &["Nats-Trace-Dest: t", "Nats-Trace-Hop: 1.2"]));
    assert_eq!(Got::next(&mut peer).header, ["NATS/1.0", "Nats-Trace-Dest: t", "Nats-Trace-Hop: 1.2"]);
    assert_eq!(Got::next(&mut peer).subject, "foo");
    let report = Got::next(&mut peer).json();
    let events = report["events"].as_array().unwrap();
    let told = |at: usize, name: &str| events[at][name].clone();
    assert_eq!(
        (events.len(), told(0, "type"), told(0, "kind"), told(0, "subj")),
        (3, json!("in"), json!(4), json!("foo"))
    );
    assert_eq!((told(0, "name"), told(0, "acc")), (json!("far"), json!("$G")));
    assert_eq!((told(1, "kind"), told(1, "queue"), told(2, "queue")), (json!(0), Value::Null, json!("q")));
    assert_eq!((&report["request"]["msgsize"], report.get("hops")), (&json!(55), None));
    leaf.send(traced("HMSG", "foo", &["Nats-Trace-Dest: t", "Nats-Trace-Only: true"]));
    let report = Got::next(&mut peer).json();
    assert_eq!(report["events"].as_array().unwrap().len(), 2, "groups that are not listed get nothing: {report}");
    leaf.send(traced("HMSG", "nobody", &["Nats-Trace-Dest: t"]));
    assert_eq!(Got::next(&mut peer).json()["events"].as_array().unwrap().len(), 1);
    peer.expect_nothing();
    leaf.expect_nothing();
}

#[test]
fn ways_are_numbered_on_from_leaf_node_to_leaf_node() {
    let (broker, mut leaf, mut peer) = between(&["t"], "");
    let mut others = ["b", "c"].map(|name| RawLeaf::join(&broker, name, json!({})));
    for other in &mut others {
        other.send("LS+ foo\r\n");
        other.fenced();
    }
    for other in &mut others {
        other.fenced();
    }
    leaf.fenced();
    leaf.send(traced("HMSG", "foo", &["Nats-Trace-Dest: t", "Nats-Trace-Hop: 3"]));
    let mut ways: Vec<_> = others
        .iter_mut()
        .map(|other| {
            other.expect(&["HMSG foo 53 55", "NATS/1.0", "Nats-Trace-Dest: t"]);
            let way = other.line();
            other.expect(&["", "hi"]);
            way
        })
        .collect();
    ways.sort_unstable();
    assert_eq!(ways, ["Nats-Trace-Hop: 3.1", "Nats-Trace-Hop: 3.2"]);
    let report = Got::next(&mut peer).json();
    assert_eq!(
        (&report["hops"], &report["events"][1]["hop"], &report["events"][2]["hop"]),
        (&json!(2), &json!("3.1"), &json!("3.2"))
    );
    leaf.expect_nothing();
}

#[test]
fn what_passes_for_a_trace_of_another_account_is_not_followed() {
    let (_broker, mut leaf, mut peer) = between(&["t", "foo"], "");
    leaf.send(traced("HMSG", "foo", &["Nats-Trace-Dest: t", "Nats-Trace-Origin-Account: A", "Nats-Trace-Hop: 1"]));
    let header = ["NATS/1.0", "Nats-Trace-Dest: trace disabled", "Nats-Trace-Origin-Account: A"];
    assert_eq!(Got::next(&mut peer).header, header);
    leaf.expect_nothing();
    peer.expect_nothing();
}

#[test]
fn without_a_valid_destination_only_the_message_comes_in_if_at_all() {
    let (_broker, mut leaf, mut peer) = between(&[">"], "");
    for destination in ["t.*", "t..u", "", "trace disabled"] {
        let line = format!("Nats-Trace-Dest: {destination}");
        leaf.send(traced("HMSG", "foo", &[&line]));
        assert_eq!(Got::next(&mut peer).subject, "foo", "{destination}");
        leaf.send(traced("HMSG", "foo", &[&line, "Nats-Trace-Only: 1"]));
        if destination == "trace disabled" {
            assert_eq!(Got::next(&mut peer).subject, "foo", "it was decided on before");
        }
        leaf.expect_nothing();
        peer.expect_nothing();
    }
}

#[test]
fn a_report_goes_nowhere_that_the_leaf_node_may_not_publish() {
    let mut text = String::from(LISTENING);
    text.push_str(
        "{user: l, password: p, permissions: {publish: [foo, mine]}} ], mappings: {mapped: foo} } }\nno_auth_user: u\n",
    );
    let broker = TestBroker::of_text(&text);
    let mut leaf = RawLeaf::join(&broker, "far", json!({"user": "l", "pass": "p"}));
    let mut peer = broker.accepts("");
    peer.exchange_only("SUB foo 1\r\nSUB mine 2\r\nSUB t 3\r\n", "");
    leaf.fenced();
    for destination in ["t", "_GR_.a.b", "$NRG.a", "$JS.API.INFO"] {
        leaf.send(traced("HMSG", "foo", &[&format!("Nats-Trace-Dest: {destination}")]));
        leaf.expect(&[&format!("-ERR 'Permissions Violation for Publish to \"{destination}\"'")]);
        leaf.expect_nothing();
    }
    peer.expect_nothing();
    leaf.send(traced("HMSG", "foo", &["Nats-Trace-Dest: mine"]));
    assert_eq!(Got::next(&mut peer).subject, "foo");
    assert_eq!(Got::next(&mut peer).subject, "mine");
    leaf.send(traced("HMSG", "bar", &["Nats-Trace-Dest: mine"]));
    let got = Got::next(&mut peer);
    assert_eq!(got.json()["events"][0]["error"], "Not delivered because publish denied for this subject");
    leaf.expect_refused("Permissions Violation for Publish to \"bar\"");
}

#[test]
fn an_account_samples_what_its_leaf_nodes_send_and_lets_them_sample_what_they_get() {
    let mut text = String::from("leafnodes { listen: \"127.0.0.1:-1\" }\nno_auth_user: u\naccounts { A { users: [\n");
    text.push_str("{user: u, password: p}, {user: l, password: p, permissions: {publish: foo}}\n");
    text.push_str("], mappings: {from: to}, msg_trace: t } }\n");
    let broker = TestBroker::of_text(&text);
    let mut leaf = RawLeaf::join(&broker, "far", json!({"user": "u", "pass": "p"}));
    leaf.send("LS+ down\r\n");
    let mut peer = broker.accepts("");
    peer.exchange_only("SUB t 1\r\nSUB foo 2\r\n", "");
    leaf.fenced();
    leaf.send(traced("HMSG", "foo", &["traceparent: 00-a-b-01"]));
    assert_eq!(Got::next(&mut peer).header, ["NATS/1.0", "traceparent: 00-a-b-01"]);
    let report = Got::next(&mut peer).json();
    assert_eq!((&report["events"][0]["kind"], &report["events"][1]["sub"]), (&json!(4), &json!("foo")));
    leaf.send(traced("HMSG", "from", &["traceparent: 00-a-b-01"]));
    let report = Got::next(&mut peer).json();
    assert_eq!((&report["events"][0]["subj"], &report["events"][1]["to"]), (&json!("from"), &json!("to")));
    leaf.send(traced("HMSG", "foo", &["traceparent: 00-a-b-00"]));
    assert_eq!(Got::next(&mut peer).subject, "foo");
    peer.expect_nothing();
    peer.send(traced("HPUB", "down", &["traceparent: 00-a-b-01"]));
    leaf.expect(&["HMSG down 55 57", "NATS/1.0", "Nats-Trace-Hop: 1", "traceparent: 00-a-b-01", "", "hi"]);
    assert_eq!(egress(&Got::next(&mut peer).json())["hop"], "1");
    let mut held = RawLeaf::join(&broker, "held", json!({"user": "l", "pass": "p"}));
    held.fenced();
    held.send(traced("HMSG", "foo", &["traceparent: 00-a-b-01"]));
    assert_eq!(Got::next(&mut peer).subject, "foo", "who may not publish reports publishes all the same");
    held.expect_nothing();
    peer.expect_nothing();
}

#[test]
fn reports_about_a_request_come_back_over_the_border_where_the_export_allows_it() {
    for allowed in [true, false] {
        let mut exporter = Account::new("exporter").exporting(Service, "svc");
        exporter.claims.nats.exports[0].allow_trace = allowed;
        let importer = Account::new("importer").importing(Service, &exporter, "svc", "local.svc");
        let house = crossing::house(&[&exporter, &importer]);
        let mut leaf = crossing::join(&house, &exporter, "far");
        leaf.fenced();
        leaf.send("LS+ svc\r\n");
        leaf.expect_nothing();
        let mut client = house.join(&importer);
        client.exchange_only("SUB inbox 1\r\nSUB t 2\r\n", "");
        client.send(traced("HPUB", "local.svc inbox", &["Nats-Trace-Dest: t"]));
        assert!(leaf.line().starts_with("LS+ _R_."));
        let line = leaf.line();
        let reply = line.split(' ').nth(2).unwrap().to_owned();
        leaf.expect(&["NATS/1.0"]);
        let lines: Vec<_> = std::iter::repeat_with(|| leaf.line()).take_while(|line| !line.is_empty()).collect();
        leaf.expect(&["hi"]);
        let told = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let report = Got::next(&mut client).json();
        if !allowed {
            assert_eq!(told("Nats-Trace-Dest: ").as_deref(), Some("trace disabled"));
            assert!(told("Nats-Trace-Hop: ").is_none() && report.get("hops").is_none(), "{lines:?} {report}");
            assert_eq!(house.tenant(&exporter).crossings.replies.len(), 1);
            continue;
        }
        assert_eq!((told("Nats-Trace-Hop: ").as_deref(), &report["hops"]), (Some("1"), &json!(1)));
        assert_eq!(report["events"][2]["acc"], exporter.key().to_string());
        let destination = told("Nats-Trace-Dest: ").unwrap();
        assert!(destination.starts_with("_R_.") && destination != reply, "{destination} {reply}");
        leaf.send(format!("LMSG {destination} 2\r\n{{}}\r\nLMSG {reply} 1\r\na\r\nLMSG {destination} 2\r\n[]\r\n"));
        for (subject, body) in [("t", "{}"), ("inbox", "a"), ("t", "[]")] {
            let got = Got::next(&mut client);
            assert_eq!((got.subject.as_str(), got.body.as_str()), (subject, body));
        }
        // Nobody who would report was there: no way back stays open.
        leaf.send("LS- svc\r\n");
        leaf.fenced();
        let mut service = house.join(&exporter);
        service.exchange_only("SUB svc 1\r\n", "");
        let before = house.tenant(&exporter).crossings.replies.len();
        client.send(traced("HPUB", "local.svc inbox", &["Nats-Trace-Dest: t"]));
        assert_eq!(Got::next(&mut service).values("Nats-Trace-Dest"), ["trace disabled"]);
        assert_eq!(Got::next(&mut client).json()["events"].as_array().unwrap().len(), 3);
        assert_eq!(house.tenant(&exporter).crossings.replies.len(), before + 1);
    }
}

#[test]
fn reports_come_back_over_two_borders() {
    let mut last = Account::new("last").exporting(Service, "svc");
    last.claims.nats.exports[0].allow_trace = true;
    let mut middle = Account::new("middle").importing(Service, &last, "svc", "mid").exporting(Service, "mid");
    middle.claims.nats.exports[0].allow_trace = true;
    let first = Account::new("first").importing(Service, &middle, "mid", "ask");
    let house = crossing::house(&[&last, &middle, &first]);
    let mut leaf = crossing::join(&house, &last, "far");
    leaf.fenced();
    leaf.send("LS+ svc\r\n");
    leaf.expect_nothing();
    let mut client = house.join(&first);
    let mut stranger = house.join(&middle);
    stranger.exchange_only("SUB t 1\r\n", "");
    client.exchange_only("SUB t 1\r\n", "");
    client.send(traced("HPUB", "ask", &["Nats-Trace-Dest: t", "Nats-Trace-Only: 1"]));
    let mut line = leaf.line();
    while !line.starts_with("Nats-Trace-Dest: ") {
        line = leaf.line();
    }
    let destination = line.strip_prefix("Nats-Trace-Dest: ").unwrap().to_owned();
    assert_eq!(Got::next(&mut client).json()["hops"], 1);
    leaf.fenced();
    leaf.send(format!("LMSG {destination} 2\r\n{{}}\r\n"));
    let got = Got::next(&mut client);
    assert_eq!((got.subject.as_str(), got.body.as_str()), ("t", "{}"));
    stranger.expect_nothing();
}

#[test]
fn a_leaf_node_of_the_importer_is_not_told_where_the_exporters_reports_go() {
    for allowed in [true, false] {
        let exporter = Account::new("exporter").exporting(Stream, "ev.>");
        let mut importer = Account::new("importer").importing(Stream, &exporter, "ev.>", "from.>");
        importer.claims.nats.imports[0].allow_trace = allowed;
        let house = crossing::house(&[&exporter, &importer]);
        let mut leaf = crossing::join(&house, &importer, "far");
        leaf.send("LS+ from.a\r\n");
        leaf.fenced();
        let mut client = house.join(&exporter);
        client.exchange_only("SUB t 1\r\n", "");
        client.send(traced("HPUB", "ev.a", &["Nats-Trace-Dest: t", "Nats-Trace-Hop: 1"]));
        leaf.expect(&["HMSG from.a 45 47", "NATS/1.0", "Nats-Trace-Dest: trace disabled", "", "hi"]);
        let report = Got::next(&mut client).json();
        if allowed {
            let event = egress(&report);
            assert_eq!((&event["error"], &event["acc"]), (&json!(DELIVERED), &json!(importer.key().to_string())));
        } else {
            assert_eq!(report["events"].as_array().unwrap().len(), 1, "{report}");
        }
        client.send(traced("HPUB", "ev.a", &["Nats-Trace-Dest: t", "Nats-Trace-Only: 1"]));
        Got::next(&mut client);
        leaf.expect_nothing();
    }
}

#[test]
fn two_brokers_report_on_both_sides_in_both_directions() {
    let hub = open();
    let spoke = joined_to(&hub, |_| {});
    joined(&hub, 1);
    for (from, to) in [(&hub, &spoke), (&spoke, &hub)] {
        let (mut asker, mut receiver) = (from.peer(), to.peer());
        asker.exchange_only("SUB t 1\r\n", "");
        receiver.exchange_only("SUB foo 1\r\n", "");
        from.until("the interest has come over", |broker| has_far(broker, b"foo"));
        to.until("so has the other", |broker| has_far(broker, b"t"));
        for (only, lines) in
            [(false, ["A: b", "Nats-Trace-Dest: t"]), (true, ["Nats-Trace-Only: on", "Nats-Trace-Dest: t"])]
        {
            asker.send(traced("HPUB", "foo", &lines));
            let near = Got::next(&mut asker).json();
            let event = egress(&near);
            assert_eq!((&near["hops"], &event["kind"], &event["hop"]), (&json!(1), &json!(4), &json!("1")));
            let far = Got::next(&mut asker).json();
            assert_eq!(
                (&far["events"][0]["kind"], &far["request"]["header"]["Nats-Trace-Hop"]),
                (&json!(4), &json!(["1"]))
            );
            assert_eq!(egress(&far)["sub"], "foo");
            assert_ne!(near["server"]["id"], far["server"]["id"]);
            if !only {
                assert_eq!(Got::next(&mut receiver).values("Nats-Trace-Dest"), ["t"]);
            }
            receiver.expect_nothing();
        }
    }
}
