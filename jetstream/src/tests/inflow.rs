//! Mirrors and sources: checklist G 98 to 100.

use serde_json::json;

use cordon_auth::clock::Clock;

use crate::account::{AccountLimits, Settings};
use crate::testing::{Bench, error_of};

#[test]
fn a_mirror_has_the_sequences_and_times_of_its_origin() {
    let bench = Bench::new();
    bench.stream(json!({"name": "O", "subjects": ["o.>"], "allow_direct": true}));
    for n in 1..=4 {
        bench.store("o.a", &[("A", "b")], &n.to_string());
        bench.pass(std::time::Duration::from_secs(1));
    }
    bench.api("STREAM.MSG.DELETE.O", &json!({"seq": 2}));
    bench.stream(json!({"name": "M", "mirror": {"name": "O"}}));
    let sequences = || bench.messages("M").into_iter().map(|(seq, ..)| seq).collect::<Vec<_>>();
    assert_eq!(sequences(), [1, 3, 4]);
    let (state, origin) = (bench.state("M"), bench.state("O"));
    for field in ["messages", "bytes", "first_ts", "last_ts", "num_deleted", "last_seq"] {
        assert_eq!(state[field], origin[field], "{field}");
    }
    assert_eq!(bench.info("M")["mirror"], json!({"name": "O", "lag": 0, "active": 0}));
    bench.store("o.b", &[], "5");
    assert_eq!(sequences(), [1, 3, 4, 5]);
    bench.api("STREAM.PURGE.O", &json!(null));
    assert_eq!(sequences(), [1, 3, 4, 5], "a purge of the origin is not the mirror's");
    assert_eq!(bench.info("M")["config"]["mirror_direct"], true);
    bench.api("STREAM.DELETE.O", &json!(null));
    assert_eq!(bench.direct("O", Some("o.b"), "").unwrap()[0].payload, "5", "the mirror answers for its origin");
    assert_eq!(bench.info("M")["mirror"]["error"]["err_code"], 10029);
}

#[test]
fn a_mirror_filters_and_renames() {
    let bench = Bench::new();
    bench.stream(json!({"name": "O", "subjects": ["o.>"]}));
    bench.stream(json!({"name": "F", "mirror": {"name": "O", "filter_subject": "o.a"}}));
    bench.stream(json!({"name": "T", "mirror": {"name": "O", "subject_transforms": [
        {"src": "o.a", "dest": "x.a"}, {"src": "o.b", "dest": ""}]}}));
    for subject in ["o.a", "o.c", "o.b", "o.a"] {
        bench.store(subject, &[], "");
    }
    let subjects =
        |name: &str| bench.messages(name).into_iter().map(|(seq, subject, _)| (seq, subject)).collect::<Vec<_>>();
    assert_eq!(subjects("F"), [(1, "o.a".to_owned()), (4, "o.a".to_owned())]);
    assert_eq!(subjects("T"), [(1, "x.a".to_owned()), (3, "o.b".to_owned()), (4, "x.a".to_owned())]);
}

#[test]
fn sources_are_stored_under_new_sequences_and_say_where_they_come_from() {
    let bench = Bench::new();
    bench.stream(json!({"name": "A", "subjects": ["a.>"]}));
    bench.stream(json!({"name": "B", "subjects": ["b.>"]}));
    bench.stream(json!({"name": "T", "subjects": ["t"], "sources": [
        {"name": "A"}, {"name": "B", "subject_transforms": [{"src": "b.*", "dest": "from.b.$1"}]}]}));
    bench.store("a.1", &[("Nats-Expected-Stream", "A"), ("K", "v")], "one");
    bench.store("b.1", &[], "two");
    bench.store("t", &[], "three");
    let messages: Vec<_> = bench.messages("T").into_iter().map(|(_, subject, payload)| (subject, payload)).collect();
    assert_eq!(
        messages,
        [
            ("a.1".to_owned(), "one".to_owned()),
            ("from.b.1".to_owned(), "two".to_owned()),
            ("t".to_owned(), "three".to_owned())
        ]
    );
    let header = bench.header("T", 1);
    assert!(header.starts_with("NATS/1.0\r\nK: v\r\nNats-Stream-Source: A 1 > > a.1 "), "{header}");
    assert!(bench.header("T", 2).contains("Nats-Stream-Source: B 1 b.* from.b.$1 b.1 "), "{}", bench.header("T", 2));
    assert_eq!(bench.info("T")["sources"][0]["name"], "A");
    bench.api("STREAM.DELETE.A", &json!(null));
    bench.pass(std::time::Duration::from_millis(1));
    bench.stream(json!({"name": "A", "subjects": ["a.>"]}));
    bench.store("a.2", &[], "again");
    assert_eq!(bench.messages("T").last().unwrap().1, "a.2", "an origin made anew is read from its start");
}

#[test]
fn a_sourcing_stream_goes_on_after_a_restart_and_a_purge() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let settings = Settings { store_dir: Some(dir.path().to_owned()), ..Settings::default() };
    let bench = Bench::at(settings.clone(), AccountLimits::default(), clock.clone());
    bench.stream(json!({"name": "A", "subjects": ["a"], "storage": "file"}));
    bench.stream(json!({"name": "T", "sources": [{"name": "A"}], "storage": "file"}));
    bench.stream(json!({"name": "M", "mirror": {"name": "A"}, "storage": "file"}));
    for _ in 0..3 {
        bench.store("a", &[], "");
    }
    bench.api("STREAM.PURGE.T", &json!(null));
    bench.account.stop();
    drop(bench);
    let bench = Bench::at(settings, AccountLimits::default(), clock);
    bench.store("a", &[], "");
    let state = bench.state("T");
    assert_eq!((&state["messages"], &state["last_seq"]), (&json!(1), &json!(4)));
    assert_eq!(bench.state("M")["messages"], 4);
}

#[test]
fn a_work_queue_is_emptied_into_the_stream_that_sources_it() {
    let bench = Bench::new();
    bench.stream(json!({"name": "W", "subjects": ["w"], "retention": "workqueue"}));
    bench.stream(json!({"name": "I", "subjects": ["i"], "retention": "interest"}));
    bench.stream(json!({"name": "T", "sources": [{"name": "W"}, {"name": "I"}]}));
    bench.store("w", &[], "one");
    bench.store("i", &[], "two");
    assert_eq!(bench.state("T")["messages"], 2);
    assert_eq!(bench.state("W")["messages"], 0);
    assert_eq!(bench.state("I")["messages"], 0);
    bench.api("STREAM.DELETE.T", &json!(null));
    bench.store("w", &[], "three");
    bench.store("i", &[], "four");
    assert_eq!(bench.state("W")["messages"], 1);
    assert_eq!(bench.state("I")["messages"], 0);
}

#[test]
fn a_bounded_queue_is_filled_as_room_comes() {
    let bench = Bench::new();
    bench.stream(json!({"name": "O", "subjects": ["o"]}));
    bench.stream(
        json!({"name": "Q", "sources": [{"name": "O"}], "retention": "workqueue", "discard": "new", "max_msgs": 2}),
    );
    for n in 1..=4 {
        bench.store("o", &[], &n.to_string());
    }
    assert_eq!(bench.state("Q")["messages"], 2);
    bench.api("STREAM.MSG.DELETE.Q", &json!({"seq": 1}));
    bench.pass(std::time::Duration::from_secs(2));
    assert_eq!(bench.messages("Q").into_iter().map(|(.., payload)| payload).collect::<Vec<_>>(), ["2", "3"]);
}

#[test]
fn a_mirror_that_is_one_no_more_takes_messages() {
    let bench = Bench::new();
    bench.stream(json!({"name": "O", "subjects": ["o"]}));
    bench.store("o", &[], "");
    bench.stream(json!({"name": "M", "mirror": {"name": "O"}}));
    let other = bench.update("M", &json!({"mirror": {"name": "X"}}));
    assert_eq!(error_of(&other), 10055);
    assert_eq!(error_of(&bench.update("M", &json!({"mirror": null, "subjects": ["m"]}))), 0);
    assert_eq!(bench.store("m", &[], ""), 2);
}

#[test]
fn counters_are_added_up_across_streams() {
    let bench = Bench::new();
    for name in ["A", "B"] {
        bench.stream(json!({"name": name, "subjects": [format!("{name}.>")], "allow_msg_counter": true}));
    }
    bench.stream(json!({"name": "T", "allow_msg_counter": true, "sources": [
        {"name": "A", "subject_transforms": [{"src": "A.>", "dest": "sum.>"}]},
        {"name": "B", "subject_transforms": [{"src": "B.>", "dest": "sum.>"}]}]}));
    for (subject, by) in [("A.x", "5"), ("B.x", "2"), ("A.x", "-1"), ("B.x", "10")] {
        bench.store(subject, &[("Nats-Incr", by)], "");
    }
    assert_eq!(bench.messages("T").last().unwrap().2, r#"{"val":"16"}"#);
}
