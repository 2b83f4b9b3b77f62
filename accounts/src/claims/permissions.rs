//! Permissions as claims write them; `crate::permissions` compiles them.

use serde::{Deserialize, Serialize};

use super::is_default;

/// What may be published and subscribed to.
///
/// Empty allow lists allow everything that is not denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionsClaim {
    /// Subjects to publish to.
    #[serde(rename = "pub", default)]
    pub publish: SubjectsClaim,
    /// Subjects, each with a queue group if need be, to subscribe to.
    #[serde(rename = "sub", default)]
    pub subscribe: SubjectsClaim,
    /// Leave to answer requests on their reply subjects.
    #[serde(rename = "resp", default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseClaim>,
}

impl PermissionsClaim {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        is_default(self)
    }
}

/// Two lists of patterns; a deny beats every allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectsClaim {
    /// What is allowed; everything when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// What is denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// Leave to answer requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseClaim {
    /// Answers to one request; 0 means 1, negative any number.
    #[serde(default)]
    pub max: i64,
    /// Nanoseconds after which a reply subject closes; 0 means two minutes, negative never.
    #[serde(default)]
    pub ttl: i64,
}
