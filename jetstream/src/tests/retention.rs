//! Retention, purge, deletion: checklist E.

use std::time::Duration;

use serde_json::json;

use crate::testing::{Bench, error_of};

fn consumer(bench: &Bench, stream: &str, name: &str, filter: &str) {
    let config = json!({"durable_name": name, "ack_policy": "explicit", "filter_subject": filter});
    let request = json!({"stream_name": stream, "config": config});
    let answer = bench.api(&format!("CONSUMER.DURABLE.CREATE.{stream}.{name}"), &request);
    assert_eq!(answer.get("error"), None);
}

fn sequences(bench: &Bench, stream: &str) -> Vec<u64> {
    bench.messages(stream).into_iter().map(|(seq, ..)| seq).collect()
}

#[test]
fn limits_take_the_oldest() {
    let bench = Bench::new();
    bench.stream(json!({"name": "N", "subjects": ["n"], "max_msgs": 10}));
    bench.stream(json!({"name": "B", "subjects": ["b"], "max_bytes": 200}));
    bench.stream(json!({"name": "P", "subjects": ["p.>"], "max_msgs_per_subject": 2}));
    bench.stream(json!({"name": "A", "subjects": ["a"], "max_age": 1_000_000_000}));
    for _ in 0..25 {
        bench.store("n", &[], "");
        bench.store("b", &[], &"x".repeat(50));
        bench.store("p.a", &[], "");
        bench.store("a", &[], "");
    }
    assert_eq!(sequences(&bench, "N"), (16..=25).collect::<Vec<_>>());
    assert_eq!(sequences(&bench, "B"), [24, 25]);
    assert_eq!(sequences(&bench, "P"), [24, 25]);
    bench.pass(Duration::from_millis(900));
    assert_eq!(bench.state("A")["messages"], 25);
    bench.pass(Duration::from_millis(200));
    let state = bench.state("A");
    assert_eq!((&state["messages"], &state["first_seq"], &state["last_seq"]), (&json!(0), &json!(26), &json!(25)));
}

#[test]
fn a_lowered_limit_trims_at_once() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"]}));
    for n in 0..9 {
        bench.store(&format!("s.{}", n % 3), &[], "");
    }
    assert_eq!(bench.update("S", &json!({"max_msgs_per_subject": 2})).get("error"), None);
    assert_eq!(bench.state("S")["messages"], 6);
    bench.update("S", &json!({"max_msgs": 4}));
    assert_eq!(sequences(&bench, "S"), [6, 7, 8, 9]);
}

#[test]
fn without_interest_a_message_uses_a_sequence_and_is_not_stored() {
    let bench = Bench::new();
    bench.stream(json!({"name": "I", "subjects": ["i.>"], "retention": "interest"}));
    assert_eq!([bench.store("i.a", &[], ""), bench.store("i.a", &[], "")], [1, 2]);
    assert_eq!(bench.state("I")["messages"], 0);
    consumer(&bench, "I", "c", "i.a");
    assert_eq!([bench.store("i.b", &[], ""), bench.store("i.a", &[], "")], [3, 4]);
    assert_eq!(sequences(&bench, "I"), [4]);
}

#[test]
fn with_interest_a_message_stays_until_all_who_want_it_have_it() {
    let bench = Bench::new();
    bench.stream(json!({"name": "I", "subjects": ["i.>"], "retention": "interest"}));
    consumer(&bench, "I", "one", "");
    consumer(&bench, "I", "two", "i.a");
    bench.store("i.a", &[], "");
    bench.store("i.b", &[], "");
    let got = bench.pull("I", "one", "2");
    assert_eq!(got.len(), 2);
    for message in &got {
        bench.ack(message, "");
    }
    assert_eq!(sequences(&bench, "I"), [1]);
    let got = bench.pull("I", "two", "1");
    bench.ack(&got[0], "+ACK");
    assert_eq!(sequences(&bench, "I"), [] as [u64; 0]);
}

#[test]
fn what_only_a_deleted_consumer_wanted_goes_with_it() {
    let bench = Bench::new();
    bench.stream(json!({"name": "I", "subjects": ["i.>"], "retention": "interest"}));
    consumer(&bench, "I", "a", "i.a");
    consumer(&bench, "I", "b", "i.b");
    bench.store("i.a", &[], "");
    bench.store("i.b", &[], "");
    bench.api("CONSUMER.DELETE.I.a", &json!(null));
    assert_eq!(sequences(&bench, "I"), [2]);
    bench.api("CONSUMER.DELETE.I.b", &json!(null));
    assert_eq!(bench.state("I")["messages"], 0);
}

#[test]
fn a_work_queue_forgets_what_was_acknowledged() {
    let bench = Bench::new();
    bench.stream(json!({"name": "W", "subjects": ["w.>"], "retention": "workqueue"}));
    bench.store("w.a", &[], "");
    bench.store("w.b", &[], "");
    bench.store("w.a", &[], "");
    consumer(&bench, "W", "a", "w.a");
    let got = bench.pull("W", "a", "2");
    bench.ack(&got[0], "-NAK");
    assert_eq!(sequences(&bench, "W"), [1, 2, 3]);
    bench.ack(&got[1], "+TERM no");
    assert_eq!(sequences(&bench, "W"), [1, 2]);
    let got = bench.pull("W", "a", "1");
    bench.ack(&got[0], "+ACK");
    assert_eq!(sequences(&bench, "W"), [2], "what has no consumer stays");
}

#[test]
fn from_limits_to_interest_takes_what_all_have() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    consumer(&bench, "S", "c", "");
    bench.store("s", &[], "");
    bench.store("s", &[], "");
    let got = bench.pull("S", "c", "1");
    bench.ack(&got[0], "");
    assert_eq!(bench.update("S", &json!({"retention": "interest"})).get("error"), None);
    assert_eq!(sequences(&bench, "S"), [2]);
}

#[test]
fn a_purge_takes_what_it_says() {
    let bench = Bench::new();
    let fill = |name: &str| {
        bench.stream(json!({"name": name, "subjects": [format!("{name}.>")]}));
        for n in 0..6 {
            bench.store(&format!("{name}.{}", n % 2), &[], "");
        }
    };
    for (n, (body, purged, left)) in [
        (json!(null), 6, vec![]),
        (json!({"seq": 1}), 0, vec![1, 2, 3, 4, 5, 6]),
        (json!({"seq": 4}), 3, vec![4, 5, 6]),
        (json!({"keep": 2}), 4, vec![5, 6]),
        (json!({"keep": 9}), 0, vec![1, 2, 3, 4, 5, 6]),
        (json!({"filter": "X.0"}), 3, vec![2, 4, 6]),
        (json!({"filter": "X.0", "keep": 1}), 2, vec![2, 4, 5, 6]),
        (json!({"filter": "X.*", "keep": 1}), 5, vec![6]),
        (json!({"filter": "X.0", "seq": 4}), 2, vec![2, 4, 5, 6]),
        (json!({"filter": "nothing"}), 0, vec![1, 2, 3, 4, 5, 6]),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("P{n}");
        fill(&name);
        let mut body = body;
        if let Some(filter) = body.get("filter").and_then(|filter| filter.as_str()) {
            body["filter"] = filter.replace('X', &name).into();
        }
        let answer = bench.api(&format!("STREAM.PURGE.{name}"), &body);
        assert_eq!((&answer["success"], &answer["purged"]), (&json!(true), &json!(purged)), "{body}");
        assert_eq!(sequences(&bench, &name), left, "{body}");
        assert_eq!(bench.store(&format!("{name}.0"), &[], ""), 7, "sequences go on");
    }
    assert_eq!(bench.refused("STREAM.PURGE.P1", &json!({"seq": 2, "keep": 2})), 10003);
}

#[test]
fn what_is_denied_is_refused() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"], "deny_purge": true, "deny_delete": true}));
    bench.store("s", &[], "");
    let purge = bench.api("STREAM.PURGE.S", &json!(null));
    assert_eq!((error_of(&purge), &purge["error"]["description"]), (10110, &json!("stream purge not permitted")));
    let delete = bench.api("STREAM.MSG.DELETE.S", &json!({"seq": 1}));
    assert_eq!((error_of(&delete), &delete["error"]["description"]), (10057, &json!("message delete not permitted")));
    bench.update("S", &json!({"sealed": true}));
    assert_eq!(bench.refused("STREAM.PURGE.S", &json!(null)), 10109);
    assert_eq!(bench.refused("STREAM.MSG.DELETE.S", &json!({"seq": 1})), 10109);
}

#[test]
fn a_message_is_deleted_once_and_whoever_waits_for_its_acknowledgement_is_told() {
    let bench = Bench::new();
    bench.listen("$JS.EVENT.>");
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    consumer(&bench, "S", "c", "");
    bench.store("s", &[], "");
    bench.pull("S", "c", "1");
    assert_eq!(bench.api("STREAM.MSG.DELETE.S", &json!({"seq": 1}))["success"], true);
    let again = bench.api("STREAM.MSG.DELETE.S", &json!({"seq": 1}));
    assert_eq!((error_of(&again), &again["error"]["description"]), (10043, &json!("sequence 1 not found")));
    let told = bench.take("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.S.c");
    assert!(told[0].payload.contains("Unacknowledged message was deleted"), "{told:?}");
    assert_eq!(bench.api("CONSUMER.INFO.S.c", &json!(null))["num_ack_pending"], 0);
}

#[test]
fn a_consumer_goes_on_behind_what_was_purged() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"]}));
    consumer(&bench, "S", "all", "");
    consumer(&bench, "S", "a", "s.a");
    for subject in ["s.a", "s.b", "s.a", "s.b"] {
        bench.store(subject, &[], "");
    }
    bench.pull("S", "all", "1");
    bench.api("STREAM.PURGE.S", &json!({"filter": "s.a"}));
    let pending = |name: &str| bench.api(&format!("CONSUMER.INFO.S.{name}"), &json!(null))["num_pending"].clone();
    assert_eq!((pending("all"), pending("a")), (json!(2), json!(0)));
    bench.api("STREAM.PURGE.S", &json!(null));
    assert_eq!(pending("all"), json!(0));
    bench.store("s.a", &[], "next");
    assert_eq!(bench.pull("S", "all", "1")[0].payload, "next");
    assert_eq!(bench.pull("S", "a", "1")[0].payload, "next");
}
