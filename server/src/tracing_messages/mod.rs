//! Message tracing (ADR-41): a publisher asks by header what becomes of its message.
//!
//! `Nats-Trace-Dest` names the subject of the report, `Nats-Trace-Only` keeps the message itself from being delivered.
//! The report goes out in the publisher's account, once the message has been routed. It goes on in another account only
//! if that one agreed to it: `allow_trace` of an export for services, of an import for streams. The border asks. Where it
//! does not go, the headers that ask for it do not go either.
//!
//! A server beyond a leaf connection makes a report of its own, in the account that is joined there: the message asks it
//! to, and says by `Nats-Trace-Hop` which of the ways of this report it goes on with ([`Onward`]).
//!
//! An account may have messages reported on whose `traceparent` is sampled ([`is_sampled`]): its publishers need not know.

mod onward;
mod route;
mod sampling;

use std::io::Write as _;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Map, Value, json};

use cordon_accounts::subject::matching;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::protocol::headers;
use crate::routing::{Message, Subscription};
use crate::system::envelope::server_info;

/// The header that names where the report goes.
pub const DESTINATION: &[u8] = b"Nats-Trace-Dest";
const ONLY: &[u8] = b"Nats-Trace-Only";
/// Numbers the way of a trace that other servers go on with.
const HOP: &[u8] = b"Nats-Trace-Hop";
/// Set by servers that pass a trace on; from a client it is a forgery.
const ORIGIN: &[u8] = b"Nats-Trace-Origin-Account";
/// Events in one report.
const EVENTS_MAX: usize = 1024;
/// A destination that turns tracing off.
pub const DISABLED: &[u8] = b"trace disabled";

pub use onward::Onward;
pub use route::{hidden, hidden_body, offer, route, route_to, unseen};
pub use sampling::is_sampled;

/// Why a message did not reach a receiver, as reports say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The publisher may not publish there.
    Publish,
    /// The receiver is the publisher and wants no echo.
    Echo,
    /// The receiver may not get this subject.
    Subscription,
    /// The subscription has ended.
    Ended,
    /// The connection has ended.
    Closed,
    /// The subscription had all it wanted.
    Maximum,
    /// The message alone went to a leaf node that does not report, or is not asked to.
    Beyond,
    /// It was only to be looked at, and that leaf node would deliver it.
    NotBeyond,
}

impl Undelivered {
    /// The text in a report.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Publish => "Not delivered because publish denied for this subject",
            Self::Echo => "Not delivered because of no echo",
            Self::Subscription => "Not delivered because subscription denies this subject",
            Self::Ended => "Not delivered because subscription is closed",
            Self::Closed => "Not delivered because client is closed",
            Self::Maximum => "Not delivered because auto-unsubscribe exceeded",
            Self::Beyond => {
                "Message delivered but remote does not support message tracing so no trace event generated from there"
            }
            Self::NotBeyond => "Not delivered because remote does not support message tracing",
        }
    }
}

/// What a header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Where the report goes.
    pub destination: &'a [u8],
    /// The message itself is not to be delivered.
    pub only: bool,
    /// It passes for one that another server passes on: it is not followed, and does not ask anybody else to.
    pub is_forged: bool,
}

impl<'a> Wish<'a> {
    /// The wish in a header block, if there is one.
    #[inline]
    pub fn of(header: &'a [u8]) -> Option<Self> {
        // Almost no message is traced: one search decides, prepared once.
        static SEARCH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DESTINATION));
        SEARCH.find(header)?;
        Self::parse(header)
    }

    fn parse(header: &'a [u8]) -> Option<Self> {
        if !header.starts_with(b"NATS/1.0\r\n") {
            return None;
        }
        let destination = headers::value(header, DESTINATION).filter(|value| *value != DISABLED)?;
        let only = headers::value(header, ONLY)
            .is_some_and(|value| [b"1".as_slice(), b"true", b"on"].iter().any(|yes| value.eq_ignore_ascii_case(yes)));
        Some(Self { destination, only, is_forged: headers::value(header, ORIGIN).is_some() })
    }

    /// A report can be published there.
    pub fn is_valid(&self) -> bool {
        matching::is_valid(self.destination) && matching::is_literal(self.destination)
    }
}

/// A message whose way is reported.
#[derive(Debug)]
pub struct Traced {
    /// What is known of its way so far.
    pub report: Report,
    /// It is not to be delivered.
    pub only: bool,
    /// What leaf nodes are asked for; `None` where the report ends.
    pub onward: Option<Onward>,
}

/// A report in the making.
#[derive(Debug, Default)]
pub struct Report {
    request: Value,
    ingress: Map<String, Value>,
    events: Vec<Value>,
    gzip: bool,
    /// The way on which the message came from another server, as that one numbered it.
    way: String,
    /// Servers that were asked to go on.
    hops: u32,
}

impl Report {
    /// A report about a message of `connection`.
    pub fn new(connection: &Connection, subject: &[u8], header: &[u8], size: usize) -> Self {
        let mut ingress = Map::new();
        ingress.insert("type".to_owned(), json!("in"));
        ingress.insert("ts".to_owned(), json!(connection.broker.clock.rfc3339()));
        ingress.extend(who(connection));
        ingress.insert("acc".to_owned(), json!(connection.tenant().name.as_str()));
        ingress.insert("subj".to_owned(), json!(String::from_utf8_lossy(subject)));
        let gzip = headers::values(header, b"Accept-Encoding")
            .any(|value| value.split(|byte| *byte == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(b"gzip")));
        Self { request: json!({"header": fields(header), "msgsize": size}), ingress, gzip, ..Self::default() }
    }

    /// The message came from another server on the way that its header names.
    pub fn coming_by(mut self, header: &[u8]) -> Self {
        onward::way_in(header).clone_into(&mut self.way);
        self
    }

    /// The number of the next way on.
    pub fn next_way(&self) -> String {
        let (dot, next) = (if self.way.is_empty() { "" } else { "." }, self.hops + 1);
        format!("{}{dot}{next}", self.way)
    }

    /// How many servers were asked to go on with it.
    pub fn hops(&self) -> u32 {
        self.hops
    }

    /// The message went no further than the broker.
    pub fn refused(&mut self, why: &str) {
        self.ingress.insert("error".to_owned(), json!(why));
    }

    /// A mapping of the account changed the subject.
    pub fn mapped(&mut self, broker: &Broker, to: &[u8]) {
        self.events.push(json!({"type": "sm", "ts": broker.clock.rfc3339(), "to": String::from_utf8_lossy(to)}));
    }

    /// A service import takes it into the account of the exporter.
    pub fn imported(&mut self, broker: &Broker, exporter: &str, from: &[u8], to: &[u8]) {
        let (from, to) = (String::from_utf8_lossy(from), String::from_utf8_lossy(to));
        self.push(json!({"type": "si", "ts": broker.clock.rfc3339(), "acc": exporter, "from": from, "to": to}));
    }

    /// A stream import takes it into the account of the importer.
    pub fn exported(&mut self, broker: &Broker, importer: &str, to: &[u8]) {
        let to = String::from_utf8_lossy(to);
        self.push(json!({"type": "se", "ts": broker.clock.rfc3339(), "acc": importer, "to": to}));
    }

    /// Of very many events only the first are told of: a report grows no larger than a message may be.
    fn push(&mut self, event: Value) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        }
    }

    /// A receiver was tried.
    pub fn offered(&mut self, receiver: &Connection, subscription: &Subscription, error: Option<Undelivered>) {
        if self.events.len() >= EVENTS_MAX {
            return;
        }
        let mut event = self.egress(receiver, error);
        event.insert("sub".to_owned(), json!(String::from_utf8_lossy(subscription.subject())));
        if let Some(queue) = subscription.queue() {
            event.insert("queue".to_owned(), json!(String::from_utf8_lossy(queue)));
        }
        self.push(Value::Object(event));
    }

    /// A stream took it to keep it, or would; or it has ended. What the stream then makes of it comes too late for the
    /// report.
    pub fn taken(&mut self, message: &Message<'_>, stream: &str, taken: bool) {
        let Some(origin) = message.origin else { return };
        let subject = String::from_utf8_lossy(message.subject);
        let mut event =
            json!({"type": "js", "ts": origin.broker.clock.rfc3339(), "stream": stream, "subject": subject});
        if let Value::Object(fields) = &mut event
            && !taken
        {
            fields.insert("error".to_owned(), json!(Undelivered::Ended.text()));
        }
        self.push(event);
    }

    /// A leaf node got it, and goes on with the report as the next way.
    pub fn goes_on(&mut self, leaf: &Connection) {
        let mut event = self.egress(leaf, None);
        event.insert("hop".to_owned(), json!(self.next_way()));
        self.hops += 1;
        self.push(Value::Object(event));
    }

    /// A leaf node was tried, and the report ends there.
    pub fn passed_on(&mut self, leaf: &Connection, error: Undelivered) {
        let event = self.egress(leaf, Some(error));
        self.push(Value::Object(event));
    }

    fn egress(&self, receiver: &Connection, error: Option<Undelivered>) -> Map<String, Value> {
        let mut event = Map::new();
        event.insert("type".to_owned(), json!("eg"));
        event.insert("ts".to_owned(), json!(receiver.broker.clock.rfc3339()));
        event.extend(who(receiver));
        let account = receiver.tenant().name.clone();
        if self.ingress.get("acc").and_then(Value::as_str) != Some(account.as_str()) {
            event.insert("acc".to_owned(), json!(account.as_str()));
        }
        if let Some(error) = error {
            event.insert("error".to_owned(), json!(error.text()));
        }
        event
    }

    /// Header block and body of the report: compressed if the message asked for that.
    pub fn finish(self, broker: &Broker) -> (&'static [u8], Vec<u8>) {
        let mut events = vec![Value::Object(self.ingress)];
        events.extend(self.events);
        let mut all = json!({"server": server_info(broker), "request": self.request, "events": events});
        if let Value::Object(fields) = &mut all
            && self.hops > 0
        {
            fields.insert("hops".to_owned(), json!(self.hops));
        }
        let text = all.to_string();
        match self.gzip.then(|| compressed(text.as_bytes())) {
            Some(Ok(body)) => (b"NATS/1.0\r\nContent-Encoding: gzip\r\n\r\n", body),
            Some(Err(_)) | None => (b"", text.into_bytes()),
        }
    }
}

fn compressed(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

/// Kind (0: a client, 4: a leaf node), id and name of a connection.
fn who(connection: &Connection) -> Map<String, Value> {
    let mut fields = Map::new();
    let leaf = connection.leaf();
    fields.insert("kind".to_owned(), json!(if leaf.is_some() { 4 } else { 0 }));
    fields.insert("cid".to_owned(), json!(connection.cid));
    let name = leaf.map_or_else(|| connection.identity().client.name.clone(), |leaf| leaf.name.clone());
    if !name.is_empty() {
        fields.insert("name".to_owned(), json!(name));
    }
    fields
}

/// Header fields by name.
fn fields(header: &[u8]) -> Map<String, Value> {
    let mut all = Map::new();
    for line in header.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let values = all.entry(String::from_utf8_lossy(name)).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(json!(String::from_utf8_lossy(value)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_headers_of_a_real_block_are_a_wish() {
        let wish = |header: &'static str| Wish::of(header.as_bytes());
        let traced = Some(Wish { destination: b"t", only: false, is_forged: false });
        assert_eq!(wish("NATS/1.0\r\nNats-Trace-Dest: t\r\n\r\n"), traced);
        for (value, only) in [("1", true), ("TRUE", true), ("on", true), ("0", false), ("yes", false), ("", false)] {
            let header = format!("NATS/1.0\r\nNats-Trace-Only:{value}\r\nNats-Trace-Dest:t\r\n\r\n");
            assert_eq!(Wish::of(header.as_bytes()).unwrap().only, only, "{value}");
        }
        for none in [
            "NATS/1.0\r\nnats-trace-dest: t\r\n\r\n",
            "NATS/1.0\r\nNats-Trace-Dest : t\r\n\r\n",
            "NATS/1.0 503\r\nNats-Trace-Dest: t\r\n\r\n",
            "NATS/1.0\r\nNats-Trace-Dest: trace disabled\r\n\r\n",
            "NATS/1.0\r\nX: Nats-Trace-Dest\r\n\r\n",
            "",
        ] {
            assert_eq!(wish(none), None, "{none}");
        }
        assert!(wish("NATS/1.0\r\nNats-Trace-Dest: t\r\nNats-Trace-Origin-Account: A\r\n\r\n").unwrap().is_forged);
    }

    #[test]
    fn a_destination_is_a_literal_subject() {
        for (destination, valid) in [("a.b", true), ("a.*", false), ("a.>", false), ("a..b", false), ("", false)] {
            assert_eq!(
                Wish { destination: destination.as_bytes(), only: true, is_forged: false }.is_valid(),
                valid,
                "{destination}"
            );
        }
    }
}
