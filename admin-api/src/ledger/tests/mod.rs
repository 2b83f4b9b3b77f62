//! The ledger's rules: the tree against a naive model, leaves, the log in the store, exports.

mod export;
mod leaf;
mod log;
mod tree;

use crate::store::Store;
use crate::vault::{KeySource, Vault};

use super::Ledger;

/// A ledger in this store, with a vault of its own.
async fn ledger(store: &Store, folder: Option<&std::path::Path>) -> Ledger {
    let source = KeySource::Command { program: "/bin/echo".into(), arguments: vec!["k".repeat(40)] };
    let vault = Vault::open(&source, store, 1).await.unwrap();
    Ledger::open(store, &vault, folder.map(Into::into), 1).await.unwrap()
}
