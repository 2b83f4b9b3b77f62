//! Origins that are reached by messages: in another account, by what its exports let pass, or in another domain, over
//! a leaf connection (jetstream.md 2.11).
//!
//! ```text
//! rests ── time is up ──> asked ── it agrees ──> flows
//!   ^                       │ no, or silence       │ a gap, silence, a message that is not taken
//!   └───────────────────────┴──────────────────────┘
//! ```
//!
//! The consumer that is asked for begins where this stream is, so nothing is lost or comes twice whatever happens on the
//! way; what it has delivered is confirmed once it is on disk here. While it flows, it says every second that it is there.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use super::super::head::Builder;
use super::super::{Arrival, Core};
use super::answer::{self, Delivery, Refused};
use super::request::{self, Asker};
use super::{Feed, RETRY};
use crate::api::ApiError;
use crate::config::AckPolicy;
use crate::consumer::End;
use crate::port::Outgoing;
use crate::store::Stored;

const SECOND: i64 = 1_000_000_000;
/// How long an answer is waited for.
const ANSWER: i64 = 30 * SECOND;
/// How long for one about a consumer that is there already.
const ANSWER_OF_KNOWN: i64 = 5 * SECOND;
/// Nobody is asked more often.
const ASK_AGAIN: i64 = 2 * SECOND;
/// The longest pause between two questions.
const PAUSE_MAX: i64 = 120 * SECOND;
/// Who is silent for so long is asked anew.
const SILENCE: i64 = 10 * SECOND;

/// The way to a far origin.
#[derive(Debug, Default)]
pub(super) struct Far {
    state: State,
    /// Questions in a row that came to nothing.
    fails: u32,
    asked_at: i64,
    /// What the origin called itself; empty if it did not.
    pub(super) stamp: String,
    /// It is an older server.
    plain: bool,
    /// The position has changed since it was written down.
    moved: bool,
}

#[derive(Debug)]
enum State {
    /// Nothing happens before then.
    Rests(i64),
    /// A consumer was asked for; the answer comes under `number`.
    Asked { number: u32, until: i64, deliver: String },
    /// Messages come.
    Flows(Flow),
}

#[derive(Debug)]
struct Flow {
    number: u32,
    consumer: String,
    /// The last that it delivered, by its own count.
    delivered: u64,
    /// The last of the origin's sequences that came.
    stream_seq: u64,
    heard: i64,
    /// It waits for confirmations, and outlives us.
    confirmed: bool,
    ours: bool,
}

impl Default for State {
    fn default() -> Self {
        Self::Rests(0)
    }
}

impl Far {
    fn number(&self) -> Option<u32> {
        match &self.state {
            State::Rests(_) => None,
            State::Asked { number, .. } | State::Flows(Flow { number, .. }) => Some(*number),
        }
    }

    /// When something is to be done.
    pub(super) fn deadline(&self) -> i64 {
        match &self.state {
            State::Rests(until) | State::Asked { until, .. } => *until,
            State::Flows(flow) => flow.heard.saturating_add(SILENCE),
        }
    }

    /// How long it rests after a failure: longer and longer, and not all at the same time.
    fn pause(&self, identity: &str) -> i64 {
        let pause = (ASK_AGAIN << self.fails.saturating_sub(1).min(6)).min(PAUSE_MAX);
        let spread = identity.bytes().fold(self.fails, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        pause + pause / 4 * i64::from(spread % 16) / 16
    }
}

impl Core {
    /// Does what is due with far origins.
    pub(in super::super) fn tick_far(&mut self, now: i64) {
        for at in 0..self.inflow.feeds.len() {
            let Some((feed, far)) = self.far(at).filter(|(_, far)| far.deadline() <= now) else { continue };
            match &far.state {
                State::Rests(_) => self.ask_far(at, now),
                State::Asked { .. } => {
                    let why = feed.shape.failed("the origin does not answer");
                    self.far_failed(at, why, now);
                }
                State::Flows(_) => self.ask_again(at, now),
            }
        }
    }

    /// Something came for the far origin under this number.
    pub(in super::super) fn heard_from_far(&mut self, number: u32, arrival: &Arrival<'_>, now: i64) {
        let is_meant = |feed: &Feed| feed.far.as_ref().is_some_and(|far| far.number() == Some(number));
        let Some(at) = self.inflow.feeds.iter().position(is_meant) else { return };
        match self.far(at).map(|(_, far)| &far.state) {
            Some(State::Asked { .. }) => self.far_answered(at, arrival, now),
            Some(State::Flows(_)) => self.far_delivered(at, arrival, now),
            _ => {}
        }
    }

    /// Positions of far origins that have moved are written down, with what came.
    pub(in super::super) fn note_far(&mut self) {
        for at in 0..self.inflow.feeds.len() {
            let moved = self.far_mut(at).is_some_and(|(_, far)| std::mem::take(&mut far.moved));
            if moved && self.inflow.feeds.get(at).is_some_and(|feed| !feed.shape.mirror) {
                self.note_position(at);
            }
        }
    }

    /// Nothing comes from this feed any more. With `End::Deleted`, what was made for it at the origin ends, too.
    pub(in super::super) fn end_far(&self, feed: &Feed, why: End) {
        let Some(far) = &feed.far else { return };
        if let Some(number) = far.number() {
            self.port.deafen(number);
        }
        if let State::Flows(flow) = &far.state
            && flow.ours
            && why == End::Deleted
        {
            let to = request::delete(&feed.shape, &flow.consumer);
            self.port.send(&Outgoing { to: to.as_bytes(), ..Outgoing::default() });
        }
    }

    fn far(&self, at: usize) -> Option<(&Feed, &Far)> {
        let feed = self.inflow.feeds.get(at)?;
        Some((feed, feed.far.as_deref()?))
    }

    fn far_mut(&mut self, at: usize) -> Option<(&mut u64, &mut Far)> {
        let feed = self.inflow.feeds.get_mut(at)?;
        Some((&mut feed.next, feed.far.as_deref_mut()?))
    }

    fn ask_far(&mut self, at: usize, now: i64) {
        let last = self.store.state().last_seq;
        let Some((feed, far)) = self.far(at) else { return };
        let shape = feed.shape.clone();
        let asker = Asker {
            account: &self.place.account,
            stream: &self.place.stream,
            domain: self.place.domain.as_deref(),
            next: if shape.mirror { if last > 0 { last + 1 } else { 0 } } else { feed.next },
            stamp: &far.stamp,
            plain: far.plain,
        };
        let (deliver, asked) = if let Some(known) = &shape.source.consumer {
            (known.deliver_subject.clone(), request::reset(&shape, known, &asker))
        } else {
            let deliver = request::deliver_to(&shape, &unique());
            let asked = request::create(&shape, &asker, &deliver);
            (deliver, asked)
        };
        let (number, inbox) = (next_number(), format!("$JSC.R.{}", unique()));
        self.port.hear(&self.place.stream, inbox.as_bytes(), number);
        let answer = if shape.source.consumer.is_some() { ANSWER_OF_KNOWN } else { ANSWER };
        if let Some((_, far)) = self.far_mut(at) {
            far.asked_at = now;
            far.state = State::Asked { number, until: now.saturating_add(answer), deliver };
        }
        let request = Outgoing {
            to: asked.subject.as_bytes(),
            reply: inbox.as_bytes(),
            header: &asked.header,
            payload: &asked.payload,
            ..Outgoing::default()
        };
        if !self.port.send(&request) {
            self.far_failed(at, shape.failed("nobody answers for the API of the origin"), now);
        }
    }

    fn far_answered(&mut self, at: usize, arrival: &Arrival<'_>, now: i64) {
        let Some((feed, far)) = self.far(at) else { return };
        let (shape, known, plain) = (feed.shape.clone(), far.stamp.clone(), far.plain);
        let State::Asked { deliver, .. } = &far.state else { return };
        let deliver = deliver.clone();
        let why = match answer::agreed(arrival.payload) {
            _ if arrival.payload.is_empty() => shape.failed("nobody answers for the API of the origin"),
            Ok(agreed) => {
                let stamp = answer::stamp(arrival.header);
                let another = !known.is_empty() && !stamp.is_empty() && known != stamp;
                if another && !shape.mirror {
                    return self.begin_anew(at, stamp, now);
                }
                if another {
                    self.mirrors_another(at, stamp);
                }
                match unfit(&shape, &agreed, &deliver) {
                    None => return self.far_flows(at, agreed, stamp, &deliver, now),
                    Some(why) => why,
                }
            }
            Err(Refused::Recreated) => return self.begin_anew(at, "", now),
            Err(Refused::Older) if !plain => {
                if let Some((_, far)) = self.far_mut(at) {
                    far.plain = true;
                }
                return self.ask_again(at, now);
            }
            Err(Refused::Older) => shape.failed("the origin does not understand the request"),
            Err(Refused::No(text)) => shape.failed(&text),
        };
        self.far_failed(at, why, now);
    }

    /// The origin is another one, of the same name: all of it is wanted.
    fn begin_anew(&mut self, at: usize, stamp: &str, now: i64) {
        if let Some((next, far)) = self.far_mut(at) {
            (*next, far.moved) = (0, true);
            stamp.clone_into(&mut far.stamp);
        }
        self.ask_again(at, now);
    }

    /// The origin of a mirror is another one, of the same name. A mirror has the sequences of its origin, so as with
    /// nats-server it goes on behind its last, and has nothing of what comes before.
    fn mirrors_another(&mut self, at: usize, stamp: &str) {
        let last = self.store.state().last_seq;
        let Some((_, far)) = self.far_mut(at) else { return };
        stamp.clone_into(&mut far.stamp);
        let (account, stream) = (&self.place.account, &self.place.stream);
        tracing::warn!(%account, %stream, last, "the origin of a mirror was made anew: it is mirrored from behind the last sequence on");
    }

    /// The origin has a consumer for us: from now on we listen.
    fn far_flows(&mut self, at: usize, agreed: answer::Agreed, stamp: &str, deliver: &str, now: i64) {
        if let Some(old) = self.far(at).and_then(|(_, far)| far.number()) {
            self.port.deafen(old);
        }
        let number = next_number();
        let confirmed = agreed.config.ack_policy == AckPolicy::FlowControl;
        let Some(feed) = self.inflow.feeds.get_mut(at) else { return };
        let ours = confirmed && feed.shape.source.consumer.is_none() && !agreed.config.durable_name.is_empty();
        (feed.heard, feed.error, feed.lag) = (Some(now), None, agreed.num_pending);
        if let Some(far) = &mut feed.far {
            if far.stamp.is_empty() && !stamp.is_empty() {
                stamp.clone_into(&mut far.stamp);
                far.moved = true;
            }
            let flow = Flow { number, consumer: agreed.name, delivered: 0, stream_seq: 0, heard: now, confirmed, ours };
            (far.state, far.fails) = (State::Flows(flow), 0);
        }
        self.port.hear(&self.place.stream, deliver.as_bytes(), number);
    }

    fn far_delivered(&mut self, at: usize, arrival: &Arrival<'_>, now: i64) {
        let Some((feed, Far { state: State::Flows(flow), .. })) = self.far(at) else { return };
        let shape = feed.shape.clone();
        let (delivered, confirmed) = (flow.delivered, flow.confirmed);
        let outcome = match answer::delivery(arrival) {
            Delivery::Message { consumer, stream_seq, consumer_seq, ts, pending } => {
                if consumer != flow.consumer.as_bytes() || consumer_seq <= delivered {
                    // Of one that was there before.
                    return;
                }
                if consumer_seq == delivered + 1 {
                    self.far_message(at, arrival, (stream_seq, ts, pending), now)
                } else {
                    Next::Ask
                }
            }
            Delivery::Ask(reply) => {
                self.confirm(at, reply, confirmed);
                Next::Go
            }
            Delivery::Beat { delivered: said, waits_on } => {
                if let Some(reply) = waits_on {
                    self.confirm(at, reply, confirmed);
                }
                if said.is_some_and(|said| said != delivered) { Next::Ask } else { Next::Go }
            }
            Delivery::End => Next::Ask,
            Delivery::Malformed => Next::Fail(shape.failed("the origin delivers what is no message of a stream")),
        };
        match outcome {
            Next::Go => {
                if let Some(feed) = self.inflow.feeds.get_mut(at) {
                    feed.heard = Some(now);
                    if let Some(State::Flows(flow)) = feed.far.as_mut().map(|far| &mut far.state) {
                        flow.heard = now;
                    }
                }
            }
            Next::Ask => self.ask_again(at, now),
            Next::Fail(error) => self.far_failed(at, error, now),
            Next::Later(error) => self.far_rests(at, Some(error), now.saturating_add(RETRY)),
        }
    }

    fn far_message(&mut self, at: usize, arrival: &Arrival<'_>, place: (u64, i64, u64), now: i64) -> Next {
        let (seq, ts, pending) = place;
        let Some((feed, far)) = self.far(at) else { return Next::Go };
        let (shape, stamp) = (feed.shape.clone(), far.stamp.clone());
        let most = self.config.max_msg_size;
        let size = arrival.header.len() + arrival.payload.len();
        if most >= 0 && size as u64 > u64::from(most.unsigned_abs()) {
            return Next::Fail(shape.failed("a message of the origin is larger than this stream's max_msg_size"));
        }
        if seq >= feed.next {
            let mut bytes = Vec::with_capacity(arrival.subject.len() + size);
            for part in [arrival.subject, arrival.header, arrival.payload] {
                bytes.extend_from_slice(part);
            }
            let stored = Stored::new(seq, ts, Bytes::from(bytes), arrival.subject.len(), arrival.header.len());
            if let Err(error) = self.take_one(&shape, &stamp, &stored, now) {
                return Next::Later(error);
            }
        }
        if let Some(feed) = self.inflow.feeds.get_mut(at) {
            (feed.lag, feed.error, feed.next) = (pending, None, feed.next.max(seq + 1));
            if let Some(far) = &mut feed.far {
                far.moved = true;
                if let State::Flows(flow) = &mut far.state {
                    flow.delivered += 1;
                    flow.stream_seq = flow.stream_seq.max(seq);
                }
            }
        }
        Next::Go
    }

    /// Tells the consumer that what it delivered has come, once that is on disk.
    fn confirm(&mut self, at: usize, reply: &[u8], confirmed: bool) {
        let Some((_, Far { state: State::Flows(flow), .. })) = self.far(at) else { return };
        let header = if confirmed {
            let block = Builder::from(b"", |_| false).number("Nats-Last-Consumer", flow.delivered);
            block.number("Nats-Last-Stream", flow.stream_seq).done()
        } else {
            Vec::new()
        };
        self.answers.promise(reply, &header, b"");
    }

    fn far_failed(&mut self, at: usize, error: ApiError, now: i64) {
        let Some((feed, far)) = self.far(at) else { return };
        let identity = feed.shape.identity.clone();
        let fails = far.fails.saturating_add(1);
        if fails == 1 {
            tracing::info!(stream = %self.place.stream, origin = %feed.shape.source.name, "an origin cannot be reached: {error}");
        }
        let pause = Far { fails, ..Far::default() }.pause(&identity);
        if let Some((_, far)) = self.far_mut(at) {
            far.fails = fails;
        }
        self.far_rests(at, Some(error), now.saturating_add(pause));
    }

    /// Asks again at once, if that was not done just now.
    fn ask_again(&mut self, at: usize, now: i64) {
        let asked_at = self.far(at).map_or(0, |(_, far)| far.asked_at);
        self.far_rests(at, None, now.max(asked_at.saturating_add(ASK_AGAIN)));
    }

    fn far_rests(&mut self, at: usize, error: Option<ApiError>, until: i64) {
        if let Some(number) = self.far(at).and_then(|(_, far)| far.number()) {
            self.port.deafen(number);
        }
        if let Some(feed) = self.inflow.feeds.get_mut(at)
            && let Some(far) = &mut feed.far
        {
            far.state = State::Rests(until);
            feed.error = error.or_else(|| feed.error.take());
        }
    }
}

/// What follows from something that came.
enum Next {
    /// It goes on.
    Go,
    /// The consumer is asked for anew: something is missing.
    Ask,
    /// The same, after a pause: the origin is not what it should be.
    Fail(ApiError),
    /// The same, a while later: there is no room here.
    Later(ApiError),
}

/// Why a consumer that was made beforehand is not one for us.
fn unfit(shape: &super::Shape, agreed: &answer::Agreed, deliver: &str) -> Option<ApiError> {
    if agreed.config.deliver_subject != deliver {
        return Some(shape.failed("the origin's consumer delivers to another subject"));
    }
    let confirmed = agreed.config.ack_policy == AckPolicy::FlowControl;
    (shape.source.consumer.is_some() && !confirmed).then(|| {
        if shape.mirror {
            ApiError::mirror_consumer_requires_ack_fc()
        } else {
            ApiError::source_consumer_requires_ack_fc()
        }
    })
}

/// Eight characters that nobody guesses.
fn unique() -> String {
    let nuid = nuid::next();
    let text = nuid.as_str();
    let random = text.get(..12).unwrap_or(text);
    super::position::short_hash(&format!("{random}{text}"))
}

/// Tells what is listened for from everything else of this process.
fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
