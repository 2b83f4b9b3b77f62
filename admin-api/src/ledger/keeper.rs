//! The keeper of a ledger: its keys, and its checkpoints.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use rand::RngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::append::place;
use super::{Checkpoint, Digest, Head, KeyedHash, LedgerError, LedgerLog, NoteKey, SignedCheckpoint};
use crate::store::{Bind, Record, Store, StoreError};
use crate::vault::{Sealed, Vault};

const SEED_PURPOSE: &str = "ledger signing key";
const HASH_PURPOSE: &str = "ledger hash key";
/// The file of the latest checkpoint.
const CHECKPOINT_FILE: &str = "checkpoint";
/// The file of the public key that checks it.
const KEY_FILE: &str = "key.pub";

/// Signs checkpoints, and hashes secret values for entries. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    origin: Arc<str>,
    signing_key: Arc<SigningKey>,
    hash_key: Arc<Zeroizing<[u8; 32]>>,
    folder: Option<Arc<Path>>,
    /// One checkpoint at a time, so that the file never goes back to an older one.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ledger").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The stored identity.
struct Identity {
    origin: String,
    public_key: Vec<u8>,
    seed: Sealed,
    hash_key: Sealed,
}

impl Ledger {
    /// Opens the store's ledger with the keys sealed in the vault; a store without keys gets some.
    ///
    /// With a folder, `key.pub` and, on each checkpoint, `checkpoint` are written there, synced and
    /// replaced whole.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Keys`] when the keys do not open, [`LedgerError::File`] when the folder cannot
    /// be written, or what the store says.
    pub async fn open(store: &Store, vault: &Vault, folder: Option<PathBuf>, now: i64) -> Result<Self, StoreError> {
        let mut unit = store.begin("ledger.open").await?;
        let stored = unit.ledger().identity().await?;
        let identity = if let Some(identity) = stored {
            identity
        } else {
            let identity = Identity::create(vault)?;
            unit.ledger().insert_identity(&identity, now).await?;
            // Another process may have been first: its keys count.
            let stored = unit.ledger().identity().await?;
            unit.save(Vec::new()).await?;
            stored.unwrap_or(identity)
        };
        let ledger = Self::unlock(&identity, vault, folder)?;
        if let Some(folder) = &ledger.folder {
            write_whole(folder, KEY_FILE, &format!("{}\n", ledger.note_key()))?;
        }
        Ok(ledger)
    }

    fn unlock(identity: &Identity, vault: &Vault, folder: Option<PathBuf>) -> Result<Self, LedgerError> {
        let keys = |detail: &str| LedgerError::Keys { detail: detail.to_owned() };
        let open = |sealed: &Sealed, purpose: &str| {
            let bytes = vault.open_bytes(sealed, purpose).map_err(|error| keys(&error.to_string()))?;
            <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| keys("a key has the wrong length"))
        };
        let signing_key = SigningKey::from_bytes(&*open(&identity.seed, SEED_PURPOSE)?);
        if signing_key.verifying_key().as_bytes().as_slice() != identity.public_key.as_slice() {
            return Err(keys("the seed is not the one of the ledger's public key"));
        }
        Ok(Self {
            origin: identity.origin.as_str().into(),
            signing_key: Arc::new(signing_key),
            hash_key: Arc::new(open(&identity.hash_key, HASH_PURPOSE)?),
            folder: folder.map(Arc::from),
            turn: Arc::default(),
        })
    }

    /// Signs a checkpoint of the log as it stands, and writes it to the store and the folder; says
    /// the latest one if nothing was added since.
    ///
    /// When this returns, both are on disk. The log is held against the latest checkpoint first: a
    /// tree that no longer begins as that one said is not signed.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Damaged`] when the stored tree contradicts the latest checkpoint,
    /// [`LedgerError::File`] when the folder cannot be written, or what the store says.
    pub async fn checkpoint(&self, store: &Store, now: i64) -> Result<SignedCheckpoint, StoreError> {
        let _turn = self.turn.lock().await;
        let mut unit = store.begin("ledger.checkpoint").await?;
        let mut log = unit.ledger();
        let head = log.head().await?;
        let latest = log.latest_checkpoint(self).await?;
        if let Some(latest) = &latest {
            hold_against(&mut log, head, &latest.checkpoint).await?;
        }
        let signed = match latest {
            Some(latest) if latest.checkpoint.size == head.size => latest,
            _ => {
                let signed = self.sign(head, now);
                log.insert_checkpoint(&signed).await?;
                signed
            }
        };
        unit.save(Vec::new()).await?;
        if let Some(folder) = &self.folder {
            write_whole(folder, CHECKPOINT_FILE, &signed.note)?;
        }
        Ok(signed)
    }

    /// Signs a head. The caller has read it from the log in the same transaction.
    pub(super) fn sign(&self, head: Head, now: i64) -> SignedCheckpoint {
        let checkpoint = Checkpoint { origin: self.origin.to_string(), size: head.size, root: head.root };
        let note = checkpoint.sign(&self.signing_key);
        SignedCheckpoint { checkpoint, note, created_at: now }
    }

    /// What stands for a secret value in entries.
    pub fn keyed_hash(&self, secret: &[u8]) -> KeyedHash {
        KeyedHash::compute(&self.hash_key, secret)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The public key that checks its checkpoints.
    pub fn note_key(&self) -> NoteKey {
        NoteKey::new(&*self.origin, self.signing_key.verifying_key())
    }
}

impl Identity {
    fn create(vault: &Vault) -> Result<Self, LedgerError> {
        let mut seed = Zeroizing::new([0; 32]);
        let mut hash_key = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(&mut *seed);
        OsRng.fill_bytes(&mut *hash_key);
        let public_key = SigningKey::from_bytes(&seed).verifying_key();
        let seal = |secret: &[u8; 32], purpose: &str| {
            vault.seal_bytes(secret, purpose).map_err(|error| LedgerError::Keys { detail: error.to_string() })
        };
        let name = Digest::of(public_key.as_bytes()).to_string();
        Ok(Self {
            origin: format!("cordon-ledger-{}", name.get(..16).unwrap_or_default()),
            public_key: public_key.as_bytes().to_vec(),
            seed: seal(&seed, SEED_PURPOSE)?,
            hash_key: seal(&hash_key, HASH_PURPOSE)?,
        })
    }
}

/// Refuses a log that does not begin as its own checkpoint says.
async fn hold_against(log: &mut LedgerLog<'_>, head: Head, latest: &Checkpoint) -> Result<(), StoreError> {
    let same = latest.size <= head.size && log.root_at(latest.size).await? == latest.root;
    if same && log.root_at(head.size).await? == head.root {
        return Ok(());
    }
    let detail = format!("it no longer begins as the checkpoint of size {} says", latest.size);
    Err(LedgerError::Damaged { detail }.into())
}

impl LedgerLog<'_> {
    /// The latest checkpoint, checked against the ledger's key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Inconsistent`] when the stored note is not one that the key signed.
    pub async fn latest_checkpoint(&mut self, ledger: &Ledger) -> Result<Option<SignedCheckpoint>, StoreError> {
        let sql = "select note, created_at from ledger_checkpoints order by size desc limit 1";
        self.session.row(sql, []).await?.map(|record| read_checkpoint(&record, ledger)).transpose()
    }

    /// The latest `limit` checkpoints, 1,000 at most, by size.
    ///
    /// # Errors
    ///
    /// [`StoreError::Inconsistent`] when a stored note is not one that the key signed.
    pub async fn checkpoints(&mut self, ledger: &Ledger, limit: u32) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let sql = "select note, created_at from ledger_checkpoints order by size desc limit $1";
        let records = self.session.rows(sql, [limit.min(1000).into()]).await?;
        records.iter().rev().map(|record| read_checkpoint(record, ledger)).collect()
    }

    async fn insert_checkpoint(&mut self, signed: &SignedCheckpoint) -> Result<(), StoreError> {
        let sql = "insert into ledger_checkpoints (size, root, note, created_at) \
                   values ($1, $2, $3, $4) \
                   on conflict do nothing";
        let size = place(signed.checkpoint.size)?;
        let binds =
            [size.into(), Bind::bytes(signed.checkpoint.root), Bind::text(&signed.note), signed.created_at.into()];
        // Another process may have signed this size meanwhile, with the same key: the same note.
        self.session.execute(sql, binds).await?;
        Ok(())
    }

    async fn identity(&mut self) -> Result<Option<Identity>, StoreError> {
        let table = "ledger_identity";
        let sql = "select origin, public_key, seed, hash_key from ledger_identity where id = 1";
        let Some(record) = self.session.row(sql, []).await? else { return Ok(None) };
        Ok(Some(Identity {
            origin: record.string(table, "origin")?,
            public_key: record.bytes(table, "public_key")?,
            seed: Sealed::from_bytes(record.bytes(table, "seed")?),
            hash_key: Sealed::from_bytes(record.bytes(table, "hash_key")?),
        }))
    }

    async fn insert_identity(&mut self, identity: &Identity, now: i64) -> Result<(), StoreError> {
        let sql = "insert into ledger_identity (id, origin, public_key, seed, hash_key, created_at) \
                   values (1, $1, $2, $3, $4, $5) \
                   on conflict do nothing";
        let binds = [
            Bind::text(&identity.origin),
            Bind::bytes(&identity.public_key),
            Bind::bytes(identity.seed.as_bytes()),
            Bind::bytes(identity.hash_key.as_bytes()),
            now.into(),
        ];
        self.session.execute(sql, binds).await?;
        Ok(())
    }
}

fn read_checkpoint(record: &Record, ledger: &Ledger) -> Result<SignedCheckpoint, StoreError> {
    let table = "ledger_checkpoints";
    let note = record.string(table, "note")?;
    let checkpoint = ledger.note_key().open(&note).map_err(|error| StoreError::damaged(table, "note", error))?;
    Ok(SignedCheckpoint { checkpoint, note, created_at: record.int(table, "created_at")? })
}

/// Replaces a file whole: readers see the old or the new one, and after a crash it is one of them.
fn write_whole(folder: &Path, name: &str, text: &str) -> Result<(), LedgerError> {
    let path = folder.join(name);
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let draft = folder.join(format!(".{name}.{}", std::process::id()));
        let mut file = fs::File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| LedgerError::File { path: path.display().to_string(), detail: error.to_string() })
}
