//! Time, pause, reset and the end of a consumer (jetstream.md 3.8, 3.9).

use super::progress::Change;
use super::start;
use super::status::Status;
use super::{Consumer, Context};
use crate::config::DeliverPolicy;

/// Why a consumer cannot start over where it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// Its deliver policy says where it starts.
    #[error("not allowed")]
    NotAllowed,
    /// Before the sequence that it started with.
    #[error("below start seq")]
    BelowStartSeq,
    /// Before the time that it started with.
    #[error("below start time")]
    BelowStartTime,
}

/// Why a consumer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It, or its stream, was deleted.
    Deleted,
    /// The server stops; it is there again when the server is.
    Shutdown,
}

impl Consumer {
    /// When [`Consumer::tick`] has something to do.
    pub fn deadline(&mut self, now: i64) -> Option<i64> {
        let paused = self.is_paused(now).then_some(self.paused_until);
        let look = (self.look_at != 0).then_some(self.look_at);
        let held = (self.held_until > now).then_some(self.held_until);
        let replay = self.replay.map(|replay| replay.not_before).filter(|at| *at > now);
        let rate = self.push.as_ref().map(|push| push.not_before).filter(|at| *at > now);
        [
            paused,
            look,
            held,
            replay,
            rate,
            self.progress.earliest_deadline(),
            self.queue.deadline(),
            self.heartbeat_at(),
            self.pin_ends(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due: requests and pauses end, heartbeats go out, messages become due again. The stream lets it
    /// [`Consumer::pump`] afterwards.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        if self.paused_until != 0 && self.paused_until <= cx.now {
            self.paused_until = 0;
            self.tell_paused(cx);
        }
        let mut due = Vec::new();
        self.progress.expire(cx.now, &mut |seq| due.push(seq));
        for seq in due {
            if self.may_not_be_delivered_again(seq) {
                self.give_out(seq, cx);
            }
        }
        self.time_for_requests(cx);
        self.time_for_pin(cx);
        self.beat(cx);
        self.look_whether_used(cx);
    }

    /// Somebody used it.
    pub(super) fn touch(&mut self, now: i64) {
        self.used = now;
    }

    /// Says when it is looked at next whether somebody uses it.
    pub(super) fn schedule_look(&mut self, now: i64) {
        self.look_at = if self.config.inactive_threshold > 0 {
            self.used.max(now).saturating_add(self.config.inactive_threshold)
        } else {
            0
        };
    }

    fn look_whether_used(&mut self, cx: &mut Context<'_>) {
        if self.look_at == 0 || self.look_at > cx.now {
            return;
        }
        let threshold = self.config.inactive_threshold;
        if !self.is_push() {
            self.drop_deserted(cx);
        }
        let in_use = self.bound().unwrap_or(!self.queue.is_empty());
        if in_use {
            self.used = cx.now;
        }
        let mut until = self.used.saturating_add(threshold);
        if !self.is_push()
            && let Some(latest) = self.progress.latest_deadline()
        {
            // What waits for acknowledgement may still be acknowledged.
            until = until.max(latest.saturating_add(threshold));
        }
        if until <= cx.now {
            cx.effects.unused = true;
            self.look_at = 0;
        } else {
            self.look_at = until;
        }
    }

    /// Stops deliveries until then, or lets them go on (0, or a time that is over).
    pub fn pause(&mut self, until: i64, cx: &mut Context<'_>) {
        let before = self.paused_until;
        self.paused_until = if until > cx.now { until } else { 0 };
        self.config.pause_until = (self.paused_until != 0).then_some(crate::config::Moment(self.paused_until));
        if before != self.paused_until {
            self.tell_paused(cx);
        }
    }

    /// Starts over: with the first message that is not acknowledged, or with `to`. Gives where it starts.
    ///
    /// # Errors
    ///
    /// [`ResetError`]; nothing changes then.
    pub fn reset(&mut self, to: Option<u64>, cx: &mut Context<'_>) -> Result<u64, ResetError> {
        let seq = match to.filter(|seq| *seq > 0) {
            None => self.progress.floor_pair().stream + 1,
            Some(seq) => {
                let start = start::floor_of_start(&self.config, cx.store);
                match self.config.deliver_policy {
                    DeliverPolicy::All => {}
                    DeliverPolicy::ByStartSequence if start.is_none_or(|start| seq >= start) => {}
                    DeliverPolicy::ByStartSequence => return Err(ResetError::BelowStartSeq),
                    DeliverPolicy::ByStartTime if start.is_none_or(|start| seq >= start) => {}
                    DeliverPolicy::ByStartTime => return Err(ResetError::BelowStartTime),
                    _ => return Err(ResetError::NotAllowed),
                }
                seq
            }
        };
        self.note(Change::Reset(seq), cx.now);
        self.progress.reset(seq);
        self.replay = None;
        self.reopen_window();
        (self.last_delivery, self.last_ack) = (0, 0);
        self.recount(cx);
        self.touch(cx.now);
        Ok(seq)
    }

    /// The consumer ends: whoever waits is told.
    pub fn end(&mut self, why: End, cx: &mut Context<'_>) {
        let status = match why {
            End::Deleted => Status::ConsumerDeleted,
            End::Shutdown => Status::ServerShutdown,
        };
        self.end_requests(&status, cx);
        self.watch(false, cx);
    }
}
