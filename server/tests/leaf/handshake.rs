//! INFO, CONNECT, and who is turned away.

use std::net::TcpStream;
use std::sync::Arc;

use cordon_accounts::key::Role;
use cordon_accounts::name::AccountName;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, Credential};
use cordon_server::leaf::compression::Compression;
use cordon_server::{BrokerOptions, HandshakeFirst};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use crate::house::{Account, House, TestUser};
use crate::support::leaf::RawLeaf;
use crate::support::tenant::seed;
use crate::support::tls::Certificates;
use crate::support::{self, PATIENCE, Peer, TestBroker};
use crate::{listening, open};

#[test]
fn info_comes_first_and_says_what_a_leaf_node_must_know() {
    let broker = open();
    let leaf = RawLeaf::dial(&broker);
    let address = broker.running.leaf_address.unwrap();
    let info = &leaf.info;
    assert!(info["client_id"].as_u64().unwrap() > 0);
    assert_eq!(info["nonce"].as_str().unwrap().len(), 15);
    assert_eq!(info["leafnode_urls"], json!([address.to_string()]));
    for field in ["auth_required", "info_on_connect", "headers"] {
        assert_eq!(info[field], true, "{field}");
    }
    assert_eq!(
        (info["compression"].as_str(), info["port"].as_u64()),
        (Some("s2_auto"), Some(u64::from(address.port())))
    );
    assert!(leaf.peer.info.ends_with('}') && info.get("connect_info").is_none());
}

#[test]
fn no_address_is_told_where_none_is_to_be() {
    let hidden = TestBroker::with(listening(|listen| listen.no_advertise = true), support::nobody());
    assert_eq!(RawLeaf::dial(&hidden).info["leafnode_urls"], json!([]));
    let advertised = listening(|listen| listen.advertise = Some(("hub.example".to_owned(), 7777)));
    let info = RawLeaf::dial(&TestBroker::with(advertised, support::nobody())).info;
    assert_eq!(
        (info["leafnode_urls"].clone(), info["host"].as_str()),
        (json!(["hub.example:7777"]), Some("hub.example"))
    );
    assert_eq!(info["ip"].as_str(), Some("hub.example:7777"));
}

#[test]
fn connect_is_answered_by_info_and_the_interest_of_the_account() {
    let broker = open();
    let mut client = broker.peer();
    client.exchange_only("SUB foo 1\r\nSUB foo 2\r\nSUB work q 3\r\nSUB work q 4\r\n", "");
    let mut leaf = RawLeaf::join(&broker, "far", json!({}));
    assert_eq!(leaf.joined["remote_account"], "$G");
    let lines = leaf.fenced();
    assert_eq!(lines.iter().filter(|line| line.starts_with("LS+ $LDS.")).count(), 1);
    let mut told: Vec<_> = lines.iter().filter(|line| !line.contains("$LDS.")).map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(told, ["LS+ foo", "LS+ work q 2"]);
}

#[test]
fn nothing_but_connect_is_taken_before_it() {
    // Where there may be compression, one INFO is taken: see `compression`.
    let off = listening(|listen| listen.compression = Compression::OFF);
    let broker = TestBroker::with(off, support::nobody());
    for bytes in [
        "PING\r\n",
        "LS+ foo\r\n",
        "LS- foo\r\n",
        "LMSG foo 0\r\n\r\n",
        "INFO {\"compression\":\"s2_fast\"}\r\n",
        "+OK\r\n",
        "-ERR 'x'\r\n",
        "garbage\r\n",
        "\r\n",
        "PONG\r\n",
    ] {
        let mut leaf = RawLeaf::dial(&broker);
        leaf.send(bytes);
        leaf.expect_refused("Authorization Violation");
    }
    broker.until("all are gone", |broker| broker.leafs.open.is_empty());
    assert_eq!(broker.running.broker.panics.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn connect_is_taken_once() {
    let broker = open();
    let mut leaf = RawLeaf::join(&broker, "far", json!({}));
    leaf.fenced();
    leaf.connect("far", json!({}));
    leaf.expect_refused("Unknown Protocol Operation");
}

#[test]
fn peers_of_another_kind_are_told_so() {
    let broker = TestBroker::with(
        BrokerOptions { server_name: "hub".to_owned(), ..with_remote(listening(|_| {})) },
        support::nobody(),
    );
    for (fields, error) in [
        (json!({"lang": "rust"}), "attempted to connect to leaf node port"),
        (json!({"cluster": "a b"}), "cluster name cannot contain spaces"),
        (json!({"cluster": "hub"}), "remote leafnode has same cluster name"),
        (json!({"gateway": "g"}), "attempted to connect a gateway to leaf node port"),
    ] {
        let mut leaf = RawLeaf::dial(&broker);
        leaf.connect("far", fields);
        leaf.expect_refused(error);
    }
}

/// A broker that dials out has a cluster of its own name.
fn with_remote(options: BrokerOptions) -> BrokerOptions {
    use cordon_server::leaf::options::{LeafOptions, RemoteOptions, RemoteUrl};
    let remote = RemoteOptions { disabled: true, ..RemoteOptions::new(vec![RemoteUrl::parse("127.0.0.1:1").unwrap()]) };
    let leaf = LeafOptions { remotes: vec![Arc::new(remote)], ..LeafOptions::clone(&options.leaf) };
    BrokerOptions { leaf: Arc::new(leaf), ..options }
}

#[test]
fn malformed_connects_end_the_connection() {
    let broker = open();
    for json in ["{bad", "[]", "{\"is_hub\":5}", "{\"deny_pub\":\"x\"}", ""] {
        let mut leaf = RawLeaf::dial(&broker);
        leaf.send(format!("CONNECT {json}\r\n"));
        assert_eq!(String::from_utf8_lossy(&leaf.peer.rest()), "", "{json}");
    }
}

#[test]
fn too_old_servers_are_told_which_version_is_the_least() {
    let broker = TestBroker::with(listening(|listen| listen.min_version = Some([2, 14, 0])), support::nobody());
    for old in ["2.13.9", "", "nonsense"] {
        let mut leaf = RawLeaf::dial(&broker);
        leaf.connect("far", json!({"version": old}));
        leaf.read_joined();
        leaf.expect_refused("connection rejected since minimum version required is \"2.14.0\"");
    }
    RawLeaf::join(&broker, "far", json!({"version": "2.14.0"}));
}

#[test]
fn an_older_connection_of_the_same_server_ends() {
    let broker = open();
    let mut first = RawLeaf::join(&broker, "far", json!({}));
    let mut other = RawLeaf::join(&broker, "far", json!({"remote_account": "ANOTHER"}));
    first.fenced();
    let mut second = RawLeaf::join(&broker, "far", json!({}));
    first.expect_refused("Duplicate Remote LeafNode Connection");
    for stays in [&mut second, &mut other] {
        stays.fenced();
    }
}

#[test]
fn the_accounts_own_mark_coming_back_is_a_loop() {
    let broker = open();
    let mut leaf = RawLeaf::join(&broker, "far", json!({}));
    let lines = leaf.fenced();
    let mark = lines.iter().find(|line| line.contains("$LDS.")).unwrap();
    leaf.send(format!("{mark}\r\n"));
    leaf.expect_refused("Loop detected for leafnode account=\"$G\". Delaying attempt to reconnect for 30s");
}

#[test]
fn marks_of_others_pass_on_so_that_wider_loops_are_found() {
    let broker = open();
    let mut one = RawLeaf::join(&broker, "one", json!({}));
    let mut two = RawLeaf::join(&broker, "two", json!({}));
    let mut same = RawLeaf::join(&broker, "three", json!({"cluster": "one"}));
    for leaf in [&mut one, &mut two, &mut same] {
        leaf.fenced();
    }
    one.send("LS+ $LDS.other\r\n");
    one.expect_nothing();
    two.expect(&["LS+ $LDS.other"]);
    same.expect_nothing();
}

#[test]
fn silence_is_given_the_time_for_connect_and_no_more() {
    let time = std::time::Duration::from_millis(50);
    let broker = TestBroker::with(listening(|listen| listen.auth_timeout = time), support::nobody());
    RawLeaf::dial(&broker).expect_refused("Authentication Timeout");
}

#[test]
fn endless_lines_before_connect_are_cut_off() {
    let broker = open();
    let mut leaf = RawLeaf::dial(&broker);
    leaf.peer.try_send(format!("CONNECT {}", "x".repeat(20_000)));
    leaf.expect_refused("maximum control line exceeded");
}

fn credentials(leaf: &RawLeaf, user: &TestUser) -> serde_json::Value {
    let nonce = leaf.info["nonce"].as_str().unwrap();
    let sig = BASE64URL_NOPAD.encode(&user.seed.sign(nonce.as_bytes()).unwrap());
    json!({"jwt": user.jwt, "sig": sig})
}

#[test]
fn a_user_of_an_account_joins_that_account_whatever_it_says() {
    let (a, b) = (Account::new("a"), Account::new("b"));
    let house = House::build(&[&a, &b], listening(|_| {}), |_| {}, None, None);
    let mut leaf = RawLeaf::dial(&house.broker);
    let mut fields = credentials(&leaf, &a.user(|_| {}));
    fields["remote_account"] = json!(b.key().to_string());
    leaf.connect("far", fields);
    leaf.read_joined();
    assert_eq!(leaf.joined["remote_account"], json!(a.key().to_string()));
    leaf.fenced();
    let (mut of_a, mut of_b) = (house.join(&a), house.join(&b));
    leaf.send("LS+ >\r\n");
    leaf.expect_nothing();
    of_b.exchange_only("SUB > 1\r\n", "");
    of_b.exchange_only("PUB secret 0\r\n\r\n", "MSG secret 1 0\r\n\r\n");
    leaf.expect_nothing();
    of_a.exchange_only("PUB seen 0\r\n\r\n", "");
    leaf.expect(&["LMSG seen 0", ""]);
    leaf.send("LMSG from.leaf 0\r\n\r\n");
    leaf.expect_nothing();
    of_b.expect_nothing();
}

#[test]
fn the_nonce_of_this_connection_must_be_signed() {
    let account = Account::new("a");
    let house = House::build(&[&account], listening(|_| {}), |_| {}, None, None);
    let user = account.user(|_| {});
    let other = RawLeaf::dial(&house.broker);
    let stolen = credentials(&other, &user);
    for fields in [stolen, json!({"jwt": user.jwt}), json!({}), json!({"jwt": user.jwt, "sig": "AAAA"})] {
        let mut leaf = RawLeaf::dial(&house.broker);
        leaf.connect("far", fields);
        leaf.expect_refused("Authorization Violation");
    }
}

#[test]
fn users_of_the_listener_are_bound_to_their_accounts_and_clients_are_not_asked() {
    let key = seed(Role::User);
    let user_key = key.public().try_into().unwrap();
    let named = |name: &str, account: &str| {
        ConfiguredUser::new(name, Credential::Password(format!("pw-{name}").into()), AccountName::new(account))
    };
    let users = vec![
        named("alice", "A"),
        named("bob", "B"),
        ConfiguredUser::new("", Credential::Nkey(user_key), AccountName::new("K")),
    ];
    let clients = ConfiguredUsers::builder().user(named("client", "$G")).build().unwrap();
    let broker = TestBroker::with(listening(|listen| listen.users = users), clients);
    for (name, account) in [("alice", "A"), ("bob", "B")] {
        let leaf = RawLeaf::join(&broker, name, json!({"user": name, "pass": format!("pw-{name}")}));
        assert_eq!(leaf.joined["remote_account"], account);
    }
    let mut leaf = RawLeaf::dial(&broker);
    let nonce = leaf.info["nonce"].as_str().unwrap().to_owned();
    let sig = BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()).unwrap());
    leaf.connect("key", json!({"nkey": key.public().to_string(), "sig": sig}));
    leaf.read_joined();
    assert_eq!(leaf.joined["remote_account"], "K");
    for fields in [json!({"user": "alice", "pass": "x"}), json!({"user": "client", "pass": "pw-client"}), json!({})] {
        let mut leaf = RawLeaf::dial(&broker);
        leaf.connect("far", fields);
        leaf.expect_refused("Authorization Violation");
    }
}

#[test]
fn without_users_of_its_own_the_listener_takes_those_of_clients() {
    let user = ConfiguredUser::new("c", Credential::Password("pw".to_owned().into()), AccountName::new("APP"));
    let clients = ConfiguredUsers::builder().user(user).build().unwrap();
    let broker = TestBroker::with(listening(|_| {}), clients);
    let leaf = RawLeaf::join(&broker, "far", json!({"user": "c", "pass": "pw"}));
    assert_eq!(leaf.joined["remote_account"], "APP");
}

#[test]
fn allowed_connection_types_count() {
    let account = Account::new("a");
    let house = House::build(&[&account], listening(|_| {}), |_| {}, None, None);
    for (types, joins) in
        [(vec!["LEAFNODE"], true), (vec!["LEAFNODE_WS"], false), (vec!["STANDARD"], false), (vec![], true)]
    {
        let user = account.user(|claims| {
            claims.nats.template.allowed_connection_types = types.iter().map(ToString::to_string).collect();
        });
        let mut leaf = RawLeaf::dial(&house.broker);
        leaf.connect("far", credentials(&leaf, &user));
        if joins { leaf.read_joined() } else { leaf.expect_refused("Authorization Violation") }
    }
}

#[test]
fn the_system_account_is_not_joined_unless_that_is_asked_for() {
    for allowed in [false, true] {
        let house = House::build(&[], listening(|listen| listen.system_account = allowed), |_| {}, None, None);
        let mut leaf = RawLeaf::dial(&house.broker);
        leaf.connect("far", credentials(&leaf, &house.system_user()));
        if allowed { leaf.read_joined() } else { leaf.expect_refused("Authorization Violation") }
    }
}

#[test]
fn tls_follows_info_or_comes_before_it() {
    let certificates = Certificates::new();
    for first in [HandshakeFirst::No, HandshakeFirst::Always] {
        let tls = certificates.server(first, false);
        let broker = TestBroker::with(listening(|listen| listen.tls = Some(tls)), support::nobody());
        let stream = TcpStream::connect(broker.running.leaf_address.unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut leaf = if first == HandshakeFirst::No {
            let mut plain = Peer::of(&stream);
            plain.read_info();
            assert_eq!(plain.info()["tls_required"], true);
            let mut peer = Peer::new(certificates.client(stream, None));
            peer.info.clone_from(&plain.info);
            RawLeaf { info: plain.info(), peer, joined: json!(null) }
        } else {
            RawLeaf::over(certificates.client(stream, None))
        };
        leaf.connect("far", json!({}));
        leaf.read_joined();
        leaf.fenced();
        broker.peer().exchange_only("SUB over.tls 1\r\n", "");
        assert_eq!(leaf.line(), "LS+ over.tls");
    }
}

#[test]
fn plain_text_where_tls_is_demanded_ends_the_connection() {
    let certificates = Certificates::new();
    let tls = certificates.server(HandshakeFirst::No, false);
    let broker = TestBroker::with(listening(|listen| listen.tls = Some(tls)), support::nobody());
    let mut leaf = RawLeaf::dial(&broker);
    leaf.connect("far", json!({}));
    assert!(!String::from_utf8_lossy(&leaf.peer.rest()).contains("connect_info"));
}
