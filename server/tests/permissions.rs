//! What a user may not do, and what it is told.

mod support;

use cordon_accounts::claims::{Mapping, ResponseClaim};
use cordon_server::BrokerOptions;
use support::tenant::TestTenant;
use support::{TestBroker, permissions, users};

fn guarded(limited: cordon_accounts::claims::PermissionsClaim) -> TestBroker {
    let everything = cordon_accounts::claims::PermissionsClaim::default();
    TestBroker::with(BrokerOptions::default(), users(&[("alice", limited), ("root", everything)]))
}

fn no_publish(subject: &str) -> String {
    format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'\r\n")
}

fn no_reply(subject: &str) -> String {
    format!("-ERR 'Permissions Violation for Publish with Reply of \"{subject}\"'\r\n")
}

#[test]
fn refusals_quote_the_subject_and_leave_the_connection_open() {
    let broker = guarded(permissions((&["a.*"], &["a.x"]), (&["a.*", "q workers"], &[])));
    let mut peer = broker.peer_as("alice");
    peer.exchange_only("PUB b 0\r\n\r\n", no_publish("b"));
    peer.exchange_only("PUB a.x 0\r\n\r\n", no_publish("a.x"));
    peer.exchange_only("PUB a..b 0\r\n\r\n", no_publish("a..b"));
    peer.exchange_only("SUB b 1\r\n", "-ERR 'Permissions Violation for Subscription to \"b\"'\r\n");
    peer.exchange_only("SUB > 1\r\n", "-ERR 'Permissions Violation for Subscription to \">\"'\r\n");
    peer.exchange_only(
        "SUB b grp 1\r\n",
        "-ERR 'Permissions Violation for Subscription to \"b\" using queue \"grp\"'\r\n",
    );
    peer.exchange_only("SUB q 1\r\n", "-ERR 'Permissions Violation for Subscription to \"q\"'\r\n");
    peer.exchange_only("SUB q workers 2\r\nSUB a.y 1\r\nPUB a.y 0\r\n\r\n", "MSG a.y 1 0\r\n\r\n");
}

#[test]
fn quoted_subjects_are_escaped_as_clients_expect() {
    let broker = guarded(permissions((&["a"], &[]), (&["a"], &[])));
    let mut peer = broker.peer_as("alice");
    peer.exchange_only("PUB say\"hi\" 0\r\n\r\n", no_publish("say\\\"hi\\\""));
    peer.exchange_only("PUB it's 0\r\n\r\n", no_publish("it's"));
    peer.exchange_only("PUB b\\s 0\r\n\r\n", no_publish("b\\\\s"));
    peer.exchange_only("PUB nul\0 0\r\n\r\n", no_publish("nul\\x00"));
    peer.exchange_only("PUB späti 0\r\n\r\n", no_publish("späti"));
    peer.exchange_only(b"PUB bad\xff 0\r\n\r\n", no_publish("bad\\xff"));
}

#[test]
fn a_denied_subject_is_filtered_from_a_wildcard() {
    let broker = guarded(permissions((&[], &[]), (&["a.*"], &["a.deny"])));
    let mut peer = broker.peer_as("alice");
    peer.exchange_only("SUB a.* 1\r\nSUB a.* q 2\r\n", "");
    peer.exchange_only("SUB a.deny 3\r\n", "-ERR 'Permissions Violation for Subscription to \"a.deny\"'\r\n");
    let mut root = broker.peer_as("root");
    root.exchange_only("PUB a.deny 0\r\n\r\nPUB a.fine 0\r\n\r\nPUB a.deny 0\r\n\r\n", "");
    let got = String::from_utf8(peer.fenced()).unwrap();
    assert!(!got.contains("a.deny"), "{got}");
    assert!(got.contains("MSG a.fine 1 0\r\n") && got.contains("MSG a.fine 2 0\r\n"), "{got}");
}

#[test]
fn a_request_nobody_was_allowed_to_get_has_no_responders() {
    let broker = guarded(permissions((&[], &[]), (&["a.*"], &["a.deny"])));
    let mut peer = broker.peer_as("alice");
    peer.exchange_only("SUB a.* 1\r\n", "");
    let mut root = broker.peer_as("root");
    root.exchange_only(
        "SUB r 1\r\nPUB a.deny r 0\r\n\r\n",
        "HMSG r 1 38 38\r\nNATS/1.0 503\r\nNats-Subject: a.deny\r\n\r\n\r\n",
    );
}

#[test]
fn a_response_rule_allows_one_answer_to_each_request() {
    let mut service = permissions((&["none"], &[]), (&["work"], &[]));
    service.response = Some(ResponseClaim::default());
    let broker = guarded(service);
    let mut peer = broker.peer_as("alice");
    peer.exchange_only("SUB work 1\r\nPUB r.1 0\r\n\r\n", no_publish("r.1"));
    let mut root = broker.peer_as("root");
    root.exchange_only("SUB r.* 1\r\nPUB work r.1 0\r\n\r\n", "");
    peer.expect("MSG work 1 r.1 0\r\n\r\n");
    peer.exchange_only("PUB r.2 0\r\n\r\n", no_publish("r.2"));
    peer.exchange_only("PUB r.1 1\r\na\r\n", "");
    peer.exchange_only("PUB r.1 1\r\nb\r\n", no_publish("r.1"));
    root.exchange_only("", "MSG r.1 1 1\r\na\r\n");
}

#[test]
fn a_response_rule_may_allow_several_answers_for_a_while() {
    let mut service = permissions((&["none"], &[]), (&["work"], &[]));
    service.response = Some(ResponseClaim { max: 2, ttl: 60_000_000_000 });
    let broker = guarded(service);
    let mut peer = broker.peer_as("alice");
    peer.exchange_only("SUB work 1\r\n", "");
    broker.peer_as("root").exchange_only("PUB work r 0\r\n\r\n", "");
    peer.expect("MSG work 1 r 0\r\n\r\n");
    peer.exchange_only("PUB r 0\r\n\r\nPUB r 0\r\n\r\nPUB r 0\r\n\r\n", no_publish("r"));
}

#[test]
fn what_belongs_to_the_broker_is_refused_to_everybody() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB $JS.> 1\r\nSUB _GR_.> 2\r\nSUB $NRG.> 3\r\nSUB foo 4\r\n", "");
    for subject in ["_GR_.x", "$NRG.x"] {
        peer.exchange_only(format!("PUB {subject} 0\r\n\r\n"), no_publish(subject));
    }
    for reply in ["_R_.x", "_GR_.x", "$JS.ACK.x"] {
        peer.exchange_only(format!("PUB foo {reply} 0\r\n\r\n"), no_reply(reply));
    }
    peer.exchange_only("PUB $JS.ACK.x 0\r\n\r\n", "MSG $JS.ACK.x 1 0\r\n\r\n");
}

#[test]
fn permissions_are_those_of_the_mapped_subject() {
    let (broker, tenant) = TestTenant::start(|claims| {
        let target = Mapping { subject: "bar".to_owned(), weight: 100, cluster: String::new() };
        claims.nats.mappings.insert("foo".to_owned(), vec![target]);
    });
    let mut watcher = tenant.peer(&broker, |_| {});
    watcher.exchange_only("SUB * 1\r\n", "");
    let mut source = tenant.peer(&broker, |user| user.nats.template.permissions.publish.allow.push("foo".to_owned()));
    source.exchange_only("PUB foo 0\r\n\r\n", no_publish("bar"));
    let mut target = tenant.peer(&broker, |user| user.nats.template.permissions.publish.allow.push("bar".to_owned()));
    target.exchange_only("PUB foo 0\r\n\r\n", "");
    watcher.exchange_only("", "MSG bar 1 0\r\n\r\n");
}
