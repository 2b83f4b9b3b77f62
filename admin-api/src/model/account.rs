//! Accounts: the tenants.

use std::collections::BTreeMap;

use cordon_accounts::claims;
use cordon_accounts::key::AccountKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Export, Import, Limits, Permissions, Revocation, SigningKey, Time, nullable};

/// An account as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Account {
    /// The account key.
    pub key: String,
    /// The operator that signs it.
    pub operator: String,
    /// Its name; unique with its operator.
    pub name: String,
    /// `active`, `suspended` or `deleted`.
    pub state: String,
    /// Whether brokers are managed through it.
    pub is_system: bool,
    /// What of its keys the vault holds: `identity`, `signing_key` or `none`.
    pub custody: String,
    /// Prose.
    pub description: String,
    /// Where to read more.
    pub info_url: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// For users without permissions of their own.
    pub default_permissions: Option<Permissions>,
    /// Subject mappings: source to weighted destinations.
    pub mappings: BTreeMap<String, Vec<Mapping>>,
    /// Keys that sign users in its name.
    pub signing_keys: Vec<SigningKey>,
    /// What it offers.
    pub exports: Vec<Export>,
    /// What it takes up.
    pub imports: Vec<Import>,
    /// Whose JWTs were taken back.
    pub revocations: Vec<Revocation>,
    /// Its claims as brokers get them, signed.
    pub jwt: String,
    /// The `jti` of these claims.
    pub jti: String,
    /// When they expire; null for never.
    pub expires_at: Option<Time>,
    /// Whether brokers have them.
    pub push: PushView,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl Answer for Account {
    fn version(&self) -> Option<i64> {
        Some(self.version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("accounts/{}", self.key))
    }
}

/// Whether brokers have the current claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushView {
    /// Every known broker took them.
    Confirmed,
    /// A broker refused them; they are tried again. See the brokers route.
    Failed,
    /// Nothing was ever pushed.
    None,
    /// On the way.
    Pending,
}

/// One destination of a subject mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Where messages go; may use transform functions.
    pub subject: String,
    /// Percent of the messages, 1 to 100; 100 when absent.
    #[serde(default = "hundred")]
    #[schema(minimum = 1, maximum = 100)]
    pub weight: u8,
    /// Only in this cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
}

fn hundred() -> u8 {
    100
}

/// The mappings of a claim.
pub(crate) fn mappings_to_claim(view: &BTreeMap<String, Vec<Mapping>>) -> BTreeMap<String, Vec<claims::Mapping>> {
    let one = |mapping: &Mapping| claims::Mapping {
        subject: mapping.subject.clone(),
        weight: mapping.weight,
        cluster: mapping.cluster.clone(),
    };
    view.iter().map(|(source, all)| (source.clone(), all.iter().map(one).collect())).collect()
}

/// The mappings of the API.
pub(crate) fn mappings_to_view(claim: &BTreeMap<String, Vec<claims::Mapping>>) -> BTreeMap<String, Vec<Mapping>> {
    let one = |mapping: &claims::Mapping| Mapping {
        subject: mapping.subject.clone(),
        weight: mapping.percent(),
        cluster: mapping.cluster.clone(),
    };
    claim.iter().map(|(source, all)| (source.clone(), all.iter().map(one).collect())).collect()
}

/// An account to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewAccount {
    /// The operator that signs it, by key or name; may be left out when there is one only.
    pub operator: Option<String>,
    /// Its name; unique with its operator.
    pub name: String,
    /// The account key, when the tenant keeps the seed; without it a key is generated into the vault.
    #[schema(value_type = Option<String>)]
    pub key: Option<AccountKey>,
    /// Prose.
    pub description: String,
    /// Where to read more.
    pub info_url: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// What it may use; unlimited without JetStream when absent.
    pub limits: Option<Limits>,
    /// For users without permissions of their own.
    pub default_permissions: Option<Permissions>,
    /// Subject mappings.
    pub mappings: BTreeMap<String, Vec<Mapping>>,
    /// Whether a signing key is made for its users. When absent: only where the identity cannot sign.
    pub signing_key: Option<bool>,
    /// When its claims expire; never when absent.
    pub expires_at: Option<Time>,
}

/// A change of an account: what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountPatch {
    /// Its name.
    pub name: Option<String>,
    /// Prose.
    pub description: Option<String>,
    /// Where to read more.
    pub info_url: Option<String>,
    /// Free labels.
    pub tags: Option<Vec<String>>,
    /// For users without permissions of their own; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<Permissions>)]
    pub default_permissions: Option<Option<Permissions>>,
    /// Subject mappings, all of them.
    pub mappings: Option<BTreeMap<String, Vec<Mapping>>>,
    /// When its claims expire; null for never.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<Time>)]
    pub expires_at: Option<Option<Time>>,
}
