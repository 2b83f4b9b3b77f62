//! The configuration of a consumer as it stands on the wire (jetstream.md 3.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Moment, is_default};

/// What a consumer is to be. Durations are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerConfig {
    /// The name of a consumer that stays until it is deleted; empty for an ephemeral one.
    #[serde(skip_serializing_if = "is_default")]
    pub durable_name: String,
    /// Its name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Where it starts.
    pub deliver_policy: DeliverPolicy,
    /// With [`DeliverPolicy::ByStartSequence`]: the first sequence.
    #[serde(skip_serializing_if = "is_default")]
    pub opt_start_seq: u64,
    /// With [`DeliverPolicy::ByStartTime`]: messages stored since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_start_time: Option<Moment>,
    /// What acknowledges a message.
    pub ack_policy: AckPolicy,
    /// How long a message waits for its acknowledgement.
    #[serde(skip_serializing_if = "is_default")]
    pub ack_wait: i64,
    /// How often a message is delivered; -1 for ever.
    #[serde(skip_serializing_if = "is_default")]
    pub max_deliver: i64,
    /// Waits before redeliveries, in the place of `ack_wait`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backoff: Vec<i64>,
    /// The subjects that it wants; empty for all, or for those of `filter_subjects`.
    #[serde(skip_serializing_if = "is_default")]
    pub filter_subject: String,
    /// The subjects that it wants, if they are several patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter_subjects: Vec<String>,
    /// How fast it delivers what was stored before it was there.
    pub replay_policy: ReplayPolicy,
    /// Bits for each second that a push consumer sends; 0 without limit.
    #[serde(skip_serializing_if = "is_default")]
    pub rate_limit_bps: u64,
    /// Which share of acknowledgements is told of, in percent.
    #[serde(skip_serializing_if = "is_default")]
    pub sample_freq: String,
    /// Most pull requests that wait.
    #[serde(skip_serializing_if = "is_default")]
    pub max_waiting: i64,
    /// Most messages that wait for acknowledgement; -1 without limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_ack_pending: i64,
    /// A push consumer asks its receiver whether it follows.
    #[serde(skip_serializing_if = "is_default")]
    pub flow_control: bool,
    /// Messages come without payload.
    #[serde(skip_serializing_if = "is_default")]
    pub headers_only: bool,
    /// Most messages that one pull request may ask for.
    #[serde(skip_serializing_if = "is_default")]
    pub max_batch: i64,
    /// Longest time that a pull request may wait.
    #[serde(skip_serializing_if = "is_default")]
    pub max_expires: i64,
    /// Most bytes that a pull request may ask for.
    #[serde(skip_serializing_if = "is_default")]
    pub max_bytes: i64,
    /// Where a push consumer delivers; empty for a pull consumer.
    #[serde(skip_serializing_if = "is_default")]
    pub deliver_subject: String,
    /// The queue group of its receivers.
    #[serde(skip_serializing_if = "is_default")]
    pub deliver_group: String,
    /// A push consumer says that it is there when it was silent so long.
    #[serde(skip_serializing_if = "is_default")]
    pub idle_heartbeat: i64,
    /// It is deleted when nobody used it so long; 0 for never.
    #[serde(skip_serializing_if = "is_default")]
    pub inactive_threshold: i64,
    /// Copies; 0 for as many as the stream has.
    pub num_replicas: i64,
    /// Its state is kept in memory alone.
    #[serde(skip_serializing_if = "is_default")]
    pub mem_storage: bool,
    /// Internal: it is a mirror's or a source's.
    #[serde(skip_serializing_if = "is_default")]
    pub direct: bool,
    /// Internal: a mirror or a source gets its messages by it.
    #[serde(skip_serializing_if = "is_default")]
    pub sourcing: bool,
    /// For whoever made it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// It delivers nothing until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_until: Option<Moment>,
    /// Groups that pull requests name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priority_groups: Vec<String>,
    /// How requests of a group are chosen.
    #[serde(skip_serializing_if = "is_default")]
    pub priority_policy: PriorityPolicy,
    /// How long a client stays the chosen one without a request.
    #[serde(skip_serializing_if = "is_default")]
    pub priority_timeout: i64,
}

/// Where a consumer starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliverPolicy {
    /// With the first message.
    #[default]
    All,
    /// With the last one.
    Last,
    /// With the next one to be stored.
    New,
    /// With a given sequence.
    ByStartSequence,
    /// With the first message stored at a given time or later.
    ByStartTime,
    /// With the last message of each subject.
    LastPerSubject,
}

/// What acknowledges a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckPolicy {
    /// Its delivery.
    #[default]
    None,
    /// An acknowledgement of it or of a later one.
    All,
    /// An acknowledgement of it.
    Explicit,
    /// What the receiver answers to flow control.
    FlowControl,
}

/// How fast a consumer delivers what was stored before it was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayPolicy {
    /// As fast as it can.
    #[default]
    Instant,
    /// With the pauses that were between them.
    Original,
}

/// How pull requests of a group are chosen (jetstream.md 3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriorityPolicy {
    /// In turn.
    #[default]
    None,
    /// Some only when much is pending.
    Overflow,
    /// One client gets everything as long as it asks.
    PinnedClient,
    /// The most urgent first.
    Prioritized,
}
