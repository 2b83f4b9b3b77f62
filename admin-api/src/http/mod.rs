//! HTTP: the listener, and what every handler has in common.
//!
//! ```text
//! server (TLS, bounds) -> entrance (id, sender, time limit, headers, refusal entries) -> router -> Caller -> handler
//! ```
//!
//! To add an endpoint: a file under `v1/` with one handler (or one small resource), its `utoipa::path` and
//! its line in `router.rs`. It takes a [`caller::Caller`], asks it for a right before anything else, and
//! hands the work to `issuing`.

pub mod app;
pub mod caller;
mod entrance;
pub mod etag;
pub mod extract;
mod first_page;
pub mod openapi;
pub mod paging;
mod refusals;
pub mod reply;
pub mod router;
pub mod server;
pub mod tls;

pub(crate) use entrance::Refusal;
