//! The client protocol as bytes: frames out of a read buffer, frames into an output buffer.
//!
//! [`parser::next`] borrows one frame from the buffer and says how long it was; nothing is
//! allocated and nothing is decided here but grammar and size. Source: the NATS client protocol,
//! nats-server `parser.go` and `client.go`.

pub mod connect;
pub mod encode;
pub mod error;
pub mod frame;
pub mod headers;
pub mod info;
pub mod parser;
mod quick;

pub use error::ProtocolError;
pub use frame::{Frame, Publish};
