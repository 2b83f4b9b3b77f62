//! API tokens: who may call the API. Only a hash of each is kept.

use cordon_accounts::key::AccountKey;

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "tokens";

/// An API token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRow {
    /// Its id, which is no secret.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do; the API's word.
    pub role: String,
    /// The accounts it is for, where the role is one of named accounts.
    pub accounts: Vec<AccountKey>,
    /// Hash of the token; the token itself is not kept.
    pub hash: Vec<u8>,
    /// Who made it.
    pub created_by: String,
    /// Unix seconds; `None` never.
    pub expires: Option<i64>,
    /// Unix seconds.
    pub revoked_at: Option<i64>,
    /// Unix seconds; see [`Tokens::touch`].
    pub last_used_at: Option<i64>,
    /// Unix seconds.
    pub created_at: i64,
    /// Counts changes; the ETag.
    pub version: i64,
}

/// API tokens in the store.
#[derive(Debug)]
pub struct Tokens<'u> {
    session: &'u mut Session,
}

impl<'u> Tokens<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Inserts a row. Its version is set to 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the key, or a live row of the same name, is there already.
    pub async fn insert(&mut self, row: &mut TokenRow) -> Result<(), StoreError> {
        row.version = 1;
        let sql = "insert into tokens (id, name, role, accounts, hash, created_by, expires, revoked_at, last_used_at, created_at, version) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                   on conflict do nothing";
        self.session.insert(TABLE, &row.id, sql, binds(row)).await
    }

    /// Writes a changed row, if nobody changed it since it was read; its version is counted on.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionConflict`] when the row was changed meanwhile or is gone,
    /// [`StoreError::AlreadyExists`] when its new name belongs to another live row.
    pub async fn update(&mut self, row: &mut TokenRow) -> Result<(), StoreError> {
        let sql = "update tokens \
                   set name = $1, role = $2, accounts = $3, expires = $4, revoked_at = $5, version = version + 1 \
                   where id = $6 and version = $7";
        let binds = [
            Bind::text(&row.name),
            Bind::text(&row.role),
            Bind::texts(&row.accounts),
            row.expires.into(),
            row.revoked_at.into(),
            Bind::text(&row.id),
            row.version.into(),
        ];
        self.session.update(TABLE, &row.id, sql, binds).await?;
        row.version += 1;
        Ok(())
    }

    /// The token of this id, revoked or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        let sql = "select id, name, role, accounts, hash, created_by, expires, revoked_at, last_used_at, created_at, version \
                   from tokens \
                   where id = $1";
        self.session.row(sql, [Bind::text(id)]).await?.as_ref().map(read).transpose()
    }

    /// The token of this hash, revoked or expired or not: the caller decides.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup_by_hash(&mut self, hash: &[u8]) -> Result<Option<TokenRow>, StoreError> {
        let sql = "select id, name, role, accounts, hash, created_by, expires, revoked_at, last_used_at, created_at, version \
                   from tokens \
                   where hash = $1";
        self.session.row(sql, [Bind::bytes(hash)]).await?.as_ref().map(read).transpose()
    }

    /// All tokens, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list(&mut self, page: &Page) -> Result<Vec<TokenRow>, StoreError> {
        let sql = "select id, name, role, accounts, hash, created_by, expires, revoked_at, last_used_at, created_at, version \
                   from tokens \
                   where id > $1 \
                   order by id \
                   limit $2";
        let binds = [Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }

    /// How many tokens of this role are neither revoked nor expired.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count_usable(&mut self, role: &str, now: i64) -> Result<u64, StoreError> {
        let sql = "select count(*) as total from tokens where role = $1 and revoked_at is null and (expires is null or expires > $2)";
        let total = self
            .session
            .row(sql, [Bind::text(role), now.into()])
            .await?
            .map(|record| record.int(TABLE, "total"))
            .transpose()?;
        Ok(total.unwrap_or_default().unsigned_abs())
    }

    /// Notes that a token was used; its version stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn touch(&mut self, id: &str, now: i64) -> Result<(), StoreError> {
        let sql = "update tokens set last_used_at = $1 where id = $2 and (last_used_at is null or last_used_at < $1)";
        self.session.execute(sql, [now.into(), Bind::text(id)]).await?;
        Ok(())
    }
}

fn binds(row: &TokenRow) -> [Bind; 11] {
    [
        Bind::text(&row.id),
        Bind::text(&row.name),
        Bind::text(&row.role),
        Bind::texts(&row.accounts),
        Bind::bytes(&row.hash),
        Bind::text(&row.created_by),
        row.expires.into(),
        row.revoked_at.into(),
        row.last_used_at.into(),
        row.created_at.into(),
        row.version.into(),
    ]
}

fn read(record: &Record) -> Result<TokenRow, StoreError> {
    let row = || -> Result<TokenRow, StoreError> {
        Ok(TokenRow {
            id: record.string(TABLE, "id")?,
            name: record.string(TABLE, "name")?,
            role: record.string(TABLE, "role")?,
            accounts: record.json_parsed(TABLE, "accounts")?,
            hash: record.bytes(TABLE, "hash")?,
            created_by: record.string(TABLE, "created_by")?,
            expires: record.optional_int(TABLE, "expires")?,
            revoked_at: record.optional_int(TABLE, "revoked_at")?,
            last_used_at: record.optional_int(TABLE, "last_used_at")?,
            created_at: record.int(TABLE, "created_at")?,
            version: record.int(TABLE, "version")?,
        })
    };
    row().map_err(|error| error.in_row(&record.string(TABLE, "id").unwrap_or_default()))
}
