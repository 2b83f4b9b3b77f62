//! The machine's own time zone: for user claims that limit times of day and name no zone.

use time::{OffsetDateTime, UtcOffset};
use time_tz::{Offset as _, TimeZone as _, Tz};

/// A time zone.
#[derive(Clone, Copy)]
pub struct Zone(&'static Tz);

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Zone {
    /// The zone of that IANA name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        time_tz::timezones::get_by_name(name).map(Self)
    }

    /// Coordinated universal time.
    pub const fn utc() -> Self {
        Self(time_tz::timezones::db::UTC)
    }

    /// The machine's own zone: `TZ`, else what `/etc/localtime` points to, else UTC.
    pub fn of_this_machine() -> Self {
        let variable = std::env::var("TZ").ok();
        let by_variable = variable.and_then(|name| Self::named(name.trim_start_matches(':')));
        by_variable.or_else(zone_of_localtime).unwrap_or_else(Self::utc)
    }

    /// The offset in force at a moment, given in Unix seconds.
    pub fn offset_at(self, now: i64) -> UtcOffset {
        OffsetDateTime::from_unix_timestamp(now)
            .map_or(UtcOffset::UTC, |moment| self.0.get_offset_utc(&moment).to_utc())
    }
}

fn zone_of_localtime() -> Option<Zone> {
    let target = std::fs::canonicalize("/etc/localtime").ok()?;
    let (_, name) = target.to_str()?.split_once("zoneinfo/")?;
    Zone::named(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_follow_the_season() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(berlin.offset_at(1_699_920_000).whole_hours(), 1, "November");
        assert_eq!(berlin.offset_at(1_688_000_000).whole_hours(), 2, "June");
        assert_eq!(Zone::utc().offset_at(0), UtcOffset::UTC);
        assert!(Zone::named("Mars/Olympus").is_none());
    }
}
