//! Searching the log: by who, where, what, when, and by what an entry refers to.

use cordon_accounts::key::AccountKey;
use sqlx::AssertSqlSafe;

use super::append::place;
use super::log::{LedgerLog, StoredEntry, read_entry};
use super::{Outcome, Reference};
use crate::store::{Bind, PAGE_MAX, StoreError};

/// What is looked for. Everything given must hold; nothing given finds everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The actor's id.
    pub actor: Option<String>,
    /// The account concerned.
    pub account: Option<AccountKey>,
    /// Only entries of these accounts: the bound of a caller who may see no others. `Some` of none finds nothing.
    pub within: Option<Vec<AccountKey>>,
    /// The kind, or with a `.` at its end all kinds that begin so: `account.`.
    pub kind: Option<String>,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// Something that the entry refers to.
    pub reference: Option<Reference>,
    /// Not before this time, unix seconds.
    pub from: Option<i64>,
    /// Before this time, unix seconds.
    pub until: Option<i64>,
    /// Go on after this entry, in the direction of the search.
    pub after: Option<u64>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// How many at most, 1..=500; 0 stands for 500.
    pub limit: u32,
}

/// A query being put together: conditions are fixed texts, all values are bound.
struct Conditions {
    sql: String,
    binds: Vec<Bind>,
}

impl Conditions {
    /// Adds a condition; `?` stands for the value's placeholder.
    fn add(&mut self, condition: &str, bind: Bind) {
        self.binds.push(bind);
        let condition = condition.replace('?', &format!("${}", self.binds.len()));
        self.sql.push_str(" and ");
        self.sql.push_str(&condition);
    }
}

impl LedgerLog<'_> {
    /// The entries that a search finds, one page of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn search(&mut self, search: &Search) -> Result<Vec<StoredEntry>, StoreError> {
        let mut query = Conditions {
            sql: "select entry_index, bytes, leaf_hash from ledger_entries where 1 = 1".to_owned(),
            binds: Vec::new(),
        };
        if let Some(actor) = &search.actor {
            query.add("actor = ?", Bind::text(actor));
        }
        if let Some(account) = &search.account {
            query.add("account = ?", Bind::text(account));
        }
        if let Some(within) = &search.within {
            add_within(&mut query, within);
        }
        if let Some(kind) = &search.kind {
            add_kind(&mut query, kind);
        }
        if let Some(outcome) = search.outcome {
            query.add("outcome = ?", Bind::text(outcome.as_str()));
        }
        if let Some(reference) = &search.reference {
            query.add(
                "entry_index in (select entry_index from ledger_references where kind = ?",
                Bind::text(reference.kind()),
            );
            query.add("value = ?)", Bind::text(reference.value()));
        }
        if let Some(from) = search.from {
            query.add("time >= ?", from.into());
        }
        if let Some(until) = search.until {
            query.add("time < ?", until.into());
        }
        if let Some(after) = search.after {
            let condition = if search.newest_first { "entry_index < ?" } else { "entry_index > ?" };
            query.add(condition, place(after)?.into());
        }
        query.sql.push_str(if search.newest_first { " order by entry_index desc" } else { " order by entry_index" });
        let limit = if search.limit == 0 { PAGE_MAX } else { search.limit.min(PAGE_MAX) };
        query.sql.push_str(" limit ");
        query.sql.push_str(&limit.to_string());
        self.session.rows(AssertSqlSafe(query.sql), query.binds).await?.iter().map(read_entry).collect()
    }
}

fn add_within(query: &mut Conditions, within: &[AccountKey]) {
    if within.is_empty() {
        query.sql.push_str(" and 1 = 0");
        return;
    }
    // One JSON array would need functions that the two databases call differently.
    let first = query.binds.len() + 1;
    let places: Vec<String> = (first..first + within.len()).map(|place| format!("${place}")).collect();
    query.binds.extend(within.iter().map(Bind::text));
    query.sql.extend([" and account in (", &places.join(", "), ")"]);
}

fn add_kind(query: &mut Conditions, kind: &str) {
    match kind.strip_suffix('.') {
        None => query.add("kind = ?", Bind::text(kind)),
        Some(stem) => {
            query.add("kind > ?", Bind::text(kind));
            // `/` is the byte after `.`.
            query.add("kind < ?", Bind::text(format!("{stem}/")));
        }
    }
}
