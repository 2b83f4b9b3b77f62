//! Origins in the same account: read straight from their stores, a page at a time, and never with both streams' locks
//! held: the page is copied under the origin's lock, then applied under the own one. An origin wakes who follows it once
//! its messages are on disk. A stream that keeps by interest knows its followers as readers, which need a message until
//! it is on disk here.

use super::super::Core;
use super::{RETRY, stamp};
use crate::config::Moment;
use crate::store::{Filter, Stored};

/// Messages of one page.
const PAGE: usize = 512;
/// Bytes of one page.
const PAGE_BYTES: usize = 4 << 20;

/// What a feed wants next.
#[derive(Clone, Debug)]
pub(in super::super) struct Wish {
    pub(in super::super) name: String,
    pub(in super::super) identity: String,
    pub(in super::super) filter: Filter,
    next: u64,
    start_seq: u64,
    start_time: Option<Moment>,
    origin: i64,
}

impl Wish {
    /// The last sequence of the origin that is not wanted any more.
    pub(in super::super) fn seen(&self) -> u64 {
        self.next.saturating_sub(1)
    }
}

/// Messages of an origin.
#[derive(Debug)]
pub(in super::super) struct Page {
    pub(in super::super) messages: Vec<Stored>,
    /// Where the feed was when it was asked for.
    wanted: u64,
    /// The sequence behind what was looked at.
    next: u64,
    left: u64,
    origin: i64,
}

impl Core {
    /// What feeds of near origins want next, by their place in the list.
    pub(in super::super) fn wishes(&mut self, now: i64) -> Vec<(usize, Wish)> {
        let last = self.store.state().last_seq;
        let mut wishes = Vec::new();
        for (at, feed) in self.inflow.feeds.iter_mut().enumerate() {
            if feed.far.is_some() || feed.not_before > now {
                continue;
            }
            feed.not_before = 0;
            let shape = &feed.shape;
            if shape.mirror && last > 0 {
                feed.next = last + 1;
            }
            wishes.push((
                at,
                Wish {
                    name: shape.source.name.clone(),
                    identity: shape.identity.clone(),
                    filter: shape.filter.clone(),
                    next: feed.next,
                    start_seq: shape.source.opt_start_seq,
                    start_time: shape.source.opt_start_time,
                    origin: feed.origin,
                },
            ));
        }
        wishes
    }

    /// The last sequence of its origin that a feed has.
    pub(in super::super) fn position(&self, at: usize) -> u64 {
        self.inflow.feeds.get(at).map_or(0, |feed| feed.next.saturating_sub(1))
    }

    /// A page for whoever follows this stream.
    pub(in super::super) fn page(&self, wish: &Wish) -> Page {
        let restarted = wish.origin != 0 && wish.origin != self.created;
        let mut at = if restarted { 0 } else { wish.next };
        if at == 0 {
            at = wish.start_time.map_or(wish.start_seq, |time| self.store.at_time(time.0)).max(1);
        }
        let mut page = Page { messages: Vec::new(), wanted: wish.next, next: at, left: 0, origin: self.created };
        let mut bytes = 0;
        while page.messages.len() < PAGE && bytes < PAGE_BYTES {
            let Some(seq) = self.store.next(&wish.filter, page.next).filter(|seq| *seq <= self.durable) else { break };
            page.next = seq + 1;
            if let Ok(Some(stored)) = self.store.get(seq) {
                bytes += stored.subject().len() + stored.header().len() + stored.payload().len();
                page.messages.push(stored);
            }
        }
        page.left = self.store.count(&wish.filter, page.next);
        page
    }

    /// The origin of a feed is not there.
    pub(in super::super) fn origin_missing(&mut self, at: usize) {
        if let Some(feed) = self.inflow.feeds.get_mut(at) {
            feed.error = Some(feed.shape.failed("stream not found"));
        }
    }

    /// Takes in a page; gives whether there is more to read at once.
    pub(in super::super) fn take_in(&mut self, at: usize, page: &Page, now: i64) -> bool {
        self.now = now;
        let Some(shape) = self.inflow.feeds.get(at).map(|feed| feed.shape.clone()) else { return false };
        // Another thread was here first: this page has been read.
        if self.inflow.feeds.get(at).is_some_and(|feed| feed.next != page.wanted) {
            return true;
        }
        let (mut next, mut refused) = (page.next, None);
        let origin = stamp(page.origin);
        for stored in &page.messages {
            if let Err(error) = self.take_one(&shape, &origin, stored, now) {
                (next, refused) = (stored.seq, Some(error));
                break;
            }
        }
        let more = refused.is_none() && page.left > 0 && !page.messages.is_empty();
        if let Some(feed) = self.inflow.feeds.get_mut(at) {
            (feed.heard, feed.origin, feed.lag, feed.next) = (Some(now), page.origin, page.left, next);
            feed.not_before = if refused.is_some() { now.saturating_add(RETRY) } else { 0 };
            feed.error = refused;
        }
        if !shape.mirror && !page.messages.is_empty() {
            self.note_position(at);
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::Bench;

    #[test]
    fn a_page_that_two_threads_have_read_is_taken_once() {
        let bench = Bench::new();
        bench.stream(json!({"name": "O", "subjects": ["o"]}));
        bench.stream(json!({"name": "S", "sources": [{"name": "O"}]}));
        bench.store("o", &[], "");
        let (origin, stream) = (bench.account.stream("O").unwrap(), bench.account.stream("S").unwrap());
        for _ in 0..2 {
            bench.store("o", &[], "");
            // The two threads: both look before either takes.
            bench.api("STREAM.PURGE.S", &json!(null));
            let now = bench.clock.unix_nanos();
            let position = stream.ask(|core| core.position(0));
            stream.ask(|core| core.inflow.feeds[0].next = position);
            let wishes = stream.ask(|core| core.wishes(now));
            let pages = [(); 2].map(|()| origin.look(|core| core.page(&wishes[0].1)));
            assert_eq!(pages[0].messages.len(), 1);
            for page in pages {
                stream.change(|core, now| core.take_in(0, &page, now));
            }
            assert_eq!(bench.state("S")["messages"], 1);
        }
    }
}
