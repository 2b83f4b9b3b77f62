//! What a traced message asks of the server beyond a leaf connection.
//!
//! `Nats-Trace-Dest` there is a subject of the account that the message is in here, and what comes back on it is a
//! publication of the leaf node. `Nats-Trace-Hop` numbers the ways of one report: 1, 2, and of the second way again 2.1.

use super::{DESTINATION, HOP};
use crate::protocol::headers;

/// The longest number of a way that is believed, in bytes: some thirty servers in a row.
const WAY_MAX: usize = 64;

/// What other servers are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onward {
    /// Where reports go in the account that the message is in.
    pub destination: Box<[u8]>,
    /// They are asked to report there. Otherwise the message was chosen by its `traceparent`, and they choose, too.
    pub is_asked: bool,
}

impl Onward {
    /// What a message with this header block asks for, whose report goes to `destination`.
    pub fn of(header: &[u8], destination: &[u8]) -> Self {
        Self { destination: destination.into(), is_asked: headers::value(header, DESTINATION).is_some() }
    }

    /// The header block that another server gets on that way.
    pub fn header(&self, header: &[u8], way: &str) -> Vec<u8> {
        let header = headers::with(header, HOP, way.as_bytes());
        if self.is_asked { headers::with(&header, DESTINATION, &self.destination) } else { header }
    }
}

/// The number of the way on which a message with this header came; empty if it has none that makes sense.
pub(super) fn way_in(header: &[u8]) -> &str {
    headers::value(header, HOP)
        .filter(|way| way.len() <= WAY_MAX)
        .and_then(|way| std::str::from_utf8(way).ok())
        .filter(|way| way.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_way_is_digits_between_dots() {
        for (line, way) in [
            ("Nats-Trace-Hop: 1", "1"),
            ("Nats-Trace-Hop:10.2.3", "10.2.3"),
            ("Nats-Trace-Hop: 1.", ""),
            ("Nats-Trace-Hop: .1", ""),
            ("Nats-Trace-Hop: -1", ""),
            ("Nats-Trace-Hop: 1 2", ""),
            ("Nats-Trace-Hop: \"", ""),
            ("Nats-Trace-Hop:", ""),
            ("nats-trace-hop: 1", ""),
            ("A: b", ""),
        ] {
            assert_eq!(way_in(format!("NATS/1.0\r\n{line}\r\n\r\n").as_bytes()), way, "{line}");
        }
        let long = format!("NATS/1.0\r\nNats-Trace-Hop: {}\r\n\r\n", "1".repeat(WAY_MAX + 1));
        assert_eq!(way_in(long.as_bytes()), "");
    }

    #[test]
    fn others_are_told_one_way_and_one_destination_whatever_stood_there() {
        let asked = Onward { destination: (*b"there").into(), is_asked: true };
        let block = b"NATS/1.0\r\nNats-Trace-Hop: 9\r\nA: b\r\nnats-trace-dest: x\r\nNats-Trace-Dest: t\r\n\r\n";
        let made = asked.header(block, "2.1");
        assert_eq!(made, b"NATS/1.0\r\nNats-Trace-Dest: there\r\nNats-Trace-Hop: 2.1\r\nA: b\r\n\r\n");
        let chosen = Onward::of(b"NATS/1.0\r\ntraceparent: 00-a-b-01\r\n\r\n", b"sampled");
        let made = chosen.header(b"NATS/1.0\r\ntraceparent: 00-a-b-01\r\n\r\n", "1");
        assert_eq!(made, b"NATS/1.0\r\nNats-Trace-Hop: 1\r\ntraceparent: 00-a-b-01\r\n\r\n");
        assert!(Onward::of(block, b"t").is_asked && !chosen.is_asked);
    }
}
