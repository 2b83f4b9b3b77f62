//! Leaf nodes: `/leafz`, `LEAFZ`, and the `leaf` block of `/varz`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::connection::Connection;
use crate::leaf::state::Leaf;
use crate::monitoring::{SUBSCRIPTIONS_SHOWN, text};

/// What is asked for. Field names are those of the JSON request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LeafzOptions {
    /// Show subjects of their interest.
    pub subscriptions: bool,
    /// Of this account.
    pub account: String,
}

/// The leaf nodes that `options` ask for, of the account `only` if there is one.
pub fn leafz(broker: &Broker, options: &LeafzOptions, only: Option<&str>) -> Value {
    let account = only.or(Some(options.account.as_str()).filter(|account| !account.is_empty()));
    let mut room = SUBSCRIPTIONS_SHOWN;
    let joined = joined(broker);
    let asked = joined.iter().filter(|connection| account.is_none_or(|name| connection.tenant().name.as_str() == name));
    let rows: Vec<Value> =
        asked.filter_map(|connection| Some(row(connection, connection.leaf()?, options, &mut room))).collect();
    json!({
        "server_id": &*broker.id,
        "now": text::rfc3339(broker.clock.unix_nanos()),
        "leafnodes": rows.len(),
        "leafs": rows,
    })
}

/// Leaf nodes that are joined: those in their handshake are none yet.
pub fn joined(broker: &Broker) -> Vec<Arc<Connection>> {
    let mut open = broker.leafs.open.list();
    // Until it is bound its account is a stand-in.
    open.retain(|connection| connection.leaf().is_some() && connection.identity().principal.is_some());
    open
}

fn row(connection: &Connection, leaf: &Leaf, options: &LeafzOptions, room: &mut usize) -> Value {
    let traffic = &connection.traffic;
    let (out_messages, out_bytes) = connection.outbound.counters();
    let mut row = json!({
        "id": connection.cid,
        "name": leaf.name,
        "is_spoke": !leaf.is_hub,
        "account": connection.tenant().name.as_str(),
        "ip": connection.peer().ip().to_string(),
        "port": connection.peer().port(),
        "rtt": text::go_duration(traffic.rtt.load(Relaxed)),
        "in_msgs": traffic.in_messages.load(Relaxed),
        "out_msgs": out_messages,
        "in_bytes": traffic.in_bytes.load(Relaxed),
        "out_bytes": out_bytes,
        "subscriptions": connection.subscription_count(),
        "compression": leaf.level.read().name(),
    });
    if let Value::Object(fields) = &mut row {
        if leaf.isolated {
            fields.insert("is_isolated".to_owned(), json!(true));
        }
        if options.subscriptions {
            let mut list = connection.subscription_list();
            list.truncate(*room);
            *room -= list.len();
            let subjects: Vec<_> = list.iter().map(|one| String::from_utf8_lossy(one.subject()).into_owned()).collect();
            fields.insert("subscriptions_list".to_owned(), json!(subjects));
        }
    }
    row
}

/// The configuration of leaf nodes, as `/varz` shows it; empty where there is none.
pub fn configured(broker: &Broker) -> Value {
    let options = broker.leafs.options();
    let mut shown = Map::new();
    if let (Some(listen), Some(address)) = (&options.listen, broker.leafs.address()) {
        let tls = broker.leafs.tls();
        shown.insert("host".to_owned(), json!(address.ip().to_string()));
        shown.insert("port".to_owned(), json!(address.port()));
        shown.insert("auth_timeout".to_owned(), json!(listen.auth_timeout.as_secs_f64()));
        if let Some(tls) = tls {
            shown.insert("tls_timeout".to_owned(), json!(tls.timeout.as_secs_f64()));
            shown.insert("tls_required".to_owned(), json!(true));
            if tls.verify {
                shown.insert("tls_verify".to_owned(), json!(true));
            }
        }
    }
    if !options.remotes.is_empty() {
        let remotes = options.remotes.iter().map(|remote| {
            let urls: Vec<_> = remote.urls.iter().map(|url| format!("{}:{}", url.host, url.port)).collect();
            let mut row = json!({"local_account": remote.account.as_str(), "urls": urls});
            let denied = json!({"exports": remote.deny_exports, "imports": remote.deny_imports});
            if let Value::Object(fields) = &mut row
                && !(remote.deny_exports.is_empty() && remote.deny_imports.is_empty())
            {
                fields.insert("deny".to_owned(), denied);
            }
            row
        });
        shown.insert("remotes".to_owned(), remotes.collect());
    }
    Value::Object(shown)
}
