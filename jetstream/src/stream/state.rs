//! What a stream says of itself (jetstream.md 1.5, 2.4).

use std::collections::BTreeMap;

use parking_lot::MutexGuard;
use serde::{Deserialize, Serialize};

use super::{Core, Stream};
use crate::config::{Moment, StreamConfig, level};
use crate::store::{Filter, OfSubject};

/// Subjects in one page of [`StreamState::subjects`].
pub const SUBJECTS_PAGE: usize = 100_000;
/// Subjects that are looked at in one go, with the stream locked.
const SLICE: usize = 2_000;
/// Most sequences that one answer lists as deleted.
const DELETED_MAX: usize = 1_000_000;

/// The state of a stream on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamState {
    /// Messages.
    pub messages: u64,
    /// Their bytes, as the store counts.
    pub bytes: u64,
    /// The first sequence.
    pub first_seq: u64,
    /// When it was stored.
    pub first_ts: Moment,
    /// The last sequence.
    pub last_seq: u64,
    /// When it was stored.
    pub last_ts: Moment,
    /// Subjects with messages.
    #[serde(skip_serializing_if = "crate::config::is_default")]
    pub num_subjects: u64,
    /// Messages of each subject, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subjects: Option<BTreeMap<String, u64>>,
    /// Sequences without message between first and last.
    #[serde(skip_serializing_if = "crate::config::is_default")]
    pub num_deleted: u64,
    /// Which they are, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<u64>,
    /// What damage took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// Consumers.
    pub consumer_count: usize,
}

/// What damage took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// Sequences.
    pub msgs: Vec<u64>,
    /// Bytes.
    pub bytes: u64,
}

/// What is shown of a stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamInfo {
    /// Its configuration.
    pub config: StreamConfig,
    /// When it was made.
    pub created: Moment,
    /// Its state.
    pub state: StreamState,
    /// The node's domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// How far a mirror is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<SourceInfo>,
    /// How far its sources are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceInfo>,
    /// When this was so.
    pub ts: Moment,
}

/// How far a mirror or a source is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceInfo {
    /// The origin.
    pub name: String,
    /// How it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<crate::config::ExternalStream>,
    /// Messages that are still to come.
    pub lag: u64,
    /// Nanoseconds since something was heard of it; -1 for never.
    pub active: i64,
    /// What keeps it from working.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<crate::api::ApiError>,
    /// What is wanted of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter_subject: String,
    /// What becomes of its subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_transforms: Vec<crate::config::SubjectTransform>,
}

/// What a page of subjects holds, and of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectsPage {
    /// All that the filter means.
    pub total: usize,
    /// The first of this page.
    pub offset: usize,
    /// Most of a page; 0 if there was nothing to page.
    pub limit: usize,
}

/// A page of subjects on its way.
struct Listing {
    page: BTreeMap<String, u64>,
    offset: usize,
    total: usize,
}

impl Listing {
    fn take(&mut self, subject: &[u8], of: OfSubject) {
        if self.total >= self.offset && self.page.len() < SUBJECTS_PAGE {
            self.page.insert(String::from_utf8_lossy(subject).into_owned(), of.count);
        }
        self.total += 1;
    }

    fn done(self) -> (Option<BTreeMap<String, u64>>, SubjectsPage) {
        let Self { page, offset, total } = self;
        if total == 0 {
            return (None, SubjectsPage::default());
        }
        let about = SubjectsPage { total, offset: offset.min(total), limit: SUBJECTS_PAGE };
        ((!page.is_empty()).then_some(page), about)
    }
}

impl Stream {
    /// Counts of the subjects that `filter` means, sorted, from `offset`. Publishers come in between, so what is
    /// stored and removed meanwhile may be counted or not.
    pub fn subjects(&self, filter: &Filter, offset: usize) -> (Option<BTreeMap<String, u64>>, SubjectsPage) {
        let mut listing = Listing { page: BTreeMap::new(), offset, total: 0 };
        let mut after = None;
        loop {
            let core = self.core.lock();
            let each = &mut |subject: &[u8], of| listing.take(subject, of);
            after = core.store.subjects_part(filter, after.as_deref(), SLICE, each);
            MutexGuard::unlock_fair(core);
            if after.is_none() {
                return listing.done();
            }
        }
    }
}

impl Core {
    /// Its state.
    pub fn state(&self) -> StreamState {
        let state = self.store.state();
        let (msgs, bytes) = self.store.lost();
        StreamState {
            messages: state.messages,
            bytes: state.bytes,
            first_seq: state.first_seq,
            first_ts: Moment(state.first_ts),
            last_seq: state.last_seq,
            last_ts: Moment(state.last_ts),
            num_subjects: state.subjects,
            num_deleted: state.deleted(),
            lost: (!msgs.is_empty()).then_some(Lost { msgs, bytes }),
            consumer_count: self.consumers.crowd.shown(),
            ..StreamState::default()
        }
    }

    /// Sequences without message between first and last, ascending.
    pub fn deleted(&self) -> Vec<u64> {
        self.store.gaps(DELETED_MAX)
    }

    /// What is shown of it. `live` adds what is true of this server now.
    pub fn info(&self, now: i64, live: bool) -> StreamInfo {
        let mut config = (*self.config).clone();
        if live {
            level::show(&mut config.metadata, &self.ledger.settings().version);
        }
        StreamInfo {
            config,
            created: Moment(self.created),
            state: self.state(),
            domain: self.place.domain.as_ref().map(ToString::to_string),
            mirror: self.inflow.mirror_info(now),
            sources: self.inflow.source_infos(now),
            ts: Moment(now),
        }
    }
}
