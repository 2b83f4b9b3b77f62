//! The one place that reads the machine's clock, and the clock that tests turn by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A source of time: the machine's, or one that a test moves.
///
/// Cheap to clone; clones of a manual clock show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System {
        started: Instant,
    },
    /// Nanoseconds since the Unix epoch.
    Manual {
        unix_nanos: Arc<AtomicI64>,
        started_nanos: i64,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { source: Source::System { started: Instant::now() } }
    }

    /// A clock that stands at `unix_seconds` until [`Clock::advance`] moves it.
    pub fn manual(unix_seconds: i64) -> Self {
        let nanos = unix_seconds.saturating_mul(NANOS_PER_SECOND);
        Self { source: Source::Manual { unix_nanos: Arc::new(AtomicI64::new(nanos)), started_nanos: nanos } }
    }

    /// Moves a manual clock forward; the machine's clock does not listen.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { unix_nanos, .. } = &self.source {
            let step = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
            unix_nanos.fetch_add(step, Ordering::SeqCst);
        }
    }

    /// Wall-clock time in whole seconds since the Unix epoch: the unit of JWT claims.
    pub fn unix_seconds(&self) -> i64 {
        self.unix_nanos().div_euclid(NANOS_PER_SECOND)
    }

    /// Wall-clock time in nanoseconds since the Unix epoch. May jump when the machine's time is set.
    pub fn unix_nanos(&self) -> i64 {
        match &self.source {
            Source::System { .. } => system_unix_nanos(),
            Source::Manual { unix_nanos, .. } => unix_nanos.load(Ordering::SeqCst),
        }
    }

    /// Nanoseconds since this clock was made. Never goes back: for deadlines, rates and ages.
    pub fn nanos(&self) -> u64 {
        match &self.source {
            Source::System { started } => u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Source::Manual { unix_nanos, started_nanos } => {
                let passed = unix_nanos.load(Ordering::SeqCst).saturating_sub(*started_nanos);
                u64::try_from(passed).unwrap_or(0)
            }
        }
    }

    /// Wall-clock time as a date in UTC.
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.unix_nanos())).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Wall-clock time as RFC 3339 text in UTC, as events and monitoring print it.
    pub fn rfc3339(&self) -> String {
        self.now().format(&Rfc3339).unwrap_or_default()
    }

    /// Nanoseconds since midnight UTC.
    pub fn nanos_of_day(&self) -> u64 {
        let day = 86_400 * NANOS_PER_SECOND;
        u64::try_from(self.unix_nanos().rem_euclid(day)).unwrap_or(0)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the machine's clock")]
fn system_unix_nanos() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(1_700_000_000);
        let other = clock.clone();
        assert_eq!(clock.unix_seconds(), 1_700_000_000);
        assert_eq!(clock.nanos(), 0);
        other.advance(Duration::from_millis(2500));
        assert_eq!(clock.unix_seconds(), 1_700_000_002);
        assert_eq!(clock.nanos(), 2_500_000_000);
        assert_eq!(clock.rfc3339(), "2023-11-14T22:13:22.5Z");
    }

    #[test]
    fn the_time_of_day_wraps_at_midnight() {
        let clock = Clock::manual(86_399);
        assert_eq!(clock.nanos_of_day(), 86_399_000_000_000);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.nanos_of_day(), 0);
    }

    #[test]
    fn the_system_clock_is_after_this_was_written_and_ignores_advance() {
        let clock = Clock::system();
        clock.advance(Duration::from_secs(1_000_000_000));
        assert!(clock.unix_seconds() > 1_700_000_000);
        assert!(clock.unix_seconds() < 1_700_000_000 + 100 * 366 * 86_400);
        let earlier = clock.nanos();
        assert!(clock.nanos() >= earlier);
    }
}
