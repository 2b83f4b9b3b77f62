//! `$SYS.REQ.USER.INFO`: a user asks who it is and what it may do.
//!
//! Who asks is known from the border's `Nats-Request-Info`, which no client can set, or, for a
//! user of the system account, from the connection itself.

use std::sync::Arc;

use cordon_accounts::claims::{PermissionsClaim, SubjectsClaim};
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::connection::Connection;
use crate::system::desk::Request;
use crate::system::envelope;

/// Answers with the asker's own user.
pub fn answer(broker: &Broker, request: &Request, account: Option<&str>) {
    let asker = asker(broker, request);
    let asker = asker.filter(|connection| account.is_none_or(|account| connection.tenant().name.as_str() == account));
    match asker {
        Some(connection) => request.answer(broker, &envelope::data(broker, describe(broker, &connection))),
        None => request.fail(broker, 400, "the request does not tell who asks"),
    }
}

fn asker(broker: &Broker, request: &Request) -> Option<Arc<Connection>> {
    if let Some(cid) = request.asker {
        return broker.connection(cid);
    }
    let info: Value = serde_json::from_slice(&request.info).ok()?;
    let connection = broker.connection(info.get("id")?.as_u64()?)?;
    // By now the id may belong to a connection that has changed its account.
    (connection.tenant().name.as_str() == info.get("acc")?.as_str()?).then_some(connection)
}

fn describe(broker: &Broker, connection: &Connection) -> Value {
    let identity = connection.identity();
    let principal = identity.principal.as_deref();
    let mut data = Map::new();
    data.insert("user".to_owned(), json!(principal.map(|principal| principal.user.clone()).unwrap_or_default()));
    data.insert("account".to_owned(), json!(identity.tenant.name.as_str()));
    let names = [
        ("account_name", identity.tenant.display_name()),
        ("user_name", principal.and_then(|p| p.name.clone()).unwrap_or_default()),
    ];
    data.extend(
        names.into_iter().filter(|(_, name)| !name.is_empty()).map(|(key, name)| (key.to_owned(), json!(name))),
    );
    if let Some(permissions) = permissions(connection.rights().claim()) {
        data.insert("permissions".to_owned(), permissions);
    }
    if let Some(expires) = principal.and_then(|principal| principal.expires) {
        let left = expires.saturating_sub(broker.clock.unix_seconds()).max(0);
        data.insert("expires".to_owned(), json!(left.saturating_mul(1_000_000_000)));
    }
    Value::Object(data)
}

fn permissions(claim: &PermissionsClaim) -> Option<Value> {
    let mut shown = Map::new();
    for (name, subjects) in [("publish", &claim.publish), ("subscribe", &claim.subscribe)] {
        shown.extend(lists(subjects).map(|lists| (name.to_owned(), lists)));
    }
    if let Some(response) = &claim.response {
        shown.insert("responses".to_owned(), json!({"max": response.max, "ttl": response.ttl}));
    }
    (!shown.is_empty()).then_some(Value::Object(shown))
}

fn lists(subjects: &SubjectsClaim) -> Option<Value> {
    let both = [("allow", &subjects.allow), ("deny", &subjects.deny)];
    let shown: Map<String, Value> = both
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| (name.to_owned(), json!(list)))
        .collect();
    (!shown.is_empty()).then_some(Value::Object(shown))
}
