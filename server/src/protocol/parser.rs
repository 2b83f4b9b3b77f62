//! One frame out of the read buffer: borrows, allocates nothing, never indexes.
//!
//! ```text
//! PUB <subject> [reply] <size>CRLF <payload>CRLF
//! |op | arguments, bounded    |    | bounded by max_payload
//! ```

use crate::protocol::error::ProtocolError;
use crate::protocol::frame::{Frame, Publish, Subscribe, Unsubscribe};
use crate::protocol::quick;

/// What the parser enforces for one connection.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Bound on the arguments of a control line.
    pub max_control_line: usize,
    /// Bound on header and payload of a message.
    pub max_payload: usize,
    /// Whether `HPUB` was negotiated.
    pub headers: bool,
}

/// What the start of a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole frame and its length in the buffer.
    Frame(Frame<'a>, usize),
    /// More bytes are needed: at least this many in all, as far as is known.
    Incomplete(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Connect,
    HeaderPublish,
    Info,
    Ok,
    PeerError,
    Ping,
    Pong,
    Publish,
    Subscribe,
    Unsubscribe,
}

/// Takes one frame from the start of `bytes`.
///
/// # Errors
///
/// [`ProtocolError`] as soon as the bytes at hand can no longer become a frame.
#[inline]
pub fn next<'a>(bytes: &'a [u8], rules: &Rules) -> Result<Step<'a>, ProtocolError> {
    match quick::message(bytes, rules) {
        Some((publish, len)) => Ok(Step::Frame(Frame::Publish(publish), len)),
        None => any(bytes, rules),
    }
}

/// As [`next`], without the short way for the usual message.
fn any<'a>(bytes: &'a [u8], rules: &Rules) -> Result<Step<'a>, ProtocolError> {
    let Some((op, op_len)) = operation(bytes)? else {
        return Ok(Step::Incomplete(0));
    };
    let after = bytes.get(op_len..).unwrap_or_default();
    let spaced = matches!(op, Op::Publish | Op::HeaderPublish | Op::Subscribe | Op::Unsubscribe | Op::PeerError);
    if spaced {
        match after.first() {
            Some(b' ' | b'\t') => {}
            Some(_) => return Err(ProtocolError::UnknownOperation),
            None => return Ok(Step::Incomplete(0)),
        }
    }
    let blank = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let rest = after.get(blank..).unwrap_or_default();
    let Some(newline) = memchr::memchr(b'\n', rest) else {
        if rest.len() > rules.max_control_line + 1 || blank > rules.max_control_line {
            return Err(ProtocolError::ControlLine { limit: rules.max_control_line });
        }
        return Ok(Step::Incomplete(0));
    };
    let line = rest.get(..newline).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > rules.max_control_line || blank > rules.max_control_line {
        return Err(ProtocolError::ControlLine { limit: rules.max_control_line });
    }
    let line_len = op_len + blank + newline + 1;
    let frame = match op {
        Op::Publish | Op::HeaderPublish => {
            return message(bytes, line, line_len, op == Op::HeaderPublish, rules);
        }
        Op::Subscribe => subscribe(line)?,
        Op::Unsubscribe => unsubscribe(line)?,
        Op::Connect => Frame::Connect(line),
        Op::Info => Frame::Info(line),
        Op::Ping => Frame::Ping,
        Op::Pong => Frame::Pong,
        Op::Ok => Frame::Ok,
        Op::PeerError => Frame::PeerError(line),
    };
    Ok(Step::Frame(frame, line_len))
}

/// The operation at the start of `bytes`, or `None` when they may still become one.
fn operation(bytes: &[u8]) -> Result<Option<(Op, usize)>, ProtocolError> {
    let Some(first) = bytes.first() else {
        return Ok(None);
    };
    match first.to_ascii_lowercase() {
        b'p' => match bytes.get(1).map(u8::to_ascii_lowercase) {
            Some(b'u') => word(bytes, b"pub", Op::Publish),
            Some(b'i') => word(bytes, b"ping", Op::Ping),
            Some(b'o') => word(bytes, b"pong", Op::Pong),
            Some(_) => Err(ProtocolError::UnknownOperation),
            None => Ok(None),
        },
        b'h' => word(bytes, b"hpub", Op::HeaderPublish),
        b's' => word(bytes, b"sub", Op::Subscribe),
        b'u' => word(bytes, b"unsub", Op::Unsubscribe),
        b'c' => word(bytes, b"connect", Op::Connect),
        b'i' => word(bytes, b"info", Op::Info),
        b'+' => word(bytes, b"+ok", Op::Ok),
        b'-' => word(bytes, b"-err", Op::PeerError),
        _ => Err(ProtocolError::UnknownOperation),
    }
}

fn word(bytes: &[u8], word: &[u8], op: Op) -> Result<Option<(Op, usize)>, ProtocolError> {
    let same = bytes.iter().zip(word).all(|(b, w)| b.to_ascii_lowercase() == *w);
    if !same {
        return Err(ProtocolError::UnknownOperation);
    }
    Ok((bytes.len() >= word.len()).then_some((op, word.len())))
}

/// The header of an `HPUB` at the start of `bytes` that is over the payload limit, if all of it is here already.
pub fn oversized(bytes: &[u8]) -> Option<Publish<'_>> {
    let line_len = memchr::memchr(b'\n', bytes)? + 1;
    let line = bytes.get(..line_len)?.trim_ascii();
    let (op, line) = line.split_at_checked(4)?;
    if !op.eq_ignore_ascii_case(b"hpub") {
        return None;
    }
    let arguments = Arguments::split(line, "HPUB").ok()?;
    let [subject, reply, header] = match (arguments.count, arguments.items) {
        (3, [subject, header, ..]) => [subject, &[], header],
        (4, [subject, reply, header, _]) => [subject, reply, header],
        _ => return None,
    };
    let header_len = number(header)?;
    let body = bytes.get(line_len..line_len + header_len)?;
    Some(Publish { subject, reply, header_len, body })
}

/// Arguments of a control line: at most four, as slices of it.
struct Arguments<'a> {
    items: [&'a [u8]; 4],
    count: usize,
}

impl<'a> Arguments<'a> {
    fn split(mut line: &'a [u8], op: &'static str) -> Result<Self, ProtocolError> {
        let mut arguments = Self { items: [&[]; 4], count: 0 };
        loop {
            let blank = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            line = line.get(blank..).unwrap_or_default();
            if line.is_empty() {
                return Ok(arguments);
            }
            let mut end = line.len();
            for (at, byte) in line.iter().enumerate() {
                if *byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r') {
                    if *byte == b'\r' {
                        return Err(ProtocolError::UnknownOperation);
                    }
                    end = at;
                    break;
                }
            }
            let (token, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
            let Some(slot) = arguments.items.get_mut(arguments.count) else {
                return Err(ProtocolError::Arguments(op));
            };
            *slot = token;
            arguments.count += 1;
            line = rest;
        }
    }
}

fn message<'a>(
    bytes: &'a [u8],
    line: &'a [u8],
    line_len: usize,
    with_header: bool,
    rules: &Rules,
) -> Result<Step<'a>, ProtocolError> {
    let op = if with_header { "HPUB" } else { "PUB" };
    if with_header && !rules.headers {
        return Err(ProtocolError::Arguments(op));
    }
    let arguments = Arguments::split(line, op)?;
    let [a, b, c, d] = arguments.items;
    let none: &[u8] = &[];
    let (subject, reply, header, size) = match (with_header, arguments.count) {
        (false, 2) => (a, none, none, b),
        (false, 3) => (a, b, none, c),
        (true, 3) => (a, none, b, c),
        (true, 4) => (a, b, c, d),
        _ => return Err(ProtocolError::Arguments(op)),
    };
    let size = number(size).ok_or(ProtocolError::Arguments(op))?;
    let header_len =
        if with_header { number(header).filter(|len| *len <= size).ok_or(ProtocolError::Arguments(op))? } else { 0 };
    if size > rules.max_payload {
        return Err(ProtocolError::Payload { size, limit: rules.max_payload });
    }
    let total = line_len + size + 2;
    let Some(tail) = bytes.get(line_len..total) else {
        return Ok(Step::Incomplete(total));
    };
    let Some(body) = tail.strip_suffix(b"\r\n") else {
        return Err(ProtocolError::UnknownOperation);
    };
    Ok(Step::Frame(Frame::Publish(Publish { subject, reply, header_len, body }), total))
}

fn subscribe(line: &[u8]) -> Result<Frame<'_>, ProtocolError> {
    let arguments = Arguments::split(line, "SUB")?;
    let [a, b, c, _] = arguments.items;
    match arguments.count {
        2 => Ok(Frame::Subscribe(Subscribe { subject: a, queue: None, sid: b })),
        3 => Ok(Frame::Subscribe(Subscribe { subject: a, queue: Some(b), sid: c })),
        _ => Err(ProtocolError::Arguments("SUB")),
    }
}

fn unsubscribe(line: &[u8]) -> Result<Frame<'_>, ProtocolError> {
    let arguments = Arguments::split(line, "UNSUB")?;
    let [sid, max, _, _] = arguments.items;
    match arguments.count {
        1 => Ok(Frame::Unsubscribe(Unsubscribe { sid, max: 0 })),
        // A malformed maximum counts as none: clients of nats-server rely on it.
        2 => Ok(Frame::Unsubscribe(Unsubscribe { sid, max: number(max).unwrap_or(0) as u64 })),
        _ => Err(ProtocolError::Arguments("UNSUB")),
    }
}

/// A size of one to nine decimal digits.
#[inline]
pub(super) fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits
        .iter()
        .try_fold(0usize, |value, digit| digit.is_ascii_digit().then(|| value * 10 + usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { max_control_line: 64, max_payload: 32, headers: true };

    fn one(bytes: &[u8]) -> Result<Step<'_>, ProtocolError> {
        next(bytes, &RULES)
    }

    /// What the short way takes, the parser takes as the same frame; what it leaves is for the parser to judge.
    #[test]
    fn the_short_way_for_messages_agrees_with_the_parser() {
        let taken: [&[u8]; 6] = [
            b"PUB a 0\r\n\r\n",
            b"PUB a.b re 5\r\nhe\nlo\r\nPING\r\n",
            b"PUB 7 8 2\r\nhi\r\n",
            b"HPUB x 2 4\r\nabcd\r\n",
            b"HPUB x re 0 4\r\nabcd\r\nPUB",
            b"HPUB 1 2 3 4\r\nabcd\r\n",
        ];
        for bytes in taken {
            let (publish, len) = quick::message(bytes, &RULES).expect("it is of the usual kind");
            assert_eq!(any(bytes, &RULES), Ok(Step::Frame(Frame::Publish(publish), len)));
        }
        let left: [&[u8]; 14] = [
            b"pub a 0\r\n\r\n",
            b"PUB a  0\r\n\r\n",
            b"PUB\ta 0\r\n\r\n",
            b"PUB a 0 \r\n\r\n",
            b"PUB a 0\n\r\n",
            b"PUB a 0\r\r\n\r\n",
            b"PUB a 2\r\nhi\r",
            b"PUB a 2\r\nhi\n\n",
            b"PUB a b c 1\r\nx\r\n",
            b"PUB a 33\r\n",
            b"PUB a\r\n",
            b"HPUB a 1\r\n",
            b"HPUB a 3 2\r\nhi\r\n",
            b"HPUB a b 1 2 3\r\nhey\r\n",
        ];
        for bytes in left {
            assert_eq!(quick::message(bytes, &RULES), None, "{}", String::from_utf8_lossy(bytes));
        }
        let silent = Rules { headers: false, ..RULES };
        assert_eq!(quick::message(b"HPUB x 2 4\r\nabcd\r\n", &silent), None);
        let exact = [b"PUB ".as_slice(), &[b'a'; 62], b" 1\r\nx\r\n"].concat();
        assert!(quick::message(&exact, &RULES).is_some(), "a line as long as may be");
        let over = [b"PUB ".as_slice(), &[b'a'; 63], b" 1\r\nx\r\n"].concat();
        assert_eq!(quick::message(&over, &RULES), None);
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_never_says_anything_else_than_the_parser(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "PUB", "HPUB", "pub", " ", " ", " ", "\t", "\r", "\n", "\r\n", "\r\n", "a", "b.c", "0", "1", "2", "4", "40",
                    "0000000002", "hi", "\0",
                ]),
                0..14,
            ),
            headers: bool,
        ) {
            let bytes = words.concat().into_bytes();
            let rules = Rules { headers, ..RULES };
            if let Some((publish, len)) = quick::message(&bytes, &rules) {
                proptest::prop_assert_eq!(any(&bytes, &rules), Ok(Step::Frame(Frame::Publish(publish), len)));
            }
        }
    }

    #[test]
    fn operations_are_case_insensitive_and_separated_by_blanks() {
        let cases: [(&[u8], Frame<'_>); 9] = [
            (b"ping\n", Frame::Ping),
            (b"PiNg\r\n", Frame::Ping),
            (b"PINGxyz\r\n", Frame::Ping),
            (b"pong\r\n", Frame::Pong),
            (b"+OK whatever\r\n", Frame::Ok),
            (b"CONNECT{}\r\n", Frame::Connect(b"{}")),
            (b"sUb \t foo   1  \r\n", Frame::Subscribe(Subscribe { subject: b"foo", queue: None, sid: b"1" })),
            (b"SUB foo q 1\n", Frame::Subscribe(Subscribe { subject: b"foo", queue: Some(b"q"), sid: b"1" })),
            (b"UNSUB 1 xx\r\n", Frame::Unsubscribe(Unsubscribe { sid: b"1", max: 0 })),
        ];
        for (bytes, frame) in cases {
            let text = String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(one(bytes), Ok(Step::Frame(frame, bytes.len())), "{text}");
        }
    }

    #[test]
    fn malformed_lines_are_refused_in_their_class() {
        let unknown: [&[u8]; 10] = [
            b"\r\n",
            b" PING\r\n",
            b"MSG a 1 0\r\n",
            b"HMSG",
            b"RS+ a",
            b"A+ x",
            b"PUBfoo 0\r\n",
            b"UNSUB\r\n",
            b"PUB a\rb 0\r\n\r\n",
            b"PUB foo 2\r\nhixx",
        ];
        for bytes in unknown {
            assert_eq!(one(bytes), Err(ProtocolError::UnknownOperation), "{}", String::from_utf8_lossy(bytes));
        }
        let silent: [&[u8]; 12] = [
            b"PUB foo xx\r\n",
            b"PUB foo -1\r\n",
            b"PUB foo\r\n",
            b"PUB a b c 1\r\n",
            b"SUB a\r\n",
            b"SUB a b c d\r\n",
            b"UNSUB 1 2 3\r\n",
            b"PUB foo 0000000002\r\n",
            b"HPUB foo 5 2\r\n",
            b"HPUB foo 1\r\n",
            b"SUB  \r\n",
            b"PUB a b c d e\r\n",
        ];
        for bytes in silent {
            assert!(matches!(one(bytes), Err(ProtocolError::Arguments(_))), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn control_lines_are_bounded_with_and_without_their_end() {
        let exact = [b"SUB ".as_slice(), &[b'a'; 62], b" 1\r\n"].concat();
        assert!(one(&exact).is_ok());
        let over = [b"SUB ".as_slice(), &[b'a'; 63], b" 1\r\n"].concat();
        assert_eq!(one(&over), Err(ProtocolError::ControlLine { limit: 64 }));
        let endless = [b"SUB ".as_slice(), &[b'a'; 66]].concat();
        assert_eq!(one(&endless), Err(ProtocolError::ControlLine { limit: 64 }));
        let blanks = [b"SUB ".as_slice(), &[b' '; 70]].concat();
        assert_eq!(one(&blanks), Err(ProtocolError::ControlLine { limit: 64 }));
    }

    #[test]
    fn payload_limit_counts_the_header_and_is_checked_before_the_payload_arrives() {
        assert_eq!(one(b"PUB foo 33\r\n"), Err(ProtocolError::Payload { size: 33, limit: 32 }));
        assert_eq!(one(b"HPUB foo 30 33\r\n"), Err(ProtocolError::Payload { size: 33, limit: 32 }));
        assert_eq!(one(b"PUB foo 32\r\n"), Ok(Step::Incomplete(12 + 34)));
    }

    #[test]
    fn headers_need_negotiation() {
        let rules = Rules { headers: false, ..RULES };
        assert_eq!(next(b"HPUB foo 0 0\r\n\r\n", &rules), Err(ProtocolError::Arguments("HPUB")));
        let frame = Frame::Publish(Publish { subject: b"foo", reply: b"r", header_len: 3, body: b"xyzhi" });
        assert_eq!(one(b"HPUB foo r 3 5\r\nxyzhi\r\n"), Ok(Step::Frame(frame, 23)));
    }

    #[test]
    fn every_prefix_of_a_stream_is_incomplete_or_the_same_frames() {
        let stream: &[u8] = b"CONNECT {\"a\":1}\r\nPING\r\nSUB a.b q 7\r\nPUB a.b re 5\r\nhe\nlo\r\nHPUB x 2 4\r\nabcd\r\nUNSUB 7 3\r\n";
        let whole = frames(stream);
        assert_eq!(whole.len(), 6);
        for cut in 0..stream.len() {
            let head = frames(&stream[..cut]);
            assert_eq!(whole[..head.len()], head[..], "cut at {cut}");
        }
    }

    fn frames(mut bytes: &[u8]) -> Vec<Frame<'_>> {
        let mut all = Vec::new();
        while let Ok(Step::Frame(frame, len)) = one(bytes) {
            all.push(frame);
            bytes = &bytes[len..];
        }
        all
    }
}
