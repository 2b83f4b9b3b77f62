//! Atomic batches: staged in memory, checked as a whole when they are committed, stored as one record of the log.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use num_bigint::BigInt;

use super::{ID_MAX, count_in};
use crate::api::ApiError;
use crate::config::Discard;
use crate::store::NewMessage;
use crate::stream::Core;
use crate::stream::counter;
use crate::stream::head::{self, Builder, Head};
use crate::stream::publish::{Publication, Rollup, Verdict, push_number};

/// An open batch.
#[derive(Debug, Default)]
pub(super) struct Atomic {
    messages: Vec<Publication<'static>>,
    bytes: usize,
    heard: i64,
}

impl Atomic {
    pub(super) fn heard(&self) -> i64 {
        self.heard
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What a message says of the end of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    No,
    /// With this message.
    With,
    /// With the one before; this one is not stored.
    Before,
}

/// What the messages of a batch have changed so far, before any of them is stored.
#[derive(Default)]
struct Overlay {
    ids: HashSet<Vec<u8>>,
    /// Messages of each subject.
    subjects: HashMap<Vec<u8>, u64>,
    sums: HashMap<Vec<u8>, BigInt>,
    bytes: u64,
    /// Messages that take no place of another one of their subject.
    added: u64,
}

impl Core {
    /// A message of an atomic batch.
    pub(in crate::stream) fn batched(&mut self, reply: &[u8], message: &Publication<'_>, head: &Head<'_>, now: i64) {
        let id = head.batch_id.unwrap_or_default().to_vec();
        match self.stage(&id, message, head, now) {
            Ok(None) => self.answers.tell(reply, b"", b""),
            Ok(Some(messages)) => match self.commit_batch(messages, now) {
                Ok((seq, count)) => self.answer_batch(reply, &id, seq, count),
                Err(error) => self.answer(reply, Err(error)),
            },
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    /// The positive answer to the end of a batch.
    pub(super) fn answer_batch(&mut self, reply: &[u8], id: &[u8], seq: u64, count: u64) {
        if self.config.no_ack {
            return;
        }
        let head = &self.ack_head;
        let id = serde_json::to_string(&String::from_utf8_lossy(id)).unwrap_or_default();
        self.answers.promise_with(reply, |out| {
            out.extend_from_slice(head);
            push_number(out, seq);
            out.extend_from_slice(b",\"batch\":");
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(b",\"count\":");
            push_number(out, count);
            out.push(b'}');
        });
    }

    /// Adds a message to its batch; gives all of them if that is the end.
    fn stage(
        &mut self,
        id: &[u8],
        message: &Publication<'_>,
        head: &Head<'_>,
        now: i64,
    ) -> Result<Option<Vec<Publication<'static>>>, ApiError> {
        if !self.config.allow_atomic {
            return Err(ApiError::atomic_publish_disabled());
        }
        if id.is_empty() || id.len() > ID_MAX {
            return Err(ApiError::atomic_publish_invalid_batch_id());
        }
        let seq = head.batch_seq.and_then(head::number).filter(|seq| *seq > 0);
        let seq = seq.ok_or_else(ApiError::atomic_publish_missing_seq)?;
        if head.required_level.is_some() && !crate::stream::direct::level_is_met(&message.header) {
            self.abandon(id, "unsupported");
            return Err(ApiError::required_api_level());
        }
        let commit = match head.batch_commit {
            None => Commit::No,
            Some(b"1") => Commit::With,
            Some(b"eob") => Commit::Before,
            Some(_) => {
                self.abandon(id, "unsupported");
                return Err(ApiError::atomic_publish_invalid_batch_commit());
            }
        };
        self.open_atomic(id, seq, commit)?;
        if head.expected_last_id.is_some() {
            self.abandon(id, "unsupported");
            return Err(ApiError::atomic_publish_unsupported_header("Nats-Expected-Last-Msg-Id"));
        }
        let limits = self.ledger.settings().batch;
        let room = self.ledger.settings().caps.batch_bytes;
        let size = message.subject.len() + message.header.len() + message.payload.len();
        let stored = commit != Commit::Before;
        if stored && (seq > limits.size as u64 || self.batches.bytes + size > room) {
            self.abandon(id, "large");
            return Err(ApiError::atomic_publish_too_large_batch(limits.size));
        }
        let Some(batch) = self.batches.atomic.get_mut(id) else {
            return Err(ApiError::atomic_publish_incomplete_batch());
        };
        batch.heard = now;
        if stored {
            batch.bytes += size;
            self.batches.bytes += size;
            batch.messages.push(owned(message));
        }
        if commit == Commit::No {
            return Ok(None);
        }
        Ok(self.batches.end_atomic(id).map(|batch| batch.messages))
    }

    /// The batch is there and this message is its next one.
    fn open_atomic(&mut self, id: &[u8], seq: u64, commit: Commit) -> Result<(), ApiError> {
        if seq > 1 {
            let next = self.batches.atomic.get(id).map(|batch| batch.messages.len() as u64 + 1);
            if next == Some(seq) {
                return Ok(());
            }
            if next.is_some() {
                self.abandon(id, "incomplete");
            }
            return Err(ApiError::atomic_publish_incomplete_batch());
        }
        if self.batches.atomic.contains_key(id) {
            self.abandon(id, "incomplete");
        }
        if commit == Commit::Before {
            return Err(ApiError::atomic_publish_incomplete_batch());
        }
        let limits = self.ledger.settings().batch;
        if self.batches.atomic.len() >= limits.atomic_per_stream
            || !count_in(&self.batches.node.atomic_batches, limits.atomic_total)
        {
            return Err(ApiError::atomic_publish_too_many_inflight());
        }
        self.batches.atomic.insert(id.to_vec(), Atomic::default());
        Ok(())
    }

    /// Checks all messages and stores them together; gives the last sequence and how many they are.
    fn commit_batch(&mut self, mut messages: Vec<Publication<'static>>, now: i64) -> Result<(u64, u64), ApiError> {
        if let Some(last) = messages.last_mut() {
            let block = Builder::from(&last.header, |name| name == b"Nats-Batch-Commit").add("Nats-Batch-Commit", "1");
            last.header = Cow::Owned(block.done());
        }
        let mut overlay = Overlay::default();
        let mut verdicts = Vec::with_capacity(messages.len());
        for (at, message) in messages.iter_mut().enumerate() {
            let block = message.header.clone();
            verdicts.push(self.check_member(at, message, &Head::read(&block), &mut overlay, now)?);
        }
        self.check_whole(&overlay)?;
        let new: Vec<NewMessage<'_>> = messages
            .iter()
            .zip(&verdicts)
            .map(|(message, verdict)| NewMessage {
                subject: &message.subject,
                header: &message.header,
                payload: &message.payload,
                ts: now,
                expires: verdict.expires,
            })
            .collect();
        let befores: Vec<u64> =
            messages.iter().map(|one| self.store.of_subject(&one.subject).map_or(0, |of| of.last)).collect();
        let first = self.store.append_together(&new).map_err(|error| self.store_failed(&error))?;
        for (((seq, message), verdict), before) in (first..).zip(&messages).zip(&verdicts).zip(befores) {
            let head = Head::read(&message.header);
            self.stored(message, verdict, head.msg_id, seq, before, now);
            if verdict.unwanted {
                self.take_out(seq, false, now);
            }
        }
        let count = messages.len() as u64;
        Ok((first + count - 1, count))
    }

    /// One message of a batch, against what is stored and what came before it in the batch.
    fn check_member(
        &mut self,
        at: usize,
        message: &mut Publication<'static>,
        head: &Head<'_>,
        overlay: &mut Overlay,
        now: i64,
    ) -> Result<Verdict, ApiError> {
        self.admit(message, head)?;
        if let Some(id) = head.msg_id
            && (self.seen(id, now).is_some() || !overlay.ids.insert(id.to_vec()))
        {
            return Err(ApiError::atomic_publish_contains_duplicate_message());
        }
        let subject = message.subject.to_vec();
        let expected_of = head.expected_last_subject.unwrap_or(&subject);
        if (head.expected_last_seq.is_some() && at > 0)
            || (head.expected_last_subject_seq.is_some() && overlay.subjects.contains_key(expected_of))
        {
            return Err(ApiError::stream_wrong_last_sequence_constant());
        }
        self.expectations(&subject, head)?;
        let sum = self.add_up_in(&subject, message, head, overlay)?;
        let mut verdict = self.examine_member(message, head, now)?;
        verdict.sum = sum;
        match verdict.rollup {
            Some(Rollup::All) if at > 0 => return Err(ApiError::stream_rollup_failed("batch rollup all invalid")),
            Some(Rollup::Subject) if overlay.subjects.contains_key(&subject) => {
                return Err(ApiError::stream_rollup_failed("batch rollup sub invalid"));
            }
            _ => {}
        }
        let size = self.store.size_of(subject.len(), message.header.len(), message.payload.len());
        self.count_member(subject, size, verdict.rollup.is_some(), overlay)?;
        Ok(verdict)
    }

    /// A counter, with what came before it in the batch.
    fn add_up_in(
        &self,
        subject: &[u8],
        message: &mut Publication<'static>,
        head: &Head<'_>,
        overlay: &mut Overlay,
    ) -> Result<Option<counter::Sum>, ApiError> {
        if !self.config.allow_msg_counter {
            return Ok(None);
        }
        let Some(increment) = counter::increment(true, head, &message.payload)? else {
            return Err(ApiError::message_incr_missing());
        };
        let sum = match overlay.sums.get(subject) {
            Some(before) => counter::write(&(before + increment)),
            None => self.add_up(subject, &increment)?,
        };
        overlay.sums.insert(subject.to_vec(), counter::read(&sum.payload)?);
        message.payload = Cow::Owned(sum.payload.clone());
        Ok(Some(sum))
    }

    fn count_member(&self, subject: Vec<u8>, size: u64, rollup: bool, overlay: &mut Overlay) -> Result<(), ApiError> {
        let most = u64::try_from(self.config.max_msgs_per_subject).unwrap_or(0);
        let stored = self.store.of_subject(&subject).map_or(0, |of| of.count);
        let in_batch = overlay.subjects.entry(subject).or_default();
        let replaces = most > 0 && stored + *in_batch >= most;
        if self.config.discard_new_per_subject && replaces && !rollup {
            return Err(ApiError::stream_store_failed("maximum messages per subject exceeded"));
        }
        *in_batch += 1;
        overlay.added += u64::from(!replaces);
        overlay.bytes += size;
        Ok(())
    }

    /// The limits, for all messages together.
    fn check_whole(&self, overlay: &Overlay) -> Result<(), ApiError> {
        self.ledger.room(self.config.storage, overlay.bytes)?;
        if self.config.discard != Discard::New {
            return Ok(());
        }
        let (state, config) = (self.store.state(), &self.config);
        if config.max_msgs > 0 && state.messages + overlay.added > config.max_msgs.unsigned_abs() {
            return Err(ApiError::stream_store_failed("maximum messages exceeded"));
        }
        if config.max_bytes > 0 && state.bytes + overlay.bytes > config.max_bytes.unsigned_abs() {
            return Err(ApiError::stream_store_failed("maximum bytes exceeded"));
        }
        Ok(())
    }
}

fn owned(message: &Publication<'_>) -> Publication<'static> {
    let own = |bytes: &Cow<'_, [u8]>| Cow::Owned(bytes.clone().into_owned());
    let header = head::without(&message.header, |name| name == head::REQUIRED_API_LEVEL.as_bytes());
    Publication { subject: own(&message.subject), header: own(&header), payload: own(&message.payload) }
}
