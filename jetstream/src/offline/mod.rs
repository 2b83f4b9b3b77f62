//! The folder of all streams while no broker has it: what is there, what is damaged, and repairs that lose nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::account::Description;
use crate::api::json;
use crate::store::StoreError;
use crate::store::file::{AccountKey, Damage, FileStore, GONE, StorageKey, Survey, Torn, mend, quarantine, survey};

/// Where copies of what is damaged are kept.
const QUARANTINE: &str = ".quarantine";
/// Most lost sequences that a report lists for a stream.
const LISTED: usize = 1000;

/// Why the folder cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// There is none.
    #[error("`{0}` holds no streams: there is no folder `jetstream` in it")]
    Missing(PathBuf),
    /// A broker has it.
    #[error("the streams in `{0}` are open in a broker: stop that one first")]
    InUse(PathBuf),
    /// It cannot be read.
    #[error("cannot use `{path}`: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The folder of all streams, which no broker gets while this is there.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    keys: Vec<StorageKey>,
    _lock: File,
}

/// All accounts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Accounts with files.
    pub accounts: Vec<AccountReport>,
    /// Files and folders that belong to no account.
    pub stray: Vec<String>,
    /// What is left of streams and accounts that were deleted.
    pub leftovers: Vec<String>,
}

/// One account.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountReport {
    /// Its name.
    pub name: String,
    /// Its files are encrypted.
    pub encrypted: bool,
    /// Why nothing of it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Its streams.
    pub streams: Vec<StreamReport>,
    /// Files and folders that belong to no stream.
    pub stray: Vec<String>,
    /// What is left of streams that were deleted, or of restores.
    pub leftovers: Vec<String>,
}

/// One stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StreamReport {
    /// Its name.
    pub name: String,
    /// Why it cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Messages.
    pub messages: u64,
    /// Their bytes, as limits count them.
    pub bytes: u64,
    /// First sequence.
    pub first_seq: u64,
    /// Last sequence.
    pub last_seq: u64,
    /// Subjects.
    pub subjects: u64,
    /// Consumers.
    pub consumers: usize,
    /// Files with messages.
    pub segments: usize,
    /// Bytes of all files.
    pub disk_bytes: u64,
    /// Messages that damage took.
    pub lost: usize,
    /// The first of them.
    pub lost_seqs: Vec<u64>,
    /// Bytes that damage took.
    pub lost_bytes: u64,
    /// Where.
    pub damage: Vec<Damage>,
    /// Ends that a crash tore; nothing that was promised is in them.
    pub torn: Vec<Torn>,
    /// Caches that cannot be read; they are made anew.
    pub bad_caches: Vec<String>,
    /// Files that are of no use any more.
    pub leftovers: Vec<String>,
    /// Files that are not the stream's.
    pub stray: Vec<String>,
    /// What a repair did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
}

impl StreamReport {
    /// Something of it was lost, or cannot be read.
    pub fn is_damaged(&self) -> bool {
        self.problem.is_some() || self.lost > 0 || self.lost_bytes > 0 || !self.damage.is_empty()
    }

    /// A repair would do something.
    pub fn can_be_mended(&self) -> bool {
        self.problem.is_none() && !(self.torn.is_empty() && self.bad_caches.is_empty() && self.leftovers.is_empty())
    }

    fn of(name: &str, found: &Survey) -> Self {
        let state = found.state;
        Self {
            name: name.to_owned(),
            messages: state.messages,
            bytes: state.bytes,
            first_seq: state.first_seq,
            last_seq: state.last_seq,
            subjects: state.subjects,
            consumers: found.consumers.len(),
            segments: found.segments,
            disk_bytes: found.disk_bytes,
            lost: found.lost.len(),
            lost_seqs: found.lost.iter().copied().take(LISTED).collect(),
            lost_bytes: found.lost_bytes,
            damage: found.damage.clone(),
            torn: found.torn.clone(),
            bad_caches: found.bad_caches.clone(),
            leftovers: found.leftovers.clone(),
            stray: found.stray.clone(),
            ..Self::default()
        }
    }
}

impl Report {
    /// Something was lost, or cannot be read.
    pub fn is_damaged(&self) -> bool {
        self.accounts
            .iter()
            .any(|account| account.problem.is_some() || account.streams.iter().any(StreamReport::is_damaged))
    }
}

impl Folder {
    /// The streams in `store_dir`, which is configured as `store_dir` of the broker; `keys` are its `key` and `prev_key`.
    ///
    /// # Errors
    ///
    /// [`OfflineError`].
    pub fn open(store_dir: &Path, keys: Vec<StorageKey>) -> Result<Self, OfflineError> {
        let root = store_dir.join("jetstream");
        if !root.is_dir() {
            return Err(OfflineError::Missing(store_dir.to_owned()));
        }
        let path = root.join(".lock");
        let failed = |source| OfflineError::Io { path: path.clone(), source };
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, keys, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OfflineError::InUse(root)),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Looks at everything, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`OfflineError::Io`] if folders cannot be listed.
    pub fn check(&self) -> Result<Report, OfflineError> {
        self.walk(false)
    }

    /// Mends what can be mended without losing or inventing a message: ends that a crash tore are cut off, caches are
    /// made anew, what deleted streams left is removed. What is damaged is copied to `.quarantine` and stays where it
    /// is, skipped and listed as lost; what cannot be opened is not touched. The report says how it was before, and what
    /// was done.
    ///
    /// # Errors
    ///
    /// As [`Folder::check`].
    pub fn repair(&self) -> Result<Report, OfflineError> {
        self.walk(true)
    }

    fn walk(&self, repairs: bool) -> Result<Report, OfflineError> {
        let mut report = Report::default();
        for (name, is_dir) in list(&self.root)? {
            if name == ".lock" || name == QUARANTINE {
                continue;
            }
            if name.starts_with(GONE) {
                report.leftovers.push(name);
            } else if let Some(account) = crate::account::name_of_folder(&name).filter(|_| is_dir) {
                report.accounts.push(self.account(&account, &name, repairs)?);
            } else {
                report.stray.push(name);
            }
        }
        if repairs && !report.leftovers.is_empty() {
            sweep(&self.root)?;
        }
        Ok(report)
    }

    fn account(&self, account: &str, folder: &str, repairs: bool) -> Result<AccountReport, OfflineError> {
        let dir = self.root.join(folder);
        let mut report = AccountReport { name: account.to_owned(), ..AccountReport::default() };
        let key = match AccountKey::load(&dir, account, &self.keys) {
            Ok(key) => key,
            Err(error) => {
                report.problem = Some(problem(&error));
                return Ok(report);
            }
        };
        report.encrypted = key.is_some();
        for (name, is_dir) in list(&dir)? {
            if !(name == "streams" && is_dir) && name != "account.key" {
                report.stray.push(name);
            }
        }
        let streams = dir.join("streams");
        if !streams.is_dir() {
            return Ok(report);
        }
        for (name, is_dir) in list(&streams)? {
            if name.starts_with(GONE) {
                report.leftovers.push(name);
            } else if is_dir && crate::config::is_name(&name) {
                let quarantine = self.root.join(QUARANTINE).join(folder).join(&name);
                report.streams.push(stream(&streams.join(&name), &name, key.as_ref(), repairs.then_some(&*quarantine)));
            } else {
                report.stray.push(format!("streams/{name}"));
            }
        }
        if repairs && !report.leftovers.is_empty() {
            sweep(&streams)?;
        }
        Ok(report)
    }
}

fn stream(dir: &Path, name: &str, key: Option<&AccountKey>, to: Option<&Path>) -> StreamReport {
    let unread = |problem: String| StreamReport { name: name.to_owned(), problem: Some(problem), ..Default::default() };
    let found = match survey(dir, key) {
        Ok(found) => found,
        Err(error) => return unread(problem(&error)),
    };
    let mut report = StreamReport::of(name, &found);
    report.problem = match json::stored::<Description>(&found.description) {
        Err(problem) => Some(format!("its description cannot be read: {problem}")),
        Ok(description) if description.config.name != name => {
            Some(format!("its files describe the stream `{}`", description.config.name))
        }
        Ok(_) => None,
    };
    if let Some(to) = to
        && let Err(error) = repair(dir, key, &found, to, &mut report)
    {
        report.problem = Some(error.to_string());
    }
    report
}

fn repair(
    dir: &Path,
    key: Option<&AccountKey>,
    found: &Survey,
    to: &Path,
    report: &mut StreamReport,
) -> Result<(), StoreError> {
    let copies = quarantine(dir, found, to)?;
    if copies > 0 {
        report.done.push(format!("copied {copies} damaged places to `{}`", to.display()));
    }
    if !report.can_be_mended() {
        return Ok(());
    }
    mend(dir, key, found)?;
    let torn = found.torn.iter().map(|torn| format!("cut {} torn bytes off the end of `{}`", torn.bytes, torn.file));
    let caches = found.bad_caches.iter().map(|cache| format!("made the cache `{cache}` anew"));
    let leftovers = found.leftovers.iter().map(|file| format!("removed `{file}`, which was of no use any more"));
    report.done.extend(torn.chain(caches).chain(leftovers));
    Ok(())
}

fn problem(error: &StoreError) -> String {
    match error {
        StoreError::Key { .. } => format!("{error}: give the key that it was written with"),
        other => other.to_string(),
    }
}

fn sweep(dir: &Path) -> Result<(), OfflineError> {
    FileStore::sweep(dir).map_err(|error| OfflineError::Io { path: dir.to_owned(), source: io::Error::other(error) })
}

/// The names in a folder, sorted, and whether each is a folder.
fn list(dir: &Path) -> Result<Vec<(String, bool)>, OfflineError> {
    let failed = |source| OfflineError::Io { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        names.push((entry.file_name().to_string_lossy().into_owned(), is_dir));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
