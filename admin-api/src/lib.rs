//! The control plane of Cordon: admin API, issuing, vault, ledger and store.
//!
//! ```text
//! http (TLS, entrance, caller) -> console -> v1 (one file per endpoint) -> issuing -> store + ledger (one transaction)
//!                                                                  \-> outbox -> broker (NATS, system account)
//! ```
//!
//! It reaches brokers only as an ordinary NATS client on the system account; there is no back door, so it
//! drives stock nats-servers as well. [`control::Control`] composes it; [`issuing::Issuer`] is the same
//! without HTTP.

#![forbid(unsafe_code)]

pub mod broker;
mod console;
pub mod control;
pub mod http;
pub mod issuing;
pub mod ledger;
pub mod limits;
pub mod model;
pub mod pki;
pub mod problem;
pub mod roles;
pub mod store;
#[cfg(test)]
mod tests;
pub mod v1;
pub mod vault;

pub use control::{BrokerAccess, Control, ControlError, ControlOptions, RunningControl, SystemCredentials};
pub use http::tls::TlsFiles;
