//! Shares: a stream, a bucket or an object store that one account lets another have.

use cordon_accounts::key::AccountKey;
use cordon_accounts::share::{Offer, ShareError, ShareId, Shared};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Time};

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareKind {
    /// A key-value bucket.
    Bucket,
    /// An object store.
    Objects,
    /// A stream.
    Stream,
}

/// What the importer may do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareMode {
    /// Read it, by consumers of its own.
    #[default]
    ReadOnly,
    /// Have messages stored, too.
    ReadWrite,
}

/// Whether the importer uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareState {
    /// The importer uses it.
    Accepted,
    /// The importer has not taken it up.
    #[default]
    Offered,
}

/// What the account that offers it keeps of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivenShare {
    pub(crate) id: String,
    pub(crate) importer: AccountKey,
    pub(crate) kind: ShareKind,
    pub(crate) name: String,
    pub(crate) mode: ShareMode,
    #[serde(default)]
    pub(crate) subjects: Vec<String>,
    #[serde(default)]
    pub(crate) write_subjects: Vec<String>,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) offered_at: i64,
    #[serde(default)]
    pub(crate) expires_at: Option<i64>,
}

impl GivenShare {
    /// The offer that it stands for.
    pub(crate) fn offer(&self) -> Result<Offer, ShareError> {
        let id = ShareId::parse(&self.id).ok_or_else(|| ShareError::Name(self.id.clone()))?;
        let shared = match self.kind {
            ShareKind::Bucket => Shared::Bucket(self.name.clone()),
            ShareKind::Objects => Shared::Objects(self.name.clone()),
            ShareKind::Stream => Shared::Stream(self.name.clone()),
        };
        Offer::new(id, shared, self.mode == ShareMode::ReadWrite, &self.subjects, &self.write_subjects)
    }
}

/// What the account that uses it keeps of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TakenShare {
    pub(crate) id: String,
    pub(crate) exporter: AccountKey,
    pub(crate) prefix: String,
    pub(crate) inbox: String,
    pub(crate) accepted_at: i64,
}

/// A share.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Share {
    /// Its name in subjects.
    pub id: String,
    /// The account whose stream it is.
    pub exporter: String,
    /// The account that may have it.
    pub importer: String,
    /// What is shared.
    pub kind: ShareKind,
    /// Its name.
    pub name: String,
    /// What the importer may do with it.
    pub mode: ShareMode,
    /// The subjects or keys that it is narrowed to; all when empty.
    pub subjects: Vec<String>,
    /// The subjects or keys that may be written, if they are others.
    pub write_subjects: Vec<String>,
    /// For people.
    pub description: String,
    /// Whether the importer uses it.
    pub state: ShareState,
    /// What clients of the importer call the API: their `prefix`.
    pub prefix: Option<String>,
    /// What inboxes of the importer's clients begin with.
    pub inbox: Option<String>,
    /// When it was offered.
    pub offered_at: Time,
    /// When it was taken up.
    pub accepted_at: Option<Time>,
    /// When it ends; null for never.
    pub expires_at: Option<Time>,
    /// Whose list it is in, for the location.
    #[serde(skip)]
    pub account: String,
    /// Version of that account: the ETag.
    #[serde(skip)]
    pub account_version: i64,
}

impl Share {
    /// As both sides know it; `account` is the one that asks, at its version.
    pub(crate) fn of(
        given: &GivenShare,
        taken: Option<&TakenShare>,
        exporter: &AccountKey,
        (account, account_version): (&AccountKey, i64),
    ) -> Self {
        Self {
            id: given.id.clone(),
            exporter: exporter.to_string(),
            importer: given.importer.to_string(),
            kind: given.kind,
            name: given.name.clone(),
            mode: given.mode,
            subjects: given.subjects.clone(),
            write_subjects: given.write_subjects.clone(),
            description: given.description.clone(),
            state: if taken.is_some() { ShareState::Accepted } else { ShareState::Offered },
            prefix: taken.map(|taken| taken.prefix.clone()),
            inbox: taken.map(|taken| taken.inbox.clone()),
            offered_at: Time(given.offered_at),
            accepted_at: taken.map(|taken| Time(taken.accepted_at)),
            expires_at: given.expires_at.map(Time),
            account: account.to_string(),
            account_version,
        }
    }
}

impl Answer for Share {
    fn version(&self) -> Option<i64> {
        Some(self.account_version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("accounts/{}/shares/{}", self.account, self.id))
    }
}

/// A share to be offered.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShare {
    /// The account that may have it.
    #[schema(value_type = String)]
    pub importer: AccountKey,
    /// What is shared.
    pub kind: ShareKind,
    /// Its name.
    pub name: String,
    /// What the importer may do with it.
    #[serde(default)]
    pub mode: ShareMode,
    /// Patterns of subjects of a stream, or of keys of a bucket, to narrow it to; all when empty.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// What may be written, if it is not `subjects`; a stream that may be written to without `subjects` needs it.
    #[serde(default)]
    pub write_subjects: Vec<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// When it ends.
    #[serde(default)]
    pub expires_at: Option<Time>,
    /// In how many seconds it ends; instead of `expires_at`.
    #[serde(default)]
    pub expires_in_seconds: Option<i64>,
    /// Takes it up for the importer at once; the caller needs the right to change that account, too.
    #[serde(default)]
    pub accept: Option<Acceptance>,
}

/// How the importer calls what it takes up.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Acceptance {
    /// What its clients call the API; `$JS.<name>.API` when absent.
    pub prefix: Option<String>,
    /// What inboxes of its clients begin with; `_INBOX` when absent.
    pub inbox: Option<String>,
}
