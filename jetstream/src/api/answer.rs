//! The envelope of answers: a type, then what was asked for or the error (jetstream.md 1.3).

use std::sync::mpsc::Sender;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ApiError, Endpoint};

const PREFIX: &str = "io.nats.jetstream.api.v1.";

/// An answer.
pub(crate) struct Answer(Map<String, Value>, Option<Sender<()>>);

impl Answer {
    /// What was asked for, its members beside the type; something that is no object has none.
    pub(crate) fn of(endpoint_kind: &str, content: &impl Serialize) -> Self {
        let mut members = Self::empty(endpoint_kind);
        if let Ok(Value::Object(content)) = serde_json::to_value(content) {
            members.extend(content);
        }
        Self(members, None)
    }

    /// What is told once the answer was sent.
    pub(crate) fn and_then(self, then: Sender<()>) -> Self {
        Self(self.0, Some(then))
    }

    /// A refusal.
    pub(super) fn refused(endpoint: &Endpoint<'_>, error: &ApiError) -> Self {
        let mut answer = Self::failed(&format!("{PREFIX}{}", endpoint.kind()), error);
        if let Some(limit) = endpoint.page_limit() {
            for (name, number) in [("total", 0), ("offset", 0), ("limit", limit)] {
                answer.0.insert(name.to_owned(), number.into());
            }
        }
        answer
    }

    /// A refusal of that whole type.
    pub(crate) fn failed(kind: &str, error: &ApiError) -> Self {
        let mut members = Map::new();
        members.insert("type".to_owned(), kind.into());
        members.insert("error".to_owned(), serde_json::to_value(error).unwrap_or_default());
        Self(members, None)
    }

    /// One more member.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// As it is sent.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.parts().0
    }

    /// As it is sent, and what is told then.
    pub(super) fn parts(self) -> (Vec<u8>, Option<Sender<()>>) {
        (serde_json::to_vec(&Value::Object(self.0)).unwrap_or_default(), self.1)
    }

    fn empty(kind: &str) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("type".to_owned(), format!("{PREFIX}{kind}").into());
        members
    }
}
