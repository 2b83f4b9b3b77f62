//! Brokers, and how far their numbered security events were read.

use super::{Bind, Page, Record, Session, StoreError};

const TABLE: &str = "brokers";
const EVENTS: &str = "broker_events";

/// How many numbers behind a broker's last one its events' digests are remembered: twice what a
/// broker keeps for replays.
const REMEMBERED: i64 = 131_072;
/// Old digests are removed once in so many events.
const PRUNE_EVERY: i64 = 1024;

/// A broker whose security events are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRow {
    /// The broker's stable id.
    pub id: String,
    /// The highest number read; the next event asked for is the one after it.
    pub last_seq: u64,
    /// Unix seconds.
    pub first_seen: i64,
    /// Unix seconds.
    pub last_seen: i64,
}

/// Brokers in the store.
#[derive(Debug)]
pub struct Brokers<'u> {
    session: &'u mut Session,
}

impl<'u> Brokers<'u> {
    pub(super) fn new(session: &'u mut Session) -> Self {
        Self { session }
    }

    /// The broker of this id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn lookup(&mut self, id: &str) -> Result<Option<BrokerRow>, StoreError> {
        let sql = "select id, last_seq, first_seen, last_seen from brokers where id = $1";
        self.session.row(sql, [Bind::text(id)]).await?.as_ref().map(read).transpose()
    }

    /// All brokers, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Inconsistent`].
    pub async fn list(&mut self, page: &Page) -> Result<Vec<BrokerRow>, StoreError> {
        let sql = "select id, last_seq, first_seen, last_seen \
                   from brokers \
                   where id > $1 \
                   order by id \
                   limit $2";
        self.session.rows(sql, [Bind::text(page.after()), page.limit().into()]).await?.iter().map(read).collect()
    }

    /// Takes the broker's row for this unit alone, making it if need be, and says its last number.
    pub(crate) async fn lock(&mut self, id: &str, now: i64) -> Result<i64, StoreError> {
        let insert = "insert into brokers (id, last_seq, first_seen, last_seen) \
                      values ($1, 0, $2, $2) \
                      on conflict do nothing";
        self.session.execute(insert, [Bind::text(id), now.into()]).await?;
        // Writing the row locks it on PostgreSQL; SQLite has one writer anyway.
        let lock = "update brokers set last_seen = $2 where id = $1 returning last_seq";
        let record = self.session.row(lock, [Bind::text(id), now.into()]).await?;
        record.map_or(Ok(0), |record| record.int(TABLE, "last_seq"))
    }

    /// The digests of the events that were read under this number; more than one after a conflict.
    pub(crate) async fn digests(&mut self, id: &str, seq: i64) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "select digest from broker_events where broker = $1 and seq = $2";
        let records = self.session.rows(sql, [Bind::text(id), seq.into()]).await?;
        records.iter().map(|record| record.digest(EVENTS, "digest")).collect()
    }

    /// Remembers an event as read and moves the broker's last number up to it.
    pub(crate) async fn remember(&mut self, id: &str, seq: i64, digest: &[u8; 32]) -> Result<(), StoreError> {
        let insert = "insert into broker_events (broker, seq, digest) values ($1, $2, $3) on conflict do nothing";
        self.session.execute(insert, [Bind::text(id), seq.into(), Bind::bytes(digest)]).await?;
        let advance = "update brokers set last_seq = $2 where id = $1 and last_seq < $2";
        self.session.execute(advance, [Bind::text(id), seq.into()]).await?;
        if seq % PRUNE_EVERY == 0 {
            let prune = "delete from broker_events where broker = $1 and seq < $2";
            self.session.execute(prune, [Bind::text(id), (seq - REMEMBERED).into()]).await?;
        }
        Ok(())
    }
}

fn read(record: &Record) -> Result<BrokerRow, StoreError> {
    Ok(BrokerRow {
        id: record.string(TABLE, "id")?,
        last_seq: record.int(TABLE, "last_seq")?.unsigned_abs(),
        first_seen: record.int(TABLE, "first_seen")?,
        last_seen: record.int(TABLE, "last_seen")?,
    })
}
