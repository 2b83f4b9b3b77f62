//! Tables from the protocol reference, and exhaustive comparison with sets of subjects.

use super::*;

/// All sequences of `letters` with 1 to `depth` tokens.
fn sequences(letters: &[&str], depth: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut last: Vec<Vec<&str>> = vec![Vec::new()];
    for _ in 0..depth {
        last = last.iter().flat_map(|prefix| letters.iter().map(|letter| [prefix, &[*letter][..]].concat())).collect();
        all.extend(last.iter().map(|tokens| tokens.join(".")));
    }
    all
}

/// All valid patterns with 1 to 3 tokens over two letters and both wildcards.
fn patterns() -> Vec<String> {
    sequences(&["a", "b", "*", ">"], 3).into_iter().filter(|text| is_valid(text.as_bytes())).collect()
}

/// What a pattern means, written as plainly as possible and independently of the functions under test.
fn model_matches(pattern: &str, subject: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let subject: Vec<&str> = subject.split('.').collect();
    if subject.iter().any(|token| token.is_empty()) {
        return false;
    }
    let (head, tail) = match pattern.split_last() {
        Some((&">", head)) => (head, true),
        _ => (pattern.as_slice(), false),
    };
    let length_fits = if tail { subject.len() > head.len() } else { subject.len() == head.len() };
    length_fits && head.iter().zip(&subject).all(|(want, have)| *want == "*" || want == have)
}

#[test]
fn matching_agrees_with_the_plain_definition() {
    let subjects = sequences(&["a", "b", "c", ""], 4);
    for pattern in patterns() {
        for subject in &subjects {
            assert_eq!(
                matches(pattern.as_bytes(), subject.as_bytes()),
                model_matches(&pattern, subject),
                "{pattern} {subject}"
            );
        }
    }
}

#[test]
fn containment_overlap_and_intersection_are_exact() {
    // Three letters, one of which no pattern names, and one token more than any pattern has: enough to tell
    // any two of the patterns apart as sets.
    let subjects = sequences(&["a", "b", "c"], 4);
    let patterns = patterns();
    let sets: Vec<Vec<bool>> =
        patterns.iter().map(|p| subjects.iter().map(|s| model_matches(p, s)).collect()).collect();
    for (one, set_one) in patterns.iter().zip(&sets) {
        for (other, set_other) in patterns.iter().zip(&sets) {
            let both: Vec<bool> = set_one.iter().zip(set_other).map(|(a, b)| *a && *b).collect();
            let (a, b) = (one.as_bytes(), other.as_bytes());
            assert_eq!(contains(a, b), both == *set_other, "contains {one} {other}");
            assert_eq!(overlaps(a, b), both.iter().any(|x| *x), "overlaps {one} {other}");
            let common = intersection(a, b).map(|text| String::from_utf8(text).unwrap());
            assert_eq!(common.is_some(), overlaps(a, b), "{one} {other}");
            if let Some(common) = common {
                let set: Vec<bool> = subjects.iter().map(|s| model_matches(&common, s)).collect();
                assert_eq!(set, both, "intersection {one} {other} = {common}");
            }
        }
    }
}

#[test]
fn tails_need_at_least_one_token() {
    for (pattern, subject, wanted) in [
        ("a.>", "a", false),
        ("a.>", "a.b", true),
        ("a.>", "a.b.c.d", true),
        (">", "a", true),
        (">", "$SYS.x", true),
        (">", "", false),
        ("a.>", "a.", false),
        (">", "a..b", false),
        ("a.*", "a.", false),
        ("foo", "Foo", false),
    ] {
        assert_eq!(matches(pattern.as_bytes(), subject.as_bytes()), wanted, "{pattern} {subject}");
    }
}

#[test]
fn wildcards_in_a_published_subject_are_ordinary_tokens() {
    assert!(matches(b"foo.*", b"foo.*"));
    assert!(matches(b"foo.>", b"foo.*"));
    assert!(matches(b">", b"foo.*"));
    assert!(!matches(b"foo.bar", b"foo.*"));
    assert!(matches(b"foo.*", b"foo.>"));
    assert!(!matches(b"foo.*", b"foo.>.b"));
}

#[test]
fn a_tail_is_not_inside_a_single_token() {
    assert!(!contains(b"foo.*", b"foo.>"));
    assert!(!contains(b"foo.*.>", b"foo.>"));
    assert!(contains(b"foo.>", b"foo.*.b"));
    assert!(!contains(b"foo.>", b"foo"));
    assert!(contains(b">", b">"));
    assert!(!contains(b">", b"a.>.b"));
    assert!(!contains(b">", b"a..b"));
}

#[test]
fn validity_follows_the_wire_and_not_configuration() {
    for good in ["a", "*", ">", "a.*.b", "a.>", "foo*", "fo>o.x", "a b", "\u{0}"] {
        assert!(is_valid(good.as_bytes()), "{good:?}");
    }
    for bad in ["", ".", "a.", ".a", "a..b", "a.>.b", ">.>"] {
        assert!(!is_valid(bad.as_bytes()), "{bad:?}");
    }
    assert!(is_publishable(b"a.>.b") && is_publishable(b"a.*"));
    assert!(!is_publishable(b"a..b") && !is_publishable(b"") && !is_publishable(b".") && !is_publishable(b"a."));
    assert!(is_literal(b"a.>.b") && is_literal(b"foo*") && !is_literal(b"a.*") && !is_literal(b">"));
    assert!(is_valid(&[0xff, b'.', 0xfe]) && is_literal(&[0xff]));
}

#[test]
fn patterns_with_empty_tokens_overlap_nothing() {
    for malformed in ["a..b", ".a", "a.", "", "a..>"] {
        for other in [">", "a.*.b", "a.>", "*.*.*", "*.>", "a..b", ".a", "*"] {
            assert!(!overlaps(malformed.as_bytes(), other.as_bytes()), "{malformed} {other}");
            assert!(!overlaps(other.as_bytes(), malformed.as_bytes()), "{other} {malformed}");
        }
    }
}
