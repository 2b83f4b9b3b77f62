//! Keys for encryption at rest: one for each account, wrapped by one of the operator's.
//!
//! An account's key is random, lies in `account.key` beside its streams, encrypted with the storage key and bound to
//! the account's name. Taking that file away makes everything the account stored unreadable at once. Another storage
//! key takes over by wrapping the accounts' keys anew; no stream is rewritten.

use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand::RngCore;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::super::StoreError;
use super::disk::{Disk, RealDisk, io_error};

const MAGIC: &[u8; 8] = b"CRDNKEY1";
const FILE: &str = "account.key";

/// What the operator gives: configuration's `key`, an environment variable, a file.
#[derive(Clone)]
pub struct StorageKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StorageKey")
    }
}

impl StorageKey {
    /// The key that `text` stands for. It should hold 32 random bytes in whatever notation: it is spread over the key,
    /// not stretched, so a word can be guessed.
    pub fn from_text(text: &str) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let derived = Hkdf::<Sha256>::new(None, text.as_bytes()).expand(b"cordon storage key 1", key.as_mut_slice());
        debug_assert!(derived.is_ok(), "32 bytes are not too many");
        Self(key)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.as_slice().into())
    }
}

/// The key under which one account's streams are encrypted.
#[derive(Clone)]
pub struct AccountKey {
    account: String,
    secret: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountKey").field("account", &self.account).finish_non_exhaustive()
    }
}

impl AccountKey {
    /// A fresh key.
    pub fn generate(account: &str) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rand::thread_rng().fill_bytes(secret.as_mut_slice());
        Self { account: account.to_owned(), secret }
    }

    /// The key of `account` in its folder, made if there is none. `keys` are the storage key and those it replaces: a
    /// key wrapped by one of the latter is wrapped anew.
    ///
    /// # Errors
    ///
    /// [`StoreError::Key`] if no storage key opens it, [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn load_or_create(dir: &Path, account: &str, keys: &[StorageKey]) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let wrong = || StoreError::Key { path: path.display().to_string() };
        let first = keys.first().ok_or_else(wrong)?;
        let wrapped = match RealDisk.read(&path) {
            Ok(wrapped) => wrapped,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::generate(account);
                key.wrap(&path, first)?;
                return Ok(key);
            }
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let damaged = || StoreError::Damaged { path: path.display().to_string(), offset: 0, what: "no key" };
        let rest = wrapped.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (nonce, sealed) = rest.split_first_chunk::<24>().ok_or_else(damaged)?;
        if sealed.len() != 48 {
            return Err(damaged());
        }
        for (number, key) in keys.iter().enumerate() {
            let payload = Payload { msg: sealed, aad: account.as_bytes() };
            let Ok(opened) = key.cipher().decrypt(XNonce::from_slice(nonce), payload).map(Zeroizing::new) else {
                continue;
            };
            let secret = Zeroizing::new(*opened.first_chunk::<32>().ok_or_else(damaged)?);
            let found = Self { account: account.to_owned(), secret };
            if number > 0 {
                found.wrap(&path, first)?;
            }
            return Ok(found);
        }
        Err(wrong())
    }

    /// The key of `account` in its folder, if there is one; nothing is written.
    ///
    /// # Errors
    ///
    /// As [`AccountKey::load_or_create`].
    pub fn load(dir: &Path, account: &str, keys: &[StorageKey]) -> Result<Option<Self>, StoreError> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        for key in keys {
            // One at a time: then none is wrapped anew.
            match Self::load_or_create(dir, account, std::slice::from_ref(key)) {
                Err(StoreError::Key { .. }) => {}
                found => return found.map(Some),
            }
        }
        Err(StoreError::Key { path: path.display().to_string() })
    }

    /// Makes everything unreadable that the account stored encrypted: its key goes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn destroy(dir: &Path) -> Result<(), StoreError> {
        let path = dir.join(FILE);
        match RealDisk.open(&path, false) {
            Ok(file) => {
                let overwritten = file.write_at(&[0; 80], 0).and_then(|()| file.sync());
                overwritten.map_err(io_error("overwrite", &path))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error("open", &path)(error)),
        }
        RealDisk.remove(&path).and_then(|()| RealDisk.sync_dir(dir)).map_err(io_error("remove", &path))
    }

    fn wrap(&self, path: &Path, by: &StorageKey) -> Result<(), StoreError> {
        let mut nonce = [0; 24];
        rand::thread_rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: self.secret.as_slice(), aad: self.account.as_bytes() };
        let sealed = by.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| StoreError::Key { path: path.display().to_string() })?;
        let temporary: PathBuf = path.with_extension("tmp");
        let dir = path.parent().unwrap_or(path);
        let write = || {
            RealDisk.remove(&temporary)?;
            let file = RealDisk.open(&temporary, true)?;
            file.write_at(&[&MAGIC[..], &nonce, &sealed].concat(), 0)?;
            file.sync()?;
            RealDisk.rename(&temporary, path)?;
            RealDisk.sync_dir(dir)
        };
        write().map_err(io_error("write", path))
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_again_rotates_and_is_gone_when_it_is_destroyed() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (StorageKey::from_text("old"), StorageKey::from_text("new"));
        let key = AccountKey::load_or_create(dir.path(), "A", std::slice::from_ref(&old)).unwrap();
        let again = |account, keys: &[StorageKey]| AccountKey::load_or_create(dir.path(), account, keys);
        assert_eq!(again("A", std::slice::from_ref(&old)).unwrap().secret, key.secret);
        assert!(matches!(again("A", std::slice::from_ref(&new)), Err(StoreError::Key { .. })));
        assert!(matches!(again("B", std::slice::from_ref(&old)), Err(StoreError::Key { .. })), "another account's key");
        assert_eq!(again("A", &[new.clone(), old.clone()]).unwrap().secret, key.secret);
        assert_eq!(again("A", std::slice::from_ref(&new)).unwrap().secret, key.secret, "wrapped anew");
        assert!(again("A", std::slice::from_ref(&old)).is_err());
        AccountKey::destroy(dir.path()).unwrap();
        assert_ne!(again("A", &[new]).unwrap().secret, key.secret);
    }
}
