//! Operator mode: every step of `auth.md` 3.3 with its own reason, and what the peer is told.

use std::collections::HashSet;

use cordon_accounts::key::Role;
use cordon_accounts::limits::Limit;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use secrecy::SecretString;

use super::*;
use crate::principal::Method;
use crate::proof::ConnectCredentials;
use crate::testing::{FakeResolver, House, NONCE, NOW, TestUser, account_key, authenticate, proof, seed, sign};

/// The reason for which a user is refused.
async fn reason(house: &House, user: &TestUser) -> Reason {
    house.connect(user).await.expect_err("refused").reason
}

#[tokio::test]
async fn valid_creds_are_accepted_with_identity_and_limits() {
    let mut house = House::new();
    house.account_claims.nats.limits.subs = Limit(10);
    let user = house.user(&house.account, |claims| {
        claims.nats.tags = vec!["team:red".to_owned()];
        claims.nats.template.limits.payload = Limit(1024);
    });
    let principal = house.connect(&user).await.unwrap();
    assert_eq!(principal.account.key(), Some(account_key(&house.account)));
    assert_eq!(principal.user, user.seed.public().to_string());
    assert_eq!(principal.name.as_deref(), Some("alice"));
    assert_eq!(principal.tags, ["team:red"]);
    assert_eq!(principal.issued_at, NOW - 100);
    assert_eq!((principal.limits.subscriptions, principal.limits.payload), (Some(10), Some(1024)));
    assert_eq!(principal.own_limits.subscriptions, None);
    assert_eq!((principal.method, principal.expires), (Method::Jwt, None));
    assert_eq!(principal.jwt_id.as_deref(), Some(user.verified().id.as_str()));
    assert!(principal.inherits_default_permissions);
}

#[tokio::test]
async fn the_signature_covers_the_characters_of_the_nonce() {
    let house = House::new();
    let user = house.user(&house.account, |_| {});
    let mut connect = user.connect();
    let raw = user.seed.sign(NONCE.as_bytes()).unwrap();
    connect.sig = Some(BASE64.encode(&raw));
    authenticate(&house.authenticator(), &connect).await.expect("padded standard base64");
    let decoded = BASE64URL_NOPAD.decode(NONCE.as_bytes()).unwrap();
    let stranger = seed(Role::User);
    let signatures = [
        None,
        Some(String::new()),
        Some("!".to_owned()),
        Some("AAAA".to_owned()),
        Some(sign(&user.seed, &decoded)),
        Some(sign(&user.seed, b"another nonce..")),
        Some(sign(&stranger, NONCE.as_bytes())),
    ];
    for sig in signatures {
        connect.sig.clone_from(&sig);
        let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("refused");
        assert_eq!(refusal.reason, Reason::WrongNonceSignature, "{sig:?}");
        assert_eq!(refusal.close_policy(), ClosePolicy::AUTHORIZATION_VIOLATION);
    }
}

#[tokio::test]
async fn without_a_nonce_no_signature_is_good() {
    let house = House::new();
    let user = house.user(&house.account, |_| {});
    let mut connect = user.connect();
    connect.sig = Some(sign(&user.seed, b""));
    let proof = Proof { nonce: b"", ..proof(&connect) };
    let refusal = house.authenticator().authenticate(proof, NOW).await.expect_err("refused");
    assert_eq!(refusal.reason, Reason::WrongNonceSignature);
}

#[tokio::test]
async fn a_second_connect_is_verified_against_the_same_nonce() {
    let (house, other) = (House::new(), House::new());
    let authenticator = house.authenticator();
    let first = house.user(&house.account, |claims| claims.expires = NOW + 50);
    let second = house.user(&house.signer, |claims| claims.expires = NOW + 99);
    assert_eq!(authenticate(&authenticator, &first.connect()).await.unwrap().expires, Some(NOW + 50));
    assert_eq!(authenticate(&authenticator, &second.connect()).await.unwrap().expires, Some(NOW + 99));
    let stranger = other.user(&other.account, |_| {});
    assert!(authenticate(&authenticator, &stranger.connect()).await.is_err());
}

#[tokio::test]
async fn missing_malformed_and_forged_jwts_are_told_apart() {
    let house = House::new();
    let user = house.user(&house.account, |_| {});
    let (head, signature) = user.jwt.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let cases = [
        (None, Reason::MissingCredentials),
        (Some(String::new()), Reason::MissingCredentials),
        (Some("eyJ".to_owned()), Reason::MalformedCredentials),
        (Some("a.b.c".to_owned()), Reason::MalformedCredentials),
        (Some(house.account_token()), Reason::MalformedCredentials),
        (Some("x".repeat(2 * 1024 * 1024)), Reason::MalformedCredentials),
    ];
    for (jwt, expected) in cases {
        let connect = ConnectCredentials { jwt, ..user.connect() };
        let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("refused");
        assert_eq!(refusal.reason, expected);
    }
    let connect = ConnectCredentials { jwt: Some(forged), ..user.connect() };
    let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("refused");
    assert!(matches!(refusal.reason, Reason::ForgedSignature | Reason::MalformedCredentials));
}

#[tokio::test]
async fn a_user_jwt_signed_by_anothers_key_in_its_place_is_forged() {
    let house = House::new();
    let (mine, other) = (house.user(&house.account, |_| {}), house.user(&house.signer, |_| {}));
    let head = mine.jwt.rsplit_once('.').unwrap().0;
    let signature = other.jwt.rsplit_once('.').unwrap().1;
    let connect = ConnectCredentials { jwt: Some(format!("{head}.{signature}")), ..mine.connect() };
    let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("refused");
    assert_eq!(refusal.reason, Reason::ForgedSignature);
}

#[tokio::test]
async fn expired_and_early_users_are_refused_and_the_last_second_counts() {
    let house = House::new();
    for (expires, not_before, expected) in [
        (NOW - 1, 0, Some(Reason::Expired)),
        (NOW, 0, None),
        (0, NOW + 1, Some(Reason::NotYetValid)),
        (0, NOW, None),
        (NOW - 5, NOW + 5, Some(Reason::Expired)),
    ] {
        let user = house.user(&house.account, |claims| {
            claims.expires = expires;
            claims.not_before = not_before;
        });
        let outcome = house.connect(&user).await.map(|_| ()).map_err(|refusal| refusal.reason);
        assert_eq!(outcome.err(), expected, "exp {expires} nbf {not_before}");
    }
}

#[tokio::test]
async fn bearer_tokens_need_no_signature_unless_the_account_forbids_them() {
    let mut house = House::new();
    let user = house.user(&house.account, |claims| {
        claims.nats.template.bearer_token = true;
    });
    let connect = ConnectCredentials { jwt: Some(user.jwt.clone()), ..ConnectCredentials::default() };
    let principal = authenticate(&house.authenticator(), &connect).await.unwrap();
    assert_eq!((principal.method, principal.bearer), (Method::Bearer, true));
    assert!(principal.jwt.is_none(), "a bearer token is a secret");
    house.account_claims.nats.limits.disallow_bearer = true;
    let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("refused");
    assert_eq!(refusal.reason, Reason::BearerNotAllowed);
    let signed = user.connect();
    assert!(authenticate(&house.authenticator(), &signed).await.is_err(), "a signature does not help");
}

#[tokio::test]
async fn the_bearer_flag_of_a_scope_counts() {
    let mut house = House::new();
    house.scope_mut().template.bearer_token = true;
    let user = house.user(&house.scoped, |_| {});
    let connect = ConnectCredentials { jwt: Some(user.jwt.clone()), ..ConnectCredentials::default() };
    authenticate(&house.authenticator(), &connect).await.unwrap();
    house.account_claims.nats.limits.disallow_bearer = true;
    let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("refused");
    assert_eq!(refusal.reason, Reason::BearerNotAllowed);
}

#[tokio::test]
async fn under_a_strict_operator_only_signing_keys_sign() {
    let mut house = House::new();
    let by_identity = house.user(&house.account, |_| {});
    let by_signer = house.user(&house.signer, |_| {});
    house.connect(&by_identity).await.unwrap();
    house.connect(&by_signer).await.unwrap();
    house.operator_claims.nats.strict_signing_key_usage = true;
    assert_eq!(reason(&house, &by_identity).await, Reason::SignerUnknown);
    house.connect(&by_signer).await.unwrap();
}

#[tokio::test]
async fn signers_of_other_accounts_are_refused() {
    let (house, other) = (House::new(), House::new());
    let stranger = seed(Role::Account);
    let by_stranger = house.user(&stranger, |_| {});
    assert_eq!(reason(&house, &by_stranger).await, Reason::SignerUnknown);
    let into_house = other.user(&other.account, |claims| {
        claims.nats.issuer_account = Some(account_key(&house.account));
    });
    assert_eq!(reason(&house, &into_house).await, Reason::SignerUnknown);
    let into_unknown = house.user(&house.account, |claims| {
        claims.nats.issuer_account = Some(account_key(&other.account));
    });
    assert_eq!(reason(&house, &into_unknown).await, Reason::AccountUnknown);
    let unnamed = house.user(&house.signer, |claims| claims.nats.issuer_account = None);
    assert_eq!(reason(&house, &unnamed).await, Reason::AccountUnknown);
}

#[tokio::test]
async fn an_untrusted_account_is_refused_even_if_a_copy_is_stored() {
    let lying = |token: String| FakeResolver { instead: Some(token), ..FakeResolver::default() };
    let house = House::new();
    let user = house.user(&house.account, |_| {});
    let foreign = seed(Role::Operator);
    let own = &house.account;
    for (signer, expected) in [(&foreign, Reason::AccountUntrusted), (own, Reason::AccountUntrusted)] {
        let token = house.account_claims.encode(signer, NOW).unwrap();
        let authenticator = house.authenticator_with(|mode| {
            let accounts = crate::lookup::CachedAccounts::new(Arc::clone(&mode.trust), Arc::new(lying(token)));
            mode.accounts = Arc::new(accounts);
        });
        let refusal = authenticate(&authenticator, &user.connect()).await.expect_err("refused");
        assert_eq!(refusal.reason, expected);
    }
    let other = House::new();
    let authenticator = house.authenticator_with(|mode| {
        let misnamed = other.account_claims.encode(&house.operator, NOW).unwrap();
        let accounts = crate::lookup::CachedAccounts::new(Arc::clone(&mode.trust), Arc::new(lying(misnamed)));
        mode.accounts = Arc::new(accounts);
    });
    let refusal = authenticate(&authenticator, &user.connect()).await.expect_err("another account's claims");
    assert_eq!(refusal.reason, Reason::ClaimsInvalid);
}

#[tokio::test]
async fn pinned_accounts_refuse_others_but_not_the_system_account() {
    let mut house = House::new();
    let user = house.user(&house.account, |_| {});
    let elsewhere = HashSet::from([account_key(&seed(Role::Account))]);
    let pin = |mode: &mut OperatorMode| mode.pinned_accounts = Some(elsewhere.clone());
    let refusal = authenticate(&house.authenticator_with(pin), &user.connect()).await.expect_err("not pinned");
    assert_eq!(refusal.reason, Reason::AccountUnknown);
    let own = HashSet::from([account_key(&house.account)]);
    let pin_own = |mode: &mut OperatorMode| mode.pinned_accounts = Some(own);
    authenticate(&house.authenticator_with(pin_own), &user.connect()).await.expect("pinned");
    house.operator_claims.nats.system_account = Some(account_key(&house.account));
    authenticate(&house.authenticator_with(pin), &user.connect()).await.expect("the system account");
}

#[tokio::test]
async fn an_expired_account_refuses_until_a_newer_jwt_is_there() {
    use crate::resolver::{MemoryResolver, Resolver as _, StorePolicy};
    let mut house = House::new();
    house.account_claims.expires = NOW + 10;
    let user = house.user(&house.account, |_| {});
    let resolver = Arc::new(MemoryResolver::default());
    resolver.store(&house.record(), StorePolicy::Push, NOW).unwrap();
    let authenticator = house.authenticator_with(|mode| {
        mode.accounts = Arc::new(crate::lookup::CachedAccounts::new(Arc::clone(&mode.trust), resolver.clone()));
    });
    let connect = user.connect();
    authenticator.authenticate(proof(&connect), NOW + 10).await.expect("the last second counts");
    let refusal = authenticator.authenticate(proof(&connect), NOW + 11).await.expect_err("expired");
    assert_eq!(refusal.reason, Reason::AccountExpired);
    house.account_claims.expires = NOW + 1000;
    let renewed = house.trust().admit_account(&house.account_token_at(NOW + 11), None, NOW).unwrap();
    resolver.store(&renewed, StorePolicy::Push, NOW).unwrap();
    authenticator.authenticate(proof(&connect), NOW + 20).await.expect("renewed, without a restart");
}

#[tokio::test]
async fn the_obsolete_account_field_is_refused_whatever_the_credentials() {
    let house = House::new();
    let connect = ConnectCredentials { account: true, ..house.user(&house.account, |_| {}).connect() };
    let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("refused");
    assert_eq!(refusal.reason, Reason::ObsoleteAccountField);
    assert_eq!(refusal.close_policy(), ClosePolicy::AUTHORIZATION_VIOLATION);
}

#[tokio::test]
async fn mqtt_sends_the_jwt_as_password() {
    let house = House::new();
    let user = house.user(&house.account, |claims| {
        claims.nats.template.bearer_token = true;
    });
    let connect =
        ConnectCredentials { pass: Some(SecretString::from(user.jwt.clone())), ..ConnectCredentials::default() };
    let over = |connection_type| Proof { connection_type, ..proof(&connect) };
    house.authenticator().authenticate(over(ConnectionType::Mqtt), NOW).await.expect("over MQTT");
    let refusal =
        house.authenticator().authenticate(over(ConnectionType::Standard), NOW).await.expect_err("not over TCP");
    assert_eq!(refusal.reason, Reason::MissingCredentials);
}

#[tokio::test]
async fn the_sentinel_stands_in_only_for_those_who_present_no_jwt() {
    let house = House::new();
    let sentinel = house.user(&house.account, |claims| {
        claims.nats.template.bearer_token = true;
    });
    let authenticator = house.authenticator_with(|mode| mode.default_sentinel = Some(sentinel.jwt.clone()));
    let principal = authenticate(&authenticator, &ConnectCredentials::default()).await.unwrap();
    assert_eq!(principal.user, sentinel.seed.public().to_string());
    let connect = ConnectCredentials { jwt: Some("broken".into()), ..ConnectCredentials::default() };
    assert!(authenticate(&authenticator, &connect).await.is_err(), "a broken JWT is not downgraded");
}

#[tokio::test]
async fn failures_slow_an_address_down_and_spare_others() {
    let house = House::new();
    let options = ThrottleOptions { burst: 3, ..ThrottleOptions::default() };
    let authenticator = house.authenticator().with_throttle(options);
    let user = house.user(&house.account, |_| {});
    let bad = ConnectCredentials { sig: None, ..user.connect() };
    for _ in 0..3 {
        let refusal = authenticate(&authenticator, &bad).await.expect_err("bad");
        assert_eq!(refusal.reason, Reason::WrongNonceSignature);
    }
    let good = user.connect();
    assert_eq!(authenticate(&authenticator, &good).await.expect_err("throttled").reason, Reason::Throttled);
    let elsewhere = Proof { peer_ip: Some("198.51.100.7".parse().unwrap()), ..proof(&good) };
    authenticator.authenticate(elsewhere, NOW).await.expect("another address");
    authenticator.clock.advance(std::time::Duration::from_secs(1));
    authenticate(&authenticator, &good).await.expect("after the wait");
}

#[tokio::test]
async fn an_unreachable_resolver_refuses_and_does_not_count_against_the_peer() {
    #[derive(Debug)]
    struct Down;
    impl AccountLookup for Down {
        fn account<'a>(&'a self, _: &'a AccountKey, _: i64) -> crate::lookup::LookupFuture<'a> {
            Box::pin(async { Err(crate::lookup::LookupError::Unavailable("no answer".to_owned())) })
        }
    }
    let house = House::new();
    let authenticator = house.authenticator_with(|mode| mode.accounts = Arc::new(Down));
    let user = house.user(&house.account, |_| {});
    let refusal = authenticate(&authenticator, &user.connect()).await.expect_err("down");
    assert_eq!(refusal.reason, Reason::AccountUnavailable);
    assert_eq!(authenticator.throttle().addresses(), 0);
}

#[tokio::test]
async fn no_secret_stands_in_a_refusal() {
    let house = House::new();
    let user = house.user(&house.account, |claims| {
        claims.nats.template.bearer_token = true;
    });
    let mut connect = user.connect();
    connect.pass = Some(SecretString::from("canary-password"));
    connect.auth_token = Some(SecretString::from("canary-token"));
    connect.jwt = connect.jwt.map(|jwt| format!("{jwt}canary"));
    let refusal = authenticate(&house.authenticator(), &connect).await.expect_err("damaged");
    let text = format!("{refusal} {refusal:?}");
    assert!(!text.contains("canary"), "{text}");
    assert!(!text.contains(&user.jwt), "{text}");
}

#[test]
fn operator_mode_needs_a_nonce_and_announces_authentication() {
    let authenticator = House::new().authenticator();
    assert!(authenticator.needs_nonce());
    assert!(authenticator.announces_authentication(ConnectionType::Standard));
    assert!(!authenticator.admits_without_connect(ConnectionType::Standard));
}
