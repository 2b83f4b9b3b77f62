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
mod activation;
mod authorization;
mod export;
mod generic;
mod import;
mod operator;
mod permissions;
pub mod revocation;
mod signing_key;
mod user;

pub use account::{
    Account, AccountLimits, ExternalAuthorization, JetStreamLimits, Mapping, Trace,
};
pub use activation::Activation;
pub use authorization::{
    AuthorizationRequest, AuthorizationResponse, ClientInformation, ClientTls, ConnectOptions,
    REQUEST_AUDIENCE, ServerId,
};
pub use export::{Export, ExportKind, ResponseType, Sampling, ServiceLatency};
pub use generic::Generic;
pub use import::Import;
pub use operator::Operator;
pub use permissions::{PermissionsClaim, ResponseClaim, SubjectsClaim};
pub use revocation::Revocations;
pub use signing_key::{Scope, SigningKey};
pub use user::{TimeRange, User, UserLimits, UserTemplate};

/// Members that this version does not know, kept as they came.
pub type UnknownFields = serde_json::Map<String, serde_json::Value>;

/// For `skip_serializing_if`: serde passes by reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's calling convention")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Whether a value is what its type defaults to; such members are left out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
