//! The broker at a glance: `/varz`, `VARZ`, and the figures of `STATSZ`.

use std::sync::atomic::Ordering::Relaxed;

use cordon_auth::proof::ConnectionType;
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::monitoring::{jsz, leafz, process, text};
use crate::options::WriteTimeout;
use crate::protocol::info::EMULATED_VERSION;

/// Everything that `/varz` shows. `http_requests` are the counts of the monitoring listener.
pub fn varz(broker: &Broker, http_requests: Value) -> Value {
    let options = broker.options.load();
    let tls = broker.tls();
    let now = broker.clock.unix_nanos();
    let traffic = broker.tenants.traffic();
    let (host, port) = broker.told_address();
    let (http, https) = if options.monitor_tls.is_some() { (None, options.monitor) } else { (options.monitor, None) };
    let mut varz = json!({
        "server_id": &*broker.id,
        "server_name": &*broker.name,
        "version": EMULATED_VERSION,
        "proto": 1,
        "git_commit": concat!("cordon-", env!("CARGO_PKG_VERSION")),
        "go": concat!("cordon ", env!("CARGO_PKG_VERSION")),
        "host": &*host,
        "port": port,
        "max_connections": options.max_connections,
        "ping_interval": nanos(options.ping_interval),
        "ping_max": options.ping_max,
        "http_host": options.monitor.map(|at| at.ip().to_string()).unwrap_or_default(),
        "http_port": http.map_or(0, |at| at.port()),
        "http_base_path": options.monitor_base.as_str(),
        "https_port": https.map_or(0, |at| at.port()),
        "auth_timeout": options.auth_timeout.as_secs_f64(),
        "max_control_line": options.max_control_line,
        "max_payload": options.max_payload,
        "max_pending": options.max_pending,
        "tls_timeout": tls.as_ref().map_or(0.0, |tls| tls.timeout.as_secs_f64()),
        "write_deadline": nanos(options.write_deadline),
    });
    if let (Value::Object(fields), Value::Object(more)) = (&mut varz, figures(broker, now)) {
        fields.extend(more);
        fields.insert("http_req_stats".to_owned(), http_requests);
    }
    let parts = ["cluster", "gateway", "mqtt"].map(|part| (part, json!({})));
    let messages = [
        ("in_msgs", traffic.in_messages),
        ("in_bytes", traffic.in_bytes),
        ("out_msgs", traffic.out_messages),
        ("out_bytes", traffic.out_bytes),
        ("in_client_msgs", traffic.in_messages),
        ("in_client_bytes", traffic.in_bytes),
        ("out_client_msgs", traffic.out_messages),
        ("out_client_bytes", traffic.out_bytes),
    ];
    if let Value::Object(fields) = &mut varz {
        fields.insert("leaf".to_owned(), leafz::configured(broker));
        fields.extend(parts.map(|(name, part)| (name.to_owned(), part)));
        fields.insert("jetstream".to_owned(), jsz::varz(broker));
        fields.insert("websocket".to_owned(), websocket(broker));
        fields.extend(messages.map(|(name, count)| (name.to_owned(), json!(count))));
        let flags = [
            ("auth_required", broker.demands_credentials(ConnectionType::Standard)),
            ("tls_required", tls.as_ref().is_some_and(|tls| !tls.allow_plain)),
            ("tls_verify", tls.as_ref().is_some_and(|tls| tls.verify)),
        ];
        fields.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, on)| (name.to_owned(), json!(on))));
        fields.extend(where_set(broker));
    }
    varz
}

/// What is left out where nothing is set.
fn where_set(broker: &Broker) -> Map<String, Value> {
    let options = broker.options.load();
    let mut fields = Map::new();
    if !options.tags.is_empty() {
        fields.insert("tags".to_owned(), json!(options.tags));
    }
    if !options.metadata.is_empty() {
        fields.insert("metadata".to_owned(), json!(options.metadata));
    }
    if let Some(max) = options.max_subscriptions {
        fields.insert("max_subscriptions".to_owned(), json!(max));
    }
    if options.write_timeout != WriteTimeout::Close {
        fields.insert("write_timeout".to_owned(), json!(options.write_timeout.to_string()));
    }
    if let Some(system) = broker.tenants.system() {
        fields.insert("system_account".to_owned(), json!(system.name.as_str()));
    }
    fields
}

/// The WebSocket listener; empty when there is none. What is off or not set is left out.
fn websocket(broker: &Broker) -> Value {
    let options = broker.options.load();
    let (Some(own), Some(address)) = (&options.websocket, broker.websocket_address()) else { return json!({}) };
    let origins: Vec<String> = own.origins.allowed.iter().map(ToString::to_string).collect();
    let shown = json!({
        "host": address.ip().to_string(),
        "port": address.port(),
        "advertise": own.advertise,
        "no_auth_user": own.no_auth_user,
        "jwt_cookie": own.cookies.jwt,
        "handshake_timeout": nanos(own.handshake_timeout),
        "auth_timeout": own.auth_timeout.map(|timeout| timeout.as_secs_f64()),
        "no_tls": own.tls.is_none(),
        "tls_map": own.map_certificates,
        "same_origin": own.origins.same,
        "allowed_origins": if origins.is_empty() { Value::Null } else { json!(origins) },
        "compression": own.compression,
    });
    let Value::Object(fields) = shown else { return shown };
    fields.into_iter().filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false))).collect()
}

/// What changes while the broker runs.
fn figures(broker: &Broker, now: i64) -> Value {
    let slow = broker.slow_consumers.load(Relaxed);
    json!({
        "start": text::rfc3339(broker.started),
        "now": text::rfc3339(now),
        "uptime": text::uptime(broker.started, now),
        "mem": process::resident_bytes(),
        "cores": process::cores(),
        "gomaxprocs": process::cores(),
        "cpu": process::cpu_percent(),
        "connections": broker.connections.count(),
        "total_connections": broker.total_connections.load(Relaxed),
        "routes": 0,
        "remotes": 0,
        "leafnodes": leafz::joined(broker).len(),
        "slow_consumers": slow,
        "slow_consumer_stats": {"clients": slow, "routes": 0, "gateways": 0, "leafs": 0},
        "stale_connections": 0,
        "stale_connection_stats": {"clients": 0, "routes": 0, "gateways": 0, "leafs": 0},
        "stalled_clients": broker.stalled.load(Relaxed),
        "subscriptions": subscriptions(broker),
        "config_load_time": text::rfc3339(broker.started),
        "config_digest": broker.options.load().config_digest.as_str(),
        "disk_io_wait_stats": {"waiters": 0, "waits": 0, "wait_time": 0, "max_wait_time": 0},
    })
}

/// The body of a STATSZ: figures that tools add up over servers.
pub fn statsz(broker: &Broker) -> Value {
    let traffic = broker.tenants.traffic();
    let sent = json!({"msgs": traffic.out_messages, "bytes": traffic.out_bytes});
    let received = json!({"msgs": traffic.in_messages, "bytes": traffic.in_bytes});
    let active = broker.tenants.all().iter().filter(|tenant| tenant.connection_count() > 0).count();
    let slow = broker.slow_consumers.load(Relaxed);
    let mut stats = json!({
        "start": text::rfc3339(broker.started),
        "mem": process::resident_bytes(),
        "cores": process::cores(),
        "gomaxprocs": process::cores(),
        "cpu": process::cpu_percent(),
        "connections": broker.connections.count(),
        "total_connections": broker.total_connections.load(Relaxed),
        "active_accounts": active,
        "subscriptions": subscriptions(broker),
        "sent": sent,
        "sent_to_clients": sent,
        "received": received,
        "received_from_clients": received,
        "slow_consumers": slow,
        // How many answers tools wait for: this broker has no peers.
        "active_servers": 1,
    });
    if let (Some(_), Value::Object(fields)) = (broker.extension(), &mut stats) {
        fields.insert("jetstream".to_owned(), jsz::varz(broker));
    }
    if let (1.., Value::Object(fields)) = (slow, &mut stats) {
        let stats = json!({"clients": slow, "routes": 0, "gateways": 0, "leafs": 0});
        fields.insert("slow_consumer_stats".to_owned(), stats);
    }
    stats
}

/// Subscriptions of all accounts, the broker's own included.
pub fn subscriptions(broker: &Broker) -> usize {
    broker.tenants.all().iter().map(|tenant| tenant.interest.len()).sum()
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
