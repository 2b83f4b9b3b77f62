//! An account that has streams, on this node.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use cordon_accounts::subject::{Destination, Mappings, Pattern, matching};
use cordon_auth::clock::Clock;
use cordon_server::border;
use cordon_server::monitoring::text;
use cordon_server::routing::{Receiver, Sink, Subscription};
use cordon_server::tenant::Tenant;
use foldhash::quality::RandomState;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::apart::Apart;
use super::desk::{Backlog, Lane};
use super::fair::Fair;
use super::receivers::{Acknowledgements, Door, Flow, Heard, Incoming};
use super::timer::Timer;
use crate::account::{Account, Ear, Hearing, Host, Work};
use crate::port::Port;
use crate::stream::Stream;

/// Why a stream is offline whose work ended by a panic.
const DEFECT: &str = "it failed by a defect of the broker";

/// An account that has streams.
pub(super) struct Member {
    /// Its streams.
    pub(super) account: Arc<Account>,
    /// The account in the broker.
    pub(super) tenant: Arc<Tenant>,
    /// The way out into it.
    pub(super) port: Arc<dyn Port>,
    /// The way out into the system account.
    pub(super) system: Option<Arc<dyn Port>>,
    /// Its requests that change something.
    pub(super) changes: Arc<Lane>,
    /// Its requests that only look.
    pub(super) looks: Arc<Lane>,
    /// What waits for it.
    pub(super) backlog: Backlog,
    clock: Clock,
    host: Arc<Desk>,
    own: Mutex<Vec<Subscription>>,
}

/// The node, as one account's streams see it.
pub(super) struct Desk {
    lane: u64,
    tenant: Weak<Tenant>,
    timer: Arc<Timer>,
    streams: Arc<Fair<Arc<Stream>>>,
    apart: Arc<Apart>,
    runtime: Handle,
    listening: Mutex<HashMap<Arc<str>, Vec<Subscription>, RandomState>>,
}

impl Desk {
    /// The node for the streams of `tenant`.
    pub(super) fn new(
        lane: u64,
        tenant: &Arc<Tenant>,
        timer: Arc<Timer>,
        streams: Arc<Fair<Arc<Stream>>>,
        (apart, runtime): (Arc<Apart>, Handle),
    ) -> Self {
        Self { lane, tenant: Arc::downgrade(tenant), timer, streams, apart, runtime, listening: Mutex::default() }
    }

    /// The stream of that name stores messages of this subject.
    fn stores(&self, stream: &str, subject: &[u8]) -> bool {
        let listening = self.listening.lock();
        let mut subjects = listening.get(stream).into_iter().flatten();
        subjects.any(|listens| matching::matches(listens.subject(), subject))
    }

    /// Nothing is taken for any stream any more.
    fn deafen(&self) {
        let Some(tenant) = self.tenant.upgrade() else { return };
        let all: Vec<_> = self.listening.lock().drain().flat_map(|(_, subscriptions)| subscriptions).collect();
        end_listening(&tenant, &all);
    }
}

impl Host for Desk {
    fn schedule(&self, stream: &Arc<Stream>) {
        // Each stream waits once at most, so there is always room; once the node stops, nothing is to be done.
        let _stopped = self.streams.push(self.lane, stream.clone(), usize::MAX);
    }

    fn wake_at(&self, stream: &Arc<Stream>, at: i64) {
        self.timer.at(stream, at);
    }

    fn broken(&self, stream: &Arc<Stream>) {
        let (Ok(runtime), Some(account)) = (Handle::try_current(), stream.account()) else { return };
        let stream = stream.clone();
        runtime.spawn(set_apart(account, stream));
    }

    fn listen(&self, stream: &Arc<Stream>, subjects: &[Pattern]) {
        let Some(tenant) = self.tenant.upgrade() else { return };
        let mut listening = self.listening.lock();
        let before = listening.remove(stream.name()).unwrap_or_default();
        let (stay, go): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|old| !old.is_closed() && subjects.iter().any(|subject| subject.as_bytes() == old.subject()));
        let mut now = stay;
        for subject in subjects {
            if !now.iter().any(|known| known.subject() == subject.as_bytes()) {
                let receiver = Arc::new(Incoming::new(&tenant, stream));
                let listens = subscribe(&tenant, subject.as_bytes(), receiver);
                // What the account imports under this subject is stored as well.
                if let Some(broker) = tenant.broker() {
                    border::listener_added(&broker, &tenant, &listens);
                }
                now.push(listens);
            }
        }
        if !now.is_empty() {
            listening.insert(stream.name().clone(), now);
        }
        drop(listening);
        end_listening(&tenant, &go);
    }

    fn hear(&self, subject: &str, ear: Arc<dyn Ear>) -> Hearing {
        let Some(tenant) = self.tenant.upgrade() else { return Hearing::new(|| {}) };
        let subscription = subscribe(&tenant, subject.as_bytes(), Arc::new(Heard(ear)));
        let tenant = self.tenant.clone();
        Hearing::new(move || {
            if let Some(tenant) = tenant.upgrade() {
                end(&tenant, &[subscription]);
            }
        })
    }

    fn begin(&self, work: Work) -> bool {
        self.apart.begin(&self.runtime, work)
    }
}

/// Takes a stream out of service that a defect broke, and opens it anew in its time.
async fn set_apart(account: Arc<Account>, stream: Arc<Stream>) {
    let name = stream.name().clone();
    let apart = account.clone();
    let done = tokio::task::spawn_blocking(move || apart.set_apart(&stream, DEFECT)).await;
    let Ok(Some(after)) = done else { return };
    tokio::time::sleep(after).await;
    let opened = tokio::task::spawn_blocking(move || account.open_again(&name)).await;
    if let Ok(Err(reason)) = opened {
        tracing::error!(reason, "a stream that was set apart stays offline");
    }
}

impl Member {
    /// The account is served from [`Member::open`] on.
    pub(super) fn new(
        account: Arc<Account>,
        tenant: Arc<Tenant>,
        ports: (Arc<dyn Port>, Option<Arc<dyn Port>>),
        (changes, looks): (Arc<Lane>, Arc<Lane>),
        clock: Clock,
        host: Arc<Desk>,
    ) -> Self {
        let (port, system) = ports;
        let (backlog, own) = (Backlog::default(), Mutex::default());
        Self { account, tenant, port, system, changes, looks, backlog, clock, host, own }
    }

    /// Listens to what consumers are sent.
    pub(super) fn open(&self, door: &Arc<Door>) {
        let acknowledgements = Arc::new(Acknowledgements::new(&self.account, door));
        let flow = Arc::new(Flow(Arc::downgrade(&self.account)));
        let mut own = self.own.lock();
        own.push(subscribe(&self.tenant, b"$JS.ACK.>", acknowledgements));
        own.push(subscribe(&self.tenant, b"$JS.FC.>", flow));
        let domain = self.account.settings().domain.as_deref();
        self.tenant.set_made_mappings(domain.and_then(|domain| of_domain(domain).map(Arc::new)));
    }

    /// Ends it: nothing is taken any more, what was taken is written, consumers are told.
    pub(super) fn close(&self) {
        self.host.deafen();
        // What has arrived already counts.
        for stream in self.account.streams() {
            stream.run();
        }
        self.account.stop();
        self.port.flush();
        let own = std::mem::take(&mut *self.own.lock());
        end(&self.tenant, &own);
        self.tenant.set_made_mappings(None);
    }

    /// The stream of that name, if it stores messages of this subject.
    pub(super) fn storing(&self, stream: &str, subject: &[u8]) -> Option<Arc<Stream>> {
        self.host.stores(stream, subject).then(|| self.account.stream(stream)).flatten()
    }

    /// The time, Unix nanoseconds.
    pub(super) fn unix_nanos(&self) -> i64 {
        self.clock.unix_nanos()
    }

    /// The time, as text.
    pub(super) fn now(&self) -> String {
        text::rfc3339(self.clock.unix_nanos())
    }
}

/// What the API is called in a domain, and what it stands for (jetstream.md 1.1). As mappings of the account they come
/// before permissions, so that a user may do no more under the one name than under the other.
fn of_domain(domain: &str) -> Option<Mappings> {
    let api = ["INFO", "STREAM.>", "CONSUMER.>", "DIRECT.>", "META.>", "SERVER.>", "ACCOUNT.>"];
    let of_api = api.iter().map(|tail| (format!("$JS.{domain}.API.{tail}"), format!("$JS.API.{tail}")));
    let of_stores = ["$KV.>", "$OBJ.>"].iter().map(|to| (format!("$JS.{domain}.API.{to}"), (*to).to_owned()));
    let whole = |(from, subject)| (from, vec![Destination { subject, percent: 100, cluster: None }]);
    let (mappings, problems) = Mappings::from_destinations(of_api.chain(of_stores).map(whole), None);
    problems.is_empty().then_some(mappings)
}

/// A subscription of the node in an account.
pub(super) fn subscribe(tenant: &Arc<Tenant>, subject: &[u8], receiver: Arc<dyn Receiver>) -> Subscription {
    let subscription = Subscription::new(subject, None, b"", Sink::Inside(receiver));
    tenant.interest.insert(&subscription);
    subscription
}

/// Ends what streams listen to, here and where it is imported from.
pub(super) fn end_listening(tenant: &Arc<Tenant>, subscriptions: &[Subscription]) {
    for subscription in subscriptions {
        border::listener_ended(tenant, subscription);
    }
    end(tenant, subscriptions);
}

/// Ends subscriptions of the node.
pub(super) fn end(tenant: &Tenant, subscriptions: &[Subscription]) {
    for subscription in subscriptions {
        subscription.close();
    }
    tenant.interest.remove_all(subscriptions);
}
