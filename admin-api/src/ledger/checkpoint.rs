//! Checkpoints: the tree's size and root as a signed note (C2SP tlog-checkpoint, signed-note).
//!
//! ```text
//! <origin>\n<size>\n<root, base64>\n\n— <key name> <base64 of key hash, 4 bytes, and Ed25519 signature>\n
//! ```
//! Whoever keeps a copy can tell later whether the log still begins as it did then.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::Digest;

/// What stands before a signature line: an em dash and a space.
const MARK: &str = "\u{2014} ";
/// The algorithm byte of Ed25519 in a note key.
const ED25519: u8 = 1;
/// The longest note that is read, in bytes.
const NOTE_MAX: usize = 16 * 1024;

/// The tree at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name that no other log has.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// A checkpoint with its note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
    /// When it was signed, unix seconds. Not part of the note.
    pub created_at: i64,
}

/// A public key that checks notes. Its text is `name+hash+key`, as signed-note has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: VerifyingKey,
}

/// Why a note, or a note key, is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The key's text is wrong.
    #[error("this is no Ed25519 note key: `name+hash+key` is expected")]
    Key,
    /// It is not a checkpoint in note form.
    #[error("this is no checkpoint in signed-note form")]
    Malformed,
    /// It is the checkpoint of another log.
    #[error("this is the checkpoint of another log")]
    OtherLog,
    /// The signature of this key is missing or wrong.
    #[error("the checkpoint is not signed by this key")]
    Unsigned,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.as_bytes()))
    }

    /// The signed note. The key's name is the origin.
    pub(super) fn sign(&self, key: &SigningKey) -> String {
        let body = self.body();
        let mut signature = key_hash(&self.origin, &key.verifying_key()).to_vec();
        signature.extend_from_slice(&key.sign(body.as_bytes()).to_bytes());
        format!("{body}\n{MARK}{} {}\n", self.origin, BASE64.encode(&signature))
    }

    /// Reads the body of a note; what follows the third line is left to others.
    fn parse(body: &str) -> Result<Self, NoteError> {
        let mut lines = body.split_terminator('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Malformed);
        };
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        let root = BASE64.decode(root.as_bytes()).ok().and_then(|root| <[u8; 32]>::try_from(root.as_slice()).ok());
        match (origin.is_empty(), number, root) {
            (false, Some(size), Some(root)) => Ok(Self { origin: origin.to_owned(), size, root: Digest(root) }),
            _ => Err(NoteError::Malformed),
        }
    }
}

impl NoteKey {
    pub(super) fn new(name: impl Into<String>, key: VerifyingKey) -> Self {
        Self { name: name.into(), key }
    }

    /// The key's name, which is the origin of the log that it signs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Believes a note that this key signed; other signatures in it are passed over.
    ///
    /// # Errors
    ///
    /// [`NoteError`] when it is not a checkpoint of this key's log, signed by this key.
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        if note.len() > NOTE_MAX {
            return Err(NoteError::Malformed);
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let body = format!("{text}\n");
        let checkpoint = Checkpoint::parse(&body)?;
        if checkpoint.origin != self.name {
            return Err(NoteError::OtherLog);
        }
        if !signatures.ends_with('\n') {
            return Err(NoteError::Malformed);
        }
        let hash = key_hash(&self.name, &self.key);
        for line in signatures.split_terminator('\n') {
            let (name, signature) =
                line.strip_prefix(MARK).and_then(|line| line.split_once(' ')).ok_or(NoteError::Malformed)?;
            let bytes = BASE64.decode(signature.as_bytes()).map_err(|_| NoteError::Malformed)?;
            let Some((signer, signature)) = bytes.split_first_chunk::<4>() else { return Err(NoteError::Malformed) };
            if name == self.name && *signer == hash {
                let signature = Signature::from_slice(signature).map_err(|_| NoteError::Unsigned)?;
                return match self.key.verify_strict(body.as_bytes(), &signature) {
                    Ok(()) => Ok(checkpoint),
                    Err(_) => Err(NoteError::Unsigned),
                };
            }
        }
        Err(NoteError::Unsigned)
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        let hash = HEXLOWER.encode(&key_hash(&self.name, &self.key));
        write!(formatter, "{}+{hash}+{}", self.name, BASE64.encode(&key))
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // Base64 has `+` too, so only the first two separate.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let bytes = BASE64.decode(key.as_bytes()).map_err(|_| NoteError::Key)?;
        let (algorithm, bytes) = bytes.split_first().ok_or(NoteError::Key)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| NoteError::Key)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NoteError::Key)?;
        let sound = *algorithm == ED25519
            && !name.is_empty()
            && !name.contains(char::is_whitespace)
            && HEXLOWER.encode(&key_hash(name, &key)) == hash;
        if sound { Ok(Self::new(name, key)) } else { Err(NoteError::Key) }
    }
}

/// What names a key in a signature line: the first bytes of SHA-256(name, newline, algorithm, key).
fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest = Digest::of_parts(&[name.as_bytes(), b"\n", &[ED25519], key.as_bytes()]);
    let [a, b, c, d, ..] = digest.0;
    [a, b, c, d]
}

/// Splits a text of several notes, one after the other, into notes.
pub(super) fn split_notes(text: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = String::new();
    let mut signed = false;
    for line in text.split_inclusive('\n') {
        let signature = line.starts_with(MARK);
        if signed && !signature {
            notes.push(std::mem::take(&mut note));
            signed = false;
        }
        signed |= signature;
        // Empty lines between notes belong to none.
        if !note.is_empty() || !line.trim().is_empty() {
            note.push_str(line);
        }
    }
    if !note.is_empty() {
        notes.push(note);
    }
    notes
}
