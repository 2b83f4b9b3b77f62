//! NKeys: Ed25519 and X25519 keys in a checksummed text form that says what the key is for.
//!
//! A key is read once, at the border of the program, into a [`PublicKey`] or into one of the
//! types that also fix its role ([`AccountKey`], [`UserKey`], ..). After that nobody looks at
//! text again. A [`Seed`] is the private half.
//!
//! Source of the format: nats-io/nkeys `strkey.go`, `crc16.go`, `xkeys.go`.

mod seed;
mod strkey;
#[cfg(test)]
mod tests;
mod typed;

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use seed::Seed;
pub use typed::{AccountKey, ClusterKey, CurveKey, OperatorKey, ServerKey, UserKey};

/// Number of characters of a public key's text.
pub const PUBLIC_KEY_CHARS: usize = 56;

/// Number of characters of a seed's text.
pub const SEED_CHARS: usize = 58;

/// What a key is for; the first character of its text.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `A`: a tenant's identity and signing keys.
    Account,
    /// `C`: reserved by NATS for clusters.
    Cluster,
    /// `X`: an X25519 key; seals and opens, never signs.
    Curve,
    /// `O`: the root of trust; signs accounts.
    Operator,
    /// `N`: a server's identity.
    Server,
    /// `U`: a client's identity; signs the nonce.
    User,
}

impl Role {
    /// Every role that a key can have.
    pub const ALL: [Self; 6] = [Self::Account, Self::Cluster, Self::Curve, Self::Operator, Self::Server, Self::User];

    /// The prefix byte of the text form (nkeys `strkey.go`).
    const fn prefix(self) -> u8 {
        match self {
            Self::Account => 0,
            Self::Cluster => 2 << 3,
            Self::Curve => 23 << 3,
            Self::Operator => 14 << 3,
            Self::Server => 13 << 3,
            Self::User => 20 << 3,
        }
    }

    /// The role that has exactly this prefix byte; upstream masks the low bits, which would let
    /// several texts stand for one key.
    fn from_prefix(prefix: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.prefix() == prefix)
    }

    /// The first character of a public key of this role.
    pub const fn letter(self) -> char {
        match self {
            Self::Account => 'A',
            Self::Cluster => 'C',
            Self::Curve => 'X',
            Self::Operator => 'O',
            Self::Server => 'N',
            Self::User => 'U',
        }
    }

    /// The role's name, as people say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Cluster => "cluster",
            Self::Curve => "curve",
            Self::Operator => "operator",
            Self::Server => "server",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A public key of any role.
///
/// Two keys are equal exactly when their texts are: decoding accepts one text for each key.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey {
    role: Role,
    bytes: [u8; 32],
}

impl PublicKey {
    /// Reads the 56-character text form.
    ///
    /// # Errors
    ///
    /// [`KeyError`] unless the text is canonical, its checksum right and its role public.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (role, bytes) = strkey::decode_public(text)?;
        Ok(Self { role, bytes })
    }

    /// Puts a role to 32 bytes that are already known to be a key.
    pub const fn from_bytes(role: Role, bytes: [u8; 32]) -> Self {
        Self { role, bytes }
    }

    /// What the key is for.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The bare 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Checks an Ed25519 signature by the strict rule: canonical encodings, no small-order keys.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] when the key cannot sign, the bytes are no signature, or it is not one
    /// of `message` by this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if self.role == Role::Curve {
            return Err(SignatureError::KeyCannotSign);
        }
        let found = signature.len();
        let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Length { found })?;
        let key = VerifyingKey::from_bytes(&self.bytes).map_err(|_| SignatureError::NotAKey)?;
        key.verify_strict(message, &signature).map_err(|_| SignatureError::Mismatch)
    }

    /// The key, if it has the role that is needed.
    ///
    /// # Errors
    ///
    /// [`KeyError::WrongRole`] otherwise.
    pub fn require(self, expected: Role) -> Result<Self, KeyError> {
        if self.role == expected { Ok(self) } else { Err(KeyError::WrongRole { expected, found: self.role }) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&strkey::encode_public(self.role, &self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl de::Visitor<'_> for KeyVisitor {
    type Value = PublicKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public key")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PublicKey, E> {
        PublicKey::parse(text).map_err(E::custom)
    }
}

/// Why a key could not be read or used.
///
/// The text that was given is never part of the message: it might be a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A curve key was asked to sign.
    #[error("a curve key cannot sign; use an operator, account, user or server key")]
    CannotSign,
    /// A signing key was asked to seal or open.
    #[error("a key of role {role} cannot seal or open; use a curve key")]
    CannotSeal {
        /// The role of the key that was used.
        role: Role,
    },
    /// The checksum does not match: a character was changed or left out.
    #[error("the key's checksum is wrong; copy the whole key again")]
    Checksum,
    /// Not upper-case base32 without padding, or with stray bits set.
    #[error("the key is not canonical upper-case base32 without padding")]
    Encoding,
    /// Not as long as every key of its sort is.
    #[error("the key has {found} characters instead of {expected}")]
    Length {
        /// The right number.
        expected: usize,
        /// The number that was given.
        found: usize,
    },
    /// The sealed box was changed, or sealed by or for someone else.
    #[error("the sealed message cannot be opened with these keys")]
    Sealed,
    /// A seed stands where a public key belongs.
    #[error("this is a secret seed where a public key belongs; treat it as disclosed")]
    SeedGiven,
    /// A first byte that stands for no role.
    #[error("the key's role is unknown")]
    UnknownRole,
    /// A good key of another role.
    #[error("a key of role {expected} is needed, not of role {found}")]
    WrongRole {
        /// The role that is needed.
        expected: Role,
        /// The role of the key that was given.
        found: Role,
    },
}

/// Why a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A curve key has no signatures.
    #[error("a curve key cannot have signed this")]
    KeyCannotSign,
    /// Not 64 bytes.
    #[error("the signature has {found} bytes instead of 64")]
    Length {
        /// The number that was given.
        found: usize,
    },
    /// Not by this key, or not over this message.
    #[error("the signature does not match")]
    Mismatch,
    /// The 32 bytes are no point of the curve.
    #[error("the public key is not a point of the curve")]
    NotAKey,
}
