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
            return Err(KeyError::WrongRole {
                expected: Role::User,
                found: seed.role(),
            }
            .into());
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
        let mut text = Zeroizing::new(String::with_capacity(
            parts.iter().map(|part| part.len()).sum(),
        ));
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
    let is_seed = |line: &&str| {
        ["SO", "SA", "SU"]
            .iter()
            .any(|start| line.starts_with(start))
    };
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
    !line.is_empty()
        && line
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'='))
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
