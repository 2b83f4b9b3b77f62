//! Archives: a stream as one run of bytes, which nats-server 2.15 and this server give and take (jetstream.md 2.13).
//!
//! ```text
//! S2 stream of: "NATSARC1" entry..    entry = lengths, time, sequence (varints), name, header block, payload
//! state.json   the stream's state      consumers/<name>   configuration and state of each consumer
//! one entry for each message, its name is the subject      an entry of nothing ends it
//! ```
//!
//! ```text
//! s2, entry    the format
//! picture      what a stream is at one moment, and how that is written
//! staging      an archive on its way into a stream: read with bounds, out of sight until it is whole
//! send         chunks with acknowledgements and a window     receive   an upload, chunk by chunk
//! snapshot, restore   the two requests, each on a thread of its own
//! ```
//!
//! What is restored may be hostile. It is read as it comes, so no more of it is in memory than one entry; it is written
//! into a folder that is no stream's; and only when its last entry was read, its name is still free and the account may
//! have it, it takes its place. Everything else leaves nothing behind.

pub mod entry;
mod picture;
mod receive;
mod restore;
mod s2;
mod send;
mod snapshot;
mod staging;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use restore::RestoreError;
pub use s2::{Packer, Unpacker};

pub(crate) use restore::request as restore;
pub(crate) use snapshot::request as snapshot;

use crate::account::Account;
use crate::config::StreamConfig;
use crate::stream::Stream;
use staging::Staging;

/// What every archive begins with.
pub const MAGIC: &[u8; 8] = b"NATSARC1";

/// Makes the archive that `input` holds, an S2 stream, a stream of `account` with this configuration.
///
/// # Errors
///
/// [`RestoreError`]; nothing is left of it then.
pub fn restore_from(
    account: &Arc<Account>,
    config: StreamConfig,
    input: &mut dyn Read,
) -> Result<Arc<Stream>, RestoreError> {
    let config = account.may_adopt(config)?;
    let staged = Staging::read(account, config, &mut Unpacker::new(input))?;
    Ok(staged.install()?)
}

/// Writes the archive of a stream to `out`, not compressed.
///
/// # Errors
///
/// Those of `out`; that the stream was deleted.
pub fn snapshot_to(stream: &Arc<Stream>, out: &mut dyn Write) -> io::Result<()> {
    let (picture, now) = stream.change(|core, now| (core.picture(true), now));
    picture::write(stream, &picture, now, out).map_err(io::Error::other)
}

/// How long who sends and who receives wait for each other.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For somebody who listens to a snapshot.
    pub interest: Duration,
    /// For an acknowledgement of a chunk.
    pub flow: Duration,
    /// For the next chunk of an upload.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self { interest: Duration::from_secs(2), flow: five, silence: five }
    }
}

/// Snapshots and restores of one account that run at one time.
const AT_ONCE: usize = 4;

/// How many run for an account.
#[derive(Debug, Default)]
pub(crate) struct Running(Arc<AtomicUsize>);

/// One that runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<AtomicUsize>);

impl Running {
    /// One more, if not too many run already.
    pub(crate) fn begin(&self) -> Option<Turn> {
        let one_more = |running: usize| (running < AT_ONCE).then_some(running + 1);
        let began = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        began.ok().map(|_| Turn(self.0.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A token of a subject that nobody can guess.
fn token() -> String {
    use rand::RngCore as _;
    let mut bytes = [0; 11];
    rand::thread_rng().fill_bytes(&mut bytes);
    data_encoding::HEXUPPER.encode(&bytes)
}
