//! JetStream in one broker: which accounts have it, the threads that work for it, what the broker is told of it.
//!
//! ```text
//! member     an account that has streams; its streams' way to the node
//! receivers  what arrives, on publishers' threads
//! desk       requests that wait for a thread          advisory   who asks, and what operators are told
//! shares     the same from accounts that streams are shared with
//! port       the way out                              watches    who waits for interest to come or go
//! fair       queues with a lane for each account      workers, timer    threads
//! settings   from the configuration                   view       monitoring
//! readers    who gets what push consumers deliver, where reading needs permission
//! apart      work that takes its time                   purge      an account's streams, as operators ask
//! scrub      the search for damage
//! ```
//!
//! The broker holds the [`Node`] as its [`Extension`] and tells it of accounts. An account's terms say whether it has
//! streams; the system account never has.

mod advisory;
mod apart;
mod desk;
mod fair;
mod member;
mod port;
mod purge;
mod readers;
mod receivers;
mod scrub;
mod settings;
mod shares;
mod timer;
mod view;
mod watches;
mod workers;

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use cordon_accounts::claims::JetStreamLimits;
use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_auth::lookup::AccountLookup as _;
use cordon_server::broker::Broker;
use cordon_server::config::jetstream::JetStreamOptions;
use cordon_server::extension::{Extension, Pending};
use cordon_server::monitoring::Fault;
use cordon_server::monitoring::jsz::{HealthOptions, JszOptions};
use cordon_server::protocol::info::EMULATED_VERSION;
use cordon_server::tenant::{JetStreamTerms, Tenant};
use foldhash::quality::RandomState;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::account::{Account, AccountLimits, Limits, Settings, Setup, Totals};
use crate::api;
use crate::port::Port;
use crate::stream::{DirectRequest, Stream};
use apart::Apart;
use desk::{Ask, Lane, Lanes, Request};
use fair::Fair;
use member::{Desk, Member};
use port::AccountPort;
use receivers::{API, Door};
use scrub::Scrub;
use shares::Shares;
use timer::Timer;
use watches::Watches;
use workers::{Crew, Workers};

/// Threads that may wait for a disk, for streams; there are more than processors, since they mostly wait.
const STREAM_THREADS: usize = 8;
/// Of them, those that one account keeps busy.
const STREAM_THREADS_OF_ONE: usize = 6;
/// Threads that answer requests.
const REQUEST_THREADS: usize = 8;
/// Requests of one account that one thread answers before its answers are written to sockets and others have their turn.
const REQUESTS_AT_ONCE: usize = 64;

/// JetStream of one broker.
pub struct Node {
    shared: Arc<Shared>,
    options: JetStreamOptions,
}

/// What its parts share.
pub(crate) struct Shared {
    broker: OnceLock<Weak<Broker>>,
    runtime: OnceLock<Handle>,
    settings: OnceLock<Arc<Settings>>,
    totals: Arc<Totals>,
    streams: Arc<Fair<Arc<Stream>>>,
    requests: Arc<Fair<Request>>,
    lanes: Lanes,
    timer: Arc<Timer>,
    workers: Workers,
    apart: Arc<Apart>,
    scrub: Scrub,
    places: RwLock<HashMap<AccountName, Arc<Place>, RandomState>>,
    next_lane: AtomicU64,
    unique_tag: String,
    /// In every account, nobody reads of a stream what it may not subscribe to.
    reads_need_permission: bool,
    lock: Mutex<Option<File>>,
}

/// What stays with an account of the broker, whether it has streams at the moment or not.
struct Place {
    tenant: Weak<Tenant>,
    door: Arc<Door>,
    watches: Arc<Watches>,
    /// Reading needs permission there.
    checked: Arc<AtomicBool>,
    /// Held while streams come or go.
    changing: Mutex<()>,
}

impl Node {
    /// Nothing happens before the broker says that it begins.
    pub fn new(options: JetStreamOptions) -> Arc<Self> {
        let usual = desk::REQUESTS_MAX;
        let lanes = Lanes {
            changes: options.request_queue_limit.unwrap_or(usual),
            looks: options.info_queue_limit.or(options.request_queue_limit).unwrap_or(usual),
        };
        let shared = Arc::new(Shared {
            broker: OnceLock::new(),
            runtime: OnceLock::new(),
            settings: OnceLock::new(),
            totals: Arc::default(),
            streams: Arc::new(Fair::new(STREAM_THREADS_OF_ONE)),
            requests: Arc::new(Fair::new(1)),
            lanes,
            timer: Arc::default(),
            workers: Workers::default(),
            apart: Apart::new(),
            scrub: Scrub::new(&options),
            places: RwLock::default(),
            next_lane: AtomicU64::new(0),
            unique_tag: options.unique_tag.clone(),
            reads_need_permission: options.reads_need_permission,
            lock: Mutex::new(None),
        });
        Arc::new(Self { shared, options })
    }

    fn announce(&self, settings: &Settings) {
        let folder = settings.store_dir.as_ref().map(|folder| folder.join("jetstream")).unwrap_or_default();
        tracing::info!("---------------- JETSTREAM ----------------");
        tracing::info!("  Strict:          {}", settings.strict);
        tracing::info!("  Max Memory:      {}", settings::shown_bytes(settings.max_memory));
        tracing::info!("  Max Storage:     {}", settings::shown_bytes(settings.max_storage));
        tracing::info!("  Store Directory: \"{}\"", folder.display());
        if let Some(domain) = &settings.domain {
            tracing::info!("  Domain:          {domain}");
        }
        tracing::info!("  API Level:       {}", crate::config::level::API_LEVEL);
        tracing::info!("-------------------------------------------");
        if self.options.store_dir.is_none() {
            tracing::warn!("Temporary storage directory used, data could be lost on system reboot: set `store_dir`");
        }
    }

    /// Accounts that have streams on disk and that nobody has asked for yet: their streams serve from the start.
    async fn load_stored(&self, broker: &Arc<Broker>) {
        let Some(accounts) = broker.tenants.accounts() else { return };
        let folder = self.shared.settings.get().and_then(|settings| settings.store_dir.clone()).unwrap_or_default();
        let Ok(entries) = std::fs::read_dir(folder.join("jetstream")) else { return };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for key in names.filter_map(|name| name.parse::<AccountKey>().ok()) {
            match accounts.account(&key, broker.clock.unix_seconds()).await {
                Ok(record) => broker.tenants.install(broker, record).await,
                Err(error) => tracing::warn!(account = %key, "streams on disk stay closed: {error}"),
            }
        }
    }
}

impl Extension for Node {
    fn begin(&self, broker: &Arc<Broker>) -> Result<(), String> {
        tracing::info!("Starting JetStream");
        let shared = &self.shared;
        let lock = settings::open_folder(&settings::store_dir(&self.options)).map_err(|error| error.to_string())?;
        *shared.lock.lock() = Some(lock);
        purge::sweep(&settings::store_dir(&self.options).join("jetstream"));
        let settings = Arc::new(settings::settings(&self.options, &broker.name, EMULATED_VERSION));
        self.announce(&settings);
        // The broker begins once.
        let _first = (shared.broker.set(Arc::downgrade(broker)), shared.settings.set(settings));
        let runtime = Handle::current();
        shared.start_threads(&runtime, broker).map_err(|error| format!("threads cannot be started: {error}"))?;
        let _first = shared.runtime.set(runtime);
        Ok(())
    }

    fn ready<'a>(&'a self, broker: &'a Arc<Broker>) -> Pending<'a> {
        Box::pin(async move {
            let began = Instant::now();
            self.load_stored(broker).await;
            for tenant in broker.tenants.all() {
                self.tenant_changed(&tenant).await;
            }
            tracing::info!("Took {:?} to start JetStream", began.elapsed());
        })
    }

    fn tenant_changed<'a>(&'a self, tenant: &'a Arc<Tenant>) -> Pending<'a> {
        let (shared, tenant) = (self.shared.clone(), tenant.clone());
        Box::pin(async move {
            // Streams are read from a disk.
            let done = tokio::task::spawn_blocking(move || shared.adjust(&tenant)).await;
            if let Err(error) = done {
                tracing::error!("streams of an account cannot be opened: {error}");
            }
        })
    }

    fn stop(&self) -> Pending<'_> {
        let shared = self.shared.clone();
        Box::pin(async move {
            tracing::info!("Initiating JetStream Shutdown...");
            let done = tokio::task::spawn_blocking(move || shared.stop()).await;
            match done {
                Ok(()) => tracing::info!("JetStream Shutdown"),
                Err(error) => tracing::error!("JetStream did not stop as it should: {error}"),
            }
        })
    }

    fn domain(&self) -> Option<Arc<str>> {
        self.options.domain.clone()
    }

    fn serves(&self, tenant: &Tenant) -> bool {
        self.shared.member(&tenant.name).is_some()
    }

    fn varz(&self) -> Value {
        view::varz(&self.shared)
    }

    fn jsz(&self, options: &JszOptions) -> Result<Value, Fault> {
        view::jsz(&self.shared, options)
    }

    fn account(&self, name: &str, options: &JszOptions) -> Result<Value, Fault> {
        view::account(&self.shared, name, options)
    }

    fn healthz(&self, options: &HealthOptions) -> Option<(u16, String)> {
        view::healthz(&self.shared, options)
    }
}

impl Shared {
    fn start_threads(self: &Arc<Self>, runtime: &Handle, broker: &Arc<Broker>) -> std::io::Result<()> {
        let broken = |stream: &Arc<Stream>| {
            tracing::error!(stream = %stream.name(), "a stream failed by a defect of the broker");
        };
        let run = |stream: &Arc<Stream>, _| stream.run();
        self.workers.start(
            Crew { name: "cordon-stream", count: STREAM_THREADS, run: 1 },
            &self.streams,
            runtime,
            run,
            broken,
        )?;
        let failed = |request: &Request| {
            request.member.port.flush();
            desk::answered(request);
            tracing::error!(subject = request.subject, "a request failed by a defect of the broker");
        };
        let api = Crew { name: "cordon-js-api", count: REQUEST_THREADS, run: REQUESTS_AT_ONCE };
        self.workers.start(api, &self.requests, runtime, answer, failed)?;
        let (timer, clock) = (self.timer.clone(), broker.clock.clone());
        self.workers.start_one("cordon-js-timer", move || timer.run(&clock))?;
        if self.scrub.is_on() {
            let (node, runtime) = (self.clone(), runtime.clone());
            let scrub = move || {
                let _inside = runtime.enter();
                node.scrub.run(&node);
            };
            self.workers.start_one("cordon-js-scrub", scrub)?;
        }
        Ok(())
    }

    /// In that account, nobody reads of a stream what it may not subscribe to.
    fn reads_need_permission(&self, tenant: &Tenant) -> bool {
        let of_account = || {
            tenant
                .terms()
                .is_some_and(|terms| terms.jetstream.as_ref().is_some_and(|terms| terms.reads_need_permission))
        };
        self.reads_need_permission || of_account()
    }

    fn broker(&self) -> Option<Arc<Broker>> {
        self.broker.get()?.upgrade()
    }

    /// The account as it is served, if it is.
    fn member(&self, name: &AccountName) -> Option<Arc<Member>> {
        self.places.read().get(name)?.door.member()
    }

    /// All accounts that are served, by name.
    fn members(&self) -> Vec<Arc<Member>> {
        let mut all: Vec<_> = self.places.read().values().filter_map(|place| place.door.member()).collect();
        all.sort_by(|one, other| one.account.name().cmp(other.account.name()));
        all
    }

    /// Gives an account streams, changes its limits or takes its streams away, as its terms say. Reads from a disk.
    fn adjust(self: &Arc<Self>, tenant: &Arc<Tenant>) {
        let place = self.place(tenant);
        if tenant.is_system() {
            return;
        }
        let _one_at_a_time = place.changing.lock();
        let checked = self.reads_need_permission(tenant);
        let changed = place.checked.swap(checked, Ordering::Relaxed) != checked;
        let terms = tenant.terms().map_or_else(
            // Where nobody asks who connects, there is one account, and no terms.
            || {
                tenant
                    .broker()
                    .filter(|broker| broker.tenants.configured().is_none() && broker.tenants.accounts().is_none())
                    .map(|_| Arc::new(JetStreamTerms::unlimited()))
            },
            |terms| terms.jetstream.clone(),
        );
        match (terms.map(|terms| limits(&terms)), place.door.member()) {
            (Some(limits), Some(member)) => {
                member.account.set_limits(limits);
                if changed {
                    // Receivers of push consumers are looked at anew.
                    member.account.streams().iter().for_each(Stream::wake);
                }
                shares::end_withdrawn(tenant, &member);
            }
            (Some(limits), None) => self.enable(tenant, &place, limits),
            (None, Some(member)) => {
                place.door.set_member(None);
                member.close();
                tracing::info!(account = %tenant.name, "the account has no JetStream any more; its streams stay on disk");
            }
            (None, None) => {}
        }
        if tenant.terms().is_none() && place.door.member().is_none() {
            self.forget(&place, tenant);
        }
    }

    fn place(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Arc<Place> {
        let mut places = self.places.write();
        if let Some(known) = places.get(&tenant.name).filter(|known| known.tenant.as_ptr() == Arc::as_ptr(tenant)) {
            return known.clone();
        }
        let door = Arc::new(Door::new(self, tenant));
        let watches = Arc::new(Watches::new(self.timer.clone()));
        tenant.interest.watch(watches.clone());
        member::subscribe(tenant, &[API, b">"].concat(), door.clone());
        member::subscribe(tenant, b"$JS.SHARE.*.*.>", Arc::new(Shares::new(&door)));
        let place = Arc::new(Place {
            tenant: Arc::downgrade(tenant),
            door,
            watches,
            checked: Arc::default(),
            changing: Mutex::new(()),
        });
        places.insert(tenant.name.clone(), place.clone());
        place
    }

    /// The account is no more.
    fn forget(&self, place: &Arc<Place>, tenant: &Arc<Tenant>) {
        let gone = self
            .broker()
            .is_none_or(|broker| broker.tenants.find(&tenant.name).is_none_or(|known| !Arc::ptr_eq(&known, tenant)));
        let mut places = self.places.write();
        if gone && places.get(&tenant.name).is_some_and(|known| Arc::ptr_eq(known, place)) {
            places.remove(&tenant.name);
        }
    }

    fn enable(self: &Arc<Self>, tenant: &Arc<Tenant>, place: &Place, limits: AccountLimits) {
        let (Some(settings), Some(runtime)) = (self.settings.get(), self.runtime.get()) else { return };
        let Some(broker) = self.broker() else { return };
        let port: Arc<dyn Port> =
            Arc::new(AccountPort::new(tenant, runtime.clone(), place.watches.clone(), place.checked.clone()));
        let system = broker.tenants.system().map(|system| -> Arc<dyn Port> {
            let nobody = Arc::new(Watches::new(self.timer.clone()));
            Arc::new(AccountPort::new(system, runtime.clone(), nobody, Arc::default()))
        });
        let lane = self.next_lane.fetch_add(2, Ordering::Relaxed);
        let host = Arc::new(Desk::new(
            lane,
            tenant,
            self.timer.clone(),
            self.streams.clone(),
            (self.apart.clone(), runtime.clone()),
        ));
        let account = Account::new(Setup {
            name: tenant.name.clone(),
            settings: settings.clone(),
            totals: self.totals.clone(),
            host: host.clone(),
            port: port.clone(),
            system: system.clone(),
            clock: broker.clock.clone(),
            limits,
        });
        place.watches.belong_to(Arc::downgrade(&account));
        let lanes = (Lane::new(&self.requests, lane), Lane::new(&self.requests, lane + 1));
        let member = Member::new(account.clone(), tenant.clone(), (port, system), lanes, broker.clock.clone(), host);
        let _inside = runtime.enter();
        if let Err(error) = account.recover() {
            tracing::error!(account = %tenant.name, "the account gets no JetStream, its streams cannot be opened: {error}");
            return;
        }
        shares::end_withdrawn(tenant, &member);
        member.open(&place.door);
        place.door.set_member(Some(Arc::new(member)));
    }

    /// Nothing is taken any more; what was taken is on disk when this returns.
    fn stop(&self) {
        self.scrub.stop();
        let places: Vec<_> = self.places.read().values().cloned().collect();
        let runtime = self.runtime.get().map(Handle::enter);
        for place in places {
            let _one_at_a_time = place.changing.lock();
            if let Some(member) = place.door.member() {
                place.door.set_member(None);
                member.close();
            }
        }
        drop(runtime);
        self.apart.stop();
        self.timer.stop();
        self.streams.close();
        self.requests.close();
        self.workers.join();
        *self.lock.lock() = None;
    }
}

/// Answers a request; on one of the threads for it.
fn answer(request: &Request, is_last: bool) {
    let account = &request.member.account;
    let port = &request.member.port;
    match request.ask {
        Ask::Direct => {
            let tail = request.subject.strip_prefix("$JS.API.DIRECT.GET.").unwrap_or_default();
            let (name, subject) = tail.split_once('.').map_or((tail, None), |(name, subject)| (name, Some(subject)));
            if let Some(stream) = account.direct(name) {
                let reader = request.reader();
                let asked = DirectRequest {
                    subject,
                    header: &request.header,
                    payload: &request.payload,
                    reply: &request.reply,
                    reader: reader.as_deref(),
                };
                stream.direct_get(&asked);
            }
        }
        Ask::Api => {
            let reader = request.reader();
            let asked = api::Request {
                reader: reader.as_deref(),
                subject: &request.subject,
                header: &request.header,
                payload: &request.payload,
                reply: &request.reply,
                share: request.share.as_deref(),
                client: advisory::client(request),
            };
            if let Some(answer) = api::serve(account, &asked).filter(|_| !request.reply.is_empty()) {
                let header = api::answer_header(account, &asked);
                let to = &request.reply;
                port.send(&crate::port::Outgoing { to, header: &header, payload: &answer, ..Default::default() });
            }
        }
    }
    // A change has taken its time already.
    if is_last || !request.only_looks() {
        port.flush();
    }
    desk::answered(request);
}

/// The terms as accounts go by them.
fn limits(terms: &JetStreamTerms) -> AccountLimits {
    terms.flat.as_ref().map_or_else(
        || AccountLimits::Tiered(terms.tiers.iter().map(|(tier, limits)| (tier.clone(), of_tier(limits))).collect()),
        |flat| AccountLimits::Flat(of_tier(flat)),
    )
}

/// -1 is without bound; where 0 would allow nothing at all, it is without bound, too.
fn of_tier(limits: &JetStreamLimits) -> Limits {
    let unless_zero = |limit: i64| if limit == 0 { -1 } else { limit };
    Limits {
        max_memory: limits.mem_storage.0,
        max_storage: limits.disk_storage.0,
        max_streams: unless_zero(limits.streams.0),
        max_consumers: unless_zero(limits.consumer.0),
        max_ack_pending: unless_zero(limits.max_ack_pending.0),
        memory_max_stream_bytes: unless_zero(limits.mem_max_stream_bytes.0),
        storage_max_stream_bytes: unless_zero(limits.disk_max_stream_bytes.0),
        max_bytes_required: limits.max_bytes_required,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_claims_mean_what_they_mean_to_nats_server() {
        let flat = JetStreamTerms::unlimited();
        assert_eq!(limits(&flat), AccountLimits::Flat(Limits::NONE));
        let given = JetStreamLimits { disk_storage: cordon_accounts::limits::Limit(5), ..JetStreamLimits::default() };
        let tiers = [("R1".to_owned(), given)].into();
        let AccountLimits::Tiered(tiers) = limits(&JetStreamTerms { flat: None, tiers, ..JetStreamTerms::default() })
        else {
            panic!("tiers")
        };
        assert_eq!((tiers["R1"].max_storage, tiers["R1"].max_memory, tiers["R1"].max_streams), (5, 0, -1));
    }
}
