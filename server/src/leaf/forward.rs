//! A message to the other side of leaf connections: one line for each, however many subscriptions match there.
//!
//! ```text
//! LMSG <subject> [<reply> | + <reply> <queue>.. | "|" <queue>..] <size>
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cordon_accounts::subject::matching;
use smallvec::SmallVec;

use crate::connection::Connection;
use crate::connection::outbound::Appended;
use crate::protocol::encode::Digits;
use crate::routing::match_set::{MatchSet, QueueGroup};
use crate::routing::{Batch, Far, Followed, Message, Receiver, Subscription};
use crate::system::security::TENANT_FEED;
use crate::tracing_messages::{self, Traced, Undelivered};

/// Where messages of streams are acknowledged.
const ACKNOWLEDGEMENTS: &[u8] = b"$JS.ACK.";

/// Interest on the other side of a leaf connection.
pub struct Beyond {
    connection: Arc<Connection>,
    weight: AtomicU32,
}

impl Beyond {
    /// `weight` members there, or plain interest.
    pub fn new(connection: Arc<Connection>, weight: u32) -> Self {
        Self { connection, weight: AtomicU32::new(weight) }
    }
}

impl Receiver for Beyond {
    fn receive(&self, subscription: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        if !may_reach(message, &self.connection) || stays(subscription, message) {
            return false;
        }
        let plain = subscription.queue().is_none();
        let target = Target {
            connection: &self.connection,
            subject: Cow::Borrowed(message.subject),
            plain,
            queues: subscription.queue().into_iter().collect(),
            followed: Followed::Beyond,
        };
        send(&target, message, batch)
    }

    fn far(&self) -> Option<Far<'_>> {
        Some(Far {
            connection: &self.connection,
            weight: self.weight.load(Ordering::Relaxed),
            followed: Followed::Beyond,
        })
    }

    fn reweigh(&self, weight: u32) -> u32 {
        self.weight.swap(weight, Ordering::Relaxed)
    }
}

/// One line to one leaf node.
struct Target<'a> {
    connection: &'a Arc<Connection>,
    subject: Cow<'a, [u8]>,
    /// Plain interest is among what matches.
    plain: bool,
    queues: SmallVec<[&'a [u8]; 2]>,
    followed: Followed,
}

/// Bytes that a line can hold as one argument.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
}

/// What an account hears of its own refusals stays in this broker unless the other side asks for just that: who wants
/// everything there is another broker's business.
fn stays(subscription: &Subscription, message: &Message<'_>) -> bool {
    message.subject == TENANT_FEED && !subscription.subject().starts_with(b"$SYS.")
}

/// Whether a message may go to the other side of `to` at all.
fn may_reach(message: &Message<'_>, to: &Connection) -> bool {
    let Some(origin) = message.origin else { return true };
    let (Some(source), Some(target)) = (origin.leaf(), to.leaf()) else { return true };
    origin.cid != to.cid && source.passes_to(target)
}

/// Hands `message` to the leaf connections of a match; of the queue groups to those that `is_open`. Returns how many
/// accepted it.
pub fn forward(far: &MatchSet, message: &Message<'_>, is_open: &dyn Fn(&[u8]) -> bool, batch: &mut Batch) -> usize {
    targets(far, message, is_open, batch).iter().filter(|target| send(target, message, batch)).count()
}

/// As [`forward`], for a message that is reported on: leaf nodes that can go on with the report are asked to, and of the
/// others it tells that it ends there.
pub fn forward_traced(
    far: &MatchSet,
    message: &Message<'_>,
    is_open: &dyn Fn(&[u8]) -> bool,
    batch: &mut Batch,
) -> usize {
    let targets = targets(far, message, is_open, batch);
    let only = batch.traced.as_ref().is_some_and(|traced| traced.only);
    let mut accepted = 0;
    for target in &targets {
        let asking = batch.traced.as_deref().and_then(|traced| asking(target, message, traced));
        let sent = match &asking {
            Some((header_len, body)) => send(target, &Message { header_len: *header_len, body, ..*message }, batch),
            None => !only && tracing_messages::unseen(message, batch, |message, batch| send(target, message, batch)),
        };
        accepted += usize::from(sent);
        let Some(traced) = batch.traced.as_mut().filter(|_| target.followed != Followed::Nowhere) else { continue };
        match (asking, sent) {
            (Some(_), true) => traced.report.goes_on(target.connection),
            (None, true) => traced.report.passed_on(target.connection, Undelivered::Beyond),
            (None, false) if only => traced.report.passed_on(target.connection, Undelivered::NotBeyond),
            (_, false) => traced.report.passed_on(target.connection, Undelivered::Closed),
        }
    }
    accepted
}

/// Header and payload by which the other side is asked to go on with a report; `None` if it is not to, or could not
/// publish one: it would have to drop the message then.
fn asking(target: &Target<'_>, message: &Message<'_>, traced: &Traced) -> Option<(usize, Vec<u8>)> {
    let leaf = target.connection.leaf().filter(|leaf| leaf.traces && target.followed == Followed::Beyond)?;
    let onward = traced.onward.as_ref()?;
    if onward.is_asked && !leaf.filter().goes_out(&onward.destination, None) {
        return None;
    }
    let header = onward.header(message.header(), &traced.report.next_way());
    Some((header.len(), [&header, message.payload()].concat()))
}

fn targets<'a>(
    far: &'a MatchSet,
    message: &Message<'a>,
    is_open: &dyn Fn(&[u8]) -> bool,
    batch: &mut Batch,
) -> SmallVec<[Target<'a>; 4]> {
    let mut targets = SmallVec::<[Target<'_>; 4]>::new();
    for subscription in &far.plain {
        if let Some((far, subject)) = destination(subscription, message) {
            target_of(&mut targets, far, subject).plain = true;
        }
    }
    for group in far.queues.iter().filter(|group| is_open(&group.name)) {
        if let Some(member) = choose(group, message, batch)
            && let Some((far, subject)) = destination(member, message)
        {
            target_of(&mut targets, far, subject).queues.push(&group.name);
        }
    }
    targets.retain(held_to);
    targets
}

fn destination<'a>(subscription: &'a Subscription, message: &Message<'a>) -> Option<(Far<'a>, Cow<'a, [u8]>)> {
    let crate::routing::Sink::Inside(receiver) = subscription.sink() else { return None };
    let far = receiver.far()?;
    if subscription.is_closed() || !may_reach(message, far.connection) || stays(subscription, message) {
        return None;
    }
    Some((far, receiver.far_subject(message)?))
}

fn target_of<'a, 'b>(
    targets: &'b mut SmallVec<[Target<'a>; 4]>,
    far: Far<'a>,
    subject: Cow<'a, [u8]>,
) -> &'b mut Target<'a> {
    let Far { connection, followed, .. } = far;
    let known =
        targets.iter().position(|target| Arc::ptr_eq(target.connection, connection) && target.subject == subject);
    let at = known.unwrap_or_else(|| {
        targets.push(Target { connection, subject, plain: false, queues: SmallVec::new(), followed });
        targets.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or pushed just now")]
    &mut targets[at]
}

/// One member of a group, by the number of receivers behind each; only those that the message may reach.
fn choose<'a>(group: &'a QueueGroup, message: &Message<'_>, batch: &mut Batch) -> Option<&'a Subscription> {
    let weight = |member: &Subscription| {
        member
            .beyond()
            .filter(|far| !member.is_closed() && may_reach(message, far.connection))
            .filter(|far| passes_filter(far.connection, message.subject, Some(&group.name)))
            .map_or(0, |far| far.weight)
    };
    let sum = group.members.iter().fold(0u32, |sum, member| sum.saturating_add(weight(member)));
    if sum == 0 {
        return None;
    }
    let mut drawn = batch.draw(sum);
    group.members.iter().find(|member| {
        let own = weight(member);
        let found = drawn < own;
        drawn = drawn.saturating_sub(own);
        found
    })
}

fn passes_filter(connection: &Connection, subject: &[u8], queue: Option<&[u8]>) -> bool {
    connection.leaf().is_some_and(|leaf| leaf.filter().goes_out(subject, queue))
}

/// Takes from a target what its leaf node may not get; whether anything is left.
fn held_to(target: &mut Target<'_>) -> bool {
    let Some(leaf) = target.connection.leaf() else { return false };
    let filter = leaf.filter();
    let Target { subject, plain, queues, .. } = target;
    *plain = *plain && filter.goes_out(subject, None);
    queues.retain(|queue| filter.goes_out(subject, Some(queue)));
    *plain || !queues.is_empty()
}

fn send(target: &Target<'_>, message: &Message<'_>, batch: &mut Batch) -> bool {
    let connection = target.connection;
    let told = reply_with_shown(message);
    let reply = &*told;
    let is_line = is_token(&target.subject)
        && (reply.is_empty() || is_token(reply))
        && target.queues.iter().all(|queue| is_token(queue));
    if !is_line {
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
    let line = Line {
        subject: &target.subject,
        reply,
        queues: &target.queues,
        header_len: with_header.then_some(message.header_len),
        size: body.len(),
    };
    let need = line.length() + body.len() + 2;
    let appended = connection.outbound.deliver(
        connection.max_pending(),
        body.len(),
        || true,
        |queue| {
            queue.append(need, |out| {
                line.write(out);
                out.extend_from_slice(body);
                out.extend_from_slice(b"\r\n");
            });
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
    if !reply.is_empty() {
        connection.grant_reply(reply);
    }
    true
}

/// The reply subject as the other side is told it: behind it, the subject that receivers are to see where that is not
/// the one of the line.
fn reply_with_shown<'a>(message: &Message<'a>) -> Cow<'a, [u8]> {
    if message.is_renamed() && message.reply.starts_with(ACKNOWLEDGEMENTS) {
        Cow::Owned([message.reply, b"@", message.shown].concat())
    } else {
        Cow::Borrowed(message.reply)
    }
}

/// The reply subject and the subject to show in what [`reply_with_shown`] makes.
pub(super) fn reply_and_shown(reply: &[u8]) -> (&[u8], Option<&[u8]>) {
    let at = memchr::memrchr(b'@', reply).filter(|_| reply.starts_with(ACKNOWLEDGEMENTS));
    match at.and_then(|at| Some((reply.get(..at)?, reply.get(at + 1..)?))) {
        Some((before, shown)) if matching::is_publishable(shown) => (before, Some(shown)),
        _ => (reply, None),
    }
}

/// The line of one message.
struct Line<'a> {
    subject: &'a [u8],
    reply: &'a [u8],
    queues: &'a [&'a [u8]],
    header_len: Option<usize>,
    size: usize,
}

impl Line<'_> {
    /// Bytes that it takes, or a few more.
    fn length(&self) -> usize {
        self.subject.len() + self.reply.len() + self.queues.iter().map(|queue| queue.len() + 1).sum::<usize>() + 56
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.header_len.is_some() { b"HMSG " } else { b"LMSG " });
        out.extend_from_slice(self.subject);
        out.push(b' ');
        if !self.queues.is_empty() {
            out.extend_from_slice(if self.reply.is_empty() { b"| " } else { b"+ " });
        }
        for argument in Some(self.reply).filter(|reply| !reply.is_empty()).iter().chain(self.queues) {
            out.extend_from_slice(argument);
            out.push(b' ');
        }
        if let Some(header_len) = self.header_len {
            out.extend_from_slice(Digits::of(header_len).as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(Digits::of(self.size).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::parser::{self, Frame, Rules, Step};

    #[test]
    fn every_line_is_read_back_as_it_was_meant() {
        let rules = Rules { max_control_line: 4096, max_payload: 64 };
        for reply in ["", "re"] {
            for queues in [vec![], vec![b"q".as_slice()], vec![b"q", b"r"]] {
                for header_len in [None, Some(3)] {
                    let line = Line { subject: b"a.b", reply: reply.as_bytes(), queues: &queues, header_len, size: 5 };
                    let mut bytes = Vec::new();
                    line.write(&mut bytes);
                    assert!(bytes.len() <= line.length());
                    bytes.extend_from_slice(b"hello\r\n");
                    let Ok(Step::Frame(Frame::Message(read), len)) = parser::next(&bytes, &rules) else {
                        panic!("{}", String::from_utf8_lossy(&bytes))
                    };
                    assert_eq!((len, read.subject, read.reply), (bytes.len(), b"a.b".as_slice(), reply.as_bytes()));
                    assert_eq!((read.queues.as_slice(), read.header_len), (queues.as_slice(), header_len.unwrap_or(0)));
                }
            }
        }
    }

    #[test]
    fn the_subject_to_show_travels_behind_the_reply_subject() {
        for (reply, shown, told) in [
            ("$JS.ACK.S.c.1.1.1.1.0", "orders.new", "$JS.ACK.S.c.1.1.1.1.0@orders.new"),
            ("$JS.ACK.S.c.1.1.1.1.0", "a@b", "$JS.ACK.S.c.1.1.1.1.0@a@b"),
            ("$JS.ACK.S.c.1.1.1.1.0", "to", "$JS.ACK.S.c.1.1.1.1.0"),
            ("inbox", "orders.new", "inbox"),
            ("", "orders.new", ""),
        ] {
            let (to, shown_bytes) = (b"to".as_slice(), shown.as_bytes());
            let message = Message::of_broker(to, reply.as_bytes(), 0, b"");
            let message = Message { shown: if shown == "to" { to } else { shown_bytes }, ..message };
            assert_eq!(String::from_utf8_lossy(&reply_with_shown(&message)), told);
        }
        for (told, reply, shown) in [
            ("$JS.ACK.S.c.1@orders.new", "$JS.ACK.S.c.1", Some("orders.new")),
            ("$JS.ACK.S.c.1@", "$JS.ACK.S.c.1@", None),
            ("$JS.ACK.S.c.1@a..b", "$JS.ACK.S.c.1@a..b", None),
            ("$JS.ACK.S.c.1", "$JS.ACK.S.c.1", None),
            ("a@b", "a@b", None),
            ("", "", None),
        ] {
            assert_eq!(reply_and_shown(told.as_bytes()), (reply.as_bytes(), shown.map(str::as_bytes)), "{told}");
        }
    }

    #[test]
    fn nothing_that_would_break_a_line_is_a_token() {
        for text in ["", "a b", "a\r", "a\n", "a\tb", "\x01", "\x7f", "a\0"] {
            assert!(!is_token(text.as_bytes()), "{text:?}");
        }
        assert!(is_token("spät.>".as_bytes()));
    }
}
