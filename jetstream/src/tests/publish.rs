//! Publishing: checklist D.

use std::time::Duration;

use serde_json::json;

use crate::testing::{Bench, error_of};

#[test]
fn a_message_is_answered_with_stream_and_sequence() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"]}));
    assert_eq!(bench.publish_raw("s.a", &[], "x").as_deref(), Some(r#"{"stream":"S","seq":1}"#));
    assert_eq!(bench.publish_raw("s.a", &[("Nats-Msg-Id", "1")], "x").as_deref(), Some(r#"{"stream":"S","seq":2}"#));
    assert_eq!(
        bench.publish_raw("s.a", &[("Nats-Msg-Id", "1")], "x").as_deref(),
        Some(r#"{"stream":"S","seq":2,"duplicate": true}"#)
    );
    assert_eq!(
        bench.publish_raw("s.a", &[("Nats-Expected-Stream", "T")], "x").as_deref(),
        Some(
            r#"{"error":{"code":400,"err_code":10060,"description":"expected stream does not match"},"stream":"S","seq":0}"#
        )
    );
    assert!(!bench.publish_to("t.a", "r", &[], ""), "nobody listens");
    assert!(bench.publish_to("s.a", "", &[], ""), "without reply it is stored silently");
    bench.run();
    assert_eq!(bench.state("S")["messages"], 3);
}

#[test]
fn a_stream_that_does_not_acknowledge_is_silent() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": [">"], "no_ack": true}));
    assert_eq!(bench.publish_raw("anything", &[], "x"), None);
    assert_eq!(bench.publish_raw("anything", &[("Nats-Expected-Stream", "T")], "x"), None);
    assert_eq!(bench.state("S")["messages"], 1);
}

#[test]
fn ids_are_known_for_the_window_and_not_longer() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    bench.store("s", &[("Nats-Msg-Id", "a")], "");
    bench.pass(Duration::from_secs(119));
    assert_eq!(bench.publish("s", &[("Nats-Msg-Id", "a")], "")["duplicate"], true);
    bench.update("S", &json!({"duplicate_window": 1_000_000_000}));
    assert_eq!(bench.publish("s", &[("Nats-Msg-Id", "a")], "")["seq"], 2);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.publish("s", &[("Nats-Msg-Id", "a")], "")["seq"], 3);
}

#[test]
fn an_id_stays_known_when_its_message_is_gone() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    bench.store("s", &[("Nats-Msg-Id", "a")], "");
    bench.api("STREAM.PURGE.S", &json!(null));
    assert_eq!(bench.publish("s", &[("Nats-Msg-Id", "a")], "")["duplicate"], true);
}

#[test]
fn what_a_publisher_expects_must_be_so() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"]}));
    bench.store("s.a", &[("Nats-Msg-Id", "one")], "");
    bench.store("s.b", &[("Nats-Msg-Id", "two")], "");
    let last = "Nats-Expected-Last-Sequence";
    let of_subject = "Nats-Expected-Last-Subject-Sequence";
    let subject = "Nats-Expected-Last-Subject-Sequence-Subject";
    for (headers, description) in [
        (vec![(last, "1")], "wrong last sequence: 2"),
        (vec![(last, "0")], "wrong last sequence: 2"),
        (vec![(last, "x")], "wrong last sequence: 2"),
        (vec![(of_subject, "0")], "wrong last sequence: 1"),
        (vec![(of_subject, "1"), (subject, "s.b")], "wrong last sequence: 2"),
        (vec![(of_subject, "1"), (subject, "s.*")], "wrong last sequence: 2"),
        (vec![(subject, "s.b")], "missing sequence for expected last sequence per subject"),
        (vec![("Nats-Expected-Last-Msg-Id", "one")], "wrong last msg ID: two"),
        (vec![("Nats-Expected-Stream", "X")], "expected stream does not match"),
    ] {
        let answer = bench.publish("s.a", &headers, "");
        assert_eq!(answer["error"]["description"], description, "{headers:?}");
        assert_eq!(bench.state("S")["messages"], 2);
    }
    for (headers, seq) in [
        (vec![(of_subject, "0")], 3),
        (vec![(last, "3")], 4),
        (vec![(of_subject, "4"), (subject, "s.new")], 5),
        (vec![(of_subject, "2"), (subject, "s.b")], 6),
        (vec![("Nats-Expected-Last-Msg-Id", "")], 7),
    ] {
        assert_eq!(bench.store("s.new", &headers, ""), seq, "{headers:?}");
    }
    bench.api("STREAM.PURGE.S", &json!({"filter": "s.a"}));
    assert_eq!(bench.store("s.a", &[(of_subject, "0")], ""), 8);
}

#[test]
fn a_second_try_is_a_duplicate_although_the_sequence_went_on() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    let headers = [("Nats-Msg-Id", "a"), ("Nats-Expected-Last-Sequence", "0")];
    assert_eq!(bench.store("s", &headers, ""), 1);
    assert_eq!(bench.publish("s", &headers, "")["duplicate"], true);
}

#[test]
fn sizes_are_bounded() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"], "max_msg_size": 100}));
    assert_eq!(error_of(&bench.publish("s", &[], &"x".repeat(101))), 10054);
    assert_eq!(error_of(&bench.publish("s", &[("A", &"y".repeat(50))], &"x".repeat(50))), 10054);
    assert_eq!(bench.store("s", &[], &"x".repeat(100)), 1);
    bench.stream(json!({"name": "T", "subjects": ["t"]}));
    assert_eq!(error_of(&bench.publish("t", &[("A", &"y".repeat(65_536))], "")), 10097);
    assert_eq!(bench.store("t", &[("A", &"y".repeat(65_000))], ""), 1);
}

#[test]
fn with_discard_new_a_message_over_a_limit_is_refused() {
    let bench = Bench::new();
    bench.stream(json!({"name": "M", "subjects": ["m.>"], "discard": "new", "max_msgs": 2, "max_msgs_per_subject": 1}));
    bench.store("m.a", &[], "1");
    bench.store("m.b", &[], "1");
    let full = bench.publish("m.c", &[], "1");
    assert_eq!((error_of(&full), &full["error"]["description"]), (10077, &json!("maximum messages exceeded")));
    assert_eq!(bench.store("m.a", &[], "2"), 3, "the oldest of its own subject makes room");
    assert_eq!(bench.state("M")["messages"], 2);

    bench.stream(json!({"name": "B", "subjects": ["b"], "discard": "new", "max_bytes": 100}));
    bench.store("b", &[], &"x".repeat(50));
    let full = bench.publish("b", &[], &"x".repeat(50));
    assert_eq!((error_of(&full), &full["error"]["description"]), (10077, &json!("maximum bytes exceeded")));

    bench.stream(json!({
        "name": "P", "subjects": ["p.>"], "discard": "new", "discard_new_per_subject": true, "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": true
    }));
    bench.store("p.a", &[], "1");
    let full = bench.publish("p.a", &[], "2");
    assert_eq!(full["error"]["description"], "maximum messages per subject exceeded");
    assert_eq!(bench.state("P")["last_seq"], 1);
    assert_eq!(bench.store("p.a", &[("Nats-Rollup", "sub")], "2"), 2, "a rollup passes");
    assert_eq!(bench.messages("P"), [(2, "p.a".to_owned(), "2".to_owned())]);
}

#[test]
fn rollups_take_the_place_of_what_was_before() {
    let bench = Bench::new();
    bench.stream(json!({"name": "R", "subjects": ["r.>"], "allow_rollup_hdrs": true}));
    bench.stream(json!({"name": "N", "subjects": ["n"]}));
    for subject in ["r.a", "r.a", "r.b", "r.a"] {
        bench.store(subject, &[], "");
    }
    bench.store("r.a", &[("Nats-Rollup", "SUB")], "new");
    let subjects: Vec<_> = bench.messages("R").into_iter().map(|(seq, subject, _)| (seq, subject)).collect();
    assert_eq!(subjects, [(3, "r.b".to_owned()), (5, "r.a".to_owned())]);
    bench.store("r.c", &[("Nats-Rollup", "all")], "only");
    assert_eq!(bench.messages("R"), [(6, "r.c".to_owned(), "only".to_owned())]);
    let bad = bench.publish("r.a", &[("Nats-Rollup", "x")], "");
    assert_eq!(bad["error"]["description"], "rollup value invalid: \"x\"");
    let denied = bench.publish("n", &[("Nats-Rollup", "sub")], "");
    assert_eq!((error_of(&denied), &denied["error"]["description"]), (10111, &json!("rollup not permitted")));
}

#[test]
fn headers_that_only_the_server_may_write_are_refused_or_dropped() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    assert_eq!(error_of(&bench.publish("s", &[("Nats-Stream-Source", "O 1")], "")), 10227);
    bench.store("s", &[("Nats-Request-Info", "{}"), ("A", "b")], "");
    assert_eq!(bench.header("S", 1), "NATS/1.0\r\nA: b\r\n\r\n");
    bench.update("S", &json!({"sealed": true}));
    assert_eq!(error_of(&bench.publish("s", &[], "")), 10109);
}

#[test]
fn counters_add_up() {
    let bench = Bench::new();
    bench.stream(json!({"name": "C", "subjects": ["c.>"], "allow_msg_counter": true}));
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    assert_eq!(
        bench.publish_raw("c.a", &[("Nats-Incr", "+5")], "").as_deref(),
        Some(r#"{"stream":"C","seq":1,"val":"5"}"#)
    );
    assert_eq!(bench.publish("c.a", &[("Nats-Incr", "-2")], "")["val"], "3");
    let huge = "1".repeat(60);
    assert_eq!(bench.publish("c.b", &[("Nats-Incr", &huge)], "")["val"], huge);
    assert_eq!(bench.messages("C")[1].2, r#"{"val":"3"}"#);
    for (subject, headers, payload, code) in [
        ("c.a", vec![("Nats-Incr", "1")], "x", 10170),
        ("c.a", vec![], "", 10169),
        ("s", vec![("Nats-Incr", "1")], "", 10168),
        ("c.a", vec![("Nats-Incr", "x")], "", 10171),
        ("c.a", vec![("Nats-Incr", "1"), ("Nats-Expected-Last-Sequence", "2")], "", 10171),
    ] {
        assert_eq!(error_of(&bench.publish(subject, &headers, payload)), code, "{headers:?}");
    }
}

#[test]
fn a_message_lives_as_long_as_it_says() {
    let bench = Bench::new();
    bench.stream(json!({"name": "T", "subjects": ["t.>"], "allow_msg_ttl": true, "max_age": 10_000_000_000_i64}));
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    bench.store("t.a", &[("Nats-TTL", "1s")], "");
    bench.store("t.b", &[("Nats-TTL", "never")], "");
    bench.store("t.c", &[], "");
    assert_eq!(error_of(&bench.publish("t.a", &[("Nats-TTL", "0")], "")), 10165);
    assert_eq!(error_of(&bench.publish("s", &[("Nats-TTL", "1")], "")), 10166);
    bench.pass(Duration::from_millis(1100));
    assert_eq!(bench.state("T")["messages"], 2);
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.messages("T").iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_last_message_of_a_subject_leaves_a_marker() {
    let bench = Bench::new();
    bench.stream(json!({"name": "T", "subjects": ["t.>"], "subject_delete_marker_ttl": 5_000_000_000_i64,
        "max_age": 2_000_000_000}));
    bench.store("t.a", &[], "x");
    bench.store("t.p", &[("KV-Operation", "PURGE")], "");
    bench.pass(Duration::from_millis(2100));
    assert_eq!(bench.messages("T"), [(3, "t.a".to_owned(), String::new())]);
    let header = bench.header("T", 3);
    for line in ["Nats-Marker-Reason: MaxAge\r\n", "Nats-TTL: 5s\r\n", "Nats-Rollup: sub\r\n"] {
        assert!(header.contains(line), "{header}");
    }
    bench.pass(Duration::from_secs(6));
    assert_eq!(bench.state("T")["messages"], 0);
    assert_eq!(bench.state("T")["last_seq"], 3, "a marker leaves none");
}

#[test]
fn a_transformed_subject_is_the_one_that_counts() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["in.*"],
        "subject_transform": {"src": "in.*", "dest": "out.$1"},
        "republish": {"src": "out.>", "dest": "again.>"}}));
    bench.store("in.a", &[("Nats-Expected-Last-Subject-Sequence", "0")], "x");
    assert_eq!(error_of(&bench.publish("in.a", &[("Nats-Expected-Last-Subject-Sequence", "0")], "x")), 10071);
    assert_eq!(bench.messages("S")[0].1, "out.a");
    assert_eq!(bench.take("again.a").len(), 1);
}

#[test]
fn what_is_stored_is_published_again() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "republish": {"src": "s.>", "dest": "r.>"}}));
    bench.stream(json!({"name": "H", "subjects": ["h"], "republish": {"dest": "rh.>", "headers_only": true}}));
    bench.store("s.a", &[("A", "b"), ("Nats-Sequence", "99")], "one");
    bench.store("s.a", &[], "two");
    let sent = bench.take("r.a");
    assert_eq!(sent[0].payload, "one");
    let block = &sent[0].header;
    assert!(
        block.starts_with("NATS/1.0\r\nA: b\r\nNats-Stream: S\r\nNats-Subject: s.a\r\nNats-Sequence: 1\r\n"),
        "{block}"
    );
    assert!(block.contains("Nats-Time-Stamp: 2027-01-15T08:00:00Z\r\nNats-Last-Sequence: 0\r\n"), "{block}");
    assert!(sent[1].header.contains("Nats-Last-Sequence: 1\r\n"));
    bench.store("h", &[], "four");
    let sent = bench.take("rh.h");
    assert_eq!(sent[0].payload, "");
    assert!(sent[0].header.contains("Nats-Msg-Size: 4\r\n"));
}

#[test]
fn too_much_at_once_is_not_taken() {
    let mut settings = crate::account::Settings::default();
    settings.intake.messages = 3;
    let bench = Bench::with(settings, crate::account::AccountLimits::default());
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    let taken: Vec<bool> = (0..5).map(|_| bench.publish_to("s", "r", &[], "")).collect();
    assert_eq!(taken, [true, true, true, false, false]);
    bench.run();
    assert_eq!(bench.take("r").len(), 3, "what was taken is stored");
    let stream = bench.account.stream("S").unwrap();
    assert!(String::from_utf8(stream.overload()).unwrap().contains("10167"));
}

#[test]
fn too_much_for_an_account_or_the_node_is_not_taken_whatever_each_stream_may_hold() {
    let of_account = |settings: &mut crate::account::Settings| settings.intake.account = 1 << 20;
    let of_node = |settings: &mut crate::account::Settings| settings.intake.node = 1 << 20;
    for bound in [of_account, of_node] {
        let mut settings = crate::account::Settings::default();
        bound(&mut settings);
        let bench = Bench::with(settings, crate::account::AccountLimits::default());
        let pull = json!({"name": "S0", "subjects": ["s.0"], "retention": "workqueue"});
        bench.stream(pull);
        let config = json!({"durable_name": "c", "ack_policy": "explicit"});
        bench.api("CONSUMER.CREATE.S0.c", &json!({"stream_name": "S0", "config": config}));
        for number in 1..10 {
            bench.stream(json!({"name": format!("S{number}"), "subjects": [format!("s.{number}")]}));
        }
        let payload = "x".repeat(200 << 10);
        let send = || (0..10).map(|number| bench.publish_to(&format!("s.{number}"), "r", &[], &payload));
        let taken = send().filter(|taken| *taken).count();
        assert_eq!(taken, 4, "7/8 of 1 MiB");
        assert!(!bench.publish_to("s.9", "r", &[], &payload));
        assert_eq!(bench.pull("S0", "c", r#"{"expires":1000000000}"#).len(), 1, "there is room for requests");
        assert_eq!(bench.take("r").len(), 4, "what was taken is stored");
        assert_eq!(bench.account.ledger().waiting(), 0);
        assert!(bench.publish_to("s.9", "r", &[], &payload), "there is room again");
    }
}
