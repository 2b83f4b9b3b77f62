//! The control plane of Cordon: admin API, issuing, vault, ledger and store.

pub mod ledger;
pub mod store;
pub mod vault;
