//! Header blocks: finding, removing and setting fields without touching the others.
//!
//! A block is `NATS/1.0` [status], CRLF, then `Name: value` CRLF lines, then CRLF (ADR-4). The
//! broker passes blocks through unread but for the fields it vouches for itself.

/// The header by which a service learns who asks; only the border may set it.
pub const REQUEST_INFO: &[u8] = b"Nats-Request-Info";

/// Whether any line of `block` is a field called `name`, in any case.
pub fn has(block: &[u8], name: &[u8]) -> bool {
    lines(block).any(|line| is_field(line, name))
}

/// The value of the first field called exactly `name`.
pub fn value<'a>(block: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    lines(block).find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix(b":")?;
        Some(rest.trim_ascii())
    })
}

/// `block` without any field called `name`, in whatever case and however often it is there.
pub fn without(block: &[u8], name: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(block.len());
    for line in lines(block) {
        if !is_field(line, name) {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// `block` (may be empty) with exactly one field `name`, set to `value`.
pub fn with(block: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut kept = without(block, name);
    if !kept.starts_with(b"NATS/1.0") {
        kept = b"NATS/1.0\r\n\r\n".to_vec();
    }
    let body = kept.strip_suffix(b"\r\n").map_or(kept.len(), <[u8]>::len);
    kept.truncate(body);
    for part in [name, b": ", value, b"\r\n\r\n"] {
        kept.extend_from_slice(part);
    }
    kept
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.split_at_checked(name.len()).is_some_and(|(head, rest)| {
        head.eq_ignore_ascii_case(name) && rest.trim_ascii_start().first() == Some(&b':')
    })
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split_inclusive(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_a_field_goes_whatever_its_case() {
        let block = b"NATS/1.0\r\nA: 1\r\nNats-Request-Info: x\r\nnats-request-info : y\r\nNATS-REQUEST-INFO:z\r\nNats-Request-Info2: keep\r\n\r\n";
        assert!(has(block, REQUEST_INFO));
        assert_eq!(without(block, REQUEST_INFO), b"NATS/1.0\r\nA: 1\r\nNats-Request-Info2: keep\r\n\r\n");
    }

    #[test]
    fn setting_replaces_or_appends_and_makes_a_block_when_there_is_none() {
        assert_eq!(with(b"", b"K", b"v"), b"NATS/1.0\r\nK: v\r\n\r\n");
        assert_eq!(with(b"NATS/1.0\r\nk: a\r\nB: c\r\n\r\n", b"K", b"v"), b"NATS/1.0\r\nB: c\r\nK: v\r\n\r\n");
        assert_eq!(with(b"xyz", b"K", b"v"), b"NATS/1.0\r\nK: v\r\n\r\n");
    }

    #[test]
    fn values_are_found_by_exact_name() {
        let block = b"NATS/1.0\r\nA:  1 \r\nb: 2\r\n\r\n";
        assert_eq!(value(block, b"A"), Some(b"1".as_slice()));
        assert_eq!(value(block, b"B"), None);
    }
}
