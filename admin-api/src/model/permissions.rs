//! Permissions, as the API writes them.

use cordon_accounts::claims::{PermissionsClaim, ResponseClaim, SubjectsClaim};
use cordon_accounts::share::words::Words;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
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
    /// What is allowed of streams, buckets and object stores, in words: `stream ORDERS: consume eu.>`. Added to the lists
    /// as subjects; answers show those.
    #[serde(skip_serializing)]
    #[schema(value_type = Vec<String>)]
    pub words: InWords,
}

/// Words that mean something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InWords(Words);

impl<'de> Deserialize<'de> for InWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<String>::deserialize(deserializer)?;
        Words::parse(&list).map(Self).map_err(D::Error::custom)
    }
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
            words: InWords::default(),
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
        let mut claim = Self {
            publish: SubjectsClaim { allow: view.publish.allow.clone(), deny: view.publish.deny.clone() },
            subscribe: SubjectsClaim { allow: view.subscribe.allow.clone(), deny: view.subscribe.deny.clone() },
            response: view.response.map(|response| ResponseClaim {
                max: response.max,
                ttl: if response.ttl_ms < 0 { -1 } else { response.ttl_ms.saturating_mul(NANOS_PER_MILLI) },
            }),
        };
        view.words.0.allow(&mut claim.publish, &mut claim.subscribe);
        claim
    }
}

impl From<&SubjectsClaim> for Subjects {
    fn from(claim: &SubjectsClaim) -> Self {
        Self { allow: claim.allow.clone(), deny: claim.deny.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_subjects_beside_those_that_are_listed() {
        let given: Permissions = serde_json::from_str(
            r#"{"publish":{"allow":["own.>"]},"words":["bucket CONFIG: read","stream ORDERS: publish orders.>"]}"#,
        )
        .unwrap();
        let claim = PermissionsClaim::from(&given);
        for subject in ["own.>", "orders.>", "$JS.API.DIRECT.GET.KV_CONFIG.>"] {
            assert!(claim.publish.allow.iter().any(|one| one == subject), "{subject}: {:?}", claim.publish);
        }
        assert!(claim.subscribe.allow.contains(&"$KV.CONFIG.>".to_owned()));
        let shown = serde_json::to_value(Permissions::from(&claim)).unwrap();
        assert_eq!(shown.get("words"), None);
    }

    #[test]
    fn words_that_mean_nothing_are_an_error_that_names_them() {
        for words in [r#"["bucket CONFIG: eat"]"#, r#"["stream ORDERS"]"#, "[3]", r#""stream ORDERS: consume""#] {
            let text = format!(r#"{{"words":{words}}}"#);
            assert!(serde_json::from_str::<Permissions>(&text).is_err(), "{words}");
        }
        let error = serde_json::from_str::<Permissions>(r#"{"words":["bucket CONFIG: eat"]}"#).unwrap_err().to_string();
        assert!(error.contains("`bucket CONFIG: eat`") && error.contains("`read`, `write`, `manage`"), "{error}");
    }
}
