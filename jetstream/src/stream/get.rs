//! Single messages read and deleted (jetstream.md 2.8, 2.10).

use serde::Serialize;

use super::Core;
use crate::api::ApiError;
use crate::config::Moment;
use crate::store::{Filter, Stored};
use cordon_accounts::subject::Pattern;

/// Which message is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// This one, or with `next_of` the first from here.
    pub seq: u64,
    /// The last of this subject, which may have wildcards.
    pub last_of: Option<String>,
    /// The next of this subject, which may have wildcards.
    pub next_of: Option<String>,
    /// The first stored at this time or later.
    pub since: Option<Moment>,
}

impl Wanted {
    /// It is a request that means one message.
    pub fn is_valid(&self) -> bool {
        matches!(
            (self.seq > 0, &self.last_of, &self.next_of, &self.since),
            (true, None, _, None)
                | (false, Some(_), None, None)
                | (false, None, Some(_), _)
                | (false, None, None, Some(_))
        )
    }
}

/// A message as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownMessage {
    subject: String,
    seq: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    hdrs: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    data: String,
    time: Moment,
}

impl ShownMessage {
    /// A stored message; without its header block if `bare`.
    pub fn of(stored: &Stored, bare: bool) -> Self {
        let base64 = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
        Self {
            subject: String::from_utf8_lossy(stored.subject()).into_owned(),
            seq: stored.seq,
            hdrs: if bare { String::new() } else { base64(stored.header()) },
            data: base64(stored.payload()),
            time: Moment(stored.ts),
        }
    }
}

/// The filter of a subject; `None` if it is none.
pub(super) fn filter_of(subject: &str) -> Option<Filter> {
    Pattern::parse(subject).ok().map(Filter::one)
}

impl Core {
    /// The sequence that is meant, if there is such a message.
    pub(super) fn find(&self, wanted: &Wanted) -> Option<u64> {
        if let Some(subject) = &wanted.last_of {
            return self.store.last(&filter_of(subject)?, u64::MAX);
        }
        let from = wanted.since.map_or(wanted.seq, |since| self.store.at_time(since.0));
        match &wanted.next_of {
            Some(subject) => self.store.next(&filter_of(subject)?, from.max(1)),
            None if wanted.since.is_some() => self.store.next(&Filter::All, from.max(1)),
            None => Some(wanted.seq),
        }
    }

    /// The message that is meant; `None` if there is none.
    ///
    /// # Errors
    ///
    /// 10037 also if it cannot be read: its reader can do nothing about the cause.
    pub fn message(&self, wanted: &Wanted) -> Result<Stored, ApiError> {
        let stored = self.find(wanted).map(|seq| self.store.get(seq));
        match stored {
            Some(Ok(Some(stored))) => Ok(stored),
            Some(Err(error)) => {
                tracing::error!(stream = %self.config.name, %error, "a stored message cannot be read");
                Err(ApiError::no_message_found())
            }
            _ => Err(ApiError::no_message_found()),
        }
    }

    /// Deletes a message, and overwrites it with `erase`.
    ///
    /// # Errors
    ///
    /// 10109, 10057, 10043.
    pub fn delete_message(&mut self, seq: u64, erase: bool, now: i64) -> Result<(), ApiError> {
        self.now = now;
        if self.config.sealed {
            return Err(ApiError::stream_sealed());
        }
        if self.config.deny_delete {
            return Err(ApiError::stream_msg_delete_failed("message delete not permitted"));
        }
        match self.store.remove(seq, erase) {
            Ok(Some(removed)) => {
                self.gone(removed.seq, &removed.subject, now);
                Ok(())
            }
            Ok(None) => Err(ApiError::sequence_not_found(seq)),
            Err(error) => Err(ApiError::stream_msg_delete_failed(error)),
        }
    }

    /// Purges; gives how many messages went.
    ///
    /// # Errors
    ///
    /// 10109, 10110, 10051.
    pub fn purge(&mut self, filter: Option<&Pattern>, seq: u64, keep: u64, now: i64) -> Result<u64, ApiError> {
        self.now = now;
        if self.config.sealed {
            return Err(ApiError::stream_sealed());
        }
        if self.config.deny_purge {
            return Err(ApiError::stream_purge_failed("stream purge not permitted"));
        }
        self.purge_messages(filter, seq, keep, now).map_err(ApiError::stream_general)
    }
}
