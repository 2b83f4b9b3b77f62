//! A leaf: an entry in its place, and its canonical bytes (format version 1).
//!
//! `docs/ledger-format.md` gives the layout. Changing it is a new version byte and a new decoder
//! beside this one: written leaves are never written anew.

use cordon_accounts::key::AccountKey;

use super::codec::{CodecError, Cursor, Writer};
use super::{Actor, ActorKind, BrokerEvent, Digest, Entry, KeyedHash, LedgerError, Outcome, Reference, SecretHash};

/// The version of the canonical bytes.
const VERSION: u8 = 1;

const ID_MAX: usize = 256;
const WORD_MAX: usize = 64;
const OBJECT_MAX: usize = 512;
const REASON_MAX: usize = 256;
/// A broker's id and a number.
const REFERENCE_MAX: usize = ID_MAX + 21;
const ACCOUNT_LENGTH: usize = 56;
const REFERENCES_MAX: usize = 64;
const SECRETS_MAX: usize = 16;

/// An entry in its place in the log: what is hashed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Leaf {
    /// Its place, counted from 0.
    pub index: u64,
    /// The leaf hash of the leaf before it; zeros in the first.
    pub previous: Digest,
    /// When, unix seconds.
    pub time: i64,
    /// Who.
    pub actor: Actor,
    /// What.
    pub kind: String,
    /// The account that it concerns.
    pub account: Option<AccountKey>,
    /// What it was done to.
    pub object: Option<String>,
    /// Digest of the object before.
    pub before_digest: Option<Digest>,
    /// Digest of the object after.
    pub after_digest: Option<Digest>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<String>,
    /// What it leads to.
    pub references: Vec<Reference>,
    /// The broker's event that it records.
    pub broker_event: Option<BrokerEvent>,
    /// Secret values that took part, by keyed hash.
    pub secrets: Vec<SecretHash>,
    /// Digest of the blob that says from where.
    pub source: Option<Digest>,
    /// Digest of the blob that holds the detail.
    pub detail: Option<Digest>,
}

impl Leaf {
    /// Puts an entry in its place; `source` and `detail` are the digests of its blobs.
    pub(super) fn new(
        entry: Entry,
        index: u64,
        previous: Digest,
        source: Option<Digest>,
        detail: Option<Digest>,
    ) -> Result<Self, LedgerError> {
        check(&entry)?;
        let actor = Actor {
            kind: entry.actor.kind,
            id: cut(&entry.actor.id, ID_MAX),
            role: entry.actor.role.map(|role| cut(&role, WORD_MAX)),
        };
        let secrets =
            entry.secrets.into_iter().map(|secret| SecretHash { label: cut(&secret.label, WORD_MAX), ..secret });
        Ok(Self {
            index,
            previous,
            time: entry.time,
            actor,
            kind: entry.kind,
            account: entry.account,
            object: entry.object.map(|object| cut(&object, OBJECT_MAX)),
            before_digest: entry.before_digest,
            after_digest: entry.after_digest,
            outcome: entry.outcome,
            reason: entry.reason.map(|reason| cut(&reason, REASON_MAX)),
            references: entry.references.into_iter().map(cut_reference).collect(),
            broker_event: entry
                .broker_event
                .map(|event| BrokerEvent { broker: cut(&event.broker, ID_MAX), seq: event.seq }),
            secrets: secrets.collect(),
            source,
            detail,
        })
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    ///
    /// [`CodecError`] for anything that [`Leaf::to_bytes`] does not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut cursor = Cursor::new(bytes);
        if cursor.byte("the version")? != VERSION {
            return Err(cursor.fault("the version"));
        }
        let leaf = Self::read(&mut cursor)?;
        cursor.end()?;
        Ok(leaf)
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, CodecError> {
        let digest = |cursor: &mut Cursor<'_>| cursor.digest("a digest");
        Ok(Self {
            index: cursor.unsigned("the index")?,
            previous: cursor.digest("the hash of the leaf before")?,
            time: cursor.signed("the time")?,
            actor: read_actor(cursor)?,
            kind: cursor.text(WORD_MAX, "the kind")?,
            account: cursor.optional("the account", read_account)?,
            object: cursor.optional("the object", |cursor| cursor.text(OBJECT_MAX, "the object"))?,
            before_digest: cursor.optional("the digest before", digest)?,
            after_digest: cursor.optional("the digest after", digest)?,
            outcome: match cursor.byte("the outcome")? {
                0 => Outcome::Done,
                1 => Outcome::Refused,
                _ => return Err(cursor.fault("the outcome")),
            },
            reason: cursor.optional("the reason", |cursor| cursor.text(REASON_MAX, "the reason"))?,
            references: read_list(cursor, REFERENCES_MAX, "the references", read_reference)?,
            broker_event: cursor.optional("the broker's event", |cursor| {
                Ok(BrokerEvent {
                    broker: cursor.text(ID_MAX, "the broker")?,
                    seq: cursor.unsigned("the event's number")?,
                })
            })?,
            secrets: read_list(cursor, SECRETS_MAX, "the secrets", |cursor| {
                Ok(SecretHash {
                    label: cursor.text(WORD_MAX, "a label")?,
                    hash: KeyedHash(cursor.digest("a keyed hash")?),
                })
            })?,
            source: cursor.optional("the source", digest)?,
            detail: cursor.optional("the detail", digest)?,
        })
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.byte(VERSION);
        writer.unsigned(self.index);
        writer.digest(&self.previous);
        writer.signed(self.time);
        writer.byte(self.actor.kind.code());
        writer.text(&self.actor.id);
        writer.optional(self.actor.role.as_deref(), Writer::text);
        writer.text(&self.kind);
        writer.optional(self.account.as_ref(), |writer, account| writer.text(&account.to_string()));
        writer.optional(self.object.as_deref(), Writer::text);
        writer.optional(self.before_digest.as_ref(), Writer::digest);
        writer.optional(self.after_digest.as_ref(), Writer::digest);
        writer.byte(match self.outcome {
            Outcome::Done => 0,
            Outcome::Refused => 1,
        });
        writer.optional(self.reason.as_deref(), Writer::text);
        writer.count(self.references.len());
        for reference in &self.references {
            writer.text(reference.kind());
            writer.text(&reference.value());
        }
        writer.optional(self.broker_event.as_ref(), |writer, event| {
            writer.text(&event.broker);
            writer.unsigned(event.seq);
        });
        writer.count(self.secrets.len());
        for secret in &self.secrets {
            writer.text(&secret.label);
            writer.digest(secret.hash.digest());
        }
        writer.optional(self.source.as_ref(), Writer::digest);
        writer.optional(self.detail.as_ref(), Writer::digest);
        writer.finish()
    }
}

fn read_actor(cursor: &mut Cursor<'_>) -> Result<Actor, CodecError> {
    let code = cursor.byte("the actor's kind")?;
    Ok(Actor {
        kind: ActorKind::from_code(code).ok_or_else(|| cursor.fault("the actor's kind"))?,
        id: cursor.text(ID_MAX, "the actor")?,
        role: cursor.optional("the role", |cursor| cursor.text(WORD_MAX, "the role"))?,
    })
}

fn read_account(cursor: &mut Cursor<'_>) -> Result<AccountKey, CodecError> {
    let text = cursor.text(ACCOUNT_LENGTH, "the account")?;
    text.parse().map_err(|_| cursor.fault("the account"))
}

fn read_reference(cursor: &mut Cursor<'_>) -> Result<Reference, CodecError> {
    let kind = cursor.text(WORD_MAX, "a reference's kind")?;
    let value = cursor.text(REFERENCE_MAX, "a reference's value")?;
    Reference::parse(&kind, &value).ok_or_else(|| cursor.fault("a reference"))
}

fn read_list<T>(
    cursor: &mut Cursor<'_>,
    max: usize,
    what: &'static str,
    read: impl Fn(&mut Cursor<'_>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    let count = cursor.count(max, what)?;
    (0..count).map(|_| read(cursor)).collect()
}

/// Refuses what is our own mistake; what callers choose is cut instead.
fn check(entry: &Entry) -> Result<(), LedgerError> {
    let fits = !entry.kind.is_empty()
        && entry.kind.len() <= WORD_MAX
        && entry.kind.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if !fits {
        return Err(LedgerError::Kind { kind: cut(&entry.kind, WORD_MAX) });
    }
    let bounds =
        [("references", entry.references.len(), REFERENCES_MAX), ("secrets", entry.secrets.len(), SECRETS_MAX)];
    for (what, count, max) in bounds {
        if count > max {
            return Err(LedgerError::TooMany { kind: entry.kind.clone(), what, count, max });
        }
    }
    Ok(())
}

/// At most `max` bytes of the text, without control characters: they would forge lines in logs, and
/// PostgreSQL takes no NUL.
fn cut(text: &str, max: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(max));
    for letter in text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }) {
        if kept.len() + letter.len_utf8() > max {
            break;
        }
        kept.push(letter);
    }
    kept
}

fn cut_reference(reference: Reference) -> Reference {
    match reference {
        Reference::Issued(id) => Reference::Issued(cut(&id, ID_MAX)),
        Reference::Claims(id) => Reference::Claims(cut(&id, ID_MAX)),
        Reference::Connection { broker, cid } => Reference::Connection { broker: cut(&broker, ID_MAX), cid },
        Reference::Event { broker, seq } => Reference::Event { broker: cut(&broker, ID_MAX), seq },
        Reference::Entry(index) => Reference::Entry(index),
        Reference::Certificate(id) => Reference::Certificate(cut(&id, ID_MAX)),
        Reference::Request(id) => Reference::Request(cut(&id, ID_MAX)),
    }
}
