//! A message to its receivers.
//!
//! Everything here runs on the publisher's thread and never waits. What must be written is
//! remembered in the [`Batch`] and flushed once, when all frames of one read are processed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::connection::Connection;
use crate::connection::outbound::Appended;
use crate::limits::SHARE_FROM;
use crate::protocol::encode;
use crate::routing::match_set::{MatchSet, QueueGroup};
use crate::routing::message::Message;
use crate::routing::subscription::{Sink, Subscription};

/// What one read of a connection has caused so far.
#[derive(Default)]
pub struct Batch {
    /// Connections with output that this batch must flush.
    touched: Vec<Arc<Connection>>,
    scratch: Vec<u8>,
    random: u64,
    /// Service imports passed on the way of the message at hand.
    pub depth: usize,
    /// Service imports used for the message at hand, on all its ways.
    pub crossed: usize,
    /// Messages delivered to client connections.
    pub delivered: u64,
    /// Bytes of them.
    pub delivered_bytes: u64,
}

impl Batch {
    /// An empty batch; `seed` varies the choice of queue members between connections.
    pub fn new(seed: u64) -> Self {
        let mut batch = Self::default();
        batch.random = seed | 1;
        batch
    }

    /// Promises that `connection` is flushed at the end.
    pub fn touch(&mut self, connection: &Arc<Connection>) {
        self.touched.push(connection.clone());
    }

    /// Flushes every connection that got output; adds those that are far behind to `behind`, and returns whether any
    /// is not.
    pub fn flush(&mut self, behind: &mut Vec<Arc<Connection>>) -> bool {
        let mut kept_up = false;
        for connection in self.touched.drain(..) {
            if connection.flush() {
                behind.push(connection);
            } else {
                kept_up = true;
            }
        }
        kept_up
    }

    /// A number below `bound`; good enough to spread load, not a secret (xorshift64*).
    pub fn draw(&mut self, bound: u32) -> u32 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let high = (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32;
        ((u64::from(high) * u64::from(bound.max(1))) >> 32) as u32
    }
}

impl Drop for Batch {
    /// Receivers must not wait for a publisher that ended half-way.
    fn drop(&mut self) {
        self.flush(&mut Vec::new());
    }
}

/// Hands `message` to its receivers; returns how many accepted it.
pub fn route(set: &MatchSet, message: &Message<'_>, batch: &mut Batch) -> usize {
    let mut envelope = Envelope::new(message, set, std::mem::take(&mut batch.scratch));
    let mut accepted = 0;
    for subscription in &set.plain {
        accepted += usize::from(offer(subscription, message, &mut envelope, batch));
    }
    for group in &set.queues {
        accepted += usize::from(offer_group(group, message, &mut envelope, batch));
    }
    batch.scratch = envelope.tails;
    accepted
}

/// Hands `message` to one subscription, outside any match set.
pub fn deliver_one(subscription: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
    let mut envelope = Envelope::new(message, &MatchSet::default(), std::mem::take(&mut batch.scratch));
    let accepted = offer(subscription, message, &mut envelope, batch);
    batch.scratch = envelope.tails;
    accepted
}

/// Members are tried from a random one on until one accepts.
fn offer_group(group: &QueueGroup, message: &Message<'_>, envelope: &mut Envelope, batch: &mut Batch) -> bool {
    let start = batch.draw(group.members.len() as u32) as usize;
    let (before, from) = group.members.split_at_checked(start).unwrap_or((&[], &group.members));
    from.iter().chain(before).any(|member| offer(member, message, envelope, batch))
}

#[inline]
fn offer(subscription: &Subscription, message: &Message<'_>, envelope: &mut Envelope, batch: &mut Batch) -> bool {
    match subscription.sink() {
        Sink::Client(connection) => deliver(subscription, connection, message, envelope, batch),
        Sink::Inside(receiver) => !subscription.is_closed() && receiver.receive(subscription, message, batch),
    }
}

/// The parts of a delivery that are the same for every receiver.
struct Envelope {
    /// What follows the subscription id, for receivers without and with headers.
    tails: Vec<u8>,
    plain_tail: usize,
    shared: Option<Bytes>,
    share: bool,
}

impl Envelope {
    fn new(message: &Message<'_>, set: &MatchSet, mut tails: Vec<u8>) -> Self {
        tails.clear();
        encode::line_tail(&mut tails, message.reply, None, message.payload().len());
        let plain_tail = tails.len();
        if message.header_len > 0 {
            encode::line_tail(&mut tails, message.reply, Some(message.header_len), message.body.len());
        }
        let share = message.body.len() >= SHARE_FROM && set.plain.len() + set.queues.len() > 1;
        Self { tails, plain_tail, shared: None, share }
    }

    fn tail(&self, with_header: bool) -> &[u8] {
        let (plain, header) = self.tails.split_at_checked(self.plain_tail).unwrap_or((&self.tails, &[]));
        if with_header { header } else { plain }
    }
}

/// Queues a message on a client connection, if the subscription and the client's rights take it.
#[inline]
fn deliver(
    subscription: &Subscription,
    connection: &Arc<Connection>,
    message: &Message<'_>,
    envelope: &mut Envelope,
    batch: &mut Batch,
) -> bool {
    if let Some(origin) = message.origin
        && Arc::ptr_eq(origin, connection)
        && !connection.echoes()
    {
        return false;
    }
    if subscription.is_filtered() && !connection.may_receive(message.subject, subscription.queue()) {
        return false;
    }
    let options = &connection.broker.options;
    if options.no_fast_producer_stall && connection.outbound.pending() > options.max_pending / 4 * 3 {
        connection.broker.dropped_messages.fetch_add(1, Ordering::Relaxed);
        return false;
    }
    let with_header = message.header_len > 0 && connection.reads_headers();
    let body = if with_header { message.body } else { message.payload() };
    let shared = envelope.share.then(|| {
        let whole = envelope.shared.get_or_insert_with(|| Bytes::copy_from_slice(message.body)).clone();
        if with_header { whole } else { whole.slice(message.header_len.min(whole.len())..) }
    });
    let tail = envelope.tail(with_header);
    let sid = subscription.sid();
    let need = message.subject.len() + sid.len() + tail.len() + 8;
    let appended = connection.outbound.deliver(
        connection.max_pending(),
        body.len(),
        || subscription.admit(),
        |queue| {
            if let Some(shared) = shared {
                queue.append(need, |out| {
                    encode::delivery_line(out, with_header, message.subject, sid, tail);
                });
                queue.append_shared(shared);
                queue.append(2, |out| out.extend_from_slice(b"\r\n"));
            } else {
                queue.append(need + body.len() + 2, |out| {
                    encode::delivery_line(out, with_header, message.subject, sid, tail);
                    out.extend_from_slice(body);
                    out.extend_from_slice(b"\r\n");
                });
            }
        },
    );
    match appended {
        Appended::Refused => return false,
        Appended::Owe => batch.touch(connection),
        Appended::Queued => {}
        Appended::Overflow => connection.overflowed(),
    }
    batch.delivered += 1;
    batch.delivered_bytes += body.len() as u64;
    if !message.reply.is_empty() {
        connection.grant_reply(message.reply);
    }
    if subscription.is_spent() {
        connection.end_subscription(subscription);
    }
    true
}
