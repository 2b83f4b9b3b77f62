//! The answer of a service: what must hold before anything of it counts (`auth.md` 9.4).
//!
//! nats-server leaves out some of these checks; here all that a user JWT of the account would meet are met, after
//! the template of a scoped key had its say.

use std::sync::Arc;

use cordon_accounts::claims::{self, AuthorizationResponse, User, Verified};
use cordon_accounts::key::{AccountKey, UserKey};
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::reason::Reason;
use zeroize::Zeroizing;

use super::request::Request;
use super::{Caller, CalloutSettings, Delegation};
use crate::account_record::AccountRecord;
use crate::authenticator::OperatorMode;
use crate::configured::ConfiguredUsers;
use crate::method::Attempt;
use crate::method::jwt::{self, Possession};
use crate::principal::{Method, Principal};
use crate::refusal::Refusal;

/// Characters of a service's error text that a refusal repeats.
const ERROR_CHARACTERS_MAX: usize = 256;

/// How a token begins: everything else in place of one is sealed, or nothing.
const TOKEN_START: &[u8] = b"eyJ";

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::CalloutInvalid, detail)
}

/// Turns an answer into a principal.
pub(super) async fn accept(
    caller: &Caller,
    whom: &Delegation<'_>,
    attempt: &Attempt<'_>,
    request: &Request,
    answer: &[u8],
) -> Result<Principal, Refusal> {
    if answer.is_empty() {
        return Err(Refusal::new(Reason::CalloutRefused, "the service answered with nothing"));
    }
    let opened = open(caller, request, answer)?;
    let token = std::str::from_utf8(&opened).map_err(|_| invalid("the answer is no JWT"))?;
    let response: Verified<AuthorizationResponse> =
        claims::decode(token).map_err(|error| invalid(format!("the answer: {error}")))?;
    require_about(caller, request, attempt, &response)?;
    match whom {
        Delegation::Configured(_, settings) => require_issuer(settings, &response)?,
        Delegation::Operator { account, .. } => require_signer(account, &response)?,
    }
    if !response.nats.error.is_empty() {
        let text: String = response.nats.error.chars().take(ERROR_CHARACTERS_MAX).collect();
        return Err(Refusal::new(Reason::CalloutRefused, text));
    }
    let user = read_user(request, attempt, &response.nats.jwt)?;
    let mut principal = match whom {
        Delegation::Configured(users, settings) => in_configured_account(users, settings, attempt, &user)?,
        Delegation::Operator { mode, account, .. } => in_account(mode, account, attempt, &user).await?,
    };
    principal.method = Method::Callout;
    if !user.name.is_empty() {
        principal.user.clone_from(&user.name);
    }
    Ok(principal)
}

/// Opens a sealed answer. A plain one to a sealed question is still one, as with nats-server.
fn open(caller: &Caller, request: &Request, answer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let sealed_for = request.sealed_for.as_ref().filter(|_| !answer.starts_with(TOKEN_START));
    let Some(xkey) = sealed_for else { return Ok(Zeroizing::new(answer.to_vec())) };
    let opened = caller.curve.open(answer, xkey);
    opened.map(Zeroizing::new).map_err(|_| invalid("the answer cannot be opened with the service's curve key"))
}

/// The answer is to this very question, and nothing is wrong with it.
fn require_about(
    caller: &Caller,
    request: &Request,
    attempt: &Attempt<'_>,
    response: &Verified<AuthorizationResponse>,
) -> Result<(), Refusal> {
    response.validate(attempt.now).require_clean().map_err(|error| invalid(format!("the answer: {error}")))?;
    if response.subject != request.user.public() {
        return Err(invalid("the answer is about another key than `user_nkey` of the request"));
    }
    if response.audience != caller.key.to_string() {
        return Err(invalid("the answer is for another server: `aud` must be the id of the one that asked"));
    }
    Ok(())
}

/// Configured mode knows one key.
fn require_issuer(settings: &CalloutSettings, response: &Verified<AuthorizationResponse>) -> Result<(), Refusal> {
    if response.issuer != settings.issuer.public() {
        return Err(invalid("the answer is not signed by the configured `issuer`"));
    }
    if response.nats.issuer_account.is_some() {
        return Err(invalid("the answer names an `issuer_account`, of which configured mode has none"));
    }
    Ok(())
}

/// In operator mode a key of the account that was asked must have signed.
fn require_signer(account: &AccountRecord, response: &Verified<AuthorizationResponse>) -> Result<(), Refusal> {
    if response.nats.issuer_account.is_some_and(|named| named != account.key) {
        return Err(invalid("the answer names another account than the one that was asked"));
    }
    if account.signer_of(&response.issuer).is_none() {
        return Err(invalid(format!("the answer is signed by `{}`, no key of the account asked", response.issuer)));
    }
    Ok(())
}

/// The user JWT in the answer, by itself: signed, current, without any fault, about the key made for this attempt.
fn read_user(request: &Request, attempt: &Attempt<'_>, token: &str) -> Result<Verified<User>, Refusal> {
    let user: Verified<User> =
        claims::decode(token).map_err(|error| invalid(format!("the user JWT of the answer: {error}")))?;
    let clean = user.validate(attempt.now).require_clean();
    clean.map_err(|error| invalid(format!("the user JWT of the answer: {error}")))?;
    if user.subject != request.user.public() {
        return Err(invalid("the user JWT of the answer is about another key than `user_nkey` of the request"));
    }
    Ok(user)
}

/// Operator mode: the account that signed the user, its own or one that it may put users into.
async fn in_account(
    mode: &OperatorMode,
    asked: &Arc<AccountRecord>,
    attempt: &Attempt<'_>,
    user: &Verified<User>,
) -> Result<Principal, Refusal> {
    let key: AccountKey = jwt::account_of(user)?;
    if key != asked.key && !asked.claims.nats.authorization.allows(&key) {
        return Err(invalid(format!("`{key}` is not among the `allowed_accounts` of the account asked")));
    }
    jwt::require_pinned(mode, &key)?;
    let account = if key == asked.key {
        Arc::clone(asked)
    } else {
        let found = mode.accounts.account(&key, attempt.now).await;
        found.map_err(|error| Refusal::new(error.reason(), error.to_string()))?
    };
    let user_key = key_of(user)?;
    jwt::check_in_account(attempt, Possession::Vouched, user, user_key, &account)
}

/// Configured mode: the account that the user JWT names as its audience.
fn in_configured_account(
    users: &ConfiguredUsers,
    settings: &CalloutSettings,
    attempt: &Attempt<'_>,
    user: &Verified<User>,
) -> Result<Principal, Refusal> {
    if user.issuer != settings.issuer.public() {
        return Err(invalid("the user JWT of the answer is not signed by the configured `issuer`"));
    }
    if user.nats.issuer_account.is_some() {
        return Err(invalid("the user JWT of the answer has an `issuer_account`: name the account as `aud`"));
    }
    let name = AccountName::new(user.audience.as_str());
    let Some(account) = users.account(&name) else {
        let named = &user.audience;
        return Err(invalid(format!("`aud` of the user JWT must be a configured account, and `{named}` is none")));
    };
    if !settings.may_place_in(&name) {
        return Err(invalid(format!("`{name}` is not among the `allowed_accounts`")));
    }
    let template = &user.nats.template;
    let window_end = jwt::require_conditions(template, attempt)?;
    let permissions = if template.permissions.is_empty() {
        Arc::clone(&account.default_permissions)
    } else {
        let compiled = Permissions::compile(&template.permissions);
        Arc::new(compiled.map_err(|error| invalid(format!("the user JWT of the answer: {error}")))?)
    };
    let user_key = key_of(user)?;
    let mut principal = Principal::bare(name, user_key.to_string(), Method::Callout);
    principal.user_key = Some(user_key);
    principal.name = (!user.name.is_empty()).then(|| user.name.clone());
    principal.tags.clone_from(&user.nats.tags);
    principal.permissions = permissions;
    principal.own_limits = template.limits.connection();
    principal.limits = principal.own_limits.min(account.limits);
    principal.issued_at = user.issued_at;
    principal.jwt_id = (!user.id.is_empty()).then(|| user.id.clone());
    if user.expires > 0 {
        principal.ends_by(user.expires, Reason::Expired);
    }
    if let Some(end) = window_end {
        principal.ends_by(end, Reason::TimeNotAllowed);
    }
    Ok(principal)
}

fn key_of(user: &Verified<User>) -> Result<UserKey, Refusal> {
    UserKey::try_from(user.subject).map_err(|error| invalid(error.to_string()))
}
