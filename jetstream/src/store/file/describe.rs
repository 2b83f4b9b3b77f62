//! Descriptions of a stream and its consumers: files of their own, replaced as a whole, synced before anybody goes on.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::super::StoreError;
use super::disk::io_error;
use super::sync::Shared;
use super::whole::{self, Keys};

/// The stream's.
pub(crate) const STREAM_FILE: &str = "stream.desc";

/// The file of a consumer: its name may be as long as a file's and hold what files' names must not.
fn consumer_file(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let short = digest.first_chunk::<16>().map_or_else(String::new, |bytes| HEXLOWER.encode(bytes));
    format!("consumer-{short}.desc")
}

/// # Errors
///
/// [`StoreError`]; the former one stays.
pub(crate) fn write_stream(shared: &Shared, keys: &Keys, description: &[u8]) -> Result<(), StoreError> {
    write(shared, STREAM_FILE, &whole::encode(keys, b"", description))
}

/// # Errors
///
/// As [`write_stream`].
pub(crate) fn write_consumer(
    shared: &Shared,
    keys: &Keys,
    name: &str,
    description: Option<&[u8]>,
) -> Result<(), StoreError> {
    let file = consumer_file(name);
    if let Some(description) = description {
        return write(shared, &file, &whole::encode(keys, name.as_bytes(), description));
    }
    let path = shared.dir.join(file);
    shared.disk.remove(&path).map_err(io_error("remove", &path))?;
    sync_names(shared)
}

fn write(shared: &Shared, file: &str, content: &[u8]) -> Result<(), StoreError> {
    whole::replace(&*shared.disk, &shared.dir, file, content)?;
    sync_names(shared)
}

fn sync_names(shared: &Shared) -> Result<(), StoreError> {
    let synced = shared.disk.sync_dir(&shared.dir).map_err(io_error("sync", &shared.dir));
    // What other names came and went before may be lost with it.
    synced.inspect_err(|error| shared.fail(error))
}

/// A stream's description, and its consumers' by name.
pub(crate) type Descriptions = (Vec<u8>, Vec<(String, Vec<u8>)>);

/// The stream's description, and its consumers'.
///
/// # Errors
///
/// [`StoreError`] if one of them cannot be read: nothing may be done to the stream without knowing all of them.
pub(crate) fn read(shared: &Shared, keys: &Keys, names: &[(String, u64)]) -> Result<Descriptions, StoreError> {
    let (_, stream) = whole::read(&*shared.disk, &shared.dir.join(STREAM_FILE), keys)?;
    let mut consumers = Vec::new();
    let is_consumer = |file: &str| file.starts_with("consumer-") && file.strip_suffix(".desc").is_some();
    for (file, _) in names.iter().filter(|(file, _)| is_consumer(file)) {
        let path = shared.dir.join(file);
        let (name, description) = whole::read(&*shared.disk, &path, keys)?;
        let damaged = || StoreError::Damaged { path: path.display().to_string(), offset: 0, what: "its name differs" };
        let name = String::from_utf8(name.into()).map_err(|_| damaged())?;
        if consumer_file(&name) != *file {
            return Err(damaged());
        }
        consumers.push((name, description.to_vec()));
    }
    consumers.sort();
    Ok((stream.to_vec(), consumers))
}
