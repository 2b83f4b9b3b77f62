//! Checking an export offline: no store, no network, no clock.
//!
//! The verifier reads the lines in order, writes each line anew from the entry's canonical bytes
//! and holds it against what it read, follows the chain of leaf hashes, builds the tree, and
//! compares its roots with the signed checkpoints: those in the export, and those that the caller
//! kept. It names the first entry that is not as it was written.

mod fault;
mod lines;
mod roots;

use std::io::BufRead;

use super::checkpoint::split_notes;
use super::export::{FORMAT, Header, VERSION};
use super::tree::leaf_hash;
use super::{Checkpoint, Digest, Edge, NoteKey};
pub use fault::{Fault, FaultKind, Part, VerifyError};
use lines::{EntryRead, Line, Lines};
use roots::{ChainBreak, Roots};

/// What an export was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The log's name.
    pub origin: String,
    /// The key that signed its checkpoints. If none was given this is the export's own word.
    pub key: NoteKey,
    /// Whether the key was given, and not taken from the export.
    pub key_given: bool,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// The sizes of the checkpoints in it; each was signed, and fits.
    pub checkpoints: Vec<u64>,
    /// The sizes of the trusted checkpoints that it was held against.
    pub trusted: Vec<u64>,
    /// How many blobs are not in it, because they were erased.
    pub erased_blobs: u64,
}

/// Checks an export.
///
/// `trusted` holds checkpoints that were kept elsewhere: one or several signed notes, one after the
/// other. `key` is the text of the ledger's public key, as its `key.pub` says; without it the key is
/// the export's own word, which shows that the export is whole, but not whose it is.
///
/// # Errors
///
/// [`VerifyError::Fault`] names the first part that was changed, is missing, out of order or cut.
/// [`VerifyError::Trusted`] means that a trusted checkpoint itself cannot be believed.
pub fn verify_export(
    reader: impl BufRead,
    trusted: Option<&str>,
    key: Option<&NoteKey>,
) -> Result<Verified, VerifyError> {
    let mut lines = Lines::new(reader);
    let header = read_header(&mut lines)?;
    let (key, key_given) = check_header(&header, key)?;
    let trusted = open_trusted(trusted, &key)?;

    let mut sizes: Vec<u64> = header.checkpoints.iter().copied().chain(trusted.iter().map(|note| note.size)).collect();
    sizes.sort_unstable();
    let mut walk = Walk::new(sizes);
    for index in 0..header.size {
        walk.entry(&mut lines, index)?;
    }
    let mut checkpoints = read_checkpoints(&mut lines, &header, &key)?;
    checkpoints.extend(trusted.iter().cloned());
    walk.roots.compare(&checkpoints, header.size)?;
    Ok(Verified {
        origin: header.origin,
        key,
        key_given,
        size: header.size,
        root: walk.edge.root(),
        checkpoints: header.checkpoints,
        trusted: trusted.iter().map(|note| note.size).collect(),
        erased_blobs: walk.erased_blobs,
    })
}

/// The state of reading entry after entry.
struct Walk {
    edge: Edge,
    /// The edge before the last entry, for the case that the last one turns out to be changed.
    before: Edge,
    previous: Digest,
    roots: Roots,
    erased_blobs: u64,
}

impl Walk {
    fn new(sizes: Vec<u64>) -> Self {
        let edge = Edge::default();
        let roots = Roots::new(sizes, &edge);
        Self { before: edge.clone(), edge, previous: Digest::ZERO, roots, erased_blobs: 0 }
    }

    fn entry(&mut self, lines: &mut Lines<impl BufRead>, index: u64) -> Result<(), VerifyError> {
        let read = read_entry(lines, index)?;
        if read.leaf.previous != self.previous {
            // Either the entry before was replaced by another, or this one: a checkpoint will tell.
            self.roots.broken(ChainBreak::new(index, self.before.clone(), read.leaf.previous));
        }
        let hash = leaf_hash(&read.bytes);
        self.before = self.edge.clone();
        self.edge.append(hash, |_, _, _| {});
        self.roots.appended(hash, &self.edge);
        self.previous = hash;
        self.erased_blobs += read.erased_blobs;
        Ok(())
    }
}

fn read_header(lines: &mut Lines<impl BufRead>) -> Result<Header, VerifyError> {
    let fault = |kind, detail: &str| Fault::new(Part::Header, 0, kind, detail).into();
    let Some(line) = lines.next()? else {
        return Err(fault(FaultKind::Cut, "the export is empty"));
    };
    if let Some(header) = line.header() {
        return Ok(header);
    }
    if line.is_cut() {
        return Err(fault(FaultKind::Cut, "the export ends within its first line"));
    }
    if line.is_sound() {
        let found = lines.find(|line| line.header().is_some())?;
        return Err(displaced(Part::Header, 0, found));
    }
    Err(fault(FaultKind::Changed, "the first line is not as it was written"))
}

/// Holds the header against itself and against the key.
fn check_header(header: &Header, key: Option<&NoteKey>) -> Result<(NoteKey, bool), VerifyError> {
    let changed = |detail: &str| VerifyError::from(Fault::new(Part::Header, 0, FaultKind::Changed, detail));
    if header.format != FORMAT || header.version != VERSION {
        return Err(changed("this is not an export of a form that is known here"));
    }
    let own: NoteKey = header.key.parse().map_err(|_| changed("the key is none"))?;
    if own.name() != header.origin {
        return Err(changed("the key is the one of another log"));
    }
    if key.is_some_and(|key| *key != own) {
        return Err(changed("the export names another key than the one that was given"));
    }
    let ascending = header.checkpoints.is_sorted_by(|left, right| left < right);
    if !ascending || header.checkpoints.last() != Some(&header.size) {
        return Err(changed("the checkpoints do not lead up to the size"));
    }
    Ok((own, key.is_some()))
}

fn open_trusted(trusted: Option<&str>, key: &NoteKey) -> Result<Vec<Checkpoint>, VerifyError> {
    let notes = split_notes(trusted.unwrap_or_default());
    notes.iter().map(|note| key.open(note).map_err(VerifyError::Trusted)).collect()
}

fn read_entry(lines: &mut Lines<impl BufRead>, index: u64) -> Result<EntryRead, VerifyError> {
    let fault = |kind, detail: &str| Fault::new(Part::Entry, index, kind, detail).into();
    let Some(line) = lines.next()? else {
        return Err(fault(FaultKind::Cut, "the export ends before it"));
    };
    match line.entry() {
        Some(read) if read.leaf.index == index => Ok(read),
        None if line.is_cut() => Err(fault(FaultKind::Cut, "the export ends within it")),
        None if !line.is_sound() => Err(fault(FaultKind::Changed, "it is not as it was written")),
        _ => {
            let found = lines.find(|line| line.entry().is_some_and(|read| read.leaf.index == index))?;
            Err(displaced(Part::Entry, index, found))
        }
    }
}

fn read_checkpoints(
    lines: &mut Lines<impl BufRead>,
    header: &Header,
    key: &NoteKey,
) -> Result<Vec<Checkpoint>, VerifyError> {
    let mut checkpoints = Vec::new();
    for (index, size) in (0_u64..).zip(&header.checkpoints) {
        checkpoints.push(read_checkpoint(lines, index, *size, key)?);
    }
    if lines.next()?.is_none() {
        return Ok(checkpoints);
    }
    let index = header.checkpoints.len() as u64;
    let detail = "something follows the last checkpoint that does not belong there";
    Err(Fault::new(Part::Checkpoint, index, FaultKind::Changed, detail).into())
}

fn read_checkpoint(
    lines: &mut Lines<impl BufRead>,
    index: u64,
    size: u64,
    key: &NoteKey,
) -> Result<Checkpoint, VerifyError> {
    let fault = |kind, detail: &str| Fault::new(Part::Checkpoint, index, kind, detail).into();
    let Some(line) = lines.next()? else {
        return Err(fault(FaultKind::Cut, "the export ends before it"));
    };
    let of_size = |line: &Line| line.checkpoint(key).filter(|checkpoint| checkpoint.size == size);
    match of_size(&line) {
        Some(checkpoint) => Ok(checkpoint),
        None if line.is_cut() => Err(fault(FaultKind::Cut, "the export ends within it")),
        None if !line.is_sound() || line.is_note_but_not_of(key) => {
            Err(fault(FaultKind::Changed, "it is not as it was signed"))
        }
        None => {
            let found = lines.find(|line| of_size(line).is_some())?;
            Err(displaced(Part::Checkpoint, index, found))
        }
    }
}

/// The fault of a part that does not stand where it should, though the line that does is sound.
fn displaced(part: Part, index: u64, found: bool) -> VerifyError {
    let (kind, detail) =
        if found { (FaultKind::Reordered, "it is further down") } else { (FaultKind::Missing, "it is gone") };
    Fault::new(part, index, kind, detail).into()
}
