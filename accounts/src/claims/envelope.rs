//! The envelope: who says what about whom, and for how long.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha512_256};

use super::validation::Validation;
use super::{UnknownFields, is_default};
use crate::key::{PublicKey, Role};

/// A signed statement of kind `T`.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims<T> {
    /// `jti`; set when signing, opaque when reading.
    pub id: String,
    /// `iat`, unix seconds; set when signing. Revocations compare with it.
    pub issued_at: i64,
    /// `iss`; set when signing, the subject until then.
    pub issuer: PublicKey,
    /// `sub`: whom the statement is about.
    pub subject: PublicKey,
    /// A name for people; templates may use it.
    pub name: String,
    /// `aud`; only authorization requests and responses need it.
    pub audience: String,
    /// `exp`, unix seconds; 0 for never. Still valid in that very second.
    pub expires: i64,
    /// `nbf`, unix seconds; 0 for at once.
    pub not_before: i64,
    /// The statement.
    pub nats: T,
    /// Members of the envelope that this version does not know.
    pub unknown: UnknownFields,
}

impl<T: Kind> Claims<T> {
    /// An unsigned statement without name or expiry.
    pub fn about(subject: PublicKey, nats: T) -> Self {
        Self {
            id: String::new(),
            issued_at: 0,
            issuer: subject,
            subject,
            name: String::new(),
            audience: String::new(),
            expires: 0,
            not_before: 0,
            nats,
            unknown: UnknownFields::new(),
        }
    }

    /// Whether issuer and subject are the same key.
    pub fn is_self_signed(&self) -> bool {
        self.issuer == self.subject
    }

    /// Checks times and content; nothing here asks whether the issuer is trusted.
    pub fn validate(&self, now: i64) -> Validation {
        let mut found = self.validate_content();
        if self.is_expired(now) {
            found.time("the claims have expired");
        }
        if self.not_before > 0 && self.not_before > now {
            found.time("the claims are not valid yet");
        }
        found
    }

    /// Checks content alone: for an activation inside an import, whose expiry ends the import
    /// and not the account.
    pub fn validate_content(&self) -> Validation {
        let mut found = Validation::default();
        T::validate(self, &mut found);
        found
    }

    /// Whether the claims have ended; at `now == expires` they still hold (jwt `claims.go`).
    pub const fn is_expired(&self, now: i64) -> bool {
        self.expires > 0 && now > self.expires
    }
}

/// A kind of statement: what `nats.type` says.
pub trait Kind: Serialize + DeserializeOwned + Clone + fmt::Debug {
    /// The word in `nats.type`; `None` for generic claims, which keep whatever word they have.
    const NAME: Option<&'static str>;

    /// The roles that the subject may have.
    const SUBJECT: &'static [Role];

    /// The roles that the issuer may have.
    const ISSUER: &'static [Role];

    /// Appends what is wrong with the content.
    fn validate(claims: &Claims<Self>, found: &mut Validation);

    /// Brings the `nats` member of a version 1 token into the shape of version 2; its `tags`
    /// and `issuer_account` have been moved into it already, `kind` is still called `type`.
    fn migrate(nats: &mut UnknownFields) {
        nats.remove("type");
    }

    /// Puts right what reading may leave contradictory.
    fn settle(&mut self) {}
}

/// Every role: for kinds that do not care.
pub(super) const ANY_ROLE: &[Role] = &Role::ALL;

/// The envelope as it is written; the order is the one that the `jti` is computed over.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) aud: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) exp: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) jti: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) iat: i64,
    pub(super) iss: PublicKey,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) nbf: i64,
    pub(super) sub: PublicKey,
}

impl<'a> Written<'a> {
    pub(super) fn new<T>(claims: &'a Claims<T>) -> Self {
        Self {
            aud: &claims.audience,
            exp: claims.expires,
            jti: &claims.id,
            iat: claims.issued_at,
            iss: claims.issuer,
            name: &claims.name,
            nbf: claims.not_before,
            sub: claims.subject,
        }
    }

    /// The `jti`: SHA-512/256 of the envelope without it, in base32 (jwt `claims.go`, `hash`;
    /// ADR-14 says otherwise and is not what anybody does).
    pub(super) fn id(mut self) -> Result<String, serde_json::Error> {
        self.jti = "";
        let json = escape_html(&serde_json::to_string(&self)?);
        Ok(BASE32_NOPAD.encode(&Sha512_256::digest(json)))
    }
}

/// Escapes what Go's encoder escapes in strings; outside of strings none of it occurs in JSON.
pub(super) fn escape_html(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The envelope as it is read, with `nats` still as JSON.
#[derive(Debug, Deserialize)]
pub(super) struct Read {
    #[serde(default)]
    pub(super) aud: String,
    #[serde(default)]
    pub(super) exp: i64,
    #[serde(default)]
    pub(super) jti: String,
    #[serde(default)]
    pub(super) iat: i64,
    #[serde(default)]
    pub(super) iss: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) nbf: i64,
    #[serde(default)]
    pub(super) sub: String,
    #[serde(default)]
    pub(super) nats: UnknownFields,
    #[serde(flatten)]
    pub(super) unknown: UnknownFields,
}

/// Removes members that are `null`: absent to Go, and so to us. A `null` inside an array stays,
/// and is refused by the array's type (CVE-2020-26521).
pub(super) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
