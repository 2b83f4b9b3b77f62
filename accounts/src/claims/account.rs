//! Accounts: a tenant's limits, signing keys, offers and imports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::revocation::Revocations;
use super::{
    Claims, Export, Import, PermissionsClaim, Scope, SigningKey, UnknownFields, User, is_default, is_false,
    optional_key,
};
use crate::key::{AccountKey, CurveKey, PublicKey, UserKey};
use crate::limits::{ConnectionLimits, Limit};

/// The statement about an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// What it takes up of others' exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
    /// What it offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
    /// Numbers.
    #[serde(default)]
    pub limits: AccountLimits,
    /// Further keys that sign users and activations in its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<SigningKey>,
    /// User JWTs taken back, by user key.
    #[serde(default, skip_serializing_if = "Revocations::is_empty")]
    pub revocations: Revocations,
    /// For users that carry no permissions of their own.
    #[serde(default)]
    pub default_permissions: PermissionsClaim,
    /// Subject mappings: source to weighted destinations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mappings: BTreeMap<String, Vec<Mapping>>,
    /// Authentication by the account's own service.
    #[serde(default)]
    pub authorization: ExternalAuthorization,
    /// Tracing by `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// Where JetStream's replication runs: empty, `system` or `owner`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_traffic: String,
    /// Prose, at most 8 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where to read more, at most 8 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub info_url: String,
    /// Free labels; `key:value` for templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

/// An account's numbers; -1 is unlimited, absent is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    /// Subscriptions of each connection.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub subs: Limit,
    /// Bytes in all; nats-server never enforces it.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub data: Limit,
    /// Bytes of one message.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub payload: Limit,
    /// Number of imports.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub imports: Limit,
    /// Number of exports.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub exports: Limit,
    /// Whether exports may have wildcards.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wildcards: bool,
    /// Whether bearer users are refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disallow_bearer: bool,
    /// Connections in the whole cluster.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub conn: Limit,
    /// Leaf node connections in the whole cluster.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub leaf: Limit,
    /// JetStream, for all replication factors together; excludes `tiered_limits`.
    #[serde(flatten)]
    pub jetstream: JetStreamLimits,
    /// JetStream by tier: `R1`, `R3`, ..
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiered_limits: BTreeMap<String, JetStreamLimits>,
}

impl AccountLimits {
    /// Everything unlimited, JetStream off: what `nsc` starts an account with.
    pub fn unlimited() -> Self {
        Self {
            subs: Limit::UNLIMITED,
            data: Limit::UNLIMITED,
            payload: Limit::UNLIMITED,
            imports: Limit::UNLIMITED,
            exports: Limit::UNLIMITED,
            wildcards: true,
            disallow_bearer: false,
            conn: Limit::UNLIMITED,
            leaf: Limit::UNLIMITED,
            jetstream: JetStreamLimits::default(),
            tiered_limits: BTreeMap::new(),
        }
    }

    /// The part that bounds each connection.
    pub fn connection(&self) -> ConnectionLimits {
        ConnectionLimits::new(self.subs, self.payload)
    }

    /// Whether the account may use JetStream at all.
    pub fn jetstream_enabled(&self) -> bool {
        self.jetstream.is_enabled() || self.tiered_limits.values().any(JetStreamLimits::is_enabled)
    }
}

/// JetStream's numbers; -1 is unlimited.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JetStreamLimits {
    /// Bytes in memory; 0 turns memory storage off.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub mem_storage: Limit,
    /// Bytes on disk; 0 turns disk storage off.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub disk_storage: Limit,
    /// Number of streams.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub streams: Limit,
    /// Number of consumers.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub consumer: Limit,
    /// Unacknowledged messages of one consumer; 0 is unlimited.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub max_ack_pending: Limit,
    /// Bytes of one stream in memory; 0 is unlimited.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub mem_max_stream_bytes: Limit,
    /// Bytes of one stream on disk; 0 is unlimited.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub disk_max_stream_bytes: Limit,
    /// Whether every stream must say its size.
    #[serde(default, skip_serializing_if = "is_false")]
    pub max_bytes_required: bool,
}

impl JetStreamLimits {
    /// Whether there is any storage.
    pub fn is_enabled(&self) -> bool {
        !self.mem_storage.is_zero() || !self.disk_storage.is_zero()
    }
}

/// One destination of a subject mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Where messages go; may use transform functions.
    pub subject: String,
    /// Percent of the messages; 0 means 100.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: u8,
    /// Only in this cluster, if not empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
}

impl Mapping {
    /// The percentage that is meant.
    pub const fn percent(&self) -> u8 {
        if self.weight == 0 { 100 } else { self.weight }
    }
}

/// Authentication by the account's own service (auth callout); on when `auth_users` has entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalAuthorization {
    /// The service's own users, who are not asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth_users: Vec<UserKey>,
    /// Account keys that the service may put users into, or `*` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_accounts: Vec<String>,
    /// The service's curve key; requests are sealed when it is there.
    #[serde(default, deserialize_with = "optional_key", skip_serializing_if = "Option::is_none")]
    pub xkey: Option<CurveKey>,
}

impl ExternalAuthorization {
    /// Whether the service may put a user into this account; its own is always allowed and not
    /// asked about here.
    pub fn allows(&self, account: &AccountKey) -> bool {
        self.allowed_accounts.iter().any(|allowed| allowed == "*" || AccountKey::parse(allowed) == Ok(*account))
    }
}

/// Tracing of messages that carry a sampled `traceparent` header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Where trace events go.
    #[serde(rename = "dest", default, skip_serializing_if = "String::is_empty")]
    pub destination: String,
    /// Percent; 0 means 100.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sampling: i64,
}

/// By what right a key signs in an account's name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Signer<'a> {
    /// It is the account's own key.
    Identity,
    /// A plain signing key.
    Plain,
    /// A scoped signing key.
    Scoped(&'a Scope),
}

impl Claims<Account> {
    /// An account without limits, JetStream off, as `nsc` starts one.
    pub fn new(subject: AccountKey) -> Self {
        let account = Account { limits: AccountLimits::unlimited(), ..Account::default() };
        Self::about(subject.public(), account)
    }

    /// The account's key.
    pub fn key(&self) -> Option<AccountKey> {
        AccountKey::try_from(self.subject).ok()
    }

    /// By what right `key` signs users, if it may at all.
    ///
    /// `strict` says that the operator demands signing keys and signed this account by one
    /// itself: then the identity may not sign, listed or not. A key that is listed both plain and scoped counts
    /// as scoped, and of two scopes the last stands (jwt `signingkeys.go`).
    pub fn signer(&self, key: &PublicKey, strict: bool) -> Option<Signer<'_>> {
        if strict && self.subject == *key {
            return None;
        }
        let listed = self.nats.signing_keys.iter().filter(|listed| listed.key() == *key);
        let mut right = None;
        for listed in listed {
            right = match (listed, right) {
                (SigningKey::Scoped(scope), _) => Some(Signer::Scoped(scope)),
                (SigningKey::Plain(_), None) => Some(Signer::Plain),
                (SigningKey::Plain(_), before) => before,
            };
        }
        right.or_else(|| (self.subject == *key).then_some(Signer::Identity))
    }

    /// Every key that signs in the account's name; see [`Self::signer`] for `strict`.
    pub fn signers(&self, strict: bool) -> impl Iterator<Item = PublicKey> {
        let identity = (!strict).then_some(self.subject);
        let listed = self.nats.signing_keys.iter().map(|key| key.key().public());
        identity.into_iter().chain(listed.filter(|key| *key != self.subject))
    }

    /// The scope of a signing key.
    pub fn scope(&self, key: &PublicKey) -> Option<&Scope> {
        match self.signer(key, false)? {
            Signer::Scoped(scope) => Some(scope),
            Signer::Identity | Signer::Plain => None,
        }
    }

    /// Whether a user's claims were taken back; claims that do not say when they were issued
    /// count as taken back.
    pub fn revokes(&self, user: &Claims<User>) -> bool {
        user.issued_at <= 0 || self.nats.revocations.is_revoked(&user.subject, user.issued_at)
    }
}
