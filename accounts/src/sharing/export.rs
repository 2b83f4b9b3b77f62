//! Exports: offers, compiled.

use std::collections::BTreeSet;

use crate::claims::{self, ExportKind, ResponseType, Revocations, Sampling};
use crate::name::AccountName;
use crate::subject::{Pattern, SubjectError, matching};

/// Nanoseconds to wait for an answer where the export says nothing: two minutes.
pub const RESPONSE_THRESHOLD_DEFAULT_NS: u64 = 120_000_000_000;

/// An offer: a stream of messages, or a service that answers requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Stream or service.
    pub kind: ExportKind,
    /// What is on offer, in the exporter's subject space.
    pub subject: Pattern,
    /// Who may import it.
    pub access: Access,
    /// How many answers a request has; services only.
    pub response: ResponseType,
    /// Nanoseconds to wait for an answer; services only.
    pub threshold_ns: u64,
    /// Latency sampling; services only.
    pub latency: Option<Latency>,
    /// Whether message traces go on inside; services only.
    pub allow_trace: bool,
}

/// Who may import an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The accounts of a list; configured accounts only.
    Approved(BTreeSet<AccountName>),
    /// The accounts of a list, each its own part: both [`Access::Approved`] and [`Access::Position`] must hold.
    ApprovedPosition(BTreeSet<AccountName>, u32),
    /// Everyone, each its own part: the token at this place, counted from 1, must be the importer's name.
    ///
    /// Goes before every other condition.
    Position(u32),
    /// Everyone.
    Public,
    /// Holders of an activation that is not revoked.
    Token(Revocations),
}

/// Latency sampling of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Which requests are measured.
    pub sampling: Sampling,
    /// Where the figures are published, in the exporter's account.
    pub results: Pattern,
}

/// An export that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("export `{subject}` is left out: {problem}")]
pub struct ExportError {
    /// Its subject as written.
    pub subject: String,
    /// What is wrong.
    pub problem: ExportProblem,
}

/// What is wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportProblem {
    /// The account's place is not that of a `*`, so no importer could ever be told from another.
    #[error("token {0}, the importer's, is no `*`")]
    Position(u32),
    /// The subject, or that of latency results, is no pattern.
    #[error("{0}")]
    Subject(#[from] SubjectError),
}

impl Export {
    /// A public export without conditions.
    pub fn new(kind: ExportKind, subject: Pattern) -> Self {
        Self {
            kind,
            subject,
            access: Access::Public,
            response: ResponseType::default(),
            threshold_ns: RESPONSE_THRESHOLD_DEFAULT_NS,
            latency: None,
            allow_trace: false,
        }
    }

    /// Reads the export of an account's claims.
    ///
    /// # Errors
    /// [`ExportError`] if a subject is no pattern, or the account's place is not that of a `*`.
    pub fn from_claim(claim: &claims::Export) -> Result<Self, ExportError> {
        let failed = |problem| ExportError { subject: claim.subject.clone(), problem };
        let pattern = |text: &str| Pattern::parse(text).map_err(|error| failed(ExportProblem::Subject(error)));
        let mut export = Self::new(claim.kind, pattern(&claim.subject)?);
        export.access = match claim.account_token_position {
            0 if claim.token_req => Access::Token(claim.revocations.clone()),
            0 => Access::Public,
            position if token_at(&export.subject, position) == Some(matching::ANY_TOKEN) => Access::Position(position),
            position => return Err(failed(ExportProblem::Position(position))),
        };
        if claim.kind == ExportKind::Service {
            export.response = claim.response_type;
            export.threshold_ns = match u64::try_from(claim.response_threshold) {
                Ok(0) | Err(_) => RESPONSE_THRESHOLD_DEFAULT_NS,
                Ok(threshold) => threshold,
            };
            export.latency = match &claim.latency {
                Some(latency) => Some(Latency { sampling: latency.sampling, results: pattern(&latency.results)? }),
                None => None,
            };
            export.allow_trace = claim.allow_trace;
        }
        Ok(export)
    }
}

/// The token at a place counted from 1.
pub(super) fn token_at(subject: &Pattern, position: u32) -> Option<&[u8]> {
    let index = usize::try_from(position).ok()?.checked_sub(1)?;
    matching::tokens(subject.as_bytes()).nth(index)
}
