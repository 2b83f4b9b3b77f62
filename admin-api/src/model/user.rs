//! Users, their issuing and their revocation.

use cordon_accounts::claims::TimeRange;
use cordon_accounts::key::UserKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::signing_key::Template;
use super::{Answer, Permissions, Time, UserLimits, nullable};

/// A span of the day; crosses midnight when it ends before it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeWindow {
    /// `HH:MM:SS`.
    pub start: String,
    /// `HH:MM:SS`.
    pub end: String,
}

impl From<&TimeRange> for TimeWindow {
    fn from(range: &TimeRange) -> Self {
        Self { start: range.start.clone(), end: range.end.clone() }
    }
}

impl From<&TimeWindow> for TimeRange {
    fn from(window: &TimeWindow) -> Self {
        Self { start: window.start.clone(), end: window.end.clone() }
    }
}

/// A user of an account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct User {
    /// The user key.
    pub key: String,
    /// The account.
    pub account: String,
    /// Its name; unique in its account.
    pub name: String,
    /// `active`, `revoked` or `deleted`.
    pub state: String,
    /// The account's key that signed its JWT.
    pub signing_key: String,
    /// The role of that key, when it is scoped: then permissions and limits come from there.
    pub role: Option<String>,
    /// What holds for it: its own, or those of its role before placeholders are filled in.
    #[serde(flatten)]
    pub template: Template,
    /// Free labels.
    pub tags: Vec<String>,
    /// The `jti` of its current JWT.
    pub jti: String,
    /// When its current JWT was issued.
    pub issued_at: Time,
    /// When it expires; null for never.
    pub expires_at: Option<Time>,
    /// Counts changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl Answer for User {
    fn version(&self) -> Option<i64> {
        Some(self.version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("accounts/{}/users/{}", self.account, self.key))
    }
}

/// A user to be issued.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewUser {
    /// Its name; unique in its account.
    pub name: String,
    /// The public key, when the user keeps the seed; without it a key is generated and shown once.
    #[schema(value_type = Option<String>)]
    pub key: Option<UserKey>,
    /// Which key of the account signs: a public key, or the role of a scoped one. Without it the
    /// account's identity signs, or a plain signing key where the identity may not or cannot.
    pub signing_key: Option<String>,
    /// Subjects. Not with a scoped key.
    pub permissions: Option<Permissions>,
    /// Numbers. Not with a scoped key.
    pub limits: Option<UserLimits>,
    /// Whether the JWT alone suffices. Not with a scoped key.
    pub bearer: Option<bool>,
    /// Whether the user must come through a trusted proxy. Not with a scoped key.
    pub proxy_required: Option<bool>,
    /// How it may connect; any way when empty. Not with a scoped key.
    pub connection_types: Option<Vec<String>>,
    /// From where, in CIDR notation; anywhere when empty. Not with a scoped key.
    pub source_networks: Option<Vec<String>>,
    /// When; at any time when empty. Not with a scoped key.
    pub times: Option<Vec<TimeWindow>>,
    /// IANA zone of `times`. Not with a scoped key.
    pub time_zone: Option<String>,
    /// Free labels; `key:value` for templates.
    pub tags: Vec<String>,
    /// When its JWT expires.
    pub expires_at: Option<Time>,
    /// In how many seconds its JWT expires; instead of `expires_at`.
    pub expires_in_seconds: Option<i64>,
}

/// A change of a user: what is absent stays. The result is a new JWT for the same key; earlier ones are
/// revoked.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserPatch {
    /// Its name.
    pub name: Option<String>,
    /// Which key of the account signs: a public key, or the role of a scoped one.
    pub signing_key: Option<String>,
    /// Subjects.
    pub permissions: Option<Permissions>,
    /// Numbers.
    pub limits: Option<UserLimits>,
    /// Whether the JWT alone suffices.
    pub bearer: Option<bool>,
    /// Whether the user must come through a trusted proxy.
    pub proxy_required: Option<bool>,
    /// How it may connect.
    pub connection_types: Option<Vec<String>>,
    /// From where.
    pub source_networks: Option<Vec<String>>,
    /// When.
    pub times: Option<Vec<TimeWindow>>,
    /// IANA zone of `times`.
    pub time_zone: Option<String>,
    /// Free labels.
    pub tags: Option<Vec<String>>,
    /// When its JWT expires; null for never.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<Time>)]
    pub expires_at: Option<Option<Time>>,
    /// In how many seconds its JWT expires; instead of `expires_at`.
    pub expires_in_seconds: Option<i64>,
}

/// How a user's credentials are renewed.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Renewal {
    /// Whether a new key replaces the present one, which is revoked. Otherwise the same key gets a new JWT.
    pub rotate_key: bool,
    /// When the new JWT expires; as long as the present one when both fields are absent.
    pub expires_at: Option<Time>,
    /// In how many seconds it expires; instead of `expires_at`.
    pub expires_in_seconds: Option<i64>,
}

/// A user that was just issued. Secrets in it are shown once.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedUser {
    /// The user.
    pub user: User,
    /// Its JWT. With `bearer` it is a secret. Null when the request is repeated.
    pub jwt: Option<String>,
    /// The creds file with the seed. Null when the user keeps its seed, and when the request is repeated:
    /// the seed is stored nowhere.
    pub creds: Option<String>,
}

impl std::fmt::Debug for IssuedUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IssuedUser").field("user", &self.user.key).finish_non_exhaustive()
    }
}

impl Answer for IssuedUser {
    fn blanked(&self) -> Value {
        serde_json::json!({ "user": self.user, "jwt": null, "creds": null })
    }

    fn version(&self) -> Option<i64> {
        self.user.version()
    }

    fn location(&self) -> Option<String> {
        self.user.location()
    }
}

/// A revocation: no JWT of this user that was issued at or before this time is good.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Revocation {
    /// A user key, or `*` for all users of the account.
    pub user: String,
    /// The time.
    pub before: Time,
    /// Whose revocation it is, for the location.
    #[serde(skip)]
    pub account: String,
    /// Version of the account: the ETag.
    #[serde(skip)]
    pub account_version: i64,
}

impl Answer for Revocation {
    fn version(&self) -> Option<i64> {
        Some(self.account_version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("accounts/{}/revocations", self.account))
    }
}

/// A user to be revoked.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRevocation {
    /// A user key, or `*` for all users of the account.
    pub user: String,
    /// Everything issued at or before this time; now when absent.
    #[serde(default)]
    pub at: Option<Time>,
}
