//! Certificates that the local authority issued. Their private keys are not kept.

use cordon_accounts::key::{AccountKey, UserKey};

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "certificates";

/// A certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateRow {
    /// Its serial number in hexadecimal.
    pub id: String,
    /// What it is for.
    pub kind: CertificateKind,
    /// The account of the user it stands for.
    pub account: Option<AccountKey>,
    /// The user it stands for.
    pub user: Option<UserKey>,
    /// Its subject, as text.
    pub subject: String,
    /// Its alternative names, as text.
    pub names: Vec<String>,
    /// The certificate.
    pub pem: String,
    /// SHA-256 of the certificate's DER, hexadecimal.
    pub fingerprint: String,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
    /// When it was revoked, unix seconds.
    pub revoked_at: Option<i64>,
    /// Unix seconds.
    pub created_at: i64,
    /// Counts changes; the ETag.
    pub version: i64,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateKind {
    /// It signs the others.
    Authority,
    /// A client shows it.
    Client,
    /// A broker or the API shows it.
    Server,
}

impl CertificateKind {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl std::fmt::Display for CertificateKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for CertificateKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "authority" => Ok(Self::Authority),
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            other => Err(format!("`{other}` is not a word for it")),
        }
    }
}

/// Certificates in the store.
#[derive(Debug)]
pub struct Certificates<'u> {
    session: &'u mut Session,
}

impl<'u> Certificates<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Inserts a row. Its version is set to 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the key, or a live row of the same name, is there already.
    pub async fn insert(&mut self, row: &mut CertificateRow) -> Result<(), StoreError> {
        row.version = 1;
        let sql = "insert into certificates (id, kind, account, user_key, subject, names, pem, fingerprint, not_before, not_after, revoked_at, created_at, version) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                   on conflict do nothing";
        self.session.insert(TABLE, &row.id, sql, binds(row)).await
    }

    /// Writes a changed row, if nobody changed it since it was read; its version is counted on.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionConflict`] when the row was changed meanwhile or is gone,
    /// [`StoreError::AlreadyExists`] when its new name belongs to another live row.
    pub async fn update(&mut self, row: &mut CertificateRow) -> Result<(), StoreError> {
        let sql = "update certificates \
                   set revoked_at = $1, version = version + 1 \
                   where id = $2 and version = $3";
        let binds = [row.revoked_at.into(), Bind::text(&row.id), row.version.into()];
        self.session.update(TABLE, &row.id, sql, binds).await?;
        row.version += 1;
        Ok(())
    }

    /// The certificate of this serial number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, id: &str) -> Result<Option<CertificateRow>, StoreError> {
        let sql = "select id, kind, account, user_key, subject, names, pem, fingerprint, not_before, not_after, revoked_at, created_at, version \
                   from certificates \
                   where id = $1";
        self.session.row(sql, [Bind::text(id)]).await?.as_ref().map(read).transpose()
    }

    /// The certificate of this SHA-256 in hexadecimal.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup_by_fingerprint(&mut self, fingerprint: &str) -> Result<Option<CertificateRow>, StoreError> {
        let sql = "select id, kind, account, user_key, subject, names, pem, fingerprint, not_before, not_after, revoked_at, created_at, version \
                   from certificates \
                   where fingerprint = $1";
        self.session.row(sql, [Bind::text(fingerprint)]).await?.as_ref().map(read).transpose()
    }

    /// All certificates, by serial number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list(&mut self, page: &Page) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = "select id, kind, account, user_key, subject, names, pem, fingerprint, not_before, not_after, revoked_at, created_at, version \
                   from certificates \
                   where id > $1 \
                   order by id \
                   limit $2";
        let binds = [Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }

    /// Certificates of the account's users, by serial number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list_of_account(
        &mut self,
        account: &AccountKey,
        page: &Page,
    ) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = "select id, kind, account, user_key, subject, names, pem, fingerprint, not_before, not_after, revoked_at, created_at, version \
                   from certificates \
                   where account = $1 and id > $2 \
                   order by id \
                   limit $3";
        let binds = [Bind::text(account), Bind::text(page.after()), page.limit().into()];
        self.session.rows(sql, binds).await?.iter().map(read).collect()
    }
}

fn binds(row: &CertificateRow) -> [Bind; 13] {
    [
        Bind::text(&row.id),
        Bind::text(row.kind),
        Bind::optional_text(row.account.as_ref()),
        Bind::optional_text(row.user.as_ref()),
        Bind::text(&row.subject),
        Bind::json(&row.names),
        Bind::text(&row.pem),
        Bind::text(&row.fingerprint),
        row.not_before.into(),
        row.not_after.into(),
        row.revoked_at.into(),
        row.created_at.into(),
        row.version.into(),
    ]
}

fn read(record: &Record) -> Result<CertificateRow, StoreError> {
    let row = || -> Result<CertificateRow, StoreError> {
        Ok(CertificateRow {
            id: record.string(TABLE, "id")?,
            kind: record.parse(TABLE, "kind")?,
            account: record.optional_parse(TABLE, "account")?,
            user: record.optional_parse(TABLE, "user_key")?,
            subject: record.string(TABLE, "subject")?,
            names: record.json(TABLE, "names")?,
            pem: record.string(TABLE, "pem")?,
            fingerprint: record.string(TABLE, "fingerprint")?,
            not_before: record.int(TABLE, "not_before")?,
            not_after: record.int(TABLE, "not_after")?,
            revoked_at: record.optional_int(TABLE, "revoked_at")?,
            created_at: record.int(TABLE, "created_at")?,
            version: record.int(TABLE, "version")?,
        })
    };
    row().map_err(|error| error.in_row(&record.string(TABLE, "id").unwrap_or_default()))
}
