//! `Nats-Request-Info`: what an exporter learns about who asks (auth.md 6.5).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cordon_accounts::sharing::Crossing;
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::connection::Connection;
use crate::protocol::headers;
use crate::routing::Message;
use crate::tenant::Tenant;

/// The value of the header for a request that crosses now.
///
/// Only the account and round-trip time unless the import shares more. Along a chain the first
/// requester stays and `svc` names the account in between.
pub(super) fn request_info(
    broker: &Broker,
    importer: &Arc<Tenant>,
    crossing: &Crossing,
    message: &Message<'_>,
) -> Vec<u8> {
    if !message.passage.crossings.is_empty()
        && let Some(first) = headers::value(message.header(), headers::REQUEST_INFO)
        && let Ok(Value::Object(mut fields)) = serde_json::from_slice(first)
    {
        fields.insert("svc".to_owned(), json!(importer.name.as_str()));
        return encode(fields);
    }
    encode(fields(broker, importer, crossing.share, message.origin.map(|origin| &**origin)))
}

/// What is told of a connection: its account and round-trip time, and who it is if that is shared.
pub(super) fn fields(
    broker: &Broker,
    tenant: &Tenant,
    shared: bool,
    connection: Option<&Connection>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("acc".to_owned(), json!(tenant.name.as_str()));
    if let Some(connection) = connection {
        let rtt = connection.traffic.rtt.load(Ordering::Relaxed);
        if rtt > 0 {
            fields.insert("rtt".to_owned(), json!(rtt));
        }
        if shared {
            share(&mut fields, broker, connection);
        }
    }
    fields
}

fn share(fields: &mut Map<String, Value>, broker: &Broker, connection: &Connection) {
    let identity = connection.identity();
    let principal = identity.principal.as_deref();
    let details = [
        ("start", json!(rfc3339(connection.started))),
        ("host", json!(connection.peer().ip().to_string())),
        ("id", json!(connection.cid)),
        ("user", json!(principal.map(|principal| principal.user.clone()).unwrap_or_default())),
        ("name", json!(identity.client.name)),
        ("lang", json!(identity.client.lang)),
        ("ver", json!(identity.client.version)),
        ("server", json!(&*broker.name)),
        ("kind", json!(connection.kind())),
        ("client_type", json!("nats")),
        ("name_tag", json!(principal.and_then(|principal| principal.name.clone()).unwrap_or_default())),
        ("tags", json!(principal.map(|principal| principal.tags.clone()).unwrap_or_default())),
    ];
    for (key, value) in details {
        let empty = value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        if !empty {
            fields.insert(key.to_owned(), value);
        }
    }
}

/// A time as text.
pub(super) fn rfc3339(unix_ns: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns))
        .ok()
        .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}

fn encode(fields: Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(&Value::Object(fields)).unwrap_or_default()
}
