//! The crossings of one importer that are in force, and what the border holds for them.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cordon_accounts::sharing::{Crossing, ExportKind, ImportRefusal};
use foldhash::quality::RandomState;
use parking_lot::Mutex;

use crate::border::reply::Replies;
use crate::border::service::Service;
use crate::border::stream;
use crate::broker::Broker;
use crate::routing::{Sink, Subscription};
use crate::tenant::Tenant;

/// What crosses one account's border: as importer its crossings, as exporter its open replies.
#[derive(Default)]
pub struct Crossings {
    table: Mutex<Table>,
    streams: AtomicBool,
    shadows: AtomicBool,
    /// Replies that this account, as exporter, still owes.
    pub replies: Replies,
}

#[derive(Default)]
struct Table {
    services: Vec<(Arc<Crossing>, Subscription)>,
    streams: Arc<[Arc<Crossing>]>,
    /// Shadows by the address of the subscription they stand for, which they keep alive.
    shadows: HashMap<usize, Vec<Shadow>, RandomState>,
    /// Subscriptions of the broker itself that want shadows, by their address.
    listeners: HashMap<usize, Subscription, RandomState>,
    refused: Vec<ImportRefusal>,
}

struct Shadow {
    crossing: Arc<Crossing>,
    exporter: Arc<Tenant>,
    subscription: Subscription,
}

impl Crossings {
    /// Some stream is imported.
    pub fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Acquire)
    }

    /// Some subscription has a shadow.
    pub fn has_shadows(&self) -> bool {
        self.shadows.load(Ordering::Acquire)
    }

    /// The imports that are not in force, with reasons.
    pub fn refused(&self) -> Vec<ImportRefusal> {
        self.table.lock().refused.clone()
    }

    /// The crossings in force.
    pub fn list(&self) -> Vec<Arc<Crossing>> {
        let table = self.table.lock();
        table.services.iter().map(|(crossing, _)| crossing).chain(&*table.streams).cloned().collect()
    }

    /// When the first crossing after the second `after` expires, Unix seconds.
    pub fn next_expiry(&self, after: i64) -> Option<i64> {
        self.list().iter().filter_map(|crossing| crossing.expires).filter(|at| *at > after).min()
    }

    /// Puts exactly `wanted` in force. A crossing that stays the same is not interrupted.
    pub(super) fn replace(
        &self,
        broker: &Arc<Broker>,
        importer: &Arc<Tenant>,
        wanted: Vec<Arc<Crossing>>,
        refused: Vec<ImportRefusal>,
    ) {
        let (services, streams): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|crossing| crossing.kind == ExportKind::Service);
        self.replace_services(broker, importer, services);
        self.replace_streams(broker, importer, streams);
        self.table.lock().refused = refused;
    }

    fn replace_services(&self, broker: &Arc<Broker>, importer: &Arc<Tenant>, wanted: Vec<Arc<Crossing>>) {
        let mut table = self.table.lock();
        let stay = all_terms(&wanted);
        let (kept, ended): (Vec<_>, Vec<_>) =
            std::mem::take(&mut table.services).into_iter().partition(|(old, _)| stay.contains(&Terms(old.clone())));
        table.services = kept;
        let mut known: HashSet<_, RandomState> = table.services.iter().map(|(old, _)| Terms(old.clone())).collect();
        let mut begun = Vec::new();
        for crossing in wanted {
            if known.insert(Terms(crossing.clone())) {
                let subscription = Service::subscription(importer, crossing.clone());
                begun.push(subscription.clone());
                table.services.push((crossing, subscription));
            }
        }
        drop(table);
        let go_on: HashSet<_, RandomState> = known.iter().map(|Terms(it)| (&it.exporter, it.export.as_str())).collect();
        for (crossing, subscription) in ended {
            subscription.close();
            importer.interest.remove(&subscription);
            if !go_on.contains(&(&crossing.exporter, crossing.export.as_str())) {
                end_import(broker, importer, &crossing);
            }
        }
        for subscription in begun {
            importer.interest.insert(&subscription);
        }
    }

    /// Closes the ways back of a service import that is no more: it must not be answered after its end.
    pub(super) fn end_answers(&self, broker: &Broker, importer: &Arc<Tenant>, ended: &Crossing) {
        let goes_on = |crossing: &Crossing| crossing.exporter == ended.exporter && crossing.export == ended.export;
        if self.table.lock().services.iter().any(|(crossing, _)| goes_on(crossing)) {
            return;
        }
        end_import(broker, importer, ended);
    }

    fn replace_streams(&self, broker: &Arc<Broker>, importer: &Arc<Tenant>, wanted: Vec<Arc<Crossing>>) {
        let mut table = self.table.lock();
        let (before, now) = (all_terms(&table.streams), all_terms(&wanted));
        let new: Vec<_> = wanted.iter().filter(|new| !before.contains(&Terms(Arc::clone(new)))).cloned().collect();
        self.streams.store(!wanted.is_empty(), Ordering::Release);
        table.shadows.retain(|_, shadows| {
            shadows.retain(|shadow| {
                let stays = now.contains(&Terms(shadow.crossing.clone()));
                if !stays {
                    shadow.end();
                }
                stays
            });
            !shadows.is_empty()
        });
        table.streams = wanted.into();
        let listeners: Vec<_> = table.listeners.values().cloned().collect();
        drop(table);
        if new.is_empty() {
            return;
        }
        for subscription in &listeners {
            self.add_shadows_for(broker, subscription, &new);
        }
        for connection in importer.connections().into_iter().chain(importer.leaf_connections()) {
            for subscription in connection.subscription_list() {
                self.add_shadows_for(broker, &subscription, &new);
            }
        }
    }

    pub(super) fn add_shadows(&self, broker: &Arc<Broker>, subscription: &Subscription) {
        let streams = self.table.lock().streams.clone();
        self.add_shadows_for(broker, subscription, &streams);
    }

    /// Gives a subscription of the broker itself its shadows, now and when imports change.
    pub(super) fn add_listener(&self, broker: &Arc<Broker>, subscription: &Subscription) {
        let mut table = self.table.lock();
        table.listeners.insert(subscription.address(), subscription.clone());
        let streams = table.streams.clone();
        drop(table);
        self.add_shadows_for(broker, subscription, &streams);
    }

    pub(super) fn drop_listener(&self, subscription: &Subscription) {
        self.table.lock().listeners.remove(&subscription.address());
        self.drop_shadows(subscription);
    }

    fn add_shadows_for(&self, broker: &Arc<Broker>, original: &Subscription, streams: &[Arc<Crossing>]) {
        for crossing in streams {
            let Some(exporter) = broker.tenants.find(&crossing.exporter) else { continue };
            if let Some(subscription) = stream::shadow(broker, original, crossing) {
                let mut table = self.table.lock();
                let held = table.shadows.entry(original.address()).or_default();
                let known = held.iter().any(|shadow| {
                    same(&shadow.crossing, crossing) && shadow.subscription.subject() == subscription.subject()
                });
                if known || original.is_closed() || !table.streams.iter().any(|current| same(current, crossing)) {
                    continue;
                }
                let shadow = Shadow {
                    crossing: crossing.clone(),
                    exporter: exporter.clone(),
                    subscription: subscription.clone(),
                };
                table.shadows.entry(original.address()).or_default().push(shadow);
                self.shadows.store(true, Ordering::Release);
                exporter.interest.insert(&subscription);
            }
        }
        // The client may have ended the subscription while its shadows were being made.
        if original.is_closed() {
            self.drop_shadows(original);
        }
    }

    pub(super) fn drop_shadows(&self, original: &Subscription) {
        let gone = self.table.lock().shadows.remove(&original.address()).unwrap_or_default();
        for shadow in gone {
            shadow.end();
        }
    }
}

/// A crossing, compared by what it lets pass and in which form.
struct Terms(Arc<Crossing>);

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for Terms {}

impl Hash for Terms {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.0.exporter, self.0.local.as_str(), self.0.remote.as_str()).hash(state);
    }
}

fn all_terms(crossings: &[Arc<Crossing>]) -> HashSet<Terms, RandomState> {
    crossings.iter().cloned().map(Terms).collect()
}

fn end_import(broker: &Broker, importer: &Arc<Tenant>, ended: &Crossing) {
    if let Some(exporter) = broker.tenants.find(&ended.exporter) {
        exporter.crossings.replies.end_import(importer, &ended.export);
    }
}

impl Shadow {
    fn end(&self) {
        self.subscription.close();
        self.exporter.interest.remove(&self.subscription);
    }
}

/// Two compiled crossings let the same messages pass in the same form.
fn same(one: &Crossing, other: &Crossing) -> bool {
    one.kind == other.kind
        && one.exporter == other.exporter
        && one.local == other.local
        && one.remote == other.remote
        && one.outward.destination() == other.outward.destination()
        && one.inward.destination() == other.inward.destination()
        && one.export == other.export
        && (one.share, one.allow_trace, one.response, one.threshold_ns, one.expires)
            == (other.share, other.allow_trace, other.response, other.threshold_ns, other.expires)
        && one.latency.as_ref().map(|latency| (&latency.results, format!("{:?}", latency.sampling)))
            == other.latency.as_ref().map(|latency| (&latency.results, format!("{:?}", latency.sampling)))
}

/// Whether a sink is one that the border made.
pub(super) fn inside(receiver: Arc<dyn crate::routing::Receiver>) -> Sink {
    Sink::Inside(receiver)
}
