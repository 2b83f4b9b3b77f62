//! Where a mirror or a sourcing stream gets its messages from.

use serde::{Deserialize, Serialize};

use super::{Moment, is_default};

/// A mirror's origin, or one of the sources of a stream (jetstream.md 2.11).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamSource {
    /// The origin's name.
    pub name: String,
    /// The first sequence wanted; 0 for the origin's first.
    #[serde(skip_serializing_if = "is_default")]
    pub opt_start_seq: u64,
    /// Messages stored since then are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_start_time: Option<Moment>,
    /// Only subjects that this matches; empty for all.
    #[serde(skip_serializing_if = "is_default")]
    pub filter_subject: String,
    /// Filters, each with what its subjects become.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_transforms: Vec<SubjectTransform>,
    /// The origin is in another account or domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalStream>,
    /// A consumer of the origin that was made for this beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<SourceConsumer>,
}

/// How an origin in another account or domain is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalStream {
    /// Stands for `$JS.API` in requests.
    pub api: String,
    /// Stands for `$JS.M` or `$JS.S` in delivery subjects; empty for the same.
    pub deliver: String,
}

/// A durable consumer of the origin, made for a mirror or a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceConsumer {
    /// Its name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Where it delivers.
    #[serde(skip_serializing_if = "is_default")]
    pub deliver_subject: String,
}

/// What subjects become (jetstream.md 2.12).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubjectTransform {
    /// The subjects meant; empty for all.
    pub src: String,
    /// What they become; for a source, empty for the same.
    pub dest: String,
}
