//! The log in the store, on each database.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

use super::ledger;
use crate::ledger::tree::leaf_hash;
use crate::ledger::{
    Actor, ActorKind, Edge, Entry, LedgerError, Outcome, Recorded, Reference, Search, StoredEntry, record_broker_event,
};
use crate::store::tests::{account_key, entry, on_each_database};
use crate::store::{Store, StoreError};

async fn all(store: &Store) -> Vec<StoredEntry> {
    store.read().await.unwrap().ledger().search(&Search::default()).await.unwrap()
}

/// Indices, chain, hashes and head agree.
async fn assert_one_line(store: &Store, count: u64) {
    let entries = all(store).await;
    let mut edge = Edge::default();
    let mut previous = crate::ledger::Digest::ZERO;
    for (index, entry) in (0..).zip(&entries) {
        assert_eq!((entry.leaf.index, entry.leaf.previous), (index, previous));
        assert_eq!(entry.hash, leaf_hash(&entry.bytes));
        previous = entry.hash;
        edge.append(entry.hash, |_, _, _| {});
    }
    let head = store.read().await.unwrap().ledger().head().await.unwrap();
    assert_eq!((head.size, head.root), (count, edge.root()));
    assert_eq!(entries.len() as u64, count);
}

#[tokio::test]
async fn units_that_save_at_once_make_one_line() {
    on_each_database(async |store| {
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let store = store.clone();
                tokio::spawn(async move {
                    for turn in 0..5 {
                        let unit = store.begin("concurrent").await.unwrap();
                        let entries = (0..=turn % 3).map(|_| entry(&format!("task.{task}"))).collect();
                        unit.save(entries).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_one_line(&store, 8 * (1 + 2 + 3 + 1 + 2)).await;
    })
    .await;
}

#[tokio::test]
async fn proofs_from_the_store_hold() {
    on_each_database(async |store| {
        let count = 21;
        for _ in 0..count / 3 {
            store.begin("three").await.unwrap().save(vec![entry("a"), entry("b"), entry("c")]).await.unwrap();
        }
        let entries = all(&store).await;
        let mut reader = store.read().await.unwrap();
        let mut log = reader.ledger();
        for size in 0..=count {
            let root = log.root_at(size).await.unwrap();
            for index in 0..size {
                let proof = log.inclusion(index, size).await.unwrap();
                assert_eq!(proof.verify(&entries[index as usize].bytes, &root), Ok(()), "{index} of {size}");
            }
            for old in 0..=size {
                let proof = log.consistency(old, size).await.unwrap();
                let old_root = log.root_at(old).await.unwrap();
                assert_eq!(proof.verify(&old_root, &root), Ok(()), "{old} of {size}");
            }
        }
        for (index, size) in [(0, count + 1), (count, count), (0, 0), (u64::MAX, count)] {
            let refused = log.inclusion(index, size).await;
            assert!(matches!(refused, Err(StoreError::Ledger(LedgerError::OutOfRange { .. }))), "{index} of {size}");
        }
        assert!(log.consistency(5, 4).await.is_err());
        assert!(log.root_at(count + 1).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn search_finds_what_fits_and_pages_through_it() {
    on_each_database(async |store| {
        let (mine, theirs) = (account_key(1), account_key(2));
        let token = |id: &str| Actor::new(ActorKind::Token, id);
        let at = |kind: &str, actor: Actor, time| Entry::done(kind, actor, time);
        let entries = vec![
            at("account.create", token("t1"), 10).on_account(mine),
            at("user.create", token("t1"), 20).on_account(mine).referring_to(Reference::Issued("J1".to_owned())),
            at("user.create", token("t2"), 30).on_account(theirs).referring_to(Reference::Issued("J2".to_owned())),
            at("connection.open", Actor::new(ActorKind::User, "U"), 40)
                .on_account(mine)
                .referring_to(Reference::Claims("J1".to_owned()))
                .referring_to(Reference::Connection { broker: "b".to_owned(), cid: 5 }),
            Entry::refused("publish", "publish_denied", Actor::new(ActorKind::User, "U"), 50)
                .on_account(mine)
                .referring_to(Reference::Connection { broker: "b".to_owned(), cid: 5 }),
            at("accounts", token("t'; drop table accounts; --"), 60),
        ];
        store.begin("search").await.unwrap().save(entries).await.unwrap();
        let any = Search::default;
        let cases = [
            (any(), vec![0, 1, 2, 3, 4, 5]),
            (Search { newest_first: true, limit: 2, ..any() }, vec![5, 4]),
            (Search { newest_first: true, after: Some(4), limit: 2, ..any() }, vec![3, 2]),
            (Search { after: Some(3), ..any() }, vec![4, 5]),
            (Search { actor: Some("t1".to_owned()), ..any() }, vec![0, 1]),
            (Search { actor: Some("t'; drop table accounts; --".to_owned()), ..any() }, vec![5]),
            (Search { account: Some(theirs), ..any() }, vec![2]),
            (Search { within: Some(vec![mine, theirs]), kind: Some("user.create".to_owned()), ..any() }, vec![1, 2]),
            (Search { within: Some(vec![mine]), account: Some(theirs), ..any() }, vec![]),
            (Search { within: Some(vec![]), ..any() }, vec![]),
            (Search { kind: Some("account.".to_owned()), ..any() }, vec![0]),
            (Search { kind: Some("user.".to_owned()), ..any() }, vec![1, 2]),
            (Search { outcome: Some(Outcome::Refused), ..any() }, vec![4]),
            (Search { from: Some(20), until: Some(40), ..any() }, vec![1, 2]),
            (Search { reference: Some(Reference::Issued("J1".to_owned())), ..any() }, vec![1]),
            (Search { reference: Some(Reference::Claims("J1".to_owned())), ..any() }, vec![3]),
            (Search { reference: Some(Reference::Connection { broker: "b".to_owned(), cid: 5 }), ..any() }, vec![3, 4]),
            (Search { reference: Some(Reference::Connection { broker: "b".to_owned(), cid: 6 }), ..any() }, vec![]),
        ];
        let mut reader = store.read().await.unwrap();
        for (search, expected) in cases {
            let found = reader.ledger().search(&search).await.unwrap();
            let indices: Vec<u64> = found.iter().map(|entry| entry.leaf.index).collect();
            assert_eq!(indices, expected, "{search:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn erased_blob_breaks_no_proof() {
    on_each_database(async |store| {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let entries = vec![entry("a").from_address(Some(address)).with_detail(json!({ "name": "Zoe" })), entry("b")];
        store.begin("blobs").await.unwrap().save(entries).await.unwrap();
        let first = store.read().await.unwrap().ledger().entry(0).await.unwrap().unwrap();
        let needle = b"192.0.2.7";
        assert!(!first.bytes.windows(needle.len()).any(|window| window == needle), "no address in the leaf");

        let mut unit = store.begin("erase").await.unwrap();
        let source = first.leaf.source.unwrap();
        assert_eq!(unit.ledger().blob(&source).await.unwrap(), Some(json!({ "ip": "192.0.2.7" })));
        assert_eq!(unit.ledger().blob(&first.leaf.detail.unwrap()).await.unwrap(), Some(json!({ "name": "Zoe" })));
        assert!(unit.ledger().erase_blob(&source).await.unwrap());
        assert!(!unit.ledger().erase_blob(&source).await.unwrap());
        unit.save(vec![entry("ledger.erase")]).await.unwrap();

        assert_one_line(&store, 3).await;
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.ledger().blob(&source).await.unwrap(), None);
        let root = reader.ledger().root_at(3).await.unwrap();
        assert_eq!(reader.ledger().inclusion(0, 3).await.unwrap().verify(&first.bytes, &root), Ok(()));
    })
    .await;
}

#[tokio::test]
async fn detail_that_is_too_long_is_refused() {
    on_each_database(async |store| {
        let long = entry("a").with_detail(json!("x".repeat(300_000)));
        let refused = store.begin("long").await.unwrap().save(vec![long]).await;
        assert!(matches!(refused, Err(StoreError::Ledger(LedgerError::DetailTooLong { .. }))), "{refused:?}");
    })
    .await;
}

/// Takes events of broker `b` by number and content, each in a unit of its own.
async fn take(store: &Store, seq: u64, raw: &str) -> Recorded {
    let mut unit = store.begin("event").await.unwrap();
    let recorded = record_broker_event(&mut unit, "b", seq, raw.as_bytes(), entry("auth.failure")).await.unwrap();
    unit.save(Vec::new()).await.unwrap();
    recorded
}

#[tokio::test]
async fn each_broker_event_is_taken_once_and_gaps_are_entries() {
    on_each_database(async |store| {
        let cases = [
            (1, "one", Recorded::Next, 1),
            (1, "one", Recorded::Replayed, 1),
            (2, "two", Recorded::Next, 2),
            (6, "six", Recorded::AfterGap { first: 3, last: 5 }, 4),
            (6, "six", Recorded::Replayed, 4),
            (4, "four", Recorded::Late, 5),
            (4, "four", Recorded::Replayed, 5),
            (2, "another two", Recorded::Conflict, 7),
            (2, "another two", Recorded::Replayed, 7),
            (7, "seven", Recorded::Next, 8),
        ];
        for (seq, raw, expected, size) in cases {
            assert_eq!(take(&store, seq, raw).await, expected, "{seq} {raw}");
            assert_eq!(store.read().await.unwrap().ledger().head().await.unwrap().size, size, "{seq} {raw}");
        }
        let entries = all(&store).await;
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.leaf.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "auth.failure",
                "auth.failure",
                "ledger.gap",
                "auth.failure",
                "auth.failure",
                "ledger.conflict",
                "auth.failure",
                "auth.failure"
            ]
        );
        assert_eq!(entries[3].leaf.broker_event.as_ref().map(|event| event.seq), Some(6));
        let mut reader = store.read().await.unwrap();
        let gap = reader.ledger().blob(&entries[2].leaf.detail.unwrap()).await.unwrap();
        assert_eq!(gap, Some(json!({ "first": 3, "last": 5 })));
        assert_eq!(reader.brokers().lookup("b").await.unwrap().unwrap().last_seq, 7);
        drop(reader);

        // A first number above 1 is a gap too; two of the same in one unit leave one entry.
        let mut unit = store.begin("other broker").await.unwrap();
        let first = record_broker_event(&mut unit, "c", 3, b"x", entry("auth.failure")).await.unwrap();
        let second = record_broker_event(&mut unit, "c", 3, b"x", entry("auth.failure")).await.unwrap();
        assert_eq!((first, second), (Recorded::AfterGap { first: 1, last: 2 }, Recorded::Replayed));
        assert!(record_broker_event(&mut unit, "c", u64::MAX, b"y", entry("auth.failure")).await.is_err());
        assert_eq!(unit.save(Vec::new()).await.unwrap().len(), 2);
        assert_one_line(&store, 10).await;
    })
    .await;
}

#[tokio::test]
async fn event_of_an_unsaved_unit_is_taken_again() {
    on_each_database(async |store| {
        let mut unit = store.begin("lost").await.unwrap();
        let _recorded = record_broker_event(&mut unit, "b", 1, b"one", entry("auth.failure")).await.unwrap();
        drop(unit);
        assert_eq!(take(&store, 1, "one").await, Recorded::Next);
    })
    .await;
}

#[tokio::test]
async fn checkpoint_is_signed_kept_and_written_to_its_file() {
    on_each_database(async |store| {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&store, Some(folder.path())).await;
        let key: crate::ledger::NoteKey =
            std::fs::read_to_string(folder.path().join("key.pub")).unwrap().trim_end().parse().unwrap();
        assert_eq!(key, ledger.note_key());

        let empty = ledger.checkpoint(&store, 1).await.unwrap();
        assert_eq!(empty.checkpoint.size, 0);
        store.begin("grow").await.unwrap().save(vec![entry("a"), entry("b")]).await.unwrap();
        let first = ledger.checkpoint(&store, 2).await.unwrap();
        assert_eq!(ledger.checkpoint(&store, 3).await.unwrap(), first, "nothing was added");
        assert_eq!(std::fs::read_to_string(folder.path().join("checkpoint")).unwrap(), first.note);
        assert_eq!(key.open(&first.note), Ok(first.checkpoint.clone()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left behind");

        // The same keys after a restart.
        let again = super::ledger(&store, None).await;
        assert_eq!(again.note_key(), key);
        assert_eq!(again.keyed_hash(b"secret"), ledger.keyed_hash(b"secret"));
        assert_ne!(again.keyed_hash(b"secret"), ledger.keyed_hash(b"other"));
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.ledger().latest_checkpoint(&again).await.unwrap(), Some(first));
        assert_eq!(reader.ledger().checkpoints(&again, 9).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn log_that_was_rewritten_is_not_signed() {
    on_each_database(async |store| {
        let ledger = ledger(&store, None).await;
        store.begin("grow").await.unwrap().save(vec![entry("a"), entry("b")]).await.unwrap();
        ledger.checkpoint(&store, 1).await.unwrap();
        let mut unit = store.begin("forge").await.unwrap();
        unit.damage("update ledger_nodes set hash = (select leaf_hash from ledger_entries where entry_index = 0)").await;
        unit.save(vec![entry("c")]).await.unwrap();
        let refused = ledger.checkpoint(&store, 2).await;
        assert!(matches!(refused, Err(StoreError::Ledger(LedgerError::Damaged { .. }))), "{refused:?}");

        let mut unit = store.begin("forge").await.unwrap();
        unit.damage("update ledger_entries set bytes = (select bytes from ledger_entries where entry_index = 1) where entry_index = 0").await;
        unit.save(vec![]).await.unwrap();
        let read = store.read().await.unwrap().ledger().entry(0).await;
        assert!(matches!(read, Err(StoreError::Inconsistent { .. })), "{read:?}");
    })
    .await;
}

#[tokio::test]
async fn damaged_head_takes_no_more_entries() {
    on_each_database(async |store| {
        store.begin("grow").await.unwrap().save(vec![entry("a")]).await.unwrap();
        let mut unit = store.begin("damage").await.unwrap();
        unit.damage("update ledger_head set size = 3").await;
        unit.save(vec![]).await.unwrap();
        let refused = store.begin("more").await.unwrap().save(vec![entry("b")]).await;
        assert!(matches!(refused, Err(StoreError::Ledger(LedgerError::Damaged { .. }))), "{refused:?}");
    })
    .await;
}
