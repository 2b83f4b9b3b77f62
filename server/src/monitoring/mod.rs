//! What operators' tools read, over HTTP and over NATS from the same views.
//!
//! A view is a function from the broker and options to JSON in the shape of nats-server
//! (monitoring-and-system.md section 1). [`http`] serves the views on loopback;
//! [`crate::system`] answers requests with them. A new view: write the function, add its path in
//! [`http`] and its subject in [`crate::system`].

pub mod absent;
pub mod accounts;
pub mod connz;
pub mod healthz;
pub mod http;
pub mod jsz;
pub mod leafz;
pub mod listening;
pub mod metrics;
pub mod process;
pub mod query;
pub mod subsz;
pub mod text;
pub mod varz;

pub use listening::Listening;

/// Rows of one page, unless asked otherwise.
pub const PAGE: usize = 1024;

/// Subscriptions in one answer, at most: a tenant may have millions, and asks for them as often as it likes.
pub const SUBSCRIPTIONS_SHOWN: usize = 50_000;

/// Why a view cannot be given: what was wrong with the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// A fault with its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests;
