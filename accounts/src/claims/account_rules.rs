//! What makes an account's claims wrong (jwt `account_claims.go`, `exports.go`, `imports.go`).

use std::collections::{BTreeMap, BTreeSet};

use super::envelope::{Claims, Kind};
use super::validation::Validation;
use super::{
    Account, AccountLimits, Activation, Export, ExportKind, ExternalAuthorization, Import, JetStreamLimits, Mapping,
    ResponseType, Sampling, SigningKey, Trace, UnknownFields, check, decode,
};
use crate::key::{AccountKey, PublicKey, Role};
use crate::limits::{Limit, SHARES_MAX};
use crate::subject::{Pattern, matching};

impl Kind for Account {
    const NAME: Option<&'static str> = Some("account");
    const SUBJECT: &'static [Role] = &[Role::Account];
    const ISSUER: &'static [Role] = &[Role::Account, Role::Operator];

    fn validate(claims: &Claims<Self>, found: &mut Validation) {
        let account = &claims.nats;
        imports(&account.imports, claims.subject, found);
        exports(&account.exports, found);
        numbers(account, found);
        check::permissions("`default_permissions`", &account.default_permissions, found);
        for (source, destinations) in &account.mappings {
            mapping(source, destinations, found);
        }
        callout(&account.authorization, found);
        if let Some(trace) = &account.trace {
            tracing(trace, found);
        }
        signing_keys(claims, found);
        revocations(account, found);
        check::info("account", &account.description, &account.info_url, found);
        if !["", "system", "owner"].contains(&account.cluster_traffic.as_str()) {
            found.blocking(format!("`cluster_traffic` `{}` must be `system` or `owner`", account.cluster_traffic));
        }
        if claims.issuer.role() == Role::Account && account.limits != AccountLimits::default() {
            found.warn("a self-signed account should not carry limits");
        }
    }

    /// Version 1 knew nothing of JetStream, default permissions, mappings and callout.
    fn migrate(nats: &mut UnknownFields) {
        const KNOWN: [&str; 7] =
            ["imports", "exports", "limits", "signing_keys", "revocations", "tags", "issuer_account"];
        const LIMITS: [&str; 9] =
            ["subs", "data", "payload", "imports", "exports", "wildcards", "disallow_bearer", "conn", "leaf"];
        nats.retain(|name, _| KNOWN.contains(&name.as_str()));
        if let Some(limits) = nats.get_mut("limits").and_then(|limits| limits.as_object_mut()) {
            limits.retain(|name, _| LIMITS.contains(&name.as_str()));
        }
    }

    /// Tiers replace the flat JetStream numbers (jwt `decoder_account.go`).
    fn settle(&mut self) {
        if !self.limits.tiered_limits.is_empty() {
            self.limits.jetstream = JetStreamLimits::default();
        }
    }
}

fn numbers(account: &Account, found: &mut Validation) {
    let limits = &account.limits;
    let numbers = [
        ("subs", limits.subs),
        ("data", limits.data),
        ("payload", limits.payload),
        ("imports", limits.imports),
        ("exports", limits.exports),
        ("conn", limits.conn),
        ("leaf", limits.leaf),
    ];
    check::limits("`limits`", &numbers, found);
    if exceeds(account.imports.len(), limits.imports) {
        found.blocking("there are more imports than the limit allows");
    }
    if exceeds(account.exports.len(), limits.exports) {
        found.blocking("there are more exports than the limit allows");
    }
    // Upstream looks at `wildcards` only when the number of exports is limited too.
    if !limits.exports.is_unlimited() && !limits.wildcards {
        for export in &account.exports {
            if !matching::is_literal(export.subject.as_bytes()) {
                found.blocking(format!("export `{}` has wildcards, which the limits forbid", export.subject));
            }
        }
    }
    if !limits.tiered_limits.is_empty() {
        if limits.jetstream != JetStreamLimits::default() {
            found.blocking("JetStream limits are either flat or tiered, not both");
        }
        if limits.tiered_limits.contains_key("") {
            found.blocking("a JetStream tier has no name");
        }
    }
}

fn exceeds(count: usize, limit: Limit) -> bool {
    limit.bound().is_some_and(|most| count > usize::try_from(most).unwrap_or(usize::MAX))
}

fn exports(exports: &[Export], found: &mut Validation) {
    if exports.len() > SHARES_MAX {
        return found.blocking(format!("more than {SHARES_MAX} exports cannot be checked"));
    }
    let mut seen: Vec<(ExportKind, Pattern)> = Vec::with_capacity(exports.len());
    for export in exports {
        let place = format!("{} export `{}`", export.kind, export.subject);
        if let Some(pattern) = check::pattern(&place, &export.subject, found) {
            account_token(&place, export, &pattern, found);
            let collides = |(kind, other): &&(ExportKind, Pattern)| {
                *kind == export.kind && (other.contains(&pattern) || pattern.contains(other))
            };
            if let Some((_, other)) = seen.iter().find(collides) {
                found.blocking(format!("{place} covers the same subjects as `{other}`"));
            }
            seen.push((export.kind, pattern));
        }
        for (entry, _) in export.revocations.iter() {
            revocation_entry(&place, entry, Role::Account, found);
        }
        check::info(&place, &export.description, &export.info_url, found);
        match export.kind {
            ExportKind::Service => service_export(&place, export, found),
            ExportKind::Stream => stream_export(&place, export, found),
        }
    }
}

fn service_export(place: &str, export: &Export, found: &mut Validation) {
    if export.response_threshold < 0 {
        found.blocking(format!("{place}: `response_threshold` may not be negative"));
    }
    let Some(latency) = &export.latency else {
        return;
    };
    if let Sampling::Percent(percent) = latency.sampling
        && !(1..=100).contains(&percent)
    {
        found.blocking(format!("{place}: latency `sampling` is {percent}; it must be 1 to 100, or \"headers\""));
    }
    let results = format!("{place}: latency `results`");
    if let Some(pattern) = check::pattern(&results, &latency.results, found)
        && !pattern.is_literal()
    {
        found.blocking(format!("{results} may not have wildcards"));
    }
}

fn stream_export(place: &str, export: &Export, found: &mut Validation) {
    let mut only_services = |name: &str, present: bool| {
        if present {
            found.blocking(format!("{place}: `{name}` is for services only"));
        }
    };
    only_services("response_type", export.response_type != ResponseType::default());
    only_services("response_threshold", export.response_threshold != 0);
    only_services("service_latency", export.latency.is_some());
    only_services("allow_trace", export.allow_trace);
}

fn account_token(place: &str, export: &Export, pattern: &Pattern, found: &mut Validation) {
    let Some(index) = export.account_token_position.checked_sub(1) else {
        return;
    };
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if pattern.as_str().split('.').nth(index) != Some("*") {
        found.blocking(format!(
            "{place}: `account_token_position` {} is not the place of a `*`",
            export.account_token_position
        ));
    }
}

fn imports(imports: &[Import], importer: PublicKey, found: &mut Validation) {
    if imports.len() > SHARES_MAX {
        return found.blocking(format!("more than {SHARES_MAX} imports cannot be checked"));
    }
    let mut services: BTreeMap<AccountKey, Vec<String>> = BTreeMap::new();
    for import in imports {
        let place = format!("{} import `{}`", import.kind, import.subject);
        match import.kind {
            ExportKind::Service => {
                if import.allow_trace {
                    found.blocking(format!("{place}: `allow_trace` is for streams only"));
                }
                let subject = service_subject(import);
                let others = services.entry(import.account).or_default();
                let collides = |other: &&String| {
                    let (one, two) = (subject.as_bytes(), other.as_bytes());
                    matching::contains(one, two) || matching::contains(two, one)
                };
                if let Some(other) = others.iter().find(collides) {
                    found.blocking(format!("{place} covers the same subjects as `{other}` from this account"));
                }
                others.push(subject);
            }
            ExportKind::Stream if import.share => {
                found.blocking(format!("{place}: `share` is for services only"));
            }
            ExportKind::Stream => {}
        }
        subjects_of_import(&place, import, found);
        activation(&place, import, importer, found);
    }
}

/// The subject by which two service imports are compared.
fn service_subject(import: &Import) -> String {
    if !import.to.is_empty() {
        return import.to.clone();
    }
    if import.local_subject.is_empty() {
        return import.subject.clone();
    }
    let tokens: Vec<&str> =
        import.local_subject.split('.').map(|token| reference(token).map_or(token, |_| "*")).collect();
    tokens.join(".")
}

fn subjects_of_import(place: &str, import: &Import, found: &mut Validation) {
    check::pattern(place, &import.subject, found);
    if !import.to.is_empty() {
        found.warn(format!("{place}: `to` is deprecated; use `local_subject`"));
        check::pattern(&format!("{place}: `to`"), import.to.trim_end_matches('.'), found);
    }
    if !import.local_subject.is_empty() {
        if !import.to.is_empty() {
            found.blocking(format!("{place}: `to` and `local_subject` exclude each other"));
        }
        local_subject(place, import, found);
    }
}

fn local_subject(place: &str, import: &Import, found: &mut Validation) {
    let place = format!("{place}: `local_subject` `{}`", import.local_subject);
    check::pattern(&place, &import.local_subject, found);
    let has_tail = |subject: &str| subject == ">" || subject.ends_with(".>");
    if has_tail(&import.local_subject) != has_tail(&import.subject) {
        found.blocking(format!("{place} and `subject` must both end in `>`, or neither"));
    }
    let wildcards = import.subject.split('.').filter(|token| *token == "*").count();
    let mut used: usize = 0;
    for token in import.local_subject.split('.') {
        match reference(token) {
            Some(number) if number == 0 || number > wildcards => {
                found.blocking(format!("{place}: `{token}` refers to a `*` that is not there"));
            }
            Some(_) => used = used.saturating_add(1),
            None if token == "*" => used = used.saturating_add(1),
            None => {}
        }
    }
    if used != wildcards {
        found.blocking(format!("{place} must have as many `*` and `$n` as `subject` has `*`"));
    }
}

/// The number in `$n`.
fn reference(token: &str) -> Option<usize> {
    let digits = token.strip_prefix('$')?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().unwrap_or(usize::MAX))
}

/// An activation binds importer, exporter, kind and subject (CVE-2021-3127). Its expiry is left
/// out on purpose: it ends the import, not the account.
fn activation(place: &str, import: &Import, importer: PublicKey, found: &mut Validation) {
    if import.token.is_empty() {
        return;
    }
    let place = format!("{place}: activation");
    let token = match decode::<Activation>(&import.token) {
        Ok(token) => token,
        Err(error) => return found.blocking(format!("{place}: {error}")),
    };
    if import.account != token.issuer && token.nats.issuer_account != Some(import.account) {
        found.blocking(format!("{place} is not from the account imported from"));
    }
    if token.subject != importer {
        found.blocking(format!("{place} is for another account"));
    }
    if token.nats.kind != import.kind {
        found.blocking(format!("{place} is for a {}", token.nats.kind));
    }
    let (outer, inner) = (token.nats.subject.as_bytes(), import.remote().as_bytes());
    if !matching::contains(outer, inner) {
        found.blocking(format!("{place} is for `{}`", token.nats.subject));
    }
    found.absorb(&place, token.validate_content());
}

fn mapping(source: &str, destinations: &[Mapping], found: &mut Validation) {
    let place = format!("mapping `{source}`");
    check::pattern(&place, source, found);
    let mut sums: BTreeMap<&str, u32> = BTreeMap::new();
    for destination in destinations {
        // Functions may stand in it, so it is no pattern; whether they make sense is found out
        // when mappings are compiled, and a bad one is skipped there.
        let text = destination.subject.as_str();
        if text.is_empty() || text.contains(char::is_whitespace) && !text.contains("{{") {
            found.blocking(format!("{place}: destination `{text}` is malformed"));
        }
        if destination.percent() > 100 {
            found.blocking(format!("{place}: the weight of `{text}` exceeds 100"));
        }
        let sum = sums.entry(&destination.cluster).or_default();
        *sum = sum.saturating_add(u32::from(destination.percent()));
    }
    for (cluster, sum) in sums {
        if sum > 100 {
            found.blocking(format!("{place}: the weights in cluster `{cluster}` add up to {sum}, more than 100"));
        }
    }
}

fn callout(authorization: &ExternalAuthorization, found: &mut Validation) {
    let allowed = &authorization.allowed_accounts;
    if !allowed.is_empty() && authorization.auth_users.is_empty() {
        found.blocking("`authorization` has `allowed_accounts` without `auth_users`");
    }
    for account in allowed {
        if account == "*" {
            if allowed.len() > 1 {
                found.blocking("`allowed_accounts` is either `*` alone or a list of accounts");
            }
        } else {
            let place = "`allowed_accounts`";
            found.check(place, AccountKey::parse(account).map(drop));
        }
    }
}

fn tracing(trace: &Trace, found: &mut Validation) {
    let place = "`trace` destination";
    if let Some(pattern) = check::pattern(place, &trace.destination, found)
        && !pattern.is_literal()
    {
        found.blocking(format!("{place} may not have wildcards"));
    }
    if !(0..=100).contains(&trace.sampling) {
        found.blocking("`trace` sampling must be 1 to 100");
    }
}

fn signing_keys(claims: &Claims<Account>, found: &mut Validation) {
    let mut seen = BTreeSet::new();
    for signing_key in &claims.nats.signing_keys {
        if !seen.insert(signing_key.key()) {
            found.warn(format!("signing key {} is listed twice", signing_key.key()));
        }
        if let SigningKey::Scoped(scope) = signing_key {
            let place = format!("scope of signing key {}", scope.key);
            scope.template.validate(&place, found);
        }
    }
}

fn revocations(account: &Account, found: &mut Validation) {
    for (entry, _) in account.revocations.iter() {
        revocation_entry("`revocations`", entry, Role::User, found);
    }
}

/// An entry that is no key matches nothing: harmless to brokers, but surely a mistake.
fn revocation_entry(place: &str, entry: &str, role: Role, found: &mut Validation) {
    if entry != super::revocation::ALL && PublicKey::parse(entry).and_then(|key| key.require(role)).is_err() {
        found.warn(format!("{place}: a revoked key is not of role {role} and has no effect"));
    }
}
