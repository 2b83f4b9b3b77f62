//! The store against the naive model, against crashes and refusals of a disk, and against damage.

mod damage;
mod faults;
mod room;
mod scrub;
mod shelf;
mod sim;
mod squeeze;

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use self::sim::Sim;
use super::super::model::{self, Model, Step};
use super::super::{NewMessage, Opened, STREAM, Store};
use super::store::FileStore;
use super::{AccountKey, FileOptions, recover};

fn options(segment_bytes: u64, key: Option<&AccountKey>) -> FileOptions {
    FileOptions { segment_bytes, key: key.cloned(), ..FileOptions::default() }
}

fn dir() -> &'static Path {
    Path::new("/js/A/streams/S")
}

fn create(sim: &Arc<Sim>, options: &FileOptions) -> FileStore {
    FileStore::create_on(sim.clone(), dir(), options, b"description").unwrap()
}

fn reopen(sim: &Arc<Sim>, options: &FileOptions) -> Opened {
    recover::open(sim.clone(), dir(), options).unwrap()
}

fn sync(store: &mut dyn Store) {
    if let Some(sync) = store.flush().unwrap() {
        sync.run().unwrap();
    }
}

fn message(subject: &'static str, payload: &'static [u8]) -> NewMessage<'static> {
    NewMessage { subject: subject.as_bytes(), payload, ..NewMessage::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn files_are_the_model(
        steps in prop::collection::vec(model::step(), 0..80),
        every in 1_usize..20,
        is_encrypted in any::<bool>(),
        is_compressed in any::<bool>(),
        segment_bytes in 512_u64..4000,
    ) {
        let key = is_encrypted.then(|| AccountKey::generate("A"));
        let options = FileOptions { compression: is_compressed, ..options(segment_bytes, key.as_ref()) };
        let sim = Sim::new(1);
        let mut store: Box<dyn Store> = Box::new(create(&sim, &options));
        let mut model = Model::in_files();
        for (number, step) in steps.iter().enumerate() {
            model.apply(&mut *store, step);
            if number % every == 0 {
                model.check(&*store);
            }
            if number % 23 == 22 {
                drop(store);
                store = reopen(&sim, &options).store;
                model.check(&*store);
            }
        }
        model.check(&*store);
        drop(store);
        model.check(&*reopen(&sim, &options).store);
    }
}

#[test]
fn a_long_life_in_small_segments_agrees_with_the_model() {
    let options = options(2000, None);
    let sim = Sim::new(2);
    let mut store: Box<dyn Store> = Box::new(create(&sim, &options));
    let mut model = Model::in_files();
    for number in 0..6000_u64 {
        model.apply(&mut *store, &Step::numbered(number));
        if number % 1500 == 1499 {
            drop(store);
            store = reopen(&sim, &options).store;
            model.check(&*store);
        }
    }
    assert!(sim.bytes() < 40 * model.state().bytes + 200_000, "{} bytes for {:?}", sim.bytes(), model.state());
}

#[test]
fn the_time_of_the_last_message_outlives_the_message_and_its_segment() {
    for sealed in [false, true] {
        let key = sealed.then(|| AccountKey::generate("A"));
        let options = options(512, key.as_ref());
        let sim = Sim::new(4);
        let mut store: Box<dyn Store> = Box::new(create(&sim, &options));
        store.append(&NewMessage { ts: 995, ..message("a", b"last") }).unwrap();
        for round in 1..40_u64 {
            store.remove_below(round + 1, &mut |_| {}).unwrap();
            store.skip_to(round + 1, 0).unwrap();
            sync(&mut *store);
            assert_eq!((store.state().messages, store.state().last_ts), (0, 995), "round {round}");
            if round % 3 == 0 {
                drop(store);
                store = reopen(&sim, &options).store;
                assert_eq!((store.state().last_seq, store.state().last_ts), (round + 1, 995), "round {round}");
            }
        }
    }
}

#[test]
fn a_real_disk_keeps_messages_consumers_and_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("A/streams/S");
    let options = options(4096, None);
    let mut store = FileStore::create(&dir, &options, b"one").unwrap();
    assert!(FileStore::create(&dir, &options, b"again").is_err());
    for number in 0..200_i64 {
        store.append(&NewMessage { ts: number, ..message("a.b", b"payload") }).unwrap();
        store.journal("c", &number.to_le_bytes()).unwrap();
    }
    store.remove(7, true).unwrap().unwrap();
    store.describe_consumer("c", Some(b"consumer")).unwrap();
    store.describe_consumer("d", Some(b"consumer")).unwrap();
    store.describe_consumer("d", None).unwrap();
    store.journal("d", b"of nobody").unwrap();
    store.journal(STREAM, b"of the stream").unwrap();
    store.describe(b"two").unwrap();
    sync(&mut store);
    drop(store);
    let opened = FileStore::open(&dir, &options).unwrap();
    assert_eq!(opened.description, b"two");
    assert_eq!(opened.consumers, [("c".to_owned(), b"consumer".to_vec())]);
    let owners: Vec<_> = opened.journal.iter().map(|(owner, kept)| (owner.as_str(), kept.entries.len())).collect();
    assert_eq!(owners, [(STREAM, 1), ("c", 200)]);
    assert_eq!((opened.store.state().messages, opened.store.state().last_ts), (199, 199));
    assert_eq!(opened.store.lost(), (vec![], 0));
    let mut store = opened.store;
    store.destroy().unwrap();
    drop(store);
    assert_eq!(std::fs::read_dir(dir.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn snapshots_take_the_place_of_entries_and_old_files_go() {
    let options = options(4096, None);
    let sim = Sim::new(3);
    let mut store = create(&sim, &options);
    store.describe_consumer("c", Some(b"c")).unwrap();
    let entry = vec![1; 100_000];
    for round in 0..5 {
        while !store.wants_snapshots() {
            store.journal("c", &entry).unwrap();
            store.journal(STREAM, b"s").unwrap();
        }
        store.snapshot("c", &[round; 8]).unwrap();
        store.snapshot(STREAM, &[round; 9]).unwrap();
        assert!(!store.wants_snapshots());
        sync(&mut store);
        sync(&mut store);
    }
    store.journal("c", b"last").unwrap();
    sync(&mut store);
    assert!(sim.bytes() < 1_600_000, "{}", sim.bytes());
    drop(store);
    let journal = reopen(&sim, &options).journal;
    let of = |owner: &str| journal.iter().find(|(name, _)| name == owner).unwrap().1.clone();
    assert_eq!((of("c").snapshot, of("c").entries), (Some(vec![4; 8]), vec![b"last".to_vec()]));
    assert_eq!((of(STREAM).snapshot, of(STREAM).entries), (Some(vec![4; 9]), vec![]));
}
