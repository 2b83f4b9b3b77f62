//! Cron expressions with six fields: `second minute hour day-of-month month day-of-week` (ADR-51).
//!
//! Ours because the crates for it rest on `chrono`, and count days and time zones in their own way. A day matches if both
//! fields of days do, or, when neither holds a `*` or `?`, if one of them does.

use cordon_auth::zone::Zone;
use time::{Date, OffsetDateTime};

/// Names of months and of days, from the first number of the field on.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A 29th of February may be eight years away, when a century has none.
const SEARCH_SECONDS: i64 = 9 * 366 * 86_400;
/// Zones change their offset at such moments.
const QUARTER: i64 = 900;

/// A parsed expression: one bit for each value of each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Neither field of days holds a `*` or `?`.
    either: bool,
}

impl Cron {
    /// Reads an expression, or one of the names that begin with `@`; `None` if it is neither, or no moment matches it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            text => text,
        };
        let mut fields = text.split_ascii_whitespace();
        let mut next = || fields.next();
        let [seconds, minutes, hours, days, months, weekdays] = [next()?, next()?, next()?, next()?, next()?, next()?];
        if next().is_some() {
            return None;
        }
        let open = |field: &str| field.contains(['*', '?']);
        let cron = Self {
            seconds: field(seconds, 0, 59, &[])?,
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &DAYS)?,
            either: !open(days) && !open(weekdays),
        };
        // From a common year on, so that every day that ever comes is within the search.
        cron.next(0, Zone::utc()).map(|_| cron)
    }

    /// The first moment after `after` that matches in `zone`; both in Unix seconds. Local times that a zone leaves out do
    /// not match, and those that it has twice match twice.
    pub(super) fn next(&self, after: i64, zone: Zone) -> Option<i64> {
        let mut at = after.checked_add(1)?;
        let end = at.checked_add(SEARCH_SECONDS)?;
        while at < end {
            let offset = zone.offset_at(at);
            let local = OffsetDateTime::from_unix_timestamp(at).ok()?.to_offset(offset);
            let (hour, minute, second) = local.to_hms();
            let step = if !self.has_day(local.date()) {
                86_400 - (i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
            } else if !has(self.hours, hour) {
                3600 - (i64::from(minute) * 60 + i64::from(second))
            } else if !has(self.minutes, minute) {
                60 - i64::from(second)
            } else if !has(self.seconds, second) {
                1
            } else {
                return Some(at);
            };
            let beyond = at + step;
            // Over a change of the offset, step by step.
            at = if zone.offset_at(beyond) == offset { beyond } else { beyond.min((at / QUARTER + 1) * QUARTER) };
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().number_days_from_sunday());
        let days = if self.either { day || weekday } else { day && weekday };
        days && has(self.months, date.month().into())
    }
}

fn has(bits: u64, value: u8) -> bool {
    bits >> value & 1 == 1
}

/// A field: values, ranges and steps, with commas between them. Nothing between two commas means nothing.
fn field(text: &str, min: u8, max: u8, names: &[&str]) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        bits |= range(part, min, max, names)?;
    }
    (bits != 0).then_some(bits)
}

fn range(text: &str, min: u8, max: u8, names: &[&str]) -> Option<u64> {
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (span, Some(step.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (from, to) = match span.split_once('-') {
        None if span == "*" || span == "?" => (min, max),
        // A value with a step begins a range.
        None => value(span, min, names).map(|from| (from, if step.is_some() { max } else { from }))?,
        Some((from, to)) => (value(from, min, names)?, value(to, min, names)?),
    };
    let step = usize::try_from(step.unwrap_or(1)).ok()?;
    if from < min || to > max || from > to || step == 0 {
        return None;
    }
    Some((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
}

fn value(text: &str, first: u8, names: &[&str]) -> Option<u8> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    match named {
        Some(at) => Some(first + u8::try_from(at).ok()?),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments after `after` that an expression means, as RFC 3339.
    fn moments(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let format = &time::format_description::well_known::Rfc3339;
        let (cron, zone) = (Cron::parse(text).unwrap(), Zone::named(zone).unwrap());
        let mut at = OffsetDateTime::parse(after, format).unwrap().unix_timestamp();
        (0..count)
            .map(|_| {
                at = cron.next(at, zone).unwrap();
                OffsetDateTime::from_unix_timestamp(at).unwrap().to_offset(zone.offset_at(at)).format(format).unwrap()
            })
            .collect()
    }

    #[test]
    fn what_is_no_expression() {
        for bad in [
            "",
            "@reboot",
            "@Hourly",
            "* * * * *",
            "* * * * * * *",
            "60 * * * * *",
            "* 60 * * * *",
            "* * 24 * * *",
            "* * * 0 * *",
            "* * * 32 * *",
            "* * * * 0 *",
            "* * * * 13 *",
            "* * * * * 7",
            "*/0 * * * * *",
            "5-1 * * * * *",
            "L * * * * *",
            "0 0 0 30 2 *",
            "0 0 0 31 4 *",
            "TZ=UTC * * * * * *",
            "1-2-3 * * * * *",
            "-1 * * * * *",
            "1/ * * * * *",
            "*-5 * * * * *",
            "* * * * foo *",
            "* * * * january *",
            "0 0 0 * * 6-0",
            "0 0 0 * * fri-mon",
            ", * * * * *",
            "256 * * * * *",
            "1/99999999999 * * * * *",
            "1//2 * * * * *",
            "* * * * * m\u{f6}n",
        ] {
            assert_eq!(Cron::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_come_in_order() {
        let after = "2026-11-23T13:31:29Z";
        for (text, expected) in [
            ("* * * * * *", ["2026-11-23T13:31:30Z", "2026-11-23T13:31:31Z"]),
            ("*/20 * * * * *", ["2026-11-23T13:31:40Z", "2026-11-23T13:32:00Z"]),
            ("?/20 * * ? * ?", ["2026-11-23T13:31:40Z", "2026-11-23T13:32:00Z"]),
            ("5/50 * * * * *", ["2026-11-23T13:31:55Z", "2026-11-23T13:32:05Z"]),
            ("1,2,,3 * * * * *", ["2026-11-23T13:32:01Z", "2026-11-23T13:32:02Z"]),
            ("  0  30-31/1 2,14  * * * ", ["2026-11-23T14:30:00Z", "2026-11-23T14:31:00Z"]),
            ("*/100 * * * * *", ["2026-11-23T13:32:00Z", "2026-11-23T13:33:00Z"]),
            ("@hourly", ["2026-11-23T14:00:00Z", "2026-11-23T15:00:00Z"]),
            ("@midnight", ["2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"]),
            ("@weekly", ["2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"]),
            ("@monthly", ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]),
            ("@annually", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
            ("0 0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            ("0 0 0 * JAN-mar mon,WED", ["2027-01-04T00:00:00Z", "2027-01-06T00:00:00Z"]),
            ("0 0 0 1 * sat", ["2026-11-28T00:00:00Z", "2026-12-01T00:00:00Z"]),
            ("0 0 0 */31 * fri", ["2027-01-01T00:00:00Z", "2027-10-01T00:00:00Z"]),
        ] {
            assert_eq!(moments(text, "UTC", after, 2), expected, "{text}");
        }
        assert_eq!(moments("0 0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
    }

    #[test]
    fn zones_have_days_of_another_length() {
        for (text, zone, after, expected) in [
            (
                "0 30 2 * * *", // there is no 02:30 on the 29th of March
                "Europe/Berlin",
                "2026-03-28T00:00:00Z",
                ["2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"],
            ),
            (
                "0 30 2 * * *", // and twice on the 25th of October
                "Europe/Berlin",
                "2026-10-24T12:00:00Z",
                ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"],
            ),
            (
                "@hourly",
                "Europe/Berlin",
                "2026-03-29T00:30:00Z",
                ["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"],
            ),
            (
                "@daily",
                "America/New_York",
                "2026-10-31T12:00:00Z",
                ["2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"],
            ),
            (
                "0 0 0 * * *",
                "Asia/Kathmandu",
                "2026-10-31T12:00:00Z",
                ["2026-11-01T00:00:00+05:45", "2026-11-02T00:00:00+05:45"],
            ),
        ] {
            assert_eq!(moments(text, zone, after, 2), expected, "{text} {zone}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
        #[test]
        fn the_next_moment_is_the_first_that_matches(
            second in 0u8..60, minute in 0u8..60, hours in 1u64..(1 << 24), from in 1_700_000_000i64..1_900_000_000,
        ) {
            let list: Vec<String> = (0..24).filter(|hour| has(hours, *hour)).map(|hour| hour.to_string()).collect();
            let cron = Cron::parse(&format!("{second} {minute} {} * * *", list.join(","))).unwrap();
            let zone = Zone::named("Europe/Berlin").unwrap();
            let matches = |at: i64| {
                let local = OffsetDateTime::from_unix_timestamp(at).unwrap().to_offset(zone.offset_at(at));
                local.second() == second && local.minute() == minute && has(hours, local.hour())
            };
            let naive = (from + 1..i64::MAX).find(|at| matches(*at));
            proptest::prop_assert_eq!(cron.next(from, zone), naive);
        }
    }
}
