//! Users: who connects.

use cordon_accounts::key::{AccountKey, PublicKey, UserKey};

use crate::vault::Sealed;

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "users";

/// A user of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRow {
    /// The account it belongs to.
    pub account: AccountKey,
    /// The user's key. The same key may be a user of several accounts.
    pub key: UserKey,
    /// Its name; unique among the account's users that are not deleted.
    pub name: String,
    /// Whether it may connect.
    pub state: UserState,
    /// Its current claims, signed.
    pub claims_jwt: String,
    /// The `jti` of the current claims.
    pub jti: String,
    /// The account's key that signed them.
    pub signing_key: PublicKey,
    /// Its seed; `None` when its owner keeps it.
    pub seed_sealed: Option<Sealed>,
    /// When the current claims were issued, unix seconds: what a revocation is compared with.
    pub issued_at: i64,
    /// When the current claims expire, unix seconds; `None` never.
    pub expires: Option<i64>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// Counts changes; the ETag.
    pub version: i64,
}

/// Whether a user may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// It may.
    Active,
    /// Its claims are revoked.
    Revoked,
    /// Deleted; kept for the ledger's sake, name free again.
    Deleted,
}

impl UserState {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Deleted => "deleted",
        }
    }
}

impl std::fmt::Display for UserState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for UserState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active),
            "revoked" => Ok(Self::Revoked),
            "deleted" => Ok(Self::Deleted),
            other => Err(format!("`{other}` is not a word for it")),
        }
    }
}

/// Users in the store.
#[derive(Debug)]
pub struct Users<'u> {
    session: &'u mut Session,
}

impl<'u> Users<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Inserts a row. Its version is set to 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the key, or a live row of the same name, is there already.
    pub async fn insert(&mut self, row: &mut UserRow) -> Result<(), StoreError> {
        row.version = 1;
        let sql = "insert into users (account, key, name, state, claims_jwt, jti, signing_key, seed, issued_at, expires, created_at, updated_at, version) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                   on conflict do nothing";
        self.session.insert(TABLE, format!("{}/{}", row.account, row.key), sql, binds(row)).await
    }

    /// Writes a changed row, if nobody changed it since it was read; its version is counted on.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionConflict`] when the row was changed meanwhile or is gone,
    /// [`StoreError::AlreadyExists`] when its new name belongs to another live row.
    pub async fn update(&mut self, row: &mut UserRow) -> Result<(), StoreError> {
        let sql = "update users \
                   set name = $1, state = $2, claims_jwt = $3, jti = $4, signing_key = $5, seed = $6, issued_at = $7, expires = $8, updated_at = $9, version = version + 1 \
                   where account = $10 and key = $11 and version = $12";
        let binds = [
            Bind::text(&row.name),
            Bind::text(row.state),
            Bind::text(&row.claims_jwt),
            Bind::text(&row.jti),
            Bind::text(row.signing_key),
            Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
            row.issued_at.into(),
            row.expires.into(),
            row.updated_at.into(),
            Bind::text(row.account),
            Bind::text(row.key),
            row.version.into(),
        ];
        self.session.update(TABLE, format!("{}/{}", row.account, row.key), sql, binds).await?;
        row.version += 1;
        Ok(())
    }

    /// The account's user of this key, deleted or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, account: &AccountKey, key: &UserKey) -> Result<Option<UserRow>, StoreError> {
        let sql = "select account, key, name, state, claims_jwt, jti, signing_key, seed, issued_at, expires, created_at, updated_at, version \
                   from users \
                   where account = $1 and key = $2";
        self.session.row(sql, [Bind::text(account), Bind::text(key)]).await?.as_ref().map(read).transpose()
    }

    /// The account's user of this name that is not deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup_by_name(&mut self, account: &AccountKey, name: &str) -> Result<Option<UserRow>, StoreError> {
        let sql = "select account, key, name, state, claims_jwt, jti, signing_key, seed, issued_at, expires, created_at, updated_at, version \
                   from users \
                   where account = $1 and name = $2 and state <> 'deleted'";
        self.session.row(sql, [Bind::text(account), Bind::text(name)]).await?.as_ref().map(read).transpose()
    }

    /// The account's users that are not deleted, by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list_of_account(&mut self, account: &AccountKey, page: &Page) -> Result<Vec<UserRow>, StoreError> {
        let sql = "select account, key, name, state, claims_jwt, jti, signing_key, seed, issued_at, expires, created_at, updated_at, version \
                   from users \
                   where account = $1 and state <> 'deleted' and key > $2 \
                   order by key \
                   limit $3";
        let binds = [Bind::text(account), Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }

    /// The account's users that are not deleted and whose claims this key signed, by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list_of_signing_key(
        &mut self,
        account: &AccountKey,
        signing_key: &PublicKey,
        page: &Page,
    ) -> Result<Vec<UserRow>, StoreError> {
        let sql = "select account, key, name, state, claims_jwt, jti, signing_key, seed, issued_at, expires, created_at, updated_at, version \
                   from users \
                   where account = $1 and signing_key = $2 and state <> 'deleted' and key > $3 \
                   order by key \
                   limit $4";
        let binds = [Bind::text(account), Bind::text(signing_key), Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }

    /// How many users of the account are not deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count_of_account(&mut self, account: &AccountKey) -> Result<u64, StoreError> {
        let sql = "select count(*) as total from users where account = $1 and state <> 'deleted'";
        let total =
            self.session.row(sql, [Bind::text(account)]).await?.map(|record| record.int(TABLE, "total")).transpose()?;
        Ok(total.unwrap_or_default().unsigned_abs())
    }
}

fn binds(row: &UserRow) -> [Bind; 13] {
    [
        Bind::text(row.account),
        Bind::text(row.key),
        Bind::text(&row.name),
        Bind::text(row.state),
        Bind::text(&row.claims_jwt),
        Bind::text(&row.jti),
        Bind::text(row.signing_key),
        Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
        row.issued_at.into(),
        row.expires.into(),
        row.created_at.into(),
        row.updated_at.into(),
        row.version.into(),
    ]
}

fn read(record: &Record) -> Result<UserRow, StoreError> {
    let row = || -> Result<UserRow, StoreError> {
        Ok(UserRow {
            account: record.parse(TABLE, "account")?,
            key: record.parse(TABLE, "key")?,
            name: record.string(TABLE, "name")?,
            state: record.parse(TABLE, "state")?,
            claims_jwt: record.string(TABLE, "claims_jwt")?,
            jti: record.string(TABLE, "jti")?,
            signing_key: record.parse(TABLE, "signing_key")?,
            seed_sealed: record.optional_bytes(TABLE, "seed")?.map(Sealed::from_bytes),
            issued_at: record.int(TABLE, "issued_at")?,
            expires: record.optional_int(TABLE, "expires")?,
            created_at: record.int(TABLE, "created_at")?,
            updated_at: record.int(TABLE, "updated_at")?,
            version: record.int(TABLE, "version")?,
        })
    };
    row().map_err(|error| error.in_row(&record.string(TABLE, "key").unwrap_or_default()))
}
