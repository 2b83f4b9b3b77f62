//! The beginning of a connection: INFO, CONNECT, and who is let in.

mod support;

use std::io::Read;
use std::time::{Duration, Instant};

use cordon_accounts::claims::PermissionsClaim;
use cordon_accounts::key::{Role, UserKey};
use cordon_accounts::name::AccountName;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, Credential};
use cordon_server::BrokerOptions;
use support::tenant::seed;
use support::{TestBroker, peer::parse_info, user, users};

fn guarded() -> TestBroker {
    TestBroker::with(BrokerOptions::default(), users(&[("alice", PermissionsClaim::default())]))
}

#[test]
fn the_broker_speaks_first_in_one_line_of_json() {
    let broker = TestBroker::open();
    let mut socket = broker.socket();
    let begun = Instant::now();
    let mut bytes = vec![0; 4096];
    let count = socket.read(&mut bytes).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    let text = String::from_utf8(bytes[..count].to_vec()).unwrap();
    let line = text.strip_suffix("\r\n").unwrap();
    assert!(line.starts_with("INFO {") && !line.contains(['\r', '\n']), "{line}");
    parse_info(line);
}

#[test]
fn info_says_who_and_where_the_broker_is() {
    let broker = TestBroker::tuned(|options| options.server_name = "north".to_owned());
    let info = broker.raw().info();
    let id = info["server_id"].as_str().unwrap();
    assert!(id.len() == 56 && id.starts_with('N'), "{id}");
    assert_eq!(info["server_name"], "north");
    assert_eq!(info["proto"], 1);
    assert_eq!(info["headers"], true);
    assert_eq!(info["max_payload"], 1_048_576);
    assert_eq!(info["host"], "127.0.0.1");
    assert_eq!(info["client_ip"], "127.0.0.1");
    assert!(info["client_id"].as_u64().unwrap() > 0);
    assert!(!info["go"].as_str().unwrap().is_empty());
    let version: Vec<u32> = info["version"].as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect();
    assert_eq!(version.len(), 3);
    for absent in ["auth_required", "tls_required", "tls_available", "nonce", "ldm", "connect_info", "jetstream"] {
        assert!(info.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn info_names_the_port_that_was_picked() {
    let broker = TestBroker::open();
    assert_eq!(broker.raw().info()["port"], broker.running.client_address.port());
}

#[test]
fn a_broker_without_a_name_is_called_by_its_id_and_ids_differ() {
    let broker = TestBroker::open();
    let (first, second) = (broker.raw().info(), broker.raw().info());
    assert_eq!(first["server_name"], first["server_id"]);
    assert_ne!(first["client_id"], second["client_id"]);
    assert_ne!(first["server_id"], TestBroker::open().raw().info()["server_id"]);
}

#[test]
fn info_asks_for_credentials_unless_somebody_stands_in() {
    assert!(TestBroker::open().raw().info().get("auth_required").is_none());
    assert_eq!(guarded().raw().info()["auth_required"], true);
    let everything = PermissionsClaim::default();
    let stand_in = ConfiguredUsers::builder().user(user("guest", &everything)).no_auth_user("guest").build().unwrap();
    let broker = TestBroker::with(BrokerOptions::default(), stand_in);
    let mut peer = broker.raw();
    assert!(peer.info().get("auth_required").is_none());
    peer.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
    peer.expect("PONG\r\n");
    assert!(parse_info(&peer.line()).get("auth_required").is_none());
}

#[test]
fn a_nonce_is_sent_when_keys_are_configured() {
    let key = UserKey::try_from(seed(Role::User).public()).unwrap();
    let user = ConfiguredUser::new("", Credential::Nkey(key), AccountName::global());
    let users = ConfiguredUsers::builder().user(user).build().unwrap();
    let broker = TestBroker::with(BrokerOptions::default(), users);
    let (first, second) = (broker.raw().info(), broker.raw().info());
    let nonce = first["nonce"].as_str().unwrap();
    assert_eq!(nonce.len(), 15);
    assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{nonce}");
    assert_ne!(first["nonce"], second["nonce"]);
    assert!(guarded().raw().info().get("nonce").is_none());
}

#[test]
fn the_first_pong_comes_before_the_info_about_the_account() {
    let broker = TestBroker::open();
    let mut peer = broker.raw();
    peer.exchange("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n", "PONG\r\n");
    let info = parse_info(&peer.line());
    assert_eq!(info["connect_info"], true);
    assert_eq!(info["remote_account"], "$G");
    assert!(info.get("acc_is_sys").is_none() && info.get("nonce").is_none());
    peer.expect_nothing();
    peer.expect_nothing();
}

#[test]
fn protocol_zero_gets_no_second_info() {
    let broker = TestBroker::open();
    let mut peer = broker.peer_with("{\"verbose\":false,\"protocol\":0}");
    peer.expect_nothing();
}

#[test]
fn options_default_to_verbose_and_names_match_in_any_case() {
    let broker = TestBroker::open();
    for (connect, answer) in [
        ("CONNECT {}\r\nPING\r\n", "+OK\r\nPONG\r\n"),
        ("CONNECT{\"verbose\":false}\r\nPING\r\n", "PONG\r\n"),
        ("CONNECT {\"VERBOSE\":false}\r\nPING\r\n", "PONG\r\n"),
        ("CONNECT {\"verbose\":false,\"hyper\":{\"drive\":[1]}}\r\nPING\r\n", "PONG\r\n"),
        ("CONNECT {\"verbose\":null}\r\nPING\r\n", "+OK\r\nPONG\r\n"),
    ] {
        let mut peer = broker.raw();
        peer.exchange(connect, answer);
        peer.expect_nothing();
    }
}

#[test]
fn a_connect_that_cannot_be_read_ends_the_connection_silently() {
    let broker = TestBroker::open();
    for connect in ["{bad", "{\"verbose\":\"yes\"}", "[]", "", "{\"protocol\":\"1\"}", "{\"user\":7}"] {
        let mut peer = broker.raw();
        peer.send(format!("CONNECT {connect}\r\n"));
        peer.expect_end("");
    }
}

#[test]
fn a_connect_that_asks_for_the_impossible_is_told_so() {
    let broker = TestBroker::open();
    for (connect, error) in [
        ("{\"protocol\":2}", "invalid client protocol"),
        ("{\"protocol\":-1}", "invalid client protocol"),
        ("{\"no_responders\":true,\"headers\":false}", "no responders requires headers support"),
        ("{\"no_responders\":true}", "no responders requires headers support"),
        ("{\"account\":\"x\"}", "Authorization Violation"),
        ("{\"new_account\":true}", "Authorization Violation"),
    ] {
        let mut peer = broker.raw();
        peer.send(format!("CONNECT {connect}\r\n"));
        peer.expect_end(&format!("-ERR '{error}'\r\n"));
    }
}

#[test]
fn a_second_connect_begins_anew_without_subscriptions() {
    let broker = TestBroker::open();
    let mut peer = broker.peer_with("{\"verbose\":false,\"pedantic\":false}");
    peer.exchange("SUB foo 1\r\nPUB foo 1\r\nx\r\n", "MSG foo 1 1\r\nx\r\n");
    peer.send("CONNECT {\"echo\":true}\r\nPUB foo 1\r\ny\r\n");
    peer.expect_nothing();
    peer.exchange_only("SUB foo 1\r\nPUB foo 1\r\nz\r\n", "MSG foo 1 1\r\nz\r\n");
    assert_eq!(broker.running.broker.tenants.global().connection_count(), 1);
}

#[test]
fn a_second_connect_must_prove_itself_again() {
    let broker = guarded();
    let mut peer = broker.peer_as("alice");
    peer.send("CONNECT {\"user\":\"alice\",\"pass\":\"wrong\"}\r\n");
    peer.expect_end("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn without_authentication_operations_need_no_connect() {
    let broker = TestBroker::open();
    let mut peer = broker.raw();
    peer.exchange_only("SUB foo 1\r\nPUB foo 2\r\nhi\r\n", "+OK\r\n+OK\r\nMSG foo 1 2\r\nhi\r\n");
}

#[test]
fn with_authentication_nothing_comes_before_connect() {
    let broker = guarded();
    for bytes in ["PING\r\n", "SUB foo 1\r\n", "PUB foo 0\r\n\r\n", "+OK\r\n", " CONNECT {}\r\n"] {
        let mut peer = broker.raw();
        peer.send(bytes);
        peer.expect_end("-ERR 'Authorization Violation'\r\n");
    }
}

#[test]
fn the_stand_in_user_serves_those_who_never_connect() {
    let everything = PermissionsClaim::default();
    let stand_in = ConfiguredUsers::builder().user(user("guest", &everything)).no_auth_user("guest").build().unwrap();
    let broker = TestBroker::with(BrokerOptions::default(), stand_in);
    let mut peer = broker.raw();
    peer.exchange_only("SUB foo 1\r\nPUB foo 2\r\nhi\r\n", "+OK\r\n+OK\r\nMSG foo 1 2\r\nhi\r\n");
}

#[test]
fn wrong_credentials_are_refused_without_a_reason() {
    let broker = guarded();
    for credentials in
        ["", "\"user\":\"alice\"", "\"user\":\"alice\",\"pass\":\"wrong\"", "\"user\":\"bob\",\"pass\":\"bob\""]
    {
        let mut peer = broker.raw();
        peer.send(format!("CONNECT {{{credentials}}}\r\nPUB foo 0\r\n\r\n"));
        peer.expect_end("-ERR 'Authorization Violation'\r\n");
    }
    broker.peer_as("alice").expect_nothing();
}

#[test]
fn a_peer_that_does_not_authenticate_in_time_is_let_go() {
    let timeout = Duration::from_millis(300);
    let options = BrokerOptions { auth_timeout: timeout, ..BrokerOptions::default() };
    let broker = TestBroker::with(options, users(&[("alice", PermissionsClaim::default())]));
    let begun = Instant::now();
    broker.raw().expect_end("-ERR 'Authentication Timeout'\r\n");
    assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
    // Neither does a CONNECT that never ends.
    let mut slow = broker.raw();
    slow.send("CONNECT {\"user\":");
    slow.expect_end("-ERR 'Authentication Timeout'\r\n");
}

#[test]
fn a_connect_in_pieces_of_any_size_opens() {
    let broker = guarded();
    let connect = "CONNECT {\"user\":\"alice\",\"pass\":\"alice\",\"verbose\":false}\r\nPING\r\n";
    for size in [1, 2, 7, 30, connect.len() - 1] {
        let mut peer = broker.raw();
        for piece in connect.as_bytes().chunks(size) {
            peer.send(piece);
        }
        peer.expect("PONG\r\n");
    }
}

#[test]
fn connections_over_the_limit_get_info_and_the_error() {
    let broker = TestBroker::tuned(|options| options.max_connections = 2);
    let first = broker.peer();
    let mut second = broker.peer();
    for _ in 0..3 {
        broker.raw().expect_end("-ERR 'maximum connections exceeded'\r\n");
    }
    second.expect_nothing();
    drop(first);
    broker.until("the first connection is gone", |broker| broker.connections.count() < 2);
    broker.peer().expect_nothing();
}

#[test]
fn a_limit_of_no_connections_refuses_everyone() {
    let broker = TestBroker::tuned(|options| options.max_connections = 0);
    broker.raw().expect_end("-ERR 'maximum connections exceeded'\r\n");
}
