//! Brokers' numbered security events: each is taken once, and missing numbers are written down.

use serde_json::json;

use super::{Actor, ActorKind, BrokerEvent, Digest, Entry, Outcome, Reference};
use crate::ledger::append::place;
use crate::store::{StoreError, Unit};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// It follows the last one and is written down.
    Next,
    /// It is written down, after an entry about the numbers `first..=last` that never came.
    AfterGap {
        /// The first missing number.
        first: u64,
        /// The last missing number.
        last: u64,
    },
    /// Its number had been written down as missing; now it is here, and is written down.
    Late,
    /// It was taken before; nothing is written.
    Replayed,
    /// Another event of the same number was taken before: the broker lost its count, or somebody
    /// forges events. Both are kept, and an entry says so.
    Conflict,
}

/// Takes a broker's event into the unit; `Unit::save` writes its entry.
///
/// `raw` is the event as the broker sent it, which tells a replay from another event under the same
/// number. An event that is taken twice, in one unit or in several, leaves one entry. Before a gap
/// is recorded the caller asks the broker to replay from `Brokers::lookup(..).last_seq`: what comes
/// late is kept, but the entry about the gap stays.
///
/// # Errors
///
/// [`StoreError::Database`], or [`StoreError::Ledger`] when the number is out of range.
pub async fn record_broker_event(
    unit: &mut Unit,
    broker: &str,
    seq: u64,
    raw: &[u8],
    mut entry: Entry,
) -> Result<Recorded, StoreError> {
    let number = place(seq)?;
    let digest = Digest::of(raw);
    let time = entry.time;
    let mut brokers = unit.brokers();
    let last = brokers.lock(broker, time).await?;
    let known = brokers.digests(broker, number).await?;
    if known.contains(digest.as_bytes()) {
        return Ok(Recorded::Replayed);
    }
    brokers.remember(broker, number, digest.as_bytes()).await?;

    let next = last.unsigned_abs() + 1;
    let recorded = if !known.is_empty() {
        Recorded::Conflict
    } else if seq < next {
        Recorded::Late
    } else if seq == next {
        Recorded::Next
    } else {
        Recorded::AfterGap { first: next, last: seq - 1 }
    };
    entry.broker_event = Some(BrokerEvent { broker: broker.to_owned(), seq });
    if let Some(remark) = remark(recorded, broker, seq, time) {
        unit.note(remark);
    }
    unit.note(entry);
    Ok(recorded)
}

/// The entry about what is wrong with the numbers, if something is.
fn remark(recorded: Recorded, broker: &str, seq: u64, time: i64) -> Option<Entry> {
    let about = |number| Reference::Event { broker: broker.to_owned(), seq: number };
    let entry = |kind: &str, reason: &str| {
        let actor = Actor::new(ActorKind::Broker, broker);
        Entry { outcome: Outcome::Refused, reason: Some(reason.to_owned()), ..Entry::done(kind, actor, time) }
            .on_object(broker)
    };
    match recorded {
        Recorded::AfterGap { first, last } => Some(
            entry("ledger.gap", "events_missing")
                .referring_to(about(first))
                .referring_to(about(last))
                .with_detail(json!({ "first": first, "last": last })),
        ),
        Recorded::Conflict => Some(entry("ledger.conflict", "number_used_twice").referring_to(about(seq))),
        Recorded::Late | Recorded::Next | Recorded::Replayed => None,
    }
}
