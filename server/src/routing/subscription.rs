//! One entry of an account's interest.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use smallvec::SmallVec;
use triomphe::ThinArc;

use crate::connection::Connection;
use crate::routing::deliver::Batch;
use crate::routing::message::Message;

/// A subscription: of a client, of the border, or of the broker itself. Clones are the same subscription.
///
/// There may be millions, so it is one pointer to one allocation:
///
/// ```text
/// count | Head | length | id | length and name of its queue group, if it has one | subject
/// ```
///
/// The id comes first: it lies in the cache line that a delivery reads anyway.
#[derive(Clone)]
pub struct Subscription(ThinArc<Head, u8>);

struct Head {
    sink: Sink,
    delivered: AtomicU64,
    /// [`CLOSED`], [`FILTERED`], [`QUEUED`] and [`FAR`]; above them the number of deliveries after which it ends, 0 is without
    /// bound.
    state: AtomicU64,
    /// Place in its node's list, kept by the tree.
    slot: AtomicU32,
    sid_len: u32,
}

const CLOSED: u64 = 1;
/// Each delivery is checked against deny rules.
const FILTERED: u64 = 2;
/// It is a member of a queue group; never changes.
const QUEUED: u64 = 4;
/// It stands for interest on the other side of a leaf connection; never changes.
const FAR: u64 = 8;
const FLAGS: u64 = CLOSED | FILTERED | QUEUED | FAR;
const FLAG_BITS: u32 = FLAGS.count_ones();

/// Bytes of the length of a queue group's name.
const NAME_LEN: usize = size_of::<u32>();

const _: () = assert!(size_of::<Sink>() == 16 && size_of::<Head>() == 40);

/// Who receives what a subscription matches.
pub enum Sink {
    /// A client connection.
    Client(Arc<Connection>),
    /// Something inside the broker.
    Inside(Arc<dyn Receiver>),
}

/// A receiver inside the broker: the border, the system account, later streams.
pub trait Receiver: Send + Sync {
    /// Takes a message; returns whether it was accepted (a queue group tries another member, and
    /// a requester hears of "no responders", when not). Called on the publisher's thread: never
    /// waits.
    fn receive(&self, subscription: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool;

    /// The leaf connection on whose other side the receivers are; `None` for whoever is in this broker.
    fn far(&self) -> Option<Far<'_>> {
        None
    }

    /// Sets how many members a queue group has on the other side; gives what it was.
    fn reweigh(&self, _weight: u32) -> u32 {
        1
    }

    /// The subject that receivers on the other side of a leaf connection see; `None` if the message is not for them.
    fn far_subject<'a>(&self, message: &Message<'a>) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(message.subject))
    }

    /// The stream that it takes messages for; reports on messages name it.
    fn stream(&self) -> Option<Arc<str>> {
        None
    }

    /// Whether it looks at [`Batch::traced`] itself, and delivers nothing of a message that is only to be traced.
    fn traces(&self) -> bool {
        false
    }
}

/// Receivers on the other side of a leaf connection.
#[derive(Clone, Copy)]
pub struct Far<'a> {
    /// The leaf connection.
    pub connection: &'a Arc<Connection>,
    /// How many there are, of a queue group.
    pub weight: u32,
    /// How far a report about a traced message follows it.
    pub followed: Followed,
}

/// How far a report follows a message to the other side of a leaf connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The server there reports, too.
    Beyond,
    /// It says that the message went there, and ends: the other side is in another account.
    ToTheEdge,
    /// Nobody is told that it went there.
    Nowhere,
}

impl Subscription {
    /// A subscription not yet in any interest; `sid` is the client's id for it, empty for others. Subject, queue
    /// group and id come from one control line and are far shorter than 4 GiB.
    pub fn new(subject: &[u8], queue: Option<&[u8]>, sid: &[u8], sink: Sink) -> Self {
        Self::marked(subject, queue, sid, sink, 0)
    }

    /// A subscription that stands for interest on the other side of a leaf connection: `receiver` says which.
    pub fn far(subject: &[u8], queue: Option<&[u8]>, sid: &[u8], receiver: Arc<dyn Receiver>) -> Self {
        Self::marked(subject, queue, sid, Sink::Inside(receiver), FAR)
    }

    fn marked(subject: &[u8], queue: Option<&[u8]>, sid: &[u8], sink: Sink, mark: u64) -> Self {
        let mut texts = SmallVec::<[u8; 192]>::new();
        texts.extend_from_slice(sid);
        if let Some(name) = queue {
            texts.extend_from_slice(&(name.len() as u32).to_ne_bytes());
            texts.extend_from_slice(name);
        }
        texts.extend_from_slice(subject);
        let head = Head {
            sink,
            delivered: AtomicU64::new(0),
            state: AtomicU64::new(mark | if queue.is_some() { QUEUED } else { 0 }),
            slot: AtomicU32::new(0),
            sid_len: sid.len() as u32,
        };
        Self(ThinArc::from_header_and_slice(head, &texts))
    }

    /// Who receives.
    #[inline]
    pub fn sink(&self) -> &Sink {
        &self.head().sink
    }

    /// The client's id for it, empty for others.
    #[inline]
    pub fn sid(&self) -> &[u8] {
        self.0.slice.get(..self.head().sid_len as usize).unwrap_or_default()
    }

    /// Subject, with wildcards.
    #[inline]
    pub fn subject(&self) -> &[u8] {
        let texts = self.after_sid();
        if self.is_queued() { queue_and_subject(texts).map_or(&[], |(_, subject)| subject) } else { texts }
    }

    /// Queue group.
    #[inline]
    pub fn queue(&self) -> Option<&[u8]> {
        if self.is_queued() { queue_and_subject(self.after_sid()).map(|(name, _)| name) } else { None }
    }

    /// Both are the same subscription, not only equal ones.
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.as_ptr(), other.0.as_ptr())
    }

    /// What no other subscription has while this one lives.
    pub fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Ends it: nothing is queued for it any more. For a client's subscription the caller holds
    /// the lock of the connection's output.
    pub fn close(&self) {
        self.head().state.fetch_or(CLOSED, Ordering::Release);
    }

    /// It has ended.
    pub fn is_closed(&self) -> bool {
        self.head().state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// It stands for interest on the other side of a leaf connection.
    pub fn is_far(&self) -> bool {
        self.head().state.load(Ordering::Relaxed) & FAR != 0
    }

    /// The leaf connection on whose other side its receivers are.
    pub fn beyond(&self) -> Option<Far<'_>> {
        match self.sink() {
            Sink::Inside(receiver) => receiver.far(),
            Sink::Client(_) => None,
        }
    }

    /// Deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.head().delivered.load(Ordering::Relaxed)
    }

    /// Deliveries after which it ends; 0 is without bound.
    pub fn max(&self) -> u64 {
        self.head().state.load(Ordering::Relaxed) >> FLAG_BITS
    }

    /// Sets the number of deliveries after which it ends; more than 2^60 of them are as many.
    pub fn set_max(&self, max: u64) {
        let above = max.min(u64::MAX >> FLAG_BITS) << FLAG_BITS;
        let replace = |state: u64| Some(state & FLAGS | above);
        // Never fails: `replace` always has an answer.
        let _before = self.head().state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace);
    }

    /// Each delivery must be checked against deny rules.
    pub fn is_filtered(&self) -> bool {
        self.head().state.load(Ordering::Relaxed) & FILTERED != 0
    }

    /// Sets whether deliveries must be checked against deny rules.
    pub fn set_filtered(&self, filtered: bool) {
        if filtered {
            self.head().state.fetch_or(FILTERED, Ordering::Relaxed);
        } else if self.is_filtered() {
            self.head().state.fetch_and(!FILTERED, Ordering::Relaxed);
        }
    }

    /// Counts a delivery if the subscription still takes one. The caller holds the lock of the
    /// connection's output, so plain loads and stores do.
    #[inline]
    pub fn admit(&self) -> bool {
        let head = self.head();
        let state = head.state.load(Ordering::Acquire);
        let delivered = head.delivered.load(Ordering::Relaxed) + 1;
        let max = state >> FLAG_BITS;
        if state & CLOSED != 0 || (max != 0 && delivered > max) {
            return false;
        }
        head.delivered.store(delivered, Ordering::Relaxed);
        true
    }

    /// The last delivery it wanted has been made.
    #[inline]
    pub fn is_spent(&self) -> bool {
        let max = self.max();
        max != 0 && self.delivered() >= max
    }

    pub(super) fn slot(&self) -> usize {
        self.head().slot.load(Ordering::Relaxed) as usize
    }

    pub(super) fn set_slot(&self, slot: usize) {
        self.head().slot.store(slot as u32, Ordering::Relaxed);
    }

    #[inline]
    fn head(&self) -> &Head {
        &self.0.header.header
    }

    #[inline]
    fn is_queued(&self) -> bool {
        self.head().state.load(Ordering::Relaxed) & QUEUED != 0
    }

    #[inline]
    fn after_sid(&self) -> &[u8] {
        self.0.slice.get(self.head().sid_len as usize..).unwrap_or_default()
    }
}

fn queue_and_subject(texts: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, texts) = texts.split_first_chunk::<NAME_LEN>()?;
    texts.split_at_checked(u32::from_ne_bytes(*len) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Receiver for Nobody {
        fn receive(&self, _: &Subscription, _: &Message<'_>, _: &mut Batch) -> bool {
            false
        }
    }

    fn subscription(subject: &str, queue: Option<&str>, sid: &str) -> Subscription {
        let sink = Sink::Inside(Arc::new(Nobody));
        Subscription::new(subject.as_bytes(), queue.map(str::as_bytes), sid.as_bytes(), sink)
    }

    #[test]
    fn its_texts_are_kept_apart() {
        let long = "x".repeat(1000);
        for subject in ["a", "a.*.>", &long] {
            for queue in [None, Some("q"), Some("1"), Some(&*long)] {
                for sid in ["", "1", "4294967296", &long] {
                    let one = subscription(subject, queue, sid);
                    let texts = (one.subject(), one.queue(), one.sid());
                    assert_eq!(texts, (subject.as_bytes(), queue.map(str::as_bytes), sid.as_bytes()));
                    assert!(one.is(&one.clone()) && !one.is(&subscription(subject, queue, sid)));
                }
            }
        }
    }

    #[test]
    fn bound_and_marks_do_not_disturb_each_other() {
        let one = subscription("a", Some("q"), "1");
        assert_eq!((one.is_closed(), one.is_filtered(), one.max(), one.is_spent()), (false, false, 0, false));
        one.set_filtered(true);
        one.set_max(2);
        assert_eq!((one.is_filtered(), one.max(), one.queue()), (true, 2, Some(b"q".as_slice())));
        assert!(one.admit() && !one.is_spent() && one.admit() && one.is_spent());
        assert!(!one.admit(), "a third of two");
        one.set_max(u64::MAX);
        assert!(one.max() > u64::MAX / 32 && one.admit() && one.is_filtered() && !one.is_closed());
        one.set_filtered(false);
        one.close();
        assert_eq!((one.is_closed(), one.is_filtered(), one.delivered()), (true, false, 3));
        assert!(!one.admit(), "after its end");
        assert_eq!((one.queue(), one.delivered()), (Some(b"q".as_slice()), 3));
    }
}
