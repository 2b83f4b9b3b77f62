//! The reply subjects of delivered messages: `$JS.ACK.…`, written for each delivery, parsed for each acknowledgement.
//!
//! Two forms exist, jetstream.md 3.4. The short one has exactly nine tokens; the long one carries domain and account
//! too and has eleven or more, so that tokens can be added at its end.

use cordon_accounts::subject::matching::tokens;
use sha2::{Digest as _, Sha256};

use super::number::{parse_i64, parse_u64, push_u64};
use crate::account::Settings;

/// Acknowledgements are published below this.
pub const ACK_PREFIX: &[u8] = b"$JS.ACK.";

/// Answers to flow control requests are published below this.
pub const FLOW_PREFIX: &[u8] = b"$JS.FC.";

/// What the reply subject of a delivery says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AckTokens {
    /// Which delivery of the message this was; 1 for the first.
    pub deliveries: u64,
    /// The message's sequence in the stream.
    pub stream_seq: u64,
    /// The delivery's sequence in the consumer.
    pub consumer_seq: u64,
    /// When the message was stored, Unix nanoseconds.
    pub ts: i64,
    /// Messages that matched and were not delivered yet, after this one.
    pub pending: u64,
}

/// A parsed reply subject: whose delivery, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckSubject<'a> {
    /// What stands in the place of the account in the long form: its hash, or a share.
    pub owner: Option<&'a [u8]>,
    /// The stream's name.
    pub stream: &'a [u8],
    /// The consumer's name.
    pub consumer: &'a [u8],
    /// Which delivery.
    pub tokens: AckTokens,
}

/// Parses the subject of an acknowledgement, in either form; nothing if it is none.
pub fn parse_ack(subject: &[u8]) -> Option<AckSubject<'_>> {
    let rest = subject.strip_prefix(ACK_PREFIX)?;
    // Nine tokens with the two of the prefix, or eleven and more: domain and account come first then.
    let long = match tokens(rest).count() {
        7 => false,
        count if count >= 9 => true,
        _ => return None,
    };
    let owner = tokens(rest).nth(1).filter(|_| long);
    let mut parts = tokens(rest).skip(if long { 2 } else { 0 });
    Some(AckSubject {
        owner,
        stream: parts.next()?,
        consumer: parts.next()?,
        tokens: AckTokens {
            deliveries: parse_u64(parts.next()?)?,
            stream_seq: parse_u64(parts.next()?)?,
            consumer_seq: parse_u64(parts.next()?)?,
            ts: parse_i64(parts.next()?)?,
            pending: parse_u64(parts.next()?)?,
        },
    })
}

/// Parses the subject of an answer to a flow control request: `$JS.FC.<stream>.<consumer>.<id>`, or with domain and
/// account before the stream.
pub fn parse_flow(subject: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = subject.strip_prefix(FLOW_PREFIX)?;
    let skip = match tokens(rest).count() {
        3 => 0,
        count if count >= 5 => 2,
        _ => return None,
    };
    let mut parts = tokens(rest).skip(skip);
    Some((parts.next()?, parts.next()?))
}

/// Which form reply subjects are written in; both are understood always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AckForm {
    /// Nine tokens.
    #[default]
    Short,
    /// Eleven tokens.
    Long {
        /// The server's domain; `_` is written for none.
        domain: Option<String>,
        /// Eight characters that stand for the account.
        account_hash: String,
    },
}

/// Characters of an account's hash.
const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl AckForm {
    /// The form that the node writes for an account: the long one if its settings say so.
    pub fn of(settings: &Settings, account: &str) -> Self {
        if !settings.long_acks {
            return Self::Short;
        }
        let digest = Sha256::digest(account);
        let digit = |byte: &u8| BASE_62.get(usize::from(byte % 62)).map_or('0', |digit| char::from(*digit));
        Self::Long { domain: settings.domain.clone(), account_hash: digest.iter().take(8).map(digit).collect() }
    }

    fn prefix(&self, head: &[u8], stream: &str, consumer: &str) -> Vec<u8> {
        let mut out = head.to_vec();
        if let Self::Long { domain, account_hash } = self {
            out.extend_from_slice(domain.as_deref().unwrap_or("_").as_bytes());
            out.push(b'.');
            out.extend_from_slice(account_hash.as_bytes());
            out.push(b'.');
        }
        out.extend_from_slice(stream.as_bytes());
        out.push(b'.');
        out.extend_from_slice(consumer.as_bytes());
        out.push(b'.');
        out
    }
}

/// Writes reply subjects of one consumer into one buffer, over and over.
#[derive(Debug)]
pub(crate) struct AckWriter {
    buffer: Vec<u8>,
    prefix: usize,
    flow: Vec<u8>,
}

impl AckWriter {
    pub(crate) fn new(form: &AckForm, stream: &str, consumer: &str) -> Self {
        let buffer = form.prefix(ACK_PREFIX, stream, consumer);
        Self { prefix: buffer.len(), buffer, flow: form.prefix(FLOW_PREFIX, stream, consumer) }
    }

    /// The reply subject of one delivery.
    pub(crate) fn write(&mut self, of: &AckTokens) -> &[u8] {
        self.buffer.truncate(self.prefix);
        push_u64(&mut self.buffer, of.deliveries);
        for number in [of.stream_seq, of.consumer_seq, of.ts.max(0).cast_unsigned(), of.pending] {
            self.buffer.push(b'.');
            push_u64(&mut self.buffer, number);
        }
        &self.buffer
    }

    /// What [`AckWriter::write`] wrote last.
    pub(crate) fn written(&self) -> &[u8] {
        &self.buffer
    }

    /// The reply subject of a flow control request.
    pub(crate) fn flow(&self, id: &str) -> Vec<u8> {
        let mut out = self.flow.clone();
        out.extend_from_slice(id.as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: AckTokens =
        AckTokens { deliveries: 2, stream_seq: 30, consumer_seq: 41, ts: 1_700_000_000, pending: 5 };

    #[test]
    fn what_is_written_is_what_is_parsed() {
        let long = AckForm::Long { domain: None, account_hash: "abcdefgh".into() };
        let cases = [
            (AckForm::Short, "$JS.ACK.S.c%2F.2.30.41.1700000000.5", "$JS.FC.S.c%2F.wxyz"),
            (long, "$JS.ACK._.abcdefgh.S.c%2F.2.30.41.1700000000.5", "$JS.FC._.abcdefgh.S.c%2F.wxyz"),
        ];
        for (form, ack, flow) in cases {
            let mut writer = AckWriter::new(&form, "S", "c%2F");
            let empty = writer.write(&AckTokens::default()).to_vec();
            assert_eq!(empty, writer.written());
            assert_eq!(writer.write(&TOKENS), ack.as_bytes());
            let parsed = parse_ack(ack.as_bytes()).unwrap();
            assert_eq!((parsed.stream, parsed.consumer, parsed.tokens), (&b"S"[..], &b"c%2F"[..], TOKENS));
            assert_eq!(writer.flow("wxyz"), flow.as_bytes());
            assert_eq!(parse_flow(flow.as_bytes()), Some((&b"S"[..], &b"c%2F"[..])));
        }
    }

    #[test]
    fn the_long_form_names_domain_and_account_as_nats_server_does() {
        let settings = |long_acks, domain: Option<&str>| Settings {
            long_acks,
            domain: domain.map(str::to_owned),
            ..Settings::default()
        };
        assert_eq!(AckForm::of(&settings(false, Some("hub")), "$G"), AckForm::Short);
        let long = AckForm::of(&settings(true, None), "$G");
        assert_eq!(AckWriter::new(&long, "S", "c").flow("x"), b"$JS.FC._.szMpdrwD.S.c.x");
        let hub = AckForm::of(&settings(true, Some("hub")), "A");
        assert!(AckWriter::new(&hub, "S", "c").flow("x").starts_with(b"$JS.FC.hub."));
    }

    #[test]
    fn further_tokens_of_the_long_form_are_ignored() {
        let parsed = parse_ack(b"$JS.ACK.hub.hash.S.c.1.2.3.4.5.more.and.more").unwrap();
        assert_eq!(parsed.tokens, AckTokens { deliveries: 1, stream_seq: 2, consumer_seq: 3, ts: 4, pending: 5 });
    }

    #[test]
    fn other_subjects_are_no_acknowledgements() {
        for subject in [
            "",
            "$JS.ACK",
            "$JS.ACK.",
            "$JS.ACK.S.c.1.2.3.4",
            "$JS.ACK.S.c.1.2.3.4.5.6",
            "$JS.ACK.S.c.x.2.3.4.5",
            "$JS.ACK.S.c.1.-2.3.4.5",
            "$JS.ACK.S.c.1.99999999999999999999.3.4.5",
            "$JS.AKK.S.c.1.2.3.4.5",
            "$JS.FC.S.c.1.2.3.4.5",
        ] {
            assert_eq!(parse_ack(subject.as_bytes()), None, "{subject}");
        }
        for subject in ["$JS.FC.S.c", "$JS.FC.S.c.a.b", "$JS.FC", "$JS.ACK.S.c.abcd"] {
            assert_eq!(parse_flow(subject.as_bytes()), None, "{subject}");
        }
    }
}
