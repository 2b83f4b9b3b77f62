//! Streams made, changed and deleted.

use std::sync::Arc;

use cordon_accounts::subject::Pattern;
use serde::{Deserialize, Serialize};

use super::reserve::reserved;
use super::{Account, Entry};
use crate::api::ApiError;
use crate::config::check::{Surroundings, complete};
use crate::config::{Moment, StreamConfig, changes};
use crate::store::{Journalled, Store};
use crate::stream::{Stream, advisory};

/// What the store keeps of a stream besides its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) config: StreamConfig,
    pub(crate) created: Moment,
}

impl Description {
    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A stream that comes back from a disk, or out of an archive.
pub(crate) struct Found {
    pub(crate) store: Box<dyn Store>,
    pub(crate) description: Description,
    pub(crate) journal: Vec<(String, Journalled)>,
    pub(crate) consumers: Vec<(String, Vec<u8>)>,
}

impl Account {
    /// Makes a stream; one that is there with an equal configuration is a success, too.
    ///
    /// # Errors
    ///
    /// The refusal that the client gets.
    pub fn create_stream(self: &Arc<Self>, config: StreamConfig, pedantic: bool) -> Result<Arc<Stream>, ApiError> {
        let _changes = self.changes.lock();
        let config = self.may_create(config, pedantic)?;
        if let Some(stream) = self.stream(&config.name) {
            let same = stream.look(|core| changes::is_same(core.config(), &config));
            return if same { Ok(stream) } else { Err(ApiError::stream_name_exists()) };
        }
        if self.offline_reason(&config.name).is_some() {
            return Err(ApiError::stream_name_exists());
        }
        let subjects = self.free_subjects(&config)?;
        let description = Description { created: Moment(self.setup.clock.unix_nanos()), config };
        let mut store = self.new_store(&description)?;
        if description.config.first_seq > 1 {
            store.remove_below(description.config.first_seq, &mut |_| {}).map_err(ApiError::stream_create)?;
        }
        let found = Found { store, description, journal: Vec::new(), consumers: Vec::new() };
        let stream = self.open(found, subjects);
        advisory::stream_action(&stream, "CREATED", "create");
        Ok(stream)
    }

    /// A stream that comes out of an archive may have this configuration; gives it completed.
    ///
    /// # Errors
    ///
    /// 10130 if its name is taken, and those of [`Account::create_stream`].
    pub(crate) fn may_adopt(&self, config: StreamConfig) -> Result<StreamConfig, ApiError> {
        let mut config = config;
        if self.stream(&config.name).is_some() || self.offline_reason(&config.name).is_some() {
            return Err(ApiError::stream_name_exists_restore_failed());
        }
        let sealed = std::mem::take(&mut config.sealed);
        let mut config = self.may_create(config, false)?;
        config.sealed = sealed;
        self.free_subjects(&config)?;
        Ok(config)
    }

    /// Puts a stream that `make` gives among the others.
    ///
    /// # Errors
    ///
    /// Those of [`Account::may_adopt`], which is asked again, and of `make`.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        config: &StreamConfig,
        make: impl FnOnce() -> Result<Found, ApiError>,
    ) -> Result<Arc<Stream>, ApiError> {
        let _changes = self.changes.lock();
        if self.has_ended() {
            return Err(ApiError::not_enabled_for_account());
        }
        self.may_adopt(config.clone())?;
        let subjects = self.free_subjects(config)?;
        let stream = self.open(make()?, subjects);
        advisory::stream_action(&stream, "CREATED", "create");
        Ok(stream)
    }

    /// Some stream stores messages of this subject.
    pub(crate) fn takes(&self, subject: &Pattern) -> bool {
        self.streams.read().values().any(|entry| entry.subjects.iter().any(|own| own.overlaps(subject)))
    }

    /// The configuration is one that a new stream of this account may have; gives it completed.
    pub(crate) fn may_create(&self, config: StreamConfig, pedantic: bool) -> Result<StreamConfig, ApiError> {
        if config.sealed {
            return Err(ApiError::stream_invalid_config("stream configuration for create can not be sealed"));
        }
        let known = self.stream(&config.name);
        let limits = self.single_limits()?;
        if known.is_none() {
            let count = self.streams.read().len();
            let full = |most: i64| most > 0 && count as u64 >= most.unsigned_abs();
            if full(limits.max_streams) || count >= self.settings().caps.streams {
                return Err(ApiError::maximum_streams());
            }
        }
        let before = known.map_or(0, |stream| stream.look(|core| reserved(core.config()).max(1)));
        // The numbers must be read as they will be stored, so what they are is decided first.
        let completed = self.completed(config.clone(), pedantic);
        self.check_limits(completed.as_ref().unwrap_or(&config), before)?;
        completed
    }

    /// A configuration completed and checked by itself.
    pub(crate) fn completed(&self, config: StreamConfig, pedantic: bool) -> Result<StreamConfig, ApiError> {
        let around = Surroundings {
            settings: self.settings(),
            pedantic,
            stream: &|name| self.stream(name).map(|stream| stream.look(|core| core.config().clone())),
        };
        complete(config, &around)
    }

    /// The subjects of a stream, which no other stream of the account stores.
    pub(super) fn free_subjects(&self, config: &StreamConfig) -> Result<Vec<Pattern>, ApiError> {
        let subjects: Vec<Pattern> =
            config.subjects.iter().filter_map(|subject| Pattern::parse(subject).ok()).collect();
        let streams = self.streams.read();
        for (name, entry) in streams.iter() {
            if **name != *config.name
                && entry.subjects.iter().any(|theirs| subjects.iter().any(|ours| ours.overlaps(theirs)))
            {
                return Err(ApiError::stream_subject_overlap());
            }
        }
        Ok(subjects)
    }

    /// Puts a stream into the account: from now on it is there.
    pub(super) fn open(self: &Arc<Self>, found: Found, subjects: Vec<Pattern>) -> Arc<Stream> {
        let stream = self.insert(found, subjects);
        self.start(&stream);
        self.wake_followers();
        stream
    }

    /// Puts a stream into the account; it takes nothing yet.
    pub(super) fn insert(self: &Arc<Self>, found: Found, subjects: Vec<Pattern>) -> Arc<Stream> {
        let config = &found.description.config;
        self.ledger.reserve(config.storage, reserved(config).cast_signed());
        let stream = Stream::new(self, found);
        self.streams.write().insert(stream.name().clone(), Entry { stream: stream.clone(), subjects });
        stream
    }

    /// From now on a stream takes messages.
    pub(super) fn start(&self, stream: &Arc<Stream>) {
        stream.attach_all();
        let subjects = self.streams.read().get(stream.name()).map(|entry| entry.subjects.clone()).unwrap_or_default();
        self.setup.host.listen(stream, &subjects);
        stream.wake();
    }

    /// A stream came or went: those that read from others look for it.
    fn wake_followers(&self) {
        for stream in self.streams().iter().filter(|stream| stream.follows()) {
            stream.wake();
        }
    }

    /// Changes a stream.
    ///
    /// # Errors
    ///
    /// The refusal that the client gets.
    pub fn update_stream(self: &Arc<Self>, config: StreamConfig, pedantic: bool) -> Result<Arc<Stream>, ApiError> {
        let _changes = self.changes.lock();
        let mut config = config;
        let stream = self.stream(&config.name);
        let sealed = std::mem::take(&mut config.sealed);
        let mut config = self.completed(config, pedantic)?;
        config.sealed = sealed;
        let stream = stream.ok_or_else(ApiError::stream_not_found)?;
        let old = stream.look(|core| core.config().clone());
        let config = changes::check(&old, config)?;
        let subjects = self.free_subjects(&config)?;
        self.check_limits(&config, reserved(&old).max(1))?;
        let description = Description { created: stream.created(), config };
        stream.reconfigure(&description)?;
        let config = description.config;
        self.ledger.reserve(config.storage, reserved(&config).cast_signed() - reserved(&old).cast_signed());
        if let Some(entry) = self.streams.write().get_mut(stream.name()) {
            entry.subjects.clone_from(&subjects);
        }
        if old.subjects != config.subjects {
            self.setup.host.listen(&stream, &subjects);
        }
        stream.wake();
        advisory::stream_action(&stream, "UPDATED", "modify");
        Ok(stream)
    }

    /// Deletes a stream, with its consumers and files.
    ///
    /// # Errors
    ///
    /// 10059, 10050.
    pub fn delete_stream(self: &Arc<Self>, name: &str) -> Result<(), ApiError> {
        let _changes = self.changes.lock();
        let Some(stream) = self.stream(name) else {
            return self.delete_offline(name);
        };
        self.setup.host.listen(&stream, &[]);
        self.streams.write().remove(name);
        let config = stream.look(|core| core.config().clone());
        self.ledger.reserve(config.storage, -reserved(&config).cast_signed());
        stream.delete()?;
        self.wake_followers();
        advisory::stream_action(&stream, "DELETED", "delete");
        Ok(())
    }

    /// The account ends here: streams stop, files stay.
    pub fn stop(&self) {
        self.ended.store(true, std::sync::atomic::Ordering::Release);
        let _changes = self.changes.lock();
        let streams = std::mem::take(&mut *self.streams.write());
        for entry in streams.values() {
            self.setup.host.listen(&entry.stream, &[]);
            let config = entry.stream.look(|core| core.config().clone());
            self.ledger.reserve(config.storage, -reserved(&config).cast_signed());
            entry.stream.stop();
        }
    }
}
