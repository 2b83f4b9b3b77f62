//! What a schedule says: the headers of a message that has other messages made later (ADR-51).

use cordon_accounts::subject::matching;
use cordon_auth::zone::Zone;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::cron::Cron;
use crate::api::ApiError;
use crate::config::{Moment, StreamConfig};
use crate::stream::head::value;
use crate::stream::ttl;

const SECOND: i64 = 1_000_000_000;

/// Names of the headers that a schedule says something with, besides `Nats-Schedule`.
const TARGET: &str = "Nats-Schedule-Target";
const SOURCE: &str = "Nats-Schedule-Source";
const TTL: &str = "Nats-Schedule-TTL";
const ROLLUP: &str = "Nats-Schedule-Rollup";
const ZONE: &str = "Nats-Schedule-Time-Zone";

/// When a schedule is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// Once; Unix nanoseconds.
    At(i64),
    /// Again and again after so many nanoseconds, a second at least.
    Every(i64),
    /// At moments of a calendar.
    Calendar(Cron, Zone),
}

impl When {
    fn parse(text: &str, zone: Option<&str>) -> Result<Self, ApiError> {
        let invalid = ApiError::message_schedules_pattern_invalid;
        if let Some(at) = text.strip_prefix("@at ") {
            return match zone {
                None => Moment::parse(at).map(|at| Self::At(at.0)).ok_or_else(invalid),
                Some(_) => Err(invalid()),
            };
        }
        if let Some(interval) = text.strip_prefix("@every ") {
            let interval = ttl::duration(interval).filter(|interval| *interval >= SECOND && zone.is_none());
            return interval.map(Self::Every).ok_or_else(invalid);
        }
        let zone = match zone {
            None => Zone::utc(),
            Some("Local") => Zone::of_this_machine(),
            Some(name) => Zone::named(name).ok_or_else(ApiError::message_schedules_time_zone_invalid)?,
        };
        Cron::parse(text).map(|cron| Self::Calendar(cron, zone)).ok_or_else(invalid)
    }

    /// When a schedule that was stored at `ts` is due first.
    pub(super) fn first(&self, ts: i64) -> Option<i64> {
        match self {
            Self::At(at) => Some(*at),
            // From a whole second on, as nats-server counts.
            Self::Every(interval) => {
                ts.saturating_add(SECOND / 2).div_euclid(SECOND).checked_mul(SECOND)?.checked_add(*interval)
            }
            Self::Calendar(cron, zone) => cron.next(ts.div_euclid(SECOND), *zone)?.checked_mul(SECOND),
        }
    }

    /// When it is due again after it was at `due`. What was missed until `now` is not made up for.
    pub(super) fn next(&self, due: i64, now: i64) -> Option<i64> {
        match self {
            Self::At(_) => None,
            Self::Every(interval) => {
                let missed = now.saturating_sub(due).max(0) / interval;
                due.checked_add(interval.checked_mul(missed + 1)?)
            }
            Self::Calendar(cron, zone) => cron.next(due.max(now).div_euclid(SECOND), *zone)?.checked_mul(SECOND),
        }
    }

    /// How the header of a message that was made tells when the next one is.
    pub(super) fn show(&self, next: i64) -> String {
        let Self::Calendar(_, zone) = self else { return Moment(next).to_string() };
        let seconds = next.div_euclid(SECOND);
        let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
        at.and_then(|at| at.to_offset(zone.offset_at(seconds)).format(&Rfc3339).ok()).unwrap_or_default()
    }
}

/// A schedule, read from the header block of its message.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    pub(super) when: When,
    /// Where messages are published.
    pub(super) target: &'a str,
    /// The subject whose last message is published in the place of the schedule's own.
    pub(super) source: Option<&'a str>,
    /// What the made messages say of their life.
    pub(super) ttl: Option<&'a str>,
    /// They take the place of all on their subject.
    pub(super) rolls_up: bool,
}

impl<'a> Plan<'a> {
    /// Reads a block whose `Nats-Schedule` is `schedule`.
    ///
    /// # Errors
    ///
    /// 10189, 10223, 10190, 10203, 10166, 10191, 10192: what the publisher is told.
    pub(super) fn read(schedule: &[u8], block: &'a [u8], config: &StreamConfig) -> Result<Self, ApiError> {
        let text = |name| value(block, name).map(|value| std::str::from_utf8(value).unwrap_or("\u{fffd}"));
        let said = |name| text(name).filter(|text| !text.is_empty());
        let schedule = std::str::from_utf8(schedule).map_err(|_| ApiError::message_schedules_pattern_invalid())?;
        let when = When::parse(schedule, text(ZONE))?;
        let taken = |subject: &str| {
            matching::is_literal(subject.as_bytes())
                && cordon_accounts::subject::Pattern::parse(subject).is_ok()
                && config.subjects.iter().any(|one| matching::matches(one.as_bytes(), subject.as_bytes()))
        };
        let target = said(TARGET).filter(|target| taken(target));
        let target = target.ok_or_else(ApiError::message_schedules_target_invalid)?;
        let source = said(SOURCE);
        if source.is_some_and(|source| source == target || !taken(source)) {
            return Err(ApiError::message_schedules_source_invalid());
        }
        let life = said(TTL);
        if life.is_some() && !config.allow_msg_ttl {
            return Err(ApiError::message_ttl_disabled());
        }
        if life.is_some_and(|life| ttl::parse(life.as_bytes()).is_none()) {
            return Err(ApiError::message_schedules_ttl_invalid());
        }
        let rollup = said(ROLLUP);
        if rollup.is_some_and(|rollup| rollup != "sub") {
            return Err(ApiError::message_schedules_rollup_invalid());
        }
        Ok(Self { when, target, source, ttl: life, rolls_up: rollup.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000 * SECOND;

    fn when(text: &str) -> When {
        When::parse(text, None).unwrap()
    }

    #[test]
    fn when_a_schedule_is_due() {
        for (text, first) in [
            ("@at 2027-01-15T08:00:00Z", NOW),
            ("@at 2027-01-15T10:00:00.5+02:00", NOW + SECOND / 2),
            ("@every 1.5s", NOW + SECOND + SECOND / 2),
            ("@every 90000h", NOW + 90_000 * 3600 * SECOND),
            ("30 * * * * *", NOW + 30 * SECOND),
        ] {
            assert_eq!(when(text).first(NOW + 1), Some(first), "{text}");
        }
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        for (text, due, now, next) in [
            ("@every 10s", NOW, NOW, NOW + 10 * SECOND),
            ("@every 10s", NOW, NOW + 10 * SECOND - 1, NOW + 10 * SECOND),
            ("@every 10s", NOW, NOW + 10 * SECOND, NOW + 20 * SECOND),
            ("@every 10s", NOW, NOW + 95 * SECOND, NOW + 100 * SECOND),
            ("@every 10s", NOW, NOW - SECOND, NOW + 10 * SECOND),
            ("0 * * * * *", NOW, NOW, NOW + 60 * SECOND),
            ("0 * * * * *", NOW, NOW + 3600 * SECOND, NOW + 3660 * SECOND),
            ("0 * * * * *", NOW, NOW - SECOND, NOW + 60 * SECOND),
        ] {
            assert_eq!(when(text).next(due, now), Some(next), "{text} {due} {now}");
        }
        assert_eq!(when("@at 2027-01-15T08:00:00Z").next(NOW, NOW), None);
        assert_eq!(when("@every 90000h").next(i64::MAX - 5, i64::MAX), None);
    }

    #[test]
    fn the_next_moment_is_shown_in_the_zone_of_the_schedule() {
        let calendar = When::parse("@daily", Some("Europe/Berlin")).unwrap();
        assert_eq!(calendar.show(NOW), "2027-01-15T09:00:00+01:00");
        assert_eq!(when("@daily").show(NOW), "2027-01-15T08:00:00Z");
        assert_eq!(when("@every 1.7s").show(NOW + 700_000_000), "2027-01-15T08:00:00.7Z");
    }

    #[test]
    fn what_is_no_schedule() {
        for bad in [
            "@at 2030-01-01",
            "@at",
            "@at ",
            "@AT 2030-01-01T00:00:00Z",
            "@every 999ms",
            "@every 0",
            "@every -1s",
            "@every 1",
            "@every",
            "@every 1s 2s",
            "@every 99999999999h",
            "@reboot",
            "x",
        ] {
            assert_eq!(When::parse(bad, None).unwrap_err().err_code, 10189, "{bad}");
        }
        for (text, zone, code) in [
            ("@at 2030-01-01T00:00:00Z", "Europe/Berlin", 10189),
            ("@every 1h", "UTC", 10189),
            ("@daily", "", 10223),
            ("@daily", "Nope", 10223),
            ("@daily", "europe/berlin", 10223),
            ("@daily", "+02:00", 10223),
            ("* * *", "UTC", 10189),
        ] {
            assert_eq!(When::parse(text, Some(zone)).unwrap_err().err_code, code, "{text} {zone}");
        }
    }
}
