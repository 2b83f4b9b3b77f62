//! A traced message to its receivers: one after the other, and what came of each goes into the report.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{DESTINATION, DISABLED, HOP, ONLY, Undelivered};
use crate::connection::Connection;
use crate::leaf::forward::forward_traced;
use crate::protocol::headers;
use crate::routing::deliver::deliver_one;
use crate::routing::match_set::MatchSet;
use crate::routing::{Batch, Message, Sink, Subscription};

/// Hands a message to its receivers, as [`crate::routing::route`] does, and reports each in [`Batch::traced`]; returns
/// how many accepted it, or would have.
pub fn route(set: &MatchSet, message: &Message<'_>, batch: &mut Batch) -> usize {
    route_to(set, message, None, batch)
}

/// As [`route`]; of the queue groups only to those `listed`, if there is a list.
pub fn route_to(set: &MatchSet, message: &Message<'_>, listed: Option<&[&[u8]]>, batch: &mut Batch) -> usize {
    let is_listed = |name: &[u8]| listed.is_none_or(|listed| listed.contains(&name));
    let mut accepted = 0;
    for subscription in &set.plain {
        accepted += usize::from(offer(subscription, subscription, message, batch));
    }
    let mut served = SmallVec::<[&[u8]; 4]>::new();
    for group in set.queues.iter().filter(|group| is_listed(&group.name)) {
        let start = batch.draw(group.members.len() as u32) as usize;
        let (before, from) = group.members.split_at_checked(start).unwrap_or((&[], &group.members));
        if from.iter().chain(before).any(|member| offer(member, member, message, batch)) {
            accepted += 1;
            served.push(&group.name);
        }
    }
    if let Some(far) = &set.far {
        accepted += forward_traced(far, message, &|name| is_listed(name) && !served.contains(&name), batch);
    }
    accepted
}

/// Hands a message to one subscription; the report names `shown`, which stands for it in the account of the publisher.
pub fn offer(subscription: &Subscription, shown: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
    let only = batch.traced.as_ref().is_some_and(|traced| traced.only);
    let receiver = match subscription.sink() {
        Sink::Client(receiver) => receiver,
        Sink::Inside(receiver) if receiver.traces() => return deliver_one(subscription, message, batch),
        Sink::Inside(receiver) => {
            // Of a message that is only looked at, nothing is kept.
            let taken = only || unseen(message, batch, |message, batch| deliver_one(subscription, message, batch));
            if let (Some(traced), Some(stream)) = (&mut batch.traced, receiver.stream()) {
                traced.report.taken(message, &stream, taken);
            }
            return taken;
        }
    };
    let mut error = obstacle(subscription, receiver, message);
    if error.is_none() && !only && !deliver_one(subscription, message, batch) {
        error = Some(obstacle(subscription, receiver, message).unwrap_or(Undelivered::Closed));
    }
    if let Some(traced) = &mut batch.traced {
        traced.report.offered(receiver, shown, error);
    }
    error.is_none()
}

/// Header and payload of a message that goes where its report does not: nobody there is told where that is, or asked to
/// report on.
pub fn hidden(message: &Message<'_>) -> (usize, Vec<u8>) {
    hidden_body(message.header(), message.payload())
}

/// As [`hidden`], of a header block and the payload behind it.
pub fn hidden_body(header: &[u8], payload: &[u8]) -> (usize, Vec<u8>) {
    let [only, hop] = [ONLY, HOP];
    let header = headers::without(&headers::without(header, only), hop);
    let header = headers::with(&header, DESTINATION, DISABLED);
    (header.len(), [&header, payload].concat())
}

/// Sends a message where its report does not go: without what asks for it, and nothing of what becomes of it is told.
pub fn unseen<T>(message: &Message<'_>, batch: &mut Batch, send: impl FnOnce(&Message<'_>, &mut Batch) -> T) -> T {
    let traced = batch.traced.take();
    let (header_len, body) = hidden(message);
    let result = send(&Message { header_len, body: &body, ..*message }, batch);
    batch.traced = traced;
    result
}

/// What keeps a message from a receiver.
fn obstacle(subscription: &Subscription, receiver: &Arc<Connection>, message: &Message<'_>) -> Option<Undelivered> {
    if message.origin.is_some_and(|origin| Arc::ptr_eq(origin, receiver)) && !receiver.echoes() {
        Some(Undelivered::Echo)
    } else if subscription.is_filtered() && !receiver.may_receive(message.subject, subscription.queue()) {
        Some(Undelivered::Subscription)
    } else if subscription.is_spent() {
        Some(Undelivered::Maximum)
    } else if receiver.closing().is_some() {
        Some(Undelivered::Closed)
    } else if subscription.is_closed() {
        Some(Undelivered::Ended)
    } else {
        None
    }
}
