//! Signing keys: further keys of operators and accounts.

use cordon_accounts::key::PublicKey;

use crate::vault::Sealed;

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "signing_keys";

/// A signing key of an operator or an account.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKeyRow {
    /// The signing key.
    pub key: PublicKey,
    /// The operator or account in whose name it signs.
    pub owner: PublicKey,
    /// Whether its owner's claims name it.
    pub state: SigningKeyState,
    /// The role's name, of a scoped key.
    pub role: Option<String>,
    /// For people.
    pub description: String,
    /// The permission template, of a scoped key; `None` for a plain one.
    pub template: Option<serde_json::Value>,
    /// Its seed; `None` when its owner keeps it.
    pub seed_sealed: Option<Sealed>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// Counts changes; the ETag.
    pub version: i64,
}

/// Whether a signing key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyState {
    /// Its owner's claims name it.
    Active,
    /// Taken out of its owner's claims.
    Removed,
}

impl SigningKeyState {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Removed => "removed",
        }
    }
}

impl std::fmt::Display for SigningKeyState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for SigningKeyState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active),
            "removed" => Ok(Self::Removed),
            other => Err(format!("`{other}` is not a word for it")),
        }
    }
}

/// Signing keys in the store.
#[derive(Debug)]
pub struct SigningKeys<'u> {
    session: &'u mut Session,
}

impl<'u> SigningKeys<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Inserts a row. Its version is set to 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the key, or a live row of the same name, is there already.
    pub async fn insert(&mut self, row: &mut SigningKeyRow) -> Result<(), StoreError> {
        row.version = 1;
        let sql = "insert into signing_keys (key, owner, state, role, description, template, seed, created_at, updated_at, version) \
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
    pub async fn update(&mut self, row: &mut SigningKeyRow) -> Result<(), StoreError> {
        let sql = "update signing_keys \
                   set state = $1, role = $2, description = $3, template = $4, seed = $5, updated_at = $6, version = version + 1 \
                   where key = $7 and version = $8";
        let binds = [
            Bind::text(row.state),
            Bind::optional_text(row.role.as_ref()),
            Bind::text(&row.description),
            Bind::optional_json(row.template.as_ref()),
            Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
            row.updated_at.into(),
            Bind::text(row.key),
            row.version.into(),
        ];
        self.session.update(TABLE, &row.key, sql, binds).await?;
        row.version += 1;
        Ok(())
    }

    /// This signing key, removed or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, key: &PublicKey) -> Result<Option<SigningKeyRow>, StoreError> {
        let sql = "select key, owner, state, role, description, template, seed, created_at, updated_at, version \
                   from signing_keys \
                   where key = $1";
        self.session.row(sql, [Bind::text(key)]).await?.as_ref().map(read).transpose()
    }

    /// The owner's signing keys that are not removed, by key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list_of_owner(&mut self, owner: &PublicKey, page: &Page) -> Result<Vec<SigningKeyRow>, StoreError> {
        let sql = "select key, owner, state, role, description, template, seed, created_at, updated_at, version \
                   from signing_keys \
                   where owner = $1 and state <> 'removed' and key > $2 \
                   order by key \
                   limit $3";
        let binds = [Bind::text(owner), Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }
}

fn binds(row: &SigningKeyRow) -> [Bind; 10] {
    [
        Bind::text(row.key),
        Bind::text(row.owner),
        Bind::text(row.state),
        Bind::optional_text(row.role.as_ref()),
        Bind::text(&row.description),
        Bind::optional_json(row.template.as_ref()),
        Bind::optional_bytes(row.seed_sealed.as_ref().map(Sealed::as_bytes)),
        row.created_at.into(),
        row.updated_at.into(),
        row.version.into(),
    ]
}

fn read(record: &Record) -> Result<SigningKeyRow, StoreError> {
    let row = || -> Result<SigningKeyRow, StoreError> {
        Ok(SigningKeyRow {
            key: record.parse(TABLE, "key")?,
            owner: record.parse(TABLE, "owner")?,
            state: record.parse(TABLE, "state")?,
            role: record.optional_string(TABLE, "role")?,
            description: record.string(TABLE, "description")?,
            template: record.optional_json(TABLE, "template")?,
            seed_sealed: record.optional_bytes(TABLE, "seed")?.map(Sealed::from_bytes),
            created_at: record.int(TABLE, "created_at")?,
            updated_at: record.int(TABLE, "updated_at")?,
            version: record.int(TABLE, "version")?,
        })
    };
    row().map_err(|error| error.in_row(&record.string(TABLE, "key").unwrap_or_default()))
}
