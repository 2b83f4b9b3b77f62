//! What a client can say, borrowed from the read buffer.

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `CONNECT`: its JSON text.
    Connect(&'a [u8]),
    /// `INFO`: its JSON text; only checked for being JSON.
    Info(&'a [u8]),
    /// `+OK`, ignored.
    Ok,
    /// `-ERR`: ends the connection.
    PeerError(&'a [u8]),
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `PUB` or `HPUB`.
    Publish(Publish<'a>),
    /// `SUB`.
    Subscribe(Subscribe<'a>),
    /// `UNSUB`.
    Unsubscribe(Unsubscribe<'a>),
}

/// A message as its publisher sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Subject, not validated.
    pub subject: &'a [u8],
    /// Reply subject, empty when there is none.
    pub reply: &'a [u8],
    /// Length of the header block at the start of `body`, 0 for a plain message.
    pub header_len: usize,
    /// Header block and payload, without the final CRLF.
    pub body: &'a [u8],
}

/// A subscription request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Subject, may hold wildcards, not validated.
    pub subject: &'a [u8],
    /// Queue group, if any.
    pub queue: Option<&'a [u8]>,
    /// Subscription id, an arbitrary token.
    pub sid: &'a [u8],
}

/// The end of a subscription, now or after `max` deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Subscription id.
    pub sid: &'a [u8],
    /// Deliveries, counted from the subscription's start, after which it ends; 0 is now.
    pub max: u64,
}
