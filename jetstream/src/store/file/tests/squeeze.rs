//! Messages that are compressed on disk: that they are the same to everybody but the disk.

use super::super::super::{Filter, NewMessage, Store};
use super::super::{FileOptions, survey};
use super::damage::{named, with};
use super::sim::Sim;
use super::{AccountKey, FileStore, create, options, recover, reopen, sync};

const HEADER: &[u8] = b"NATS/1.0\r\nName: value of a header\r\n\r\n";

fn payload(seq: u64) -> Vec<u8> {
    format!("{{\"number\":{seq},\"name\":\"a name\",\"list\":[1,2,3]}}").repeat(8).into_bytes()
}

fn fill(store: &mut dyn Store, count: u64) {
    for _ in 0..count {
        let payload = payload(store.state().last_seq + 1);
        let new = NewMessage { subject: b"orders.new", header: HEADER, payload: &payload, ts: 1, expires: 0 };
        store.append(&new).unwrap();
    }
    sync(store);
}

fn check(store: &dyn Store, missing: &[u64]) {
    let mut at = 0;
    for seq in (1..=store.state().last_seq).filter(|seq| !missing.contains(seq)) {
        let found = store.get(seq).unwrap().unwrap();
        assert_eq!((found.subject(), found.header()), (&b"orders.new"[..], HEADER), "{seq}");
        assert_eq!(found.payload(), payload(seq), "{seq}");
        assert_eq!(store.next(&Filter::All, at), Some(seq));
        assert_eq!(store.peek(seq).unwrap().size, store.size_of(10, HEADER.len(), payload(seq).len()), "{seq}");
        at = seq + 1;
    }
}

fn segment_bytes(sim: &Sim) -> usize {
    named(&sim.files(), ".seg").map(|(_, bytes)| bytes.len()).sum()
}

fn both(key: Option<&AccountKey>) -> [FileOptions; 2] {
    [false, true].map(|compression| FileOptions { compression, ..options(4000, key) })
}

#[test]
fn compression_changes_what_is_on_disk_and_nothing_else() {
    for key in [None, Some(AccountKey::generate("A"))] {
        let [plain, squeezed] = both(key.as_ref()).map(|options| {
            let sim = Sim::new(31);
            let mut store = create(&sim, &options);
            fill(&mut store, 100);
            check(&store, &[]);
            for seq in [3, 50] {
                assert_eq!(
                    store.remove(seq, true).unwrap().unwrap().size,
                    store.size_of(10, HEADER.len(), payload(seq).len())
                );
            }
            sync(&mut store);
            check(&store, &[3, 50]);
            let state = store.state();
            drop(store);
            // Whatever a broker is told when it opens them.
            for other in both(key.as_ref()) {
                let again = with(&sim.files());
                let opened = reopen(&again, &other).store;
                check(&*opened, &[3, 50]);
                assert_eq!((opened.state(), opened.lost()), (state, (vec![], 0)));
            }
            (state, segment_bytes(&sim))
        });
        assert_eq!(plain.0, squeezed.0, "sizes count as they came");
        assert!(squeezed.1 * 2 < plain.1, "{} bytes, {} without", squeezed.1, plain.1);
    }
}

#[test]
fn another_choice_is_for_new_messages_alone_and_a_segment_that_is_written_anew_keeps_each_as_it_is() {
    let sim = Sim::new(32);
    let [plain, _] = both(None);
    let mut store = create(&sim, &plain);
    fill(&mut store, 20);
    let first = segment_bytes(&sim);
    store.compress(true);
    fill(&mut store, 20);
    let second = segment_bytes(&sim) - first;
    store.compress(false);
    fill(&mut store, 20);
    let third = segment_bytes(&sim) - first - second;
    assert!(second * 2 < first && third > second * 2, "{first} {second} {third}");
    let gone: Vec<u64> = (1..=60).filter(|seq| seq % 4 != 0).collect();
    for seq in &gone {
        store.remove(*seq, false).unwrap().unwrap();
    }
    (0..40).for_each(|_| sync(&mut store));
    assert!(named(&sim.files(), ".seg").any(|(path, _)| path.to_str().unwrap().contains("-0001-")), "none is anew");
    check(&store, &gone);
    let before = segment_bytes(&sim);
    drop(store);
    let store = reopen(&sim, &plain).store;
    check(&*store, &gone);
    let sizes: u64 = (1..=60).filter(|seq| seq % 4 == 0).map(|seq| store.peek(seq).unwrap().size).sum();
    assert_eq!(store.state().bytes, sizes);
    assert!(before < first * 2, "{before} after {first}");
}

#[test]
fn a_flipped_bit_in_a_compressed_message_costs_that_message() {
    for key in [None, Some(AccountKey::generate("A"))] {
        let [_, options] = both(key.as_ref());
        let sim = Sim::new(33);
        let mut store = create(&sim, &options);
        fill(&mut store, 30);
        drop(store);
        let files = sim.files();
        for (path, bytes) in named(&files, ".seg") {
            for at in (0..bytes.len()).step_by(37) {
                let sim = with(&files);
                let mut bad = bytes.clone();
                bad[at] ^= 1 << (at % 8);
                sim.put(path, Some(bad));
                let mut store = reopen(&sim, &options).store;
                for seq in 1..=30 {
                    let _ = store.get(seq);
                }
                sync(&mut *store);
                let lost = store.lost().0;
                assert!(lost.len() <= 1, "byte {at}: {lost:?}");
                check(&*store, &lost);
            }
        }
    }
}

#[test]
fn a_folder_on_a_disk_is_looked_at_with_its_sizes() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("A/streams/S");
    let [_, options] = both(None);
    let mut store = FileStore::create(&dir, &options, b"one").unwrap();
    fill(&mut store, 50);
    let bytes = store.state().bytes;
    store.close();
    drop(store);
    let found = survey(&dir, None).unwrap();
    assert!(!found.has_damage() && found.torn.is_empty(), "{found:?}");
    assert_eq!((found.state.messages, found.state.bytes), (50, bytes));
    assert!(found.disk_bytes * 2 < bytes, "{} for {bytes}", found.disk_bytes);
    assert!(recover::open(std::sync::Arc::new(super::super::disk::RealDisk), &dir, &options).is_ok());
}
