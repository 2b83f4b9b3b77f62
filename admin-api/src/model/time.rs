//! Points in time: unix seconds inside, RFC 3339 text outside.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// A point in time in whole seconds; on the wire RFC 3339 text in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-23T08:00:00Z")]
pub struct Time(pub i64);

impl Time {
    /// The time of a field where zero means "none".
    pub fn unless_zero(seconds: i64) -> Option<Self> {
        (seconds != 0).then_some(Self(seconds))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        formatter.write_str(&time.format(&Rfc3339).unwrap_or_default())
    }
}

impl std::str::FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|time| Self(time.unix_timestamp()))
            .map_err(|_| "a time must be RFC 3339 text, such as 2026-11-23T08:00:00Z".to_owned())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The expiry that two fields name together, in unix seconds; `None` for never.
///
/// # Errors
///
/// The field and a sentence: both given, in the past, or beyond what a time can be.
pub fn expiry(at: Option<Time>, in_seconds: Option<i64>, now: i64) -> Result<Option<i64>, (&'static str, String)> {
    match (at, in_seconds) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(("expires_in_seconds", "give `expires_at` or `expires_in_seconds`, not both".to_owned()))
        }
        (Some(Time(at)), None) if at > now => Ok(Some(at)),
        (Some(at), None) => Err(("expires_at", format!("`{at}` is not in the future"))),
        (None, Some(seconds)) if (1..=100 * 366 * 86_400).contains(&seconds) => Ok(Some(now + seconds)),
        (None, Some(seconds)) => {
            Err(("expires_in_seconds", format!("`{seconds}` is not between one second and a hundred years")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_back_as_it_was_written() {
        let time: Time = serde_json::from_str("\"2026-11-23T09:00:00+01:00\"").unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-23T08:00:00Z\"");
        for bad in ["\"\"", "\"2026-11-23\"", "1780000000", "\"2026-13-01T00:00:00Z\"", "null"] {
            assert!(serde_json::from_str::<Time>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_expiry_lies_ahead_and_is_said_once() {
        assert_eq!(expiry(None, None, 100), Ok(None));
        assert_eq!(expiry(Some(Time(101)), None, 100), Ok(Some(101)));
        assert_eq!(expiry(None, Some(5), 100), Ok(Some(105)));
        for (at, seconds, field) in [
            (Some(Time(100)), None, "expires_at"),
            (Some(Time(-1)), None, "expires_at"),
            (None, Some(0), "expires_in_seconds"),
            (None, Some(-1), "expires_in_seconds"),
            (None, Some(i64::MAX), "expires_in_seconds"),
            (Some(Time(200)), Some(1), "expires_in_seconds"),
        ] {
            assert_eq!(expiry(at, seconds, 100).unwrap_err().0, field, "{at:?} {seconds:?}");
        }
    }
}
