//! What an account may do and shares, compiled: one form for accounts of JWTs and for accounts of the configuration.
//!
//! The border, the routing and the limits look at nothing else, so that a configured account is isolated, shares and
//! maps by exactly the rules of one whose claims an operator signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordon_accounts::claims::{AccountLimits, JetStreamLimits, Trace};
use cordon_accounts::limits::{ConnectionLimits, Limit};
use cordon_accounts::name::AccountName;
use cordon_accounts::sharing::AccountSharing;
use cordon_accounts::subject::Mappings;
use cordon_auth::account_record::AccountRecord;

/// The compiled terms of one account. Two are equal if nothing that they say differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The account.
    pub name: AccountName,
    /// Its exports and imports.
    pub sharing: Arc<AccountSharing>,
    /// Its subject mappings.
    pub mappings: Arc<Mappings>,
    /// What bounds each of its connections.
    pub limits: ConnectionLimits,
    /// Most connections at one time; `None` without bound.
    pub max_connections: Option<u32>,
    /// Most leaf nodes at one time; `None` without bound.
    pub max_leafnodes: Option<u32>,
    /// Where reports about messages with a sampled `traceparent` go.
    pub trace: Option<Trace>,
    /// What its streams may take; `None` if it has none.
    pub jetstream: Option<Arc<JetStreamTerms>>,
}

/// What the streams of an account may take: either one set of limits, or one for each number of replicas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JetStreamTerms {
    /// Limits of all streams together; `None` if there are tiers.
    pub flat: Option<JetStreamLimits>,
    /// Limits by tier: `R1`, `R3`, ..
    pub tiers: BTreeMap<String, JetStreamLimits>,
    /// Nobody reads of a stream what it may not subscribe to.
    pub reads_need_permission: bool,
}

/// The tag of an account whose claims ask for [`JetStreamTerms::reads_need_permission`].
pub(super) const READS_NEED_PERMISSION: &str = "cordon.reads_need_permission";

impl JetStreamTerms {
    /// Streams without bound.
    pub fn unlimited() -> Self {
        let without = Limit::UNLIMITED;
        let flat = JetStreamLimits {
            mem_storage: without,
            disk_storage: without,
            streams: without,
            consumer: without,
            max_ack_pending: without,
            mem_max_stream_bytes: without,
            disk_max_stream_bytes: without,
            max_bytes_required: false,
        };
        Self { flat: Some(flat), ..Self::default() }
    }

    /// What claims give; `None` if they give no storage.
    fn of_claims(limits: &AccountLimits, tags: &[String]) -> Option<Arc<Self>> {
        if !limits.jetstream_enabled() {
            return None;
        }
        let flat = limits.tiered_limits.is_empty().then_some(limits.jetstream);
        let reads_need_permission = tags.iter().any(|tag| tag == READS_NEED_PERMISSION);
        Some(Arc::new(Self { flat, tiers: limits.tiered_limits.clone(), reads_need_permission }))
    }
}

impl Terms {
    /// An account that shares, maps and bounds nothing.
    pub fn new(name: AccountName) -> Self {
        Self {
            sharing: Arc::new(AccountSharing::new(name.clone())),
            name,
            mappings: Arc::default(),
            limits: ConnectionLimits::UNLIMITED,
            max_connections: None,
            max_leafnodes: None,
            trace: None,
            jetstream: None,
        }
    }

    /// The terms in an account's verified claims.
    pub fn of_record(record: &AccountRecord) -> Self {
        let claims = &record.claims.nats;
        Self {
            name: record.name.clone(),
            sharing: record.sharing.clone(),
            mappings: record.mappings.clone(),
            limits: record.limits,
            max_connections: claims.limits.conn.bound(),
            max_leafnodes: claims.limits.leaf.bound(),
            trace: claims.trace.clone(),
            jetstream: JetStreamTerms::of_claims(&claims.limits, &claims.tags),
        }
    }
}
