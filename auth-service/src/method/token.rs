//! The one token that a configuration may set.

use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use secrecy::SecretString;

use super::Attempt;
use crate::password::{PasswordChecker, Verdict};
use crate::principal::{Method, Principal};
use crate::refusal::Refusal;

/// What monitoring shows for a connection that came in by token.
const REDACTED: &str = "[REDACTED]";

/// Authenticates the token of CONNECT.
pub(crate) async fn authenticate(
    stored: &SecretString,
    attempt: &Attempt<'_>,
    passwords: &PasswordChecker,
) -> Result<Principal, Refusal> {
    let Some(given) = attempt.proof.connect.auth_token.as_ref() else {
        return Err(Refusal::new(Reason::MissingCredentials, "no token was presented"));
    };
    match passwords.verify(stored, given).await {
        Verdict::Match => Ok(Principal::bare(AccountName::global(), REDACTED.to_owned(), Method::Token)),
        Verdict::Mismatch => Err(Refusal::new(Reason::WrongToken, "the token presented is another")),
        Verdict::Unusable => Err(Refusal::new(Reason::WrongToken, "the configured token is no hash that can be read")),
    }
}
