//! User JWTs: the checks of operator mode, in the order of `auth.md` 3.3.
//!
//! At most two signatures are verified for one proof: that of the JWT and that of the nonce. The account
//! comes verified from the look-up.

use std::sync::Arc;

use cordon_accounts::claims::{self, ClaimsError, Presence, User, UserTemplate, Verified};
use cordon_accounts::explain;
use cordon_accounts::key::{AccountKey, UserKey};
use cordon_accounts::permissions::{Permissions, PermissionsError};
use cordon_accounts::reason::Reason;
use secrecy::{ExposeSecret as _, SecretString};

use super::Attempt;
use crate::account_record::{AccountRecord, Signer};
use crate::authenticator::OperatorMode;
use crate::principal::{Method, Principal, ScopeDigest};
use crate::proof::{ConnectionType, present};
use crate::refusal::{ClosePolicy, Refusal};
use crate::stand_in;

/// A user JWT, and what counts as possession of its key.
struct Presented<'a> {
    token: std::borrow::Cow<'a, str>,
    possession: Possession,
}

/// What counts as possession of the key of a user JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Possession {
    /// The TLS layer verified a certificate that the configuration maps to this very JWT.
    Certificate,
    /// A service will be asked who it is; the JWT only says which.
    Delegated,
    /// The key's signature over the nonce, unless the JWT is a bearer token.
    Nonce,
    /// A service answered with a JWT about a key made for this one question.
    Vouched,
}

/// What came of a user JWT.
pub(crate) enum Decided {
    /// The connection is this.
    Principal(Box<Principal>),
    /// The service of the account says who it is.
    Delegated { account: Arc<AccountRecord>, sentinel: Box<Verified<User>> },
}

/// What applies to the user after a scope had its say.
struct Effective {
    template: UserTemplate,
    scope: Option<ScopeDigest>,
}

/// Turns a user JWT into a principal, or finds out whose decision that is.
pub(crate) async fn authenticate(mode: &OperatorMode, attempt: &Attempt<'_>) -> Result<Decided, Refusal> {
    let presented = find_token(mode, attempt)?;
    let user: Verified<User> = claims::decode(&presented.token).map_err(|error| undecodable(&error))?;
    let user_text = user.subject.to_string();
    check(mode, attempt, presented.possession, user).await.map_err(|refusal| refusal.of_user(&user_text))
}

async fn check(
    mode: &OperatorMode,
    attempt: &Attempt<'_>,
    possession: Possession,
    user: Verified<User>,
) -> Result<Decided, Refusal> {
    let user_key = UserKey::try_from(user.subject)
        .map_err(|error| Refusal::new(Reason::MalformedCredentials, error.to_string()))?;
    require_proxy(user.nats.template.proxy_required, attempt)?;
    require_valid(&user, attempt.now)?;
    let account_key = account_of(&user)?;
    require_pinned(mode, &account_key)?;
    let account = mode
        .accounts
        .account(&account_key, attempt.now)
        .await
        .map_err(|error| Refusal::new(error.reason(), error.to_string()))?;
    // The service's own users prove themselves: only they can answer. It is the key of the JWT that says so, whatever
    // else CONNECT names.
    let service = &account.claims.nats.authorization.auth_users;
    let delegated = !service.is_empty() && !service.contains(&user_key);
    let possession = if delegated { Possession::Delegated } else { possession };
    let principal = check_in_account(attempt, possession, &user, user_key, &account)
        .map_err(|refusal| refusal.in_account(&account.name))?;
    Ok(if delegated {
        Decided::Delegated { account, sentinel: Box::new(user) }
    } else {
        Decided::Principal(Box::new(principal))
    })
}

/// Steps 9 to 18: everything that depends on the account. Nothing here waits or looks anything up.
pub(crate) fn check_in_account(
    attempt: &Attempt<'_>,
    possession: Possession,
    user: &Verified<User>,
    user_key: UserKey,
    account: &AccountRecord,
) -> Result<Principal, Refusal> {
    let effective = effective_template(user, account)?;
    let template = &effective.template;
    // nats-server asks only the user's own flag; a scope that wants a proxy must get one too.
    require_proxy(template.proxy_required, attempt)?;
    require_current(account, attempt.now)?;
    // The sentinel of a callout opens nothing by itself: whether it is a bearer token does not matter.
    let may_bear = possession == Possession::Delegated || !account.claims.nats.limits.disallow_bearer;
    if template.bearer_token && !may_bear {
        return Err(Refusal::new(Reason::BearerNotAllowed, "the account refuses bearer tokens"));
    }
    require_connection_type(&template.allowed_connection_types, attempt.proof.connection_type)?;
    if !template.bearer_token && possession == Possession::Nonce {
        attempt.require_possession(&user_key)?;
    }
    if account.claims.revokes(user) {
        let detail = format!("JWTs of this user issued at {} or before are revoked: issue a new one", user.issued_at);
        return Err(Refusal::new(Reason::Revoked, detail));
    }
    require_network(template, attempt)?;
    let window_end = require_time(template, attempt)?;
    let mut principal = bind(user, user_key, account, &effective)?;
    principal.method = match (possession, template.bearer_token) {
        (Possession::Certificate, _) => Method::Certificate,
        (_, true) => Method::Bearer,
        (_, false) => Method::Jwt,
    };
    if user.expires > 0 {
        principal.ends_by(user.expires, Reason::Expired);
    }
    if let Some(end) = window_end {
        principal.ends_by(end, Reason::TimeNotAllowed);
    }
    Ok(principal)
}

/// Steps 4, 12, 15 and 16, for a user of no account that has claims: by which way, from where and when it may connect.
/// Yields the moment at which the time range that holds now ends, if ranges are set.
pub(crate) fn require_conditions(template: &UserTemplate, attempt: &Attempt<'_>) -> Result<Option<i64>, Refusal> {
    require_proxy(template.proxy_required, attempt)?;
    require_connection_type(&template.allowed_connection_types, attempt.proof.connection_type)?;
    require_network(template, attempt)?;
    require_time(template, attempt)
}

/// Step 2: the JWT of CONNECT, for MQTT the password, the JWT a certificate is mapped to, or the sentinel.
fn find_token<'a>(mode: &'a OperatorMode, attempt: &Attempt<'a>) -> Result<Presented<'a>, Refusal> {
    let connect = attempt.proof.connect;
    let presented = |token: &'a str, possession| Presented { token: token.into(), possession };
    if let Some(token) = present(connect.jwt.as_deref()) {
        return Ok(presented(token, Possession::Nonce));
    }
    let over_mqtt = matches!(attempt.proof.connection_type, ConnectionType::Mqtt | ConnectionType::MqttWs);
    if over_mqtt && let Some(token) = present(connect.pass.as_ref().map(SecretString::expose_secret)) {
        return Ok(presented(token, Possession::Nonce));
    }
    if attempt.proof.map_certificates
        && let Some(identity) = attempt.certificate
        && let Some(token) = mode.certificate_users.find(identity)
    {
        return Ok(presented(token, Possession::Certificate));
    }
    match &mode.default_sentinel {
        Some(sentinel) => Ok(presented(sentinel, Possession::Nonce)),
        None => Err(Refusal::new(Reason::MissingCredentials, "no user JWT was presented: connect with a creds file")),
    }
}

fn undecodable(error: &ClaimsError) -> Refusal {
    let reason = match error {
        ClaimsError::Signature(_) => Reason::ForgedSignature,
        _ => Reason::MalformedCredentials,
    };
    Refusal::new(reason, error.to_string())
}

/// Steps 4 and 9.
fn require_proxy(required: bool, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    if required && !attempt.proxied {
        return Err(Refusal::new(Reason::ProxyRequired, "the user may only connect through a trusted proxy")
            .closing(ClosePolicy::PROXY_REQUIRED));
    }
    Ok(())
}

/// Step 5.
fn require_valid(user: &Verified<User>, now: i64) -> Result<(), Refusal> {
    let validation = user.validate(now);
    if let Err(invalid) = validation.require_no_blocking() {
        return Err(Refusal::new(Reason::ClaimsInvalid, invalid.to_string()));
    }
    if user.is_expired(now) {
        return Err(Refusal::new(Reason::Expired, format!("the user JWT expired at {}", user.expires)));
    }
    if let Err(invalid) = validation.require_valid() {
        return Err(Refusal::new(Reason::NotYetValid, invalid.to_string()));
    }
    Ok(())
}

/// Step 6.
pub(crate) fn account_of(user: &Verified<User>) -> Result<AccountKey, Refusal> {
    match user.nats.issuer_account {
        Some(account) => Ok(account),
        None => AccountKey::try_from(user.issuer)
            .map_err(|error| Refusal::new(Reason::MalformedCredentials, error.to_string())),
    }
}

/// Step 7. The system account is always among the pinned.
pub(crate) fn require_pinned(mode: &OperatorMode, account: &AccountKey) -> Result<(), Refusal> {
    let Some(pinned) = &mode.pinned_accounts else {
        return Ok(());
    };
    if pinned.contains(account) || mode.trust.system_account() == Some(*account) {
        return Ok(());
    }
    Err(Refusal::new(Reason::AccountUnknown, format!("`{account}` is not among the pinned accounts of this broker")))
}

/// Step 9, by the function that explanations use.
fn effective_template(user: &Verified<User>, account: &AccountRecord) -> Result<Effective, Refusal> {
    let template = explain::effective_template(user, &account.claims, account.strict)
        .map_err(|(reason, detail)| Refusal::new(reason, detail))?;
    let scope = match account.signer_of(&user.issuer) {
        Some(Signer::Scoped(_, digest)) => Some(digest),
        Some(Signer::Identity | Signer::Plain) | None => None,
    };
    Ok(Effective { template, scope })
}

/// Step 10.
fn require_current(account: &AccountRecord, now: i64) -> Result<(), Refusal> {
    if account.is_expired(now) {
        let detail = format!("the account JWT expired at {}: push a newer one", account.claims.expires);
        return Err(Refusal::new(Reason::AccountExpired, detail));
    }
    if account.is_not_yet_valid(now) {
        let detail = format!("the account JWT is not valid before {}", account.claims.not_before);
        return Err(Refusal::new(Reason::NotYetValid, detail));
    }
    Ok(())
}

/// Step 12.
fn require_connection_type(allowed: &[String], kind: ConnectionType) -> Result<(), Refusal> {
    if kind.is_allowed_by(allowed) {
        return Ok(());
    }
    Err(Refusal::new(Reason::ConnectionTypeNotAllowed, format!("the user may not connect as {kind}")))
}

/// Step 15.
fn require_network(template: &UserTemplate, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    if template.src.is_empty() {
        return Ok(());
    }
    let Some(peer) = attempt.proof.peer_ip else {
        return Err(Refusal::new(
            Reason::AddressNotAllowed,
            "the peer's address is not known, and the user's networks are limited",
        ));
    };
    let networks = template.networks().map_err(|error| Refusal::new(Reason::AddressNotAllowed, error.to_string()))?;
    if networks.iter().any(|network| network.contains(peer)) {
        return Ok(());
    }
    Err(Refusal::new(Reason::AddressNotAllowed, format!("{peer} is in none of the user's networks")))
}

/// Step 16: the moment at which the time range that holds now ends, if ranges are set.
fn require_time(template: &UserTemplate, attempt: &Attempt<'_>) -> Result<Option<i64>, Refusal> {
    let refused = |detail: String| Refusal::new(Reason::TimeNotAllowed, detail);
    let hours = template.hours().map_err(|error| refused(error.to_string()))?;
    match hours.presence(attempt.now, attempt.zone.offset_at(attempt.now)) {
        Presence::Always => Ok(None),
        Presence::Until(end) => Ok(Some(end)),
        Presence::Never => Err(refused("now is in none of the user's time ranges".to_owned())),
    }
}

/// Step 17, as far as it is not the broker's: permissions and limits.
fn bind(
    user: &Verified<User>,
    user_key: UserKey,
    account: &AccountRecord,
    effective: &Effective,
) -> Result<Principal, Refusal> {
    let template = &effective.template;
    let invalid = |error: PermissionsError| Refusal::new(Reason::ClaimsInvalid, error.to_string());
    let inherits = template.permissions.is_empty();
    let permissions = if inherits {
        Arc::clone(&account.default_permissions)
    } else if account.stands_in {
        let narrowed = stand_in::narrowed(account.key, &template.permissions).map_err(invalid)?;
        Arc::new(Permissions::compile(&narrowed).map_err(invalid)?)
    } else {
        Arc::new(Permissions::compile(&template.permissions).map_err(invalid)?)
    };
    let own_limits = template.limits.connection();
    let mut principal = Principal::bare(account.name.clone(), user_key.to_string(), Method::Jwt);
    principal.user_key = Some(user_key);
    principal.name = (!user.name.is_empty()).then(|| user.name.clone());
    principal.tags.clone_from(&user.nats.tags);
    principal.permissions = permissions;
    principal.inherits_default_permissions = inherits;
    principal.own_limits = own_limits;
    principal.limits = own_limits.min(account.limits);
    principal.issuer = Some(user.issuer);
    principal.scope = effective.scope;
    principal.issued_at = user.issued_at;
    principal.jwt_id = (!user.id.is_empty()).then(|| user.id.clone());
    principal.bearer = template.bearer_token;
    principal.jwt = (!template.bearer_token).then(|| user.shared_token());
    Ok(principal)
}
