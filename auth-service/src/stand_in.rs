//! What stands in for a system account whose JWT is nowhere yet, so that it can be pushed (`auth.md` 8.5).
//!
//! `nsc push` signs a user for itself with the identity key of the system account, which the configuration or the
//! operator's JWT names; that much can be verified without the account's JWT. Nothing is known of revocations, so such
//! users may do no more than push: what they push is believed by the operator's signature alone.

use std::sync::Arc;

use cordon_accounts::claims::{self, Account, AccountClaims, PermissionsClaim, SubjectsClaim};
use cordon_accounts::key::{AccountKey, Role, Seed};
use cordon_accounts::limits::Limit;
use cordon_accounts::permissions::{Permissions, PermissionsError};

use crate::account_record::AccountRecord;

/// Where a user of the stand-in may publish, unless its own claims forbid it: `{}` is the system account.
const PUSH: [&str; 5] = [
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.CLAIMS.DELETE",
    "$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE",
    "$SYS.ACCOUNT.{}.CLAIMS.UPDATE",
];
/// Where it may listen for answers.
const ANSWERS: &str = "_INBOX.>";

/// A record for the system account `key`: its identity key signs users, who may push. `None` if no claims can be made
/// that hold, which would be a defect.
pub(crate) fn record(key: AccountKey) -> Option<Arc<AccountRecord>> {
    let mut claims = AccountClaims::new(key);
    "SYS".clone_into(&mut claims.name);
    claims.nats.limits.subs = Limit::UNLIMITED;
    claims.nats.limits.payload = Limit::UNLIMITED;
    claims.nats.limits.conn = Limit::UNLIMITED;
    claims.nats.limits.disallow_bearer = true;
    claims.nats.default_permissions = narrowed(key, &PermissionsClaim::default()).ok()?;
    // Nobody trusts this key, nor ever sees it: it only gives the claims their form. Issued before everything, so that
    // any JWT of the account takes their place.
    let nobody = Seed::generate(Role::Operator, &mut rand::rngs::OsRng);
    let token = claims.encode(&nobody, 1).ok()?;
    let claims = claims::decode::<Account>(&token).ok()?;
    let mut record = AccountRecord::compile(claims, key, false, None).ok()?;
    record.stands_in = true;
    Some(Arc::new(record))
}

/// What a user of the stand-in may do of what its own claims let it do.
///
/// # Errors
///
/// If the claims do not hold.
pub(crate) fn narrowed(key: AccountKey, own: &PermissionsClaim) -> Result<PermissionsClaim, PermissionsError> {
    let compiled = Permissions::compile(own)?;
    let system = key.to_string();
    let push = PUSH.iter().map(|subject| subject.replace("{}", &system));
    let publish = push.filter(|subject| compiled.may_publish(subject.as_bytes()).is_ok()).collect();
    let mut subscribe = Vec::new();
    if compiled.may_subscribe(ANSWERS.as_bytes(), None).is_ok() {
        subscribe.push(ANSWERS.to_owned());
    }
    Ok(PermissionsClaim {
        publish: only(publish, &own.publish.deny),
        subscribe: only(subscribe, &own.subscribe.deny),
        response: None,
    })
}

/// An empty list of what is allowed would allow everything.
fn only(allow: Vec<String>, deny: &[String]) -> SubjectsClaim {
    let deny = if allow.is_empty() { vec![">".to_owned()] } else { deny.to_vec() };
    SubjectsClaim { allow, deny }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{account_key, seed};

    fn claim(publish: (&[&str], &[&str]), subscribe: (&[&str], &[&str])) -> PermissionsClaim {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let of = |(allow, deny): (&[&str], &[&str])| SubjectsClaim { allow: texts(allow), deny: texts(deny) };
        PermissionsClaim { publish: of(publish), subscribe: of(subscribe), response: None }
    }

    #[test]
    fn users_of_the_stand_in_push_and_no_more_and_only_if_their_claims_let_them() {
        let key = account_key(&seed(Role::Account));
        let cases = [
            (PermissionsClaim::default(), true, true),
            (claim((&[">"], &[]), (&[">"], &[])), true, true),
            (claim((&["$SYS.REQ.CLAIMS.UPDATE"], &[]), (&["_INBOX.>"], &[])), true, true),
            (claim((&["$SYS.REQ.CLAIMS.*"], &["$SYS.REQ.CLAIMS.UPDATE"]), (&["_INBOX.>"], &[])), false, true),
            (claim((&["other"], &[]), (&["other"], &[])), false, false),
            (claim((&[], &[">"]), (&[], &[">"])), false, false),
            (claim((&[], &[]), (&["_INBOX.mine"], &[])), true, false),
        ];
        for (own, may_push, may_hear) in cases {
            let narrow = Permissions::compile(&narrowed(key, &own).unwrap()).unwrap();
            assert_eq!(narrow.may_publish(b"$SYS.REQ.CLAIMS.UPDATE").is_ok(), may_push, "{own:?}");
            assert_eq!(narrow.may_subscribe(b"_INBOX.>", None).is_ok(), may_hear, "{own:?}");
            for subject in ["$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.X.KICK", "$SYS.REQ.ACCOUNT.X.CLAIMS.UPDATE", "a"] {
                assert!(narrow.may_publish(subject.as_bytes()).is_err(), "{own:?} {subject}");
            }
            for subject in [">", "$SYS.>", "$SYS.ACCOUNT.*.CONNECT", "_R_.>", "a"] {
                assert!(narrow.may_subscribe(subject.as_bytes(), None).is_err(), "{own:?} {subject}");
            }
        }
    }

    #[test]
    fn it_believes_the_identity_key_and_no_other_and_is_older_than_any_jwt() {
        let (identity, other) = (seed(Role::Account), seed(Role::Account));
        let record = record(account_key(&identity)).unwrap();
        assert!(record.stands_in && record.signer_of(&identity.public()).is_some());
        assert!(record.signer_of(&other.public()).is_none());
        assert!(record.claims.issued_at <= 1);
    }
}
