//! How far each source is in its origin: written down with what came, and found again after a restart.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::Core;
use super::super::head::value;
use super::super::notes::{self, Tag};
use super::Shape;
use super::taking::SOURCE;
use crate::config::{Moment, StreamSource};
use crate::store::{Filter, Journalled};

/// Messages that are looked through for what the journal does not tell.
const LOOKED_THROUGH: usize = 1024;

/// A position, as it is journalled.
#[derive(Serialize, Deserialize)]
struct Position {
    of: String,
    next: u64,
    origin: i64,
    /// The last sequence here when it was written: if that is gone, so is what came.
    at: u64,
    /// What a far origin called itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    stamp: String,
}

/// What a source header tells.
struct Told<'a> {
    key: &'a str,
    seq: u64,
    filter: &'a str,
    dest: &'a str,
    stamp: &'a str,
}

impl Core {
    /// Writes down where a source is.
    pub(super) fn note_position(&mut self, at: usize) {
        let last = self.store.state().last_seq;
        let position = self.inflow.feeds.get(at).map(|feed| Position {
            of: feed.shape.identity.clone(),
            next: feed.next,
            origin: feed.origin,
            at: last,
            stamp: feed.far.as_ref().map(|far| far.stamp.clone()).unwrap_or_default(),
        });
        if let Some(position) = position {
            self.note(Tag::Positions, &serde_json::to_vec(&[position]).unwrap_or_default());
        }
    }

    /// Where feeds are, as a note.
    pub(in super::super) fn positions(&self) -> Vec<u8> {
        let at = self.store.state().last_seq;
        let positions: Vec<Position> = self
            .inflow
            .feeds
            .iter()
            .filter(|feed| !feed.shape.mirror && feed.next > 0)
            .map(|feed| Position {
                of: feed.shape.identity.clone(),
                next: feed.next,
                origin: feed.origin,
                at,
                stamp: feed.far.as_ref().map(|far| far.stamp.clone()).unwrap_or_default(),
            })
            .collect();
        serde_json::to_vec(&positions).unwrap_or_default()
    }

    /// Feeds go on where they were; what the journal does not know, or knows too well, is found in the messages.
    ///
    /// Gives whether the journal knows of messages that are not there.
    pub(in super::super) fn recover_positions(&mut self, journalled: &Journalled) -> bool {
        let last = self.store.state().last_seq;
        let mut positions: Vec<Position> = notes::read(journalled, Tag::Positions)
            .into_iter()
            .flat_map(|note| serde_json::from_slice::<Vec<Position>>(note).unwrap_or_default())
            .collect();
        let count = positions.len();
        positions.retain(|position| position.at <= last);
        for feed in self.inflow.feeds.iter_mut().filter(|feed| !feed.shape.mirror) {
            for position in positions.iter().filter(|position| position.of == feed.shape.identity) {
                (feed.next, feed.origin) = (position.next, position.origin);
                if let Some(far) = &mut feed.far {
                    far.stamp.clone_from(&position.stamp);
                }
            }
        }
        self.scan_positions();
        positions.len() < count
    }

    /// Messages that came after the last position that was written down.
    fn scan_positions(&mut self) {
        if self.inflow.feeds.iter().all(|feed| feed.shape.mirror) {
            return;
        }
        let mut to = u64::MAX;
        for _ in 0..LOOKED_THROUGH {
            let Some(seq) = self.store.last(&Filter::All, to) else { return };
            if let Ok(Some(stored)) = self.store.get(seq)
                && let Some(told) = value(stored.header(), SOURCE).and_then(read)
                && let Some(feed) = self.inflow.feeds.iter_mut().find(|feed| feed.shape.is_meant(&told))
                && told.seq >= feed.next
            {
                feed.next = told.seq + 1;
                if let Some(far) = &mut feed.far {
                    told.stamp.clone_into(&mut far.stamp);
                }
            }
            if seq <= 1 {
                return;
            }
            to = seq - 1;
        }
    }
}

impl Shape {
    /// A message with this header came by this feed.
    fn is_meant(&self, told: &Told<'_>) -> bool {
        let by_transform = |(src, transform): &(cordon_accounts::subject::Pattern, Option<_>)| {
            src.as_str() == told.filter
                && transform
                    .as_ref()
                    .is_none_or(|one: &cordon_accounts::subject::Transform| one.destination() == told.dest)
        };
        !self.mirror
            && self.key == told.key
            && (self.filter_text() == told.filter || self.transforms.iter().any(by_transform))
    }

    /// Its filter as headers tell it.
    pub(super) fn filter_text(&self) -> &str {
        if self.source.filter_subject.is_empty() { ">" } else { &self.source.filter_subject }
    }
}

/// What headers call an origin: its name, and what stands for the way to it if that is no stream of this account.
pub(super) fn key(source: &StreamSource, far: bool) -> String {
    let external = source.external.as_ref().filter(|_| far);
    external.map_or_else(|| source.name.clone(), |external| format!("{}:{}", source.name, short_hash(&external.api)))
}

/// Reads `<origin> <sequence> <filter> <destination> <subject> <what the origin called itself>`; the last may be missing,
/// and so may all but the first two.
fn read(value: &[u8]) -> Option<Told<'_>> {
    let mut words = std::str::from_utf8(value).ok()?.split(' ');
    let (key, seq) = (words.next()?, words.next()?.parse().ok().filter(|seq| *seq < u64::MAX)?);
    let (filter, dest) = (words.next().unwrap_or(">"), words.next().unwrap_or(">"));
    Some(Told { key, seq, filter, dest, stamp: words.nth(1).unwrap_or_default() })
}

/// What a stream that was made then calls itself: eight characters.
pub(crate) fn stamp(created: i64) -> String {
    short_hash(&Moment(created).to_string())
}

/// Eight characters that stand for a text, as nats-server makes them.
pub(super) fn short_hash(text: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(8)
        .filter_map(|byte| DIGITS.get(usize::from(*byte) % DIGITS.len()))
        .map(|digit| char::from(*digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_calls_itself_as_nats_server_does() {
        for (created, called) in
            [("2026-11-23T13:30:33.939564093Z", "72343TWj"), ("2026-11-23T13:27:57.99963841Z", "EbBk7CY9")]
        {
            assert_eq!(stamp(Moment::parse(created).unwrap().0), called);
        }
    }

    #[test]
    fn headers_of_every_age_are_read() {
        let told = read(b"O:abcdefgh 7 a.* b.$1 a.x 72343TWj").unwrap();
        assert_eq!(
            (told.key, told.seq, told.filter, told.dest, told.stamp),
            ("O:abcdefgh", 7, "a.*", "b.$1", "72343TWj")
        );
        let told = read(b"O 7").unwrap();
        assert_eq!((told.key, told.seq, told.filter, told.stamp), ("O", 7, ">", ""));
        for bad in ["", "O", "O x", "O -1", "O 18446744073709551615", "\u{fffd}"] {
            assert!(read(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
