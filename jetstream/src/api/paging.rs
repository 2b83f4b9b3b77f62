//! Pages of lists (jetstream.md 1.4).

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::{ApiError, json as body_json};

/// Names in one page.
pub(super) const NAMES: usize = 1024;
/// Descriptions in one page.
pub(super) const ITEMS: usize = 256;

/// What a request for a page says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Paged {
    offset: i64,
    subject: String,
}

impl Paged {
    /// Reads a body that may be left out.
    pub(super) fn read(body: &[u8], strict: bool) -> Result<Self, ApiError> {
        if body_json::is_given(body) { body_json::request(body, strict) } else { Ok(Self::default()) }
    }

    /// Only what has to do with these subjects.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// The page of `all` that was asked for, and the answer without the list.
    pub(super) fn page<'a, T>(&self, kind: &str, all: &'a [T], limit: usize) -> (&'a [T], Answer) {
        let offset = usize::try_from(self.offset).unwrap_or(0).min(all.len());
        let end = offset.saturating_add(limit).min(all.len());
        let page = all.get(offset..end).unwrap_or_default();
        let about: Value = json!({"total": all.len(), "offset": offset, "limit": limit});
        (page, Answer::of(kind, &about))
    }
}
