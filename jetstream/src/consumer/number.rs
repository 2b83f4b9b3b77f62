//! Decimal numbers, written by hand: every delivered message carries five of them in its reply subject.

/// Appends `number` in decimal.
pub(crate) fn push_u64(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (number % 10) as u8;
        }
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Reads a decimal number: digits only, at least one, no overflow.
pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Reads a decimal number that may be negative.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => parse_u64(digits).and_then(|number| i64::try_from(number).ok()).map(|number| -number),
        None => parse_u64(text).and_then(|number| i64::try_from(number).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX - 1, u64::MAX] {
            let mut out = b"x.".to_vec();
            push_u64(&mut out, number);
            assert_eq!(out, format!("x.{number}").into_bytes());
            assert_eq!(parse_u64(&out[2..]), Some(number));
        }
    }

    #[test]
    fn what_is_not_a_number_is_none() {
        for text in ["", "-", "1a", "a", " 1", "1 ", "18446744073709551616", "99999999999999999999999", "+1", "1.0"] {
            assert_eq!(parse_u64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_i64(b"-5"), Some(-5));
        assert_eq!(parse_i64(b"9223372036854775808"), None);
        assert_eq!(parse_i64(b"--5"), None);
    }
}
