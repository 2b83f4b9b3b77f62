//! Limits, as the API writes them: `null` is no limit, zero is none at all.

use std::collections::BTreeMap;

use cordon_accounts::claims::{self, AccountLimits, JetStreamLimits};
use cordon_accounts::limits::Limit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account may use. Every number absent or null is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections in the whole cluster.
    #[schema(minimum = 0)]
    pub connections: Option<i64>,
    /// Leaf node connections in the whole cluster.
    #[schema(minimum = 0)]
    pub leaf_nodes: Option<i64>,
    /// Subscriptions of *each connection*.
    #[schema(minimum = 0)]
    pub subscriptions: Option<i64>,
    /// Bytes of one message.
    #[schema(minimum = 0)]
    pub payload_bytes: Option<i64>,
    /// Bytes in all; brokers do not enforce it.
    #[schema(minimum = 0)]
    pub data_bytes: Option<i64>,
    /// Number of imports.
    #[schema(minimum = 0)]
    pub imports: Option<i64>,
    /// Number of exports.
    #[schema(minimum = 0)]
    pub exports: Option<i64>,
    /// Whether exports may have wildcards; true when absent.
    #[serde(default = "yes")]
    pub wildcard_exports: bool,
    /// Whether bearer users are refused.
    pub disallow_bearer: bool,
    /// JetStream for all replication factors together; null is off.
    pub jetstream: Option<JetStream>,
    /// JetStream by tier (`R1`, `R3`, ..); excludes `jetstream`.
    pub jetstream_tiers: BTreeMap<String, JetStream>,
}

/// What an account may use of JetStream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JetStream {
    /// Bytes in memory; 0 turns memory storage off.
    pub memory_bytes: Option<i64>,
    /// Bytes on disk; 0 turns disk storage off.
    pub disk_bytes: Option<i64>,
    /// Number of streams.
    pub streams: Option<i64>,
    /// Number of consumers.
    pub consumers: Option<i64>,
    /// Unacknowledged messages of one consumer.
    pub max_ack_pending: Option<i64>,
    /// Bytes of one stream in memory.
    pub memory_stream_bytes: Option<i64>,
    /// Bytes of one stream on disk.
    pub disk_stream_bytes: Option<i64>,
    /// Whether every stream must say its size.
    pub stream_bytes_required: bool,
}

/// What one user's connection may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserLimits {
    /// Subscriptions.
    #[schema(minimum = 0)]
    pub subscriptions: Option<i64>,
    /// Bytes of one message.
    #[schema(minimum = 0)]
    pub payload_bytes: Option<i64>,
    /// Bytes in all; brokers do not enforce it.
    #[schema(minimum = 0)]
    pub data_bytes: Option<i64>,
}

fn yes() -> bool {
    true
}

/// A limit of a claim from a number of the API; a negative number is named.
fn claim(field: &str, number: Option<i64>) -> Result<Limit, (String, String)> {
    match number {
        None => Ok(Limit::UNLIMITED),
        Some(number) if number >= 0 => Ok(Limit(number)),
        Some(number) => {
            Err((field.to_owned(), format!("`{number}` is negative; leave the field out, or send null, for no limit")))
        }
    }
}

/// A number of the API from a limit of a claim.
fn view(limit: Limit) -> Option<i64> {
    (!limit.is_unlimited()).then_some(limit.0.max(0))
}

/// Like [`view`], for limits of which zero is unlimited too.
fn view_zero_unlimited(limit: Limit) -> Option<i64> {
    view(limit).filter(|number| *number != 0)
}

impl Limits {
    /// Everything unlimited, JetStream off.
    pub fn unlimited() -> Self {
        Self::from(&AccountLimits::unlimited())
    }

    /// The limits of a claim.
    ///
    /// # Errors
    ///
    /// The field and what is wrong with it.
    pub fn to_claim(&self) -> Result<AccountLimits, (String, String)> {
        if self.jetstream.is_some() && !self.jetstream_tiers.is_empty() {
            return Err(("jetstream_tiers".to_owned(), "give `jetstream` or `jetstream_tiers`, not both".to_owned()));
        }
        let mut tiered_limits = BTreeMap::new();
        for (tier, limits) in &self.jetstream_tiers {
            if tier.is_empty() || tier.len() > 32 || !tier.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(("jetstream_tiers".to_owned(), "a tier is named like `R1` or `R3`".to_owned()));
            }
            tiered_limits.insert(tier.clone(), limits.to_claim(&format!("jetstream_tiers.{tier}"))?);
        }
        Ok(AccountLimits {
            subs: claim("subscriptions", self.subscriptions)?,
            data: claim("data_bytes", self.data_bytes)?,
            payload: claim("payload_bytes", self.payload_bytes)?,
            imports: claim("imports", self.imports)?,
            exports: claim("exports", self.exports)?,
            wildcards: self.wildcard_exports,
            disallow_bearer: self.disallow_bearer,
            conn: claim("connections", self.connections)?,
            leaf: claim("leaf_nodes", self.leaf_nodes)?,
            jetstream: self.jetstream.map_or(Ok(JetStreamLimits::default()), |limits| limits.to_claim("jetstream"))?,
            tiered_limits,
        })
    }
}

impl From<&AccountLimits> for Limits {
    fn from(claim: &AccountLimits) -> Self {
        let flat = claim.jetstream != JetStreamLimits::default();
        Self {
            connections: view(claim.conn),
            leaf_nodes: view(claim.leaf),
            subscriptions: view(claim.subs),
            payload_bytes: view(claim.payload),
            data_bytes: view(claim.data),
            imports: view(claim.imports),
            exports: view(claim.exports),
            wildcard_exports: claim.wildcards,
            disallow_bearer: claim.disallow_bearer,
            jetstream: flat.then(|| JetStream::from(&claim.jetstream)),
            jetstream_tiers: claim
                .tiered_limits
                .iter()
                .map(|(tier, limits)| (tier.clone(), JetStream::from(limits)))
                .collect(),
        }
    }
}

impl JetStream {
    fn to_claim(self, at: &str) -> Result<JetStreamLimits, (String, String)> {
        let claim = |field: &str, number| claim(&format!("{at}.{field}"), number);
        Ok(JetStreamLimits {
            mem_storage: claim("memory_bytes", self.memory_bytes)?,
            disk_storage: claim("disk_bytes", self.disk_bytes)?,
            streams: claim("streams", self.streams)?,
            consumer: claim("consumers", self.consumers)?,
            max_ack_pending: claim("max_ack_pending", self.max_ack_pending)?,
            mem_max_stream_bytes: claim("memory_stream_bytes", self.memory_stream_bytes)?,
            disk_max_stream_bytes: claim("disk_stream_bytes", self.disk_stream_bytes)?,
            max_bytes_required: self.stream_bytes_required,
        })
    }
}

impl From<&JetStreamLimits> for JetStream {
    fn from(claim: &JetStreamLimits) -> Self {
        Self {
            memory_bytes: view(claim.mem_storage),
            disk_bytes: view(claim.disk_storage),
            streams: view(claim.streams),
            consumers: view(claim.consumer),
            max_ack_pending: view_zero_unlimited(claim.max_ack_pending),
            memory_stream_bytes: view_zero_unlimited(claim.mem_max_stream_bytes),
            disk_stream_bytes: view_zero_unlimited(claim.disk_max_stream_bytes),
            stream_bytes_required: claim.max_bytes_required,
        }
    }
}

impl UserLimits {
    /// The limits of a claim.
    ///
    /// # Errors
    ///
    /// The field and what is wrong with it.
    pub fn to_claim(self) -> Result<claims::UserLimits, (String, String)> {
        Ok(claims::UserLimits {
            subs: claim("limits.subscriptions", self.subscriptions)?,
            data: claim("limits.data_bytes", self.data_bytes)?,
            payload: claim("limits.payload_bytes", self.payload_bytes)?,
        })
    }
}

impl From<&claims::UserLimits> for UserLimits {
    fn from(claim: &claims::UserLimits) -> Self {
        Self { subscriptions: view(claim.subs), payload_bytes: view(claim.payload), data_bytes: view(claim.data) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_the_way_into_a_claim_and_back() {
        let limits: Limits = serde_json::from_str(
            r#"{"connections":5,"payload_bytes":0,"disallow_bearer":true,"jetstream":{"disk_bytes":100,"memory_bytes":0}}"#,
        )
        .unwrap();
        let claim = limits.to_claim().unwrap();
        assert_eq!((claim.conn, claim.payload, claim.subs), (Limit(5), Limit(0), Limit::UNLIMITED));
        assert!(claim.wildcards);
        assert_eq!(Limits::from(&claim), limits);
    }

    #[test]
    fn an_empty_body_is_unlimited_without_jetstream() {
        let limits: Limits = serde_json::from_str("{}").unwrap();
        assert_eq!(limits.to_claim().unwrap(), AccountLimits::unlimited());
        assert_eq!(Limits::unlimited(), limits);
    }

    #[test]
    fn bad_limits_are_named() {
        for (body, field) in [
            (r#"{"connections":-1}"#, "connections"),
            (r#"{"jetstream":{"streams":-7}}"#, "jetstream.streams"),
            (r#"{"jetstream":{},"jetstream_tiers":{"R1":{}}}"#, "jetstream_tiers"),
            (r#"{"jetstream_tiers":{"":{}}}"#, "jetstream_tiers"),
            (r#"{"jetstream_tiers":{"R1":{"disk_bytes":-2}}}"#, "jetstream_tiers.R1.disk_bytes"),
        ] {
            let limits: Limits = serde_json::from_str(body).unwrap();
            assert_eq!(limits.to_claim().unwrap_err().0, field, "{body}");
        }
    }
}
