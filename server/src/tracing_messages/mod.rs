//! Message tracing (ADR-41): a publisher asks by header what becomes of its message.
//!
//! `Nats-Trace-Dest` names the subject of the report, `Nats-Trace-Only` keeps the message itself from being delivered.
//! The report goes out in the publisher's account, once the message has been routed. What happens behind an import of
//! another account is that account's business and not reported.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Map, Value, json};

use cordon_accounts::subject::matching;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::protocol::headers;
use crate::routing::Subscription;
use crate::system::envelope::server_info;

const DESTINATION: &[u8] = b"Nats-Trace-Dest";
const ONLY: &[u8] = b"Nats-Trace-Only";
/// Set by servers that pass a trace on; from a client it is a forgery.
const ORIGIN: &[u8] = b"Nats-Trace-Origin-Account";
/// Events in one report.
const EVENTS_MAX: usize = 1024;
/// A destination that turns tracing off.
const DISABLED: &[u8] = b"trace disabled";

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
        if !header.starts_with(b"NATS/1.0\r\n") || headers::value(header, ORIGIN).is_some() {
            return None;
        }
        let destination = headers::value(header, DESTINATION).filter(|value| *value != DISABLED)?;
        let only = headers::value(header, ONLY)
            .is_some_and(|value| [b"1".as_slice(), b"true", b"on"].iter().any(|yes| value.eq_ignore_ascii_case(yes)));
        Some(Self { destination, only })
    }

    /// A report can be published there.
    pub fn is_valid(&self) -> bool {
        matching::is_valid(self.destination) && matching::is_literal(self.destination)
    }
}

/// A report in the making.
pub struct Report {
    request: Value,
    ingress: Map<String, Value>,
    events: Vec<Value>,
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
        Self { request: json!({"header": fields(header), "msgsize": size}), ingress, events: Vec::new() }
    }

    /// The message went no further than the broker.
    pub fn refused(&mut self, why: &str) {
        self.ingress.insert("error".to_owned(), json!(why));
    }

    /// A mapping of the account changed the subject.
    pub fn mapped(&mut self, broker: &Broker, to: &[u8]) {
        self.events.push(json!({"type": "sm", "ts": broker.clock.rfc3339(), "to": String::from_utf8_lossy(to)}));
    }

    /// A receiver was tried. Of very many only the first are told of: a report grows no larger than a message may be.
    pub fn offered(&mut self, receiver: &Connection, subscription: &Subscription, error: Option<Undelivered>) {
        if self.events.len() >= EVENTS_MAX {
            return;
        }
        let mut event = Map::new();
        event.insert("type".to_owned(), json!("eg"));
        event.insert("ts".to_owned(), json!(receiver.broker.clock.rfc3339()));
        event.extend(who(receiver));
        event.insert("sub".to_owned(), json!(String::from_utf8_lossy(subscription.subject())));
        if let Some(queue) = subscription.queue() {
            event.insert("queue".to_owned(), json!(String::from_utf8_lossy(queue)));
        }
        if let Some(error) = error {
            event.insert("error".to_owned(), json!(error.text()));
        }
        self.events.push(Value::Object(event));
    }

    /// The text of the report.
    pub fn finish(self, broker: &Broker) -> Vec<u8> {
        let mut events = vec![Value::Object(self.ingress)];
        events.extend(self.events);
        json!({"server": server_info(broker), "request": self.request, "events": events}).to_string().into_bytes()
    }
}

/// Kind (0: a client), id and name of a connection.
fn who(connection: &Connection) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), json!(0));
    fields.insert("cid".to_owned(), json!(connection.cid));
    let name = connection.identity().client.name.clone();
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
        let traced = Some(Wish { destination: b"t", only: false });
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
            "NATS/1.0\r\nNats-Trace-Dest: t\r\nNats-Trace-Origin-Account: A\r\n\r\n",
            "NATS/1.0\r\nX: Nats-Trace-Dest\r\n\r\n",
            "",
        ] {
            assert_eq!(wish(none), None, "{none}");
        }
    }

    #[test]
    fn a_destination_is_a_literal_subject() {
        for (destination, valid) in [("a.b", true), ("a.*", false), ("a.>", false), ("a..b", false), ("", false)] {
            assert_eq!(Wish { destination: destination.as_bytes(), only: true }.is_valid(), valid, "{destination}");
        }
    }
}
