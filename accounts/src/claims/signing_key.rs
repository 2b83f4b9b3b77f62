//! Signing keys of accounts, plain or bound to a template.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};

use super::{UserTemplate, strict};
use crate::key::AccountKey;

/// The only kind of scope there is (jwt `signingkeys.go`).
const USER_SCOPE: &str = "user_scope";

/// A key that signs users in an account's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// May sign any user.
    Plain(AccountKey),
    /// All its users get the template and nothing else.
    Scoped(Box<Scope>),
}

impl SigningKey {
    /// The key itself.
    pub const fn key(&self) -> AccountKey {
        match self {
            Self::Plain(key) => *key,
            Self::Scoped(scope) => scope.key,
        }
    }

    /// The scope, if there is one.
    pub fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Plain(_) => None,
            Self::Scoped(scope) => Some(scope),
        }
    }
}

/// What a scoped signing key gives its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The key.
    pub key: AccountKey,
    /// A name for people.
    pub role: String,
    /// Permissions, limits and conditions of all users it signs.
    pub template: UserTemplate,
    /// Prose.
    pub description: String,
}

impl Scope {
    /// A scope that gives everything.
    pub fn new(key: AccountKey, role: impl Into<String>) -> Self {
        Self { key, role: role.into(), template: UserTemplate::unlimited(), description: String::new() }
    }
}

impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(key) => key.serialize(serializer),
            Self::Scoped(scope) => scope.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => AccountKey::parse(&text).map(Self::Plain).map_err(de::Error::custom),
            scope @ Value::Object(_) => {
                strict::from_value(scope).map(|scope| Self::Scoped(Box::new(scope))).map_err(de::Error::custom)
            }
            _ => Err(de::Error::custom("a signing key must be an account key or a scope object")),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let limits = self.template.limits;
        let mut template = serde_json::to_value(&self.template).map_err(S::Error::custom)?;
        if let Value::Object(members) = &mut template {
            // An absent limit of a template reads as unlimited, so zero must be said.
            for (name, limit) in [("subs", limits.subs), ("data", limits.data), ("payload", limits.payload)] {
                members.entry(name).or_insert(json!(limit));
            }
        }
        json!({
            "kind": USER_SCOPE,
            "key": self.key,
            "role": self.role,
            "template": template,
            "description": self.description,
        })
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            kind: String,
            key: AccountKey,
            #[serde(default)]
            role: String,
            #[serde(default)]
            template: serde_json::Map<String, Value>,
            #[serde(default)]
            description: String,
        }
        let mut wire = Wire::deserialize(deserializer)?;
        if wire.kind != USER_SCOPE {
            return Err(de::Error::custom("the scope of a signing key has an unknown kind"));
        }
        unlimited_unless_said(&mut wire.template);
        Ok(Self {
            key: wire.key,
            role: wire.role,
            template: strict::from_value(Value::Object(wire.template)).map_err(de::Error::custom)?,
            description: wire.description,
        })
    }
}

/// Fills in -1 for limits that are absent, as templates and version 1 users want it.
pub(super) fn unlimited_unless_said(template: &mut serde_json::Map<String, Value>) {
    for name in ["subs", "data", "payload"] {
        template.entry(name).or_insert(json!(-1));
    }
}
