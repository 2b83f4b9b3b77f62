//! Who gets in with a configuration file, and what they may do: tokens, passwords, nkeys, `no_auth_user`, limits.

mod house;
mod support;

use cordon_accounts::key::{Role, Seed};
use data_encoding::BASE64URL_NOPAD;
use house::{ask, expect_quiet};
use support::{Peer, QUIET, TestBroker};

/// bcrypt of `s3cret` in its three spellings.
fn hashes() -> [String; 3] {
    ["2a", "2b", "2y"].map(|version| format!("${version}$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG"))
}

#[test]
fn tokens_open_plain_and_hashed() {
    for stored in hashes().into_iter().chain(["s3cret".to_owned()]) {
        let broker = TestBroker::of_text(&format!("authorization {{ token: \"{stored}\" }}"));
        broker.accepts("\"auth_token\":\"s3cret\"");
        broker.refuses("\"auth_token\":\"s3creT\"");
        broker.refuses("\"auth_token\":\"\"");
        broker.refuses("\"user\":\"s3cret\",\"pass\":\"s3cret\"");
        broker.refuses("");
    }
}

#[test]
fn one_user_and_many_open_with_their_passwords() {
    for stored in hashes().into_iter().chain(["s3cret".to_owned()]) {
        for text in [
            format!("authorization {{ user: u, password: \"{stored}\" }}"),
            format!("authorization {{ users: [{{user: v, password: w}}, {{user: u, pass: \"{stored}\"}}] }}"),
            format!("accounts {{ A {{ users: [{{username: u, password: \"{stored}\"}}] }} }}"),
        ] {
            let broker = TestBroker::of_text(&text);
            broker.accepts("\"user\":\"u\",\"pass\":\"s3cret\"");
            for wrong in ["\"pass\":\"x\"", "\"pass\":\"\"", "\"auth_token\":\"s3cret\""] {
                broker.refuses(&format!("\"user\":\"u\",{wrong}"));
            }
            broker.refuses("\"user\":\"U\",\"pass\":\"s3cret\"");
            broker.refuses(&format!("\"user\":\"u\",\"pass\":\"{stored}x\""));
            broker.refuses("");
        }
    }
}

#[test]
fn nkey_users_sign_the_nonce_and_land_in_their_account() {
    let (known, stranger) = (seed(), seed());
    let broker = TestBroker::of_text(&format!("accounts {{ A {{ users: [{{nkey: {}}}] }} }}", known.public()));
    let signed = |key: &Seed, by: &Seed| {
        let mut peer = broker.raw();
        let info = peer.info();
        let nonce = info["nonce"].as_str().expect("nkeys need a nonce");
        let sig = BASE64URL_NOPAD.encode(&by.sign(nonce.as_bytes()).unwrap());
        let quiet = QUIET.trim_end_matches('}');
        peer.send(format!("CONNECT {quiet},\"nkey\":\"{}\",\"sig\":\"{sig}\"}}\r\nPING\r\n", key.public()));
        peer
    };
    let mut peer = signed(&known, &known);
    peer.expect("PONG\r\n");
    assert_eq!(ask(&mut peer, "$SYS.REQ.USER.INFO", "").json()["data"]["account"], "A");
    for (key, by) in [(&known, &stranger), (&stranger, &stranger)] {
        signed(key, by).expect_end("-ERR 'Authorization Violation'\r\n");
    }
}

fn seed() -> Seed {
    Seed::generate(Role::User, &mut rand::rngs::OsRng)
}

#[test]
fn users_land_in_their_accounts_and_those_of_authorization_in_the_global_one() {
    let broker = TestBroker::of_text(
        "authorization { users: [{user: g, password: g}] }\n\
         accounts { A { users: [{user: a, password: a, permissions { publish: [\"$SYS.REQ.USER.INFO\", x], subscribe { deny: y } }}] } }",
    );
    for (name, account) in [("g", "$G"), ("a", "A")] {
        let data = &ask(&mut broker.peer_as(name), "$SYS.REQ.USER.INFO", "").json()["data"];
        assert_eq!((data["user"].as_str(), data["account"].as_str()), (Some(name), Some(account)), "{data}");
        assert_eq!(data.get("permissions").is_some(), name == "a", "{data}");
    }
    let data = &ask(&mut broker.peer_as("a"), "$SYS.REQ.USER.INFO", "").json()["data"];
    assert_eq!(
        (&data["permissions"]["publish"]["allow"][1], &data["permissions"]["subscribe"]["deny"][0]),
        (&"x".into(), &"y".into())
    );
    let (mut global, mut a) = (broker.peer_as("g"), broker.peer_as("a"));
    a.exchange_only("SUB > 1\r\n", "");
    global.exchange_only("SUB > 1\r\nPUB x 1\r\nm\r\n", "MSG x 1 1\r\nm\r\n");
    a.expect_nothing();
    a.exchange_only("PUB x 1\r\nn\r\n", "MSG x 1 1\r\nn\r\n");
    global.expect_nothing();
}

#[test]
fn permissions_bind_with_defaults_queues_and_responses() {
    let broker = TestBroker::of_text(
        "accounts { A { default_permissions { publish: \"d.>\", subscribe: [\"d.>\", \"_INBOX.>\"] }, users: [\n\
         { user: own, password: own, permissions { publish { allow: \"o.>\", deny: o.no }, subscribe: [\"o.*\", \"w q*\"] } }\n\
         { user: default, password: default }\n\
         { user: service, password: service, permissions { subscribe: \"d.ask\", allow_responses { max: 1 } } } ] } }",
    );
    let denied = |what: &str| format!("-ERR 'Permissions Violation for {what}'\r\n");
    let (mut own, mut default) = (broker.peer_as("own"), broker.peer_as("default"));
    own.exchange_only("SUB o.a 1\r\nPUB o.a 0\r\n\r\n", "MSG o.a 1 0\r\n\r\n");
    own.exchange_only("PUB o.no 0\r\n\r\n", denied("Publish to \"o.no\""));
    own.exchange_only("PUB d.a 0\r\n\r\n", denied("Publish to \"d.a\""));
    own.exchange_only("SUB o.> 2\r\n", denied("Subscription to \"o.>\""));
    own.exchange_only("SUB w 3\r\n", denied("Subscription to \"w\""));
    default.exchange_only("PUB o.a 0\r\n\r\n", denied("Publish to \"o.a\""));
    let mut service = broker.peer_as("service");
    service.exchange_only("SUB d.ask 1\r\nPUB d.x 0\r\n\r\n", denied("Publish to \"d.x\""));
    default.exchange_only("SUB _INBOX.1 1\r\nPUB d.ask _INBOX.1 0\r\n\r\n", "");
    service.exchange_only("", "MSG d.ask 1 _INBOX.1 0\r\n\r\n");
    service.exchange_only("PUB _INBOX.1 1\r\na\r\nPUB _INBOX.1 1\r\nb\r\n", denied("Publish to \"_INBOX.1\""));
    default.exchange_only("", "MSG _INBOX.1 1 1\r\na\r\n");
}

#[test]
fn the_no_auth_user_stands_in_for_nothing_and_for_nothing_else() {
    let broker = TestBroker::of_text(
        "accounts { A { users: [{user: guest, password: g, permissions { publish: \"p.>\" }}, {user: b, password: b}] } }\n\
         no_auth_user: guest",
    );
    assert!(broker.raw().info().get("auth_required").is_none_or(|required| required == false));
    let violation = "-ERR 'Permissions Violation for Publish to \"x\"'\r\n";
    broker.accepts("").exchange_only("PUB x 0\r\n\r\n", violation);
    // Without CONNECT, too, it is that user with its permissions.
    broker.raw().exchange_only("PUB x 0\r\n\r\n", violation);
    for wrong in ["\"user\":\"guest\",\"pass\":\"x\"", "\"user\":\"nobody\"", "\"auth_token\":\"x\"", "\"pass\":\"x\""]
    {
        broker.refuses(wrong);
    }
    broker.accepts("\"user\":\"b\",\"pass\":\"b\"").exchange_only("PUB x 0\r\n\r\n", "");
}

#[test]
fn a_no_auth_user_for_websocket_does_not_open_tcp() {
    let broker = TestBroker::of_text(
        "authorization { users: [{user: guest, password: g, allowed_connection_types: [WEBSOCKET]}] }\nno_auth_user: guest",
    );
    broker.refuses("");
    broker.refuses("\"user\":\"guest\",\"pass\":\"g\"");
    let mut peer = broker.raw();
    peer.send("PING\r\n");
    peer.expect_end("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn nobody_gets_in_where_no_user_is_configured() {
    for text in [
        "authorization { users: [] }",
        "authorization {}",
        "authorization { timeout: 5 }",
        "accounts { A {} }",
        "accounts: [A]",
    ] {
        let broker = TestBroker::of_text(text);
        assert_eq!(broker.raw().info()["auth_required"], true, "{text}");
        broker.refuses("");
        broker.refuses("\"user\":\"a\",\"pass\":\"\"");
        let mut peer = broker.raw();
        peer.send("PUB x 0\r\n\r\n");
        peer.expect_end("-ERR 'Authorization Violation'\r\n");
    }
}

#[test]
fn beside_the_system_account_alone_anonymous_clients_land_in_the_global_one() {
    let system = "insecure_no_auth: true\naccounts { $SYS { users: [{user: admin, password: admin}] } }\n";
    let broker = TestBroker::of_text(system);
    assert_eq!(broker.raw().info()["auth_required"], true, "as nats-server says it");
    let data = &ask(&mut broker.accepts(""), "$SYS.REQ.USER.INFO", "").json()["data"];
    assert_eq!(data["account"], "$G", "{data}");
    broker.raw().exchange_only("SUB a 1\r\nPUB a 0\r\n\r\n", "+OK\r\n+OK\r\nMSG a 1 0\r\n\r\n");
    broker.refuses("\"user\":\"admin\",\"pass\":\"x\"");
    broker.refuses("\"user\":\"x\"");
    let mut admin = broker.peer_as("admin");
    assert!(ask(&mut admin, "$SYS.REQ.SERVER.PING.VARZ", "").json()["data"]["version"].is_string());
    for more in ["authorization {}", "authorization { users: [{user: a, password: a}] }"] {
        let broker = TestBroker::of_text(&format!("{system}{more}"));
        broker.refuses("");
        broker.peer_as("admin");
    }
}

#[test]
fn a_user_without_a_password_opens_nothing() {
    let broker = TestBroker::of_text("authorization { users: [{user: a}, {user: b, password: b}] }");
    for wrong in ["\"user\":\"a\"", "\"user\":\"a\",\"pass\":\"\"", "\"user\":\"a\",\"pass\":\"a\""] {
        broker.refuses(wrong);
    }
}

#[test]
fn limits_of_an_account_hold_for_each_of_its_connections() {
    let broker = TestBroker::of_text(
        "accounts { A { limits { max_connections: 2, max_subscriptions: 1, max_payload: 3 }, users: [{user: a, password: a}] }\n\
         B { users: [{user: b, password: b}] } }",
    );
    let (mut one, _two) = (broker.peer_as("a"), broker.peer_as("a"));
    broker
        .present("\"user\":\"a\",\"pass\":\"a\"")
        .expect_end("-ERR 'maximum account active connections exceeded'\r\n");
    one.exchange_only("SUB s 1\r\nSUB t 2\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    one.exchange_only("PUB s 3\r\nabc\r\n", "MSG s 1 3\r\nabc\r\n");
    one.send("PUB s 4\r\nabcd\r\n");
    one.expect_end("-ERR 'Maximum Payload Violation'\r\n");
    broker.until("a place", |_| broker.account("A").connection_count() == 1);
    broker.peer_as("a");
    broker.peer_as("b").exchange_only("SUB s 1\r\nSUB t 2\r\nPUB t 4\r\nabcd\r\n", "MSG t 2 4\r\nabcd\r\n");
}

#[test]
fn no_secret_of_the_file_or_of_connect_is_logged() {
    let log = support::log::Log::capture();
    let broker = TestBroker::of_text("authorization { users: [{user: a, password: canary-stored}] }");
    broker.accepts("\"user\":\"a\",\"pass\":\"canary-stored\"");
    broker.refuses("\"user\":\"a\",\"pass\":\"canary-given\"");
    broker.refuses("\"auth_token\":\"canary-token\"");
    assert!(log.has("authentication refused") && !log.has("canary"));
    assert!(
        !format!("{:?}", support::configured::identities("authorization { user: u, password: canary-debug }"))
            .contains("canary")
    );
}

#[test]
fn credentials_of_another_kind_name_nobody() {
    let broker = TestBroker::of_text("authorization { users: [{user: a, password: a}] }");
    broker.refuses("\"jwt\":\"eyJ\",\"sig\":\"x\"");
    broker.refuses("\"nkey\":\"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK\",\"sig\":\"x\"");
    let mut peer: Peer = broker.accepts("\"jwt\":\"eyJ\",\"user\":\"a\",\"pass\":\"a\"");
    expect_quiet(&mut peer);
}

#[test]
fn a_user_that_needs_a_proxy_comes_through_a_trusted_one() {
    let (proxy, stranger) = (Seed::generate(Role::Account, &mut rand::rngs::OsRng), seed());
    let broker = TestBroker::of_text(&format!(
        "proxies {{ trusted: [ {{ key: {} }} ] }}\n\
         authorization {{ users: [{{user: a, password: a, proxy_required: true}}, {{user: b, password: b}}] }}",
        proxy.public()
    ));
    let vouched = |name: &str, by: Option<&Seed>| {
        let mut peer = broker.raw();
        let nonce = peer.info()["nonce"].as_str().expect("proxies need a nonce").to_owned();
        let signature = by.map(|key| BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()).unwrap()));
        let fields = signature.map(|it| format!(",\"proxy_sig\":\"{it}\"")).unwrap_or_default();
        let quiet = QUIET.trim_end_matches('}');
        peer.send(format!("CONNECT {quiet},\"user\":\"{name}\",\"pass\":\"{name}\"{fields}}}\r\nPING\r\n"));
        peer
    };
    for (name, by) in [("a", Some(&proxy)), ("b", Some(&proxy)), ("b", None)] {
        vouched(name, by).expect("PONG\r\n");
    }
    for (name, by) in [("a", None), ("a", Some(&stranger)), ("b", Some(&stranger))] {
        vouched(name, by).expect_end("-ERR 'Authorization Violation'\r\n");
    }
}
