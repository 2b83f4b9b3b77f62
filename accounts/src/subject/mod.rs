//! Subjects: the names messages travel under, the patterns that select them, and the rules that rewrite them.
//!
//! A subject is tokens separated by `.`. In a pattern a token that is exactly `*` stands for any one token, and
//! a last token that is exactly `>` for one or more; anywhere else both are ordinary characters.

mod mapping;
pub mod matching;
mod pattern;
pub mod transform;

pub use mapping::{Destination, MapOutcome, MappingError, MappingProblem, Mappings};
pub use pattern::{PATTERN_BYTES_MAX, Pattern, SubjectError};
pub use transform::{Transform, TransformError};
