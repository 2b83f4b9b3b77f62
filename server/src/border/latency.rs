//! How long a service took, as the exporter asked to know (auth.md 6.6).
//!
//! A request is chosen by percent, or by tracing headers of its own. The figure is published in
//! the exporter's account when the answer came, or when it is clear that none comes.

use std::sync::Arc;

use cordon_accounts::claims::Sampling;
use cordon_accounts::sharing::Crossing;
use serde_json::{Map, Value, json};

use crate::border::info;
use crate::broker::Broker;
use crate::connection::{Connection, publish_inside};
use crate::protocol::headers;
use crate::routing::{Batch, Message};
use crate::tenant::Tenant;

/// Families of tracing headers, in the order in which the first one present decides.
const FAMILIES: [&[&str]; 4] = [
    &["Uber-Trace-Id"],
    &["X-B3-Sampled", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId"],
    &["B3"],
    &["Traceparent", "Tracestate"],
];

/// One request that is being measured.
#[derive(Clone)]
pub(super) struct Probe {
    results: Arc<[u8]>,
    started_ns: i64,
    requestor: Map<String, Value>,
    requestor_rtt_ns: u64,
    header: Map<String, Value>,
}

/// How a measured request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    NoReply,
    RequesterGone,
    NobodyThere,
    TooLate,
}

impl Outcome {
    const fn status(self) -> (u16, &'static str) {
        match self {
            Self::Answered => (200, ""),
            Self::NoReply => (400, "Bad Request"),
            Self::RequesterGone => (408, "Request Timeout"),
            Self::NobodyThere => (503, "Service Unavailable"),
            Self::TooLate => (504, "Service Timeout"),
        }
    }
}

impl Probe {
    /// Measures this request, if the export asks for it and the draw or its headers select it.
    pub(super) fn choose(
        broker: &Broker,
        importer: &Tenant,
        crossing: &Crossing,
        message: &Message<'_>,
        batch: &mut Batch,
    ) -> Option<Self> {
        let latency = crossing.latency.as_ref()?;
        let drawn = match latency.sampling {
            Sampling::Percent(percent) => batch.draw(100) < u32::try_from(percent).unwrap_or(0),
            Sampling::Headers => false,
        };
        let (asked, header) = tracing_headers(message.header());
        if !drawn && !asked {
            return None;
        }
        let requestor_rtt_ns =
            message.origin.map_or(0, |origin| origin.traffic.rtt.load(std::sync::atomic::Ordering::Relaxed));
        Some(Self {
            results: latency.results.as_str().as_bytes().into(),
            started_ns: broker.clock.unix_nanos(),
            requestor: info::fields(broker, importer, crossing.share, message.origin.map(|origin| &**origin)),
            requestor_rtt_ns,
            header,
        })
    }

    /// Publishes the figure in the exporter's account.
    pub(super) fn publish(
        &self,
        broker: &Broker,
        exporter: &Tenant,
        outcome: Outcome,
        responder: Option<&Connection>,
        batch: &mut Batch,
    ) {
        let now_ns = broker.clock.unix_nanos();
        let responder_rtt_ns =
            responder.map_or(0, |responder| responder.traffic.rtt.load(std::sync::atomic::Ordering::Relaxed));
        let elapsed = u64::try_from(now_ns.saturating_sub(self.started_ns)).unwrap_or(0);
        let (status, description) = outcome.status();
        let mut event = Map::new();
        event.insert("type".to_owned(), json!("io.nats.server.metric.v1.service_latency"));
        event.insert("id".to_owned(), json!(nuid::next().to_string()));
        event.insert("timestamp".to_owned(), json!(info::rfc3339(now_ns)));
        event.insert("status".to_owned(), json!(status));
        if !description.is_empty() {
            event.insert("description".to_owned(), json!(description));
        }
        event.insert("requestor".to_owned(), Value::Object(self.requestor.clone()));
        if let Some(responder) = responder {
            event.insert("responder".to_owned(), Value::Object(info::fields(broker, exporter, true, Some(responder))));
        }
        if !self.header.is_empty() {
            event.insert("header".to_owned(), Value::Object(self.header.clone()));
        }
        event.insert("start".to_owned(), json!(info::rfc3339(self.started_ns)));
        event.insert("service".to_owned(), json!(elapsed.saturating_sub(responder_rtt_ns)));
        event.insert("system".to_owned(), json!(0));
        event.insert("total".to_owned(), json!(elapsed.saturating_add(self.requestor_rtt_ns)));
        let body = serde_json::to_vec(&Value::Object(event)).unwrap_or_default();
        publish_inside(exporter, &self.results, b"", b"", &body, batch);
    }
}

/// Whether the headers ask to be measured, and those of the family that decided.
fn tracing_headers(block: &[u8]) -> (bool, Map<String, Value>) {
    let value =
        |name: &str| headers::value(block, name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned());
    for family in FAMILIES {
        let found: Map<String, Value> =
            family.iter().filter_map(|name| Some(((*name).to_owned(), json!([value(name)?])))).collect();
        if found.is_empty() {
            continue;
        }
        let asked = match family.first().copied() {
            Some("Uber-Trace-Id") => value("Uber-Trace-Id").is_some_and(|id| hex_flag(&id, ':')),
            Some("X-B3-Sampled") => {
                value("X-B3-Sampled").map_or_else(|| value("X-B3-TraceId").is_some(), |sampled| sampled == "1")
            }
            Some("B3") => value("B3").is_some_and(|b3| b3 != "0" && b3.split('-').nth(2) != Some("0")),
            _ => value("Traceparent").is_some_and(|parent| hex_flag(&parent, '-')),
        };
        return (asked, if asked { found } else { Map::new() });
    }
    (false, Map::new())
}

/// Four parts, the last of which is a hexadecimal number with its lowest bit set.
fn hex_flag(text: &str, separator: char) -> bool {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.len() == 4
        && parts.last().and_then(|last| u8::from_str_radix(last, 16).ok()).is_some_and(|flags| flags & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_family_of_tracing_headers_decides() {
        let cases = [
            ("Uber-Trace-Id: a:b:c:1", true),
            ("Uber-Trace-Id: a:b:c:0", false),
            ("Uber-Trace-Id: a:b:1", false),
            ("X-B3-Sampled: 1", true),
            ("X-B3-Sampled: 0", false),
            ("X-B3-TraceId: 80f", true),
            ("X-B3-Sampled: 0\r\nX-B3-TraceId: 80f", false),
            ("B3: a-b-1", true),
            ("B3: a-b-0", false),
            ("B3: 0", false),
            ("Traceparent: 00-a-b-01", true),
            ("Traceparent: 00-a-b-00", false),
            ("Uber-Trace-Id: a:b:c:0\r\nTraceparent: 00-a-b-01", false),
            ("Other: 1", false),
        ];
        for (lines, asked) in cases {
            let block = format!("NATS/1.0\r\n{lines}\r\n\r\n");
            assert_eq!(tracing_headers(block.as_bytes()).0, asked, "{lines}");
        }
    }
}
