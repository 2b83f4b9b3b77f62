//! A moment on the wire: RFC 3339 with nanoseconds, in UTC when we write it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What the protocol writes for "no time".
const NONE: &str = "0001-01-01T00:00:00Z";

/// Unix nanoseconds; 0 is "no time", which is written as the first moment of year 1.
///
/// Moments outside of what 64 bits hold (1677 to 2262) become the nearest one that fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// No time at all.
    pub const NONE: Self = Self(0);

    /// It is a time.
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }

    /// Reads RFC 3339; `None` if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        if at.to_utc().year() <= 1 {
            return Some(Self::NONE);
        }
        let nanos = at.unix_timestamp_nanos().clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Some(Self(i64::try_from(nanos).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_some() {
            return f.write_str(NONE);
        }
        let text =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0)).ok().and_then(|at| at.format(&Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or(NONE))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format_args!("`{}` is no RFC 3339 time", text.escape_debug())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_nanoseconds_and_their_zone_is_utc() {
        for (read, written) in [
            ("2026-08-21T13:50:11.123456789Z", "2026-08-21T13:50:11.123456789Z"),
            ("2026-08-21T15:50:11.5+02:00", "2026-08-21T13:50:11.5Z"),
            ("2026-08-21T13:50:11Z", "2026-08-21T13:50:11Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "2262-04-11T23:47:16.854775807Z"),
        ] {
            assert_eq!(Moment::parse(read).map(|moment| moment.to_string()).as_deref(), Some(written), "{read}");
        }
        for bad in ["", "yesterday", "2026-08-21", "2026-13-01T00:00:00Z", "2026-08-21T13:50:11"] {
            assert_eq!(Moment::parse(bad), None, "{bad}");
        }
    }
}
