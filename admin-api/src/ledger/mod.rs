//! The ledger: an audit log that cannot be edited unseen.
//!
//! An [`Entry`] says who did what to what, from where, and what came of it. [`Unit::save`] turns it
//! into a [`Leaf`] (its place, the hash of the leaf before it, digests in place of personal and
//! bulky parts), whose canonical bytes are hashed into a Merkle tree as in RFC 6962; all in the
//! transaction that holds the change itself. [`Ledger`] signs checkpoints of the tree as signed
//! notes. [`Export`] gives all of it as JSON Lines, and [`verify::verify_export`] checks such an
//! export offline. The format is described byte by byte in `docs/ledger-format.md`.
//!
//! ```text
//! Entry -> Leaf -> canonical bytes -> leaf hash -> tree -> checkpoint -> signed note -> file, table, whoever keeps a copy
//!    \-> blobs (salted, erasable; their digest is in the leaf)
//! ```
//!
//! Brokers number their security events; [`record_broker_event`] takes each once, and writes an
//! entry of its own about numbers that are missing.
//!
//! [`Unit::save`]: crate::store::Unit::save

mod append;
mod broker_event;
mod checkpoint;
mod codec;
mod digest;
mod entry;
mod error;
mod export;
mod keeper;
mod leaf;
mod log;
mod proof;
mod search;
#[cfg(test)]
mod tests;
mod tree;
pub mod verify;

pub(crate) use append::append;
pub use broker_event::{Recorded, record_broker_event};
pub use checkpoint::{Checkpoint, NoteError, NoteKey, SignedCheckpoint};
pub use digest::{Digest, KeyedHash};
pub use entry::{Actor, ActorKind, BrokerEvent, Entry, Outcome, Reference, SecretHash};
pub use error::LedgerError;
pub use export::Export;
pub use keeper::Ledger;
pub use leaf::Leaf;
pub use log::{Head, LeafRef, LedgerLog, StoredEntry};
pub use proof::{ConsistencyProof, InclusionProof, ProofError};
pub use search::Search;
pub use tree::Edge;
