//! What a changed account JWT means for those already connected (`auth.md` 7), and a changed configuration
//! ([`configured`]), as pure functions.

mod configured;

use std::sync::Arc;

use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::reason::Reason;

use crate::account_record::{AccountRecord, Signer};
use crate::configured::ConfiguredUser;
use crate::principal::Principal;
use crate::refusal::ClosePolicy;

/// What changes for a connection that may stay.
#[derive(Clone, Debug)]
pub struct PrincipalUpdate {
    /// The limits in force from now on: the tighter of the user's own and the account's. A connection that
    /// holds more subscriptions already is closed with [`ClosePolicy::SUBSCRIPTIONS`].
    pub limits: ConnectionLimits,
    /// The permissions in force from now on, if they changed: existing subscriptions must be checked again.
    pub permissions: Option<Arc<Permissions>>,
    /// The user as it is configured now; `None` leaves the one before.
    pub configured: Option<Arc<ConfiguredUser>>,
}

/// Whether a connection may stay, and what changes for it; or the reason to log, and how it ends: with which text, or
/// silently.
pub type Standing = Result<PrincipalUpdate, (Reason, ClosePolicy)>;

impl PrincipalUpdate {
    /// Puts the update in force.
    pub fn apply(&self, principal: &mut Principal) {
        principal.limits = self.limits;
        if let Some(permissions) = &self.permissions {
            principal.permissions = Arc::clone(permissions);
        }
        if let Some(user) = &self.configured {
            principal.own_limits = user.limits;
            principal.configured = Some(Arc::clone(user));
        }
    }
}

/// Whether `principal` may stay connected under `account` at `now` (Unix seconds), and what changes for it.
///
/// The account's connection count is not asked here: the newest connections beyond it are closed with
/// [`ClosePolicy::ACCOUNT_CONNECTIONS`]. Internal clients are exempt; do not ask for them.
///
/// # Errors
///
/// The reason to log, and how the connection ends: with which text, or silently.
pub fn still_valid(principal: &Principal, account: &AccountRecord, now: i64) -> Standing {
    if principal.account != account.name {
        return Err((Reason::CredentialsChanged, ClosePolicy::SILENT));
    }
    if account.is_expired(now) || account.is_not_yet_valid(now) {
        return Err((Reason::AccountExpired, ClosePolicy::ACCOUNT_EXPIRED));
    }
    if principal.bearer && account.claims.nats.limits.disallow_bearer {
        return Err((Reason::BearerNotAllowed, ClosePolicy::AUTHORIZATION_VIOLATION));
    }
    if let Some(user) = &principal.user_key
        && principal.issuer.is_some()
        && account.revokes(&user.public(), principal.issued_at)
    {
        return Err((Reason::Revoked, ClosePolicy::REVOKED));
    }
    require_same_signer(principal, account)?;
    let inherited =
        principal.inherits_default_permissions && principal.permissions.claim() != account.default_permissions.claim();
    Ok(PrincipalUpdate {
        limits: principal.own_limits.min(account.limits),
        permissions: inherited.then(|| Arc::clone(&account.default_permissions)),
        configured: None,
    })
}

/// The key that signed the user must still sign for the account, under the very same scope.
fn require_same_signer(principal: &Principal, account: &AccountRecord) -> Result<(), (Reason, ClosePolicy)> {
    let Some(issuer) = &principal.issuer else {
        return Ok(());
    };
    let scope = match account.signer_of(issuer) {
        None => return Err((Reason::SigningKeyRemoved, ClosePolicy::SILENT)),
        Some(Signer::Identity | Signer::Plain) => None,
        Some(Signer::Scoped(_, digest)) => Some(digest),
    };
    if scope != principal.scope {
        return Err((Reason::SigningKeyRemoved, ClosePolicy::SILENT));
    }
    Ok(())
}

/// How every connection of an account ends that was deleted from the resolver.
pub const ACCOUNT_DELETED: (Reason, ClosePolicy) = (Reason::AccountUnknown, ClosePolicy::ACCOUNT_EXPIRED);

#[cfg(test)]
mod tests;
