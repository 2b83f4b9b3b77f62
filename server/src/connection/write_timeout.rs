//! What becomes of a receiver that is slow: one rule for clients and leaf nodes.

use std::fmt;

/// What becomes of a receiver that does not take in time what waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteTimeout {
    /// Its connection ends.
    #[default]
    Close,
    /// It has as much time again, as long as it took something of it.
    Retry,
}

impl fmt::Display for WriteTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Close => "close",
            Self::Retry => "retry",
        })
    }
}
