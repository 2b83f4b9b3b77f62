//! API tokens.

use cordon_accounts::key::AccountKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Answer, Time};
use crate::roles::RoleName;

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Token {
    /// Its id; no secret.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: RoleName,
    /// For which accounts; account admins only.
    pub accounts: Vec<String>,
    /// When it expires; null for never.
    pub expires_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// When it was last used, to within some minutes.
    pub last_used_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Counts changes.
    #[serde(skip)]
    pub version: i64,
}

impl Answer for Token {
    fn version(&self) -> Option<i64> {
        Some(self.version)
    }

    fn location(&self) -> Option<String> {
        Some(format!("tokens/{}", self.id))
    }
}

/// An API token to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: RoleName,
    /// For which accounts; needed for account admins, and for them only.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub accounts: Vec<AccountKey>,
    /// When it expires.
    #[serde(default)]
    pub expires_at: Option<Time>,
    /// In how many seconds it expires; instead of `expires_at`.
    #[serde(default)]
    pub expires_in_seconds: Option<i64>,
}

/// A token that was just made. Its secret is shown once.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedToken {
    /// The token.
    pub token: Token,
    /// What callers send. Null when the request is repeated: only a hash is stored.
    pub secret: Option<String>,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IssuedToken").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Answer for IssuedToken {
    fn blanked(&self) -> Value {
        serde_json::json!({ "token": self.token, "secret": null })
    }

    fn version(&self) -> Option<i64> {
        self.token.version()
    }

    fn location(&self) -> Option<String> {
        self.token.location()
    }
}
