//! The configuration of a stream as it stands on the wire (jetstream.md 2.1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{StreamSource, SubjectTransform, is_default};

/// What a stream is to be. Durations are nanoseconds; -1 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamConfig {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Subjects whose messages it stores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// When messages go that no limit takes.
    pub retention: Retention,
    /// Most consumers.
    pub max_consumers: i64,
    /// Most messages.
    pub max_msgs: i64,
    /// Most bytes, as the store counts them.
    pub max_bytes: i64,
    /// Longest life of a message; 0 for no end.
    pub max_age: i64,
    /// Most messages of one subject.
    pub max_msgs_per_subject: i64,
    /// Largest message, header block and payload together.
    #[serde(skip_serializing_if = "is_default")]
    pub max_msg_size: i32,
    /// What happens at a limit.
    pub discard: Discard,
    /// Where it is kept.
    pub storage: Storage,
    /// Copies; 1 on a single node.
    pub num_replicas: i64,
    /// Publishers are never answered.
    #[serde(skip_serializing_if = "is_default")]
    pub no_ack: bool,
    /// How long ids of messages are remembered.
    #[serde(skip_serializing_if = "is_default")]
    pub duplicate_window: i64,
    /// Wishes for a node of a cluster; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// It is a copy of this stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<StreamSource>,
    /// It takes the messages of these streams, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<StreamSource>,
    /// How its files are compressed.
    pub compression: Compression,
    /// The first sequence that it gives; 0 for 1.
    #[serde(skip_serializing_if = "is_default")]
    pub first_seq: u64,
    /// What subjects become before they are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_transform: Option<SubjectTransform>,
    /// Messages stored are published again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub republish: Option<Republish>,
    /// Messages can be read by `DIRECT.GET`.
    pub allow_direct: bool,
    /// A mirror answers `DIRECT.GET` for its origin.
    pub mirror_direct: bool,
    /// With `discard: new`: at the limit of a subject, its new message is refused.
    #[serde(skip_serializing_if = "is_default")]
    pub discard_new_per_subject: bool,
    /// Nothing in it changes any more.
    pub sealed: bool,
    /// Messages cannot be deleted.
    pub deny_delete: bool,
    /// It cannot be purged.
    pub deny_purge: bool,
    /// A message may take the place of all before it.
    pub allow_rollup_hdrs: bool,
    /// What consumers may ask for.
    pub consumer_limits: ConsumerLimits,
    /// Messages may say when they end.
    pub allow_msg_ttl: bool,
    /// How long the marker stays that tells of a subject whose last message ended; 0 for no marker.
    #[serde(skip_serializing_if = "is_default")]
    pub subject_delete_marker_ttl: i64,
    /// Messages are increments of counters.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_msg_counter: bool,
    /// Batches that are stored together or not at all.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_atomic: bool,
    /// Batches with flow control.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_batched: bool,
    /// Messages may say when they are to be sent.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_msg_schedules: bool,
    /// When a message counts as stored.
    #[serde(skip_serializing_if = "is_default")]
    pub persist_mode: PersistMode,
    /// For whoever made it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            subjects: Vec::new(),
            retention: Retention::Limits,
            max_consumers: 0,
            max_msgs: 0,
            max_bytes: 0,
            max_age: 0,
            max_msgs_per_subject: 0,
            max_msg_size: 0,
            discard: Discard::Old,
            storage: Storage::File,
            num_replicas: 0,
            no_ack: false,
            duplicate_window: 0,
            placement: None,
            mirror: None,
            sources: Vec::new(),
            compression: Compression::None,
            first_seq: 0,
            subject_transform: None,
            republish: None,
            allow_direct: false,
            mirror_direct: false,
            discard_new_per_subject: false,
            sealed: false,
            deny_delete: false,
            deny_purge: false,
            allow_rollup_hdrs: false,
            consumer_limits: ConsumerLimits::default(),
            allow_msg_ttl: false,
            subject_delete_marker_ttl: 0,
            allow_msg_counter: false,
            allow_atomic: false,
            allow_batched: false,
            allow_msg_schedules: false,
            persist_mode: PersistMode::Default,
            metadata: BTreeMap::new(),
        }
    }
}

/// When messages go that no limit takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retention {
    /// Limits alone decide.
    #[default]
    Limits,
    /// When every consumer that wants it has acknowledged it; at once if none wants it.
    Interest,
    /// When its one consumer has acknowledged it.
    WorkQueue,
}

/// What happens at a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discard {
    /// The oldest messages go.
    #[default]
    Old,
    /// The new message is refused.
    New,
}

/// Where messages are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// In files.
    #[default]
    File,
    /// In memory; gone with the process.
    Memory,
}

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// S2.
    S2,
}

/// When a message counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersistMode {
    /// As the node is set up.
    #[default]
    Default,
    /// Once it is in memory; it is written soon after.
    Async,
}

/// Wishes for a node of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Placement {
    /// The cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub cluster: String,
    /// Tags of its servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// A server.
    #[serde(skip_serializing_if = "is_default")]
    pub preferred: String,
}

/// Messages stored are published again under another subject (jetstream.md 2.9.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Republish {
    /// Which; empty for all.
    #[serde(skip_serializing_if = "is_default")]
    pub src: String,
    /// Where.
    pub dest: String,
    /// Without the payload.
    #[serde(skip_serializing_if = "is_default")]
    pub headers_only: bool,
}

/// What consumers of a stream may ask for; 0 for anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerLimits {
    /// Longest inactivity threshold, and the one of consumers that say none.
    #[serde(skip_serializing_if = "is_default")]
    pub inactive_threshold: i64,
    /// Most messages waiting for acknowledgement, and the number of consumers that say none.
    #[serde(skip_serializing_if = "is_default")]
    pub max_ack_pending: i64,
}
