//! The envelope: the vault's data key, sealed by the key source.
//!
//! ```text
//! source (1 file, 2 passphrase, 3 command) | for a passphrase: salt, 16 bytes; memory KiB, passes, lanes, each u32 big-endian | sealed data key
//! ```
//! What stands before the sealed data key is bound to it as associated data.

use data_encoding::HEXLOWER;
use rand::RngCore;
use zeroize::Zeroizing;

use super::key_source::{Derivation, Existing};
use super::{Key, KeySource, Sealed, VaultError, seal};

const SALT: usize = 16;

pub(super) struct Envelope;

impl Envelope {
    /// Seals the data key by the source; creates the source's key file if it has none yet.
    pub(super) async fn seal(source: &KeySource, data_key: &Key) -> Result<Vec<u8>, VaultError> {
        let derivation = match source {
            KeySource::Passphrase(_) => {
                let mut salt = [0; SALT];
                rand::rngs::OsRng.fill_bytes(&mut salt);
                Some(Derivation::strong(salt))
            }
            KeySource::Command { .. } | KeySource::File(_) => None,
        };
        let key = source.key(derivation.as_ref(), Existing::MayBeCreated).await?;
        let mut bytes = header(source, derivation.as_ref());
        let sealed = seal::seal(&key, &context(&bytes), data_key.as_ref())?;
        bytes.extend_from_slice(sealed.as_bytes());
        Ok(bytes)
    }

    /// Opens the envelope with the key that the source gives.
    pub(super) async fn open(source: &KeySource, bytes: &[u8]) -> Result<Key, VaultError> {
        let (code, rest) = bytes.split_first().ok_or(VaultError::Damaged)?;
        if *code != source.code() {
            let sealed = KeySource::name_of(*code).ok_or(VaultError::Damaged)?;
            return Err(VaultError::OtherSource { sealed, given: source.name() });
        }
        let (derivation, sealed) = match source {
            KeySource::Passphrase(_) => {
                let (derivation, sealed) = read_derivation(rest).ok_or(VaultError::Damaged)?;
                (Some(derivation), sealed)
            }
            KeySource::Command { .. } | KeySource::File(_) => (None, rest),
        };
        let key = source.key(derivation.as_ref(), Existing::Required).await?;
        let context = context(&header(source, derivation.as_ref()));
        let data_key = seal::open(&key, &context, &Sealed::from_bytes(sealed.to_vec()))
            .map_err(|_| VaultError::WrongKey { given: source.name() })?;
        let data_key = <[u8; 32]>::try_from(data_key.as_slice()).map_err(|_| VaultError::Damaged)?;
        Ok(Zeroizing::new(data_key))
    }
}

fn header(source: &KeySource, derivation: Option<&Derivation>) -> Vec<u8> {
    let mut bytes = vec![source.code()];
    if let Some(derivation) = derivation {
        bytes.extend_from_slice(&derivation.salt);
        for cost in [derivation.memory_kib, derivation.passes, derivation.lanes] {
            bytes.extend_from_slice(&cost.to_be_bytes());
        }
    }
    bytes
}

fn context(header: &[u8]) -> String {
    format!("cordon envelope 1 {}", HEXLOWER.encode(header))
}

fn read_derivation(bytes: &[u8]) -> Option<(Derivation, &[u8])> {
    let (salt, rest) = bytes.split_first_chunk::<SALT>()?;
    let (memory, rest) = rest.split_first_chunk::<4>()?;
    let (passes, rest) = rest.split_first_chunk::<4>()?;
    let (lanes, rest) = rest.split_first_chunk::<4>()?;
    let derivation = Derivation {
        salt: *salt,
        memory_kib: u32::from_be_bytes(*memory),
        passes: u32::from_be_bytes(*passes),
        lanes: u32::from_be_bytes(*lanes),
    };
    derivation.is_bearable().then_some((derivation, rest))
}
