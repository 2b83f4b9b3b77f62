//! What can go wrong in the ledger.

/// Why the ledger could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The stored tree does not fit together: the store was changed behind the ledger's back.
    #[error("the ledger's stored tree is damaged: {detail}; restore the store from a backup")]
    Damaged {
        /// What does not fit.
        detail: String,
    },
    /// The detail of an entry is too long.
    #[error("the detail of a `{kind}` entry has {length} bytes; at most {max} are kept")]
    DetailTooLong {
        /// The entry's kind.
        kind: String,
        /// Its detail's length.
        length: usize,
        /// The bound.
        max: usize,
    },
    /// A checkpoint or the public key could not be written to its file.
    #[error("`{path}` could not be written: {detail}; the checkpoint is kept in the store")]
    File {
        /// The file.
        path: String,
        /// What went wrong.
        detail: String,
    },
    /// An entry's kind is not made of lower-case letters, digits, `.`, `_` and `-`.
    #[error("`{kind}` is no kind of entry: use lower-case letters, digits, `.`, `_` and `-`, 64 at most")]
    Kind {
        /// What was given.
        kind: String,
    },
    /// The ledger's own keys do not open, or are not the ones they should be.
    #[error("the ledger's keys cannot be used: {detail}")]
    Keys {
        /// What is wrong.
        detail: String,
    },
    /// A proof was asked for something that the log does not have.
    #[error("the ledger has {size} entries; there is no proof about `{asked}`")]
    OutOfRange {
        /// How many entries there are.
        size: u64,
        /// What was asked for.
        asked: u64,
    },
    /// More references, or more secrets, than an entry holds.
    #[error("a `{kind}` entry has {count} {what}; at most {max} are kept")]
    TooMany {
        /// The entry's kind.
        kind: String,
        /// What there is too much of.
        what: &'static str,
        /// How many were given.
        count: usize,
        /// The bound.
        max: usize,
    },
}
