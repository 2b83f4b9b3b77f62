//! From a subject to its receivers.
//!
//! Each account has one [`interest::Interest`]: a [`tree`] of subscriptions. Matching gives a
//! [`match_set::MatchSet`], which connections cache ([`cache::MatchCache`]) for as long as the
//! parts of the tree it came from stand ([`generation::Stamp`]). [`deliver`] walks a match set:
//! every plain subscription, then one member of each queue group.

pub mod cache;
pub mod deliver;
pub mod generation;
mod groups;
pub mod interest;
pub mod match_set;
pub mod message;
pub mod subscription;
pub mod table;
mod tree;

pub use deliver::{Batch, Later, route};
pub use message::Message;
pub use subscription::{Far, Followed, Receiver, Sink, Subscription};
