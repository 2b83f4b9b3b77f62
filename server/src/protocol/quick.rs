//! The commonest frame in one pass: a message as clients write it, all of it here.
//!
//! `PUB` and `HPUB` in capitals, one blank between arguments, CRLF at the end. Everything else, all that is refused
//! included, is left to the parser, which says the same about these frames and takes twice as many instructions.

use crate::protocol::frame::Publish;
use crate::protocol::parser::{self, Rules};

/// The message at the start of `bytes` and the length of its frame, if it is one of the usual kind and whole.
#[inline]
pub(super) fn message<'a>(bytes: &'a [u8], rules: &Rules) -> Option<(Publish<'a>, usize)> {
    let (with_header, arguments) = match bytes {
        [b'P', b'U', b'B', b' ', arguments @ ..] => (false, arguments),
        [b'H', b'P', b'U', b'B', b' ', arguments @ ..] if rules.headers => (true, arguments),
        _ => return None,
    };
    let (subject, end, rest) = token(arguments)?;
    if end != b' ' {
        return None;
    }
    let (mut last, mut end, mut rest) = token(rest)?;
    let mut header = None;
    if with_header {
        if end != b' ' {
            return None;
        }
        header = Some(last);
        (last, end, rest) = token(rest)?;
    }
    let mut reply: &[u8] = &[];
    if end == b' ' {
        reply = header.unwrap_or(last);
        header = header.and(Some(last));
        (last, end, rest) = token(rest)?;
    }
    let [b'\n', after @ ..] = rest else { return None };
    let line = arguments.len() - rest.len() - 1;
    if end != b'\r' || line > rules.max_control_line {
        return None;
    }
    let size = parser::number(last)?;
    let header_len = match header {
        Some(header) => parser::number(header)?,
        None => 0,
    };
    if size > rules.max_payload || header_len > size {
        return None;
    }
    let (body, rest) = after.split_at_checked(size)?;
    let [b'\r', b'\n', rest @ ..] = rest else { return None };
    Some((Publish { subject, reply, header_len, body }, bytes.len() - rest.len()))
}

/// The bytes up to the next blank or control character, that character, and what follows it; `None` if there are no
/// such bytes, or no end of them.
#[inline]
fn token(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let end = bytes.iter().position(|byte| *byte <= b' ')?;
    let (token, rest) = bytes.split_at_checked(end)?;
    let (end, rest) = rest.split_first()?;
    (!token.is_empty()).then_some((token, *end, rest))
}
