//! Which streams want to hear when somebody subscribes to a subject, or ends that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use cordon_server::routing::interest::Watcher;
use foldhash::quality::RandomState;
use parking_lot::RwLock;

use super::timer::Timer;
use crate::account::Account;

/// What the streams of one account wait for. It stays with the account's interest, whatever comes and goes.
pub(super) struct Watches {
    timer: Arc<Timer>,
    account: RwLock<Weak<Account>>,
    by_subject: RwLock<HashMap<Box<[u8]>, Vec<Wish>, RandomState>>,
    some: AtomicBool,
}

struct Wish {
    stream: Arc<str>,
    count: usize,
}

impl Watches {
    /// Nobody waits yet.
    pub(super) fn new(timer: Arc<Timer>) -> Self {
        Self { timer, account: RwLock::default(), by_subject: RwLock::default(), some: AtomicBool::new(false) }
    }

    /// Whose streams they are from now on; wishes of others end.
    pub(super) fn belong_to(&self, account: Weak<Account>) {
        *self.account.write() = account;
        self.by_subject.write().clear();
        self.some.store(false, Ordering::Relaxed);
    }

    /// Whose streams they are.
    pub(super) fn account(&self) -> Weak<Account> {
        self.account.read().clone()
    }

    /// A stream begins or ends to wait for changes of the interest in `subject`; counted.
    pub(super) fn watch(&self, stream: &str, subject: &[u8], watching: bool) {
        let mut by_subject = self.by_subject.write();
        if watching {
            let wishes = by_subject.entry(subject.into()).or_default();
            match wishes.iter_mut().find(|wish| &*wish.stream == stream) {
                Some(wish) => wish.count += 1,
                None => wishes.push(Wish { stream: stream.into(), count: 1 }),
            }
        } else if let Some(wishes) = by_subject.get_mut(subject) {
            for wish in wishes.iter_mut().filter(|wish| &*wish.stream == stream) {
                wish.count = wish.count.saturating_sub(1);
            }
            wishes.retain(|wish| wish.count > 0);
            if wishes.is_empty() {
                by_subject.remove(subject);
            }
        }
        self.some.store(!by_subject.is_empty(), Ordering::Relaxed);
    }

    /// A stream waits for nothing any more.
    pub(super) fn forget(&self, stream: &str) {
        let mut by_subject = self.by_subject.write();
        by_subject.retain(|_, wishes| {
            wishes.retain(|wish| &*wish.stream != stream);
            !wishes.is_empty()
        });
        self.some.store(!by_subject.is_empty(), Ordering::Relaxed);
    }
}

impl Watcher for Watches {
    fn changed(&self, subject: &[u8]) {
        if !self.some.load(Ordering::Relaxed) {
            return;
        }
        let streams: Vec<_> = match self.by_subject.read().get(subject) {
            Some(wishes) => wishes.iter().map(|wish| wish.stream.clone()).collect(),
            None => return,
        };
        for stream in streams {
            self.timer.soon(self.account.read().clone(), stream);
        }
    }
}
