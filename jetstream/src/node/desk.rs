//! Requests on their way to a thread that may wait for a disk.
//!
//! Each account has two lanes: one for requests that change something, which are answered in their order, and one for
//! those that only look. Both are bounded in requests and in bytes; what does not fit is not taken, so that its asker
//! hears of no responders at once, and nobody else's requests are thrown away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cordon_accounts::permissions::Permissions;
use cordon_server::connection::Connection;
use cordon_server::routing::{Batch, Later};

use super::fair::Fair;
use super::member::Member;

/// Bytes of the requests of one account that wait.
const BYTES_MAX: usize = 32 << 20;
/// Requests that wait, unless configured otherwise.
pub(super) const REQUESTS_MAX: usize = 10_000;

/// A request.
pub(super) struct Request {
    /// Whose streams it is about.
    pub(super) member: Arc<Member>,
    /// What it asks for.
    pub(super) ask: Ask,
    /// Its subject, as `$JS.API.…`.
    pub(super) subject: String,
    /// Where the answer goes; empty for nowhere.
    pub(super) reply: Vec<u8>,
    /// Its header block; empty for none.
    pub(super) header: Vec<u8>,
    /// Its body.
    pub(super) payload: Vec<u8>,
    /// Who asks.
    pub(super) asker: Option<Arc<Connection>>,
    /// The share by which another account asks.
    pub(super) share: Option<Box<str>>,
    /// What its asker reads needs the permission to subscribe.
    pub(super) checked: bool,
    /// It came from another account, and what the border says of who asks.
    pub(super) crossed: bool,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// An endpoint of the API.
    Api,
    /// Messages, without JSON around them.
    Direct,
}

impl Request {
    fn size(&self) -> usize {
        self.subject.len() + self.reply.len() + self.header.len() + self.payload.len() + size_of::<Self>()
    }

    /// What its asker may subscribe to, if that bounds what it reads. Of other accounts, exports say what they read.
    pub(super) fn reader(&self) -> Option<Arc<Permissions>> {
        let asker = self.asker.as_ref().filter(|_| self.checked && !self.crossed);
        asker.map(|connection| connection.rights())
    }

    /// It changes nothing.
    pub(super) fn only_looks(&self) -> bool {
        if self.ask == Ask::Direct {
            return true;
        }
        let tail = self.subject.strip_prefix("$JS.API.").unwrap_or_default();
        let looks = ["INFO", "STREAM.INFO.", "STREAM.NAMES", "STREAM.LIST", "STREAM.MSG.GET."];
        let at_consumers = ["CONSUMER.INFO.", "CONSUMER.NAMES.", "CONSUMER.LIST.", "DIRECT.GET."];
        looks.iter().chain(&at_consumers).any(|prefix| tail.starts_with(prefix))
    }
}

/// How much waits for one account.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    waiting: AtomicUsize,
    refused: AtomicUsize,
}

impl Backlog {
    /// Requests that wait or are being answered.
    pub(super) fn in_flight(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One lane of an account.
pub(super) struct Lane {
    queue: Arc<Fair<Request>>,
    number: u64,
    /// Some batch promised to have it begin.
    put_off: AtomicBool,
}

/// A worker is asked for at once when so many wait, whatever else is still to come.
const MANY: usize = 64;

impl Lane {
    /// The lane of that number.
    pub(super) fn new(queue: &Arc<Fair<Request>>, number: u64) -> Arc<Self> {
        Arc::new(Self { queue: queue.clone(), number, put_off: AtomicBool::new(false) })
    }

    /// Takes a request unless `most` wait; it is begun when all frames of one read are processed.
    fn take(self: &Arc<Self>, request: Request, most: usize, batch: &mut Batch) -> bool {
        let Ok(waiting) = self.queue.put(self.number, request, most) else { return false };
        if waiting >= MANY {
            self.queue.offer(self.number);
        } else if !self.put_off.swap(true, Ordering::AcqRel) {
            batch.put_off(self.clone());
        }
        true
    }
}

impl Later for Lane {
    fn begin(self: Arc<Self>) {
        self.put_off.store(false, Ordering::Release);
        self.queue.offer(self.number);
    }
}

/// Bounds of the two lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    /// Requests that change something.
    pub(super) changes: usize,
    /// Requests that only look.
    pub(super) looks: usize,
}

/// Takes a request, if there is room.
pub(super) fn take(lanes: Lanes, request: Request, batch: &mut Batch) -> bool {
    let (looks, size) = (request.only_looks(), request.size());
    let member = request.member.clone();
    let backlog = &member.backlog;
    let before = backlog.bytes.fetch_add(size, Ordering::Relaxed);
    backlog.waiting.fetch_add(1, Ordering::Relaxed);
    let (lane, most) = if looks { (&member.looks, lanes.looks) } else { (&member.changes, lanes.changes) };
    if before + size <= BYTES_MAX && lane.take(request, most, batch) {
        return true;
    }
    backlog.bytes.fetch_sub(size, Ordering::Relaxed);
    backlog.waiting.fetch_sub(1, Ordering::Relaxed);
    if backlog.refused.fetch_add(1, Ordering::Relaxed) == 0 {
        tracing::warn!(account = %member.account.name(), "JetStream API requests of the account are refused: too many wait");
    }
    false
}

/// A request was answered.
pub(super) fn answered(request: &Request) {
    let backlog = &request.member.backlog;
    backlog.bytes.fetch_sub(request.size(), Ordering::Relaxed);
    backlog.waiting.fetch_sub(1, Ordering::Relaxed);
    if backlog.refused.load(Ordering::Relaxed) > 0 && backlog.waiting.load(Ordering::Relaxed) == 0 {
        let dropped = backlog.refused.swap(0, Ordering::Relaxed);
        super::advisory::limit_reached(&request.member, dropped);
    }
}
