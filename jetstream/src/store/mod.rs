//! Storage: the messages of one stream, and its journal. Nothing above it touches a disk.
//!
//! Two stores keep to one contract, [`Store`]: in memory and in files. All its methods are called under the stream's
//! lock, one at a time. Changes show at once in what is read, and are on disk once the [`Sync`] that
//! [`Store::flush`] gave has run; the stream acknowledges only then.
//!
//! The journal keeps what is not a message: what consumers have acknowledged, ids of messages that are gone. Its
//! entries are opaque here. Each belongs to an owner (a consumer by name, the stream itself by [`STREAM`]); an owner's
//! snapshot takes the place of its earlier entries.

pub mod file;
mod index;
pub mod memory;
#[cfg(test)]
mod model;

use std::sync::Arc;

use bytes::Bytes;
use cordon_accounts::subject::Pattern;
use smallvec::SmallVec;

/// The owner of journal entries that belong to the stream itself.
pub const STREAM: &str = "";

/// A message as it is stored. Clones share its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence.
    pub seq: u64,
    /// When it was stored, Unix nanoseconds; rises within a stream.
    pub ts: i64,
    /// Subject, header block, payload, one behind the other.
    bytes: Bytes,
    subject_len: u32,
    header_len: u32,
}

impl Stored {
    /// A message whose `bytes` are subject, header block and payload, one behind the other; lengths beyond them are
    /// cut to what is there.
    pub fn new(seq: u64, ts: i64, bytes: Bytes, subject_len: usize, header_len: usize) -> Self {
        let subject_len = subject_len.min(bytes.len());
        let header_len = header_len.min(bytes.len() - subject_len);
        Self { seq, ts, bytes, subject_len: subject_len as u32, header_len: header_len as u32 }
    }

    /// Its subject.
    pub fn subject(&self) -> &[u8] {
        self.bytes.get(..self.subject_len as usize).unwrap_or_default()
    }

    /// Its header block; empty for none.
    pub fn header(&self) -> &[u8] {
        let from = self.subject_len as usize;
        self.bytes.get(from..from + self.header_len as usize).unwrap_or_default()
    }

    /// Its payload.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get((self.subject_len + self.header_len) as usize..).unwrap_or_default()
    }
}

/// A message to store.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewMessage<'a> {
    /// Its subject; literal.
    pub subject: &'a [u8],
    /// Its header block; empty for none.
    pub header: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
    /// When it is stored, Unix nanoseconds. A time before the last message's becomes that message's.
    pub ts: i64,
    /// When it ends by its own `Nats-TTL`, Unix nanoseconds; 0 for never, -1 if it outlives `max_age` as well.
    pub expires: i64,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Messages.
    pub messages: u64,
    /// Bytes by the sizes of [`Store::size_of`].
    pub bytes: u64,
    /// Sequence of the first message; `last_seq + 1` if there is none, 0 if there never was one.
    pub first_seq: u64,
    /// Its time, Unix nanoseconds; 0 for none.
    pub first_ts: i64,
    /// Highest sequence ever given; 0 for none.
    pub last_seq: u64,
    /// The time of the last message stored; 0 for none.
    pub last_ts: i64,
    /// Subjects with a message.
    pub subjects: u64,
}

impl State {
    /// Sequences between first and last that hold no message.
    pub fn deleted(&self) -> u64 {
        if self.messages == 0 { 0 } else { (self.last_seq - self.first_seq + 1).saturating_sub(self.messages) }
    }
}

/// The messages of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfSubject {
    /// How many.
    pub count: u64,
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
}

/// A message that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its sequence.
    pub seq: u64,
    /// When it was stored.
    pub ts: i64,
    /// Its subject.
    pub subject: Bytes,
    /// Its size, as [`Store::size_of`] counts.
    pub size: u64,
}

/// Which subjects are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Those that any of these matches; they do not overlap.
    Any(SmallVec<[Pattern; 1]>),
}

impl Filter {
    /// The filter of these patterns; none means all, and so does `>`.
    pub fn of(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let patterns: SmallVec<[Pattern; 1]> = patterns.into_iter().collect();
        if patterns.is_empty() || patterns.iter().any(|pattern| pattern.as_bytes() == b">") {
            Self::All
        } else {
            Self::Any(patterns)
        }
    }

    /// A literal subject or a pattern.
    pub fn one(pattern: Pattern) -> Self {
        Self::of([pattern])
    }

    /// It means `subject`.
    pub fn matches(&self, subject: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Any(patterns) => patterns.iter().any(|pattern| pattern.matches(subject)),
        }
    }

    /// The one literal subject that it means, if it is such a filter.
    pub fn literal(&self) -> Option<&[u8]> {
        match self {
            Self::Any(patterns) => match patterns.as_slice() {
                [one] if one.is_literal() => Some(one.as_bytes()),
                _ => None,
            },
            Self::All => None,
        }
    }
}

/// What an owner had in the journal when a stream was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journalled {
    /// Its last snapshot.
    pub snapshot: Option<Vec<u8>>,
    /// Its entries since, oldest first.
    pub entries: Vec<Vec<u8>>,
}

/// Why storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or what stands for it, refused.
    #[error("cannot {what} `{path}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A message is larger than a record can be.
    #[error("message too large")]
    TooLarge,
    /// What lies on the disk cannot be what was written.
    #[error("`{path}` is damaged at byte {offset}: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// It was written under another key than the one that was given.
    #[error("`{path}` is encrypted under another key")]
    Key {
        /// The file.
        path: String,
    },
    /// The making of a stream was interrupted before it held anything.
    #[error("`{path}` holds a stream that was never made to its end; it can be removed")]
    Unfinished {
        /// Its folder.
        path: String,
    },
    /// A write or sync failed before: nothing is written any more until the stream is opened anew.
    #[error("the stream takes no more writes since one failed: {0}")]
    ReadOnly(String),
}

impl StoreError {
    /// There is no room on the disk: nothing is wrong, and it goes on once there is.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind;
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }
}

/// What is to be done, without the stream's lock, before anything written so far may be promised to anybody.
pub trait Sync: Send {
    /// Syncs.
    ///
    /// # Errors
    ///
    /// The store is read-only from then on: what was not synced may be lost, and trying again would hide that.
    fn run(self: Box<Self>) -> Result<(), StoreError>;
}

/// The messages and the journal of one stream.
pub trait Store: Send {
    /// What it holds.
    fn state(&self) -> State;

    /// The size that a message counts for limits: 30 bytes with subject and payload, 4 and the header block if there
    /// is one, in files; 16 bytes with all three in memory (jetstream.md 2.4).
    fn size_of(&self, subject: usize, header: usize, payload: usize) -> u64;

    /// Stores a message under the next sequence.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing is stored then and no sequence is used.
    fn append(&mut self, message: &NewMessage<'_>) -> Result<u64, StoreError>;

    /// Stores several messages that are all there after a crash, or none is; returns the first sequence.
    ///
    /// # Errors
    ///
    /// As [`Store::append`].
    fn append_together(&mut self, messages: &[NewMessage<'_>]) -> Result<u64, StoreError>;

    /// Uses sequences up to and including `last` without messages for them: a mirror's gaps, a message that nobody
    /// wants. One below the last sequence changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn skip_to(&mut self, last: u64, ts: i64) -> Result<(), StoreError>;

    /// The message with this sequence.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be read; that it is not there is none.
    fn get(&self, seq: u64) -> Result<Option<Stored>, StoreError>;

    /// Subject, time and size of the message with this sequence, without reading its body from a disk.
    fn peek(&self, seq: u64) -> Option<Removed>;

    /// Removes a message; with `erase`, its bytes too. Gives what it was, if it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn remove(&mut self, seq: u64, erase: bool) -> Result<Option<Removed>, StoreError>;

    /// Removes the oldest message of a subject, and gives its sequence. Cheaper than [`Store::remove`] where a subject has
    /// few messages.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn remove_first(&mut self, subject: &[u8]) -> Result<Option<u64>, StoreError> {
        let Some(of) = self.of_subject(subject) else { return Ok(None) };
        Ok(self.remove(of.first, false)?.map(|removed| removed.seq))
    }

    /// Removes every message below `seq` and tells `gone` of each, in order; cheaper than one by one. With a sequence
    /// above the last, all go and the next message has that sequence at least.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn remove_below(&mut self, seq: u64, gone: &mut dyn FnMut(Removed)) -> Result<(), StoreError>;

    /// The messages of one literal subject.
    fn of_subject(&self, subject: &[u8]) -> Option<OfSubject>;

    /// Walks the subjects that `filter` means, in byte order from the first above `after`, until `each` says `false`.
    fn subjects(&self, filter: &Filter, after: Option<&[u8]>, each: &mut dyn FnMut(&[u8], OfSubject) -> bool);

    /// As [`Store::subjects`], but looks at no more than some `most` subjects, whether `filter` means them or not; gives
    /// the one to go on after, unless those were all.
    fn subjects_part(
        &self,
        filter: &Filter,
        after: Option<&[u8]>,
        most: usize,
        each: &mut dyn FnMut(&[u8], OfSubject),
    ) -> Option<Arc<[u8]>>;

    /// The first sequence at or above `from` whose message `filter` means.
    fn next(&self, filter: &Filter, from: u64) -> Option<u64>;

    /// The last sequence at or below `to` whose message `filter` means.
    fn last(&self, filter: &Filter, to: u64) -> Option<u64>;

    /// How many messages at or above `from` `filter` means.
    fn count(&self, filter: &Filter, from: u64) -> u64;

    /// How many subjects `filter` means whose last message is at or above `from`.
    fn count_subjects(&self, filter: &Filter, from: u64) -> u64;

    /// The first sequence whose message was stored at `ts` or later; one above the last if there is none.
    fn at_time(&self, ts: i64) -> u64;

    /// Sequences between first and last that hold no message, ascending; at most `most`.
    fn gaps(&self, most: usize) -> Vec<u64>;

    /// Sequences that damage took, ascending, and bytes lost with them.
    fn lost(&self) -> (Vec<u64>, u64);

    /// The message that ends next by its own time ([`NewMessage::expires`]): when, and its sequence.
    fn next_expiry(&self) -> Option<(i64, u64)>;

    /// It outlives `max_age` ([`NewMessage::expires`] was -1).
    fn is_kept(&self, seq: u64) -> bool;

    /// Adds an entry of `owner` to the journal.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn journal(&mut self, owner: &str, entry: &[u8]) -> Result<(), StoreError>;

    /// The journal has grown so much that each owner should give a snapshot ([`Store::snapshot`]) of what it needs.
    fn wants_snapshots(&self) -> bool;

    /// Replaces the entries of `owner`; an empty snapshot forgets the owner.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn snapshot(&mut self, owner: &str, snapshot: &[u8]) -> Result<(), StoreError>;

    /// Whether messages that are stored from now on are compressed on disk, where that is worth it. Nothing else of them
    /// changes, sizes neither.
    fn compress(&mut self, _on: bool) {}

    /// Replaces the description of the stream (its configuration), atomically and synced before it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the former one stays then.
    fn describe(&mut self, description: &[u8]) -> Result<(), StoreError>;

    /// Replaces the description of a consumer; `None` removes it, with its journal.
    ///
    /// # Errors
    ///
    /// As [`Store::describe`].
    fn describe_consumer(&mut self, name: &str, description: Option<&[u8]>) -> Result<(), StoreError>;

    /// The first of its files that are not written any more, from that number on, to be read through without the stream's
    /// lock.
    fn sealed(&self, _from: u32) -> Option<file::Sealed> {
        None
    }

    /// Takes in what was found in such a file: what cannot be read any more is lost with the next [`Store::flush`]. Gives
    /// how many messages that takes.
    fn found_ill(&mut self, _ill: &file::Ill) -> u64 {
        0
    }

    /// Hands everything to the operating system that is not there yet; gives what remains to be synced, if the store
    /// syncs before it promises.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn flush(&mut self) -> Result<Option<Box<dyn Sync>>, StoreError>;

    /// Writes and syncs everything that waits, and leaves the files as a short start wants them. It is read from now on,
    /// and written no more.
    fn close(&mut self) {}

    /// Nothing is written any more, also not what waits: what is in memory cannot be trusted. Files stay as they are.
    fn abandon(&mut self) {}

    /// Ends the stream: nothing of it remains.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn destroy(&mut self) -> Result<(), StoreError>;
}

/// What a stream finds when its files are opened.
pub struct Opened {
    /// Its store.
    pub store: Box<dyn Store>,
    /// Its description.
    pub description: Vec<u8>,
    /// Its consumers' descriptions by name.
    pub consumers: Vec<(String, Vec<u8>)>,
    /// What is in the journal, by owner.
    pub journal: Vec<(String, Journalled)>,
}
