//! What the node itself tells operators of (jetstream.md 7.2), and who asks.

use std::sync::atomic::Ordering;

use cordon_server::protocol::headers;
use cordon_server::system::envelope;
use serde_json::{Map, Value, json};

use super::desk::Request;
use super::member::Member;
use crate::port::Outgoing;

/// Where it is told that requests were refused.
const LIMIT_REACHED: &str = "$JS.EVENT.ADVISORY.API.LIMIT_REACHED";

/// Tells operators how many requests of an account were refused because too many waited.
pub(super) fn limit_reached(member: &Member, dropped: usize) {
    let Some(port) = &member.system else { return };
    if !port.has_interest(LIMIT_REACHED.as_bytes(), None) {
        return;
    }
    let settings = member.account.settings();
    let mut advisory = json!({
        "type": "io.nats.jetstream.advisory.v1.api_limit_reached",
        "id": nuid::next().to_string(),
        "timestamp": member.now(),
        "server": settings.server,
        "account": member.account.name().as_str(),
        "dropped": dropped,
    });
    if let (Value::Object(fields), Some(domain)) = (&mut advisory, &settings.domain) {
        fields.insert("domain".to_owned(), json!(domain));
    }
    let payload = serde_json::to_vec(&advisory).unwrap_or_default();
    port.send(&Outgoing { to: LIMIT_REACHED.as_bytes(), payload: &payload, ..Outgoing::default() });
    port.flush();
}

/// Who asked: of another account, what the border said.
pub(super) fn client(request: &Request) -> Value {
    let member = &request.member;
    let (name, server) = (member.account.name(), &member.account.settings().server);
    let mut fields = if request.crossed {
        let info = headers::value(&request.header, headers::REQUEST_INFO).unwrap_or_default();
        let mut fields: Map<String, Value> = serde_json::from_slice(info).unwrap_or_default();
        fields.insert("svc".to_owned(), json!(name.as_str()));
        fields
    } else {
        let Some(connection) = &request.asker else { return json!({"acc": name.as_str(), "server": server}) };
        let mut fields = match envelope::client_info(connection, name) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let rtt = connection.traffic.rtt.load(Ordering::Relaxed);
        if rtt > 0 {
            fields.insert("rtt".to_owned(), json!(rtt));
        }
        fields
    };
    fields.insert("server".to_owned(), json!(server));
    Value::Object(fields)
}
