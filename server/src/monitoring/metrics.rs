//! `/metrics`: figures for Prometheus.
//!
//! Two families in one answer. *Compat* has the names of the exporter for nats-server
//! (`gnatsd_varz_...`), made from the same snapshot as `/varz`, so that dashboards go on working.
//! *Native* is `cordon_...`. No label holds anything that a client chose; accounts are capped.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::Value;

use crate::broker::Broker;
use crate::monitoring::jsz::HealthOptions;
use crate::monitoring::{healthz, varz};

/// The form of the answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Accounts with series of their own; the others are left out.
const ACCOUNTS: usize = 1000;

type Labels = Vec<(String, String)>;
type Figure = fn(&crate::tenant::Tenant) -> u64;
type Float = Gauge<f64, AtomicU64>;

/// All figures as text.
///
/// # Errors
///
/// When the text cannot be written, which does not happen.
pub fn text(broker: &Broker, http_requests: Value) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    compat(&mut registry, broker, http_requests);
    accounts(&mut registry, broker);
    native(&mut registry, broker);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn compat(registry: &mut Registry, broker: &Broker, http_requests: Value) {
    let server = ("server_id".into(), broker.name.to_string().into());
    let registry = registry.sub_registry_with_label(server);
    let snapshot = varz::varz(broker, http_requests);
    walk("gnatsd_varz", &snapshot, &mut |name, value| gauge(registry, &name, "As in /varz", value));
    let subscriptions = varz::subscriptions(broker) as f64;
    gauge(registry, "gnatsd_subsz_num_subscriptions", "Subscriptions", subscriptions);
    gauge(registry, "gnatsd_connz_num_connections", "Connections", broker.connections.count() as f64);
    gauge(registry, "gnatsd_connz_total", "Connections", broker.connections.count() as f64);
    let healthy = healthz::healthz(broker, &HealthOptions::default()).0 == 200;
    gauge(registry, "gnatsd_healthz_status", "0 when healthy", f64::from(u8::from(!healthy)));
}

/// Every number of a page, under its path.
fn walk(name: &str, value: &Value, found: &mut impl FnMut(String, f64)) {
    match value {
        Value::Number(number) => found(name.to_owned(), number.as_f64().unwrap_or(0.0)),
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "leaf") {
                let key: String = key.replace('/', "_");
                let key = key.trim_matches('_');
                let name = if key.is_empty() { name.to_owned() } else { format!("{name}_{key}") };
                walk(&name, value, found);
            }
        }
        _ => {}
    }
}

fn accounts(registry: &mut Registry, broker: &Broker) {
    let mut tenants = broker.tenants.all();
    tenants.sort_by(|a, b| a.name.cmp(&b.name));
    let figures: [(&str, &str, Figure); 7] = [
        ("current_connections", "Connections", |tenant| tenant.connection_count() as u64),
        ("subscriptions", "Subscriptions", |tenant| tenant.interest.len() as u64),
        ("sent_messages", "Messages delivered", |tenant| tenant.counters.figures().out_messages),
        ("sent_bytes", "Bytes delivered", |tenant| tenant.counters.figures().out_bytes),
        ("received_messages", "Messages received", |tenant| tenant.counters.figures().in_messages),
        ("received_bytes", "Bytes received", |tenant| tenant.counters.figures().in_bytes),
        ("slow_consumers", "Slow consumers", |tenant| tenant.counters.slow_consumers.load(Ordering::Relaxed)),
    ];
    for (name, help, figure) in figures {
        let family = Family::<Labels, Float>::default();
        for tenant in tenants.iter().take(ACCOUNTS) {
            let labels = [
                ("server_id", broker.name.to_string()),
                ("account", tenant.name.to_string()),
                ("account_id", tenant.name.to_string()),
            ];
            let labels: Labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            family.get_or_create(&labels).set(figure(tenant) as f64);
        }
        registry.register(format!("gnatsd_accstatz_{name}"), help, family);
    }
}

fn native(registry: &mut Registry, broker: &Broker) {
    let traffic = broker.tenants.traffic();
    let (noted, folded, unwritten) = broker.security.figures();
    let (requests, refused) = broker.system.requests();
    let build = Family::<Labels, Float>::default();
    build.get_or_create(&vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]).set(1.0);
    registry.register("cordon_build_info", "The version that runs", build);
    gauge(registry, "cordon_start_time_seconds", "When the broker started", broker.started as f64 / 1e9);
    gauge(registry, "cordon_connections_open", "Open connections", broker.connections.count() as f64);
    gauge(registry, "cordon_subscriptions", "Subscriptions", varz::subscriptions(broker) as f64);
    gauge(registry, "cordon_security_events_unwritten", "Security events not on disk yet", unwritten as f64);
    let lost = broker.security.trouble().is_some();
    gauge(
        registry,
        "cordon_security_events_stuck",
        "1 while security events cannot be written",
        f64::from(u8::from(lost)),
    );
    let total = &broker.total_connections;
    counter(registry, "cordon_connections_opened", "Connections accepted", total.load(Ordering::Relaxed));
    counter(
        registry,
        "cordon_slow_consumers",
        "Connections ended for not keeping up",
        broker.slow_consumers.load(Ordering::Relaxed),
    );
    let dropped = broker.dropped_messages.load(Ordering::Relaxed);
    counter(registry, "cordon_messages_dropped", "Deliveries dropped under no_fast_producer_stall", dropped);
    let panics = broker.panics.load(Ordering::Relaxed);
    counter(registry, "cordon_connection_panics", "Connections ended by a defect of the broker", panics);
    counter(registry, "cordon_security_events", "Security events numbered", noted);
    counter(registry, "cordon_security_events_folded", "Security events folded into others", folded);
    counter(registry, "cordon_system_requests", "Requests to the system account", requests);
    counter(registry, "cordon_system_requests_refused", "Requests not taken because too many waited", refused);
    for (name, help, received, delivered) in [
        ("cordon_messages", "Messages of clients", traffic.in_messages, traffic.out_messages),
        ("cordon_message_bytes", "Bytes of messages of clients", traffic.in_bytes, traffic.out_bytes),
    ] {
        let family = Family::<Labels, Counter>::default();
        for (direction, count) in [("received", received), ("delivered", delivered)] {
            family.get_or_create(&vec![("direction".to_owned(), direction.to_owned())]).inc_by(count);
        }
        registry.register(name, help, family);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Float::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_page_has_a_name_and_nothing_else_has() {
        let page = serde_json::json!({"a": 1, "b": {"c": 2.5, "/": 3, "/varz": 4}, "s": "x", "t": true, "l": [1], "leaf": {"x": 1}});
        let mut found = Vec::new();
        walk("v", &page, &mut |name, value| found.push((name, value)));
        let expected = [("v_a", 1.0), ("v_b_c", 2.5), ("v_b", 3.0), ("v_b_varz", 4.0)];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
