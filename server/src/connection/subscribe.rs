//! SUB and UNSUB, and what ends subscriptions otherwise.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cordon_accounts::permissions::Permissions;
use cordon_accounts::permissions::response::ReplyGrants;
use cordon_accounts::reason::Reason;
use cordon_accounts::subject::matching;

use crate::border;
use crate::connection::Connection;
use crate::connection::session::Session;
use crate::limits::{ENDED_IN_A_TURN, REMOVED_AT_ONCE};
use crate::protocol::encode;
use crate::protocol::frame::{Subscribe, Unsubscribe};
use crate::routing::interest::has_more_tokens;
use crate::routing::{Sink, Subscription};

/// Queue group that only the broker itself may use.
const RESERVED_QUEUE: &[u8] = b"_sys_";

impl Session {
    /// SUB: permission, limits, then registration; every refusal leaves the connection open.
    pub(super) fn subscribe(&mut self, frame: &Subscribe<'_>) {
        let version = self.connection.rights_version();
        let rights = self.current_rights();
        let queue_reserved = frame.queue == Some(RESERVED_QUEUE);
        let permit = if queue_reserved { None } else { rights.may_subscribe(frame.subject, frame.queue).ok() };
        let Some(permit) = permit else {
            let denial = rights.may_subscribe(frame.subject, frame.queue).err();
            let reason = denial.as_ref().map_or(Reason::SubscribeDenied, |denial| denial.reason);
            let rule = denial.map(|denial| denial.rule.to_string()).unwrap_or_default();
            self.refuse(reason, frame.subject, &rule, &subscription_violation(frame.subject, frame.queue, None));
            return;
        };
        if has_more_tokens(frame.subject, self.connection.broker.options.max_sub_tokens()) {
            let text =
                format!("Permissions Violation for Subscription to {}, too many tokens", encode::quoted(frame.subject));
            self.refuse(Reason::TooManyTokens, frame.subject, "", &text);
            return;
        }
        match self.connection.hold(frame, permit.overlaps_deny()) {
            Err((reason, text)) => {
                self.refuse(reason, frame.subject, "", text);
                return;
            }
            // The id is taken: as with nats-server, what it stands for goes on.
            Ok(None) => {}
            Ok(Some(subscription)) => {
                self.tenant.interest.insert(&subscription);
                border::subscription_added(&self.connection.broker, &self.tenant, &subscription);
                // Whoever changed the rights in between may have looked before it was there.
                if self.connection.rights_version() != version {
                    let rights = self.current_rights();
                    self.connection.hold_to(&rights, &subscription);
                }
            }
        }
        self.acknowledge();
    }

    /// UNSUB: now, or when enough has been delivered.
    pub(super) fn unsubscribe(&mut self, frame: &Unsubscribe<'_>) {
        if let Some(subscription) = self.connection.subscription(frame.sid) {
            let over = self.connection.outbound.with_lock(|| {
                if frame.max > subscription.delivered() {
                    subscription.set_max(frame.max);
                    return false;
                }
                subscription.close();
                true
            });
            if over {
                self.connection.end_subscription(&subscription);
            }
        }
        self.acknowledge();
    }
}

impl Connection {
    /// Takes a subscription in under its id; `None` when that is taken.
    fn hold(
        self: &Arc<Self>,
        frame: &Subscribe<'_>,
        filtered: bool,
    ) -> Result<Option<Subscription>, (Reason, &'static str)> {
        let mut held = self.subscriptions.lock();
        if held.len() >= self.max_subscriptions() {
            return Err((Reason::SubscriptionLimit, "maximum subscriptions exceeded"));
        }
        if held.get(frame.sid).is_some() {
            return Ok(None);
        }
        if !matching::is_valid(frame.subject) {
            return Err((Reason::InvalidSubject, "Invalid Subject"));
        }
        let subscription = Subscription::new(frame.subject, frame.queue, frame.sid, Sink::Client(self.clone()));
        subscription.set_filtered(filtered);
        held.insert(subscription.clone());
        Ok(Some(subscription))
    }

    /// Takes in a subscription that came over a leaf connection; `false` when there are as many as may be.
    pub(crate) fn hold_far(&self, subscription: &Subscription) -> bool {
        let mut held = self.subscriptions.lock();
        if held.len() >= self.max_subscriptions() {
            return false;
        }
        held.insert(subscription.clone());
        true
    }

    /// The subscription of this id.
    pub(crate) fn subscription(&self, sid: &[u8]) -> Option<Subscription> {
        self.subscriptions.lock().get(sid).cloned()
    }

    /// Ends a subscription for good: nothing more is queued for it once this returns.
    pub fn end_subscription(&self, subscription: &Subscription) {
        if !self.subscriptions.lock().remove(subscription) {
            return;
        }
        self.outbound.with_lock(|| subscription.close());
        let tenant = self.tenant();
        tenant.interest.remove(subscription);
        border::subscription_ended(&tenant, subscription);
    }

    /// Ends all subscriptions.
    pub(crate) fn end_subscriptions(&self) {
        let all = self.subscriptions.lock().take();
        self.end(&all);
    }

    /// Ends all subscriptions, with turns for other tasks in between: there may be a million.
    pub(crate) async fn end_subscriptions_in_turns(&self) {
        let mut all = self.subscriptions.lock().take();
        while !all.is_empty() {
            let some = all.split_off(all.len().saturating_sub(ENDED_IN_A_TURN));
            self.end(&some);
            drop(some);
            if !all.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }

    fn end(&self, all: &[Subscription]) {
        let tenant = self.tenant();
        // In pieces: others wait for these locks.
        for some in all.chunks(REMOVED_AT_ONCE) {
            self.outbound.with_lock(|| some.iter().for_each(Subscription::close));
            tenant.interest.remove_all(some);
            for subscription in some {
                border::subscription_ended(&tenant, subscription);
            }
        }
    }

    /// Replaces what it may publish and subscribe to; subscriptions that are no longer allowed
    /// end, and the client is told of each.
    pub fn set_rights(self: &Arc<Self>, rights: Arc<Permissions>) {
        let response = rights.response();
        *self.grants.lock() = response.map(|rule| Box::new(ReplyGrants::new(rule)));
        self.tracks_replies.store(response.is_some(), Ordering::Relaxed);
        *self.rights.write() = rights.clone();
        self.rights_version.fetch_add(1, Ordering::AcqRel);
        let list = self.subscription_list();
        self.tenant().interest.reconsider(&list);
        if self.leaf().is_some() {
            // Its task looks at each message, and tells the leaf node.
            return self.wake();
        }
        for subscription in list {
            self.hold_to(&rights, &subscription);
        }
    }

    /// Ends a subscription that `rights` do not allow.
    fn hold_to(self: &Arc<Self>, rights: &Permissions, subscription: &Subscription) {
        let queue = subscription.queue();
        if let Ok(permit) = rights.may_subscribe(subscription.subject(), queue) {
            subscription.set_filtered(permit.overlaps_deny());
            return;
        }
        self.end_subscription(subscription);
        let text = subscription_violation(subscription.subject(), queue, Some(subscription.sid()));
        self.send_line(&encode::error_line(&text));
    }
}

/// The error text that clients parse the subject and queue out of.
fn subscription_violation(subject: &[u8], queue: Option<&[u8]>, sid: Option<&[u8]>) -> String {
    let mut text = format!("Permissions Violation for Subscription to {}", encode::quoted(subject));
    if let Some(queue) = queue {
        text.push_str(" using queue ");
        text.push_str(&encode::quoted(queue));
    }
    if let Some(sid) = sid {
        text.push_str(" (sid ");
        text.push_str(&encode::quoted(sid));
        text.push(')');
    }
    text
}
