//! Reading through files that are not written any more, to find damage before somebody needs what it took. The stream's
//! lock is held to choose a file and to take in what was found, not while it is read.
//!
//! What is overwritten while it is read looks like damage: only what is damaged in two looks at the file counts, and of
//! messages only those that are still there when that is taken in. A file that another took the place of meanwhile counts
//! no more.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::Bytes;

use super::super::index::posting::Posting;
use super::read::read_some;
use super::record::{FIRST, Format, Kind};
use super::scan::{Found, scan};
use super::segment::Segment;
use super::store::FileStore;
use super::sync::Shared;

/// So much is read at a time.
const PIECE: u64 = 256 << 10;

/// A file of a stream that is not written any more.
#[derive(Debug)]
pub struct Sealed {
    shared: Arc<Shared>,
    segment: Segment,
    format: Arc<Format>,
}

/// What a look at a file came to.
#[derive(Debug)]
pub enum Looked {
    /// All of it is as it was written.
    Whole,
    /// Some of it is not.
    Ill(Ill),
    /// It was not read to its end, as was asked for.
    Stopped,
    /// The disk refused.
    Failed(io::Error),
}

/// A file of which some is not as it was written.
#[derive(Debug)]
pub struct Ill {
    id: u32,
    generation: u32,
    /// Messages that are.
    intact: Posting,
    /// Bytes that are not.
    damage: Vec<(u64, u64)>,
}

impl Sealed {
    /// Its number; they rise within a stream.
    pub fn number(&self) -> u32 {
        self.segment.id
    }

    /// Reads it and checks every record. `pace` is told how many bytes are read next; it may wait, and ends it by `false`.
    /// Takes as much memory as the file has bytes.
    pub fn look(&self, pace: &mut dyn FnMut(u64) -> bool) -> Looked {
        let first = match self.pass(pace) {
            Ok(Some(ill)) if ill.damage.is_empty() => return Looked::Whole,
            Ok(Some(ill)) => ill,
            Ok(None) => return Looked::Stopped,
            Err(error) => return Looked::Failed(error),
        };
        match self.pass(pace) {
            Ok(Some(mut ill)) => {
                ill.damage.retain(|place| first.damage.contains(place));
                if ill.damage.is_empty() { Looked::Whole } else { Looked::Ill(ill) }
            }
            Ok(None) => Looked::Stopped,
            Err(error) => Looked::Failed(error),
        }
    }

    fn pass(&self, pace: &mut dyn FnMut(u64) -> bool) -> io::Result<Option<Ill>> {
        let Segment { id, generation, len, .. } = self.segment;
        let mut ill = Ill { id, generation, intact: Posting::default(), damage: Vec::new() };
        let file = match self.shared.disk.open(&self.segment.path(&self.shared.dir), false) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ill.damage.push((0, len));
                return Ok(Some(ill));
            }
            file => file?,
        };
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            let at = bytes.len() as u64;
            let wanted = PIECE.min(len - at);
            if !pace(wanted) {
                return Ok(None);
            }
            let piece = read_some(&file, at, wanted as usize)?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        let Ill { intact, damage, .. } = &mut ill;
        let end = scan(&self.format, &Bytes::from(bytes), FIRST, &mut |found| match found {
            Found::Record(_, record) => {
                let seq = record.head.seq;
                if record.head.kind == Kind::Message && intact.last().is_none_or(|last| seq > last) {
                    intact.push(seq);
                }
            }
            Found::Damage { from, to, .. } => damage.push((from, to)),
        });
        if end < len {
            ill.damage.push((end, len));
        }
        Ok(Some(ill))
    }
}

impl FileStore {
    pub(super) fn sealed_from(&self, from: u32) -> Option<Sealed> {
        let segment = self.segments.get(self.segments.partition_point(|segment| segment.id < from))?;
        let format = segment.format(&self.keys)?;
        Some(Sealed { shared: Arc::clone(&self.shared), segment: segment.clone(), format })
    }

    pub(super) fn take_ill(&mut self, ill: &Ill) -> u64 {
        let is_it = |segment: &Segment| (segment.id, segment.generation) == (ill.id, ill.generation);
        let Some(number) = self.segments.iter().position(is_it) else { return 0 };
        let Some(segment) = self.segments.get(number) else { return 0 };
        let (end, mut at) = (self.end_of(number), segment.base);
        let mut gone = Vec::new();
        while let Some(seq) = self.index.all().next(at).filter(|seq| *seq < end) {
            at = seq + 1;
            if !ill.intact.contains(seq) {
                gone.push(seq);
            }
        }
        for (from, to) in &ill.damage {
            let path = segment.path(&self.shared.dir);
            tracing::error!(path = %path.display(), from, to, messages = gone.len(), "a file of a stream is damaged");
        }
        // From now on it is read as it is on the disk.
        self.cache.borrow_mut().forget((ill.id, ill.generation));
        self.shared.found.lock().extend(&gone);
        gone.len() as u64
    }
}
