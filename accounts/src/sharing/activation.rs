//! Activations: whether a token lets one account import one subject of one export now.

use super::AccountSharing;
use super::import::{Import, Naming};
use crate::claims::{ClaimsError, InvalidClaims, Revocations};
use crate::reason::Reason;
use crate::subject::{Pattern, matching};

/// Why an activation does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ActivationError {
    #[error("the export demands an activation token and the import has none")]
    Missing,
    #[error("the activation cannot be read: {0}")]
    Unreadable(ClaimsError),
    #[error("the activation is invalid: {0}")]
    Invalid(InvalidClaims),
    #[error("the activation is for account `{0}`")]
    OtherImporter(String),
    #[error("the activation speaks for account `{0}`, which is not the exporter")]
    OtherExporter(String),
    #[error("the activation is signed by `{0}`, which may not sign for the exporter")]
    Signer(String),
    #[error("the activation is for a {0}")]
    Kind(&'static str),
    #[error("the activation is for `{0}`, which does not contain the imported subject")]
    Subject(String),
    #[error("the activation has expired")]
    Expired,
    #[error("the exporter revoked the activation")]
    Revoked,
}

impl ActivationError {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Missing => Reason::ImportNotAuthorized,
            Self::Expired
            | Self::Invalid(_)
            | Self::Kind(_)
            | Self::OtherExporter(_)
            | Self::OtherImporter(_)
            | Self::Revoked
            | Self::Signer(_)
            | Self::Subject(_)
            | Self::Unreadable(_) => Reason::ImportActivationInvalid,
        }
    }
}

/// Checks an import's activation against the exporter as it is now; gives its expiry, if it has one.
///
/// Importer, exporter, kind and subject are all bound by the token; each mismatch is a refusal (CVE-2021-3127).
pub(super) fn check(
    import: &Import,
    naming: &Naming,
    importer: &AccountSharing,
    exporter: &AccountSharing,
    revocations: &Revocations,
    now: i64,
) -> Result<Option<i64>, ActivationError> {
    let activation = import.activation().ok_or(ActivationError::Missing)?;
    let activation = activation.map_err(|error| ActivationError::Unreadable(error.clone()))?;
    activation.validate(now).require_valid().map_err(ActivationError::Invalid)?;
    let claim = &activation.nats;
    let importer_key = importer.name.key().map(|key| key.public());
    if importer_key != Some(activation.subject) {
        return Err(ActivationError::OtherImporter(activation.subject.to_string()));
    }
    if claim.kind != import.kind {
        return Err(ActivationError::Kind(claim.kind.name()));
    }
    let granted = Pattern::parse(&claim.subject);
    if !granted.is_ok_and(|granted| matching::contains(granted.as_bytes(), naming.remote.as_bytes())) {
        return Err(ActivationError::Subject(claim.subject.clone()));
    }
    let speaks_for = activation.exporter();
    if exporter.name.key().map(|key| key.public()) != Some(speaks_for) {
        return Err(ActivationError::OtherExporter(speaks_for.to_string()));
    }
    // Membership is asked of the exporter as it is now: a removed signing key takes its activations along. Where the
    // operator is strict that leaves the exporter's own key out, which upstream still lets sign activations.
    if !exporter.signers.contains(&activation.issuer) {
        return Err(ActivationError::Signer(activation.issuer.to_string()));
    }
    let expires = (activation.expires > 0).then_some(activation.expires);
    if expires.is_some_and(|expires| expires <= now) {
        return Err(ActivationError::Expired);
    }
    // Compared with the time of issue, never with the clock (CVE-2020-26892), in the revocations of this export only.
    if revocations.is_revoked(&activation.subject, activation.issued_at) {
        return Err(ActivationError::Revoked);
    }
    Ok(expires)
}
