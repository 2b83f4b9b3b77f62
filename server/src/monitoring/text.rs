//! Times and durations as nats-server's tools read them (monitoring-and-system.md section 0).

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SECONDS: [(u64, char); 4] = [(365 * 86_400, 'y'), (86_400, 'd'), (3_600, 'h'), (60, 'm')];

/// RFC 3339 in UTC of a time in Unix nanoseconds.
pub fn rfc3339(unix_ns: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns))
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
}

/// Whole seconds, leading units dropped: `5s`, `3m5s`, `4d2h3m5s`, `1y4d2h3m5s`.
pub fn uptime(from_ns: i64, to_ns: i64) -> String {
    let mut left = u64::try_from(to_ns.saturating_sub(from_ns)).unwrap_or(0) / 1_000_000_000;
    let mut text = String::new();
    for (unit, letter) in SECONDS {
        if left >= unit || !text.is_empty() {
            let _infallible = write!(text, "{}{letter}", left / unit);
            left %= unit;
        }
    }
    let _infallible = write!(text, "{left}s");
    text
}

/// A duration as Go prints it; between a microsecond and a millisecond cut to whole microseconds.
pub fn go_duration(ns: u64) -> String {
    match ns {
        0 => "0s".to_owned(),
        1..=999 => format!("{ns}ns"),
        1_000..=999_999 => format!("{}µs", ns / 1_000),
        1_000_000..=999_999_999 => format!("{}ms", fraction(ns, 1_000_000)),
        _ => {
            let (minutes, rest) = (ns / 60_000_000_000, ns % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn fraction(value: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_drop_leading_units_and_keep_inner_zeros() {
        let second = 1_000_000_000;
        for (seconds, text) in
            [(0, "0s"), (5, "5s"), (185, "3m5s"), (86_405, "1d0h0m5s"), (400 * 86_400, "1y35d0h0m0s")]
        {
            assert_eq!(uptime(7, 7 + seconds * second), text);
        }
        assert_eq!(uptime(10, 5), "0s");
    }

    #[test]
    fn durations_are_those_of_go() {
        for (ns, text) in [
            (0, "0s"),
            (900, "900ns"),
            (254_300, "254µs"),
            (1_262_223, "1.262223ms"),
            (1_500_000_000, "1.5s"),
            (2_000_000_000, "2s"),
            (61_000_000_000, "1m1s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(ns), text);
        }
    }

    #[test]
    fn times_are_rfc3339_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123456789Z");
    }
}
