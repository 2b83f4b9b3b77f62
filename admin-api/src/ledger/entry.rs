//! What is handed to the ledger: one act, or one security event.

use std::net::IpAddr;

use cordon_accounts::key::AccountKey;
use serde_json::Value;

use super::{Digest, KeyedHash};

/// What sort of caller acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ActorKind {
    /// Nobody who could be told: a request without valid credentials.
    Anonymous = 0,
    /// A person with a session.
    Person = 1,
    /// An API token.
    Token = 2,
    /// A connection's user: the actor of a broker's security event.
    User = 3,
    /// A broker itself.
    Broker = 4,
    /// Cordon itself: bootstrap, retries, expiry.
    System = 5,
}

impl ActorKind {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Person => "person",
            Self::Token => "token",
            Self::User => "user",
            Self::Broker => "broker",
            Self::System => "system",
        }
    }

    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Anonymous,
            1 => Self::Person,
            2 => Self::Token,
            3 => Self::User,
            4 => Self::Broker,
            5 => Self::System,
            _ => return None,
        })
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Actor {
    /// What sort of caller.
    pub kind: ActorKind,
    /// Which one: the token's id, the user's key, the broker's id. No personal data. Cut to 256 bytes.
    pub id: String,
    /// The role it acted in. Cut to 64 bytes.
    pub role: Option<String>,
}

impl Actor {
    /// An actor without a role.
    pub fn new(kind: ActorKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into(), role: None }
    }

    /// Cordon itself.
    pub fn system() -> Self {
        Self::new(ActorKind::System, "cordon")
    }

    /// The same actor in a role.
    pub fn in_role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done, or it happened.
    Done,
    /// It was refused; the entry's reason says why.
    Refused,
}

impl Outcome {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// What an entry leads to: an act to the claims it issued, claims to their connections, a
/// connection to its denials. Searching for a reference finds every entry that has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reference {
    /// Claims that this act issued, by `jti`.
    Issued(String),
    /// Claims that were used, revoked or replaced, by `jti`.
    Claims(String),
    /// A connection of a broker.
    Connection {
        /// The broker's id.
        broker: String,
        /// The connection's number there.
        cid: u64,
    },
    /// A numbered event of a broker, such as a denial.
    Event {
        /// The broker's id.
        broker: String,
        /// The event's number there.
        seq: u64,
    },
    /// Another entry of this ledger.
    Entry(u64),
    /// A certificate, by serial number.
    Certificate(String),
    /// The API request that caused it, by request id.
    Request(String),
}

impl Reference {
    /// The word for this sort of reference.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Issued(_) => "issued",
            Self::Claims(_) => "claims",
            Self::Connection { .. } => "connection",
            Self::Event { .. } => "event",
            Self::Entry(_) => "entry",
            Self::Certificate(_) => "certificate",
            Self::Request(_) => "request",
        }
    }

    /// What it refers to, as text: an id, a number, or `broker/number`.
    pub fn value(&self) -> String {
        match self {
            Self::Issued(id) | Self::Claims(id) | Self::Certificate(id) | Self::Request(id) => id.clone(),
            Self::Connection { broker, cid: number } | Self::Event { broker, seq: number } => {
                format!("{broker}/{number}")
            }
            Self::Entry(index) => index.to_string(),
        }
    }

    /// The reference of this kind and value, if they make one.
    pub fn parse(kind: &str, value: &str) -> Option<Self> {
        let numbered = || {
            let (broker, number) = value.rsplit_once('/')?;
            // Numbers have one text only: `7`, not `07` or `+7`.
            let parsed = number.parse::<u64>().ok().filter(|parsed| parsed.to_string() == number)?;
            Some((broker.to_owned(), parsed))
        };
        Some(match kind {
            "issued" => Self::Issued(value.to_owned()),
            "claims" => Self::Claims(value.to_owned()),
            "connection" => numbered().map(|(broker, cid)| Self::Connection { broker, cid })?,
            "event" => numbered().map(|(broker, seq)| Self::Event { broker, seq })?,
            "entry" => Self::Entry(value.parse().ok().filter(|index: &u64| index.to_string() == value)?),
            "certificate" => Self::Certificate(value.to_owned()),
            "request" => Self::Request(value.to_owned()),
            _ => return None,
        })
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        let mut fields = serializer.serialize_struct("Reference", 2)?;
        fields.serialize_field("kind", self.kind())?;
        fields.serialize_field("value", &self.value())?;
        fields.end()
    }
}

/// The number that a broker gave a security event.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BrokerEvent {
    /// The broker's stable id.
    pub broker: String,
    /// The event's number; each broker counts from 1 without gaps.
    pub seq: u64,
}

/// A secret value that took part, by its keyed hash.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SecretHash {
    /// What it is, such as `token`. Cut to 64 bytes.
    pub label: String,
    /// What stands for it: `Ledger::keyed_hash`.
    pub hash: KeyedHash,
}

/// One act or security event, to be written by `Unit::save`.
///
/// Texts are cut to their bound, and control characters in them are replaced, since callers choose
/// some of them. The source address and the detail go to blobs that can be erased.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When, unix seconds.
    pub time: i64,
    /// Who.
    pub actor: Actor,
    /// From where. Kept in an erasable blob.
    pub source_ip: Option<IpAddr>,
    /// What, such as `account.create`: lower-case letters, digits, `.`, `_`, `-`; 64 at most.
    pub kind: String,
    /// The account that it concerns.
    pub account: Option<AccountKey>,
    /// What it was done to: a key, an id, a subject. Cut to 512 bytes.
    pub object: Option<String>,
    /// Digest of the object before.
    pub before_digest: Option<Digest>,
    /// Digest of the object after.
    pub after_digest: Option<Digest>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it was refused, as a stable code, or why it was done. Cut to 256 bytes.
    pub reason: Option<String>,
    /// What it leads to; 64 at most.
    pub references: Vec<Reference>,
    /// The number of the broker's event that it records; set by `record_broker_event`.
    pub broker_event: Option<BrokerEvent>,
    /// Secret values that took part, by keyed hash; 16 at most.
    pub secrets: Vec<SecretHash>,
    /// Whatever else is worth keeping; 256 KiB of JSON at most. Kept in an erasable blob.
    pub detail: Option<Value>,
}

impl Entry {
    /// Something that was done, or that happened.
    pub fn done(kind: impl Into<String>, actor: Actor, time: i64) -> Self {
        Self {
            time,
            actor,
            source_ip: None,
            kind: kind.into(),
            account: None,
            object: None,
            before_digest: None,
            after_digest: None,
            outcome: Outcome::Done,
            reason: None,
            references: Vec::new(),
            broker_event: None,
            secrets: Vec::new(),
            detail: None,
        }
    }

    /// Something that was refused; `reason` is a stable code.
    pub fn refused(kind: impl Into<String>, reason: impl Into<String>, actor: Actor, time: i64) -> Self {
        Self { outcome: Outcome::Refused, reason: Some(reason.into()), ..Self::done(kind, actor, time) }
    }

    /// With the caller's address.
    pub fn from_address(mut self, source_ip: Option<IpAddr>) -> Self {
        self.source_ip = source_ip;
        self
    }

    /// With the account that it concerns.
    pub fn on_account(mut self, account: AccountKey) -> Self {
        self.account = Some(account);
        self
    }

    /// With what it was done to.
    pub fn on_object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// With the object's bytes (its claims, its JSON) before and after; only digests are kept.
    pub fn changing(mut self, before: Option<&[u8]>, after: Option<&[u8]>) -> Self {
        self.before_digest = before.map(Digest::of);
        self.after_digest = after.map(Digest::of);
        self
    }

    /// With one more reference.
    pub fn referring_to(mut self, reference: Reference) -> Self {
        self.references.push(reference);
        self
    }

    /// With one more secret value, by keyed hash.
    pub fn with_secret(mut self, label: impl Into<String>, hash: KeyedHash) -> Self {
        self.secrets.push(SecretHash { label: label.into(), hash });
        self
    }

    /// With a detail.
    pub fn with_detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}
