//! Verdicts: the permit that names the rule that allowed, the denial that names the one that refused.

use std::fmt;

use serde::Serialize;

use crate::reason::Reason;

/// Proof that a connection may publish to one subject; made only by [`super::Permissions::may_publish`].
#[derive(Copy, Clone, Debug)]
#[must_use]
pub struct Permit<'a> {
    entry: Option<&'a str>,
}

impl<'a> Permit<'a> {
    pub(super) fn unrestricted() -> Self {
        Self { entry: None }
    }

    pub(super) fn by_entry(entry: &'a str) -> Self {
        Self { entry: Some(entry) }
    }

    /// The allow entry that decided; `None` where there is no allow list.
    pub fn entry(&self) -> Option<&'a str> {
        self.entry
    }
}

/// Proof that a connection may subscribe; made only by [`super::Permissions::may_subscribe`].
#[derive(Copy, Clone, Debug)]
#[must_use]
pub struct SubscribePermit<'a> {
    entry: Option<&'a str>,
    overlaps_deny: bool,
}

impl<'a> SubscribePermit<'a> {
    pub(super) fn new(entry: Option<&'a str>, overlaps_deny: bool) -> Self {
        Self { entry, overlaps_deny }
    }

    /// The allow entry that decided; `None` where there is no allow list.
    pub fn entry(&self) -> Option<&'a str> {
        self.entry
    }

    /// True if some message of this subscription is denied, so that each delivery must be checked with
    /// [`super::Permissions::may_deliver`].
    pub fn overlaps_deny(&self) -> bool {
        self.overlaps_deny
    }
}

/// A refusal: what was asked, and the rule that said no.
///
/// The text goes to logs and the ledger. The peer gets the protocol's own words and no rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// What was asked.
    pub verb: Verb,
    /// For which subject; bytes that are not UTF-8 are replaced.
    pub subject: String,
    /// For which queue group.
    pub queue: Option<String>,
    /// What refused it.
    pub rule: Rule,
    /// The stable reason.
    pub reason: Reason,
}

impl Denial {
    pub(super) fn new(verb: Verb, subject: &[u8], queue: Option<&[u8]>, rule: Rule) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let reason = match (&rule, verb) {
            (Rule::ReservedQueue, _) => Reason::SubjectReserved,
            (Rule::Entry { .. }, Verb::Publish) => Reason::PublishDenied,
            (Rule::Entry { .. }, Verb::Deliver | Verb::Subscribe) => Reason::SubscribeDenied,
            (_, Verb::Publish) => Reason::PublishNotAllowed,
            (_, Verb::Deliver | Verb::Subscribe) => Reason::SubscribeNotAllowed,
        };
        Self { verb, subject: text(subject), queue: queue.map(text), rule, reason }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.verb, self.subject)?;
        if let Some(queue) = &self.queue {
            write!(f, " in queue group `{queue}`")?;
        }
        write!(f, " refused: {}", self.rule)
    }
}

impl std::error::Error for Denial {}

/// What a connection asks leave for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// To be given a message.
    Deliver,
    /// To send one.
    Publish,
    /// To receive what matches.
    Subscribe,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deliver => "delivery of",
            Self::Publish => "publish to",
            Self::Subscribe => "subscription to",
        })
    }
}

/// One of the four lists.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// `pub.allow`.
    PublishAllow,
    /// `pub.deny`.
    PublishDeny,
    /// `sub.allow`.
    SubscribeAllow,
    /// `sub.deny`.
    SubscribeDeny,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PublishAllow => "publish allow list",
            Self::PublishDeny => "publish deny list",
            Self::SubscribeAllow => "subscribe allow list",
            Self::SubscribeDeny => "subscribe deny list",
        })
    }
}

/// What refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// An entry of a deny list.
    Entry {
        /// The list.
        list: List,
        /// The entry as written.
        entry: String,
    },
    /// There is an allow list, and none of its entries fits.
    NoAllowMatched {
        /// The list.
        list: List,
        /// How many entries it has.
        entries: usize,
    },
    /// Allow entries for the subject name queue groups, and not this one.
    QueueNotAllowed {
        /// The first of these entries.
        entry: String,
    },
    /// The queue group belongs to the broker.
    ReservedQueue,
}

impl Rule {
    pub(super) fn entry(list: List, entry: &str) -> Self {
        Self::Entry { list, entry: entry.to_owned() }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { list, entry } => write!(f, "entry `{entry}` of the {list}"),
            Self::NoAllowMatched { list, entries: 0 } => write!(f, "the {list} is empty"),
            Self::NoAllowMatched { list, entries } => {
                write!(f, "none of the {entries} entries of the {list} covers it")
            }
            Self::QueueNotAllowed { entry } => {
                write!(f, "entry `{entry}` of the subscribe allow list is for other queue groups")
            }
            Self::ReservedQueue => f.write_str("the queue group belongs to the broker"),
        }
    }
}
