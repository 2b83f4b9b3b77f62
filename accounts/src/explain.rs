//! Explanations: which rule, template, export or import decides.
//!
//! Each question is put to the very functions that enforce, and their answers are told step by step; nothing is
//! decided here a second time. What only a broker knows (its throttle, its limits in use) is not part of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use time::UtcOffset;

use crate::claims::{AccountClaims, Hours, Network, Presence, Signer, UserClaims, UserTemplate};
use crate::name::AccountName;
use crate::permissions::{Permissions, reserved, template};
use crate::reason::Reason;
use crate::sharing::{self, Access, AccountSharing};
use crate::subject::{MapOutcome, Mappings, matching};

/// Most outcomes of a mapping that are told one by one.
const OUTCOMES_MAX: usize = 16;

/// An answer, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The verdict.
    pub allowed: bool,
    /// The stable reason of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What decided, in one line.
    pub decided_by: String,
    /// What was asked on the way, in order.
    pub steps: Vec<Step>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was checked.
    pub what: String,
    /// How it went.
    pub verdict: Verdict,
    /// Why, naming the rule.
    pub why: String,
}

/// How a check went.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does not decide, but is good to know.
    Note,
    /// It lets pass.
    Pass,
    /// It refuses.
    Refuse,
}

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

/// Explains whether a connection may publish to `subject`, with answers to `reply`.
pub fn explain_publish(
    permissions: &Permissions,
    mappings: &Mappings,
    subject: &[u8],
    reply: Option<&[u8]>,
    in_system_account: bool,
) -> Explanation {
    let mut trace = Trace::default();
    let shown = show(subject);
    if let Err(reason) = reserved::check_publish(subject, in_system_account) {
        return trace.refuse(
            reason,
            "reserved subjects",
            format!("`{shown}` belongs to the broker"),
        );
    }
    trace.pass(
        "reserved subjects",
        format!("`{shown}` is not the broker's own"),
    );
    if let Some(reply) = reply {
        if let Err(reason) = reserved::check_reply(reply) {
            return trace.refuse(
                reason,
                "reply subject",
                format!("`{}` is in the broker's own reply space", show(reply)),
            );
        }
        trace.pass(
            "reply subject",
            format!("`{}` may be answered to", show(reply)),
        );
    }
    if !matching::is_publishable(subject) {
        trace.note(
            "subject",
            format!("`{shown}` has an empty token, so no subscription can match it"),
        );
    }
    let mut decided = String::new();
    let mut refusal = None;
    for outcome in outcomes(mappings, subject, &mut trace) {
        match permissions.may_publish(&outcome) {
            Ok(permit) => {
                decided = match permit.entry() {
                    Some(entry) => format!("entry `{entry}` of the publish allow list"),
                    None => "no publish allow list, and no deny entry matches".to_owned(),
                };
                trace.pass(
                    "publish permissions",
                    format!("`{}`: {decided}", show(&outcome)),
                );
            }
            Err(denial) => {
                trace.step("publish permissions", Verdict::Refuse, denial.to_string());
                refusal.get_or_insert(denial);
            }
        }
    }
    match refusal {
        None => trace.allow(decided),
        Some(denial) => {
            if let Some(rule) = permissions.response() {
                let max = rule
                    .max
                    .map_or("any number of".to_owned(), |max| max.to_string());
                trace.note("leave to respond", format!("where the connection was given a request, {max} answers to its reply subject pass"));
            }
            trace.conclude(false, Some(denial.reason), denial.rule.to_string())
        }
    }
}

/// Explains whether a connection may subscribe.
pub fn explain_subscribe(
    permissions: &Permissions,
    subject: &[u8],
    queue: Option<&[u8]>,
) -> Explanation {
    let mut trace = Trace::default();
    let shown = show(subject);
    if !matching::is_valid(subject) {
        let why = format!("`{shown}` has an empty token, or `>` before its last token");
        return trace.refuse(Reason::InvalidSubject, "subject", why);
    }
    trace.pass("subject", format!("`{shown}` is well formed"));
    match permissions.may_subscribe(subject, queue) {
        Err(denial) => trace.refuse(
            denial.reason,
            "subscribe permissions",
            denial.rule.to_string(),
        ),
        Ok(permit) => {
            let decided = match permit.entry() {
                Some(entry) => format!("entry `{entry}` of the subscribe allow list"),
                None => "no subscribe allow list, and no deny entry contains it".to_owned(),
            };
            trace.pass("subscribe permissions", decided.clone());
            if permit.overlaps_deny() {
                let entry = permissions
                    .overlapping_deny(subject, queue)
                    .unwrap_or_default();
                trace.note(
                    "delivery",
                    format!("messages that match deny entry `{entry}` are withheld one by one"),
                );
            }
            trace.allow(decided)
        }
    }
}

/// Explains whether a user of an account may connect, the signature of the nonce and the broker's trust in the
/// account aside.
pub fn explain_connect(
    user: &UserClaims,
    account: &AccountClaims,
    circumstances: &Circumstances<'_>,
) -> Explanation {
    let mut trace = Trace::default();
    match connect(user, account, circumstances, &mut trace) {
        Ok(()) => trace.allow(format!(
            "every check of account `{}` passed",
            account.subject
        )),
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
        None => Err((
            Reason::SignerUnknown,
            format!("`{issuer}` is no key that signs users of this account"),
        )),
        Some(Signer::Identity | Signer::Plain) => Ok(user.nats.template.clone()),
        Some(Signer::Scoped(_)) if !user.nats.template.is_empty() => {
            let why = format!(
                "scope of `{issuer}`: its users must carry no permissions, limits or conditions"
            );
            Err((Reason::ScopedUserHasPermissions, why))
        }
        Some(Signer::Scoped(scope)) => {
            template::expand(&scope.template, user, account).map_err(|error| {
                (
                    Reason::TemplateInvalid,
                    format!("scope `{}` of `{issuer}`: {error}", scope.role),
                )
            })
        }
    }
}

/// Explains whether an account's import holds, and which export decides.
pub fn explain_import(
    importer: &AccountSharing,
    index: usize,
    lookup: &dyn Fn(&AccountName) -> Option<Arc<AccountSharing>>,
    now: i64,
) -> Explanation {
    let mut trace = Trace::default();
    let Some(import) = importer.imports.get(index) else {
        return trace.refuse(
            Reason::ImportInvalid,
            "import",
            format!("the account has no import number {index}"),
        );
    };
    let what = format!(
        "{} import `{}` from `{}`",
        import.kind,
        import.remote(),
        import.exporter
    );
    if let Some(local) = import.local() {
        trace.note("names", format!("{what} is `{local}` here"));
        explain_access(importer, import, lookup, now, &mut trace);
    }
    let resolution = sharing::resolve(importer, lookup, now);
    if let Some(refusal) = resolution
        .refused
        .into_iter()
        .find(|refusal| refusal.index == index)
    {
        return trace.refuse(refusal.reason, &what, refusal.text);
    }
    let crossing = resolution
        .crossings
        .into_iter()
        .find(|crossing| crossing.import_index == index);
    match crossing {
        Some(crossing) => {
            let until = crossing.expires.map_or(String::new(), |at| {
                format!(", until its activation expires at {at}")
            });
            trace.allow(format!(
                "export `{}` of `{}`{until}",
                crossing.export, crossing.exporter
            ))
        }
        None => trace.refuse(
            Reason::InternalError,
            &what,
            "the import was not decided".to_owned(),
        ),
    }
}

fn explain_access(
    importer: &AccountSharing,
    import: &sharing::Import,
    lookup: &dyn Fn(&AccountName) -> Option<Arc<AccountSharing>>,
    now: i64,
    trace: &mut Trace,
) {
    let found = (import.exporter != importer.name)
        .then(|| lookup(&import.exporter))
        .flatten();
    let Some(exporter) = found
        .as_deref()
        .or_else(|| (import.exporter == importer.name).then_some(importer))
    else {
        return;
    };
    if let Ok(authorization) = sharing::authorize(import, importer, exporter, now) {
        let export = authorization.export;
        let why = match &export.access {
            Access::Approved(_) => "approves this account".to_owned(),
            Access::Position(position) => {
                format!("lets each account have the part with its name as token {position}")
            }
            Access::Public => "is public".to_owned(),
            Access::Token(_) => "accepts the import's activation".to_owned(),
        };
        trace.pass("access", format!("export `{}` {why}", export.subject));
        trace.pass(
            "subject",
            format!(
                "export `{}` is the most specific one that contains `{}`",
                export.subject,
                import.remote()
            ),
        );
    }
}

fn connect(
    user: &UserClaims,
    account: &AccountClaims,
    at: &Circumstances<'_>,
    trace: &mut Trace,
) -> Result<(), (Reason, String)> {
    let mut check = |what: &str, reason: Reason, outcome: Result<String, String>| match outcome {
        Ok(why) => {
            trace.pass(what, why);
            Ok(())
        }
        Err(why) => {
            trace.step(what, Verdict::Refuse, why.clone());
            Err((reason, why))
        }
    };
    let text = |error: crate::claims::InvalidClaims| error.to_string();
    let content = user.validate_content().require_valid().map_err(text);
    check(
        "user claims",
        Reason::ClaimsInvalid,
        content.map(|()| "well formed".to_owned()),
    )?;
    let reason = if user.is_expired(at.now) {
        Reason::Expired
    } else {
        Reason::NotYetValid
    };
    let valid = user.validate(at.now).require_valid().map_err(text);
    check(
        "user times",
        reason,
        valid.map(|()| "within the claims' time".to_owned()),
    )?;
    let names = user
        .nats
        .issuer_account
        .map_or(user.issuer, |key| key.public());
    let same = if names == account.subject {
        Ok(format!("the user is of `{names}`"))
    } else {
        Err(format!("the user is of `{names}`"))
    };
    check("account", Reason::AccountUnknown, same)?;
    let template = match effective_template(user, account, at.strict) {
        Ok(template) => {
            check(
                "signer",
                Reason::SignerUnknown,
                Ok(signer_note(user, account, at.strict)),
            )?;
            template
        }
        Err((reason, why)) => return check("signer", reason, Err(why)),
    };
    let reason = if account.is_expired(at.now) {
        Reason::AccountExpired
    } else {
        Reason::ClaimsInvalid
    };
    let valid = account.validate(at.now).require_valid().map_err(text);
    check(
        "account claims",
        reason,
        valid.map(|()| "valid now".to_owned()),
    )?;
    let bearer = match (template.bearer_token, account.nats.limits.disallow_bearer) {
        (true, true) => Err("the account refuses bearer users".to_owned()),
        (true, false) => Ok("the JWT alone suffices".to_owned()),
        (false, _) => Ok("the nonce must be signed with the user's key".to_owned()),
    };
    check("possession", Reason::BearerNotAllowed, bearer)?;
    if let Some(kind) = at.connection_type {
        let allowed = &template.allowed_connection_types;
        let fits = allowed.is_empty() || allowed.iter().any(|name| name.eq_ignore_ascii_case(kind));
        let shown = if allowed.is_empty() {
            "any".to_owned()
        } else {
            allowed.join(", ")
        };
        let why = format!("`{kind}`; allowed: {shown}");
        check(
            "connection type",
            Reason::ConnectionTypeNotAllowed,
            if fits { Ok(why) } else { Err(why) },
        )?;
    }
    let revoked = if account.revokes(user) {
        Err(format!(
            "the account revoked users of this key issued at {} or before",
            user.issued_at
        ))
    } else {
        Ok("not revoked".to_owned())
    };
    check("revocations", Reason::Revoked, revoked)?;
    if let Some(peer) = at.peer {
        check(
            "address",
            Reason::AddressNotAllowed,
            address(&template, peer),
        )?;
    }
    check("time of day", Reason::TimeNotAllowed, hours(&template, at))?;
    let permissions = Permissions::compile(&template.permissions);
    let compiled = permissions
        .map(|_| "readable".to_owned())
        .map_err(|error| error.to_string());
    check("permissions", Reason::ClaimsInvalid, compiled)
}

fn signer_note(user: &UserClaims, account: &AccountClaims, strict: bool) -> String {
    match account.signer(&user.issuer, strict) {
        Some(Signer::Scoped(scope)) => format!(
            "scope `{}` of signing key `{}` gives the permissions",
            scope.role, user.issuer
        ),
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
        None => Err(format!(
            "`{peer}` is in none of the networks {}",
            template.src.join(", ")
        )),
    }
}

fn hours(template: &UserTemplate, at: &Circumstances<'_>) -> Result<String, String> {
    let hours =
        Hours::new(&template.times, &template.times_location).map_err(|error| error.to_string())?;
    match hours.presence(at.now, at.here) {
        Presence::Always => Ok("any time".to_owned()),
        Presence::Never => Err("now is outside of the user's hours".to_owned()),
        Presence::Until(end) => Ok(format!("until {end} (unix seconds)")),
    }
}

/// The subjects that a published one may become, told to the trace.
fn outcomes(mappings: &Mappings, subject: &[u8], trace: &mut Trace) -> Vec<Vec<u8>> {
    let Some(source) = mappings.source_of(subject) else {
        return vec![subject.to_vec()];
    };
    // The draw is of a hundred, so a hundred trials see every destination.
    let drawn: BTreeSet<Option<Vec<u8>>> = (0..100)
        .map(
            |drawn| match mappings.map(subject, |bound| drawn % bound.max(1)) {
                MapOutcome::Dropped => None,
                MapOutcome::Mapped(subject) => Some(subject),
                MapOutcome::Unchanged => Some(subject.to_vec()),
            },
        )
        .collect();
    if drawn.contains(&None) {
        trace.note(
            "mapping",
            format!("mapping of `{source}` drops a part of the messages"),
        );
    }
    let subjects: Vec<Vec<u8>> = drawn.into_iter().flatten().take(OUTCOMES_MAX).collect();
    for mapped in &subjects {
        trace.note(
            "mapping",
            format!(
                "mapping of `{source}`: `{}` becomes `{}`",
                show(subject),
                show(mapped)
            ),
        );
    }
    subjects
}

fn show(subject: &[u8]) -> String {
    String::from_utf8_lossy(subject).into_owned()
}

/// The steps so far.
#[derive(Debug, Default)]
struct Trace {
    steps: Vec<Step>,
}

impl Trace {
    fn step(&mut self, what: &str, verdict: Verdict, why: String) {
        self.steps.push(Step {
            what: what.to_owned(),
            verdict,
            why,
        });
    }

    fn pass(&mut self, what: &str, why: String) {
        self.step(what, Verdict::Pass, why);
    }

    fn note(&mut self, what: &str, why: String) {
        self.step(what, Verdict::Note, why);
    }

    fn allow(self, decided_by: String) -> Explanation {
        self.conclude(true, None, decided_by)
    }

    fn refuse(mut self, reason: Reason, what: &str, why: String) -> Explanation {
        self.step(what, Verdict::Refuse, why.clone());
        self.conclude(false, Some(reason), why)
    }

    fn conclude(self, allowed: bool, reason: Option<Reason>, decided_by: String) -> Explanation {
        Explanation {
            allowed,
            reason,
            decided_by,
            steps: self.steps,
        }
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
