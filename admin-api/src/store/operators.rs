//! Operators: the roots of trust.

use cordon_accounts::key::{AccountKey, OperatorKey};

use crate::vault::Sealed;

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "operators";

/// An operator.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorRow {
    /// The operator's identity key.
    pub key: OperatorKey,
    /// Its name; unique among operators that are not deleted.
    pub name: String,
    /// The `nats` part of its claims, as last edited.
    pub claims: serde_json::Value,
    /// Its current claims, signed.
    pub claims_jwt: String,
    /// The account that brokers are managed through.
    pub system_account: Option<AccountKey>,
    /// Whether it is in use.
    pub state: OperatorState,
    /// Its identity seed; `None` for an operator that keeps it offline.
    pub seed_sealed: Option<Sealed>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// Counts changes; the ETag.
    pub version: i64,
}

/// Whether an operator is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorState {
    /// In use.
    Active,
    /// Deleted; kept for the ledger's sake, name free again.
    Deleted,
}

impl OperatorState {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }
}

impl std::fmt::Display for OperatorState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for OperatorState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active),
            "deleted" => Ok(Self::Deleted),
            other => Err(format!("`{other}` is not a word for it")),
        }
    }
}

/// Operators in the store.
#[derive(Debug)]
pub struct Operators<'u> {
    session: &'u mut Session,
}

impl<'u> Operators<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Inserts a row. Its version is set to 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the key, or a live row of the same name, is there already.
    pub async fn insert(&mut self, row: &mut OperatorRow) -> Result<(), StoreError> {
        row.version = 1;
        let sql = "insert into operators (key, name, claims, claims_jwt, system_account, state, seed, created_at, updated_at, version) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                   on conflict do nothing";
        self.session.insert(TABLE, &row.key, sql, binds(row)).await
    }

    /// Writes a changed row, if nobody changed it since it was read; its version is counted on.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionConflict`] when the row was changed meanwhile or is gone,
    /// [`StoreError::AlreadyExists`] when its new name belongs to another live row.
    pub async fn update(&mut self, row: &mut OperatorRow) -> Result<(), StoreError> {
        let sql = "update operators \
                   set name = $1, claims = $2, claims_jwt = $3, system_account = $4, state = $5, seed = $6, updated_at = $7, version = version + 1 \
                   where key = $8 and version = $9";
        let binds = [
            Bind::text(&row.name),
            Bind::json(&row.claims),
            Bind::text(&row.claims_jwt),
            Bind::optional_text(row.system_account.as_ref()),
            Bind::text(row.state),
            Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
            row.updated_at.into(),
            Bind::text(row.key),
            row.version.into(),
        ];
        self.session.update(TABLE, &row.key, sql, binds).await?;
        row.version += 1;
        Ok(())
    }

    /// The operator of this key, deleted or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, key: &OperatorKey) -> Result<Option<OperatorRow>, StoreError> {
        let sql = "select key, name, claims, claims_jwt, system_account, state, seed, created_at, updated_at, version \
                   from operators \
                   where key = $1";
        self.session.row(sql, [Bind::text(key)]).await?.as_ref().map(read).transpose()
    }

    /// The operator of this name that is not deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup_by_name(&mut self, name: &str) -> Result<Option<OperatorRow>, StoreError> {
        let sql = "select key, name, claims, claims_jwt, system_account, state, seed, created_at, updated_at, version \
                   from operators \
                   where name = $1 and state <> 'deleted'";
        self.session.row(sql, [Bind::text(name)]).await?.as_ref().map(read).transpose()
    }

    /// Operators that are not deleted, by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list(&mut self, page: &Page) -> Result<Vec<OperatorRow>, StoreError> {
        let sql = "select key, name, claims, claims_jwt, system_account, state, seed, created_at, updated_at, version \
                   from operators \
                   where state <> 'deleted' and key > $1 \
                   order by key \
                   limit $2";
        let binds = [Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }
}

fn binds(row: &OperatorRow) -> [Bind; 10] {
    [
        Bind::text(row.key),
        Bind::text(&row.name),
        Bind::json(&row.claims),
        Bind::text(&row.claims_jwt),
        Bind::optional_text(row.system_account.as_ref()),
        Bind::text(row.state),
        Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
        row.created_at.into(),
        row.updated_at.into(),
        row.version.into(),
    ]
}

fn read(record: &Record) -> Result<OperatorRow, StoreError> {
    let row = || -> Result<OperatorRow, StoreError> {
        Ok(OperatorRow {
            key: record.parse(TABLE, "key")?,
            name: record.string(TABLE, "name")?,
            claims: record.json(TABLE, "claims")?,
            claims_jwt: record.string(TABLE, "claims_jwt")?,
            system_account: record.optional_parse(TABLE, "system_account")?,
            state: record.parse(TABLE, "state")?,
            seed_sealed: record.optional_bytes(TABLE, "seed")?.map(Sealed::from_bytes),
            created_at: record.int(TABLE, "created_at")?,
            updated_at: record.int(TABLE, "updated_at")?,
            version: record.int(TABLE, "version")?,
        })
    };
    row().map_err(|error| error.in_row(&record.string(TABLE, "key").unwrap_or_default()))
}
