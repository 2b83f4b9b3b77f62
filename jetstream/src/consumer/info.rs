//! What a consumer says of itself (jetstream.md 3.3), and how it is described in its stream's store.

use serde::{Deserialize, Serialize};

use super::{Consumer, Context, Pair};
use crate::config::{ConsumerConfig, Moment, PriorityPolicy};

/// A consumer as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerInfo {
    /// Its stream.
    pub stream_name: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Moment,
    /// Its configuration.
    pub config: ConsumerConfig,
    /// How far deliveries went.
    pub delivered: SequenceInfo,
    /// How far everything is acknowledged.
    pub ack_floor: SequenceInfo,
    /// Messages that wait for acknowledgement.
    pub num_ack_pending: u64,
    /// Messages that were delivered more than once and are not acknowledged.
    pub num_redelivered: u64,
    /// Pull requests that wait.
    pub num_waiting: u64,
    /// Messages that were not delivered yet.
    pub num_pending: u64,
    /// Somebody listens to the deliver subject.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub push_bound: bool,
    /// Nothing is delivered for a while.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// For how long, nanoseconds.
    #[serde(skip_serializing_if = "crate::config::is_default")]
    pub pause_remaining: i64,
    /// When this was so.
    pub ts: Moment,
    /// Its groups and their pinned clients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priority_groups: Vec<PinInfo>,
}

/// A sequence of the consumer and one of the stream, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SequenceInfo {
    /// In the consumer.
    pub consumer_seq: u64,
    /// In the stream.
    pub stream_seq: u64,
    /// When something happened last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active: Option<Moment>,
}

/// A priority group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PinInfo {
    /// Its name.
    pub group: String,
    /// The id of its pinned client.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pinned_client_id: String,
    /// Since when.
    pub pinned_ts: Moment,
}

/// Whether a consumer is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PauseState {
    /// It is.
    pub paused: bool,
    /// Until when.
    pub pause_until: Moment,
    /// For how long, nanoseconds.
    #[serde(skip_serializing_if = "crate::config::is_default")]
    pub pause_remaining: i64,
}

/// What the store keeps of a consumer besides its progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Moment,
    /// Its configuration.
    pub config: ConsumerConfig,
}

/// The metadata that says why a push consumer delivers nothing. It is shown, and never kept.
pub const STOPPED: &str = "_cordon.stopped";

impl Consumer {
    /// What it says of itself. Requests are counted that somebody still listens for.
    pub fn info(&mut self, cx: &mut Context<'_>) -> ConsumerInfo {
        self.drop_deserted(cx);
        self.interest_changed(cx);
        let redelivered = if self.config.max_deliver == 1 { 0 } else { self.progress.redelivered_count() as u64 };
        let pause = self.pause_state(cx.now);
        let mut config = self.config.clone();
        if self.is_refused() {
            config.metadata.insert(STOPPED.to_owned(), self.refusal(cx));
        }
        ConsumerInfo {
            stream_name: cx.place.stream.to_owned(),
            name: self.name.clone(),
            created: Moment(self.created),
            config,
            delivered: sequence(self.progress.delivered_pair(), self.last_delivery),
            ack_floor: sequence(self.progress.floor_pair(), self.last_ack),
            num_ack_pending: self.progress.pending_count() as u64,
            num_redelivered: redelivered,
            num_waiting: self.queue.len() as u64,
            num_pending: self.ahead,
            push_bound: self.bound().unwrap_or(false),
            paused: pause.paused,
            pause_remaining: pause.pause_remaining,
            ts: Moment(cx.now),
            priority_groups: self.groups(),
        }
    }

    /// Whether it is paused.
    pub fn pause_state(&self, now: i64) -> PauseState {
        let paused = self.is_paused(now);
        PauseState {
            paused,
            pause_until: Moment(self.config.pause_until.map_or(0, |until| until.0)),
            pause_remaining: if paused { self.paused_until - now } else { 0 },
        }
    }

    /// What the store keeps of it besides its progress.
    pub fn description(&self) -> Description {
        Description { name: self.name.clone(), created: Moment(self.created), config: self.config.clone() }
    }

    fn groups(&self) -> Vec<PinInfo> {
        if self.config.priority_policy != PriorityPolicy::PinnedClient {
            return Vec::new();
        }
        let group = |name: &String| PinInfo {
            group: name.clone(),
            pinned_client_id: self.pin.as_ref().map(|pin| pin.id.clone()).unwrap_or_default(),
            pinned_ts: self.pin.as_ref().map_or(Moment::NONE, |pin| Moment(pin.since)),
        };
        self.config.priority_groups.iter().map(group).collect()
    }
}

fn sequence(pair: Pair, at: i64) -> SequenceInfo {
    SequenceInfo { consumer_seq: pair.consumer, stream_seq: pair.stream, last_active: (at != 0).then_some(Moment(at)) }
}
