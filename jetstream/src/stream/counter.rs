//! Counters: messages that add to the last one of their subject (jetstream.md 2.9.1).

use num_bigint::BigInt;
use serde::{Deserialize, Serialize};

use super::Core;
use super::head::Head;
use crate::api::ApiError;

/// Most digits of an increment: adding numbers costs time, and the payload that holds the sum is bounded, too.
const DIGITS_MAX: usize = 4096;

/// What a counter's message holds.
#[derive(Serialize, Deserialize)]
struct Count {
    val: String,
}

/// A whole number with a sign or without, of any size that fits a header.
pub(super) fn parse(text: &[u8]) -> Option<BigInt> {
    let digits = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    BigInt::parse_bytes(text, 10)
}

/// The increment that a message carries, as far as it can be judged without the counter.
///
/// # Errors
///
/// 10168, 10170, 10171.
pub(super) fn increment(enabled: bool, head: &Head<'_>, payload: &[u8]) -> Result<Option<BigInt>, ApiError> {
    let Some(text) = head.incr else { return Ok(None) };
    let Some(increment) = parse(text) else { return Err(ApiError::message_incr_invalid()) };
    if !enabled {
        return Err(ApiError::message_incr_disabled());
    }
    if !payload.is_empty() {
        return Err(ApiError::message_incr_payload());
    }
    if head.rollup.is_some() || head.expects() {
        return Err(ApiError::message_incr_invalid());
    }
    Ok(Some(increment))
}

/// A sum, and the payload that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    /// In decimal.
    pub(super) value: String,
    /// What is stored.
    pub(super) payload: Vec<u8>,
}

/// The number that a counter's payload says.
///
/// # Errors
///
/// 10172.
pub(super) fn read(payload: &[u8]) -> Result<BigInt, ApiError> {
    serde_json::from_slice::<Count>(payload)
        .ok()
        .and_then(|count| parse(count.val.as_bytes()))
        .ok_or_else(ApiError::message_counter_broken)
}

/// The payload that says a number.
pub(super) fn write(value: &BigInt) -> Sum {
    let value = value.to_string();
    let payload = serde_json::to_vec(&Count { val: value.clone() }).unwrap_or_default();
    Sum { value, payload }
}

impl Core {
    /// The counter of `subject` after an increment.
    pub(super) fn add_up(&self, subject: &[u8], increment: &BigInt) -> Result<Sum, ApiError> {
        let last = self.store.of_subject(subject).map(|of| of.last);
        let before = match last.and_then(|seq| self.store.get(seq).transpose()) {
            None => BigInt::ZERO,
            Some(Ok(stored)) => read(stored.payload())?,
            Some(Err(error)) => return Err(ApiError::stream_store_failed(error)),
        };
        Ok(write(&(before + increment)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_are_whole_numbers_of_any_size() {
        for (text, read) in [
            ("5", Some("5")),
            ("+5", Some("5")),
            ("-2", Some("-2")),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
            ("", None),
            ("x", None),
            ("1.5", None),
            ("+-1", None),
            ("1_0", None),
            (" 1", None),
        ] {
            assert_eq!(parse(text.as_bytes()).map(|number| number.to_string()).as_deref(), read, "{text}");
        }
        assert_eq!(parse("9".repeat(DIGITS_MAX + 1).as_bytes()), None);
    }

    #[test]
    fn a_counter_reads_what_it_wrote_and_nothing_else() {
        let sum = write(&BigInt::from(-3));
        assert_eq!((sum.value.as_str(), sum.payload.as_slice()), ("-3", &br#"{"val":"-3"}"#[..]));
        assert_eq!(read(&sum.payload), Ok(BigInt::from(-3)));
        for broken in [&b""[..], b"3", b"{}", br#"{"val":3}"#, br#"{"val":"x"}"#] {
            assert_eq!(read(broken), Err(ApiError::message_counter_broken()));
        }
    }
}
