//! The broker at a glance: `/varz`, `VARZ`, and the figures of `STATSZ`.

use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::monitoring::{process, text};
use crate::protocol::info::EMULATED_VERSION;

/// Everything that `/varz` shows. `http_requests` are the counts of the monitoring listener.
pub fn varz(broker: &Broker, http_requests: Value) -> Value {
    let options = &broker.options;
    let tls = broker.tls();
    let now = broker.clock.unix_nanos();
    let traffic = broker.tenants.traffic();
    let client = broker.client_address();
    let mut varz = json!({
        "server_id": &*broker.id,
        "server_name": &*broker.name,
        "version": EMULATED_VERSION,
        "proto": 1,
        "git_commit": concat!("cordon-", env!("CARGO_PKG_VERSION")),
        "go": concat!("cordon ", env!("CARGO_PKG_VERSION")),
        "host": client.ip().to_string(),
        "port": client.port(),
        "max_connections": options.max_connections,
        "ping_interval": nanos(options.ping_interval),
        "ping_max": options.ping_max,
        "http_host": options.monitor.map(|at| at.ip().to_string()).unwrap_or_default(),
        "http_port": options.monitor.map_or(0, |at| at.port()),
        "http_base_path": "",
        "https_port": 0,
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
    let parts = ["cluster", "gateway", "leaf", "mqtt", "websocket", "jetstream"].map(|part| (part, json!({})));
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
        fields.extend(parts.map(|(name, part)| (name.to_owned(), part)));
        fields.extend(messages.map(|(name, count)| (name.to_owned(), json!(count))));
        let flags = [
            ("auth_required", broker.demands_credentials()),
            ("tls_required", tls.as_ref().is_some_and(|tls| !tls.allow_plain)),
            ("tls_verify", tls.as_ref().is_some_and(|tls| tls.verify)),
        ];
        fields.extend(flags.into_iter().filter(|(_, on)| *on).map(|(name, on)| (name.to_owned(), json!(on))));
        if let Some(max) = options.max_subscriptions {
            fields.insert("max_subscriptions".to_owned(), json!(max));
        }
        if let Some(system) = broker.tenants.system() {
            fields.insert("system_account".to_owned(), json!(system.name.as_str()));
        }
    }
    varz
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
        "leafnodes": 0,
        "slow_consumers": slow,
        "slow_consumer_stats": {"clients": slow, "routes": 0, "gateways": 0, "leafs": 0},
        "stale_connections": 0,
        "stale_connection_stats": {"clients": 0, "routes": 0, "gateways": 0, "leafs": 0},
        "stalled_clients": broker.stalled.load(Relaxed),
        "subscriptions": subscriptions(broker),
        "config_load_time": text::rfc3339(broker.started),
        "config_digest": "",
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
