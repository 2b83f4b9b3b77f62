//! Header blocks of delivered messages: the stored one, with what the server says itself. A stored header that bears a
//! name of ours would be read in the place of ours; it is left out.

/// Writes `stored` without the headers called like those of `add`, then `add`, into `out`.
pub(crate) fn with(stored: &[u8], add: &[(&str, &[u8])], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(b"NATS/1.0\r\n");
    for line in lines(stored) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        if !add.iter().any(|(ours, _)| name.eq_ignore_ascii_case(ours.as_bytes())) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    for (name, value) in add {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The value of the first header called `name`, without blanks around it.
pub(crate) fn value<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines(block).find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (key, rest) = line.split_at_checked(colon)?;
        key.eq_ignore_ascii_case(name.as_bytes()).then(|| rest.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// The lines below the version line.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block
        .split(|byte| *byte == b'\n')
        .skip(1)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_replace_what_a_publisher_called_alike() {
        let mut out = b"left over".to_vec();
        with(b"NATS/1.0\r\nA: 1\r\nnats-msg-size: 7\r\nB:2\r\n\r\n", &[("Nats-Msg-Size", b"30")], &mut out);
        assert_eq!(out, b"NATS/1.0\r\nA: 1\r\nB:2\r\nNats-Msg-Size: 30\r\n\r\n");
        with(b"", &[("X", b"y")], &mut out);
        assert_eq!(out, b"NATS/1.0\r\nX: y\r\n\r\n");
    }

    #[test]
    fn values_are_found_by_name() {
        let block = b"NATS/1.0\r\nA: 1\r\nNats-Last-Stream:  44 \r\nA: 2\r\n\r\n";
        assert_eq!(value(block, "nats-last-stream"), Some(&b"44"[..]));
        assert_eq!(value(block, "a"), Some(&b"1"[..]));
        assert_eq!(value(block, "b"), None);
        assert_eq!(value(b"NATS/1.0", "b"), None);
    }
}
