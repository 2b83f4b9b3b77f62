//! What arrived for a stream and waits for a worker: one arena of bytes, and a small entry for each arrival.
//!
//! Filled on publishers' threads, so it costs a copy and nothing else: no allocation for each message once the arena has
//! grown, no I/O, no lock but its own. What waits for all streams of an account, and of the node, is bounded as well: an
//! intake asks for room in steps, and gives it back when it is emptied.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::account::Ledger;

/// What kind of thing arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message to store; `subject` is the one it was published to.
    Publish,
    /// An acknowledgement; `subject` is the whole `$JS.ACK.` subject.
    Acknowledge,
    /// A pull request; `subject` is the consumer's name.
    Request,
    /// An answer to flow control; `subject` is the whole `$JS.FC.` subject.
    Flow,
    /// What a far origin sends to what [`crate::port::Port::hear`] listens to under this number; `subject` is the one
    /// that it was stored under there.
    Origin(u32),
}

/// An arrival, borrowed from whoever published it or from the arena.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// What it is.
    pub kind: Kind,
    /// See [`Kind`].
    pub subject: &'a [u8],
    /// Where the answer goes; empty for none.
    pub reply: &'a [u8],
    /// Header block; empty for none.
    pub header: &'a [u8],
    /// Payload.
    pub payload: &'a [u8],
}

/// Most that waits in one intake, and in many.
#[derive(Clone, Copy, Debug)]
pub struct IntakeLimits {
    /// Arrivals for one stream.
    pub messages: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// Bytes for all streams of an account.
    pub account: usize,
    /// Bytes for all streams of the node.
    pub node: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self { messages: 100_000, bytes: 128 << 20, account: 512 << 20, node: 2 << 30 }
    }
}

impl IntakeLimits {
    /// What of `bytes` messages may take: the rest is for acknowledgements and requests, without which nothing that
    /// waits is worked off.
    fn for_messages(bytes: usize) -> usize {
        bytes - bytes / 8
    }
}

/// Bytes for which room is asked at a time.
const STEP: usize = 16 << 10;

/// Room that an intake has of what its account and the node have; given back when this is dropped.
#[derive(Debug, Default)]
struct Room {
    of: Option<Arc<Ledger>>,
    bytes: usize,
}

impl Room {
    /// Has room for `bytes` in all; false if there is none.
    fn reach(&mut self, bytes: usize, kind: Kind, ledger: &Arc<Ledger>) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let limits = ledger.settings().intake;
        let (account, node) = if matches!(kind, Kind::Publish | Kind::Origin(_)) {
            (IntakeLimits::for_messages(limits.account), IntakeLimits::for_messages(limits.node))
        } else {
            (limits.account, limits.node)
        };
        let more = (bytes - self.bytes).next_multiple_of(STEP);
        if !ledger.hold(more, account, node) {
            return false;
        }
        self.bytes += more;
        self.of.get_or_insert_with(|| ledger.clone());
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(ledger) = &self.of {
            ledger.let_go(self.bytes);
        }
    }
}

/// Arrivals in the order in which they came.
#[derive(Debug, Default)]
pub struct Intake {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    room: Room,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    at: usize,
    subject: u32,
    reply: u32,
    header: u32,
    payload: u32,
}

/// An emptied arena larger than this is given back.
const KEEP_BYTES: usize = 1 << 20;
const KEEP_ENTRIES: usize = 8192;
/// Emptied arenas that the process keeps, for whichever streams need them next: streams that are silent hold none.
const SPARE_MAX: usize = 4;

static SPARE: Mutex<Vec<Intake>> = Mutex::new(Vec::new());

impl Intake {
    /// Takes a copy; false, and nothing taken, if that would go beyond `limits`, or those of an account and of its node.
    #[must_use]
    pub fn push(&mut self, arrival: &Arrival<'_>, limits: IntakeLimits, ledger: &Arc<Ledger>) -> bool {
        let parts = [arrival.subject, arrival.reply, arrival.header, arrival.payload];
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.entries.len() >= limits.messages || self.bytes.len().saturating_add(len) > limits.bytes {
            return false;
        }
        let [Ok(subject), Ok(reply), Ok(header), Ok(payload)] = parts.map(|part| u32::try_from(part.len())) else {
            return false;
        };
        if self.bytes.capacity() == 0
            && let Some(spare) = SPARE.lock().pop()
        {
            *self = spare;
        }
        let at = self.bytes.len();
        let all = at + len + (self.entries.len() + 1) * size_of::<Entry>();
        if !self.room.reach(all, arrival.kind, ledger) {
            return false;
        }
        self.bytes.reserve(len);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.entries.push(Entry { kind: arrival.kind, at, subject, reply, header, payload });
        true
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of what waits.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What waits, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Arrival<'_>> {
        self.entries.iter().filter_map(|entry| {
            let rest = self.bytes.get(entry.at..)?;
            let (subject, rest) = rest.split_at_checked(entry.subject as usize)?;
            let (reply, rest) = rest.split_at_checked(entry.reply as usize)?;
            let (header, rest) = rest.split_at_checked(entry.header as usize)?;
            let payload = rest.get(..entry.payload as usize)?;
            Some(Arrival { kind: entry.kind, subject, reply, header, payload })
        })
    }

    /// Empties it, and keeps its memory for other arrivals if that is not much.
    pub fn recycle(mut self) {
        self.entries.clear();
        self.bytes.clear();
        if self.bytes.capacity() == 0 {
            return;
        }
        self.bytes.shrink_to(KEEP_BYTES);
        self.entries.shrink_to(KEEP_ENTRIES);
        self.room = Room::default();
        let mut spare = SPARE.lock();
        if spare.len() < SPARE_MAX {
            spare.push(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountLimits, Settings};

    fn arrival<'a>(kind: Kind, subject: &'a [u8], payload: &'a [u8]) -> Arrival<'a> {
        Arrival { kind, subject, reply: b"r", header: b"", payload }
    }

    fn ledger(intake: IntakeLimits) -> Arc<Ledger> {
        let settings = Settings { intake, ..Settings::default() };
        Arc::new(Ledger::new(Arc::default(), Arc::new(settings), AccountLimits::default()))
    }

    #[test]
    fn arrivals_come_out_as_they_went_in() {
        let mut intake = Intake::default();
        let ledger = ledger(IntakeLimits::default());
        assert!(intake.push(&arrival(Kind::Publish, b"a.b", b"one"), IntakeLimits::default(), &ledger));
        assert!(intake.push(&arrival(Kind::Request, b"c", b""), IntakeLimits::default(), &ledger));
        let seen: Vec<_> = intake.iter().map(|one| (one.kind, one.subject.to_vec(), one.payload.to_vec())).collect();
        assert_eq!(
            seen,
            [(Kind::Publish, b"a.b".to_vec(), b"one".to_vec()), (Kind::Request, b"c".to_vec(), Vec::new())]
        );
        intake.recycle();
        let mut next = Intake::default();
        assert!(next.push(&arrival(Kind::Publish, b"d", b"two"), IntakeLimits::default(), &ledger));
        assert_eq!(next.iter().map(|one| one.subject.to_vec()).collect::<Vec<_>>(), [b"d"]);
    }

    #[test]
    fn beyond_a_limit_nothing_is_taken() {
        let mut intake = Intake::default();
        let ledger = ledger(IntakeLimits::default());
        let few = IntakeLimits { messages: 2, bytes: 1000, ..IntakeLimits::default() };
        assert!(intake.push(&arrival(Kind::Publish, b"a", b""), few, &ledger));
        assert!(intake.push(&arrival(Kind::Publish, b"a", b""), few, &ledger));
        assert!(!intake.push(&arrival(Kind::Publish, b"a", b""), few, &ledger));
        let small = IntakeLimits { messages: 10, bytes: 8, ..IntakeLimits::default() };
        assert!(!intake.push(&arrival(Kind::Publish, b"a", b"12345"), small, &ledger));
        assert_eq!(intake.len(), 2);
    }

    #[test]
    fn what_is_emptied_or_dropped_makes_room_for_others() {
        let limits = IntakeLimits { account: 8 * STEP, ..IntakeLimits::default() };
        let ledger = ledger(limits);
        let (mut one, mut other) = (Intake::default(), Intake::default());
        let large = vec![0; 6 * STEP];
        assert!(one.push(&arrival(Kind::Publish, b"a", &large), limits, &ledger));
        assert!(!other.push(&arrival(Kind::Publish, b"a", b""), limits, &ledger), "an eighth is not for messages");
        assert!(other.push(&arrival(Kind::Acknowledge, b"a", b""), limits, &ledger));
        assert!(one.push(&arrival(Kind::Publish, b"a", b""), limits, &ledger), "it has room left");
        assert_eq!(ledger.waiting(), 8 * STEP);
        std::mem::take(&mut one).recycle();
        assert_eq!(ledger.waiting(), STEP);
        assert!(other.push(&arrival(Kind::Publish, b"a", &large), limits, &ledger));
        drop(std::mem::take(&mut other));
        assert_eq!(ledger.waiting(), 0);
    }
}
