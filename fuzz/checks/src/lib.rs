//! What must hold for any bytes, one module for each parser or set of rules.
//!
//! Each module has one function `check(data)`, which panics when the product breaks its word. Three things run it:
//! the libFuzzer program of the same name in `fuzz/fuzz_targets/`, the test in `tests/` that replays the corpora and
//! every input that ever failed, and whoever looks into a failure. A model here is written apart from the product, as
//! plainly as possible, and shares no code with it.
//!
//! To add one: a module with `check`, its line in [`TARGETS`], a program and a `[[bin]]` in `fuzz/Cargo.toml`, and a
//! first input in `fuzz/corpus/NAME/`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here is the finding"
)]

pub mod creds;
mod input;
pub mod jwt;
pub mod naive;
pub mod permissions;
pub mod subject_algebra;

#[cfg(feature = "broker")]
pub mod config;
#[cfg(feature = "broker")]
pub mod headers;
#[cfg(feature = "broker")]
pub mod leaf_parser;
#[cfg(feature = "broker")]
pub mod leaf_session;
#[cfg(feature = "broker")]
mod peer;
#[cfg(feature = "broker")]
pub mod protocol_parser;
#[cfg(feature = "broker")]
pub mod proxy_header;
#[cfg(feature = "broker")]
pub mod s2_stream;
#[cfg(feature = "broker")]
pub mod session;
#[cfg(feature = "broker")]
pub mod stream_archive;
#[cfg(feature = "broker")]
pub mod stream_recovery;
#[cfg(feature = "broker")]
pub mod stream_requests;
#[cfg(feature = "broker")]
pub mod texts;
#[cfg(feature = "broker")]
pub mod tls_first;
#[cfg(feature = "broker")]
pub mod websocket;

#[cfg(feature = "control")]
pub mod admin_bodies;
#[cfg(feature = "control")]
pub mod ledger_export;

/// A check by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every check that this build has.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "control")]
    ("admin_bodies", admin_bodies::check),
    #[cfg(feature = "broker")]
    ("config", config::check),
    ("creds", creds::check),
    #[cfg(feature = "broker")]
    ("headers", headers::check),
    ("jwt", jwt::check),
    #[cfg(feature = "broker")]
    ("leaf_parser", leaf_parser::check),
    #[cfg(feature = "broker")]
    ("leaf_session", leaf_session::check),
    #[cfg(feature = "control")]
    ("ledger_export", ledger_export::check),
    ("permissions", permissions::check),
    #[cfg(feature = "broker")]
    ("protocol_parser", protocol_parser::check),
    #[cfg(feature = "broker")]
    ("proxy_header", proxy_header::check),
    #[cfg(feature = "broker")]
    ("s2_stream", s2_stream::check),
    #[cfg(feature = "broker")]
    ("session", session::check),
    #[cfg(feature = "broker")]
    ("stream_archive", stream_archive::check),
    #[cfg(feature = "broker")]
    ("stream_recovery", stream_recovery::check),
    #[cfg(feature = "broker")]
    ("stream_requests", stream_requests::check),
    ("subject_algebra", subject_algebra::check),
    #[cfg(feature = "broker")]
    ("texts", texts::check),
    #[cfg(feature = "broker")]
    ("tls_first", tls_first::check),
    #[cfg(feature = "broker")]
    ("websocket", websocket::check),
];
