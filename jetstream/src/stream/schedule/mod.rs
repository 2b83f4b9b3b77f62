//! Scheduled messages (ADR-51): a stored message whose `Nats-Schedule` has the stream store others later, on another
//! subject.
//!
//! A schedule is the last message of its subject, and ends with it. Of each the stream keeps in memory when it is due
//! next, in order: nothing is looked through when one fires. What it says is read from its message then.
//!
//! ```text
//! it fires:   the made message is stored, with its schedule and the next moment in its headers     the log
//!             a note says which schedule, from when to when, and the made message's sequence        the journal
//! ```
//!
//! Both are on disk before anybody sees the made message, but a crash may leave one without the other. A note whose
//! message is missing says nothing; a message without its note is found, since it lies behind the moment that was due
//! on the schedule's target. So no run is lost or made twice, and one that fires a single time goes with its firing.

mod cron;
mod fire;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use self::plan::Plan;
use super::Core;
use super::head::{Builder, Head, value};
use super::notes::{self, Tag};
use super::publish::{Publication, Rollup};
use crate::api::ApiError;
use crate::store::{Filter, Journalled};
use cordon_accounts::subject::matching;

/// The header that makes a message a schedule.
const SCHEDULE: &str = "Nats-Schedule";
/// The next moment of a schedule that is over.
const OVER: i64 = i64::MAX;

/// What a message has to do with schedules, besides being stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// It is a schedule that is due first at this moment.
    pub(super) due: Option<i64>,
    /// It ends the schedule of this subject.
    pub(super) ends: Option<Box<[u8]>>,
}

/// The schedules of a stream.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    /// When each is due, by the sequence of its message.
    due: HashMap<u64, i64>,
    /// The same, in the order of time.
    queue: BTreeSet<(i64, u64)>,
    /// Those that fired last with messages that may not be on disk yet.
    unsettled: HashMap<u64, Fired>,
    /// The last sequence, and the time, when the stream was opened: runs before may have left no note.
    opened: (u64, i64),
    /// The last failure was told.
    failing: bool,
}

/// That a schedule fired.
#[derive(Clone, Copy, Debug)]
struct Fired {
    /// When it was due.
    due: i64,
    /// The sequence of the message that was made.
    made: u64,
}

/// What a note says of one schedule: due at `next` if the message `made` is stored, else at `due`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    seq: u64,
    due: i64,
    next: i64,
    made: u64,
}

impl Row {
    const BYTES: usize = 32;

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.due.to_le_bytes());
        out.extend_from_slice(&self.next.to_le_bytes());
        out.extend_from_slice(&self.made.to_le_bytes());
    }

    /// The rows of a note; what is torn at its end is left out.
    fn read(note: &[u8]) -> impl Iterator<Item = Self> {
        let (rows, _) = note.as_chunks::<{ Self::BYTES }>();
        rows.iter().map(|row| {
            let (words, _) = row.as_chunks::<8>();
            let [seq, due, next, made] = *words else { return Self { seq: 0, due: 0, next: 0, made: 0 } };
            Self {
                seq: u64::from_le_bytes(seq),
                due: i64::from_le_bytes(due),
                next: i64::from_le_bytes(next),
                made: u64::from_le_bytes(made),
            }
        })
    }
}

impl Schedules {
    /// When the next one is due.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// The message of a schedule is no more.
    pub(super) fn forget(&mut self, seq: u64) {
        if let Some(due) = self.due.remove(&seq) {
            self.queue.remove(&(due, seq));
            self.unsettled.remove(&seq);
        }
    }

    /// Schedule `seq` is due at `due`.
    fn set(&mut self, seq: u64, due: i64) {
        if let Some(before) = self.due.insert(seq, due) {
            self.queue.remove(&(before, seq));
        }
        self.queue.insert((due, seq));
    }

    /// Everything, for the journal; what is not on disk above `durable` is said with its condition.
    pub(super) fn snapshot(&mut self, durable: u64, out: &mut Vec<u8>) {
        self.unsettled.retain(|_, fired| fired.made > durable);
        for (seq, next) in &self.due {
            let fired = self.unsettled.get(seq).copied().unwrap_or(Fired { due: *next, made: 0 });
            Row { seq: *seq, due: fired.due, next: *next, made: fired.made }.write(out);
        }
    }
}

impl Core {
    /// What a message that is published says about schedules; one that is a schedule takes the place of its subject's
    /// former messages.
    ///
    /// # Errors
    ///
    /// The refusal that its publisher gets.
    pub(super) fn schedule_of(
        &self,
        message: &mut Publication<'_>,
        head: &Head<'_>,
        now: i64,
    ) -> Result<Effect, ApiError> {
        let said = |value: Option<&[u8]>| value.is_some_and(|value| !value.is_empty());
        let mut effect = Effect::default();
        if said(head.scheduler) || said(head.schedule_next) {
            effect.ends = Some(self.ended_by(&message.subject, head)?);
        }
        let Some(schedule) = head.schedule.filter(|value| !value.is_empty()) else { return Ok(effect) };
        if !self.config.allow_msg_schedules {
            return Err(ApiError::message_schedules_disabled());
        }
        let plan = Plan::read(schedule, &message.header, &self.config)?;
        if self.lands_on(plan.target, &message.subject) {
            return Err(ApiError::message_schedules_target_invalid());
        }
        if plan.source.is_some_and(|source| source.as_bytes() == &*message.subject) {
            return Err(ApiError::message_schedules_source_invalid());
        }
        if head.rollup.is_some_and(|rollup| !rollup.eq_ignore_ascii_case(b"sub")) {
            return Err(ApiError::message_schedules_rollup_invalid());
        }
        effect.due = Some(plan.when.first(now).ok_or_else(ApiError::message_schedules_pattern_invalid)?);
        if self.schedules.len() >= self.ledger.settings().caps.schedules
            && self.store.of_subject(&message.subject).is_none_or(|of| !self.schedules.due.contains_key(&of.last))
        {
            return Err(ApiError::stream_store_failed("maximum schedules exceeded"));
        }
        if head.rollup.is_none() {
            let block = Builder::from(&message.header, |_| false).add("Nats-Rollup", "sub").done();
            message.header = block.into();
        }
        Ok(effect)
    }

    /// A message that is published to `target` is stored on `subject`.
    fn lands_on(&self, target: &str, subject: &[u8]) -> bool {
        target.as_bytes() == subject || *self.prepare(target.as_bytes(), b"", b"").subject == *subject
    }

    /// The subject whose schedule a message ends: `Nats-Schedule-Next: purge` with `Nats-Scheduler`, and nothing else.
    fn ended_by(&self, subject: &[u8], head: &Head<'_>) -> Result<Box<[u8]>, ApiError> {
        let invalid = ApiError::message_schedules_scheduler_invalid;
        let (Some(b"purge"), Some(ends)) = (head.schedule_next, head.scheduler) else { return Err(invalid()) };
        if ends == subject || !matching::is_literal(ends) || !matching::is_publishable(ends) {
            return Err(invalid());
        }
        if !self.config.allow_msg_schedules {
            return Err(ApiError::message_schedules_disabled());
        }
        if let Some(of) = self.store.of_subject(ends)
            && !self.schedules.due.contains_key(&of.last)
        {
            return Err(invalid());
        }
        Ok(ends.into())
    }

    /// A message with this effect was stored.
    pub(super) fn scheduled(&mut self, seq: u64, effect: &Effect) {
        if let Some(ends) = &effect.ends {
            self.end_schedule(ends, seq);
        }
        let Some(due) = effect.due.filter(|_| self.store.peek(seq).is_some()) else { return };
        self.schedules.set(seq, due);
        self.note_schedule(Row { seq, due, next: due, made: 0 });
    }

    /// What is stored on the subject of a schedule goes, up to the message that ended it.
    fn end_schedule(&mut self, subject: &[u8], below: u64) {
        self.roll_up(Some(Rollup::Subject), subject, below);
    }

    fn note_schedule(&mut self, row: Row) {
        if self.is_in_files() {
            let mut note = Vec::with_capacity(Row::BYTES);
            row.write(&mut note);
            self.note(Tag::Schedules, &note);
        }
    }

    /// Schedules as they were when the stream was open last; gives whether that differs from what the journal says, see
    /// [`Core::settle_notes`].
    pub(super) fn recover_schedules(&mut self, journalled: &Journalled, now: i64) -> bool {
        let last = self.store.state().last_seq;
        self.schedules.opened = (last, now);
        if !self.config.allow_msg_schedules {
            return false;
        }
        let notes = notes::read(journalled, Tag::Schedules);
        if notes.is_empty() {
            self.find_schedules();
            return true;
        }
        let mut is_settled = true;
        let mut over = Vec::new();
        for row in notes.into_iter().flat_map(Row::read) {
            self.schedules.forget(row.seq);
            is_settled &= row.made <= last;
            match if row.made <= last { row.next } else { row.due } {
                OVER => over.push(row.seq),
                due => self.schedules.set(row.seq, due),
            }
        }
        for seq in over {
            if let Some(message) = self.store.peek(seq) {
                self.end_schedule(&message.subject, seq + 1);
            }
        }
        let gone: Vec<u64> = self.schedules.due.keys().copied().filter(|seq| self.store.peek(*seq).is_none()).collect();
        for seq in gone {
            self.schedules.forget(seq);
        }
        !is_settled
    }

    /// Looks through the last message of each subject: once, where the journal knows nothing.
    fn find_schedules(&mut self) {
        let mut last = Vec::new();
        self.store.subjects(&Filter::All, None, &mut |_, of| {
            last.push(of.last);
            true
        });
        for seq in last {
            let Ok(Some(stored)) = self.store.get(seq) else { continue };
            let due = value(stored.header(), SCHEDULE)
                .and_then(|schedule| Plan::read(schedule, stored.header(), &self.config).ok())
                .and_then(|plan| plan.when.first(stored.ts));
            if let Some(due) = due {
                self.schedules.set(seq, due);
            }
        }
    }
}
