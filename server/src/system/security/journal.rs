//! Security events on disk.
//!
//! ```text
//! <folder>/id                    the id that goes with the numbers, made once
//! <folder>/lock                  held by the one broker that writes here
//! <folder>/events-<first>.log    lines "<seq> <checksum> <json>", at most SEGMENT of them
//! ```
//!
//! **Durable when:** [`Journal::append`] returns, its records are synced. A record torn by a crash
//! was never acknowledged: it is cut off when the folder is opened. Old segments are removed whole,
//! after the record that made them superfluous was synced.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::system::security::KEPT;

/// Records of one file.
const SEGMENT: usize = 8192;
/// Bytes from which on a file takes no more records.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Files kept: enough for all events that are kept.
const SEGMENTS: usize = KEPT / SEGMENT + 1;

pub(super) struct Journal {
    folder: PathBuf,
    /// First numbers of the files, oldest first.
    segments: Vec<u64>,
    file: File,
    records: usize,
    length: u64,
    /// Something may stand behind `length`.
    torn: bool,
    _lock: File,
}

pub(super) struct Record {
    pub(super) seq: u64,
    pub(super) json: Box<str>,
}

/// What a folder held when it was opened.
pub(super) struct Found {
    pub(super) broker_id: String,
    /// The last number that may have been seen outside.
    pub(super) last: u64,
    /// The last records, oldest first.
    pub(super) records: Vec<Record>,
}

impl Journal {
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Found)> {
        fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let broker_id = broker_id(folder)?;
        let mut segments = segments(folder)?;
        if segments.is_empty() {
            create(folder, 1)?;
            segments.push(1);
        }
        let mut records: Vec<Record> = Vec::new();
        let (mut last, mut tail) = (0, (0, 0));
        for first in &segments {
            let content = fs::read(path(folder, *first))?;
            let (found, end) = read(&content);
            tail = (found.len(), end);
            last = found.last().map_or(first.saturating_sub(1), |record| record.seq).max(last);
            records.extend(found);
        }
        records.drain(..records.len().saturating_sub(KEPT));
        let newest = segments.last().copied().unwrap_or(1);
        let file = OpenOptions::new().append(true).open(path(folder, newest))?;
        let mut journal = Self {
            folder: folder.to_owned(),
            segments,
            file,
            records: tail.0,
            length: tail.1,
            torn: true,
            _lock: lock,
        };
        journal.cut()?;
        Ok((journal, Found { broker_id, last, records }))
    }

    /// Appends records with rising numbers. When it returns they are on disk; on an error none
    /// of them counts as written.
    pub(super) fn append<'a>(&mut self, records: impl Iterator<Item = (u64, &'a str)>) -> io::Result<()> {
        let mut records = records.peekable();
        while let Some(next) = records.peek().map(|(seq, _)| *seq) {
            if self.records >= SEGMENT || self.length >= SEGMENT_BYTES {
                self.begin(next)?;
            }
            let mut lines = Vec::new();
            let mut count = 0;
            for (seq, json) in records.by_ref().take(SEGMENT - self.records) {
                writeln!(lines, "{seq} {} {json}", checksum(seq, json))?;
                count += 1;
            }
            self.cut()?;
            self.torn = true;
            self.file.write_all(&lines)?;
            self.file.sync_data()?;
            self.torn = false;
            self.length += lines.len() as u64;
            self.records += count;
        }
        self.forget_old();
        Ok(())
    }

    /// Cuts off what a failed write left.
    fn cut(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.file.sync_all()?;
            self.torn = false;
        }
        Ok(())
    }

    fn begin(&mut self, first: u64) -> io::Result<()> {
        self.file = create(&self.folder, first)?;
        self.segments.push(first);
        (self.records, self.length, self.torn) = (0, 0, false);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn fill_up(&mut self) {
        self.records = SEGMENT;
    }

    fn forget_old(&mut self) {
        while self.segments.len() > SEGMENTS {
            let oldest = self.segments.remove(0);
            if let Err(error) = fs::remove_file(path(&self.folder, oldest)) {
                tracing::warn!("old security events cannot be removed: {error}");
            }
        }
    }
}

fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("events-{first:020}.log"))
}

fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let first = name.to_str().and_then(|name| name.strip_prefix("events-")?.strip_suffix(".log"));
        segments.extend(first.and_then(|first| first.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Creates a file for records from `first` on; an empty one of that name, left by a crash, will do.
fn create(folder: &Path, first: u64) -> io::Result<File> {
    let file = private().append(true).create(true).open(path(folder, first))?;
    file.set_len(0)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = private().write(true).create(true).truncate(false).open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let text = format!(
                "the folder `{}` is in use by another broker: stop it, or choose another folder",
                folder.display()
            );
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
    }
}

fn broker_id(folder: &Path) -> io::Result<String> {
    let place = folder.join("id");
    match fs::read_to_string(&place) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = nuid::next().to_string();
    let fresh = folder.join("id.new");
    let mut file = File::create(&fresh)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, place)?;
    File::open(folder)?.sync_all()?;
    Ok(id)
}

/// The whole records in a file, and where the last of them ends.
fn read(content: &[u8]) -> (Vec<Record>, u64) {
    let (mut records, mut end, mut place) = (Vec::new(), 0, 0);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        place += line.len();
        if let Some(record) = parse(line) {
            records.push(record);
            end = place as u64;
        }
    }
    (records, end)
}

fn parse(line: &[u8]) -> Option<Record> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (seq, rest) = line.split_once(' ')?;
    let (sum, json) = rest.split_once(' ')?;
    let seq = seq.parse().ok()?;
    (checksum(seq, json) == sum).then(|| Record { seq, json: json.into() })
}

/// Tells a whole record from a torn one; no protection against forgery.
fn checksum(seq: u64, json: &str) -> String {
    let digest = Sha256::new().chain_update(seq.to_be_bytes()).chain_update(json).finalize();
    HEXLOWER.encode(digest.get(..8).unwrap_or_default())
}

/// Events name users and addresses: the files are for the broker's own user alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(journal: &mut Journal, from: u64, count: u64) {
        let records: Vec<(u64, String)> = (from..from + count).map(|seq| (seq, format!("{{\"seq\":{seq}}}"))).collect();
        journal.append(records.iter().map(|(seq, json)| (*seq, json.as_str()))).unwrap();
    }

    #[test]
    fn what_was_appended_is_there_again_and_the_id_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, found) = Journal::open(folder.path()).unwrap();
        assert_eq!((found.last, found.records.len()), (0, 0));
        let id = found.broker_id;
        fill(&mut journal, 1, 3);
        drop(journal);
        let (_, found) = Journal::open(folder.path()).unwrap();
        assert_eq!((found.last, found.records.len(), found.broker_id), (3, 3, id));
        assert_eq!(&*found.records[2].json, "{\"seq\":3}");
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_and_numbers_go_on_without_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        fill(&mut journal, 1, 2);
        let whole = journal.length;
        fill(&mut journal, 3, 1);
        let full = journal.length;
        drop(journal);
        let file = path(folder.path(), 1);
        let content = fs::read(&file).unwrap();
        for length in whole..full {
            fs::write(&file, &content[..length as usize]).unwrap();
            let (mut journal, found) = Journal::open(folder.path()).unwrap();
            assert_eq!(found.last, 2, "torn at {length}");
            fill(&mut journal, 3, 1);
            drop(journal);
            let (_, found) = Journal::open(folder.path()).unwrap();
            assert_eq!((found.last, found.records.len()), (3, 3), "torn at {length}");
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_takes_no_number_back() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        fill(&mut journal, 1, 3);
        drop(journal);
        let file = path(folder.path(), 1);
        let mut content = fs::read(&file).unwrap();
        content[0] = b'9';
        fs::write(&file, &content).unwrap();
        let (_, found) = Journal::open(folder.path()).unwrap();
        assert_eq!((found.last, found.records.len()), (3, 2));
    }

    #[test]
    fn old_files_go_and_the_kept_events_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        let count = (SEGMENTS + 2) * SEGMENT + 5;
        fill(&mut journal, 1, count as u64);
        assert_eq!(journal.segments.len(), SEGMENTS);
        drop(journal);
        let (_, found) = Journal::open(folder.path()).unwrap();
        assert_eq!((found.last, found.records.len()), (count as u64, KEPT));
    }

    #[test]
    fn an_empty_newest_file_still_tells_the_last_number() {
        let folder = tempfile::tempdir().unwrap();
        drop(Journal::open(folder.path()).unwrap());
        create(folder.path(), 41).unwrap();
        let (_, found) = Journal::open(folder.path()).unwrap();
        assert_eq!(found.last, 40);
    }

    #[test]
    fn a_folder_is_used_by_one_broker_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Journal::open(folder.path()).unwrap();
        let error = Journal::open(folder.path()).err().unwrap();
        assert!(error.to_string().contains("another broker"), "{error}");
        drop(first);
        Journal::open(folder.path()).unwrap();
    }
}
