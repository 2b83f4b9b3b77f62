//! Subjects by their definition: lists of tokens, compared one by one.

/// A subject or pattern as its tokens.
pub type Tokens<'a> = Vec<&'a [u8]>;

/// A token that no input has: it holds the separator.
const FRESH: &[u8] = b"~.~";

/// The tokens of a text.
pub fn tokens(text: &[u8]) -> Tokens<'_> {
    text.split(|byte| *byte == b'.').collect()
}

/// No token is empty.
pub fn is_publishable(subject: &[&[u8]]) -> bool {
    subject.iter().all(|token| !token.is_empty())
}

/// No token is empty, and `>` stands nowhere but last.
pub fn is_valid(pattern: &[&[u8]]) -> bool {
    let (_, front) = pattern.split_last().expect("a text has at least one token");
    is_publishable(pattern) && !front.contains(&b">".as_slice())
}

/// No token is a wildcard where it would be one.
pub fn is_literal(pattern: &[&[u8]]) -> bool {
    !pattern.contains(&b"*".as_slice()) && !has_tail(pattern)
}

/// It ends in `>`.
pub fn has_tail(pattern: &[&[u8]]) -> bool {
    pattern.last() == Some(&b">".as_slice())
}

/// The subject is one of the pattern's.
pub fn matches(pattern: &[&[u8]], subject: &[&[u8]]) -> bool {
    if !is_publishable(subject) {
        return false;
    }
    let front = if has_tail(pattern) { &pattern[..pattern.len() - 1] } else { pattern };
    let long_enough = if has_tail(pattern) { subject.len() > front.len() } else { subject.len() == front.len() };
    long_enough && front.iter().zip(subject).all(|(want, have)| *want == b"*" || want == have)
}

/// Subjects of a valid pattern such that a pattern that matches both matches all: wildcards stand for a token that is
/// nowhere else, `>` for one of it and for two.
pub fn witnesses<'a>(pattern: &[&'a [u8]]) -> [Tokens<'a>; 2] {
    let tail = has_tail(pattern);
    let front = if tail { &pattern[..pattern.len() - 1] } else { pattern };
    let made: Tokens<'a> = front.iter().map(|token| if *token == b"*" { FRESH } else { token }).collect();
    let with = |more: usize| made.iter().copied().chain(std::iter::repeat_n(FRESH, more)).collect();
    if tail { [with(1), with(2)] } else { [with(0), with(0)] }
}

/// Every subject of `inner` is one of `outer`; both valid.
pub fn contains(outer: &[&[u8]], inner: &[&[u8]]) -> bool {
    witnesses(inner).iter().all(|witness| matches(outer, witness))
}

/// Some subject is of both; both valid.
pub fn overlaps(one: &[&[u8]], other: &[&[u8]]) -> bool {
    (1..=one.len().max(other.len())).any(|length| match (stretched(one, length), stretched(other, length)) {
        (Some(one), Some(other)) => one.iter().zip(&other).all(|(a, b)| *a == b"*" || *b == b"*" || a == b),
        _ => false,
    })
}

/// The pattern for subjects of one length alone.
fn stretched<'a>(pattern: &[&'a [u8]], length: usize) -> Option<Tokens<'a>> {
    if !has_tail(pattern) {
        return (pattern.len() == length).then(|| pattern.to_vec());
    }
    let front = &pattern[..pattern.len() - 1];
    let more = length.checked_sub(front.len()).filter(|more| *more > 0)?;
    Some(front.iter().copied().chain(std::iter::repeat_n(b"*".as_slice(), more)).collect())
}
