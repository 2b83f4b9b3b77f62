//! The lines of an export, read one at a time and believed only as a whole.

use std::io::{self, BufRead, Read};

use data_encoding::BASE64;
use serde::Deserialize;

use crate::ledger::append::blob_digest;
use crate::ledger::export::{Blob, CheckpointLine, Header, render_checkpoint, render_entry};
use crate::ledger::tree::leaf_hash;
use crate::ledger::{Checkpoint, Digest, Leaf, NoteKey};

/// The longest line: two blobs of 256 KiB, escaped, and an entry. A longer one is no line of ours.
const LINE_MAX: u64 = 8 * 1024 * 1024;

/// Reads lines, one in memory at a time.
pub(super) struct Lines<R> {
    reader: R,
}

/// One line, as it was read.
pub(super) struct Line {
    text: Vec<u8>,
    /// Whether its newline was there.
    ended: bool,
}

/// An entry's line that says what its canonical bytes say.
pub(super) struct EntryRead {
    pub(super) leaf: Leaf,
    pub(super) bytes: Vec<u8>,
    pub(super) erased_blobs: u64,
}

/// What is taken from an entry's line; all else is written anew and compared.
#[derive(Deserialize)]
struct EntryParts {
    bytes: String,
    source: Option<Blob>,
    detail: Option<Blob>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        self.reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        let ended = text.pop_if(|last| *last == b'\n').is_some();
        Ok(Some(Line { text, ended }))
    }

    /// Whether one of the lines that are left is what is looked for.
    pub(super) fn find(&mut self, wanted: impl Fn(&Line) -> bool) -> io::Result<bool> {
        while let Some(line) = self.next()? {
            if wanted(&line) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Line {
    /// Whether it is the end of an export that was cut within this line. A line that lacks only its
    /// newline is cut too; one whose newline became something else is changed.
    pub(super) fn is_cut(&self) -> bool {
        let replaced = || {
            let mut text = self.text.clone();
            text.pop();
            Self { text, ended: true }.is_sound()
        };
        !self.ended && !replaced()
    }

    /// Whether it is a line that an export can have, somewhere.
    pub(super) fn is_sound(&self) -> bool {
        self.header().is_some() || self.entry().is_some() || self.note().is_some()
    }

    /// The header, if it is one and says its own digest.
    pub(super) fn header(&self) -> Option<Header> {
        let header: Header = serde_json::from_slice(self.whole()?).ok()?;
        let sealed = header.clone().sealed();
        (sealed.render().as_bytes() == self.text && sealed == header).then_some(header)
    }

    /// The entry, if the line is exactly what its canonical bytes and blobs give.
    pub(super) fn entry(&self) -> Option<EntryRead> {
        let parts: EntryParts = serde_json::from_slice(self.whole()?).ok()?;
        let bytes = BASE64.decode(parts.bytes.as_bytes()).ok()?;
        let leaf = Leaf::from_bytes(&bytes).ok()?;
        let pairs = [(leaf.source, &parts.source), (leaf.detail, &parts.detail)];
        if !pairs.iter().all(|(digest, blob)| belongs(*digest, blob.as_ref())) {
            return None;
        }
        let erased_blobs = pairs.iter().filter(|(digest, blob)| digest.is_some() && blob.is_none()).count() as u64;
        let line = render_entry(&leaf, &bytes, leaf_hash(&bytes), parts.source.as_ref(), parts.detail.as_ref());
        (line.as_bytes() == self.text).then_some(EntryRead { leaf, bytes, erased_blobs })
    }

    /// The checkpoint, if it is one that this key signed and that says nothing beside it.
    pub(super) fn checkpoint(&self, key: &NoteKey) -> Option<Checkpoint> {
        let note = self.note()?;
        let checkpoint = key.open(&note).ok()?;
        let alone = note.strip_prefix(&checkpoint.body()).is_some_and(|rest| rest.lines().count() == 2);
        alone.then_some(checkpoint)
    }

    pub(super) fn is_note_but_not_of(&self, key: &NoteKey) -> bool {
        self.note().is_some() && self.checkpoint(key).is_none()
    }

    fn note(&self) -> Option<String> {
        let line: CheckpointLine = serde_json::from_slice(self.whole()?).ok()?;
        (render_checkpoint(&line.checkpoint).as_bytes() == self.text).then_some(line.checkpoint)
    }

    /// The line's text, if all of it is there.
    fn whole(&self) -> Option<&[u8]> {
        self.ended.then_some(&self.text)
    }
}

/// Whether a blob is the one whose digest is in the leaf, or was erased.
fn belongs(digest: Option<Digest>, blob: Option<&Blob>) -> bool {
    let Some(blob) = blob else { return true };
    let salt = BASE64.decode(blob.salt.as_bytes());
    salt.is_ok_and(|salt| digest == Some(blob_digest(&salt, blob.content.as_bytes())))
}
