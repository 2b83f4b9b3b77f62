//! Sharing: what accounts offer each other, what they take up, and the crossings that follow from both.
//!
//! [`AccountSharing`] is one account's side, made from claims or from configuration. [`resolve`] sets an importer's
//! side against its exporters' and gives a [`Crossing`] for each import that holds and an [`ImportRefusal`] for each
//! that does not; there is no third outcome. The border acts on crossings alone.
//!
//! ```text
//! service:  request on `local` in the importer  --outward-->  `remote` in the exporter
//! stream:   message on `remote` in the exporter  --inward-->  `local` in the importer
//! ```

mod activation;
mod crossing;
mod cycle;
mod export;
mod import;
mod resolve;

use crate::claims::AccountClaims;
use crate::key::PublicKey;
use crate::name::AccountName;

pub use crossing::Crossing;
pub use export::{Access, Export, ExportError, Latency, RESPONSE_THRESHOLD_DEFAULT_NS};
pub use import::{Import, ImportError, Local};
pub use resolve::{Authorization, ImportRefusal, Resolution, authorize, resolve};

pub use crate::claims::{ExportKind, ResponseType, Sampling};

/// One account's offers and imports, and who may sign in its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSharing {
    /// The account.
    pub name: AccountName,
    /// What it offers.
    pub exports: Vec<Export>,
    /// What it takes up.
    pub imports: Vec<Import>,
    /// Every key that may sign activations for it now, its own included unless [`AccountSharing::strict`].
    pub signers: Vec<PublicKey>,
    /// Its operator demands signing keys: its own key signs nothing.
    pub strict: bool,
    /// Exports that were left out because they cannot be read.
    pub problems: Vec<ExportError>,
}

impl AccountSharing {
    /// An account that shares nothing.
    pub fn new(name: AccountName) -> Self {
        Self {
            name,
            exports: Vec::new(),
            imports: Vec::new(),
            signers: Vec::new(),
            strict: false,
            problems: Vec::new(),
        }
    }

    /// The sharing of an account's claims; `strict` says that a signing key of a strict operator issued them.
    ///
    /// An export that cannot be read is left out and told in [`AccountSharing::problems`].
    pub fn from_claims(claims: &AccountClaims, strict: bool) -> Self {
        let mut sharing = Self::new(AccountName::new(claims.subject.to_string()));
        sharing.strict = strict;
        sharing.signers = claims.signers(strict).collect();
        for export in &claims.nats.exports {
            match Export::from_claim(export) {
                Ok(export) => sharing.exports.push(export),
                Err(problem) => sharing.problems.push(problem),
            }
        }
        sharing.imports = claims.nats.imports.iter().map(Import::from_claim).collect();
        sharing
    }

    /// The export that decides about importing `subject`: the most specific one that contains all of it.
    pub fn export_of(&self, kind: ExportKind, subject: &crate::subject::Pattern) -> Option<&Export> {
        let offers = self.exports.iter().filter(|export| export.kind == kind && export.subject.contains(subject));
        offers.min_by(|one, other| one.subject.by_specificity(&other.subject))
    }
}

#[cfg(test)]
mod tests;
