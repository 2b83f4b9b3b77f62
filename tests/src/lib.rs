//! The harness of the whole-program stories in `tests/`: the real binary, real clients, real TLS.
//!
//! A story starts a [`Serve`] (or a [`process::Process`] of another command) in a folder of its
//! own, on ports that the system chooses. It acts through [`Api`] as an owner would, and talks as
//! its tenants would: by [`Client`] where a client library's behaviour counts, by [`Peer`] where
//! the very bytes count. It waits for events; where something can only be asked for, it asks with
//! [`wait::until`], the one place that pauses.
//!
//! A failure ends the story with a panic, and the log of its processes is printed.
//!
//! | variable | what for |
//! |---|---|
//! | `CORDON_BIN` | a binary to test instead of the one that [`binary::cordon`] builds |
//! | `CORDON_WRITE_DOCS` | write `docs/ways-in.md` and `docs/advisories.md` from their tables instead of comparing |
//! | `CORDON_CRASH_SEED` | the moments of `crash.rs` again |
//! | `CORDON_KILL_ROUNDS`, `CORDON_KILL_SEED` | how many kills in `stream_kills.rs`, and their moments again |
//! | `CORDON_MODEL_SEED` | the topology and traffic of `topologies.rs`, or one round of `isolation_model.rs`, again |
//! | `CORDON_MODEL_STEPS` | how much of `isolation_model.rs` is run |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness of tests: what fails here is the story's failure"
)]

pub mod advisories;
pub mod api;
pub mod binary;
pub mod certificates;
pub mod client;
pub mod console;
pub mod isolation;
pub mod kill;
pub mod memory;
pub mod model;
pub mod peer;
pub mod process;
pub mod serve;
pub mod sources;
pub mod tenant;
pub mod tls;
pub mod wait;
mod watched;
pub mod ways;
pub mod websocket;

pub use api::{Answer, Api};
pub use client::Client;
pub use console::Console;
pub use peer::Peer;
pub use serve::Serve;
pub use tenant::{Tenant, User};
