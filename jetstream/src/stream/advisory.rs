//! What an account is told of its streams (jetstream.md 7.2). Nothing is made that nobody listens to.

use serde_json::{Map, Value, json};

use super::Stream;
use crate::config::Moment;
use crate::port::{Outgoing, Port};

/// Tells that a stream was made, changed or deleted.
pub(crate) fn stream_action(stream: &Stream, event: &str, action: &str) {
    let about = || json!({"stream": &**stream.name(), "action": action});
    let place = About { domain: stream.domain(), now: stream.clock.unix_nanos() };
    publish(&place, &*stream.port, &format!("ADVISORY.STREAM.{event}.{}", stream.name()), "stream_action", about);
    stream.port.flush();
}

/// What every advisory tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) domain: Option<&'a str>,
    pub(crate) now: i64,
}

/// Publishes an advisory if somebody listens; `kind` is the last part of its type.
pub(crate) fn publish(place: &About<'_>, port: &dyn Port, tail: &str, kind: &str, about: impl FnOnce() -> Value) {
    let subject = format!("$JS.EVENT.{tail}");
    if !port.has_interest(subject.as_bytes(), None) {
        return;
    }
    let mut all = Map::new();
    all.insert("type".into(), format!("io.nats.jetstream.advisory.v1.{kind}").into());
    all.insert("id".into(), nuid::next().to_string().into());
    all.insert("timestamp".into(), Moment(place.now).to_string().into());
    if let Value::Object(about) = about() {
        all.extend(about);
    }
    if let Some(domain) = place.domain {
        all.insert("domain".into(), domain.into());
    }
    let payload = Value::Object(all).to_string();
    port.send(&Outgoing { to: subject.as_bytes(), payload: payload.as_bytes(), ..Outgoing::default() });
}
