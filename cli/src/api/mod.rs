//! The admin API as the commands use it.
//!
//! ```text
//! connection.rs  where it is, whom to trust, who we are: flags, environment, data folder
//! client.rs      requests, lists page by page, problems with their remedies
//! names.rs       from a name as people say it to the key
//! ```

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod names;

pub(crate) use client::{Api, Version};
pub(crate) use connection::Connect;
