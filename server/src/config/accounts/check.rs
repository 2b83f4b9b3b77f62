//! What must hold between accounts, told before anything runs: every import has an export that admits it, nothing can
//! go round in a circle, and figures about a service do not come back as requests to one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cordon_accounts::name::AccountName;
use cordon_accounts::sharing::{self, AccountSharing, ExportKind};

use super::account::Draft;
use crate::config::value::Problem;

/// Checks exports and imports of all accounts against each other.
pub(super) fn shares(drafts: &[Draft], problems: &mut Vec<Problem>) {
    let all: BTreeMap<AccountName, Arc<AccountSharing>> =
        drafts.iter().map(|draft| (draft.name().clone(), Arc::new(draft.sharing()))).collect();
    accounts_once(drafts, problems);
    for draft in drafts {
        exports(draft, problems);
        let Some(importer) = all.get(draft.name()) else { continue };
        let lookup = |name: &AccountName| {
            // An account that exports nothing, like `$G`, is known all the same.
            Some(all.get(name).cloned().unwrap_or_else(|| Arc::new(AccountSharing::new(name.clone()))))
        };
        // No clock: nothing here expires.
        for refused in sharing::resolve(importer, &lookup, 0).refused {
            let place = draft.imports.get(refused.index).map_or(&draft.place, |(place, _)| place);
            problems.push(Problem { place: place.clone(), text: refused.to_string() });
        }
    }
}

fn accounts_once(drafts: &[Draft], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for draft in drafts.iter().filter(|draft| !seen.insert(draft.name())) {
        let text = format!("account `{}` is configured twice", draft.name());
        problems.push(Problem { place: draft.place.clone(), text });
    }
}

fn exports(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (place, export) in &draft.exports {
        if !seen.insert((export.kind, export.subject.as_str())) {
            let text = format!("{} export `{}` is there twice: remove one", export.kind, export.subject);
            problems.push(Problem { place: place.clone(), text });
        }
        let Some(latency) = &export.latency else { continue };
        let inside = |(_, other): &&(_, sharing::Export)| {
            other.kind == ExportKind::Service && other.subject.matches(latency.results.as_bytes())
        };
        if let Some((_, other)) = draft.exports.iter().find(inside) {
            let text =
                format!("latency goes to `{}`, which the service export `{}` takes", latency.results, other.subject);
            problems.push(Problem { place: place.clone(), text });
        }
    }
}
