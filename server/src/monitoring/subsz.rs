//! Subscriptions: `/subsz` and `SUBSZ`.

use cordon_accounts::subject::matching;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::monitoring::{Fault, PAGE, SUBSCRIPTIONS_SHOWN, connz, text};

/// What is asked for. Field names are those of the JSON request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SubszOptions {
    /// Rows left out.
    pub offset: i64,
    /// Rows shown.
    pub limit: i64,
    /// Show the subscriptions of clients.
    pub subscriptions: bool,
    /// Of this account.
    pub account: String,
    /// Matching this literal subject.
    pub test: String,
}

/// The subscriptions that `options` ask for.
///
/// # Errors
///
/// [`Fault`] if `test` is not a literal subject.
pub fn subsz(broker: &Broker, options: &SubszOptions, only: Option<&str>) -> Result<Value, Fault> {
    let test = options.test.as_bytes();
    if !test.is_empty() && (!matching::is_literal(test) || !matching::is_publishable(test)) {
        return Err(Fault::new("invalid test subject, must be a literal subject"));
    }
    let account = only.or(Some(options.account.as_str()).filter(|account| !account.is_empty()));
    let asked = |name: &str| account.is_none_or(|account| account == name);
    let count: usize = broker
        .tenants
        .all()
        .iter()
        .filter(|tenant| asked(tenant.name.as_str()))
        .map(|tenant| tenant.interest.len())
        .sum();
    let offset = usize::try_from(options.offset).unwrap_or(0);
    let limit = usize::try_from(options.limit).ok().filter(|limit| *limit > 0).unwrap_or(PAGE).min(SUBSCRIPTIONS_SHOWN);
    let mut total = 0;
    let mut shown = Vec::new();
    if options.subscriptions || !test.is_empty() {
        for connection in broker.connections.open() {
            let name = connection.tenant().name.to_string();
            if !asked(&name) {
                continue;
            }
            for subscription in connection.subscription_list() {
                if !test.is_empty() && !matching::matches(subscription.subject(), test) {
                    continue;
                }
                total += 1;
                if total > offset && shown.len() < limit {
                    shown.push(connz::detail(&subscription, &name, connection.cid));
                }
            }
        }
    }
    Ok(json!({
        "server_id": &*broker.id,
        "now": text::rfc3339(broker.clock.unix_nanos()),
        "num_subscriptions": count,
        "num_cache": 0,
        "num_inserts": 0,
        "num_removes": 0,
        "num_matches": 0,
        "cache_hit_rate": 0.0,
        "max_fanout": 0,
        "avg_fanout": 0.0,
        "total": total,
        "offset": offset,
        "limit": limit,
        "subscriptions_list": shown,
    }))
}
