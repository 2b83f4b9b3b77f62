//! Passwords and tokens: argon2id is written, argon2id, bcrypt and plain text are read.
//!
//! Hashing costs tens of milliseconds and tens of mebibytes by design, so connections ask the [checker](PasswordChecker),
//! which has few threads of its own for it, and each of these a [workspace].

mod checker;
mod workspace;

use argon2::password_hash::{PasswordHash, PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use self::checker::PasswordChecker;
use self::workspace::Workspace;

/// Longest password that is looked at, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// argon2id memory in KiB, passes and lanes: the first recommendation of OWASP.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
const ARGON2_PASSES: u32 = 2;
const ARGON2_LANES: u32 = 1;

/// What comparing a password with the stored form came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The password is right.
    Match,
    /// The password is wrong.
    Mismatch,
    /// The stored form is no hash that can be read, or is empty: nobody gets in by it.
    Unusable,
}

/// The form in which a password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// `$argon2id$..`, `$argon2i$..` or `$argon2d$..`
    Argon2,
    /// `$2a$`, `$2b$`, `$2x$` or `$2y$`, two digits and `$`.
    Bcrypt,
    /// Anything else: compared byte by byte. Worth a warning at start.
    Plain,
}

impl Stored {
    /// Tells the form from the text, as nats-server does for bcrypt.
    pub fn of(stored: &str) -> Self {
        if stored.starts_with("$argon2") {
            return Self::Argon2;
        }
        match stored.as_bytes() {
            [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', tens, units, b'$', ..]
                if tens.is_ascii_digit() && units.is_ascii_digit() =>
            {
                Self::Bcrypt
            }
            _ => Self::Plain,
        }
    }
}

/// A failure to hash, which is ours and not the caller's.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed: {0}")]
pub struct HashError(String);

/// Hashes a password with argon2id for storage. Takes tens of milliseconds: call it on the blocking pool.
///
/// # Errors
///
/// [`HashError`] if the password is longer than [`PASSWORD_BYTES_MAX`] or memory is short.
pub fn hash_argon2id(password: &SecretString) -> Result<String, HashError> {
    let password = password.expose_secret();
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(HashError(format!("it is longer than {PASSWORD_BYTES_MAX} bytes")));
    }
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None)
        .map_err(|error| HashError(error.to_string()))?;
    let salt = SaltString::generate(&mut rand::rngs::OsRng);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| HashError(error.to_string()))
}

/// Compares a password with its stored form. May take long: see [`PasswordChecker`].
pub fn verify(stored: &str, given: &SecretString) -> Verdict {
    verify_in(&mut Workspace::default(), stored, given)
}

/// The same in memory that is there for it.
fn verify_in(workspace: &mut Workspace, stored: &str, given: &SecretString) -> Verdict {
    let given = given.expose_secret();
    if stored.is_empty() {
        return Verdict::Unusable;
    }
    if given.len() > PASSWORD_BYTES_MAX {
        return Verdict::Mismatch;
    }
    match Stored::of(stored) {
        Stored::Argon2 => match PasswordHash::new(stored) {
            // What cannot be followed fits nothing.
            Ok(hash) => verdict(workspace.is_of(&hash, given.as_bytes()).unwrap_or(false)),
            Err(_) => Verdict::Unusable,
        },
        Stored::Bcrypt => match bcrypt::verify(given, stored) {
            Ok(equal) => verdict(equal),
            Err(_) => Verdict::Unusable,
        },
        Stored::Plain => verdict(equal_in_constant_time(stored, given)),
    }
}

/// Compares without telling by time how much was right, or how long the stored text is.
pub(crate) fn equal_in_constant_time(left: &str, right: &str) -> bool {
    Sha256::digest(left.as_bytes()).ct_eq(&Sha256::digest(right.as_bytes())).into()
}

fn verdict(equal: bool) -> Verdict {
    if equal { Verdict::Match } else { Verdict::Mismatch }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn argon2id_hashes_verify_and_are_salted() {
        let hash = hash_argon2id(&secret("s3cret")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(verify(&hash, &secret("s3cret")), Verdict::Match);
        assert_eq!(verify(&hash, &secret("s3creT")), Verdict::Mismatch);
        assert_ne!(hash, hash_argon2id(&secret("s3cret")).unwrap());
    }

    #[test]
    fn bcrypt_of_every_prefix_is_read() {
        let hash = bcrypt::hash_with_salt("s3cret", 4, [7; 16]).unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let stored = hash.format_for_version(version);
            assert_eq!(Stored::of(&stored), Stored::Bcrypt);
            assert_eq!(verify(&stored, &secret("s3cret")), Verdict::Match, "{stored}");
            assert_eq!(verify(&stored, &secret("wrong")), Verdict::Mismatch, "{stored}");
            assert_eq!(verify(&stored, &secret(&stored)), Verdict::Mismatch, "the hash is no password");
        }
    }

    #[test]
    fn what_only_looks_like_a_hash_is_plain_text() {
        for stored in ["$2a$1x$abc", "$2a$x1$abc", "$2a$xx$abc", "$2c$10$abc", "$2a$10", "2a$10$abc"] {
            assert_eq!(Stored::of(stored), Stored::Plain, "{stored}");
        }
    }

    #[test]
    fn a_password_has_a_greatest_length() {
        let longest = "p".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(verify(&longest, &secret(&longest)), Verdict::Match);
        assert!(hash_argon2id(&secret(&longest)).is_ok());
        for more in ["p", "pp"] {
            let longer = format!("{longest}{more}");
            assert_eq!(verify(&longer, &secret(&longer)), Verdict::Mismatch, "{more}");
            assert!(hash_argon2id(&secret(&longer)).is_err(), "{more}");
        }
    }

    #[test]
    fn plain_text_is_compared_exactly() {
        let cases = [
            ("abc", "abc", Verdict::Match),
            ("abc", "abcd", Verdict::Mismatch),
            ("abc", "ABC", Verdict::Mismatch),
            ("abc", "", Verdict::Mismatch),
        ];
        for (stored, given, expected) in cases {
            assert_eq!(verify(stored, &secret(given)), expected, "{stored} {given}");
        }
    }

    #[test]
    fn an_empty_or_broken_stored_form_lets_nobody_in() {
        for (stored, given) in [("", ""), ("", "x"), ("$argon2id$", "x"), ("$2a$10$short", "x"), ("$2b$99$", "")] {
            assert_eq!(verify(stored, &secret(given)), Verdict::Unusable, "{stored}");
        }
    }

    #[test]
    fn an_endless_password_is_a_mismatch() {
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert_eq!(verify(&long, &secret(&long)), Verdict::Mismatch);
        assert!(hash_argon2id(&secret(&long)).is_err());
    }
}
