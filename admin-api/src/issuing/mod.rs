//! Issuing: every change to an operator, an account or a user goes through here.
//!
//! ```text
//! authorize (the caller's business) -> begin a unit -> read -> edit -> validate -> effect, if only asked
//!   -> sign -> write state, outbox, idempotent answer and ledger entry in one transaction -> push
//! ```
//!
//! The push is not part of the transaction: [`push::Outbox`] takes it from the store and repeats it until
//! every known broker confirmed it. A crash between the two is repaired at the next start, because the
//! outbox is read from the store and from nowhere else.
//!
//! To add a change of an account: open an [`edit::AccountEdit`], edit its draft, `apply` and `save` it.

pub mod accounts;
pub mod activations;
pub mod certificates;
pub mod console_sessions;
mod draft;
mod edit;
mod effect;
mod error;
pub mod exports;
pub mod imports;
pub mod operator_keys;
pub mod operators;
pub mod push;
pub mod revocations;
pub mod shares;
pub(crate) mod signer;
pub mod signing_keys;
pub mod system_user;
pub mod tokens;
pub mod users;
pub(crate) mod views;
pub(crate) mod web;

use std::net::IpAddr;
use std::sync::Arc;

use cordon_auth::clock::Clock;
use parking_lot::RwLock;
use tokio::sync::Notify;

pub use error::IssueError;

use crate::broker::Broker;
use crate::http::etag::Precondition;
use crate::ledger::{Actor, ActorKind, Entry, Reference};
use crate::limits::IDEMPOTENCY_SECONDS;
use crate::model::Answer;
use crate::store::{IdempotencyRow, Store, Unit};
use crate::vault::Vault;

/// Who acts, from where, and how.
#[derive(Clone, Debug)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub source_ip: Option<IpAddr>,
    /// The request's id, for the ledger.
    pub request_id: Option<String>,
    /// Under which key a repeat of the request is recognised.
    pub idempotency: Option<Idempotency>,
    /// Which version of the object the change is for.
    pub precondition: Precondition,
    /// Whether only the effect is wanted.
    pub dry_run: bool,
}

/// What makes a repeated request recognisable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub digest: [u8; 32],
    /// The HTTP status of the answer.
    pub status: u16,
}

impl Act {
    /// An act of this machine and no HTTP caller: setting up, repairing. `who` names the command.
    pub fn local(who: &str) -> Self {
        Self {
            actor: Actor::new(ActorKind::System, who),
            source_ip: None,
            request_id: None,
            idempotency: None,
            precondition: Precondition::Any,
            dry_run: false,
        }
    }

    /// The beginning of this act's ledger entry.
    pub(crate) fn entry(&self, kind: &str, now: i64) -> Entry {
        let entry = Entry::done(kind, self.actor.clone(), now).from_address(self.source_ip);
        match &self.request_id {
            Some(id) => entry.referring_to(Reference::Request(id.clone())),
            None => entry,
        }
    }
}

/// Signs, stores and pushes. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Issuer {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    vault: Vault,
    clock: Clock,
    broker: RwLock<Option<Arc<dyn Broker>>>,
    /// Rung when the outbox has something new.
    pushes: Notify,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Issuer")
    }
}

impl Issuer {
    /// An issuer over this store and vault, without a broker yet.
    pub fn new(store: Store, vault: Vault, clock: Clock) -> Self {
        Self { shared: Arc::new(Shared { store, vault, clock, broker: RwLock::new(None), pushes: Notify::new() }) }
    }

    /// Where effects are asked and connections are listed from now on.
    pub fn set_broker(&self, broker: Arc<dyn Broker>) {
        *self.shared.broker.write() = Some(broker);
    }

    /// The brokers, when there is a way to them.
    pub fn broker(&self) -> Option<Arc<dyn Broker>> {
        self.shared.broker.read().clone()
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(crate) fn now(&self) -> i64 {
        self.shared.clock.unix_seconds()
    }

    pub(crate) fn pushes(&self) -> &Notify {
        &self.shared.pushes
    }

    /// Begins a unit, unless the request is a repeat.
    pub(crate) async fn begin(&self, act: &Act, name: &'static str) -> Result<Unit, IssueError> {
        let mut unit = self.shared.store.begin(name).await?;
        if let Some(repeat) = &act.idempotency {
            let oldest = self.now() - IDEMPOTENCY_SECONDS;
            unit.idempotency().prune(oldest).await?;
            if let Some(row) = unit.idempotency().lookup(&act.actor.id, &repeat.key, oldest).await? {
                return Err(if row.request_digest == repeat.digest {
                    IssueError::Replay(Box::new(row))
                } else {
                    IssueError::IdempotencyMismatch
                });
            }
        }
        Ok(unit)
    }

    /// Saves the unit with its entries, and the answer for a repeat of the request.
    pub(crate) async fn save<T: Answer>(
        &self,
        act: &Act,
        mut unit: Unit,
        entries: Vec<Entry>,
        answer: &T,
    ) -> Result<(), IssueError> {
        if let Some(repeat) = &act.idempotency {
            let row = IdempotencyRow {
                caller: act.actor.id.clone(),
                key: repeat.key.clone(),
                request_digest: repeat.digest,
                status: repeat.status,
                content_type: "application/json".to_owned(),
                etag: answer.version().map(|version| format!("\"v{version}\"")),
                location: answer.location(),
                body: serde_json::to_vec(&answer.blanked()).unwrap_or_default(),
                created_at: self.now(),
            };
            unit.idempotency().insert(&row).await?;
        }
        unit.save(entries).await?;
        self.shared.pushes.notify_one();
        Ok(())
    }
}

/// A name that people and templates use: not empty, of one line, no longer than the store wants.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), IssueError> {
    if name.trim().is_empty() {
        return Err(IssueError::invalid(field, "a name is needed"));
    }
    if name.trim() != name {
        return Err(IssueError::invalid(field, "a name cannot begin or end with a space"));
    }
    crate::model::plain_text(name, crate::limits::NAME_BYTES_MAX).map_err(|detail| IssueError::invalid(field, detail))
}

/// Labels: bounded in number and length.
pub(crate) fn check_tags(tags: &[String]) -> Result<(), IssueError> {
    if tags.len() > crate::limits::LIST_ITEMS_MAX {
        return Err(IssueError::invalid("tags", "there are too many tags"));
    }
    for tag in tags {
        if tag.is_empty() {
            return Err(IssueError::invalid("tags", "a tag cannot be empty"));
        }
        crate::model::plain_text(tag, crate::limits::NAME_BYTES_MAX)
            .map_err(|detail| IssueError::invalid("tags", detail))?;
    }
    Ok(())
}
