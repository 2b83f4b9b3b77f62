//! What a form or a query says.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawQuery};
use axum::http::request::Parts;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::problem::Problem;

const SECONDS_PER_DAY: i64 = 86_400;

/// Names and values, as a browser sends them. Values are wiped when the last copy goes: one may be a token.
#[derive(Clone, Default)]
pub(super) struct Fields(Arc<Vec<(String, Zeroizing<String>)>>);

impl std::fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// Reads `application/x-www-form-urlencoded` text.
    pub(super) fn parse(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned().into()));
        Self(Arc::new(pairs.collect()))
    }

    /// The value of a field without the space around it; empty when it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.trim())
    }

    /// The value of a field that is filled in.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|value| !value.is_empty())
    }

    /// The same, owned.
    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.filled(name).map(str::to_owned)
    }

    /// The lines of a field, without empty ones.
    pub(super) fn lines(&self, name: &str) -> Vec<&str> {
        self.text(name).lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    }

    /// Whether a box is ticked, or a choice is this one.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name) == value
    }

    /// A number of days in seconds. What is no number is left as it is: the API says what is wrong with it.
    pub(super) fn days(&self, name: &str) -> Value {
        match self.filled(name) {
            None => Value::Null,
            Some(text) => match text.parse::<i64>() {
                Ok(days) => days.saturating_mul(SECONDS_PER_DAY).into(),
                Err(_) => text.into(),
            },
        }
    }

    /// A version that a form was made for.
    pub(super) fn version(&self) -> Result<i64, Problem> {
        self.text("version")
            .parse()
            .map_err(|_| Problem::invalid("version", "the form does not say what it was made for"))
    }
}

/// The fields of a form, put there by the guard: without it there are none.
impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| Problem::internal(&"a form was not guarded"))
    }
}

/// The query of a page. Fields that are left empty are as if they were not there.
#[derive(Clone, Debug)]
pub(super) struct Wanted(pub(super) Fields);

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = RawQuery::from_request_parts(parts, state).await.ok().and_then(|RawQuery(text)| text);
        Ok(Self(Fields::parse(query.unwrap_or_default().as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_the_browser_meant_it() {
        let fields = Fields::parse(b"name=+a+b+&lines=x%0D%0A%0D%0A+y&box=yes&days=2&bad=two&name=second&none=");
        assert_eq!(fields.text("name"), "a b");
        assert_eq!(fields.lines("lines"), ["x", "y"]);
        assert!(fields.is("box", "yes") && !fields.is("absent", "yes"));
        assert_eq!(fields.days("days"), serde_json::json!(172_800));
        assert_eq!(fields.days("bad"), serde_json::json!("two"));
        assert_eq!(fields.days("none"), Value::Null);
        assert_eq!(fields.filled("none"), None);
        assert!(fields.version().is_err());
        assert!(!format!("{fields:?}").contains("172"), "values are not printed");
    }
}
