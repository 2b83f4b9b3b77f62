//! A message is published: the checks in their order, then it is stored (jetstream.md 2.6).
//!
//! Ids come before expected sequences, as on a replicated stream: a publisher who tries again with both gets the
//! positive answer that it missed, and not a refusal.

use std::borrow::Cow;

use super::counter::{self, Sum};
use super::head::{self, Head};
use super::ttl::{self, Ttl};
use super::{Arrival, Core, schedule};
use crate::api::ApiError;
use crate::config::{Discard, Retention};
use crate::store::{Filter, NewMessage};
use cordon_accounts::subject::Pattern;

/// Largest header block that is stored.
const HEADER_MAX: usize = 65_535;
/// Largest message, all of it.
const MESSAGE_MAX: usize = 32 << 20;

/// A message as it is to be stored.
#[derive(Clone, Debug)]
pub(super) struct Publication<'a> {
    /// Its subject, transformed.
    pub(super) subject: Cow<'a, [u8]>,
    /// Its header block, cleaned.
    pub(super) header: Cow<'a, [u8]>,
    /// Its payload.
    pub(super) payload: Cow<'a, [u8]>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has this sequence; a counter says its sum.
    Stored { seq: u64, value: Option<String> },
    /// It was stored before, with this sequence.
    Duplicate(u64),
}

/// What a message asks for, besides being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rollup {
    /// It takes the place of all on its subject.
    Subject,
    /// It takes the place of all.
    All,
}

/// What was found out about a message before it is stored.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) expires: i64,
    pub(super) rollup: Option<Rollup>,
    pub(super) sum: Option<Sum>,
    /// No consumer of an interest stream wants it: it uses a sequence and is not stored.
    pub(super) unwanted: bool,
    pub(super) schedule: schedule::Effect,
}

impl Core {
    /// Stores a published message and prepares its answer.
    pub(super) fn publish(&mut self, arrival: &Arrival<'_>, now: i64) {
        if arrival.reply.ends_with(b".$FI") {
            return self.fast(arrival, now);
        }
        let publication = self.prepare(arrival.subject, arrival.header, arrival.payload);
        let head = Head::read(arrival.header);
        if head.batch_id.is_some() {
            return self.batched(arrival.reply, &publication, &head, now);
        }
        let outcome = self.accept(publication, &head, now);
        self.answer(arrival.reply, outcome);
    }

    /// The message as it would be stored: the subject transformed, the block cleaned.
    pub(super) fn prepare<'a>(&self, subject: &'a [u8], header: &'a [u8], payload: &'a [u8]) -> Publication<'a> {
        let transformed = self.rules.transform.as_ref().and_then(|transform| transform.apply(subject, draw));
        let unclean = !header.is_empty() && Head::read(header).unclean;
        Publication {
            subject: transformed.map_or(Cow::Borrowed(subject), Cow::Owned),
            header: if unclean { head::clean(header) } else { Cow::Borrowed(header) },
            payload: Cow::Borrowed(payload),
        }
    }

    /// Writes the answer to a publisher.
    pub(super) fn answer(&mut self, reply: &[u8], outcome: Result<Outcome, ApiError>) {
        if self.config.no_ack || reply.is_empty() {
            return;
        }
        let (seq, tail): (u64, Cow<'_, str>) = match outcome {
            Ok(Outcome::Stored { seq, value: None }) => (seq, "}".into()),
            Ok(Outcome::Stored { seq, value: Some(value) }) => (seq, format!(",\"val\":\"{value}\"}}").into()),
            Ok(Outcome::Duplicate(seq)) => (seq, ",\"duplicate\": true}".into()),
            Err(error) => return self.answers.tell(reply, b"", &super::refusal(&self.config.name, &error)),
        };
        let head = &self.ack_head;
        self.answers.promise_with(reply, |out| {
            out.extend_from_slice(head);
            push_number(out, seq);
            out.extend_from_slice(tail.as_bytes());
        });
    }

    /// Checks a message and stores it.
    pub(super) fn accept(
        &mut self,
        mut message: Publication<'_>,
        head: &Head<'_>,
        now: i64,
    ) -> Result<Outcome, ApiError> {
        self.admit(&message, head)?;
        if let Some(id) = head.msg_id
            && let Some(seq) = self.seen(id, now)
        {
            return Ok(Outcome::Duplicate(seq));
        }
        self.expectations(&message.subject, head)?;
        let verdict = self.examine(&mut message, head, now)?;
        let seq = self.commit(&message, &verdict, head, now)?;
        Ok(Outcome::Stored { seq, value: verdict.sum.map(|sum| sum.value) })
    }

    /// What can be said of a message without looking at what is stored.
    pub(super) fn admit(&self, message: &Publication<'_>, head: &Head<'_>) -> Result<(), ApiError> {
        if message.subject.len() + message.header.len() + message.payload.len() > MESSAGE_MAX {
            return Err(ApiError::stream_store_failed("message too large"));
        }
        if self.config.sealed {
            return Err(ApiError::stream_sealed());
        }
        counter::increment(self.config.allow_msg_counter, head, &message.payload)?;
        if head.expected_stream.is_some_and(|expected| expected != self.config.name.as_bytes()) {
            return Err(ApiError::stream_not_match());
        }
        if head.ttl.is_some() && !self.config.allow_msg_ttl {
            return Err(ApiError::message_ttl_disabled());
        }
        if head.stream_source.is_some() {
            return Err(ApiError::message_stream_source_invalid());
        }
        Ok(())
    }

    /// The sequence of a message with this id, if it came within the window.
    pub(super) fn seen(&mut self, id: &[u8], now: i64) -> Option<u64> {
        if self.config.duplicate_window == 0 {
            return None;
        }
        self.ids.expire(now.saturating_sub(self.config.duplicate_window));
        self.ids.find(id)
    }

    /// What the publisher expects to be stored is what is stored.
    pub(super) fn expectations(&self, subject: &[u8], head: &Head<'_>) -> Result<(), ApiError> {
        match head.expected_last_subject_seq {
            Some(expected) => {
                let expected = head::number(expected).ok_or_else(|| ApiError::stream_wrong_last_sequence(0))?;
                let actual = self.last_of(head.expected_last_subject.unwrap_or(subject));
                if actual != expected {
                    return Err(ApiError::stream_wrong_last_sequence(actual));
                }
            }
            None if head.expected_last_subject.is_some() => {
                return Err(ApiError::stream_expected_last_seq_per_subject_invalid());
            }
            None => {}
        }
        let last = self.store.state().last_seq;
        if let Some(expected) = head.expected_last_seq
            && head::number(expected) != Some(last)
        {
            return Err(ApiError::stream_wrong_last_sequence(last));
        }
        if let Some(expected) = head.expected_last_id {
            let actual = self.ids.last_id(last);
            if actual != expected {
                return Err(ApiError::stream_wrong_last_msg_id(String::from_utf8_lossy(actual)));
            }
        }
        Ok(())
    }

    /// The last sequence of a subject, which may have wildcards; 0 if there is none.
    pub(super) fn last_of(&self, subject: &[u8]) -> u64 {
        if let Some(of) = self.store.of_subject(subject) {
            return of.last;
        }
        let pattern = std::str::from_utf8(subject).ok().and_then(|text| Pattern::parse(text).ok());
        match pattern {
            Some(pattern) if !pattern.is_literal() => self.store.last(&Filter::one(pattern), u64::MAX).unwrap_or(0),
            _ => 0,
        }
    }

    /// The remaining checks; changes what is to be stored where a header says so.
    pub(super) fn examine(
        &self,
        message: &mut Publication<'_>,
        head: &Head<'_>,
        now: i64,
    ) -> Result<Verdict, ApiError> {
        let mut sum = None;
        if self.config.allow_msg_counter {
            let Some(increment) = counter::increment(true, head, &message.payload)? else {
                return Err(ApiError::message_incr_missing());
            };
            let made = self.add_up(&message.subject, &increment)?;
            message.payload = Cow::Owned(made.payload.clone());
            sum = Some(made);
        }
        let verdict = Verdict { sum, ..self.examine_member(message, head, now)? };
        if !verdict.unwanted {
            let size = self.store.size_of(message.subject.len(), message.header.len(), message.payload.len());
            self.refused_by_limits(&message.subject, size, verdict.rollup.is_some())?;
        }
        Ok(verdict)
    }

    /// As [`Core::examine`], of a message whose counter is added up and whose stream has room for it.
    pub(super) fn examine_member(
        &self,
        message: &mut Publication<'_>,
        head: &Head<'_>,
        now: i64,
    ) -> Result<Verdict, ApiError> {
        let schedule = self.schedule_of(message, head, now)?;
        let mut verdict = Verdict { rollup: self.rollup_of(head)?, schedule, ..Verdict::default() };
        if verdict.schedule.due.is_some() {
            verdict.rollup = Some(Rollup::Subject);
        }
        let size = message.header.len() + message.payload.len();
        if self.config.max_msg_size >= 0 && size > self.config.max_msg_size.unsigned_abs() as usize {
            return Err(ApiError::stream_message_exceeds_maximum());
        }
        if message.header.len() > HEADER_MAX {
            return Err(ApiError::stream_header_exceeds_maximum());
        }
        verdict.unwanted = self.config.retention == Retention::Interest && !self.is_wanted(&message.subject);
        if verdict.unwanted {
            return Ok(verdict);
        }
        let size = self.store.size_of(message.subject.len(), message.header.len(), message.payload.len());
        self.ledger.room(self.config.storage, size)?;
        verdict.expires = self.expiry(message, head, now)?;
        Ok(verdict)
    }

    fn rollup_of(&self, head: &Head<'_>) -> Result<Option<Rollup>, ApiError> {
        let Some(value) = head.rollup else { return Ok(None) };
        if !self.config.allow_rollup_hdrs || self.config.deny_purge {
            return Err(ApiError::stream_rollup_failed("rollup not permitted"));
        }
        if value.eq_ignore_ascii_case(b"sub") {
            Ok(Some(Rollup::Subject))
        } else if value.eq_ignore_ascii_case(b"all") {
            Ok(Some(Rollup::All))
        } else {
            let value = String::from_utf8_lossy(value);
            Err(ApiError::stream_rollup_failed(format_args!("rollup value invalid: {value:?}")))
        }
    }

    /// When the message ends by its own header; a life shorter than that of a marker is made as long.
    fn expiry(&self, message: &mut Publication<'_>, head: &Head<'_>, now: i64) -> Result<i64, ApiError> {
        let Some(value) = head.ttl.filter(|_| self.config.allow_msg_ttl) else { return Ok(0) };
        let marker = self.config.subject_delete_marker_ttl;
        match ttl::parse(value).ok_or_else(ApiError::message_ttl_invalid)? {
            Ttl::Never => Ok(-1),
            Ttl::For(nanos) if marker > nanos && self.config.max_msgs_per_subject != 1 => {
                let seconds = marker / 1_000_000_000;
                let block = head::Builder::from(&message.header, |name| name == b"Nats-TTL");
                message.header = Cow::Owned(block.number("Nats-TTL", seconds).done());
                Ok(now.saturating_add(marker))
            }
            Ttl::For(nanos) => Ok(now.saturating_add(nanos)),
        }
    }

    /// With `discard: new`, a message that would go over a limit is refused.
    fn refused_by_limits(&self, subject: &[u8], size: u64, rollup: bool) -> Result<(), ApiError> {
        let config = &self.config;
        if config.discard != Discard::New {
            return Ok(());
        }
        let per_subject = u64::try_from(config.max_msgs_per_subject).unwrap_or(0);
        let of = if per_subject > 0 { self.store.of_subject(subject) } else { None };
        let replaces = of.filter(|of| of.count >= per_subject);
        if config.discard_new_per_subject && replaces.is_some() && !rollup {
            return Err(ApiError::stream_store_failed("maximum messages per subject exceeded"));
        }
        let state = self.store.state();
        if config.max_msgs > 0 && state.messages >= config.max_msgs.unsigned_abs() && replaces.is_none() {
            return Err(ApiError::stream_store_failed("maximum messages exceeded"));
        }
        if config.max_bytes > 0 && state.bytes.saturating_add(size) > config.max_bytes.unsigned_abs() {
            let freed = replaces.and_then(|of| self.store.peek(of.first)).map_or(0, |gone| gone.size);
            if freed < size {
                return Err(ApiError::stream_store_failed("maximum bytes exceeded"));
            }
        }
        Ok(())
    }

    /// Stores a checked message, and does what follows from it.
    pub(super) fn commit(
        &mut self,
        message: &Publication<'_>,
        verdict: &Verdict,
        head: &Head<'_>,
        now: i64,
    ) -> Result<u64, ApiError> {
        if verdict.unwanted {
            let seq = self.next_seq();
            self.store.skip_to(seq, now).map_err(ApiError::stream_store_failed)?;
            self.remember(head.msg_id, seq, now);
            self.roll_up(verdict.rollup, &message.subject, seq + 1);
            return Ok(seq);
        }
        let before = self.rules.republish.as_ref().and_then(|_| self.store.of_subject(&message.subject));
        let new = NewMessage {
            subject: &message.subject,
            header: &message.header,
            payload: &message.payload,
            ts: now,
            expires: verdict.expires,
        };
        let seq = self.store.append(&new).map_err(|error| self.store_failed(&error))?;
        self.stored(message, verdict, head.msg_id, seq, before.map_or(0, |of| of.last), now);
        Ok(seq)
    }

    /// What follows from a message that was stored.
    pub(super) fn stored(
        &mut self,
        message: &Publication<'_>,
        verdict: &Verdict,
        id: Option<&[u8]>,
        seq: u64,
        before: u64,
        now: i64,
    ) {
        self.next_age = self.next_age.filter(|at| *at != i64::MAX);
        self.tell_stored(seq, &message.subject);
        self.remember(id, seq, now);
        self.roll_up(verdict.rollup, &message.subject, seq);
        self.enforce_limits(&message.subject, now);
        self.scheduled(seq, &verdict.schedule);
        self.republish(message, seq, before);
    }

    /// The sequence that the next message gets.
    pub(super) fn next_seq(&self) -> u64 {
        let state = self.store.state();
        (state.last_seq + 1).max(state.first_seq)
    }

    /// Writes down the id of a message.
    pub(super) fn remember(&mut self, id: Option<&[u8]>, seq: u64, now: i64) {
        let Some(id) = id.filter(|_| self.config.duplicate_window > 0) else { return };
        self.ids.add(id, seq, now, self.ledger.settings().caps.ids);
        if self.is_in_files() {
            let mut entry = Vec::with_capacity(id.len() + 20);
            super::dedupe::Dedupe::entry(id, seq, now, &mut entry);
            self.note(super::notes::Tag::Ids, &entry);
        }
    }
}

/// A number that transforms draw.
fn draw(below: u32) -> u32 {
    rand::Rng::gen_range(&mut rand::thread_rng(), 0..below.max(1))
}

/// Writes a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut len = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        len += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - len..).unwrap_or_default());
}
