//! Folders as brokers leave them, as crashes do, and as bad disks do.

use std::collections::BTreeMap;

use cordon_auth::clock::Clock;
use serde_json::json;

use super::*;
use crate::account::{AccountLimits, Settings};
use crate::testing::Bench;

const KEY: &str = "a storage key";

fn bench(dir: &Path, keys: Vec<StorageKey>) -> Bench {
    let settings = Settings { store_dir: Some(dir.to_owned()), keys, ..Settings::default() };
    Bench::at(settings, AccountLimits::default(), Clock::manual(1_800_000_000))
}

/// A folder with two streams.
fn filled(keys: Vec<StorageKey>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bench = bench(dir.path(), keys);
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "storage": "file"}));
    bench.stream(json!({"name": "T", "subjects": ["t"], "storage": "file"}));
    for number in 0..20 {
        bench.store(&format!("s.{}", number % 4), &[], &"x".repeat(100 + number));
    }
    bench.store("t", &[], "other");
    let consumer = json!({"stream_name": "S", "config": {"durable_name": "d", "ack_policy": "explicit"}});
    bench.api("CONSUMER.DURABLE.CREATE.S.d", &consumer);
    bench.account.stop();
    dir
}

fn keys(text: &str) -> Vec<StorageKey> {
    vec![StorageKey::from_text(text)]
}

fn checked(dir: &Path, keys: Vec<StorageKey>) -> Report {
    Folder::open(dir, keys).unwrap().check().unwrap()
}

fn of<'a>(report: &'a Report, name: &str) -> &'a StreamReport {
    report.accounts[0].streams.iter().find(|stream| stream.name == name).unwrap()
}

fn folder_of(dir: &Path, stream: &str) -> PathBuf {
    dir.join("jetstream/$G/streams").join(stream)
}

fn segment_of(dir: &Path, stream: &str) -> PathBuf {
    let files = fs::read_dir(folder_of(dir, stream)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "seg")).max().unwrap()
}

/// All bytes below a folder.
fn bytes_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_of(&path));
        } else {
            all.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    all
}

#[test]
fn a_folder_that_was_left_in_order_is_shown_and_nothing_is_wrong() {
    for given in [Vec::new(), keys(KEY)] {
        let dir = filled(given.clone());
        fs::write(dir.path().join("jetstream/.lock"), "").unwrap();
        let before = bytes_of(dir.path());
        let report = checked(dir.path(), given.clone());
        assert!(!report.is_damaged(), "{report:?}");
        let stream = of(&report, "S");
        assert_eq!((stream.messages, stream.last_seq, stream.subjects, stream.consumers), (20, 20, 4, 1));
        assert!(stream.segments > 0 && stream.disk_bytes > 2000 && !stream.can_be_mended(), "{stream:?}");
        assert_eq!((report.accounts[0].name.as_str(), report.accounts[0].encrypted), ("$G", !given.is_empty()));
        assert!(report.stray.is_empty() && report.accounts[0].stray.is_empty() && stream.stray.is_empty());
        assert_eq!(bytes_of(dir.path()), before, "a check changes nothing");
    }
}

#[test]
fn damage_is_found_where_it_is_and_a_repair_keeps_it_and_all_else() {
    let dir = filled(Vec::new());
    let segment = segment_of(dir.path(), "S");
    let mut bytes = fs::read(&segment).unwrap();
    let half = bytes.len() / 2;
    let payload = bytes[half..].windows(80).position(|bytes| bytes.iter().all(|byte| *byte == b'x')).unwrap();
    let at = half + payload;
    bytes[at] ^= 0x20;
    fs::write(&segment, &bytes).unwrap();
    let before = bytes_of(dir.path());
    let report = checked(dir.path(), Vec::new());
    let stream = of(&report, "S");
    assert!(report.is_damaged() && stream.is_damaged() && !of(&report, "T").is_damaged());
    assert_eq!((stream.messages, stream.lost, stream.damage.len()), (19, 1, 1), "{stream:?}");
    let [damage] = stream.damage.as_slice() else { panic!("{stream:?}") };
    assert!(
        damage.from <= at as u64 && (at as u64) < damage.to && damage.seq == Some(stream.lost_seqs[0]),
        "{damage:?}"
    );
    fs::remove_file(dir.path().join("jetstream/.lock")).unwrap();
    assert_eq!(bytes_of(dir.path()), before, "a check changes nothing");

    let repaired = Folder::open(dir.path(), Vec::new()).unwrap().repair().unwrap();
    assert!(of(&repaired, "S").done[0].contains("damaged places"), "{repaired:?}");
    let copies = bytes_of(&dir.path().join("jetstream/.quarantine/$G/S"));
    assert_eq!(copies.values().collect::<Vec<_>>(), [&bytes[damage.from as usize..damage.to as usize]]);
    assert_eq!(fs::read(&segment).unwrap(), bytes, "the file itself stays");
    let again = Folder::open(dir.path(), Vec::new()).unwrap().repair().unwrap();
    assert!(of(&again, "S").done.is_empty(), "what was done is not done twice");
    assert_eq!(bench(dir.path(), Vec::new()).messages("S").len(), 19);
}

#[test]
fn a_torn_end_bad_caches_and_leftovers_are_mended() {
    let dir = filled(Vec::new());
    let segment = segment_of(dir.path(), "S");
    let mut bytes = fs::read(&segment).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(&[7; 30]);
    fs::write(&segment, &bytes).unwrap();
    let stream = folder_of(dir.path(), "S");
    fs::write(stream.join("index.checkpoint"), "no checkpoint").unwrap();
    fs::write(stream.join("stream.desc.tmp"), "half").unwrap();
    fs::write(stream.join("notes.txt"), "mine").unwrap();
    fs::create_dir(dir.path().join("jetstream/$G/streams/.gone-X-1")).unwrap();
    fs::write(dir.path().join("jetstream/readme"), "").unwrap();
    let report = checked(dir.path(), Vec::new());
    let found = of(&report, "S");
    assert!(!report.is_damaged() && found.can_be_mended(), "{found:?}");
    assert_eq!((found.torn.len(), found.torn[0].at, found.torn[0].bytes), (1, whole as u64, 30));
    assert_eq!(
        (found.bad_caches.clone(), found.stray.clone()),
        (vec!["index.checkpoint".to_owned()], vec!["notes.txt".to_owned()])
    );
    assert_eq!((report.stray.clone(), report.accounts[0].leftovers.len()), (vec!["readme".to_owned()], 1));

    let repaired = Folder::open(dir.path(), Vec::new()).unwrap().repair().unwrap();
    assert_eq!(of(&repaired, "S").done.len(), 3, "{repaired:?}");
    let after = checked(dir.path(), Vec::new());
    let mended = of(&after, "S");
    assert!(!mended.can_be_mended() && mended.messages == 20 && after.accounts[0].leftovers.is_empty(), "{after:?}");
    assert_eq!(fs::read(stream.join("notes.txt")).unwrap(), b"mine", "what is not ours is not touched");
    assert_eq!(fs::metadata(&segment).unwrap().len(), whole as u64);
}

#[test]
fn what_cannot_be_opened_is_said_and_not_touched() {
    let dir = filled(keys(KEY));
    let wrong = checked(dir.path(), keys("another"));
    assert!(
        wrong.is_damaged() && wrong.accounts[0].problem.as_deref().is_some_and(|text| text.contains("another key"))
    );
    assert!(checked(dir.path(), Vec::new()).is_damaged(), "no key at all");
    fs::write(folder_of(dir.path(), "S").join("stream.desc"), "damaged").unwrap();
    let before = bytes_of(&folder_of(dir.path(), "S"));
    let repaired = Folder::open(dir.path(), keys(KEY)).unwrap().repair().unwrap();
    let stream = of(&repaired, "S");
    assert!(stream.problem.is_some() && stream.done.is_empty() && of(&repaired, "T").problem.is_none());
    assert_eq!(bytes_of(&folder_of(dir.path(), "S")), before);
}

#[test]
fn a_folder_that_a_broker_has_or_that_is_none_is_refused() {
    let dir = filled(Vec::new());
    let held = Folder::open(dir.path(), Vec::new()).unwrap();
    assert!(matches!(Folder::open(dir.path(), Vec::new()), Err(OfflineError::InUse(_))));
    drop(held);
    assert!(matches!(Folder::open(&dir.path().join("none"), Vec::new()), Err(OfflineError::Missing(_))));
}
