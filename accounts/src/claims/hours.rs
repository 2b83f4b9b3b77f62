//! Times of day at which a user may be connected (nats-server `auth.go`, `validateTimes`).

use time::{Duration, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use time_tz::{Offset, OffsetResult, PrimitiveDateTimeExt, TimeZone, Tz, timezones};

use super::TimeRange;

/// Spans of the day in one zone; empty means always.
#[derive(Clone, Debug)]
pub struct Hours {
    spans: Vec<(Time, Time)>,
    zone: Option<&'static Tz>,
}

/// Whether a user may be connected now.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// At any time.
    Always,
    /// Not now.
    Never,
    /// Until this moment, in unix seconds.
    Until(i64),
}

impl Hours {
    /// Reads the spans.
    ///
    /// # Errors
    ///
    /// [`HoursError`] when a time is missing or malformed, or the zone unknown.
    pub fn new(ranges: &[TimeRange], location: &str) -> Result<Self, HoursError> {
        let zone = match location {
            // `Local` is Go's own name for it.
            "" | "Local" => None,
            name => Some(
                timezones::get_by_name(name)
                    .ok_or_else(|| HoursError::Zone { name: name.chars().take(64).collect() })?,
            ),
        };
        let spans = ranges
            .iter()
            .map(|range| Ok((time_of_day(&range.start)?, time_of_day(&range.end)?)))
            .collect::<Result<_, HoursError>>()?;
        Ok(Self { spans, zone })
    }

    /// Whether the user may be connected at `now`, and until when.
    ///
    /// `here` is the broker's own offset, for claims that name no zone. Both ends of a span are
    /// outside of it; a span that ends before it starts crosses midnight; the longest of several
    /// that hold wins.
    pub fn presence(&self, now: i64, here: UtcOffset) -> Presence {
        if self.spans.is_empty() {
            return Presence::Always;
        }
        let Ok(now) = OffsetDateTime::from_unix_timestamp(now) else {
            return Presence::Never;
        };
        self.spans
            .iter()
            .filter_map(|(start, end)| self.end_of_span(now, here, *start, *end))
            .max()
            .map_or(Presence::Never, Presence::Until)
    }

    fn end_of_span(&self, now: OffsetDateTime, here: UtcOffset, start: Time, end: Time) -> Option<i64> {
        let offset = self.zone.map_or(here, |zone| zone.get_offset_utc(&now).to_utc());
        let today = now.checked_to_offset(offset)?.date();
        let at = |date: time::Date, time: Time| self.moment(date.with_time(time), here);
        let (starts, ends) = (at(today, start), at(today, end));
        let end = if start > end {
            if now < ends {
                ends
            } else if starts < now {
                at(today.next_day()?, end)
            } else {
                return None;
            }
        } else if starts < now && now < ends {
            ends
        } else {
            return None;
        };
        Some(end.unix_timestamp())
    }

    /// The moment at which a clock in the zone shows this. A time that a clock change skips is
    /// taken an hour later, one that occurs twice the first time.
    fn moment(&self, shown: PrimitiveDateTime, here: UtcOffset) -> OffsetDateTime {
        let Some(zone) = self.zone else {
            return shown.assume_offset(here);
        };
        match shown.assume_timezone(zone) {
            OffsetResult::Some(moment) => moment,
            OffsetResult::Ambiguous(first, second) => first.min(second),
            OffsetResult::None => {
                let later = shown.saturating_add(Duration::HOUR);
                match later.assume_timezone(zone) {
                    OffsetResult::Some(moment) => moment,
                    OffsetResult::Ambiguous(first, second) => first.min(second),
                    OffsetResult::None => shown.assume_offset(here),
                }
            }
        }
    }
}

/// Reads `HH:MM:SS`.
fn time_of_day(text: &str) -> Result<Time, HoursError> {
    let wrong = || HoursError::Time { text: text.chars().take(64).collect() };
    let mut parts = text.split(':');
    let mut part = || {
        parts
            .next()
            .filter(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u8>().ok())
            .ok_or_else(wrong)
    };
    let (hour, minute, second) = (part()?, part()?, part()?);
    if parts.next().is_some() {
        return Err(wrong());
    }
    Time::from_hms(hour, minute, second).map_err(|_| wrong())
}

/// Why times of day could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// Missing, or not a time.
    #[error("`{text}` is not a time of the form HH:MM:SS")]
    Time {
        /// What was given.
        text: String,
    },
    /// Not in the IANA database.
    #[error("`{name}` is not the name of an IANA time zone")]
    Zone {
        /// What was given.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    type Span = (&'static str, &'static str);

    fn hours(ranges: &[(&str, &str)], zone: &str) -> Result<Hours, HoursError> {
        let ranges: Vec<TimeRange> = ranges
            .iter()
            .map(|(start, end)| TimeRange { start: (*start).to_owned(), end: (*end).to_owned() })
            .collect();
        Hours::new(&ranges, zone)
    }

    /// 2023-11-14 is the day; winter in Berlin, one hour ahead.
    const MIDNIGHT: i64 = 1_699_920_000;

    fn at(hour: i64, minute: i64) -> i64 {
        MIDNIGHT + hour * 3600 + minute * 60
    }

    #[test]
    fn a_span_holds_between_its_ends_and_across_midnight() {
        let day = [("08:00:00", "17:00:00")];
        let night = [("22:00:00", "06:00:00")];
        let both = [("08:00:00", "12:00:00"), ("09:00:00", "17:00:00")];
        let none = [("08:00:00", "08:00:00")];
        let table: [(&[Span], &str, i64, Presence); 19] = [
            (&[], "", at(3, 0), Presence::Always),
            (&day, "", at(7, 59), Presence::Never),
            (&day, "", at(8, 0), Presence::Never),
            (&day, "", at(8, 1), Presence::Until(at(17, 0))),
            (&day, "", at(17, 0), Presence::Never),
            (&day, "Europe/Berlin", at(7, 1), Presence::Until(at(16, 0))),
            (&day, "Europe/Berlin", at(16, 30), Presence::Never),
            (&day, "UTC", at(16, 30), Presence::Until(at(17, 0))),
            (&night, "", at(23, 0), Presence::Until(at(30, 0))),
            (&night, "", at(5, 0), Presence::Until(at(6, 0))),
            (&night, "", at(12, 0), Presence::Never),
            (&night, "Europe/Berlin", at(21, 30), Presence::Until(at(29, 0))),
            (&night, "", at(6, 0), Presence::Never),
            (&night, "", at(22, 0), Presence::Never),
            (&none, "", at(8, 0), Presence::Never),
            (&none, "", at(9, 0), Presence::Never),
            (&both, "", at(10, 0), Presence::Until(at(17, 0))),
            (&both, "", i64::MAX, Presence::Never),
            // The last second that there is a date for; in Berlin it is past it.
            (&night, "Europe/Berlin", 253_402_300_799, Presence::Never),
        ];
        for (ranges, zone, now, expected) in table {
            let found = hours(ranges, zone).unwrap().presence(now, UtcOffset::UTC);
            assert_eq!(found, expected, "{ranges:?} {zone} {now}");
        }
    }

    #[test]
    fn without_a_zone_the_brokers_own_offset_counts() {
        let east = UtcOffset::from_hms(2, 0, 0).unwrap();
        let span = [("08:00:00", "17:00:00")];
        for (zone, expected) in
            [("", Presence::Until(at(15, 0))), ("Local", Presence::Until(at(15, 0))), ("UTC", Presence::Never)]
        {
            let found = hours(&span, zone).unwrap().presence(at(6, 1), east);
            assert_eq!(found, expected, "{zone}");
        }
    }

    #[test]
    fn malformed_times_and_zones_are_refused() {
        for time in ["", "8:00:00", "08:00", "24:00:00", "08:60:00", "08:00:00:00", "+8:00:00", "aa:bb:cc"] {
            assert!(hours(&[(time, "17:00:00")], "").is_err(), "{time:?}");
            assert!(hours(&[("08:00:00", time)], "").is_err(), "{time:?}");
        }
        for zone in ["Mars/Olympus", "europe/berlin ", "../etc/passwd"] {
            assert!(hours(&[], zone).is_err(), "{zone:?}");
        }
    }
}
