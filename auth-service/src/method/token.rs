//! The one token that a configuration may set.

use std::sync::Arc;

use cordon_accounts::reason::Reason;

use super::Attempt;
use crate::configured::ConfiguredUser;
use crate::password::{PasswordChecker, Verdict};
use crate::principal::{Method, Principal};
use crate::refusal::Refusal;

/// Authenticates the token of CONNECT.
pub(crate) async fn authenticate(
    user: &Arc<ConfiguredUser>,
    attempt: &Attempt<'_>,
    passwords: &PasswordChecker,
) -> Result<Principal, Refusal> {
    let Some(given) = attempt.proof.connect.auth_token.as_ref() else {
        return Err(Refusal::new(Reason::MissingCredentials, "no token was presented"));
    };
    let Some(stored) = user.password() else {
        return Err(Refusal::new(Reason::WrongToken, "no token is configured"));
    };
    user.admits(attempt)?;
    match passwords.verify(stored, given).await {
        Verdict::Match => Ok(user.principal(Method::Token)),
        Verdict::Mismatch => Err(Refusal::new(Reason::WrongToken, "the token presented is another")),
        Verdict::Unusable => Err(Refusal::new(Reason::WrongToken, "the configured token is no hash that can be read")),
    }
}
