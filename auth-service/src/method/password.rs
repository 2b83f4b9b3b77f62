//! Configured users with a name and a password.

use cordon_accounts::reason::Reason;
use secrecy::SecretString;

use super::Attempt;
use crate::configured::{ConfiguredUser, ConfiguredUsers};
use crate::password::{PasswordChecker, Verdict};
use crate::principal::{Method, Principal};
use crate::refusal::Refusal;

/// Authenticates the name and password of CONNECT.
pub(crate) async fn authenticate(
    users: &ConfiguredUsers,
    attempt: &Attempt<'_>,
    name: &str,
    passwords: &PasswordChecker,
) -> Result<Principal, Refusal> {
    let given = attempt.proof.connect.pass.as_ref();
    let Some(user) = users.user(name) else {
        // As much work as a wrong password of a known user, so that time does not tell them apart.
        if let (Some(stand_in), Some(given)) = (users.any_hashed_password(), given) {
            let _: Verdict = passwords.verify(stand_in, given).await;
        }
        return Err(Refusal::new(Reason::UnknownUser, "no user of this name is configured").of_user(name));
    };
    user.admits(attempt)?;
    require_password(user, given, passwords).await?;
    Ok(user.principal(Method::Password))
}

/// Checks the password of a user found by name. A user without one is known by certificate only, and
/// never gets in by name (`auth.md` 4.2, T22).
pub(crate) async fn require_password(
    user: &ConfiguredUser,
    given: Option<&SecretString>,
    passwords: &PasswordChecker,
) -> Result<(), Refusal> {
    let wrong =
        |detail: &str| Refusal::new(Reason::WrongPassword, detail).of_user(&user.name).in_account(&user.account);
    let Some(stored) = user.password() else {
        return Err(wrong("the user has no password and is known by certificate only"));
    };
    let Some(given) = given else {
        return Err(wrong("no password was presented"));
    };
    match passwords.verify(stored, given).await {
        Verdict::Match => Ok(()),
        Verdict::Mismatch => Err(wrong("the password presented is another")),
        Verdict::Unusable => Err(wrong("the configured password is no hash that can be read")),
    }
}
