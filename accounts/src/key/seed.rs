//! The private half of a key.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use nkeys::XKey;
use rand::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use super::{CurveKey, KeyError, PublicKey, Role, strkey};

/// A private key: 32 secret bytes and the role they serve.
///
/// Wiped when dropped, never printed, and copied only by [`Seed::duplicate`].
pub struct Seed {
    role: Role,
    bytes: Zeroizing<[u8; 32]>,
}

impl Seed {
    /// Draws a new key.
    pub fn generate(role: Role, rng: &mut (impl CryptoRng + RngCore)) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self { role, bytes }
    }

    /// Takes 32 secret bytes as they are.
    pub fn from_raw(role: Role, bytes: [u8; 32]) -> Self {
        Self { role, bytes: Zeroizing::new(bytes) }
    }

    /// Reads the 58-character text form.
    ///
    /// # Errors
    ///
    /// [`KeyError`] unless the text is canonical, its checksum right and its role known.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (role, bytes) = strkey::decode_seed(text)?;
        Ok(Self { role, bytes })
    }

    /// The text form; wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        strkey::encode_seed(self.role, &self.bytes)
    }

    /// A second copy of the secret; said in so many words, so that none arises by accident.
    pub fn duplicate(&self) -> Self {
        Self { role: self.role, bytes: self.bytes.clone() }
    }

    /// What the key is for.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The bare secret, for a vault to seal.
    pub fn secret_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let bytes = if self.role == Role::Curve {
            self.curve_public()
        } else {
            SigningKey::from_bytes(&self.bytes).verifying_key().to_bytes()
        };
        PublicKey::from_bytes(self.role, bytes)
    }

    /// Signs by Ed25519.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotSign`] for a curve key.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        if self.role == Role::Curve {
            return Err(KeyError::CannotSign);
        }
        Ok(SigningKey::from_bytes(&self.bytes).sign(message).to_bytes())
    }

    /// Seals a message for one reader: `xkv1`, a random nonce of 24 bytes, and a NaCl box that
    /// also proves the sender.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotSeal`] unless this is a curve key.
    pub fn seal(
        &self,
        message: &[u8],
        recipient: &CurveKey,
        rng: &mut (impl CryptoRng + RngCore),
    ) -> Result<Vec<u8>, KeyError> {
        self.curve()?.seal_with_rand(message, &peer(recipient)?, rng).map_err(|_| KeyError::Sealed)
    }

    /// Opens what `sender` sealed for this key.
    ///
    /// # Errors
    ///
    /// [`KeyError::CannotSeal`] unless this is a curve key; [`KeyError::Sealed`] when the box is
    /// not one by `sender` for this key, unchanged.
    pub fn open(&self, sealed: &[u8], sender: &CurveKey) -> Result<Vec<u8>, KeyError> {
        self.curve()?.open(sealed, &peer(sender)?).map_err(|_| KeyError::Sealed)
    }

    fn curve(&self) -> Result<XKey, KeyError> {
        if self.role == Role::Curve {
            Ok(XKey::new_from_raw(*self.bytes))
        } else {
            Err(KeyError::CannotSeal { role: self.role })
        }
    }

    fn curve_public(&self) -> [u8; 32] {
        // The X25519 public key is the Montgomery form of scalar times base point; `nkeys` only
        // hands it out as text, which is by construction well formed.
        let text = XKey::new_from_raw(*self.bytes).public_key();
        strkey::decode_public(&text).map_or([0; 32], |(_, bytes)| bytes)
    }
}

fn peer(key: &CurveKey) -> Result<XKey, KeyError> {
    XKey::from_public_key(&key.to_string()).map_err(|_| KeyError::Encoding)
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl FromStr for Seed {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}
