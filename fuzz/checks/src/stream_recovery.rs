//! Files of a stream that are not as they were written: whatever lies in them, opening the stream, looking at it and
//! repairing it end, and nothing is found that was not written.
//!
//! An input is a list of changes of a genuine folder, each an action and what it needs. Changes that set the checks of
//! what they change anew make files that lie; of those it is asked only that opening them ends. A copy of a file with
//! messages or of the journal under another name is always told and left alone, and the stream is the same without it.
//! One that lost the part of its header that tells lies, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cordon_jetstream::store::file::{FileOptions, FileStore, mend, survey};
use cordon_jetstream::store::{Filter, NewMessage, Store, StoreError};

use crate::input::Input;

/// Bytes before a file's first record, and before a record's body.
const FIRST: usize = 64;
const HEAD: usize = 36;
/// Bytes before the body of a record that is compressed, and the flag that says so.
const LONG_HEAD: usize = 40;
const SQUEEZED: u8 = 32;
/// Where in the header of a file its salt is, and where what says which name it was made under.
const SALT: std::ops::Range<usize> = 8..24;
const STAMP: std::ops::Range<usize> = 48..60;
/// Most bytes that the files may take.
const BYTES_MAX: usize = 1 << 20;
/// Most changes of one input.
const CHANGES_MAX: usize = 32;

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a stream that was closed in order.
static GENUINE: LazyLock<Files> = LazyLock::new(|| unpacked(include_bytes!("genuine/stream.files")));

/// Files, each as its name, its length and its bytes.
fn unpacked(mut bytes: &[u8]) -> Files {
    let mut files = Files::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&bytes[..end]).unwrap();
        let (name, len) = line.split_once(' ').unwrap();
        let len: usize = len.parse().unwrap();
        files.insert(name.to_owned(), bytes[end + 1..end + 1 + len].to_vec());
        bytes = &bytes[end + 1 + len..];
    }
    files
}

/// The payload of the message with this sequence, if there is to be one. Of longer ones every other is compressed.
fn payload(seq: u64) -> Vec<u8> {
    format!("message {seq} ").repeat(1 + seq as usize % 7 * 3).into_bytes()
}

fn subject(seq: u64) -> String {
    format!("s.{}", seq % 5)
}

/// The last sequence that was given.
const LAST: u64 = 150;

/// A folder of its own, in memory where there is such a place, and gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self::named("")
    }

    /// Another one.
    fn beside() -> Self {
        Self::named("-beside")
    }

    fn named(suffix: &str) -> Self {
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let name = format!("cordon-recovery-{}-{:?}{suffix}", std::process::id(), std::thread::current().id());
        let root = parent.join(name.replace(['(', ')'], ""));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("S")).unwrap();
        Self(root)
    }

    fn stream(&self) -> PathBuf {
        self.0.join("S")
    }

    fn fill(&self, files: &Files) {
        for (name, bytes) in files {
            fs::write(self.stream().join(name), bytes).unwrap();
        }
    }

    fn files(&self) -> Files {
        let entries = fs::read_dir(self.stream()).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Panics when opening, looking at or repairing the files does not end well.
pub fn check(data: &[u8]) {
    let Changed { files, copies, lies } = changed(&mut Input::new(data));
    let folder = Folder::new();
    folder.fill(&files);
    let looked = survey(&folder.stream(), None);
    assert!(folder.files() == files, "looking at it changes it");
    let options = FileOptions { segment_bytes: 4096, ..FileOptions::default() };
    let Ok(opened) = FileStore::open(&folder.stream(), &options) else {
        assert!(looked.is_err(), "it is looked at and cannot be opened");
        assert!(folder.files() == files, "what cannot be opened is changed");
        return;
    };
    let looked = looked.expect("it is opened and cannot be looked at");
    let mut store = opened.store;
    let state = store.state();
    assert_eq!((looked.state.messages, looked.state.last_seq), (state.messages, state.last_seq), "it looks otherwise");
    let found = read(&mut *store, lies);
    for copy in &copies {
        assert!(lies || looked.stray.contains(copy), "the copy {copy} is not told");
    }
    if files == *GENUINE {
        assert_eq!((state.messages, state.last_seq, looked.has_damage()), (found.len() as u64, LAST, false));
        assert!(looked.torn.is_empty() && store.lost().0.is_empty());
    }
    if lies {
        return;
    }
    assert!(state.last_seq <= LAST, "sequences are invented");
    if !copies.is_empty() {
        let without: Files = files.iter().filter(|(name, _)| !copies.contains(*name)).map(own).collect();
        let folder = Folder::beside();
        folder.fill(&without);
        let mut other = FileStore::open(&folder.stream(), &options).expect("it can be opened with copies alone");
        assert_eq!(read(&mut *other.store, false), found, "a copy changes what is read");
        assert_eq!((other.store.state(), other.store.lost()), (state, store.lost()), "a copy changes the stream");
        assert!(other.journal == opened.journal, "a copy changes the journal");
    }
    let next = store.append(&NewMessage { subject: b"s.x", payload: b"next", ..NewMessage::default() }).unwrap();
    assert_eq!(next, state.last_seq + 1, "a sequence is given again");
    if let Some(sync) = store.flush().unwrap() {
        sync.run().unwrap();
    }
    store.close();
    drop(store);
    mended(&folder, &options, &found, next);
    let left = folder.files();
    assert!(copies.iter().all(|copy| left.get(copy) == files.get(copy)), "a copy is not left alone");
}

fn own((name, bytes): (&String, &Vec<u8>)) -> (String, Vec<u8>) {
    (name.clone(), bytes.clone())
}

/// The stream is the same after a repair, and when it is opened again.
fn mended(folder: &Folder, options: &FileOptions, found: &[u64], next: u64) {
    let looked = survey(&folder.stream(), None).expect("what was opened can be looked at");
    mend(&folder.stream(), None, &looked).expect("and be repaired");
    let again = survey(&folder.stream(), None).expect("and be looked at again");
    assert!(again.torn.is_empty() && again.leftovers.is_empty(), "something is left to be repaired: {again:?}");
    let mut store = FileStore::open(&folder.stream(), options).expect("what was repaired can be opened").store;
    let mut all = read(&mut *store, true);
    assert_eq!(all.pop(), Some(next), "what was stored since is lost");
    assert_eq!(all, found, "another stream comes back");
}

/// All messages; they are those that were written, unless files may lie.
fn read(store: &mut dyn Store, lies: bool) -> Vec<u64> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(seq) = store.next(&Filter::All, at) {
        at = seq + 1;
        match store.get(seq) {
            Ok(message) => {
                let message = message.expect("the index has it");
                let is_it = message.subject() == subject(seq).as_bytes() && message.payload() == payload(seq);
                assert!(lies || is_it, "{seq} is a message that nobody wrote");
                found.push(seq);
            }
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error}"),
        }
    }
    let _ = store.flush();
    found
}

/// The genuine files with the changes that an input asks for.
struct Changed {
    files: Files,
    /// Copies that say of themselves that they are.
    copies: BTreeSet<String>,
    /// They may lie.
    lies: bool,
}

/// Does the changes that the input asks for.
fn changed(input: &mut Input<'_>) -> Changed {
    let (mut files, mut lies, mut copies) = (GENUINE.clone(), false, BTreeSet::new());
    for _ in 0..CHANGES_MAX {
        if input.is_empty() || files.is_empty() {
            break;
        }
        let action = input.byte();
        let name = nth(&files, input.byte());
        let len = files[&name].len();
        let place = place(input, len);
        let bytes = files.get_mut(&name).unwrap();
        match action % 12 {
            0 => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= input.byte().max(1);
                }
            }
            1 => bytes.truncate(place),
            2 => bytes[place..].fill(0),
            3 => {
                let count = usize::from(input.byte());
                let to = (place + count).min(len);
                bytes[place..to].fill(0);
            }
            4 => bytes.extend(std::iter::repeat_n(0, 64 * usize::from(input.byte()))),
            5 => {
                let count = usize::from(input.byte());
                bytes.splice(place..place, input.bytes(count).iter().copied());
            }
            6 => {
                let to = (place + usize::from(input.byte())).min(len);
                bytes.drain(place..to);
            }
            7 => drop(files.remove(&name)),
            8 => {
                let part = bytes[place..].to_vec();
                let other = nth(&files, input.byte());
                files.get_mut(&other).unwrap().extend(part);
            }
            9 => {
                let new = renamed(&name, input);
                let bytes = bytes.clone();
                if new != name {
                    copies.insert(new.clone());
                }
                files.insert(new, bytes);
            }
            10 => lies |= forge(&name, bytes, input),
            _ => lies |= mark(&name, bytes, input),
        }
        if files.values().map(Vec::len).sum::<usize>() > BYTES_MAX {
            break;
        }
    }
    // Copies of what holds its own name, or of what is a cache, need not be told.
    copies.retain(|copy| grows(copy));
    copies.retain(|copy| files.contains_key(copy));
    lies |= copies.iter().any(|copy| !tells(copy, &files[copy]));
    Changed { files, copies, lies }
}

/// The file is one of messages or of the journal.
fn grows(name: &str) -> bool {
    [".seg", ".journal"].iter().any(|end| name.ends_with(end))
}

/// The file was made under another name, and its header still says so.
fn tells(name: &str, bytes: &[u8]) -> bool {
    let told = |bytes: &[u8]| Some((bytes.get(SALT)?.to_vec(), bytes.get(STAMP)?.to_vec()));
    let made = GENUINE.iter().find(|(_, genuine)| told(genuine) == told(bytes));
    let salt = bytes.get(SALT).map(|salt| data_encoding::HEXLOWER.encode(salt)).unwrap_or_default();
    made.is_some_and(|(made, _)| made != name && made.contains(&salt) && name.contains(&salt))
}

/// Descriptions are seldom chosen: one that is damaged ends it all.
fn nth(files: &Files, number: u8) -> String {
    let is_chosen = |name: &&String| number >= 0xf0 || !name.contains(".desc");
    let names: Vec<&String> = files.keys().filter(is_chosen).collect();
    let all: Vec<&String> = files.keys().collect();
    let from = if names.is_empty() { all } else { names };
    from[usize::from(number) % from.len()].clone()
}

/// A place in a file, by two bytes.
fn place(input: &mut Input<'_>, len: usize) -> usize {
    let number = usize::from(input.byte()) << 8 | usize::from(input.byte());
    number % (len + 1)
}

/// The name of a file of the same kind with another number, generation or first sequence.
fn renamed(name: &str, input: &mut Input<'_>) -> String {
    let mut parts: Vec<String> = name.split('-').map(str::to_owned).collect();
    let part = usize::from(input.byte()) % parts.len();
    let digits = parts[part].len();
    if parts[part].bytes().all(|byte| byte.is_ascii_hexdigit()) && digits <= 16 {
        let number = u64::from_str_radix(&parts[part], 16).unwrap_or_default().wrapping_add(u64::from(input.byte()));
        parts[part] = format!("{number:0digits$x}");
    } else {
        parts[part].push_str(".tmp");
    }
    parts.join("-")
}

/// What the checks of a file begin with.
fn seed(name: &str, bytes: &[u8]) -> Option<u32> {
    let salt = if name.contains('-') && !name.contains(".desc") {
        let part = name.split('-').find(|part| part.len() == 32)?;
        data_encoding::HEXLOWER.decode(part.as_bytes()).ok()?
    } else {
        bytes.get(8..24)?.to_vec()
    };
    Some(crc32c::crc32c(&salt))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

/// Writes over some bytes of a record, and sets its checks anew.
fn forge(name: &str, bytes: &mut [u8], input: &mut Input<'_>) -> bool {
    let Some(seed) = seed(name, bytes) else { return false };
    let mut at = FIRST;
    for _ in 0..input.byte() {
        match number(bytes, at + 4) {
            Some(len) if len >= HEAD && at + len + HEAD <= bytes.len() => at += len,
            _ => break,
        }
    }
    let Some(len) = number(bytes, at + 4).filter(|len| *len >= HEAD && at + len <= bytes.len()) else { return false };
    let record = &mut bytes[at..at + len];
    let from = 4 + place(input, len - 4);
    let count = usize::from(input.byte() % 16);
    for (byte, new) in record[from..].iter_mut().zip(input.bytes(count)) {
        *byte = *new;
    }
    let body = crc32c::crc32c(&record[HEAD..]).to_le_bytes();
    record[HEAD - 4..HEAD].copy_from_slice(&body);
    let check = crc32c::crc32c_append(seed, &(at as u64).to_le_bytes());
    let head = if record[9] & SQUEEZED == 0 { HEAD } else { LONG_HEAD.min(record.len()) };
    let check = crc32c::crc32c_append(check, &record[4..head]).to_le_bytes();
    record[..4].copy_from_slice(&check);
    true
}

/// Notes that the file was synced further, or less far, than it was.
fn mark(name: &str, bytes: &mut [u8], input: &mut Input<'_>) -> bool {
    let (Some(seed), true) = (seed(name, bytes), bytes.len() >= FIRST) else { return false };
    let mut numbers = [0; 16];
    for (byte, new) in numbers.iter_mut().zip(input.bytes(16)) {
        *byte = *new;
    }
    let check = crc32c::crc32c_append(seed, &u64::MAX.to_le_bytes());
    let check = crc32c::crc32c_append(check, &numbers).to_le_bytes();
    bytes[28..44].copy_from_slice(&numbers);
    bytes[44..48].copy_from_slice(&check);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes the genuine folder in `dir`.
    fn write_genuine(dir: &Path) {
        let options = FileOptions { segment_bytes: 4096, ..FileOptions::default() };
        let mut store = FileStore::create(dir, &options, b"description").unwrap();
        store.describe_consumer("c", Some(b"consumer")).unwrap();
        while store.state().last_seq < LAST {
            let seq = store.state().last_seq + 1;
            let (subjects, payloads): (Vec<_>, Vec<_>) = (seq..seq + 3).map(|seq| (subject(seq), payload(seq))).unzip();
            store.compress(seq.is_multiple_of(2));
            let expires = if seq.is_multiple_of(4) { -1 } else { (seq % 3).cast_signed() * 1000 };
            let new = |(subject, payload): (&'static String, &'static Vec<u8>)| NewMessage {
                subject: subject.as_bytes(),
                payload,
                ts: seq.cast_signed(),
                expires,
                ..NewMessage::default()
            };
            // They live as long as the program, which makes a folder and ends.
            let (subjects, payloads) = (Vec::leak(subjects), Vec::leak(payloads));
            let all: Vec<NewMessage<'static>> = subjects.iter().zip(payloads.iter()).map(new).collect();
            if seq % 5 == 1 {
                store.append_together(&all).unwrap();
            } else {
                store.append(&all[0]).unwrap();
            }
            store.journal("c", &seq.to_le_bytes()).unwrap();
            if seq.is_multiple_of(9) {
                store.remove(seq - 3, seq.is_multiple_of(2)).unwrap();
            }
            if let Some(sync) = store.flush().unwrap() {
                sync.run().unwrap();
            }
        }
        store.remove_below(20, &mut |_| {}).unwrap();
        store.close();
    }

    /// What earlier versions wrote is read: files that do not say under which name they were made.
    #[test]
    fn files_that_do_not_know_their_names_are_read() {
        let files = unpacked(include_bytes!("genuine/stream-2.files"));
        let mut growing = files.iter().filter(|(name, _)| grows(name));
        assert!(growing.clone().count() >= 3 && growing.all(|(_, bytes)| bytes[STAMP] == [0; 12]));
        let folder = Folder::new();
        folder.fill(&files);
        let looked = survey(&folder.stream(), None).unwrap();
        assert!(!looked.has_damage() && looked.torn.is_empty() && looked.stray.is_empty(), "{looked:?}");
        let mut store = FileStore::open(&folder.stream(), &FileOptions::default()).unwrap().store;
        let found = read(&mut *store, false);
        assert_eq!((found.len() as u64, store.state().last_seq, store.state().messages), (122, LAST, 122));
    }

    /// A copy of each file with messages and of each journal is told, whatever of its name is another.
    #[test]
    fn a_copy_under_any_other_name_is_told() {
        let all: Vec<&String> = GENUINE.keys().collect();
        for name in &all {
            let parts = if name.strip_suffix(".seg").is_some() { 3 } else { u8::from(grows(name)) };
            for part in 0..parts {
                for more in [1, 7, 255] {
                    // Above this, any file can be chosen.
                    let number = (0xf0..=0xff).find(|byte| all[usize::from(*byte) % all.len()] == *name).unwrap();
                    let data = [9, number, 0, 0, part, more];
                    let Changed { files, copies, lies } = changed(&mut Input::new(&data));
                    assert_eq!((files.len(), copies.len(), lies), (GENUINE.len() + 1, 1, false), "{name} {part}");
                    check(&data);
                }
            }
        }
    }

    /// What earlier versions wrote is read.
    #[test]
    fn files_without_compression_are_read() {
        let folder = Folder::new();
        folder.fill(&unpacked(include_bytes!("genuine/stream-1.files")));
        let looked = survey(&folder.stream(), None).unwrap();
        assert!(!looked.has_damage() && looked.torn.is_empty() && looked.stray.is_empty(), "{looked:?}");
        let store = FileStore::open(&folder.stream(), &FileOptions::default()).unwrap().store;
        let (mut at, mut count) = (0, 0);
        while let Some(seq) = store.next(&Filter::All, at) {
            let message = store.get(seq).unwrap().unwrap();
            let payload = format!("message {seq} ").repeat(1 + seq as usize % 7);
            assert_eq!((message.subject(), message.payload()), (subject(seq).as_bytes(), payload.as_bytes()));
            (at, count) = (seq + 1, count + 1);
        }
        assert_eq!((count, store.state().last_seq, store.state().messages), (122, LAST, 122));
    }

    /// `CORDON_WRITE_GENUINE=1` writes the files of the genuine stream anew, where their form has changed.
    #[test]
    fn the_genuine_folder_is_what_it_says_and_changes_are_noticed() {
        if std::env::var_os("CORDON_WRITE_GENUINE").is_some() {
            let folder = Folder::new();
            fs::remove_dir(folder.stream()).unwrap();
            write_genuine(&folder.stream());
            let mut all = Vec::new();
            for (name, bytes) in folder.files() {
                all.extend_from_slice(format!("{name} {}\n", bytes.len()).as_bytes());
                all.extend_from_slice(&bytes);
            }
            fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/genuine/stream.files"), all).unwrap();
            return;
        }
        assert!(GENUINE.len() >= 6, "{:?}", GENUINE.keys());
        check(&[]);
        // A record whose checks are set anew is one, and is another.
        let mut files = GENUINE.clone();
        let (name, bytes) = files.iter_mut().find(|(name, _)| name.contains(".seg")).unwrap();
        assert!(forge(name, bytes, &mut Input::new(&[1, 0, 12, 3, 7, 7, 7])));
        assert!(mark(name, bytes, &mut Input::new(&[0, 1])));
        assert!(*bytes != GENUINE[name]);
        check(&[10, 0, 0, 0, 1, 0, 12, 3, 7, 7, 7]);
    }
    /// `CORDON_RECOVERY_INPUTS` of them, from the number in `CORDON_RECOVERY_FIRST`.
    #[test]
    fn changes_by_chance_hold() {
        let given = |name: &str, other| std::env::var(name).map_or(other, |text| text.parse().unwrap());
        let first: u64 = given("CORDON_RECOVERY_FIRST", 1);
        for number in first..first + given("CORDON_RECOVERY_INPUTS", 200) {
            let mut state = number;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as u8
            };
            let len = usize::from(next()) % 48;
            // Most changes are of kinds that do not lie.
            let lies = next().is_multiple_of(4);
            let data: Vec<u8> =
                (0..len).map(|_| next()).map(|byte| if lies || byte < 250 { byte } else { byte % 7 }).collect();
            let done = std::panic::catch_unwind(|| check(&data));
            assert!(done.is_ok(), "input {number}: {data:?}");
        }
    }
}
