//! The way out of a stream: messages into its account, and whether anybody listens there.
//!
//! The node implements it over the broker's routing; tests over vectors. Everything here is called by the one worker
//! that holds a stream, never waits, and is written to sockets by [`Port::flush`].

use cordon_accounts::subject::Pattern;

/// A message on its way out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// Where it is routed: a reply subject, a deliver subject.
    pub to: &'a [u8],
    /// The subject that its receiver sees; empty if it is the one in `to`.
    pub shown: &'a [u8],
    /// Its reply subject; empty for none.
    pub reply: &'a [u8],
    /// Its header block with status line and final blank line; empty for none.
    pub header: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
    /// Where reading needs permission, only those get it who may subscribe to all of these; empty for whoever listens.
    pub reads: &'a [Pattern],
}

/// Who listens to what a push consumer delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// Nobody.
    Nobody,
    /// Only those who may not read it.
    Refused,
    /// Somebody.
    Somebody,
}

/// Where the messages of one account's streams go.
pub trait Port: Send + Sync {
    /// Hands a message to its receivers; returns whether any took it.
    fn send(&self, message: &Outgoing<'_>) -> bool;

    /// Somebody would take a message for `subject`; with a `group`, a member of that queue group.
    fn has_interest(&self, subject: &[u8], group: Option<&[u8]>) -> bool;

    /// Somebody has a subscription for exactly this subject; with a `group`, in that queue group. A push consumer is
    /// bound by such a one alone: who listens to everything keeps no consumer alive (jetstream.md 3.7).
    fn is_subscribed(&self, subject: &[u8], group: Option<&[u8]>) -> bool {
        self.has_interest(subject, group)
    }

    /// As [`Port::is_subscribed`], for messages of which only those get any who may subscribe to all of `reads`.
    fn listening(&self, subject: &[u8], group: Option<&[u8]>, _reads: &[Pattern]) -> Listening {
        if self.is_subscribed(subject, group) { Listening::Somebody } else { Listening::Nobody }
    }

    /// From now on the stream is woken (`Stream::wake`) when interest in this literal subject comes or
    /// goes, or who has it may read something else; `false` ends that. Counted: as many ends as beginnings.
    fn watch(&self, stream: &str, subject: &[u8], watching: bool);

    /// From now on what is published to this literal subject arrives at the stream as [`crate::stream::Kind::Origin`] of
    /// that number, under the subject that receivers see.
    fn hear(&self, stream: &str, subject: &[u8], number: u32);

    /// Ends what [`Port::hear`] began.
    fn deafen(&self, number: u32);

    /// Ends all that the stream watches and hears: it cannot end it itself.
    fn forget(&self, stream: &str);

    /// Writes out what was sent since the last call.
    fn flush(&self);
}
