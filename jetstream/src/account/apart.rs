//! A stream that ended by a defect of the broker is set apart: it alone is offline, and is opened anew from its files.

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::subject::Pattern;

use super::reserve::reserved;
use super::{Account, Found};
use crate::stream::Stream;

/// So long after it was set apart a stream is opened anew: the first time, the second, the last.
const TRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(100)];

impl Account {
    /// Takes a stream out of service whose state cannot be trusted. Its files stay as they are; what was acknowledged
    /// is in them. Gives when [`Account::open_again`] is worth a try; nothing if it was tried often enough, or if the
    /// stream was in memory alone. Waits for whoever works on the stream.
    pub fn set_apart(&self, stream: &Arc<Stream>, reason: &str) -> Option<Duration> {
        let _changes = self.changes.lock();
        let name = stream.name().clone();
        if !self.stream(&name).is_some_and(|known| Arc::ptr_eq(&known, stream)) {
            return None;
        }
        tracing::error!(account = %self.name(), stream = %name, reason, "a stream is set apart");
        self.setup.host.listen(stream, &[]);
        self.streams.write().remove(&name);
        let config = stream.look(|core| core.config().clone());
        self.ledger.reserve(config.storage, -reserved(&config).cast_signed());
        stream.abandon();
        // What it knew of its origins and receivers cannot be trusted, so it is not asked.
        self.setup.port.forget(&name);
        self.offline.write().insert(name.to_string(), reason.to_owned());
        if config.storage == crate::config::Storage::Memory {
            return None;
        }
        let mut tries = self.set_apart.lock();
        let count = tries.entry(name.to_string()).or_default();
        *count += 1;
        TRIES.get(*count - 1).copied()
    }

    /// Opens a stream that is offline anew. Reads from a disk.
    ///
    /// # Errors
    ///
    /// Why it stays offline.
    pub fn open_again(self: &Arc<Self>, name: &str) -> Result<(), String> {
        let _changes = self.changes.lock();
        if self.offline_reason(name).is_none() || self.stream(name).is_some() {
            return Ok(());
        }
        let folder = self.folder().ok_or("nothing is kept in files")?;
        let found: Found = self.found(name, &folder.join("streams").join(name))?;
        let subjects = found.description.config.subjects.iter();
        let subjects = subjects.filter_map(|subject| Pattern::parse(subject).ok()).collect();
        self.offline.write().remove(name);
        self.open(found, subjects);
        tracing::warn!(account = %self.name(), stream = name, "a stream that was set apart is open again");
        Ok(())
    }
}
