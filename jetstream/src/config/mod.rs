//! Configurations of streams and consumers: as they stand on the wire, completed, checked and compared.
//!
//! The types here say what was asked for; [`stream`], [`source`] and [`consumer`] hold one each. A configuration that was
//! not checked yet is only ever a local value of the request that carries it: what a stream or a consumer holds has been
//! completed and checked.

pub mod changes;
pub mod check;
pub mod consumer;
pub mod level;
pub mod moment;
pub(crate) mod origin;
pub mod source;
pub mod stream;

pub use consumer::{AckPolicy, ConsumerConfig, DeliverPolicy, PriorityPolicy, ReplayPolicy};
pub use moment::Moment;
pub use source::{ExternalStream, SourceConsumer, StreamSource, SubjectTransform};
pub use stream::{
    Compression, ConsumerLimits, Discard, PersistMode, Placement, Republish, Retention, Storage, StreamConfig,
};

/// Longest description of a stream or a consumer, in bytes.
pub const DESCRIPTION_MAX: usize = 4096;
/// Most bytes of all keys and values of metadata together.
pub const METADATA_MAX: usize = 128 * 1024;
/// Longest name of a stream or a consumer, in bytes.
pub const NAME_MAX: usize = 255;

/// It can name a stream or a consumer: not empty, at most [`NAME_MAX`] bytes, without white space, separators of tokens
/// or paths, and wildcards.
pub fn is_name(name: &str) -> bool {
    let refused = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | b'.' | b'*' | b'>' | b'/' | b'\\');
    !name.is_empty() && name.len() <= NAME_MAX && !name.bytes().any(|byte| refused(byte) || byte == 0)
}

/// It holds a separator of paths.
pub fn has_path_separator(name: &str) -> bool {
    name.contains(['/', '\\'])
}

/// For `serde(skip_serializing_if)`: the value is what a missing field means.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
