//! What a changed configuration means for a connection that was accepted under an earlier one.
//!
//! The credential is not checked again, for it is not kept: the connection stays while its user is still there, in the
//! same account and with the same stored credential. nats-server closes the users of a single name and password at
//! every reload, by accident; here they stay.

use std::sync::Arc;

use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::reason::Reason;

use super::{PrincipalUpdate, Standing};
use crate::configured::{ConfiguredUser, ConfiguredUsers, Credential};
use crate::principal::{Method, Principal};
use crate::refusal::ClosePolicy;

/// The user is gone, or in another account: no word, as nats-server does it.
const GONE: (Reason, ClosePolicy) = (Reason::CredentialsChanged, ClosePolicy::SILENT);
/// What was presented would be refused now.
const REFUSED: (Reason, ClosePolicy) = (Reason::CredentialsChanged, ClosePolicy::AUTHORIZATION_VIOLATION);

impl ConfiguredUsers {
    /// Whether `principal`, accepted under users that were configured before, may stay under these.
    ///
    /// # Errors
    ///
    /// The reason to log, and how the connection ends: silently if its user is gone or has moved to another account,
    /// with `Authorization Violation` if its credential, its way in or its lack of credentials no longer does.
    pub fn standing(&self, principal: &Principal) -> Standing {
        if principal.method == Method::Callout {
            return self.standing_by_callout(principal);
        }
        let Some(before) = &principal.configured else {
            let stays = principal.account.as_str() == AccountName::GLOBAL && self.admits_anonymous();
            return if stays { Ok(unchanged(principal)) } else { Err(REFUSED) };
        };
        let now = match principal.method {
            Method::NoAuthUser => self.no_auth_user().filter(|user| user.name == before.name).ok_or(REFUSED)?,
            Method::Token if !self.is_required() => return Ok(unrestricted(principal)),
            Method::Token => self.token_user().ok_or(REFUSED)?,
            _ => self.same_user(before).ok_or(GONE)?,
        };
        if now.account != before.account {
            return Err(GONE);
        }
        let shows_credential = principal.method != Method::NoAuthUser;
        let may_connect = now.allows(principal.connection_type) && (principal.proxied || !now.proxy_required);
        if shows_credential && now.credential != before.credential || !may_connect {
            return Err(REFUSED);
        }
        Ok(PrincipalUpdate {
            limits: now.limits,
            permissions: (principal.permissions != now.permissions).then(|| Arc::clone(&now.permissions)),
            configured: Some(Arc::clone(now)),
        })
    }

    /// What the service said of a connection stands as long as there is a service, and the account.
    fn standing_by_callout(&self, principal: &Principal) -> Standing {
        let account = self.account(&principal.account).filter(|_| self.callout().is_some()).ok_or(REFUSED)?;
        let defaults = &account.default_permissions;
        let inherited = principal.inherits_default_permissions && principal.permissions != *defaults;
        Ok(PrincipalUpdate { permissions: inherited.then(|| Arc::clone(defaults)), ..unchanged(principal) })
    }

    fn same_user(&self, before: &ConfiguredUser) -> Option<&Arc<ConfiguredUser>> {
        match &before.credential {
            Credential::Nkey(key) => self.nkey(key),
            Credential::Certificate | Credential::Password(_) => self.user(&before.name),
        }
    }
}

fn unchanged(principal: &Principal) -> PrincipalUpdate {
    PrincipalUpdate { limits: principal.own_limits, permissions: None, configured: None }
}

/// Nothing is asked any more, and so nothing is forbidden.
fn unrestricted(principal: &Principal) -> PrincipalUpdate {
    let everything = Permissions::everything_shared();
    let permissions = (principal.permissions != everything).then_some(everything);
    PrincipalUpdate { permissions, ..unchanged(principal) }
}

#[cfg(test)]
mod tests {
    use cordon_accounts::claims::{PermissionsClaim, SubjectsClaim};
    use cordon_accounts::key::{Role, Seed, UserKey};
    use secrecy::SecretString;

    use super::*;
    use crate::configured::ConfiguredUsersBuilder;
    use crate::proof::ConnectionType;

    fn user(name: &str, password: &str) -> ConfiguredUser {
        ConfiguredUser::new(name, Credential::Password(SecretString::from(password)), AccountName::new("A"))
    }

    fn build(builder: ConfiguredUsersBuilder) -> ConfiguredUsers {
        builder.build().unwrap()
    }

    fn of(users: impl IntoIterator<Item = ConfiguredUser>) -> ConfiguredUsers {
        build(users.into_iter().fold(ConfiguredUsers::builder().required(), ConfiguredUsersBuilder::user))
    }

    fn accepted(users: &ConfiguredUsers, name: &str) -> Principal {
        users.user(name).unwrap().principal(Method::Password)
    }

    fn outcome(standing: Standing) -> Result<(), ClosePolicy> {
        standing.map(drop).map_err(|(_, policy)| policy)
    }

    #[test]
    fn a_user_stays_until_its_account_credential_or_way_in_changes() {
        let alice = || user("alice", "one");
        let principal = accepted(&of([alice()]), "alice");
        let mut moved = alice();
        moved.account = AccountName::new("B");
        let mut by_websocket = alice();
        by_websocket.connection_types = vec!["WEBSOCKET".to_owned()];
        let mut proxied = alice();
        proxied.proxy_required = true;
        let nkey =
            Credential::Nkey(UserKey::try_from(Seed::generate(Role::User, &mut rand::rngs::OsRng).public()).unwrap());
        let refused = Err(ClosePolicy::AUTHORIZATION_VIOLATION);
        for (now, expected) in [
            (of([alice()]), Ok(())),
            (of([user("bob", "x"), alice()]), Ok(())),
            (of([user("alice", "two")]), refused),
            (of([moved]), Err(ClosePolicy::SILENT)),
            (of([user("bob", "one")]), Err(ClosePolicy::SILENT)),
            (of([]), Err(ClosePolicy::SILENT)),
            (of([by_websocket]), refused),
            (of([proxied]), refused),
            (of([ConfiguredUser::new("alice", Credential::Certificate, AccountName::new("A"))]), refused),
            (of([ConfiguredUser::new("", nkey, AccountName::new("A"))]), Err(ClosePolicy::SILENT)),
            (build(ConfiguredUsers::builder()), Err(ClosePolicy::SILENT)),
        ] {
            assert_eq!(outcome(now.standing(&principal)), expected, "{now:?}");
        }
    }

    #[test]
    fn who_may_come_by_websocket_stays_on_it() {
        let mut principal = accepted(&of([user("alice", "one")]), "alice");
        principal.connection_type = ConnectionType::Websocket;
        principal.proxied = true;
        let mut now = user("alice", "one");
        now.connection_types = vec!["WEBSOCKET".to_owned()];
        now.proxy_required = true;
        assert_eq!(outcome(of([now]).standing(&principal)), Ok(()));
    }

    #[test]
    fn changed_permissions_come_with_the_update_and_unchanged_ones_do_not() {
        let mut principal = accepted(&of([user("alice", "one")]), "alice");
        assert!(of([user("alice", "one")]).standing(&principal).unwrap().permissions.is_none());
        let mut narrow = user("alice", "one");
        let publish = SubjectsClaim { allow: vec!["a".to_owned()], deny: Vec::new() };
        let claim = PermissionsClaim { publish, ..PermissionsClaim::default() };
        narrow.permissions = Arc::new(Permissions::compile(&claim).unwrap());
        let users = of([narrow]);
        let update = users.standing(&principal).unwrap();
        assert!(update.permissions.as_ref().unwrap().may_publish(b"b").is_err());
        update.apply(&mut principal);
        assert!(users.standing(&principal).unwrap().permissions.is_none(), "the next change is told from this one");
    }

    #[test]
    fn tokens_and_stand_ins_follow_what_lets_them_in() {
        let token = |text: &str| build(ConfiguredUsers::builder().token(SecretString::from(text)));
        let guests = |name: &str| {
            let users = ConfiguredUsers::builder().user(user("guest", "g")).user(user("other", "o"));
            build(users.no_auth_user(name))
        };
        let open = || build(ConfiguredUsers::builder());
        let system_only = || {
            let admin = ConfiguredUser::new("s", Credential::Password("s".into()), AccountName::system());
            build(ConfiguredUsers::builder().user(admin).anonymous_stand_in())
        };
        let by_token = token("one").token_user().unwrap().principal(Method::Token);
        let guest = guests("guest").no_auth_user().unwrap().principal(Method::NoAuthUser);
        let anonymous = Principal::anonymous(AccountName::global());
        let refused = Err(ClosePolicy::AUTHORIZATION_VIOLATION);
        for (now, principal, expected) in [
            (token("one"), &by_token, Ok(())),
            (token("two"), &by_token, refused),
            (of([]), &by_token, refused),
            (open(), &by_token, Ok(())),
            (guests("guest"), &guest, Ok(())),
            (guests("other"), &guest, refused),
            (open(), &guest, refused),
            (open(), &anonymous, Ok(())),
            (system_only(), &anonymous, Ok(())),
            (of([]), &anonymous, refused),
            (guests("guest"), &anonymous, refused),
        ] {
            assert_eq!(outcome(now.standing(principal)), expected, "{principal:?} {now:?}");
        }
    }
}
