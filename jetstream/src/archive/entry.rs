//! Entries of an archive: what a stream is, its consumers, its messages.

use std::io::{self, Read, Write};

use super::MAGIC;

/// The name of the entry that holds the stream's state.
pub const STATE: &str = "state.json";
/// What names of consumers' entries begin with.
pub const CONSUMERS: &str = "consumers/";
/// Longest name, header block and payload together.
const ENTRY_MAX: u64 = 33 << 20;
/// Longest name of an entry: a subject.
const NAME_MAX: u64 = u16::MAX as u64;

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// A subject, or what else it is.
    pub name: Vec<u8>,
    /// Unix nanoseconds.
    pub ts: i64,
    /// The sequence of a message; 0 for what is none.
    pub seq: u64,
    /// The header block; empty for none.
    pub header: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Entry {
    /// It says that the archive is whole.
    pub fn is_end(&self) -> bool {
        *self == Self::default()
    }
}

/// Why bytes are no archive.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// They cannot be had.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// They begin otherwise.
    #[error("it is no archive of nats-server 2.15 or later: it does not begin with `NATSARC1`")]
    Magic,
    /// They end within an entry, or before the entry that ends an archive.
    #[error("the archive is cut off")]
    Cut,
    /// A number that is longer than 64 bits.
    #[error("a number of an entry is none")]
    Number,
    /// An entry says that it is larger than entries are.
    #[error("an entry of {0} bytes is larger than any may be")]
    TooLarge(u64),
}

/// Writes what an archive begins with.
///
/// # Errors
///
/// Those of `out`.
pub fn begin(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(MAGIC)
}

/// Writes an entry.
///
/// # Errors
///
/// Those of `out`.
pub fn write(out: &mut dyn Write, name: &[u8], ts: i64, seq: u64, header: &[u8], payload: &[u8]) -> io::Result<()> {
    let zigzag = (ts << 1 ^ ts >> 63).cast_unsigned();
    let mut head = Vec::with_capacity(48);
    for number in [name.len() as u64, zigzag, seq, header.len() as u64, payload.len() as u64] {
        crate::consumer::push_varint(&mut head, number);
    }
    out.write_all(&head)?;
    out.write_all(name)?;
    out.write_all(header)?;
    out.write_all(payload)
}

/// Reads the entries of an archive.
pub struct Entries<R> {
    input: R,
}

impl<R: Read> Entries<R> {
    /// An archive that begins here.
    ///
    /// # Errors
    ///
    /// [`EntryError`] if it does not.
    pub fn begin(mut input: R) -> Result<Self, EntryError> {
        let mut magic = [0; MAGIC.len()];
        match input.read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => Ok(Self { input }),
            Ok(()) => Err(EntryError::Magic),
            Err(error) => Err(cut(error)),
        }
    }

    /// The next entry, whatever it is. Memory is taken as its bytes come, not as it says.
    ///
    /// # Errors
    ///
    /// [`EntryError`].
    pub fn next_entry(&mut self) -> Result<Entry, EntryError> {
        let name = self.varint()?;
        let zigzag = self.varint()?;
        let (seq, header, payload) = (self.varint()?, self.varint()?, self.varint()?);
        let size = name.saturating_add(header).saturating_add(payload);
        if size > ENTRY_MAX || name > NAME_MAX {
            return Err(EntryError::TooLarge(size));
        }
        let ts = (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed());
        Ok(Entry { name: self.bytes(name)?, ts, seq, header: self.bytes(header)?, payload: self.bytes(payload)? })
    }

    /// What is behind the entries that were read.
    pub fn rest(&mut self) -> &mut R {
        &mut self.input
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, EntryError> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(count).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == count { Ok(bytes) } else { Err(EntryError::Cut) }
    }

    fn varint(&mut self) -> Result<u64, EntryError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.input.read_exact(&mut byte).map_err(cut)?;
            let [byte] = byte;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(EntryError::Number);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(EntryError::Number)
    }
}

fn cut(error: io::Error) -> EntryError {
    if error.kind() == io::ErrorKind::UnexpectedEof { EntryError::Cut } else { EntryError::Io(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What nats-server 2.15 writes for a message.
    const MESSAGE: &[u8] = b"NATSARC1\x01\xa6\xb1\xa9\xc3\xb2\xf3\xd7\xea1\x01\x00\x01ex\x00\x00\x00\x00\x00";

    #[test]
    fn the_other_servers_entries_are_read_and_written_alike() {
        let mut entries = Entries::begin(MESSAGE).unwrap();
        let one = entries.next_entry().unwrap();
        assert_eq!((one.name.as_slice(), one.seq, one.payload.as_slice()), (&b"e"[..], 1, &b"x"[..]));
        assert_eq!(one.ts, 1_795_440_698_950_233_171);
        assert!(entries.next_entry().unwrap().is_end());
        assert!(matches!(entries.next_entry(), Err(EntryError::Cut)));
        let mut out = Vec::new();
        begin(&mut out).unwrap();
        write(&mut out, b"e", one.ts, 1, b"", b"x").unwrap();
        write(&mut out, b"", 0, 0, b"", b"").unwrap();
        assert_eq!(out, MESSAGE);
    }

    #[test]
    fn what_is_no_archive_is_told_apart() {
        for (bytes, text) in [
            (&b"NATSARC"[..], "the archive is cut off"),
            (b"NATSARC2", "it does not begin with"),
            (b"NATSARC1\x01\x00", "cut off"),
            (b"NATSARC1\x05\x00\x00\x00\x00abc", "cut off"),
            (b"NATSARC1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "a number of an entry"),
            (b"NATSARC1\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "larger than any"),
            (b"NATSARC1\x80\x80\x04\x00\x00\x00\x00", "larger than any"),
        ] {
            let error = Entries::begin(bytes).and_then(|mut entries| entries.next_entry()).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            name in prop::collection::vec(any::<u8>(), 1..40), ts in any::<i64>(), seq in any::<u64>(),
            header in prop::collection::vec(any::<u8>(), 0..40), payload in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut out = Vec::new();
            begin(&mut out).unwrap();
            write(&mut out, &name, ts, seq, &header, &payload).unwrap();
            let read = Entries::begin(out.as_slice()).unwrap().next_entry().unwrap();
            prop_assert_eq!(read, Entry { name, ts, seq, header, payload });
        }
    }
}
