//! The header block of a published message: what of it is meant for the stream, read in one pass.

use std::borrow::Cow;

/// A client's request of a newer server (ADR-44).
pub(crate) const REQUIRED_API_LEVEL: &str = "Nats-Required-Api-Level";
/// What the border vouches for; never stored.
const REQUEST_INFO: &[u8] = b"Nats-Request-Info";
const VERSION: &[u8] = b"NATS/1.0";

macro_rules! head {
    ($($field:ident $name:literal)*) => {
        /// Values of the headers that a stream acts on; the first of each.
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Head<'a> {
            $(#[doc = concat!("`", $name, "`.")] pub(super) $field: Option<&'a [u8]>,)*
            /// It has a status line, or a header that is not stored.
            pub(super) unclean: bool,
        }

        impl<'a> Head<'a> {
            fn set(&mut self, name: &[u8], value: &'a [u8]) {
                $(if name == $name.as_bytes() {
                    if self.$field.is_none() {
                        self.$field = Some(value);
                    }
                    return;
                })*
                if name.eq_ignore_ascii_case(REQUEST_INFO) {
                    self.unclean = true;
                }
            }
        }
    };
}

head! {
    msg_id "Nats-Msg-Id"
    expected_stream "Nats-Expected-Stream"
    expected_last_seq "Nats-Expected-Last-Sequence"
    expected_last_subject_seq "Nats-Expected-Last-Subject-Sequence"
    expected_last_subject "Nats-Expected-Last-Subject-Sequence-Subject"
    expected_last_id "Nats-Expected-Last-Msg-Id"
    rollup "Nats-Rollup"
    ttl "Nats-TTL"
    incr "Nats-Incr"
    batch_id "Nats-Batch-Id"
    batch_seq "Nats-Batch-Sequence"
    batch_commit "Nats-Batch-Commit"
    schedule "Nats-Schedule"
    schedule_next "Nats-Schedule-Next"
    scheduler "Nats-Scheduler"
    stream_source "Nats-Stream-Source"
    required_level "Nats-Required-Api-Level"
    marker_reason "Nats-Marker-Reason"
    kv_operation "KV-Operation"
}

impl<'a> Head<'a> {
    /// Reads a block; an empty one has nothing.
    pub(super) fn read(block: &'a [u8]) -> Self {
        let mut head = Self::default();
        if block.is_empty() {
            return head;
        }
        head.unclean = !block.starts_with(b"NATS/1.0\r\n");
        for (name, value) in fields(block) {
            if name.first().is_some_and(|first| matches!(first | 0x20, b'n' | b'k')) {
                head.set(name, value);
            }
        }
        head
    }

    /// A header that says what must have come before.
    pub(super) fn expects(&self) -> bool {
        self.expected_stream.is_some()
            || self.expected_last_seq.is_some()
            || self.expected_last_subject_seq.is_some()
            || self.expected_last_subject.is_some()
            || self.expected_last_id.is_some()
    }
}

/// Names and values of a block, blanks around values taken off.
pub(crate) fn fields(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(block).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, rest) = line.split_at_checked(colon)?;
        Some((name, rest.get(1..).unwrap_or_default().trim_ascii()))
    })
}

/// Headers that the server adds to stored messages that it hands out. What a publisher called alike is left out: readers
/// take the first of two.
pub(crate) struct Ours {
    pub(crate) stream: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) sequence: &'static str,
    pub(crate) time: &'static str,
    pub(crate) last_sequence: &'static str,
    pub(crate) pending: &'static str,
    pub(crate) size: &'static str,
    pub(crate) up_to: &'static str,
}

/// Their names.
pub(crate) const OURS: Ours = Ours {
    stream: "Nats-Stream",
    subject: "Nats-Subject",
    sequence: "Nats-Sequence",
    time: "Nats-Time-Stamp",
    last_sequence: "Nats-Last-Sequence",
    pending: "Nats-Num-Pending",
    size: "Nats-Msg-Size",
    up_to: "Nats-UpTo-Sequence",
};

/// A header is called like one of [`OURS`].
pub(crate) fn is_ours(name: &[u8]) -> bool {
    let Ours { stream, subject, sequence, time, last_sequence, pending, size, up_to } = OURS;
    [stream, subject, sequence, time, last_sequence, pending, size, up_to]
        .iter()
        .any(|ours| name.trim_ascii().eq_ignore_ascii_case(ours.as_bytes()))
}

/// The value of the first header called exactly `name`.
pub(crate) fn value<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(block).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
}

/// The lines below the version line.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    let mut first = true;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at_checked(end)?;
            rest = after;
            if std::mem::take(&mut first) {
                continue;
            }
            let line = line.trim_ascii_end();
            return if line.is_empty() { None } else { Some(line) };
        }
    })
}

/// The block as it is stored: without status, and without what only the border may say. Nothing if no header is left.
pub(super) fn clean(block: &[u8]) -> Cow<'_, [u8]> {
    without(block, |name| name.eq_ignore_ascii_case(REQUEST_INFO))
}

/// The block without the headers that `dropped` means, and without status; empty if no header is left.
pub(crate) fn without(block: &[u8], dropped: impl Fn(&[u8]) -> bool) -> Cow<'_, [u8]> {
    let mut made = Vec::with_capacity(block.len());
    made.extend_from_slice(VERSION);
    made.extend_from_slice(b"\r\n");
    let before = made.len();
    for line in lines(block) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if !dropped(name) {
            made.extend_from_slice(line);
            made.extend_from_slice(b"\r\n");
        }
    }
    if made.len() == before {
        return Cow::Borrowed(&[]);
    }
    made.extend_from_slice(b"\r\n");
    Cow::Owned(made)
}

/// A block under construction: stored headers first, without those of the names that are added.
pub(crate) struct Builder {
    block: Vec<u8>,
}

impl Builder {
    /// Begins with the headers of `block` but for those that `dropped` means.
    pub(crate) fn from(block: &[u8], dropped: impl Fn(&[u8]) -> bool) -> Self {
        let mut block = without(block, dropped).into_owned();
        if block.is_empty() {
            block.extend_from_slice(b"NATS/1.0\r\n");
        } else {
            block.truncate(block.len().saturating_sub(2));
        }
        Self { block }
    }

    /// Begins with a status line.
    pub(crate) fn status(status: &str) -> Self {
        let mut block = Vec::with_capacity(64);
        for part in ["NATS/1.0 ", status, "\r\n"] {
            block.extend_from_slice(part.as_bytes());
        }
        Self { block }
    }

    /// Adds a header.
    pub(crate) fn add(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [name.as_bytes(), b": ", value.as_ref(), b"\r\n"] {
            self.block.extend_from_slice(part);
        }
        self
    }

    /// Adds a header with a number.
    pub(crate) fn number(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.add(name, value.to_string())
    }

    /// The block with its final blank line.
    pub(crate) fn done(mut self) -> Vec<u8> {
        self.block.extend_from_slice(b"\r\n");
        self.block
    }
}

/// An unsigned number as headers write it; nothing else.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_header_counts_and_only_its_exact_name() {
        let head = Head::read(b"NATS/1.0\r\nNats-Msg-Id:  a \r\nnats-rollup: sub\r\nNats-Msg-Id: b\r\nX: y\r\n\r\n");
        assert_eq!(head.msg_id, Some(&b"a"[..]));
        assert_eq!(head.rollup, None);
        assert!(!head.unclean);
    }

    #[test]
    fn what_is_not_stored_is_taken_out() {
        for (block, clean_block) in [
            (&b"NATS/1.0 503\r\n\r\n"[..], &b""[..]),
            (b"NATS/1.0 100 Idle\r\nA: b\r\n\r\n", b"NATS/1.0\r\nA: b\r\n\r\n"),
            (b"NATS/1.0\r\nNats-Request-Info: {}\r\n\r\n", b""),
            (b"NATS/1.0\r\nNATS-request-info: {}\r\nB: c\r\n\r\n", b"NATS/1.0\r\nB: c\r\n\r\n"),
        ] {
            assert!(Head::read(block).unclean);
            assert_eq!(&*clean(block), clean_block);
        }
    }

    #[test]
    fn nothing_behind_the_blank_line_is_a_header() {
        assert_eq!(value(b"NATS/1.0\r\nA: b\r\n\r\nC: d\r\n\r\n", "C"), None);
    }
}
