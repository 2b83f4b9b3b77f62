//! Limits as claims state them, and the effective minimum of several.

use serde::{Deserialize, Serialize};

/// The longest JWT that is read or written, in bytes.
pub const TOKEN_BYTES_MAX: usize = 1024 * 1024;

/// How deep the JSON of a JWT may nest.
pub const JSON_DEPTH_MAX: usize = 32;

/// The longest `description` or `info_url`, in bytes (jwt `exports.go`).
pub const INFO_BYTES_MAX: usize = 8 * 1024;

/// The most exports, and the most imports, of one account: each is compared with every other.
pub const SHARES_MAX: usize = 4096;

/// The longest creds file that is read, in bytes: two tokens and room to spare.
pub const CREDS_BYTES_MAX: usize = TOKEN_BYTES_MAX + 64 * 1024;

/// A number that bounds something; -1 is unlimited.
///
/// Zero really means none, also when the field is absent from the JSON: a hand-written account
/// without `subs` may not subscribe at all (jwt `account_claims.go`).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limit(pub i64);

impl Limit {
    /// No bound.
    pub const UNLIMITED: Self = Self(-1);

    /// Whether there is no bound.
    pub const fn is_unlimited(self) -> bool {
        self.0 == -1
    }

    /// Whether the number is zero, which is how absence reads.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// Whether the number means something: -1 or more.
    pub const fn is_meaningful(self) -> bool {
        self.0 >= -1
    }

    /// The bound, `None` when there is none.
    ///
    /// Clamped to what 31 bits hold and never wrapped; a meaningless negative number bounds to
    /// zero, as it does upstream.
    pub fn bound(self) -> Option<u32> {
        if self.is_unlimited() {
            return None;
        }
        let clamped = self.0.clamp(0, i64::from(i32::MAX));
        Some(u32::try_from(clamped).unwrap_or_default())
    }
}

impl From<i64> for Limit {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

/// What one connection may use; `None` is unlimited.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionLimits {
    /// Subscriptions open at one time.
    pub subscriptions: Option<u32>,
    /// Bytes of one message, header included.
    pub payload: Option<u32>,
}

impl ConnectionLimits {
    /// No limits.
    pub const UNLIMITED: Self = Self { subscriptions: None, payload: None };

    /// Reads the two limits that claims carry.
    pub fn new(subscriptions: Limit, payload: Limit) -> Self {
        Self { subscriptions: subscriptions.bound(), payload: payload.bound() }
    }

    /// The tighter of both, number by number.
    pub fn min(self, other: Self) -> Self {
        Self {
            subscriptions: tighter(self.subscriptions, other.subscriptions),
            payload: tighter(self.payload, other.payload),
        }
    }
}

/// The tighter of two bounds of which each may be absent.
pub fn tighter<N: Ord>(one: Option<N>, other: Option<N>) -> Option<N> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_clamp_and_never_wrap() {
        let table = [
            (-1, None),
            (0, Some(0)),
            (7, Some(7)),
            (1 << 40, Some(i32::MAX as u32)),
            (i64::MAX, Some(i32::MAX as u32)),
            (-2, Some(0)),
            (i64::MIN, Some(0)),
        ];
        for (number, bound) in table {
            assert_eq!(Limit(number).bound(), bound, "{number}");
        }
    }

    #[test]
    fn the_minimum_ignores_what_is_unlimited() {
        let user = ConnectionLimits::new(Limit(-1), Limit(100));
        let account = ConnectionLimits::new(Limit(5), Limit(-1));
        let expected = ConnectionLimits { subscriptions: Some(5), payload: Some(100) };
        assert_eq!(user.min(account), expected);
        assert_eq!(account.min(user), expected);
        assert_eq!(expected.min(ConnectionLimits::UNLIMITED), expected);
    }
}
