//! What a far origin is asked: for a consumer of our own, or to let one that was made beforehand start over.
//!
//! Written as nats-server 2.15 writes it, so that what was permitted for one of its streams is enough for one of ours:
//! answers come to `$JSC.R.*`, deliveries to `$JS.M.*`, `$JS.S.*` or below the prefix that was configured. Our account's
//! name, which nats-server tells, is nobody's business there and is left out.

use serde_json::{Map, Value, json};

use super::Shape;
use super::position::short_hash;
use crate::config::SourceConsumer;

/// Where the prefix of the API stands in requests of an account's own.
const OWN_API: &str = "$JS.API";
/// A heartbeat as often as this: nanoseconds.
const HEARTBEAT: i64 = 1_000_000_000;
/// The consumer ends by itself after so long without us: nanoseconds.
const INACTIVE: i64 = 10_000_000_000;
/// As nats-server has it: nobody waits for acknowledgements, nanoseconds.
const ACK_WAIT: i64 = 79_200_000_000_000;

/// A request to an origin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) subject: String,
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

/// Who asks, and from where on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    pub(super) account: &'a str,
    pub(super) stream: &'a str,
    pub(super) domain: Option<&'a str>,
    /// The next sequence that is wanted; 0 if that follows from the start options.
    pub(super) next: u64,
    /// What the origin called itself; empty if it did not.
    pub(super) stamp: &'a str,
    /// An older server is asked, who does not know consumers for mirrors and sources.
    pub(super) plain: bool,
}

/// Asks for a consumer that delivers to `deliver`.
pub(super) fn create(shape: &Shape, asker: &Asker<'_>, deliver: &str) -> Request {
    let source = &shape.source;
    let kind = if shape.mirror { "MIRROR" } else { "SRC" };
    let of = format!("{} {} {}", asker.stream, asker.account, asker.domain.unwrap_or_default());
    let name = format!("JS_{kind}_{}", short_hash(of.trim_end()));
    let mut config = Map::new();
    let fields = [
        ("name", json!(name)),
        ("ack_policy", json!("none")),
        ("ack_wait", json!(ACK_WAIT)),
        ("max_deliver", json!(1)),
        ("replay_policy", json!("instant")),
        ("flow_control", json!(true)),
        ("deliver_subject", json!(deliver)),
        ("idle_heartbeat", json!(HEARTBEAT)),
        ("inactive_threshold", json!(INACTIVE)),
        ("num_replicas", json!(0)),
        ("direct", json!(true)),
    ];
    config.extend(fields.into_iter().map(|(field, value)| (field.to_owned(), value)));
    if asker.plain {
        // Two of one name would be one there.
        config.insert("name".to_owned(), json!(format!("{name}_{}", short_hash(deliver))));
    } else {
        config.insert("sourcing".to_owned(), json!(true));
        let role = if shape.mirror { "_nats.mirror.stream" } else { "_nats.src.stream" };
        config.insert("metadata".to_owned(), json!({ role: asker.stream }));
    }
    start(shape, asker.next, &mut config);
    let filter = filters(shape, &mut config);
    let api = prefix(shape);
    let named = config.get("name").and_then(Value::as_str).unwrap_or(&name);
    let subject = match filter {
        Some(filter) => format!("{api}.CONSUMER.CREATE.{}.{named}.{filter}", source.name),
        None => format!("{api}.CONSUMER.CREATE.{}", source.name),
    };
    let body = json!({"stream_name": source.name, "config": config, "action": ""});
    Request { subject, header: header(shape, asker), payload: body.to_string().into_bytes() }
}

/// Asks a consumer that was made beforehand to begin where we are.
pub(super) fn reset(shape: &Shape, consumer: &SourceConsumer, asker: &Asker<'_>) -> Request {
    let subject = format!("{}.CONSUMER.RESET.{}.{}", prefix(shape), shape.source.name, consumer.name);
    let from = if asker.next > 0 && !asker.plain { Some(asker.next) } else { None };
    let payload = from.map(|seq| json!({ "seq": seq }).to_string().into_bytes()).unwrap_or_default();
    Request { subject, header: header(shape, asker), payload }
}

/// Ends a consumer that outlives us.
pub(super) fn delete(shape: &Shape, name: &str) -> String {
    format!("{}.CONSUMER.DELETE.{}.{name}", prefix(shape), shape.source.name)
}

/// The subject below which a consumer is to deliver.
pub(super) fn deliver_to(shape: &Shape, unique: &str) -> String {
    let kind = if shape.mirror { "M" } else { "S" };
    let prefix = shape.source.external.as_ref().map(|external| external.deliver.trim_end_matches('.'));
    let prefix = prefix.filter(|prefix| !prefix.is_empty()).unwrap_or("$JS");
    format!("{prefix}.{kind}.{unique}")
}

fn prefix(shape: &Shape) -> &str {
    shape.source.external.as_ref().map_or(OWN_API, |external| external.api.trim_end_matches('.'))
}

fn header(shape: &Shape, asker: &Asker<'_>) -> Vec<u8> {
    if asker.plain && shape.source.consumer.is_none() {
        return Vec::new();
    }
    let stamp = asker.stamp;
    if shape.mirror && shape.source.consumer.is_none() {
        return b"NATS/1.0\r\nNats-Required-Api-Level: 4\r\n\r\n".to_vec();
    }
    format!("NATS/1.0\r\nNats-Required-Api-Level: 5\r\nNats-Stream-Identity: {stamp}\r\n\r\n").into_bytes()
}

fn start(shape: &Shape, next: u64, config: &mut Map<String, Value>) {
    let source = &shape.source;
    let mut set = |field: &str, value: Value| config.insert(field.to_owned(), value);
    let from = if next > 0 { next } else { source.opt_start_seq };
    if from > 0 {
        set("deliver_policy", json!("by_start_sequence"));
        set("opt_start_seq", json!(from));
    } else if let Some(time) = source.opt_start_time {
        set("deliver_policy", json!("by_start_time"));
        set("opt_start_time", json!(time));
    } else {
        set("deliver_policy", json!("all"));
    }
}

/// Writes down what is wanted; gives it if it is one pattern.
fn filters<'a>(shape: &'a Shape, config: &mut Map<String, Value>) -> Option<&'a str> {
    let source = &shape.source;
    let all: Vec<&str> = if source.subject_transforms.is_empty() {
        Some(source.filter_subject.as_str()).filter(|filter| !filter.is_empty()).into_iter().collect()
    } else {
        shape.transforms.iter().map(|(src, _)| src.as_str()).collect()
    };
    match all.as_slice() {
        [] => None,
        [one] => {
            config.insert("filter_subject".to_owned(), json!(one));
            Some(*one)
        }
        more => {
            config.insert("filter_subjects".to_owned(), json!(more));
            None
        }
    }
}
