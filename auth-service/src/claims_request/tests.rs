//! Who may change stored account JWTs, and the exact words of those who may not.

use cordon_accounts::claims::{GenericClaims, Operator};
use cordon_accounts::key::{Role, Seed};
use cordon_accounts::limits::Limit;
use serde_json::json;

use super::*;
use crate::resolver::MemoryResolver;
use crate::testing::{House, NOW, account_key, seed};

fn decide(house: &House, token: &str, named: Option<&AccountKey>, stored: Option<&str>) -> Result<AccountKey, String> {
    decide_update(token.as_bytes(), named, stored, &house.trust(), NOW)
        .map(|record| record.key)
        .map_err(|refusal| refusal.to_string())
}

#[test]
fn a_trusted_update_is_admitted_with_and_without_a_name() {
    let house = House::new();
    let key = account_key(&house.account);
    let token = house.account_token();
    assert_eq!(decide(&house, &token, None, None), Ok(key));
    assert_eq!(decide(&house, &format!("{token}\r\n"), Some(&key), Some(&token)), Ok(key));
    let by_identity = house.account_claims.encode(&house.operator, NOW).unwrap();
    assert_eq!(decide(&house, &by_identity, Some(&key), Some(&token)), Ok(key));
}

#[test]
fn an_expired_update_is_admitted_for_storing() {
    let mut house = House::new();
    house.account_claims.expires = NOW - 1;
    let record = decide_update(house.account_token().as_bytes(), None, None, &house.trust(), NOW).unwrap();
    assert!(record.is_expired(NOW));
    assert!(matches!(
        house.trust().verify_account(&house.account_token(), None, NOW),
        Err(AccountError::Expired { .. })
    ));
}

#[test]
fn a_stranger_is_refused_before_anything_is_replaced() {
    let house = House::new();
    let key = account_key(&house.account);
    let resolver = MemoryResolver::default();
    update(&resolver, house.account_token().as_bytes(), None, &house.trust(), NOW).unwrap();
    let before = resolver.lookup(&key).unwrap();
    for signer in [seed(Role::Operator), seed(Role::Account), house.account.duplicate(), house.signer.duplicate()] {
        let token = house.account_claims.encode(&signer, NOW).unwrap();
        let refusal = update(&resolver, token.as_bytes(), Some(&key), &house.trust(), NOW).unwrap_err();
        assert_eq!(refusal.reason, Reason::ClaimsUntrusted);
        assert_eq!(refusal.account, Some(key.to_string()));
        assert!(refusal.to_string().starts_with("jwt update resulted in error - "), "{refusal}");
    }
    assert_eq!(resolver.lookup(&key).unwrap(), before);
}

#[test]
fn refusals_have_upstreams_words() {
    let mut house = House::new();
    let key = account_key(&house.account);
    let other = account_key(&seed(Role::Account));
    let good = house.account_token();
    let cases = [
        (String::new(), None, "jwt update resulted in error - request body is empty"),
        (good.clone(), Some(&other), "jwt update resulted in error - subject does not match jwt content"),
    ];
    for (token, named, expected) in cases {
        assert_eq!(decide(&house, &token, named, None), Err(expected.to_owned()));
    }
    for noise in ["x", "a.b.c", "\u{fffd}"] {
        assert!(decide(&house, noise, Some(&key), None).unwrap_err().starts_with("jwt update resulted in error - "));
    }
    let refusal = decide_update(b"\xff\xfe", None, None, &house.trust(), NOW).unwrap_err();
    assert_eq!(refusal.account.as_deref(), Some("n/a"));
    house.account_claims.nats.limits.imports = Limit(-2);
    assert!(decide(&house, &house.account_token(), None, None).unwrap_err().starts_with("jwt validation failed - "));
    house = House::new();
    house.operator_claims.nats.strict_signing_key_usage = true;
    let by_identity = house.account_claims.encode(&house.operator, NOW).unwrap();
    assert_eq!(
        decide(&house, &by_identity, None, None),
        Err("jwt update resulted in error - operator requires issuer to be a signing key".to_owned())
    );
}

#[test]
fn an_update_does_not_go_back_in_time() {
    let house = House::new();
    let resolver = MemoryResolver::default();
    let (old, new) = (house.account_token_at(NOW - 20), house.account_token_at(NOW - 10));
    update(&resolver, new.as_bytes(), None, &house.trust(), NOW).unwrap();
    update(&resolver, new.as_bytes(), None, &house.trust(), NOW).expect("the very same is no error");
    let refusal = update(&resolver, old.as_bytes(), None, &house.trust(), NOW).unwrap_err();
    assert_eq!(refusal.reason, Reason::ClaimsStale);
    assert!(decide(&house, &old, None, Some(&new)).is_err());
    assert_eq!(resolver.lookup(&account_key(&house.account)).unwrap(), Some(new));
}

fn delete_request(signer: &Seed, about: &Seed, members: serde_json::Value) -> String {
    let mut claims = GenericClaims::new(about.public());
    let serde_json::Value::Object(members) = members else { panic!("members are an object") };
    claims.nats.members = members;
    claims.encode(signer, NOW).unwrap()
}

fn deletable(house: &House, token: &str, allowed: bool) -> Result<usize, String> {
    decide_delete(token.as_bytes(), allowed, &house.trust(), NOW).map(|accounts| accounts.len()).map_err(|refusal| {
        assert_eq!(refusal.account, None);
        refusal.cause
    })
}

#[test]
fn deletes_are_admitted_from_keys_of_the_operator_only() {
    let mut house = House::new();
    let victim = account_key(&house.account).to_string();
    let list = json!({ "accounts": [victim] });
    for signer in [&house.operator, &house.operator_signer] {
        assert_eq!(deletable(&house, &delete_request(signer, signer, list.clone()), true), Ok(1));
    }
    let stranger = seed(Role::Operator);
    let cases = [
        (
            delete_request(&house.operator, &house.operator, list.clone()),
            false,
            "delete must be enabled in server config",
        ),
        (delete_request(&house.operator, &house.operator_signer, list.clone()), true, "not self signed"),
        (delete_request(&stranger, &stranger, list.clone()), true, "not trusted"),
        (delete_request(&house.account, &house.account, list.clone()), true, "not trusted"),
    ];
    for (token, allowed, expected) in cases {
        assert_eq!(deletable(&house, &token, allowed), Err(expected.to_owned()));
    }
    house.operator_claims.nats.strict_signing_key_usage = true;
    let by_identity = delete_request(&house.operator, &house.operator, list);
    assert_eq!(deletable(&house, &by_identity, true), Err("not trusted".to_owned()));
}

#[test]
fn malformed_deletes_and_the_system_account_are_refused() {
    let mut house = House::new();
    let system = seed(Role::Account);
    house.operator_claims.nats.system_account = Some(account_key(&system));
    let victim = account_key(&house.account).to_string();
    let cases = [
        (json!({}), "malformed request"),
        (json!({ "accounts": victim }), "malformed request"),
        (json!({ "accounts": [1] }), "malformed request"),
        (json!({ "accounts": [""] }), "malformed request"),
        (json!({ "accounts": ["../../etc/passwd"] }), "malformed request"),
        (json!({ "accounts": [victim, null] }), "malformed request"),
        (json!({ "accounts": [house.operator.public().to_string()] }), "malformed request"),
        (json!({ "accounts": [victim, system.public().to_string()] }), "not allowed to delete system account"),
    ];
    for (members, expected) in cases {
        let token = delete_request(&house.operator, &house.operator, members.clone());
        assert_eq!(deletable(&house, &token, true), Err(expected.to_owned()), "{members}");
    }
    assert!(deletable(&house, "noise", true).is_err());
    assert!(decide_delete(b"", true, &house.trust(), NOW).is_err());
}

#[test]
fn an_expired_delete_request_is_refused() {
    let house = House::new();
    let mut claims = GenericClaims::new(house.operator.public());
    claims.expires = NOW - 1;
    claims.nats.members.insert("accounts".to_owned(), json!([]));
    let token = claims.encode(&house.operator, NOW - 10).unwrap();
    assert_eq!(deletable(&house, &token, true), Err("expired".to_owned()));
}

#[test]
fn only_the_first_operator_may_delete() {
    let (first, second) = (House::new(), House::new());
    let decode = |house: &House| {
        let token = house.operator_claims.encode(&house.operator, NOW).unwrap();
        claims::decode::<Operator>(&token).unwrap()
    };
    let trust = Trust::new(vec![decode(&first), decode(&second)]).unwrap();
    assert!(trust.may_delete(&first.operator.public()) && trust.may_delete(&first.operator_signer.public()));
    assert!(trust.trusts(&second.operator.public()) && !trust.may_delete(&second.operator.public()));
    assert!(!trust.may_delete(&first.account.public()));
}

#[test]
fn deletion_counts_what_went_and_what_did_not() {
    let house = House::new();
    let resolver = MemoryResolver::default();
    let deletion = delete(&resolver, &[account_key(&house.account)]);
    assert_eq!(deletion.message(), "deleted 0 accounts, failed for 1");
    assert_eq!(delete(&resolver, &[]).message(), "deleted 0 accounts");
}

/// One update.
fn update(
    resolver: &dyn Resolver,
    body: &[u8],
    named: Option<&AccountKey>,
    trust: &Trust,
    now: i64,
) -> Result<Arc<AccountRecord>, RequestRefusal> {
    update_all(resolver, &[(body.to_vec(), named.copied())], trust, now).pop().unwrap()
}

#[test]
fn updates_that_come_together_are_decided_in_their_order() {
    let mut houses = [House::new(), House::new()];
    let trust = houses[0].trust();
    houses[1].operator_signer = houses[0].operator_signer.duplicate();
    let [one, other] = &houses;
    let resolver = MemoryResolver::default();
    let at = |house: &House, seconds| house.account_token_at(NOW + seconds).into_bytes();
    let updates = [
        (at(one, -30), None),
        (at(other, -30), None),
        (at(one, -20), None),
        (b"nonsense".to_vec(), None),
        (at(one, -25), None),
        (at(other, -10), None),
    ];
    let outcomes = update_all(&resolver, &updates, &trust, NOW);
    let reasons: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().err().map(|refusal| refusal.reason)).collect();
    let (bad, stale) = (Some(Reason::ClaimsInvalid), Some(Reason::ClaimsStale));
    assert_eq!(reasons, [None, None, None, bad, stale, None]);
    for (house, update) in [(one, &updates[2]), (other, &updates[5])] {
        let stored = resolver.lookup(&account_key(&house.account)).unwrap();
        assert_eq!(stored.map(String::into_bytes).as_ref(), Some(&update.0), "the newest is in the store");
    }
}
