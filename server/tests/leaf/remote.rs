//! The dialling side: against a raw hub, and between two brokers.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cordon_accounts::name::AccountName;
use cordon_server::BrokerOptions;
use cordon_server::HandshakeFirst;
use cordon_server::leaf::options::{LeafListen, LeafOptions, RemoteOptions, RemoteTls, RemoteUrl};
use serde_json::{Value, json};

use crate::house::{Account, House};
use crate::support::leaf::RawLeaf;
use crate::support::tls::Certificates;
use crate::support::{self, PATIENCE, TestBroker};
use crate::{listening, open};

/// A hub that a test plays itself.
pub(crate) struct RawHub {
    listener: TcpListener,
}

/// INFO as a hub sends it first.
pub(crate) fn greeting() -> Value {
    json!({
        "server_id": "HUB", "server_name": "hub", "version": "2.15.0", "proto": 3, "headers": true, "max_payload": 1_048_576,
        "client_id": 5, "nonce": "AAAAAAAAAAAAAAA", "auth_required": true, "info_on_connect": true,
        "leafnode_urls": ["127.0.0.1:1"], "compression": "off",
    })
}

/// INFO as a hub answers CONNECT.
pub(crate) fn answer(more: Value) -> Value {
    let mut info = greeting();
    info["connect_info"] = json!(true);
    info["remote_account"] = json!("HUBACCOUNT");
    info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    info
}

impl RawHub {
    pub(crate) fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    fn url(&self) -> RemoteUrl {
        RemoteUrl::parse(&format!("nats-leaf://{}", self.listener.local_addr().unwrap())).unwrap()
    }

    /// The next connection, to which nothing has been said.
    pub(crate) fn accept(&self) -> RawLeaf {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        RawLeaf { peer: support::Peer::new(stream), info: Value::Null, joined: Value::Null }
    }

    /// The next connection, after INFO; `info` of the result is its CONNECT.
    fn greet(&self, info: &Value) -> RawLeaf {
        let mut leaf = self.accept();
        leaf.send(format!("INFO {info} \r\n"));
        let line = leaf.line();
        leaf.info = serde_json::from_str(line.strip_prefix("CONNECT ").unwrap_or_else(|| panic!("{line}"))).unwrap();
        leaf
    }

    /// The next connection, joined.
    fn join(&self, more: Value) -> RawLeaf {
        let mut leaf = self.greet(&greeting());
        leaf.send(format!("INFO {}\r\n", answer(more)));
        leaf
    }
}

fn dialling(remote: RemoteOptions) -> BrokerOptions {
    let remote = RemoteOptions { reconnect: remote.reconnect.min(Duration::from_millis(20)), ..remote };
    let leaf = LeafOptions { listen: None, remotes: vec![Arc::new(remote)], write_deadline: None, write_timeout: None };
    BrokerOptions { leaf: Arc::new(leaf), server_name: "spoke".to_owned(), ..BrokerOptions::default() }
}

pub(crate) fn spoke(remote: RemoteOptions) -> TestBroker {
    TestBroker::with(dialling(remote), support::nobody())
}

pub(crate) fn remote(hub: &RawHub) -> RemoteOptions {
    RemoteOptions::new(vec![hub.url()])
}

pub(crate) fn joined(broker: &TestBroker, count: usize) {
    broker.until("the leaf is joined", |broker| cordon_server::monitoring::leafz::joined(broker).len() == count);
}

#[test]
fn connect_says_who_this_is_and_interest_follows_the_second_info() {
    let hub = RawHub::new();
    let broker =
        spoke(RemoteOptions { deny_imports: vec!["local.>".to_owned()], request_isolation: true, ..remote(&hub) });
    let mut client = broker.peer();
    client.exchange_only("SUB foo 1\r\nSUB w q 2\r\nSUB local.x 3\r\n", "");
    let mut leaf = hub.greet(&greeting());
    let connect = leaf.info.clone();
    assert_eq!((connect["cluster"].as_str(), connect["name"].as_str()), (Some("spoke"), Some("spoke")));
    assert_eq!((connect["deny_pub"].clone(), connect["isolate"].as_bool()), (json!(["local.>"]), Some(true)));
    assert_eq!((connect["remote_account"].as_str(), connect["headers"].as_bool()), (Some("$G"), Some(true)));
    assert!(connect.get("lang").is_none() && connect.get("is_hub").is_none() && connect.get("gateway").is_none());
    leaf.send(format!("INFO {}\r\n", answer(json!({}))));
    joined(&broker, 1);
    assert_eq!(leaf.interest(), ["foo", "w q 1"].map(String::from).into());
    leaf.send("LMSG foo 2\r\nhi\r\nLMSG local.x 1\r\nx\r\nLMSG w | q 1\r\ny\r\n");
    client.expect("MSG foo 1 2\r\nhi\r\nMSG w 2 1\r\ny\r\n");
    leaf.send("LS+ up\r\n");
    leaf.expect_nothing();
    client.exchange_only("PUB up 1\r\nu\r\n", "");
    leaf.expect(&["LMSG up 1", "u"]);
}

#[test]
fn user_and_password_of_the_url_are_sent_and_a_lone_user_is_a_token_too() {
    for (userinfo, user, pass, token) in [("u:p", "u", Some("p"), None), ("tok", "tok", None, Some("tok"))] {
        let hub = RawHub::new();
        let url = format!("nats-leaf://{userinfo}@{}", hub.listener.local_addr().unwrap());
        let _broker = spoke(RemoteOptions::new(vec![RemoteUrl::parse(&url).unwrap()]));
        let connect = hub.greet(&greeting()).info;
        let sent = (connect["user"].as_str(), connect["pass"].as_str(), connect["auth_token"].as_str());
        assert_eq!(sent, (Some(user), pass, token));
    }
}

#[test]
fn ports_of_another_kind_are_left_without_a_word() {
    for missing in ["client_id", "leafnode_urls"] {
        let hub = RawHub::new();
        let _broker = spoke(remote(&hub));
        let mut info = greeting();
        info.as_object_mut().unwrap().remove(missing);
        let mut leaf = hub.accept();
        leaf.send(format!("INFO {info}\r\n"));
        assert_eq!(String::from_utf8_lossy(&leaf.peer.rest()), "", "{missing}");
        hub.accept();
    }
}

#[test]
fn a_hub_of_the_same_cluster_is_told_so() {
    let hub = RawHub::new();
    let _broker = spoke(remote(&hub));
    for (cluster, error) in
        [("a b", "cluster name cannot contain spaces"), ("spoke", "remote leafnode has same cluster name")]
    {
        let mut info = greeting();
        info["cluster"] = json!(cluster);
        let mut leaf = hub.accept();
        leaf.send(format!("INFO {info}\r\n"));
        leaf.expect_refused(error);
    }
}

#[test]
fn a_silent_hub_is_left_and_tried_again() {
    let hub = RawHub::new();
    let time = Duration::from_millis(100);
    let _broker = spoke(RemoteOptions { first_info_timeout: time, ..remote(&hub) });
    for _ in 0..2 {
        let begun = Instant::now();
        let mut leaf = hub.accept();
        assert_eq!(leaf.peer.rest(), b"");
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[test]
fn a_connect_that_is_not_answered_goes_stale() {
    let hub = RawHub::new();
    let _broker = spoke(remote(&hub));
    let mut leaf = hub.greet(&greeting());
    leaf.expect_refused("Stale Leaf Node Connection - Closing");
}

#[test]
fn nothing_but_info_is_taken_before_the_account_is_joined() {
    for bytes in ["LS+ foo\r\n", "LMSG foo 0\r\n\r\n", "CONNECT {}\r\n", "PING\r\n"] {
        let hub = RawHub::new();
        let broker = spoke(remote(&hub));
        let mut leaf = hub.accept();
        let mut info = greeting();
        info["client_id"] = json!(7);
        leaf.send(bytes);
        let rest = String::from_utf8_lossy(&leaf.peer.rest()).into_owned();
        assert!(!rest.contains("CONNECT"), "{bytes:?}: {rest}");
        assert_eq!(broker.running.broker.tenants.global().interest.len(), 0);
    }
    let hub = RawHub::new();
    let broker = spoke(remote(&hub));
    let mut leaf = hub.greet(&greeting());
    leaf.send("LS+ foo\r\n");
    leaf.expect_refused("Unknown Protocol Operation");
    assert_eq!(broker.running.broker.tenants.global().interest.len(), 0);
}

#[test]
fn an_old_hub_that_answers_connect_with_nothing_is_joined_at_once() {
    let hub = RawHub::new();
    let broker = spoke(remote(&hub));
    let mut info = greeting();
    info.as_object_mut().unwrap().remove("info_on_connect");
    let mut leaf = hub.greet(&info);
    joined(&broker, 1);
    leaf.fenced();
    broker.peer().exchange_only("SUB x 1\r\n", "");
    leaf.expect(&["LS+ x"]);
}

#[test]
fn the_hubs_permissions_are_kept_and_change_with_its_info() {
    let hub = RawHub::new();
    let broker = spoke(RemoteOptions { deny_exports: vec!["up.local".to_owned()], ..remote(&hub) });
    let mut client = broker.peer();
    client.exchange_only("SUB down.a 1\r\nSUB down.secret 2\r\nSUB other 3\r\n", "");
    let lists = json!({"import": {"allow": ["down.>"], "deny": ["down.secret"]}, "export": {"allow": ["up.>"]}});
    let mut leaf = hub.join(lists);
    joined(&broker, 1);
    assert_eq!(leaf.interest(), ["down.a"].map(String::from).into());
    leaf.send("LS+ >\r\nLMSG down.secret 0\r\n\r\nLMSG other 0\r\n\r\nLMSG down.a 0\r\n\r\n");
    leaf.expect_nothing();
    client.expect("MSG down.a 1 0\r\n\r\n");
    client.exchange_only("PUB other 0\r\n\r\nPUB up.local 0\r\n\r\nPUB up.x 0\r\n\r\n", "MSG other 3 0\r\n\r\n");
    leaf.expect(&["LMSG up.x 0", ""]);
    leaf.send(format!("INFO {}\r\n", answer(json!({"import": {"allow": ["other"]}, "export": {"allow": ["free"]}}))));
    let told: BTreeSet<_> = [leaf.line(), leaf.line()].into();
    assert_eq!(told, ["LS+ other", "LS- down.a"].map(String::from).into());
    client.exchange_only("PUB free 0\r\n\r\n", "");
    leaf.expect(&["LMSG free 0", ""]);
}

#[test]
fn the_connection_is_made_again_and_interest_told_again() {
    let hub = RawHub::new();
    let broker = spoke(remote(&hub));
    let mut client = broker.peer();
    client.exchange_only("SUB foo 1\r\n", "");
    for round in 0..3 {
        let mut leaf = hub.join(json!({}));
        joined(&broker, 1);
        assert_eq!(leaf.interest(), ["foo"].map(String::from).into(), "{round}");
        leaf.send("LS+ far\r\nLMSG foo 0\r\n\r\n");
        client.expect("MSG foo 1 0\r\n\r\n");
        drop(leaf);
        joined(&broker, 0);
        broker.until("its interest is gone", |broker| broker.tenants.global().interest.len() == 1);
    }
}

#[test]
fn urls_of_info_are_tried_unless_they_are_to_be_ignored() {
    for ignore in [false, true] {
        let (hub, second) = (RawHub::new(), RawHub::new());
        let _broker = spoke(RemoteOptions { in_order: true, ignore_discovered: ignore, ..remote(&hub) });
        let mut info = greeting();
        info["leafnode_urls"] = json!([second.listener.local_addr().unwrap().to_string()]);
        drop(hub.greet(&info));
        let next = if ignore { &hub } else { &second };
        next.greet(&greeting());
    }
}

#[test]
fn a_remote_with_tls_refuses_a_hub_without() {
    let certificates = Certificates::new();
    let hub = RawHub::new();
    let _broker = spoke(RemoteOptions { tls: Some(client_tls(&certificates)), ..remote(&hub) });
    let mut leaf = hub.accept();
    leaf.send(format!("INFO {}\r\n", greeting()));
    assert_eq!(leaf.peer.rest(), b"");
}

#[test]
fn garbage_for_info_is_survived() {
    let hub = RawHub::new();
    let broker = spoke(RemoteOptions { first_info_timeout: Duration::from_millis(200), ..remote(&hub) });
    for bytes in ["HTTP/1.1 400\r\n\r\n", "INFO {bad\r\n", "\0\0\0\0\0", "INFO\r\n"] {
        let mut leaf = hub.accept();
        leaf.peer.try_send(bytes);
        assert_eq!(leaf.peer.rest(), b"", "{bytes:?}");
    }
    let (mut flood, _) = hub.listener.accept().unwrap();
    let endless = [b"INFO ".as_slice(), &vec![b'x'; 100_000]].concat();
    // It hangs up while this is written.
    let _sent = flood.write_all(&endless);
    hub.accept();
    assert_eq!(broker.running.broker.panics.load(std::sync::atomic::Ordering::Relaxed), 0);
}

pub(crate) fn client_tls(certificates: &Certificates) -> RemoteTls {
    RemoteTls {
        config: certificates.client_config(),
        files: Vec::new(),
        newest_only: false,
        first: false,
        timeout: Duration::from_secs(5),
    }
}

/// A broker joined to `hub` over TLS or in plain text, with the remote as `change` makes it.
pub(crate) fn joined_to(hub: &TestBroker, change: impl FnOnce(&mut RemoteOptions)) -> TestBroker {
    let address = hub.running.leaf_address.unwrap();
    let mut remote =
        RemoteOptions::new(vec![RemoteUrl::parse(&format!("nats-leaf://localhost:{}", address.port())).unwrap()]);
    change(&mut remote);
    let broker = spoke(remote);
    joined(&broker, 1);
    broker
}

#[test]
fn two_brokers_carry_requests_both_ways_over_tls() {
    let certificates = Certificates::new();
    for first in [HandshakeFirst::No, HandshakeFirst::Always] {
        let tls = certificates.server(first, false);
        let listen = |listen: &mut LeafListen| {
            listen.tls = Some(tls);
            listen.address = SocketAddr::from(([127, 0, 0, 1], 0));
        };
        let hub = TestBroker::with(listening(listen), support::nobody());
        let remote_tls = RemoteTls { first: first == HandshakeFirst::Always, ..client_tls(&certificates) };
        let spoke = joined_to(&hub, |remote| remote.tls = Some(remote_tls));
        joined(&hub, 1);
        exchange(&hub, &spoke);
        exchange(&spoke, &hub);
    }
}

/// A request on `from` is answered on `to`, and large messages pass.
pub(crate) fn exchange(from: &TestBroker, to: &TestBroker) {
    let (mut asker, mut server) = (from.peer(), to.peer());
    server.exchange_only("SUB svc q 1\r\nSUB big 2\r\n", "");
    from.until("the interest has come over", |broker| has_far(broker, b"big"));
    asker.send("SUB inbox 1\r\nHPUB svc inbox 18 19\r\nNATS/1.0\r\nA: b\r\n\r\nq\r\n");
    server.expect("HMSG svc 1 inbox 18 19\r\nNATS/1.0\r\nA: b\r\n\r\nq\r\n");
    server.exchange_only("PUB inbox 1\r\na\r\n", "");
    asker.expect("MSG inbox 1 1\r\na\r\n");
    let large = "x".repeat(900_000);
    asker.send(format!("PUB big 900000\r\n{large}\r\n"));
    server.expect(format!("MSG big 2 900000\r\n{large}\r\n"));
}

pub(crate) fn has_far(broker: &cordon_server::Broker, subject: &[u8]) -> bool {
    let mut set = cordon_server::routing::match_set::MatchSet::default();
    broker.tenants.global().interest.matches(subject, &mut set);
    set.far.is_some()
}

#[test]
fn accounts_are_joined_as_they_are_bound_and_no_others() {
    let account = Account::new("a");
    let other = Account::new("b");
    let hub = House::build(&[&account, &other], listening(|_| {}), |_| {}, None, None);
    let folder = tempfile::tempdir().unwrap();
    let user = account.user(|_| {});
    let creds = cordon_accounts::creds::Creds { jwt: user.jwt.clone(), seed: user.seed.duplicate() };
    let path = folder.path().join("leaf.creds");
    std::fs::write(&path, &*creds.to_text()).unwrap();
    let address = hub.broker.running.leaf_address.unwrap();
    let mut remote = RemoteOptions::new(vec![RemoteUrl::parse(&address.to_string()).unwrap()]);
    remote.credentials = Some(path);
    remote.account = AccountName::new("LOCAL");
    let spoke = spoke(remote);
    joined(&spoke, 1);
    joined(&hub.broker, 1);
    assert_eq!(hub.tenant(&account).leaf_count(), 1);
    let local = spoke.running.broker.tenants.find(&AccountName::new("LOCAL")).unwrap();
    assert_eq!(local.leaf_count(), 1);
    let (mut of_a, mut of_b, mut global) = (hub.join(&account), hub.join(&other), spoke.peer());
    global.exchange_only("SUB > 1\r\n", "");
    of_b.exchange_only("PUB x 0\r\n\r\n", "");
    of_a.exchange_only("PUB x 0\r\n\r\n", "");
    global.expect_nothing();
}

#[test]
fn three_brokers_in_a_circle_find_the_loop() {
    let first = open();
    let url = |broker: &TestBroker| RemoteUrl::parse(&broker.running.leaf_address.unwrap().to_string()).unwrap();
    let middle = {
        let mut options = dialling(RemoteOptions::new(vec![url(&first)]));
        options.leaf = Arc::new(LeafOptions {
            listen: listening(|_| {}).leaf.listen.clone(),
            remotes: options.leaf.remotes.clone(),
            write_deadline: None,
            write_timeout: None,
        });
        options.server_name = "middle".to_owned();
        TestBroker::with(options, support::nobody())
    };
    joined(&middle, 1);
    // A leaf of both ends closes the circle: whose mark comes back first ends its connection.
    let remotes =
        vec![Arc::new(RemoteOptions::new(vec![url(&first)])), Arc::new(RemoteOptions::new(vec![url(&middle)]))];
    let options = BrokerOptions {
        leaf: Arc::new(LeafOptions { listen: None, remotes, write_deadline: None, write_timeout: None }),
        server_name: "last".to_owned(),
        ..BrokerOptions::default()
    };
    let last = TestBroker::with(options, support::nobody());
    last.until("one of its connections has ended", |broker| {
        let all = [&first, &middle].map(|broker| &broker.running.broker);
        all.into_iter()
            .map(AsRef::as_ref)
            .chain([broker])
            .any(|broker| broker.connections.closed().iter().any(|closed| closed.kind == "Leafnode"))
    });
}

#[test]
fn the_roles_swap_where_the_dialling_side_is_the_hub() {
    let accepting = open();
    let dialling = joined_to(&accepting, |remote| remote.hub = true);
    joined(&accepting, 1);
    let roles = [&accepting, &dialling].map(|broker| {
        let leafz = cordon_server::monitoring::leafz::leafz(
            &broker.running.broker,
            &cordon_server::monitoring::leafz::LeafzOptions::default(),
            None,
        );
        leafz["leafs"][0]["is_spoke"].as_bool()
    });
    assert_eq!(roles, [Some(true), Some(false)]);
    exchange(&accepting, &dialling);
}
