//! Which imports hold: the offers they rest on, activations, revocations, duplicates and cycles.

use crate::model::account::{Account, Export, Import, Kind, Signer};
use crate::model::subject::{common, contains, looseness, pattern, rewrite};

/// The accounts that are there; `None` for one that is not.
pub type Accounts = [Option<Account>];

/// An import that holds.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// The importer.
    pub importer: usize,
    /// The import.
    pub import: Import,
    /// The pattern of its local subject.
    pub local: String,
    /// The offer it rests on.
    pub export: Export,
}

/// All imports of an account that hold at `now`.
pub fn crossings(accounts: &Accounts, importer: usize, now: i64) -> Vec<Crossing> {
    let Some(account) = &accounts[importer] else { return Vec::new() };
    let mut holding: Vec<Crossing> = Vec::new();
    for (index, import) in account.imports.iter().enumerate() {
        let Some(export) = offer(accounts, importer, import, now) else { continue };
        let local = pattern(&import.local);
        let twice = holding.iter().any(|other| {
            let same = match import.kind {
                Kind::Service => other.local == local,
                Kind::Stream => other.import.remote == import.remote,
            };
            same && (other.import.kind, other.import.from) == (import.kind, import.from)
        });
        if !twice && !is_cyclic(accounts, importer, index, now) {
            holding.push(Crossing { importer, import: import.clone(), local, export: export.clone() });
        }
    }
    holding
}

/// The offer that lets an account have an import, if there is one: the most specific decides.
fn offer<'a>(accounts: &'a Accounts, importer: usize, import: &Import, now: i64) -> Option<&'a Export> {
    let exporter = accounts[import.from].as_ref()?;
    let covering =
        exporter.exports.iter().filter(|offer| offer.kind == import.kind && contains(&offer.subject, &import.remote));
    let export = covering.min_by_key(|offer| (looseness(&offer.subject), &offer.subject))?;
    let leave = if export.position > 0 {
        let name = &accounts[importer].as_ref()?.name;
        import.remote.split('.').nth(export.position as usize - 1) == Some(name)
    } else {
        !export.private || is_activated(exporter, export, importer, import, now)
    };
    leave.then_some(export)
}

fn is_activated(exporter: &Account, export: &Export, importer: usize, import: &Import, now: i64) -> bool {
    let Some(activation) = &import.activation else { return false };
    let revoked = [Some(importer), None]
        .iter()
        .filter_map(|entry| export.revoked.get(entry))
        .any(|until| activation.issued_at <= *until);
    let signed = match activation.signer {
        Signer::Identity => true,
        key @ Signer::Key(_) => exporter.has_signer(key),
    };
    activation.importer == importer
        && activation.exporter == import.from
        && activation.kind == import.kind
        && contains(&activation.subject, &import.remote)
        && signed
        && (activation.expires == 0 || activation.expires > now)
        && !revoked
}

/// Whether what enters an import can come back to it, through imports of its kind.
fn is_cyclic(accounts: &Accounts, importer: usize, index: usize, now: i64) -> bool {
    let Some(account) = &accounts[importer] else { return false };
    let (kind, first) = (account.imports[index].kind, &account.imports[index]);
    let mut reached = vec![(first.from, first.remote.clone())];
    let mut at = 0;
    while let Some((here, subjects)) = reached.get(at).cloned() {
        at += 1;
        let Some(there) = &accounts[here] else { continue };
        for (number, next) in there.imports.iter().enumerate().filter(|(_, next)| next.kind == kind) {
            let Some(entering) = common(&pattern(&next.local), &subjects) else { continue };
            if offer(accounts, here, next, now).is_none() {
                continue;
            }
            if (here, number) == (importer, index) {
                return true;
            }
            let onward = rewrite(&next.local, &next.remote, &entering).expect("it is inside the import");
            let state = (next.from, onward);
            if !reached.contains(&state) {
                reached.push(state);
            }
        }
    }
    false
}
