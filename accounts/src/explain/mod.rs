//! Explanations: which rule, template, export or import decides.
//!
//! Each question is put to the very functions that enforce, and their answers are told step by step; nothing is
//! decided here a second time. What only a broker knows (its throttle, its limits in use) is not part of it.

mod connect;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::name::AccountName;
use crate::permissions::{Permissions, reserved};
use crate::reason::Reason;
use crate::sharing::{self, Access, AccountSharing};
use crate::subject::{MapOutcome, Mappings, matching};

pub use connect::{Circumstances, effective_template, explain_connect};

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
        return trace.refuse(reason, "reserved subjects", format!("`{shown}` belongs to the broker"));
    }
    trace.pass("reserved subjects", format!("`{shown}` is not the broker's own"));
    if let Some(reply) = reply {
        if let Err(reason) = reserved::check_reply(reply) {
            return trace.refuse(
                reason,
                "reply subject",
                format!("`{}` is in the broker's own reply space", show(reply)),
            );
        }
        trace.pass("reply subject", format!("`{}` may be answered to", show(reply)));
    }
    if !matching::is_publishable(subject) {
        trace.note("subject", format!("`{shown}` has an empty token, so no subscription can match it"));
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
                trace.pass("publish permissions", format!("`{}`: {decided}", show(&outcome)));
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
                let max = rule.max.map_or("any number of".to_owned(), |max| max.to_string());
                trace.note(
                    "leave to respond",
                    format!("where the connection was given a request, {max} answers to its reply subject pass"),
                );
            }
            trace.conclude(false, Some(denial.reason), denial.rule.to_string())
        }
    }
}

/// Explains whether a connection may subscribe.
pub fn explain_subscribe(permissions: &Permissions, subject: &[u8], queue: Option<&[u8]>) -> Explanation {
    let mut trace = Trace::default();
    let shown = show(subject);
    if !matching::is_valid(subject) {
        let why = format!("`{shown}` has an empty token, or `>` before its last token");
        return trace.refuse(Reason::InvalidSubject, "subject", why);
    }
    trace.pass("subject", format!("`{shown}` is well formed"));
    match permissions.may_subscribe(subject, queue) {
        Err(denial) => trace.refuse(denial.reason, "subscribe permissions", denial.rule.to_string()),
        Ok(permit) => {
            let decided = match permit.entry() {
                Some(entry) => format!("entry `{entry}` of the subscribe allow list"),
                None => "no subscribe allow list, and no deny entry contains it".to_owned(),
            };
            trace.pass("subscribe permissions", decided.clone());
            if permit.overlaps_deny() {
                let entry = permissions.overlapping_deny(subject, queue).unwrap_or_default();
                trace.note("delivery", format!("messages that match deny entry `{entry}` are withheld one by one"));
            }
            trace.allow(decided)
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
        return trace.refuse(Reason::ImportInvalid, "import", format!("the account has no import number {index}"));
    };
    let what = format!("{} import `{}` from `{}`", import.kind, import.remote(), import.exporter);
    if let Some(local) = import.local() {
        trace.note("names", format!("{what} is `{local}` here"));
        explain_access(importer, import, lookup, now, &mut trace);
    }
    let resolution = sharing::resolve(importer, lookup, now);
    if let Some(refusal) = resolution.refused.into_iter().find(|refusal| refusal.index == index) {
        return trace.refuse(refusal.reason, &what, refusal.text);
    }
    let crossing = resolution.crossings.into_iter().find(|crossing| crossing.import_index == index);
    match crossing {
        Some(crossing) => {
            let until = crossing.expires.map_or(String::new(), |at| format!(", until its activation expires at {at}"));
            trace.allow(format!("export `{}` of `{}`{until}", crossing.export, crossing.exporter))
        }
        None => trace.refuse(Reason::InternalError, &what, "the import was not decided".to_owned()),
    }
}

fn explain_access(
    importer: &AccountSharing,
    import: &sharing::Import,
    lookup: &dyn Fn(&AccountName) -> Option<Arc<AccountSharing>>,
    now: i64,
    trace: &mut Trace,
) {
    let found = (import.exporter != importer.name).then(|| lookup(&import.exporter)).flatten();
    let Some(exporter) = found.as_deref().or_else(|| (import.exporter == importer.name).then_some(importer)) else {
        return;
    };
    if let Ok(authorization) = sharing::authorize(import, importer, exporter, now) {
        let export = authorization.export;
        let why = match &export.access {
            Access::Approved(_) => "approves this account".to_owned(),
            Access::ApprovedPosition(_, position) => {
                format!("approves this account, for the part with its name as token {position}")
            }
            Access::Position(position) => {
                format!("lets each account have the part with its name as token {position}")
            }
            Access::Public => "is public".to_owned(),
            Access::Token(_) => "accepts the import's activation".to_owned(),
        };
        trace.pass("access", format!("export `{}` {why}", export.subject));
        trace.pass(
            "subject",
            format!("export `{}` is the most specific one that contains `{}`", export.subject, import.remote()),
        );
    }
}

/// The subjects that a published one may become, told to the trace.
fn outcomes(mappings: &Mappings, subject: &[u8], trace: &mut Trace) -> Vec<Vec<u8>> {
    let Some(source) = mappings.source_of(subject) else {
        return vec![subject.to_vec()];
    };
    // The draw is of a hundred, so a hundred trials see every destination.
    let drawn: BTreeSet<Option<Vec<u8>>> = (0..100)
        .map(|drawn| match mappings.map(subject, |bound| drawn % bound.max(1)) {
            MapOutcome::Dropped => None,
            MapOutcome::Mapped(subject) => Some(subject),
            MapOutcome::Unchanged => Some(subject.to_vec()),
        })
        .collect();
    if drawn.contains(&None) {
        trace.note("mapping", format!("mapping of `{source}` drops a part of the messages"));
    }
    let subjects: Vec<Vec<u8>> = drawn.into_iter().flatten().take(OUTCOMES_MAX).collect();
    for mapped in &subjects {
        trace.note("mapping", format!("mapping of `{source}`: `{}` becomes `{}`", show(subject), show(mapped)));
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
        self.steps.push(Step { what: what.to_owned(), verdict, why });
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
        Explanation { allowed, reason, decided_by, steps: self.steps }
    }
}

#[cfg(test)]
mod tests;
