//! Where account JWTs are kept: a resolver stores tokens, it does not believe them.
//!
//! Whatever comes out of a resolver is verified against the operators before use; whatever goes in was
//! verified first ([`Resolver::store`] takes an [`AccountRecord`], which only [`Trust`] makes).
//! Calls may touch the disk and block: async callers run them on the blocking pool.
//!
//! [`Trust`]: crate::trust::Trust

mod directory;
mod index;
mod memory;
mod none;
mod pack;

use std::fmt;
use std::sync::Arc;

use cordon_accounts::key::AccountKey;

use crate::account_record::AccountRecord;

pub use directory::{DeleteMode, DirectoryOptions, DirectoryResolver, OpenError};
pub use index::StoreHash;
pub use memory::MemoryResolver;
pub use none::NoResolver;
pub use pack::{MergeReport, PackError, PackLine, merge_pack};

/// What may replace what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorePolicy {
    /// A copy from another broker or the configuration: what is stored stays if it is the same (`jti`) or
    /// newer (`iat`). Of two issued in the same second the greater `jti` wins, so that brokers converge.
    Merge,
    /// An administrator's update: replaces anything but a newer one.
    Push,
}

/// What storing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// What is stored already was kept, as the policy wants it.
    Kept,
    /// Stored. For the directory: it is on disk, and stays there if power is lost now.
    Stored,
    /// The very same token is stored already.
    Unchanged,
}

/// Why a resolver could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The store keeps as many accounts as it may.
    #[error("jwt store is full")]
    Full,
    /// The disk failed.
    #[error("`{path}` cannot be {action}: {source}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file, relative to the directory of the resolver.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Deleting is not allowed here.
    #[error("delete must be enabled in server config")]
    DeleteNotAllowed,
    /// The update was issued before the one that is stored.
    #[error("the account JWT was issued at {offered}, before the stored one of {stored}: sign a new one")]
    Stale {
        /// `iat` of the stored token.
        stored: i64,
        /// `iat` of the offered token.
        offered: i64,
    },
}

/// A store of account JWTs.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The token stored for `key`, unverified.
    ///
    /// # Errors
    ///
    /// [`ResolverError::Io`].
    fn lookup(&self, key: &AccountKey) -> Result<Option<String>, ResolverError>;

    /// Stores the token of a verified account.
    ///
    /// # Errors
    ///
    /// [`ResolverError`]: full, stale or a disk that failed. What was stored before is then still stored.
    fn store(&self, record: &AccountRecord, policy: StorePolicy, now: i64) -> Result<StoreOutcome, ResolverError>;

    /// Stores tokens of different accounts, as [`Resolver::store`] does each; one outcome for each, in the same order.
    ///
    /// A store that syncs its disk does so for several of them at a time.
    fn store_all(
        &self,
        records: &[Arc<AccountRecord>],
        policy: StorePolicy,
        now: i64,
    ) -> Vec<Result<StoreOutcome, ResolverError>> {
        records.iter().map(|record| self.store(record, policy, now)).collect()
    }

    /// Removes an account; says whether it was there. Unknown accounts are no error.
    ///
    /// # Errors
    ///
    /// [`ResolverError`]: not allowed, or a disk that failed.
    fn remove(&self, key: &AccountKey) -> Result<bool, ResolverError>;

    /// Forgets an account that the configuration brought and no longer does; says whether it was there. A store that
    /// keeps accounts over a restart keeps it.
    fn forget(&self, _key: &AccountKey) -> bool {
        false
    }

    /// Looks anew at what is stored, where others may have changed it; `None` where nobody else can have. `true` if what
    /// is not there now is gone for good.
    ///
    /// # Errors
    ///
    /// [`ResolverError::Io`]; what was known before is known still.
    fn rescan(&self, _now: i64) -> Result<Option<bool>, ResolverError> {
        Ok(None)
    }

    /// The keys of all accounts whose JWTs are not expired at `now`, in order.
    fn list(&self, now: i64) -> Vec<AccountKey>;

    /// Hash over all tokens that are not expired at `now`.
    fn hash(&self, now: i64) -> StoreHash;

    /// Hands every token that is not expired to `visit`, unless the asker's hash says that it has the same.
    ///
    /// # Errors
    ///
    /// [`ResolverError::Io`], after which no more is visited.
    fn pack(&self, asker: Option<StoreHash>, now: i64, visit: &mut dyn FnMut(PackLine)) -> Result<(), ResolverError>;

    /// Removes expired tokens; says of which accounts.
    ///
    /// # Errors
    ///
    /// [`ResolverError::Io`].
    fn sweep(&self, now: i64) -> Result<Vec<AccountKey>, ResolverError>;

    /// Whether updates are kept over a restart, and so LOOKUP and PACK are answered.
    fn is_durable(&self) -> bool;

    /// Whether [`Resolver::remove`] is allowed.
    fn allows_delete(&self) -> bool;
}

#[cfg(test)]
mod tests;
