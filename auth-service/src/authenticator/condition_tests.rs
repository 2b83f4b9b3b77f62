//! Operator mode: the conditions that claims set, a user's own and those of a scope.

use cordon_accounts::claims::{Revocations, TimeRange, UserTemplate};
use cordon_accounts::key::{Role, UserKey};
use cordon_accounts::limits::Limit;

use super::*;
use crate::proof::ConnectCredentials;
use crate::testing::{House, NONCE, NOW, TestUser, account_key, authenticate, proof, seed, sign};

/// The reason for which a user is refused.
async fn reason(house: &House, user: &TestUser) -> Reason {
    house.connect(user).await.expect_err("refused").reason
}

#[tokio::test]
async fn connection_types_are_enforced() {
    let house = House::new();
    let cases: &[(&[&str], bool)] = &[
        (&["WEBSOCKET"], false),
        (&["FUTURE"], false),
        (&["standard"], true),
        (&["STANDARD", "FUTURE"], true),
        (&[], true),
    ];
    for (types, admitted) in cases {
        let user = house.user(&house.account, |claims| {
            claims.nats.template.allowed_connection_types = types.iter().map(ToString::to_string).collect();
        });
        let outcome = house.connect(&user).await;
        assert_eq!(outcome.is_ok(), *admitted, "{types:?}");
        if let Err(refusal) = outcome {
            assert_eq!(refusal.reason, Reason::ConnectionTypeNotAllowed);
            assert_eq!(refusal.account.unwrap().key(), Some(account_key(&house.account)));
        }
    }
}

#[tokio::test]
async fn connection_types_of_a_scope_are_enforced() {
    let mut house = House::new();
    house.scope_mut().template.allowed_connection_types = vec!["WEBSOCKET".to_owned()];
    let user = house.user(&house.scoped, |_| {});
    assert_eq!(reason(&house, &user).await, Reason::ConnectionTypeNotAllowed);
    let connect = user.connect();
    let proof = Proof { connection_type: ConnectionType::Websocket, ..proof(&connect) };
    let principal = house.authenticator().authenticate(proof, NOW).await.unwrap();
    assert!(principal.scope.is_some());
}

#[tokio::test]
async fn the_peer_must_be_in_the_users_networks() {
    let house = House::new();
    let user = house.user(&house.account, |claims| {
        claims.nats.template.src = vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()];
    });
    let connect = user.connect();
    for (peer, admitted) in [
        (Some("192.0.2.9"), true),
        (Some("::ffff:192.0.2.9"), true),
        (Some("2001:db8::1"), true),
        (Some("198.51.100.1"), false),
        (Some("2001:db9::1"), false),
        (None, false),
    ] {
        let proof = Proof { peer_ip: peer.map(|ip| ip.parse().unwrap()), ..proof(&connect) };
        let outcome = house.authenticator().authenticate(proof, NOW).await;
        assert_eq!(outcome.is_ok(), admitted, "{peer:?}");
        if let Err(refusal) = outcome {
            assert_eq!(refusal.reason, Reason::AddressNotAllowed);
        }
    }
}

#[tokio::test]
async fn a_time_range_admits_until_its_end_and_the_earlier_end_wins() {
    // NOW is 22:13:20 UTC.
    let house = House::new();
    let user = |start: &str, end: &str, zone: &str, expires: i64| {
        house.user(&house.account, |claims| {
            claims.expires = expires;
            claims.nats.template.times = vec![TimeRange { start: start.to_owned(), end: end.to_owned() }];
            claims.nats.template.times_location = zone.to_owned();
        })
    };
    let cases = [
        (user("22:00:00", "23:00:00", "UTC", 0), Some((NOW + 2800, Reason::TimeNotAllowed))),
        (user("22:00:00", "23:00:00", "UTC", NOW + 60), Some((NOW + 60, Reason::Expired))),
        (user("22:00:00", "23:00:00", "UTC", NOW + 5000), Some((NOW + 2800, Reason::TimeNotAllowed))),
        (user("22:00:00", "01:00:00", "UTC", 0), Some((NOW + 10_000, Reason::TimeNotAllowed))),
        (user("23:00:00", "22:30:00", "UTC", 0), Some((NOW + 1000, Reason::TimeNotAllowed))),
        (user("17:00:00", "18:00:00", "America/New_York", 0), Some((NOW + 2800, Reason::TimeNotAllowed))),
        (user("09:00:00", "17:00:00", "UTC", 0), None),
        (user("22:00:00", "23:00:00", "America/New_York", 0), None),
    ];
    for (number, (user, expected)) in cases.into_iter().enumerate() {
        match (house.connect(&user).await, expected) {
            (Ok(principal), Some((end, because))) => {
                assert_eq!((principal.expires, principal.expires_because), (Some(end), because), "case {number}");
            }
            (Err(refusal), None) => {
                assert_eq!(refusal.reason, Reason::TimeNotAllowed, "case {number}");
            }
            (outcome, _) => panic!("case {number}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn an_unknown_zone_is_refused() {
    let house = House::new();
    let user = house.user(&house.account, |claims| {
        claims.nats.template.times = vec![TimeRange { start: "00:00:00".into(), end: "23:59:59".into() }];
        claims.nats.template.times_location = "Mars/Olympus".to_owned();
    });
    assert!(matches!(reason(&house, &user).await, Reason::ClaimsInvalid | Reason::TimeNotAllowed));
}

#[tokio::test]
async fn a_revocation_reaches_what_was_issued_up_to_its_second() {
    let mut house = House::new();
    let user = house.user(&house.account, |_| {});
    let key = UserKey::try_from(user.seed.public()).unwrap();
    for (at, revoked) in [(NOW - 100, true), (NOW, true), (NOW - 101, false)] {
        house.account_claims.nats.revocations = Revocations::default();
        house.account_claims.nats.revocations.revoke(key, at);
        assert_eq!(house.connect(&user).await.is_err(), revoked, "key at {at}");
        house.account_claims.nats.revocations = Revocations::default();
        house.account_claims.nats.revocations.revoke(cordon_accounts::claims::revocation::Revoked::All, at);
        assert_eq!(house.connect(&user).await.is_err(), revoked, "all at {at}");
    }
    house.account_claims.nats.revocations.revoke(key, NOW);
    assert_eq!(reason(&house, &user).await, Reason::Revoked);
}

#[tokio::test]
async fn scoped_users_get_the_template_and_may_carry_nothing() {
    let mut house = House::new();
    house.scope_mut().template.permissions.publish.allow = vec!["jobs.{{name()}}".to_owned()];
    house.scope_mut().template.limits.subs = Limit(3);
    let principal = house.connect(&house.user(&house.scoped, |_| {})).await.unwrap();
    assert!(principal.permissions.may_publish(b"jobs.alice").is_ok());
    assert!(principal.permissions.may_publish(b"jobs.bob").is_err());
    assert_eq!(principal.limits.subscriptions, Some(3));
    assert!(!principal.inherits_default_permissions);
    let changes: &[fn(&mut UserTemplate)] = &[
        |template| template.limits.subs = Limit(-1),
        |template| template.limits.payload = Limit(5),
        |template| template.bearer_token = true,
        |template| template.src = vec!["192.0.2.0/24".to_owned()],
        |template| template.permissions.publish.allow = vec!["x".to_owned()],
        |template| template.permissions.subscribe.deny = vec!["x".to_owned()],
        |template| template.proxy_required = true,
        |template| template.allowed_connection_types = vec!["STANDARD".to_owned()],
    ];
    for (number, change) in changes.iter().enumerate() {
        let user = house.user(&house.scoped, |claims| change(&mut claims.nats.template));
        let outcome = house.connect(&user).await.expect_err("refused").reason;
        let proxied = Reason::ProxyRequired;
        assert!(outcome == Reason::ScopedUserHasPermissions || outcome == proxied, "change {number}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_template_that_cannot_be_expanded_refuses() {
    let mut house = House::new();
    house.scope_mut().template.permissions.publish.deny = vec!["x.{{tag(absent)}}".to_owned()];
    assert_eq!(reason(&house, &house.user(&house.scoped, |_| {})).await, Reason::TemplateInvalid);
}

#[tokio::test]
async fn users_without_permissions_inherit_the_accounts() {
    let mut house = House::new();
    house.account_claims.nats.default_permissions.publish.deny = vec!["secret.>".to_owned()];
    let inheriting = house.connect(&house.user(&house.account, |_| {})).await.unwrap();
    assert!(inheriting.permissions.may_publish(b"secret.x").is_err());
    let own = house.user(&house.account, |claims| {
        claims.nats.template.permissions.publish.allow = vec!["secret.x".to_owned()];
    });
    let own = house.connect(&own).await.unwrap();
    assert!(own.permissions.may_publish(b"secret.x").is_ok());
    assert!(!own.inherits_default_permissions);
}

#[tokio::test]
async fn a_proxy_that_is_required_must_have_signed_the_nonce() {
    let house = House::new();
    let (proxy, impostor) = (seed(Role::User), seed(Role::User));
    let user = house.user(&house.account, |claims| {
        claims.nats.template.proxy_required = true;
    });
    let refusal = house.connect(&user).await.expect_err("no proxy");
    assert_eq!((refusal.reason, refusal.close_policy()), (Reason::ProxyRequired, ClosePolicy::PROXY_REQUIRED));
    let authenticator = house.authenticator().with_trusted_proxies(vec![proxy.public()]);
    let mut connect = user.connect();
    connect.proxy_sig = Some(sign(&proxy, NONCE.as_bytes()));
    authenticate(&authenticator, &connect).await.expect("signed by the proxy");
    connect.proxy_sig = Some(sign(&impostor, NONCE.as_bytes()));
    let refusal = authenticate(&authenticator, &connect).await.expect_err("impostor");
    assert_eq!(refusal.close_policy(), ClosePolicy::PROXY_NOT_TRUSTED);
    let plain = house.user(&house.account, |_| {});
    let with_bad_proxy = ConnectCredentials { proxy_sig: Some("AAAA".into()), ..plain.connect() };
    assert!(authenticate(&authenticator, &with_bad_proxy).await.is_err(), "a bad proxy signature always refuses");
}

#[tokio::test]
async fn a_scope_that_requires_a_proxy_gets_one() {
    let mut house = House::new();
    house.scope_mut().template.proxy_required = true;
    assert_eq!(reason(&house, &house.user(&house.scoped, |_| {})).await, Reason::ProxyRequired);
}

/// Each bit of `flaws` breaks one thing.
fn flawed(flaws: u32) -> (House, TestUser) {
    let has = |bit: u32| flaws & (1 << bit) != 0;
    let mut house = House::new();
    house.account_claims.expires = if has(0) { NOW - 1 } else { 0 };
    house.account_claims.nats.limits.disallow_bearer = has(1);
    house.operator_claims.nats.strict_signing_key_usage = has(2);
    let condition = |template: &mut UserTemplate| {
        template.bearer_token = has(1);
        if has(3) {
            template.allowed_connection_types = vec!["MQTT".to_owned()];
        }
        if has(4) {
            template.src = vec!["198.51.100.0/24".to_owned()];
        }
        if has(5) {
            template.times = vec![TimeRange { start: "01:00:00".into(), end: "02:00:00".into() }];
            template.times_location = "UTC".to_owned();
        }
    };
    let scoped = has(6);
    if scoped {
        condition(&mut house.scope_mut().template);
    }
    let signer = if scoped { house.scoped.duplicate() } else { house.account.duplicate() };
    let user = house.user(&signer, |claims| {
        claims.expires = if has(7) { NOW - 1 } else { 0 };
        if !scoped {
            condition(&mut claims.nats.template);
        }
    });
    if has(8) {
        house.account_claims.nats.revocations.revoke(user.seed.public(), NOW);
    }
    (house, user)
}

#[tokio::test]
async fn what_is_explained_is_what_is_enforced() {
    use cordon_accounts::explain::{Circumstances, explain_connect};
    for flaws in 0..512 {
        let (house, user) = flawed(flaws);
        let enforced = house.connect(&user).await.map(|_| ()).map_err(|refusal| refusal.reason);
        let record = house.record();
        let circumstances = Circumstances {
            now: NOW,
            here: Zone::of_this_machine().offset_at(NOW),
            peer: Some("192.0.2.10".parse().unwrap()),
            connection_type: Some("STANDARD"),
            strict: record.strict,
        };
        let explained = explain_connect(&user.verified(), &record.claims, &circumstances);
        assert_eq!(explained.reason, enforced.err(), "flaws {flaws:b}");
        assert_eq!(explained.allowed, enforced.is_ok(), "flaws {flaws:b}");
    }
}
