//! A message to its receivers.
//!
//! Everything here runs on the publisher's thread and never waits. What must be written is
//! remembered in the [`Batch`] and flushed once, when all frames of one read are processed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::connection::Connection;
use crate::connection::outbound::Appended;
use crate::connection::traffic;
use crate::leaf::forward::forward;
use crate::limits::SHARE_FROM;
use crate::protocol::encode;
use crate::routing::match_set::{MatchSet, QueueGroup};
use crate::routing::message::Message;
use crate::routing::subscription::{Sink, Subscription};
use crate::tracing_messages::Traced;

/// Work of the broker's own that receivers put off until all frames of one read are processed: one thread is woken for
/// all of them, and finds all of them.
pub trait Later: Send + Sync {
    /// Has the work begin elsewhere. Never waits, and sends nothing.
    fn begin(self: Arc<Self>);
}

/// What one read of a connection has caused so far.
#[derive(Default)]
pub struct Batch {
    /// Work that this batch must have begun. In a box: most connections never have any.
    #[expect(
        clippy::box_collection,
        reason = "every connection has a batch, and room for a pointer is all it needs here"
    )]
    later: Option<Box<Vec<Arc<dyn Later>>>>,
    /// Connections with output that this batch must flush.
    touched: Vec<Arc<Connection>>,
    /// Taken and put back with every message; several where a message crosses accounts.
    #[expect(clippy::vec_box, reason = "what is moved for each message is a pointer, which costs less than a `Vec`")]
    spare: Vec<Box<Tails>>,
    random: u64,
    /// Service imports passed on the way of the message at hand.
    pub depth: u32,
    /// Service imports used for the message at hand, on all its ways.
    pub crossed: u32,
    /// The report about the message at hand, if its publisher asked for one.
    pub traced: Option<Box<Traced>>,
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

    /// Promises that `work` begins at the end.
    pub fn put_off(&mut self, work: Arc<dyn Later>) {
        self.later.get_or_insert_default().push(work);
    }

    /// Has work begin that was put off, and flushes every connection that got output; adds those that are far behind to
    /// `behind`, and returns whether any is not.
    pub fn flush(&mut self, behind: &mut Vec<Arc<Connection>>) -> bool {
        for work in self.later.iter_mut().flat_map(|later| later.drain(..)) {
            work.begin();
        }
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
    if set.far.is_some() {
        return route_to(set, message, None, batch);
    }
    let mut envelope = Envelope::new(message, set, batch.spare.pop());
    let mut accepted = 0;
    for subscription in &set.plain {
        accepted += usize::from(offer(subscription, message, &mut envelope, batch));
    }
    for group in &set.queues {
        accepted += usize::from(offer_group(group, message, &mut envelope, batch));
    }
    batch.spare.push(envelope.tails);
    accepted
}

/// As [`route`], also to the other side of leaf connections; of the queue groups only to those `listed`, if there is
/// a list.
pub fn route_to(set: &MatchSet, message: &Message<'_>, listed: Option<&[&[u8]]>, batch: &mut Batch) -> usize {
    let mut envelope = Envelope::new(message, set, batch.spare.pop());
    let mut accepted = 0;
    for subscription in &set.plain {
        accepted += usize::from(offer(subscription, message, &mut envelope, batch));
    }
    let is_listed = |name: &[u8]| listed.is_none_or(|listed| listed.contains(&name));
    let mut served = SmallVec::<[&[u8]; 4]>::new();
    for group in set.queues.iter().filter(|group| is_listed(&group.name)) {
        if offer_group(group, message, &mut envelope, batch) {
            accepted += 1;
            served.push(&group.name);
        }
    }
    batch.spare.push(envelope.tails);
    let Some(far) = &set.far else { return accepted };
    accepted + forward(far, message, &|name| is_listed(name) && !served.contains(&name), batch)
}

/// Hands `message` to one subscription, outside any match set.
pub fn deliver_one(subscription: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
    let mut envelope = Envelope::new(message, &MatchSet::default(), batch.spare.pop());
    let accepted = offer(subscription, message, &mut envelope, batch);
    batch.spare.push(envelope.tails);
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

/// What follows the subscription id: for receivers without headers, and behind that for those with headers.
#[derive(Default)]
struct Tails {
    bytes: Vec<u8>,
    plain: usize,
}

/// The parts of a delivery that are the same for every receiver.
struct Envelope {
    tails: Box<Tails>,
    shared: Option<Bytes>,
    share: bool,
}

impl Envelope {
    fn new(message: &Message<'_>, set: &MatchSet, spare: Option<Box<Tails>>) -> Self {
        let mut tails = spare.unwrap_or_default();
        tails.bytes.clear();
        encode::line_tail(&mut tails.bytes, message.reply, None, message.payload().len());
        tails.plain = tails.bytes.len();
        if message.header_len > 0 {
            encode::line_tail(&mut tails.bytes, message.reply, Some(message.header_len), message.body.len());
        }
        let share = message.body.len() >= SHARE_FROM && set.plain.len() + set.queues.len() > 1;
        Self { tails, shared: None, share }
    }

    fn tail(&self, with_header: bool) -> &[u8] {
        let Tails { bytes, plain } = &*self.tails;
        let (plain, header) = bytes.split_at_checked(*plain).unwrap_or((bytes, &[]));
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
    if let Some(most) = connection.broker.options.drop_above()
        && connection.outbound.pending() > most
    {
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
    let need = message.shown.len() + sid.len() + tail.len() + 8;
    let appended = connection.outbound.deliver(
        connection.max_pending(),
        body.len(),
        || subscription.admit(),
        |queue| {
            if let Some(shared) = shared {
                queue.append(need, |out| {
                    encode::delivery_line(out, with_header, message.shown, sid, tail);
                });
                queue.append_shared(shared);
                queue.append(2, |out| out.extend_from_slice(b"\r\n"));
            } else {
                queue.append(need + body.len() + 2, |out| {
                    encode::delivery_line(out, with_header, message.shown, sid, tail);
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
    if traffic::is_on() {
        let header_len = if with_header { message.header_len } else { 0 };
        traffic::delivered(connection, (message.shown, sid, message.reply), header_len, body);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Work(AtomicUsize);

    impl Later for Work {
        fn begin(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_put_off_begins_once_whether_the_batch_ends_as_it_should_or_not() {
        for is_dropped in [false, true] {
            let work = Arc::new(Work::default());
            let mut batch = Batch::new(1);
            batch.put_off(work.clone());
            assert_eq!(work.0.load(Ordering::Relaxed), 0);
            if !is_dropped {
                batch.flush(&mut Vec::new());
                assert_eq!(work.0.load(Ordering::Relaxed), 1);
            }
            drop(batch);
            assert_eq!(work.0.load(Ordering::Relaxed), 1);
        }
    }
}
