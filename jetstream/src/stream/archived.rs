//! A stream as archives hold it (jetstream.md 2.13).

use super::dedupe::Dedupe;
use super::head::value;
use super::notes::{self, Tag};
use super::ttl::{self, Ttl};
use super::{Core, StreamState};
use crate::config::StreamConfig;
use crate::consumer::Consumer;
use crate::share;
use crate::store::{Filter, Stored};

/// Bytes of messages that are read in one go.
const AT_ONCE: usize = 512 * 1024;

/// What a stream is at one moment, without its messages.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Its configuration.
    pub(crate) config: StreamConfig,
    /// Its state.
    pub(crate) state: StreamState,
    /// Its consumers by name, as JSON.
    pub(crate) consumers: Vec<(String, Vec<u8>)>,
}

/// Some messages of a stream.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// In their order.
    pub(crate) messages: Vec<Stored>,
    /// Where to go on; `None` at the end.
    pub(crate) next: Option<u64>,
    /// Sequences that cannot be read.
    pub(crate) damaged: Vec<u64>,
}

impl Core {
    /// What it is now.
    pub(crate) fn picture(&self, with_consumers: bool) -> Picture {
        // Those of a share are another account's, and end with the share.
        let is_own = |consumer: &&Consumer| !consumer.is_internal() && share::of(&consumer.config().metadata).is_none();
        let all = self.consumers.crowd.all().filter(|_| with_consumers).filter(is_own);
        let consumers: Vec<(String, Vec<u8>)> = all
            .filter_map(|consumer| Some((consumer.name().to_owned(), serde_json::to_vec(&consumer.archived()).ok()?)))
            .collect();
        let state = StreamState { lost: None, consumer_count: consumers.len(), ..self.state() };
        Picture { config: (*self.config).clone(), state, consumers }
    }

    /// Messages from `from` to `to`; `None` if the stream has ended.
    pub(crate) fn some_messages(&self, from: u64, to: u64) -> Option<Part> {
        if self.ended {
            return None;
        }
        let mut some = Part::default();
        let (mut at, mut bytes) = (from, 0);
        while bytes < AT_ONCE {
            let Some(seq) = self.store.next(&Filter::All, at).filter(|seq| *seq <= to) else { return Some(some) };
            at = seq + 1;
            match self.store.get(seq) {
                Ok(Some(stored)) => {
                    bytes += stored.subject().len() + stored.header().len() + stored.payload().len() + 64;
                    some.messages.push(stored);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(stream = %self.config.name, seq, %error, "a message cannot be read");
                    some.damaged.push(seq);
                    bytes += 64;
                }
            }
        }
        some.next = Some(at);
        Some(some)
    }
}

/// When a message that comes out of an archive ends by its own header: as [`crate::store::NewMessage::expires`] has it.
pub(crate) fn expires(config: &StreamConfig, header: &[u8], ts: i64) -> i64 {
    let ttl = value(header, "Nats-TTL").filter(|_| config.allow_msg_ttl).and_then(ttl::parse);
    match ttl {
        None => 0,
        Some(Ttl::Never) => -1,
        Some(Ttl::For(nanos)) => ts.saturating_add(nanos).max(1),
    }
}

/// Ids of messages on their way into a stream's journal.
#[derive(Debug, Default)]
pub(crate) struct Ids(Vec<u8>);

impl Ids {
    /// A message had this header block.
    pub(crate) fn add(&mut self, header: &[u8], seq: u64, ts: i64) {
        if let Some(id) = value(header, "Nats-Msg-Id").filter(|id| !id.is_empty()) {
            Dedupe::entry(id, seq, ts, &mut self.0);
        }
    }

    /// Bytes of them.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The journal's entry of them; the next begins.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        notes::entry(Tag::Ids, &std::mem::take(&mut self.0))
    }
}
