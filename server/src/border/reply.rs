//! The way back: an answer reaches the requester only by the mapping made for its request.
//!
//! The exporter sees a reply subject `_R_.<account part>.<request part>`, which nobody can guess
//! and no client may use as a reply of its own. The mapping goes when the answer came (singleton),
//! when a stream of answers ends, when no answer comes in time, or when the requester is gone.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use cordon_accounts::sharing::{AccountSharing, Crossing, ExportKind, ResponseType};
use cordon_accounts::subject::Pattern;
use foldhash::quality::RandomState;
use parking_lot::Mutex;
use rand::RngCore;

use crate::border::latency::{Outcome, Probe};
use crate::border::system::BUILT_IN;
use crate::border::table::inside;
use crate::broker::Broker;
use crate::connection::Connection;
use crate::limits::{OUTSTANDING_REPLIES, REPLIES_OF_ONE_IMPORTER, REPLIES_SURE, REPLY_BYTES_OF_ONE_IMPORTER};
use crate::routing::match_set::MatchSet;
use crate::routing::message::Passage;
use crate::routing::{Batch, Message, Receiver, Subscription, route};
use crate::tenant::Tenant;

/// Time for an answer when the export names none.
const THRESHOLD_NS: u64 = 120 * 1_000_000_000;

/// Time for the next report of another server.
const REPORTS_NS: u64 = 10 * 1_000_000_000;

/// Where messages of streams are acknowledged.
const ACKNOWLEDGEMENTS: &[u8] = b"$JS.ACK.";

/// The answers that one exporter owes.
#[derive(Default)]
pub struct Replies {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    prefix: Option<Subscription>,
    by_subject: HashMap<Box<[u8]>, Owed, RandomState>,
    by_importer: ByImporter,
}

/// What each importer holds, by its address: tenants stay where they are as long as anything is owed to them.
type ByImporter = HashMap<usize, Held, RandomState>;

/// Mappings of one importer, and the bytes they take.
#[derive(Clone, Copy, Default)]
struct Held {
    replies: usize,
    bytes: usize,
}

/// Where one answer goes.
#[derive(Clone)]
struct Owed {
    importer: Weak<Tenant>,
    reply: Arc<[u8]>,
    requester: Option<Weak<Connection>>,
    /// The export that the request came by; `None` for what the broker itself offers.
    export: Option<Pattern>,
    response: ResponseType,
    threshold_ns: u64,
    due_ns: u64,
    probe: Option<Probe>,
}

/// A reply subject made for one request.
pub struct Expected {
    subject: Box<[u8]>,
}

impl Expected {
    /// The subject that the exporter answers to.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }
}

impl Replies {
    /// Makes the way back for one request; `None` when too many are open.
    pub(super) fn expect(
        &self,
        broker: &Broker,
        exporter: &Arc<Tenant>,
        importer: &Arc<Tenant>,
        crossing: &Crossing,
        request: &Message<'_>,
        probe: Option<Probe>,
    ) -> Option<Expected> {
        let owed = Owed { probe, ..Owed::of(broker, importer, crossing, request) };
        self.register(exporter, owed)
    }

    /// Makes the way back for reports about a traced request, which may be several; `request` has where they are to go
    /// as its reply subject. `None` when too many ways are open.
    pub(super) fn expect_reports(
        &self,
        broker: &Broker,
        exporter: &Arc<Tenant>,
        importer: &Arc<Tenant>,
        crossing: &Crossing,
        request: &Message<'_>,
    ) -> Option<Expected> {
        let owed = Owed {
            response: ResponseType::Stream,
            threshold_ns: REPORTS_NS,
            due_ns: broker.clock.nanos().saturating_add(REPORTS_NS),
            ..Owed::of(broker, importer, crossing, request)
        };
        self.register(exporter, owed)
    }

    fn register(&self, exporter: &Arc<Tenant>, owed: Owed) -> Option<Expected> {
        let mut fresh = None;
        let mut open = self.open.lock();
        if !open.has_room_for(&owed) {
            return None;
        }
        let prefix = open.prefix.get_or_insert_with(|| {
            let subject = [b"_R_.".as_slice(), token(8).as_bytes(), b".>"].concat();
            let receiver = Answers { exporter: Arc::downgrade(exporter) };
            let subscription = Subscription::new(&subject, None, b"", inside(Arc::new(receiver)));
            fresh = Some(subscription.clone());
            subscription
        });
        let stem = prefix.subject().strip_suffix(b">").unwrap_or_default();
        let subject: Box<[u8]> = [stem, token(16).as_bytes()].concat().into();
        open.insert(subject.clone(), owed);
        drop(open);
        if let Some(subscription) = fresh {
            exporter.interest.insert(&subscription);
        }
        Some(Expected { subject })
    }

    /// Closes the ways back that no export of the account stands behind any more. What is merely changed
    /// keeps its outstanding answers.
    pub(super) fn keep_exported(&self, sharing: Option<&AccountSharing>) {
        let exported = |subject: &Pattern| {
            let exports = sharing.into_iter().flat_map(|sharing| &sharing.exports);
            exports.filter(|export| export.kind == ExportKind::Service).any(|export| export.subject.contains(subject))
        };
        self.open.lock().retain(|_, owed| owed.export.as_ref().is_none_or(exported));
    }

    /// Closes the ways back to one importer that one import of it was behind.
    pub(super) fn end_import(&self, importer: &Arc<Tenant>, export: &Pattern) {
        let is_its =
            |owed: &Owed| owed.importer.as_ptr() == Arc::as_ptr(importer) && owed.export.as_ref() == Some(export);
        self.open.lock().retain(|_, owed| !is_its(owed));
    }

    /// Withdraws the way back.
    pub(super) fn forget(&self, subject: &[u8]) {
        self.open.lock().remove(subject);
    }

    /// Drops what is overdue, and what nobody waits for any more; what was measured is reported.
    pub fn sweep(&self, broker: &Broker, exporter: &Tenant) {
        let now_ns = broker.clock.nanos();
        let mut measured = Vec::new();
        let mut others = Vec::new();
        self.open.lock().retain(|subject, owed| {
            if owed.due_ns > now_ns {
                others.push((subject.clone(), owed.clone()));
                return true;
            }
            measured.extend(owed.probe.take().map(|probe| (probe, Outcome::TooLate)));
            false
        });
        // Not under the lock: answers go on while each requester's interest is looked at.
        others.retain(|(_, owed)| !owed.is_awaited());
        for (subject, owed) in others {
            if self.open.lock().remove(&subject).is_some() {
                measured.extend(owed.probe.map(|probe| (probe, Outcome::RequesterGone)));
            }
        }
        if measured.is_empty() {
            return;
        }
        let mut batch = Batch::new(now_ns);
        for (probe, outcome) in measured {
            probe.publish(broker, exporter, outcome, None, &mut batch);
        }
        batch.flush(&mut Vec::new());
    }

    /// Open mappings.
    pub fn len(&self) -> usize {
        self.open.lock().by_subject.len()
    }

    /// No mapping is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the way for one answer: a singleton goes, a stream of answers stays until its end.
    fn take(&self, subject: &[u8], ends: bool, now_ns: u64) -> Option<Owed> {
        let mut open = self.open.lock();
        let owed = open.by_subject.get_mut(subject)?;
        if owed.due_ns <= now_ns || owed.response == ResponseType::Singleton || ends {
            let late = owed.due_ns <= now_ns;
            return open.remove(subject).filter(|_| !late);
        }
        owed.due_ns = now_ns.saturating_add(owed.threshold_ns);
        // Only a first answer is measured.
        let first = owed.clone();
        owed.probe = None;
        Some(first)
    }
}

impl Open {
    /// No importer takes what others need: each has a bound of its own, and some room is left for everybody.
    fn has_room_for(&self, owed: &Owed) -> bool {
        let held = self.by_importer.get(&owed.address()).copied().unwrap_or_default();
        let most = if self.by_subject.len() < OUTSTANDING_REPLIES { REPLIES_OF_ONE_IMPORTER } else { REPLIES_SURE };
        held.replies < most && held.bytes + owed.size() <= REPLY_BYTES_OF_ONE_IMPORTER
    }

    fn insert(&mut self, subject: Box<[u8]>, owed: Owed) {
        let held = self.by_importer.entry(owed.address()).or_default();
        held.replies += 1;
        held.bytes += owed.size();
        if let Some(before) = self.by_subject.insert(subject, owed) {
            release(&mut self.by_importer, &before);
        }
    }

    fn remove(&mut self, subject: &[u8]) -> Option<Owed> {
        let owed = self.by_subject.remove(subject)?;
        release(&mut self.by_importer, &owed);
        if self.by_subject.is_empty() && self.by_subject.capacity() > 1024 {
            self.by_subject = HashMap::default();
        }
        Some(owed)
    }

    fn retain(&mut self, mut stays: impl FnMut(&Box<[u8]>, &mut Owed) -> bool) {
        let by_importer = &mut self.by_importer;
        self.by_subject.retain(|subject, owed| {
            let stays = stays(subject, owed);
            if !stays {
                release(by_importer, owed);
            }
            stays
        });
        if self.by_subject.is_empty() {
            self.by_subject = HashMap::default();
        }
    }
}

fn release(by_importer: &mut ByImporter, owed: &Owed) {
    if let Some(held) = by_importer.get_mut(&owed.address()) {
        held.replies = held.replies.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(owed.size());
        if held.replies == 0 {
            by_importer.remove(&owed.address());
        }
    }
}

impl Owed {
    /// What is owed to a request, which is not measured.
    fn of(broker: &Broker, importer: &Arc<Tenant>, crossing: &Crossing, request: &Message<'_>) -> Self {
        let threshold_ns = Some(crossing.threshold_ns).filter(|ns| *ns > 0).unwrap_or(THRESHOLD_NS);
        Self {
            importer: Arc::downgrade(importer),
            reply: request.reply.into(),
            requester: request.origin.map(Arc::downgrade),
            probe: None,
            export: (crossing.import_index != BUILT_IN).then(|| crossing.export.clone()),
            response: crossing.response,
            threshold_ns,
            due_ns: broker.clock.nanos().saturating_add(threshold_ns),
        }
    }

    fn address(&self) -> usize {
        self.importer.as_ptr().addr()
    }

    /// Bytes that it takes, roughly.
    fn size(&self) -> usize {
        self.reply.len() + size_of::<Self>() + 64
    }

    fn is_awaited(&self) -> bool {
        if self
            .requester
            .as_ref()
            .is_some_and(|requester| requester.upgrade().is_none_or(|connection| connection.closing().is_some()))
        {
            return false;
        }
        self.importer.upgrade().is_some_and(|importer| {
            let mut set = MatchSet::default();
            importer.interest.matches(&self.reply, &mut set);
            !set.is_empty()
        })
    }
}

/// Receives all answers of one exporter.
struct Answers {
    exporter: Weak<Tenant>,
}

impl Receiver for Answers {
    fn receive(&self, _: &Subscription, message: &Message<'_>, batch: &mut Batch) -> bool {
        let Some(exporter) = self.exporter.upgrade() else { return false };
        let Some(broker) = exporter.broker() else { return false };
        if exporter.record().is_some_and(|record| record.is_expired(broker.clock.unix_seconds())) {
            return false;
        }
        // An empty message of a stream is one of several still: it is acknowledged, and an end is not.
        let ends = message.body.is_empty() && !message.reply.starts_with(ACKNOWLEDGEMENTS);
        let Some(owed) = exporter.crossings.replies.take(message.subject, ends, broker.clock.nanos()) else {
            return false;
        };
        let Some(importer) = owed.importer.upgrade() else { return false };
        let mut set = MatchSet::default();
        importer.interest.matches(&owed.reply, &mut set);
        let answer = Message {
            // A stream's message is acknowledged by its reply subject, from wherever.
            reply: if message.reply.starts_with(ACKNOWLEDGEMENTS) { message.reply } else { &[] },
            passage: Passage { crossings: message.passage.crossings, response: true, imported: false },
            ..message.moved_to(&owed.reply)
        };
        let accepted = route(&set, &answer, batch) > 0;
        if let Some(probe) = owed.probe {
            let outcome = if accepted { Outcome::Answered } else { Outcome::RequesterGone };
            probe.publish(&broker, &exporter, outcome, message.origin.map(|origin| &**origin), batch);
        }
        if !accepted {
            exporter.crossings.replies.forget(message.subject);
        }
        accepted
    }
}

/// A random token of `len` characters from a cryptographic source.
fn token(len: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0u8; 32];
    rand::thread_rng().fill_bytes(&mut bytes);
    bytes.iter().take(len).map(|byte| char::from(*ALPHABET.get(usize::from(byte & 63)).unwrap_or(&b'A'))).collect()
}

#[cfg(test)]
mod tests {
    use cordon_accounts::name::AccountName;

    use super::*;

    fn owed(importer: &Arc<Tenant>, reply: &[u8]) -> Owed {
        Owed {
            importer: Arc::downgrade(importer),
            reply: reply.into(),
            requester: None,
            export: None,
            response: ResponseType::Singleton,
            threshold_ns: 1,
            due_ns: 1,
            probe: None,
        }
    }

    fn tenant(name: &str) -> Arc<Tenant> {
        Arc::new(Tenant::new(AccountName::new(name), false))
    }

    /// Asks until there is no room, and says how often that went well.
    fn fill(open: &mut Open, importer: &Arc<Tenant>, reply: &[u8]) -> usize {
        for count in 0.. {
            let owed = owed(importer, reply);
            if !open.has_room_for(&owed) {
                return count;
            }
            open.insert(format!("{}{count}", importer.name).into_bytes().into(), owed);
        }
        0
    }

    #[test]
    fn importers_do_not_use_up_what_others_need() {
        let mut open = Open::default();
        let greedy: Vec<_> = (0..4).map(|number| tenant(&format!("greedy{number}"))).collect();
        for importer in &greedy {
            assert_eq!(fill(&mut open, importer, b"r"), REPLIES_OF_ONE_IMPORTER);
        }
        assert_eq!(open.by_subject.len(), OUTSTANDING_REPLIES);
        for number in 0..3 {
            assert_eq!(fill(&mut open, &tenant(&format!("late{number}")), b"r"), REPLIES_SURE);
        }
        assert!(open.remove(b"greedy00").is_some());
        assert_eq!(fill(&mut open, &greedy[0], b"r"), 0, "who has plenty waits until there is room for all");
    }

    #[test]
    fn with_the_last_place_taken_only_what_is_sure_is_left() {
        let mut open = Open::default();
        let (greedy, late) =
            ((0..4).map(|number| tenant(&format!("greedy{number}"))).collect::<Vec<_>>(), tenant("late"));
        for importer in &greedy {
            fill(&mut open, importer, b"r");
        }
        assert!(open.remove(b"greedy30").is_some());
        open.insert((*b"late").into(), owed(&late, b"r"));
        assert_eq!(open.by_subject.len(), OUTSTANDING_REPLIES);
        assert!(!open.has_room_for(&owed(&greedy[3], b"r")) && open.has_room_for(&owed(&late, b"r")));
    }

    #[test]
    fn a_flood_of_requests_keeps_no_memory_when_it_is_over() {
        let mut open = Open::default();
        let importer = tenant("A");
        for number in 0..5000_u32 {
            open.insert(number.to_be_bytes().into(), owed(&importer, b"r"));
        }
        for number in 0..5000_u32 {
            assert!(open.remove(&number.to_be_bytes()).is_some());
        }
        assert_eq!(open.by_subject.capacity(), 0);
        assert!(owed(&importer, b"reply").size() > b"reply".len() + size_of::<Owed>());
    }

    #[test]
    fn long_reply_subjects_are_bounded_by_their_bytes() {
        let mut open = Open::default();
        let count = fill(&mut open, &tenant("A"), &[b'r'; 4000]);
        assert!(count * 4000 <= REPLY_BYTES_OF_ONE_IMPORTER && count > 1000, "{count}");
    }

    #[test]
    fn what_is_answered_or_swept_no_longer_counts() {
        let mut open = Open::default();
        let (a, b) = (tenant("A"), tenant("B"));
        for number in 0..10u8 {
            open.insert([b'a', number].into(), owed(&a, b"r"));
            open.insert([b'b', number].into(), owed(&b, b"rr"));
        }
        assert!(open.remove(&[b'a', 0]).is_some() && open.remove(&[b'a', 0]).is_none());
        open.retain(|subject, _| subject.first() == Some(&b'a'));
        assert_eq!(
            open.by_importer.values().map(|held| (held.replies, held.bytes)).collect::<Vec<_>>(),
            [(9, 9 * owed(&a, b"r").size())]
        );
        open.retain(|_, _| false);
        assert!(open.by_importer.is_empty());
    }
}
