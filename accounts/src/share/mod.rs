//! Sharing a stream, a bucket or an object store with another account: one offer, compiled to exports and imports.
//!
//! [`Offer`] says what is shared; [`Offer::exports`] and [`Offer::imports`] say by which subjects. Each share has subjects
//! of its own, named by its [`ShareId`], so that importers are kept apart from each other and from the exporter:
//!
//! ```text
//! importer                           exporter
//! <prefix>.CONSUMER.INFO.S.c   -->   $JS.SHARE.<id>.API.CONSUMER.INFO.S.c    requests: those of the offer, no others
//! <subject>                    -->   $JS.SHARE.<id>.PUT.S.<subject>          messages to store
//! $JS.ACK._.<id>.>             -->   the same                                acknowledgements
//! $JS.FC._.<id>.>              -->   the same                                answers to flow control
//! <inbox>.x                    <--   $JS.SHARE.<id>.TO.<inbox>.x             deliveries of push consumers
//! ```
//!
//! The streams' side of it takes these subjects from other accounts alone, lets an importer touch the consumers of its own
//! share alone, and takes a request only if an export covers it *as a pattern* ([`covers`]): a filter stands in a request's
//! subject, and its `>` must not pass for a token.

pub mod compile;
pub mod words;

use std::fmt;

use crate::subject::transform::has_reference;
use crate::subject::{Pattern, SubjectError};

/// What every subject of a share begins with.
pub const PREFIX: &str = "$JS.SHARE.";
/// Most patterns of one offer, for reading and for writing.
pub const SUBJECTS_MAX: usize = 32;

const ID_LEN: usize = 16;
const NAME_MAX: usize = 255;

/// What a share is called, in subjects too: 16 characters of `a`–`z` and `2`–`7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShareId(String);

impl ShareId {
    /// A name from ten random bytes.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        Self(data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase())
    }

    /// Reads a name; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It can name a share. Nothing else that stands in its places can: the hash of an account has eight characters.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

/// What is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    /// A key-value bucket, by its name.
    Bucket(String),
    /// An object store, by its name.
    Objects(String),
    /// A stream, by its name.
    Stream(String),
}

impl Shared {
    /// The stream behind it.
    pub fn stream(&self) -> String {
        match self {
            Self::Bucket(name) => format!("KV_{name}"),
            Self::Objects(name) => format!("OBJ_{name}"),
            Self::Stream(name) => name.clone(),
        }
    }

    /// Its own name.
    pub fn name(&self) -> &str {
        match self {
            Self::Bucket(name) | Self::Objects(name) | Self::Stream(name) => name,
        }
    }

    fn check(&self) -> Result<(), ShareError> {
        let name = self.name();
        let good = |byte: u8| match self {
            Self::Stream(_) => !byte.is_ascii_whitespace() && !byte.is_ascii_control() && !br".*>/\".contains(&byte),
            Self::Bucket(_) | Self::Objects(_) => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        };
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(good) || has_reference(name) {
            return Err(ShareError::Name(name.to_owned()));
        }
        Ok(())
    }

    /// A pattern as its stream knows it: keys of buckets have a prefix there.
    fn in_stream(&self, pattern: &str) -> String {
        match self {
            Self::Bucket(name) => format!("$KV.{name}.{pattern}"),
            Self::Objects(_) | Self::Stream(_) => pattern.to_owned(),
        }
    }
}

/// What one account lets another have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    id: ShareId,
    shared: Shared,
    /// What may be read, as the stream knows it; empty for everything.
    reads: Vec<Pattern>,
    /// What may be written, as the stream knows it; empty for nothing.
    writes: Vec<Pattern>,
}

/// Why an offer cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The name of a stream, bucket or object store is none.
    #[error("`{0}` is no name of a stream, bucket or object store")]
    Name(String),
    /// Some subjects are in two patterns, none of which contains the other.
    #[error(
        "`{0}` and `{1}` have subjects in common; share a pattern that contains both, or parts that do not overlap"
    )]
    Overlap(String, String),
    /// An object store is shared whole: which chunks belong to which object is known to clients alone.
    #[error("an object store is shared as a whole; leave the subjects out")]
    ObjectsInPart,
    /// A pattern is none.
    #[error("{0}")]
    Subject(#[from] SubjectError),
    /// Too many patterns.
    #[error("there are {0} subjects; at most {SUBJECTS_MAX} are taken")]
    TooMany(usize),
    /// Nobody knows what may be published.
    #[error("to write to a stream, say which subjects may be published")]
    WritesUnnamed,
    /// A write would reach the streams' own subjects, or a token reads as a reference to a wildcard.
    #[error("`{0}` cannot be shared: it reaches subjects that are not for messages, or has a token like `$1`")]
    Reserved(String),
}

impl Offer {
    /// An offer. `subjects` narrows it: patterns of subjects, or of keys of a bucket; empty for everything. With `writable`
    /// the same may be written; `writes` names what else instead.
    ///
    /// # Errors
    ///
    /// [`ShareError`]: a name or a pattern that is none, an object store in part, a writable stream without subjects.
    pub fn new(
        id: ShareId,
        shared: Shared,
        writable: bool,
        subjects: &[String],
        writes: &[String],
    ) -> Result<Self, ShareError> {
        shared.check()?;
        let is_objects = matches!(shared, Shared::Objects(_));
        if is_objects && !(subjects.is_empty() && writes.is_empty()) {
            return Err(ShareError::ObjectsInPart);
        }
        let reads = patterns(&shared, subjects)?;
        let mut written = Vec::new();
        if writable {
            written = match &shared {
                _ if !writes.is_empty() => patterns(&shared, writes)?,
                _ if !subjects.is_empty() => reads.clone(),
                Shared::Bucket(_) => patterns(&shared, &[">".to_owned()])?,
                Shared::Objects(name) => patterns(&shared, &[format!("$O.{name}.C.>"), format!("$O.{name}.M.>")])?,
                Shared::Stream(_) => return Err(ShareError::WritesUnnamed),
            };
        }
        for pattern in &written {
            if matches!(shared, Shared::Stream(_)) && is_reserved(pattern) {
                return Err(ShareError::Reserved(pattern.to_string()));
            }
        }
        // All of it is no filter, so that consumers without one are possible.
        let whole = reads.iter().any(|pattern| pattern.as_str() == shared.in_stream(">"));
        Ok(Self { id, shared, reads: if whole { Vec::new() } else { reads }, writes: written })
    }

    /// Its name.
    pub fn id(&self) -> &ShareId {
        &self.id
    }

    /// What is shared.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// Patterns, without those that others contain.
fn patterns(shared: &Shared, texts: &[String]) -> Result<Vec<Pattern>, ShareError> {
    if texts.len() > SUBJECTS_MAX {
        return Err(ShareError::TooMany(texts.len()));
    }
    let mut kept: Vec<Pattern> = Vec::new();
    for text in texts {
        Pattern::parse(text)?;
        if has_reference(text) {
            return Err(ShareError::Reserved(text.clone()));
        }
        let pattern = Pattern::parse(&shared.in_stream(text))?;
        if kept.iter().any(|other| other.contains(&pattern)) {
            continue;
        }
        kept.retain(|other| !pattern.contains(other));
        // A request that two exports cover would be carried twice.
        if let Some(other) = kept.iter().find(|other| other.overlaps(&pattern)) {
            return Err(ShareError::Overlap(other.to_string(), pattern.to_string()));
        }
        kept.push(pattern);
    }
    Ok(kept)
}

fn is_reserved(pattern: &Pattern) -> bool {
    ["$JS.>", "$SYS.>", "_R_.>"]
        .iter()
        .any(|reserved| crate::subject::matching::overlaps(reserved.as_bytes(), pattern.as_bytes()))
}

/// Whether one of `exports` covers a request's subject read as a pattern: whatever its wildcards stand for.
pub fn covers<'a>(exports: impl IntoIterator<Item = &'a Pattern>, request: &str) -> bool {
    Pattern::parse(request).is_ok_and(|request| exports.into_iter().any(|export| export.contains(&request)))
}

/// A subject of a share, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareSubject<'a> {
    /// Which share.
    pub id: &'a str,
    /// What for.
    pub part: Part,
    /// What follows.
    pub rest: &'a str,
}

/// What a subject of a share is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A request of the API; its subject behind `$JS.API.` follows.
    Api,
    /// A message to store; its stream and subject follow.
    Put,
}

/// Takes a subject apart; `None` if it is none that an importer sends.
pub fn parse(subject: &str) -> Option<ShareSubject<'_>> {
    let (id, rest) = subject.strip_prefix(PREFIX)?.split_once('.')?;
    let (part, rest) = rest.split_once('.')?;
    let part = match part {
        "API" => Part::Api,
        "PUT" => Part::Put,
        _ => return None,
    };
    (is_id(id) && !rest.is_empty()).then_some(ShareSubject { id, part, rest })
}

/// Where deliveries to `subject` of the importer are sent in the exporter.
pub fn delivery(id: &str, subject: &str) -> String {
    format!("{PREFIX}{id}.TO.{subject}")
}

/// The subject of the importer behind one that [`delivery`] gave.
pub fn delivered<'a>(id: &str, subject: &'a str) -> Option<&'a str> {
    subject.strip_prefix(PREFIX)?.strip_prefix(id)?.strip_prefix(".TO.")
}

#[cfg(test)]
mod tests;
