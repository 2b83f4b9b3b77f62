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
    /// An entry's kind is not made of lower-case letters, digits, `.`, `_` and `-`.
    #[error("`{kind}` is no kind of entry: use lower-case letters, digits, `.`, `_` and `-`, 64 at most")]
    Kind {
        /// What was given.
        kind: String,
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
