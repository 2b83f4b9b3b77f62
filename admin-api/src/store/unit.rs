//! Units of work and readers: what gives access to the repositories.

use std::ops::{Deref, DerefMut};

use super::{
    Accounts, Brokers, Certificates, ConsoleSessions, IdempotentRequests, Operators, Pushes, Session, SigningKeys,
    StoreError, Tokens, Users, VaultEnvelope,
};
use crate::ledger::{self, Entry, LeafRef, LedgerLog};

/// A consistent view of the store.
///
/// Its repositories also have the functions that write; on a reader the database refuses those.
#[derive(Debug)]
pub struct Reader {
    session: Session,
}

impl Reader {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Operators.
    pub fn operators(&mut self) -> Operators<'_> {
        Operators::new(&mut self.session)
    }

    /// Accounts.
    pub fn accounts(&mut self) -> Accounts<'_> {
        Accounts::new(&mut self.session)
    }

    /// Users.
    pub fn users(&mut self) -> Users<'_> {
        Users::new(&mut self.session)
    }

    /// Signing keys of operators and accounts.
    pub fn signing_keys(&mut self) -> SigningKeys<'_> {
        SigningKeys::new(&mut self.session)
    }

    /// Certificates that the local authority issued.
    pub fn certificates(&mut self) -> Certificates<'_> {
        Certificates::new(&mut self.session)
    }

    /// API tokens.
    pub fn tokens(&mut self) -> Tokens<'_> {
        Tokens::new(&mut self.session)
    }

    /// Who is signed in at the console.
    pub fn console_sessions(&mut self) -> ConsoleSessions<'_> {
        ConsoleSessions::new(&mut self.session)
    }

    /// Answers kept for repeated requests.
    pub fn idempotency(&mut self) -> IdempotentRequests<'_> {
        IdempotentRequests::new(&mut self.session)
    }

    /// What is still to be pushed to brokers.
    pub fn pushes(&mut self) -> Pushes<'_> {
        Pushes::new(&mut self.session)
    }

    /// Brokers, and how far their security events were read.
    pub fn brokers(&mut self) -> Brokers<'_> {
        Brokers::new(&mut self.session)
    }

    /// The vault's sealed data key.
    pub fn vault_envelope(&mut self) -> VaultEnvelope<'_> {
        VaultEnvelope::new(&mut self.session)
    }

    /// The ledger: search, proofs, blobs, checkpoints. Entries are added by [`Unit::save`] alone.
    pub fn ledger(&mut self) -> LedgerLog<'_> {
        LedgerLog::new(&mut self.session)
    }
}

/// A unit of work: holds nothing until it is saved, and is undone when it is dropped.
#[derive(Debug)]
#[must_use = "a unit that is not saved is undone"]
pub struct Unit {
    reader: Reader,
    pending: Vec<Entry>,
}

impl Unit {
    pub(super) fn new(session: Session) -> Self {
        Self { reader: Reader::new(session), pending: Vec::new() }
    }

    /// Writes the entries as the ledger's next leaves and commits them together with the unit's
    /// other changes.
    ///
    /// When this returns, all of it is on disk; when it fails, none of it holds. Entries that
    /// [`ledger::record_broker_event`] left in the unit come before `entries`. Units that save at
    /// once line up here: each gets leaves of its own, and the log stays one line.
    ///
    /// # Errors
    ///
    /// [`StoreError::Spoiled`] when a statement failed before, [`StoreError::Database`] when the
    /// commit fails, [`StoreError::Ledger`] when an entry cannot be written down.
    pub async fn save(mut self, entries: Vec<Entry>) -> Result<Vec<LeafRef>, StoreError> {
        let mut all = std::mem::take(&mut self.pending);
        all.extend(entries);
        // Boxed, as in `session.rs`: large, and held by every handler that changes something.
        let leaves = Box::pin(ledger::append(&mut self.reader.session, all)).await?;
        self.reader.session.commit().await?;
        Ok(leaves)
    }

    /// Keeps an entry for [`Unit::save`].
    pub fn note(&mut self, entry: Entry) {
        self.pending.push(entry);
    }
}

impl Deref for Unit {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Unit {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

#[cfg(test)]
impl Reader {
    /// Runs a statement behind the repositories' back.
    pub(crate) async fn damage(&mut self, sql: &'static str) {
        let changed = self.session.execute(sql, []).await.unwrap();
        assert!(changed > 0, "`{sql}` changed nothing");
    }

    /// What a setting of SQLite is.
    pub(crate) async fn pragma(&mut self, name: &str) -> String {
        let sql = sqlx::AssertSqlSafe(format!("select cast({name} as text) as value from pragma_{name}"));
        self.session.row(sql, []).await.unwrap().unwrap().string("pragma", "value").unwrap()
    }
}
