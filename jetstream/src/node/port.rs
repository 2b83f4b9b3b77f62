//! The way out of an account's streams: the broker's routing, from threads that are not the broker's.
//!
//! What is sent is queued on its receivers' connections at once, and written to their sockets by [`Port::flush`], or
//! earlier where much has come together. Threads that send are inside the broker's runtime: a socket that blocks is
//! drained by a task.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cordon_accounts::subject::Pattern;
use cordon_server::border;
use cordon_server::connection::Connection;
use cordon_server::routing::Subscription;
use cordon_server::routing::generation::Stamp;
use cordon_server::routing::match_set::MatchSet;
use cordon_server::routing::{Batch, Message, route};
use cordon_server::tenant::Tenant;
use foldhash::quality::RandomState;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::member;
use super::readers::{self, Readers};
use super::receivers::FromOrigin;
use super::watches::Watches;
use crate::port::{Listening, Outgoing, Port};

/// Bytes that are written out before a flush is asked for.
const AT_ONCE: usize = 256 * 1024;
/// How long a sender waits for receivers that are far behind, all of them together, before it goes on: its thread serves
/// the streams of others as well.
const WAIT: Duration = Duration::from_millis(5);

/// The way out into one account.
pub(super) struct AccountPort {
    tenant: Weak<Tenant>,
    runtime: Handle,
    watches: Arc<Watches>,
    /// Reading needs permission.
    checked: Arc<AtomicBool>,
    /// What streams hear from far origins, by its number.
    heard: Mutex<HashMap<u32, (Box<str>, Subscription), RandomState>>,
}

/// What one thread has sent and not written yet, and whom it sent to last.
struct Out {
    batch: Batch,
    body: Vec<u8>,
    last: Option<Last>,
    pending: usize,
}

/// The receivers of the subject that was sent to last: a consumer sends many messages to one.
struct Last {
    tenant: usize,
    subject: Vec<u8>,
    stamp: Stamp,
    set: MatchSet,
    /// Of them those who may read, where reading needs permission.
    readers: Option<Readers>,
}

thread_local! {
    static OUT: RefCell<Out> = RefCell::new(Out::new());
}

impl AccountPort {
    /// The way out into `tenant`; `runtime` is the broker's, and `checked` says whether reading needs permission.
    pub(super) fn new(tenant: &Arc<Tenant>, runtime: Handle, watches: Arc<Watches>, checked: Arc<AtomicBool>) -> Self {
        Self { tenant: Arc::downgrade(tenant), runtime, watches, checked, heard: Mutex::default() }
    }

    fn is_checked(&self) -> bool {
        self.checked.load(Ordering::Relaxed)
    }

    fn matched<R>(&self, subject: &[u8], look: impl FnOnce(&MatchSet) -> R) -> Option<R> {
        let tenant = self.tenant.upgrade()?;
        let mut set = MatchSet::default();
        tenant.interest.matches(subject, &mut set);
        Some(look(&set))
    }

    fn write_out(&self, out: &mut Out, tenant: &Arc<Tenant>) {
        let Out { batch, pending, .. } = out;
        *pending = 0;
        tenant.counters.sent(std::mem::take(&mut batch.delivered), std::mem::take(&mut batch.delivered_bytes));
        let mut behind = Vec::new();
        let others = batch.flush(&mut behind);
        behind.retain(|receiver| Arc::ptr_eq(&receiver.tenant(), tenant));
        if !behind.is_empty() {
            self.wait_for(behind, others);
        }
    }

    /// Lets receivers catch up that are far behind but moving: they asked for what they get.
    fn wait_for(&self, behind: Vec<Arc<Connection>>, others: bool) {
        let catching_up = async {
            for receiver in behind {
                let hard = receiver.max_pending() / 4 * 3;
                receiver.outbound.wait_for_room(WAIT, hard, others).await;
            }
        };
        // Whether all caught up or not, it goes on.
        let _in_time = self.runtime.block_on(async { tokio::time::timeout(WAIT, catching_up).await });
    }
}

impl Port for AccountPort {
    fn send(&self, message: &Outgoing<'_>) -> bool {
        let Some(tenant) = self.tenant.upgrade() else { return false };
        OUT.with(|out| {
            // A receiver inside the broker does not send on the thread that it receives on.
            let Ok(mut out) = out.try_borrow_mut() else { return false };
            let checked = !message.reads.is_empty() && self.is_checked();
            let accepted = out.send(&tenant, message, checked);
            if out.pending >= AT_ONCE {
                self.write_out(&mut out, &tenant);
            }
            accepted
        })
    }

    fn has_interest(&self, subject: &[u8], group: Option<&[u8]>) -> bool {
        let looked = self.matched(subject, |set| match group {
            None => !set.is_empty(),
            Some(group) => in_groups(set, group, |_| true),
        });
        looked.unwrap_or(false)
    }

    fn is_subscribed(&self, subject: &[u8], group: Option<&[u8]>) -> bool {
        let exactly = |set: &MatchSet| match group {
            None => plain(set).any(|subscription| subscription.subject() == subject),
            Some(group) => in_groups(set, group, |of| of == subject),
        };
        self.matched(subject, exactly).unwrap_or(false)
    }

    fn listening(&self, subject: &[u8], group: Option<&[u8]>, reads: &[Pattern]) -> Listening {
        let Some(tenant) = self.tenant.upgrade().filter(|_| self.is_checked()) else {
            return if self.is_subscribed(subject, group) { Listening::Somebody } else { Listening::Nobody };
        };
        let of_set = |set: &MatchSet| {
            let exactly: Vec<&Subscription> = match group {
                None => plain(set).filter(|subscription| subscription.subject() == subject).collect(),
                Some(group) => members(set, group).filter(|member| member.subject() == subject).collect(),
            };
            if exactly.iter().any(|subscription| readers::may_read(&tenant, subscription, reads)) {
                return Listening::Somebody;
            }
            if exactly.is_empty() { Listening::Nobody } else { Listening::Refused }
        };
        self.matched(subject, of_set).unwrap_or(Listening::Nobody)
    }

    fn watch(&self, stream: &str, subject: &[u8], watching: bool) {
        self.watches.watch(stream, subject, watching);
    }

    fn hear(&self, stream: &str, subject: &[u8], number: u32) {
        let Some(tenant) = self.tenant.upgrade() else { return };
        let receiver = FromOrigin::new(self.watches.account(), stream, number);
        let subscription = member::subscribe(&tenant, subject, Arc::new(receiver));
        if let Some(broker) = tenant.broker() {
            border::listener_added(&broker, &tenant, &subscription);
        }
        self.heard.lock().insert(number, (stream.into(), subscription));
    }

    fn deafen(&self, number: u32) {
        let heard = self.heard.lock().remove(&number);
        if let (Some((_, subscription)), Some(tenant)) = (heard, self.tenant.upgrade()) {
            member::end_listening(&tenant, &[subscription]);
        }
    }

    fn forget(&self, stream: &str) {
        self.watches.forget(stream);
        let is_its = |_: &u32, heard: &mut (Box<str>, Subscription)| *heard.0 == *stream;
        let heard: Vec<_> = self.heard.lock().extract_if(is_its).map(|(_, (_, subscription))| subscription).collect();
        if let Some(tenant) = self.tenant.upgrade() {
            member::end_listening(&tenant, &heard);
        }
    }

    fn flush(&self) {
        let Some(tenant) = self.tenant.upgrade() else { return };
        OUT.with(|out| {
            if let Ok(mut out) = out.try_borrow_mut() {
                // It would keep connections alive that have ended.
                out.last = None;
                self.write_out(&mut out, &tenant);
            }
        });
    }
}

impl Out {
    fn new() -> Self {
        // Without a seed the same member of each queue group would be chosen every time.
        Self { batch: Batch::new(rand::random()), body: Vec::new(), last: None, pending: 0 }
    }

    fn send(&mut self, tenant: &Arc<Tenant>, message: &Outgoing<'_>, checked: bool) -> bool {
        let Self { batch, body, last, pending } = self;
        let found = receivers(last, tenant, message.to);
        let set = if checked { found.readers(tenant, message.reads) } else { &found.set };
        if set.is_empty() {
            return false;
        }
        let body = if message.header.is_empty() {
            message.payload
        } else {
            body.clear();
            body.extend_from_slice(message.header);
            body.extend_from_slice(message.payload);
            body
        };
        let routed = Message::of_broker(message.to, message.reply, message.header.len(), body);
        let routed = if message.shown.is_empty() { routed } else { Message { shown: message.shown, ..routed } };
        *pending += body.len() + message.to.len();
        let accepted = route(set, &routed, batch) > 0;
        if self.body.capacity() > AT_ONCE * 4 {
            self.body = Vec::new();
        }
        accepted
    }
}

impl Last {
    /// Those who may read.
    fn readers(&mut self, tenant: &Arc<Tenant>, reads: &[Pattern]) -> &MatchSet {
        let known = self.readers.take().filter(|known| known.hold(reads));
        let known = known.unwrap_or_else(|| Readers::of(tenant, &self.set, reads));
        &self.readers.insert(known).set
    }
}

fn receivers<'a>(last: &'a mut Option<Last>, tenant: &Arc<Tenant>, subject: &[u8]) -> &'a mut Last {
    let address = Arc::as_ptr(tenant).addr();
    let holds = last
        .as_ref()
        .is_some_and(|last| last.tenant == address && last.subject == subject && tenant.interest.holds(&last.stamp));
    let mut found = match last.take() {
        Some(last) if holds => last,
        before => {
            let (mut text, mut set) = before.map_or_else(Default::default, |last| (last.subject, last.set));
            text.clear();
            text.extend_from_slice(subject);
            // The stamp first: what changes in between makes it stale.
            let stamp = tenant.interest.stamp(subject);
            tenant.interest.matches(subject, &mut set);
            Last { tenant: address, subject: text, stamp, set, readers: None }
        }
    };
    found.tenant = address;
    last.insert(found)
}

fn plain(set: &MatchSet) -> impl Iterator<Item = &Subscription> {
    set.plain.iter().chain(set.far.iter().flat_map(|far| &far.plain)).filter(|subscription| !subscription.is_closed())
}

fn in_groups(set: &MatchSet, group: &[u8], is_meant: impl Fn(&[u8]) -> bool) -> bool {
    members(set, group).any(|member| is_meant(member.subject()))
}

fn members<'a>(set: &'a MatchSet, group: &'a [u8]) -> impl Iterator<Item = &'a Subscription> {
    let groups = set.queues.iter().chain(set.far.iter().flat_map(|far| &far.queues));
    let members = groups.filter(move |of| &*of.name == group).flat_map(|of| &of.members);
    members.filter(|member| !member.is_closed())
}
