//! Whether the broker serves: `/healthz` and `HEALTHZ`.

use serde_json::{Value, json};

use crate::broker::Broker;

/// The state of the broker: HTTP status code and body.
pub fn healthz(broker: &Broker) -> (u16, Value) {
    if broker.stopping.is_cancelled() {
        return unavailable("the broker is stopping");
    }
    if broker.listening.is_cancelled() {
        return unavailable("the broker takes no more clients");
    }
    if let Some(error) = broker.security.trouble() {
        return unavailable(&format!("security events cannot be kept: {error}"));
    }
    (200, json!({"status": "ok"}))
}

fn unavailable(error: &str) -> (u16, Value) {
    (503, json!({"status": "unavailable", "error": error}))
}
