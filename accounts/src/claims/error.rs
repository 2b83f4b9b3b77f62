//! Why tokens cannot be read or written.

use crate::key::{KeyError, Role, SignatureError};
use crate::limits::{JSON_DEPTH_MAX, TOKEN_BYTES_MAX};

/// A key of a role that may not stand where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{place}` may not be a key of role {found} in claims of this kind")]
pub struct RoleError {
    /// `iss` or `sub`.
    pub place: &'static str,
    /// The role that was found.
    pub found: Role,
}

/// Why a token could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// An algorithm other than Ed25519.
    #[error("the token's algorithm `{found}` is not ed25519-nkey")]
    Algorithm {
        /// What the header says.
        found: String,
    },
    /// Not base64url, or padded, or with stray bits.
    #[error("the token's {place} segment is not canonical base64url without padding")]
    Base64 {
        /// Which segment.
        place: &'static str,
    },
    /// Not JSON, or a member of the wrong type.
    #[error("the token's `{place}` cannot be read: {text}")]
    Content {
        /// Where.
        place: &'static str,
        /// What is wrong there.
        text: String,
    },
    /// `iss` is no key.
    #[error("the token's `iss` is not a public key: {0}")]
    Issuer(#[source] KeyError),
    /// Made by a later version of NATS.
    #[error("the token has version {found}, which is newer than this program")]
    NewerVersion {
        /// The token's version.
        found: i64,
    },
    /// Kinds that NATS gave up.
    #[error("tokens of kind `{kind}` are no longer supported")]
    RetiredKind {
        /// Which.
        kind: String,
    },
    /// A wrong role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Not three segments.
    #[error("a token has three segments with dots between them")]
    Segments,
    /// Forged or damaged.
    #[error("the token is not signed by its `iss`: {0}")]
    Signature(#[from] SignatureError),
    /// `sub` is no key.
    #[error("the token's `sub` is not a public key: {0}")]
    Subject(#[source] KeyError),
    /// More nesting than any token has.
    #[error("the token's JSON nests deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// Longer than any token may be.
    #[error("the token has {found} bytes; at most {TOKEN_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The header is not that of a JWT.
    #[error("the token's type `{found}` is not JWT")]
    Type {
        /// What the header says.
        found: String,
    },
    /// No version, or none that ever was.
    #[error("the token has version {found}; versions 1 and 2 are read")]
    Version {
        /// The token's version.
        found: i64,
    },
    /// A good token of another kind.
    #[error("a token of kind `{expected}` is needed, not of kind `{found}`")]
    WrongKind {
        /// What is needed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}

/// Why claims could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Serialization failed.
    #[error("the claims cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The key refused.
    #[error("signing failed: {0}")]
    Key(#[from] KeyError),
    /// A wrong role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The outside signer's signature does not match its key.
    #[error("the signer gave a wrong signature: {0}")]
    Signature(#[from] SignatureError),
    /// Longer than any broker reads.
    #[error("the token would have {found} bytes; at most {TOKEN_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
    },
}
