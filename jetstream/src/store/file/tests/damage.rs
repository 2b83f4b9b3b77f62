//! Files that are not as they were written: bits, ends, whole files, the wrong key.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::super::{Filter, NewMessage, Store, StoreError};
use super::super::FileOptions;
use super::super::segment::NUMBER_END;
use super::sim::Sim;
use super::{AccountKey, create, dir, message, options, recover, reopen, sync};

pub(super) type Files = Vec<(PathBuf, Vec<u8>)>;

/// A stream of some segments, all that it can have in it, closed in order.
fn written(options: &FileOptions) -> Files {
    let sim = Sim::new(5);
    let mut store = create(&sim, options);
    store.describe_consumer("the-consumer", Some(b"of-a-consumer")).unwrap();
    for number in 0..60_i64 {
        let new = NewMessage {
            ts: number,
            header: b"NATS/1.0\r\nHeader-Name: v\r\n\r\n",
            ..message("subject.name", b"the-payload")
        };
        store.append(&new).unwrap();
        store.journal("the-consumer", b"the-entry").unwrap();
        if number % 10 == 9 {
            sync(&mut store);
        }
    }
    drop(store);
    sim.files()
}

pub(super) fn with(files: &Files) -> Arc<Sim> {
    let sim = Sim::new(6);
    for (path, bytes) in files {
        sim.put(path, Some(bytes.clone()));
    }
    sim
}

pub(super) fn named<'a>(files: &'a Files, end: &'a str) -> impl Iterator<Item = &'a (PathBuf, Vec<u8>)> {
    files.iter().filter(move |(path, _)| path.to_str().unwrap().ends_with(end))
}

/// Reads all there is, twice: what is found damaged is listed and passed over then.
pub(super) fn read_all(store: &mut dyn Store) -> Vec<u64> {
    let mut found = Vec::new();
    for _ in 0..2 {
        let mut at = 0;
        found.clear();
        while let Some(seq) = store.next(&Filter::All, at) {
            at = seq + 1;
            match store.get(seq) {
                Ok(message) => {
                    assert_eq!(message.unwrap().payload(), b"the-payload");
                    found.push(seq);
                }
                Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error}"),
            }
        }
        store.flush().unwrap();
    }
    found
}

#[test]
fn a_flipped_bit_costs_its_message_and_is_told() {
    for key in [None, Some(AccountKey::generate("A"))] {
        let options = options(2500, key.as_ref());
        let files = written(&options);
        for (path, bytes) in named(&files, ".seg") {
            for at in (0..bytes.len()).step_by(29) {
                let sim = with(&files);
                let mut bad = bytes.clone();
                bad[at] ^= 1 << (at % 8);
                sim.put(path, Some(bad.clone()));
                let mut store = reopen(&sim, &options).store;
                let found = read_all(&mut *store);
                assert!(found.len() >= 59, "byte {at}: {} messages", found.len());
                let missing: Vec<u64> = (1..=60).filter(|seq| !found.contains(seq)).collect();
                assert_eq!(store.lost().0, missing, "byte {at} of {}", path.display());
                assert_eq!(store.append(&message("a", b"the-payload")).unwrap(), 61, "byte {at}");
                sync(&mut *store);
                let now = sim.files();
                assert_eq!(named(&now, path.to_str().unwrap()).next().unwrap().1, bad, "the file stays as it is");
            }
        }
    }
}

#[test]
fn a_file_that_is_cut_off_or_gone_is_told_and_no_sequence_is_given_again() {
    let options = options(2500, None);
    let files = written(&options);
    let segments: Vec<_> = named(&files, ".seg").collect();
    assert!(segments.len() >= 3);
    for (path, bytes) in &segments {
        for len in [Some(0), Some(10), Some(64), Some(bytes.len() / 2), Some(bytes.len() - 1), None] {
            let sim = with(&files);
            sim.put(path, len.map(|len| bytes[..len].to_vec()));
            let mut store = reopen(&sim, &options).store;
            let found = read_all(&mut *store);
            let missing: Vec<u64> = (1..=60).filter(|seq| !found.contains(seq)).collect();
            assert!(!missing.is_empty());
            if len.is_some() {
                assert_eq!(store.lost().0, missing, "{} cut to {len:?}", path.display());
                assert_eq!(store.append(&message("a", b"the-payload")).unwrap(), 61);
            }
        }
    }
}

#[test]
fn a_cache_that_is_damaged_or_gone_changes_nothing() {
    let options = options(2500, None);
    let files = written(&options);
    let caches: Vec<_> = named(&files, ".table").chain(named(&files, ".checkpoint")).collect();
    assert!(caches.len() >= 3);
    for (path, bytes) in caches {
        for change in [None, Some(Vec::new()), Some(bytes[..bytes.len() / 2].to_vec()), Some(vec![0xff; bytes.len()])] {
            let sim = with(&files);
            sim.put(path, change);
            let mut store = reopen(&sim, &options).store;
            assert_eq!(read_all(&mut *store).len(), 60);
            assert_eq!(store.lost().0, Vec::<u64>::new());
        }
    }
}

#[test]
fn a_description_that_cannot_be_read_leaves_everything_as_it_was() {
    let options = options(2500, None);
    let files = written(&options);
    let descriptions: Vec<_> = named(&files, ".desc").collect();
    assert_eq!(descriptions.len(), 2);
    for (path, bytes) in descriptions {
        for at in 0..bytes.len() {
            let sim = with(&files);
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            sim.put(path, Some(bad));
            let before = sim.files();
            let error = recover::open(sim.clone(), dir(), &options).err().unwrap();
            assert!(matches!(error, StoreError::Damaged { .. } | StoreError::Key { .. }), "{error}");
            assert_eq!(sim.files(), before);
        }
    }
    let sim = with(&files);
    sim.put(&dir().join("stream.desc"), None);
    assert!(matches!(recover::open(sim, dir(), &options), Err(StoreError::Damaged { .. })));
    assert!(matches!(recover::open(Sim::new(1), dir(), &options), Err(StoreError::Unfinished { .. })));
}

#[test]
fn the_wrong_key_touches_nothing_and_the_right_one_finds_all() {
    let key = AccountKey::generate("A");
    let right = options(2500, Some(&key));
    let files = written(&right);
    for wrong in [options(2500, None), options(2500, Some(&AccountKey::generate("A")))] {
        let sim = with(&files);
        let before = sim.files();
        let error = recover::open(sim.clone(), dir(), &wrong).err().unwrap();
        assert!(matches!(error, StoreError::Key { .. }), "{error}");
        assert_eq!(sim.files(), before);
        let mut store = reopen(&sim, &right).store;
        assert_eq!(read_all(&mut *store).len(), 60);
    }
}

#[test]
fn no_file_holds_anything_in_clear_with_a_key() {
    let secrets = [
        &b"subject.name"[..],
        b"Header-Name",
        b"the-payload",
        b"the-consumer",
        b"of-a-consumer",
        b"the-entry",
        b"description",
    ];
    let holds = |files: &Files, secret: &[u8]| {
        files.iter().any(|(path, bytes)| {
            path.to_str().unwrap().as_bytes().windows(secret.len()).any(|part| part == secret)
                || bytes.windows(secret.len()).any(|part| part == secret)
        })
    };
    let clear = written(&options(2500, None));
    let sealed = written(&options(2500, Some(&AccountKey::generate("A"))));
    for secret in secrets {
        assert!(holds(&clear, secret), "{}", secret.escape_ascii());
        assert!(!holds(&sealed, secret), "{}", secret.escape_ascii());
    }
}

#[test]
fn a_stream_in_clear_that_is_given_a_key_is_written_anew() {
    let files = written(&options(2500, None));
    let sim = with(&files);
    let sealed = options(2500, Some(&AccountKey::generate("A")));
    let mut opened = reopen(&sim, &sealed);
    opened.store.describe(b"anew").unwrap();
    for _ in 0..60 {
        opened.store.append(&message("a", b"the-payload")).unwrap();
        sync(&mut *opened.store);
    }
    assert_eq!(read_all(&mut *opened.store).len(), 120);
    let now = sim.files();
    assert!(named(&now, "plain.seg").next().is_none());
    drop(opened);
    assert_eq!(read_all(&mut *reopen(&sim, &sealed).store).len(), 120);
}

#[test]
fn what_is_erased_is_in_no_file() {
    let options = options(2500, None);
    let sim = Sim::new(7);
    let mut store = create(&sim, &options);
    let secret = b"what-is-to-go";
    let mut seqs = Vec::new();
    for number in 0..40 {
        let payload = if number % 7 == 0 { &secret[..] } else { b"other" };
        let seq = store.append(&message("a", payload)).unwrap();
        if number % 7 == 0 {
            seqs.push(seq);
        }
        if number % 5 == 0 {
            sync(&mut store);
        }
    }
    let there = |sim: &Sim| sim.files().iter().any(|(_, bytes)| bytes.windows(secret.len()).any(|part| part == secret));
    sync(&mut store);
    assert!(there(&sim));
    for seq in seqs {
        store.remove(seq, true).unwrap().unwrap();
    }
    sync(&mut store);
    assert!(!there(&sim));
    drop(store);
    assert_eq!(reopen(&sim, &options).store.lost(), (vec![], 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever lies in the files: an error or a stream whose messages are those that were written, and no panic.
    #[test]
    fn any_bytes_in_any_file_lose_nothing_that_is_valid(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..80), 0..4_u8), 1..6),
        is_sealed in any::<bool>(),
    ) {
        let key = AccountKey::generate("A");
        let options = options(2500, is_sealed.then_some(&key));
        let sim = with(&written(&options));
        for (file, place, bytes, how) in changes {
            let files = sim.files();
            let (path, mut content) = file.get(&files).clone();
            let at = place.index(content.len() + 1);
            let end = (at + bytes.len()).min(content.len());
            match how {
                0 => drop(content.splice(at..end, bytes)),
                1 => drop(content.splice(at..at, bytes)),
                2 => content.truncate(at),
                _ => {
                    let part = content[at..end].to_vec();
                    content.extend(part);
                }
            }
            sim.put(&path, Some(content));
        }
        let Ok(opened) = recover::open(sim.clone(), dir(), &options) else { return Ok(()) };
        let mut store = opened.store;
        let last = store.state().last_seq;
        let found = read_all(&mut *store);
        prop_assert!(found.iter().all(|seq| *seq <= 60));
        let next = store.append(&message("subject.name", b"the-payload")).unwrap();
        prop_assert_eq!(next, last + 1);
        sync(&mut *store);
        drop(store);
        let again = read_all(&mut *reopen(&sim, &options).store);
        prop_assert_eq!(again, [found, vec![next]].concat());
    }
}

#[test]
fn a_copy_under_another_number_takes_nothing_of_what_comes_after() {
    let options = options(2500, None);
    let files = written(&options);
    let segments: Vec<_> = named(&files, ".seg").collect();
    // A copy of the first, whose messages are out of their place, and of the last, which has all in its place.
    for (path, bytes) in [segments[0], segments[segments.len() - 1]] {
        for number in [segments.len() as u32, 0x40, NUMBER_END - 1, NUMBER_END, u32::MAX] {
            let name = path.file_name().unwrap().to_str().unwrap();
            let (_, rest) = name.split_once('-').unwrap();
            let sim = with(&files);
            sim.put(&path.with_file_name(format!("{number:08x}-{rest}")), Some(bytes.clone()));
            let mut store = reopen(&sim, &options).store;
            let stored = store.append(&message("subject.name", b"the-payload"));
            if number == NUMBER_END - 1 {
                assert!(stored.unwrap_err().to_string().contains("move it away"), "or it would not be found again");
                continue;
            }
            assert_eq!(stored.unwrap(), 61, "{number:x}");
            sync(&mut *store);
            store.close();
            drop(store);
            let mut store = reopen(&sim, &options).store;
            assert_eq!(read_all(&mut *store), (1..=61).collect::<Vec<_>>(), "{number:x} {name}");
        }
    }
}

#[test]
fn a_copy_of_a_damaged_or_older_file_does_not_take_its_place() {
    let options = options(2500, None);
    let files = written(&options);
    for (path, bytes) in named(&files, ".seg") {
        let name = path.file_name().unwrap().to_str().unwrap();
        // As if it had been written anew: it would be the one that counts, and the original would go.
        let copy = path.with_file_name(name.replacen("-0000-", "-0001-", 1));
        let sim = with(&files);
        let mut bad = bytes.clone();
        bad[90..].fill(0xff);
        sim.put(&copy, Some(bad.clone()));
        for _ in 0..2 {
            let mut store = reopen(&sim, &options).store;
            assert_eq!((read_all(&mut *store).len(), store.lost()), (60, (vec![], 0)), "{name}");
            (0..3).for_each(|_| sync(&mut *store));
        }
        let now = sim.files();
        assert_eq!(named(&now, copy.to_str().unwrap()).next().unwrap().1, bad, "the copy stays as it is");
        assert_eq!(named(&now, path.to_str().unwrap()).count(), 1, "the original stays");
    }
}

#[test]
fn a_journal_under_another_number_is_not_read_again() {
    let options = options(2500, None);
    let files = written(&options);
    let (path, bytes) = named(&files, ".journal").next().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let (_, rest) = name.split_once('-').unwrap();
    let sim = with(&files);
    sim.put(&path.with_file_name(format!("00000009-{rest}")), Some(bytes.clone()));
    let (one, two) = (reopen(&with(&files), &options).journal, reopen(&sim, &options).journal);
    assert!(one == two && one.len() == 1);
}

#[test]
fn a_file_that_another_was_written_over_shows_as_lost() {
    let options = options(2500, None);
    let files = written(&options);
    let segments: Vec<_> = named(&files, ".seg").collect();
    let sim = with(&files);
    sim.put(&segments[1].0, Some(segments[0].1.clone()));
    let mut store = reopen(&sim, &options).store;
    let found = read_all(&mut *store);
    let missing: Vec<u64> = (1..=60).filter(|seq| !found.contains(seq)).collect();
    assert!(missing.len() > 5);
    assert_eq!(store.lost().0, missing);
}

/// Files of earlier versions: zeros where a file says what it was called.
#[test]
fn files_that_do_not_know_their_names_are_read_whole() {
    let options = options(2500, None);
    let mut files = written(&options);
    for (path, bytes) in &mut files {
        let name = path.to_str().unwrap();
        if [".seg", ".journal"].iter().any(|end| name.ends_with(end)) {
            assert!(bytes[48..60] != [0; 12], "{name}");
            bytes[48..60].fill(0);
        }
    }
    let opened = reopen(&with(&files), &options);
    let mut store = opened.store;
    assert_eq!((read_all(&mut *store).len(), store.lost(), opened.journal.len()), (60, (vec![], 0), 1));
}
