//! Room that is written ahead of records: that it is told from what was promised and from damage, how large it is, and
//! what a start reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::super::{NewMessage, Store};
use super::super::log::Log;
use super::super::mark;
use super::super::record::FIRST;
use super::super::scan::{Found, filled, scan};
use super::super::segment::Segment;
use super::super::whole::Keys;
use super::super::{FileOptions, FileStore, mend, survey};
use super::damage::{Files, named, read_all, with};
use super::sim::{Sim, Trouble};
use super::{AccountKey, create, dir, message, options, reopen, sync};

/// Pieces in which a record comes or stays away.
const SECTOR: usize = 64;

fn keys() -> [Option<AccountKey>; 2] {
    [None, Some(AccountKey::generate("A"))]
}

fn fill(store: &mut dyn Store, count: u64) {
    for number in 0..count {
        store.append(&message("subject.name", b"the-payload")).unwrap();
        store.journal("c", &number.to_le_bytes()).unwrap();
        if number % 3 == 2 {
            sync(store);
        }
    }
    sync(store);
}

/// What a killed process leaves of a stream.
fn killed(options: &FileOptions, count: u64) -> Files {
    let sim = Sim::new(11);
    let mut store = create(&sim, options);
    store.describe_consumer("c", Some(b"c")).unwrap();
    fill(&mut store, count);
    sim.trouble(0, Trouble::Crash);
    drop(store);
    sim.calm();
    sim.files()
}

fn last<'a>(files: &'a Files, end: &'a str) -> &'a (PathBuf, Vec<u8>) {
    named(files, end).last().unwrap()
}

/// Where each record of a segment begins, and the last one ends.
fn places(path: &Path, bytes: &[u8], key: Option<&AccountKey>) -> Vec<u64> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let keys = Keys { key: key.cloned(), stream: "S".to_owned() };
    let format = Segment::of_name(name, 0).unwrap().format(&keys).unwrap();
    let mut places = Vec::new();
    let end = scan(&format, &bytes.to_vec().into(), FIRST, &mut |found| match found {
        Found::Record(at, _) => places.push(at),
        Found::Damage { .. } => panic!("damage"),
    });
    places.push(end);
    places
}

#[test]
fn what_was_promised_is_never_taken_for_room_or_for_a_torn_end() {
    for key in keys() {
        let options = options(2500, key.as_ref());
        let files = killed(&options, 40);
        let (path, bytes) = last(&files, ".seg");
        let places = places(path, bytes, key.as_ref());
        // The first record says only how far sequences are used.
        let (first, end) = (places[1] as usize, *places.last().unwrap() as usize);
        assert!(bytes.len() > end && filled(bytes) as usize <= end, "there is room");
        let mut changes: Vec<(Vec<u8>, String)> = (first..end)
            .map(|at| {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << (at % 8);
                (bad, format!("a bit of byte {at} of {end}"))
            })
            .collect();
        for from in &places[1..places.len() - 1] {
            let mut zeroed = bytes.clone();
            zeroed[*from as usize..].fill(0);
            changes.push((zeroed, format!("zeros from {from} on")));
            changes.push((bytes[..*from as usize].to_vec(), format!("cut off at {from}")));
        }
        for (bad, what) in changes {
            let sim = with(&files);
            sim.put(path, Some(bad));
            let mut store = reopen(&sim, &options).store;
            let found = read_all(&mut *store);
            let missing: Vec<u64> = (1..=40).filter(|seq| !found.contains(seq)).collect();
            assert!(store.lost().1 > 0 || !missing.is_empty(), "{what}: nothing is said");
            assert_eq!(store.lost().0, missing, "{what}");
            assert_eq!(store.append(&message("a", b"the-payload")).unwrap(), 41, "{what}");
            sync(&mut *store);
            drop(store);
            let again = reopen(&sim, &options).store;
            assert_eq!((again.lost().0, again.state().last_seq), (missing, 41), "{what}: the next start says the same");
        }
    }
}

#[test]
fn an_entry_that_was_promised_is_never_taken_for_room_or_for_a_torn_end() {
    for key in keys() {
        let options = options(100_000, key.as_ref());
        let files = killed(&options, 20);
        let (path, bytes) = last(&files, ".journal");
        let end = filled(bytes) as usize;
        assert!(bytes.len() > end, "there is room");
        for at in end - 60..end {
            let sim = with(&files);
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            sim.put(path, Some(bad));
            let opened = reopen(&sim, &options);
            assert!(opened.store.lost().1 > 0, "byte {at} of {end}: nothing is said");
            assert!(opened.journal[0].1.entries.len() >= 18, "byte {at} of {end}");
        }
    }
}

#[test]
fn bits_of_room_and_of_the_mark_cost_nothing() {
    for key in keys() {
        let options = options(2500, key.as_ref());
        let files = killed(&options, 40);
        let (path, bytes) = last(&files, ".seg");
        let end = filled(bytes) as usize;
        let marked = mark::AT as usize..mark::AT as usize + mark::LEN;
        for at in marked.chain(end + 2..bytes.len()) {
            let sim = with(&files);
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            sim.put(path, Some(bad));
            let mut store = reopen(&sim, &options).store;
            assert_eq!(read_all(&mut *store).len(), 40, "byte {at}");
            assert_eq!(store.lost(), (vec![], 0), "byte {at}");
        }
    }
}

/// What was on its way when the power went came in any pieces, over room that was there.
#[test]
fn a_torn_record_in_room_costs_nothing_that_was_promised() {
    for key in keys() {
        let options = options(4000, key.as_ref());
        let files = killed(&options, 12);
        let longer = {
            let sim = with(&files);
            let (path, bytes) = last(&files, ".seg");
            // The same file with more behind: what a process that went on would have written.
            let name = path.file_name().unwrap().to_str().unwrap();
            let keys = Keys { key: key.clone(), stream: "S".to_owned() };
            let format = Segment::of_name(name, 0).unwrap().format(&keys).unwrap();
            let mut more = bytes[..*places(path, bytes, key.as_ref()).last().unwrap() as usize].to_vec();
            for seq in 13..16 {
                let new = NewMessage { payload: &[7; 90], ..message("subject.name", b"") };
                let at = more.len() as u64;
                format.encode(&mut more, at, &FileStore::record_of(&new, seq, 0, 0));
            }
            sim.put(path, Some(more.clone()));
            assert_eq!(reopen(&sim, &options).store.state().last_seq, 15);
            more
        };
        let (path, bytes) = last(&files, ".seg");
        let whole = *places(path, bytes, key.as_ref()).last().unwrap() as usize;
        let sectors = longer.len().div_ceil(SECTOR) - whole / SECTOR;
        assert!(bytes.len() > whole && sectors < 16, "{sectors}");
        for pieces in 0..1_u32 << sectors {
            let mut torn = bytes.clone();
            torn.resize(torn.len().max(longer.len()), 0);
            for number in (0..sectors).filter(|number| pieces & (1 << number) != 0) {
                let from = (whole / SECTOR + number) * SECTOR;
                let to = (from + SECTOR).min(longer.len());
                torn[from..to].copy_from_slice(&longer[from..to]);
            }
            let sim = with(&files);
            sim.put(path, Some(torn));
            let store = reopen(&sim, &options).store;
            assert!(store.state().last_seq >= 12, "{pieces:b}");
            let lost = store.lost().0;
            assert!(lost.iter().all(|seq| *seq > 12), "{pieces:b}: {lost:?}");
            let there = (1..=12).all(|seq| store.get(seq).unwrap().is_some());
            assert!(there, "{pieces:b}");
            let now = sim.files();
            let left = &named(&now, path.to_str().unwrap()).next().unwrap().1;
            assert!(filled(left) == left.len() as u64 || left.len() <= longer.len(), "{pieces:b}: room is cut off");
        }
    }
}

fn folder_of(root: &Path) -> PathBuf {
    root.join("A/streams/S")
}

fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let folder = folder_of(to.path());
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(folder_of(from)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    to
}

fn lengths(root: &Path) -> Vec<(u64, u64)> {
    let files = std::fs::read_dir(folder_of(root)).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "seg" || end == "journal"));
    files.map(|path| std::fs::read(path).unwrap()).map(|bytes| (bytes.len() as u64, filled(&bytes))).collect()
}

#[test]
fn room_is_no_damage_and_no_torn_end_and_no_usage() {
    for key in keys() {
        let root = tempfile::tempdir().unwrap();
        let options = options(1 << 20, key.as_ref());
        let mut store = FileStore::create(&folder_of(root.path()), &options, b"one").unwrap();
        store.describe_consumer("c", Some(b"c")).unwrap();
        fill(&mut store, 300);
        // As a kill leaves it.
        let left = copied(root.path());
        let folder = folder_of(left.path());
        assert!(lengths(left.path()).iter().all(|(len, filled)| *len > filled + 1000), "{:?}", lengths(left.path()));
        let found = survey(&folder, key.as_ref()).unwrap();
        assert!(!found.has_damage() && found.torn.is_empty() && found.leftovers.is_empty(), "{found:?}");
        assert_eq!((found.state.messages, found.lost_bytes), (300, 0));
        let filled: u64 = lengths(left.path()).iter().map(|(_, filled)| filled).sum();
        assert!(found.disk_bytes < filled + 2000, "{} for {filled}", found.disk_bytes);
        // Bytes in it that are no record are torn, and room behind them is not.
        let (path, _) = last_of(&folder);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = found_end(&path, &bytes, key.as_ref());
        bytes[end as usize + 20] = 9;
        std::fs::write(&path, &bytes).unwrap();
        let found = survey(&folder, key.as_ref()).unwrap();
        assert_eq!((found.torn.len(), found.torn[0].at, found.torn[0].bytes), (1, end, 21), "{found:?}");
        assert!(!found.has_damage());
        mend(&folder, key.as_ref(), &found).unwrap();
        let mended = survey(&folder, key.as_ref()).unwrap();
        assert!(mended.torn.is_empty() && !mended.has_damage() && mended.state.messages == 300, "{mended:?}");
        // A clean end leaves none.
        store.close();
        assert!(lengths(root.path()).iter().all(|(len, filled)| *len < filled + 20), "{:?}", lengths(root.path()));
        assert!(store.append(&message("a", b"late")).is_err(), "it is closed");
        assert_eq!(store.state().messages, 300, "and is read");
        drop(store);
        assert_eq!(FileStore::open(&folder_of(root.path()), &options).unwrap().store.state().messages, 300);
    }
}

fn last_of(folder: &Path) -> (PathBuf, u64) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let segments = files.filter(|entry| entry.path().extension().is_some_and(|end| end == "seg"));
    segments.map(|entry| (entry.path(), entry.metadata().unwrap().len())).max().unwrap()
}

fn found_end(path: &Path, bytes: &[u8], key: Option<&AccountKey>) -> u64 {
    *places(path, bytes, key).last().unwrap()
}

#[test]
fn room_grows_with_the_file_and_small_streams_have_none() {
    let root = tempfile::tempdir().unwrap();
    let options = options(200_000, None);
    let mut store = FileStore::create(&folder_of(root.path()), &options, b"one").unwrap();
    let mut had_room = false;
    for number in 0..5000_u64 {
        store.append(&message("subject.name", b"the-payload")).unwrap();
        store.journal("c", &[1; 60]).unwrap();
        if number % 20 != 19 && number > 200 {
            continue;
        }
        sync(&mut store);
        let all = lengths(root.path());
        for (len, filled) in &all {
            let is_small = *len <= *filled + 20;
            had_room |= !is_small;
            assert!(is_small || *filled > 4000 || all.len() > 2, "{len} bytes for {filled}");
            assert!(all.len() > 2 || *len <= 2 * filled + 64 || is_small, "{len} bytes for {filled}");
            assert!(*len <= 700_000, "{len} bytes for {filled}");
        }
    }
    assert!(had_room && lengths(root.path()).len() > 2);
    let (_, len) = last_of(&folder_of(root.path()));
    assert!(len > 100_000, "a segment behind a full one has its room at once: {len}");
    // Where nothing is synced before it is promised, nothing is gained by it.
    let slow = FileOptions { sync: super::super::SyncMode::Async, ..options };
    let root = tempfile::tempdir().unwrap();
    let mut store = FileStore::create(&folder_of(root.path()), &slow, b"one").unwrap();
    fill(&mut store, 1000);
    assert!(lengths(root.path()).iter().all(|(len, filled)| *len < filled + 20));
}

/// One operation that adds is refused for want of room on the disk: where that was room alone, nobody hears of it.
#[test]
fn room_that_cannot_be_had_costs_nothing() {
    let options = options(100_000, None);
    let mut quiet = 0;
    for after in 1..60 {
        let sim = Sim::new(after);
        let mut store = create(&sim, &options);
        sim.trouble(after, Trouble::Full(1));
        let mut refused = 0;
        for _ in 0..24 {
            while let Err(error) = store.append(&message("subject.name", b"the-payload")) {
                assert!(error.is_full(), "{error}");
                refused += 1;
            }
            match store.flush() {
                Ok(wait) => wait.map_or(Ok(()), super::super::super::Sync::run).unwrap(),
                Err(error) => {
                    assert!(error.is_full(), "{error}");
                    refused += 1;
                }
            }
        }
        sync(&mut store);
        let files = sim.files();
        let (_, bytes) = last(&files, ".seg");
        if bytes.len() as u64 <= filled(bytes) + 20 {
            quiet += 1;
            assert_eq!(refused, 0, "operation {after}");
        }
        sim.trouble(0, Trouble::Crash);
        drop(store);
        sim.calm();
        assert_eq!(read_all(&mut *reopen(&sim, &options).store).len(), 24, "operation {after}");
    }
    assert!(quiet > 0, "no operation was room");
}

/// Bytes that a start reads of a stream that was killed, and bytes of all its files.
fn read_at_start(count: u64) -> (u64, u64) {
    let options = options(2500, None);
    let sim = Sim::new(12);
    let mut store = create(&sim, &options);
    for number in 0..count {
        store.append(&NewMessage { payload: &[5; 200], ..message("subject.name", b"") }).unwrap();
        if number % 3 == 2 {
            sync(&mut store);
        }
    }
    sync(&mut store);
    sim.trouble(0, Trouble::Crash);
    drop(store);
    sim.calm();
    let (all, before) = (sim.bytes(), sim.read_so_far());
    let opened = reopen(&sim, &options);
    assert_eq!((opened.store.state().messages, opened.store.lost().0.len()), (count, 0));
    (sim.read_so_far() - before, all)
}

#[test]
fn a_start_reads_what_came_since_the_last_checkpoint() {
    let (few, all) = read_at_start(100);
    assert!(few <= all, "{few} of {all}");
    for count in [1000, 4000] {
        let (read, all) = read_at_start(count);
        // A checkpoint comes after 3000 bytes, or eight times its own size, which is some 25 bytes for each segment here.
        let segments = all / 2500 + 1;
        let most = 3000 + 10 * 40 * segments + 2 * 2 * 2500;
        assert!(read <= most && read < all / 4, "{count} messages: {read} of {all}, at most {most}");
    }
}

#[test]
fn no_two_files_share_a_key_stream_and_no_place_of_one_is_written_twice() {
    let key = AccountKey::generate("A");
    let options = options(2500, Some(&key));
    let sim = Sim::new(13);
    let mut store = create(&sim, &options);
    for _ in 0..80 {
        store.append(&message("subject.name", b"the-payload")).unwrap();
    }
    sync(&mut store);
    let before = sim.files();
    let (path, old) = named(&before, ".seg").next().unwrap();
    // What is first stays where it is; most of what is behind goes, and the segment is written anew.
    for seq in 2..30 {
        store.remove(seq, false).unwrap();
    }
    for _ in 0..5 {
        sync(&mut store);
    }
    let after = sim.files();
    let (anew, new) = named(&after, ".seg").next().unwrap();
    assert_ne!(path, anew, "it was written anew");
    let at = *places(path, old, Some(&key)).first().unwrap() as usize;
    assert_eq!(places(anew, new, Some(&key))[0] as usize, at);
    let sealed = at + 36..at + 36 + b"subject.namethe-payload".len();
    assert!(old[sealed.clone()].iter().zip(&new[sealed]).filter(|(old, new)| old == new).count() < 8);
    // A file that was opened again is never added to: what was torn off it was sealed in the same places.
    sim.trouble(0, Trouble::Crash);
    drop(store);
    sim.calm();
    let before = sim.files();
    let mut store = reopen(&sim, &options).store;
    store.append(&message("subject.name", b"the-payload")).unwrap();
    sync(&mut *store);
    let now = sim.files();
    for (path, bytes) in named(&before, "sealed.seg") {
        let Some((_, now)) = now.iter().find(|(other, _)| other == path) else { continue };
        let end = filled(bytes) as usize;
        assert!(now.len() <= bytes.len() && now[FIRST as usize..] == bytes[FIRST as usize..now.len()], "{end}");
    }
}

/// Kept here so that a log's room is tried without a store as well.
#[test]
fn a_log_that_is_finished_has_no_room() {
    use super::super::disk::Disk as _;
    use super::super::log::Ahead;
    use super::super::record::{Format, Kind, New};
    use super::super::stamp::NONE;
    use super::super::whole::header;

    let sim = Sim::new(14);
    let path = dir().join("log");
    let ahead = Ahead { first: 0, most: 1 << 20, bound: 30_000 };
    let format = Arc::new(Format::new(&[1; 16], None));
    let mut log = Log::create(&*sim, &path, format, header(&[1; 16], false, NONE), ahead).unwrap();
    let len = || sim.read(&path).unwrap().len() as u64;
    for number in 0..100 {
        log.push(&New::named(Kind::Entry, b"o", &[1; 300]));
        log.write().unwrap();
        assert!(len() <= (2 * log.end()).max(4096), "{} for {}", len(), log.end());
        assert!(len() == log.end() || len() <= 30_000, "{} for {}", len(), log.end());
        assert!(number < 40 || log.end() > 30_000 || len() >= log.end());
    }
    assert!(!log.finish().unwrap(), "it is full");
    let format = Arc::new(Format::new(&[2; 16], None));
    let mut log = Log::create(&*sim, &dir().join("b"), format, header(&[2; 16], false, NONE), ahead).unwrap();
    log.push(&New::named(Kind::Entry, b"o", &[1; 6000]));
    log.write().unwrap();
    let len = || sim.read(&dir().join("b")).unwrap().len() as u64;
    assert_eq!(len(), 2 * log.end());
    assert!(log.finish().unwrap());
    assert_eq!(len(), log.end());
    log.push(&New::named(Kind::Entry, b"o", &[1; 6000]));
    log.write().unwrap();
    assert_eq!(len(), log.end(), "and gets none");
}
