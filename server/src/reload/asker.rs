//! Who had the configuration read again, for the log of security events.

use std::fmt;

use cordon_accounts::reason::Reason;

use crate::connection::Connection;
use crate::reload::change::Change;
use crate::reload::refusal::ReloadRefusal;
use crate::system::security::SecurityEvent;

/// Changes that one event names; of more it says how many there are.
const NAMED: usize = 24;

/// Who asked for a reload.
#[derive(Clone, Debug)]
pub enum Asker {
    /// Whoever may signal the process.
    Signal,
    /// A member of the system account.
    Member {
        /// Its account and user.
        account: String,
        /// The user.
        user: String,
        /// Its connection.
        cid: u64,
        /// Where it connects from.
        ip: std::net::IpAddr,
    },
}

impl Asker {
    /// Whoever is behind a connection.
    pub fn of(connection: &Connection) -> Self {
        let identity = connection.identity();
        let user = identity.principal.map(|principal| principal.user.clone()).unwrap_or_default();
        let (cid, ip) = (connection.cid, connection.peer().ip());
        Self::Member { account: identity.tenant.name.to_string(), user, cid, ip }
    }

    pub(super) fn event(&self, outcome: &Result<Vec<Change>, ReloadRefusal>) -> SecurityEvent {
        let (reason, detail) = match outcome {
            Ok(changes) => (Reason::ConfigurationReloaded, list(changes)),
            Err(refusal) => (Reason::ConfigurationRefused, refusal.to_string()),
        };
        let detail = format!("by {self}: {detail}");
        let event = SecurityEvent::of_broker(reason, &detail);
        match self {
            Self::Signal => event,
            Self::Member { account, user, cid, ip } => event.by(account, user, *cid, *ip),
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal => f.write_str("signal"),
            Self::Member { .. } => f.write_str("request"),
        }
    }
}

fn list(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing has changed".to_owned();
    }
    let mut texts: Vec<String> = changes.iter().take(NAMED).map(ToString::to_string).collect();
    if changes.len() > NAMED {
        texts.push(format!("and {} more", changes.len() - NAMED));
    }
    texts.join("; ")
}
