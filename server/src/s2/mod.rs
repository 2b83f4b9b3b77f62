//! S2, the compression between leaf nodes: the stream format of `klauspost/compress/s2`, which is that of Snappy with longer
//! blocks and repeated offsets.
//!
//! ```text
//! stream = (kind(1) length(3, little endian) body)..
//! ff stream identifier   00 compressed block, 01 plain block: checksum(4) and block   80..fe skipped   else an error
//! ```
//!
//! [`block`], [`incoming`] and [`outgoing`] have no socket and no clock. Blocks that go out are Snappy's, which is S2
//! too. What comes in may be hostile, and before a peer has proved who it is nothing of it is known: a block is decoded
//! by code without `unsafe`, within bounds on its length in either form, and of one read no more than [`STEP`] bytes are
//! decoded before others have their turn.

pub mod block;
pub mod incoming;
pub mod outgoing;

/// What a stream begins with.
pub const MAGIC: [u8; 10] = *b"\xff\x06\x00\x00S2sTwO";
/// The same of Snappy.
pub const MAGIC_SNAPPY: [u8; 10] = *b"\xff\x06\x00\x00sNaPpY";
/// Longest block of a peer that has proved who it is, decoded: what the format allows.
pub const BLOCK_MAX: usize = 4 * 1024 * 1024;
/// Decoded bytes after which others have their turn.
pub const STEP: usize = 4 * 1024 * 1024;

/// The checksum of a block: CRC-32C, masked as Snappy has it.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
