//! Reports that an account wants of itself: of messages that a distributed trace has chosen already.

use cordon_accounts::claims::Trace;

use super::{DESTINATION, ORIGIN};
use crate::protocol::headers;

/// The header of W3C Trace Context that says whether a request is being traced; its name counts in any case.
const TRACE_PARENT: &[u8] = b"traceparent";

/// Whether the account wants a report of a message with this header block: `draw` gives a number below its argument.
///
/// What the publisher says by `Nats-Trace-Dest` comes first, also when it says that nothing is to be traced.
pub fn is_sampled(trace: &Trace, header: &[u8], draw: impl FnOnce(u32) -> u32) -> bool {
    if !header.starts_with(b"NATS/1.0\r\n") || !headers::values(header, TRACE_PARENT).any(has_sampled_flag) {
        return false;
    }
    if headers::value(header, DESTINATION).is_some() || headers::value(header, ORIGIN).is_some() {
        return false;
    }
    let percent = if trace.sampling == 0 { 100 } else { u32::try_from(trace.sampling).unwrap_or(0) };
    percent >= 100 || draw(100) < percent
}

/// `version-trace-parent-flags`: the lowest bit of the flags, two hexadecimal digits, says it.
fn has_sampled_flag(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'-');
    let (Some(flags), None) = (parts.nth(3), parts.next()) else { return false };
    let is_hex = flags.len() == 2 && flags.iter().all(u8::is_ascii_hexdigit);
    let flags = std::str::from_utf8(flags).ok().filter(|_| is_hex).and_then(|text| u8::from_str_radix(text, 16).ok());
    flags.is_some_and(|flags| flags & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(sampling: i64, drawn: u32, lines: &str) -> bool {
        let trace = Trace { destination: "t".to_owned(), sampling };
        is_sampled(&trace, format!("NATS/1.0\r\n{lines}\r\n\r\n").as_bytes(), |_| drawn)
    }

    #[test]
    fn only_a_parent_whose_lowest_flag_is_set_is_sampled() {
        for (lines, expected) in [
            ("traceparent: 00-aa-bb-01", true),
            ("TraceParent:00-aa-bb-03", true),
            ("traceparent: 00-aa-bb-fF", true),
            ("traceparent: 00-aa-bb-00\r\ntraceparent: 00-aa-bb-01", true),
            ("traceparent: 00-aa-bb-02", false),
            ("traceparent: 00-aa-bb-1", false),
            ("traceparent: 00-aa-bb-+1", false),
            ("traceparent: 00-aa-bb-001", false),
            ("traceparent: 00-aa-bb-0g", false),
            ("traceparent: 00-aa-01", false),
            ("traceparent: 00-aa-bb-01-01", false),
            ("traceparent:", false),
            ("x-traceparent: 00-aa-bb-01", false),
            ("tracestate: 00-aa-bb-01", false),
        ] {
            assert_eq!(sampled(100, 99, lines), expected, "{lines}");
        }
        assert!(!is_sampled(&Trace::default(), b"NATS/1.0 503\r\ntraceparent: 00-a-b-01\r\n\r\n", |_| 0));
    }

    #[test]
    fn what_the_publisher_says_itself_comes_first() {
        for line in ["Nats-Trace-Dest: trace disabled", "Nats-Trace-Dest: a.*", "Nats-Trace-Origin-Account: A"] {
            assert!(!sampled(100, 0, &format!("traceparent: 00-a-b-01\r\n{line}")), "{line}");
        }
        assert!(sampled(100, 0, "traceparent: 00-a-b-01\r\nnats-trace-dest: x"));
    }

    #[test]
    fn sampling_is_the_share_that_is_chosen() {
        for (sampling, chosen) in [(0, 100), (1, 1), (37, 37), (99, 99), (100, 100), (-1, 0), (500, 100)] {
            let count = (0..100).filter(|drawn| sampled(sampling, *drawn, "traceparent: 00-a-b-01")).count();
            assert_eq!(count, chosen, "{sampling}");
        }
    }
}
