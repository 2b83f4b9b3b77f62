//! The broker held against [`crate::model`]: random accounts, users, connections, subscriptions and messages, with
//! claims that change meanwhile, in rounds of some thousand steps.
//!
//! ```text
//! Round: accounts pushed -> (some changes, many messages, answers to some of them) again and again -> accounts deleted
//! ```
//!
//! A step is a publish, subscribe, unsubscribe, connect, disconnect or change of claims whose whole effect is compared:
//! every delivery with its subject, reply subject and word of who asks; every error; every connection that ends.
//! Failures: a delivery, error or end that the model does not have, or lacks. Not failures: which member of a queue group
//! gets a message, and which destination a weighted mapping chooses.
//!
//! Messages are sent in bursts: each publisher's with its fences, then a fence of everybody. So the effect of a message
//! is known exactly although nothing waits for a single one.
//!
//! | file | |
//! |---|---|
//! | [`site`] | the broker, its operator, pushing claims |
//! | [`wire`] | a raw connection |
//! | [`sign`] | the model's accounts and users as JWTs |
//! | [`generate`] | random accounts, users, subjects |
//! | [`round`] | the steps of one round |
//! | [`traffic`] | bursts of messages, and what was seen of them |
//! | [`racing`] | no model: nothing crosses that no import covers, while imports change |

pub mod generate;
pub mod racing;
pub mod round;
pub mod sign;
pub mod site;
pub mod traffic;
pub mod wire;

pub use round::Round;
pub use site::Site;
