//! `Nats-TTL`: how long a message lives (jetstream.md 2.9.5).

const SECOND: i64 = 1_000_000_000;

/// The life that a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ttl {
    /// It outlives `max_age`.
    Never,
    /// Nanoseconds, whole seconds.
    For(i64),
}

/// Reads the header's value: `never`, whole seconds, or a duration of at least a second; nothing else.
pub(super) fn parse(value: &[u8]) -> Option<Ttl> {
    let text = std::str::from_utf8(value).ok()?;
    if text == "never" {
        return Some(Ttl::Never);
    }
    let nanos = match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(SECOND)?,
        Err(_) => duration(text)?,
    };
    (nanos >= SECOND).then_some(Ttl::For(nanos / SECOND * SECOND))
}

/// A duration as Go writes it (`1h5m`, `1.5s`), in nanoseconds.
pub(super) fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_len)?;
        let unit: i64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        total = total.checked_add(scaled(number, unit)?)?;
        rest = after;
    }
    Some(if negative { -total } else { total })
}

/// A decimal number times `unit`.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let mut value = whole.checked_mul(unit)?;
    let mut part = unit;
    for digit in fraction.bytes() {
        part /= 10;
        value = value.checked_add(part * i64::from(digit.checked_sub(b'0')?))?;
    }
    Some(value)
}

/// A duration as Go prints it, from nanoseconds that are whole seconds.
pub(super) fn print(nanos: i64) -> String {
    let seconds = nanos / SECOND;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h{minutes}m{seconds}s")
    } else if minutes > 0 {
        format!("{minutes}m{seconds}s")
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_of_messages() {
        for (text, ttl) in [
            ("never", Some(Ttl::Never)),
            ("30", Some(Ttl::For(30 * SECOND))),
            ("1h5m", Some(Ttl::For(3900 * SECOND))),
            ("1.9s", Some(Ttl::For(SECOND))),
            ("1500ms", Some(Ttl::For(SECOND))),
            ("0", None),
            ("0s", None),
            ("-1", None),
            ("-5s", None),
            ("999ms", None),
            ("", None),
            ("1x", None),
            ("s", None),
            ("1.2.3s", None),
            ("9223372036854775807", None),
            ("99999999999999999h", None),
        ] {
            assert_eq!(parse(text.as_bytes()), ttl, "{text}");
        }
    }

    #[test]
    fn durations_are_printed_as_clients_read_them() {
        for (nanos, text) in [(SECOND, "1s"), (90 * SECOND, "1m30s"), (3600 * SECOND, "1h0m0s")] {
            assert_eq!(print(nanos), text);
            assert_eq!(duration(text), Some(nanos));
        }
    }
}
