//! Streams in files, and what a restart finds: checklist A 17, D 50, M 163.

use std::fs;
use std::time::Duration;

use cordon_auth::clock::Clock;
use serde_json::json;

use crate::account::{AccountLimits, Settings};
use crate::store::file::{FileOptions, FileStore};
use crate::store::{NewMessage, STREAM};
use crate::testing::{Bench, block, error_of};

fn bench(dir: &std::path::Path, clock: &Clock) -> Bench {
    let settings = Settings { store_dir: Some(dir.to_owned()), ..Settings::default() };
    Bench::at(settings, AccountLimits::default(), clock.clone())
}

fn streams_of(dir: &std::path::Path) -> std::path::PathBuf {
    dir.join("jetstream/$G/streams")
}

#[test]
fn a_stream_comes_back_with_its_messages_ids_and_consumers() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let before = bench(dir.path(), &clock);
    before.stream(json!({"name": "S", "subjects": ["s.>"], "storage": "file", "retention": "workqueue"}));
    before.stream(json!({"name": "M", "subjects": ["m"], "storage": "memory"}));
    for id in ["a", "b", "c"] {
        before.store("s.x", &[("Nats-Msg-Id", id)], id);
    }
    let request = json!({"stream_name": "S", "config": {"durable_name": "d", "ack_policy": "explicit"}});
    assert_eq!(error_of(&before.api("CONSUMER.DURABLE.CREATE.S.d", &request)), 0);
    let got = before.pull("S", "d", "1");
    before.ack(&got[0], "");
    let info = before.info("S");
    before.account.stop();
    drop(before);

    let after = bench(dir.path(), &clock);
    let mut again = after.info("S");
    again["ts"] = info["ts"].clone();
    assert_eq!(again, info);
    assert_eq!(error_of(&after.info("M")), 10059, "memory is gone");
    assert_eq!(after.publish("s.x", &[("Nats-Msg-Id", "a")], "")["duplicate"], true, "although it was acknowledged");
    assert_eq!(
        after.publish("s.x", &[("Nats-Expected-Last-Msg-Id", "x")], "")["error"]["description"],
        "wrong last msg ID: c"
    );
    assert_eq!(after.pull("S", "d", "1")[0].payload, "b");
    clock.advance(Duration::from_secs(121));
    after.run();
    assert_eq!(after.store("s.x", &[("Nats-Msg-Id", "a")], ""), 4);
}

/// Does something to the files of S while nobody has it open.
fn behind_its_back(dir: &std::path::Path, act: impl FnOnce(&mut dyn crate::store::Store)) {
    let mut store = FileStore::open(&streams_of(dir).join("S"), &FileOptions::default()).unwrap().store;
    act(&mut *store);
    if let Some(sync) = store.flush().unwrap() {
        sync.run().unwrap();
    }
}

#[test]
fn an_id_whose_message_a_crash_kept_away_is_forgotten_and_one_that_it_took_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let now = clock.unix_nanos();
    let life = |act: &dyn Fn(&Bench)| {
        let bench = bench(dir.path(), &clock);
        act(&bench);
        bench.account.stop();
    };
    life(&|bench| {
        bench.stream(json!({"name": "S", "subjects": ["s"], "storage": "file"}));
        assert_eq!(bench.store("s", &[("Nats-Msg-Id", "a")], ""), 1);
    });
    // The journal has an id, and the message was not written.
    let mut note = vec![1, 21, 0, 0, 0];
    note.extend_from_slice(&2_u64.to_le_bytes());
    note.extend_from_slice(&now.to_le_bytes());
    note.extend_from_slice(b"\x01\0\0\0b");
    behind_its_back(dir.path(), |store| store.journal(STREAM, &note).unwrap());
    life(&|bench| assert_eq!(bench.store("s", &[], "another"), 2));
    life(&|bench| {
        let answer = bench.publish("s", &[("Nats-Msg-Id", "b")], "");
        assert_eq!((&answer["seq"], &answer["duplicate"]), (&json!(3), &json!(null)));
    });
    // A message was written, and the journal has no id.
    let header = block(&[("Nats-Msg-Id", "c")]);
    let message = NewMessage { subject: b"s", header: header.as_bytes(), ts: now, ..NewMessage::default() };
    behind_its_back(dir.path(), |store| assert_eq!(store.append(&message).unwrap(), 4));
    life(&|bench| assert_eq!(bench.store("s", &[], ""), 5));
    life(&|bench| {
        for (id, seq) in [("a", 1), ("b", 3), ("c", 4)] {
            let answer = bench.publish("s", &[("Nats-Msg-Id", id)], "");
            assert_eq!((&answer["seq"], &answer["duplicate"]), (&json!(seq), &json!(true)), "{id}");
        }
    });
}

#[test]
fn a_deleted_stream_is_gone_and_a_new_one_of_its_name_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let before = bench(dir.path(), &clock);
    before.stream(json!({"name": "S", "subjects": ["s"], "storage": "file"}));
    before.store("s", &[], "x");
    assert_eq!(before.api("STREAM.DELETE.S", &json!(null))["success"], true);
    assert!(!streams_of(dir.path()).join("S").exists());
    before.stream(json!({"name": "S", "subjects": ["s"], "storage": "file", "first_seq": 100}));
    let state = before.state("S");
    assert_eq!((&state["first_seq"], &state["last_seq"], &state["messages"]), (&json!(100), &json!(99), &json!(0)));
    assert_eq!(before.store("s", &[], ""), 100);
    before.account.stop();
    assert_eq!(bench(dir.path(), &clock).state("S")["last_seq"], 100);
}

#[test]
fn what_cannot_be_read_is_offline_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let before = bench(dir.path(), &clock);
    before.stream(json!({"name": "S", "subjects": ["s"], "storage": "file"}));
    before.stream(json!({"name": "T", "subjects": ["t"], "storage": "file"}));
    before.account.stop();
    drop(before);
    let description = streams_of(dir.path()).join("S/stream.desc");
    let bytes = fs::read(&description).unwrap();
    fs::write(&description, b"damaged").unwrap();

    let after = bench(dir.path(), &clock);
    assert_eq!(error_of(&after.info("S")), 10194);
    assert_eq!(error_of(&after.info("T")), 0);
    let list = after.api("STREAM.LIST", &json!(null));
    assert_eq!((&list["missing"], list["offline"]["S"].is_string()), (&json!(["S"]), true));
    let new = json!({"name": "S", "subjects": ["s"]});
    assert_eq!(error_of(&after.api("STREAM.CREATE.S", &new)), 10058);
    assert_eq!(fs::read(&description).unwrap(), b"damaged");
    after.account.stop();
    drop(after);
    fs::write(&description, bytes).unwrap();
    let again = bench(dir.path(), &clock);
    assert_eq!(error_of(&again.info("S")), 0);
    again.account.stop();
    fs::write(&description, b"damaged").unwrap();
    let last = bench(dir.path(), &clock);
    assert_eq!(last.api("STREAM.DELETE.S", &json!(null))["success"], true);
    assert!(!streams_of(dir.path()).join("S").exists());
}

#[test]
fn figures_of_the_account_agree_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let before = bench(dir.path(), &clock);
    before.stream(json!({"name": "S", "subjects": ["s"], "storage": "file", "max_bytes": 1000}));
    before.store("s", &[("A", "b")], "12345");
    let info = before.api("INFO", &json!(null));
    assert_eq!(info["storage"], 30 + 1 + 5 + 4 + "NATS/1.0\r\nA: b\r\n\r\n".len());
    assert_eq!((&info["reserved_storage"], &info["streams"]), (&json!(1000), &json!(1)));
    before.account.stop();
    let after = bench(dir.path(), &clock).api("INFO", &json!(null));
    assert_eq!((&after["storage"], &after["reserved_storage"]), (&info["storage"], &info["reserved_storage"]));
}

/// Bytes of the files with messages of a stream.
fn segment_bytes(dir: &std::path::Path, name: &str) -> u64 {
    let files = fs::read_dir(streams_of(dir).join(name)).unwrap().map(|entry| entry.unwrap());
    let segments = files.filter(|entry| entry.path().extension().is_some_and(|end| end == "seg"));
    segments.map(|entry| entry.metadata().unwrap().len()).sum()
}

#[test]
fn s2_compresses_what_is_stored_from_then_on_and_counts_as_without() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let life = |act: &dyn Fn(&Bench)| {
        let bench = bench(dir.path(), &clock);
        act(&bench);
        bench.account.stop();
    };
    let payload = "all the same, ".repeat(100);
    let store = |bench: &Bench, subject: &str| {
        for _ in 0..20 {
            bench.store(subject, &[("Name", "value")], &payload);
        }
    };
    life(&|bench| {
        bench.stream(json!({"name": "P", "subjects": ["p"], "storage": "file"}));
        bench.stream(json!({"name": "S", "subjects": ["s"], "storage": "file", "compression": "s2"}));
        store(bench, "p");
        store(bench, "s");
        assert_eq!(bench.state("S")["bytes"], bench.state("P")["bytes"]);
        let full = json!({"name": "F", "subjects": ["f"], "storage": "file", "compression": "s2", "max_bytes": 5000});
        bench.stream(full);
        store(bench, "f");
        assert_eq!(bench.state("F")["messages"], 3, "limits count what came");
    });
    assert!(segment_bytes(dir.path(), "S") * 4 < segment_bytes(dir.path(), "P"));
    let (plain, squeezed) = (segment_bytes(dir.path(), "P"), segment_bytes(dir.path(), "S"));
    life(&|bench| {
        assert_eq!(error_of(&bench.update("P", &json!({"compression": "s2"}))), 0);
        assert_eq!(error_of(&bench.update("S", &json!({"compression": "none"}))), 0);
        store(bench, "p");
        store(bench, "s");
    });
    assert!(segment_bytes(dir.path(), "P") < plain + plain / 2, "what was there stays as it is");
    assert!(segment_bytes(dir.path(), "S") > squeezed + plain / 2);
    life(&|bench| {
        assert_eq!(bench.info("P")["config"]["compression"], "s2");
        for name in ["P", "S"] {
            let messages = bench.messages(name);
            assert!(messages.len() == 40 && messages.iter().all(|(_, _, found)| *found == payload), "{name}");
        }
        store(bench, "p");
    });
    assert!(segment_bytes(dir.path(), "P") < plain + plain / 2, "after a start as well");
}
