//! The Cordon broker: bytes in, permitted messages out.
//!
//! ```text
//! listener   accepts, speaks TLS
//! connection one task each: reads, parses (protocol), decides (permissions), flushes
//! leaf       other servers, joined to one account each
//! routing    an account's interest: from subject to receivers
//! border     the only way from one account to another
//! tenant     an account as it runs; applies changed account JWTs to what is live
//! tracing_messages reports of what became of a message
//! system     the system account: claims and connection requests, events, security events
//! monitoring HTTP for operators' tools
//! reload     what changes while the broker runs: options, users, accounts, operators
//! extension  what is built on the broker and lives in it: streams
//! s2         compression between leaf nodes
//! websocket  the same connections inside WebSocket frames
//! config     what `cordon broker -c FILE` reads
//! ```
//!
//! The most common change is a new protocol operation: add a [`protocol::Frame`], parse it in
//! [`protocol::parser`], act on it in [`connection::session`].

pub mod border;
pub mod broker;
pub mod config;
pub mod connection;
pub mod connections;
pub mod extension;
pub mod gate;
pub mod leaf;
pub mod limits;
pub mod listener;
pub mod monitoring;
pub mod observer;
pub mod options;
pub mod protocol;
pub mod reload;
pub mod remote;
pub mod routing;
pub mod s2;
mod sync;
pub mod system;
pub mod tenant;
pub mod tracing_messages;
pub mod websocket;

pub use broker::{Broker, RunningBroker, StartError};
pub use options::{BrokerOptions, HandshakeFirst, TlsOptions};
pub use websocket::WebsocketOptions;
