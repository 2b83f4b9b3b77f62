//! A resolver that keeps each account JWT in a file of one directory.
//!
//! `<dir>/<account key>.jwt` holds the bare token. A file is written under another name, synced, renamed
//! into place, and the directory synced: after [`Resolver::store`] returned, the token survives a power
//! loss, and at no moment is there half a file under the final name. Only parsed account keys ever
//! become part of a path (CVE-2022-28357).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cordon_accounts::claims::{self, Account};
use cordon_accounts::key::AccountKey;
use cordon_accounts::limits::TOKEN_BYTES_MAX;
use parking_lot::{Mutex, RwLock};

use super::index::{Index, Known};
use super::{PackLine, Resolver, ResolverError, StoreHash, StoreOutcome, StorePolicy};
use crate::account_record::AccountRecord;

const SUFFIX: &str = ".jwt";
const DELETED_SUFFIX: &str = ".jwt.deleted";
const TEMPORARY_SUFFIX: &str = ".jwt.tmp";
/// Files that are written and synced at the same time.
const WRITERS: usize = 16;

/// What deleting an account does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteMode {
    /// Deleting is refused.
    #[default]
    Refuse,
    /// The file is removed.
    Remove,
    /// The file gets the further suffix `.deleted`.
    Rename,
}

/// How a directory is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectoryOptions {
    /// What deleting does.
    pub delete: DeleteMode,
    /// Accounts kept at most; `None` is unlimited.
    pub limit: Option<usize>,
    /// Whether this is a cache: at its limit the least used account makes room instead of the new one
    /// being refused, and deleting always removes.
    pub cache: bool,
    /// How long a cache keeps an account after storing it.
    pub ttl: Option<Duration>,
}

/// Why a directory cannot serve as a resolver.
#[derive(Debug, thiserror::Error)]
#[error("the resolver directory `{path}` cannot be used: {source}")]
pub struct OpenError {
    path: String,
    source: io::Error,
}

/// Account JWTs in a directory.
#[derive(Debug)]
pub struct DirectoryResolver {
    directory: PathBuf,
    options: DirectoryOptions,
    index: RwLock<Index>,
    /// Held by whoever changes files, so that look-ups wait for no disk sync.
    writing: Mutex<()>,
    ignored: Vec<String>,
}

impl DirectoryResolver {
    /// Opens a directory, making it if there is none, and reads what is there.
    ///
    /// Files that hold no account JWT of the key that they are named by are left alone and not served;
    /// [`DirectoryResolver::ignored`] tells which. Left-overs of interrupted writes are removed.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it cannot be made, read or written.
    pub fn open(directory: impl Into<PathBuf>, options: DirectoryOptions, now: i64) -> Result<Self, OpenError> {
        let directory = directory.into();
        let failed = |source| OpenError { path: directory.display().to_string(), source };
        make_directory(&directory).map_err(failed)?;
        let mut index = Index::default();
        let mut ignored = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(TEMPORARY_SUFFIX) {
                fs::remove_file(directory.join(name)).map_err(failed)?;
            } else if let Some(stem) = name.strip_suffix(SUFFIX) {
                match read_known(&directory, stem, now) {
                    Some((key, known)) => index.insert(key, known),
                    None => ignored.push(name.to_owned()),
                }
            }
        }
        sync_directory(&directory).map_err(failed)?;
        Ok(Self { directory, options, index: RwLock::new(index), writing: Mutex::new(()), ignored })
    }

    /// Names of `.jwt` files that are not served, because they hold no account JWT of the key in their name.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Accounts stored.
    pub fn len(&self) -> usize {
        self.index.read().known.len()
    }

    /// Whether no account is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn make_room(&self, key: &AccountKey) -> Result<(), ResolverError> {
        let Some(limit) = self.options.limit else {
            return Ok(());
        };
        loop {
            let victim = {
                let index = self.index.read();
                if index.known.contains_key(key) || index.known.len() < limit {
                    return Ok(());
                }
                index.least_used()
            };
            match victim {
                Some(victim) if self.options.cache => {
                    self.drop_file(&victim, DeleteMode::Remove)?;
                }
                _ => return Err(ResolverError::Full),
            }
        }
    }

    /// Takes an account out of the directory and the index. The caller holds `writing`.
    fn drop_file(&self, key: &AccountKey, mode: DeleteMode) -> Result<(), ResolverError> {
        let name = file_name(key, SUFFIX);
        let path = self.directory.join(&name);
        let done = match mode {
            DeleteMode::Rename => fs::rename(&path, self.directory.join(file_name(key, DELETED_SUFFIX))),
            DeleteMode::Remove | DeleteMode::Refuse => fs::remove_file(&path),
        };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failure("removed", name, error));
            }
            _ => {}
        }
        self.index.write().known.remove(key);
        sync_directory(&self.directory).map_err(|error| failure("removed", name, error))
    }

    /// Writes and renames the files of `records`, several at a time: a disk syncs many in the time of one. Their
    /// directory is not synced yet. The caller holds `writing`.
    fn write_files(&self, records: Vec<&AccountRecord>) -> Vec<io::Result<()>> {
        let write = |record: &AccountRecord| {
            let path = self.directory.join(file_name(&record.key, SUFFIX));
            let temporary = self.directory.join(file_name(&record.key, TEMPORARY_SUFFIX));
            write_whole(&temporary, &path, record.token().as_bytes())
        };
        let write_part =
            |part: &[&AccountRecord]| -> Vec<io::Result<()>> { part.iter().map(|&record| write(record)).collect() };
        let write_part = &write_part;
        let part = records.len().div_ceil(WRITERS).max(1);
        thread::scope(|scope| {
            let start = |part| thread::Builder::new().spawn_scoped(scope, move || write_part(part));
            let writers: Vec<_> = records.chunks(part).map(|part| (part, start(part))).collect();
            let done = |(part, writer): (&[&AccountRecord], io::Result<thread::ScopedJoinHandle<'_, Vec<_>>>)| {
                // Where no thread is to be had this one writes; what one that broke off had to write is as good as not
                // written.
                let Ok(writer) = writer else { return write_part(part) };
                writer.join().unwrap_or_else(|_| part.iter().map(|_| Err(io::ErrorKind::Other.into())).collect())
            };
            writers.into_iter().flat_map(done).collect()
        })
    }

    fn is_past_ttl(&self, known: &Known, now: i64) -> bool {
        let Some(ttl) = self.options.ttl else {
            return false;
        };
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        now.saturating_sub(known.stored_at) > ttl
    }
}

impl Resolver for DirectoryResolver {
    fn lookup(&self, key: &AccountKey) -> Result<Option<String>, ResolverError> {
        if !self.index.read().known.contains_key(key) {
            return Ok(None);
        }
        if self.options.cache {
            self.index.write().touch(key);
        }
        let name = file_name(key, SUFFIX);
        match read_token(&self.directory.join(&name)) {
            Ok(token) => Ok(Some(token)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure("read", name, error)),
        }
    }

    fn store(&self, record: &AccountRecord, policy: StorePolicy, now: i64) -> Result<StoreOutcome, ResolverError> {
        let offered = Known::new(&record.claims, record.token(), now);
        let _writing = self.writing.lock();
        if let Some(known) = self.index.read().known.get(&record.key)
            && let Some(outcome) = known.yields_to(&offered, policy)?
        {
            return Ok(outcome);
        }
        self.make_room(&record.key)?;
        let name = file_name(&record.key, SUFFIX);
        let temporary = self.directory.join(file_name(&record.key, TEMPORARY_SUFFIX));
        write_durably(&self.directory, &temporary, &self.directory.join(&name), record.token().as_bytes())
            .map_err(|error| failure("written", name, error))?;
        self.index.write().insert(record.key, offered);
        Ok(StoreOutcome::Stored)
    }

    fn store_all(
        &self,
        records: &[Arc<AccountRecord>],
        policy: StorePolicy,
        now: i64,
    ) -> Vec<Result<StoreOutcome, ResolverError>> {
        let writing = self.writing.lock();
        // Where there may not be room for all it is made, or found missing, for one after the other.
        if records.len() < 2 || self.options.limit.is_some_and(|limit| self.len() + records.len() > limit) {
            drop(writing);
            return records.iter().map(|record| self.store(record, policy, now)).collect();
        }
        let yields = |record: &AccountRecord, offered: &Known| {
            self.index.read().known.get(&record.key).map_or(Ok(None), |known| known.yields_to(offered, policy))
        };
        let decided: Vec<_> = records
            .iter()
            .map(|record| {
                let offered = Known::new(&record.claims, record.token(), now);
                yields(record, &offered).map(|outcome| (offered, outcome))
            })
            .collect();
        let wanted = records.iter().zip(&decided).filter(|(_, decided)| matches!(decided, Ok((_, None))));
        let mut written = self.write_files(wanted.map(|(record, _)| &**record).collect()).into_iter();
        let synced = sync_directory(&self.directory);
        let mut index = self.index.write();
        let store = |(record, decided): (&Arc<AccountRecord>, Result<Decision, ResolverError>)| {
            let (offered, outcome) = decided?;
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            let written = written.next().unwrap_or_else(|| Err(io::ErrorKind::Other.into()));
            let synced = synced.as_ref().copied().map_err(|error| io::Error::from(error.kind()));
            written.and(synced).map_err(|error| failure("written", file_name(&record.key, SUFFIX), error))?;
            index.insert(record.key, offered);
            Ok(StoreOutcome::Stored)
        };
        records.iter().zip(decided).map(store).collect()
    }

    fn remove(&self, key: &AccountKey) -> Result<bool, ResolverError> {
        let mode = if self.options.cache { DeleteMode::Remove } else { self.options.delete };
        if mode == DeleteMode::Refuse {
            return Err(ResolverError::DeleteNotAllowed);
        }
        let _writing = self.writing.lock();
        if !self.index.read().known.contains_key(key) {
            return Ok(false);
        }
        self.drop_file(key, mode)?;
        Ok(true)
    }

    fn rescan(&self, now: i64) -> Result<Option<bool>, ResolverError> {
        let _writing = self.writing.lock();
        let failed = |error| failure("read", String::new(), error);
        let mut fresh = Index::default();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
            if let Some((key, known)) = read_known(&self.directory, stem, now) {
                fresh.insert(key, known);
            }
        }
        *self.index.write() = fresh;
        Ok(Some(!self.options.cache))
    }

    fn list(&self, now: i64) -> Vec<AccountKey> {
        self.index.read().list(now)
    }

    fn hash(&self, now: i64) -> StoreHash {
        self.index.read().hash(now)
    }

    fn pack(&self, asker: Option<StoreHash>, now: i64, visit: &mut dyn FnMut(PackLine)) -> Result<(), ResolverError> {
        if asker == Some(self.hash(now)) {
            return Ok(());
        }
        for key in self.list(now) {
            if let Some(token) = self.lookup(&key)? {
                visit(PackLine { key, token });
            }
        }
        Ok(())
    }

    fn sweep(&self, now: i64) -> Result<Vec<AccountKey>, ResolverError> {
        let _writing = self.writing.lock();
        let dead: Vec<AccountKey> = {
            let index = self.index.read();
            let aged = index.known.iter().filter(|(_, known)| self.is_past_ttl(known, now)).map(|(key, _)| *key);
            let mut dead = index.expired(now);
            dead.extend(aged);
            dead.sort();
            dead.dedup();
            dead
        };
        for key in &dead {
            self.drop_file(key, DeleteMode::Remove)?;
        }
        Ok(dead)
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn allows_delete(&self) -> bool {
        self.options.cache || self.options.delete != DeleteMode::Refuse
    }
}

/// What is offered, and the outcome if it need not be written.
type Decision = (Known, Option<StoreOutcome>);

/// Makes the directory if there is none, so that it survives a power loss.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// The name of an account's file. A parsed key is 56 characters of `A`-`Z` and `2`-`7`: no separator, no dot.
fn file_name(key: &AccountKey, suffix: &str) -> String {
    format!("{key}{suffix}")
}

fn failure(action: &'static str, path: String, source: io::Error) -> ResolverError {
    ResolverError::Io { action, path, source }
}

/// What a file found at start holds; `None` if it is no account JWT of the key in its name.
fn read_known(directory: &Path, stem: &str, now: i64) -> Option<(AccountKey, Known)> {
    let key = AccountKey::parse(stem).ok()?;
    let token = read_token(&directory.join(file_name(&key, SUFFIX))).ok()?;
    let claims = claims::decode::<Account>(&token).ok()?;
    (key == claims.subject).then(|| (key, Known::new(&claims, &token, now)))
}

fn read_token(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(TOKEN_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Writes `content` so that `path` has it whole, or is as it was, whatever happens.
fn write_durably(directory: &Path, temporary: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    write_whole(temporary, path, content)?;
    sync_directory(directory)
}

/// As [`write_durably`], until the directory is synced: before that `path` may be as it was after a power loss.
fn write_whole(temporary: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let written = (|| {
        let mut file = open_for_writing(temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    })();
    if written.is_err() {
        // Best effort: what is left over is removed when the directory is next opened.
        let _ = fs::remove_file(temporary);
    }
    written
}

fn open_for_writing(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes renames in a directory durable. Windows has no such call; its renames are journalled.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
