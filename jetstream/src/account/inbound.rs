//! What arrives for consumers: pull requests, acknowledgements, answers to flow control.
//!
//! Called by the node's receivers on publishers' threads: a look into two tables and a copy. `false` says that nobody is
//! there, so that a requester hears of "no responders".

use cordon_accounts::subject::matching;

use std::sync::Arc;

use super::Account;
use crate::stream::{Arrival, Kind, Stream, Taken};

/// Has a stream begin once all is taken that came with what was taken last (see [`Stream::take_of_many`]).
pub type PutOff<'a> = &'a mut dyn FnMut(&Arc<Stream>);

impl Account {
    /// A pull request for `consumer` of `stream` (`$JS.API.CONSUMER.MSG.NEXT.<stream>.<consumer>`).
    #[must_use]
    pub fn request(
        &self,
        (stream, consumer): (&str, &str),
        reply: &[u8],
        header: &[u8],
        payload: &[u8],
        put_off: PutOff<'_>,
    ) -> bool {
        let arrival = Arrival { kind: Kind::Request, subject: consumer.as_bytes(), reply, header, payload };
        self.inbound(stream, consumer, &arrival, put_off)
    }

    /// An acknowledgement; `subject` is all of `$JS.ACK.…`, in either form (jetstream.md 3.4).
    #[must_use]
    pub fn acknowledge(&self, subject: &[u8], reply: &[u8], payload: &[u8], put_off: PutOff<'_>) -> bool {
        let count = matching::tokens(subject).count();
        let at = match count {
            9 => 2,
            11.. => 4,
            _ => return false,
        };
        let arrival = Arrival { kind: Kind::Acknowledge, subject, reply, header: b"", payload };
        self.by_tokens(subject, at, &arrival, put_off)
    }

    /// An answer to flow control; `subject` is all of `$JS.FC.…`, in either form (jetstream.md 3.7).
    #[must_use]
    pub fn flow(&self, subject: &[u8], reply: &[u8], header: &[u8], payload: &[u8], put_off: PutOff<'_>) -> bool {
        let count = matching::tokens(subject).count();
        let at = match count {
            5 => 2,
            7.. => 4,
            _ => return false,
        };
        self.by_tokens(subject, at, &Arrival { kind: Kind::Flow, subject, reply, header, payload }, put_off)
    }

    fn by_tokens(&self, subject: &[u8], at: usize, arrival: &Arrival<'_>, put_off: PutOff<'_>) -> bool {
        let mut tokens = matching::tokens(subject).skip(at);
        let (Some(stream), Some(consumer)) = (tokens.next(), tokens.next()) else { return false };
        let (Ok(stream), Ok(consumer)) = (std::str::from_utf8(stream), std::str::from_utf8(consumer)) else {
            return false;
        };
        self.inbound(stream, consumer, arrival, put_off)
    }

    fn inbound(&self, stream: &str, consumer: &str, arrival: &Arrival<'_>, put_off: PutOff<'_>) -> bool {
        self.stream(stream)
            .filter(|stream| match arrival.kind {
                Kind::Acknowledge => stream.takes_acks(consumer),
                _ => stream.has_consumer(consumer),
            })
            .is_some_and(|stream| stream.take_of_many(arrival, put_off) == Taken::Yes)
    }
}
