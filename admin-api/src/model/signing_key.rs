//! Signing keys and the templates of scoped ones.

use cordon_accounts::claims::{self, TimeRange, UserTemplate};
use cordon_accounts::key::AccountKey;
use cordon_auth::proof::ConnectionType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::user::TimeWindow;
use super::{Answer, Permissions, Time, UserLimits};

/// A signing key of an operator or an account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SigningKey {
    /// The owner: an operator or account key.
    pub owner: String,
    /// The public key.
    pub key: String,
    /// What it may give its users; null for a plain key, which may give anything.
    pub scope: Option<Scope>,
    /// Whether the vault holds its seed, so that it can sign here.
    pub in_vault: bool,
    /// When it was made; null when it came with an import.
    pub created_at: Option<Time>,
    /// Version of its owner: the ETag.
    #[serde(skip)]
    pub owner_version: i64,
}

impl Answer for SigningKey {
    fn version(&self) -> Option<i64> {
        Some(self.owner_version)
    }

    fn location(&self) -> Option<String> {
        let collection = if self.owner.starts_with('O') { "operators" } else { "accounts" };
        Some(format!("{collection}/{}/signing-keys/{}", self.owner, self.key))
    }
}

/// What a scoped key gives its users, and nothing beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// A name; users can be issued by it.
    pub role: String,
    /// Prose.
    #[serde(default)]
    pub description: String,
    /// What the users get. Subjects may use `{{name()}}`, `{{subject()}}`, `{{tag(x)}}` and the like.
    #[serde(default)]
    pub template: Template,
}

/// Permissions, limits and conditions of a user or of all users of a scoped key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Template {
    /// Subjects.
    pub permissions: Permissions,
    /// Numbers.
    pub limits: UserLimits,
    /// Whether the JWT alone suffices.
    pub bearer: bool,
    /// Whether the user must come through a trusted proxy.
    pub proxy_required: bool,
    /// `STANDARD`, `WEBSOCKET`, `LEAFNODE`, `LEAFNODE_WS`, `MQTT`, `MQTT_WS`, `IN_PROCESS`; any when empty.
    pub connection_types: Vec<String>,
    /// Networks in CIDR notation; any when empty.
    pub source_networks: Vec<String>,
    /// Times of day; any when empty.
    pub times: Vec<TimeWindow>,
    /// IANA zone of `times`; the broker's own when empty.
    pub time_zone: String,
}

/// A signing key to be made, or brought.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewSigningKey {
    /// The public key, when its owner keeps the seed; without it a key is generated into the vault.
    #[schema(value_type = Option<String>)]
    pub key: Option<AccountKey>,
    /// What it may give its users; absent for a plain key.
    pub scope: Option<Scope>,
}

/// A signing key's new scope.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyPatch {
    /// What it may give its users; null makes it a plain key.
    pub scope: Option<Scope>,
}

impl Template {
    /// The template of a claim.
    ///
    /// # Errors
    ///
    /// The field and what is wrong with it.
    pub fn to_claim(&self) -> Result<UserTemplate, (String, String)> {
        // A word that no broker knows would let its user in nowhere.
        if let Some(error) = self.connection_types.iter().find_map(|kind| kind.parse::<ConnectionType>().err()) {
            return Err(("connection_types".to_owned(), error.to_string()));
        }
        Ok(UserTemplate {
            permissions: (&self.permissions).into(),
            src: self.source_networks.clone(),
            times: self.times.iter().map(TimeRange::from).collect(),
            times_location: self.time_zone.clone(),
            limits: self.limits.to_claim()?,
            bearer_token: self.bearer,
            proxy_required: self.proxy_required,
            allowed_connection_types: self.connection_types.iter().map(|kind| kind.to_ascii_uppercase()).collect(),
        })
    }
}

impl From<&UserTemplate> for Template {
    fn from(claim: &UserTemplate) -> Self {
        Self {
            permissions: (&claim.permissions).into(),
            limits: (&claim.limits).into(),
            bearer: claim.bearer_token,
            proxy_required: claim.proxy_required,
            connection_types: claim.allowed_connection_types.clone(),
            source_networks: claim.src.clone(),
            times: claim.times.iter().map(TimeWindow::from).collect(),
            time_zone: claim.times_location.clone(),
        }
    }
}

impl Scope {
    /// The signing key of a claim.
    ///
    /// # Errors
    ///
    /// The field and what is wrong with it.
    pub fn to_claim(&self, key: AccountKey) -> Result<claims::Scope, (String, String)> {
        let role_good = !self.role.is_empty() && super::plain_text(&self.role, 128).is_ok();
        if !role_good {
            return Err(("scope.role".to_owned(), "a scope needs a role name of at most 128 bytes".to_owned()));
        }
        let template =
            self.template.to_claim().map_err(|(field, detail)| (format!("scope.template.{field}"), detail))?;
        Ok(claims::Scope { key, role: self.role.clone(), template, description: self.description.clone() })
    }
}

impl From<&claims::Scope> for Scope {
    fn from(claim: &claims::Scope) -> Self {
        Self {
            role: claim.role.clone(),
            description: claim.description.clone(),
            template: Template::from(&claim.template),
        }
    }
}
