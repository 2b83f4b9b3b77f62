//! What can go wrong in the vault. No variant says anything about a secret.

use std::path::PathBuf;

use crate::store::StoreError;

/// Why the vault could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The command that gives the key failed.
    #[error("the command that gives the vault's key failed: {detail}")]
    Command {
        /// What went wrong.
        detail: String,
    },
    /// What was sealed was changed, or belongs to another key, purpose or vault.
    #[error("a sealed secret does not open: it was changed, moved, or sealed by another vault")]
    Damaged,
    /// The key file cannot be read or created.
    #[error("the vault's key file `{}`: {detail}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        detail: String,
    },
    /// A seed does not belong to the key that was named.
    #[error("the seed is not the one of `{key}`")]
    OtherKey {
        /// The key that was named.
        key: String,
    },
    /// The vault was sealed with another sort of key source.
    #[error("the vault was sealed by {sealed}, not by {given}; give the source it was sealed with")]
    OtherSource {
        /// The sort it was sealed by.
        sealed: &'static str,
        /// The sort that was given.
        given: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key or passphrase is too short.
    #[error("{what} has {length} bytes; give at least {min}")]
    TooShort {
        /// What is too short.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The bound.
        min: usize,
    },
    /// The source gives another key than the one that the vault was sealed with.
    #[error("{given} is not the one that the vault was sealed with")]
    WrongKey {
        /// What was given.
        given: &'static str,
    },
}
