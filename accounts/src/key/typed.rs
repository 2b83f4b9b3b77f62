//! Public keys whose role was checked when they were read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{KeyError, PublicKey, Role, SignatureError};

macro_rules! keys_of_one_role {
    ($($(#[$doc:meta])* $name:ident = $role:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(PublicKey);

        impl $name {
            /// The role that every key of this type has.
            pub const ROLE: Role = Role::$role;

            /// Reads the text form.
            ///
            /// # Errors
            ///
            /// [`KeyError`] unless it is a key of this role.
            pub fn parse(text: &str) -> Result<Self, KeyError> {
                PublicKey::parse(text)?.try_into()
            }

            /// The key without the knowledge of its role.
            pub const fn public(&self) -> PublicKey {
                self.0
            }

            /// The bare 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }

            /// Checks a signature; see [`PublicKey::verify`].
            ///
            /// # Errors
            ///
            /// [`SignatureError`] unless it is one of `message` by this key.
            pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
                self.0.verify(message, signature)
            }
        }

        impl TryFrom<PublicKey> for $name {
            type Error = KeyError;

            fn try_from(key: PublicKey) -> Result<Self, KeyError> {
                key.require(Self::ROLE).map(Self)
            }
        }

        impl From<$name> for PublicKey {
            fn from(key: $name) -> Self {
                key.0
            }
        }

        impl PartialEq<PublicKey> for $name {
            fn eq(&self, other: &PublicKey) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<$name> for PublicKey {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, KeyError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                PublicKey::deserialize(deserializer)?
                    .try_into()
                    .map_err(de::Error::custom)
            }
        }
    )+};
}

keys_of_one_role! {
    /// An `A` key: a tenant's identity, or one of its signing keys.
    AccountKey = Account;
    /// A `C` key; NATS reserves the role.
    ClusterKey = Cluster;
    /// An `X` key: receives sealed messages.
    CurveKey = Curve;
    /// An `O` key: an operator's identity, or one of its signing keys.
    OperatorKey = Operator;
    /// An `N` key: a server's identity.
    ServerKey = Server;
    /// A `U` key: a client's identity.
    UserKey = User;
}
