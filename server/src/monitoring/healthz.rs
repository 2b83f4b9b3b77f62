//! Whether the broker serves: `/healthz` and `HEALTHZ`.

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::monitoring::jsz::HealthOptions;

/// The state of the broker: HTTP status code and body.
pub fn healthz(broker: &Broker, options: &HealthOptions) -> (u16, Value) {
    if broker.stopping.is_cancelled() {
        return unavailable("the broker is stopping");
    }
    if broker.listening.is_cancelled() {
        return unavailable("the broker takes no more clients");
    }
    if let Some(error) = broker.security.trouble() {
        return unavailable(&format!("security events cannot be kept: {error}"));
    }
    if let Some((code, error)) = broker.extension().and_then(|streams| streams.healthz(options)) {
        return trouble(code, &error, options);
    }
    (200, json!({"status": "ok"}))
}

/// What streams say is wrong, in either of nats-server's two forms.
fn trouble(code: u16, error: &str, options: &HealthOptions) -> (u16, Value) {
    if !options.details {
        let status = if code == 400 { "error" } else { "unavailable" };
        return (code, json!({"status": status, "error": error}));
    }
    let names = [("account", &options.account), ("stream", &options.stream), ("consumer", &options.consumer)];
    let kind = match (code, options.stream.is_empty(), options.consumer.is_empty()) {
        (400, ..) => "BAD_REQUEST",
        (404, true, _) => "ACCOUNT",
        (404, false, true) => "STREAM",
        (404, false, false) => "CONSUMER",
        _ => "JETSTREAM",
    };
    let mut wrong = json!({"type": kind, "error": error});
    if let Value::Object(fields) = &mut wrong {
        let given = names.into_iter().filter(|(_, name)| !name.is_empty());
        fields.extend(given.map(|(field, name)| (field.to_owned(), json!(name))));
    }
    (code, json!({"status": "error", "errors": [wrong]}))
}

fn unavailable(error: &str) -> (u16, Value) {
    (503, json!({"status": "unavailable", "error": error}))
}
