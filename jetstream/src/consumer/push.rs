//! Push consumers: who listens, heartbeats, flow control and rate limit (jetstream.md 3.7).

use cordon_accounts::subject::Pattern;

use super::deliver::Step;
use super::flow::{Rate, Window};
use super::header;
use super::number::parse_u64;
use super::status::Status;
use super::{Consumer, Context};
use crate::config::{AckPolicy, ConsumerConfig};
use crate::port::{Listening, Outgoing};
use crate::store::Filter;

/// What a push consumer has besides.
#[derive(Debug)]
pub(super) struct Push {
    /// Somebody takes what goes to the deliver subject.
    pub(super) bound: bool,
    /// Who listens may not read what it delivers.
    pub(super) refused: bool,
    window: Option<Window>,
    rate: Option<Rate>,
    /// When the next message may go, if a rate or a replay says so.
    pub(super) not_before: i64,
    /// When something was sent last.
    last_sent: i64,
}

impl Push {
    pub(super) fn of(config: &ConsumerConfig, cx: &Context<'_>) -> Option<Self> {
        (!config.deliver_subject.is_empty()).then(|| Self {
            bound: false,
            refused: false,
            window: config.flow_control.then(Window::default),
            rate: rate_of(config, cx),
            not_before: 0,
            last_sent: cx.now,
        })
    }
}

fn rate_of(config: &ConsumerConfig, cx: &Context<'_>) -> Option<Rate> {
    (config.rate_limit_bps > 0).then(|| Rate::new(config.rate_limit_bps, cx.place.max_message.max(1)))
}

/// What receivers must be allowed to subscribe to, where reading needs permission: of a stream that holds messages of
/// these subjects, what the filter lets through.
pub(super) fn reads<'a>(filter: &'a Filter, holds: &'a [Pattern]) -> &'a [Pattern] {
    match filter {
        Filter::All => holds,
        Filter::Any(filters) => filters,
    }
}

impl Consumer {
    fn group(&self) -> Option<&[u8]> {
        (!self.config.deliver_group.is_empty()).then_some(self.config.deliver_group.as_bytes())
    }

    /// Somebody may have begun or ceased to listen to the deliver subject.
    pub fn interest_changed(&mut self, cx: &mut Context<'_>) {
        if !self.is_push() {
            return;
        }
        let bound = self.is_listened_to(cx);
        let Some(push) = &mut self.push else { return };
        if bound == push.bound {
            return;
        }
        push.bound = bound;
        push.last_sent = cx.now;
        if bound {
            // A new receiver has confirmed nothing, and owes nothing.
            if self.config.flow_control {
                push.window = Some(Window::default());
            }
        }
        self.touch(cx.now);
        self.schedule_look(cx.now);
    }

    /// Somebody takes what it delivers, and may read it.
    fn is_listened_to(&mut self, cx: &Context<'_>) -> bool {
        let to = self.config.deliver_subject.as_bytes();
        let listening = cx.port.listening(to, self.group(), reads(&self.filter, cx.place.holds));
        let refused = listening == Listening::Refused;
        let before = self.push.as_mut().map(|push| std::mem::replace(&mut push.refused, refused));
        if refused && before == Some(false) {
            let (account, stream) = (cx.place.account, cx.place.stream);
            tracing::warn!(account, stream, consumer = self.name, "deliveries stop: {}", self.refusal(cx));
        }
        listening == Listening::Somebody
    }

    /// Why it delivers nothing to those who listen.
    pub(super) fn refusal(&self, cx: &Context<'_>) -> String {
        let reads: Vec<_> = reads(&self.filter, cx.place.holds).iter().map(|pattern| format!("`{pattern}`")).collect();
        format!("whoever listens to `{}` may not subscribe to {}", self.config.deliver_subject, reads.join(", "))
    }

    /// Who listens may not read what it delivers.
    pub(super) fn is_refused(&self) -> bool {
        self.push.as_ref().is_some_and(|push| push.refused)
    }

    /// Has the stream woken for interest in the deliver subject, or no more.
    pub(super) fn watch(&self, watching: bool, cx: &Context<'_>) {
        if self.is_push() {
            cx.port.watch(cx.place.stream, self.config.deliver_subject.as_bytes(), watching);
        }
    }

    /// Somebody takes what goes to its deliver subject; `None` for a pull consumer.
    pub(super) fn bound(&self) -> Option<bool> {
        self.push.as_ref().map(|push| push.bound)
    }

    pub(super) fn push_step(&mut self, cx: &mut Context<'_>) -> Step {
        let Some(push) = &mut self.push else { return Step::Blocked };
        if !push.bound || push.not_before > cx.now || push.window.as_ref().is_some_and(Window::is_stalled) {
            return Step::Blocked;
        }
        let chosen = match self.choose(cx) {
            Ok(chosen) => chosen,
            Err(step) => return step,
        };
        let size = self.weigh(&chosen);
        if let Some(push) = &mut self.push
            && let Some(rate) = &push.rate
        {
            push.not_before = rate.free_at(size, cx.now);
            if push.not_before > cx.now {
                return Step::Blocked;
            }
        }
        let to = std::mem::take(&mut self.config.deliver_subject);
        let taken = self.send(&chosen, to.as_bytes(), None, cx);
        self.config.deliver_subject = to;
        if !taken {
            self.is_listened_to(cx);
            if let Some(push) = &mut self.push {
                push.bound = false;
            }
            self.touch(cx.now);
            self.schedule_look(cx.now);
            return Step::Blocked;
        }
        self.record(&chosen, cx);
        self.pushed(size, cx);
        Step::Done
    }

    /// Its receiver begins anew: it has confirmed nothing, and owes nothing.
    pub(super) fn reopen_window(&mut self) {
        if let Some(push) = &mut self.push
            && self.config.flow_control
        {
            push.window = Some(Window::default());
        }
    }

    fn pushed(&mut self, size: u64, cx: &Context<'_>) {
        let Some(push) = &mut self.push else { return };
        push.last_sent = cx.now;
        if let Some(rate) = &mut push.rate {
            rate.spend(size, cx.now);
        }
        if push.window.as_mut().is_some_and(|window| window.sent(size)) {
            self.ask_receiver(cx);
        }
    }

    /// Asks the receiver to say when it has come so far.
    fn ask_receiver(&mut self, cx: &Context<'_>) {
        if let Some(window) = self.push.as_mut().and_then(|push| push.window.as_mut()) {
            let id: String = nuid::next().to_string().chars().rev().take(4).collect();
            let reply = self.acks.flow(&id);
            let header = Status::FlowControl.header();
            let to = self.config.deliver_subject.as_bytes();
            cx.port.send(&Outgoing { to, reply: &reply, header: &header, ..Outgoing::default() });
            window.ask(reply);
        }
    }

    /// An answer to a flow control request came on `subject`. With ack policy `flow_control` its headers acknowledge.
    pub fn flow_reply(&mut self, subject: &[u8], header: &[u8], cx: &mut Context<'_>) {
        let Some(push) = &mut self.push else { return };
        if !push.window.as_mut().is_some_and(|window| window.answered(subject)) {
            return;
        }
        self.touch(cx.now);
        if self.config.ack_policy == AckPolicy::FlowControl
            && let Some(seq) = header::value(header, "Nats-Last-Stream").and_then(parse_u64)
            && seq < self.progress.next()
        {
            self.last_ack = cx.now;
            self.done_up_to(seq, cx);
        }
    }

    /// When the next heartbeat is due.
    pub(super) fn heartbeat_at(&self) -> Option<i64> {
        let push = self.push.as_ref().filter(|push| push.bound)?;
        (self.config.idle_heartbeat > 0).then(|| push.last_sent.saturating_add(self.config.idle_heartbeat))
    }

    /// Says that the consumer is there, if it was silent for so long.
    pub(super) fn beat(&mut self, cx: &Context<'_>) {
        if self.heartbeat_at().is_none_or(|at| at > cx.now) {
            return;
        }
        let last = self.progress.delivered_pair();
        let Some(push) = &mut self.push else { return };
        let confirms = self.config.ack_policy == AckPolicy::FlowControl;
        let stalled = push.window.as_ref().filter(|window| confirms || window.is_stalled()).and_then(Window::asked);
        let waits = stalled.is_some();
        let header = Status::IdleHeartbeat.header_with_last(last, stalled);
        push.last_sent = cx.now;
        let to = self.config.deliver_subject.as_bytes();
        cx.port.send(&Outgoing { to, header: &header, ..Outgoing::default() });
        // What is confirmed by such answers alone would stay unconfirmed at the end of what there is.
        if confirms && !waits && self.progress.pending_count() > 0 {
            self.ask_receiver(cx);
        }
    }

    /// The configuration is another one: a new rate, another subject.
    pub(super) fn push_changed(&mut self, moved: bool, cx: &Context<'_>) {
        let rate = rate_of(&self.config, cx);
        if let Some(push) = &mut self.push {
            (push.rate, push.not_before) = (rate, 0);
            if moved {
                push.bound = false;
            }
        }
    }
}
