//! What limits take away: by subject, by number, by bytes, by age, by the end that a message says itself
//! (jetstream.md 2.8, 2.9.5).

use std::borrow::Cow;

use super::Core;
use super::head::{Builder, Head};
use super::publish::{Publication, Rollup, Verdict};
use super::ttl;
use crate::config::Discard;
use crate::store::{Filter, Removed, StoreError};
use cordon_accounts::subject::Pattern;

/// Most messages that one round ends by age: the lock is free in between.
const EXPIRE_MAX: usize = 5000;

impl Core {
    /// A message was stored on `subject`: what is over a limit goes.
    pub(super) fn enforce_limits(&mut self, subject: &[u8], now: i64) {
        let most = u64::try_from(self.config.max_msgs_per_subject).unwrap_or(0);
        if most > 0 {
            self.trim_subject(subject, most, now);
        }
        self.trim(now);
    }

    /// At most `most` messages of a subject stay.
    fn trim_subject(&mut self, subject: &[u8], most: u64, now: i64) {
        while self.store.of_subject(subject).is_some_and(|of| of.count > most) {
            match self.store.remove_first(subject) {
                Ok(Some(seq)) => self.gone(seq, subject, now),
                Ok(None) => break,
                Err(error) => {
                    self.store_failed(&error);
                    break;
                }
            }
        }
    }

    /// Every subject keeps to its limit: after the limit changed, or was not kept to in the last moment of a crash.
    pub(super) fn trim_subjects(&mut self, now: i64) {
        let Some(most) = u64::try_from(self.config.max_msgs_per_subject).ok().filter(|most| *most > 0) else { return };
        let mut over = Vec::new();
        self.store.subjects(&Filter::All, None, &mut |subject, of| {
            if of.count > most {
                over.push(subject.to_vec());
            }
            true
        });
        for subject in over {
            self.trim_subject(&subject, most, now);
        }
    }

    /// The oldest go until the stream keeps to its limits.
    pub(super) fn trim(&mut self, now: i64) {
        let messages = u64::try_from(self.config.max_msgs).ok().filter(|most| *most > 0).unwrap_or(u64::MAX);
        let bytes = u64::try_from(self.config.max_bytes).ok().filter(|most| *most > 0).unwrap_or(u64::MAX);
        loop {
            let state = self.store.state();
            if state.messages == 0 || (state.messages <= messages && state.bytes <= bytes) {
                return;
            }
            if !self.take_below(state.first_seq + 1, now) {
                return;
            }
        }
    }

    /// A message takes the place of others: those below `seq` go.
    pub(super) fn roll_up(&mut self, rollup: Option<Rollup>, subject: &[u8], seq: u64) {
        let now = self.now;
        match rollup {
            None => {}
            Some(Rollup::All) => {
                self.take_below(seq, now);
            }
            Some(Rollup::Subject) => {
                while let Some(of) = self.store.of_subject(subject).filter(|of| of.first < seq) {
                    if !self.take_out(of.first, false, now) {
                        return;
                    }
                }
            }
        }
    }

    /// Removes one message and tells consumers; false if it could not be removed.
    pub(super) fn take_out(&mut self, seq: u64, erase: bool, now: i64) -> bool {
        match self.store.remove(seq, erase) {
            Ok(Some(removed)) => {
                self.gone(removed.seq, &removed.subject, now);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.store_failed(&error);
                false
            }
        }
    }

    /// Removes all below `seq` and tells consumers.
    pub(super) fn take_below(&mut self, seq: u64, now: i64) -> bool {
        let mut gone: Vec<Removed> = Vec::new();
        let result = self.store.remove_below(seq, &mut |removed| gone.push(removed));
        for removed in &gone {
            self.gone(removed.seq, &removed.subject, now);
        }
        self.noted(result)
    }

    /// Storing failed: nothing is promised any more, and it is told once.
    fn noted(&mut self, result: Result<(), StoreError>) -> bool {
        match result {
            Ok(()) => true,
            Err(error) => {
                self.store_failed(&error);
                false
            }
        }
    }

    /// Ends what is too old, or over by its own header.
    pub(super) fn expire(&mut self, now: i64) {
        let mut left = EXPIRE_MAX;
        while let Some((_, seq)) = self.store.next_expiry().filter(|(at, _)| *at <= now) {
            if left == 0 || !self.end_of_life(seq, now) {
                break;
            }
            left -= 1;
        }
        self.next_age = Some(i64::MAX);
        if self.config.max_age > 0 {
            self.expire_by_age(left, now);
        }
        if self.config.duplicate_window > 0 {
            self.ids.expire(now.saturating_sub(self.config.duplicate_window));
        }
    }

    fn expire_by_age(&mut self, mut left: usize, now: i64) {
        let mut at = self.outlived;
        while let Some(seq) = self.store.next(&Filter::All, at) {
            at = seq + 1;
            if self.config.allow_msg_ttl && self.store.is_kept(seq) {
                // It is not looked at again.
                self.outlived = at;
                continue;
            }
            let Some(message) = self.store.peek(seq) else { break };
            let end = message.ts.saturating_add(self.config.max_age);
            if end > now || left == 0 {
                self.next_age = Some(end);
                break;
            }
            if !self.end_of_life(seq, now) {
                break;
            }
            left -= 1;
        }
    }

    /// When the next message ends.
    pub(super) fn next_end(&self) -> Option<i64> {
        let by_header = self.store.next_expiry().map(|(at, _)| at);
        let state = self.store.state();
        let by_age = if self.config.max_age == 0 || state.messages == 0 {
            None
        } else {
            Some(self.next_age.unwrap_or_else(|| state.first_ts.saturating_add(self.config.max_age)))
        };
        by_header.into_iter().chain(by_age).min()
    }

    /// A message ends by its age. The last one of its subject leaves a marker, if the stream has markers.
    fn end_of_life(&mut self, seq: u64, now: i64) -> bool {
        if self.config.subject_delete_marker_ttl > 0
            && let Ok(Some(message)) = self.store.get(seq)
            && self.store.of_subject(message.subject()).is_some_and(|of| of.count == 1)
        {
            let head = Head::read(message.header());
            if head.marker_reason.is_none() && head.kv_operation != Some(b"PURGE") {
                self.leave_marker(message.subject(), now);
            }
        }
        // The marker's rollup may have taken it already.
        self.store.peek(seq).is_none() || self.take_out(seq, false, now)
    }

    fn leave_marker(&mut self, subject: &[u8], now: i64) {
        let life = self.config.subject_delete_marker_ttl;
        let header = Builder::from(b"", |_| false)
            .add("Nats-Marker-Reason", "MaxAge")
            .add("Nats-TTL", ttl::print(life))
            .add("Nats-Rollup", "sub")
            .done();
        let message =
            Publication { subject: Cow::Borrowed(subject), header: Cow::Owned(header), payload: Cow::Borrowed(b"") };
        let verdict = Verdict {
            expires: now.saturating_add(life),
            rollup: Some(Rollup::Subject),
            unwanted: self.config.retention == crate::config::Retention::Interest && !self.is_wanted(subject),
            ..Verdict::default()
        };
        if let Err(error) = self.commit(&message, &verdict, &Head::default(), now) {
            tracing::warn!(stream = %self.config.name, %error, "no marker could be stored for a subject that ended");
        }
    }

    /// What a purge takes: `filter`, everything below `seq`, all but the newest `keep`. Gives how many went.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub(super) fn purge_messages(
        &mut self,
        filter: Option<&Pattern>,
        seq: u64,
        keep: u64,
        now: i64,
    ) -> Result<u64, StoreError> {
        let filter = filter.map_or(Filter::All, |pattern| Filter::one(pattern.clone()));
        let state = self.store.state();
        let mut below = if seq > 0 { seq } else { state.last_seq + 1 };
        if keep > 0 {
            below = self.keep_from(&filter, keep);
        }
        let before = state.messages;
        if filter == Filter::All {
            let mut gone = Vec::new();
            self.store.remove_below(below, &mut |removed| gone.push(removed))?;
            for removed in &gone {
                self.gone_in_purge(removed.seq, &removed.subject, now);
            }
            self.tell_purged(below, now);
        } else {
            let mut at = state.first_seq;
            while let Some(seq) = self.store.next(&filter, at).filter(|seq| *seq < below) {
                at = seq + 1;
                if let Some(removed) = self.store.remove(seq, false)? {
                    self.gone_in_purge(removed.seq, &removed.subject, now);
                }
            }
        }
        Ok(before.saturating_sub(self.store.state().messages))
    }

    /// The sequence of the first of the newest `keep` messages that `filter` means.
    fn keep_from(&self, filter: &Filter, keep: u64) -> u64 {
        let (mut at, mut left) = (u64::MAX, keep);
        loop {
            let Some(seq) = self.store.last(filter, at) else { return 0 };
            left -= 1;
            if left == 0 || seq == 0 {
                return seq;
            }
            at = seq - 1;
        }
    }

    /// With `discard: new` a changed limit does not trim; with `old` it does at once.
    pub(super) fn limits_changed(&mut self, now: i64) {
        self.outlived = 0;
        self.trim_subjects(now);
        if self.config.discard == Discard::Old || self.config.max_msgs > 0 || self.config.max_bytes > 0 {
            self.trim(now);
        }
        self.expire(now);
    }
}
