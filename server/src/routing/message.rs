//! A message on its way through the broker.

use std::sync::Arc;

use crate::connection::Connection;

/// A message, borrowed from whoever published it.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Subject after the account's mappings.
    pub subject: &'a [u8],
    /// Reply subject, empty when there is none.
    pub reply: &'a [u8],
    /// Length of the header block at the start of `body`.
    pub header_len: usize,
    /// Header block and payload.
    pub body: &'a [u8],
    /// The connection that published it; `None` for the broker itself.
    pub origin: Option<&'a Arc<Connection>>,
    /// What the border knows of its way here.
    pub passage: Passage<'a>,
}

/// The way of a message across accounts.
#[derive(Clone, Copy, Default)]
pub struct Passage<'a> {
    /// Service imports passed so far, innermost last; empty for a message of this account.
    pub crossings: &'a [u64],
    /// The message is the answer to a service request.
    pub response: bool,
}

impl<'a> Message<'a> {
    /// The header block, empty when there is none.
    pub fn header(&self) -> &'a [u8] {
        self.body.get(..self.header_len).unwrap_or_default()
    }

    /// The payload without header.
    pub fn payload(&self) -> &'a [u8] {
        self.body.get(self.header_len..).unwrap_or_default()
    }
}
