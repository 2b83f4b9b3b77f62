//! Streams on disk: where they lie, and how they come back (jetstream.md 1.5, 6.5).
//!
//! What cannot be read, or needs a newer server, is *offline*: it is told of, and its files are not touched until it is
//! deleted by name.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cordon_accounts::subject::Pattern;

use super::Account;
use super::streams::{Description, Found};
use crate::api::{ApiError, json};
use crate::config::{Compression, PersistMode, Storage, StreamConfig, is_name, level};
use crate::store::file::{AccountKey, FileOptions, FileStore, SyncMode};
use crate::store::memory::MemoryStore;
use crate::store::{Opened, Store, StoreError};

impl Account {
    /// Opens what is on disk. Called once, before anything else.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the account's folder or its key cannot be read: nothing of it is there then, and nothing was
    /// touched. A single stream that cannot be read is offline and no error.
    pub fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
        let Some(folder) = self.folder() else { return Ok(()) };
        let keys = &self.settings().keys;
        if !keys.is_empty() {
            fs::create_dir_all(&folder).map_err(|source| failed("create", &folder, source))?;
            *self.key.lock() = Some(AccountKey::load_or_create(&folder, self.name().as_str(), keys)?);
        }
        let streams = folder.join("streams");
        match fs::metadata(&streams) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("read", &streams, error)),
            Ok(_) => FileStore::sweep(&streams)?,
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&streams).map_err(|error| failed("list", &streams, error))? {
            let entry = entry.map_err(|error| failed("list", &streams, error))?;
            if let Ok(name) = entry.file_name().into_string()
                && is_name(&name)
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        for name in names {
            self.recover_one(&name, &streams.join(&name));
        }
        // Who reads from whom is known before any stream takes or drops something.
        let all = self.streams();
        for stream in &all {
            stream.attach_all();
        }
        for stream in &all {
            self.start(stream);
        }
        Ok(())
    }

    fn recover_one(self: &Arc<Self>, name: &str, folder: &Path) {
        match self.found(name, folder) {
            Ok(found) => {
                let subjects = found.description.config.subjects.iter();
                let subjects = subjects.filter_map(|subject| Pattern::parse(subject).ok()).collect();
                self.insert(found, subjects);
            }
            Err(reason) => {
                let account = self.name();
                tracing::error!(%account, stream = %name, %reason, "a stream is offline; its files are left as they are");
                self.offline.write().insert(name.to_owned(), reason);
            }
        }
    }

    pub(super) fn found(&self, name: &str, folder: &Path) -> Result<Found, String> {
        let description = |bytes: &[u8]| json::stored::<Description>(bytes);
        let opened =
            FileStore::open(folder, &self.file_options(&StreamConfig::default())).map_err(|error| error.to_string())?;
        let read = description(&opened.description)?;
        if read.config.name != name {
            return Err(format!("its files describe the stream `{}`", read.config.name));
        }
        if !level::is_supported(&read.config.metadata) {
            let wanted = read.config.metadata.get(level::REQUIRED_LEVEL).cloned().unwrap_or_default();
            return Err(format!("unsupported - required API level: {wanted}, current API level: {}", level::API_LEVEL));
        }
        let options = self.file_options(&read.config);
        let opened = if options.sync == self.file_options(&StreamConfig::default()).sync {
            opened
        } else {
            drop(opened);
            FileStore::open(folder, &options).map_err(|error| error.to_string())?
        };
        let Opened { store, consumers, journal, .. } = opened;
        Ok(Found { store, description: read, journal, consumers })
    }

    /// The folder that its streams' folders are in; `None` if nothing is kept in files.
    pub(crate) fn streams_folder(&self) -> Option<PathBuf> {
        Some(self.folder()?.join("streams"))
    }

    /// A store in this folder, which must not be there yet.
    pub(crate) fn store_in(&self, folder: &Path, description: &Description) -> Result<Box<dyn Store>, ApiError> {
        let options = self.file_options(&description.config);
        let store = FileStore::create(folder, &options, &description.write()).map_err(ApiError::stream_create)?;
        Ok(Box::new(store))
    }

    /// Puts a folder that a stream was written into where streams are, and opens it.
    pub(crate) fn found_at(&self, made: &Path, name: &str) -> Result<Found, ApiError> {
        let streams = self.streams_folder().ok_or_else(ApiError::storage_resources_exceeded)?;
        let folder = streams.join(name);
        Self::sweep_unfinished(&folder, &self.file_options(&StreamConfig::default()))?;
        let moved = fs::rename(made, &folder).and_then(|()| fs::File::open(&streams)?.sync_all());
        moved.map_err(|error| ApiError::stream_restore(failed("move", made, error)))?;
        self.found(name, &folder).map_err(|reason| {
            // It was whole a moment ago: what is there is not what was written.
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::error!(%error, path = %folder.display(), "cannot remove what is left of a restore");
            }
            ApiError::stream_restore(reason)
        })
    }

    /// A folder may be left of a creation that never came to its end: nobody was told of it.
    fn sweep_unfinished(folder: &Path, options: &FileOptions) -> Result<(), ApiError> {
        if folder.exists() && matches!(FileStore::open(folder, options), Err(StoreError::Unfinished { .. })) {
            fs::remove_dir_all(folder).map_err(ApiError::stream_create)?;
        }
        Ok(())
    }

    /// A store for a new stream.
    pub(super) fn new_store(&self, description: &Description) -> Result<Box<dyn Store>, ApiError> {
        let config = &description.config;
        let folder = match (config.storage, self.folder()) {
            (Storage::Memory, _) => return Ok(Box::new(MemoryStore::new())),
            (Storage::File, None) => return Err(ApiError::storage_resources_exceeded()),
            (Storage::File, Some(folder)) => folder.join("streams").join(&config.name),
        };
        Self::sweep_unfinished(&folder, &self.file_options(config))?;
        self.store_in(&folder, description)
    }

    fn file_options(&self, config: &StreamConfig) -> FileOptions {
        let sync = match (config.persist_mode, self.settings().sync_interval) {
            (PersistMode::Async, _) => SyncMode::Async,
            (PersistMode::Default, Some(interval)) => SyncMode::Interval(interval),
            (PersistMode::Default, None) => SyncMode::Always,
        };
        FileOptions {
            sync,
            compression: config.compression != Compression::None,
            key: self.key.lock().clone(),
            ..FileOptions::default()
        }
    }

    /// The account's folder; `None` if nothing is kept in files.
    pub fn folder(&self) -> Option<PathBuf> {
        let root = self.settings().store_dir.as_ref()?;
        Some(root.join("jetstream").join(file_name(self.name().as_str())))
    }

    /// Deletes a stream that cannot be opened: its name was said.
    pub(super) fn delete_offline(&self, name: &str) -> Result<(), ApiError> {
        let known = self.offline.read().contains_key(name);
        let Some(folder) = self.folder().filter(|_| known) else { return Err(ApiError::stream_not_found()) };
        match fs::remove_dir_all(folder.join("streams").join(name)) {
            // It was in memory.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => done.map_err(ApiError::stream_delete)?,
        }
        self.offline.write().remove(name);
        Ok(())
    }
}

fn failed(what: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { what, path: path.display().to_string(), source }
}

/// A name that may be anything, as the name of a folder: what is not plain is written as `%` and two digits.
pub(crate) fn file_name(name: &str) -> String {
    let mut made = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$') {
            made.push(char::from(byte));
        } else {
            made.push('%');
            made.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    made
}

/// The name that a folder of this name is of; `None` if it is none's.
pub(crate) fn name_of_folder(folder: &str) -> Option<String> {
    let mut name = Vec::with_capacity(folder.len());
    let mut rest = folder.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            name.push(*first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        name.extend(data_encoding::HEXUPPER.decode(digits).ok()?);
        rest = after;
    }
    String::from_utf8(name).ok().filter(|name| !name.is_empty() && file_name(name) == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts_are_plain_names_of_folders() {
        for (name, folder) in [("$G", "$G"), ("ACME", "ACME"), ("../x", "%2E%2E%2Fx"), (".", "%2E"), ("a%b", "a%25b")] {
            assert_eq!(file_name(name), folder);
            assert_eq!(name_of_folder(folder).as_deref(), Some(name));
        }
        for folder in ["", "%", "%2", "%41", ".gone-x", "a/b", "%zz"] {
            assert_eq!(name_of_folder(folder), None, "{folder}");
        }
    }
}
