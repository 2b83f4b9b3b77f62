//! A pattern from claims or configuration: checked once, when it is read.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::matching;

/// Longest pattern accepted, in bytes. The protocol has no bound; claims come from outside and need one.
pub const PATTERN_BYTES_MAX: usize = 4096;

/// A valid subject, possibly with wildcards, as it stands in claims and configuration. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Arc<str>,
    literal: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Nothing there.
    #[error("subject is empty")]
    Empty,
    /// Two separators in a row, or one at an end.
    #[error("subject `{0}` has an empty token; remove the extra `.`")]
    EmptyToken(String),
    /// `>` before the last token.
    #[error("subject `{0}` has `>` before its last token; use `*` there")]
    TailNotLast(String),
    /// Longer than [`PATTERN_BYTES_MAX`].
    #[error("subject of {0} bytes is too long; at most 4096 are allowed")]
    TooLong(usize),
    /// Space, tab, newline, form feed or carriage return.
    #[error("subject `{}` contains white space", .0.escape_debug())]
    WhiteSpace(String),
}

impl Pattern {
    /// Reads a pattern by the rules for configuration and claims: tokens not empty, `>` only last, no white space.
    ///
    /// # Errors
    /// [`SubjectError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        if text.is_empty() {
            return Err(SubjectError::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(SubjectError::TooLong(text.len()));
        }
        if text.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')) {
            return Err(SubjectError::WhiteSpace(text.to_owned()));
        }
        if !matching::is_publishable(text.as_bytes()) {
            return Err(SubjectError::EmptyToken(text.to_owned()));
        }
        if !matching::is_valid(text.as_bytes()) {
            return Err(SubjectError::TailNotLast(text.to_owned()));
        }
        Ok(Self { text: Arc::from(text), literal: matching::is_literal(text.as_bytes()) })
    }

    /// The pattern that matches every subject: `>`.
    pub fn everything() -> Self {
        Self { text: Arc::from(">"), literal: false }
    }

    /// The text as it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text as bytes, for the wire's functions.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// True if it has no wildcard and so matches exactly one subject.
    pub fn is_literal(&self) -> bool {
        self.literal
    }

    /// Number of `*` tokens; a trailing `>` does not count.
    pub fn wildcard_count(&self) -> usize {
        matching::tokens(self.as_bytes()).filter(|token| *token == matching::ANY_TOKEN).count()
    }

    /// True if the last token is `>`.
    pub fn has_tail(&self) -> bool {
        matching::tokens(self.as_bytes()).last() == Some(matching::ANY_TAIL)
    }

    /// True if the literal `subject` is one of its subjects.
    pub fn matches(&self, subject: &[u8]) -> bool {
        if self.literal { self.as_bytes() == subject } else { matching::matches(self.as_bytes(), subject) }
    }

    /// True if it matches every subject that `other` matches.
    pub fn contains(&self, other: &Self) -> bool {
        matching::contains(self.as_bytes(), other.as_bytes())
    }

    /// True if some subject is matched by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        matching::overlaps(self.as_bytes(), other.as_bytes())
    }

    /// The pattern of exactly the subjects both match, if there are any.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let common = matching::intersection(self.as_bytes(), other.as_bytes())?;
        Self::parse(std::str::from_utf8(&common).ok()?).ok()
    }

    /// Orders the more specific first: token by token a literal before `*` before `>`, then by text.
    ///
    /// A pattern that is contained in another comes before it; patterns that only overlap have a fixed order too.
    pub fn by_specificity(&self, other: &Self) -> Ordering {
        let ours = matching::tokens(self.as_bytes()).map(looseness);
        let theirs = matching::tokens(other.as_bytes()).map(looseness);
        other.literal.cmp(&self.literal).then_with(|| ours.cmp(theirs)).then_with(|| self.text.cmp(&other.text))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

impl FromStr for Pattern {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        Self::parse(text)
    }
}

impl AsRef<[u8]> for Pattern {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// How much one token leaves open.
fn looseness(token: &[u8]) -> u8 {
    match token {
        matching::ANY_TOKEN => 1,
        matching::ANY_TAIL => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_patterns_are_refused_with_the_rule_they_break() {
        for (text, wanted) in [
            ("", SubjectError::Empty),
            (".", SubjectError::EmptyToken(".".into())),
            (".a", SubjectError::EmptyToken(".a".into())),
            ("a.", SubjectError::EmptyToken("a.".into())),
            ("a..b", SubjectError::EmptyToken("a..b".into())),
            ("a.>.b", SubjectError::TailNotLast("a.>.b".into())),
            (">.a", SubjectError::TailNotLast(">.a".into())),
            (" ", SubjectError::WhiteSpace(" ".into())),
            ("a b", SubjectError::WhiteSpace("a b".into())),
            ("a\tb", SubjectError::WhiteSpace("a\tb".into())),
            ("a\n", SubjectError::WhiteSpace("a\n".into())),
        ] {
            assert_eq!(Pattern::parse(text), Err(wanted), "{text:?}");
        }
        assert!(Pattern::parse(&"a".repeat(PATTERN_BYTES_MAX)).is_ok());
        for length in [PATTERN_BYTES_MAX + 1, 5000] {
            assert_eq!(Pattern::parse(&"a".repeat(length)), Err(SubjectError::TooLong(length)));
        }
    }

    #[test]
    fn what_two_patterns_have_in_common_is_a_pattern() {
        for (one, other, common) in [("a.*", "*.b", Some("a.b")), ("a.>", "a.*", Some("a.*")), ("a.*", "b.*", None)] {
            let (one, other) = (Pattern::parse(one).unwrap(), Pattern::parse(other).unwrap());
            assert_eq!(one.overlaps(&other), common.is_some());
            let intersection = one.intersection(&other);
            assert_eq!(intersection.as_ref().map(AsRef::as_ref), common.map(str::as_bytes));
        }
    }

    #[test]
    fn wildcard_characters_inside_a_token_are_ordinary() {
        for text in ["foo*", "fo>o", ">x", "a*b.c", "**", ">>"] {
            assert!(Pattern::parse(text).unwrap().is_literal(), "{text}");
        }
        for text in ["*", ">", "a.*", "a.>", "*.a"] {
            assert!(!Pattern::parse(text).unwrap().is_literal(), "{text}");
        }
    }

    #[test]
    fn the_contained_pattern_is_the_more_specific() {
        let ordered = ["a.b", "a.b.*", "a.b.>", "a.*.c", "a.*", "a.>", "*.b", "*.>", ">"];
        let patterns: Vec<Pattern> = ordered.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        for one in &patterns {
            for other in &patterns {
                if one != other && other.contains(one) {
                    assert_eq!(one.by_specificity(other), Ordering::Less, "{one} {other}");
                }
            }
        }
    }
}
