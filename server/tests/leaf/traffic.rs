//! Interest and messages of leaf nodes.

use serde_json::json;

use crate::support::TestBroker;
use crate::support::leaf::RawLeaf;
use crate::{listening, open};

fn joined(broker: &TestBroker, name: &str) -> RawLeaf {
    let mut leaf = RawLeaf::join(broker, name, json!({}));
    leaf.fenced();
    leaf
}

#[test]
fn plain_interest_is_told_when_it_begins_and_ends() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    let mut client = broker.peer();
    for (line, told) in [
        ("SUB foo 1", Some("LS+ foo")),
        ("SUB foo 2", None),
        ("UNSUB 1", None),
        ("UNSUB 2", Some("LS- foo")),
        ("SUB foo.> 3", Some("LS+ foo.>")),
    ] {
        client.exchange_only(format!("{line}\r\n"), "");
        leaf.expect(&told.into_iter().collect::<Vec<_>>());
        leaf.expect_nothing();
    }
    drop(client);
    leaf.expect(&["LS- foo.>"]);
}

#[test]
fn queue_groups_are_told_with_every_change_of_their_members() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    let mut client = broker.peer();
    for (line, told) in [
        ("SUB w q 1", "LS+ w q 1"),
        ("SUB w q 2", "LS+ w q 2"),
        ("UNSUB 2", "LS+ w q 1"),
        ("UNSUB 1", "LS- w q"),
        ("SUB w other 3", "LS+ w other 1"),
    ] {
        client.exchange_only(format!("{line}\r\n"), "");
        leaf.expect(&[told]);
        leaf.expect_nothing();
    }
}

#[test]
fn messages_go_where_interest_is_once() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    let mut client = broker.peer();
    client.exchange_only("PUB foo 2\r\nhi\r\n", "");
    leaf.expect_nothing();
    leaf.send("LS+ foo\r\nLS+ *\r\nLS+ >\r\nLS+ foo\r\n");
    leaf.expect_nothing();
    client.exchange_only("PUB foo 2\r\nhi\r\nPUB foo reply 2\r\nhi\r\n", "");
    leaf.expect(&["LMSG foo 2", "hi", "LMSG foo reply 2", "hi"]);
    leaf.send("LS- foo\r\nLS- *\r\nLS- >\r\nLS- never\r\n");
    leaf.expect_nothing();
    client.exchange_only("PUB foo 2\r\nhi\r\n", "");
    leaf.expect_nothing();
    assert_eq!(broker.running.broker.tenants.global().interest.len(), 0);
}

#[test]
fn malformed_interest_ends_the_connection() {
    let broker = open();
    for line in ["LS+ a b\r\n", "LS+ a b c d\r\n", "LS+ a b x\r\n", "LMSG a + b 1\r\nx\r\n", "LMSG a * r q 1\r\nx\r\n"]
    {
        let mut leaf = joined(&broker, "far");
        leaf.send(line);
        assert_eq!(String::from_utf8_lossy(&leaf.peer.rest()), "", "{line:?}");
    }
    let mut leaf = joined(&broker, "far");
    leaf.send("LS+ a..b\r\n");
    leaf.expect(&["-ERR 'Invalid Subject'"]);
    leaf.expect_nothing();
}

#[test]
fn messages_of_the_leaf_reach_plain_subscriptions_and_listed_groups_alone() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    let mut client = broker.peer();
    client.exchange_only("SUB w 1\r\nSUB w a 2\r\nSUB w b 3\r\nSUB w.* 4\r\n", "");
    leaf.fenced();
    leaf.send("LMSG w 1\r\nx\r\n");
    leaf.expect_nothing();
    client.expect("MSG w 1 1\r\nx\r\n");
    client.expect_nothing();
    leaf.send("LMSG w | a nobody 1\r\ny\r\n");
    leaf.expect_nothing();
    client.expect("MSG w 1 1\r\ny\r\nMSG w 2 1\r\ny\r\n");
    client.expect_nothing();
    leaf.send("LMSG w + r a b 1\r\nz\r\nLMSG w.x 0\r\n\r\n");
    leaf.expect_nothing();
    let got = String::from_utf8(client.fenced()).unwrap();
    assert_eq!(
        got.matches("w 1 r 1").count() + got.matches("w 2 r 1").count() + got.matches("w 3 r 1").count(),
        3,
        "{got}"
    );
    assert!(got.ends_with("MSG w.x 4 0\r\n\r\n"), "{got}");
}

#[test]
fn groups_prefer_members_here_and_list_what_was_chosen_there() {
    let broker = open();
    let (mut one, mut two) = (joined(&broker, "one"), joined(&broker, "two"));
    one.send("LS+ w q 1\r\nLS+ w r 1\r\nLS+ w\r\n");
    one.expect_nothing();
    two.fenced();
    two.send("LS+ w q 3\r\n");
    two.expect_nothing();
    one.fenced();
    let mut client = broker.peer();
    let mut chosen = [0, 0];
    for _ in 0..40 {
        client.exchange_only("PUB w 0\r\n\r\n", "");
        let line = one.line();
        assert_eq!(one.line(), "");
        match line.as_str() {
            "LMSG w | q r 0" | "LMSG w | r q 0" => chosen[0] += 1,
            "LMSG w | r 0" => {
                chosen[1] += 1;
                two.expect(&["LMSG w | q 0", ""]);
            }
            other => panic!("{other}"),
        }
    }
    assert!(chosen[1] > chosen[0] && chosen[0] > 0, "three of four members are there: {chosen:?}");
    let mut member = broker.peer();
    member.exchange_only("SUB w q 1\r\n", "");
    one.expect(&["LS+ w q 4"]);
    two.expect(&["LS+ w q 2"]);
    for _ in 0..10 {
        client.exchange_only("PUB w 0\r\n\r\n", "");
        member.expect("MSG w 1 0\r\n\r\n");
        one.expect(&["LMSG w | r 0", ""]);
    }
    two.expect_nothing();
}

#[test]
fn weights_follow_what_was_said_last() {
    let broker = open();
    let (mut one, mut two) = (joined(&broker, "one"), joined(&broker, "two"));
    for (line, told) in
        [("LS+ w q 2", "LS+ w q 2"), ("LS+ w q 5", "LS+ w q 5"), ("LS+ w q 1", "LS+ w q 1"), ("LS- w q", "LS- w q")]
    {
        one.send(format!("{line}\r\n"));
        one.expect_nothing();
        two.expect(&[told]);
    }
}

#[test]
fn headers_go_along_where_they_are_read() {
    let broker = open();
    let mut plain = RawLeaf::join(&broker, "plain", json!({"headers": false}));
    let mut leaf = joined(&broker, "far");
    plain.fenced();
    for leaf in [&mut plain, &mut leaf] {
        leaf.send("LS+ h\r\n");
        leaf.fenced();
    }
    for leaf in [&mut plain, &mut leaf] {
        leaf.fenced();
    }
    let mut client = broker.peer();
    client.exchange_only("HPUB h r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n", "");
    leaf.expect(&["HMSG h r 18 20", "NATS/1.0", "A: b", "", "hi"]);
    plain.expect(&["LMSG h r 2", "hi"]);
    client.exchange_only("SUB h 1\r\n", "");
    leaf.fenced();
    leaf.send("HMSG h 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n");
    client.expect("HMSG h 1 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n");
}

#[test]
fn too_large_messages_end_the_connection() {
    let mut options = listening(|_| {});
    options.max_payload = 1000;
    let broker = TestBroker::with(options, crate::support::nobody());
    let mut leaf = joined(&broker, "far");
    leaf.send("LMSG a 1001\r\n");
    leaf.expect_refused("Maximum Payload Violation");
}

#[test]
fn nothing_comes_back_and_nothing_goes_into_its_own_cluster() {
    let broker = open();
    let mut one = joined(&broker, "one");
    let mut same = RawLeaf::join(&broker, "two", json!({"cluster": "one"}));
    let mut other = joined(&broker, "three");
    same.fenced();
    for leaf in [&mut one, &mut same, &mut other] {
        leaf.send("LS+ news\r\n");
        leaf.fenced();
    }
    for leaf in [&mut one, &mut same, &mut other] {
        leaf.fenced();
    }
    one.send("LMSG news 1\r\nx\r\n");
    one.expect_nothing();
    other.expect(&["LMSG news 1", "x"]);
    same.expect_nothing();
}

#[test]
fn between_hubs_nothing_passes() {
    let broker = open();
    let mut hub = RawLeaf::join(&broker, "hub", json!({"is_hub": true}));
    let mut second = RawLeaf::join(&broker, "second", json!({"is_hub": true}));
    let mut spoke = joined(&broker, "spoke");
    for leaf in [&mut hub, &mut second] {
        leaf.fenced();
    }
    for leaf in [&mut hub, &mut second, &mut spoke] {
        leaf.send("LS+ news\r\n");
        leaf.fenced();
    }
    // Of the spoke, and not of each other.
    assert_eq!(hub.fenced(), ["LS+ news"]);
    second.fenced();
    spoke.fenced();
    hub.send("LMSG news 1\r\nx\r\n");
    hub.expect_nothing();
    spoke.expect(&["LMSG news 1", "x"]);
    second.expect_nothing();
    spoke.send("LMSG news 1\r\ny\r\n");
    spoke.expect_nothing();
    hub.expect(&["LMSG news 1", "y"]);
    second.expect(&["LMSG news 1", "y"]);
}

#[test]
fn an_isolated_leaf_is_not_told_of_others_but_gets_what_it_wants() {
    let broker = open();
    let mut isolated = RawLeaf::join(&broker, "isolated", json!({"isolate": true}));
    isolated.fenced();
    let mut other = joined(&broker, "other");
    other.send("LS+ from.other\r\n");
    other.expect_nothing();
    isolated.expect_nothing();
    let mut client = broker.peer();
    client.exchange_only("SUB from.client 1\r\n", "");
    isolated.expect(&["LS+ from.client"]);
    isolated.send("LS+ news\r\n");
    isolated.fenced();
    other.send("LMSG news 1\r\nx\r\n");
    other.fenced();
    isolated.expect(&["LMSG news 1", "x"]);
    let leafz = cordon_server::monitoring::leafz::leafz(
        &broker.running.broker,
        &cordon_server::monitoring::leafz::LeafzOptions::default(),
        None,
    );
    let flags: Vec<_> =
        leafz["leafs"].as_array().unwrap().iter().map(|leaf| leaf.get("is_isolated").is_some()).collect();
    assert_eq!(flags, [true, false]);
}

#[test]
fn a_request_finds_its_way_there_and_back_with_the_inbox_told_before_it() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    leaf.send("LS+ svc\r\n");
    leaf.expect_nothing();
    let mut client = broker.peer();
    client.send("SUB _INBOX.x 1\r\nPUB svc _INBOX.x 1\r\nq\r\n");
    leaf.expect(&["LS+ _INBOX.x", "LMSG svc _INBOX.x 1", "q"]);
    leaf.send("LMSG _INBOX.x 1\r\na\r\n");
    client.expect("MSG _INBOX.x 1 1\r\na\r\n");
}

#[test]
fn nobody_responds_is_decided_here_and_never_sent_over() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    let mut client = broker.peer();
    client.exchange("SUB in 1\r\nPUB nobody in 0\r\n\r\n", "HMSG in 1 ");
    client.until("\r\n\r\n\r\n");
    leaf.expect(&["LS+ in"]);
    leaf.send("LS+ >\r\n");
    leaf.expect_nothing();
    client.exchange_only("PUB nobody in 0\r\n\r\n", "");
    leaf.expect(&["LMSG nobody in 0", ""]);
    leaf.send("LMSG nowhere reply 0\r\n\r\n");
    leaf.expect_nothing();
}

#[test]
fn control_bytes_never_get_into_a_line() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    leaf.send("LS+ >\r\n");
    leaf.expect_nothing();
    let mut client = broker.peer();
    client.exchange_only("PUB a\x01b 0\r\n\r\nPUB ok re\x7fply 0\r\n\r\nSUB x\x02y 1\r\nSUB z q\x03 2\r\nPUB a.* 0\r\n\r\nPUB good 0\r\n\r\n", "");
    leaf.expect(&["LMSG good 0", ""]);
    leaf.expect_nothing();
    leaf.send("LS+ a\x01b\r\n");
    leaf.expect(&["-ERR 'Invalid Subject'"]);
}

#[test]
fn too_much_interest_is_refused_and_the_connection_stays() {
    let mut options = listening(|_| {});
    options.max_subscriptions = Some(2);
    let broker = TestBroker::with(options, crate::support::nobody());
    let mut leaf = joined(&broker, "far");
    leaf.send("LS+ a\r\nLS+ b\r\nLS+ c\r\nLS+ a\r\n");
    leaf.expect(&["-ERR 'maximum subscriptions exceeded'"]);
    leaf.expect_nothing();
}

#[test]
fn a_leaf_that_is_gone_takes_its_interest_along() {
    let broker = open();
    let mut other = joined(&broker, "other");
    let mut leaf = joined(&broker, "far");
    leaf.send("LS+ a\r\nLS+ b q 2\r\n");
    leaf.expect_nothing();
    other.expect(&["LS+ a", "LS+ b q 2"]);
    drop(leaf);
    let mut ended = [other.line(), other.line()];
    ended.sort();
    assert_eq!(ended, ["LS- a", "LS- b q"]);
    broker.until("it is forgotten", |broker| broker.tenants.global().leaf_count() == 1);
}

#[test]
fn monitoring_shows_leaf_nodes_apart_from_clients() {
    let broker = open();
    let mut leaf = joined(&broker, "far");
    leaf.send("LS+ a\r\nLMSG x 3\r\nabc\r\n");
    leaf.expect_nothing();
    let core = &broker.running.broker;
    let options = cordon_server::monitoring::leafz::LeafzOptions { subscriptions: true, account: String::new() };
    let leafz = cordon_server::monitoring::leafz::leafz(core, &options, None);
    let row = &leafz["leafs"][0];
    assert_eq!(
        (leafz["leafnodes"].as_u64(), row["name"].as_str(), row["is_spoke"].as_bool()),
        (Some(1), Some("far"), Some(false))
    );
    assert_eq!(
        (row["in_msgs"].as_u64(), row["in_bytes"].as_u64(), row["account"].as_str()),
        (Some(1), Some(3), Some("$G"))
    );
    assert_eq!(row["subscriptions_list"], json!(["a"]));
    let varz = cordon_server::monitoring::varz::varz(core, json!({}));
    assert_eq!((varz["leafnodes"].as_u64(), varz["connections"].as_u64()), (Some(1), Some(0)));
    assert_eq!(varz["leaf"]["port"].as_u64(), Some(u64::from(broker.running.leaf_address.unwrap().port())));
    let detail = cordon_server::monitoring::accounts::detail(core, "$G", false).unwrap();
    assert_eq!((detail["leafnode_connections"].as_u64(), detail["client_connections"].as_u64()), (Some(1), Some(0)));
}

#[test]
fn a_leaf_node_that_does_not_read_ends_at_its_own_deadline() {
    let mut options = listening(|_| {});
    let mut leaf = cordon_server::leaf::options::LeafOptions::clone(&options.leaf);
    leaf.write_deadline = Some(std::time::Duration::from_millis(200));
    options.leaf = std::sync::Arc::new(leaf);
    options.write_deadline = std::time::Duration::from_hours(1);
    let broker = TestBroker::with(options, crate::support::nobody());
    let (mut leaf, mut client) = (RawLeaf::join(&broker, "far", json!({})), broker.peer());
    leaf.send("LS+ big\r\n");
    leaf.fenced();
    let message = format!("PUB big 1000000\r\n{}\r\n", "x".repeat(1_000_000));
    for _ in 0..30 {
        client.send(&message);
    }
    broker.until("it is remembered that it ended by the deadline", |broker| {
        broker.connections.closed().iter().any(|closed| closed.reason == "Slow Consumer (Write Deadline)")
    });
    client.exchange_only("", "");
}
