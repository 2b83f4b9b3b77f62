//! How far a consumer is: what it delivered, what waits for an acknowledgement, what is to be delivered again.
//!
//! This is what survives a restart. It changes by [`Change`]s only, which are applied alike when they happen and when
//! the journal is read again; so what a recovered consumer knows is what its journal says. Choosing and sending are
//! elsewhere.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use hashbrown::HashMap;
use smallvec::SmallVec;

/// The deadline of what is due already.
const DUE_NOW: i64 = i64::MAX;
/// The deadline of what waits without end.
const NEVER: i64 = i64::MAX - 1;

/// Something that happened to a consumer; the number is a sequence of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was delivered for the first time.
    Delivered(u64),
    /// It was delivered once more.
    Redelivered(u64),
    /// It was acknowledged, or is never to be delivered again.
    Acked(u64),
    /// It and all before it were acknowledged.
    AckedAll(u64),
    /// It is to be delivered again at this time.
    Due(u64, i64),
    /// It was delivered as often as it may be.
    Exhausted(u64),
    /// Its message is no more.
    Gone(u64),
    /// Nothing below is looked at any more for new messages.
    Next(u64),
    /// The consumer starts over with this sequence.
    Reset(u64),
}

/// A sequence of the consumer and one of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// In the consumer: counts deliveries.
    pub consumer: u64,
    /// In the stream.
    pub stream: u64,
}

/// A message that was delivered and waits for its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The consumer sequence of its first delivery.
    pub(crate) consumer_seq: u64,
    /// When it was delivered last.
    pub(crate) sent: i64,
    /// When it is due again.
    pub(crate) deadline: i64,
}

/// What is kept of deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// Nothing: a delivery is its own acknowledgement.
    Nothing,
    /// Each message waits for its acknowledgement, and is due again in time.
    Waiting,
}

/// How far a consumer is.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    tracking: Tracking,
    /// Waits before redeliveries, by how often a message was delivered; the last one repeats. Empty: no end.
    waits: SmallVec<[i64; 1]>,
    consumer_seq: u64,
    next: u64,
    /// The highest sequence that was delivered, or the one before the start.
    last: u64,
    floor: Pair,
    pending: BTreeMap<u64, Pending>,
    /// Deliveries of messages that were delivered more than once, or often enough.
    counts: HashMap<u64, u32, foldhash::fast::RandomState>,
    exhausted: BTreeSet<u64>,
    due: BTreeSet<u64>,
    /// Deadlines with their sequences. An entry counts only while the pending message has that deadline.
    timers: BinaryHeap<Reverse<(i64, u64)>>,
    /// Sequences to deliver before all from `resume` on; for the last message of each subject.
    listed: VecDeque<u64>,
    resume: u64,
}

impl Progress {
    /// A consumer that starts with `next`.
    pub(crate) fn new(tracking: Tracking, waits: &[i64], next: u64) -> Self {
        let next = next.max(1);
        Self {
            tracking,
            waits: SmallVec::from_slice(waits),
            consumer_seq: 0,
            next,
            last: next - 1,
            floor: Pair { consumer: 0, stream: next - 1 },
            pending: BTreeMap::new(),
            counts: HashMap::default(),
            exhausted: BTreeSet::new(),
            due: BTreeSet::new(),
            timers: BinaryHeap::new(),
            listed: VecDeque::new(),
            resume: 0,
        }
    }

    /// Starts with the sequences of `list`, ascending, and goes on with `resume`.
    pub(crate) fn start_with_list(&mut self, list: impl IntoIterator<Item = u64>, resume: u64) {
        self.listed = list.into_iter().collect();
        self.resume = resume;
        self.next = self.listed.front().copied().unwrap_or(resume).max(1);
        self.last = self.next - 1;
        self.floor.stream = self.last;
    }

    /// Applies a change that happened at `now`, as the journal says it.
    pub(crate) fn apply(&mut self, change: Change, now: i64) {
        match change {
            Change::Delivered(seq) => {
                self.delivered(seq, now);
            }
            Change::Redelivered(seq) => {
                self.redelivered(seq, now);
            }
            Change::Acked(seq) => {
                self.acked(seq);
            }
            Change::AckedAll(seq) => self.acked_all(seq, &mut |_| {}),
            Change::Due(seq, at) => {
                self.postpone(seq, at, None);
            }
            Change::Exhausted(seq) => {
                self.exhaust(seq);
            }
            Change::Gone(seq) => {
                self.gone(seq);
            }
            Change::Next(seq) => self.skip_to(seq),
            Change::Reset(seq) => self.reset(seq),
        }
    }

    // ---- deliveries

    /// A new message was delivered; gives its consumer sequence.
    pub(crate) fn delivered(&mut self, seq: u64, now: i64) -> u64 {
        while self.listed.front().is_some_and(|front| *front <= seq) {
            self.listed.pop_front();
        }
        self.consumer_seq += 1;
        self.last = self.last.max(seq);
        self.next = self.listed.front().copied().unwrap_or_else(|| self.resume.max(seq.saturating_add(1)));
        if self.tracking == Tracking::Waiting {
            let deadline = self.deadline(now, 1);
            self.pending.insert(seq, Pending { consumer_seq: self.consumer_seq, sent: now, deadline });
            self.start_timer(seq, deadline);
        }
        self.consumer_seq
    }

    /// A message was delivered again; gives its consumer sequence.
    pub(crate) fn redelivered(&mut self, seq: u64, now: i64) -> u64 {
        self.consumer_seq += 1;
        let deliveries = self.deliveries(seq).saturating_add(1);
        self.due.remove(&seq);
        let deadline = self.deadline(now, deliveries);
        if let Some(pending) = self.pending.get_mut(&seq) {
            (pending.sent, pending.deadline) = (now, deadline);
            self.counts.insert(seq, deliveries);
            self.start_timer(seq, deadline);
        }
        self.consumer_seq
    }

    /// How often a message that waits was delivered.
    pub(crate) fn deliveries(&self, seq: u64) -> u32 {
        if self.counts.is_empty() { 1 } else { self.counts.get(&seq).copied().unwrap_or(1) }
    }

    // ---- acknowledgements

    /// A message is done; gives its entry if it waited.
    pub(crate) fn acked(&mut self, seq: u64) -> Option<Pending> {
        let pending = self.forget(seq);
        self.exhausted.remove(&seq);
        pending
    }

    /// A message and all before it are done; `each` is told of those that waited.
    pub(crate) fn acked_all(&mut self, seq: u64, each: &mut dyn FnMut(u64)) {
        let above = self.pending.split_off(&seq.saturating_add(1));
        let done = std::mem::replace(&mut self.pending, above);
        for seq in done.keys() {
            self.counts.remove(seq);
            self.due.remove(seq);
            each(*seq);
        }
        let above = self.exhausted.split_off(&seq.saturating_add(1));
        for seq in std::mem::replace(&mut self.exhausted, above) {
            self.counts.remove(&seq);
            each(seq);
        }
        if let Some((_, last)) = done.last_key_value() {
            self.floor.consumer = self.floor.consumer.max(last.consumer_seq);
        }
        let seq = seq.min(self.next - 1);
        self.last = self.last.max(seq);
        self.floor.stream = self.floor.stream.max(seq);
        self.lift_floor(seq);
    }

    /// A message leaves the stream; gives its entry if it waited.
    pub(crate) fn gone(&mut self, seq: u64) -> Option<Pending> {
        self.acked(seq)
    }

    /// A message was delivered as often as it may be: it waits no more, but its deliveries are remembered.
    pub(crate) fn exhaust(&mut self, seq: u64) -> Option<Pending> {
        let deliveries = self.deliveries(seq);
        let pending = self.forget(seq)?;
        self.counts.insert(seq, deliveries);
        self.exhausted.insert(seq);
        Some(pending)
    }

    /// A message that waits is due at `at`, or now if `now` is not before; `false` if it does not wait.
    pub(crate) fn postpone(&mut self, seq: u64, at: i64, now: Option<i64>) -> bool {
        let Some(pending) = self.pending.get_mut(&seq) else { return false };
        if now.is_some_and(|now| at <= now) {
            pending.deadline = DUE_NOW;
            self.due.insert(seq);
        } else {
            pending.deadline = at.min(NEVER);
            self.due.remove(&seq);
            self.start_timer(seq, at.min(NEVER));
        }
        true
    }

    /// The time that a message gets anew from `now`, by how often it was delivered.
    pub(crate) fn deadline_from(&self, seq: u64, now: i64) -> i64 {
        self.deadline(now, self.deliveries(seq))
    }

    /// When what was delivered at `sent`, so many times, is due again.
    pub(crate) fn deadline_after(&self, sent: i64, deliveries: u32) -> i64 {
        self.deadline(sent, deliveries)
    }

    /// What waits past its deadline becomes due; `each` is told.
    pub(crate) fn expire(&mut self, now: i64, each: &mut dyn FnMut(u64)) {
        while let Some(Reverse((at, seq))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            if let Some(pending) = self.pending.get_mut(&seq).filter(|pending| pending.deadline == at) {
                pending.deadline = DUE_NOW;
                self.due.insert(seq);
                each(seq);
            }
        }
    }

    /// When the first message is due that waits.
    pub(crate) fn earliest_deadline(&mut self) -> Option<i64> {
        while let Some(Reverse((at, seq))) = self.timers.peek().copied() {
            if at >= NEVER {
                return None;
            }
            if self.pending.get(&seq).is_some_and(|pending| pending.deadline == at) {
                return Some(at);
            }
            self.timers.pop();
        }
        None
    }

    /// The latest time at which something that waits was or is due.
    pub(crate) fn latest_deadline(&self) -> Option<i64> {
        let due_at = |(seq, pending): (&u64, &Pending)| match pending.deadline {
            DUE_NOW => self.deadline_from(*seq, pending.sent),
            at => at,
        };
        self.pending.iter().map(due_at).filter(|at| *at < NEVER).max()
    }

    /// Everything that waits is due now.
    pub(crate) fn all_due(&mut self) {
        for (seq, pending) in &mut self.pending {
            pending.deadline = DUE_NOW;
            self.due.insert(*seq);
        }
        self.timers.clear();
    }

    /// New waits, also for what waits already.
    pub(crate) fn set_waits(&mut self, waits: &[i64]) {
        if *self.waits == *waits {
            return;
        }
        self.waits = SmallVec::from_slice(waits);
        self.timers.clear();
        let seqs: Vec<(u64, i64)> = self.pending.iter().map(|(seq, pending)| (*seq, pending.sent)).collect();
        for (seq, sent) in seqs {
            if !self.due.contains(&seq) {
                let at = self.deadline_from(seq, sent);
                self.postpone(seq, at, None);
            }
        }
    }

    // ---- position

    /// Nothing below `seq` is looked at for new messages.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        while self.listed.front().is_some_and(|front| *front < seq) {
            self.listed.pop_front();
        }
        match self.listed.front() {
            Some(front) => self.next = *front,
            None => self.next = self.next.max(seq).max(self.resume),
        }
    }

    /// Everything below `seq` is no more: nothing there waits, and the floor is above it. `each` is told what waited.
    pub(crate) fn cut_below(&mut self, seq: u64, each: &mut dyn FnMut(u64)) {
        if seq == 0 {
            return;
        }
        let below = seq - 1;
        self.skip_to(seq);
        if below > self.floor.stream {
            self.acked_all(below, each);
        }
    }

    /// Starts over with `seq`.
    pub(crate) fn reset(&mut self, seq: u64) {
        *self = Self::new(self.tracking, &std::mem::take(&mut self.waits), seq);
    }

    // ---- what it is

    /// What is due, the lowest first.
    pub(crate) fn first_due(&self) -> Option<u64> {
        self.due.first().copied()
    }

    /// Messages that are due.
    pub(crate) fn due_count(&self) -> usize {
        self.due.len()
    }

    /// Where new messages are looked for.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The next of the listed sequences, if there are any.
    pub(crate) fn next_listed(&self) -> Option<u64> {
        self.listed.front().copied()
    }

    /// From where all messages are new ones, listed ones apart.
    pub(crate) fn open_from(&self) -> u64 {
        if self.listed.is_empty() { self.next } else { self.resume }
    }

    /// How many sequences are listed.
    pub(crate) fn listed(&self) -> &VecDeque<u64> {
        &self.listed
    }

    /// `seq` was not delivered yet and will be, if its message is there and matches.
    pub(crate) fn is_ahead(&self, seq: u64) -> bool {
        seq >= self.open_from() || (!self.listed.is_empty() && self.listed.binary_search(&seq).is_ok())
    }

    /// The entry of a message that waits.
    pub(crate) fn pending(&self, seq: u64) -> Option<&Pending> {
        self.pending.get(&seq)
    }

    /// Messages that wait.
    pub(crate) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// The sequences that wait, ascending.
    pub(crate) fn pending_seqs(&self) -> impl Iterator<Item = u64> {
        self.pending.keys().copied()
    }

    /// Messages that were delivered more than once and are not acknowledged.
    pub(crate) fn redelivered_count(&self) -> usize {
        self.counts.len()
    }

    /// It was delivered as often as it may be.
    pub(crate) fn is_exhausted(&self, seq: u64) -> bool {
        !self.exhausted.is_empty() && self.exhausted.contains(&seq)
    }

    /// How far deliveries went.
    pub(crate) fn delivered_pair(&self) -> Pair {
        Pair { consumer: self.consumer_seq, stream: self.last }
    }

    /// How far everything is acknowledged.
    pub(crate) fn floor_pair(&self) -> Pair {
        if self.pending.is_empty() { self.delivered_pair() } else { self.floor }
    }

    // ---- inside

    fn deadline(&self, from: i64, deliveries: u32) -> i64 {
        let step = (deliveries.max(1) - 1) as usize;
        match self.waits.get(step).or(self.waits.last()) {
            Some(wait) => from.saturating_add(*wait).min(NEVER),
            None => NEVER,
        }
    }

    fn start_timer(&mut self, seq: u64, at: i64) {
        if at >= NEVER {
            return;
        }
        self.timers.push(Reverse((at, seq)));
        // Entries of what was acknowledged stay until their time; not more of them than of live ones.
        if self.timers.len() > self.pending.len() * 2 + 64 {
            let pending = &self.pending;
            self.timers.retain(|Reverse((at, seq))| pending.get(seq).is_some_and(|pending| pending.deadline == *at));
        }
    }

    fn forget(&mut self, seq: u64) -> Option<Pending> {
        let pending = self.pending.remove(&seq);
        if !self.counts.is_empty() {
            self.counts.remove(&seq);
        }
        let pending = pending?;
        if pending.deadline == DUE_NOW {
            self.due.remove(&seq);
        }
        self.lift_floor(seq);
        Some(pending)
    }

    /// `seq` waits no more: the floor rises to what now is the lowest that waits.
    fn lift_floor(&mut self, seq: u64) {
        match self.pending.first_key_value() {
            None => self.floor = self.delivered_pair(),
            Some((first, pending)) if *first > seq => {
                self.floor.stream = self.floor.stream.max(*first - 1);
                self.floor.consumer = self.floor.consumer.max(pending.consumer_seq - 1);
            }
            Some(_) => {}
        }
    }
}

/// The parts of a [`Progress`] that a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) consumer_seq: u64,
    pub(crate) next: u64,
    pub(crate) last: u64,
    pub(crate) floor: Pair,
    pub(crate) resume: u64,
    pub(crate) listed: Vec<u64>,
    pub(crate) pending: Vec<(u64, Pending)>,
    pub(crate) counts: Vec<(u64, u32)>,
    pub(crate) exhausted: Vec<u64>,
}

impl Progress {
    /// Everything that a snapshot must hold, in order.
    pub(crate) fn image(&self) -> Image {
        let mut counts: Vec<(u64, u32)> = self.counts.iter().map(|(seq, count)| (*seq, *count)).collect();
        counts.sort_unstable();
        Image {
            consumer_seq: self.consumer_seq,
            next: self.next,
            last: self.last,
            floor: self.floor,
            resume: self.resume,
            listed: self.listed.iter().copied().collect(),
            pending: self.pending.iter().map(|(seq, pending)| (*seq, *pending)).collect(),
            counts,
            exhausted: self.exhausted.iter().copied().collect(),
        }
    }

    /// What a snapshot held.
    pub(crate) fn of_image(tracking: Tracking, waits: &[i64], image: Image) -> Self {
        let mut progress = Self::new(tracking, waits, image.next);
        progress.consumer_seq = image.consumer_seq;
        progress.last = image.last;
        progress.floor = image.floor;
        progress.resume = image.resume;
        progress.listed = image.listed.into();
        progress.counts = image.counts.into_iter().collect();
        progress.exhausted = image.exhausted.into_iter().collect();
        for (seq, pending) in image.pending {
            progress.pending.insert(seq, pending);
            if pending.deadline == DUE_NOW {
                progress.due.insert(seq);
            } else {
                progress.start_timer(seq, pending.deadline);
            }
        }
        progress
    }
}
