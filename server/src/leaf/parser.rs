//! One frame of the leaf protocol out of the read buffer: borrows, never indexes.
//!
//! ```text
//! LS+  <subject> [<queue> <weight>]
//! LS-  <subject> [<queue>]
//! LMSG <subject> [reply | + <reply> <queue>.. | "|" <queue>..] <size>
//! HMSG <subject> [reply | + <reply> <queue>.. | "|" <queue>..] <header size> <size>
//! ```
//!
//! INFO, CONNECT, PING, PONG, +OK and -ERR are as between client and server. Source: topology.md 2.6.

use smallvec::SmallVec;

use crate::protocol::ProtocolError;

/// What the parser enforces for one connection.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Bound on the arguments of a control line.
    pub max_control_line: usize,
    /// Bound on header and payload of a message.
    pub max_payload: usize,
}

/// What the start of a buffer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole frame and its length in the buffer.
    Frame(Frame<'a>, usize),
    /// More bytes are needed: at least this many in all, as far as is known.
    Incomplete(usize),
}

/// One operation of a leaf node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `CONNECT`: its JSON text.
    Connect(&'a [u8]),
    /// `INFO`: its JSON text.
    Info(&'a [u8]),
    /// `LMSG` or `HMSG`.
    Message(Forwarded<'a>),
    /// `+OK`.
    Ok,
    /// `-ERR`: its text, with quotes.
    PeerError(&'a [u8]),
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `LS+`: subject, and queue group with the number of its members.
    Subscribe(&'a [u8], Option<(&'a [u8], u32)>),
    /// `LS-`: subject and queue group.
    Unsubscribe(&'a [u8], Option<&'a [u8]>),
}

/// Queue groups that a message is for.
pub type Queues<'a> = SmallVec<[&'a [u8]; 4]>;

/// A message of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded<'a> {
    /// Subject, not validated.
    pub subject: &'a [u8],
    /// Reply subject, empty when there is none.
    pub reply: &'a [u8],
    /// Queue groups of which one member here gets it.
    pub queues: Queues<'a>,
    /// Length of the header block at the start of `body`, 0 for a plain message.
    pub header_len: usize,
    /// Header block and payload, without the final CRLF.
    pub body: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Connect,
    HeaderMessage,
    Info,
    Message,
    Ok,
    PeerError,
    Ping,
    Pong,
    Subscribe,
    Unsubscribe,
}

/// Every operation, in lower case.
const OPS: [(&[u8], Op); 10] = [
    (b"lmsg", Op::Message),
    (b"hmsg", Op::HeaderMessage),
    (b"ls+", Op::Subscribe),
    (b"ls-", Op::Unsubscribe),
    (b"ping", Op::Ping),
    (b"pong", Op::Pong),
    (b"info", Op::Info),
    (b"connect", Op::Connect),
    (b"-err", Op::PeerError),
    (b"+ok", Op::Ok),
];

/// Takes one frame from the start of `bytes`.
///
/// # Errors
///
/// [`ProtocolError`] as soon as the bytes at hand can no longer become a frame.
pub fn next<'a>(bytes: &'a [u8], rules: &Rules) -> Result<Step<'a>, ProtocolError> {
    let Some((op, op_len)) = operation(bytes)? else { return Ok(Step::Incomplete(0)) };
    let after = bytes.get(op_len..).unwrap_or_default();
    let Some(newline) = memchr::memchr(b'\n', after) else {
        if after.len() > rules.max_control_line + 2 {
            return Err(ProtocolError::ControlLine { limit: rules.max_control_line });
        }
        return Ok(Step::Incomplete(0));
    };
    let line = after.get(..newline).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > rules.max_control_line + 1 {
        return Err(ProtocolError::ControlLine { limit: rules.max_control_line });
    }
    let spaced = matches!(op, Op::Message | Op::HeaderMessage | Op::Subscribe | Op::Unsubscribe);
    if spaced && !matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(ProtocolError::UnknownOperation);
    }
    let line_len = op_len + newline + 1;
    let frame = match op {
        Op::Message | Op::HeaderMessage => return message(bytes, line, line_len, op == Op::HeaderMessage, rules),
        Op::Subscribe => subscribe(line)?,
        Op::Unsubscribe => unsubscribe(line)?,
        Op::Connect => Frame::Connect(line.trim_ascii()),
        Op::Info => Frame::Info(line.trim_ascii()),
        Op::PeerError => Frame::PeerError(line.trim_ascii()),
        Op::Ping => Frame::Ping,
        Op::Pong => Frame::Pong,
        Op::Ok => Frame::Ok,
    };
    Ok(Step::Frame(frame, line_len))
}

/// The operation at the start of `bytes`, or `None` when they may still become one.
fn operation(bytes: &[u8]) -> Result<Option<(Op, usize)>, ProtocolError> {
    for (word, op) in OPS {
        if bytes.iter().zip(word).all(|(byte, letter)| byte.to_ascii_lowercase() == *letter) {
            return Ok((bytes.len() >= word.len()).then_some((op, word.len())));
        }
    }
    Err(ProtocolError::UnknownOperation)
}

fn arguments(line: &[u8]) -> SmallVec<[&[u8]; 8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|argument| !argument.is_empty()).collect()
}

fn subscribe(line: &[u8]) -> Result<Frame<'_>, ProtocolError> {
    match arguments(line).as_slice() {
        [subject] => Ok(Frame::Subscribe(subject, None)),
        [subject, queue, weight] => {
            let weight = number(weight).and_then(|weight| u32::try_from(weight).ok()).filter(|weight| *weight > 0);
            Ok(Frame::Subscribe(subject, Some((queue, weight.ok_or(ProtocolError::Arguments("LS+"))?))))
        }
        _ => Err(ProtocolError::Arguments("LS+")),
    }
}

fn unsubscribe(line: &[u8]) -> Result<Frame<'_>, ProtocolError> {
    match arguments(line).as_slice() {
        [subject] => Ok(Frame::Unsubscribe(subject, None)),
        [subject, queue] => Ok(Frame::Unsubscribe(subject, Some(queue))),
        _ => Err(ProtocolError::Arguments("LS-")),
    }
}

fn message<'a>(
    bytes: &'a [u8],
    line: &'a [u8],
    line_len: usize,
    with_header: bool,
    rules: &Rules,
) -> Result<Step<'a>, ProtocolError> {
    let wrong = ProtocolError::Arguments(if with_header { "HMSG" } else { "LMSG" });
    let arguments = arguments(line);
    let (subject, rest) = arguments.split_first().ok_or(wrong)?;
    let (size, rest) = rest.split_last().ok_or(wrong)?;
    let size = number(size).ok_or(wrong)?;
    let (header_len, rest) = if with_header {
        let (header, rest) = rest.split_last().ok_or(wrong)?;
        (number(header).filter(|len| *len <= size).ok_or(wrong)?, rest)
    } else {
        (0, rest)
    };
    let (reply, queues): (&[u8], &[&[u8]]) = match rest {
        [] => (&[], &[]),
        [reply] => (reply, &[]),
        [mark, reply, queues @ ..] if *mark == b"+" && !queues.is_empty() => (reply, queues),
        [mark, queues @ ..] if *mark == b"|" => (&[], queues),
        _ => return Err(wrong),
    };
    if size > rules.max_payload {
        return Err(ProtocolError::Payload { size, limit: rules.max_payload });
    }
    let total = line_len + size + 2;
    let Some(tail) = bytes.get(line_len..total) else { return Ok(Step::Incomplete(total)) };
    let body = tail.strip_suffix(b"\r\n").ok_or(ProtocolError::UnknownOperation)?;
    let message = Forwarded { subject, reply, queues: Queues::from_slice(queues), header_len, body };
    Ok(Step::Frame(Frame::Message(message), total))
}

/// A number of one to nine decimal digits.
fn number(digits: &[u8]) -> Option<usize> {
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

    const RULES: Rules = Rules { max_control_line: 64, max_payload: 32 };

    fn one(bytes: &[u8]) -> Result<Step<'_>, ProtocolError> {
        next(bytes, &RULES)
    }

    fn message<'a>(
        subject: &'a str,
        reply: &'a str,
        queues: &[&'a str],
        header_len: usize,
        body: &'a str,
    ) -> Frame<'a> {
        let queues = queues.iter().map(|queue| queue.as_bytes()).collect();
        let (subject, reply, body) = (subject.as_bytes(), reply.as_bytes(), body.as_bytes());
        Frame::Message(Forwarded { subject, reply, queues, header_len, body })
    }

    #[test]
    fn every_shape_of_every_operation_is_read() {
        let cases = [
            ("LS+ foo\r\n", Frame::Subscribe(b"foo", None)),
            ("ls+ \t foo.>  \r\n", Frame::Subscribe(b"foo.>", None)),
            ("LS+ foo q 3\r\n", Frame::Subscribe(b"foo", Some((b"q", 3)))),
            ("LS- foo\r\n", Frame::Unsubscribe(b"foo", None)),
            ("LS- foo q\n", Frame::Unsubscribe(b"foo", Some(b"q"))),
            ("LMSG foo 2\r\nhi\r\n", message("foo", "", &[], 0, "hi")),
            ("LMSG foo re 2\r\nhi\r\n", message("foo", "re", &[], 0, "hi")),
            ("LMSG foo | q 2\r\nhi\r\n", message("foo", "", &["q"], 0, "hi")),
            ("LMSG foo + re q r 2\r\nhi\r\n", message("foo", "re", &["q", "r"], 0, "hi")),
            ("HMSG foo 1 3\r\nabc\r\n", message("foo", "", &[], 1, "abc")),
            ("HMSG foo re 3 3\r\nabc\r\n", message("foo", "re", &[], 3, "abc")),
            ("hmsg foo | q r 0 3\r\nabc\r\n", message("foo", "", &["q", "r"], 0, "abc")),
            ("HMSG foo + re q 1 3\r\nabc\r\n", message("foo", "re", &["q"], 1, "abc")),
            ("LMSG + + 2\r\nhi\r\n", message("+", "+", &[], 0, "hi")),
            ("PING\r\n", Frame::Ping),
            ("pong\r\n", Frame::Pong),
            ("+OK\r\n", Frame::Ok),
            ("-ERR 'x'\r\n", Frame::PeerError(b"'x'")),
            ("INFO {} \r\n", Frame::Info(b"{}")),
            ("CONNECT {}\r\n", Frame::Connect(b"{}")),
        ];
        for (bytes, frame) in cases {
            assert_eq!(one(bytes.as_bytes()), Ok(Step::Frame(frame, bytes.len())), "{bytes:?}");
        }
    }

    #[test]
    fn malformed_arguments_are_refused() {
        let cases = [
            "LS+ \r\n",
            "LS+ a b\r\n",
            "LS+ a b c\r\n",
            "LS+ a b 0\r\n",
            "LS+ a b -1\r\n",
            "LS+ a b 1 2\r\n",
            "LS- \r\n",
            "LS- a b c\r\n",
            "LMSG a\r\n",
            "LMSG 2\r\nhi\r\n",
            "LMSG a x\r\n",
            "LMSG a -1\r\n",
            "LMSG a b c 2\r\nhi\r\n",
            "LMSG a + b 2\r\nhi\r\n",
            "LMSG a + 2 3 x\r\n",
            "LMSG a * b q 2\r\n",
            "HMSG a 2\r\n",
            "HMSG a 3 2\r\nhi\r\n",
            "HMSG a x 2\r\nhi\r\n",
            "LMSG a 0000000001\r\n",
            "HMSG a + b 1 2\r\n",
        ];
        for bytes in cases {
            assert!(
                matches!(one(bytes.as_bytes()), Err(ProtocolError::Arguments(_))),
                "{bytes:?}: {:?}",
                one(bytes.as_bytes())
            );
        }
    }

    #[test]
    fn what_only_clients_routes_or_gateways_say_is_unknown() {
        for bytes in [
            "PUB a 0\r\n",
            "SUB a 1\r\n",
            "RS+ A a\r\n",
            "A+ A\r\n",
            "RMSG",
            "GET / HTTP/1.1\r\n",
            "LS+a\r\n",
            "\r\n",
            "MSG a 1 0\r\n",
            "\0",
            "LMSG a 2\r\nhixx",
        ] {
            assert_eq!(one(bytes.as_bytes()), Err(ProtocolError::UnknownOperation), "{bytes:?}");
        }
    }

    #[test]
    fn lines_and_payloads_are_bounded_before_they_are_whole() {
        let endless = format!("LS+ {}", "a".repeat(80));
        assert_eq!(one(endless.as_bytes()), Err(ProtocolError::ControlLine { limit: 64 }));
        let whole = format!("LS+ {}\r\n", "a".repeat(65));
        assert_eq!(one(whole.as_bytes()), Err(ProtocolError::ControlLine { limit: 64 }));
        assert!(one(format!("LS+ {}\r\n", "a".repeat(64)).as_bytes()).is_ok());
        assert_eq!(one(b"LMSG foo 33\r\n"), Err(ProtocolError::Payload { size: 33, limit: 32 }));
        assert_eq!(one(b"HMSG foo 1 33\r\n"), Err(ProtocolError::Payload { size: 33, limit: 32 }));
        assert_eq!(one(b"LMSG foo 32\r\n"), Ok(Step::Incomplete(13 + 34)));
    }

    #[test]
    fn every_prefix_of_a_stream_is_incomplete_or_the_same_frames() {
        let stream: &[u8] =
            b"LS+ a.> q 7\r\nLMSG a.b + re q 5\r\nhe\nlo\r\nHMSG x | q 2 4\r\nabcd\r\nLS- a.> q\r\nPING\r\n";
        let whole = frames(stream);
        assert_eq!(whole.len(), 5);
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
