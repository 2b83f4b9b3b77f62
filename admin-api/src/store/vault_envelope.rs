//! Where the vault's sealed data key is kept. One row.

use super::{Bind, Session, StoreError};

const TABLE: &str = "vault_envelope";

/// The vault's sealed data key in the store.
#[derive(Debug)]
pub struct VaultEnvelope<'u> {
    session: &'u mut Session,
}

impl<'u> VaultEnvelope<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Keeps the first envelope.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`] when there is one: opening another would lose every seed.
    pub async fn insert(&mut self, envelope: &[u8], now: i64) -> Result<(), StoreError> {
        let sql = "insert into vault_envelope (id, envelope, created_at, updated_at) \
                   values (1, $1, $2, $2) \
                   on conflict do nothing";
        self.session.insert(TABLE, "1", sql, [Bind::bytes(envelope), now.into()]).await
    }

    /// Replaces the envelope, if it still is `old`: the same data key under another key source.
    ///
    /// # Errors
    ///
    /// [`StoreError::VersionConflict`] when it was replaced meanwhile.
    pub async fn replace(&mut self, old: &[u8], new: &[u8], now: i64) -> Result<(), StoreError> {
        let sql = "update vault_envelope set envelope = $1, updated_at = $2 where id = 1 and envelope = $3";
        self.session.update(TABLE, "1", sql, [Bind::bytes(new), now.into(), Bind::bytes(old)]).await
    }

    /// The envelope, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lookup(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let record = self.session.row("select envelope from vault_envelope where id = 1", []).await?;
        record.map(|record| record.bytes(TABLE, "envelope")).transpose()
    }
}
