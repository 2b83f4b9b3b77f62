//! Matching, containment, overlap, intersection and rewriting of subjects, against [`crate::naive`].
//!
//! The input is lines: two patterns, a subject, a transform's destination, an import's local subject.

use std::cmp::Ordering;

use cordon_accounts::subject::{Destination, SubjectError};
use cordon_accounts::subject::{MapOutcome, Mappings, Pattern, Transform, matching};

use crate::input::Input;
use crate::naive::{self, Tokens};

/// Panics when a law of subjects is broken.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (one, other, subject) = (input.line(), input.line(), input.line());
    let (one_tokens, other_tokens, subject_tokens) = (naive::tokens(one), naive::tokens(other), naive::tokens(subject));
    each(one, &one_tokens);
    each(subject, &subject_tokens);
    assert_eq!(matching::matches(one, subject), naive::matches(&one_tokens, &subject_tokens), "matches");
    assert_eq!(matching::matches(other, subject), naive::matches(&other_tokens, &subject_tokens), "matches");
    if naive::is_valid(&one_tokens) && naive::is_valid(&other_tokens) {
        pairs(one, &one_tokens, other, &other_tokens);
        common(one, other, &one_tokens, &other_tokens, &subject_tokens);
    }
    let texts = [one, other, subject, input.line(), input.line()].map(std::str::from_utf8);
    if let [Ok(one), Ok(other), Ok(subject), Ok(destination), Ok(local)] = texts {
        order(one, other);
        rewrite(one, destination, subject, other);
        import(one, local, subject);
        mapping(one, destination, subject);
    }
}

fn each(text: &[u8], tokens: &Tokens<'_>) {
    assert_eq!(matching::is_valid(text), naive::is_valid(tokens), "is_valid");
    assert_eq!(matching::is_publishable(text), naive::is_publishable(tokens), "is_publishable");
    assert_eq!(matching::is_literal(text), naive::is_literal(tokens), "is_literal");
    if let Ok(text) = std::str::from_utf8(text) {
        let blank = text.bytes().any(|byte| b" \t\n\r\x0c".contains(&byte));
        let wanted = naive::is_valid(tokens) && !blank && text.len() <= 4096;
        let read = Pattern::parse(text);
        assert_eq!(read.is_ok(), wanted, "Pattern::parse: {read:?}");
        if let Ok(pattern) = read {
            assert_eq!(pattern.as_str(), text);
            assert_eq!(pattern.is_literal(), naive::is_literal(tokens));
            assert_eq!(pattern.has_tail(), naive::has_tail(tokens));
        }
    }
}

fn pairs(one: &[u8], one_tokens: &Tokens<'_>, other: &[u8], other_tokens: &Tokens<'_>) {
    assert_eq!(matching::contains(one, other), naive::contains(one_tokens, other_tokens), "contains");
    assert_eq!(matching::contains(other, one), naive::contains(other_tokens, one_tokens), "contains, turned round");
    let overlap = naive::overlaps(one_tokens, other_tokens);
    assert_eq!(matching::overlaps(one, other), overlap, "overlaps");
    assert_eq!(matching::overlaps(other, one), overlap, "overlaps, turned round");
    assert!(matching::contains(one, one) && matching::overlaps(one, one), "a pattern is its own");
}

/// The intersection has a subject exactly if both patterns have it.
fn common(one: &[u8], other: &[u8], one_tokens: &Tokens<'_>, other_tokens: &Tokens<'_>, subject: &Tokens<'_>) {
    let found = matching::intersection(one, other);
    assert_eq!(found.is_some(), naive::overlaps(one_tokens, other_tokens), "intersection is there");
    let Some(found) = found else { return };
    let both = naive::tokens(&found);
    assert!(naive::is_valid(&both), "intersection is a pattern");
    assert!(naive::contains(one_tokens, &both) && naive::contains(other_tokens, &both), "intersection is in both");
    let samples = [naive::witnesses(one_tokens), naive::witnesses(other_tokens)];
    for sample in samples.iter().flatten().chain([subject]) {
        let wanted = naive::matches(one_tokens, sample) && naive::matches(other_tokens, sample);
        assert_eq!(naive::matches(&both, sample), wanted, "intersection has what both have");
    }
}

/// The order by specificity is one, and puts the contained first.
fn order(one: &str, other: &str) {
    let (Ok(one), Ok(other)) = (Pattern::parse(one), Pattern::parse(other)) else { return };
    let sorted = one.by_specificity(&other);
    assert_eq!(sorted, other.by_specificity(&one).reverse(), "order turned round");
    assert_eq!(sorted == Ordering::Equal, one == other, "equal only to itself");
    if one != other && one.contains(&other) && !other.contains(&one) {
        assert_eq!(sorted, Ordering::Greater, "the contained comes first");
    }
}

fn rewrite(source: &str, destination: &str, subject: &str, inner: &str) {
    let Ok(transform) = Transform::new(source, destination) else { return };
    let source_tokens = naive::tokens(source.as_bytes());
    let matched = naive::matches(&source_tokens, &naive::tokens(subject.as_bytes()));
    let rewritten = transform.apply(subject.as_bytes(), |bound| bound.wrapping_sub(1));
    assert_eq!(rewritten.is_some(), matched, "a transform takes what its source matches");
    if let Some(rewritten) = &rewritten {
        assert!(matching::is_publishable(rewritten), "a rewritten subject can be published");
        let most = (destination.len() + 16) * (2 * subject.len() + 16);
        assert!(rewritten.len() <= most, "a rewritten subject is bounded");
        if let Some(target) = transform.target() {
            assert!(target.matches(rewritten), "a rewritten subject is of the target");
        }
    }
    let Some(inverse) = transform.inverse() else { return };
    undone(&transform, &inverse, subject, rewritten.as_deref());
    inside(&transform, subject, inner, rewritten.as_deref());
}

fn undone(transform: &Transform, inverse: &Transform, subject: &str, rewritten: Option<&[u8]>) {
    if let Some(rewritten) = rewritten {
        let back = inverse.apply(rewritten, |_| 0);
        assert_eq!(back.as_deref(), Some(subject.as_bytes()), "an inverse undoes");
    }
    if let Some(forth) = inverse.apply(subject.as_bytes(), |_| 0) {
        assert_eq!(transform.apply(&forth, |_| 0).as_deref(), Some(subject.as_bytes()), "and is undone");
    }
}

/// A rewritten pattern matches exactly the rewritten subjects.
fn inside(transform: &Transform, subject: &str, inner: &str, rewritten: Option<&[u8]>) {
    let inner_tokens = naive::tokens(inner.as_bytes());
    if !naive::is_valid(&inner_tokens) {
        return;
    }
    let pattern = transform.apply_to_pattern(inner.as_bytes());
    let source_tokens = naive::tokens(transform.source().as_bytes());
    assert_eq!(pattern.is_some(), naive::contains(&source_tokens, &inner_tokens), "what is contained is rewritten");
    if let (Some(pattern), Some(rewritten)) = (pattern, rewritten) {
        let wanted = naive::matches(&inner_tokens, &naive::tokens(subject.as_bytes()));
        let matched = naive::matches(&naive::tokens(&pattern), &naive::tokens(rewritten));
        assert_eq!(matched, wanted, "a rewritten pattern has the rewritten subjects");
    }
}

fn import(remote: &str, local: &str, subject: &str) {
    let Ok(transform) = Transform::import(remote, local) else { return };
    let inverse = transform.inverse().expect("an import can be turned round");
    let rewritten = transform.apply(subject.as_bytes(), |_| 0);
    undone(&transform, &inverse, subject, rewritten.as_deref());
}

fn mapping(source: &str, destination: &str, subject: &str) {
    let to = Destination { subject: destination.to_owned(), percent: 100, cluster: None };
    let (mappings, problems) = Mappings::from_destinations([(source.to_owned(), vec![to])], None);
    assert_eq!(mappings.is_empty(), !problems.is_empty(), "a source is compiled or a problem");
    match mappings.map(subject.as_bytes(), |bound| bound.wrapping_sub(1)) {
        MapOutcome::Mapped(mapped) => {
            assert!(mappings.source_of(subject.as_bytes()).is_some());
            assert!(matching::is_publishable(&mapped), "a mapped subject can be published");
        }
        MapOutcome::Dropped => panic!("all of it is mapped"),
        MapOutcome::Unchanged => {}
    }
    if let Err(error) = Pattern::parse(source) {
        let shown = error.to_string();
        assert!(!shown.contains('\n') || !matches!(error, SubjectError::WhiteSpace(_)), "an error is one line");
    }
}
