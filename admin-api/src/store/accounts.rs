//! Accounts: the tenants.

use cordon_accounts::key::{AccountKey, OperatorKey};

use crate::vault::Sealed;

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "accounts";

/// An account.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountRow {
    /// The account's identity key.
    pub key: AccountKey,
    /// The operator that signs it.
    pub operator: OperatorKey,
    /// Its name; unique among its operator's accounts that are not deleted.
    pub name: String,
    /// Whether it is in use.
    pub state: AccountState,
    /// The `nats` part of its claims as last edited: exports, imports, limits, mappings, revocations, signing keys. A suspended account keeps it whole.
    pub claims: serde_json::Value,
    /// Its current claims, signed.
    pub claims_jwt: String,
    /// The `jti` of the current claims.
    pub jti: String,
    /// The `jti` that brokers last confirmed.
    pub pushed_jti: Option<String>,
    /// Its identity seed; `None` when its owner keeps it.
    pub seed_sealed: Option<Sealed>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// Counts changes; the ETag.
    pub version: i64,
}

/// Whether an account is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// In use.
    Active,
    /// Its claims let nobody connect until it is resumed.
    Suspended,
    /// Deleted; kept for the ledger's sake, name free again.
    Deleted,
}

impl AccountState {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

impl std::fmt::Display for AccountState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for AccountState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            "deleted" => Ok(Self::Deleted),
            other => Err(format!("`{other}` is not a word for it")),
        }
    }
}

/// Accounts in the store.
#[derive(Debug)]
pub struct Accounts<'u> {
    session: &'u mut Session,
}

impl<'u> Accounts<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Inserts a row. Its version is set to 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the key, or a live row of the same name, is there already.
    pub async fn insert(&mut self, row: &mut AccountRow) -> Result<(), StoreError> {
        row.version = 1;
        let sql = "insert into accounts (key, operator, name, state, claims, claims_jwt, jti, pushed_jti, seed, created_at, updated_at, version) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                   on conflict do nothing";
        self.session.insert(TABLE, &row.key, sql, binds(row)).await
    }

    /// Writes a changed row, if nobody changed it since it was read; its version is counted on.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionConflict`] when the row was changed meanwhile or is gone,
    /// [`StoreError::AlreadyExists`] when its new name belongs to another live row.
    pub async fn update(&mut self, row: &mut AccountRow) -> Result<(), StoreError> {
        let sql = "update accounts \
                   set operator = $1, name = $2, state = $3, claims = $4, claims_jwt = $5, jti = $6, seed = $7, updated_at = $8, version = version + 1 \
                   where key = $9 and version = $10";
        let binds = [
            Bind::text(row.operator),
            Bind::text(&row.name),
            Bind::text(row.state),
            Bind::json(&row.claims),
            Bind::text(&row.claims_jwt),
            Bind::text(&row.jti),
            Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
            row.updated_at.into(),
            Bind::text(row.key),
            row.version.into(),
        ];
        self.session.update(TABLE, &row.key, sql, binds).await?;
        row.version += 1;
        Ok(())
    }

    /// The account of this key, deleted or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, key: &AccountKey) -> Result<Option<AccountRow>, StoreError> {
        let sql = "select key, operator, name, state, claims, claims_jwt, jti, pushed_jti, seed, created_at, updated_at, version \
                   from accounts \
                   where key = $1";
        self.session.row(sql, [Bind::text(key)]).await?.as_ref().map(read).transpose()
    }

    /// The operator's account of this name that is not deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup_by_name(
        &mut self,
        operator: &OperatorKey,
        name: &str,
    ) -> Result<Option<AccountRow>, StoreError> {
        let sql = "select key, operator, name, state, claims, claims_jwt, jti, pushed_jti, seed, created_at, updated_at, version \
                   from accounts \
                   where operator = $1 and name = $2 and state <> 'deleted'";
        self.session.row(sql, [Bind::text(operator), Bind::text(name)]).await?.as_ref().map(read).transpose()
    }

    /// Accounts of all operators that are not deleted, by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list(&mut self, page: &Page) -> Result<Vec<AccountRow>, StoreError> {
        let sql = "select key, operator, name, state, claims, claims_jwt, jti, pushed_jti, seed, created_at, updated_at, version \
                   from accounts \
                   where state <> 'deleted' and key > $1 \
                   order by key \
                   limit $2";
        let binds = [Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }

    /// The operator's accounts that are not deleted, by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list_of_operator(
        &mut self,
        operator: &OperatorKey,
        page: &Page,
    ) -> Result<Vec<AccountRow>, StoreError> {
        let sql = "select key, operator, name, state, claims, claims_jwt, jti, pushed_jti, seed, created_at, updated_at, version \
                   from accounts \
                   where operator = $1 and state <> 'deleted' and key > $2 \
                   order by key \
                   limit $3";
        let binds = [Bind::text(operator), Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }

    /// Accounts that offer shares to `importer` and are not deleted, by key. The database keeps `share_offers` in step
    /// with what accounts offer.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list_offering_to(
        &mut self,
        importer: &AccountKey,
        page: &Page,
    ) -> Result<Vec<AccountRow>, StoreError> {
        let sql = "select key, operator, name, state, claims, claims_jwt, jti, pushed_jti, seed, created_at, updated_at, version \
                   from accounts \
                   where key in (select exporter from share_offers where importer = $1 and exporter > $2) and state <> 'deleted' \
                   order by key \
                   limit $3";
        let binds = [Bind::text(importer), Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }

    /// How many accounts of the operator are not deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count_of_operator(&mut self, operator: &OperatorKey) -> Result<u64, StoreError> {
        let sql = "select count(*) as total from accounts where operator = $1 and state <> 'deleted'";
        let total = self
            .session
            .row(sql, [Bind::text(operator)])
            .await?
            .map(|record| record.int(TABLE, "total"))
            .transpose()?;
        Ok(total.unwrap_or_default().unsigned_abs())
    }

    /// Notes which claims brokers confirmed; no change to the account, so its version stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] when there is no such account.
    pub async fn confirm_push(&mut self, key: &AccountKey, jti: &str) -> Result<(), StoreError> {
        let sql = "update accounts set pushed_jti = $1 where key = $2";
        match self.session.execute(sql, [Bind::text(jti), Bind::text(key)]).await? {
            0 => Err(StoreError::NotFound { table: TABLE, key: key.to_string() }),
            _ => Ok(()),
        }
    }
}

fn binds(row: &AccountRow) -> [Bind; 12] {
    [
        Bind::text(row.key),
        Bind::text(row.operator),
        Bind::text(&row.name),
        Bind::text(row.state),
        Bind::json(&row.claims),
        Bind::text(&row.claims_jwt),
        Bind::text(&row.jti),
        Bind::optional_text(row.pushed_jti.as_ref()),
        Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
        row.created_at.into(),
        row.updated_at.into(),
        row.version.into(),
    ]
}

fn read(record: &Record) -> Result<AccountRow, StoreError> {
    let row = || -> Result<AccountRow, StoreError> {
        Ok(AccountRow {
            key: record.parse(TABLE, "key")?,
            operator: record.parse(TABLE, "operator")?,
            name: record.string(TABLE, "name")?,
            state: record.parse(TABLE, "state")?,
            claims: record.json(TABLE, "claims")?,
            claims_jwt: record.string(TABLE, "claims_jwt")?,
            jti: record.string(TABLE, "jti")?,
            pushed_jti: record.optional_string(TABLE, "pushed_jti")?,
            seed_sealed: record.optional_bytes(TABLE, "seed")?.map(Sealed::from_bytes),
            created_at: record.int(TABLE, "created_at")?,
            updated_at: record.int(TABLE, "updated_at")?,
            version: record.int(TABLE, "version")?,
        })
    };
    row().map_err(|error| error.in_row(&record.string(TABLE, "key").unwrap_or_default()))
}
