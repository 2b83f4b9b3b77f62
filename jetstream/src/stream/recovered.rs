//! What a stream remembers besides its messages, after a crash.
//!
//! The journal is written before the messages that it is about, so a kill leaves ids and positions of messages that
//! were never stored: they are forgotten, on disk too, before anything takes their sequences. A loss of power may
//! leave it the other way round: the last messages are looked at for ids that the journal lacks.

use std::collections::HashSet;

use super::Core;
use super::head::value;
use super::notes::{self, Tag};
use crate::store::{Filter, Journalled, Sync};

/// Most messages that are looked at for their ids: more than one sync covers.
const LOOKED_AT: usize = 20_000;

impl Core {
    /// Takes back what the stream's own entries in the journal say of ids and positions; gives whether that differs
    /// from what is stored, see [`Core::settle_notes`].
    pub(super) fn recover_notes(&mut self, own: &Journalled, now: i64) -> bool {
        let most = self.ledger.settings().caps.ids;
        for note in notes::read(own, Tag::Ids) {
            self.ids.restore(note, most);
        }
        let last = self.store.state().last_seq;
        let lost: HashSet<u64> = self.store.lost().0.into_iter().collect();
        let mut differs = self.ids.retain(|seq| seq <= last && !lost.contains(&seq));
        self.ids.expire(now.saturating_sub(self.config.duplicate_window));
        differs |= self.find_ids(now);
        differs |= self.recover_positions(own);
        differs
    }

    /// Ids of the last messages that the journal does not know.
    fn find_ids(&mut self, now: i64) -> bool {
        if self.config.duplicate_window == 0 || self.config.mirror.is_some() {
            return false;
        }
        let since = now.saturating_sub(self.config.duplicate_window);
        let (known, mut to, mut found) = (self.ids.newest(), u64::MAX, Vec::new());
        for _ in 0..LOOKED_AT {
            let Some(seq) = self.store.last(&Filter::All, to).filter(|seq| *seq > known) else { break };
            if let Ok(Some(stored)) = self.store.get(seq) {
                if stored.ts <= since {
                    break;
                }
                found.extend(value(stored.header(), "Nats-Msg-Id").map(|id| (seq, stored.ts, id.to_vec())));
            }
            to = seq.saturating_sub(1);
        }
        let most = self.ledger.settings().caps.ids;
        for (seq, at, id) in found.iter().rev() {
            self.ids.add(id, *seq, *at, most);
        }
        !found.is_empty()
    }

    /// What is remembered is all that the journal says from now on, before any message follows.
    pub(super) fn settle_notes(&mut self) {
        if !self.is_in_files() {
            return;
        }
        self.snapshot_notes();
        let synced = self.store.flush().and_then(|sync| sync.map_or(Ok(()), Sync::run));
        if let Err(error) = synced {
            self.store_failed(&error);
        }
    }
}
