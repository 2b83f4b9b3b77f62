//! What is asked of `/jsz`, `JSZ`, `/healthz` and `HEALTHZ` about streams.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::monitoring::query::Query;
use crate::monitoring::{Fault, absent};

/// What `/jsz` is to show; fields are those of a request's body.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JszOptions {
    /// Only this account, in detail.
    pub account: String,
    /// Details of accounts.
    pub accounts: bool,
    /// Details of their streams; accounts come with it.
    pub streams: bool,
    /// Details of the streams' consumers; streams come with it.
    #[serde(alias = "consumer")]
    pub consumers: bool,
    /// Consumers that mirrors and sources have, too.
    pub direct_consumers: bool,
    /// Configurations of what is shown.
    pub config: bool,
    /// Only where this server leads.
    pub leader_only: bool,
    /// Accounts left out at the beginning.
    pub offset: i64,
    /// Accounts shown; 1024 if 0.
    pub limit: i64,
    /// Groups of replicas; there are none.
    pub raft: bool,
    /// Only streams that this server leads: all are.
    pub stream_leader_only: bool,
}

impl JszOptions {
    /// The options in a query.
    ///
    /// # Errors
    ///
    /// [`Fault`] names the one that cannot be read.
    pub fn of_query(query: &Query) -> Result<Self, Fault> {
        Ok(Self {
            account: query.text("acc").to_owned(),
            accounts: query.switch("accounts")?,
            streams: query.switch("streams")?,
            consumers: query.switch("consumers")?,
            direct_consumers: query.switch("direct-consumers")?,
            config: query.switch("config")?,
            leader_only: query.switch("leader-only")?,
            offset: query.integer("offset")?,
            limit: query.integer("limit")?,
            raft: query.switch("raft")?,
            stream_leader_only: query.switch("stream-leader-only")?,
        })
    }
}

/// What `/healthz` looks at; fields are those of a request's body.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HealthOptions {
    /// Only whether streams are served at all.
    #[serde(alias = "js-enabled", alias = "js-enabled-only")]
    pub js_enabled_only: bool,
    /// Only the server, and no stream.
    #[serde(alias = "js-server-only")]
    pub js_server_only: bool,
    /// Only what replicas agree upon, which is nothing.
    #[serde(alias = "js-meta-only")]
    pub js_meta_only: bool,
    /// This account.
    pub account: String,
    /// This stream of it.
    pub stream: String,
    /// This consumer of that.
    pub consumer: String,
    /// Errors one by one.
    pub details: bool,
}

impl HealthOptions {
    /// The options in a query.
    ///
    /// # Errors
    ///
    /// [`Fault`] names the one that cannot be read.
    pub fn of_query(query: &Query) -> Result<Self, Fault> {
        Ok(Self {
            js_enabled_only: query.switch("js-enabled-only")? || query.switch("js-enabled")?,
            js_server_only: query.switch("js-server-only")?,
            js_meta_only: query.switch("js-meta-only")?,
            account: query.text("account").to_owned(),
            stream: query.text("stream").to_owned(),
            consumer: query.text("consumer").to_owned(),
            details: query.switch("details")?,
        })
    }
}

/// `/jsz`: what the streams say of themselves, or that there are none.
///
/// # Errors
///
/// [`Fault`] names what cannot be shown.
pub fn jsz(broker: &Broker, options: &JszOptions) -> Result<Value, Fault> {
    broker.extension().map_or_else(|| Ok(absent::jsz(broker)), |streams| streams.jsz(options))
}

/// The same of one account, in detail.
///
/// # Errors
///
/// [`Fault`] if there are no streams here, or none of this account.
pub fn of_account(broker: &Broker, options: &JszOptions, account: &str) -> Result<Value, Fault> {
    let streams = broker.extension().ok_or_else(|| Fault::new("jetstream not enabled"))?;
    streams.account(account, options)
}

/// The part of `/varz`: an empty object where there are no streams.
pub fn varz(broker: &Broker) -> Value {
    broker.extension().map_or_else(|| json!({}), |streams| streams.varz())
}
