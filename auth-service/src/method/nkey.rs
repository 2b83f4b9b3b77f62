//! Configured nkey users: a public key that the configuration knows, and its signature over the nonce.

use cordon_accounts::key::UserKey;
use cordon_accounts::reason::Reason;

use super::Attempt;
use crate::configured::ConfiguredUsers;
use crate::principal::{Method, Principal};
use crate::refusal::Refusal;

/// Authenticates the key text of CONNECT.
pub(crate) fn authenticate(users: &ConfiguredUsers, attempt: &Attempt<'_>, nkey: &str) -> Result<Principal, Refusal> {
    let key = UserKey::parse(nkey)
        .map_err(|error| Refusal::new(Reason::MalformedCredentials, format!("`nkey` is no user key: {error}")))?;
    let refused = |reason, detail: &str| Refusal::new(reason, detail).of_user(nkey);
    let user = users.nkey(&key).ok_or_else(|| refused(Reason::UnknownUser, "no user with this nkey is configured"))?;
    user.admits(attempt)?;
    attempt.require_possession(&key).map_err(|refusal| refusal.of_user(nkey).in_account(&user.account))?;
    let mut principal = user.principal(Method::Nkey);
    principal.user_key = Some(key);
    Ok(principal)
}
