//! Users.

pub mod change;
pub mod create;
pub mod creds;
pub mod delete;
pub mod get;
pub mod list;
