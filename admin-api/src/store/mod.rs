//! The store: what the control plane knows, in SQLite or PostgreSQL.
//!
//! One set of queries serves both. A [`Store`] hands out two things:
//!
//! - [`Reader`], a consistent snapshot to read from;
//! - [`Unit`], a unit of work: it reads and writes, and holds nothing until [`Unit::save`], which
//!   writes the state and the ledger's leaves in one transaction. When `save` has returned, both
//!   are on disk (SQLite: `synchronous=FULL`; PostgreSQL: its commit). Dropping a unit undoes it.
//!
//! A `Unit` dereferences to a `Reader`, so whatever takes `&mut Reader` takes a unit too.
//!
//! ```no_run
//! # use cordon_admin::{ledger::Entry, store::{Store, StoreError}};
//! # async fn example(store: Store, entry: Entry, key: cordon_accounts::key::AccountKey, now: i64) -> Result<(), StoreError> {
//! let mut unit = store.begin("account.rename").await?;
//! if let Some(mut account) = unit.accounts().lookup(&key).await? {
//!     account.name = "orders".to_owned();
//!     account.updated_at = now;
//!     unit.accounts().update(&mut account).await?; // refused if someone else changed it meanwhile
//! }
//! unit.save(vec![entry]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! To add a repository: a table in `migrations/sqlite` and `migrations/postgres` (numbered alike),
//! a file here with the row type and a struct that borrows a [`Session`], an accessor in
//! `unit.rs`, and its cases in `tests.rs`, which run on both databases. Look-ups give `Option`;
//! updates check the row count and the version; lists take a [`Page`].
//!
//! Once a statement has failed in the database the unit can only be dropped: PostgreSQL refuses
//! everything that follows, and SQLite is made to behave alike.

mod accounts;
mod brokers;
mod certificates;
mod console_sessions;
mod error;
mod idempotency;
mod open;
mod operators;
mod page;
mod pushes;
mod session;
mod signing_keys;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod unit;
mod users;
mod vault_envelope;

pub use accounts::{AccountRow, AccountState, Accounts};
pub use brokers::{BrokerRow, Brokers};
pub use certificates::{CertificateKind, CertificateRow, Certificates};
pub use console_sessions::{ConsoleSessionRow, ConsoleSessions};
pub use error::StoreError;
pub use idempotency::{IdempotencyRow, IdempotentRequests};
pub use open::Store;
pub use operators::{OperatorRow, OperatorState, Operators};
pub use page::{PAGE_MAX, Page};
pub use pushes::{PushKind, PushRow, PushState, Pushes};
pub(crate) use session::{Bind, Record, Session};
pub use signing_keys::{SigningKeyRow, SigningKeyState, SigningKeys};
pub use tokens::{TokenRow, Tokens};
pub use unit::{Reader, Unit};
pub use users::{UserRow, UserState, Users};
pub use vault_envelope::VaultEnvelope;
