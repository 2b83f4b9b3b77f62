//! The configuration is read again while clients are connected: what changes for whom, and that nothing else does.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here is the test's failure")]

#[path = "../house/mod.rs"]
mod house;
#[path = "../support/mod.rs"]
mod support;

mod leaf_tls;
mod leafs;
mod limits;
mod model;
mod monitoring;
mod operators;
mod refusals;
mod request;
mod site;
mod tls;
mod users;
