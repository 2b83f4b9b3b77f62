//! Permissions of one connection.

use std::fmt;

use crate::model::subject::{contains, matches};

/// What a connection may do; nothing said means everything.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rights {
    /// Subjects to publish to; all when empty, but none when there is leave to respond.
    pub publish_allow: Vec<String>,
    /// Subjects not to publish to.
    pub publish_deny: Vec<String>,
    /// Subjects to subscribe to, some with a queue group after a space; all when empty.
    pub subscribe_allow: Vec<String>,
    /// Subjects not to subscribe to or receive, some with a queue group after a space.
    pub subscribe_deny: Vec<String>,
    /// Answers that may be given to each reply subject that was delivered; negative for any number.
    pub responses: Option<i64>,
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("pub", &self.publish_allow),
            ("pub not", &self.publish_deny),
            ("sub", &self.subscribe_allow),
            ("sub not", &self.subscribe_deny),
        ];
        let said =
            lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| format!("{name} {list:?}"));
        let responses = self.responses.map(|most| format!("{most} answers"));
        write!(f, "{{{}}}", said.chain(responses).collect::<Vec<_>>().join(", "))
    }
}

impl Rights {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a message may go to a subject, leave to respond aside.
    pub fn may_publish(&self, subject: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| matches(entry, subject));
        let all = self.publish_allow.is_empty() && self.responses.is_none();
        !listed(&self.publish_deny) && (all || listed(&self.publish_allow))
    }

    /// Whether a subscription may stand.
    pub fn may_subscribe(&self, subject: &str, queue: Option<&str>) -> bool {
        queue != Some("_sys_") && !self.denies(queue, |entry| contains(entry, subject)) && self.allows(subject, queue)
    }

    /// Whether a message may be delivered to a subscription that stands.
    pub fn may_receive(&self, subject: &str, queue: Option<&str>) -> bool {
        !self.denies(queue, |entry| matches(entry, subject))
    }

    /// Entries with a queue group say nothing about plain subscriptions.
    fn denies(&self, queue: Option<&str>, covers: impl Fn(&str) -> bool) -> bool {
        self.subscribe_deny.iter().map(|entry| split(entry)).any(|(entry, group)| {
            covers(entry)
                && match (group, queue) {
                    (None, _) => true,
                    (Some(group), Some(queue)) => matches(group, queue),
                    (Some(_), None) => false,
                }
        })
    }

    /// Entries with a queue group decide about queue subscriptions on their subjects, where there are any.
    fn allows(&self, subject: &str, queue: Option<&str>) -> bool {
        if self.subscribe_allow.is_empty() {
            return true;
        }
        let covering: Vec<_> = self.subscribe_allow.iter().map(|entry| split(entry)).collect();
        let covering = || covering.iter().filter(|(entry, _)| contains(entry, subject));
        if let Some(queue) = queue
            && covering().any(|(_, group)| group.is_some())
        {
            return covering().filter_map(|(_, group)| *group).any(|group| matches(group, queue));
        }
        covering().any(|(_, group)| group.is_none())
    }
}

/// An entry's subject, and its queue group.
fn split(entry: &str) -> (&str, Option<&str>) {
    entry.split_once(' ').map_or((entry, None), |(subject, queue)| (subject, Some(queue)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn deny_beats_allow_and_queue_entries_go_before_plain_ones() {
        let rights = Rights {
            subscribe_allow: list(&["foo", "foo v1", "bar.>"]),
            subscribe_deny: list(&["bar.b", "bar.> *.prod"]),
            ..Rights::default()
        };
        for (subject, queue, expected) in [
            ("foo", None, true),
            ("foo", Some("v1"), true),
            ("foo", Some("v2"), false),
            ("bar.a", Some("any"), true),
            ("bar.a", Some("a.prod"), false),
            ("bar.b", None, false),
            ("bar.*", None, true),
            ("bar.>", Some("_sys_"), false),
            (">", None, false),
        ] {
            assert_eq!(rights.may_subscribe(subject, queue), expected, "{subject} {queue:?}");
        }
        assert!(rights.may_receive("bar.a", None) && !rights.may_receive("bar.b", None));
        assert!(!rights.may_receive("bar.a", Some("x.prod")));
    }

    #[test]
    fn leave_to_respond_is_no_leave_to_publish() {
        assert!(Rights::default().may_publish("a"));
        assert!(!Rights { responses: Some(1), ..Rights::default() }.may_publish("a"));
        let rights = Rights { publish_allow: list(&["a.*"]), publish_deny: list(&["*.b"]), ..Rights::default() };
        assert!(rights.may_publish("a.a") && !rights.may_publish("a.b") && !rights.may_publish("c.a"));
    }
}
