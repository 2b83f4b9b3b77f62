//! Imports against exports: which crossings an account has, and why it has no others.

use std::collections::HashSet;
use std::sync::Arc;

use super::activation;
use super::crossing::Crossing;
use super::cycle::Walk;
use super::export::{Access, Export, token_at};
use super::import::Import;
use super::{AccountSharing, ExportKind};
use crate::name::AccountName;
use crate::reason::Reason;
use crate::subject::matching;

/// What became of an account's imports: each is in exactly one of the two lists.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// The imports that hold.
    pub crossings: Vec<Crossing>,
    /// The others.
    pub refused: Vec<ImportRefusal>,
    /// Some exporter is not known here; resolve again when it is.
    pub incomplete: bool,
}

/// An import that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} import `{subject}` from `{exporter}` refused: {text}")]
pub struct ImportRefusal {
    /// Which of the account's imports it is.
    pub index: usize,
    /// Stream or service.
    pub kind: ExportKind,
    /// The exporter's subject as written.
    pub subject: String,
    /// The exporter.
    pub exporter: AccountName,
    /// The stable reason.
    pub reason: Reason,
    /// The reason for people.
    pub text: String,
}

/// Leave to import, and how long it lasts.
#[derive(Copy, Clone, Debug)]
pub struct Authorization<'e> {
    /// The export that gives it.
    pub export: &'e Export,
    /// When it ends, unix seconds.
    pub expires: Option<i64>,
}

/// Why leave is not given.
pub(super) type Refused = (Reason, String);

/// Sets an account's imports against its exporters as they are now.
///
/// `lookup` gives the sharing of any other account; the importer itself is never looked up. Resolve again when the
/// importer or any of its exporters changes, and at the earliest [`Crossing::expires`].
pub fn resolve(
    importer: &AccountSharing,
    lookup: &dyn Fn(&AccountName) -> Option<Arc<AccountSharing>>,
    now: i64,
) -> Resolution {
    let mut resolution = Resolution::default();
    let mut walk = Walk::new(importer, lookup, now);
    let mut taken: HashSet<(ExportKind, AccountName, String)> = HashSet::new();
    for (index, import) in importer.imports.iter().enumerate() {
        match crossing(importer, index, &mut walk, &mut taken, now) {
            Ok(crossing) => resolution.crossings.push(crossing),
            Err((reason, text)) => {
                resolution.incomplete |= reason == Reason::AccountUnknown;
                resolution.refused.push(ImportRefusal {
                    index,
                    kind: import.kind,
                    subject: import.remote().to_owned(),
                    exporter: import.exporter.clone(),
                    reason,
                    text,
                });
            }
        }
    }
    resolution
}

fn crossing(
    importer: &AccountSharing,
    index: usize,
    walk: &mut Walk<'_>,
    taken: &mut HashSet<(ExportKind, AccountName, String)>,
    now: i64,
) -> Result<Crossing, Refused> {
    let import = importer.imports.get(index).ok_or_else(|| (Reason::InternalError, "no such import".to_owned()))?;
    let naming = import.naming().map_err(|error| (Reason::ImportInvalid, error.to_string()))?;
    let exporter = walk.account(&import.exporter).ok_or_else(|| {
        (Reason::AccountUnknown, format!("the exporting account `{}` is not known here (yet)", import.exporter))
    })?;
    let authorization = authorize(import, importer, &exporter, now)?;
    // A stream twice would deliver twice; a service twice would ask twice.
    let (what, subject) = match import.kind {
        ExportKind::Service => ("local subject", &naming.local),
        ExportKind::Stream => ("subject", &naming.remote),
    };
    let key = (import.kind, import.exporter.clone(), subject.to_string());
    if taken.contains(&key) {
        let text = format!("the account already has an import with {what} `{subject}` from this account");
        return Err((Reason::ImportInvalid, text));
    }
    walk.check(index, import.kind).map_err(|error| (Reason::ImportCycle, error.to_string()))?;
    taken.insert(key);
    let Authorization { export, expires } = authorization;
    Ok(Crossing::new(&importer.name, index, import, naming, export, expires))
}

/// Decides whether `exporter` lets `importer` have an import, cycles aside: the rules of export access, in order.
///
/// # Errors
/// The reason, and the same for people.
pub fn authorize<'e>(
    import: &Import,
    importer: &AccountSharing,
    exporter: &'e AccountSharing,
    now: i64,
) -> Result<Authorization<'e>, (Reason, String)> {
    let naming = import.naming().map_err(|error| (Reason::ImportInvalid, error.to_string()))?;
    let export = exporter.export_of(import.kind, &naming.remote).ok_or_else(|| {
        let text = format!("account `{}` exports no {} that contains `{}`", exporter.name, import.kind, naming.remote);
        (Reason::ImportNoExport, text)
    })?;
    let not_allowed = |why: String| (Reason::ImportNotAuthorized, format!("export `{}`: {why}", export.subject));
    let name = &importer.name;
    if let Access::Position(position) | Access::ApprovedPosition(_, position) = &export.access {
        let token = token_at(&naming.remote, *position);
        // A wildcard there would take up everybody's part, whatever the account is called.
        let literal = token.is_some_and(|token| token != matching::ANY_TOKEN && token != matching::ANY_TAIL);
        if !literal || token != Some(name.as_str().as_bytes()) {
            return Err(not_allowed(format!("token {position} of the imported subject must be `{name}`")));
        }
    }
    let expires = match &export.access {
        Access::Public | Access::Position(_) => None,
        Access::Approved(accounts) | Access::ApprovedPosition(accounts, _) if accounts.contains(name) => None,
        Access::Approved(_) | Access::ApprovedPosition(..) => {
            return Err(not_allowed(format!("account `{name}` is not among those approved")));
        }
        Access::Token(revocations) => activation::check(import, naming, importer, exporter, revocations, now)
            .map_err(|error| (error.reason(), format!("export `{}`: {error}", export.subject)))?,
    };
    Ok(Authorization { export, expires })
}
