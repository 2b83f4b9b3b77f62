//! A message on its way through the broker.

use std::sync::Arc;

use crate::connection::Connection;

/// A message, borrowed from whoever published it.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// Subject after the account's mappings: what it is routed by.
    pub subject: &'a [u8],
    /// Subject that its receivers see: the same slice as `subject`, unless a stream delivers to where a consumer asked
    /// for it, and the receiver is to see what it was published on.
    pub shown: &'a [u8],
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
    /// The message crossed by the import of a stream.
    pub imported: bool,
}

impl<'a> Message<'a> {
    /// A message of the broker itself; `body` begins with a header block of `header_len` bytes.
    pub fn of_broker(subject: &'a [u8], reply: &'a [u8], header_len: usize, body: &'a [u8]) -> Self {
        Self { subject, shown: subject, reply, header_len, body, origin: None, passage: Passage::default() }
    }

    /// Its receivers see another subject than the one that it is routed by.
    pub fn is_renamed(&self) -> bool {
        !std::ptr::eq(self.shown, self.subject)
    }

    /// The message on its way by another subject: receivers see that, unless they were to see another one before.
    pub fn moved_to<'b>(&self, subject: &'b [u8]) -> Message<'b>
    where
        'a: 'b,
    {
        Message { subject, shown: if self.is_renamed() { self.shown } else { subject }, ..*self }
    }

    /// The header block, empty when there is none.
    pub fn header(&self) -> &'a [u8] {
        self.body.get(..self.header_len).unwrap_or_default()
    }

    /// The payload without header.
    pub fn payload(&self) -> &'a [u8] {
        self.body.get(self.header_len..).unwrap_or_default()
    }
}
