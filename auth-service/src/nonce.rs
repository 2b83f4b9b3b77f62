//! The challenge that INFO carries, and reading the signature that answers it.

use data_encoding::{BASE64, BASE64URL_NOPAD};

/// Random bytes in a nonce. They become 15 characters of base64url without padding.
pub const NONCE_BYTES: usize = 11;

/// The characters of a nonce as sent in INFO.
pub const NONCE_CHARACTERS: usize = 15;

/// Encodes random bytes as the nonce of one connection.
///
/// The bytes come from a cryptographically secure generator, fresh for each connection. The client signs
/// the characters as they appear, not the bytes behind them.
pub fn nonce_text(random: [u8; NONCE_BYTES]) -> String {
    BASE64URL_NOPAD.encode(&random)
}

/// Makes the nonce of one connection.
pub fn fresh_nonce(random: &mut (impl rand::RngCore + rand::CryptoRng)) -> String {
    let mut bytes = [0u8; NONCE_BYTES];
    random.fill_bytes(&mut bytes);
    nonce_text(bytes)
}

/// Decodes `sig` of CONNECT: unpadded base64url first, then padded standard base64.
pub(crate) fn decode_signature(text: &str) -> Option<Vec<u8>> {
    // 64 bytes are 86 or 88 characters; no need to decode what cannot be a signature.
    if text.len() > 128 {
        return None;
    }
    let bytes = text.as_bytes();
    BASE64URL_NOPAD.decode(bytes).or_else(|_| BASE64.decode(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eleven_bytes_become_fifteen_characters() {
        assert_eq!(nonce_text([0xff; NONCE_BYTES]).len(), NONCE_CHARACTERS);
        assert_eq!(nonce_text([0; NONCE_BYTES]), "AAAAAAAAAAAAAAA");
    }

    #[test]
    fn no_two_nonces_are_alike() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let nonce = fresh_nonce(&mut rand::rngs::OsRng);
            assert_eq!(nonce.len(), NONCE_CHARACTERS);
            assert!(seen.insert(nonce));
        }
    }

    #[test]
    fn signatures_are_read_in_both_alphabets() {
        let raw = [0xfbu8; 64];
        assert_eq!(decode_signature(&BASE64URL_NOPAD.encode(&raw)).as_deref(), Some(&raw[..]));
        assert_eq!(decode_signature(&BASE64.encode(&raw)).as_deref(), Some(&raw[..]));
        for bad in ["!", "a", "====", &"A".repeat(129)] {
            assert_eq!(decode_signature(bad), None, "{bad}");
        }
    }
}
