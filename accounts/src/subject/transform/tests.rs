//! Each function against the reference's examples; inverses against round trips.

use proptest::prelude::*;

use super::*;

fn apply(source: &str, destination: &str, subject: &str) -> String {
    let transform = Transform::new(source, destination).unwrap_or_else(|e| panic!("{source} {destination}: {e}"));
    String::from_utf8(transform.apply(subject.as_bytes(), |bound| bound - 1).unwrap()).unwrap()
}

#[test]
fn each_function_gives_the_reference_values() {
    for (source, destination, subject, wanted) in [
        ("foo.*.*", "req.$2.$1", "foo.A.B", "req.B.A"),
        ("foo.*.*", "req.{{wildcard(2)}}.{{ Wildcard( 1 ) }}", "foo.A.B", "req.B.A"),
        ("foo.>", "bar.x.>", "foo.a.b.c", "bar.x.a.b.c"),
        ("*", "{{split(1,-)}}", "-abc-def--ghi-", "abc.def.ghi"),
        ("*", "{{split(1,-)}}", "--", "--"),
        ("*", "{{split(1,--)}}", "a--b-c", "a.b-c"),
        ("*", "{{splitfromleft(1,3)}}", "12345", "123.45"),
        ("*", "{{SplitFromRight(1,3)}}", "12345", "12.345"),
        ("*", "{{SplitFromLeft(1,5)}}", "12345", "12345"),
        ("*", "{{SplitFromLeft(1,9)}}", "12345", "12345"),
        ("*", "{{SplitFromRight(1,9)}}", "12345", "12345"),
        ("*", "{{SplitFromRight(1,5)}}", "12345", "12345"),
        ("*", "{{SplitFromLeft(1,0)}}", "12345", "12345"),
        ("*", "{{SplitFromRight(1,-3)}}", "12345", "12345"),
        ("*", "{{SliceFromLeft(1,3)}}", "1234567890", "123.456.789.0"),
        ("*", "{{SliceFromRight(1,3)}}", "1234567890", "1.234.567.890"),
        ("*", "{{sliceFromLeft(1,5)}}", "1234567890", "12345.67890"),
        ("*", "{{slicefromright(1,5)}}", "1234567890", "12345.67890"),
        ("*", "{{slicefromleft(1,-1)}}", "1234", "1234"),
        ("*", "{{slicefromright(1,4)}}", "1234", "1234"),
        ("*", "{{left(1,2)}}", "1234", "12"),
        ("*", "{{Right(1,2)}}", "1234", "34"),
        ("*", "{{left(1,0)}}.{{right(1,-4)}}", "1234", "1234.1234"),
        ("*", "{{left(1,4)}}.{{right(1,9)}}", "1234", "1234.1234"),
        ("*.*", "{{partition(10,1,2)}}.$1", "foo.bar", "0.foo"),
        ("foo", "p.{{partition(100)}}", "foo", "p.23"),
        ("w.*", "{{partition(100)}}.$1", "w.foo", "96.foo"),
        ("*", "{{partition(0,1)}}", "foo", "0"),
        ("*", "{{random(7)}}", "foo", "6"),
        ("foo", "{{Random(0)}}", "foo", "0"),
        ("foo", "$SYS.$x.{a}", "foo", "$SYS.$x.{a}"),
    ] {
        assert_eq!(apply(source, destination, subject), wanted, "{source} {destination} {subject}");
    }
}

#[test]
fn partition_is_fnv_1a_of_the_tokens_run_together() {
    let naive = |text: &str| text.bytes().fold(2_166_136_261_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(16_777_619));
    for buckets in [1_u32, 3, 10, 1000, 2_147_483_647] {
        let destination = format!("{{{{partition({buckets},2,1)}}}}");
        assert_eq!(apply("x.*.*", &destination, "x.ab.cd"), (naive("cdab") % buckets).to_string());
    }
}

#[test]
fn a_random_source_out_of_its_bounds_does_no_harm() {
    let transform = Transform::new("a", "{{random(4)}}").unwrap();
    assert_eq!(transform.apply(b"a", |_| u32::MAX), Some(b"3".to_vec()));
}

type Check = fn(&TransformError) -> bool;
const BAD_DESTINATIONS: &[(&str, &str, Check)] = &[
    ("foo", "", |e| matches!(e, TransformError::Destination(_))),
    ("foo", "a..b", |e| matches!(e, TransformError::Destination(_))),
    ("foo", "a b", |e| matches!(e, TransformError::Destination(_))),
    ("foo.>", "a.>.b", |e| matches!(e, TransformError::Destination(_))),
    ("foo..a", "a", |e| matches!(e, TransformError::Source(_))),
    ("foo.*", "a.*", |e| matches!(e, TransformError::WildcardInDestination(_))),
    ("foo.>", "a", |e| matches!(e, TransformError::TailMismatch { .. })),
    ("foo", "a.>", |e| matches!(e, TransformError::TailMismatch { .. })),
    ("foo", "$1", |e| matches!(e, TransformError::IndexOutOfRange { .. })),
    ("foo.*", "$0", |e| matches!(e, TransformError::IndexOutOfRange { .. })),
    ("foo.*", "$2", |e| matches!(e, TransformError::IndexOutOfRange { .. })),
    ("foo.*", "$99999999999999999999", |e| matches!(e, TransformError::InvalidArgument(_))),
    ("foo.*", "{{wildcard(0)}}", |e| matches!(e, TransformError::IndexOutOfRange { .. })),
    ("foo.*", "{{wildcard(-1)}}", |e| matches!(e, TransformError::IndexOutOfRange { .. })),
    ("foo.*", "{{wildcard()}}", |e| matches!(e, TransformError::TooFewArguments(_))),
    ("foo.*", "{{wildcard(1,1)}}", |e| matches!(e, TransformError::TooManyArguments(_))),
    ("foo.*", "{{wildcard(x)}}", |e| matches!(e, TransformError::InvalidArgument(_))),
    ("foo.*", "{{WILDCARD(1)}}", |e| matches!(e, TransformError::UnknownFunction(_))),
    ("foo.*", "{{splitFROMleft(1,1)}}", |e| matches!(e, TransformError::UnknownFunction(_))),
    ("foo.*", "{{split(1)}}", |e| matches!(e, TransformError::TooFewArguments(_))),
    ("foo.*", "{{split(1,)}}", |e| matches!(e, TransformError::TooFewArguments(_))),
    ("foo.*", "{{split(1,a b)}}", |e| matches!(e, TransformError::InvalidArgument(_))),
    ("foo.*", "{{split(1,.)}}", |e| matches!(e, TransformError::UnknownFunction(_))),
    ("foo.*", "{{partition()}}", |e| matches!(e, TransformError::TooFewArguments(_))),
    ("foo.*", "{{partition(-1)}}", |e| matches!(e, TransformError::InvalidArgument(_))),
    ("foo.*", "{{partition(9999999999,1)}}", |e| matches!(e, TransformError::InvalidArgument(_))),
    ("foo.*", "{{nothing(1)}}", |e| matches!(e, TransformError::UnknownFunction(_))),
    ("foo.*", "{{wildcard(1}}", |e| matches!(e, TransformError::UnknownFunction(_))),
    ("foo.*", "{{wildcard(1)", |e| matches!(e, TransformError::UnknownFunction(_))),
];

#[test]
fn bad_destinations_are_refused_with_the_token_at_fault() {
    for &(source, destination, is_wanted) in BAD_DESTINATIONS {
        let error = Transform::new(source, destination).expect_err(destination);
        assert!(is_wanted(&error), "{source} {destination}: {error:?}");
    }
    let long = vec!["*"; WILDCARDS_MAX + 1].join(".");
    assert!(matches!(Transform::new(&long, "a"), Err(TransformError::TooManyWildcards(_))));
}

#[test]
fn mappings_do_not_know_left_and_right() {
    assert!(Transform::mapping("*", "{{left(1,2)}}").is_err());
    assert!(Transform::mapping("*", "a.{{right(1,2)}}").is_err());
    assert!(Transform::mapping("*", "{{slicefromleft(1,2)}}").is_ok());
}

#[test]
fn a_subject_outside_the_source_is_not_rewritten() {
    let transform = Transform::new("foo.*.>", "bar.$1.>").unwrap();
    for subject in ["foo", "foo.a", "foo.a.", "foo..b", "bar.a.b", "foo.a.b..c", ""] {
        let mut out = b"kept".to_vec();
        assert!(!transform.apply_into(subject.as_bytes(), &mut out, |_| 0), "{subject}");
        assert_eq!(out, b"kept");
    }
}

#[test]
fn imports_use_each_wildcard_exactly_once() {
    for (remote, local) in [
        ("q.*.*", "my.$1"),
        ("q.*.*", "my.$1.$1"),
        ("q.*.*", "my.*.$1"),
        ("q.*.*", "my.$1.$2.$1"),
        ("q.*", "my.{{partition(3,1)}}"),
        ("q.*", "my.{{left(1,1)}}"),
        ("q.*", "my"),
        ("q", "my.*"),
        ("q.>", "my"),
        ("q", "my.>"),
        ("q.*", "my.{{random(3)}}.$1"),
    ] {
        assert!(Transform::import(remote, local).is_err(), "{remote} {local}");
    }
}

#[test]
fn a_permutation_that_is_not_its_own_inverse_inverts() {
    let inward = Transform::import("q.*.*.*", "my.$2.$3.$1").unwrap();
    let outward = inward.inverse().unwrap();
    assert_eq!(outward.source().as_str(), "my.*.*.*");
    assert_eq!(outward.apply(b"my.b.c.a", |_| 0), Some(b"q.a.b.c".to_vec()));
    assert_eq!(inward.apply(b"q.a.b.c", |_| 0), Some(b"my.b.c.a".to_vec()));
    assert_eq!(outward.destination(), "q.$3.$1.$2");
    // The reference's example of a swap.
    let swap = Transform::import("q.*.*", "my.$2.$1").unwrap().inverse().unwrap();
    assert_eq!(swap.apply(b"my.one.two", |_| 0), Some(b"q.two.one".to_vec()));
}

#[test]
fn literal_tokens_that_look_like_references_survive_the_inverse() {
    let inward = Transform::import("q.$1.*", "my.$1").unwrap();
    assert_eq!(inward.inverse().unwrap().apply(b"my.x", |_| 0), Some(b"q.$1.x".to_vec()));
    let same = Transform::import("$1.*", "$1.*").unwrap();
    assert!(same.is_identity());
    assert_eq!(same.apply(b"$1.x", |_| 0), Some(b"$1.x".to_vec()));
    assert_eq!(same.apply(b"x.x", |_| 0), None);
}

#[test]
fn identity_is_recognised_however_it_is_written() {
    for (source, destination, wanted) in
        [("a.*.>", "a.$1.>", true), ("a", "a", true), ("*.*", "$2.$1", false), ("a.*", "a.x", false), ("*", "a", false)]
    {
        assert_eq!(Transform::new(source, destination).unwrap().is_identity(), wanted, "{source} {destination}");
    }
}

#[test]
fn a_pattern_inside_the_source_is_rewritten_wildcard_for_wildcard() {
    let transform = Transform::import("q.*.*.>", "my.$2.$1.>").unwrap();
    for (pattern, wanted) in [
        ("q.*.x.>", Some("my.x.*.>")),
        ("q.a.b.c.*", Some("my.b.a.c.*")),
        ("q.*.>", None),
        ("q.a.b", None),
        (">", None),
    ] {
        let rewritten = transform.apply_to_pattern(pattern.as_bytes());
        assert_eq!(rewritten.as_deref(), wanted.map(str::as_bytes), "{pattern}");
    }
}

proptest! {
    #[test]
    fn inverse_undoes_every_import(
        order in (1_usize..6).prop_flat_map(|n| Just((1..=n).collect::<Vec<_>>()).prop_shuffle()),
        literals in proptest::collection::vec(0_u8..3, 12),
        tail in any::<bool>(),
        words in proptest::collection::vec("[a-z$*>{}]{1,4}", 8),
    ) {
        let mut remote = Vec::new();
        let mut local = Vec::new();
        for (at, wildcard) in order.iter().enumerate() {
            if literals[at] == 0 { remote.push("r".to_owned()); }
            remote.push("*".to_owned());
            if literals[at + 6] == 0 { local.push("l".to_owned()); }
            local.push(format!("${wildcard}"));
        }
        if tail { remote.push(">".to_owned()); local.push(">".to_owned()); }
        let inward = Transform::import(&remote.join("."), &local.join(".")).unwrap();
        let outward = inward.inverse().unwrap();
        let mut next = words.iter().cycle();
        let subject: Vec<String> = remote.iter()
            .map(|t| if t == "*" || t == ">" { next.next().unwrap().clone() } else { t.clone() }).collect();
        let subject = subject.join(".");
        let there = inward.apply(subject.as_bytes(), |_| 0).unwrap();
        prop_assert_eq!(outward.apply(&there, |_| 0), Some(subject.into_bytes()));
        prop_assert_eq!(outward.inverse().unwrap().apply(&outward.apply(&there, |_| 0).unwrap(), |_| 0), Some(there));
        prop_assert_eq!(&outward.target().unwrap(), inward.source());
    }

    #[test]
    fn arbitrary_destinations_never_panic(
        source in "[a$*>.]{0,8}", destination in "[a-z0-9$*>.,(){} -]{0,24}", subject in "[a1.*>-]{0,10}",
    ) {
        if let Ok(transform) = Transform::new(&source, &destination) {
            let _ = transform.apply(subject.as_bytes(), |_| 0);
            if let Some(inverse) = transform.inverse()
                && let Some(there) = transform.apply(subject.as_bytes(), |_| 0)
            {
                prop_assert_eq!(inverse.apply(&there, |_| 0), Some(subject.into_bytes()));
            }
        }
    }
}

#[test]
fn as_many_wildcards_as_there_may_be_and_not_one_more() {
    let pattern = |count: usize| Pattern::parse(&vec!["*"; count].join(".")).unwrap();
    assert!(Transform::identity(&pattern(WILDCARDS_MAX)).is_ok());
    assert!(Transform::new(pattern(WILDCARDS_MAX).as_str(), "x").is_ok());
    for count in [WILDCARDS_MAX + 1, WILDCARDS_MAX + 2] {
        let source = pattern(count);
        assert!(matches!(Transform::identity(&source), Err(TransformError::TooManyWildcards(_))), "{count}");
        assert!(matches!(Transform::new(source.as_str(), "x"), Err(TransformError::TooManyWildcards(_))), "{count}");
    }
}

#[test]
fn a_destination_has_a_greatest_length() {
    let longest = "x".repeat(crate::subject::PATTERN_BYTES_MAX);
    assert!(Transform::new("a", &longest).is_ok());
    for more in ["x", "xx"] {
        let destination = format!("{longest}{more}");
        assert!(matches!(Transform::new("a", &destination), Err(TransformError::Destination(_))), "{more}");
    }
}

#[test]
fn mappings_have_no_edges_and_say_which_was_asked_for() {
    for name in ["left", "right"] {
        let error = Transform::mapping("*", &format!("{{{{{name}(1,1)}}}}")).unwrap_err();
        assert_eq!(error, TransformError::UnknownFunction(name.to_owned()));
    }
}

#[test]
fn a_partition_may_look_at_every_wildcard() {
    let source = vec!["*"; WILDCARDS_MAX].join(".");
    let destination = |last: usize| {
        let all: Vec<String> = (1..=last).map(|of| of.to_string()).collect();
        format!("{{{{partition(10,{})}}}}", all.join(","))
    };
    assert!(Transform::new(&source, &destination(WILDCARDS_MAX)).is_ok());
    assert!(Transform::new(&source, &destination(WILDCARDS_MAX + 1)).is_err());
}
