//! Who may sign for whom, and what is taken back.

use super::*;

#[test]
fn signers_are_the_identity_unless_strict_and_the_signing_keys() {
    let mut claims = AccountClaims::new(account_key(2));
    let scope = Scope::new(account_key(6), "r");
    claims.nats.signing_keys = vec![
        SigningKey::Plain(account_key(5)),
        SigningKey::Scoped(Box::new(scope.clone())),
        SigningKey::Plain(account_key(6)),
    ];
    let signer = |byte, strict| claims.signer(&account_key(byte).public(), strict);
    assert_eq!(signer(2, false), Some(Signer::Identity));
    assert_eq!(signer(2, true), None);
    assert_eq!(signer(5, true), Some(Signer::Plain));
    assert_eq!(signer(6, false), Some(Signer::Scoped(&scope)));
    assert_eq!(signer(7, false), None);
    assert_eq!(claims.signer(&operator().public(), false), None);
    assert_eq!(claims.signers(false).count(), 4);
    assert!(claims.signers(true).all(|key| key != claims.subject));
}

#[test]
fn operators_sign_by_identity_unless_strict() {
    let mut claims = OperatorClaims::new(operator_key(1));
    claims.nats.signing_keys = vec![operator_key(11)];
    let keys: Vec<_> = claims.account_signers().collect();
    assert_eq!(keys, [operator_key(1), operator_key(11)]);
    claims.nats.strict_signing_key_usage = true;
    assert_eq!(claims.account_signers().collect::<Vec<_>>(), [operator_key(11)]);
}

#[test]
fn only_what_its_own_key_issued_is_self_signed() {
    let mut claims = AccountClaims::new(account_key(2));
    claims.issuer = operator_key(1).public();
    assert!(!claims.is_self_signed());
    claims.issuer = account_key(2).public();
    assert!(claims.is_self_signed());
    assert_eq!(claims.key(), Some(account_key(2)));
}

#[test]
fn a_scope_belongs_to_a_scoped_key_alone() {
    let scope = Scope::new(account_key(5), "r");
    assert_eq!(SigningKey::Scoped(Box::new(scope.clone())).scope(), Some(&scope));
    assert_eq!(SigningKey::Plain(account_key(5)).scope(), None);
}

#[test]
fn a_user_is_revoked_by_the_time_it_was_issued() {
    let mut claims = AccountClaims::new(account_key(2));
    claims.nats.revocations.revoke(user_key(3), 100);
    let user = |byte, issued_at| {
        let mut user = UserClaims::new(user_key(byte));
        user.issued_at = issued_at;
        user
    };
    let table = [(3, 99, true), (3, 100, true), (3, 101, false), (4, 100, false), (4, 0, true), (4, -1, true)];
    for (byte, issued_at, revoked) in table {
        assert_eq!(claims.revokes(&user(byte, issued_at)), revoked, "{byte} {issued_at}");
    }
    claims.nats.revocations.revoke(revocation::Revoked::All, 50);
    assert!(claims.revokes(&user(4, 50)));
    assert!(!claims.revokes(&user(4, 51)));
}
