//! Why something was not issued.

use cordon_accounts::claims::{ClaimsError, EncodeError, InvalidClaims};

use crate::broker::BrokerError;
use crate::model::Effect;
use crate::pki::PkiError;
use crate::problem::{Code, Problem};
use crate::store::{IdempotencyRow, StoreError};
use crate::vault::VaultError;

/// Why a change was not made, or how it ended early.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No broker could be asked.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The claims would not be valid.
    #[error("the claims would not be valid: {0}")]
    ClaimsInvalid(#[from] InvalidClaims),
    /// The present state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// Only the effect was wanted; this is it, and nothing was written.
    #[error("nothing was written: this was a dry run")]
    DryRun(Box<Effect>),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// The import cannot work.
    #[error("the import of `{subject}` was refused: {detail}")]
    ImportRefused {
        /// The exporter's subject.
        subject: String,
        /// A reason code.
        reason: String,
        /// Why, in words.
        detail: String,
    },
    /// A field of the request is wrong.
    #[error("`{field}`: {detail}")]
    Invalid {
        /// Which.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no such object.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What sort of object.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// The authority failed.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The object is at another version.
    #[error("the object has changed since it was read")]
    Precondition(Problem),
    /// The request was answered before.
    #[error("the request was answered before")]
    Replay(Box<IdempotencyRow>),
    /// The vault has no seed that may sign.
    #[error("{0}")]
    SeedUnavailable(String),
    /// The claims could not be signed.
    #[error("the claims could not be signed: {0}")]
    Sign(#[from] EncodeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored claims cannot be read.
    #[error("stored claims cannot be read: {0}")]
    Stored(String),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl IssueError {
    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), detail: detail.into() }
    }

    pub(crate) fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// For `map_err` on checks that say field and detail.
    pub(crate) fn at((field, detail): (impl Into<String>, String)) -> Self {
        Self::Invalid { field: field.into(), detail }
    }

    /// What the caller is told; `None` for the two ends that are no failure.
    ///
    /// # Errors
    ///
    /// The error itself when it is a dry run's effect or a repeat's answer.
    pub fn into_problem(self) -> Result<Problem, Self> {
        Ok(match self {
            Self::DryRun(_) | Self::Replay(_) => return Err(self),
            Self::Broker(error) => Problem::new(Code::BrokerUnavailable, error.to_string()),
            Self::ClaimsInvalid(error) => Problem::new(Code::ClaimsInvalid, error.to_string()),
            Self::Conflict(detail) => Problem::new(Code::Conflict, detail),
            Self::IdempotencyMismatch => Problem::new(
                Code::IdempotencyMismatch,
                "this Idempotency-Key was used for a request with another method, path or body",
            )
            .at("Idempotency-Key"),
            Self::ImportRefused { ref reason, .. } => {
                let field = match reason.as_str() {
                    "import_activation_invalid" | "import_not_authorized" => "token",
                    _ => "subject",
                };
                let detail = format!("{self} (reason `{reason}`)");
                Problem::new(Code::ImportRefused, detail).at(field)
            }
            Self::Invalid { field, detail } => Problem::invalid(field, detail),
            Self::NotFound { what, id } => Problem::not_found(what, id),
            Self::Pki(PkiError::Request { field, detail }) => Problem::invalid(field, detail),
            Self::Precondition(problem) => problem,
            Self::SeedUnavailable(detail) => Problem::new(Code::SeedUnavailable, detail),
            Self::Sign(EncodeError::TooLong { found }) => Problem::new(
                Code::ClaimsInvalid,
                format!("the claims would have {found} bytes; at most 1 MiB can be signed"),
            ),
            Self::Store(error) => store_problem(error),
            error @ (Self::Pki(_) | Self::Sign(_) | Self::Stored(_) | Self::Vault(_)) => Problem::internal(&error),
        })
    }
}

impl From<ClaimsError> for IssueError {
    fn from(error: ClaimsError) -> Self {
        Self::Stored(error.to_string())
    }
}

impl From<serde_json::Error> for IssueError {
    fn from(error: serde_json::Error) -> Self {
        Self::Stored(error.to_string())
    }
}

impl From<Problem> for IssueError {
    fn from(problem: Problem) -> Self {
        Self::Precondition(problem)
    }
}

/// One of the things that a table holds, with its article.
fn one_of(table: &str) -> String {
    let what = table.strip_suffix('s').unwrap_or(table).replace('_', " ");
    let article = if what.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {what}")
}

/// What a failure of the store means for the caller.
pub(crate) fn store_problem(error: StoreError) -> Problem {
    match error {
        StoreError::AlreadyExists { table, .. } => {
            Problem::new(Code::Conflict, format!("there is such {} already, or one of this name", one_of(table)))
                .remedy("choose another name or key, or change the one that is there")
        }
        StoreError::VersionConflict { .. } => {
            Problem::new(Code::PreconditionFailed, "the object was changed by somebody else meanwhile")
        }
        StoreError::NotFound { table, key } => {
            Problem::new(Code::NotFound, format!("there is no `{key}` among the {}", table.replace('_', " ")))
        }
        error @ (StoreError::Busy { .. } | StoreError::Database { .. } | StoreError::Open { .. }) => {
            tracing::error!(cause = %error, "the store failed");
            Problem::new(Code::StoreUnavailable, "the store did not answer")
        }
        other => Problem::internal(&other),
    }
}

#[cfg(test)]
mod tests {
    use super::one_of;

    #[test]
    fn each_kind_has_its_article() {
        for (table, said) in [
            ("accounts", "an account"),
            ("operators", "an operator"),
            ("users", "a user"),
            ("tokens", "a token"),
            ("signing_keys", "a signing key"),
            ("certificates", "a certificate"),
            ("console_sessions", "a console session"),
        ] {
            assert_eq!(one_of(table), said);
        }
    }
}
