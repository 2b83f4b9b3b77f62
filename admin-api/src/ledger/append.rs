//! Writing entries down: the one way a leaf comes into the log.

use rand::RngCore;
use serde_json::{Value, json};

use super::{Digest, Edge, Entry, Leaf, LeafRef, LedgerError};
use crate::ledger::tree::leaf_hash;
use crate::store::{Bind, Session, StoreError};

/// The longest detail of an entry, in bytes of JSON.
const DETAIL_MAX: usize = 256 * 1024;

/// Appends entries within the transaction of their unit.
///
/// The head row is written first, which on PostgreSQL makes units that save at once wait for each
/// other, so that each continues where the other ended. It is the last lock that a unit takes.
pub(crate) async fn append(session: &mut Session, entries: Vec<Entry>) -> Result<Vec<LeafRef>, StoreError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let lock = "update ledger_head set size = size where id = 1 returning size, edge, last_leaf";
    let head = session.row(lock, []).await?.ok_or_else(|| damaged("the head is missing"))?;
    let size = head.int("ledger_head", "size")?;
    let mut edge = u64::try_from(size)
        .ok()
        .and_then(|size| Edge::from_bytes(size, &head.bytes("ledger_head", "edge").unwrap_or_default()))
        .ok_or_else(|| damaged("the stored edge does not fit its size"))?;
    let mut previous = if size == 0 { Digest::ZERO } else { Digest(head.digest("ledger_head", "last_leaf")?) };

    let mut leaves = Vec::with_capacity(entries.len());
    for entry in entries {
        let leaf = append_one(session, &mut edge, entry, previous).await?;
        previous = leaf.hash;
        leaves.push(leaf);
    }

    let advance = "update ledger_head set size = $1, edge = $2, last_leaf = $3 where id = 1";
    session.execute(advance, [place(edge.size())?.into(), Bind::bytes(edge.to_bytes()), Bind::bytes(previous)]).await?;
    Ok(leaves)
}

async fn append_one(
    session: &mut Session,
    edge: &mut Edge,
    mut entry: Entry,
    previous: Digest,
) -> Result<LeafRef, StoreError> {
    let index = edge.size();
    let time = entry.time;
    let source = entry.source_ip.map(|ip| json!({ "ip": ip.to_string() }));
    let source = store_blob(session, source, time, &entry.kind).await?;
    let detail = store_blob(session, entry.detail.take(), time, &entry.kind).await?;
    let leaf = Leaf::new(entry, index, previous, source, detail)?;
    let bytes = leaf.to_bytes();
    let hash = leaf_hash(&bytes);

    let mut completed = Vec::new();
    edge.append(hash, |level, position, root| completed.push((level, position, root)));
    insert_leaf(session, &leaf, &bytes, &hash).await?;
    for (level, position, root) in completed {
        let sql = "insert into ledger_nodes (level, position, hash) values ($1, $2, $3)";
        session.execute(sql, [level.into(), place(position)?.into(), Bind::bytes(root)]).await?;
    }
    Ok(LeafRef { index, hash })
}

async fn insert_leaf(session: &mut Session, leaf: &Leaf, bytes: &[u8], hash: &Digest) -> Result<(), StoreError> {
    let index = place(leaf.index)?;
    let broker = leaf.broker_event.as_ref();
    let sql = "insert into ledger_entries \
               (entry_index, bytes, leaf_hash, time, actor_kind, actor, kind, account, object, outcome, reason, broker, broker_seq) \
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let binds = [
        index.into(),
        Bind::bytes(bytes),
        Bind::bytes(hash),
        leaf.time.into(),
        Bind::text(leaf.actor.kind.as_str()),
        Bind::text(&leaf.actor.id),
        Bind::text(&leaf.kind),
        Bind::optional_text(leaf.account.as_ref()),
        Bind::optional_text(leaf.object.as_ref()),
        Bind::text(leaf.outcome.as_str()),
        Bind::optional_text(leaf.reason.as_ref()),
        Bind::optional_text(broker.map(|event| &event.broker)),
        broker.map(|event| place(event.seq)).transpose()?.into(),
    ];
    session.execute(sql, binds).await?;
    for (position, reference) in (0_i64..).zip(&leaf.references) {
        let sql = "insert into ledger_references (entry_index, position, kind, value) values ($1, $2, $3, $4)";
        let binds = [index.into(), position.into(), Bind::text(reference.kind()), Bind::text(reference.value())];
        session.execute(sql, binds).await?;
    }
    Ok(())
}

/// Keeps a blob and says its digest. The salt keeps short contents, such as an address, from being
/// found again by trying once the blob is erased.
async fn store_blob(
    session: &mut Session,
    content: Option<Value>,
    time: i64,
    kind: &str,
) -> Result<Option<Digest>, StoreError> {
    let Some(content) = content.map(|content| content.to_string()) else { return Ok(None) };
    if content.len() > DETAIL_MAX {
        return Err(LedgerError::DetailTooLong { kind: kind.to_owned(), length: content.len(), max: DETAIL_MAX }.into());
    }
    let mut salt = [0; 16];
    rand::rngs::OsRng.fill_bytes(&mut salt);
    let digest = blob_digest(&salt, content.as_bytes());
    let sql = "insert into ledger_blobs (digest, salt, content, created_at) values ($1, $2, $3, $4)";
    session.execute(sql, [Bind::bytes(digest), Bind::bytes(salt), Bind::bytes(content), time.into()]).await?;
    Ok(Some(digest))
}

/// What stands for a blob in a leaf: SHA-256(0x02 || salt || content).
pub(crate) fn blob_digest(salt: &[u8], content: &[u8]) -> Digest {
    Digest::of_parts(&[&[2], salt, content])
}

/// A place in the log as the database counts.
pub(crate) fn place(index: u64) -> Result<i64, LedgerError> {
    i64::try_from(index).map_err(|_| LedgerError::OutOfRange { size: i64::MAX.unsigned_abs(), asked: index })
}

fn damaged(detail: &str) -> StoreError {
    LedgerError::Damaged { detail: detail.to_owned() }.into()
}
