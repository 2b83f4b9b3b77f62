//! What one connection remembers about the subjects it publishes to.
//!
//! An entry says that the principal may publish the subject and who receives it. It is never
//! shared between connections, and is dropped whole when the connection's account or permissions
//! change.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;

use crate::limits::MATCH_CACHE;
use crate::routing::interest::{Interest, Stamp};
use crate::routing::match_set::MatchSet;

/// Permitted subjects and their receivers, of one connection.
#[derive(Default)]
pub struct MatchCache {
    last: Option<(Box<[u8]>, Entry)>,
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
}

#[derive(Clone)]
struct Entry {
    part: usize,
    stamp: Stamp,
    set: Arc<MatchSet>,
}

impl MatchCache {
    /// The receivers of a permitted subject, if they are known and still right.
    #[inline]
    pub fn find(&mut self, subject: &[u8], interest: &Interest) -> Option<Arc<MatchSet>> {
        if let Some((last, entry)) = &self.last
            && **last == *subject
        {
            return entry.current(interest);
        }
        let entry = self.entries.get(subject)?.clone();
        let found = entry.current(interest)?;
        self.last = Some((subject.into(), entry));
        Some(found)
    }

    /// Remembers the receivers of a permitted subject; `stamp` was taken before matching.
    pub fn keep(&mut self, subject: &[u8], part: usize, stamp: Stamp, set: Arc<MatchSet>) {
        if self.entries.len() >= MATCH_CACHE && !self.entries.contains_key(subject) {
            self.entries.clear();
        }
        let entry = Entry { part, stamp, set };
        self.entries.insert(subject.into(), entry.clone());
        self.last = Some((subject.into(), entry));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Entry {
    #[inline]
    fn current(&self, interest: &Interest) -> Option<Arc<MatchSet>> {
        (interest.stamp(self.part) == self.stamp).then(|| self.set.clone())
    }
}
