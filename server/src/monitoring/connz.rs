//! Connections, open and lately closed: `/connz` and `CONNZ`.
//!
//! INVARIANT (clamp): a request made for one account passes that account as `only`, and it is
//! applied to every row on every path, whatever the options say (CVE-class leak of the `cid` option).

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use cordon_accounts::name::AccountName;
use cordon_accounts::subject::matching;
use cordon_auth::principal::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::connection::{Connection, ShownIdentity, Transport};
use crate::connections::Closed;
use crate::monitoring::{Fault, PAGE, SUBSCRIPTIONS_SHOWN, text};
use crate::routing::Subscription;

/// What is asked for. Field names are those of the JSON request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConnzOptions {
    /// The order.
    pub sort: String,
    /// Show users, accounts and JWTs.
    pub auth: bool,
    /// Show subjects of subscriptions.
    pub subscriptions: bool,
    /// Show subscriptions whole.
    pub subscriptions_detail: bool,
    /// Rows left out.
    pub offset: i64,
    /// Rows shown.
    pub limit: i64,
    /// One connection.
    pub cid: u64,
    /// 0 open, 1 closed, 2 all.
    pub state: u8,
    /// Of this user.
    pub user: String,
    /// Of this account.
    pub acc: String,
    /// Of this MQTT client; there are none.
    pub mqtt_client: String,
    /// With a subscription that overlaps this subject.
    pub filter_subject: String,
}

/// A connection as it is sorted and shown.
struct Row {
    cid: u64,
    kind: &'static str,
    peer: SocketAddr,
    transport: Transport,
    started: i64,
    last_activity: i64,
    end: Option<(i64, &'static str)>,
    identity: ShownIdentity,
    received: (u64, u64),
    delivered: (u64, u64),
    rtt: u64,
    pending: usize,
    subscriptions: usize,
    open: Option<Arc<Connection>>,
}

/// The connections that `options` ask for, of the account `only` if there is one.
///
/// # Errors
///
/// [`Fault`] if the options contradict each other.
pub fn connz(broker: &Broker, options: &ConnzOptions, only: Option<&str>) -> Result<Value, Fault> {
    let account = only.or(Some(options.acc.as_str()).filter(|acc| !acc.is_empty()));
    if !options.filter_subject.is_empty() && account.is_none() {
        return Err(Fault::new("filter subject requires an account: name one in `acc`"));
    }
    let mut rows = rows(broker, options, account);
    rows.retain(|row| account.is_none_or(|account| row.identity.account.as_str() == account));
    sort(&mut rows, options)?;
    let total = rows.len();
    rows.retain(|row| is_wanted(row, options));
    let now = broker.clock.unix_nanos();
    let offset = usize::try_from(options.offset).unwrap_or(0);
    let limit = match usize::try_from(options.limit) {
        _ if options.cid != 0 => 1,
        Ok(limit @ 1..) => limit.min(broker.options.load().max_connections.max(PAGE)),
        _ => PAGE,
    };
    let mut room = SUBSCRIPTIONS_SHOWN;
    let shown: Vec<Value> =
        rows.iter().skip(offset).take(limit).map(|row| show(row, options, now, &mut room)).collect();
    Ok(json!({
        "server_id": &*broker.id,
        "now": text::rfc3339(now),
        "num_connections": shown.len(),
        "total": total,
        "offset": offset,
        "limit": limit,
        "connections": shown,
    }))
}

fn rows(broker: &Broker, options: &ConnzOptions, account: Option<&str>) -> Vec<Row> {
    let is_asked = |cid: u64| options.cid == 0 || options.cid == cid;
    let mut rows = Vec::new();
    if options.state != 1 || options.cid != 0 {
        // What a tenant asks for costs in proportion to its own connections.
        let open = match account {
            Some(account) => {
                broker.tenants.find(&AccountName::new(account)).map(|tenant| tenant.connections()).unwrap_or_default()
            }
            None => broker.connections.open(),
        };
        rows.extend(open.iter().filter(|connection| is_asked(connection.cid)).map(Row::of_open));
    }
    if options.state >= 1 || (options.cid != 0 && rows.is_empty()) {
        let closed = broker.connections.closed();
        rows.extend(closed.iter().filter(|closed| is_asked(closed.cid)).map(|closed| Row::of_closed(closed)));
    }
    rows
}

impl Row {
    fn of_open(connection: &Arc<Connection>) -> Self {
        let traffic = &connection.traffic;
        Self {
            cid: connection.cid,
            kind: connection.kind(),
            peer: connection.peer(),
            transport: connection.transport,
            started: connection.started,
            last_activity: traffic.last_activity.load(Relaxed),
            end: None,
            identity: connection.identity().into(),
            received: (traffic.in_messages.load(Relaxed), traffic.in_bytes.load(Relaxed)),
            delivered: connection.outbound.counters(),
            rtt: traffic.rtt.load(Relaxed),
            pending: connection.outbound.pending(),
            subscriptions: connection.subscription_count(),
            open: Some(connection.clone()),
        }
    }

    fn of_closed(closed: &Closed) -> Self {
        Self {
            cid: closed.cid,
            kind: closed.kind,
            peer: closed.peer,
            transport: closed.transport,
            started: closed.started,
            last_activity: closed.last_activity,
            end: Some((closed.stopped, closed.reason)),
            identity: closed.identity.clone(),
            received: closed.received,
            delivered: closed.delivered,
            rtt: closed.rtt,
            pending: 0,
            subscriptions: closed.subscriptions,
            open: None,
        }
    }

    fn until(&self, now: i64) -> i64 {
        self.end.map_or(now, |(stopped, _)| stopped)
    }
}

fn sort(rows: &mut [Row], options: &ConnzOptions) -> Result<(), Fault> {
    let end = |row: &Row| row.end.unwrap_or_default();
    match options.sort.as_str() {
        "" | "cid" | "start" => rows.sort_by_key(|row| row.cid),
        "subs" => rows.sort_by_key(|row| Reverse(row.subscriptions)),
        "pending" => rows.sort_by_key(|row| Reverse(row.pending)),
        "msgs_to" => rows.sort_by_key(|row| Reverse(row.delivered.0)),
        "msgs_from" => rows.sort_by_key(|row| Reverse(row.received.0)),
        "bytes_to" => rows.sort_by_key(|row| Reverse(row.delivered.1)),
        "bytes_from" => rows.sort_by_key(|row| Reverse(row.received.1)),
        "last" => rows.sort_by_key(|row| Reverse(row.last_activity)),
        "idle" => rows.sort_by_key(|row| row.last_activity),
        "uptime" => rows.sort_by_key(|row| Reverse(row.started)),
        "rtt" => rows.sort_by_key(|row| Reverse(row.rtt)),
        "stop" | "reason" if options.state != 1 => {
            return Err(Fault::new(format!(
                "sort by {} only valid on closed connections: add state=closed",
                options.sort
            )));
        }
        "stop" => rows.sort_by_key(|row| Reverse(end(row).0)),
        "reason" => rows.sort_by_key(|row| end(row).1),
        other => return Err(Fault::new(format!("invalid sorting option: `{other}`"))),
    }
    Ok(())
}

fn is_wanted(row: &Row, options: &ConnzOptions) -> bool {
    let user = row.identity.principal.as_ref().map_or("", |principal| principal.user.as_str());
    if !options.mqtt_client.is_empty() || (!options.user.is_empty() && options.user != user) {
        return false;
    }
    let filter = options.filter_subject.as_bytes();
    filter.is_empty()
        || filter == b">"
        || row.open.as_ref().is_some_and(|connection| {
            connection.subscription_list().iter().any(|subscription| matching::overlaps(subscription.subject(), filter))
        })
}

fn show(row: &Row, options: &ConnzOptions, now: i64, room: &mut usize) -> Value {
    let until = row.until(now);
    let client = &row.identity.client;
    let mut shown = Map::new();
    let mut set = |name: &str, value: Value| {
        shown.insert(name.to_owned(), value);
    };
    set("cid", json!(row.cid));
    set("kind", json!(row.kind));
    if row.kind == "Client" {
        set("type", json!(row.transport.client_name()));
    }
    set("ip", json!(row.peer.ip().to_string()));
    set("port", json!(row.peer.port()));
    set("start", json!(text::rfc3339(row.started)));
    set("last_activity", json!(text::rfc3339(row.last_activity)));
    if let Some((stopped, reason)) = row.end {
        set("stop", json!(text::rfc3339(stopped)));
        set("reason", json!(reason));
    }
    set("rtt", json!(text::go_duration(row.rtt)));
    set("uptime", json!(text::uptime(row.started, until)));
    set("idle", json!(text::uptime(row.last_activity, until)));
    set("pending_bytes", json!(row.pending));
    set("in_msgs", json!(row.received.0));
    set("out_msgs", json!(row.delivered.0));
    set("in_bytes", json!(row.received.1));
    set("out_bytes", json!(row.delivered.1));
    set("subscriptions", json!(row.subscriptions));
    for (name, value) in [("name", &client.name), ("lang", &client.lang), ("version", &client.version)] {
        if !value.is_empty() {
            set(name, json!(value));
        }
    }
    if let Some(tls) = row.identity.tls {
        set("tls_version", json!(tls.version));
        set("tls_cipher_suite", json!(tls.suite.replace("TLS13_", "TLS_")));
    }
    if options.auth {
        shown.extend(authentication(&row.identity));
    }
    if let Some(connection) = &row.open {
        shown.extend(subscriptions(connection, options, room));
    }
    Value::Object(shown)
}

/// Who it is; a JWT only where it opens nothing without its key.
fn authentication(identity: &ShownIdentity) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            shown.insert(name.to_owned(), json!(value));
        }
    };
    let Some(principal) = &identity.principal else { return shown };
    let user = if principal.method == Method::Token { "[REDACTED]" } else { &principal.user };
    set("authorized_user", user.to_owned());
    if principal.account.as_str() != crate::tenant::GLOBAL {
        set("account", principal.account.to_string());
    }
    if !principal.bearer {
        set("jwt", principal.jwt.as_deref().unwrap_or_default().to_owned());
    }
    set("issuer_key", principal.issuer.map(|key| key.to_string()).unwrap_or_default());
    set("name_tag", identity.display_name.clone());
    if !principal.tags.is_empty() {
        shown.insert("tags".to_owned(), json!(principal.tags));
    }
    shown
}

/// Subscriptions of a connection, as many as there is still `room` for in the answer.
fn subscriptions(connection: &Connection, options: &ConnzOptions, room: &mut usize) -> Option<(String, Value)> {
    if !options.subscriptions && !options.subscriptions_detail {
        return None;
    }
    let mut list = connection.subscription_list();
    list.truncate(*room);
    *room -= list.len();
    if list.is_empty() {
        return None;
    }
    if options.subscriptions_detail {
        let account = connection.tenant().name.to_string();
        let rows: Vec<Value> = list.iter().map(|subscription| detail(subscription, &account, connection.cid)).collect();
        return Some(("subscriptions_list_detail".to_owned(), json!(rows)));
    }
    let subjects: Vec<_> =
        list.iter().map(|subscription| String::from_utf8_lossy(subscription.subject()).into_owned()).collect();
    Some(("subscriptions_list".to_owned(), json!(subjects)))
}

/// One subscription, whole.
pub fn detail(subscription: &Subscription, account: &str, cid: u64) -> Value {
    let mut row = json!({
        "account": account,
        "subject": String::from_utf8_lossy(subscription.subject()),
        "sid": String::from_utf8_lossy(subscription.sid()),
        "msgs": subscription.delivered(),
        "cid": cid,
    });
    if let Value::Object(fields) = &mut row {
        if let Some(queue) = subscription.queue() {
            fields.insert("qgroup".to_owned(), json!(String::from_utf8_lossy(queue)));
        }
        if subscription.max() > 0 {
            fields.insert("max".to_owned(), json!(subscription.max()));
        }
    }
    row
}
