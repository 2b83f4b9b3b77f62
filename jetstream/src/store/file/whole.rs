//! Files that are replaced as a whole: descriptions, checkpoints, tables. And the header that every file begins with:
//!
//! ```text
//!  0       `CRDNJS01`         8       salt             24  u8  1 if it is encrypted
//! 28       of files that grow: how far they were synced ([`mark`](super::mark)), written over and over
//! 48       of files that grow: what they were called when they were made ([`stamp`](super::stamp))
//! 60  u32  check: CRC32C of all of that as it was when the file was made
//! ```

use std::path::Path;

use bytes::Bytes;
use rand::RngCore;

use super::super::StoreError;
use super::disk::{Disk, io_error};
use super::key::AccountKey;
use super::record::{FIRST, Format, Kind, New};
use super::seal::Seal;
use super::stamp;

const MAGIC: &[u8; 8] = b"CRDNJS01";

/// A salt for a new file.
pub(crate) fn salt() -> [u8; 16] {
    let mut salt = [0; 16];
    rand::thread_rng().fill_bytes(&mut salt);
    salt
}

/// What files of a stream are encrypted with.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) key: Option<AccountKey>,
    pub(crate) stream: String,
}

impl Keys {
    /// How a file with this salt is written, or read if it is `encrypted`; `None` if its key is not known.
    pub(crate) fn format(&self, salt: &[u8; 16], encrypted: bool) -> Option<Format> {
        let seal = if encrypted { Some(Seal::new(self.key.as_ref()?, &self.stream, salt)) } else { None };
        Some(Format::new(salt, seal))
    }

    /// The header of a file that grows and is made with this name and salt.
    pub(crate) fn header(&self, name: &str, salt: &[u8; 16], encrypted: bool) -> [u8; FIRST as usize] {
        header(salt, encrypted, stamp::of(&self.stream, name, salt))
    }

    pub(crate) fn encrypts(&self) -> bool {
        self.key.is_some()
    }
}

/// The header of a file with this salt: magic, salt, whether it is encrypted, stamp, check.
pub(crate) fn header(salt: &[u8; 16], encrypted: bool, stamp: [u8; stamp::LEN]) -> [u8; FIRST as usize] {
    let mut header = [0; FIRST as usize];
    let crc = {
        let (magic, rest) = header.split_at_mut(8);
        magic.copy_from_slice(MAGIC);
        let (place, rest) = rest.split_at_mut(16);
        place.copy_from_slice(salt);
        if let Some(first) = rest.first_mut() {
            *first = u8::from(encrypted);
        }
        if let Some(place) = header.get_mut(stamp::AT..stamp::AT + stamp::LEN) {
            place.copy_from_slice(&stamp);
        }
        let (covered, _) = header.split_at(60);
        crc32c::crc32c(covered)
    };
    if let Some(place) = header.last_chunk_mut() {
        *place = crc.to_le_bytes();
    }
    header
}

/// Salt and whether it is encrypted, of a file that begins with `bytes`.
pub(crate) fn read_header(bytes: &[u8]) -> Option<([u8; 16], bool)> {
    let bytes = bytes.get(..FIRST as usize)?;
    let salt: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
    let encrypted = *bytes.get(24)? == 1;
    (bytes == header(&salt, encrypted, stamp::NONE)).then_some((salt, encrypted))
}

/// The content of a file that holds `payload` as a whole.
pub(crate) fn encode(keys: &Keys, name: &[u8], payload: &[u8]) -> Vec<u8> {
    let salt = salt();
    let mut bytes = header(&salt, keys.encrypts(), stamp::NONE).to_vec();
    if let Some(format) = keys.format(&salt, keys.encrypts()) {
        format.encode(&mut bytes, FIRST, &New::named(Kind::Whole, name, payload));
    }
    bytes
}

/// Replaces `dir`/`file` by `content`, which is synced before; its name is once `dir` is synced.
pub(crate) fn replace(disk: &dyn Disk, dir: &Path, file: &str, content: &[u8]) -> Result<(), StoreError> {
    let path = dir.join(file);
    let temporary = dir.join(format!("{file}.tmp"));
    let write = || {
        disk.remove(&temporary)?;
        let new = disk.open(&temporary, true)?;
        new.write_at(content, 0)?;
        new.sync()?;
        disk.rename(&temporary, &path)
    };
    write().map_err(|error| {
        // What is left of it would only take room.
        let _ = disk.remove(&temporary);
        io_error("write", &path)(error)
    })
}

/// The name and payload in a file.
///
/// # Errors
///
/// [`StoreError::Key`] if it was written under another key, [`StoreError::Damaged`], [`StoreError::Io`].
pub(crate) fn read(disk: &dyn Disk, path: &Path, keys: &Keys) -> Result<(Bytes, Bytes), StoreError> {
    let bytes = Bytes::from(disk.read(path).map_err(io_error("read", path))?);
    decode(&bytes, keys).map_err(|problem| {
        let path = path.display().to_string();
        match problem {
            Problem::Key => StoreError::Key { path },
            Problem::Damaged => StoreError::Damaged { path, offset: 0, what: "its checksum differs" },
        }
    })
}

enum Problem {
    Key,
    Damaged,
}

fn decode(bytes: &Bytes, keys: &Keys) -> Result<(Bytes, Bytes), Problem> {
    let (salt, encrypted) = read_header(bytes).ok_or(Problem::Damaged)?;
    let behind = bytes.slice(FIRST as usize..);
    let intact = || {
        let clear = Format::new(&salt, None);
        clear.record(&behind, FIRST).is_some_and(|record| record.head.kind == Kind::Whole)
    };
    let unread = || if encrypted && intact() { Problem::Key } else { Problem::Damaged };
    let format = keys.format(&salt, encrypted).ok_or_else(unread)?;
    let record = format.record(&behind, FIRST).ok_or_else(unread)?;
    if record.head.kind != Kind::Whole {
        return Err(Problem::Damaged);
    }
    let content = record.content();
    let at = usize::from(record.head.subject_len).min(content.len());
    Ok((content.slice(..at), content.slice(at..)))
}
