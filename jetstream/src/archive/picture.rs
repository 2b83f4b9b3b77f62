//! How a stream becomes an archive. The messages are those up to the picture's last sequence; what goes while it is
//! written leaves a gap.

use std::io::{self, Write};

use super::entry;
use crate::stream::Stream;
use crate::stream::archived::Picture;

/// Why an archive is not written to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum PictureError {
    /// Nobody takes it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The stream is no more.
    #[error("the stream was deleted")]
    Deleted,
    /// Messages cannot be read, and it was to be checked that all can.
    #[error("{0} messages cannot be read, the first is {1}")]
    Damaged(usize, u64),
}

/// Writes the archive of `stream`, as `picture` shows it.
///
/// # Errors
///
/// [`PictureError`]; what was written is no whole archive then.
pub(super) fn write(stream: &Stream, picture: &Picture, now: i64, out: &mut dyn Write) -> Result<(), PictureError> {
    entry::begin(out)?;
    let state = serde_json::to_vec(&picture.state).map_err(io::Error::other)?;
    entry::write(out, entry::STATE.as_bytes(), now, 0, b"", &state)?;
    for (name, consumer) in &picture.consumers {
        entry::write(out, format!("{}{name}", entry::CONSUMERS).as_bytes(), now, 0, b"", consumer)?;
    }
    let last = picture.state.last_seq;
    let mut at = picture.state.first_seq;
    loop {
        let part = stream.look(|core| core.some_messages(at, last)).ok_or(PictureError::Deleted)?;
        for message in &part.messages {
            entry::write(out, message.subject(), message.ts, message.seq, message.header(), message.payload())?;
        }
        let Some(next) = part.next else { break };
        at = next;
    }
    // Nothing but zeros: whoever reads it knows that nothing is missing.
    entry::write(out, b"", 0, 0, b"", b"")?;
    Ok(())
}

/// Reads every message, as the archive would.
///
/// # Errors
///
/// [`PictureError::Damaged`], [`PictureError::Deleted`].
pub(super) fn check(stream: &Stream, picture: &Picture) -> Result<(), PictureError> {
    let mut damaged = Vec::new();
    let mut at = picture.state.first_seq;
    loop {
        let part = stream.look(|core| core.some_messages(at, picture.state.last_seq)).ok_or(PictureError::Deleted)?;
        damaged.extend(part.damaged);
        let Some(next) = part.next else { break };
        at = next;
    }
    match damaged.first() {
        Some(first) => Err(PictureError::Damaged(damaged.len(), *first)),
        None => Ok(()),
    }
}
