//! What the messages of a flow look like: how they are published, and what their delivery must look like.

use crate::stamp;

/// Header block of the scenario with headers: 100 bytes, as long as a few trace headers.
const HEADERS: &str = "NATS/1.0\r\nTrace: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7\r\nOrigin: north-7\r\n\r\n";
/// Length that the header block is filled up to.
const HEADERS_LENGTH: usize = 100;
/// Bytes that one write should have: enough to make the system call's own cost small.
const WRITE_BYTES: usize = 64 * 1024;
/// What payloads consist of after their stamp.
const FILLER: u8 = b'x';
/// The subscription id that every receiver uses.
pub(crate) const SID: &str = "1";

/// One kind of message.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// What it is published to.
    pub(crate) subject: String,
    /// Payload bytes, at least [`stamp::LENGTH`].
    pub(crate) payload: usize,
    /// Whether it carries 100 bytes of headers.
    pub(crate) headers: bool,
    /// Publish frames that already look delivered: what a forwarder is given, which changes nothing.
    pub(crate) as_delivered: bool,
}

/// A delivered message but for its stamp.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The line and the headers.
    pub(crate) head: Vec<u8>,
    /// The payload after its stamp, and the line end.
    pub(crate) tail: Vec<u8>,
    /// Line, headers, payload, line end.
    pub(crate) length: usize,
}

/// Several frames, rendered once and sent with one write; only the stamps change.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where each payload begins.
    payloads: Vec<usize>,
}

impl Shape {
    /// A message without headers.
    pub(crate) fn plain(subject: impl Into<String>, payload: usize) -> Self {
        Self { subject: subject.into(), payload, headers: false, as_delivered: false }
    }

    /// What a receiver gets for each message.
    pub(crate) fn delivery(&self) -> Delivery {
        let head = self.head("MSG", &format!("{} {SID}", self.subject));
        let mut tail = vec![FILLER; self.payload.saturating_sub(stamp::LENGTH)];
        tail.extend_from_slice(b"\r\n");
        let length = head.len() + stamp::LENGTH + tail.len();
        Delivery { head, tail, length }
    }

    /// As many frames as one write should have, and at most `count_max`.
    pub(crate) fn batch(&self, count_max: usize) -> Batch {
        let mut batch = Batch::default();
        while !batch.is_full(count_max) {
            batch.push(self);
        }
        batch
    }

    /// Appends one frame to `bytes`; where its payload begins.
    fn render(&self, bytes: &mut Vec<u8>) -> usize {
        let head = if self.as_delivered { self.delivery().head } else { self.head("PUB", &self.subject) };
        bytes.extend_from_slice(&head);
        let payload_at = bytes.len();
        bytes.resize(payload_at + self.payload, FILLER);
        bytes.extend_from_slice(b"\r\n");
        payload_at
    }

    /// The line that announces the message, and its headers.
    fn head(&self, verb: &str, words: &str) -> Vec<u8> {
        if self.headers {
            let block = headers();
            let total = HEADERS_LENGTH + self.payload;
            format!("H{verb} {words} {HEADERS_LENGTH} {total}\r\n{block}").into_bytes()
        } else {
            format!("{verb} {words} {}\r\n", self.payload).into_bytes()
        }
    }
}

/// The header block, filled up to its length inside the last value.
fn headers() -> String {
    let (start, end) = HEADERS.split_at_checked(HEADERS.len().saturating_sub(4)).unwrap_or((HEADERS, ""));
    let fill = HEADERS_LENGTH.saturating_sub(HEADERS.len());
    format!("{start}{}{end}", "x".repeat(fill))
}

impl Batch {
    /// Adds one message.
    pub(crate) fn push(&mut self, shape: &Shape) {
        let payload_at = shape.render(&mut self.bytes);
        self.payloads.push(payload_at);
    }

    /// Whether it is worth a write, or has `count_max` messages.
    pub(crate) fn is_full(&self, count_max: usize) -> bool {
        let count = self.payloads.len();
        count >= count_max || (count > 0 && self.bytes.len() + self.bytes.len() / count > WRITE_BYTES)
    }

    /// How many messages it has.
    pub(crate) fn count(&self) -> u64 {
        self.payloads.len() as u64
    }

    /// Stamps all messages, the first as number `first`; the bytes to send and the sum of the stamps.
    pub(crate) fn stamped(&mut self, publisher: usize, first: u64) -> (&[u8], u64) {
        let mut sum = 0u64;
        for (number, payload_at) in (first..).zip(&self.payloads) {
            let stamp = stamp::new(publisher, number);
            stamp::write(stamp, self.bytes.get_mut(*payload_at..).unwrap_or_default());
            sum = sum.wrapping_add(stamp);
        }
        (&self.bytes, sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, next_frame};

    #[test]
    fn a_delivery_is_what_the_parser_reads() {
        for headers in [false, true] {
            let shape = Shape { headers, as_delivered: true, ..Shape::plain("a.b", 128) };
            let mut batch = shape.batch(3);
            let (bytes, sum) = batch.stamped(2, 10);
            assert_eq!(sum, stamp::new(2, 10) + stamp::new(2, 11) + stamp::new(2, 12));
            let (frame, length) = next_frame(bytes).unwrap().unwrap();
            let Frame::Message(message) = frame else { panic!("{frame:?}") };
            assert_eq!(message.payload.len(), 128);
            assert_eq!(stamp::read(message.payload), Some(stamp::new(2, 10)));
            let delivery = shape.delivery();
            assert_eq!(length, delivery.length);
            assert!(bytes.starts_with(&delivery.head));
        }
    }

    #[test]
    fn a_batch_keeps_to_its_bounds() {
        assert_eq!(Shape::plain("a", 64 * 1024).batch(100).count(), 1);
        assert_eq!(Shape::plain("a", 16).batch(7).count(), 7);
        assert_eq!(headers().len(), HEADERS_LENGTH);
    }
}
