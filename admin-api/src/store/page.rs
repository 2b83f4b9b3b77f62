//! Keyset paging: lists go on after the last key that was seen, so that inserts do not shift them.

/// The longest page that a list returns.
pub const PAGE_MAX: u32 = 500;

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    after: Option<String>,
    limit: u32,
}

impl Page {
    /// A page of at most `limit` rows after the row of key `after`; the limit is held to 1..=500.
    pub fn new(after: Option<String>, limit: u32) -> Self {
        Self { after, limit: limit.clamp(1, PAGE_MAX) }
    }

    /// The first page, as long as pages get.
    pub fn first() -> Self {
        Self::new(None, PAGE_MAX)
    }

    /// The key after which the page begins; keys are never empty, so the empty text begins at the start.
    pub fn after(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// How many rows at most.
    pub fn limit(&self) -> u32 {
        self.limit
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::first()
    }
}
