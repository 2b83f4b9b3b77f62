//! Users and accounts of the configuration.

use crate::house::{Got, ask, is_nobody};
use crate::site::{OPEN, Site};
use crate::support::{Peer, QUIET};

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

fn peer_with(site: &Site, credentials: &str) -> Peer {
    site.broker.peer_with(&format!("{},{credentials}}}", QUIET.trim_end_matches('}')))
}

fn refused(site: &Site, credentials: &str) {
    let mut peer = site.broker.raw();
    peer.send(format!("CONNECT {{\"verbose\":false,{credentials}}}\r\nPING\r\n"));
    peer.expect_end(VIOLATION);
}

fn users(list: &str) -> String {
    format!("authorization {{ users: [{list}] }}\n")
}

#[test]
fn a_user_that_is_gone_goes_without_a_word_and_others_stay() {
    let site = Site::start(&users("{user: a, password: a}, {user: b, password: b}"));
    let (mut stays, mut goes) = (site.broker.peer_as("a"), site.broker.peer_as("b"));
    let changes = site.reloaded(&users("{user: a, password: a}"));
    assert_eq!(changes, ["user `b`: removed"]);
    goes.expect_end("");
    stays.expect_nothing();
    refused(&site, "\"user\":\"b\",\"pass\":\"b\"");
    assert_eq!(site.reloaded(&users("{user: a, password: a}, {user: b, password: b}")).len(), 1);
    site.broker.peer_as("b");
}

#[test]
fn a_changed_password_ends_its_connections_and_stands_nowhere() {
    let site = Site::start(&users("{user: a, password: a}, {user: b, password: b}"));
    let (mut stays, mut goes) = (site.broker.peer_as("a"), site.broker.peer_as("b"));
    let changes = site.reloaded(&users("{user: a, password: a}, {user: b, password: \"hunter2!\"}")).join("\n");
    assert!(changes.starts_with("user `b`: changed, in $G by Password") && !changes.contains("hunter"), "{changes}");
    goes.expect_end(VIOLATION);
    stays.expect_nothing();
    refused(&site, "\"user\":\"b\",\"pass\":\"b\"");
    peer_with(&site, "\"user\":\"b\",\"pass\":\"hunter2!\"").expect_nothing();
}

#[test]
fn a_single_user_stays_when_nothing_of_it_changes() {
    let text = "authorization { user: u, password: p }\n";
    let site = Site::start(text);
    let mut peer = peer_with(&site, "\"user\":\"u\",\"pass\":\"p\"");
    assert_eq!(site.reloaded(text), Vec::<String>::new());
    site.reloaded(&format!("{text}max_payload: 100\n"));
    peer.expect_nothing();
    site.reloaded("authorization { user: u, password: q }\n");
    peer.expect_end(VIOLATION);
}

#[test]
fn a_changed_token_ends_those_who_came_by_it() {
    let text = |token: &str| format!("authorization {{ token: \"{token}\" }}\n");
    let site = Site::start(&text("one"));
    let mut peer = peer_with(&site, "\"auth_token\":\"one\"");
    site.reloaded(&text("one"));
    peer.expect_nothing();
    let changes = site.reloaded(&text("other"));
    assert!(changes.len() == 1 && !changes[0].contains("other"), "{changes:?}");
    peer.expect_end(VIOLATION);
    refused(&site, "\"auth_token\":\"one\"");
    peer_with(&site, "\"auth_token\":\"other\"").expect_nothing();
}

#[test]
fn narrowed_permissions_end_what_they_no_longer_allow_and_nothing_else() {
    let text = |permissions: &str| users(&format!("{{user: a, password: a, permissions {{ {permissions} }} }}"));
    let site = Site::start(&text("publish: \">\", subscribe: \">\""));
    let mut peer = site.broker.peer_as("a");
    peer.exchange_only("SUB x 1\r\nSUB y 2\r\nSUB z q 3\r\nPUB x 1\r\na\r\n", "MSG x 1 1\r\na\r\n");
    site.reloaded(&text("publish: y, subscribe: y"));
    let told = String::from_utf8(peer.fenced()).unwrap();
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "-ERR 'Permissions Violation for Subscription to \"x\" (sid \"1\")'",
            "-ERR 'Permissions Violation for Subscription to \"z\" using queue \"q\" (sid \"3\")'",
        ]
    );
    peer.exchange_only("PUB x 1\r\na\r\n", "-ERR 'Permissions Violation for Publish to \"x\"'\r\n");
    peer.exchange_only("PUB y 1\r\na\r\n", "MSG y 2 1\r\na\r\n");
    site.reloaded(&text("publish: [x, y], subscribe: [x, y]"));
    peer.exchange_only("SUB x 4\r\nPUB x 1\r\na\r\n", "MSG x 4 1\r\na\r\n");
}

#[test]
fn defaults_change_for_those_who_have_them() {
    let text = |default: &str| {
        format!(
            "authorization {{ default_permissions {{ subscribe: {default} }}, \
             users: [{{user: a, password: a}}, {{user: b, password: b, permissions {{ publish: p }} }}] }}\n"
        )
    };
    let site = Site::start(&text("\">\""));
    let (mut inherits, mut own) = (site.broker.peer_as("a"), site.broker.peer_as("b"));
    inherits.exchange_only("SUB x 1\r\n", "");
    own.exchange_only("SUB x 1\r\n", "");
    site.reloaded(&text("y"));
    inherits.expect("-ERR 'Permissions Violation for Subscription to \"x\" (sid \"1\")'\r\n");
    inherits.expect_nothing();
    own.expect_nothing();
}

#[test]
fn a_user_in_another_account_goes_without_a_word() {
    let text = |of_a: &str, of_b: &str| format!("accounts {{ A {{ users: [{of_a}] }}, B {{ users: [{of_b}] }} }}\n");
    let (u, stays, other) = ("{user: u, password: u}", "{user: s, password: s}", "{user: o, password: o}");
    let site = Site::start(&text(&format!("{u}, {stays}"), other));
    let (mut moved, mut kept) = (site.broker.peer_as("u"), site.broker.peer_as("s"));
    site.reloaded(&text(stays, &format!("{u}, {other}")));
    moved.expect_end("");
    kept.expect_nothing();
    let data = ask(&mut site.broker.peer_as("u"), "$SYS.REQ.USER.INFO", "").json();
    assert_eq!(data["data"]["account"], "B");
}

#[test]
fn who_was_never_asked_is_refused_once_everybody_is_asked() {
    let site = Site::start(OPEN);
    let mut silent = site.broker.raw();
    // Without CONNECT it is told of everything.
    silent.exchange("SUB a 1\r\n", "+OK\r\n");
    let (mut anonymous, mut named) = (site.broker.peer(), peer_with(&site, "\"user\":\"u\",\"pass\":\"p\""));
    site.reloaded("authorization { user: u, password: p }\n");
    for peer in [&mut silent, &mut anonymous, &mut named] {
        peer.expect_end(VIOLATION);
    }
    refused(&site, "\"user\":\"u\",\"pass\":\"x\"");
    peer_with(&site, "\"user\":\"u\",\"pass\":\"p\"").expect_nothing();
}

#[test]
fn when_nobody_is_asked_any_more_those_with_a_token_stay() {
    let site = Site::start("authorization { token: t }\n");
    let mut peer = peer_with(&site, "\"auth_token\":\"t\"");
    site.reloaded(OPEN);
    peer.expect_nothing();
    site.broker.peer().expect_nothing();
}

#[test]
fn a_way_to_connect_that_is_not_allowed_any_more_ends_connections() {
    let text = |ways: &str| users(&format!("{{user: a, password: a, allowed_connection_types: [{ways}]}}"));
    let site = Site::start(&text("STANDARD, WEBSOCKET"));
    let mut peer = site.broker.peer_as("a");
    site.reloaded(&text("STANDARD"));
    peer.expect_nothing();
    site.reloaded(&text("WEBSOCKET"));
    peer.expect_end(VIOLATION);
}

#[test]
fn imports_and_exports_come_and_go_without_ending_anything() {
    let text = |exports: &str, imports: &str| {
        format!(
            "accounts {{ E {{ users: [{{user: e, password: e}}], exports: [{exports}] }}, \
             I {{ users: [{{user: i, password: i}}], imports: [{imports}] }} }}\n"
        )
    };
    let exports = "{stream: \"news.>\"}, {service: help}";
    let imports = "{stream: {account: E, subject: \"news.>\"}}, {service: {account: E, subject: help}}";
    let site = Site::start(&text(exports, ""));
    let (mut exporter, mut importer) = (site.broker.peer_as("e"), site.broker.peer_as("i"));
    exporter.exchange_only("SUB help 1\r\n", "");
    importer.exchange_only("SUB news.> 1\r\n", "");
    assert!(is_nobody(&ask(&mut importer, "help", "")));

    let changes = site.reloaded(&text(exports, imports));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].starts_with("account `I`: exports [], imports [] -> "), "{changes:?}");
    exporter.exchange_only("PUB news.a 1\r\nx\r\n", "");
    importer.expect("MSG news.a 1 1\r\nx\r\n");
    importer.send("SUB in 2\r\nPUB help in 2\r\nhi\r\n");
    let request = Got::next(&mut exporter);
    assert_eq!(request.body, "hi");
    exporter.exchange_only(format!("PUB {} 2\r\nho\r\n", request.reply), "");
    importer.expect("MSG in 2 2\r\nho\r\n");

    site.reloaded(&text(exports, ""));
    exporter.exchange_only("PUB news.a 1\r\nx\r\n", "");
    importer.expect_nothing();
    assert!(is_nobody(&ask(&mut importer, "help", "")));
}

#[test]
fn mappings_change_in_place() {
    let text = |mappings: &str| format!("{OPEN}mappings {{ {mappings} }}\n");
    let site = Site::start(&text("a: b"));
    let mut peer = site.broker.peer();
    peer.exchange_only("SUB > 1\r\nPUB a 1\r\nx\r\n", "MSG b 1 1\r\nx\r\n");
    site.reloaded(&text("a: c"));
    peer.exchange_only("PUB a 1\r\nx\r\n", "MSG c 1 1\r\nx\r\n");
    site.reloaded(OPEN);
    peer.exchange_only("PUB a 1\r\nx\r\n", "MSG a 1 1\r\nx\r\n");
}

#[test]
fn limits_of_an_account_come_down_on_what_is_over_them() {
    let text = |limits: &str| {
        format!(
            "accounts {{ A {{ users: [{{user: a, password: a}}], limits {{ {limits} }} }}, \
             B {{ users: [{{user: b, password: b}}] }} }}\n"
        )
    };
    let site = Site::start(&text(""));
    let (mut first, mut second) = (site.broker.peer_as("a"), site.broker.peer_as("a"));
    let mut other = site.broker.peer_as("b");
    first.exchange_only("SUB x 1\r\nSUB y 2\r\n", "");
    site.reloaded(&text("max_connections: 1"));
    second.expect_end("-ERR 'maximum account active connections exceeded'\r\n");
    first.expect_nothing();
    site.reloaded(&text("max_payload: 4"));
    let mut third = site.broker.peer_as("a");
    third.send("PUB a 5\r\n12345\r\n");
    third.expect_end("-ERR 'Maximum Payload Violation'\r\n");
    site.reloaded(&text("max_subscriptions: 1"));
    first.expect_end("-ERR 'maximum subscriptions exceeded'\r\n");
    other.expect_nothing();
}

#[test]
fn an_account_that_is_gone_takes_its_connections_with_it() {
    let (a, b) = ("A { users: [{user: a, password: a}] }", "B { users: [{user: b, password: b}] }");
    let site = Site::start(&format!("accounts {{ {a}, {b} }}\n"));
    let (mut stays, mut goes) = (site.broker.peer_as("a"), site.broker.peer_as("b"));
    site.reloaded(&format!("accounts {{ {a} }}\n"));
    goes.expect_end("");
    refused(&site, "\"user\":\"b\",\"pass\":\"b\"");
    stays.expect_nothing();
    site.reloaded(&format!("accounts {{ {a}, {b} }}\n"));
    site.broker.peer_as("b").expect_nothing();
}

#[test]
fn whoever_stands_in_for_those_who_present_nothing_may_change() {
    let text = |name: &str, permissions: &str| {
        format!(
            "no_auth_user: {name}\naccounts {{ A {{ users: [{{user: a, password: a, permissions {{ subscribe: {permissions} }} }}, \
             {{user: b, password: b}}] }} }}\n"
        )
    };
    let site = Site::start(&text("a", "\">\""));
    let mut nobody = site.broker.peer();
    nobody.exchange_only("SUB x 1\r\n", "");
    site.reloaded(&text("a", "y"));
    nobody.expect("-ERR 'Permissions Violation for Subscription to \"x\" (sid \"1\")'\r\n");
    nobody.expect_nothing();
    let mut named = site.broker.peer_as("b");
    site.reloaded(&text("a", "y").replacen("no_auth_user: a\n", "", 1));
    nobody.expect_end(VIOLATION);
    named.expect_nothing();
}

#[test]
fn what_an_account_has_reported_on_changes_in_place() {
    let with = |trace: &str| format!("accounts {{ A {{ users: [{{user: u, password: p}}], {trace} }} }}\n");
    let site = Site::start(&with("msg_trace: t.one"));
    let mut peer = peer_with(&site, "\"user\":\"u\",\"pass\":\"p\"");
    peer.exchange_only("SUB t.* 1\r\n", "");
    let header = "NATS/1.0\r\ntraceparent: 00-a-b-01\r\n\r\n";
    let message = format!("HPUB foo {0} {0}\r\n{header}\r\n", header.len());
    for (trace, told) in [
        ("", Some("t.one")),
        ("trace_dest: t.two", None),
        ("msg_trace: { dest: t.three, sampling: 100 }", Some("t.two")),
    ] {
        peer.send(&message);
        if let Some(told) = told {
            assert_eq!(Got::next(&mut peer).subject, told);
        }
        peer.expect_nothing();
        assert_eq!(site.reloaded(&with(trace)).len(), 1);
    }
    peer.send(&message);
    assert_eq!(Got::next(&mut peer).subject, "t.three");
}
