//! What is wrong with an export.

use std::fmt;
use std::io;

use crate::ledger::NoteError;

/// How a part differs from what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It says something else.
    Changed,
    /// The export ends before it, or within it.
    Cut,
    /// It is gone, though the export goes on.
    Missing,
    /// It stands in another place.
    Reordered,
}

/// What part of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// A checkpoint at the end, counted from 0.
    Checkpoint,
    /// An entry, by its index in the log.
    Entry,
    /// The first line.
    Header,
}

/// The first part of an export that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// What part.
    pub part: Part,
    /// Which one; 0 for the header.
    pub index: u64,
    /// How it differs.
    pub kind: FaultKind,
    /// What was found.
    pub detail: String,
}

impl Fault {
    pub(super) fn new(part: Part, index: u64, kind: FaultKind, detail: &str) -> Self {
        Self { part, index, kind, detail: detail.to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Checkpoint => write!(formatter, "checkpoint {}", self.index)?,
            Part::Entry => write!(formatter, "entry {}", self.index)?,
            Part::Header => formatter.write_str("the header")?,
        }
        let verb = match self.kind {
            FaultKind::Changed => "was changed",
            FaultKind::Cut => "was cut off",
            FaultKind::Missing => "is missing",
            FaultKind::Reordered => "is out of order",
        };
        write!(formatter, " {verb}: {}", self.detail)
    }
}

/// Why an export was not found sound.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not as it was written.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It could not be read.
    #[error("the export could not be read: {0}")]
    Read(#[from] io::Error),
    /// A checkpoint that the caller trusts is not one of this log.
    #[error("a trusted checkpoint cannot be believed: {0}")]
    Trusted(#[source] NoteError),
}
