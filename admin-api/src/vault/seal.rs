//! Sealing: XChaCha20-Poly1305 with a random nonce.
//!
//! ```text
//! version 1 | nonce, 24 bytes | ciphertext | tag, 16 bytes
//! ```

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::{Key, VaultError};

const VERSION: u8 = 1;
const NONCE: usize = 24;

/// A sealed secret: safe to store, useless without the vault.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// What was stored. Whether it is sound shows when it is opened.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sealed")
    }
}

pub(super) fn random_key() -> Key {
    let mut key = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut *key);
    key
}

pub(super) fn seal(key: &Key, context: &str, secret: &[u8]) -> Result<Sealed, VaultError> {
    let mut nonce = [0; NONCE];
    // 24 random bytes do not repeat: no counter has to survive a restored backup.
    OsRng.fill_bytes(&mut nonce);
    let payload = Payload { msg: secret, aad: context.as_bytes() };
    let sealed = XChaCha20Poly1305::new(key.as_ref().into())
        .encrypt(XNonce::from_slice(&nonce), payload)
        .map_err(|_| VaultError::Damaged)?;
    let mut bytes = Vec::with_capacity(1 + NONCE + sealed.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    Ok(Sealed(bytes))
}

pub(super) fn open(key: &Key, context: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (version, rest) = sealed.0.split_first().ok_or(VaultError::Damaged)?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE).ok_or(VaultError::Damaged)?;
    if *version != VERSION {
        return Err(VaultError::Damaged);
    }
    XChaCha20Poly1305::new(key.as_ref().into())
        .decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: context.as_bytes() })
        .map(Zeroizing::new)
        .map_err(|_| VaultError::Damaged)
}
