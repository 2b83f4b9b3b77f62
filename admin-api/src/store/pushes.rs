//! The outbox: what is still to be pushed to brokers, written in the unit that changed the claims.

use cordon_accounts::key::AccountKey;

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "pushes";

/// How many settled pushes one call of [`Pushes::prune`] removes at most.
const PRUNE_MAX: u32 = 1000;

/// One push: the claims of one account, to all brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRow {
    /// The account.
    pub account: AccountKey,
    /// The `jti` of the pushed claims; of the request for a deletion.
    pub jti: String,
    /// What brokers are told.
    pub kind: PushKind,
    /// The signed claims that are sent.
    pub token: String,
    /// How far it is.
    pub state: PushState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is to be tried next, unix seconds.
    pub next_at: i64,
    /// What the brokers answered last, as JSON.
    pub answer: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
}

/// What brokers are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// Forget the account: `$SYS.REQ.CLAIMS.DELETE`.
    Delete,
    /// The account's new claims: `$SYS.REQ.CLAIMS.UPDATE`.
    Update,
}

impl PushKind {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Update => "update",
        }
    }
}

impl std::fmt::Display for PushKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for PushKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "delete" => Ok(Self::Delete),
            "update" => Ok(Self::Update),
            other => Err(format!("`{other}` is not a word for it")),
        }
    }
}

/// How far a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    /// Brokers accepted it.
    Confirmed,
    /// A broker refused it for good; retrying would not help.
    Failed,
    /// Still to be done, or to be tried again.
    Pending,
    /// A newer push of the same account took its place.
    Superseded,
}

impl PushState {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::Superseded => "superseded",
        }
    }
}

impl std::fmt::Display for PushState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for PushState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "confirmed" => Ok(Self::Confirmed),
            "failed" => Ok(Self::Failed),
            "pending" => Ok(Self::Pending),
            "superseded" => Ok(Self::Superseded),
            other => Err(format!("`{other}` is not a word for it")),
        }
    }
}

/// Pushes in the store.
#[derive(Debug)]
pub struct Pushes<'u> {
    session: &'u mut Session,
}

impl<'u> Pushes<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Adds a push, due at `now`; older ones of the same account that are still pending are superseded.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when these claims were pushed before.
    pub async fn enqueue(
        &mut self,
        account: &AccountKey,
        jti: &str,
        kind: PushKind,
        token: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let supersede = "update pushes \
                         set state = 'superseded', updated_at = $1 \
                         where account = $2 and state = 'pending' and jti <> $3";
        self.session.execute(supersede, [now.into(), Bind::text(account), Bind::text(jti)]).await?;
        let insert = "insert into pushes \
                      (account, jti, kind, token, state, attempts, next_at, answer, created_at, updated_at) \
                      values ($1, $2, $3, $4, 'pending', 0, $5, null, $5, $5) \
                      on conflict do nothing";
        let binds = [Bind::text(account), Bind::text(jti), Bind::text(kind), Bind::text(token), now.into()];
        self.session.insert(TABLE, jti, insert, binds).await
    }

    /// Notes what came of an attempt. `next_at` counts while the state is pending.
    ///
    /// A push that was superseded while the attempt ran stays superseded, and is not counted as
    /// an error.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn settle(
        &mut self,
        push: &PushRow,
        state: PushState,
        answer: &str,
        next_at: i64,
        now: i64,
    ) -> Result<(), StoreError> {
        let sql = "update pushes \
                   set state = $1, attempts = attempts + 1, next_at = $2, answer = $3, updated_at = $4 \
                   where account = $5 and jti = $6 and state <> 'superseded'";
        let binds = [
            Bind::text(state),
            next_at.into(),
            Bind::text(answer),
            now.into(),
            Bind::text(push.account),
            Bind::text(&push.jti),
        ];
        self.session.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes pushes settled before `before`, a thousand at most; says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn prune(&mut self, before: i64) -> Result<u64, StoreError> {
        let sql = "delete from pushes \
                   where (account, jti) in \
                   (select account, jti from pushes where state <> 'pending' and updated_at < $1 order by updated_at limit $2)";
        self.session.execute(sql, [before.into(), PRUNE_MAX.into()]).await
    }

    /// Pending pushes whose time has come, the longest due first, 500 at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn due(&mut self, now: i64, limit: u32) -> Result<Vec<PushRow>, StoreError> {
        let sql = "select account, jti, kind, token, state, attempts, next_at, answer, created_at, updated_at \
                   from pushes \
                   where state = 'pending' and next_at <= $1 \
                   order by next_at, account \
                   limit $2";
        let limit = Page::new(None, limit).limit();
        self.session.rows(sql, [now.into(), limit.into()]).await?.iter().map(read).collect()
    }

    /// When the next pending push is due, unix seconds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn next_due(&mut self) -> Result<Option<i64>, StoreError> {
        let sql = "select min(next_at) as next_at from pushes where state = 'pending'";
        match self.session.row(sql, []).await? {
            Some(record) => record.optional_int(TABLE, "next_at"),
            None => Ok(None),
        }
    }

    /// The push of these claims.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, account: &AccountKey, jti: &str) -> Result<Option<PushRow>, StoreError> {
        let sql = "select account, jti, kind, token, state, attempts, next_at, answer, created_at, updated_at \
                   from pushes \
                   where account = $1 and jti = $2";
        self.session.row(sql, [Bind::text(account), Bind::text(jti)]).await?.as_ref().map(read).transpose()
    }

    /// The account's latest push.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn latest(&mut self, account: &AccountKey) -> Result<Option<PushRow>, StoreError> {
        let sql = "select account, jti, kind, token, state, attempts, next_at, answer, created_at, updated_at \
                   from pushes \
                   where account = $1 and state <> 'superseded' \
                   order by created_at desc, jti desc \
                   limit 1";
        self.session.row(sql, [Bind::text(account)]).await?.as_ref().map(read).transpose()
    }

    /// How many pushes are in this state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn count(&mut self, state: PushState) -> Result<u64, StoreError> {
        let sql = "select count(*) as total from pushes where state = $1";
        let total =
            self.session.row(sql, [Bind::text(state)]).await?.map(|record| record.int(TABLE, "total")).transpose()?;
        Ok(total.unwrap_or_default().unsigned_abs())
    }
}

fn read(record: &Record) -> Result<PushRow, StoreError> {
    Ok(PushRow {
        account: record.parse(TABLE, "account")?,
        jti: record.string(TABLE, "jti")?,
        kind: record.parse(TABLE, "kind")?,
        token: record.string(TABLE, "token")?,
        state: record.parse(TABLE, "state")?,
        attempts: record.int(TABLE, "attempts")?,
        next_at: record.int(TABLE, "next_at")?,
        answer: record.optional_string(TABLE, "answer")?,
        created_at: record.int(TABLE, "created_at")?,
        updated_at: record.int(TABLE, "updated_at")?,
    })
}
