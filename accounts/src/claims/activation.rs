//! Activations: the tokens that private exports demand.

use serde::{Deserialize, Serialize};

use super::{ExportKind, UnknownFields};
use crate::key::AccountKey;

/// The statement that an account may import a private export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// What may be imported; imports may narrow it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Stream or service.
    pub kind: ExportKind,
    /// The exporter, when one of its signing keys signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_account: Option<AccountKey>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}
