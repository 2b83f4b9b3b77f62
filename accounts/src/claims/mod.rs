//! Claims: signed statements about operators, accounts, users and activations.
//!
//! Two levels, as on the wire: [`Claims`] is the envelope (who says what about whom, and for how
//! long), its `nats` member is the statement itself ([`Operator`], [`Account`], [`User`], ..).
//! Fields that this version does not know are kept on both levels, so that reading and signing
//! again loses nothing.
//!
//! [`decode`] turns a token into [`Verified`] claims: size, shape, version, signature and the
//! roles of issuer and subject are right. Whether the issuer is *trusted* is for the caller to
//! say, and whether the statement makes sense for [`Claims::validate`].
//!
//! Interchangeable with `nsc` and nats-server: names, omitted fields, defaults and the `jti` are
//! those of nats-io/jwt v2.

mod account;
mod account_rules;
mod activation;
mod authorization;
mod check;
mod envelope;
mod error;
mod export;
mod generic;
mod hours;
mod import;
mod network;
mod operator;
mod permissions;
pub mod revocation;
mod signing_key;
mod strict;
#[cfg(test)]
mod tests;
mod token;
mod user;
mod validation;

pub use account::{Account, AccountLimits, ExternalAuthorization, JetStreamLimits, Mapping, Signer, Trace};
pub use activation::Activation;
pub use authorization::{
    AuthorizationRequest, AuthorizationResponse, ClientInformation, ClientTls, ConnectOptions, REQUEST_AUDIENCE,
    ServerId,
};
pub use envelope::{Claims, Kind};
pub use error::{ClaimsError, EncodeError, RoleError};
pub use export::{Export, ExportKind, ResponseType, Sampling, ServiceLatency};
pub use generic::Generic;
pub use hours::{Hours, HoursError, Presence};
pub use import::Import;
pub use network::{Network, NetworkError};
pub use operator::Operator;
pub use permissions::{PermissionsClaim, ResponseClaim, SubjectsClaim};
pub use revocation::Revocations;
pub use signing_key::{Scope, SigningKey};
pub use token::{Unverified, Verified, decode};
pub use user::{TimeRange, User, UserLimits, UserTemplate};
pub use validation::{InvalidClaims, Issue, Severity, Validation};

/// Claims about an account.
pub type AccountClaims = Claims<Account>;
/// Claims that let an account import a private export.
pub type ActivationClaims = Claims<Activation>;
/// A broker's question to an auth callout.
pub type AuthorizationRequestClaims = Claims<AuthorizationRequest>;
/// An auth callout's answer.
pub type AuthorizationResponseClaims = Claims<AuthorizationResponse>;
/// Claims of no fixed kind.
pub type GenericClaims = Claims<Generic>;
/// Claims about an operator.
pub type OperatorClaims = Claims<Operator>;
/// Claims about a user.
pub type UserClaims = Claims<User>;

/// Members that this version does not know, kept as they came.
pub type UnknownFields = serde_json::Map<String, serde_json::Value>;

/// Reads a key that need not be there; Go writes empty text when it is not.
fn optional_key<'de, K, D>(deserializer: D) -> Result<Option<K>, D::Error>
where
    K: std::str::FromStr<Err = crate::key::KeyError>,
    D: serde::Deserializer<'de>,
{
    use serde::Deserialize;
    use serde::de::Error;
    match Option::<String>::deserialize(deserializer)? {
        Some(text) if !text.is_empty() => text.parse().map(Some).map_err(D::Error::custom),
        _ => Ok(None),
    }
}

/// For `skip_serializing_if`: serde passes by reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's calling convention")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Whether a value is what its type defaults to; such members are left out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
