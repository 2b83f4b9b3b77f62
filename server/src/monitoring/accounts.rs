//! Accounts as they run: `/accountz`, `/accstatz`, and their NATS forms.

use std::sync::atomic::Ordering::Relaxed;

use cordon_accounts::sharing::{Access, Export, ExportKind};
use cordon_accounts::subject::Pattern;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::monitoring::{Fault, text};
use crate::tenant::Tenant;

/// What ACCSTATZ is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccountStatOptions {
    /// These accounts; all when empty.
    pub accounts: Vec<String>,
    /// Also accounts without connections.
    pub include_unused: bool,
}

/// All accounts by name, or one in detail. `jwt` shows its JWT, for operators only.
///
/// # Errors
///
/// [`Fault`] if there is no such account here.
pub fn accountz(broker: &Broker, account: &str, jwt: bool) -> Result<Value, Fault> {
    let mut shown = json!({"server_id": &*broker.id, "now": text::rfc3339(broker.clock.unix_nanos())});
    let Value::Object(fields) = &mut shown else { return Ok(shown) };
    if let Some(system) = broker.tenants.system() {
        fields.insert("system_account".to_owned(), json!(system.name.as_str()));
    }
    if account.is_empty() {
        let mut names: Vec<String> = broker.tenants.all().iter().map(|tenant| tenant.name.to_string()).collect();
        names.sort();
        fields.insert("accounts".to_owned(), json!(names));
    } else {
        fields.insert("account_detail".to_owned(), detail(broker, account, jwt)?);
    }
    Ok(shown)
}

/// One account in detail.
///
/// # Errors
///
/// [`Fault`] if there is no such account here.
pub fn detail(broker: &Broker, account: &str, jwt: bool) -> Result<Value, Fault> {
    let all = broker.tenants.all();
    let Some(tenant) = all.iter().find(|tenant| tenant.name.as_str() == account) else {
        return Err(Fault::new(format!("Account {account} does not exist")));
    };
    let record = tenant.record();
    let now = broker.clock.unix_seconds();
    let mut shown = json!({
        "account_name": account,
        "update_time": text::rfc3339(record.as_ref().map_or(broker.started, |record| record.claims.issued_at.saturating_mul(1_000_000_000))),
        "expired": record.as_ref().is_some_and(|record| record.is_expired(now)),
        "complete": tenant.crossings.refused().is_empty(),
        "jetstream_enabled": broker.extension().is_some_and(|streams| streams.serves(tenant)),
        "leafnode_connections": tenant.leaf_count(),
        "client_connections": tenant.connection_count(),
        "subscriptions": tenant.interest.len(),
    });
    if let Value::Object(fields) = &mut shown {
        if tenant.is_system() {
            fields.insert("is_system".to_owned(), json!(true));
        }
        fields.extend(claims(tenant, jwt));
    }
    Ok(shown)
}

fn claims(tenant: &Tenant, jwt: bool) -> Map<String, Value> {
    let mut shown = Map::new();
    let Some(record) = tenant.record() else { return shared(tenant) };
    let nats = &record.claims.nats;
    let refused = tenant.crossings.refused();
    let exports: Vec<Value> = nats.exports.iter().map(|export| json!(export)).collect();
    let imports = nats.imports.iter().enumerate().map(|(index, import)| {
        let mut row = json!(import);
        if let Value::Object(fields) = &mut row {
            // Activation tokens are for the importer and the exporter, not for whoever may look.
            fields.remove("token");
            fields.insert("invalid".to_owned(), json!(refused.iter().any(|refusal| refusal.index == index)));
            fields.insert("share".to_owned(), json!(import.share));
            fields.insert("tracking".to_owned(), json!(false));
        }
        row
    });
    let imports: Vec<Value> = imports.collect();
    for (name, list) in [("exports", exports), ("imports", imports)] {
        if !list.is_empty() {
            shown.insert(name.to_owned(), json!(list));
        }
    }
    if !nats.mappings.is_empty() {
        shown.insert("mappings".to_owned(), json!(nats.mappings));
    }
    shown.insert("issuer_key".to_owned(), json!(record.claims.issuer.to_string()));
    shown.insert("name_tag".to_owned(), json!(record.claims.name));
    if !nats.tags.is_empty() {
        shown.insert("tags".to_owned(), json!(nats.tags));
    }
    if jwt {
        shown.insert("jwt".to_owned(), json!(record.token()));
        shown.insert("decoded_jwt".to_owned(), decoded(record.token()));
    }
    shown
}

/// What an account of the configuration shares.
fn shared(tenant: &Tenant) -> Map<String, Value> {
    let mut shown = Map::new();
    let Some(sharing) = tenant.sharing() else { return shown };
    let refused = tenant.crossings.refused();
    let exports: Vec<Value> = sharing.exports.iter().map(export).collect();
    let imports = sharing.imports.iter().enumerate().map(|(index, import)| {
        json!({
            "subject": import.remote(),
            "account": import.exporter,
            "local_subject": import.local().map(Pattern::as_str),
            "type": import.kind,
            "share": import.share,
            "invalid": refused.iter().any(|refusal| refusal.index == index),
            "tracking": false,
        })
    });
    let imports: Vec<Value> = imports.collect();
    for (name, list) in [("exports", exports), ("imports", imports)] {
        if !list.is_empty() {
            shown.insert(name.to_owned(), json!(list));
        }
    }
    shown
}

fn export(export: &Export) -> Value {
    let mut row = json!({"subject": export.subject.as_str(), "type": export.kind});
    let Value::Object(fields) = &mut row else { return row };
    if export.kind == ExportKind::Service {
        fields.insert("response_type".to_owned(), json!(export.response));
    }
    match &export.access {
        Access::Approved(accounts) | Access::ApprovedPosition(accounts, _) => {
            fields.insert("approved_accounts".to_owned(), json!(accounts));
        }
        Access::Position(_) | Access::Public | Access::Token(_) => {}
    }
    if let Access::Position(position) | Access::ApprovedPosition(_, position) = export.access {
        fields.insert("account_token_position".to_owned(), json!(position));
    }
    row
}

/// The claims as the JWT has them.
fn decoded(token: &str) -> Value {
    let claims = token.split('.').nth(1).and_then(|part| data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default()
}

/// Figures of the accounts that `options` ask for, or of the one account `only`.
pub fn accstatz(broker: &Broker, options: &AccountStatOptions, only: Option<&str>) -> Value {
    let mut all = broker.tenants.all();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let wanted = |tenant: &Tenant| {
        let name = tenant.name.as_str();
        let asked = match only {
            Some(only) => only == name,
            None => options.accounts.is_empty() || options.accounts.iter().any(|account| account == name),
        };
        asked && (options.include_unused || tenant.connection_count() + tenant.leaf_count() > 0)
    };
    let rows: Vec<Value> = all.iter().filter(|tenant| wanted(tenant)).map(|tenant| figures(tenant)).collect();
    json!({
        "server_id": &*broker.id,
        "now": text::rfc3339(broker.clock.unix_nanos()),
        "account_statz": rows,
    })
}

/// The figures of one account.
pub fn figures(tenant: &Tenant) -> Value {
    let figures = tenant.counters.figures();
    let name = tenant.display_name();
    let data = |msgs: u64, bytes: u64| {
        let none = json!({"msgs": 0, "bytes": 0});
        json!({"msgs": msgs, "bytes": bytes, "gateways": none, "routes": none, "leafs": none})
    };
    json!({
        "acc": tenant.name.as_str(),
        "name": if name.is_empty() { tenant.name.to_string() } else { name },
        "conns": tenant.connection_count(),
        "leafnodes": tenant.leaf_count(),
        "total_conns": tenant.connection_count() + tenant.leaf_count(),
        "num_subscriptions": tenant.interest.len(),
        "sent": data(figures.out_messages, figures.out_bytes),
        "received": data(figures.in_messages, figures.in_bytes),
        "slow_consumers": tenant.counters.slow_consumers.load(Relaxed),
    })
}
