//! A part of the index in a file: it answers as one in memory does, over restarts, and no damage to it costs anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::super::index::messages::Shelf as _;
use cordon_accounts::subject::Pattern;

use super::super::super::{Filter, NewMessage, Store, StoreError};
use super::super::{FileOptions, FileStore};
use super::damage::{Files, named, with};
use super::sim::Sim;
use super::{AccountKey, create, dir, message, options, recover, reopen, sync};

type Model = BTreeMap<String, BTreeSet<u64>>;

/// Four subjects in no order, with holes.
fn fill(store: &mut dyn Store, model: &mut Model, count: u64) {
    for _ in 0..count {
        let number = store.state().last_seq + 1;
        let subject = format!("s.{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62);
        let new = NewMessage { subject: subject.as_bytes(), payload: b"the-payload", ..NewMessage::default() };
        let seq = store.append(&new).unwrap();
        model.entry(subject).or_default().insert(seq);
        if seq.is_multiple_of(5) {
            let gone = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) % seq;
            if let Some(removed) = store.remove(gone, false).unwrap() {
                assert!(model.get_mut(str::from_utf8(&removed.subject).unwrap()).unwrap().remove(&gone));
            }
        }
        if seq.is_multiple_of(20) {
            sync(store);
        }
    }
}

fn check(store: &dyn Store, model: &Model) {
    assert_eq!(store.state().messages, model.values().map(|one| one.len() as u64).sum::<u64>());
    for (subject, all) in model {
        let of = store.of_subject(subject.as_bytes()).unwrap();
        assert_eq!((of.count, Some(&of.first), Some(&of.last)), (all.len() as u64, all.first(), all.last()));
        let filter = Filter::one(Pattern::parse(subject).unwrap());
        for at in (0..store.state().last_seq + 2).step_by(13) {
            assert_eq!(store.next(&filter, at), all.range(at..).next().copied(), "{subject} from {at}");
            assert_eq!(store.last(&filter, at), all.range(..=at).next_back().copied(), "{subject} to {at}");
            assert_eq!(store.count(&filter, at), all.range(at..).count() as u64, "{subject} from {at}");
        }
    }
}

fn shelves(files: &Files) -> usize {
    named(files, ".shelf").count()
}

fn written(options: &FileOptions) -> (Files, Model) {
    let sim = Sim::new(7);
    let mut store = create(&sim, options);
    let mut model = Model::new();
    fill(&mut store, &mut model, 900);
    check(&store, &model);
    drop(store);
    (sim.files(), model)
}

#[test]
fn it_answers_over_restarts_and_old_files_go() {
    for key in [None, Some(AccountKey::generate("A"))] {
        let options = options(2500, key.as_ref());
        let (files, mut model) = written(&options);
        assert_eq!(shelves(&files), 1);
        let sim = with(&files);
        for _ in 0..6 {
            let mut store = reopen(&sim, &options).store;
            check(&*store, &model);
            fill(&mut *store, &mut model, 150);
            check(&*store, &model);
            drop(store);
            assert_eq!(shelves(&sim.files()), 1);
        }
        let mut store = reopen(&sim, &options).store;
        store.remove_below(u64::from(u32::MAX), &mut |_| {}).unwrap();
        assert_eq!((store.state().messages, store.state().subjects), (0, 0));
    }
}

#[test]
fn a_start_without_changes_leaves_what_the_checkpoint_speaks_of() {
    let options = options(2500, None);
    let (files, model) = written(&options);
    let sim = with(&files);
    for _ in 0..3 {
        check(&*reopen(&sim, &options).store, &model);
        assert_eq!(shelves(&sim.files()), 1);
    }
}

#[test]
fn damage_to_it_costs_nothing() {
    let options = options(2500, None);
    let (files, model) = written(&options);
    let (path, bytes) = named(&files, ".shelf").next().unwrap();
    let flipped = |at: usize| {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        Some(bad)
    };
    let half = bytes[..bytes.len() / 2].to_vec();
    let changes = [None, Some(Vec::new()), Some(half), Some(vec![0; bytes.len()])];
    for change in changes.into_iter().chain((70..bytes.len()).step_by(97).map(flipped)) {
        let sim = with(&files);
        sim.put(path, change);
        let mut store = reopen(&sim, &options).store;
        check(&*store, &model);
        assert_eq!(store.lost().0, Vec::<u64>::new());
        sync(&mut *store);
        drop(store);
        check(&*reopen(&sim, &options).store, &model);
    }
}

#[test]
fn what_cannot_be_read_any_more_makes_the_store_read_only_and_the_index_is_made_anew() {
    let options = options(2500, None);
    let (files, model) = written(&options);
    let sim = with(&files);
    let mut store = FileStore::empty(sim.clone(), dir(), &options);
    assert!(store.flush().is_ok());
    assert_eq!(store.shelf.get(99, 7), None);
    assert!(matches!(store.flush(), Err(StoreError::Damaged { .. })));
    assert!(matches!(store.append(&message("s", b"")), Err(StoreError::ReadOnly(_))));
    drop(store);
    assert_eq!(named(&sim.files(), ".checkpoint").count(), 0);
    check(&*recover::open(Arc::clone(&sim) as Arc<_>, dir(), &options).unwrap().store, &model);
}
