//! Compiled lists of entries: literals by comparison or hash, patterns in order.

use std::collections::HashMap;

use super::denial::{List, Rule};
use crate::subject::{Pattern, SubjectError, matching};

/// Up to this many literals are compared one by one; hashing a subject costs more than that.
const LITERALS_LINEAR_MAX: usize = 8;

/// An entry of a list that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry `{}` of the {list} is invalid: {error}", .entry.escape_debug())]
pub struct PermissionsError {
    /// The list.
    pub list: List,
    /// The entry as written.
    pub entry: String,
    /// What is wrong with it.
    pub error: EntryError,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// More than a subject and a queue group.
    #[error("an entry is a subject, and for subscriptions a queue group after it")]
    Fields,
    /// A queue group where there are none.
    #[error("only subscriptions have queue groups")]
    QueueInPublish,
    /// Subject or queue group is no pattern.
    #[error("{0}")]
    Subject(#[from] SubjectError),
}

/// Patterns that answer "which entry covers this?".
#[derive(Clone, Debug, Default)]
struct Entries {
    few: Vec<Pattern>,
    many: HashMap<Box<[u8]>, Pattern, foldhash::fast::RandomState>,
    wildcards: Vec<Pattern>,
}

impl Entries {
    fn new(patterns: Vec<Pattern>) -> Self {
        let (literals, wildcards): (Vec<_>, Vec<_>) = patterns.into_iter().partition(Pattern::is_literal);
        if literals.len() <= LITERALS_LINEAR_MAX {
            return Self { few: literals, many: HashMap::default(), wildcards };
        }
        let many = literals.into_iter().map(|literal| (Box::from(literal.as_bytes()), literal)).collect();
        Self { few: Vec::new(), many, wildcards }
    }

    /// An entry that matches the literal subject.
    fn matching(&self, subject: &[u8]) -> Option<&Pattern> {
        let literal = if self.many.is_empty() {
            self.few.iter().find(|entry| entry.as_bytes() == subject)
        } else {
            self.many.get(subject)
        };
        literal.or_else(|| self.wildcards.iter().find(|entry| matching::matches(entry.as_bytes(), subject)))
    }

    /// An entry that matches all that `pattern` matches.
    fn containing(&self, pattern: &[u8]) -> Option<&Pattern> {
        if matching::is_literal(pattern) {
            return self.matching(pattern);
        }
        self.wildcards.iter().find(|entry| matching::contains(entry.as_bytes(), pattern))
    }

    /// An entry that matches some of what `pattern` matches.
    fn overlapping(&self, pattern: &[u8]) -> Option<&Pattern> {
        let overlaps = |entry: &&Pattern| matching::overlaps(entry.as_bytes(), pattern);
        self.few.iter().chain(&self.wildcards).find(overlaps).or_else(|| self.many.values().find(overlaps))
    }

    fn len(&self) -> usize {
        self.few.len() + self.many.len() + self.wildcards.len()
    }
}

/// A list of subjects to publish to.
#[derive(Clone, Debug, Default)]
pub(super) struct PublishList(Entries);

impl PublishList {
    pub(super) fn compile(list: List, entries: &[String]) -> Result<Self, PermissionsError> {
        let patterns = entries.iter().map(|entry| match read(list, entry)? {
            (subject, None) => Ok(subject),
            (_, Some(_)) => Err(PermissionsError { list, entry: entry.clone(), error: EntryError::QueueInPublish }),
        });
        Ok(Self(Entries::new(patterns.collect::<Result<_, _>>()?)))
    }

    pub(super) fn matching(&self, subject: &[u8]) -> Option<&str> {
        self.0.matching(subject).map(Pattern::as_str)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A list of subjects, some with queue groups, to subscribe to.
#[derive(Clone, Debug, Default)]
pub(super) struct SubscribeList {
    plain: Entries,
    queued: Vec<Queued>,
}

#[derive(Clone, Debug)]
struct Queued {
    subject: Pattern,
    queue: Pattern,
    entry: Box<str>,
}

impl Queued {
    fn fits(&self, queue: &[u8]) -> bool {
        // A group is a subject as far as patterns go, except that it need not be a valid one to equal itself.
        self.queue.as_bytes() == queue || self.queue.matches(queue)
    }
}

/// Why no allow entry covers a subscription.
pub(super) enum NotAllowed<'a> {
    /// No entry covers the subject.
    Subject,
    /// Entries that cover it are for other queue groups; this is the first.
    Queue(&'a str),
}

impl NotAllowed<'_> {
    pub(super) fn rule(&self, entries: usize) -> Rule {
        match self {
            Self::Subject => Rule::NoAllowMatched { list: List::SubscribeAllow, entries },
            Self::Queue(entry) => Rule::QueueNotAllowed { entry: (*entry).to_owned() },
        }
    }
}

impl SubscribeList {
    pub(super) fn compile(list: List, entries: &[String]) -> Result<Self, PermissionsError> {
        let mut plain = Vec::new();
        let mut queued = Vec::new();
        for entry in entries {
            match read(list, entry)? {
                (subject, None) => plain.push(subject),
                (subject, Some(queue)) => queued.push(Queued { subject, queue, entry: entry.as_str().into() }),
            }
        }
        Ok(Self { plain: Entries::new(plain), queued })
    }

    /// As an allow list: the entry that allows all of a subscription.
    pub(super) fn allowing(&self, subject: &[u8], queue: Option<&[u8]>) -> Result<&str, NotAllowed<'_>> {
        if let Some(queue) = queue {
            let mut others = None;
            for entry in &self.queued {
                if !matching::contains(entry.subject.as_bytes(), subject) {
                    continue;
                }
                if entry.fits(queue) {
                    return Ok(&entry.entry);
                }
                others.get_or_insert(&*entry.entry);
            }
            // Entries that name queues take the decision away from plain ones.
            if let Some(entry) = others {
                return Err(NotAllowed::Queue(entry));
            }
        }
        self.plain.containing(subject).map(Pattern::as_str).ok_or(NotAllowed::Subject)
    }

    /// As a deny list: the entry that denies all of a subscription.
    ///
    /// Plain entries hold for queue subscriptions too, whatever entries with queues say (GHSA-jx8g-9g95-6322).
    pub(super) fn denying(&self, subject: &[u8], queue: Option<&[u8]>) -> Option<&str> {
        let plain = self.plain.containing(subject).map(Pattern::as_str);
        plain.or_else(|| self.queued_where(queue, |entry| matching::contains(entry, subject)))
    }

    /// As a deny list: the entry that denies one message, whose subject is literal whatever it looks like.
    pub(super) fn denying_message(&self, subject: &[u8], queue: Option<&[u8]>) -> Option<&str> {
        let plain = self.plain.matching(subject).map(Pattern::as_str);
        plain.or_else(|| self.queued_where(queue, |entry| matching::matches(entry, subject)))
    }

    /// As a deny list: an entry that denies some of a subscription (GHSA-wh7g-5m82-pmhr).
    pub(super) fn overlapping(&self, subject: &[u8], queue: Option<&[u8]>) -> Option<&str> {
        let plain = self.plain.overlapping(subject).map(Pattern::as_str);
        plain.or_else(|| self.queued_where(queue, |entry| matching::overlaps(entry, subject)))
    }

    fn queued_where(&self, queue: Option<&[u8]>, covers: impl Fn(&[u8]) -> bool) -> Option<&str> {
        let queue = queue?;
        let found = self.queued.iter().find(|entry| covers(entry.subject.as_bytes()) && entry.fits(queue));
        found.map(|entry| &*entry.entry)
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.queued.len()
    }
}

/// Reads `subject` or `subject queue`.
fn read(list: List, entry: &str) -> Result<(Pattern, Option<Pattern>), PermissionsError> {
    let failed = |error| PermissionsError { list, entry: entry.to_owned(), error };
    let pattern = |text: &str| Pattern::parse(text).map_err(|error| failed(EntryError::Subject(error)));
    let mut fields = entry.split_ascii_whitespace();
    match (fields.next(), fields.next(), fields.next()) {
        (Some(subject), None, _) => Ok((pattern(subject)?, None)),
        (Some(subject), Some(queue), None) => Ok((pattern(subject)?, Some(pattern(queue)?))),
        // White space alone once ended a broker; it is refused here, when the list is read.
        _ => Err(failed(EntryError::Fields)),
    }
}
