//! What an account is told of by itself, if it listens: checklist O 178.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::testing::Bench;

/// What was told, by its subject below `$JS.EVENT.`.
fn told(bench: &Bench) -> BTreeMap<String, Vec<Value>> {
    let mut by_subject: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for sent in std::mem::take(&mut *bench.port.sent.lock()) {
        if let Some(tail) = sent.to.strip_prefix("$JS.EVENT.") {
            by_subject.entry(tail.to_owned()).or_default().push(serde_json::from_str(&sent.payload).unwrap());
        }
    }
    by_subject
}

fn consumer(bench: &Bench, name: &str, more: &Value) {
    let mut config = json!({"name": name, "durable_name": name, "ack_policy": "explicit"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = bench.api(&format!("CONSUMER.CREATE.S.{name}"), &json!({"stream_name": "S", "config": config}));
    assert_eq!(answer.get("error"), None, "{answer}");
}

/// Does everything of which an account is told, once.
fn live(bench: &Bench) {
    let config = json!({"name": "S", "subjects": ["s"], "storage": "memory", "allow_atomic": true});
    bench.api("STREAM.CREATE.S", &config);
    bench.update("S", &json!({"description": "x"}));
    consumer(bench, "c", &json!({"max_deliver": 2, "sample_freq": "100"}));
    bench.store("s", &[], "one");
    let first = bench.pull("S", "c", "1");
    bench.ack(&first[0], "-NAK");
    let again = bench.pull("S", "c", "1");
    bench.pass(Duration::from_secs(31));
    drop(again);
    bench.store("s", &[], "two");
    bench.store("s", &[], "three");
    let got = bench.pull("S", "c", "2");
    bench.ack(&got[0], "+TERM enough");
    bench.ack(&got[1], "+ACK");
    let until = json!({"pause_until": "2030-01-01T00:00:00Z"});
    bench.api("CONSUMER.PAUSE.S.c", &until);
    consumer(
        bench,
        "p",
        &json!({"priority_policy": "pinned_client", "priority_groups": ["g"], "priority_timeout": 60_000_000_000_u64}),
    );
    bench.pull("S", "p", r#"{"batch":1,"group":"g"}"#);
    bench.api("CONSUMER.UNPIN.S.p", &json!({"group": "g"}));
    bench.publish_raw("s", &[("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", "1")], "");
    bench.pass(Duration::from_secs(11));
    bench.api("CONSUMER.DELETE.S.c", &json!(null));
    bench.api("STREAM.DELETE.S", &json!(null));
}

#[test]
fn whoever_listens_is_told_once_and_of_all_that_belongs_to_it() {
    let bench = Bench::new();
    bench.listen("$JS.EVENT.>");
    live(&bench);
    let told = told(&bench);
    let expected: [(&str, &str, &[&str]); 14] = [
        ("ADVISORY.STREAM.CREATED.S", "stream_action", &["stream", "action"]),
        ("ADVISORY.STREAM.UPDATED.S", "stream_action", &["stream", "action"]),
        ("ADVISORY.STREAM.DELETED.S", "stream_action", &["stream", "action"]),
        ("ADVISORY.STREAM.BATCH_ABANDONED.S", "stream_batch_abandoned", &["account", "stream", "batch", "reason"]),
        ("ADVISORY.CONSUMER.CREATED.S.c", "consumer_action", &["stream", "consumer", "action"]),
        ("ADVISORY.CONSUMER.DELETED.S.c", "consumer_action", &["stream", "consumer", "action"]),
        ("ADVISORY.CONSUMER.DELETED.S.p", "consumer_action", &["stream", "consumer", "action"]),
        ("ADVISORY.CONSUMER.PAUSE.S.c", "consumer_pause", &["stream", "consumer", "paused", "pause_until"]),
        ("ADVISORY.CONSUMER.MAX_DELIVERIES.S.c", "max_deliver", &["stream", "consumer", "stream_seq", "deliveries"]),
        ("ADVISORY.CONSUMER.MSG_NAKED.S.c", "nak", &["stream", "consumer", "consumer_seq", "stream_seq", "deliveries"]),
        (
            "ADVISORY.CONSUMER.MSG_TERMINATED.S.c",
            "terminated",
            &["stream", "consumer", "consumer_seq", "stream_seq", "deliveries", "reason"],
        ),
        (
            "ADVISORY.CONSUMER.PINNED.S.p",
            "consumer_group_pinned",
            &["account", "stream", "consumer", "group", "pinned_id"],
        ),
        (
            "ADVISORY.CONSUMER.UNPINNED.S.p",
            "consumer_group_unpinned",
            &["account", "stream", "consumer", "group", "reason"],
        ),
        (
            "METRIC.CONSUMER.ACK.S.c",
            "consumer_ack",
            &["stream", "consumer", "consumer_seq", "stream_seq", "ack_time", "deliveries"],
        ),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for (subject, kind, fields) in expected {
        let events = told.get(subject).unwrap_or_else(|| panic!("nothing on {subject}: {:?}", told.keys()));
        assert_eq!(events.len(), 1, "{subject}: {events:?}");
        let event = &events[0];
        let family = if subject.starts_with("METRIC") { "metric" } else { "advisory" };
        assert_eq!(event["type"], format!("io.nats.jetstream.{family}.v1.{kind}"));
        assert!(event["timestamp"].as_str().unwrap().starts_with("2027-01-15T08:"), "{event}");
        assert_eq!(event["id"].as_str().unwrap().len(), 22, "{event}");
        assert!(ids.insert(event["id"].as_str().unwrap().to_owned()), "{event}");
        for field in fields {
            assert!(event.get(field).is_some(), "{subject} without `{field}`: {event}");
        }
    }
    let audits = &told["ADVISORY.API"];
    assert!(audits.len() >= 8);
    for event in audits {
        assert_eq!(event["type"], "io.nats.jetstream.advisory.v1.api_audit");
        for field in ["id", "timestamp", "server", "client", "subject", "response"] {
            assert!(event.get(field).is_some(), "without `{field}`: {event}");
        }
    }
}

#[test]
fn nobody_is_told_who_does_not_listen() {
    let bench = Bench::new();
    live(&bench);
    assert_eq!(told(&bench), BTreeMap::new());
}
