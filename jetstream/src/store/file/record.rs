//! A record: the one form in which anything of a stream is on disk.
//!
//! ```text
//!  0  u32  check of the head: CRC32C of the file's salt, the record's offset and bytes 4 to 35
//!  4  u32  length of all of it
//!  8  u8   kind      9  u8  flags      10  u16  length of the subject      12  u32  length of the header block
//! 16  u64  sequence  24  i64  time
//! 32  u32  check of the body: CRC32C
//! 36       body: i64 when it ends (if flagged), subject, header block, payload; encrypted: 16 bytes of tag behind it
//! ```
//!
//! Where a message is compressed (flag 32), a u32 with the length of header block and payload before that stands at 36,
//! and the check of the head covers it; the body begins at 40, and header block and payload are one block of Snappy
//! ([`squeeze`](super::squeeze)) in it. Both checks and the encryption are of what is on disk.
//!
//! All numbers are little-endian. With the salt, which is another in each file, and the offset in its check, a record
//! is one in its own place only: not as a part of a message, not as what an earlier file left there. The head has a
//! check of its own so that looking for the next record behind damage costs a few bytes for each place.

use bytes::Bytes;

use super::seal::{Seal, TAG};
use super::squeeze;

/// Bytes before the body.
pub(crate) const HEAD: usize = 36;
/// The same of a message that is compressed.
pub(crate) const LONG_HEAD: usize = HEAD + 4;
/// Where the first record of a file stands: behind its header.
pub(crate) const FIRST: u64 = 64;

/// The message belongs to others that come or stay away together.
pub(crate) const TOGETHER: u8 = 1;
/// It is the first of them.
pub(crate) const OPENS: u8 = 2;
/// It is the last.
pub(crate) const CLOSES: u8 = 4;
/// The body begins with the time when it ends.
pub(crate) const ENDS: u8 = 8;
/// What is removed is to be overwritten.
pub(crate) const ERASES: u8 = 16;
/// Header block and payload are compressed.
pub(crate) const SQUEEZED: u8 = 32;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A message.
    Message = 1,
    /// Messages are no more: from the sequence on, as many as the time field says. Where a message has its end stands
    /// the last sequence of the stream, so that none is given again if the record before this one is damaged.
    Removed = 2,
    /// All messages below the sequence are no more, and none will have one below it.
    Below = 3,
    /// Sequences up to this one are used.
    Skip = 4,
    /// It was a message; its bytes are gone.
    Erased = 5,
    /// Of the journal: an entry of the owner in the subject.
    Entry = 6,
    /// Of the journal: what takes the place of the owner's entries.
    Snapshot = 7,
    /// Of the journal: the owner is no more.
    Forget = 8,
    /// What a whole file holds.
    Whole = 9,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        const ALL: [Kind; 9] = [
            Kind::Message,
            Kind::Removed,
            Kind::Below,
            Kind::Skip,
            Kind::Erased,
            Kind::Entry,
            Kind::Snapshot,
            Kind::Forget,
            Kind::Whole,
        ];
        ALL.get(usize::from(byte).wrapping_sub(1)).copied()
    }
}

/// A record to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct New<'a> {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) seq: u64,
    pub(crate) ts: i64,
    /// When it ends; 0 for never, and nothing is written then.
    pub(crate) expires: i64,
    pub(crate) subject: &'a [u8],
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// Header block and payload are to be compressed, if that is worth it.
    pub(crate) squeeze: bool,
}

impl<'a> New<'a> {
    /// A record that is no more than its kind, sequence and time.
    pub(crate) fn mark(kind: Kind, seq: u64, ts: i64) -> Self {
        Self { kind, flags: 0, seq, ts, expires: 0, subject: &[], header: &[], payload: &[], squeeze: false }
    }

    /// A record of a name and bytes.
    pub(crate) fn named(kind: Kind, name: &'a [u8], payload: &'a [u8]) -> Self {
        Self { subject: name, payload, ..Self::mark(kind, 0, 0) }
    }
}

/// What stands before the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) len: u32,
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) subject_len: u16,
    pub(crate) header_len: u32,
    pub(crate) seq: u64,
    pub(crate) ts: i64,
    /// Bytes of header block and payload before they were compressed; 0 if they are not.
    raw_len: u32,
    body_crc: u32,
}

/// A record that was read: its head and its body as it was before compression and encryption.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) head: Head,
    body: Bytes,
}

impl Record {
    fn ends_len(&self) -> usize {
        if self.head.flags & ENDS == 0 { 0 } else { 8 }
    }

    /// When it ends; 0 for never.
    pub(crate) fn expires(&self) -> i64 {
        if self.ends_len() == 0 { 0 } else { self.body.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes)) }
    }

    /// Subject, header block and payload, one behind the other.
    pub(crate) fn content(&self) -> Bytes {
        self.body.slice(self.ends_len().min(self.body.len())..)
    }

    /// Its subject.
    pub(crate) fn subject(&self) -> &[u8] {
        let from = self.ends_len();
        self.body.get(from..from + usize::from(self.head.subject_len)).unwrap_or_default()
    }

    /// What follows subject and header block.
    pub(crate) fn payload(&self) -> &[u8] {
        let from = self.ends_len() + usize::from(self.head.subject_len) + self.head.header_len as usize;
        self.body.get(from..).unwrap_or_default()
    }
}

/// How long the record of a message is that has so many bytes of subject, headers and payload, does not expire and is not
/// compressed.
pub(crate) fn record_len(content: u64, encrypted: bool) -> u64 {
    HEAD as u64 + content + if encrypted { TAG as u64 } else { 0 }
}

/// How the records of one file are written and read.
#[derive(Debug)]
pub(crate) struct Format {
    salt: u32,
    seal: Option<Seal>,
}

impl Format {
    pub(crate) fn new(salt: &[u8; 16], seal: Option<Seal>) -> Self {
        Self { salt: crc32c::crc32c(salt), seal }
    }

    fn tag(&self) -> usize {
        if self.seal.is_some() { TAG } else { 0 }
    }

    /// How long a record of this content is, if it is not compressed.
    pub(crate) fn len_of(&self, new: &New<'_>) -> usize {
        let ends = if new.expires == 0 { 0 } else { 8 };
        HEAD + ends + new.subject.len() + new.header.len() + new.payload.len() + self.tag()
    }

    /// The check of `head`, which stands at `offset` of this file and no other.
    pub(crate) fn check(&self, head: &[u8], offset: u64) -> u32 {
        let seed = crc32c::crc32c_append(self.salt, &offset.to_le_bytes());
        crc32c::crc32c_append(seed, head)
    }

    /// Appends a record that will stand at `offset` of its file. Its lengths were checked to fit.
    pub(crate) fn encode(&self, into: &mut Vec<u8>, offset: u64, new: &New<'_>) {
        let at = into.len();
        into.extend_from_slice(&[0; HEAD]);
        let raw_len = if new.squeeze { squeezed(into, new) } else { None };
        if raw_len.is_none() {
            put_front(into, new);
            into.extend_from_slice(new.header);
            into.extend_from_slice(new.payload);
        }
        let ends = if new.expires == 0 { 0 } else { ENDS };
        let flags = new.flags | ends | if raw_len.is_some() { SQUEEZED } else { 0 };
        let len = into.len() - at + self.tag();
        let Some(record) = into.get_mut(at..) else { return };
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = record.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(4, &(len as u32).to_le_bytes());
        put(8, &[new.kind as u8, flags]);
        put(10, &(new.subject.len() as u16).to_le_bytes());
        put(12, &(new.header.len() as u32).to_le_bytes());
        put(16, &new.seq.to_le_bytes());
        put(24, &new.ts.to_le_bytes());
        if let Some(raw_len) = raw_len {
            put(HEAD, &raw_len.to_le_bytes());
        }
        if let Some(seal) = &self.seal {
            let clear = Clear::of(record, flags);
            let body = record.get_mut(head_len(flags)..).unwrap_or_default();
            let tag = seal.encrypt(offset, clear.as_bytes(), body);
            into.extend_from_slice(&tag);
        }
        self.finish(into.get_mut(at..).unwrap_or_default(), offset);
    }

    /// Sets the checks of the record that `bytes` are.
    fn finish(&self, bytes: &mut [u8], offset: u64) {
        let flags = bytes.get(9).copied().unwrap_or_default();
        let body_crc = crc32c::crc32c(bytes.get(HEAD..).unwrap_or_default()).to_le_bytes();
        if let Some(place) = bytes.get_mut(HEAD - 4..HEAD) {
            place.copy_from_slice(&body_crc);
        }
        let head_crc = self.check(bytes.get(4..head_len(flags)).unwrap_or_default(), offset).to_le_bytes();
        if let Some(place) = bytes.first_chunk_mut() {
            *place = head_crc;
        }
    }

    /// What takes the place of a message at `offset` whose bytes are to go. Its lengths stay, so that its size is known.
    pub(crate) fn erased(&self, head: &Head, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let erased = New { flags: head.flags, ..New::mark(Kind::Erased, head.seq, head.ts) };
        Self { salt: self.salt, seal: None }.encode(&mut bytes, offset, &erased);
        bytes.resize(head.len as usize, 0);
        let raw_len = head.raw_len.to_le_bytes();
        let lengths = [
            (4, &head.len.to_le_bytes()[..]),
            (10, &head.subject_len.to_le_bytes()),
            (12, &head.header_len.to_le_bytes()),
            (HEAD, if head.is_squeezed() { &raw_len } else { &[] }),
        ];
        for (at, length) in lengths {
            if let Some(place) = bytes.get_mut(at..at + length.len()) {
                place.copy_from_slice(length);
            }
        }
        self.finish(&mut bytes, offset);
        bytes
    }

    /// The head of a record that begins with `bytes` and stands at `offset`; `None` if there is none.
    pub(crate) fn head(&self, bytes: &[u8], offset: u64) -> Option<Head> {
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        let (crc, rest) = head.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let ([kind, flags], rest) = rest.split_first_chunk::<2>()?;
        let kind = Kind::of(*kind)?;
        let (subject_len, rest) = rest.split_first_chunk::<2>()?;
        let (header_len, rest) = rest.split_first_chunk::<4>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (ts, rest) = rest.split_first_chunk::<8>()?;
        let covered = bytes.get(4..head_len(*flags))?;
        let found = Head {
            len: u32::from_le_bytes(*len),
            kind,
            flags: *flags,
            subject_len: u16::from_le_bytes(*subject_len),
            header_len: u32::from_le_bytes(*header_len),
            seq: u64::from_le_bytes(*seq),
            ts: i64::from_le_bytes(*ts),
            raw_len: covered.get(HEAD - 4..).and_then(<[u8]>::first_chunk).map_or(0, |len| u32::from_le_bytes(*len)),
            body_crc: u32::from_le_bytes(*rest.first_chunk()?),
        };
        let least = head_len(*flags) + if kind == Kind::Erased { 0 } else { self.tag() + found.ahead() };
        (found.len as usize >= least && found.agrees() && u32::from_le_bytes(*crc) == self.check(covered, offset))
            .then_some(found)
    }

    /// The record that begins with `bytes`; `None` if there is none, or not all of it.
    pub(crate) fn record(&self, bytes: &Bytes, offset: u64) -> Option<Record> {
        let head = self.head(bytes, offset)?;
        if bytes.len() < head.len as usize || crc32c::crc32c(bytes.get(HEAD..head.len as usize)?) != head.body_crc {
            return None;
        }
        let mut body = bytes.slice(head_len(head.flags)..head.len as usize);
        if head.kind == Kind::Erased {
            return Some(Record { head, body });
        }
        if let Some(seal) = &self.seal {
            body = seal.decrypt(offset, Clear::of(bytes, head.flags).as_bytes(), &body)?.into();
        }
        if head.is_squeezed() {
            let (front, packed) = body.split_at_checked(head.ahead())?;
            body = squeeze::unpack(front, packed, head.raw_len as usize)?.into();
        }
        Some(Record { head, body })
    }

    /// The record with as much of its body as there is, unchecked: good for its subject if the index agrees with it.
    pub(crate) fn beginning(&self, bytes: &Bytes, offset: u64) -> Option<Record> {
        let head = self.head(bytes, offset)?;
        let end = bytes.len().min(head.len as usize);
        let body = bytes.slice(head_len(head.flags).min(end)..end);
        (self.seal.is_none() && body.len() >= head.ahead()).then_some(Record { head, body })
    }
}

/// Bytes before the body of a record with these flags.
fn head_len(flags: u8) -> usize {
    if flags & SQUEEZED == 0 { HEAD } else { LONG_HEAD }
}

/// What of a record's head is authenticated with its body.
struct Clear {
    bytes: [u8; 32],
    len: usize,
}

impl Clear {
    /// Of the record that begins with `record`: its head without the checks.
    fn of(record: &[u8], flags: u8) -> Self {
        let (numbers, raw_len) = (record.get(4..32).unwrap_or_default(), record.get(HEAD..head_len(flags)));
        let raw_len = raw_len.unwrap_or_default();
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().zip(numbers.iter().chain(raw_len)) {
            *place = *byte;
        }
        Self { bytes, len: numbers.len() + raw_len.len() }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

fn put_front(into: &mut Vec<u8>, new: &New<'_>) {
    if new.expires != 0 {
        into.extend_from_slice(&new.expires.to_le_bytes());
    }
    into.extend_from_slice(new.subject);
}

/// Puts the body behind the head, compressed, and gives how long header block and payload are; does nothing if that is
/// not worth it.
fn squeezed(into: &mut Vec<u8>, new: &New<'_>) -> Option<u32> {
    let before = into.len();
    into.extend_from_slice(&[0; LONG_HEAD - HEAD]);
    put_front(into, new);
    let raw_len = squeeze::pack(into, new.header, new.payload);
    if raw_len.is_none() {
        into.truncate(before);
    }
    raw_len
}

impl Head {
    fn is_squeezed(&self) -> bool {
        self.flags & SQUEEZED != 0
    }

    /// What it says of compression can be.
    fn agrees(&self) -> bool {
        let is_message = matches!(self.kind, Kind::Message | Kind::Erased);
        !self.is_squeezed() || (is_message && self.raw_len >= self.header_len && self.raw_len as usize <= squeeze::MOST)
    }

    /// Bytes of the body before the payload, or before what is compressed.
    pub(crate) fn ahead(&self) -> usize {
        let ends = if self.flags & ENDS == 0 { 0 } else { 8 };
        let header = if self.is_squeezed() { 0 } else { self.header_len as usize };
        ends + usize::from(self.subject_len) + header
    }

    /// Bytes of the payload.
    pub(crate) fn payload_len(&self, encrypted: bool) -> usize {
        if self.is_squeezed() {
            return self.raw_len.saturating_sub(self.header_len) as usize;
        }
        let tag = if encrypted { TAG } else { 0 };
        (self.len as usize).saturating_sub(HEAD + tag + self.ahead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; 16] = [7; 16];

    fn example(format: &Format) -> Vec<u8> {
        let mut bytes = Vec::new();
        let new = New { seq: 9, ts: -4, expires: 77, header: b"H", ..New::named(Kind::Message, b"a.b", b"payload") };
        format.encode(&mut bytes, 640, &new);
        assert_eq!(bytes.len(), format.len_of(&new));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let format = Format::new(&SALT, None);
        let record = format.record(&example(&format).into(), 640).unwrap();
        assert_eq!((record.head.seq, record.head.ts, record.expires()), (9, -4, 77));
        assert_eq!((record.subject(), record.payload()), (&b"a.b"[..], &b"payload"[..]));
        assert_eq!(&record.content()[..], b"a.bHpayload");
    }

    #[test]
    fn any_bit_that_differs_makes_it_no_record() {
        let format = Format::new(&SALT, None);
        let bytes = example(&format);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(format.record(&bad.into(), 640).is_none(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(format.record(&bytes[..len].to_vec().into(), 640).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn a_record_is_one_only_in_its_place_and_its_file() {
        let format = Format::new(&SALT, None);
        let bytes = Bytes::from(example(&format));
        assert!(format.record(&bytes, 641).is_none());
        assert!(Format::new(&[8; 16], None).record(&bytes, 640).is_none());
    }

    fn sealed() -> Format {
        Format::new(&SALT, Some(Seal::new(&super::super::AccountKey::generate("A"), "S", &SALT)))
    }

    /// A message that compresses well.
    fn squeezed(format: &Format) -> Vec<u8> {
        let mut bytes = Vec::new();
        let payload = b"over and over ".repeat(20);
        let new = New { seq: 9, ts: -4, expires: 77, header: b"Header", ..New::named(Kind::Message, b"a.b", &payload) };
        format.encode(&mut bytes, 640, &New { squeeze: true, ..new });
        assert!(bytes.len() < 150, "{}", bytes.len());
        bytes
    }

    #[test]
    fn what_is_compressed_is_read_as_it_came_and_its_size_is_told_by_its_head() {
        for format in [Format::new(&SALT, None), sealed()] {
            let bytes = Bytes::from(squeezed(&format));
            let record = format.record(&bytes, 640).unwrap();
            assert_eq!((record.head.seq, record.head.ts, record.expires()), (9, -4, 77));
            assert_eq!((record.subject(), record.payload()), (&b"a.b"[..], &b"over and over ".repeat(20)[..]));
            assert!(record.content().starts_with(b"a.bHeaderover and"));
            assert_eq!(format.head(&bytes, 640).unwrap().payload_len(format.seal.is_some()), 280);
            assert!(format.record(&bytes, 641).is_none());
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(format.record(&bad.into(), 640).is_none(), "bit {bit}");
            }
            for len in 0..bytes.len() {
                assert!(format.record(&bytes.slice(..len), 640).is_none(), "{len} bytes");
            }
            let erased = Bytes::from(format.erased(&record.head, 640));
            assert!(erased.len() == bytes.len() && erased[LONG_HEAD..].iter().all(|byte| *byte == 0));
            let gone = format.record(&erased, 640).unwrap();
            assert_eq!((gone.head.kind, gone.head.payload_len(format.seal.is_some())), (Kind::Erased, 280));
        }
        let short = Format::new(&SALT, None);
        let beginning = Bytes::from(squeezed(&short)).slice(..60);
        assert_eq!(short.beginning(&beginning, 640).unwrap().subject(), b"a.b");
    }

    #[test]
    fn what_lies_about_its_length_is_no_record() {
        let format = Format::new(&SALT, None);
        for raw_len in [0, 5, 285, 287, 6000, u32::MAX] {
            let mut bytes = squeezed(&format);
            bytes[HEAD..LONG_HEAD].copy_from_slice(&raw_len.to_le_bytes());
            format.finish(&mut bytes, 640);
            assert!(format.record(&bytes.into(), 640).is_none(), "{raw_len}");
        }
        // Only messages are compressed.
        let mut bytes = squeezed(&format);
        bytes[8] = Kind::Whole as u8;
        format.finish(&mut bytes, 640);
        assert!(format.head(&bytes, 640).is_none());
        // The key holder's length is the one that counts.
        let format = sealed();
        let mut bytes = squeezed(&format);
        bytes[HEAD..LONG_HEAD].copy_from_slice(&285_u32.to_le_bytes());
        format.finish(&mut bytes, 640);
        assert!(format.head(&bytes, 640).is_some() && format.record(&bytes.into(), 640).is_none());
    }

    #[test]
    fn what_is_erased_keeps_its_place_and_nothing_else() {
        let format = Format::new(&SALT, None);
        let bytes = example(&format);
        let head = format.head(&bytes, 640).unwrap();
        let erased = format.erased(&head, 640);
        assert_eq!(erased.len(), bytes.len());
        assert!(erased[HEAD..].iter().all(|byte| *byte == 0));
        let record = format.record(&erased.into(), 640).unwrap();
        assert_eq!((record.head.kind, record.head.seq), (Kind::Erased, 9));
    }
}
