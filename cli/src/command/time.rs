//! Durations as people write them.

use clap::Args;

use super::body::Body;

/// When something that is issued ends.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Expiry {
    /// How long it is valid: 90s, 15m, 12h, 30d
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with = "expires_at")]
    pub(crate) expires_in: Option<i64>,
    /// Until when it is valid: 2030-01-31T00:00:00Z
    #[arg(long, value_name = "RFC 3339")]
    pub(crate) expires_at: Option<String>,
}

impl Expiry {
    pub(crate) fn body(&self) -> Body {
        Body::default().maybe("expires_in_seconds", self.expires_in).maybe("expires_at", self.expires_at.clone())
    }
}

/// `15m` as seconds.
pub(crate) fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no duration; write 90s, 15m, 12h or 30d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: i64 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// `15m` as milliseconds; `250ms` too.
pub(crate) fn milliseconds(text: &str) -> Result<i64, String> {
    if let Some(number) = text.strip_suffix("ms") {
        return number
            .parse()
            .ok()
            .filter(|ms| *ms > 0)
            .ok_or_else(|| format!("`{text}` is no duration; write 250ms, 5s or 1m"));
    }
    seconds(text)?.checked_mul(1000).ok_or_else(|| format!("`{text}` is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, meant) in [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(seconds(text), Ok(meant));
        }
        for wrong in ["", "s", "5", "-5s", "0s", "1.5h", "5 m", "soon", "5w", "9223372036854775807d", "5é"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(milliseconds("250ms"), Ok(250));
        assert_eq!(milliseconds("2s"), Ok(2000));
        assert!(milliseconds("0ms").is_err());
    }
}
