//! From what the configuration says to what the node and its accounts go by; and the folder that is theirs alone.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cordon_server::config::jetstream::{JetStreamOptions, SyncPolicy};

use secrecy::ExposeSecret as _;

use crate::account::{BatchLimits, Settings};
use crate::store::file::StorageKey;
use crate::stream::IntakeLimits;

/// Bytes on disk where the system does not say how many are free.
const FILE_DEFAULT: u64 = 1 << 40;
/// Bytes in memory where the system does not say how many there are.
const MEMORY_DEFAULT: u64 = 1 << 30;
/// The folder in the configured one.
const FOLDER: &str = "jetstream";

/// Why streams cannot be kept where they are to be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// It cannot be made or used.
    #[error("the folder `{path}` cannot be used: {source}; give another one with `store_dir`")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process has it.
    #[error("the streams in `{0}` are open in another process: stop that one, or give another folder with `store_dir`")]
    InUse(PathBuf),
}

/// The folder that `jetstream/` is in.
pub(super) fn store_dir(options: &JetStreamOptions) -> PathBuf {
    options.store_dir.clone().unwrap_or_else(|| std::env::temp_dir().join("nats"))
}

/// Makes the folder of the streams, private, and locks it for this process until the file is dropped.
///
/// # Errors
///
/// [`FolderError`] says what to change.
pub(super) fn open_folder(store_dir: &Path) -> Result<File, FolderError> {
    let path = store_dir.join(FOLDER);
    let unusable = |source| FolderError::Unusable { path: path.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(unusable)?;
    let metadata = std::fs::metadata(&path).map_err(unusable)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).map_err(unusable)?;
    }
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(path.join(".lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path)),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// What accounts go by; the folder must be there.
pub(super) fn settings(options: &JetStreamOptions, server: &str, version: &str) -> Settings {
    let store_dir = store_dir(options);
    let batch = BatchLimits::default();
    let count = |given: Option<i64>, usual: usize| given.and_then(|count| usize::try_from(count).ok()).unwrap_or(usual);
    let keys = [&options.key, &options.prev_key].into_iter().flatten();
    Settings {
        keys: keys.map(|key| StorageKey::from_text(key.expose_secret())).collect(),
        sync_interval: match options.sync {
            SyncPolicy::Always => None,
            SyncPolicy::Every(interval) => Some(interval),
        },
        domain: options.domain.as_deref().map(str::to_owned),
        long_acks: options.long_acks,
        server: server.to_owned(),
        version: version.to_owned(),
        strict: !options.lenient,
        max_memory: options.max_memory.unwrap_or_else(|| memory() / 4 * 3),
        max_storage: options.max_file.unwrap_or_else(|| free(&store_dir.join(FOLDER)) / 4 * 3),
        intake: intake(options),
        max_duplicate_window: options.limits.duplicate_window.map_or(0, |window| window.as_nanos() as i64),
        max_ack_pending: options.limits.max_ack_pending.unwrap_or(0),
        max_request_batch: options.limits.max_request_batch.unwrap_or(0),
        batch: BatchLimits {
            atomic_per_stream: count(options.limits.max_batch_inflight_per_stream, batch.atomic_per_stream),
            atomic_total: count(options.limits.max_batch_inflight_total, batch.atomic_total),
            size: count(options.limits.max_batch_size, batch.size),
            timeout: options.limits.max_batch_timeout.unwrap_or(batch.timeout),
            ..batch
        },
        store_dir: Some(store_dir),
        ..Settings::default()
    }
}

/// What waits for streams: for all of them an eighth of the memory, for those of one account a quarter of that, unless
/// one stream may have more.
fn intake(options: &JetStreamOptions) -> IntakeLimits {
    let usual = IntakeLimits::default();
    let bytes = options.max_buffered_size.unwrap_or(usual.bytes);
    let of_memory = usize::try_from(memory() / 8).unwrap_or(usize::MAX);
    let node = options.max_buffered_total.unwrap_or_else(|| of_memory.max(bytes.saturating_mul(2)));
    let account = options.max_buffered_account.unwrap_or_else(|| (node / 4).max(bytes.saturating_mul(5) / 4));
    IntakeLimits { messages: options.max_buffered_msgs.unwrap_or(usual.messages), bytes, account, node }
}

/// Bytes of memory of this machine.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kib.map_or(MEMORY_DEFAULT, |kib| kib.saturating_mul(1024))
}

/// Bytes that are free where `path` is.
fn free(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(FILE_DEFAULT, |figures| figures.f_bavail.saturating_mul(figures.f_frsize))
}

/// Bytes as start-up lines show them.
pub(super) fn shown_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KB";
    for next in UNITS.into_iter().skip(1) {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.2} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_and_belongs_to_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("deep/inside");
        let lock = open_folder(&store).unwrap();
        let mode = std::fs::metadata(store.join(FOLDER)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(matches!(open_folder(&store), Err(FolderError::InUse(_))));
        drop(lock);
        std::fs::set_permissions(store.join(FOLDER), std::fs::Permissions::from_mode(0o755)).unwrap();
        let _lock = open_folder(&store).unwrap();
        let mode = std::fs::metadata(store.join(FOLDER)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "it is made private again");
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(open_folder(&folder.path().join("file")), Err(FolderError::Unusable { .. })));
    }

    #[test]
    fn sizes_are_shown_as_people_read_them() {
        for (bytes, shown) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KB"), (18_962_513_920, "17.66 GB"), (u64::MAX, "16.00 EB")]
        {
            assert_eq!(shown_bytes(bytes), shown);
        }
    }

    #[test]
    fn what_is_not_configured_has_nats_servers_values() {
        let folder = tempfile::tempdir().unwrap();
        let options = JetStreamOptions { store_dir: Some(folder.path().to_owned()), ..JetStreamOptions::default() };
        let _lock = open_folder(folder.path()).unwrap();
        let usual = settings(&options, "S", "2.15.0");
        assert!(usual.strict && usual.sync_interval.is_none() && usual.max_memory > 0 && usual.max_storage > 0);
        assert_eq!((usual.intake.messages, usual.intake.bytes), (100_000, 128 << 20));
        assert!(usual.intake.bytes < usual.intake.account && usual.intake.account < usual.intake.node);
        let given = JetStreamOptions {
            max_memory: Some(5),
            max_file: Some(0),
            lenient: true,
            max_buffered_total: Some(400),
            ..options
        };
        let given = settings(&given, "S", "2.15.0");
        assert_eq!(given.intake.node, 400);
        assert_eq!((given.max_memory, given.max_storage, given.strict), (5, 0, false));
    }
}
