//! Answers about parts that this broker does not have: empty, in the shape that tools read.

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::monitoring::text;

/// No routes.
pub fn routez(broker: &Broker) -> Value {
    json!({"server_id": &*broker.id, "server_name": &*broker.name, "now": now(broker), "num_routes": 0, "routes": []})
}

/// No gateways.
pub fn gatewayz(broker: &Broker) -> Value {
    json!({"server_id": &*broker.id, "now": now(broker), "outbound_gateways": {}, "inbound_gateways": {}})
}

/// No JetStream.
pub fn jsz(broker: &Broker) -> Value {
    json!({
        "memory": 0, "storage": 0, "reserved_memory": 0, "reserved_storage": 0, "accounts": 0, "ha_assets": 0,
        "api": {"level": 0, "total": 0, "errors": 0},
        "server_id": &*broker.id, "now": now(broker), "disabled": true,
        "config": {"max_memory": 0, "max_storage": 0},
        "streams": 0, "consumers": 0, "messages": 0, "bytes": 0, "total": 0,
    })
}

fn now(broker: &Broker) -> String {
    text::rfc3339(broker.clock.unix_nanos())
}
