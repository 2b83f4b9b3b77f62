//! Security events: what was refused, to whom, by which rule; numbered without gaps.
//!
//! ```text
//! note()   on a connection's task: flood bound, number, memory    (no disk, no waiting)
//! keep()   one task: write and sync what is new, then publish it in order of numbers
//! ```
//!
//! **Durable when:** an event is published, and given to those who ask again, only after it is on
//! disk. One that was noted but not yet synced when power was lost was never seen by anybody, and
//! its number is given again. So numbers seen outside rise by one, over restarts as well, and a
//! missing number proves a lost event. Without a folder events live in memory and `broker` is the
//! id of this run, so that (`broker`, `seq`) stays unique.
//!
//! An event has the form `{"type":"io.cordon.security.v1","broker":..,"seq":..,"time":..,"reason":..}`
//! with `account`, `user`, `cid`, `ip`, `subject`, `rule`, `detail` and `count` where they apply.

mod flood;
mod journal;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use cordon_auth::clock::Clock;
use cordon_auth::refusal::Refusal;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::system::publish;
use crate::system::security::flood::{Flood, Source};
use crate::system::security::journal::Journal;
use crate::tenant::Tenant;

/// Events kept for whoever asks again.
pub const KEPT: usize = 65_536;
/// Bytes of kept events.
const KEPT_BYTES: usize = 64 * 1024 * 1024;
/// Events that may wait to be written; more are folded into one.
const UNWRITTEN: usize = 8192;
/// Longest text of an event that a peer can influence, in characters.
const TEXT_MAX: usize = 256;
/// Longest text of an event that the broker's own configuration makes, in characters.
const OWN_TEXT_MAX: usize = 4096;
/// How often folded events are reported, and a failed write is tried again.
const TICK: Duration = Duration::from_secs(1);
/// Where a tenant finds its own events, inside its account.
pub const TENANT_FEED: &[u8] = b"$SYS.ACCOUNT.SECURITY";

/// One refusal or forced end.
#[derive(Clone, Debug, Serialize)]
pub struct SecurityEvent {
    /// Why.
    pub reason: &'static str,
    /// The account concerned, when one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The user concerned, when one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The connection; 0 when folded from several.
    #[serde(skip_serializing_if = "is_zero")]
    pub cid: u64,
    /// The peer's address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// The subject, when one was refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The rule that refused it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// More about the cause.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// How often it happened, when several were folded into one.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u64,
    /// What bounds floods of it.
    #[serde(skip)]
    source: Source,
}

#[derive(Serialize)]
struct Numbered<'a> {
    r#type: &'static str,
    broker: &'a str,
    seq: u64,
    time: &'a str,
    #[serde(flatten)]
    event: &'a SecurityEvent,
}

/// An event with its number, as text.
#[derive(Debug)]
struct Kept {
    seq: u64,
    json: Box<str>,
    account: Option<Box<str>>,
}

/// Kept events after some number.
#[derive(Debug)]
pub struct Range {
    /// The first number that is kept; one more than `last` when none is.
    pub first: u64,
    /// The last number given to an event that is on disk.
    pub last: u64,
    /// The events, in order.
    pub events: Vec<Value>,
}

/// The broker's security events.
pub struct Security {
    clock: Clock,
    broker_id: String,
    journal: Option<Arc<Mutex<Journal>>>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    last: u64,
    written: u64,
    kept: VecDeque<Arc<Kept>>,
    kept_bytes: usize,
    flood: Flood,
    folded: u64,
    trouble: Option<String>,
}

impl SecurityEvent {
    /// An event about a connection.
    pub fn of(connection: &Connection, reason: Reason) -> Self {
        let identity = connection.identity();
        let principal = identity.principal;
        let address = connection.peer().ip();
        Self {
            reason: reason.code(),
            account: principal.as_ref().map(|principal| principal.account.to_string()),
            source: principal.as_ref().map_or_else(
                || Source::address(address),
                |principal| Source::user(principal.account.as_str(), &principal.user),
            ),
            user: principal.map(|principal| principal.user.clone()),
            cid: connection.cid,
            ip: address.to_string(),
            subject: String::new(),
            rule: String::new(),
            detail: String::new(),
            count: 0,
        }
    }

    /// An event about a refused proof.
    pub fn of_refusal(connection: &Connection, refusal: &Refusal) -> Self {
        Self {
            account: refusal.account.as_ref().map(ToString::to_string),
            user: refusal.user.as_deref().map(clip),
            detail: clip(&refusal.detail),
            ..Self::of(connection, refusal.reason)
        }
    }

    /// An event about a connection that one account did not take.
    pub fn of_account(connection: &Connection, tenant: &Tenant, reason: Reason) -> Self {
        Self { account: Some(tenant.name.to_string()), ..Self::of(connection, reason) }
    }

    /// An event of the broker itself. `detail` is ours, and may be longer than what peers can influence.
    pub fn of_broker(reason: Reason, detail: &str) -> Self {
        Self {
            reason: reason.code(),
            account: None,
            user: None,
            cid: 0,
            ip: String::new(),
            subject: String::new(),
            rule: String::new(),
            detail: detail.chars().take(OWN_TEXT_MAX).collect(),
            count: 0,
            source: Source::user("", ""),
        }
    }

    /// With whoever asked for it.
    pub fn by(self, account: &str, user: &str, cid: u64, ip: IpAddr) -> Self {
        Self {
            account: Some(account.to_owned()),
            user: Some(clip(user)),
            cid,
            ip: ip.to_string(),
            source: Source::user(account, user),
            ..self
        }
    }

    /// With the subject, rule and cause.
    pub fn about(mut self, subject: &[u8], rule: &str, detail: &str) -> Self {
        self.subject = clip(&String::from_utf8_lossy(subject));
        self.rule = clip(rule);
        self.detail = clip(detail);
        self
    }
}

impl Security {
    /// Security events of this broker; kept in `folder` when there is one, and numbered on from
    /// what is found there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, or another broker uses it.
    pub fn open(folder: Option<&Path>, clock: Clock) -> std::io::Result<Self> {
        let Some(folder) = folder else {
            return Ok(Self::new(nuid::next().to_string(), None, State::default(), clock));
        };
        let (journal, found) = Journal::open(folder)?;
        let mut state = State { last: found.last, written: found.last, ..State::default() };
        for record in found.records {
            state.keep(Kept { seq: record.seq, account: account_of(&record.json), json: record.json });
        }
        Ok(Self::new(found.broker_id, Some(Arc::new(Mutex::new(journal))), state, clock))
    }

    fn new(broker_id: String, journal: Option<Arc<Mutex<Journal>>>, state: State, clock: Clock) -> Self {
        Self { clock, broker_id, journal, state: Mutex::new(state), wake: Notify::new() }
    }

    /// The id that goes with the numbers: stable where events are kept in a folder.
    pub fn broker_id(&self) -> &str {
        &self.broker_id
    }

    /// Notes an event: it gets the next number, or is folded with others of its source when there
    /// are too many. Never waits for the disk.
    pub fn note(&self, event: SecurityEvent) {
        let now = self.clock.nanos();
        let mut state = self.state.lock();
        let full = state.is_full();
        let Some(event) = state.flood.admit(event, full, now) else {
            state.folded += 1;
            return;
        };
        self.number(&mut state, &event);
        drop(state);
        log(&event);
        self.wake.notify_one();
    }

    fn number(&self, state: &mut State, event: &SecurityEvent) {
        state.last += 1;
        let time = self.clock.rfc3339();
        let numbered =
            Numbered { r#type: "io.cordon.security.v1", broker: &self.broker_id, seq: state.last, time: &time, event };
        let json = serde_json::to_string(&numbered).unwrap_or_default().into_boxed_str();
        let account = event.account.as_deref().map(Into::into);
        state.keep(Kept { seq: state.last, json, account });
    }

    /// What is kept after the number `after`: at most `limit` events and about `bytes` bytes.
    pub fn after(&self, after: u64, limit: usize, bytes: usize) -> Range {
        let state = self.state.lock();
        let first = state.kept.front().map_or(state.written + 1, |kept| kept.seq);
        let mut left = bytes;
        let start = state.kept.partition_point(|kept| kept.seq <= after);
        let wanted = state.kept.range(start..).take_while(|kept| kept.seq <= state.written).take(limit);
        let wanted: Vec<Arc<Kept>> = wanted
            .take_while(|kept| {
                let fits = left > 0;
                left = left.saturating_sub(kept.json.len());
                fits
            })
            .cloned()
            .collect();
        let last = state.written;
        drop(state);
        let events = wanted.iter().filter_map(|kept| serde_json::from_str(&kept.json).ok()).collect();
        Range { first: first.min(last + 1), last, events }
    }

    /// Why events cannot be kept, while that is so.
    pub fn trouble(&self) -> Option<String> {
        self.state.lock().trouble.clone()
    }

    /// Events numbered, events folded into others, and events not on disk yet.
    pub fn figures(&self) -> (u64, u64, u64) {
        let state = self.state.lock();
        (state.last, state.folded, state.last - state.written)
    }

    /// Gives what was folded in the last seconds its number.
    fn unfold(&self) {
        let now = self.clock.nanos();
        let mut state = self.state.lock();
        if state.is_full() {
            // Nothing can be written: what is folded goes on counting instead of piling up.
            return;
        }
        for event in state.flood.sweep(now) {
            self.number(&mut state, &event);
            log(&event);
        }
    }

    /// Writes what is new, and returns it once it is on disk; nothing when there is nothing, or
    /// the disk fails.
    async fn write(&self) -> Vec<Arc<Kept>> {
        let new: Vec<Arc<Kept>> = {
            let state = self.state.lock();
            let start = state.kept.partition_point(|kept| kept.seq <= state.written);
            state.kept.range(start..).cloned().collect()
        };
        let Some(last) = new.last().map(|kept| kept.seq) else { return new };
        let outcome = match self.journal.clone() {
            None => Ok(()),
            Some(journal) => {
                let records = new.clone();
                let write = move || journal.lock().append(records.iter().map(|kept| (kept.seq, &*kept.json)));
                tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
            }
        };
        let mut state = self.state.lock();
        match outcome {
            Ok(()) => {
                state.written = last;
                state.trouble = None;
                new
            }
            Err(error) => {
                if state.trouble.is_none() {
                    tracing::error!("security events cannot be written, and are not published until they can: {error}");
                }
                state.trouble = Some(error.to_string());
                Vec::new()
            }
        }
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.last - self.written >= UNWRITTEN as u64
    }

    fn keep(&mut self, kept: Kept) {
        self.kept_bytes += kept.json.len();
        self.kept.push_back(Arc::new(kept));
        while (self.kept.len() > KEPT || self.kept_bytes > KEPT_BYTES)
            && self.kept.front().is_some_and(|first| first.seq <= self.written)
            && let Some(first) = self.kept.pop_front()
        {
            self.kept_bytes -= first.json.len();
        }
    }
}

/// Writes and publishes events until the broker stops.
pub async fn keep(broker: Arc<Broker>) {
    let security = &broker.security;
    let mut stopping = false;
    while !stopping {
        tokio::select! {
            () = broker.stopping.cancelled() => stopping = true,
            () = security.wake.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        security.unfold();
        for kept in security.write().await {
            broadcast(&broker, &kept);
        }
        if security.trouble().is_some() && !stopping {
            tokio::time::sleep(TICK).await;
        }
    }
}

fn broadcast(broker: &Broker, kept: &Kept) {
    if let Some(system) = broker.tenants.system() {
        let subject = format!("$SYS.SERVER.{}.CORDON.SECURITY", broker.id);
        publish(broker, system, subject.as_bytes(), b"", kept.json.as_bytes());
    }
    let tenant = kept.account.as_deref().and_then(|account| broker.tenants.find(&AccountName::new(account)));
    if let Some(tenant) = tenant.filter(|tenant| !tenant.is_system()) {
        publish(broker, &tenant, TENANT_FEED, b"", kept.json.as_bytes());
    }
}

fn log(event: &SecurityEvent) {
    if event.reason == Reason::ConfigurationReloaded.code() || event.reason == Reason::ConfigurationRefused.code() {
        // It has been logged, change by change.
        return;
    }
    tracing::info!(
        reason = event.reason,
        account = event.account,
        user = event.user,
        connection.id = event.cid,
        ip = event.ip,
        subject = event.subject,
        count = event.count,
        "refused"
    );
}

fn account_of(json: &str) -> Option<Box<str>> {
    let event: Value = serde_json::from_str(json).ok()?;
    Some(event.get("account")?.as_str()?.into())
}

fn clip(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests;
