//! Streams with those who stand around them: consumers that limits do not fit, requests that wait, mirrors, rivals.
//! Checklist B 30, B 40, C 45, D 55.

use serde_json::{Value, json};

use crate::stream::Stream;
use crate::testing::{Bench, error_of};

fn consumer(bench: &Bench, config: Value) {
    let request = json!({"stream_name": "S", "config": config});
    assert_eq!(error_of(&bench.api("CONSUMER.DURABLE.CREATE.S.d", &request)), 0, "{request}");
}

#[test]
fn limits_of_consumers_do_not_go_below_a_consumer_that_is_there() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"], "consumer_limits": {"max_ack_pending": 100}}));
    consumer(&bench, json!({"durable_name": "d", "ack_policy": "explicit", "max_ack_pending": 50}));
    let refused = bench.update("S", &json!({"consumer_limits": {"max_ack_pending": 49}}));
    assert_eq!(error_of(&refused), 10069, "{refused}");
    assert!(refused["error"]["description"].as_str().unwrap().ends_with(": d"), "{refused}");
    assert_eq!(bench.info("S")["config"]["consumer_limits"]["max_ack_pending"], 100);
    assert_eq!(error_of(&bench.update("S", &json!({"consumer_limits": {"max_ack_pending": 50}}))), 0);
}

#[test]
fn whoever_waits_at_a_stream_hears_of_its_end() {
    let bench = Bench::new();
    bench.listen(">");
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    consumer(&bench, json!({"durable_name": "d", "ack_policy": "explicit"}));
    let wait = br#"{"batch": 1, "expires": 5000000000}"#;
    assert!(bench.account.request(("S", "d"), b"_INBOX.pull", b"", wait, &mut Stream::begin));
    bench.run();
    assert_eq!(bench.take("_INBOX.pull"), []);
    assert_eq!(bench.api("STREAM.DELETE.S", &json!(null))["success"], true);
    let told = bench.take("_INBOX.pull");
    assert!(told.len() == 1 && told[0].header.contains("409 Consumer Deleted"), "{told:?}");
    assert_eq!(bench.take("$JS.EVENT.ADVISORY.STREAM.DELETED.S").len(), 1);
    assert!(!bench.account.request(("S", "d"), b"_INBOX.pull", b"", wait, &mut Stream::begin), "nobody is there");
}

#[test]
fn a_mirror_is_no_consumer_of_its_origin() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    bench.stream(json!({"name": "M", "mirror": {"name": "S"}}));
    bench.store("s", &[], "");
    bench.run();
    assert_eq!((&bench.state("M")["messages"], &bench.state("S")["consumer_count"]), (&json!(1), &json!(0)));
    consumer(&bench, json!({"durable_name": "d", "ack_policy": "explicit"}));
    assert_eq!(bench.state("S")["consumer_count"], 1);
}

#[test]
fn of_rivals_who_expect_the_same_sequence_one_wins() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"]}));
    for last in 0..10_u64 {
        let expected = last.to_string();
        for _ in 0..100 {
            assert!(bench.publish_to("s", "_INBOX.cas", &[("Nats-Expected-Last-Subject-Sequence", &expected)], ""));
        }
        bench.run();
        let answers = bench.take("_INBOX.cas");
        let errors = answers.iter().map(|sent| error_of(&serde_json::from_str(&sent.payload).unwrap()));
        let (won, lost): (Vec<u64>, Vec<u64>) = errors.partition(|error| *error == 0);
        assert_eq!((won.len(), lost.len()), (1, 99), "after {last}");
        assert!(lost.iter().all(|error| *error == 10071), "{lost:?}");
    }
    assert_eq!(bench.state("S")["messages"], 10);
}
