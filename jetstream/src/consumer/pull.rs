//! Pull requests: what is said to them at once, and how waiting ones are served (jetstream.md 3.5).

use bytes::Bytes;

use super::deliver::Step;
use super::header;
use super::number::parse_u64;
use super::request::{self, PullRequest};
use super::status::Status;
use super::waiting::Waiting;
use super::{Consumer, Context, send_status};
use crate::config::PriorityPolicy;

/// Requests that wait at a push consumer: none. At a pull consumer that does not say how many: 512.
const WAITING_DEFAULT: i64 = 512;
/// The level of the API that requests may require.
const API_LEVEL: u64 = 5;

impl Consumer {
    /// A message to `CONSUMER.MSG.NEXT`. One without reply subject asks for nothing.
    pub fn request(&mut self, header: &[u8], body: &[u8], reply: &[u8], cx: &mut Context<'_>) {
        if reply.is_empty() {
            return;
        }
        if let Some(level) = header::value(header, "Nats-Required-Api-Level")
            && parse_u64(level).is_none_or(|level| level > API_LEVEL)
        {
            send_status(reply, &Status::RequiredLevel.header(), cx);
            return;
        }
        self.ask(body, reply, cx);
    }

    /// A pull request, as it is also behind `+NXT`.
    pub(super) fn ask(&mut self, body: &[u8], reply: &[u8], cx: &mut Context<'_>) {
        self.touch(cx.now);
        if let Err(Some(status)) = self.admit(body, reply, cx) {
            send_status(reply, &status.header(), cx);
        }
    }

    fn admit(&mut self, body: &[u8], reply: &[u8], cx: &mut Context<'_>) -> Result<(), Option<Status>> {
        if self.is_push() {
            return Err(Some(Status::PushBased));
        }
        let request = request::parse(body).map_err(Status::BadRequest)?;
        self.check_caps(&request)?;
        self.check_priority(&request)?;
        self.pin_is_used(&request.id, cx.now);
        if request.no_wait {
            self.check_without_wait(&request)?;
        }
        let most = if self.config.max_waiting > 0 { self.config.max_waiting } else { WAITING_DEFAULT };
        if self.queue.len() as u64 >= most.cast_unsigned() {
            self.drop_deserted(cx);
            if self.queue.len() as u64 >= most.cast_unsigned() {
                // A client that hears heartbeats finds out by itself; one without them must be told.
                return Err((request.idle_heartbeat == 0).then_some(Status::MaxWaiting));
            }
        }
        let mut waiting = Waiting::new(request, Bytes::copy_from_slice(reply), cx.now);
        if self.config.priority_policy != PriorityPolicy::Prioritized {
            waiting.priority = 0;
        }
        self.queue.add(waiting);
        Ok(())
    }

    fn check_caps(&self, request: &PullRequest) -> Result<(), Status> {
        let over = |asked: i64, most: i64| most > 0 && asked > most;
        if over(request.batch, self.config.max_batch) {
            return Err(Status::MaxBatch(self.config.max_batch));
        }
        if over(request.expires, self.config.max_expires) {
            return Err(Status::MaxExpires(self.config.max_expires));
        }
        if over(request.max_bytes, self.config.max_bytes) {
            return Err(Status::MaxBytes(self.config.max_bytes));
        }
        Ok(())
    }

    fn check_without_wait(&mut self, request: &PullRequest) -> Result<(), Status> {
        let there = self.ahead + self.progress.due_count() as u64;
        if there == 0 && request.expires == 0 {
            return Err(Status::NoMessages);
        }
        if there > 0 && there < self.queue.asked() {
            return Err(Status::RequestsPending);
        }
        Ok(())
    }

    /// Delivers one message to the request whose turn it is.
    pub(super) fn pull_step(&mut self, cx: &mut Context<'_>) -> Step {
        if self.queue.is_empty() {
            return Step::Blocked;
        }
        let Some(mut index) = self.turn_of(cx) else { return Step::Blocked };
        let chosen = match self.choose(cx) {
            Ok(chosen) => chosen,
            Err(step) => return step,
        };
        let size = self.weigh(&chosen).cast_signed();
        // A request whose bytes do not suffice ends, and the next one gets its turn.
        while let Some(request) = self.queue.get_mut(index) {
            if request.bytes_left.is_none_or(|left| left >= size) {
                break;
            }
            self.end_request(index, &Status::MessageTooLarge, cx);
            match self.turn_of(cx) {
                Some(next) => index = next,
                None => return Step::Blocked,
            }
        }
        let pin = self.pin_for(index, cx);
        let Some(request) = self.queue.get_mut(index) else { return Step::Blocked };
        let to = request.reply.clone();
        if !self.send(&chosen, &to, pin.as_deref(), cx) {
            // Nobody is there any more: the message goes to another request.
            self.end_request(index, &Status::InterestExpired, cx);
            return Step::Done;
        }
        self.record(&chosen, cx);
        self.served(index, size, cx);
        Step::Done
    }

    /// The request at `index` got a message of `size` bytes.
    fn served(&mut self, index: usize, size: i64, cx: &Context<'_>) {
        let Some(request) = self.queue.get_mut(index) else { return };
        request.served = true;
        request.left -= 1;
        if request.heartbeat > 0 {
            request.next_heartbeat = cx.now.saturating_add(request.heartbeat);
        }
        if let Some(left) = &mut request.bytes_left {
            *left -= size;
        }
        if request.left > 0 && request.bytes_left != Some(0) {
            self.queue.turn(index);
        } else if request.bytes_left.is_some_and(|left| left > 0) {
            self.end_request(index, &Status::BatchCompleted, cx);
        } else {
            self.queue.remove(index);
        }
    }

    fn end_request(&mut self, index: usize, status: &Status, cx: &Context<'_>) {
        if let Some(request) = self.queue.remove(index) {
            Self::say_ended(&request, status, cx);
        }
    }

    /// Tells a request that it ended, and what it did not get.
    pub(super) fn say_ended(request: &Waiting, status: &Status, cx: &Context<'_>) {
        send_status(&request.reply, &status.header_with_rest(request.left, request.bytes_left.unwrap_or(0)), cx);
    }

    /// Nothing is there: requests that wait for nothing end.
    pub(super) fn end_without_wait(&mut self, cx: &Context<'_>) {
        for request in self.queue.drain_where(|request| request.no_wait && (request.served || request.expires == 0)) {
            send_status(&request.reply, &Status::NoMessages.header(), cx);
        }
    }

    /// Forgets requests that nobody listens to any more.
    pub(super) fn drop_deserted(&mut self, cx: &Context<'_>) {
        for request in self.queue.drain_where(|request| !cx.port.has_interest(&request.reply, None)) {
            // Heard only where the reply crossed accounts, and somebody comes back to it.
            Self::say_ended(&request, &Status::InterestExpired, cx);
        }
    }

    /// Requests end whose time is over, and hear that the consumer is there.
    pub(super) fn time_for_requests(&mut self, cx: &Context<'_>) {
        let last = self.progress.delivered_pair();
        let ended = self.queue.expired(cx.now, |request| {
            let header = Status::IdleHeartbeat.header_with_last(last, None);
            cx.port.send(&crate::port::Outgoing { to: &request.reply, header: &header, ..Default::default() });
        });
        for request in ended {
            Self::say_ended(&request, &Status::RequestTimeout, cx);
        }
    }

    /// Ends all requests: the consumer is deleted, or the server stops.
    pub(super) fn end_requests(&mut self, status: &Status, cx: &Context<'_>) {
        for request in self.queue.drain_where(|_| true) {
            if *status == Status::ServerShutdown {
                Self::say_ended(&request, status, cx);
            } else {
                send_status(&request.reply, &status.header(), cx);
            }
        }
    }
}
