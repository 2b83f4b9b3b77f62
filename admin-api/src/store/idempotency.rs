//! Answers kept for repeated requests: a POST with an `Idempotency-Key` is done once.

use super::{Bind, Record, Session, StoreError};

const TABLE: &str = "idempotency";

/// How many old answers one call of [`IdempotentRequests::prune`] removes at most.
const PRUNE_MAX: u32 = 1000;

/// A request that was answered, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Who asked: the token's id. Keys of different callers never meet.
    pub caller: String,
    /// The `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of method, path and body: the same key with another request is a mistake.
    pub request_digest: [u8; 32],
    /// The answer's HTTP status.
    pub status: u16,
    /// The answer's content type.
    pub content_type: String,
    /// The answer's ETag.
    pub etag: Option<String>,
    /// The answer's Location.
    pub location: Option<String>,
    /// The answer's body. Seal it (`Vault::seal_bytes`) if it shows a secret.
    pub body: Vec<u8>,
    /// Unix seconds.
    pub created_at: i64,
}

/// Answers kept for repeated requests.
#[derive(Debug)]
pub struct IdempotentRequests<'u> {
    session: &'u mut Session,
}

impl<'u> IdempotentRequests<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Keeps an answer, in the unit that did what was asked.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when the same request was answered meanwhile: drop the unit
    /// and look the answer up.
    pub async fn insert(&mut self, row: &IdempotencyRow) -> Result<(), StoreError> {
        let sql = "insert into idempotency \
                   (caller, key, request_digest, status, content_type, etag, location, body, created_at) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                   on conflict do nothing";
        let binds = [
            Bind::text(&row.caller),
            Bind::text(&row.key),
            Bind::bytes(row.request_digest),
            i64::from(row.status).into(),
            Bind::text(&row.content_type),
            Bind::optional_text(row.etag.as_ref()),
            Bind::optional_text(row.location.as_ref()),
            Bind::bytes(&row.body),
            row.created_at.into(),
        ];
        self.session.insert(TABLE, &row.key, sql, binds).await
    }

    /// Removes answers made before `before`, a thousand at most; says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn prune(&mut self, before: i64) -> Result<u64, StoreError> {
        let sql = "delete from idempotency \
                   where (caller, key) in \
                   (select caller, key from idempotency where created_at < $1 order by created_at limit $2)";
        self.session.execute(sql, [before.into(), PRUNE_MAX.into()]).await
    }

    /// The answer kept for this caller's key, unless it was made before `not_before`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(
        &mut self,
        caller: &str,
        key: &str,
        not_before: i64,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        let sql = "select caller, key, request_digest, status, content_type, etag, location, body, created_at \
                   from idempotency \
                   where caller = $1 and key = $2 and created_at >= $3";
        let binds = [Bind::text(caller), Bind::text(key), not_before.into()];
        self.session.row(sql, binds).await?.as_ref().map(read).transpose()
    }
}

fn read(record: &Record) -> Result<IdempotencyRow, StoreError> {
    let status = record.int(TABLE, "status")?;
    Ok(IdempotencyRow {
        caller: record.string(TABLE, "caller")?,
        key: record.string(TABLE, "key")?,
        request_digest: record.digest(TABLE, "request_digest")?,
        status: u16::try_from(status).map_err(|error| StoreError::damaged(TABLE, "status", error))?,
        content_type: record.string(TABLE, "content_type")?,
        etag: record.optional_string(TABLE, "etag")?,
        location: record.optional_string(TABLE, "location")?,
        body: record.bytes(TABLE, "body")?,
        created_at: record.int(TABLE, "created_at")?,
    })
}
