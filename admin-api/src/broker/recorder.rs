//! What brokers report becomes ledger entries: numbered security events without gaps, and connections.
//!
//! One task reads the queue, so entries of one broker are written in their order. When a number is
//! missing, the broker is asked to replay before anything is written; what it no longer has becomes an
//! entry of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cordon_accounts::key::AccountKey;
use cordon_auth::clock::Clock;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Broker;
use super::event::{BrokerEvent, ConnectionChange, ConnectionEvent};
use crate::issuing::push::Outbox;
use crate::ledger::{Actor, ActorKind, Entry, Outcome, Reference, record_broker_event};
use crate::limits::{BROKERS_MAX, REPLAY_BATCH};
use crate::store::{Store, StoreError};

/// Events written in one transaction.
const BATCH: usize = 256;

/// Connection reports of one account that become entries, per minute; the rest is counted.
const CONNECTION_ENTRIES_PER_MINUTE: u32 = 600;

/// Accounts that are counted at once.
const COUNTED_ACCOUNTS_MAX: usize = 4096;

/// Writes broker events into the ledger.
pub struct Recorder {
    store: Store,
    clock: Clock,
    broker: Arc<dyn Broker>,
    outbox: Outbox,
    /// Stable broker id by the id of its present run.
    stable: HashMap<String, String>,
    /// Servers that number their events: their unnumbered refusals are not written twice.
    numbering: HashSet<String>,
    counts: Counts,
}

/// A security event, taken apart.
struct Numbered {
    broker: String,
    seq: u64,
    raw: Vec<u8>,
    entry: Entry,
}

impl Recorder {
    /// A recorder into this store; `outbox` fills brokers that appear.
    pub fn new(store: Store, clock: Clock, broker: Arc<dyn Broker>, outbox: Outbox) -> Self {
        Self {
            store,
            clock,
            broker,
            outbox,
            stable: HashMap::new(),
            numbering: HashSet::new(),
            counts: Counts::default(),
        }
    }

    /// Reads until the queue ends or it is told to stop; what is in the queue then is still written.
    pub async fn run(mut self, mut events: mpsc::Receiver<BrokerEvent>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let count = tokio::select! {
                count = events.recv_many(&mut batch, BATCH) => count,
                () = stop.cancelled() => 0,
            };
            if count == 0 {
                while let Ok(event) = events.try_recv() {
                    batch.push(event);
                }
                self.take(std::mem::take(&mut batch)).await;
                return;
            }
            self.take(std::mem::take(&mut batch)).await;
        }
    }

    /// Writes a batch of events; what cannot be written is logged, and numbered events come again by replay.
    pub async fn take(&mut self, events: Vec<BrokerEvent>) {
        let mut connections = Vec::new();
        let mut numbered = Vec::new();
        for event in events {
            match event {
                BrokerEvent::Security { server, event } => {
                    if self.numbering.len() < BROKERS_MAX {
                        self.numbering.insert(server.clone());
                    }
                    numbered.push((server, event));
                }
                BrokerEvent::Connection(event) => connections.push(event),
                BrokerEvent::Appeared { server } => self.appeared(&server).await,
                BrokerEvent::Stopped { server } => {
                    self.stable.remove(&server);
                }
                BrokerEvent::Missed => self.replay_all().await,
            }
        }
        for (server, event) in numbered {
            if let Err(error) = self.security(&server, &event).await {
                tracing::error!(%error, "a security event could not be recorded");
            }
        }
        if let Err(error) = self.connections(connections).await {
            tracing::error!(%error, "connection reports could not be recorded");
        }
    }

    async fn appeared(&mut self, server: &str) {
        if let Err(error) = self.outbox.fill(server).await {
            tracing::debug!(%error, server, "could not compare a new broker's accounts");
        }
        if let Err(error) = self.replay(server).await {
            tracing::error!(%error, server, "a broker's security events could not be replayed");
        }
    }

    async fn replay_all(&mut self) {
        for known in self.broker.known() {
            if let Err(error) = self.replay(&known.info.id).await {
                tracing::error!(%error, server = known.info.id, "a broker's security events could not be replayed");
            }
        }
    }

    /// Takes in everything that a broker has beyond what was read.
    async fn replay(&mut self, server: &str) -> Result<(), StoreError> {
        let Some(broker) = self.stable_id(server).await else { return Ok(()) };
        loop {
            let after = self.last_seq(&broker).await?;
            let Ok(Some(page)) = self.broker.replay(server, after, REPLAY_BATCH).await else { return Ok(()) };
            let newest = page.last;
            let events: Vec<Numbered> =
                page.events.iter().filter_map(|event| Numbered::parse(event, self.clock.unix_seconds())).collect();
            let taken = events.iter().map(|event| event.seq).max().unwrap_or(after);
            self.write(events).await?;
            if taken <= after || taken >= newest {
                return Ok(());
            }
        }
    }

    /// The stable id behind a server id: the first event that the broker still has tells it.
    async fn stable_id(&mut self, server: &str) -> Option<String> {
        if let Some(id) = self.stable.get(server) {
            return Some(id.clone());
        }
        let Ok(Some(page)) = self.broker.replay(server, 0, 1).await else { return None };
        if self.numbering.len() < BROKERS_MAX {
            self.numbering.insert(server.to_owned());
        }
        let id = page.events.first()?.get("broker")?.as_str()?.to_owned();
        if self.stable.len() < BROKERS_MAX {
            self.stable.insert(server.to_owned(), id.clone());
        }
        Some(id)
    }

    async fn last_seq(&self, broker: &str) -> Result<u64, StoreError> {
        let mut reader = self.store.read().await?;
        Ok(reader.brokers().lookup(broker).await?.map_or(0, |row| row.last_seq))
    }

    async fn security(&mut self, server: &str, event: &Value) -> Result<(), StoreError> {
        let Some(numbered) = Numbered::parse(event, self.clock.unix_seconds()) else {
            tracing::warn!(server, "a broker sent a security event without a number");
            return Ok(());
        };
        if self.stable.len() < BROKERS_MAX {
            self.stable.insert(server.to_owned(), numbered.broker.clone());
        }
        if numbered.seq > self.last_seq(&numbered.broker).await?.saturating_add(1) {
            self.replay(server).await?;
        }
        self.write(vec![numbered]).await
    }

    async fn write(&self, events: Vec<Numbered>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut unit = self.store.begin("broker.events").await?;
        for event in events {
            let recorded = record_broker_event(&mut unit, &event.broker, event.seq, &event.raw, event.entry).await?;
            tracing::trace!(broker = event.broker, seq = event.seq, ?recorded, "security event");
        }
        unit.save(Vec::new()).await?;
        Ok(())
    }

    async fn connections(&mut self, events: Vec<ConnectionEvent>) -> Result<(), StoreError> {
        let now = self.clock.unix_seconds();
        let mut entries = self.counts.turn(now);
        for event in events {
            let twice = match event.change {
                ConnectionChange::Connected => false,
                // A stock server reports a failed login a second time, as the end of a connection of `$G`.
                ConnectionChange::Disconnected => event.account == "$G" && event.reason == "Authentication Failure",
                ConnectionChange::Refused => self.numbering.contains(&event.server),
            };
            if !twice && self.counts.admit(&event.account) {
                entries.push(connection_entry(&event, now));
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        self.store.begin("broker.connections").await?.save(entries).await?;
        Ok(())
    }
}

impl Numbered {
    /// A security event with its number; the entry says of it what may be said without personal data in
    /// the leaf.
    fn parse(event: &Value, now: i64) -> Option<Self> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let broker = text("broker")?.to_owned();
        let seq = event.get("seq").and_then(Value::as_u64).filter(|seq| *seq > 0)?;
        let reason = text("reason").unwrap_or("internal_error");
        let time = text("time").and_then(|time| time.parse::<crate::model::Time>().ok()).map_or(now, |time| time.0);
        let actor = match text("user") {
            Some(user) => Actor::new(ActorKind::User, user),
            None => Actor::new(ActorKind::Anonymous, ""),
        };
        let entry = match reason {
            // These are no refusals of a peer: somebody with rights had the configuration read again.
            "configuration_reloaded" => Entry::done("broker.reload", actor, time),
            "configuration_refused" => Entry::refused("broker.reload", reason, actor, time),
            _ => Entry::refused("broker.security", reason, actor, time),
        };
        let mut entry = entry.from_address(text("ip").and_then(|ip| ip.parse().ok())).with_detail(event.clone());
        entry.account = text("account").and_then(|account| AccountKey::parse(account).ok());
        entry.object = text("subject").map(str::to_owned);
        if let Some(cid) = event.get("cid").and_then(Value::as_u64) {
            entry.references.push(Reference::Connection { broker: broker.clone(), cid });
        }
        if let Some(jti) = text("jti") {
            entry.references.push(Reference::Claims(jti.to_owned()));
        }
        let raw = serde_json::to_vec(event).ok()?;
        Some(Self { broker, seq, raw, entry })
    }
}

fn connection_entry(event: &ConnectionEvent, now: i64) -> Entry {
    let (kind, outcome) = match event.change {
        ConnectionChange::Connected => ("connection.begin", Outcome::Done),
        ConnectionChange::Disconnected => ("connection.end", Outcome::Done),
        ConnectionChange::Refused => ("connection.refused", Outcome::Refused),
    };
    let time = event.time.parse::<crate::model::Time>().map_or(now, |time| time.0);
    let mut entry = Entry::done(kind, Actor::new(ActorKind::User, event.user.clone()), time)
        .from_address(event.host.parse().ok())
        .on_object(format!("{}/{}", event.server, event.cid))
        .referring_to(Reference::Connection { broker: event.server.clone(), cid: event.cid })
        .with_detail(json!({ "server": event.server_name, "client": event.client_name, "reason": event.reason }));
    entry.outcome = outcome;
    entry.account = AccountKey::parse(&event.account).ok();
    if !event.reason.is_empty() {
        entry.reason = Some(event.reason.clone());
    }
    if let Some(jti) = &event.jti {
        entry.references.push(Reference::Claims(jti.clone()));
    }
    entry
}

/// How many connection reports of each account were written this minute.
#[derive(Default)]
struct Counts {
    minute: i64,
    accounts: HashMap<String, u32>,
    suppressed: u64,
}

impl Counts {
    /// Begins a new minute if it is time; what was left out in the last one becomes an entry.
    fn turn(&mut self, now: i64) -> Vec<Entry> {
        let minute = now.div_euclid(60);
        if minute == self.minute {
            return Vec::new();
        }
        let suppressed = std::mem::take(&mut self.suppressed);
        self.minute = minute;
        self.accounts.clear();
        if suppressed == 0 {
            return Vec::new();
        }
        let entry = Entry::done("connection.suppressed", Actor::system(), now)
            .with_detail(json!({ "reports": suppressed, "per_account_and_minute": CONNECTION_ENTRIES_PER_MINUTE }));
        vec![entry]
    }

    fn admit(&mut self, account: &str) -> bool {
        let full = self.accounts.len() >= COUNTED_ACCOUNTS_MAX && !self.accounts.contains_key(account);
        // Beyond the bound all further accounts share one count.
        let key = if full { "" } else { account };
        let count = self.accounts.entry(key.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        if *count > CONNECTION_ENTRIES_PER_MINUTE {
            self.suppressed = self.suppressed.saturating_add(1);
            return false;
        }
        true
    }
}
