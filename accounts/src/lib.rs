//! The domain of Cordon: keys, claims, subjects, permissions and sharing, as values.

pub mod permissions;
pub mod sharing;
pub mod subject;
pub mod claims;
pub mod creds;
pub mod key;
pub mod limits;
pub mod name;
pub mod reason;
