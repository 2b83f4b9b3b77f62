//! Exports: the whole log as JSON Lines, to be checked offline by `verify`.
//!
//! A header, one line for each entry, and the checkpoints. There is exactly one way to write each
//! line, so that the verifier can hold every byte of it against the entry's canonical bytes.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{Digest, Head, Leaf, Ledger, Search, SignedCheckpoint, StoredEntry};
use crate::store::{PAGE_MAX, Reader, StoreError};

/// What a header says first.
pub(super) const FORMAT: &str = "cordon-ledger-export";
/// The version of the lines.
pub(super) const VERSION: u32 = 1;
/// The most checkpoints in an export: the latest ones.
const CHECKPOINTS_MAX: u32 = 1000;

/// A piece ends after so many bytes, whatever its details weigh.
const PIECE_BYTES: usize = 1024 * 1024;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) origin: String,
    pub(super) key: String,
    pub(super) size: u64,
    /// The sizes of the checkpoints at the end.
    pub(super) checkpoints: Vec<u64>,
    /// Of this line, with zeros in this place.
    pub(super) sha256: Digest,
}

impl Header {
    pub(super) fn render(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The header with its own digest.
    pub(super) fn sealed(mut self) -> Self {
        self.sha256 = Digest::ZERO;
        self.sha256 = Digest::of(self.render().as_bytes());
        self
    }
}

/// A blob beside its entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blob {
    pub(super) salt: String,
    pub(super) content: String,
}

/// The line of an entry. Read back are only the bytes and the blobs; the rest follows from them.
#[derive(Serialize)]
struct EntryLine<'a> {
    index: u64,
    leaf_hash: Digest,
    bytes: String,
    entry: &'a Leaf,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a Blob>,
}

/// The line of a checkpoint.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointLine {
    pub(super) checkpoint: String,
}

pub(super) fn render_entry(
    leaf: &Leaf,
    bytes: &[u8],
    hash: Digest,
    source: Option<&Blob>,
    detail: Option<&Blob>,
) -> String {
    let bytes = BASE64.encode(bytes);
    let line = EntryLine { index: leaf.index, leaf_hash: hash, bytes, entry: leaf, source, detail };
    serde_json::to_string(&line).unwrap_or_default()
}

pub(super) fn render_checkpoint(note: &str) -> String {
    serde_json::to_string(&CheckpointLine { checkpoint: note.to_owned() }).unwrap_or_default()
}

/// An export being written, a piece at a time. All pieces come from one reader: one snapshot.
///
/// ```no_run
/// # async fn example(ledger: &cordon_admin::ledger::Ledger, store: cordon_admin::store::Store, now: i64) -> Result<(), cordon_admin::store::StoreError> {
/// let mut reader = store.read().await?;
/// let mut export = ledger.export(&mut reader, now).await?;
/// while let Some(lines) = export.next(&mut reader).await? {
///     // write `lines` out
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Export {
    header: Option<Header>,
    at: u64,
    size: u64,
    checkpoints: Vec<SignedCheckpoint>,
}

impl Ledger {
    /// Begins an export of the log as the reader sees it, up to a checkpoint signed for it.
    ///
    /// # Errors
    ///
    /// What the store says; [`StoreError::Ledger`] when the stored tree is damaged.
    pub async fn export(&self, reader: &mut Reader, now: i64) -> Result<Export, StoreError> {
        let mut log = reader.ledger();
        let Head { size, root } = log.head().await?;
        let mut checkpoints = log.checkpoints(self, CHECKPOINTS_MAX).await?;
        if checkpoints.last().is_none_or(|last| last.checkpoint.size != size) {
            checkpoints.push(self.sign(Head { size, root }, now));
        }
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            origin: self.origin().to_owned(),
            key: self.note_key().to_string(),
            size,
            checkpoints: checkpoints.iter().map(|signed| signed.checkpoint.size).collect(),
            sha256: Digest::ZERO,
        };
        Ok(Export { header: Some(header.sealed()), at: 0, size, checkpoints })
    }
}

impl Export {
    /// The next lines, each with its newline; `None` at the end.
    ///
    /// # Errors
    ///
    /// What the store says; [`StoreError::Inconsistent`] when an entry is missing from it.
    pub async fn next(&mut self, reader: &mut Reader) -> Result<Option<String>, StoreError> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header.render() + "\n"));
        }
        if self.at < self.size {
            return self.entries(reader).await.map(Some);
        }
        if self.checkpoints.is_empty() {
            return Ok(None);
        }
        let checkpoints = std::mem::take(&mut self.checkpoints);
        Ok(Some(checkpoints.iter().map(|signed| render_checkpoint(&signed.note) + "\n").collect()))
    }

    async fn entries(&mut self, reader: &mut Reader) -> Result<String, StoreError> {
        let search = Search { after: self.at.checked_sub(1), limit: PAGE_MAX, ..Search::default() };
        let entries = reader.ledger().search(&search).await?;
        let mut lines = String::new();
        for entry in &entries {
            if entry.leaf.index != self.at || lines.len() > PIECE_BYTES {
                break;
            }
            let source = blob(reader, entry.leaf.source.as_ref()).await?;
            let detail = blob(reader, entry.leaf.detail.as_ref()).await?;
            let StoredEntry { leaf, bytes, hash } = entry;
            lines.push_str(&render_entry(leaf, bytes, *hash, source.as_ref(), detail.as_ref()));
            lines.push('\n');
            self.at += 1;
        }
        if lines.is_empty() {
            let missing = StoreError::damaged("ledger_entries", "entry_index", "the entry is missing");
            return Err(missing.in_row(&self.at.to_string()));
        }
        Ok(lines)
    }
}

/// The blob as it is exported; `None` if the leaf has none or it was erased.
async fn blob(reader: &mut Reader, digest: Option<&Digest>) -> Result<Option<Blob>, StoreError> {
    let Some(digest) = digest else { return Ok(None) };
    let Some((salt, content)) = reader.ledger().salted_blob(digest).await? else { return Ok(None) };
    let content = String::from_utf8(content).map_err(|error| StoreError::damaged("ledger_blobs", "content", error))?;
    Ok(Some(Blob { salt: BASE64.encode(&salt), content }))
}
