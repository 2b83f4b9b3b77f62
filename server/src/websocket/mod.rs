//! The client protocol over WebSocket: the same parser and session as over TCP, inside frames.
//!
//! ```text
//! accept -> TLS -> request (HTTP/1.1, bounded) -> 101 -> INFO
//! input:  frames -> (inflate) -> what messages carry, as one stream of bytes -> the session's parser
//! output: what is pending -> (deflate) -> frames, written together with the queue's own buffers
//! ```
//!
//! [`request`], [`frame`], [`incoming`] and [`outgoing`] have no socket and no clock: bytes in, bytes out. [`upgrade`]
//! is the beginning of a connection; from then on the state of its frames is in the halves of its socket.
//!
//! A peer that has proved nothing costs what one over TCP does, and besides: a request of bounded length in bounded
//! time, a control frame, and while it is inside a compressed message what inflates it.

pub mod close;
pub mod deflate;
pub mod frame;
pub mod incoming;
pub mod options;
pub mod origin;
pub mod outgoing;
pub mod request;
pub mod upgrade;

pub use options::{CookieNames, WebsocketOptions};
