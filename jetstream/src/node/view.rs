//! What monitoring shows (jetstream.md 7.1), in the shape of nats-server.

use std::sync::Arc;

use cordon_server::monitoring::jsz::{HealthOptions, JszOptions};
use cordon_server::monitoring::{Fault, PAGE, text};
use serde_json::{Map, Value, json};

use super::Shared;
use super::member::Member;
use crate::account::AccountLimits;
use crate::api::ApiStatistics;
use crate::config::Storage;
use crate::stream::{Core, Stream};

/// What all accounts use, without what is the node's own.
fn stats(node: &Shared) -> Map<String, Value> {
    let totals = &node.totals;
    let members = node.members();
    let in_flight: usize = members.iter().map(|member| member.backlog.in_flight()).sum();
    let mut api = json!(ApiStatistics::of(totals.api()));
    if let (Value::Object(fields), true) = (&mut api, in_flight > 0) {
        fields.insert("inflight".to_owned(), json!(in_flight));
    }
    let fields = json!({
        "memory": totals.used(Storage::Memory),
        "storage": totals.used(Storage::File),
        "reserved_memory": totals.reserved(Storage::Memory),
        "reserved_storage": totals.reserved(Storage::File),
        "accounts": members.len(),
        "ha_assets": 0,
        "api": api,
    });
    object(fields)
}

fn config(node: &Shared) -> Value {
    let Some(settings) = node.settings.get() else { return json!({}) };
    let mut shown = Map::new();
    shown.insert("max_memory".to_owned(), json!(settings.max_memory));
    shown.insert("max_storage".to_owned(), json!(settings.max_storage));
    if let Some(folder) = &settings.store_dir {
        shown.insert("store_dir".to_owned(), json!(folder.join("jetstream")));
    }
    match settings.sync_interval {
        Some(interval) => shown.insert("sync_interval".to_owned(), json!(interval.as_nanos() as u64)),
        None => shown.insert("sync_always".to_owned(), json!(true)),
    };
    if let Some(domain) = &settings.domain {
        shown.insert("domain".to_owned(), json!(domain));
    }
    shown.insert("strict".to_owned(), json!(settings.strict));
    // Streams may ask for it: each message is then compressed by itself.
    shown.insert("compress_ok".to_owned(), json!(true));
    if !node.unique_tag.is_empty() {
        shown.insert("unique_tag".to_owned(), json!(node.unique_tag));
    }
    Value::Object(shown)
}

fn limits(node: &Shared) -> Value {
    let Some(settings) = node.settings.get() else { return json!({}) };
    let mut shown = Map::new();
    let some = [
        ("max_ack_pending", settings.max_ack_pending),
        ("max_request_batch", settings.max_request_batch),
        ("duplicate_window", settings.max_duplicate_window),
    ];
    shown.extend(some.into_iter().filter(|(_, limit)| *limit > 0).map(|(name, limit)| (name.to_owned(), json!(limit))));
    Value::Object(shown)
}

/// The part of `/varz` and of `STATSZ`.
pub(super) fn varz(node: &Shared) -> Value {
    json!({"config": config(node), "stats": stats(node), "limits": limits(node)})
}

/// `/jsz`.
///
/// # Errors
///
/// [`Fault`] names what cannot be shown.
pub(super) fn jsz(node: &Shared, options: &JszOptions) -> Result<Value, Fault> {
    let Some(broker) = node.broker() else { return Err(Fault::new("the broker has stopped")) };
    let members = node.members();
    let (mut streams, mut consumers, mut messages, mut bytes) = (0, 0, 0, 0);
    for stream in members.iter().flat_map(|member| member.account.streams()) {
        let state = stream.look(Core::state);
        streams += 1;
        consumers += state.consumer_count;
        messages += state.messages;
        bytes += state.bytes;
    }
    let mut shown = stats(node);
    shown.extend(object(json!({
        "server_id": &*broker.id,
        "now": text::rfc3339(broker.clock.unix_nanos()),
        "config": config(node),
        "limits": limits(node),
        "streams": streams,
        "consumers": consumers,
        "messages": messages,
        "bytes": bytes,
        "total": members.len(),
        "scrub": node.scrub.shown(),
    })));
    let details = details(&members, options);
    if !details.is_empty() {
        shown.insert("account_details".to_owned(), json!(details));
    }
    Ok(Value::Object(shown))
}

fn details(members: &[Arc<Member>], options: &JszOptions) -> Vec<Value> {
    if !options.account.is_empty() {
        let is_meant = |member: &&Arc<Member>| member.account.name().as_str() == options.account;
        return members.iter().find(is_meant).map(|member| detail(member, options)).into_iter().collect();
    }
    if !(options.accounts || options.streams || options.consumers) {
        return Vec::new();
    }
    let offset = usize::try_from(options.offset).unwrap_or(0);
    let limit = usize::try_from(options.limit).ok().filter(|limit| *limit > 0).unwrap_or(PAGE);
    members.iter().skip(offset).take(limit).map(|member| detail(member, options)).collect()
}

/// One account, as `JSZ` of an account shows it.
///
/// # Errors
///
/// [`Fault`] if it has no streams.
pub(super) fn account(node: &Shared, name: &str, options: &JszOptions) -> Result<Value, Fault> {
    let member = node.members().into_iter().find(|member| member.account.name().as_str() == name);
    member.map(|member| detail(&member, options)).ok_or_else(|| Fault::new(format!("account \"{name}\" not found")))
}

fn detail(member: &Member, options: &JszOptions) -> Value {
    let account = &member.account;
    let (ledger, id) = (account.ledger(), account.name().as_str());
    let display = member.tenant.display_name();
    let reserved = account.limits();
    // What is not bounded shows as nats-server's unsigned -1.
    let most = |limit: fn(&crate::account::Limits) -> i64| match &*reserved {
        AccountLimits::Flat(limits) => limit(limits).cast_unsigned(),
        AccountLimits::Tiered(_) => 0,
    };
    let mut shown = object(json!({
        "name": if display.is_empty() { id } else { &display },
        "id": id,
        "memory": ledger.used(Storage::Memory),
        "storage": ledger.used(Storage::File),
        "reserved_memory": most(|limits| limits.max_memory),
        "reserved_storage": most(|limits| limits.max_storage),
        "accounts": 0,
        "ha_assets": 0,
        "api": {"level": 0, "total": ledger.api().total(), "errors": ledger.api().errors()},
    }));
    let offline = account.offline();
    if !offline.is_empty() {
        shown.insert("offline".to_owned(), json!(offline));
    }
    let streams = account.streams();
    if (options.streams || options.consumers) && !streams.is_empty() {
        let rows: Vec<_> = streams.iter().map(|stream| row(member, stream, options)).collect();
        shown.insert("stream_detail".to_owned(), json!(rows));
    }
    Value::Object(shown)
}

fn row(member: &Member, stream: &Arc<Stream>, options: &JszOptions) -> Value {
    let now = member.unix_nanos();
    let (info, names) = stream.look(|core| (core.info(now, false), core.consumer_names()));
    let mut shown = object(json!({
        "name": &**stream.name(),
        "created": info.created,
        "cluster": {"leader": member.account.settings().server},
        "state": info.state,
    }));
    if options.config {
        shown.insert("config".to_owned(), json!(info.config));
    }
    if let Some(mirror) = &info.mirror {
        shown.insert("mirror".to_owned(), json!(mirror));
    }
    if !info.sources.is_empty() {
        shown.insert("sources".to_owned(), json!(info.sources));
    }
    if options.consumers {
        let rows = stream.change(|core, now| {
            let infos = names.iter().filter_map(|name| core.consumer_info(name, now)).map(|info| json!(info));
            infos.collect::<Vec<_>>()
        });
        let rows = rows.into_iter().map(|mut row| {
            if let (Value::Object(fields), false) = (&mut row, options.config) {
                fields.remove("config");
            }
            row
        });
        shown.insert("consumer_detail".to_owned(), Value::Array(rows.collect()));
    }
    Value::Object(shown)
}

/// What is wrong, with the HTTP status code.
pub(super) fn healthz(node: &Shared, options: &HealthOptions) -> Option<(u16, String)> {
    let HealthOptions { account, stream, consumer, .. } = options;
    if account.is_empty() && !stream.is_empty() {
        return Some((400, "\"account\" must not be empty when checking stream health".to_owned()));
    }
    if stream.is_empty() && !consumer.is_empty() {
        return Some((400, "\"stream\" must not be empty when checking consumer health".to_owned()));
    }
    if options.js_enabled_only || options.js_server_only || options.js_meta_only {
        return None;
    }
    let members = node.members();
    if account.is_empty() {
        return members.iter().find_map(|member| trouble_of(member));
    }
    let Some(member) = members.iter().find(|member| member.account.name().as_str() == account) else {
        return Some((404, format!("JetStream account \"{account}\" not found")));
    };
    if stream.is_empty() {
        return trouble_of(member);
    }
    if let Some(reason) = member.account.offline_reason(stream) {
        return Some((503, format!("JetStream stream \"{stream}\" of account \"{account}\" is offline: {reason}")));
    }
    let Some(found) = member.account.stream(stream) else {
        return Some((404, format!("JetStream stream \"{stream}\" not found on account \"{account}\"")));
    };
    if let Some(trouble) = found.look(|core| core.trouble().map(str::to_owned)) {
        return Some((
            503,
            format!("JetStream stream \"{stream}\" of account \"{account}\" stores nothing: {trouble}"),
        ));
    }
    if consumer.is_empty() || found.has_consumer(consumer) {
        return None;
    }
    Some((404, format!("JetStream consumer \"{consumer}\" not found for stream \"{stream}\" on account \"{account}\"")))
}

/// What is wrong with one of an account's streams.
fn trouble_of(member: &Member) -> Option<(u16, String)> {
    let account = member.account.name();
    if let Some((name, reason)) = member.account.offline().into_iter().next() {
        return Some((503, format!("JetStream stream \"{name}\" of account \"{account}\" is offline: {reason}")));
    }
    member.account.streams().iter().find_map(|stream| {
        let trouble = stream.look(|core| core.trouble().map(str::to_owned))?;
        let name = stream.name();
        Some((503, format!("JetStream stream \"{name}\" of account \"{account}\" stores nothing: {trouble}")))
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
