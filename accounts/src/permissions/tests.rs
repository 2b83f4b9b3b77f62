//! The reference's examples as tables, and random lists against a plain model.

use proptest::prelude::*;

use super::*;
use crate::claims::{ResponseClaim, SubjectsClaim};
use crate::reason::Reason;

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn publish(allow: &[&str], deny: &[&str]) -> Permissions {
    let publish = SubjectsClaim { allow: list(allow), deny: list(deny) };
    Permissions::compile(&PermissionsClaim { publish, ..PermissionsClaim::default() }).unwrap()
}

fn subscribe(allow: &[&str], deny: &[&str]) -> Permissions {
    let subscribe = SubjectsClaim { allow: list(allow), deny: list(deny) };
    Permissions::compile(&PermissionsClaim { subscribe, ..PermissionsClaim::default() }).unwrap()
}

#[test]
fn no_permissions_allow_everything() {
    for permissions in [Permissions::everything(), publish(&[], &[]), (*Permissions::everything_shared()).clone()] {
        assert_eq!(permissions.may_publish(b"a").unwrap().entry(), None);
        assert!(!permissions.may_subscribe(b">", Some(b"q")).unwrap().overlaps_deny());
        assert_eq!(permissions.may_deliver(b"a", None), Ok(()));
        assert_eq!(permissions.response(), None);
    }
}

#[test]
fn deny_beats_allow() {
    let permissions = publish(&["foo.*", "bar"], &["foo.secret"]);
    assert_eq!(permissions.may_publish(b"foo.a").unwrap().entry(), Some("foo.*"));
    let denial = permissions.may_publish(b"foo.secret").unwrap_err();
    assert_eq!(denial.reason, Reason::PublishDenied);
    assert_eq!(denial.rule, Rule::Entry { list: List::PublishDeny, entry: "foo.secret".into() });
    assert_eq!(denial.to_string(), "publish to `foo.secret` refused: entry `foo.secret` of the publish deny list");
    let denial = permissions.may_publish(b"other").unwrap_err();
    assert_eq!(denial.reason, Reason::PublishNotAllowed);
    assert_eq!(
        denial.to_string(),
        "publish to `other` refused: none of the 2 entries of the publish allow list covers it"
    );
}

#[test]
fn deny_alone_leaves_the_rest_allowed() {
    let permissions = publish(&[], &["a.>"]);
    assert!(permissions.may_publish(b"b").is_ok() && permissions.may_publish(b"a").is_ok());
    assert!(permissions.may_publish(b"a.b").is_err());
}

#[test]
fn long_lists_decide_as_short_ones_do() {
    let entries: Vec<String> = (0..100).map(|n| format!("s.{n}")).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).chain(["w.*"]).collect();
    let permissions = publish(&entries, &["s.7"]);
    assert_eq!(permissions.may_publish(b"s.99").unwrap().entry(), Some("s.99"));
    assert_eq!(permissions.may_publish(b"w.x").unwrap().entry(), Some("w.*"));
    assert!(permissions.may_publish(b"s.7").is_err() && permissions.may_publish(b"s.100").is_err());
    let permissions = subscribe(&[], &entries);
    assert!(permissions.may_subscribe(b"s.*", None).unwrap().overlaps_deny());
    assert!(!permissions.may_subscribe(b"t.*", None).unwrap().overlaps_deny());
    assert!(permissions.may_deliver(b"s.5", None).is_err() && permissions.may_deliver(b"s.x", None).is_ok());
}

/// Checklist 68 to 73, and 5.3: lists, then subject and queue, then what is expected.
#[test]
fn subscriptions_are_decided_as_the_reference_says() {
    type Case = (&'static [&'static str], &'static [&'static str], &'static str, Option<&'static str>, bool);
    let cases: &[Case] = &[
        (&["foo.*"], &[], "foo.>", None, false),
        (&["foo.*"], &[], "foo.a.b", None, false),
        (&["foo.*"], &[], ">", None, false),
        (&["foo.*"], &[], "foo.*", None, true),
        (&["foo.*"], &[], "foo.a", None, true),
        (&["foo.*"], &[], "*.a", None, false),
        (&["foo.>"], &[], "foo.*.b", None, true),
        (&["foo.>"], &[], "foo", None, false),
        (&["foo.>"], &[], "foo.*", None, true),
        // Containment in one entry, not in their union.
        (&["foo.a", "foo.b"], &[], "foo.*", None, false),
        (&["foo v1"], &[], "foo", None, false),
        (&["foo v1"], &[], "foo", Some("v1"), true),
        (&["foo v1"], &[], "foo", Some("v2"), false),
        (&["foo", "foo v1"], &[], "foo", None, true),
        (&["foo", "foo v1"], &[], "foo", Some("v1"), true),
        (&["foo", "foo v1"], &[], "foo", Some("v2"), false),
        (&["foo", "bar v1"], &[], "foo", Some("v2"), true),
        (&["foo\t v.*"], &[], "foo", Some("v.1"), true),
        (&["foo v.>"], &[], "foo", Some("v.1.2"), true),
        (&["foo v.*"], &[], "foo", Some("v.1.2"), false),
        (&[], &["> *.prod"], "x", Some("a.prod"), false),
        (&[], &["> *.prod"], "x", Some("a.dev"), true),
        (&[], &["> *.prod"], "x", None, true),
        (&[], &["foo", "foo q"], "foo", Some("other"), false),
        (&[], &["foo", "bar q"], "foo", Some("q"), false),
        (&["foo"], &["foo"], "foo", None, false),
        (&[], &["foo.*"], "foo.*", None, false),
        (&[], &["foo.*"], "foo.>", None, true),
        (&[], &["foo.>"], "foo.*", None, false),
        (&[], &[], "x", Some("_sys_"), false),
        (&[">", "> _sys_"], &[], "x", Some("_sys_"), false),
    ];
    for (allow, deny, subject, queue, wanted) in cases {
        let permissions = subscribe(allow, deny);
        let verdict = permissions.may_subscribe(subject.as_bytes(), queue.map(str::as_bytes));
        assert_eq!(verdict.is_ok(), *wanted, "{allow:?} {deny:?} {subject} {queue:?}: {verdict:?}");
    }
}

#[test]
fn a_permit_names_the_entry_that_allows() {
    let permissions = subscribe(&["foo.*", "bar v1"], &[]);
    assert_eq!(permissions.may_subscribe(b"foo.a", None).unwrap().entry(), Some("foo.*"));
    assert_eq!(permissions.may_subscribe(b"bar", Some(b"v1")).unwrap().entry(), Some("bar v1"));
    let denial = permissions.may_subscribe(b"baz", None).unwrap_err();
    assert_eq!(denial.rule, Rule::NoAllowMatched { list: List::SubscribeAllow, entries: 2 });
    assert_eq!(subscribe(&[], &["x"]).may_subscribe(b"y", None).unwrap().entry(), None);
}

#[test]
fn permissions_are_equal_when_their_claims_are() {
    assert_eq!(publish(&["a"], &[]), publish(&["a"], &[]));
    assert_ne!(publish(&["a"], &[]), publish(&[], &["a"]));
    assert_ne!(publish(&["a"], &[]), subscribe(&["a"], &[]));
    assert_eq!(publish(&["a"], &["b"]).claim().publish.deny, ["b"]);
}

#[test]
fn a_denial_names_list_entry_and_queue() {
    let permissions = subscribe(&["foo", "foo v1"], &["bar", "baz q*"]);
    let denial = permissions.may_subscribe(b"foo", Some(b"v2")).unwrap_err();
    assert_eq!(denial.rule, Rule::QueueNotAllowed { entry: "foo v1".into() });
    assert_eq!(denial.reason, Reason::SubscribeNotAllowed);
    let denial = permissions.may_subscribe(b"bar", Some(b"v1")).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "subscription to `bar` in queue group `v1` refused: entry `bar` of the subscribe deny list"
    );
    assert_eq!(denial.reason, Reason::SubscribeDenied);
    let denial = permissions.may_subscribe(b"foo", Some(b"_sys_")).unwrap_err();
    assert_eq!(denial.rule, Rule::ReservedQueue);
}

#[test]
fn deliveries_that_merely_overlap_a_deny_are_filtered() {
    let permissions = subscribe(&[">"], &["foo.secret"]);
    assert!(permissions.may_subscribe(b"foo.*", None).unwrap().overlaps_deny());
    assert!(permissions.may_subscribe(b"foo.*", Some(b"q")).unwrap().overlaps_deny());
    assert!(!permissions.may_subscribe(b"bar.*", None).unwrap().overlaps_deny());
    assert!(
        permissions.may_deliver(b"foo.secret", None).is_err() && permissions.may_deliver(b"foo.open", None).is_ok()
    );
    let permissions = subscribe(&[], &["*.secret", "jobs.> prod.*"]);
    assert!(permissions.may_subscribe(b"foo.*", None).unwrap().overlaps_deny());
    assert!(permissions.denies_delivery(b"foo.secret", Some(b"q")));
    assert!(
        !permissions.may_subscribe(b"jobs.>", None).unwrap().overlaps_deny()
            || permissions.denies_delivery(b"jobs.secret", None)
    );
    assert!(permissions.may_subscribe(b"*.a.b", Some(b"prod.1")).unwrap().overlaps_deny());
    assert!(!permissions.may_subscribe(b"*.a.b", Some(b"dev")).unwrap().overlaps_deny());
    assert!(
        permissions.denies_delivery(b"jobs.a", Some(b"prod.1"))
            && !permissions.denies_delivery(b"jobs.a", Some(b"dev"))
    );
    assert!(!permissions.denies_delivery(b"jobs.a", None));
}

#[test]
fn a_published_subject_that_looks_like_a_pattern_is_filtered_as_it_stands() {
    let permissions = subscribe(&[], &["foo.*"]);
    assert!(permissions.denies_delivery(b"foo.>", None) && permissions.denies_delivery(b"foo.*", None));
    let permissions = publish(&["foo.*"], &["foo.bar"]);
    assert!(permissions.may_publish(b"foo.>").is_ok());
    assert!(permissions.may_publish(b"foo..").is_err() && permissions.may_publish(b"").is_err());
}

#[test]
fn leave_to_respond_closes_an_absent_publish_list() {
    let response = Some(ResponseClaim { max: 0, ttl: 0 });
    let closed = Permissions::compile(&PermissionsClaim { response, ..PermissionsClaim::default() }).unwrap();
    let denial = closed.may_publish(b"a").unwrap_err();
    assert_eq!(denial.to_string(), "publish to `a` refused: the publish allow list is empty");
    assert_eq!(closed.response(), Some(ResponseRule { max: Some(1), ttl_ns: Some(response::TTL_DEFAULT_NS) }));
    let publish = SubjectsClaim { allow: list(&["a"]), deny: vec![] };
    let open = Permissions::compile(&PermissionsClaim { publish, response, ..PermissionsClaim::default() }).unwrap();
    assert!(open.may_publish(b"a").is_ok() && open.may_publish(b"b").is_err());
}

#[test]
fn unreadable_entries_are_refused_when_they_are_read() {
    for entry in ["", " ", "\t", "a b c", "a..b", "a.>.b", ".", "a b..c", "a b.>.c"] {
        for deny in [false, true] {
            let lists = if deny {
                SubjectsClaim { allow: vec![], deny: list(&["ok", entry]) }
            } else {
                SubjectsClaim { allow: list(&["ok", entry]), deny: vec![] }
            };
            let subscribe = PermissionsClaim { subscribe: lists.clone(), ..PermissionsClaim::default() };
            let error = Permissions::compile(&subscribe).expect_err(entry);
            assert_eq!(error.entry, entry);
            let publish = PermissionsClaim { publish: lists, ..PermissionsClaim::default() };
            assert!(Permissions::compile(&publish).is_err(), "{entry:?}");
        }
    }
    let publish = SubjectsClaim { allow: list(&["a q"]), deny: vec![] };
    let error = Permissions::compile(&PermissionsClaim { publish, ..PermissionsClaim::default() }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "entry `a q` of the publish allow list is invalid: only subscriptions have queue groups"
    );
}

/// Entries, subscriptions and messages over a small alphabet.
fn pattern() -> impl Strategy<Value = String> {
    (proptest::collection::vec(prop_oneof!["a", "b", "\\*"], 0..3), any::<bool>(), prop_oneof!["a", "b", "\\*"])
        .prop_map(|(mut tokens, tail, last): (Vec<String>, bool, String)| {
            tokens.push(if tail { ">".to_owned() } else { last });
            tokens.join(".")
        })
}

fn entries() -> impl Strategy<Value = Vec<String>> {
    let queue = prop_oneof![3 => Just(String::new()), 1 => Just(" q1".to_owned()), 1 => Just(" q2".to_owned()), 1 => Just(" *".to_owned())];
    proptest::collection::vec((pattern(), queue).prop_map(|(subject, queue)| subject + &queue), 0..5)
}

/// Every subject of up to four tokens over three letters, one of which no entry names.
fn universe() -> Vec<String> {
    let mut all = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|p| ["a", "b", "c"].map(|l| if p.is_empty() { l.to_owned() } else { format!("{p}.{l}") }))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// The model: an entry as the set of its subjects, and its queue.
fn set_of(pattern: &str, universe: &[String]) -> Vec<bool> {
    universe.iter().map(|subject| matching::matches(pattern.as_bytes(), subject.as_bytes())).collect()
}

fn is_subset(inner: &[bool], outer: &[bool]) -> bool {
    inner.iter().zip(outer).all(|(i, o)| !i || *o)
}

fn split(entry: &str) -> (&str, Option<&str>) {
    entry.split_once(' ').map_or((entry, None), |(subject, queue)| (subject, Some(queue)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn verdicts_agree_with_the_model(
        allow in entries(), deny in entries(), wanted in pattern(), queue in prop_oneof![Just(None), Just(Some("q1")), Just(Some("q3"))],
    ) {
        let universe = universe();
        let claim = PermissionsClaim { subscribe: SubjectsClaim { allow: allow.clone(), deny: deny.clone() }, ..PermissionsClaim::default() };
        let permissions = Permissions::compile(&claim).unwrap();
        let asked = set_of(&wanted, &universe);
        let queue_fits = |pattern: &str| pattern == "*" || Some(pattern) == queue;
        let covering = |list: &[String]| -> Vec<(String, Option<String>)> {
            list.iter().map(|e| split(e)).filter(|(s, _)| is_subset(&asked, &set_of(s, &universe)))
                .map(|(s, q)| (s.to_owned(), q.map(str::to_owned))).collect()
        };
        let allowing = covering(&allow);
        let plain = allowing.iter().any(|(_, q)| q.is_none());
        let queued: Vec<&String> = allowing.iter().filter_map(|(_, q)| q.as_ref()).collect();
        let allowed = allow.is_empty() || match queue {
            Some(_) if !queued.is_empty() => queued.iter().any(|q| queue_fits(q)),
            _ => plain,
        };
        let denies = |q: &Option<String>| q.as_ref().is_none_or(|q| queue.is_some() && queue_fits(q));
        let denied = covering(&deny).iter().any(|(_, q)| denies(q));
        let queue_bytes = queue.map(str::as_bytes);
        let verdict = permissions.may_subscribe(wanted.as_bytes(), queue_bytes);
        prop_assert_eq!(verdict.is_ok(), allowed && !denied);

        // What a permitted subscription is given is never denied, and nothing else is withheld.
        let filtered = |subject: &str| deny.iter().map(|e| split(e))
            .any(|(s, q)| matching::matches(s.as_bytes(), subject.as_bytes()) && denies(&q.map(str::to_owned)));
        let mut some_denied = false;
        for (subject, _) in universe.iter().zip(&asked).filter(|(_, asked)| **asked) {
            prop_assert_eq!(permissions.may_deliver(subject.as_bytes(), queue_bytes).is_err(), filtered(subject));
            some_denied |= filtered(subject);
        }
        if let Ok(permit) = verdict {
            prop_assert_eq!(permit.overlaps_deny(), some_denied);
        }
    }

    #[test]
    fn publish_verdicts_agree_with_the_model(allow in proptest::collection::vec(pattern(), 0..14), deny in proptest::collection::vec(pattern(), 0..14)) {
        let publish = SubjectsClaim { allow: allow.clone(), deny: deny.clone() };
        let permissions = Permissions::compile(&PermissionsClaim { publish, ..PermissionsClaim::default() }).unwrap();
        for subject in universe() {
            let any = |list: &[String]| list.iter().any(|e| matching::matches(e.as_bytes(), subject.as_bytes()));
            let wanted = (allow.is_empty() || any(&allow)) && !any(&deny);
            prop_assert_eq!(permissions.may_publish(subject.as_bytes()).is_ok(), wanted, "{}", subject);
        }
    }
}
