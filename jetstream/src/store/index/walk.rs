//! The subjects that a pattern matches, out of all in byte order, without looking at most of the others.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use cordon_accounts::subject::Pattern;
use cordon_accounts::subject::matching::{ANY_TAIL, ANY_TOKEN, SEPARATOR, tokens};

use super::text::Text;

/// Subjects in byte order with their numbers.
pub(crate) type Ordered = BTreeMap<Text, u32>;

/// The byte that follows the separator: everything under `a.` lies below `a/`.
const PAST: u8 = SEPARATOR + 1;

/// Walks the subjects of one pattern.
pub(crate) struct Walk<'a> {
    all: &'a Ordered,
    pattern: &'a [u8],
    range: Range<'a, Text, u32>,
}

impl<'a> Walk<'a> {
    /// From the first subject above `after`.
    pub(crate) fn new(all: &'a Ordered, pattern: &'a Pattern, after: Option<&[u8]>) -> Self {
        let pattern = pattern.as_bytes();
        let prefix = literal_prefix(pattern);
        let range = match after {
            Some(after) if after >= prefix => from(all, Bound::Excluded(after)),
            _ => from(all, Bound::Included(prefix)),
        };
        Self { all, pattern, range }
    }
}

/// One subject that a walk looked at.
pub(crate) enum Step<'a> {
    /// It matches.
    Found(&'a Text, u32),
    /// It does not.
    Passed(&'a Text),
}

impl<'a> Walk<'a> {
    /// Looks at one subject more.
    pub(crate) fn step(&mut self) -> Option<Step<'a>> {
        let (subject, &id) = self.range.next()?;
        if !subject.starts_with(literal_prefix(self.pattern)) {
            return None;
        }
        match compare(self.pattern, subject) {
            Verdict::Matches => return Some(Step::Found(subject, id)),
            Verdict::Next => {}
            Verdict::Seek(to) => self.range = from(self.all, Bound::Included(&to)),
        }
        Some(Step::Passed(subject))
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (&'a Text, u32);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Step::Found(subject, id) = self.step()? {
                return Some((subject, id));
            }
        }
    }
}

fn from<'a>(all: &'a Ordered, bound: Bound<&[u8]>) -> Range<'a, Text, u32> {
    all.range::<[u8], _>((bound, Bound::Unbounded))
}

/// What stands before the first wildcard, its separator included.
fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let mut at = 0;
    for token in tokens(pattern) {
        if token == ANY_TOKEN || token == ANY_TAIL {
            return pattern.get(..at).unwrap_or_default();
        }
        at += token.len() + 1;
    }
    pattern
}

enum Verdict {
    Matches,
    /// The subject behind it may match.
    Next,
    /// None matches before this one.
    Seek(Vec<u8>),
}

fn compare(pattern: &[u8], subject: &[u8]) -> Verdict {
    let mut wanted = tokens(pattern);
    let mut given = tokens(subject);
    // Where the current token of the subject begins.
    let mut at = 0;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Verdict::Matches,
            (Some(want), Some(_)) if want == ANY_TAIL && wanted.is_at_end() => return Verdict::Matches,
            (Some(want), Some(have)) => {
                if want != have && want != ANY_TOKEN {
                    return seek(subject, at, want);
                }
                at += have.len() + 1;
            }
            // The subject ends early: `a` stands before `a-.b`, and that before `a.b`.
            (Some(_), None) => return Verdict::Next,
            // The subject goes on too long, and so does everything under the same tokens.
            (None, Some(_)) => return Verdict::Seek(past(subject, at)),
        }
    }
}

/// Where `want` can stand as the token at `at`: there, or under another parent.
fn seek(subject: &[u8], at: usize, want: &[u8]) -> Verdict {
    let mut to = subject.get(..at).unwrap_or_default().to_vec();
    to.extend_from_slice(want);
    if to.as_slice() > subject {
        return Verdict::Seek(to);
    }
    // `want.` may still come: a token that goes on with a byte below the separator stands before it.
    to.push(SEPARATOR);
    if to.as_slice() > subject {
        return Verdict::Seek(to);
    }
    if at == 0 { Verdict::Next } else { Verdict::Seek(past(subject, at)) }
}

/// Beyond everything that shares the tokens before `at`.
fn past(subject: &[u8], at: usize) -> Vec<u8> {
    let mut to = subject.get(..at.saturating_sub(1)).unwrap_or_default().to_vec();
    to.push(PAST);
    to
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ordered(subjects: &[String]) -> Ordered {
        subjects.iter().enumerate().map(|(id, subject)| (Text::from(subject.as_bytes()), id as u32)).collect()
    }

    proptest! {
        /// Tokens below and above the separator in byte order, subjects that are each other's beginning.
        #[test]
        fn a_walk_finds_exactly_what_matches(
            subjects in prop::collection::vec("(a|b|a-|a!|b0|c)([.](a|b|a-|a!|b0|c)){0,3}", 0..60),
            pattern in "(a|b|a-|[*])([.](a|b|a-|b0|[*])){0,3}([.]>)?|>",
            after in prop::option::of("(a|b|a-)([.](a|b|a-)){0,2}"),
        ) {
            let all = ordered(&subjects);
            let pattern = Pattern::parse(&pattern).unwrap();
            let after = after.as_deref().map(str::as_bytes);
            let found: Vec<_> = Walk::new(&all, &pattern, after).map(|(subject, _)| subject.to_vec()).collect();
            let wanted: Vec<_> = all
                .keys()
                .filter(|subject| pattern.matches(subject) && after.is_none_or(|after| &***subject > after))
                .map(|subject| subject.to_vec())
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
