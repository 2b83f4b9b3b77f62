//! A schedule is due: the message that it has the stream store, and when it is due again.

use std::borrow::Cow;

use super::plan::Plan;
use super::{Fired, OVER, Row, SCHEDULE};
use crate::api::ApiError;
use crate::store::{Filter, Stored};
use crate::stream::Core;
use crate::stream::head::{Builder, Head, value};
use cordon_accounts::subject::Pattern;

/// Most that fire in one round: the lock is free in between.
const FIRE_MAX: usize = 1000;
/// One that could not fire tries again after this time.
const RETRY: i64 = 10_000_000_000;
/// Messages of its target that are looked at for a run of which no note was left.
const LOOK_BACK: usize = 10_000;

const SCHEDULER: &str = "Nats-Scheduler";
const NEXT: &str = "Nats-Schedule-Next";
const PURGE: &str = "purge";

/// A header that made messages do not take over from where their body comes from.
fn stays_behind(name: &[u8]) -> bool {
    const PREFIXES: [&str; 4] = ["Nats-Schedule", "Nats-Expected-", "Nats-Batch-", "Nats-Marker-"];
    const NAMES: [&str; 6] =
        ["Nats-Msg-Id", "Nats-TTL", "Nats-Rollup", "Nats-Incr", "Nats-Stream-Source", "Nats-Required-Api-Level"];
    let begins =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()));
    PREFIXES.into_iter().any(begins) || NAMES.iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes()))
}

impl Core {
    /// When the next schedule is due.
    pub(in crate::stream) fn next_schedule(&self) -> Option<i64> {
        self.schedules.deadline().filter(|_| !self.config.sealed)
    }

    /// Fires what is due.
    pub(in crate::stream) fn fire(&mut self, now: i64) {
        for _ in 0..FIRE_MAX {
            let due = self.schedules.queue.first().copied().filter(|(due, _)| *due <= now && !self.config.sealed);
            let Some((due, seq)) = due else { return };
            match self.fire_one(seq, due, now) {
                Ok(()) => self.schedules.failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut self.schedules.failing, true) {
                        let stream = &self.config.name;
                        tracing::warn!(account = %self.place.account, %stream, seq, %error, "a schedule is tried again later");
                    }
                    self.schedules.set(seq, now.saturating_add(RETRY));
                }
            }
        }
    }

    fn fire_one(&mut self, seq: u64, due: i64, now: i64) -> Result<(), ApiError> {
        let Some(message) = self.store.get(seq).map_err(ApiError::stream_store_failed)? else {
            self.schedules.forget(seq);
            return Ok(());
        };
        let is_last = self.store.of_subject(message.subject()).is_some_and(|of| of.last == seq);
        let schedule = value(message.header(), SCHEDULE).filter(|_| is_last);
        let plan = schedule.and_then(|schedule| Plan::read(schedule, message.header(), &self.config).ok());
        let Some(plan) = plan else {
            // Another message came, or the stream takes its target no more.
            self.schedules.forget(seq);
            return Ok(());
        };
        let next = plan.when.next(due, now);
        let made = match self.made_before(&message, &plan, due) {
            Some(made) => made,
            None => self.make(&message, &plan, next, now)?,
        };
        let row = Row { seq, due, next: next.unwrap_or(OVER), made };
        if let Some(next) = next {
            self.schedules.unsettled.insert(seq, Fired { due, made });
            self.schedules.set(seq, next);
            self.note_schedule(row);
        } else {
            self.note_schedule(row);
            self.schedules.forget(seq);
            self.end_schedule(message.subject(), seq + 1);
        }
        Ok(())
    }

    /// Stores what a schedule makes; gives its sequence.
    fn make(&mut self, message: &Stored, plan: &Plan<'_>, next: Option<i64>, now: i64) -> Result<u64, ApiError> {
        let source = plan.source.and_then(|source| self.store.of_subject(source.as_bytes()));
        let source = source.and_then(|of| self.store.get(of.last).ok().flatten());
        let body = source.as_ref().unwrap_or(message);
        let next = next.map_or_else(|| PURGE.to_owned(), |next| plan.when.show(next));
        let mut block = Builder::from(body.header(), stays_behind).add(SCHEDULER, message.subject()).add(NEXT, next);
        if let Some(ttl) = plan.ttl {
            block = block.add("Nats-TTL", ttl);
        }
        if plan.rolls_up {
            block = block.add("Nats-Rollup", "sub");
        }
        let block = block.done();
        let mut made = self.prepare(plan.target.as_bytes(), b"", body.payload());
        made.header = Cow::Borrowed(&block);
        // What it says of schedules is the stream's own.
        let head = Head { scheduler: None, schedule_next: None, ..Head::read(&block) };
        let verdict = self.examine(&mut made, &head, now)?;
        self.commit(&made, &verdict, &head, now)
    }

    /// The sequence of the message that a schedule has made already at `due` or later, without a note that says so: only
    /// before the stream was opened.
    fn made_before(&self, message: &Stored, plan: &Plan<'_>, due: i64) -> Option<u64> {
        let (mut to, opened) = self.schedules.opened;
        if due > opened || message.seq > to {
            return None;
        }
        let target = self.prepare(plan.target.as_bytes(), b"", b"").subject;
        let target = Filter::one(Pattern::parse(std::str::from_utf8(&target).ok()?).ok()?);
        for _ in 0..LOOK_BACK {
            let seq = self.store.last(&target, to)?;
            if self.store.peek(seq).is_none_or(|made| made.ts < due) {
                return None;
            }
            let made = self.store.get(seq).ok().flatten();
            if made.is_some_and(|made| value(made.header(), SCHEDULER) == Some(message.subject())) {
                return Some(seq);
            }
            to = seq.checked_sub(1)?;
        }
        None
    }
}
