//! The log as it stands in the store: reading entries, blobs, roots and proofs.

use super::append::{blob_digest, place};
use super::tree::{Edge, Range, consistency_ranges, fold, inclusion_ranges, leaf_hash, subtrees};
use super::{ConsistencyProof, Digest, InclusionProof, Leaf, LedgerError};
use crate::store::{Bind, Record, Session, StoreError};

const TABLE: &str = "ledger_entries";

/// Where an entry was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeafRef {
    /// Its place, counted from 0.
    pub index: u64,
    /// Its leaf hash.
    pub hash: Digest,
}

/// The log's size and root at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Head {
    /// How many entries there are.
    pub size: u64,
    /// The tree's root over them.
    pub root: Digest,
}

/// An entry as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// What it says.
    pub leaf: Leaf,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Its leaf hash.
    pub hash: Digest,
}

/// The ledger in the store.
#[derive(Debug)]
pub struct LedgerLog<'u> {
    pub(super) session: &'u mut Session,
}

impl<'u> LedgerLog<'u> {
    pub(crate) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// Erases a blob, for good; its digest stays in the leaf. Says whether it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn erase_blob(&mut self, digest: &Digest) -> Result<bool, StoreError> {
        let erased = self.session.execute("delete from ledger_blobs where digest = $1", [Bind::bytes(digest)]).await?;
        Ok(erased > 0)
    }

    /// The log's size and root.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Ledger`] when the stored tree is damaged.
    pub async fn head(&mut self) -> Result<Head, StoreError> {
        let edge = self.edge().await?;
        Ok(Head { size: edge.size(), root: edge.root() })
    }

    pub(super) async fn edge(&mut self) -> Result<Edge, StoreError> {
        let record = self.session.row("select size, edge from ledger_head where id = 1", []).await?;
        let record = record.ok_or_else(|| damaged("the head is missing"))?;
        let (size, bytes) = (record.int("ledger_head", "size")?, record.bytes("ledger_head", "edge")?);
        let edge = u64::try_from(size).ok().and_then(|size| Edge::from_bytes(size, &bytes));
        edge.ok_or_else(|| damaged("the stored edge does not fit its size"))
    }

    /// The entry at this place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn entry(&mut self, index: u64) -> Result<Option<StoredEntry>, StoreError> {
        let sql = "select entry_index, bytes, leaf_hash from ledger_entries where entry_index = $1";
        self.session.row(sql, [place(index)?.into()]).await?.as_ref().map(read_entry).transpose()
    }

    /// What a blob holds, unless it was erased.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Inconsistent`] when it is not what the digest says.
    pub async fn blob(&mut self, digest: &Digest) -> Result<Option<serde_json::Value>, StoreError> {
        let Some((_, content)) = self.salted_blob(digest).await? else { return Ok(None) };
        let value = serde_json::from_slice(&content);
        value
            .map(Some)
            .map_err(|error| StoreError::damaged("ledger_blobs", "content", error).in_row(&digest.to_string()))
    }

    /// A blob's salt and content, checked against its digest.
    pub(super) async fn salted_blob(&mut self, digest: &Digest) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
        let table = "ledger_blobs";
        let sql = "select salt, content from ledger_blobs where digest = $1";
        let Some(record) = self.session.row(sql, [Bind::bytes(digest)]).await? else { return Ok(None) };
        let (salt, content) = (record.bytes(table, "salt")?, record.bytes(table, "content")?);
        if blob_digest(&salt, &content) != *digest {
            return Err(
                StoreError::damaged(table, "content", "it is not what its digest says").in_row(&digest.to_string())
            );
        }
        Ok(Some((salt, content)))
    }

    /// The root of the tree when it had `size` leaves.
    ///
    /// # Errors
    ///
    /// [`StoreError::Ledger`] when there are fewer, or the stored tree is damaged.
    pub async fn root_at(&mut self, size: u64) -> Result<Digest, StoreError> {
        self.within(size, size).await?;
        self.range_root((0, size)).await
    }

    /// Shows that entry `index` is in the tree of `size` leaves.
    ///
    /// # Errors
    ///
    /// [`StoreError::Ledger`] when there is no such entry or tree.
    pub async fn inclusion(&mut self, index: u64, size: u64) -> Result<InclusionProof, StoreError> {
        self.within(size, size).await?;
        if index >= size {
            return Err(LedgerError::OutOfRange { size, asked: index }.into());
        }
        let path = self.roots(inclusion_ranges(index, size)).await?;
        Ok(InclusionProof { index, size, path })
    }

    /// Shows that the tree of `old_size` leaves is the beginning of the tree of `size` leaves.
    ///
    /// # Errors
    ///
    /// [`StoreError::Ledger`] when there are no such trees.
    pub async fn consistency(&mut self, old_size: u64, size: u64) -> Result<ConsistencyProof, StoreError> {
        self.within(size, size).await?;
        if old_size > size {
            return Err(LedgerError::OutOfRange { size, asked: old_size }.into());
        }
        let path = self.roots(consistency_ranges(old_size, size)).await?;
        Ok(ConsistencyProof { old_size, size, path })
    }

    async fn within(&mut self, size: u64, asked: u64) -> Result<(), StoreError> {
        let head = self.edge().await?.size();
        if size > head { Err(LedgerError::OutOfRange { size: head, asked }.into()) } else { Ok(()) }
    }

    async fn roots(&mut self, ranges: Vec<Range>) -> Result<Vec<Digest>, StoreError> {
        let mut roots = Vec::with_capacity(ranges.len());
        for range in ranges {
            roots.push(self.range_root(range).await?);
        }
        Ok(roots)
    }

    async fn range_root(&mut self, range: Range) -> Result<Digest, StoreError> {
        let mut parts = Vec::new();
        for (level, position) in subtrees(range) {
            parts.push(self.node(level, position).await?);
        }
        Ok(fold(&parts))
    }

    /// The root of the complete subtree at this place.
    async fn node(&mut self, level: u32, position: u64) -> Result<Digest, StoreError> {
        let position = place(position)?;
        let record = if level == 0 {
            let sql = "select leaf_hash as hash from ledger_entries where entry_index = $1";
            self.session.row(sql, [position.into()]).await?
        } else {
            let sql = "select hash from ledger_nodes where level = $1 and position = $2";
            self.session.row(sql, [level.into(), position.into()]).await?
        };
        let record = record.ok_or_else(|| damaged("a subtree's root is missing"))?;
        record.digest("ledger_nodes", "hash").map(Digest)
    }
}

/// Reads an entry back, and holds its hash and place against its bytes.
pub(super) fn read_entry(record: &Record) -> Result<StoredEntry, StoreError> {
    let index = record.int(TABLE, "entry_index")?;
    let bytes = record.bytes(TABLE, "bytes")?;
    let hash = Digest(record.digest(TABLE, "leaf_hash")?);
    let wrong = |column, detail: &str| StoreError::damaged(TABLE, column, detail).in_row(&index.to_string());
    let leaf = Leaf::from_bytes(&bytes).map_err(|error| wrong("bytes", &error.to_string()))?;
    if leaf_hash(&bytes) != hash {
        return Err(wrong("leaf_hash", "it is not the hash of the entry"));
    }
    if u64::try_from(index) != Ok(leaf.index) {
        return Err(wrong("bytes", "it is the entry of another place"));
    }
    Ok(StoredEntry { leaf, bytes, hash })
}

fn damaged(detail: &str) -> StoreError {
    LedgerError::Damaged { detail: detail.to_owned() }.into()
}
