//! `GET /api/v1/ledger/entries`

use cordon_accounts::key::AccountKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::note_reading;
use crate::http::caller::Caller;
use crate::http::extract::Asked;
use crate::http::paging::{List, size};
use crate::http::reply::{Otherwise, Reply};
use crate::ledger::{Outcome, Reference, Search, StoredEntry};
use crate::model::Time;
use crate::problem::{Problem, Problems};
use crate::roles::Right;
use crate::store::Reader;

/// Which entries are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EntriesAsked {
    /// Most items wanted, 1 to 250; 100 when left out.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Only of this actor's id.
    pub actor: Option<String>,
    /// Only about this account.
    pub account: Option<String>,
    /// Only of this kind; with a `.` at its end of all kinds that begin so.
    pub kind: Option<String>,
    /// `done` or `refused`.
    pub outcome: Option<String>,
    /// Only those that refer to this: `kind:value`, such as `claims:JTI`.
    pub reference: Option<String>,
    /// Not before this time, RFC 3339.
    pub from: Option<String>,
    /// Before this time, RFC 3339.
    pub to: Option<String>,
}

/// One entry of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// Its place, counted from 0.
    pub index: u64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: ActorView,
    /// From where, unless it was erased.
    pub source_ip: Option<String>,
    /// What.
    pub kind: String,
    /// The account that it concerns.
    pub account: Option<String>,
    /// What it was done to.
    pub object: Option<String>,
    /// `done` or `refused`.
    pub outcome: String,
    /// Why.
    pub reason: Option<String>,
    /// SHA-256 of the object before.
    pub before_digest: Option<String>,
    /// SHA-256 of the object after.
    pub after_digest: Option<String>,
    /// What it leads to.
    pub references: Vec<ReferenceView>,
    /// The broker's event that it records.
    pub broker_event: Option<EventView>,
    /// Whatever else was kept, unless it was erased.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Value>,
    /// Hash of the leaf, lower-case hexadecimal.
    pub leaf: String,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorView {
    /// `anonymous`, `person`, `token`, `user`, `broker` or `system`.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// In which role.
    pub role: Option<String>,
}

/// What an entry leads to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReferenceView {
    /// `issued`, `claims`, `connection`, `event`, `entry`, `certificate` or `request`.
    pub kind: String,
    /// Which one.
    pub value: String,
}

/// A broker's numbered event.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    /// The broker's stable id.
    pub broker: String,
    /// The event's number.
    pub seq: u64,
}

/// Entries, newest first. An account admin sees those of its accounts.
#[utoipa::path(get, path = "/api/v1/ledger/entries", tag = "ledger", params(EntriesAsked), responses((status = 200, body = List<LedgerEntry>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Asked(asked): Asked<EntriesAsked>,
) -> Result<Reply<List<LedgerEntry>>, Otherwise> {
    caller.require(Right::ReadAccounts)?;
    let size = size(asked.limit)?;
    let mut search = search(&asked, size)?;
    if let Some(own) = caller.token.role.narrowed_to() {
        search.within = Some(own.iter().copied().collect());
    }
    // Only the first page of a search is noted: the rest is the same reading.
    if asked.after.is_none() {
        note_reading(
            &caller,
            "ledger.search",
            json!({ "actor": asked.actor, "account": asked.account, "kind": asked.kind }),
        )
        .await?;
    }
    let mut reader = caller.app.issuer().store().read().await?;
    let found = reader.ledger().search(&search).await?;
    let mut items = Vec::with_capacity(found.len());
    for entry in found {
        items.push(view(&mut reader, entry).await?);
    }
    Ok(Reply::plain(List::cut(items, size, |entry| entry.index.to_string())))
}

fn search(asked: &EntriesAsked, size: u32) -> Result<Search, Problem> {
    let time = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => {
            text.parse::<Time>().map(|time| Some(time.0)).map_err(|detail| Problem::invalid(format!("?{name}"), detail))
        }
    };
    let account = match &asked.account {
        Some(text) => Some(AccountKey::parse(text).map_err(|error| Problem::invalid("?account", error.to_string()))?),
        None => None,
    };
    let outcome = match asked.outcome.as_deref() {
        None => None,
        Some("done") => Some(Outcome::Done),
        Some("refused") => Some(Outcome::Refused),
        Some(_) => return Err(Problem::invalid("?outcome", "it is `done` or `refused`")),
    };
    let reference = match &asked.reference {
        None => None,
        Some(text) => {
            let parsed = text.split_once(':').and_then(|(kind, value)| Reference::parse(kind, value));
            Some(parsed.ok_or_else(|| Problem::invalid("?reference", "it is `kind:value`, such as `claims:JTI`"))?)
        }
    };
    let after = match &asked.after {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::invalid("?after", "it is the `next` of a page"))?),
    };
    Ok(Search {
        actor: asked.actor.clone(),
        account,
        within: None,
        kind: asked.kind.clone(),
        outcome,
        reference,
        from: time("from", &asked.from)?,
        until: time("to", &asked.to)?,
        after,
        newest_first: true,
        limit: size.saturating_add(1),
    })
}

async fn view(reader: &mut Reader, stored: StoredEntry) -> Result<LedgerEntry, Otherwise> {
    let leaf = stored.leaf;
    let source = match &leaf.source {
        Some(digest) => reader.ledger().blob(digest).await?,
        None => None,
    };
    let detail = match &leaf.detail {
        Some(digest) => reader.ledger().blob(digest).await?,
        None => None,
    };
    Ok(LedgerEntry {
        index: leaf.index,
        time: Time(leaf.time),
        actor: ActorView { kind: leaf.actor.kind.as_str().to_owned(), id: leaf.actor.id, role: leaf.actor.role },
        source_ip: source.as_ref().and_then(source_text),
        kind: leaf.kind,
        account: leaf.account.map(|account| account.to_string()),
        object: leaf.object,
        outcome: leaf.outcome.as_str().to_owned(),
        reason: leaf.reason,
        before_digest: leaf.before_digest.map(|digest| digest.to_string()),
        after_digest: leaf.after_digest.map(|digest| digest.to_string()),
        references: leaf
            .references
            .iter()
            .map(|reference| ReferenceView { kind: reference.kind().to_owned(), value: reference.value() })
            .collect(),
        broker_event: leaf.broker_event.map(|event| EventView { broker: event.broker, seq: event.seq }),
        detail,
        leaf: stored.hash.to_string(),
    })
}

/// The address in the source blob: text, or a member of an object.
fn source_text(source: &Value) -> Option<String> {
    source.as_str().or_else(|| source.get("ip").and_then(Value::as_str)).map(str::to_owned)
}
