//! Creds files: a user's JWT and seed in two armoured blocks.
//!
//! Armour as every NATS tool reads it (jwt `creds_utils.go`): a line with three dashes at either
//! end, one line of content, another such line. Line ends may be CRLF, and the last may be
//! missing.

use std::fmt;

use zeroize::Zeroizing;

use crate::claims::{ClaimsError, Unverified};
use crate::key::{KeyError, Role, Seed};
use crate::limits::CREDS_BYTES_MAX;

/// What a client needs to connect.
pub struct Creds {
    /// The user JWT.
    pub jwt: String,
    /// The user's seed.
    pub seed: Seed,
}

impl Creds {
    /// Reads a creds file: the first block is the JWT, the second the seed.
    ///
    /// # Errors
    ///
    /// [`CredsError`] when a block is missing or malformed, or the seed is not that of the
    /// JWT's subject.
    pub fn parse(text: &str) -> Result<Self, CredsError> {
        if text.len() > CREDS_BYTES_MAX {
            return Err(CredsError::TooLong { found: text.len() });
        }
        let mut blocks = blocks(text);
        let jwt = blocks.next().ok_or(CredsError::NoJwt)?.to_owned();
        let seed = match blocks.next() {
            Some(block) => Seed::parse(block)?,
            None => bare_seed(text)?,
        };
        if seed.role() != Role::User {
            return Err(KeyError::WrongRole { expected: Role::User, found: seed.role() }.into());
        }
        let subject = Unverified::parse(&jwt)?.subject();
        if subject != Some(seed.public()) {
            return Err(CredsError::Mismatch);
        }
        Ok(Self { jwt, seed })
    }

    /// Writes the file as `nsc` does; wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = self.seed.to_text();
        let parts = [
            "-----BEGIN NATS USER JWT-----\n",
            &self.jwt,
            "\n------END NATS USER JWT------\n\n",
            "************************* IMPORTANT *************************\n",
            "The seed below is a secret: whoever has it can connect as this user.\n\n",
            "-----BEGIN USER NKEY SEED-----\n",
            &seed,
            "\n------END USER NKEY SEED------\n\n",
            "*************************************************************\n",
        ];
        // Sized beforehand: growing would leave copies of the seed behind.
        let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
        for part in parts {
            text.push_str(part);
        }
        text
    }
}

impl fmt::Debug for Creds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Creds")
    }
}

/// Reads a JWT file of any kind: armoured, or bare.
pub fn jwt_of_file(text: &str) -> &str {
    blocks(text).next().unwrap_or_else(|| text.trim())
}

/// Reads a seed file: the second armoured block, or a line of its own.
///
/// # Errors
///
/// [`CredsError`] when there is no seed, or it is malformed.
pub fn seed_of_file(text: &str) -> Result<Seed, CredsError> {
    let armoured = blocks(text).find(|block| block.starts_with('S'));
    match armoured {
        Some(block) => Ok(Seed::parse(block)?),
        None => bare_seed(text),
    }
}

/// Armours a JWT, as files of operators and accounts hold it.
pub fn armour_jwt(kind: &str, jwt: &str) -> String {
    let kind = kind.to_uppercase();
    format!("-----BEGIN NATS {kind} JWT-----\n{jwt}\n------END NATS {kind} JWT------\n\n")
}

fn bare_seed(text: &str) -> Result<Seed, CredsError> {
    let is_seed = |line: &&str| ["SO", "SA", "SU"].iter().any(|start| line.starts_with(start));
    let line = text.lines().map(str::trim).find(is_seed);
    Ok(Seed::parse(line.ok_or(CredsError::NoSeed)?)?)
}

/// The content of each armoured block.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines();
    let mut opened = false;
    let mut content: Option<&str> = None;
    std::iter::from_fn(move || {
        for line in lines.by_ref() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if is_armour(line) {
                if let Some(found) = content.take() {
                    opened = false;
                    return Some(found);
                }
                opened = true;
            } else {
                content = (opened && is_content(line)).then_some(line);
                opened = false;
            }
        }
        None
    })
}

fn is_armour(line: &str) -> bool {
    line.len() >= 6 && line.trim_start().starts_with("---") && line.ends_with("---")
}

fn is_content(line: &str) -> bool {
    !line.is_empty() && line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'='))
}

/// Why a creds file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredsError {
    /// The first block is no JWT.
    #[error("the JWT in the creds file cannot be read: {0}")]
    Jwt(#[from] ClaimsError),
    /// JWT and seed are of different users.
    #[error("the seed in the creds file is not that of the JWT's user")]
    Mismatch,
    /// No armoured block at all.
    #[error("the creds file holds no JWT; it must begin with `-----BEGIN NATS USER JWT-----`")]
    NoJwt,
    /// No seed.
    #[error("the creds file holds no seed; it must follow `-----BEGIN USER NKEY SEED-----`")]
    NoSeed,
    /// The second block is no seed.
    #[error("the seed in the creds file cannot be read: {0}")]
    Seed(#[from] KeyError),
    /// Longer than any creds file.
    #[error("the creds file has {found} bytes; at most {CREDS_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        found: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::UserClaims;

    fn creds() -> Creds {
        let account = Seed::from_raw(Role::Account, [2; 32]);
        let seed = Seed::from_raw(Role::User, [3; 32]);
        let claims = UserClaims::new(seed.public().try_into().unwrap());
        let jwt = claims.encode(&account, 1_700_000_000).unwrap();
        Creds { jwt, seed }
    }

    #[test]
    fn a_file_reads_back_also_with_crlf_and_without_a_last_newline() {
        let creds = creds();
        let text = creds.to_text();
        let tight = text.trim_end().trim_end_matches(['*', '\n']);
        for file in [
            text.to_string(),
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            tight.to_owned(),
            tight.replace('\n', "\r\n"),
            format!("a comment\n\n{}\ntrailing", *text),
        ] {
            let read = Creds::parse(&file).unwrap();
            assert_eq!(read.jwt, creds.jwt);
            assert_eq!(read.seed.public(), creds.seed.public());
        }
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let creds = creds();
        let text = creds.to_text();
        let other_seed = Seed::from_raw(Role::User, [4; 32]).to_text();
        let account_seed = Seed::from_raw(Role::Account, [3; 32]).to_text();
        let seed = creds.seed.to_text();
        let damaged = seed.replace('A', "B");
        let cases = [
            (String::new(), CredsError::NoJwt),
            ("plain text".to_owned(), CredsError::NoJwt),
            (text.replace("---", "-"), CredsError::NoJwt),
            (armour_jwt("user", &creds.jwt), CredsError::NoSeed),
            (text.replace(seed.as_str(), &other_seed), CredsError::Mismatch),
            (text.replace(seed.as_str(), &damaged), CredsError::Seed(KeyError::Checksum)),
            (
                text.replace(seed.as_str(), &account_seed),
                CredsError::Seed(KeyError::WrongRole { expected: Role::User, found: Role::Account }),
            ),
            (text.replace(&creds.jwt, "abc"), CredsError::Jwt(ClaimsError::Segments)),
            (" ".repeat(CREDS_BYTES_MAX + 1), CredsError::TooLong { found: CREDS_BYTES_MAX + 1 }),
        ];
        for (file, expected) in cases {
            let error = Creds::parse(&file).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains(seed.as_str()));
        }
    }

    #[test]
    fn only_a_line_between_armour_is_content() {
        let open = "-----BEGIN NATS USER JWT-----";
        let close = "------END NATS USER JWT------";
        for (text, wanted) in [
            (format!("{open}\na.b-c_d=\n{close}\n"), Some("a.b-c_d=")),
            (format!("a.b\n{close}\n"), None),
            (format!("{open}\na b\n{close}\n"), None),
            (format!("{open}\na/b\n{close}\n"), None),
            (format!("{open}\n\n{close}\n"), None),
            (format!("{open}\na\nb\n{close}\n"), None),
            ("---\na\n---\n".to_owned(), None),
            ("BEGIN---\na\nEND---\n".to_owned(), None),
            ("---BEGIN\na\n---END\n".to_owned(), None),
        ] {
            assert_eq!(blocks(&text).next(), wanted, "{text}");
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_greatest_length() {
        let text = creds().to_text();
        let full = format!("{}{}", *text, " ".repeat(CREDS_BYTES_MAX - text.len()));
        assert!(Creds::parse(&full).is_ok());
        assert_eq!(Creds::parse(&format!("{full} ")).err(), Some(CredsError::TooLong { found: CREDS_BYTES_MAX + 1 }));
    }

    #[test]
    fn files_of_one_thing_are_read_armoured_or_bare() {
        let creds = creds();
        assert_eq!(jwt_of_file(&armour_jwt("account", &creds.jwt)), creds.jwt);
        assert_eq!(jwt_of_file(&format!("  {}\n", creds.jwt)), creds.jwt);
        let seed = creds.seed.to_text();
        let bare = format!("# mine\n{}\r\n", *seed);
        assert_eq!(seed_of_file(&bare).unwrap().public(), creds.seed.public());
        assert_eq!(seed_of_file(&creds.to_text()).unwrap().public(), creds.seed.public());
        assert_eq!(seed_of_file("nothing").unwrap_err(), CredsError::NoSeed);
    }

    #[test]
    fn creds_are_not_printed() {
        assert_eq!(format!("{:?}", creds()), "Creds");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_panic(text: String, armour in "(-{0,4}[a-zA-Z .=]{0,5}-{0,4}\r?\n){0,9}") {
            let _ = Creds::parse(&text);
            let _ = Creds::parse(&armour);
            let _ = seed_of_file(&armour);
        }
    }
}
