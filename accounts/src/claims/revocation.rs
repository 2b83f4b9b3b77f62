//! Revocations: "nothing of this key that was issued at or before T".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::PublicKey;

/// The entry that revokes every key.
pub const ALL: &str = "*";

/// What a revocation is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// Every key.
    All,
    /// One key.
    Key(PublicKey),
}

impl Revoked {
    fn entry(self) -> String {
        match self {
            Self::All => ALL.to_owned(),
            Self::Key(key) => key.to_string(),
        }
    }
}

impl<K: Into<PublicKey>> From<K> for Revoked {
    fn from(key: K) -> Self {
        Self::Key(key.into())
    }
}

/// Keys, or `*` for all of them, each with a time in unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revocations(BTreeMap<String, i64>);

impl Revocations {
    /// Whether a token of `key` that was issued at `issued_at` is revoked.
    ///
    /// Compared with the time of issue and never with the clock, or a new token would be born
    /// revoked and an old one outlive its revocation (CVE-2020-26892).
    pub fn is_revoked(&self, key: &PublicKey, issued_at: i64) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let covers = |entry: &str| self.0.get(entry).is_some_and(|at| issued_at <= *at);
        covers(ALL) || covers(&key.to_string())
    }

    /// Revokes what was issued at or before `at`. A revocation is never weakened by an earlier
    /// one that arrives late.
    pub fn revoke(&mut self, what: impl Into<Revoked>, at: i64) {
        let entry = self.0.entry(what.into().entry()).or_insert(at);
        *entry = at.max(*entry);
    }

    /// Takes a revocation back; says whether there was one.
    pub fn clear(&mut self, what: impl Into<Revoked>) -> bool {
        self.0.remove(&what.into().entry()).is_some()
    }

    /// Removes entries that `*` covers, and returns them.
    pub fn compact(&mut self) -> Vec<(String, i64)> {
        let Some(all) = self.0.get(ALL).copied() else {
            return Vec::new();
        };
        self.0.extract_if(.., |entry, at| entry != ALL && *at <= all).collect()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The entries: key text or `*`, and time.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(entry, at)| (entry.as_str(), *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Role, Seed, UserKey};

    fn user(byte: u8) -> UserKey {
        Seed::from_raw(Role::User, [byte; 32]).public().try_into().unwrap()
    }

    #[test]
    fn what_was_issued_up_to_the_time_is_revoked() {
        let mut revocations = Revocations::default();
        assert!(!revocations.is_revoked(&user(1).public(), 0));
        revocations.revoke(user(1), 100);
        for (issued_at, revoked) in [(99, true), (100, true), (101, false)] {
            assert_eq!(revocations.is_revoked(&user(1).public(), issued_at), revoked);
            assert!(!revocations.is_revoked(&user(2).public(), issued_at));
        }
        revocations.revoke(Revoked::All, 200);
        assert!(revocations.is_revoked(&user(2).public(), 200));
        assert!(!revocations.is_revoked(&user(2).public(), 201));
    }

    #[test]
    fn a_late_earlier_revocation_changes_nothing() {
        let mut revocations = Revocations::default();
        revocations.revoke(user(1), 100);
        revocations.revoke(user(1), 50);
        assert!(revocations.is_revoked(&user(1).public(), 100));
        revocations.revoke(user(1), 150);
        assert!(revocations.is_revoked(&user(1).public(), 150));
        assert!(revocations.clear(user(1)));
        assert!(!revocations.clear(user(1)));
        assert!(revocations.is_empty());
    }

    #[test]
    fn compacting_removes_what_the_star_covers_and_decides_nothing_anew() {
        let mut revocations = Revocations::default();
        revocations.revoke(user(1), 100);
        revocations.revoke(user(2), 300);
        assert!(revocations.compact().is_empty());
        revocations.revoke(Revoked::All, 200);
        let before = revocations.clone();
        assert_eq!(revocations.compact(), [(user(1).to_string(), 100)]);
        assert_eq!(revocations.len(), 2);
        for key in [user(1), user(2), user(3)] {
            for at in [50, 100, 150, 200, 250, 300, 350] {
                let key = key.public();
                assert_eq!(revocations.is_revoked(&key, at), before.is_revoked(&key, at));
            }
        }
    }

    #[test]
    fn the_json_is_a_map() {
        let text = r#"{"*":5}"#;
        let revocations: Revocations = serde_json::from_str(text).unwrap();
        assert!(revocations.is_revoked(&user(1).public(), 5));
        assert_eq!(serde_json::to_string(&revocations).unwrap(), text);
        assert_eq!(revocations.iter().collect::<Vec<_>>(), [("*", 5)]);
    }
}
