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

/// Whether any line of `block` is the field [`REQUEST_INFO`], in any case.
#[inline]
pub fn has_request_info(block: &[u8]) -> bool {
    // Most blocks are without the rarest letter of its name: one search decides.
    memchr::memchr2(b'q', b'Q', block).is_some() && has(block, REQUEST_INFO)
}

/// The value of the first field called exactly `name`.
pub fn value<'a>(block: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    lines(block).find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix(b":")?;
        Some(rest.trim_ascii())
    })
}

/// The values of all fields called `name`, in any case.
pub fn values<'a>(block: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    lines(block).filter(move |line| is_field(line, name)).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some(line.get(colon + 1..)?.trim_ascii())
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
///
/// It becomes the first field: what stands behind an empty line, or on a line without an end, is no field for readers
/// of the block, so a field at its end could be hidden from them.
pub fn with(block: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let block = if block.starts_with(b"NATS/1.0") { block } else { b"NATS/1.0\r\n\r\n" };
    let first = lines(block).next().unwrap_or_default();
    let mut made = Vec::with_capacity(block.len() + name.len() + value.len() + 8);
    for part in [first.trim_ascii_end(), b"\r\n", name, b": ", value, b"\r\n"] {
        made.extend_from_slice(part);
    }
    let others = without(block.get(first.len()..).unwrap_or_default(), name);
    made.extend_from_slice(&others);
    if !others.ends_with(b"\n") {
        made.extend_from_slice(b"\r\n\r\n");
    }
    made
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.trim_ascii_start()
        .split_at_checked(name.len())
        .is_some_and(|(head, rest)| head.eq_ignore_ascii_case(name) && rest.trim_ascii_start().first() == Some(&b':'))
}

/// Lines with their ends. A lone CR ends one, too: some clients' readers see it so.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let end = match memchr::memchr2(b'\r', b'\n', rest) {
            None => rest.len(),
            Some(at) if rest.get(at..at + 2) == Some(b"\r\n") => at + 2,
            Some(at) => at + 1,
        };
        let (line, after) = rest.split_at_checked(end)?;
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_a_field_goes_whatever_its_case() {
        let block = b"NATS/1.0\r\nA: 1\r\nNats-Request-Info: x\r\nnats-request-info : y\r\nNATS-REQUEST-INFO:z\r\nNats-Request-Info2: keep\r\n\r\n";
        assert!(has(block, REQUEST_INFO) && has_request_info(block));
        assert_eq!(without(block, REQUEST_INFO), b"NATS/1.0\r\nA: 1\r\nNats-Request-Info2: keep\r\n\r\n");
    }

    #[test]
    fn the_broker_s_own_field_is_found_in_any_case() {
        for (line, found) in [
            ("Nats-Request-Info: x", true),
            ("NATS-REQUEST-INFO:x", true),
            (" nats-reQuest-info : x", true),
            ("Nats-Re-quest-Info: x", false),
            ("Q: Nats-Request-Info", false),
            ("Nats-Trace-Dest: x", false),
        ] {
            let block = format!("NATS/1.0\r\nA: b\r\n{line}\r\n\r\n");
            assert_eq!(has_request_info(block.as_bytes()), found, "{line}");
        }
    }

    #[test]
    fn setting_replaces_or_adds_and_makes_a_block_when_there_is_none() {
        assert_eq!(with(b"", b"K", b"v"), b"NATS/1.0\r\nK: v\r\n\r\n");
        assert_eq!(with(b"NATS/1.0\r\nk: a\r\nB: c\r\n\r\n", b"K", b"v"), b"NATS/1.0\r\nK: v\r\nB: c\r\n\r\n");
        assert_eq!(with(b"xyz", b"K", b"v"), b"NATS/1.0\r\nK: v\r\n\r\n");
    }

    #[test]
    fn a_field_cannot_be_hidden_or_forged_by_the_shape_of_the_block() {
        for block in [
            b"NATS/1.0".as_slice(),
            b"NATS/1.0\r\n",
            b"NATS/1.0\r\n\r\nA: b\r\n\r\n",
            b"NATS/1.0\r\nA: b",
            b"NATS/1.0\nA: b\n\n",
            b"NATS/1.0\rK: forged\r\n\r\n",
            b"NATS/1.0 503\rK: forged\r\n\r\n",
            b"NATS/1.0\r\nA: b\rK: forged\r\n\r\n",
            b"NATS/1.0\r\n K: forged\r\n\r\n",
            b"NATS/1.0\r\nA: b\r\n\tk : forged",
        ] {
            let text = String::from_utf8_lossy(block).into_owned();
            let made = with(block, b"K", b"v");
            let second = made.split(|byte| *byte == b'\n').nth(1).unwrap();
            assert_eq!(second, b"K: v\r", "{text:?}");
            assert!(!made.windows(6).any(|part| part == b"forged"), "{text:?}");
            assert!(made.starts_with(b"NATS/1.0") && made.ends_with(b"\n"), "{text:?}");
        }
    }

    #[test]
    fn forged_copies_are_seen_behind_lone_returns_and_blanks() {
        for block in
            ["NATS/1.0\r\nA: b\rK: f\r\n\r\n", "NATS/1.0\rk:f", "NATS/1.0\r\n  K: f\r\n\r\n", "NATS/1.0\nK: f\n\n"]
        {
            assert!(has(block.as_bytes(), b"K"), "{block:?}");
            assert!(!has(&without(block.as_bytes(), b"K"), b"K"), "{block:?}");
        }
    }

    #[test]
    fn values_are_found_by_exact_name() {
        let block = b"NATS/1.0\r\nA:  1 \r\nb: 2\r\n\r\n";
        assert_eq!(value(block, b"A"), Some(b"1".as_slice()));
        assert_eq!(value(block, b"B"), None);
        let block = b"NATS/1.0\r\nA: 1\r\na:2:3 \r\nAB: 4\r\n\r\n";
        assert_eq!(values(block, b"A").collect::<Vec<_>>(), [b"1".as_slice(), b"2:3"]);
    }
}
