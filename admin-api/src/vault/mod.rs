//! The vault: private seeds, sealed.
//!
//! Seeds are sealed with XChaCha20-Poly1305 under a *data key*. The data key itself is sealed by a
//! *key source* (a file, a passphrase or a command) into an envelope that the store keeps, so the
//! source can be changed without sealing every seed anew. What is sealed names what it belongs to
//! as associated data: a sealed seed that is moved to another key's row does not open.
//!
//! Keys and seeds are wiped from memory when they are dropped, and never logged.

mod envelope;
mod error;
mod key_source;
mod seal;

use std::fmt;
use std::sync::Arc;

use cordon_accounts::key::{PublicKey, Seed};
use zeroize::Zeroizing;

pub use error::VaultError;
pub use key_source::KeySource;
pub use seal::Sealed;

use crate::store::{Store, StoreError};
use envelope::Envelope;

/// A key that wipes itself.
type Key = Zeroizing<[u8; 32]>;

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    data_key: Arc<Key>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Vault")
    }
}

impl Vault {
    /// Opens the store's vault with the key that the source gives; a store without one gets one.
    ///
    /// A key file is created together with the vault, and never for a vault that is there already.
    ///
    /// # Errors
    ///
    /// [`VaultError`] when the source gives no key, or not the one that the vault was sealed with.
    pub async fn open(source: &KeySource, store: &Store, now: i64) -> Result<Self, VaultError> {
        let stored = store.read().await?.vault_envelope().lookup().await?;
        if let Some(bytes) = stored {
            return Self::unlock(source, &bytes).await;
        }
        let (vault, envelope) = Self::create(source).await?;
        let mut unit = store.begin("vault.create").await?;
        match unit.vault_envelope().insert(&envelope, now).await {
            Ok(()) => {
                unit.save(Vec::new()).await?;
                Ok(vault)
            }
            // Another process was first: its data key counts.
            Err(StoreError::AlreadyExists { .. }) => {
                drop(unit);
                let bytes = store.read().await?.vault_envelope().lookup().await?;
                Self::unlock(source, &bytes.unwrap_or_default()).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Seals the data key by another source, which alone opens the vault from then on.
    ///
    /// # Errors
    ///
    /// [`VaultError`] when the new source gives no key, or the store fails.
    pub async fn change_source(&self, source: &KeySource, store: &Store, now: i64) -> Result<(), VaultError> {
        let old = store.read().await?.vault_envelope().lookup().await?.unwrap_or_default();
        let new = Envelope::seal(source, &self.data_key).await?;
        let mut unit = store.begin("vault.change_source").await?;
        unit.vault_envelope().replace(&old, &new, now).await?;
        unit.save(Vec::new()).await?;
        Ok(())
    }

    /// A new data key, and its envelope.
    async fn create(source: &KeySource) -> Result<(Self, Vec<u8>), VaultError> {
        let data_key = seal::random_key();
        let envelope = Envelope::seal(source, &data_key).await?;
        Ok((Self { data_key: Arc::new(data_key) }, envelope))
    }

    async fn unlock(source: &KeySource, envelope: &[u8]) -> Result<Self, VaultError> {
        let data_key = Envelope::open(source, envelope).await?;
        Ok(Self { data_key: Arc::new(data_key) })
    }

    /// Seals a seed for the key it belongs to.
    ///
    /// # Errors
    ///
    /// [`VaultError::OtherKey`] when the seed is not the one of `context`.
    pub fn seal(&self, seed: &Seed, context: &PublicKey) -> Result<Sealed, VaultError> {
        if seed.public() != *context {
            return Err(VaultError::OtherKey { key: context.to_string() });
        }
        seal::seal(&self.data_key, &seed_context(context), seed.to_text().as_bytes())
    }

    /// Opens the seed that was sealed for `context`.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] when it was changed, or sealed for another key or by another vault.
    pub fn open_seed(&self, sealed: &Sealed, context: &PublicKey) -> Result<Seed, VaultError> {
        let bytes = seal::open(&self.data_key, &seed_context(context), sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::Damaged)?;
        let seed = Seed::parse(text).map_err(|_| VaultError::Damaged)?;
        // Sealed only after this was so: anything else means that the vault's own code is wrong.
        if seed.public() == *context { Ok(seed) } else { Err(VaultError::OtherKey { key: context.to_string() }) }
    }

    /// Seals other secret bytes, such as a ledger's key or an answer that shows a seed, for a
    /// purpose that must be named again to open them.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] if the cipher refuses, which it does for more than 256 GiB.
    pub fn seal_bytes(&self, secret: &[u8], purpose: &str) -> Result<Sealed, VaultError> {
        seal::seal(&self.data_key, &bytes_context(purpose), secret)
    }

    /// Opens what [`Vault::seal_bytes`] sealed for this purpose.
    ///
    /// # Errors
    ///
    /// [`VaultError::Damaged`] when it was changed, or sealed for another purpose or by another vault.
    pub fn open_bytes(&self, sealed: &Sealed, purpose: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        seal::open(&self.data_key, &bytes_context(purpose), sealed)
    }
}

/// What a sealed seed is bound to. The prefix keeps seeds and other bytes apart.
fn seed_context(key: &PublicKey) -> String {
    format!("cordon seed 1 {key}")
}

fn bytes_context(purpose: &str) -> String {
    format!("cordon bytes 1 {purpose}")
}

#[cfg(test)]
mod tests;
