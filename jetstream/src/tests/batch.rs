//! Batches: checklist G 88 to 91.

use std::time::Duration;

use serde_json::{Value, json};

use crate::testing::{Bench, error_of};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.listen("$JS.EVENT.>");
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_atomic": true, "allow_rollup_hdrs": true}));
    bench.stream(json!({"name": "F", "subjects": ["f.>"], "allow_batched": true}));
    bench.stream(json!({"name": "N", "subjects": ["n"]}));
    bench
}

/// Publishes a member of a batch; gives the answer as it is written.
fn member(bench: &Bench, seq: u64, more: &[(&str, &str)]) -> Option<String> {
    let seq = seq.to_string();
    let mut headers = vec![("Nats-Batch-Id", "B"), ("Nats-Batch-Sequence", seq.as_str())];
    headers.extend_from_slice(more);
    bench.publish_raw("s.a", &headers, &seq)
}

fn refused(answer: Option<String>) -> u64 {
    error_of(&serde_json::from_str::<Value>(&answer.unwrap()).unwrap())
}

fn abandoned(bench: &Bench) -> Vec<String> {
    let told = bench.take("$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S");
    told.iter()
        .map(|sent| serde_json::from_str::<Value>(&sent.payload).unwrap()["reason"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_batch_is_stored_as_a_whole_when_it_is_committed() {
    let bench = bench();
    assert_eq!(member(&bench, 1, &[]).as_deref(), Some(""));
    assert_eq!(member(&bench, 2, &[]).as_deref(), Some(""));
    assert_eq!(bench.state("S")["messages"], 0);
    let answer = member(&bench, 3, &[("Nats-Batch-Commit", "1")]).unwrap();
    assert_eq!(answer, r#"{"stream":"S","seq":3,"batch":"B","count":3}"#);
    assert_eq!(bench.state("S")["messages"], 3);
    assert!(bench.header("S", 3).contains("Nats-Batch-Commit: 1\r\n"));
}

#[test]
fn the_mark_of_the_end_is_not_stored() {
    let bench = bench();
    member(&bench, 1, &[]);
    let answer = member(&bench, 2, &[("Nats-Batch-Commit", "eob")]).unwrap();
    assert_eq!(answer, r#"{"stream":"S","seq":1,"batch":"B","count":1}"#);
    assert!(bench.header("S", 1).contains("Nats-Batch-Commit: 1\r\n"));
    assert_eq!(refused(member(&bench, 1, &[("Nats-Batch-Commit", "eob")])), 10176);
}

#[test]
fn what_a_batch_may_not_be() {
    let bench = bench();
    assert_eq!(error_of(&bench.publish("n", &[("Nats-Batch-Id", "B"), ("Nats-Batch-Sequence", "1")], "")), 10174);
    let long = "x".repeat(65);
    assert_eq!(error_of(&bench.publish("s.a", &[("Nats-Batch-Id", &long), ("Nats-Batch-Sequence", "1")], "")), 10179);
    assert_eq!(error_of(&bench.publish("s.a", &[("Nats-Batch-Id", "B")], "")), 10175);
    assert_eq!(refused(member(&bench, 2, &[])), 10176);
    member(&bench, 1, &[]);
    assert_eq!(refused(member(&bench, 3, &[])), 10176);
    assert_eq!(abandoned(&bench), ["incomplete"]);
    member(&bench, 1, &[]);
    assert_eq!(refused(member(&bench, 2, &[("Nats-Batch-Commit", "2")])), 10200);
    member(&bench, 1, &[]);
    assert_eq!(refused(member(&bench, 2, &[("Nats-Expected-Last-Msg-Id", "x")])), 10177);
    member(&bench, 1, &[]);
    assert_eq!(refused(member(&bench, 2, &[("Nats-Required-Api-Level", "99")])), 10185);
    assert_eq!(bench.state("S")["last_seq"], 0);
}

#[test]
fn one_bad_message_refuses_all() {
    let bench = bench();
    bench.store("s.a", &[("Nats-Msg-Id", "old")], "");
    for (first, second, code) in [
        (vec![], vec![("Nats-Expected-Last-Sequence", "1")], 10164),
        (vec![("Nats-Expected-Last-Sequence", "9")], vec![], 10071),
        (vec![], vec![("Nats-Expected-Last-Subject-Sequence", "1")], 10164),
        (vec![("Nats-Msg-Id", "x")], vec![("Nats-Msg-Id", "x")], 10201),
        (vec![("Nats-Msg-Id", "old")], vec![], 10201),
        (vec![], vec![("Nats-Rollup", "sub")], 10111),
        (vec![], vec![("Nats-TTL", "1")], 10166),
    ] {
        member(&bench, 1, &first);
        let mut second = second;
        second.push(("Nats-Batch-Commit", "1"));
        assert_eq!(refused(member(&bench, 2, &second)), code, "{first:?} {second:?}");
        assert_eq!(bench.state("S")["last_seq"], 1);
    }
}

#[test]
fn batches_are_bounded_in_size_in_number_and_in_time() {
    let mut settings = crate::account::Settings::default();
    (settings.batch.size, settings.batch.atomic_per_stream) = (3, 2);
    let bench = Bench::with(settings, crate::account::AccountLimits::default());
    bench.listen("$JS.EVENT.>");
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_atomic": true}));
    for seq in 1..=3 {
        member(&bench, seq, &[]);
    }
    let answer = member(&bench, 4, &[]);
    assert!(answer.as_ref().unwrap().contains("atomic publish batch is too large: 3"), "{answer:?}");
    assert_eq!(abandoned(&bench), ["large"]);
    for (id, code) in [("1", 0), ("2", 0), ("3", 10210)] {
        let answer = bench.publish_raw("s.a", &[("Nats-Batch-Id", id), ("Nats-Batch-Sequence", "1")], "").unwrap();
        assert_eq!(if answer.is_empty() { 0 } else { refused(Some(answer)) }, code);
    }
    bench.pass(Duration::from_secs(11));
    assert_eq!(abandoned(&bench), ["timeout", "timeout"]);
}

#[test]
fn counters_add_up_within_a_batch() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"], "allow_atomic": true, "allow_msg_counter": true}));
    for (seq, more) in [("1", None), ("2", Some(("Nats-Batch-Commit", "1")))] {
        let mut headers = vec![("Nats-Batch-Id", "B"), ("Nats-Batch-Sequence", seq), ("Nats-Incr", "2")];
        headers.extend(more);
        bench.publish_raw("s.a", &headers, "");
    }
    assert_eq!(bench.messages("S")[1].2, r#"{"val":"4"}"#);
}

/// Publishes to a fast batch; gives what came back.
fn fast(bench: &Bench, flow: u64, gap: &str, seq: u64, operation: u64) -> Vec<String> {
    let reply = format!("_INBOX.f.B.{flow}.{gap}.{seq}.{operation}.$FI");
    assert!(bench.publish_to("f.a", &reply, &[], &seq.to_string()));
    bench.run();
    bench.take(&reply).into_iter().map(|sent| sent.payload).collect()
}

#[test]
fn a_fast_batch_is_told_how_far_it_is() {
    let bench = bench();
    assert_eq!(fast(&bench, 2, "fail", 1, 0), [r#"{"type":"ack","seq":0,"msgs":2}"#]);
    assert_eq!(fast(&bench, 2, "fail", 2, 1), [r#"{"type":"ack","seq":2,"msgs":2}"#]);
    assert_eq!(fast(&bench, 2, "fail", 3, 1), [] as [&str; 0]);
    assert_eq!(fast(&bench, 2, "fail", 3, 4), [r#"{"type":"ack","seq":2,"msgs":2}"#]);
    assert_eq!(fast(&bench, 2, "fail", 4, 2), [r#"{"stream":"F","seq":4,"batch":"B","count":4}"#]);
    assert_eq!(refused(fast(&bench, 2, "fail", 5, 1).pop()), 10208);
}

#[test]
fn a_gap_ends_a_fast_batch_or_is_told() {
    let bench = bench();
    fast(&bench, 10, "fail", 1, 0);
    assert_eq!(
        fast(&bench, 10, "fail", 3, 1),
        [r#"{"type":"gap","last_seq":2,"seq":3}"#, r#"{"stream":"F","seq":1,"batch":"B","count":1}"#]
    );
    fast(&bench, 10, "ok", 1, 0);
    assert_eq!(fast(&bench, 10, "ok", 3, 1), [r#"{"type":"gap","last_seq":2,"seq":3}"#]);
    assert_eq!(fast(&bench, 10, "ok", 4, 3), [r#"{"stream":"F","seq":3,"batch":"B","count":2}"#]);
}

#[test]
fn what_is_no_fast_batch_is_refused() {
    let bench = bench();
    assert!(bench.publish_to("f.a", "_INBOX.x.$FI", &[], ""));
    bench.run();
    assert_eq!(refused(bench.take("_INBOX.x.$FI").pop().map(|sent| sent.payload)), 10206);
    assert!(bench.publish_to("n", "r.B.1.ok.1.0.$FI", &[], ""));
    bench.run();
    assert_eq!(refused(bench.take("r.B.1.ok.1.0.$FI").pop().map(|sent| sent.payload)), 10205);
}
