//! Consumers made, changed and deleted; consumers as the API shows them.

use super::Core;
use crate::api::ApiError;
use crate::config::{AckPolicy, ConsumerConfig, Retention, level};
use crate::consumer::check::{self, Bounds};
use crate::consumer::{
    Consumer, ConsumerInfo, Context, Effects, End, ResetError, STOPPED, UnpinError, consumer_created, consumer_deleted,
    sourcing, update,
};
use crate::share;

/// What a request wants of a consumer that may be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// It is made, or becomes what is asked for.
    #[default]
    Any,
    /// It is made; one that is there must be equal.
    Create,
    /// It is there, and becomes what is asked for.
    Update,
}

/// What bounds a new consumer.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bounds of its numbers.
    pub bounds: Bounds,
    /// Most consumers of a stream, by the account's limits; 0 and less for none.
    pub max_consumers: i64,
    /// The caller wants to be refused where something would be changed silently.
    pub pedantic: bool,
}

impl Core {
    /// Makes or changes a consumer; gives what it is then.
    ///
    /// # Errors
    ///
    /// The refusal that the client gets; nothing has changed then.
    pub fn put_consumer(
        &mut self,
        mut config: ConsumerConfig,
        action: Action,
        room: &Room,
        now: i64,
    ) -> Result<ConsumerInfo, ApiError> {
        self.now = now;
        if config.name.is_empty() && config.durable_name.is_empty() {
            config.name = short_name();
        }
        sourcing::adapt(&mut config, self.config.retention);
        check::complete(&mut config, &self.config, &room.bounds, room.pedantic)?;
        let level = check::required_level(&config);
        level::stamp(&mut config.metadata, level);
        if self.consumers_offline.contains_key(&config.name) {
            return Err(ApiError::consumer_offline("it cannot be read"));
        }
        if self.consumers.crowd.get(&config.name).is_some() {
            return self.change_consumer(config, action, now);
        }
        if action == Action::Update {
            return Err(ApiError::consumer_does_not_exist());
        }
        if !config.direct && !config.sourcing {
            check::check_room(self.consumers.crowd.shown(), self.config.max_consumers, room.max_consumers)?;
        }
        self.check_unique(&config)?;
        self.make_consumer(config, now)
    }

    /// Each message of a work queue has one consumer.
    fn check_unique(&self, config: &ConsumerConfig) -> Result<(), ApiError> {
        if self.config.retention != Retention::WorkQueue || config.direct {
            return Ok(());
        }
        let others = self.consumers.crowd.all().filter(|other| other.name() != config.name && !other.is_internal());
        check::check_unique(config, others.map(Consumer::config))
    }

    fn change_consumer(&mut self, config: ConsumerConfig, action: Action, now: i64) -> Result<ConsumerInfo, ApiError> {
        let name = config.name.clone();
        let old = self.consumers.crowd.get(&name).map(|consumer| consumer.config().clone()).unwrap_or_default();
        if !update::same(&old, &config) {
            if action == Action::Create {
                return Err(ApiError::consumer_already_exists());
            }
            let group = (!old.deliver_group.is_empty()).then_some(old.deliver_group.as_bytes());
            let bound =
                !old.deliver_subject.is_empty() && self.port.is_subscribed(old.deliver_subject.as_bytes(), group);
            update::check_update(&old, &config, bound)?;
            self.check_unique(&config)?;
            let mut wanted = config.clone();
            wanted.pause_until = old.pause_until;
            self.describe(&name, &wanted)?;
            if sourcing::is_kept_for_another(&config) {
                // Its receiver begins anew, with what it has not confirmed.
                self.with_consumer(&name, now, |consumer, cx| consumer.reset(None, cx));
            }
            let refiltered = self.with_consumer(&name, now, |consumer, cx| consumer.update(wanted, cx));
            self.consumers_changed = true;
            if refiltered == Some(true) {
                self.sweep(now);
            }
        }
        self.consumer_info(&name, now).ok_or_else(ApiError::consumer_not_found)
    }

    /// Writes the description of a consumer that is there with another configuration.
    fn describe(&mut self, name: &str, config: &ConsumerConfig) -> Result<(), ApiError> {
        let Some(consumer) = self.consumers.crowd.get(name).filter(|consumer| consumer.is_kept()) else {
            return Ok(());
        };
        let mut description = consumer.description();
        description.config = config.clone();
        let bytes = serde_json::to_vec(&description).map_err(ApiError::consumer_store_failed)?;
        self.store.describe_consumer(name, Some(&bytes)).map_err(ApiError::consumer_store_failed)
    }

    fn make_consumer(&mut self, config: ConsumerConfig, now: i64) -> Result<ConsumerInfo, ApiError> {
        let name = config.name.clone();
        let internal = config.direct;
        let mut effects = Effects::default();
        let mut cx = Context {
            place: self.place.place(),
            store: &mut *self.store,
            port: &*self.port,
            now,
            durable: self.durable,
            effects: &mut effects,
        };
        let mut consumer = Consumer::create(&name, config, &mut cx).map_err(ApiError::consumer_store_failed)?;
        let info = consumer.info(&mut cx);
        if consumer.is_kept() {
            let bytes = serde_json::to_vec(&consumer.description()).map_err(ApiError::consumer_store_failed)?;
            if let Err(error) = cx.store.describe_consumer(&name, Some(&bytes)) {
                consumer.end(End::Deleted, &mut cx);
                return Err(ApiError::consumer_store_failed(error));
            }
        }
        self.consumers.crowd.insert(consumer, now);
        self.consumers_changed = true;
        if !internal {
            consumer_created(&self.place.place(), &name, &*self.port, now);
        }
        Ok(info)
    }

    /// Deletes a consumer; false if there is none.
    ///
    /// # Errors
    ///
    /// 10051 if its files cannot be removed.
    pub fn delete_consumer(&mut self, name: &str, now: i64) -> Result<bool, ApiError> {
        self.now = now;
        if self.consumers_offline.remove(name).is_some() {
            self.store.describe_consumer(name, None).map_err(ApiError::stream_general)?;
            return Ok(true);
        }
        self.with_consumer(name, now, |consumer, cx| consumer.end(End::Deleted, cx));
        let Some(consumer) = self.consumers.crowd.remove(name) else { return Ok(false) };
        self.consumers_changed = true;
        if consumer.is_kept() {
            self.store.describe_consumer(name, None).map_err(ApiError::stream_general)?;
        }
        if !consumer.is_internal() {
            consumer_deleted(&self.place.place(), name, &*self.port, now);
        }
        if self.config.retention == Retention::Interest {
            self.sweep(now);
        }
        Ok(true)
    }

    /// Deletes those that nobody used for too long.
    pub(super) fn delete_unused(&mut self, now: i64) {
        for name in std::mem::take(&mut self.consumers.unused) {
            if let Err(error) = self.delete_consumer(&name, now) {
                tracing::warn!(stream = %self.config.name, consumer = %name, %error, "an unused consumer stays");
            }
        }
    }

    /// What a consumer says of itself.
    pub fn consumer_info(&mut self, name: &str, now: i64) -> Option<ConsumerInfo> {
        self.with_consumer(name, now, Consumer::info)
    }

    /// Whose a consumer is to be that is asked for: an importer gets those of its share alone, and the account itself
    /// takes none from it.
    ///
    /// # Errors
    ///
    /// 10013 for an importer that names another's consumer, 10026 for one that has too many.
    pub fn own_consumer(&self, config: &mut ConsumerConfig, importer: Option<&str>) -> Result<(), ApiError> {
        config.metadata.remove(STOPPED);
        let name = if config.name.is_empty() { &config.durable_name } else { &config.name };
        let there = self.consumers.crowd.get(name);
        let Some(id) = importer else {
            config.metadata.remove(share::SHARE);
            if let Some(id) = there.and_then(Consumer::share) {
                config.metadata.insert(share::SHARE.to_owned(), id.to_owned());
            }
            return Ok(());
        };
        match there {
            Some(consumer) if consumer.share() != Some(id) => return Err(ApiError::consumer_name_exists()),
            Some(_) => {}
            None => {
                let others = self.consumers.crowd.all().filter(|consumer| consumer.share() == Some(id)).count();
                if others >= share::CONSUMERS_MAX {
                    return Err(ApiError::maximum_consumers());
                }
            }
        }
        share::claim(config, id);
        Ok(())
    }

    /// The configuration of a consumer.
    pub(crate) fn consumer_config(&self, name: &str) -> Option<&ConsumerConfig> {
        self.consumers.crowd.get(name).map(Consumer::config)
    }

    /// Names of consumers in lists, sorted.
    pub fn consumer_names(&self) -> Vec<String> {
        self.consumers.crowd.all().filter(|consumer| !consumer.is_internal()).map(|one| one.name().to_owned()).collect()
    }

    /// Why a consumer that is on disk is not there.
    pub fn consumer_offline(&self, name: &str) -> Option<&str> {
        self.consumers_offline.get(name).map(String::as_str)
    }

    /// Consumers that are on disk and not there, and why.
    pub fn consumers_offline(&self) -> &std::collections::BTreeMap<String, String> {
        &self.consumers_offline
    }

    /// Releases the pinned client of a group; `None` without such a consumer.
    pub fn unpin_consumer(&mut self, name: &str, group: &str, now: i64) -> Option<Result<(), UnpinError>> {
        self.with_consumer(name, now, |consumer, cx| consumer.unpin(group, cx))
    }

    /// Lets a consumer start over; gives where, and what it is then. `None` without such a consumer.
    pub fn reset_consumer(
        &mut self,
        name: &str,
        to: Option<u64>,
        now: i64,
    ) -> Option<Result<(u64, ConsumerInfo), ResetError>> {
        self.with_consumer(name, now, |consumer, cx| consumer.reset(to, cx).map(|seq| (seq, consumer.info(cx))))
    }

    /// Pauses a consumer until then, or lets it go on; writes that down.
    ///
    /// # Errors
    ///
    /// 10014 without such a consumer, 10104 if it cannot be written.
    pub fn pause_consumer(
        &mut self,
        name: &str,
        until: i64,
        now: i64,
    ) -> Result<crate::consumer::PauseState, ApiError> {
        let state = self
            .with_consumer(name, now, |consumer, cx| {
                consumer.pause(until, cx);
                consumer.pause_state(cx.now)
            })
            .ok_or_else(ApiError::consumer_not_found)?;
        let config = self.consumers.crowd.get(name).map(|consumer| consumer.config().clone()).unwrap_or_default();
        self.describe(name, &config)?;
        Ok(state)
    }

    /// Consumers that a lower limit of the stream would leave out: their names.
    pub(super) fn beyond_limits(&self, limits: &crate::config::ConsumerLimits) -> Vec<String> {
        let beyond = |config: &ConsumerConfig| {
            (limits.inactive_threshold > 0 && config.inactive_threshold > limits.inactive_threshold)
                || (limits.max_ack_pending > 0
                    && config.ack_policy != AckPolicy::None
                    && (config.max_ack_pending > limits.max_ack_pending || config.max_ack_pending <= 0))
        };
        self.consumers
            .crowd
            .all()
            .filter(|consumer| !consumer.is_internal() && beyond(consumer.config()))
            .map(|consumer| consumer.name().to_owned())
            .collect()
    }

    /// The stream ends: consumers tell whoever waits.
    pub(super) fn end_consumers(&mut self, why: End, now: i64) {
        let names: Vec<String> = self.consumers.crowd.all().map(|consumer| consumer.name().to_owned()).collect();
        for name in names {
            self.with_consumer(&name, now, |consumer, cx| consumer.end(why, cx));
            let internal = self.consumers.crowd.get(&name).is_none_or(Consumer::is_internal);
            if why == End::Deleted && !internal {
                consumer_deleted(&self.place.place(), &name, &*self.port, now);
            }
        }
    }
}

/// A name for a consumer that came without one.
fn short_name() -> String {
    let nuid = nuid::next();
    let text = nuid.as_str();
    text.get(text.len().saturating_sub(8)..).unwrap_or(text).to_owned()
}
