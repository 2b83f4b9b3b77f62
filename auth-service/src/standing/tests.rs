//! Every row of `auth.md` 7 that concerns one connection: which text, or silence.

use cordon_accounts::claims::revocation::Revoked;
use cordon_accounts::claims::{PermissionsClaim, Scope, SigningKey};
use cordon_accounts::key::{OperatorKey, Role};
use cordon_accounts::limits::Limit;

use super::*;
use crate::principal::Method;
use crate::testing::{House, NOW, TestUser, account_key, seed};

fn verdict(house: &House, principal: &Principal) -> Result<PrincipalUpdate, (Reason, ClosePolicy)> {
    still_valid(principal, &house.record(), NOW)
}

async fn connected(house: &House, user: &TestUser) -> Principal {
    house.connect(user).await.unwrap()
}

#[tokio::test]
async fn an_unchanged_account_changes_nothing() {
    let house = House::new();
    for signer in [&house.account, &house.signer, &house.scoped] {
        let principal = connected(&house, &house.user(signer, |_| {})).await;
        let update = verdict(&house, &principal).unwrap();
        assert_eq!(update.limits, principal.limits);
        assert!(update.permissions.is_none());
    }
}

#[tokio::test]
async fn changed_limits_apply_and_the_users_own_stay() {
    let mut house = House::new();
    house.account_claims.nats.limits.subs = Limit(5);
    let user = house.user(&house.account, |claims| {
        claims.nats.template.limits.payload = Limit(100);
    });
    let mut principal = connected(&house, &user).await;
    house.account_claims.nats.limits.subs = Limit(-1);
    house.account_claims.nats.limits.payload = Limit(50);
    verdict(&house, &principal).unwrap().apply(&mut principal);
    assert_eq!((principal.limits.subscriptions, principal.limits.payload), (None, Some(50)));
    house.account_claims.nats.limits.payload = Limit(-1);
    let update = verdict(&house, &principal).unwrap();
    assert_eq!(update.limits.payload, Some(100), "a raised account limit uncovers the user's own");
}

#[tokio::test]
async fn changed_defaults_reach_those_who_inherit_them() {
    let mut house = House::new();
    let mut inheriting = connected(&house, &house.user(&house.account, |_| {})).await;
    let own = house.user(&house.account, |claims| {
        claims.nats.template.permissions.publish.allow = vec!["a".to_owned()];
    });
    let own = connected(&house, &own).await;
    house.account_claims.nats.default_permissions.publish.deny = vec!["b".to_owned()];
    verdict(&house, &inheriting).unwrap().apply(&mut inheriting);
    assert!(inheriting.permissions.may_publish(b"b").is_err());
    assert!(verdict(&house, &own).unwrap().permissions.is_none());
    house.account_claims.nats.default_permissions = PermissionsClaim::default();
    verdict(&house, &inheriting).unwrap().apply(&mut inheriting);
    assert!(inheriting.permissions.may_publish(b"b").is_ok(), "removed defaults lift the restriction");
}

#[tokio::test]
async fn a_bearer_ban_closes_bearers_only() {
    let mut house = House::new();
    let bearer = connected(&house, &house.user(&house.account, |c| c.nats.template.bearer_token = true)).await;
    let signed = connected(&house, &house.user(&house.account, |_| {})).await;
    house.account_claims.nats.limits.disallow_bearer = true;
    assert_eq!(verdict(&house, &bearer).unwrap_err(), (Reason::BearerNotAllowed, ClosePolicy::AUTHORIZATION_VIOLATION));
    assert!(verdict(&house, &signed).is_ok());
}

#[tokio::test]
async fn a_revocation_tells_the_revoked_and_spares_the_others() {
    let mut house = House::new();
    let (revoked, other) = (house.user(&house.account, |_| {}), house.user(&house.account, |_| {}));
    let (principal, bystander) = (connected(&house, &revoked).await, connected(&house, &other).await);
    house.account_claims.nats.revocations.revoke(revoked.seed.public(), NOW - 101);
    assert!(verdict(&house, &principal).is_ok(), "issued after");
    house.account_claims.nats.revocations.revoke(revoked.seed.public(), NOW - 100);
    assert_eq!(verdict(&house, &principal).unwrap_err(), (Reason::Revoked, ClosePolicy::REVOKED));
    assert!(verdict(&house, &bystander).is_ok());
    house.account_claims.nats.revocations.revoke(Revoked::All, NOW);
    assert_eq!(verdict(&house, &bystander).unwrap_err(), (Reason::Revoked, ClosePolicy::REVOKED));
}

#[tokio::test]
async fn a_removed_signing_key_closes_its_users_silently() {
    let mut house = House::new();
    let by_signer = connected(&house, &house.user(&house.signer, |_| {})).await;
    let by_scoped = connected(&house, &house.user(&house.scoped, |_| {})).await;
    let by_identity = connected(&house, &house.user(&house.account, |_| {})).await;
    house.account_claims.nats.signing_keys.clear();
    for principal in [&by_signer, &by_scoped] {
        assert_eq!(verdict(&house, principal).unwrap_err(), (Reason::SigningKeyRemoved, ClosePolicy::SILENT));
    }
    assert_eq!(ClosePolicy::SILENT.wire_text, None);
    assert!(verdict(&house, &by_identity).is_ok());
}

#[tokio::test]
async fn any_change_of_a_scope_closes_its_users_silently() {
    let changes: &[fn(&mut Scope)] = &[
        |scope| scope.role = "other".to_owned(),
        |scope| scope.description = "other".to_owned(),
        |scope| scope.template.limits.subs = Limit(7),
        |scope| scope.template.permissions.publish.allow = vec!["x".to_owned()],
        |scope| scope.template.bearer_token = true,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut house = House::new();
        let principal = connected(&house, &house.user(&house.scoped, |_| {})).await;
        change(house.scope_mut());
        assert_eq!(verdict(&house, &principal).unwrap_err().1, ClosePolicy::SILENT, "change {number}");
    }
}

#[tokio::test]
async fn a_key_that_gains_or_loses_its_scope_closes_its_users_silently() {
    let mut house = House::new();
    let by_signer = connected(&house, &house.user(&house.signer, |_| {})).await;
    let by_scoped = connected(&house, &house.user(&house.scoped, |_| {})).await;
    let (signer, scoped) = (account_key(&house.signer), account_key(&house.scoped));
    house.account_claims.nats.signing_keys =
        vec![SigningKey::Scoped(Box::new(Scope::new(signer, "now scoped"))), SigningKey::Plain(scoped)];
    for principal in [&by_signer, &by_scoped] {
        assert_eq!(verdict(&house, principal).unwrap_err().1, ClosePolicy::SILENT);
    }
}

#[tokio::test]
async fn strictness_that_begins_closes_identity_signed_users() {
    let mut house = House::new();
    let by_identity = connected(&house, &house.user(&house.account, |_| {})).await;
    let by_signer = connected(&house, &house.user(&house.signer, |_| {})).await;
    house.operator_claims.nats.strict_signing_key_usage = true;
    assert_eq!(verdict(&house, &by_identity).unwrap_err(), (Reason::SigningKeyRemoved, ClosePolicy::SILENT));
    assert!(verdict(&house, &by_signer).is_ok());
}

#[tokio::test]
async fn another_operator_signing_key_changes_nothing_for_users() {
    let mut house = House::new();
    let principal = connected(&house, &house.user(&house.account, |_| {})).await;
    house.operator_signer = seed(Role::Operator);
    house.operator_claims.nats.signing_keys = vec![OperatorKey::try_from(house.operator_signer.public()).unwrap()];
    assert!(verdict(&house, &principal).is_ok());
}

#[tokio::test]
async fn an_account_that_ended_closes_everybody_with_its_own_text() {
    let mut house = House::new();
    house.account_claims.expires = NOW + 5;
    let principal = connected(&house, &house.user(&house.account, |_| {})).await;
    let record = house.record();
    assert!(still_valid(&principal, &record, NOW + 5).is_ok());
    let (reason, close) = still_valid(&principal, &record, NOW + 6).unwrap_err();
    assert_eq!((reason, close), (Reason::AccountExpired, ClosePolicy::ACCOUNT_EXPIRED));
    assert_eq!(close.wire_text, Some("Account Authentication Expired"));
    assert_eq!(ACCOUNT_DELETED.1, close);
}

#[tokio::test]
async fn a_principal_of_another_account_is_not_valid_here() {
    let (house, other) = (House::new(), House::new());
    let principal = connected(&house, &house.user(&house.account, |_| {})).await;
    assert!(verdict(&other, &principal).is_err());
    assert_eq!(principal.method, Method::Jwt);
}
