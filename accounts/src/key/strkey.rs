//! The text form of keys: base32 of prefix, key and checksum.
//!
//! ```text
//! public  prefix(1)  key(32)  crc16 little endian(2)   35 bytes, 56 characters
//! seed    s1(1) s2(1) seed(32) crc16 little endian(2)  36 bytes, 58 characters
//! ```

use data_encoding::BASE32_NOPAD;
use zeroize::{Zeroize, Zeroizing};

use super::{KeyError, PUBLIC_KEY_CHARS, Role, SEED_CHARS};

/// Marks a seed in its first five bits.
const SEED_PREFIX: u8 = 18 << 3;

pub(super) fn encode_public(role: Role, key: &[u8; 32]) -> String {
    let mut raw = [0_u8; 35];
    let (body, checksum) = raw.split_at_mut(33);
    if let Some((prefix, rest)) = body.split_first_mut() {
        *prefix = role.prefix();
        rest.copy_from_slice(key);
    }
    checksum.copy_from_slice(&crc16(body).to_le_bytes());
    BASE32_NOPAD.encode(&raw)
}

pub(super) fn decode_public(text: &str) -> Result<(Role, [u8; 32]), KeyError> {
    // Said apart from a wrong length, because whoever pasted it must know what they did.
    if text.len() == SEED_CHARS && text.starts_with('S') {
        return Err(KeyError::SeedGiven);
    }
    let raw: [u8; 35] = decode(text, PUBLIC_KEY_CHARS)?.as_slice().try_into().map_err(|_| KeyError::Encoding)?;
    let [prefix, key @ .., _, _] = raw;
    let role = Role::from_prefix(prefix).ok_or(KeyError::UnknownRole)?;
    Ok((role, key))
}

pub(super) fn encode_seed(role: Role, seed: &[u8; 32]) -> Zeroizing<String> {
    let mut raw = Zeroizing::new([0_u8; 36]);
    let (body, checksum) = raw.split_at_mut(34);
    let (head, rest) = body.split_at_mut(2);
    head.copy_from_slice(&[SEED_PREFIX | (role.prefix() >> 5), role.prefix() << 3]);
    rest.copy_from_slice(seed);
    checksum.copy_from_slice(&crc16(body).to_le_bytes());
    Zeroizing::new(BASE32_NOPAD.encode(raw.as_slice()))
}

pub(super) fn decode_seed(text: &str) -> Result<(Role, Zeroizing<[u8; 32]>), KeyError> {
    let decoded = decode(text, SEED_CHARS)?;
    let [first, second, seed @ .., _, _] = decoded.as_slice() else {
        return Err(KeyError::Encoding);
    };
    // The low bits of the second byte are spare; a canonical seed leaves them zero.
    if first & 0xF8 != SEED_PREFIX || second & 0x07 != 0 {
        return Err(KeyError::UnknownRole);
    }
    let role = Role::from_prefix((first & 0x07) << 5 | second >> 3).ok_or(KeyError::UnknownRole)?;
    let mut bytes = Zeroizing::new([0_u8; 32]);
    if seed.len() != bytes.len() {
        return Err(KeyError::Encoding);
    }
    bytes.copy_from_slice(seed);
    Ok((role, bytes))
}

/// Decodes base32 and checks length and checksum; the result still carries the checksum.
fn decode(text: &str, chars: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if text.len() != chars {
        return Err(KeyError::Length { expected: chars, found: text.len() });
    }
    let mut raw = Zeroizing::new(vec![0; BASE32_NOPAD.decode_len(chars).map_err(|_| KeyError::Encoding)?]);
    if BASE32_NOPAD.decode_mut(text.as_bytes(), &mut raw).is_err() {
        raw.zeroize();
        return Err(KeyError::Encoding);
    }
    let Some((body, checksum)) = raw.split_last_chunk::<2>() else {
        return Err(KeyError::Encoding);
    };
    if crc16(body) != u16::from_le_bytes(*checksum) {
        return Err(KeyError::Checksum);
    }
    Ok(raw)
}

/// CRC-16/XMODEM: polynomial 0x1021, initial value 0, not reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_is_xmodem() {
        // The check value of the CRC catalogue.
        assert_eq!(crc16(b"123456789"), 0x31C3);
    }
}
