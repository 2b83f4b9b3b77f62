//! Set algebra on patterns and subjects as bytes: no allocation, no validation beyond what a verdict needs.
//!
//! Every function reads a pattern as the set of subjects it matches. A subject with an empty token (`a..b`) is in
//! no such set, so it matches nothing, not even `>`.

/// The byte between two tokens.
pub const SEPARATOR: u8 = b'.';
/// The token that stands for any one token.
pub const ANY_TOKEN: &[u8] = b"*";
/// The last token that stands for one or more tokens.
pub const ANY_TAIL: &[u8] = b">";

/// The tokens of a subject or pattern, in order; at least one, possibly empty.
pub fn tokens(subject: &[u8]) -> Tokens<'_> {
    Tokens { rest: Some(subject) }
}

/// Iterator of [`tokens`]; knows whether a token it gave was the last.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Tokens<'a> {
    /// What has not been taken yet, separators included; `None` after the last token.
    pub fn rest(&self) -> Option<&'a [u8]> {
        self.rest
    }

    /// True after the last token was taken.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_none()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let Some(at) = text.iter().position(|&byte| byte == SEPARATOR) else {
            self.rest = None;
            return Some(text);
        };
        let (token, rest) = text.split_at_checked(at)?;
        self.rest = rest.split_first().map(|(_, rest)| rest);
        Some(token)
    }
}

/// True if `pattern` matches the literal `subject`.
///
/// Wildcard characters in `subject` are ordinary: `foo.*` as a published subject is matched by `foo.*`, `foo.>` and
/// `>`, and not by `foo.bar`.
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut wanted = tokens(pattern);
    let mut given = tokens(subject);
    loop {
        let remaining = given.rest();
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) => {
                if want == ANY_TAIL && wanted.is_at_end() {
                    return remaining.is_some_and(is_publishable);
                }
                if have.is_empty() || (want != have && want != ANY_TOKEN) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// True if every subject that `inner` matches is matched by `outer`: exact, not an approximation.
///
/// `foo.>` contains `foo.*` and `foo.*.b`, not `foo`; `foo.*` does not contain `foo.>`. Both must be valid patterns
/// ([`is_valid`]); an invalid `inner` is contained in nothing.
pub fn contains(outer: &[u8], inner: &[u8]) -> bool {
    let mut outside = tokens(outer);
    let mut inside = tokens(inner);
    loop {
        let remaining = inside.rest();
        match (outside.next(), inside.next()) {
            (None, None) => return true,
            (Some(out), Some(token)) => {
                if out == ANY_TAIL && outside.is_at_end() {
                    return remaining.is_some_and(is_valid);
                }
                // A tail reaches further than any token or run of tokens that is not a tail itself.
                let tail = token == ANY_TAIL;
                if tail || token.is_empty() || (out != token && out != ANY_TOKEN) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// True if some subject is matched by both patterns.
pub fn overlaps(one: &[u8], other: &[u8]) -> bool {
    let mut left = tokens(one);
    let mut right = tokens(other);
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) => {
                if a.is_empty() || b.is_empty() {
                    return false;
                }
                let a_tail = a == ANY_TAIL && left.is_at_end();
                let b_tail = b == ANY_TAIL && right.is_at_end();
                if a_tail || b_tail {
                    return left.rest().is_none_or(is_valid) && right.rest().is_none_or(is_valid);
                }
                if a != b && a != ANY_TOKEN && b != ANY_TOKEN {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// The pattern that matches exactly the subjects both patterns match, if there are any.
///
/// The subjects common to two patterns are always the subjects of one pattern.
pub fn intersection(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    if !overlaps(one, other) {
        return None;
    }
    let mut left = tokens(one);
    let mut right = tokens(other);
    let mut common: Vec<u8> = Vec::with_capacity(one.len().max(other.len()));
    loop {
        let (left_rest, right_rest) = (left.rest(), right.rest());
        let (Some(a), Some(b)) = (left.next(), right.next()) else {
            return Some(common);
        };
        if !common.is_empty() {
            common.push(SEPARATOR);
        }
        if a == ANY_TAIL && left.is_at_end() {
            common.extend_from_slice(right_rest?);
            return Some(common);
        }
        if b == ANY_TAIL && right.is_at_end() {
            common.extend_from_slice(left_rest?);
            return Some(common);
        }
        common.extend_from_slice(if a == ANY_TOKEN { b } else { a });
    }
}

/// True if a client may subscribe to it: no empty token, `>` nowhere but last.
///
/// Any other byte is legal on the wire; configuration is stricter, see [`super::Pattern`].
pub fn is_valid(subject: &[u8]) -> bool {
    let mut parts = tokens(subject);
    while let Some(token) = parts.next() {
        if token.is_empty() || (token == ANY_TAIL && !parts.is_at_end()) {
            return false;
        }
    }
    true
}

/// True if no token is a wildcard.
pub fn is_literal(subject: &[u8]) -> bool {
    // Most subjects hold neither character, so the tokens need not be looked at.
    if !subject.iter().any(|byte| matches!(byte, b'*' | b'>')) {
        return true;
    }
    let mut parts = tokens(subject);
    while let Some(token) = parts.next() {
        if token == ANY_TOKEN || (token == ANY_TAIL && parts.is_at_end()) {
            return false;
        }
    }
    true
}

/// True if it has no empty token, so that a message published to it can match something.
pub fn is_publishable(subject: &[u8]) -> bool {
    let mut after_separator = true;
    for &byte in subject {
        let separator = byte == SEPARATOR;
        if separator && after_separator {
            return false;
        }
        after_separator = separator;
    }
    !after_separator
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
