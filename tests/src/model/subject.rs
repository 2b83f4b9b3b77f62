//! Subjects: matching and rewriting, token by token, as the protocol's documentation puts it.

/// Whether a pattern matches a literal subject.
pub fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

/// Whether every subject of `inner` is one of `outer`.
pub fn contains(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('.'), inner.split('.'));
    loop {
        match (outer.next(), inner.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (_, Some(">")) => return false,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

/// The subjects that two patterns have in common, as a pattern.
pub fn common(one: &str, other: &str) -> Option<String> {
    let (one, other): (Vec<_>, Vec<_>) = (one.split('.').collect(), other.split('.').collect());
    let mut tokens = Vec::new();
    for at in 0.. {
        match (one.get(at), other.get(at)) {
            (None, None) => break,
            (Some(&">"), Some(_)) => {
                tokens.extend_from_slice(&other[at..]);
                break;
            }
            (Some(_), Some(&">")) => {
                tokens.extend_from_slice(&one[at..]);
                break;
            }
            (Some(&"*"), Some(token)) | (Some(token), Some(&"*")) => tokens.push(token),
            (Some(token), Some(same)) if token == same => tokens.push(token),
            _ => return None,
        }
    }
    Some(tokens.join("."))
}

/// The n-th wildcard that a token of an import's local subject or of a mapping's destination refers to, when
/// `stars` of its `*` came before.
fn reference(token: &str, stars: usize) -> Option<usize> {
    match token.strip_prefix('$') {
        Some(number) => Some(number.parse::<usize>().expect("references are numbers") - 1),
        None => (token == "*").then_some(stars),
    }
}

/// Reads `subject` (or a pattern inside `form`) by a form with `*`, `$n` and `>`: what each wildcard stands for, and
/// the tail.
fn read<'s>(form: &str, subject: &'s str) -> Option<(Vec<&'s str>, Vec<&'s str>)> {
    let subject: Vec<_> = subject.split('.').collect();
    let mut bound = Vec::new();
    let mut stars = 0;
    for (at, token) in form.split('.').enumerate() {
        if token == ">" {
            return (at < subject.len()).then(|| (bound, subject[at..].to_vec()));
        }
        let given = *subject.get(at).filter(|given| **given != ">")?;
        if let Some(number) = reference(token, stars) {
            stars += usize::from(token == "*");
            bound.resize(bound.len().max(number + 1), "");
            bound[number] = given;
        } else if token != given {
            return None;
        }
    }
    (form.split('.').count() == subject.len()).then_some((bound, Vec::new()))
}

/// Writes a form with its wildcards and tail filled in.
fn write(form: &str, bound: &[&str], tail: &[&str]) -> String {
    let mut tokens = Vec::new();
    let mut stars = 0;
    for token in form.split('.') {
        match (token, reference(token, stars)) {
            (">", _) => tokens.extend_from_slice(tail),
            (_, Some(number)) => {
                stars += usize::from(token == "*");
                tokens.push(bound[number]);
            }
            _ => tokens.push(token),
        }
    }
    tokens.join(".")
}

/// A subject of the form `from`, rewritten to the form `to`; `None` if it is not of that form.
pub fn rewrite(from: &str, to: &str, subject: &str) -> Option<String> {
    let (bound, tail) = read(from, subject)?;
    Some(write(to, &bound, &tail))
}

/// The pattern of a form: its references as `*`.
pub fn pattern(form: &str) -> String {
    let tokens: Vec<_> = form.split('.').map(|token| if token.starts_with('$') { "*" } else { token }).collect();
    tokens.join(".")
}

/// Orders patterns that match the same subject: literals first, then the one whose first differing token is
/// narrower.
pub fn looseness(pattern: &str) -> (bool, Vec<u8>) {
    let loose = |token: &str| match token {
        ">" => 2,
        "*" => 1,
        _ => 0,
    };
    let tokens: Vec<u8> = pattern.split('.').map(loose).collect();
    (tokens.iter().any(|token| *token > 0), tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_protocol_says() {
        for (pattern, subject, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "a.b", false),
            ("a.b", "a", false),
            ("*", "a", true),
            ("*", "a.b", false),
            (">", "a.b", true),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            ("*.b", "a.b", true),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn containment_and_common_subjects_go_together() {
        for (one, other, shared) in [
            ("a.*", "*.b", Some("a.b")),
            ("a.>", "*.b.*", Some("a.b.*")),
            (">", "*.b", Some("*.b")),
            ("a.>", "a", None),
            ("a.*", "a.*.c", None),
            ("a.*", "b.*", None),
            ("*.>", "a.>", Some("a.>")),
        ] {
            assert_eq!(common(one, other).as_deref(), shared, "{one} {other}");
            assert_eq!(common(other, one).as_deref(), shared, "{other} {one}");
            for (outer, inner) in [(one, other), (other, one)] {
                assert_eq!(contains(outer, inner), shared == Some(inner), "{outer} {inner}");
            }
        }
    }

    #[test]
    fn wildcards_change_places_and_find_back() {
        let (remote, local) = ("q.*.*.*", "my.$2.$3.$1");
        assert_eq!(rewrite(remote, local, "q.a.b.c").as_deref(), Some("my.b.c.a"));
        assert_eq!(rewrite(local, remote, "my.b.c.a").as_deref(), Some("q.a.b.c"));
        assert_eq!(rewrite(local, remote, "my.b.*.a").as_deref(), Some("q.a.b.*"));
        assert_eq!(rewrite("t.>", "x.t.>", "t.a.b").as_deref(), Some("x.t.a.b"));
        assert_eq!(rewrite("x.t.>", "t.>", "x.t.>").as_deref(), Some("t.>"));
        assert_eq!(rewrite("t.>", "x.t.>", "t"), None);
        assert_eq!(rewrite("t.*", "x.*", "t.a.b"), None);
        assert_eq!(pattern("my.$2.*.>"), "my.*.*.>");
    }
}
