//! Imports: acceptances, with the two subjects brought into relation when they are made.

use std::sync::OnceLock;

use crate::claims::{self, Activation, ClaimsError, ExportKind, Verified, decode};
use crate::name::AccountName;
use crate::subject::transform::has_reference;
use crate::subject::{Pattern, SubjectError, Transform, TransformError};

/// The acceptance of one export.
#[derive(Clone, Debug)]
pub struct Import {
    /// Stream or service.
    pub kind: ExportKind,
    /// The exporting account.
    pub exporter: AccountName,
    /// The activation that a private export demands, as a token.
    pub token: Option<String>,
    /// Whether the exporter is told who asks; services only.
    pub share: bool,
    /// Whether message traces go on inside; streams only.
    pub allow_trace: bool,
    remote: String,
    naming: Result<Naming, ImportError>,
    activation: OnceLock<Result<Box<Verified<Activation>>, ClaimsError>>,
}

/// How the importer names what it imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// By a literal prefix before the exporter's subject.
    Prefix(String),
    /// As the exporter does.
    Same,
    /// By this pattern, of which the exporter's subject is written in terms (`$n`): the legacy `to` of services.
    Source(String),
    /// By this subject, in which `$n` is the n-th `*` of the exporter's.
    Subject(String),
}

/// Compared by what it takes up and how it names it.
impl PartialEq for Import {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.exporter, &self.token) == (other.kind, &other.exporter, &other.token)
            && (self.share, self.allow_trace) == (other.share, other.allow_trace)
            && (&self.remote, &self.naming) == (&other.remote, &other.naming)
    }
}

impl Eq for Import {}

/// The two subjects of an import and the ways between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naming {
    pub(super) local: Pattern,
    pub(super) remote: Pattern,
    /// From `local` to `remote`.
    pub(super) outward: Transform,
    /// From `remote` to `local`.
    pub(super) inward: Transform,
}

/// Why an import's subjects do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The prefix is no literal subject.
    #[error("the prefix `{0}` must be a subject without wildcards and references")]
    Prefix(String),
    /// A literal token of the exporter's subject reads as a reference where one may stand.
    #[error("the subject `{0}` contains a token that reads as a reference to a wildcard")]
    Reference(String),
    /// The exporter's subject is no pattern.
    #[error("{0}")]
    Subject(#[from] SubjectError),
    /// The two subjects cannot be rewritten into each other.
    #[error("{0}")]
    Transform(#[from] TransformError),
}

impl Import {
    /// An import of `remote` of `exporter`, without a token.
    ///
    /// Subjects that do not go together are told when the import is resolved.
    pub fn new(kind: ExportKind, exporter: AccountName, remote: impl Into<String>, local: &Local) -> Self {
        let remote = remote.into();
        let naming = Naming::new(&remote, local);
        Self {
            kind,
            exporter,
            token: None,
            share: false,
            allow_trace: false,
            remote,
            naming,
            activation: OnceLock::new(),
        }
    }

    /// Reads the import of an account's claims.
    ///
    /// The legacy `to` is a prefix for streams and the exporter's subject for services.
    pub fn from_claim(claim: &claims::Import) -> Self {
        let legacy = claim.local_subject.is_empty() && !claim.to.is_empty();
        let (remote, local) = match claim.kind {
            ExportKind::Service if legacy => (&claim.to, Local::Source(claim.subject.clone())),
            ExportKind::Stream if legacy => (&claim.subject, Local::Prefix(claim.to.clone())),
            _ if claim.local_subject.is_empty() => (&claim.subject, Local::Same),
            _ => (&claim.subject, Local::Subject(claim.local_subject.clone())),
        };
        let mut import = Self::new(claim.kind, claim.account.into(), remote.clone(), &local);
        import.token = (!claim.token.is_empty()).then(|| claim.token.clone());
        import.share = claim.share && claim.kind == ExportKind::Service;
        import.allow_trace = claim.allow_trace && claim.kind == ExportKind::Stream;
        import
    }

    /// The exporter's subject as written.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The importer's subject, if the two go together.
    pub fn local(&self) -> Option<&Pattern> {
        self.naming.as_ref().ok().map(|naming| &naming.local)
    }

    /// Why the two subjects do not go together, if they do not.
    pub fn problem(&self) -> Option<&ImportError> {
        self.naming.as_ref().err()
    }

    pub(super) fn naming(&self) -> Result<&Naming, &ImportError> {
        self.naming.as_ref()
    }

    /// The verified activation; the signature is looked at once.
    pub(super) fn activation(&self) -> Option<Result<&Verified<Activation>, &ClaimsError>> {
        let token = self.token.as_ref()?;
        let decoded = self.activation.get_or_init(|| decode::<Activation>(token).map(Box::new));
        Some(decoded.as_ref().map(|activation| &**activation))
    }
}

impl Naming {
    fn new(remote: &str, local: &Local) -> Result<Self, ImportError> {
        let (outward, inward) = match local {
            Local::Source(local) => {
                let outward = Transform::import(local, remote)?;
                (Some(outward.clone()), outward.inverse())
            }
            Local::Same => {
                let inward = Transform::identity(&Pattern::parse(remote)?)?;
                (inward.inverse(), Some(inward))
            }
            Local::Subject(local) => {
                let inward = Transform::import(remote, local)?;
                (inward.inverse(), Some(inward))
            }
            Local::Prefix(prefix) => {
                let inward = Transform::import(remote, &prefixed(prefix, remote)?)?;
                (inward.inverse(), Some(inward))
            }
        };
        // `Transform::import` gives only what has an inverse.
        let (Some(outward), Some(inward)) = (outward, inward) else {
            return Err(ImportError::Reference(remote.to_owned()));
        };
        Ok(Self { local: outward.source().clone(), remote: inward.source().clone(), outward, inward })
    }
}

fn prefixed(prefix: &str, remote: &str) -> Result<String, ImportError> {
    let trimmed = prefix.strip_suffix('.').unwrap_or(prefix);
    let literal = Pattern::parse(trimmed).is_ok_and(|prefix| prefix.is_literal());
    if !literal || has_reference(trimmed) {
        return Err(ImportError::Prefix(prefix.to_owned()));
    }
    if has_reference(remote) {
        return Err(ImportError::Reference(remote.to_owned()));
    }
    Ok(format!("{trimmed}.{remote}"))
}
