//! What can go wrong in the store.

use crate::ledger::LedgerError;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A row of this key, or another live row of this name, is there already.
    #[error("{table}: `{key}` is there already")]
    AlreadyExists {
        /// The table.
        table: &'static str,
        /// The key that was to be inserted, or the name of the unique index.
        key: String,
    },
    /// Somebody else holds the store for writing and did not let go in time.
    #[error("{unit}: the store is busy; try again")]
    Busy {
        /// The unit of work that wanted to begin.
        unit: &'static str,
    },
    /// The database refused or failed.
    #[error("{unit}: the database failed: {source}")]
    Database {
        /// The unit of work in which it happened.
        unit: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// A stored value does not read as what it must be.
    #[error("{table}.{column} of `{row}` is damaged: {detail}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key, as far as it is known.
        row: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The schema could not be brought up to date.
    #[error("the store at `{location}` could not be migrated: {source}; was it made by a newer version?")]
    Migrate {
        /// Where the store is; a URL without its password.
        location: String,
        /// What the migrator says.
        source: sqlx::migrate::MigrateError,
    },
    /// The row that was to be changed is not there.
    #[error("{table}: there is no `{key}`")]
    NotFound {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
    },
    /// The store could not be opened.
    #[error("the store at `{location}` could not be opened: {detail}")]
    Open {
        /// Where the store is; a URL without its password.
        location: String,
        /// What is wrong and what to do.
        detail: String,
    },
    /// A statement of this unit failed before, so it cannot be saved.
    #[error("{unit}: a statement failed before, so nothing of it can be saved")]
    Spoiled {
        /// The unit of work.
        unit: &'static str,
    },
    /// The row was changed by somebody else since it was read.
    #[error("{table}: `{key}` was changed meanwhile; read it again")]
    VersionConflict {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
    },
}

impl StoreError {
    pub(crate) fn damaged(table: &'static str, column: &'static str, detail: impl ToString) -> Self {
        Self::Inconsistent { table, column, row: String::new(), detail: detail.to_string() }
    }

    /// Names the row, where it was read before the damage was met.
    pub(crate) fn in_row(mut self, key: &str) -> Self {
        if let Self::Inconsistent { row, .. } = &mut self {
            key.clone_into(row);
        }
        self
    }
}
