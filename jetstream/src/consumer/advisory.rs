//! What is told of a consumer in its account: advisories and metrics (jetstream.md 7.2). Nothing is made that nobody
//! listens to.

use serde_json::{Map, Value, json};

use super::{Consumer, Context, Place};
use crate::config::Moment;
use crate::port::{Outgoing, Port};

/// A delivery that an advisory is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) stream_seq: u64,
    pub(crate) consumer_seq: u64,
    pub(crate) deliveries: u32,
}

/// Tells the account that a consumer was made.
pub fn consumer_created(place: &Place<'_>, consumer: &str, port: &dyn Port, now: i64) {
    tell_action(place, consumer, "CREATED", "create", port, now);
}

/// Tells the account that a consumer was deleted.
pub fn consumer_deleted(place: &Place<'_>, consumer: &str, port: &dyn Port, now: i64) {
    tell_action(place, consumer, "DELETED", "delete", port, now);
}

fn tell_action(place: &Place<'_>, consumer: &str, event: &str, action: &str, port: &dyn Port, now: i64) {
    let about = || json!({"stream": place.stream, "consumer": consumer, "action": action});
    publish(
        place,
        port,
        now,
        &format!("ADVISORY.CONSUMER.{event}.{}.{consumer}", place.stream),
        "consumer_action",
        about,
    );
}

fn publish(place: &Place<'_>, port: &dyn Port, now: i64, tail: &str, kind: &str, about: impl FnOnce() -> Value) {
    let subject = format!("$JS.EVENT.{tail}");
    if !port.has_interest(subject.as_bytes(), None) {
        return;
    }
    let family = if tail.starts_with("METRIC") { "metric" } else { "advisory" };
    let mut all = Map::new();
    all.insert("type".into(), format!("io.nats.jetstream.{family}.v1.{kind}").into());
    all.insert("id".into(), nuid::next().to_string().into());
    all.insert("timestamp".into(), Moment(now).to_string().into());
    if let Value::Object(about) = about() {
        all.extend(about);
    }
    if let Some(domain) = place.domain {
        all.insert("domain".into(), domain.into());
    }
    let payload = Value::Object(all).to_string();
    port.send(&Outgoing { to: subject.as_bytes(), payload: payload.as_bytes(), ..Outgoing::default() });
}

impl Consumer {
    fn tell(&self, event: &str, kind: &str, cx: &Context<'_>, about: impl FnOnce() -> Value) {
        let tail = format!("{event}.{}.{}", cx.place.stream, self.name);
        publish(&cx.place, cx.port, cx.now, &tail, kind, about);
    }

    /// A message was delivered as often as it may be.
    pub(super) fn tell_max_deliveries(&self, stream_seq: u64, deliveries: u32, cx: &Context<'_>) {
        self.tell("ADVISORY.CONSUMER.MAX_DELIVERIES", "max_deliver", cx, || {
            json!({"stream": cx.place.stream, "consumer": self.name, "stream_seq": stream_seq, "deliveries": deliveries})
        });
    }

    /// A message is never to be delivered again.
    pub(super) fn tell_terminated(&self, of: &Delivery, reason: &str, cx: &Context<'_>) {
        self.tell("ADVISORY.CONSUMER.MSG_TERMINATED", "terminated", cx, || {
            let mut about = self.about(of, cx);
            if !reason.is_empty()
                && let Some(about) = about.as_object_mut()
            {
                about.insert("reason".into(), reason.into());
            }
            about
        });
    }

    /// A receiver gave a message back.
    pub(super) fn tell_naked(&self, of: &Delivery, cx: &Context<'_>) {
        self.tell("ADVISORY.CONSUMER.MSG_NAKED", "nak", cx, || self.about(of, cx));
    }

    /// A sample of acknowledgements.
    pub(super) fn tell_acked(&self, of: &Delivery, ack_time: i64, cx: &Context<'_>) {
        self.tell("METRIC.CONSUMER.ACK", "consumer_ack", cx, || {
            json!({
                "stream": cx.place.stream, "consumer": self.name, "consumer_seq": of.consumer_seq,
                "stream_seq": of.stream_seq, "ack_time": ack_time, "deliveries": of.deliveries,
            })
        });
    }

    /// Deliveries stop until a time, or go on.
    pub(super) fn tell_paused(&self, cx: &Context<'_>) {
        self.tell("ADVISORY.CONSUMER.PAUSE", "consumer_pause", cx, || {
            let paused = self.is_paused(cx.now);
            let until = Moment(if paused { self.paused_until } else { 0 });
            json!({
                "stream": cx.place.stream, "consumer": self.name, "paused": paused, "pause_until": until.to_string(),
            })
        });
    }

    /// A client was chosen.
    pub(super) fn tell_pinned(&self, group: &str, id: &str, cx: &Context<'_>) {
        self.tell("ADVISORY.CONSUMER.PINNED", "consumer_group_pinned", cx, || {
            json!({
                "account": cx.place.account, "stream": cx.place.stream, "consumer": self.name, "group": group,
                "pinned_id": id,
            })
        });
    }

    /// A client is the chosen one no more.
    pub(super) fn tell_unpinned(&self, group: &str, reason: &str, cx: &Context<'_>) {
        self.tell("ADVISORY.CONSUMER.UNPINNED", "consumer_group_unpinned", cx, || {
            json!({
                "account": cx.place.account, "stream": cx.place.stream, "consumer": self.name, "group": group,
                "reason": reason,
            })
        });
    }

    fn about(&self, of: &Delivery, cx: &Context<'_>) -> Value {
        json!({
            "stream": cx.place.stream, "consumer": self.name, "consumer_seq": of.consumer_seq,
            "stream_seq": of.stream_seq, "deliveries": of.deliveries,
        })
    }
}
