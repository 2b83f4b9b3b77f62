//! Imports: what an account takes up of others' exports.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{ExportKind, is_false};
use crate::key::AccountKey;

/// The acceptance of one export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// A name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The exporter's subject; for a service with the legacy `to`, the importer's.
    pub subject: String,
    /// The exporter.
    pub account: AccountKey,
    /// The activation that a private export demands.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// Deprecated: a literal prefix for streams, the exporter's subject for services.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// The importer's subject; `$n` stands for the n-th `*` of `subject`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub local_subject: String,
    /// Stream or service.
    #[serde(rename = "type")]
    pub kind: ExportKind,
    /// Whether the exporter sees who asks; services only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub share: bool,
    /// Whether message traces go on inside; streams only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_trace: bool,
}

impl Import {
    /// The import of a public export under its own subject.
    pub fn new(kind: ExportKind, account: AccountKey, subject: impl Into<String>) -> Self {
        Self {
            name: String::new(),
            subject: subject.into(),
            account,
            token: String::new(),
            to: String::new(),
            local_subject: String::new(),
            kind,
            share: false,
            allow_trace: false,
        }
    }

    /// The subject in the exporter's space.
    pub fn remote(&self) -> &str {
        if self.kind == ExportKind::Service && !self.to.is_empty() { &self.to } else { &self.subject }
    }

    /// The subject in the importer's space; may hold `$n`.
    pub fn local(&self) -> Cow<'_, str> {
        if !self.local_subject.is_empty() {
            Cow::Borrowed(&self.local_subject)
        } else if self.kind == ExportKind::Stream && !self.to.is_empty() {
            Cow::Owned(format!("{}.{}", self.to.trim_end_matches('.'), self.subject))
        } else {
            Cow::Borrowed(&self.subject)
        }
    }
}
