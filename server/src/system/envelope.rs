//! The objects that every answer and event shares (monitoring-and-system.md 2.2).

use cordon_accounts::name::AccountName;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::connection::Connection;
use crate::monitoring::text;
use crate::protocol::info::EMULATED_VERSION;

/// The bit that says in `flags` that a server has streams.
const STREAMS: u64 = 1;

/// The server, as of now. Each use takes a sequence number.
pub fn server_info(broker: &Broker) -> Value {
    let streams = broker.extension().is_some();
    let mut info = json!({
        "name": &*broker.name,
        "host": broker.client_address().ip().to_string(),
        "id": &*broker.id,
        "ver": EMULATED_VERSION,
        "jetstream": streams,
        "flags": if streams { STREAMS } else { 0 },
        "seq": broker.system.next_sequence(),
        "time": broker.clock.rfc3339(),
    });
    if let (Value::Object(fields), Some(domain)) = (&mut info, broker.domain()) {
        fields.insert("domain".to_owned(), json!(&*domain));
    }
    info
}

/// A good answer.
pub fn data(broker: &Broker, data: Value) -> Value {
    json!({"server": server_info(broker), "data": data})
}

/// A bad answer; `data` is there and null, as nats-server has it.
pub fn error(broker: &Broker, code: u16, description: &str) -> Value {
    json!({"server": server_info(broker), "data": null, "error": {"code": code, "description": description}})
}

/// The head of a typed event, with the server.
pub fn event(broker: &Broker, kind: &str) -> Value {
    json!({
        "type": format!("io.nats.server.advisory.v1.{kind}"),
        "id": nuid::next().to_string(),
        "timestamp": broker.clock.rfc3339(),
        "server": server_info(broker),
    })
}

/// A connection in an event. Never its JWT: bearer tokens would be stolen from events.
pub fn client_info(connection: &Connection, account: &AccountName) -> Value {
    let identity = connection.identity();
    let principal = identity.principal.as_deref();
    let user = principal.map_or("", |principal| match principal.method {
        cordon_auth::principal::Method::Token => "[REDACTED]",
        _ => &principal.user,
    });
    let mut info = json!({
        "start": text::rfc3339(connection.started),
        "host": connection.peer().ip().to_string(),
        "id": connection.cid,
        "acc": account.as_str(),
        "kind": connection.kind(),
        "client_type": connection.transport.client_name(),
    });
    let Value::Object(fields) = &mut info else { return info };
    let issuer = principal.and_then(|principal| principal.issuer).map(|key| key.to_string()).unwrap_or_default();
    let more = [
        ("user", user.to_owned()),
        ("name", identity.client.name.clone()),
        ("lang", identity.client.lang.clone()),
        ("ver", identity.client.version.clone()),
        ("issuer_key", issuer),
        ("name_tag", identity.tenant.display_name()),
    ];
    fields.extend(
        more.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), json!(text))),
    );
    if let Some(tags) = principal.map(|principal| &principal.tags).filter(|tags| !tags.is_empty()) {
        fields.insert("tags".to_owned(), json!(tags));
    }
    info
}
