//! Exports and imports of a configuration file, live: streams, services, private ones, latency, mappings, `$SYS`.

mod house;
mod support;

use house::{Got, ask, expect_quiet, is_nobody};
use support::TestBroker;

/// Accounts `A` and `B` with a user each, named alike, and what else is said of them.
fn two(a: &str, b: &str) -> String {
    format!(
        "accounts {{ A {{ users: [{{user: a, password: a}}], {a} }}\n\
         B {{ users: [{{user: b, password: b}}], {b} }}\n\
         C {{ users: [{{user: c, password: c}}] }} }}"
    )
}

#[test]
fn a_stream_reaches_those_who_import_it_under_their_name_and_nobody_else() {
    let broker = TestBroker::of_text(&two(
        "exports: [{stream: \"news.>\"}, {stream: \"raw.*\"}]",
        "imports: [{stream: {account: A, subject: \"news.>\"}, prefix: in}, {stream: {account: A, subject: \"raw.*\"}, to: \"cooked.$1\"}]",
    ));
    let (mut a, mut b, mut c) = (broker.peer_as("a"), broker.peer_as("b"), broker.peer_as("c"));
    b.exchange_only("SUB in.news.> 1\r\nSUB news.> 2\r\nSUB cooked.x 3\r\n", "");
    c.exchange_only("SUB > 1\r\n", "");
    a.exchange_only("PUB news.uk 2\r\nhi\r\nPUB raw.x 1\r\nx\r\nPUB raw.y 1\r\ny\r\nPUB other 1\r\nz\r\n", "");
    b.exchange_only("", "MSG in.news.uk 1 2\r\nhi\r\nMSG cooked.x 3 1\r\nx\r\n");
    // One way only.
    a.exchange_only("SUB > 1\r\n", "");
    b.exchange_only("PUB in.news.uk 1\r\nx\r\n", "MSG in.news.uk 1 1\r\nx\r\n");
    a.expect_nothing();
    c.expect_nothing();
}

#[test]
fn a_queue_of_exporter_and_importer_shares_each_message_once() {
    let broker = TestBroker::of_text(&two("exports: [{stream: s}]", "imports: [{stream: {account: A, subject: s}}]"));
    let (mut a, mut b) = (broker.peer_as("a"), broker.peer_as("b"));
    a.exchange_only("SUB s q 1\r\n", "");
    b.exchange_only("SUB s q 1\r\n", "");
    let mut source = broker.peer_as("a");
    for _ in 0..50 {
        source.exchange_only("PUB s 0\r\n\r\n", "");
    }
    let got = [&mut a, &mut b].map(|peer| support::count(&peer.fenced(), "MSG s 1 0"));
    assert!(got[0] + got[1] == 50 && got[0] > 0 && got[1] > 0, "{got:?}");
}

#[test]
fn a_service_is_asked_under_the_importers_name_and_answers_the_requester_alone() {
    let broker = TestBroker::of_text(&two(
        "exports: [{service: \"q.*.*\"}]",
        "imports: [{service: {account: A, subject: \"q.*.*\"}, to: \"my.$2.$1\"}]",
    ));
    let (mut server, mut client, mut other) = (broker.peer_as("a"), broker.peer_as("b"), broker.peer_as("b"));
    server.exchange_only("SUB q.> 1\r\n", "");
    other.exchange_only("SUB > 1\r\n", "");
    let forged = "NATS/1.0\r\nNats-Request-Info: {\"acc\":\"C\"}\r\n\r\n";
    client.send(format!("SUB in 1\r\nHPUB my.one.two in {} {}\r\n{forged}\r\n", forged.len(), forged.len()));
    let request = Got::next(&mut server);
    assert_eq!(request.subject, "q.two.one");
    assert!(request.reply.starts_with("_R_."), "{}", request.reply);
    assert_eq!(request.values("Nats-Request-Info"), ["{\"acc\":\"B\"}"]);
    let reply = request.reply;
    server.exchange_only(format!("PUB {reply} 2\r\nok\r\nPUB {reply} 5\r\ntwice\r\n"), "");
    client.exchange_only("", "MSG in 1 2\r\nok\r\n");
    let seen = String::from_utf8(other.fenced()).unwrap();
    assert!(seen.contains("my.one.two") && seen.contains("MSG in 1 2\r\nok"), "the account's own messages: {seen}");
    assert!(!seen.contains("twice") && !seen.contains("_R_."), "{seen}");
    // An account without the import is not heard, and knows it.
    let mut stranger = broker.peer_as("c");
    assert!(is_nobody(&ask(&mut stranger, "my.one.two", "")) && is_nobody(&ask(&mut stranger, "q.two.one", "")));
    server.expect_nothing();
}

#[test]
fn responses_follow_the_type_of_the_export() {
    let broker = TestBroker::of_text(&two(
        "exports: [{service: many, response_type: stream, accounts: B}, {service: late, threshold: \"10ms\"}]",
        "imports: [{service: {account: A, subject: many}}, {service: {account: A, subject: late}}]",
    ));
    let (mut server, mut client) = (broker.peer_as("a"), broker.peer_as("b"));
    server.exchange_only("SUB * 1\r\n", "");
    client.exchange_only("SUB in 1\r\nPUB many in 0\r\n\r\n", "");
    let reply = Got::next(&mut server).reply;
    server.exchange_only(
        format!("PUB {reply} 1\r\n1\r\nPUB {reply} 1\r\n2\r\nPUB {reply} 0\r\n\r\nPUB {reply} 1\r\n3\r\n"),
        "",
    );
    client.exchange_only("", "MSG in 1 1\r\n1\r\nMSG in 1 1\r\n2\r\nMSG in 1 0\r\n\r\n");
    client.exchange_only("PUB late in 0\r\n\r\n", "");
    let reply = Got::next(&mut server).reply;
    broker.until("the reply to be forgotten", |_| broker.account("A").crossings.replies.is_empty());
    server.exchange_only(format!("PUB {reply} 1\r\nx\r\n"), "");
    expect_quiet(&mut client);
}

#[test]
fn an_account_has_the_part_of_a_service_that_bears_its_name() {
    let broker = TestBroker::of_text(&two(
        "exports: [{service: \"of.*.>\", account_token_position: 2}]",
        "imports: [{service: {account: A, subject: of.B.x}, to: x}]",
    ));
    let (mut server, mut client) = (broker.peer_as("a"), broker.peer_as("b"));
    server.exchange_only("SUB of.> 1\r\n", "");
    client.exchange_only("PUB x 0\r\n\r\n", "");
    assert_eq!(Got::next(&mut server).subject, "of.B.x");
}

#[test]
fn the_latency_of_a_service_is_measured_in_its_account() {
    let broker = TestBroker::of_text(&two(
        "exports: [{service: svc, latency: figures}]",
        "imports: [{service: {account: A, subject: svc}, share: true}]",
    ));
    let (mut server, mut watcher, mut client) = (broker.peer_as("a"), broker.peer_as("a"), broker.peer_as("b"));
    server.exchange_only("SUB svc 1\r\n", "");
    watcher.exchange_only("SUB figures 1\r\n", "");
    client.exchange_only("SUB in 1\r\nPUB svc in 0\r\n\r\n", "");
    let request = Got::next(&mut server);
    assert!(request.values("Nats-Request-Info")[0].contains("\"user\":\"b\""), "{:?}", request.header);
    server.exchange_only(format!("PUB {} 0\r\n\r\n", request.reply), "");
    let figures = Got::next(&mut watcher).json();
    assert_eq!(figures["type"], "io.nats.server.metric.v1.service_latency");
    assert_eq!((&figures["status"], &figures["requestor"]["user"]), (&200.into(), &"b".into()), "{figures}");
    client.exchange_only("", "MSG in 1 0\r\n\r\n");
}

#[test]
fn imports_chain_and_name_the_account_in_between() {
    let broker = TestBroker::of_text(
        "accounts { A { users: [{user: a, password: a}], exports: [{service: x}] }\n\
         B { users: [{user: b, password: b}], imports: [{service: {account: A, subject: x}, to: y}], exports: [{service: y}] }\n\
         C { users: [{user: c, password: c}], imports: [{service: {account: B, subject: y}, to: z}] } }",
    );
    let (mut server, mut client) = (broker.peer_as("a"), broker.peer_as("c"));
    server.exchange_only("SUB x 1\r\n", "");
    client.exchange_only("SUB in 1\r\nPUB z in 0\r\n\r\n", "");
    let request = Got::next(&mut server);
    let info: serde_json::Value = serde_json::from_str(&request.values("Nats-Request-Info")[0]).unwrap();
    assert_eq!((&info["acc"], &info["svc"]), (&"C".into(), &"B".into()), "{info}");
    server.exchange_only(format!("PUB {} 2\r\nok\r\n", request.reply), "");
    client.exchange_only("", "MSG in 1 2\r\nok\r\n");
}

#[test]
fn mappings_rewrite_before_permissions_and_again_in_the_exporter() {
    let broker = TestBroker::of_text(
        "mappings { \"g.*\": \"h.$1\" }\n\
         authorization { users: [{user: g, password: g, permissions { publish: \"h.>\" }}] }\n\
         accounts { A { users: [{user: a, password: a}], exports: [{service: s}], mappings { s: t } }\n\
         B { users: [{user: b, password: b}], imports: [{service: {account: A, subject: s}, to: l}], mappings { k: l } } }",
    );
    let mut global = broker.peer_as("g");
    global.exchange_only("SUB h.1 1\r\nPUB g.1 0\r\n\r\n", "MSG h.1 1 0\r\n\r\n");
    global.exchange_only("PUB x 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"x\"'\r\n");
    let (mut server, mut client) = (broker.peer_as("a"), broker.peer_as("b"));
    server.exchange_only("SUB t 1\r\n", "");
    client.exchange_only("PUB k 1\r\nm\r\n", "");
    assert_eq!(Got::next(&mut server).body, "m");
}

#[test]
fn weights_share_and_lose_what_they_say() {
    let broker = TestBroker::of_text(
        "mappings { foo: [{dest: a, weight: 30%}, {dest: b, weight: 70%}], lossy: {dest: lossy, weight: 80}, some: {dest: c, weight: 20} }\n\
         insecure_no_auth: true",
    );
    let mut peer = broker.accepts("");
    let mut shares = |subject: &str, to: &[&str]| {
        for (at, to) in to.iter().enumerate() {
            peer.exchange_only(format!("SUB {to} {at}\r\n"), "");
        }
        peer.send(format!("PUB {subject} 0\r\n\r\n").repeat(2000));
        let got = peer.fenced();
        for at in 0..to.len() {
            peer.exchange_only(format!("UNSUB {at}\r\n"), "");
        }
        to.iter().map(|to| support::count(&got, &format!("MSG {to} "))).collect::<Vec<_>>()
    };
    let near = |got: usize, expected: usize| got.abs_diff(expected) < 120;
    let foo = shares("foo", &["a", "b"]);
    assert!(near(foo[0], 600) && foo[0] + foo[1] == 2000, "{foo:?}");
    let lossy = shares("lossy", &["lossy"]);
    assert!(near(lossy[0], 1600), "a fifth is lost: {lossy:?}");
    let some = shares("some", &["c", "some"]);
    assert!(near(some[0], 400) && some[0] + some[1] == 2000, "the rest stays: {some:?}");
}

#[test]
fn tenants_ask_the_system_account_about_themselves_alone() {
    let broker = TestBroker::of_text(
        "accounts { SYS { users: [{user: s, password: s}] }, A { users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }\n\
         system_account: SYS",
    );
    let (mut system, mut a, _b) = (broker.peer_as("s"), broker.peer_as("a"), broker.peer_as("b"));
    for body in ["", "{\"acc\":\"B\"}", "{\"acc\":\"SYS\",\"user\":\"\"}"] {
        let answer = ask(&mut a, "$SYS.REQ.SERVER.PING.CONNZ", body).json();
        let rows = answer["data"]["connections"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(rows.len(), 1, "{answer}");
    }
    assert!(is_nobody(&ask(&mut a, "$SYS.REQ.SERVER.PING", "")), "the rest is for the system account");
    assert!(is_nobody(&ask(&mut a, "$SYS.REQ.ACCOUNT.B.CONNZ", "")));
    let figures = ask(&mut system, "$SYS.REQ.SERVER.PING.CONNZ", "").json();
    assert_eq!(figures["data"]["connections"].as_array().map(Vec::len), Some(3), "{figures}");
    let accounts = ask(&mut system, "$SYS.REQ.SERVER.PING.ACCOUNTZ", "").json();
    assert_eq!(accounts["data"]["system_account"], "SYS", "{accounts}");
    // Events come in the system account.
    system.exchange_only("SUB $SYS.ACCOUNT.A.CONNECT 1\r\n", "");
    let _second = broker.peer_as("a");
    assert_eq!(Got::next(&mut system).json()["client"]["user"], "a");
}

#[test]
fn configured_accounts_have_the_services_about_themselves_and_no_others() {
    let broker = TestBroker::of_text(
        "system_account: SYS\naccounts { SYS { users: [{user: s, password: s}] }, A { users: [{user: a, password: a}] },\n\
         \"a.b\" { users: [{user: dotted, password: dotted}] } }",
    );
    let (mut a, mut dotted) = (broker.peer_as("a"), broker.peer_as("dotted"));
    for (subject, answers) in [
        ("$SYS.REQ.USER.INFO", true),
        ("$SYS.REQ.ACCOUNT.PING.CONNZ", true),
        ("$SYS.REQ.SERVER.PING.CONNZ", true),
        ("$SYS.REQ.ACCOUNT.PING.STATZ", true),
        ("$SYS.REQ.ACCOUNT.PING.SUBSZ", false),
        ("$SYS.REQ.ACCOUNT.PING.INFO", false),
        ("$SYS.REQ.ACCOUNT.PING.LEAFZ", false),
        ("$SYS.REQ.SERVER.PING", false),
        ("$SYS.REQ.SERVER.PING.VARZ", false),
        ("$SYS.REQ.ACCOUNT.A.CONNZ", false),
    ] {
        assert_ne!(is_nobody(&ask(&mut a, subject, "")), answers, "{subject}");
        // A name of several tokens has no place in those subjects, with nats-server neither.
        assert!(is_nobody(&ask(&mut dotted, subject, "")), "{subject}");
    }
    let without = TestBroker::of_text(
        "no_system_account: true\naccounts { A { users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }",
    );
    assert!(is_nobody(&ask(&mut without.peer_as("a"), "$SYS.REQ.USER.INFO", "")));
}

#[test]
fn nothing_of_a_configured_account_reaches_another_without_an_import() {
    let broker = TestBroker::of_text(&two("exports: [{stream: \">\"}, {service: \"svc.>\"}]", ""));
    let (mut a, mut b) = (broker.peer_as("a"), broker.peer_as("b"));
    b.exchange_only("SUB > 1\r\nSUB > q 2\r\n", "");
    a.exchange_only("PUB x 1\r\n1\r\nPUB _INBOX.x 1\r\n1\r\n", "");
    b.expect_nothing();
    a.exchange_only("SUB svc.> 1\r\n", "");
    b.send("PUB svc.x in 0\r\n\r\n");
    let own = String::from_utf8(b.fenced()).unwrap();
    assert!(own.contains("MSG svc.x 1 in 0"), "its own subscriptions have it: {own}");
    a.expect_nothing();
    broker.peer_as("c").exchange_only(
        "PUB foo _R_.a.b 0\r\n\r\n",
        "-ERR 'Permissions Violation for Publish with Reply of \"_R_.a.b\"'\r\n",
    );
}

#[test]
fn the_example_of_the_documentation_works() {
    let page = include_str!("../../docs/configuration.md");
    let section = page.split("## Accounts\n").nth(1).unwrap();
    let example = section.split("```\n").nth(1).unwrap();
    let example = example.strip_prefix("listen: \"127.0.0.1:4222\"\n").expect("it listens on loopback");
    let broker = TestBroker::of_text(example);
    let login = |user: &str, password: &str| broker.accepts(&format!("\"user\":\"{user}\",\"pass\":\"{password}\""));
    let (mut orders, mut shop) = (login("orders", "change-me-1"), login("shop", "change-me-2"));
    orders.exchange_only("SUB orders.status.* 1\r\n", "");
    shop.exchange_only("SUB in.orders.events.> 1\r\n", "");
    orders.exchange_only("PUB orders.events.new 1\r\n7\r\n", "");
    shop.exchange_only("", "MSG in.orders.events.new 1 1\r\n7\r\n");
    shop.exchange_only("SUB _INBOX.1 2\r\nPUB ask.old.7 _INBOX.1 0\r\n\r\n", "");
    let request = Got::next(&mut orders);
    assert_eq!(request.subject, "orders.status.7");
    orders.exchange_only(format!("PUB {} 4\r\nsent\r\n", request.reply), "");
    shop.exchange_only("", "MSG _INBOX.1 2 4\r\nsent\r\n");
    let violation = "-ERR 'Permissions Violation for Publish to \"orders.status.7\"'\r\n";
    shop.exchange_only("PUB orders.status.7 0\r\n\r\n", violation);
    let mut admin = login("admin", "change-me-3");
    assert!(ask(&mut admin, "$SYS.REQ.SERVER.PING.CONNZ", "").json()["data"]["num_connections"] == 3);
}

#[test]
fn subscriptions_are_counted_for_who_may_ask_in_its_own_account() {
    let broker = TestBroker::of_text(
        "accounts { SYS { users: [{user: s, password: s}], exports: [{service: \"$SYS.DEBUG.SUBSCRIBERS\"}] }\n\
         A { users: [{user: a, password: a}] }\n\
         B { users: [{user: b, password: b}], imports: [{service: {account: SYS, subject: \"$SYS.DEBUG.SUBSCRIBERS\"}}] } }\n\
         system_account: SYS\nleafnodes { listen: \"127.0.0.1:-1\" }\n",
    );
    let count = "$SYS.DEBUG.SUBSCRIBERS";
    let (mut a, mut b, mut system) = (broker.peer_as("a"), broker.peer_as("b"), broker.peer_as("s"));
    a.exchange_only("SUB foo 1\r\nSUB foo 2\r\nSUB bar 3\r\n", "");
    let mut other = broker.peer_as("b");
    let subjects = ["foo", "foo", "foo q", "foo q", "foo r", "*", ">", "foo.a", "foo.>", "foo.*", "foo.b q", "foo.* q"];
    for (sid, subject) in subjects.iter().enumerate() {
        other.send(format!("SUB {subject} {sid}\r\n"));
    }
    other.expect_nothing();
    // What nats-server answers; the asker's inbox lies within `>`.
    for (body, wanted) in [
        ("foo", "7"),
        ("foo q", "2"),
        ("foo r", "1"),
        ("foo nope", "0"),
        ("foo q x", "2"),
        ("foo.a", "5"),
        ("foo.b", "5"),
        ("foo.b q", "2"),
        ("foo.*", "4"),
        ("foo.* q", "2"),
        ("foo.>", "5"),
        (">", "13"),
        ("> q", "4"),
        ("*", "6"),
        ("*.*", "4"),
        ("bar", "2"),
        ("", "0"),
        (" foo\tq\n", "2"),
        ("foo..a", "0"),
        ("$SYS.>", "0"),
    ] {
        let answer = ask(&mut b, count, body);
        assert_eq!(answer.body, wanted, "{body:?}");
    }
    assert_eq!(ask(&mut system, count, "foo").body, "0", "of its own account");
    assert!(is_nobody(&ask(&mut a, count, "foo")), "nobody but who imports it may ask");
    let mut leaf = support::leaf::RawLeaf::join(&broker, "far", serde_json::json!({"user": "b", "pass": "b"}));
    leaf.interest();
    leaf.send("LS+ foo\r\nLS+ foo q 3\r\nLS+ baz q 2\r\n");
    leaf.fenced();
    for (body, wanted) in [("foo", "11"), ("foo q", "5"), ("baz", "4")] {
        assert_eq!(ask(&mut b, count, body).body, wanted, "{body:?}");
    }
}
