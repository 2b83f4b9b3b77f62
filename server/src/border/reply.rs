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
use crate::limits::OUTSTANDING_REPLIES;
use crate::routing::match_set::MatchSet;
use crate::routing::message::Passage;
use crate::routing::{Batch, Message, Receiver, Subscription, route};
use crate::tenant::Tenant;

/// Time for an answer when the export names none.
const THRESHOLD_NS: u64 = 120 * 1_000_000_000;

/// The answers that one exporter owes.
#[derive(Default)]
pub struct Replies {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    prefix: Option<Arc<Subscription>>,
    by_subject: HashMap<Box<[u8]>, Owed, RandomState>,
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
        let threshold_ns = Some(crossing.threshold_ns).filter(|ns| *ns > 0).unwrap_or(THRESHOLD_NS);
        let owed = Owed {
            importer: Arc::downgrade(importer),
            reply: request.reply.into(),
            requester: request.origin.map(Arc::downgrade),
            probe,
            export: (crossing.import_index != BUILT_IN).then(|| crossing.export.clone()),
            response: crossing.response,
            threshold_ns,
            due_ns: broker.clock.nanos().saturating_add(threshold_ns),
        };
        let mut fresh = None;
        let mut open = self.open.lock();
        if open.by_subject.len() >= OUTSTANDING_REPLIES {
            return None;
        }
        let prefix = open.prefix.get_or_insert_with(|| {
            let subject = [b"_R_.".as_slice(), token(8).as_bytes(), b".>"].concat();
            let receiver = Answers { exporter: Arc::downgrade(exporter) };
            let subscription = Arc::new(Subscription::new(&subject, None, b"", inside(Arc::new(receiver))));
            fresh = Some(subscription.clone());
            subscription
        });
        let stem = prefix.subject.strip_suffix(b">").unwrap_or_default();
        let subject: Box<[u8]> = [stem, token(16).as_bytes()].concat().into();
        open.by_subject.insert(subject.clone(), owed);
        drop(open);
        if let Some(subscription) = fresh {
            exporter.interest.insert(subscription);
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
        self.open.lock().by_subject.retain(|_, owed| owed.export.as_ref().is_none_or(exported));
    }

    /// Withdraws the way back.
    pub(super) fn forget(&self, subject: &[u8]) {
        self.open.lock().by_subject.remove(subject);
    }

    /// Drops what is overdue, and what nobody waits for any more; what was measured is reported.
    pub fn sweep(&self, broker: &Broker, exporter: &Tenant) {
        let now_ns = broker.clock.nanos();
        let mut measured = Vec::new();
        {
            let mut open = self.open.lock();
            open.by_subject.retain(|_, owed| {
                let outcome = if owed.due_ns <= now_ns {
                    Outcome::TooLate
                } else if owed.is_awaited() {
                    return true;
                } else {
                    Outcome::RequesterGone
                };
                measured.extend(owed.probe.take().map(|probe| (probe, outcome)));
                false
            });
            if open.by_subject.is_empty() {
                open.by_subject = HashMap::default();
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
            return open.by_subject.remove(subject).filter(|_| !late);
        }
        owed.due_ns = now_ns.saturating_add(owed.threshold_ns);
        // Only a first answer is measured.
        let first = owed.clone();
        owed.probe = None;
        Some(first)
    }
}

impl Owed {
    fn is_awaited(&self) -> bool {
        if self.requester.as_ref().is_some_and(|requester| requester.upgrade().is_none_or(|connection| connection.closing().is_some())) {
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
        let ends = message.body.is_empty();
        let Some(owed) = exporter.crossings.replies.take(message.subject, ends, broker.clock.nanos()) else { return false };
        let Some(importer) = owed.importer.upgrade() else { return false };
        let mut set = MatchSet::default();
        importer.interest.matches(&owed.reply, &mut set);
        let answer = Message {
            subject: &owed.reply,
            reply: &[],
            passage: Passage { crossings: message.passage.crossings, response: true },
            ..*message
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
