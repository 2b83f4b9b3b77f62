//! Operators: the roots of trust.

use cordon_accounts::key::AccountKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, SigningKey, Time, nullable};

/// An operator as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Operator {
    /// The operator key.
    pub key: String,
    /// Its name; unique.
    pub name: String,
    /// What of its keys the vault holds: `identity` or `signing_key`.
    pub custody: String,
    /// The account that brokers are managed through.
    pub system_account: Option<String>,
    /// Whether identity keys may not sign, here and one level down.
    pub strict_signing_key_usage: bool,
    /// Keys that sign accounts in its name.
    pub signing_keys: Vec<SigningKey>,
    /// Where tools push and pull account JWTs.
    pub account_server_url: String,
    /// Where clients connect.
    pub service_urls: Vec<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// Its claims, signed: what brokers are configured with.
    pub jwt: String,
    /// Counts changes.
    pub version: i64,
    /// When it was made or brought.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl Answer for Operator {
    fn version(&self) -> Option<i64> {
        Some(self.version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("operators/{}", self.key))
    }
}

/// An operator to be made or brought.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    /// Its name; unique. For an import the name in its JWT when absent.
    #[serde(default)]
    pub name: String,
    /// Whether identity keys may not sign, here and one level down.
    #[serde(default)]
    pub strict_signing_key_usage: bool,
    /// Whether a signing key is made at once; true when absent.
    #[serde(default = "yes")]
    pub signing_key: bool,
    /// Whether a system account is made at once; true when absent.
    #[serde(default = "yes")]
    pub system_account: bool,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Keys and claims that exist already.
    #[serde(default)]
    pub import: Option<OperatorImport>,
}

fn yes() -> bool {
    true
}

impl Default for NewOperator {
    fn default() -> Self {
        Self {
            name: String::new(),
            strict_signing_key_usage: false,
            signing_key: true,
            system_account: true,
            tags: Vec::new(),
            import: None,
        }
    }
}

/// Keys and claims of an operator that was made elsewhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorImport {
    /// Its JWT; needed with `signing_seed`.
    #[serde(default)]
    pub jwt: Option<String>,
    /// The seed of its identity, `SO..`.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    pub identity_seed: Option<SeedText>,
    /// The seed of one of its signing keys, `SO..`; the identity stays offline.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    pub signing_seed: Option<SeedText>,
}

/// A seed in a request: wiped from memory when dropped, and never shown.
pub struct SeedText(pub zeroize::Zeroizing<String>);

impl<'de> Deserialize<'de> for SeedText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(zeroize::Zeroizing::new(text)))
    }
}

impl std::fmt::Debug for SeedText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SeedText")
    }
}

impl std::fmt::Debug for NewOperator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NewOperator").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OperatorImport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OperatorImport")
    }
}

/// A change of an operator: what is absent stays.
///
/// An operator whose identity is offline takes `jwt` alone: its claims are signed elsewhere.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorPatch {
    /// Its name.
    pub name: Option<String>,
    /// Where tools push and pull account JWTs.
    pub account_server_url: Option<String>,
    /// Where clients connect.
    pub service_urls: Option<Vec<String>>,
    /// The account that brokers are managed through; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub system_account: Option<Option<AccountKey>>,
    /// Whether identity keys may not sign, here and one level down.
    pub strict_signing_key_usage: Option<bool>,
    /// Free labels.
    pub tags: Option<Vec<String>>,
    /// Newer claims that were signed elsewhere.
    pub jwt: Option<String>,
}
