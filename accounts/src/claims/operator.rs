//! Operators: the roots of trust.

use serde::{Deserialize, Serialize};

use super::{UnknownFields, is_false};
use crate::key::{AccountKey, OperatorKey};

/// The statement about an operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// Further keys that sign accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<OperatorKey>,
    /// Where tools push and pull account JWTs: http(s), nats, tls, ws or wss.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account_server_url: String,
    /// Where clients connect: nats, tls, ws or wss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_service_urls: Vec<String>,
    /// The system account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_account: Option<AccountKey>,
    /// Servers older than this refuse to start: `x.y.z`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub assert_server_version: String,
    /// Whether identity keys may not sign, here and one level down.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict_signing_key_usage: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}
