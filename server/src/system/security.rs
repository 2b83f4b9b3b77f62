//! Security events: what was refused, to whom, by which rule; numbered without gaps.
//!
//! The number is given when the event is noted, under one lock, so that a missing number proves a
//! lost event.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use cordon_accounts::reason::Reason;
use cordon_auth::clock::Clock;
use cordon_auth::refusal::Refusal;
use parking_lot::Mutex;
use serde::Serialize;

use crate::connection::Connection;
use crate::tenant::Tenant;

/// Events kept in memory for whoever asks again.
const KEPT: usize = 65_536;
/// Longest text of an event that a peer can influence, in characters.
const TEXT_MAX: usize = 256;

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
    /// The connection.
    pub cid: u64,
    /// The peer's address.
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
}

/// An event with its number.
#[derive(Clone, Debug, Serialize)]
pub struct Numbered {
    /// Its number: one more than that of the event before.
    pub seq: u64,
    /// When, RFC 3339.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub event: SecurityEvent,
}

/// The broker's security events.
pub struct Security {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    kept: VecDeque<Arc<Numbered>>,
}

impl SecurityEvent {
    /// An event about a connection.
    pub fn of(connection: &Connection, reason: Reason) -> Self {
        let identity = connection.identity();
        let principal = identity.principal;
        Self {
            reason: reason.code(),
            account: principal.as_ref().map(|principal| principal.account.to_string()),
            user: principal.map(|principal| principal.user.clone()),
            cid: connection.cid,
            ip: connection.peer.ip().to_string(),
            subject: String::new(),
            rule: String::new(),
            detail: String::new(),
        }
    }

    /// An event about a refused proof.
    pub fn of_refusal(connection: &Connection, refusal: &Refusal) -> Self {
        Self {
            account: refusal.account.as_ref().map(ToString::to_string),
            user: refusal.user.clone(),
            detail: clip(&refusal.detail),
            ..Self::of(connection, refusal.reason)
        }
    }

    /// An event about a connection that one account did not take.
    pub fn of_account(connection: &Connection, tenant: &Tenant, reason: Reason) -> Self {
        Self { account: Some(tenant.name.to_string()), ..Self::of(connection, reason) }
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
    /// Security events of this broker; kept in `folder` when there is one.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used.
    pub fn open(_folder: Option<&Path>, clock: Clock) -> std::io::Result<Self> {
        Ok(Self { clock, state: Mutex::default() })
    }

    /// Numbers an event and keeps it.
    pub fn note(&self, event: SecurityEvent) {
        tracing::info!(reason = event.reason, account = event.account, user = event.user, connection.id = event.cid, subject = event.subject, "refused");
        let time = self.clock.rfc3339();
        let mut state = self.state.lock();
        state.last += 1;
        let numbered = Arc::new(Numbered { seq: state.last, time, event });
        if state.kept.len() >= KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back(numbered);
    }
}

fn clip(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
