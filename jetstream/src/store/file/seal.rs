//! Encryption of one file: every record by itself, under a key that only this file has.
//!
//! XChaCha20-Poly1305. The file's key comes by HKDF-SHA256 from the account's key, the file's random salt, and the
//! names of account and stream; the nonce is the record's offset. No offset of a file is written twice with different
//! content (a file that was opened again is never added to, what is rewritten is a new file), so no key stream is used
//! twice. Kind, lengths, sequence and time are in clear and authenticated with the record.

use chacha20poly1305::aead::{Aead, AeadInPlace, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key::AccountKey;

/// Bytes that a record grows by.
pub(crate) const TAG: usize = 16;

/// The key of one file.
pub(crate) struct Seal(XChaCha20Poly1305);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// The key of the file with this salt, of a stream of the account that has `key`.
    pub(crate) fn new(key: &AccountKey, stream: &str, salt: &[u8; 16]) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        let parts = [b"cordon stream file 1", &[0][..], key.account().as_bytes(), &[0], stream.as_bytes()];
        let derived = Hkdf::<Sha256>::new(Some(salt), key.secret()).expand_multi_info(&parts, secret.as_mut_slice());
        debug_assert!(derived.is_ok(), "32 bytes are not too many");
        Self(XChaCha20Poly1305::new(secret.as_slice().into()))
    }

    fn nonce(offset: u64) -> XNonce {
        let mut nonce = [0; 24];
        if let Some(place) = nonce.first_chunk_mut() {
            *place = offset.to_le_bytes();
        }
        nonce.into()
    }

    /// Encrypts `body` where it is; gives its tag.
    pub(crate) fn encrypt(&self, offset: u64, head: &[u8], body: &mut [u8]) -> [u8; TAG] {
        // It fails for bodies of 256 GiB, which no length field holds; a tag of zeros would not open.
        self.0.encrypt_in_place_detached(&Self::nonce(offset), head, body).map_or([0; TAG], Into::into)
    }

    /// The body as it was, if it is the one that was written there.
    pub(crate) fn decrypt(&self, offset: u64, head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(&Self::nonce(offset), Payload { msg: body, aad: head }).ok()
    }
}
