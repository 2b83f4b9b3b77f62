//! Lines for a client, appended to its output.
//!
//! A delivery is `MSG <subject> <sid> [reply] <size>` or `HMSG … <header size> <size>`; all but
//! the subscription id is the same for every receiver and is made once per message.

/// Numbers below have at most eight digits.
const SHORT: usize = 100_000_000;

/// Digits of a number, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    /// The decimal digits of `value`.
    pub fn of(mut value: usize) -> Self {
        let mut bytes = [b'0'; 20];
        let mut start = 19;
        for (at, slot) in bytes.iter_mut().enumerate().rev() {
            *slot = b'0' + (value % 10) as u8;
            start = at;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        Self { bytes, start }
    }

    /// The digits as text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Appends a number's decimal digits.
///
/// Most have at most eight, which are made in a register and stored at once: digits stored one by one and loaded together
/// right after would wait for each other in every message.
#[inline]
fn number(out: &mut Vec<u8>, value: usize) {
    if value >= SHORT {
        out.extend_from_slice(Digits::of(value).as_bytes());
        return;
    }
    let (text, count) = short(value);
    let end = out.len() + count;
    out.extend_from_slice(&text.to_le_bytes());
    out.truncate(end);
}

/// The digits of a number below [`SHORT`], the first one lowest, and how many they are.
#[inline]
fn short(value: usize) -> (u64, usize) {
    let (mut text, mut rest, mut count) = (0_u64, value as u32, 0);
    loop {
        text = text << 8 | u64::from(b'0' + (rest % 10) as u8);
        count += 1;
        rest /= 10;
        if rest == 0 {
            return (text, count);
        }
    }
}

/// Appends the line of a delivery, without the body.
#[inline]
pub fn delivery_line(out: &mut Vec<u8>, with_header: bool, subject: &[u8], sid: &[u8], tail: &[u8]) {
    if with_header {
        out.extend_from_slice(b"HMSG ");
    } else {
        out.extend_from_slice(b"MSG ");
    }
    out.extend_from_slice(subject);
    out.push(b' ');
    out.extend_from_slice(sid);
    out.extend_from_slice(tail);
}

/// What follows the subscription id: reply, sizes and CRLF.
#[inline]
pub fn line_tail(out: &mut Vec<u8>, reply: &[u8], header_len: Option<usize>, size: usize) {
    if reply.is_empty() && header_len.is_none() && size < SHORT {
        // All of it in one register, as the digits alone in `number`.
        let (digits, count) = short(size);
        let text =
            u128::from(b' ') | u128::from(digits) << 8 | u128::from(u16::from_le_bytes(*b"\r\n")) << (8 * (count + 1));
        let end = out.len() + count + 3;
        out.extend_from_slice(&text.to_le_bytes());
        out.truncate(end);
        return;
    }
    out.push(b' ');
    if !reply.is_empty() {
        out.extend_from_slice(reply);
        out.push(b' ');
    }
    if let Some(header_len) = header_len {
        number(out, header_len);
        out.push(b' ');
    }
    number(out, size);
    out.extend_from_slice(b"\r\n");
}

/// An error line; `text` is one of the catalogue in core-protocol.md section 20.
pub fn error_line(text: &str) -> Vec<u8> {
    format!("-ERR '{text}'\r\n").into_bytes()
}

/// Text of a subject inside an error, quoted as Go's `%q` does it, which is what clients parse.
pub fn quoted(subject: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(subject.len() + 2);
    text.push('"');
    for chunk in subject.utf8_chunks() {
        for letter in chunk.valid().chars() {
            // Writing to a string cannot fail.
            let _written = match letter {
                '"' => write!(text, "\\\""),
                '\\' => write!(text, "\\\\"),
                '\x07' => write!(text, "\\a"),
                '\x08' => write!(text, "\\b"),
                '\x0b' => write!(text, "\\v"),
                '\x0c' => write!(text, "\\f"),
                '\0'..='\x1f' | '\x7f' => write!(text, "\\x{:02x}", u32::from(letter)),
                letter if letter.is_control() => write!(text, "\\u{:04x}", u32::from(letter)),
                letter => write!(text, "{letter}"),
            };
        }
        for byte in chunk.invalid() {
            let _written = write!(text, "\\x{byte:02x}");
        }
    }
    text.push('"');
    text
}

/// The answer to a request that nobody receives: a header block with status 503.
///
/// Source: ADR-4 and nats-server `client.go` (`processInboundClientMsg`).
pub fn no_responders(subject: &[u8]) -> Vec<u8> {
    [b"NATS/1.0 503\r\nNats-Subject: ".as_slice(), subject, b"\r\n\r\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for value in [0, 1, 9, 10, 99, 100, 1_048_576, 999_999_999, usize::MAX] {
            assert_eq!(Digits::of(value).as_bytes(), value.to_string().as_bytes());
        }
    }

    #[test]
    fn numbers_are_appended_as_the_standard_library_writes_them() {
        let around = |value: usize| [value.saturating_sub(1), value, value + 1];
        for value in (0..10).map(|power| 10_usize.pow(power)).flat_map(around).chain([123, 1_048_576, usize::MAX]) {
            let mut out = b"x".to_vec();
            number(&mut out, value);
            assert_eq!(out, format!("x{value}").into_bytes());
            out.clear();
            line_tail(&mut out, b"", None, value);
            assert_eq!(out, format!(" {value}\r\n").into_bytes());
        }
    }

    #[test]
    fn deliveries_have_single_spaces_and_no_trailing_one() {
        let mut tail = Vec::new();
        line_tail(&mut tail, b"", None, 5);
        let mut line = Vec::new();
        delivery_line(&mut line, false, b"foo", b"1", &tail);
        assert_eq!(line, b"MSG foo 1 5\r\n");
        tail.clear();
        line_tail(&mut tail, b"re", Some(12), 17);
        line.clear();
        delivery_line(&mut line, true, b"foo", b"9", &tail);
        assert_eq!(line, b"HMSG foo 9 re 12 17\r\n");
    }

    #[test]
    fn subjects_are_quoted_as_go_does() {
        for (subject, text) in [
            (b"foo.bar".as_slice(), r#""foo.bar""#),
            (b"a\"b\\c'd", r#""a\"b\\c'd""#),
            (b"\0\x07\x0b\x1b\x7f", r#""\x00\a\v\x1b\x7f""#),
            ("sp\u{e4}ti\u{85}".as_bytes(), "\"sp\u{e4}ti\\u0085\""),
            (b"bad\xff\xfe", r#""bad\xff\xfe""#),
        ] {
            assert_eq!(quoted(subject), text);
        }
    }

    #[test]
    fn no_responders_is_35_bytes_for_foo() {
        assert_eq!(no_responders(b"foo").len(), 35);
    }
}
