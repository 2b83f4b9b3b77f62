//! Permissions, as the API writes them.

use cordon_accounts::claims::{PermissionsClaim, ResponseClaim, SubjectsClaim};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const NANOS_PER_MILLI: i64 = 1_000_000;

/// What may be published and subscribed to. A deny beats every allow; an empty allow list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Subjects to publish to.
    pub publish: Subjects,
    /// Subjects to subscribe to; `subject queue` names a queue group too.
    pub subscribe: Subjects,
    /// Leave to answer requests on their reply subjects.
    pub response: Option<Response>,
}

/// Two lists of patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Subjects {
    /// What is allowed; all when empty.
    pub allow: Vec<String>,
    /// What is denied.
    pub deny: Vec<String>,
}

/// Leave to answer requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Answers to one request; 1 when absent, -1 for any number.
    #[serde(default = "one")]
    pub max: i64,
    /// Milliseconds after which a reply subject closes; 0 for two minutes, -1 for never.
    #[serde(default)]
    pub ttl_ms: i64,
}

fn one() -> i64 {
    1
}

impl From<&PermissionsClaim> for Permissions {
    fn from(claim: &PermissionsClaim) -> Self {
        Self {
            publish: Subjects::from(&claim.publish),
            subscribe: Subjects::from(&claim.subscribe),
            response: claim.response.map(|response| Response {
                max: response.max,
                ttl_ms: if response.ttl < 0 { -1 } else { response.ttl / NANOS_PER_MILLI },
            }),
        }
    }
}

impl From<&Permissions> for PermissionsClaim {
    fn from(view: &Permissions) -> Self {
        Self {
            publish: SubjectsClaim { allow: view.publish.allow.clone(), deny: view.publish.deny.clone() },
            subscribe: SubjectsClaim { allow: view.subscribe.allow.clone(), deny: view.subscribe.deny.clone() },
            response: view.response.map(|response| ResponseClaim {
                max: response.max,
                ttl: if response.ttl_ms < 0 { -1 } else { response.ttl_ms.saturating_mul(NANOS_PER_MILLI) },
            }),
        }
    }
}

impl From<&SubjectsClaim> for Subjects {
    fn from(claim: &SubjectsClaim) -> Self {
        Self { allow: claim.allow.clone(), deny: claim.deny.clone() }
    }
}
