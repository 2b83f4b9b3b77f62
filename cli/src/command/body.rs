//! Bodies of requests: only what was said on the command line is in them.

use serde_json::{Map, Value};

/// A JSON object that is being filled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(Map<String, Value>);

impl Body {
    /// A field.
    pub(crate) fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A field, if it was said.
    pub(crate) fn maybe<T: Into<Value>>(self, name: &str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// A list, if something is in it.
    pub(crate) fn list(self, name: &str, items: &[String]) -> Self {
        if items.is_empty() { self } else { self.set(name, items.to_vec()) }
    }

    /// `true`, if the flag was given.
    pub(crate) fn flag(self, name: &str, given: bool) -> Self {
        if given { self.set(name, true) } else { self }
    }

    /// An object, if something is in it.
    pub(crate) fn object(self, name: &str, object: Self) -> Self {
        if object.is_empty() { self } else { self.set(name, object.into_value()) }
    }

    /// All fields of another body.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// The object, unless nothing was said.
    pub(crate) fn into_change(self) -> anyhow::Result<Value> {
        if self.is_empty() {
            return Err(crate::failure::usage("nothing to change: name a field and its new value (see --help)"));
        }
        Ok(self.into_value())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_said_is_not_sent() {
        let body = Body::default()
            .set("name", "acme")
            .maybe("key", None::<String>)
            .list("tags", &[])
            .flag("bearer", false)
            .object("limits", Body::default().maybe("subscriptions", Some(3)))
            .object("permissions", Body::default());
        assert_eq!(body.into_value(), json!({ "name": "acme", "limits": { "subscriptions": 3 } }));
        assert!(Body::default().into_change().is_err());
    }
}
