//! Streams that follow others: who reads from whom, and when (see [`super::inflow`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::inflow::Wish;
use super::{Core, Stream};
use crate::store::Filter;

/// Readers of a stream that keeps by interest: what they want, and how far they are.
#[derive(Debug, Default)]
pub(super) struct Readers {
    by_key: BTreeMap<String, Reader>,
}

#[derive(Debug)]
struct Reader {
    filter: Filter,
    /// The reader needs nothing at or below this sequence.
    up_to: u64,
}

impl Readers {
    pub(super) fn wants(&self, subject: &[u8]) -> bool {
        self.by_key.values().any(|reader| reader.filter.matches(subject))
    }

    pub(super) fn need(&self, seq: u64, subject: &[u8]) -> bool {
        self.by_key.values().any(|reader| seq > reader.up_to && reader.filter.matches(subject))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

impl Stream {
    /// What a reader of this stream is called.
    fn reader_key(&self, identity: &str) -> String {
        format!("{} {identity}", self.name)
    }

    /// Reads from its origins until there is nothing more or a while has passed; called by a worker in the stream's turn,
    /// with no lock held.
    pub(super) fn follow(self: &Arc<Self>) {
        let Some(account) = self.account.upgrade() else { return };
        let now = self.clock.unix_nanos();
        let wishes = self.core.lock().wishes(now);
        for (at, wish) in wishes {
            let Some(origin) = account.stream(&wish.name).filter(|origin| !Arc::ptr_eq(origin, self)) else {
                self.core.lock().origin_missing(at);
                continue;
            };
            self.attach(&origin, &wish);
            let page = origin.look(|core| core.page(&wish));
            let (more, up_to) = self.written(|core| {
                let more = core.take_in(at, &page, now);
                (more, core.position(at))
            });
            if more {
                self.wake();
            }
            if origin.keeps_by_interest() && !page.messages.is_empty() {
                let key = self.reader_key(&wish.identity);
                origin.change(|core, now| core.reader_at(&key, up_to, now));
            }
        }
    }

    /// The origin wakes this stream from now on; one that keeps by interest keeps what this one has not read.
    pub(super) fn attach(self: &Arc<Self>, origin: &Arc<Self>, wish: &Wish) {
        let mut followers = origin.followers.lock();
        if !followers.iter().any(|follower| follower.as_ptr() == Arc::as_ptr(self)) {
            followers.retain(|follower| follower.strong_count() > 0);
            followers.push(Arc::downgrade(self));
        }
        drop(followers);
        if origin.keeps_by_interest() {
            let key = self.reader_key(&wish.identity);
            origin.core.lock().add_reader(key, wish);
        }
    }

    /// As far as it can be, it is attached to its origins before it runs.
    pub(crate) fn attach_all(self: &Arc<Self>) {
        let Some(account) = self.account.upgrade() else { return };
        let wishes = self.core.lock().wishes(self.clock.unix_nanos());
        for (_, wish) in wishes {
            if let Some(origin) = account.stream(&wish.name).filter(|origin| !Arc::ptr_eq(origin, self)) {
                self.attach(&origin, &wish);
            }
        }
    }

    /// It reads from others of its account.
    pub(crate) fn follows(&self) -> bool {
        self.look(|core| core.inflow.has_near())
    }

    /// Ends what it is to its origins.
    pub(super) fn detach(self: &Arc<Self>) {
        let Some(account) = self.account.upgrade() else { return };
        let wishes = self.core.lock().wishes(i64::MAX);
        for (_, wish) in wishes {
            if let Some(origin) = account.stream(&wish.name).filter(|origin| origin.keeps_by_interest()) {
                let key = self.reader_key(&wish.identity);
                origin.change(|core, now| core.drop_reader(&key, now));
            }
        }
    }

    fn keeps_by_interest(&self) -> bool {
        self.look(|core| core.config.retention != crate::config::Retention::Limits)
    }

    /// Whoever follows looks anew.
    pub(super) fn wake_followers(&self) {
        let followers: Vec<Arc<Self>> = self.followers.lock().iter().filter_map(Weak::upgrade).collect();
        for follower in followers {
            follower.wake();
        }
    }
}

impl Core {
    fn add_reader(&mut self, key: String, wish: &Wish) {
        self.readers.by_key.entry(key).or_insert_with(|| Reader { filter: wish.filter.clone(), up_to: wish.seen() });
    }

    /// A reader has everything up to a sequence on disk.
    fn reader_at(&mut self, key: &str, up_to: u64, now: i64) {
        let Some(reader) = self.readers.by_key.get_mut(key) else { return };
        let from = std::mem::replace(&mut reader.up_to, up_to);
        let filter = reader.filter.clone();
        let mut at = from + 1;
        while let Some(seq) = self.store.next(&filter, at).filter(|seq| *seq <= up_to) {
            self.release_one(seq, now);
            at = seq + 1;
        }
    }

    fn drop_reader(&mut self, key: &str, now: i64) {
        if self.readers.by_key.remove(key).is_some() && self.config.retention == crate::config::Retention::Interest {
            self.sweep(now);
        }
    }
}
