//! The control plane of Cordon: admin API, issuing, vault, ledger and store.

pub mod broker;
pub mod http;
pub mod issuing;
pub mod ledger;
pub mod limits;
pub mod model;
pub mod pki;
pub mod problem;
pub mod roles;
pub mod store;
pub mod vault;
