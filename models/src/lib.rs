//! The concurrent parts of the broker, compiled against [loom](https://docs.rs/loom), which runs them in every order
//! of events that the memory model allows.
//!
//! These are the broker's own source files: the modules below are read from `server/src`, and what they take from
//! [`sync`] is loom's here. The socket is a model of one. The models stand in `tests/`; `cargo test -p cordon-models`
//! runs them all, exhaustively, in seconds.

#![expect(clippy::unwrap_used, reason = "a harness of tests: what fails here is the model's failure")]

#[path = "../../server/src/gate.rs"]
pub mod gate;
#[path = "../../server/src/limits.rs"]
pub mod limits;
pub mod sync;

pub mod connection;
pub mod routing;
