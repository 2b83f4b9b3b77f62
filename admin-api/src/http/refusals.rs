//! Refused callers leave ledger entries, but cannot grow the ledger at will.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde_json::json;

use crate::ledger::{Actor, Entry};
use crate::limits::{ANONYMOUS_REFUSALS_PER_MINUTE, TOKEN_REFUSALS_PER_MINUTE};

/// Counts of refusals in the present minute.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Window>);

#[derive(Default)]
struct Window {
    minute: i64,
    anonymous: u32,
    /// By token id: no more entries than tokens that exist.
    tokens: HashMap<String, u32>,
    suppressed: u64,
}

impl Refusals {
    /// The entries to write for this refusal: itself if it is within its bound, and before it what was
    /// left out in the minute before.
    pub(super) fn admit(&self, entry: Entry, token: Option<&str>, now: i64) -> Vec<Entry> {
        let mut window = self.0.lock();
        let mut entries = Vec::new();
        let minute = now.div_euclid(60);
        if window.minute != minute {
            let suppressed = std::mem::take(&mut window.suppressed);
            *window = Window { minute, ..Window::default() };
            if suppressed > 0 {
                let summary = Entry::refused("api.refusals_suppressed", "too_many_requests", Actor::system(), now);
                entries.push(summary.with_detail(json!({ "refusals": suppressed })));
            }
        }
        let (count, bound) = match token {
            Some(id) => (window.tokens.entry(id.to_owned()).or_insert(0), TOKEN_REFUSALS_PER_MINUTE),
            None => (&mut window.anonymous, ANONYMOUS_REFUSALS_PER_MINUTE),
        };
        *count = count.saturating_add(1);
        if *count <= bound {
            entries.push(entry);
        } else {
            window.suppressed = window.suppressed.saturating_add(1);
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Entry {
        Entry::refused("api.refused", "unauthenticated", Actor::system(), 0)
    }

    #[test]
    fn a_flood_leaves_a_bounded_number_of_entries_and_its_count() {
        let refusals = Refusals::default();
        let written: usize = (0..10_000).map(|_| refusals.admit(refused(), None, 30).len()).sum();
        assert_eq!(written, ANONYMOUS_REFUSALS_PER_MINUTE as usize);
        assert_eq!(refusals.admit(refused(), Some("t"), 30).len(), 1);
        let next = refusals.admit(refused(), None, 60);
        assert_eq!(next.len(), 2);
        assert_eq!(next[0].detail, Some(json!({ "refusals": 10_000 - u64::from(ANONYMOUS_REFUSALS_PER_MINUTE) })));
        assert_eq!(refusals.admit(refused(), None, 120).len(), 1);
    }
}
