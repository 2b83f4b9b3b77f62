//! Users: who may connect, from where, when, and with which permissions.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::envelope::{Claims, Kind};
use super::hours::{Hours, HoursError};
use super::network::{Network, NetworkError};
use super::signing_key::unlimited_unless_said;
use super::{
    PermissionsClaim, ResponseClaim, SubjectsClaim, UnknownFields, Validation, check, is_default, is_false,
    optional_key, strict,
};
use crate::key::{AccountKey, Role, UserKey};
use crate::limits::{ConnectionLimits, Limit};

/// The statement about a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct User {
    /// Permissions, limits and conditions; must be empty when a scoped key signs.
    #[serde(flatten)]
    pub template: UserTemplate,
    /// The account, needed when one of its signing keys signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_account: Option<AccountKey>,
    /// Free labels; `key:value` for templates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

/// Permissions, limits and conditions: a user's own, or those that a scoped signing key gives
/// all its users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TemplateMembers")]
pub struct UserTemplate {
    /// Subjects.
    #[serde(flatten)]
    pub permissions: PermissionsClaim,
    /// Networks in CIDR notation that the user may come from; any when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub src: Vec<String>,
    /// Times of day at which the user may be connected; any when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<TimeRange>,
    /// IANA zone of `times`; the broker's own when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub times_location: String,
    /// Numbers.
    #[serde(flatten)]
    pub limits: UserLimits,
    /// Whether the JWT alone suffices, without a signature of the nonce.
    #[serde(skip_serializing_if = "is_false")]
    pub bearer_token: bool,
    /// Whether the user must come through a trusted proxy.
    #[serde(skip_serializing_if = "is_false")]
    pub proxy_required: bool,
    /// `STANDARD`, `WEBSOCKET`, `LEAFNODE`, `LEAFNODE_WS`, `MQTT`, `MQTT_WS`, `IN_PROCESS`, in
    /// any case; any way when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_connection_types: Vec<String>,
}

impl UserTemplate {
    /// No permissions, no conditions, no limits: what `nsc` starts a user and a scope with.
    pub fn unlimited() -> Self {
        Self { limits: UserLimits::UNLIMITED, ..Self::default() }
    }

    /// Whether nothing is said, and every limit is zero or absent: what a scoped signing key
    /// demands of its users.
    pub fn is_empty(&self) -> bool {
        is_default(self)
    }
}

/// Limits of one connection.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLimits {
    /// Subscriptions.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub subs: Limit,
    /// Bytes in all; nats-server never enforces it.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub data: Limit,
    /// Bytes of one message.
    #[serde(default, skip_serializing_if = "Limit::is_zero")]
    pub payload: Limit,
}

impl UserLimits {
    /// Every number unlimited.
    pub const UNLIMITED: Self = Self { subs: Limit::UNLIMITED, data: Limit::UNLIMITED, payload: Limit::UNLIMITED };

    /// The part that a broker enforces.
    pub fn connection(&self) -> ConnectionLimits {
        ConnectionLimits::new(self.subs, self.payload)
    }
}

/// A span of the day; crosses midnight when it ends before it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// `HH:MM:SS`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// `HH:MM:SS`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub end: String,
}

/// The members of a template side by side, as JSON has them; `flatten` would let the inner
/// structs see members twice.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct TemplateMembers {
    #[serde(rename = "pub")]
    publish: SubjectsClaim,
    #[serde(rename = "sub")]
    subscribe: SubjectsClaim,
    #[serde(rename = "resp")]
    response: Option<ResponseClaim>,
    #[serde(deserialize_with = "networks")]
    src: Vec<String>,
    times: Vec<TimeRange>,
    times_location: String,
    subs: Limit,
    data: Limit,
    payload: Limit,
    bearer_token: bool,
    proxy_required: bool,
    allowed_connection_types: Vec<String>,
}

/// Names of those members, to tell them from a user's others.
const TEMPLATE_MEMBERS: [&str; 12] = [
    "pub",
    "sub",
    "resp",
    "src",
    "times",
    "times_location",
    "subs",
    "data",
    "payload",
    "bearer_token",
    "proxy_required",
    "allowed_connection_types",
];

impl From<TemplateMembers> for UserTemplate {
    fn from(members: TemplateMembers) -> Self {
        Self {
            permissions: PermissionsClaim {
                publish: members.publish,
                subscribe: members.subscribe,
                response: members.response,
            },
            src: members.src,
            times: members.times,
            times_location: members.times_location,
            limits: UserLimits { subs: members.subs, data: members.data, payload: members.payload },
            bearer_token: members.bearer_token,
            proxy_required: members.proxy_required,
            allowed_connection_types: members.allowed_connection_types,
        }
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Rest {
            #[serde(default, deserialize_with = "optional_key")]
            issuer_account: Option<AccountKey>,
            #[serde(default)]
            tags: Vec<String>,
            #[serde(flatten)]
            unknown: UnknownFields,
        }
        let members = UnknownFields::deserialize(deserializer)?;
        let (template, rest): (UnknownFields, UnknownFields) =
            members.into_iter().partition(|(name, _)| TEMPLATE_MEMBERS.contains(&name.as_str()));
        let template = strict::from_value(template.into()).map_err(D::Error::custom)?;
        let rest: Rest = strict::from_value(rest.into()).map_err(D::Error::custom)?;
        Ok(Self { template, issuer_account: rest.issuer_account, tags: rest.tags, unknown: rest.unknown })
    }
}

/// Reads `src`: an array, or one string with commas (jwt `types.go`, `CIDRList`).
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        List(Vec<String>),
        Text(String),
    }
    match Either::deserialize(deserializer) {
        Ok(Either::List(list)) => Ok(list),
        Ok(Either::Text(text)) => Ok(text
            .to_lowercase()
            .split(',')
            .map(str::trim)
            .filter(|network| !network.is_empty())
            .map(str::to_owned)
            .collect()),
        Err(_) => Err(D::Error::custom("`src` must be an array of networks, or one string with commas")),
    }
}

impl Kind for User {
    const NAME: Option<&'static str> = Some("user");
    const SUBJECT: &'static [Role] = &[Role::User];
    const ISSUER: &'static [Role] = &[Role::Account];

    fn validate(claims: &Claims<Self>, found: &mut Validation) {
        claims.nats.template.validate("user", found);
    }

    /// Absent limits of version 1 are unlimited; its `max` was never enforced.
    fn migrate(nats: &mut UnknownFields) {
        nats.remove("type");
        nats.remove("max");
        unlimited_unless_said(nats);
    }
}

impl Claims<User> {
    /// A user that may do everything, as `nsc` starts one.
    pub fn new(subject: UserKey) -> Self {
        let user = User { template: UserTemplate::unlimited(), ..User::default() };
        Self::about(subject.public(), user)
    }

    /// A user for a scoped signing key: without a word of its own.
    pub fn scoped(subject: UserKey) -> Self {
        Self::about(subject.public(), User::default())
    }

    /// The account that the user claims to belong to.
    ///
    /// Never taken from the account's own issuer: that is a key of the operator (T7).
    pub fn account(&self) -> Option<AccountKey> {
        self.nats.issuer_account.or_else(|| AccountKey::try_from(self.issuer).ok())
    }
}

impl UserTemplate {
    /// Appends what is wrong.
    pub(super) fn validate(&self, place: &str, found: &mut Validation) {
        check::permissions(place, &self.permissions, found);
        check::user_limits(place, self.limits, found);
        for network in &self.src {
            found.check(place, Network::parse(network).map(drop));
        }
        found.check(place, self.hours().map(drop));
    }

    /// The networks that the user may come from; none for any.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] for the first that is malformed.
    pub fn networks(&self) -> Result<Vec<Network>, NetworkError> {
        self.src.iter().map(|text| Network::parse(text)).collect()
    }

    /// The times of day at which the user may be connected.
    ///
    /// # Errors
    ///
    /// [`HoursError`] when a time or the zone is malformed.
    pub fn hours(&self) -> Result<Hours, HoursError> {
        Hours::new(&self.times, &self.times_location)
    }
}
