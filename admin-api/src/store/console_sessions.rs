//! Who is signed in at the console. Only a hash of what a browser keeps is stored.

use super::{Bind, Record, Session, StoreError};

const TABLE: &str = "console_sessions";

/// How many ended sessions one call of [`ConsoleSessions::prune`] removes at most.
const PRUNE_MAX: u32 = 1000;

/// A session of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleSessionRow {
    /// Its id, which is no secret.
    pub id: String,
    /// Hash of the secret in the browser's cookie.
    pub hash: [u8; 32],
    /// The API token it was opened with: it holds no longer, and may do no more.
    pub token: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; see [`ConsoleSessions::touch`].
    pub last_used_at: i64,
    /// Unix seconds: the end that no use puts off.
    pub expires: i64,
}

/// Sessions of the console in the store.
#[derive(Debug)]
pub struct ConsoleSessions<'u> {
    session: &'u mut Session,
}

impl<'u> ConsoleSessions<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Inserts a row.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when its id or hash is there already.
    pub async fn insert(&mut self, row: &ConsoleSessionRow) -> Result<(), StoreError> {
        let sql = "insert into console_sessions (id, hash, token, created_at, last_used_at, expires) \
                   values ($1, $2, $3, $4, $5, $6) \
                   on conflict do nothing";
        let binds = [
            Bind::text(&row.id),
            Bind::bytes(row.hash),
            Bind::text(&row.token),
            row.created_at.into(),
            row.last_used_at.into(),
            row.expires.into(),
        ];
        self.session.insert(TABLE, &row.id, sql, binds).await
    }

    /// The session of this hash, whether it holds or not: the caller decides.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<ConsoleSessionRow>, StoreError> {
        let sql = "select id, hash, token, created_at, last_used_at, expires from console_sessions where hash = $1";
        self.session.row(sql, [Bind::bytes(hash)]).await?.as_ref().map(read).transpose()
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn touch(&mut self, id: &str, now: i64) -> Result<(), StoreError> {
        let sql = "update console_sessions set last_used_at = $1 where id = $2 and last_used_at < $1";
        self.session.execute(sql, [now.into(), Bind::text(id)]).await?;
        Ok(())
    }

    /// Ends a session; says whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn delete(&mut self, id: &str) -> Result<bool, StoreError> {
        let sql = "delete from console_sessions where id = $1";
        Ok(self.session.execute(sql, [Bind::text(id)]).await? > 0)
    }

    /// Leaves a token its `keep` sessions that were used last, and ends the others.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn keep_newest(&mut self, token: &str, keep: u32) -> Result<u64, StoreError> {
        let sql = "delete from console_sessions where token = $1 and id not in \
                   (select id from console_sessions where token = $1 order by last_used_at desc, id desc limit $2)";
        self.session.execute(sql, [Bind::text(token), keep.into()]).await
    }

    /// Removes sessions that ended by `now`, a thousand at most; says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn prune(&mut self, now: i64) -> Result<u64, StoreError> {
        let sql = "delete from console_sessions where id in \
                   (select id from console_sessions where expires <= $1 order by expires limit $2)";
        self.session.execute(sql, [now.into(), PRUNE_MAX.into()]).await
    }
}

fn read(record: &Record) -> Result<ConsoleSessionRow, StoreError> {
    let row = || -> Result<ConsoleSessionRow, StoreError> {
        Ok(ConsoleSessionRow {
            id: record.string(TABLE, "id")?,
            hash: record.digest(TABLE, "hash")?,
            token: record.string(TABLE, "token")?,
            created_at: record.int(TABLE, "created_at")?,
            last_used_at: record.int(TABLE, "last_used_at")?,
            expires: record.int(TABLE, "expires")?,
        })
    };
    row().map_err(|error| error.in_row(&record.string(TABLE, "id").unwrap_or_default()))
}
