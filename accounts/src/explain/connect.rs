//! Explanations of connecting: every check that depends on claims alone, in the order of the connect flow.

use std::net::IpAddr;

use time::UtcOffset;

use super::{Explanation, Trace, Verdict};
use crate::claims::{AccountClaims, Hours, InvalidClaims, Network, Presence, Signer, UserClaims, UserTemplate};
use crate::permissions::{Permissions, template};
use crate::reason::Reason;

/// What a connection attempt is made with, besides the claims.
#[derive(Copy, Clone, Debug)]
pub struct Circumstances<'a> {
    /// Unix seconds.
    pub now: i64,
    /// The broker's own offset, for users whose hours name no zone.
    pub here: UtcOffset,
    /// Where the connection comes from; `None` skips the question.
    pub peer: Option<IpAddr>,
    /// `STANDARD`, `WEBSOCKET`, ..; `None` skips the question.
    pub connection_type: Option<&'a str>,
    /// A signing key of a strict operator issued the account.
    pub strict: bool,
}

/// Explains whether a user of an account may connect, the signature of the nonce and the broker's trust in the
/// account aside.
pub fn explain_connect(user: &UserClaims, account: &AccountClaims, circumstances: &Circumstances<'_>) -> Explanation {
    let mut trace = Trace::default();
    match connect(user, account, circumstances, &mut trace) {
        Ok(()) => trace.allow(format!("every check of account `{}` passed", account.subject)),
        Err((reason, why)) => trace.conclude(false, Some(reason), why),
    }
}

/// The permissions, limits and conditions that a user has in an account: its own, or those of the scope of the key
/// that signed it.
///
/// # Errors
/// The reason, and the same for people.
pub fn effective_template(
    user: &UserClaims,
    account: &AccountClaims,
    strict: bool,
) -> Result<UserTemplate, (Reason, String)> {
    let issuer = user.issuer;
    match account.signer(&issuer, strict) {
        None => Err((Reason::SignerUnknown, format!("`{issuer}` is no key that signs users of this account"))),
        Some(Signer::Identity | Signer::Plain) => Ok(user.nats.template.clone()),
        Some(Signer::Scoped(_)) if !user.nats.template.is_empty() => {
            let why = format!("scope of `{issuer}`: its users must carry no permissions, limits or conditions");
            Err((Reason::ScopedUserHasPermissions, why))
        }
        Some(Signer::Scoped(scope)) => template::expand(&scope.template, user, account)
            .map_err(|error| (Reason::TemplateInvalid, format!("scope `{}` of `{issuer}`: {error}", scope.role))),
    }
}

/// A refusal on the way.
type Refused = (Reason, String);

fn connect(
    user: &UserClaims,
    account: &AccountClaims,
    at: &Circumstances<'_>,
    trace: &mut Trace,
) -> Result<(), Refused> {
    user_holds(user, account, at, trace)?;
    let template = match effective_template(user, account, at.strict) {
        Ok(template) => {
            trace.pass("signer", signer_note(user, account, at.strict));
            template
        }
        Err((reason, why)) => return check(trace, "signer", reason, Err(why)),
    };
    let reason = if account.is_expired(at.now) { Reason::AccountExpired } else { Reason::ClaimsInvalid };
    let valid = account.validate(at.now).require_valid().map_err(text);
    check(trace, "account claims", reason, valid.map(|()| "valid now".to_owned()))?;
    check(trace, "possession", Reason::BearerNotAllowed, possession(&template, account))?;
    if let Some(kind) = at.connection_type {
        check(trace, "connection type", Reason::ConnectionTypeNotAllowed, connection_type(&template, kind))?;
    }
    let revoked = if account.revokes(user) {
        Err(format!("the account revoked users of this key issued at {} or before", user.issued_at))
    } else {
        Ok("not revoked".to_owned())
    };
    check(trace, "revocations", Reason::Revoked, revoked)?;
    if let Some(peer) = at.peer {
        check(trace, "address", Reason::AddressNotAllowed, address(&template, peer))?;
    }
    check(trace, "time of day", Reason::TimeNotAllowed, hours(&template, at))?;
    let permissions = Permissions::compile(&template.permissions);
    let compiled = permissions.map(|_| "readable".to_owned()).map_err(|error| error.to_string());
    check(trace, "permissions", Reason::ClaimsInvalid, compiled)
}

/// The checks of the user's claims by themselves, and that they are of this account.
fn user_holds(
    user: &UserClaims,
    account: &AccountClaims,
    at: &Circumstances<'_>,
    trace: &mut Trace,
) -> Result<(), Refused> {
    let content = user.validate_content().require_valid().map_err(text);
    check(trace, "user claims", Reason::ClaimsInvalid, content.map(|()| "well formed".to_owned()))?;
    let reason = if user.is_expired(at.now) { Reason::Expired } else { Reason::NotYetValid };
    let valid = user.validate(at.now).require_valid().map_err(text);
    check(trace, "user times", reason, valid.map(|()| "within the claims' time".to_owned()))?;
    let names = user.nats.issuer_account.map_or(user.issuer, |key| key.public());
    let why = format!("the user is of account `{names}`");
    check(trace, "account", Reason::AccountUnknown, if names == account.subject { Ok(why) } else { Err(why) })
}

fn check(trace: &mut Trace, what: &str, reason: Reason, outcome: Result<String, String>) -> Result<(), Refused> {
    match outcome {
        Ok(why) => {
            trace.pass(what, why);
            Ok(())
        }
        Err(why) => {
            trace.step(what, Verdict::Refuse, why.clone());
            Err((reason, why))
        }
    }
}

fn text(invalid: InvalidClaims) -> String {
    invalid.to_string()
}

fn possession(template: &UserTemplate, account: &AccountClaims) -> Result<String, String> {
    match (template.bearer_token, account.nats.limits.disallow_bearer) {
        (true, true) => Err("the account refuses bearer users".to_owned()),
        (true, false) => Ok("the JWT alone suffices".to_owned()),
        (false, _) => Ok("the nonce must be signed with the user's key".to_owned()),
    }
}

fn connection_type(template: &UserTemplate, kind: &str) -> Result<String, String> {
    let allowed = &template.allowed_connection_types;
    let shown = if allowed.is_empty() { "any".to_owned() } else { allowed.join(", ") };
    let why = format!("`{kind}`; allowed: {shown}");
    let fits = allowed.is_empty() || allowed.iter().any(|name| name.eq_ignore_ascii_case(kind));
    if fits { Ok(why) } else { Err(why) }
}

fn signer_note(user: &UserClaims, account: &AccountClaims, strict: bool) -> String {
    match account.signer(&user.issuer, strict) {
        Some(Signer::Scoped(scope)) => {
            format!("scope `{}` of signing key `{}` gives the permissions", scope.role, user.issuer)
        }
        Some(Signer::Plain) => format!("signing key `{}`", user.issuer),
        Some(Signer::Identity) => "the account's own key".to_owned(),
        None => String::new(),
    }
}

fn address(template: &UserTemplate, peer: IpAddr) -> Result<String, String> {
    if template.src.is_empty() {
        return Ok("any address".to_owned());
    }
    let inside = |text: &&String| Network::parse(text).is_ok_and(|network| network.contains(peer));
    match template.src.iter().find(inside) {
        Some(network) => Ok(format!("`{peer}` is in `{network}`")),
        None => Err(format!("`{peer}` is in none of the networks {}", template.src.join(", "))),
    }
}

fn hours(template: &UserTemplate, at: &Circumstances<'_>) -> Result<String, String> {
    let hours = Hours::new(&template.times, &template.times_location).map_err(|error| error.to_string())?;
    match hours.presence(at.now, at.here) {
        Presence::Always => Ok("any time".to_owned()),
        Presence::Never => Err("now is outside of the user's hours".to_owned()),
        Presence::Until(end) => Ok(format!("until {end} (unix seconds)")),
    }
}
