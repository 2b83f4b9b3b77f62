//! The NATS client protocol as the generator needs it: frames to send, and a parser of what comes back.
//!
//! The parser borrows from the read buffer and allocates nothing, so that the generator stays far
//! cheaper than the server it measures.

use std::str;

use memchr::memchr;

/// One frame from a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// `MSG` or `HMSG`.
    Message(Message<'a>),
    /// `PING`, which wants a `PONG`.
    Ping,
    /// `PONG`, the answer to ours.
    Pong,
    /// `INFO` with its JSON text.
    Info(&'a [u8]),
    /// `+OK`.
    Ok,
    /// `-ERR` with its text.
    Error(&'a [u8]),
}

/// A delivered message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Where to answer, if the publisher wants an answer.
    pub(crate) reply: Option<&'a [u8]>,
    /// What was published, without headers.
    pub(crate) payload: &'a [u8],
}

/// What a server sent that is not the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// The first frame in `bytes` and its length, or `None` while it is incomplete.
///
/// # Errors
///
/// [`Malformed`], with the line that is not the protocol.
pub(crate) fn next_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let Some(end) = memchr(b'\n', bytes) else {
        return Ok(None);
    };
    let (line, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, &[]));
    let text = line.trim_ascii_end();
    let (verb, arguments) = match memchr(b' ', text) {
        Some(space) => text.split_at_checked(space).unwrap_or((text, &[])),
        None => (text, &[][..]),
    };
    let arguments = arguments.trim_ascii_start();
    let frame = match verb {
        b"MSG" | b"HMSG" => {
            return message(verb, arguments, line.len(), rest).ok_or_else(|| malformed(text))?;
        }
        b"PING" => Frame::Ping,
        b"PONG" => Frame::Pong,
        b"INFO" => Frame::Info(arguments),
        b"+OK" => Frame::Ok,
        b"-ERR" => Frame::Error(arguments),
        _ => return Err(malformed(text)),
    };
    Ok(Some((frame, line.len())))
}

/// What [`next_frame`] answers.
type Parsed<'a> = Result<Option<(Frame<'a>, usize)>, Malformed>;

/// The message that `arguments` announces; `None` when they are wrong.
fn message<'a>(verb: &[u8], arguments: &'a [u8], line: usize, rest: &'a [u8]) -> Option<Parsed<'a>> {
    let with_headers = verb == b"HMSG";
    let sizes = 1 + usize::from(with_headers);
    let mut words = arguments.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (_subject, _sid) = (words.next()?, words.next()?);
    let mut tail = [words.next()?; 3];
    let mut count = 1;
    for word in words {
        *tail.get_mut(count)? = word;
        count += 1;
    }
    let reply = if count == sizes + 1 { Some(*tail.first()?) } else { None };
    let first = count.checked_sub(sizes)?;
    if first > 1 {
        return None;
    }
    let headers = if with_headers { number(tail.get(first)?)? } else { 0 };
    let total = number(tail.get(count - 1)?)?;
    if headers > total {
        return None;
    }
    let Some(body) = rest.get(..total + 2) else {
        return Some(Ok(None));
    };
    if !body.ends_with(b"\r\n") {
        return None;
    }
    let payload = body.get(headers..total)?;
    Some(Ok(Some((Frame::Message(Message { reply, payload }), line + total + 2))))
}

/// A decimal number of at most nine digits, as the protocol has it.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

fn malformed(line: &[u8]) -> Malformed {
    let shown = line.get(..line.len().min(120)).unwrap_or(line);
    Malformed(format!("the server sent `{}`", String::from_utf8_lossy(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frame: &Frame<'_>) -> (Option<Vec<u8>>, Vec<u8>) {
        match frame {
            Frame::Message(message) => (message.reply.map(<[u8]>::to_vec), message.payload.to_vec()),
            other => panic!("{other:?} is not a message"),
        }
    }

    #[test]
    fn frames_are_cut_at_their_end() {
        let (frame, length) = next_frame(b"MSG a.b 1 3\r\nxyz\r\nPING\r\n").unwrap().unwrap();
        assert_eq!(body(&frame), (None, b"xyz".to_vec()));
        assert_eq!(length, 18);
        let (frame, length) = next_frame(b"MSG a.b 1 _INBOX.x 0\r\n\r\n").unwrap().unwrap();
        assert_eq!(body(&frame), (Some(b"_INBOX.x".to_vec()), Vec::new()));
        assert_eq!(length, 24);
        let (frame, _) = next_frame(b"HMSG a 1 r 12 15\r\nNATS/1.0\r\n\r\nxyz\r\n").unwrap().unwrap();
        assert_eq!(body(&frame), (Some(b"r".to_vec()), b"xyz".to_vec()));
        assert_eq!(next_frame(b"PONG\r\n").unwrap().unwrap(), (Frame::Pong, 6));
        assert_eq!(next_frame(b"INFO {} \r\n").unwrap().unwrap(), (Frame::Info(b"{}"), 10));
    }

    #[test]
    fn an_incomplete_frame_waits() {
        for part in [&b""[..], b"MS", b"MSG a 1 5\r\n", b"MSG a 1 5\r\nabcde\r", b"PING\r"] {
            assert_eq!(next_frame(part), Ok(None), "{}", String::from_utf8_lossy(part));
        }
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        let lines = [
            &b"PUB a 1\r\n"[..],
            b"MSG a 1\r\n",
            b"MSG a 1 x\r\n",
            b"MSG a 1 r 1 1\r\n",
            b"MSG a 1 1234567890\r\n",
            b"HMSG a 1 9 3\r\n",
            b"MSG a 1 1\r\nxyz\r\n",
            b"\r\n",
        ];
        for line in lines {
            assert!(next_frame(line).is_err(), "{}", String::from_utf8_lossy(line));
        }
    }
}
