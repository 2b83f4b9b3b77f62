//! Priority groups: which of the waiting requests is served (jetstream.md 3.6).

use super::request::PullRequest;
use super::status::Status;
use super::{Consumer, Context};
use crate::config::PriorityPolicy;

/// The client that gets everything.
#[derive(Clone, Debug)]
pub(super) struct Pin {
    /// What its requests say.
    pub(super) id: String,
    /// Since when.
    pub(super) since: i64,
    /// When it asked last.
    pub(super) asked: i64,
}

/// Why no client could be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpinError {
    /// The consumer has no such group.
    #[error("provided priority group does not exist for this consumer")]
    NoSuchGroup,
}

impl Consumer {
    /// Checks what a request says of its group.
    pub(super) fn check_priority(&self, request: &PullRequest) -> Result<(), Status> {
        let bad = |text: &str| Err(Status::BadRequest(text.to_owned()));
        let policy = self.config.priority_policy;
        if policy != PriorityPolicy::Overflow && (request.min_pending > 0 || request.min_ack_pending > 0) {
            return bad("Not a Overflow Priority consumer");
        }
        if policy != PriorityPolicy::PinnedClient && !request.id.is_empty() {
            return bad("Not a Pinned Client Priority consumer");
        }
        if !(0..=9).contains(&request.priority) {
            return bad("Priority must be between 0 and 9");
        }
        if policy == PriorityPolicy::None {
            return Ok(());
        }
        if request.group.is_empty() {
            return bad("Priority Group missing");
        }
        if !self.config.priority_groups.contains(&request.group) {
            return bad("Invalid Priority Group");
        }
        // Without a pinned client it is found out when its turn would come.
        if !request.id.is_empty() && self.pin.as_ref().is_some_and(|pin| pin.id != request.id) {
            return Err(Status::PinMismatch);
        }
        Ok(())
    }

    /// A request with the id of the pinned client came.
    pub(super) fn pin_is_used(&mut self, id: &str, now: i64) {
        if let Some(pin) = self.pin.as_mut().filter(|pin| pin.id == id) {
            pin.asked = now;
        }
    }

    /// The index of the request whose turn it is.
    pub(super) fn turn_of(&mut self, cx: &Context<'_>) -> Option<usize> {
        match self.config.priority_policy {
            PriorityPolicy::None | PriorityPolicy::Prioritized => (!self.queue.is_empty()).then_some(0),
            PriorityPolicy::Overflow => {
                let (ahead, waiting) = (self.ahead, self.progress.pending_count() as u64);
                self.queue.position(|request| {
                    (request.min_pending == 0 && request.min_ack_pending == 0)
                        || (request.min_pending > 0 && ahead >= request.min_pending)
                        || (request.min_ack_pending > 0 && waiting >= request.min_ack_pending)
                })
            }
            PriorityPolicy::PinnedClient => {
                self.end_wrongly_pinned(cx);
                match &self.pin {
                    Some(pin) => self.queue.position(|request| request.id == pin.id),
                    None => self.queue.position(|request| request.id.is_empty()),
                }
            }
        }
    }

    /// Requests end that bear an id which is valid no more.
    fn end_wrongly_pinned(&mut self, cx: &Context<'_>) {
        let pinned = self.pin.as_ref().map(|pin| pin.id.as_str());
        let wrong = |id: &str| !id.is_empty() && pinned != Some(id);
        for request in self.queue.drain_where(|request| wrong(&request.id)) {
            Self::say_ended(&request, &Status::WrongPin, cx);
        }
    }

    /// The id that a message to the request at `index` bears; without a pinned client its client becomes the one.
    pub(super) fn pin_for(&mut self, index: usize, cx: &Context<'_>) -> Option<String> {
        if self.config.priority_policy != PriorityPolicy::PinnedClient {
            return None;
        }
        if let Some(pin) = &self.pin {
            return Some(pin.id.clone());
        }
        let request = self.queue.get_mut(index)?;
        let id = nuid::next().to_string();
        request.id.clone_from(&id);
        self.pin = Some(Pin { id: id.clone(), since: cx.now, asked: cx.now });
        self.tell_pinned(self.config.priority_groups.first().map_or("", String::as_str), &id, cx);
        Some(id)
    }

    /// When the pinned client is released that does not ask.
    pub(super) fn pin_ends(&self) -> Option<i64> {
        let pin = self.pin.as_ref()?;
        (self.config.priority_timeout > 0).then(|| pin.asked.saturating_add(self.config.priority_timeout))
    }

    /// Releases a client that has not asked for too long.
    pub(super) fn time_for_pin(&mut self, cx: &Context<'_>) {
        if self.pin_ends().is_some_and(|at| at <= cx.now) {
            self.release("timeout", cx);
        }
    }

    /// Releases the pinned client; the next request that waits has its place.
    ///
    /// # Errors
    ///
    /// [`UnpinError`] if there is no such group.
    pub fn unpin(&mut self, group: &str, cx: &mut Context<'_>) -> Result<(), UnpinError> {
        if self.config.priority_policy != PriorityPolicy::PinnedClient
            || !self.config.priority_groups.iter().any(|name| name == group)
        {
            return Err(UnpinError::NoSuchGroup);
        }
        self.release("admin", cx);
        Ok(())
    }

    fn release(&mut self, reason: &str, cx: &Context<'_>) {
        self.pin = None;
        self.tell_unpinned(self.config.priority_groups.first().map_or("", String::as_str), reason, cx);
        self.end_wrongly_pinned(cx);
    }
}
