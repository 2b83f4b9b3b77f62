//! Activations: the tokens that private exports demand.

use serde::{Deserialize, Serialize};

use super::envelope::{Claims, Kind};
use super::{ExportKind, UnknownFields, Validation, check, optional_key};
use crate::key::{AccountKey, PublicKey, Role};

/// The statement that an account may import a private export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// What may be imported; imports may narrow it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Stream or service.
    pub kind: ExportKind,
    /// The exporter, when one of its signing keys signs.
    #[serde(default, deserialize_with = "optional_key", skip_serializing_if = "Option::is_none")]
    pub issuer_account: Option<AccountKey>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

impl Kind for Activation {
    const NAME: Option<&'static str> = Some("activation");
    const SUBJECT: &'static [Role] = &[Role::Account];
    const ISSUER: &'static [Role] = &[Role::Account, Role::Operator];

    fn validate(claims: &Claims<Self>, found: &mut Validation) {
        check::pattern("`subject`", &claims.nats.subject, found);
    }

    /// Version 1 calls the kind of import `type`, and had limits that nobody enforced.
    fn migrate(nats: &mut UnknownFields) {
        for name in ["kind", "max", "payload", "src", "times"] {
            nats.remove(name);
        }
        if let Some(kind) = nats.remove("type") {
            nats.insert("kind".to_owned(), kind);
        }
    }
}

impl Claims<Activation> {
    /// Lets `importer` import `subject`.
    pub fn new(importer: AccountKey, kind: ExportKind, subject: impl Into<String>) -> Self {
        Self::about(
            importer.public(),
            Activation {
                subject: subject.into(),
                kind,
                issuer_account: None,
                tags: Vec::new(),
                unknown: UnknownFields::new(),
            },
        )
    }

    /// The exporter that the token speaks for; whether its signer may do so is another question.
    pub fn exporter(&self) -> PublicKey {
        self.nats.issuer_account.map_or(self.issuer, |account| account.public())
    }
}
