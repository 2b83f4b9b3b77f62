//! HTTP: the listener, and what every handler has in common.

pub mod etag;
pub mod extract;
pub mod paging;
pub mod server;
pub mod tls;
