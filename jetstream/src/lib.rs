//! JetStream: streams, consumers and their storage, as an internal client of the broker.
//!
//! ```text
//! node      all of it in one broker: accounts that have JetStream, worker threads, timers, what the broker is told
//!   account   the streams of one account: names, subjects, limits, usage
//!     stream    one stream: takes messages in, keeps its limits, owns its consumers
//!       consumer  one consumer: what comes next, who asked, what is not acknowledged yet
//!       store     messages and a journal, in memory or in files; nothing else touches a disk
//! archive   a stream as one run of bytes: snapshots and restores
//! api       requests on `$JS.API.>` and their answers
//! config    configurations of streams and consumers: read, completed, checked, compared
//! offline   the folder of all streams while no broker has it
//! port      the way out: messages, advisories, and whether anybody listens
//! ```
//!
//! A message comes in on its publisher's thread, which copies it into the stream's intake and goes on. A worker takes
//! the whole intake, applies it to the stream under its lock, writes it, lets go of the lock, syncs, and only then
//! acknowledges and lets consumers see it: so what waits while one sync runs shares the next one, and what anybody saw
//! or was promised is on disk.

pub mod account;
pub mod api;
pub mod archive;
pub mod config;
pub mod consumer;
pub mod node;
pub mod offline;
pub mod port;
pub mod reader;
pub mod share;
pub mod store;
pub mod stream;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
