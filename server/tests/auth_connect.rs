//! CONNECT in operator mode, on the wire: what gets in, what does not, and what it is told.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod house;
mod support;

use cordon_accounts::claims::UserTemplate;
use cordon_accounts::key::{Role, Seed};
use cordon_accounts::limits::Limit;
use cordon_auth::clock::Clock;
use cordon_server::{BrokerOptions, HandshakeFirst};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use house::{Account, Got, House, TestUser, connect_of, expect_end, expect_quiet};
use std::time::Duration;
use support::Peer;
use support::tls::Certificates;

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";

fn soon(seconds: i64) -> i64 {
    Clock::system().unix_seconds() + seconds
}

#[test]
fn the_nonce_has_fifteen_characters_and_stays_for_the_connection() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let (mut peer, other) = (house.broker.raw(), house.broker.raw());
    let nonce = |peer: &Peer| peer.info()["nonce"].as_str().unwrap().to_owned();
    assert_eq!(nonce(&peer).len(), 15);
    assert_ne!(nonce(&peer), nonce(&other));
    for user in [account.user(|_| {}), account.user(|_| {})] {
        // Each CONNECT is signed over the nonce of the one INFO.
        let connect = connect_of(&peer, &user);
        peer.exchange(format!("{connect}PING\r\n"), "PONG\r\n");
    }
    let elsewhere = connect_of(&other, &account.user(|_| {}));
    peer.send(format!("{elsewhere}PING\r\n"));
    peer.expect_end(REFUSED);
}

/// Sends a CONNECT of this user with another signature.
fn present_with(house: &House, user: &TestUser, sign: impl FnOnce(&str) -> Option<String>) -> Peer {
    let mut peer = house.broker.raw();
    let info = peer.info();
    let mut connect = serde_json::json!({"verbose": false, "jwt": user.jwt});
    if let Some(sig) = sign(info["nonce"].as_str().unwrap()) {
        connect["sig"] = sig.into();
    }
    peer.send(format!("CONNECT {connect}\r\nPING\r\n"));
    peer
}

#[test]
fn only_a_signature_of_the_nonces_characters_opens() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let user = account.user(|_| {});
    let sign = |bytes: &[u8]| user.seed.sign(bytes).unwrap();
    present_with(&house, &user, |nonce| Some(BASE64URL_NOPAD.encode(&sign(nonce.as_bytes())))).expect("PONG\r\n");
    present_with(&house, &user, |nonce| Some(BASE64.encode(&sign(nonce.as_bytes())))).expect("PONG\r\n");
    let decoded = |nonce: &str| BASE64URL_NOPAD.decode(nonce.as_bytes()).unwrap();
    present_with(&house, &user, |nonce| Some(BASE64URL_NOPAD.encode(&sign(&decoded(nonce))))).expect_end(REFUSED);
    present_with(&house, &user, |_| None).expect_end(REFUSED);
    present_with(&house, &user, |_| Some("!!".to_owned())).expect_end(REFUSED);
    let stranger = Seed::generate(Role::User, &mut rand::rngs::OsRng);
    let forged = |nonce: &str| Some(BASE64URL_NOPAD.encode(&stranger.sign(nonce.as_bytes()).unwrap()));
    present_with(&house, &user, forged).expect_end(REFUSED);
}

#[test]
fn a_bearer_needs_no_signature_unless_the_account_forbids_it() {
    let open = Account::new("A");
    let mut closed = Account::new("B");
    closed.claims.nats.limits.disallow_bearer = true;
    let house = House::new(&[&open, &closed]);
    let bearer = |account: &Account| account.user(|claims| claims.nats.template.bearer_token = true);
    present_with(&house, &bearer(&open), |_| None).expect("PONG\r\n");
    present_with(&house, &bearer(&closed), |_| None).expect_end(REFUSED);
    house.present(&bearer(&closed)).expect_end(REFUSED);
}

#[test]
fn nothing_comes_before_connect() {
    let house = House::new(&[]);
    for operation in ["PING\r\n", "PUB a 0\r\n\r\n", "SUB a 1\r\n", "+OK\r\n"] {
        let mut peer = house.broker.raw();
        peer.send(operation);
        peer.expect_end(REFUSED);
    }
}

#[test]
fn the_time_to_authenticate_begins_after_the_tls_handshake() {
    let certificates = Certificates::new();
    let options = BrokerOptions {
        auth_timeout: Duration::from_millis(400),
        tls: Some(certificates.server(HandshakeFirst::No, false)),
        ..BrokerOptions::default()
    };
    let account = Account::new("A");
    let house = House::build(&[&account], options, |_| {}, None, None);
    let socket = house.broker.socket();
    let mut plain = Peer::of(&socket);
    plain.read_info();
    // Who came later is already out of time while this handshake has not even begun.
    let mut silent = certificates.upgrade(house.broker.socket());
    silent.expect_end("-ERR 'Authentication Timeout'\r\n");
    let mut peer = Peer::new(certificates.client(socket, None));
    peer.info = plain.info;
    let connect = connect_of(&peer, &account.user(|_| {}));
    peer.exchange(format!("{connect}PING\r\n"), "PONG\r\n");
}

#[test]
fn a_connect_into_another_account_leaves_nothing_in_the_first() {
    let (first, second) = (Account::new("A"), Account::new("B"));
    let house = House::new(&[&first, &second]);
    let mut peer = house.join_as(&first.user(|claims| claims.expires = soon(2)));
    let mut witness = house.join_as(&first.user(|claims| claims.expires = soon(2)));
    let (mut left, mut right) = (house.join(&first), house.join(&second));
    // Both subjects are known to the caches before the account changes.
    peer.exchange("SUB a 1\r\nPUB a 1\r\nx\r\n", "MSG a 1 1\r\nx\r\n");
    let connect = connect_of(&peer, &second.user(|_| {}));
    peer.exchange(format!("{connect}PING\r\n"), "PONG\r\n");
    left.exchange_only("SUB a 1\r\nPUB a 1\r\ny\r\n", "MSG a 1 1\r\ny\r\n");
    right.exchange_only("SUB a 1\r\n", "");
    peer.exchange_only("PUB a 1\r\nz\r\n", "");
    right.exchange_only("", "MSG a 1 1\r\nz\r\n");
    left.expect_nothing();
    // The end of the first user's time is not that of the second.
    expect_end(&mut witness, "-ERR 'User Authentication Expired'\r\n");
    expect_quiet(&mut peer);
    let connect = connect_of(&peer, &first.user(|claims| claims.expires = soon(2)));
    peer.exchange(format!("{connect}PING\r\n"), "PONG\r\n");
    expect_end(&mut peer, "-ERR 'User Authentication Expired'\r\n");
}

#[test]
fn an_account_that_names_no_connection_limit_lets_nobody_in() {
    let mut account = Account::new("A");
    account.claims.nats.limits.conn = Limit(0);
    let house = House::new(&[&account]);
    house.present(&account.user(|_| {})).expect_end("-ERR 'maximum account active connections exceeded'\r\n");
}

#[test]
fn a_user_that_names_no_subscription_limit_subscribes_to_nothing() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join_as(&account.user(|claims| claims.nats.template.limits.subs = Limit(0)));
    peer.exchange_only("SUB a 1\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
}

#[test]
fn limits_of_a_user_hold_from_the_start() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join_as(&account.user(|claims| {
        claims.nats.template.limits.subs = Limit(1);
        claims.nats.template.limits.payload = Limit(4);
    }));
    peer.exchange_only("SUB a 1\r\nSUB b 2\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    peer.exchange_only("PUB a 4\r\nfour\r\n", "MSG a 1 4\r\nfour\r\n");
    peer.send("PUB a 5\r\n");
    peer.expect_end("-ERR 'Maximum Payload Violation'\r\n");
    let mut vast = house.join_as(&account.user(|claims| claims.nats.template.limits.payload = Limit(1 << 40)));
    vast.exchange_only("SUB a 1\r\nPUB a 4\r\nfour\r\n", "MSG a 1 4\r\nfour\r\n");
}

#[test]
fn the_account_hears_of_a_refused_login_and_others_do_not() {
    let mut account = Account::new("A");
    let other = Account::new("B");
    let user = account.user(|_| {});
    account.claims.nats.revocations.revoke(user.seed.public(), soon(0));
    let house = House::new(&[&account, &other]);
    let (mut owner, mut stranger, mut system) = (house.join(&account), house.join(&other), house.join(&house.system));
    for peer in [&mut owner, &mut stranger, &mut system] {
        peer.exchange_only("SUB $SYS.ACCOUNT.CLIENT.AUTH.ERR 1\r\nSUB $SYS.SERVER.*.CLIENT.AUTH.ERR 2\r\n", "");
    }
    house.present(&user).expect_end(REFUSED);
    let event = Got::next(&mut owner);
    assert_eq!(event.subject, "$SYS.ACCOUNT.CLIENT.AUTH.ERR");
    assert_eq!(event.json()["reason"], "Authentication Failure");
    assert_eq!(event.json()["client"]["user"], user.seed.public().to_string());
    assert!(!event.body.contains(&user.jwt), "{}", event.body);
    let event = Got::next(&mut system);
    assert!(event.subject.starts_with("$SYS.SERVER.") && !event.body.contains(&user.jwt), "{}", event.body);
    stranger.expect_nothing();
}

#[test]
fn a_scoped_user_with_anything_of_its_own_is_refused() {
    use cordon_accounts::claims::{Scope, SigningKey};
    let mut account = Account::new("A");
    let signer = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
    let mut scope = Scope::new(signer.public().try_into().unwrap(), "worker");
    scope.template.permissions.publish.allow = vec!["in.{{tag(site)}}".to_owned()];
    scope.template.permissions.subscribe.allow = vec!["out.{{name()}}.>".to_owned()];
    account.claims.nats.signing_keys.push(SigningKey::Scoped(Box::new(scope)));
    let house = House::new(&[&account]);
    let scoped = |change: fn(&mut UserTemplate)| {
        account.user_signed_by(&signer, |claims| {
            claims.nats.template = UserTemplate::default();
            claims.nats.tags = vec!["site:a".to_owned(), "site:b".to_owned()];
            change(&mut claims.nats.template);
        })
    };
    let mut peer = house.join_as(&scoped(|_| {}));
    peer.exchange_only("SUB out.user.> 1\r\nPUB in.a 0\r\n\r\nPUB in.b 0\r\n\r\n", "");
    peer.exchange_only("PUB in.c 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"in.c\"'\r\n");
    peer.exchange_only("SUB out.> 2\r\n", "-ERR 'Permissions Violation for Subscription to \"out.>\"'\r\n");
    let own: [fn(&mut UserTemplate); 4] = [
        |template| template.bearer_token = true,
        |template| template.limits.subs = Limit(-1),
        |template| template.permissions.publish.allow.push(">".to_owned()),
        |template| template.allowed_connection_types.push("STANDARD".to_owned()),
    ];
    for change in own {
        house.present(&scoped(change)).expect_end(REFUSED);
    }
    let hostile = account.user_signed_by(&signer, |claims| {
        claims.nats.template = UserTemplate::default();
        claims.name = ">".to_owned();
    });
    let mut peer = house.join_as(&hostile);
    peer.exchange_only("SUB out.x 1\r\n", "-ERR 'Permissions Violation for Subscription to \"out.x\"'\r\n");
    peer.exchange_only("PUB in.a 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"in.a\"'\r\n");
}

#[test]
fn a_denied_queue_member_leaves_the_message_to_another() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let denied = |claims: &mut cordon_accounts::claims::UserClaims| {
        claims.nats.template.permissions.subscribe.deny = vec!["jobs.secret".to_owned()];
    };
    let mut passed_over = house.join_as(&account.user(denied));
    let (mut member, mut source) = (house.join(&account), house.join(&account));
    passed_over.exchange_only("SUB jobs.* q 1\r\n", "");
    member.exchange_only("SUB jobs.* q 1\r\n", "");
    source.send("PUB jobs.secret 1\r\nx\r\n".repeat(50));
    source.expect_nothing();
    let got = String::from_utf8(member.fenced()).unwrap();
    assert_eq!(got, "MSG jobs.secret 1 1\r\nx\r\n".repeat(50));
    passed_over.expect_nothing();
}

#[test]
fn a_window_of_time_ends_the_connection_when_it_closes() {
    use cordon_accounts::claims::TimeRange;
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let time_of_day = |at: i64| {
        let second = at.rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    };
    let within = |start: i64, end: i64, expires: i64| {
        account.user(|claims| {
            claims.expires = expires;
            claims.nats.template.times = vec![TimeRange { start: time_of_day(start), end: time_of_day(end) }];
            claims.nats.template.times_location = "UTC".to_owned();
        })
    };
    house.present(&within(soon(60), soon(120), 0)).expect_end(REFUSED);
    let mut ends_first = house.join_as(&within(soon(-60), soon(2), soon(1000)));
    let mut expires_first = house.join_as(&within(soon(-60), soon(1000), soon(2)));
    let mut stays = house.join_as(&within(soon(-60), soon(1000), soon(1000)));
    expect_end(&mut ends_first, "-ERR 'User Authentication Expired'\r\n");
    expect_end(&mut expires_first, "-ERR 'User Authentication Expired'\r\n");
    expect_quiet(&mut stays);
}

#[test]
fn leave_to_respond_overrides_a_deny_for_that_reply_alone() {
    use cordon_accounts::claims::ResponseClaim;
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let mut service = house.join_as(&account.user(|claims| {
        claims.nats.template.permissions.publish.deny = vec!["r.>".to_owned()];
        claims.nats.template.permissions.response = Some(ResponseClaim::default());
    }));
    let mut client = house.join(&account);
    let violation = |subject: &str| format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'\r\n");
    service.exchange_only("SUB work 1\r\nPUB r.1 0\r\n\r\n", violation("r.1"));
    client.exchange_only("SUB r.> 1\r\nPUB work r.1 0\r\n\r\n", "");
    service.expect("MSG work 1 r.1 0\r\n\r\n");
    service.exchange_only("PUB r.2 0\r\n\r\n", violation("r.2"));
    service.exchange_only("PUB r.1 1\r\na\r\n", "");
    service.exchange_only("PUB r.1 1\r\nb\r\n", violation("r.1"));
    client.exchange_only("", "MSG r.1 1 1\r\na\r\n");
}

#[test]
fn deliveries_are_filtered_where_a_deny_merely_overlaps() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join_as(&account.user(|claims| {
        claims.nats.template.permissions.subscribe.allow = vec!["foo.*".to_owned()];
        claims.nats.template.permissions.subscribe.deny = vec!["*.secret".to_owned()];
    }));
    peer.exchange_only("SUB foo.> 1\r\n", "-ERR 'Permissions Violation for Subscription to \"foo.>\"'\r\n");
    peer.exchange_only("SUB foo.* 1\r\nSUB foo.* q 2\r\n", "");
    let mut source = house.join(&account);
    source.exchange_only("PUB foo.secret 0\r\n\r\nPUB foo.open 0\r\n\r\n", "");
    let got = String::from_utf8(peer.fenced()).unwrap();
    assert!(!got.contains("secret"), "{got}");
    assert_eq!(got.matches("MSG foo.open").count(), 2, "{got}");
}
