//! What a file that grows was called when it was made, in its header: a copy under another name is told by it.
//!
//! 12 bytes, behind the [mark](super::mark) and before the header's check:
//!
//! ```text
//! 48  u64  the first bytes of SHA-256 of the names of stream and file: number, generation, first sequence, salt
//! 56  u32  CRC32C of the header's own salt, a place that no record has, and those 8 bytes
//! ```
//!
//! A stamp whose check is not right says nothing, and neither do zeros, which earlier versions left there: the file is
//! taken for what its name says. So damage there costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::StoreError;
use super::disk::{Disk, io_error};
use super::read::read_some;
use super::record::{FIRST, Format};
use super::segment::Segment;
use super::whole::Keys;

/// Where it stands.
pub(crate) const AT: usize = 48;
/// Its bytes.
pub(crate) const LEN: usize = 12;
/// What stands there in files that need none: they hold their names, or mean nothing by themselves.
pub(crate) const NONE: [u8; LEN] = [0; LEN];
/// What its check begins with, where a record's has its offset. One below that of a mark.
const PLACE: u64 = u64::MAX - 1;

/// What is logged of such a file.
pub(crate) const FOREIGN: &str =
    "a file of a stream was made under another name or in another stream: it is left alone";

/// What a file's header says of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// That it is the one that it was made with; or nothing.
    Own,
    /// That it was made under another name with the same salt: it is a copy, or was moved.
    Copied,
    /// That another file was written over it: the salt differs, too, so nothing in it can be read by this name.
    Overwritten,
}

/// The stamp of a file of this stream that is made with this name and salt.
pub(crate) fn of(stream: &str, name: &str, salt: &[u8; 16]) -> [u8; LEN] {
    let digest = Sha256::new_with_prefix(stream.as_bytes()).chain_update([0]).chain_update(name.as_bytes()).finalize();
    let mut stamp = NONE;
    let (print, check) = stamp.split_at_mut(LEN - 4);
    print.iter_mut().zip(digest).for_each(|(place, byte)| *place = byte);
    check.copy_from_slice(&Format::new(salt, None).check(print, PLACE).to_le_bytes());
    stamp
}

/// What the header that `bytes` begin with says, of a file of this stream that was found under `name`, with this salt.
fn read(bytes: &[u8], stream: &str, name: &str, salt: &[u8; 16]) -> Origin {
    let written = bytes.get(8..).and_then(<[u8]>::first_chunk::<16>);
    let stamp = bytes.get(AT..).and_then(<[u8]>::first_chunk::<LEN>);
    let (Some(written), Some(stamp)) = (written, stamp) else { return Origin::Own };
    let (print, check) = stamp.split_at(LEN - 4);
    let is_right = *stamp != NONE && Format::new(written, None).check(print, PLACE).to_le_bytes() == *check;
    match (is_right && *stamp != of(stream, name, written), written == salt) {
        (false, _) => Origin::Own,
        (true, true) => Origin::Copied,
        (true, false) => Origin::Overwritten,
    }
}

/// The segments that are not what their names say, by name, to be left alone. What was written over by another file
/// counts where the stream has its own of that number; else it stays, unreadable, so that what it held shows as lost.
/// Headers are read of those that `looks` is true of.
///
/// # Errors
///
/// [`StoreError::Io`].
pub(crate) fn foreign(
    disk: &dyn Disk,
    dir: &Path,
    keys: &Keys,
    all: &[Segment],
    looks: impl Fn(&Segment) -> bool,
) -> Result<BTreeSet<String>, StoreError> {
    let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
    let (mut found, mut overwritten) = (BTreeSet::new(), Vec::new());
    for segment in all {
        let name = segment.name();
        let origin = if looks(segment) { origin(disk, dir, keys, &name, &segment.salt)? } else { Origin::Own };
        match origin {
            Origin::Own => *numbers.entry(segment.id).or_default() += 1,
            Origin::Copied => drop(found.insert(name)),
            Origin::Overwritten => overwritten.push(segment),
        }
    }
    found.extend(overwritten.iter().filter(|segment| numbers.contains_key(&segment.id)).map(|segment| segment.name()));
    Ok(found)
}

/// What the header of a file says, of the stream in the folder `dir`.
///
/// # Errors
///
/// [`StoreError::Io`].
pub(crate) fn origin(
    disk: &dyn Disk,
    dir: &Path,
    keys: &Keys,
    name: &str,
    salt: &[u8; 16],
) -> Result<Origin, StoreError> {
    let path = dir.join(name);
    let file = disk.open(&path, false).map_err(io_error("open", &path))?;
    let bytes = read_some(&file, 0, FIRST as usize).map_err(io_error("read", &path))?;
    Ok(read(&bytes, &keys.stream, name, salt))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::whole;
    use super::*;

    fn header(segment: &Segment, stream: &str) -> Vec<u8> {
        let keys = Keys { key: None, stream: stream.to_owned() };
        keys.header(&segment.name(), &segment.salt, segment.encrypted).to_vec()
    }

    fn found(bytes: &[u8], stream: &str, segment: &Segment) -> Origin {
        read(bytes, stream, &segment.name(), &segment.salt)
    }

    #[test]
    fn a_name_is_known_again_and_any_other_is_not() {
        let segment = Segment { generation: 2, ..Segment::new(7, 99, false) };
        let bytes = header(&segment, "S");
        assert_eq!(found(&bytes, "S", &segment), Origin::Own);
        let others = [
            Segment { id: 8, ..segment.clone() },
            Segment { generation: 3, ..segment.clone() },
            Segment { base: 98, ..segment.clone() },
            Segment { encrypted: true, ..segment.clone() },
        ];
        for other in others {
            assert_eq!(found(&bytes, "S", &other), Origin::Copied, "{}", other.name());
        }
        assert_eq!(found(&bytes, "T", &segment), Origin::Copied, "of another stream");
        let other = Segment { salt: [1; 16], ..segment.clone() };
        assert_eq!(found(&bytes, "S", &other), Origin::Overwritten);
    }

    #[test]
    fn zeros_and_damage_say_nothing() {
        let segment = Segment::new(7, 99, false);
        let other = Segment { id: 8, ..segment.clone() };
        let old = whole::header(&segment.salt, false, NONE);
        assert_eq!((found(&old, "S", &segment), found(&old, "S", &other)), (Origin::Own, Origin::Own));
        let bytes = header(&segment, "S");
        for bit in (8 * 8..24 * 8).chain(AT * 8..(AT + LEN) * 8) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(found(&bad, "S", &segment), Origin::Own, "bit {bit}");
            assert_eq!(found(&bad, "S", &other), Origin::Own, "bit {bit}");
        }
        for len in 0..AT + LEN {
            assert_eq!(found(&bytes[..len], "S", &other), Origin::Own, "{len} bytes");
        }
    }

    proptest! {
        /// A header tells two names apart exactly when they differ.
        #[test]
        fn a_header_means_one_name_alone(
            one in (0..9_u32, 0..9_u32, 0..9_u64, any::<bool>(), "[ST]"),
            two in (0..9_u32, 0..9_u32, 0..9_u64, any::<bool>(), "[ST]"),
            salt in any::<[u8; 16]>(),
        ) {
            let of = |(id, generation, base, encrypted, _): &(u32, u32, u64, bool, String)| {
                Segment { generation: *generation, salt, ..Segment::new(*id, *base, *encrypted) }
            };
            let expected = if one == two { Origin::Own } else { Origin::Copied };
            prop_assert_eq!(found(&header(&of(&one), &one.4), &two.4, &of(&two)), expected);
        }
    }
}
