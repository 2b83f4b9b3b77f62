//! An archive on its way into a stream: what it says is checked as it comes, and written where no stream is.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::RestoreError;
use super::entry::{self, Entries, Entry};
use super::token;
use crate::account::{Account, Description, Found};
use crate::api::ApiError;
use crate::config::{ConsumerConfig, Moment, Storage, StreamConfig, is_name, level};
use crate::consumer::{Archived, Description as Described, check};
use crate::share;
use crate::store::memory::MemoryStore;
use crate::store::{Journalled, NewMessage, STREAM, Store, StoreError};
use crate::stream::StreamState;
use crate::stream::archived::{Ids, expires};
use cordon_accounts::subject::Pattern;

/// Bytes of all entries of consumers.
const CONSUMERS_MAX: usize = 64 << 20;
/// Bytes of the entry of one, and of the state.
const CONSUMER_MAX: usize = 32 << 20;
/// Bytes of ids that make an entry of the journal.
const IDS_BYTES: usize = 64 * 1024;
/// Bytes that are written before they are synced.
const SYNC_BYTES: u64 = 64 << 20;
/// Largest header block.
const HEADER_MAX: usize = 65_535;
/// No sequence reaches it.
const SEQUENCE_END: u64 = 1 << 62;

/// A stream that is no stream yet. Dropped, it leaves nothing.
pub(super) struct Staging {
    account: Arc<Account>,
    description: Description,
    /// The folder around the stream's own, with which everything goes.
    around: Option<PathBuf>,
    store: Box<dyn Store>,
    state: StreamState,
    consumers: Vec<(Archived, Vec<u8>)>,
    consumer_bytes: usize,
    ids: Ids,
    journal: Journalled,
    /// Bytes that the account's ledger knows of.
    counted: u64,
    unsynced: u64,
    messages: u64,
    now: i64,
}

impl Staging {
    /// Reads an archive to its end.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; nothing is left then.
    pub(super) fn read(
        account: &Arc<Account>,
        config: StreamConfig,
        input: &mut dyn Read,
    ) -> Result<Self, RestoreError> {
        let mut entries = Entries::begin(input)?;
        let first = entries.next_entry()?;
        if first.name != entry::STATE.as_bytes() {
            return Err(RestoreError::Order("the first entry is not the state"));
        }
        let state: StreamState = parsed(&first).map_err(RestoreError::State)?;
        let mut staging = Self::begin(account, config, state)?;
        loop {
            let next = entries.next_entry()?;
            if next.is_end() {
                break;
            }
            staging.take(&next)?;
        }
        // Whoever sends goes on until it says that this was all.
        match entries.rest().read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => return Err(RestoreError::Order("something follows the last entry")),
            Err(error) => return Err(entry::EntryError::Io(error).into()),
        }
        staging.finish()?;
        Ok(staging)
    }

    fn begin(account: &Arc<Account>, config: StreamConfig, state: StreamState) -> Result<Self, RestoreError> {
        if state.last_seq >= SEQUENCE_END || state.first_seq > state.last_seq + 1 {
            return Err(RestoreError::State("its sequences cannot be"));
        }
        let now = account.setup.clock.unix_nanos();
        let description = Description { created: Moment(now), config };
        let config = &description.config;
        let (around, store): (_, Box<dyn Store>) = match config.storage {
            Storage::Memory => (None, Box::new(MemoryStore::new())),
            Storage::File => {
                let streams = account.streams_folder().ok_or_else(ApiError::storage_resources_exceeded)?;
                let around = streams.join(format!("{}restore-{}", crate::store::file::GONE, token()));
                let store = account.store_in(&around.join(&config.name), &description);
                (Some(around.clone()), store.inspect_err(|_| sweep(&around))?)
            }
        };
        let mut staging = Self {
            account: account.clone(),
            description,
            around,
            store,
            consumers: Vec::new(),
            consumer_bytes: 0,
            ids: Ids::default(),
            journal: Journalled::default(),
            counted: 0,
            unsynced: 0,
            messages: 0,
            now,
            state,
        };
        if staging.state.first_seq > 1 {
            let ts = if staging.state.messages == 0 { staging.state.last_ts.0 } else { 0 };
            staging.store.skip_to(staging.state.first_seq - 1, ts)?;
        }
        Ok(staging)
    }

    fn take(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        if entry.seq > 0 {
            return self.message(entry);
        }
        let name = entry.name.strip_prefix(entry::CONSUMERS.as_bytes());
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| is_name(name));
        let name = name.ok_or(RestoreError::Order("an entry is neither a consumer nor a message"))?;
        if self.messages > 0 {
            return Err(RestoreError::Order("a consumer follows messages"));
        }
        self.consumer(name, entry).map_err(|problem| RestoreError::Consumer(name.escape_debug().to_string(), problem))
    }

    fn message(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        let seq = entry.seq;
        let wrong = |what| Err(RestoreError::Message(seq, what));
        let last = self.store.state().last_seq;
        if seq <= last || seq < self.state.first_seq || seq > self.state.last_seq {
            return wrong("its sequence is not one that can follow");
        }
        self.messages += 1;
        if self.messages > self.state.messages {
            return wrong("there are more messages than the state says");
        }
        let subject = std::str::from_utf8(&entry.name).ok().and_then(|subject| Pattern::parse(subject).ok());
        if !subject.is_some_and(|subject| subject.is_literal()) {
            return wrong("its subject is none");
        }
        let header = entry.header.as_slice();
        let is_block = header.starts_with(b"NATS/1.0") && header.ends_with(b"\r\n\r\n") && header.len() <= HEADER_MAX;
        if !header.is_empty() && !is_block {
            return wrong("its headers are none");
        }
        let config = &self.description.config;
        let expires = expires(config, header, entry.ts);
        if expires > 0 && expires <= self.now {
            // It ended in the meantime: a gap.
            return Ok(());
        }
        let size = self.store.size_of(entry.name.len(), header.len(), entry.payload.len());
        self.account.ledger().room(config.storage, size)?;
        if seq > last + 1 {
            self.store.skip_to(seq - 1, entry.ts)?;
        }
        let new = NewMessage { subject: &entry.name, header, payload: &entry.payload, ts: entry.ts, expires };
        self.store.append(&new)?;
        self.account.ledger().moved(config.storage, size.cast_signed());
        self.counted += size;
        if config.duplicate_window > 0 && entry.ts > self.now.saturating_sub(config.duplicate_window) {
            self.ids.add(header, seq, entry.ts);
        }
        if self.ids.len() > IDS_BYTES {
            self.keep_ids()?;
        }
        self.unsynced += size;
        if self.unsynced > SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    fn consumer(&mut self, name: &str, entry: &Entry) -> Result<(), String> {
        self.consumer_bytes += entry.payload.len();
        if entry.payload.len() > CONSUMER_MAX || self.consumer_bytes > CONSUMERS_MAX {
            return Err("consumers take more room than they may".to_owned());
        }
        let mut archived: Archived = parsed(entry).map_err(str::to_owned)?;
        if !archived.config.pause_until.is_some_and(Moment::is_some) {
            archived.config.pause_until = None;
        }
        let config = &mut archived.config;
        let own = [&config.name, &config.durable_name];
        if own.iter().any(|own| !own.is_empty() && *own != name) {
            return Err("its configuration is of another one".to_owned());
        }
        name.clone_into(&mut config.name);
        // Only the server says whose a consumer is.
        config.metadata.remove(share::SHARE);
        let limits = self.account.single_limits().map_err(|error| error.to_string())?;
        let stream = &self.description.config;
        if !level::is_supported(&config.metadata) {
            return Err("it needs a newer server".to_owned());
        }
        self.check(config, stream, &limits).map_err(|error| error.to_string())?;
        let level = check::required_level(config);
        level::stamp(&mut config.metadata, level);
        let snapshot = archived.journalled(self.state.last_seq, self.now)?;
        archived.state = crate::consumer::ArchivedState::default();
        self.consumers.push((archived, snapshot));
        Ok(())
    }

    fn check(
        &self,
        config: &mut ConsumerConfig,
        stream: &StreamConfig,
        limits: &crate::account::Limits,
    ) -> Result<(), ApiError> {
        let settings = self.account.settings();
        check::complete(config, stream, &check::Bounds::of(settings, limits), false)?;
        if config.direct || self.consumers.iter().any(|(other, _)| other.config.name == config.name) {
            return Err(ApiError::consumer_already_exists());
        }
        check::check_room(self.consumers.len(), stream.max_consumers, limits.max_consumers)?;
        if self.consumers.len() + self.account.consumers() >= settings.caps.consumers {
            return Err(ApiError::maximum_consumers());
        }
        if stream.retention == crate::config::Retention::WorkQueue {
            check::check_unique(config, self.consumers.iter().map(|(other, _)| &other.config))?;
        }
        Ok(())
    }

    fn keep_ids(&mut self) -> Result<(), StoreError> {
        let entry = self.ids.take();
        match self.description.config.storage {
            Storage::File => self.store.journal(STREAM, &entry),
            Storage::Memory => {
                self.journal.entries.push(entry);
                Ok(())
            }
        }
    }

    fn sync(&mut self) -> Result<(), RestoreError> {
        self.unsynced = 0;
        if let Some(sync) = self.store.flush()? {
            sync.run()?;
        }
        Ok(())
    }

    /// Everything was read: what is left is written, and all of it synced.
    fn finish(&mut self) -> Result<(), RestoreError> {
        self.store.skip_to(self.state.last_seq, self.state.last_ts.0)?;
        if self.ids.len() > 0 {
            self.keep_ids()?;
        }
        for (name, description, snapshot) in self.described() {
            self.store.describe_consumer(&name, Some(&description))?;
            self.store.snapshot(&name, &snapshot)?;
        }
        self.sync()
    }

    fn described(&self) -> Vec<(String, Vec<u8>, Vec<u8>)> {
        let of = |(archived, snapshot): &(Archived, Vec<u8>)| {
            let config = archived.config.clone();
            let described = Described { name: config.name.clone(), created: Moment(self.now), config };
            let bytes = serde_json::to_vec(&described).unwrap_or_default();
            (described.name, bytes, snapshot.clone())
        };
        self.consumers.iter().map(of).collect()
    }

    /// Puts the stream into its place.
    ///
    /// # Errors
    ///
    /// [`ApiError`]: in the meantime its name was taken, or what the account may have. Nothing is left then.
    pub(super) fn install(mut self) -> Result<Arc<crate::stream::Stream>, ApiError> {
        let account = self.account.clone();
        let config = self.description.config.clone();
        account.adopt(&config, || {
            // From here on the stream itself counts them.
            account.ledger().moved(config.storage, -std::mem::take(&mut self.counted).cast_signed());
            let store = std::mem::replace(&mut self.store, Box::new(MemoryStore::new()));
            let Some(around) = self.around.clone() else {
                let mut journal = vec![(STREAM.to_owned(), std::mem::take(&mut self.journal))];
                let mut consumers = Vec::new();
                for (name, description, snapshot) in self.described() {
                    journal.push((name.clone(), Journalled { snapshot: Some(snapshot), entries: Vec::new() }));
                    consumers.push((name, description));
                }
                return Ok(Found { store, description: self.description.clone(), journal, consumers });
            };
            // Closed, it saves its index.
            drop(store);
            account.found_at(&around.join(&config.name), &config.name)
        })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let storage = self.description.config.storage;
        self.account.ledger().moved(storage, -self.counted.cast_signed());
        if let Some(around) = &self.around {
            // It is closed without writing anything; there may be nothing any more.
            let _gone = self.store.destroy();
            sweep(around);
        }
    }
}

fn sweep(around: &std::path::Path) {
    match fs::remove_dir_all(around) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, path = %around.display(), "cannot remove what is left of a restore");
        }
        _ => {}
    }
}

fn parsed<T: serde::de::DeserializeOwned>(entry: &Entry) -> Result<T, &'static str> {
    let is_object = entry.payload.trim_ascii_start().first() == Some(&b'{');
    if entry.payload.len() > CONSUMER_MAX || !entry.header.is_empty() || !is_object {
        return Err("it is larger than it may be, has headers, or is no object");
    }
    serde_json::from_slice(&entry.payload).map_err(|_| "it is no JSON of its kind")
}
