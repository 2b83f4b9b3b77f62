//! Consumers by the API: made, changed, listed, paused, deleted; and what they keep over a restart. Checklist H to K.

use std::time::Duration;

use cordon_auth::clock::Clock;
use serde_json::{Value, json};

use crate::account::{AccountLimits, Limits, Settings};
use crate::stream::Stream;
use crate::testing::{Bench, error_of};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["a.>", "b"]}));
    bench
}

/// Makes a consumer `c` of stream `S`, or changes it.
fn create(bench: &Bench, config: &Value) -> Value {
    bench.api("CONSUMER.CREATE.S.c", &json!({"stream_name": "S", "config": config}))
}

fn info(bench: &Bench) -> Value {
    bench.api("CONSUMER.INFO.S.c", &Value::Null)
}

#[test]
fn subject_and_body_must_name_the_same() {
    let explicit = |more: Value| {
        let mut config = json!({"ack_policy": "explicit"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"stream_name": "S", "config": config})
    };
    for (subject, body, refused) in [
        ("CONSUMER.CREATE.S.c", explicit(json!({})), 0),
        ("CONSUMER.CREATE.S.c", explicit(json!({"durable_name": "d"})), 10017),
        ("CONSUMER.CREATE.S.c", json!({"stream_name": "T", "config": {}}), 10056),
        ("CONSUMER.CREATE.S.c.a.1", explicit(json!({"filter_subject": "a.1"})), 0),
        ("CONSUMER.CREATE.S.c.a.*.>", explicit(json!({"filter_subject": "a.*.>"})), 0),
        ("CONSUMER.CREATE.S.c.a.1", explicit(json!({"filter_subject": "a.2"})), 10131),
        ("CONSUMER.CREATE.S.c.a.1", explicit(json!({})), 10131),
        ("CONSUMER.CREATE.S.c.a.1", explicit(json!({"filter_subjects": ["a.1"]})), 10137),
        ("CONSUMER.CREATE.S.x/y", explicit(json!({})), 10127),
        ("CONSUMER.CREATE.S", explicit(json!({"durable_name": "d"})), 10020),
        ("CONSUMER.CREATE.S", explicit(json!({})), 0),
        ("CONSUMER.DURABLE.CREATE.S.d", explicit(json!({})), 10018),
        ("CONSUMER.DURABLE.CREATE.S.d", explicit(json!({"durable_name": "e"})), 10017),
        ("CONSUMER.DURABLE.CREATE.S.d", explicit(json!({"durable_name": "d"})), 0),
        ("CONSUMER.CREATE.T.c", json!({"stream_name": "T", "config": {}}), 10059),
        ("CONSUMER.CREATE.S.c", json!({"stream_name": "S", "config": {"foo": 1}}), 10025),
        ("CONSUMER.INFO.S.none", Value::Null, 10014),
        ("CONSUMER.INFO.T.none", Value::Null, 10059),
        ("CONSUMER.INFO.S.none", json!({"a": 1}), 10038),
        ("CONSUMER.DELETE.S.none", Value::Null, 10014),
        ("CONSUMER.DELETE.S.none", json!({"a": 1}), 10038),
        ("CONSUMER.PAUSE.S.none", Value::Null, 10014),
        ("CONSUMER.PAUSE.S.none", json!({"pause_until": "soon"}), 10025),
        ("CONSUMER.RESET.S.none", Value::Null, 10014),
        ("CONSUMER.UNPIN.S.none", json!({"group": "g"}), 10014),
        ("CONSUMER.UNPIN.S.none", json!({}), 10025),
        ("CONSUMER.UNPIN.S.none", json!({"group": "a b"}), 10162),
    ] {
        assert_eq!(bench().refused(subject, &body), refused, "{subject} {body}");
    }
}

#[test]
fn a_wish_to_make_or_to_change_is_kept_apart() {
    let bench = bench();
    let wish = |action: &str, config: Value| {
        bench.refused("CONSUMER.CREATE.S.c", &json!({"stream_name": "S", "action": action, "config": config}))
    };
    let explicit = json!({"ack_policy": "explicit", "durable_name": "c"});
    let other = json!({"ack_policy": "explicit", "durable_name": "c", "description": "other"});
    assert_eq!(wish("update", explicit.clone()), 10149);
    assert_eq!(wish("create", explicit.clone()), 0);
    assert_eq!(wish("create", explicit.clone()), 0, "an equal one is there");
    assert_eq!(wish("create", other.clone()), 10148);
    assert_eq!(wish("update", other), 0);
    assert_eq!(info(&bench)["config"]["description"], "other");
    assert_eq!(wish("nonsense", explicit), 10025);
}

#[test]
fn what_is_refused_changes_nothing() {
    let bench = bench();
    let config = json!({"ack_policy": "explicit", "durable_name": "c", "metadata": {"k": "v"}});
    create(&bench, &config);
    bench.store("b", &[], "x");
    bench.pull("S", "c", "1");
    let before = info(&bench);
    for change in [
        json!({"ack_policy": "none", "durable_name": "c"}),
        json!({"ack_policy": "explicit", "durable_name": "c", "deliver_subject": "x"}),
        json!({"ack_policy": "explicit", "durable_name": "c", "filter_subject": "a..b"}),
        json!({"ack_policy": "explicit", "durable_name": "c", "backoff": [1, 2], "max_deliver": 1}),
    ] {
        assert_ne!(error_of(&create(&bench, &change)), 0, "{change}");
    }
    let mut after = info(&bench);
    after["ts"] = before["ts"].clone();
    assert_eq!(after, before);
}

#[test]
fn a_work_queue_has_one_consumer_for_each_message() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["a.>", "b"], "retention": "workqueue"}));
    let with = |name: &str, filter: &str| {
        let config = json!({"ack_policy": "explicit", "filter_subject": filter});
        bench.refused(&format!("CONSUMER.CREATE.S.{name}"), &json!({"stream_name": "S", "config": config}))
    };
    assert_eq!(with("one", "a.1"), 0);
    assert_eq!(with("two", "a.*"), 10100);
    assert_eq!(with("two", ""), 10099);
    assert_eq!(with("two", "b"), 0);
    assert_eq!(with("two", "a.>"), 10100, "an update, too");
    assert_eq!(with("one", "a.2"), 0);
    assert_eq!(with("three", "a.1"), 0);
}

#[test]
fn limits_bound_how_many_and_how_much() {
    let limits = Limits { max_consumers: 2, max_ack_pending: 100, ..Limits::NONE };
    let bench = Bench::with(Settings::default(), AccountLimits::Flat(limits));
    bench.stream(json!({"name": "S", "subjects": ["b"]}));
    bench.stream(json!({"name": "T", "subjects": ["t"], "max_consumers": 1}));
    let make = |stream: &str, name: &str, pending: i64| {
        let config = json!({"ack_policy": "explicit", "max_ack_pending": pending});
        bench.refused(&format!("CONSUMER.CREATE.{stream}.{name}"), &json!({"stream_name": stream, "config": config}))
    };
    assert_eq!(make("S", "a", 101), 10121);
    assert_eq!(make("S", "a", -1), 10121);
    assert_eq!((make("S", "a", 100), make("S", "b", 0), make("S", "c", 0)), (0, 0, 10026));
    assert_eq!(make("S", "b", 50), 0, "one that is there can be changed");
    assert_eq!((make("T", "a", 0), make("T", "b", 0)), (0, 10026));
    let info = bench.api("CONSUMER.INFO.T.a", &Value::Null);
    assert_eq!(info["config"]["max_ack_pending"], 100, "the default is no more than the limit");
}

#[test]
fn answers_show_what_is_there_before_anything_is_delivered() {
    let bench = bench();
    for _ in 0..3 {
        bench.store("a.1", &[], "x");
    }
    bench.store("b", &[], "x");
    bench.listen("to.me");
    let answer = create(&bench, &json!({"deliver_subject": "to.me", "filter_subject": "a.*"}));
    assert_eq!((&answer["num_pending"], &answer["delivered"]["consumer_seq"]), (&json!(3), &json!(0)));
    assert_eq!(answer["type"], "io.nats.jetstream.api.v1.consumer_create_response");
    assert_eq!(answer["config"]["metadata"]["_nats.req.level"], "0");
    assert_eq!(bench.take("to.me").len(), 3);
    let after = info(&bench);
    assert_eq!((&after["num_pending"], &after["push_bound"]), (&json!(0), &json!(true)));
}

#[test]
fn lists_come_in_pages_and_leave_internal_ones_out() {
    let bench = bench();
    bench.listen("x.>");
    for n in 0..260 {
        let request = json!({"stream_name": "S", "config": {"ack_policy": "explicit"}});
        assert_eq!(bench.refused(&format!("CONSUMER.CREATE.S.c{n:03}"), &request), 0);
    }
    let internal = json!({"stream_name": "S", "config": {"direct": true, "deliver_subject": "x.y"}});
    assert_eq!(bench.refused("CONSUMER.CREATE.S.internal", &internal), 0);
    let names = bench.api("CONSUMER.NAMES.S", &Value::Null);
    assert_eq!((&names["total"], &names["limit"]), (&json!(260), &json!(1024)));
    assert_eq!(names["consumers"].as_array().map(Vec::len), Some(260));
    let list = bench.api("CONSUMER.LIST.S", &json!({"offset": 256}));
    assert_eq!((&list["total"], &list["offset"], &list["limit"]), (&json!(260), &json!(256), &json!(256)));
    assert_eq!(list["consumers"][3]["name"], "c259");
    assert_eq!(bench.info("S")["state"]["consumer_count"], 260);
    assert_eq!(bench.refused("CONSUMER.DELETE.S.c000", &Value::Null), 0);
    assert_eq!(bench.api("CONSUMER.NAMES.S", &Value::Null)["total"], 259);
}

#[test]
fn a_pause_is_kept_over_a_restart_and_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let settings = || Settings { store_dir: Some(dir.path().to_owned()), ..Settings::default() };
    let before = Bench::at(settings(), AccountLimits::default(), clock.clone());
    before.stream(json!({"name": "S", "subjects": ["b"], "storage": "file"}));
    create(&before, &json!({"ack_policy": "explicit", "durable_name": "c"}));
    before.store("b", &[], "x");
    let answer = before.api("CONSUMER.PAUSE.S.c", &json!({"pause_until": "2027-01-15T09:00:00Z"}));
    assert_eq!((&answer["paused"], &answer["pause_until"]), (&json!(true), &json!("2027-01-15T09:00:00Z")));
    assert!(before.pull("S", "c", "1").is_empty());
    before.account.stop();
    drop(before);

    let after = Bench::at(settings(), AccountLimits::default(), clock.clone());
    let paused = info(&after);
    assert_eq!((&paused["paused"], &paused["pause_remaining"]), (&json!(true), &json!(3600 * 1_000_000_000_i64)));
    assert!(after.pull("S", "c", "1").is_empty());
    after.pass(Duration::from_hours(1));
    assert_eq!(after.take("_INBOX.pull").len(), 1);
    let resumed = after.api("CONSUMER.PAUSE.S.c", &Value::Null);
    assert_eq!((&resumed["paused"], &resumed["pause_until"]), (&json!(false), &json!("0001-01-01T00:00:00Z")));
}

#[test]
fn an_acknowledgement_holds_over_a_restart_and_deliveries_are_counted_on() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_800_000_000);
    let settings = || Settings { store_dir: Some(dir.path().to_owned()), ..Settings::default() };
    let before = Bench::at(settings(), AccountLimits::default(), clock.clone());
    before.stream(json!({"name": "S", "subjects": ["b"], "storage": "file"}));
    create(&before, &json!({"ack_policy": "explicit", "durable_name": "c"}));
    for _ in 0..4 {
        before.store("b", &[], "x");
    }
    let got = before.pull("S", "c", "3");
    before.ack(&got[1], "");
    before.account.stop();
    drop(before);

    let after = Bench::at(settings(), AccountLimits::default(), clock.clone());
    let state = info(&after);
    assert_eq!((&state["num_ack_pending"], &state["num_pending"]), (&json!(2), &json!(1)));
    after.pass(Duration::from_secs(31));
    let again: Vec<String> = after.pull("S", "c", "9").into_iter().map(|one| one.reply).collect();
    let heads = ["$JS.ACK.S.c.2.1.4.", "$JS.ACK.S.c.2.3.5.", "$JS.ACK.S.c.1.4.6."];
    assert!(again.iter().zip(heads).all(|(reply, head)| reply.starts_with(head)), "{again:?}");
}

#[test]
fn a_consumer_is_reset_and_a_client_released_by_request() {
    let bench = bench();
    for _ in 0..5 {
        bench.store("b", &[], "x");
    }
    create(&bench, &json!({"ack_policy": "explicit", "priority_groups": ["g"], "priority_policy": "pinned_client"}));
    let got = bench.pull("S", "c", "{\"batch\":4,\"group\":\"g\"}");
    bench.ack(&got[0], "");
    let pinned = info(&bench)["priority_groups"][0]["pinned_client_id"].as_str().unwrap_or_default().to_owned();
    assert!(!pinned.is_empty());
    assert_eq!(bench.refused("CONSUMER.UNPIN.S.c", &json!({"group": "h"})), 10160);
    assert_eq!(bench.refused("CONSUMER.UNPIN.S.c", &json!({"group": "g"})), 0);
    assert_eq!(info(&bench)["priority_groups"][0].get("pinned_client_id"), None);
    let reset = bench.api("CONSUMER.RESET.S.c", &Value::Null);
    assert_eq!(
        (&reset["reset_seq"], &reset["num_pending"], &reset["num_ack_pending"]),
        (&json!(2), &json!(4), &json!(0))
    );
    let reset = bench.api("CONSUMER.RESET.S.c", &json!({"seq": 5}));
    assert_eq!((&reset["reset_seq"], &reset["delivered"]["stream_seq"]), (&json!(5), &json!(4)));
    create(&bench, &json!({"ack_policy": "explicit"}));
    let new = json!({"stream_name": "S", "config": {"ack_policy": "explicit", "deliver_policy": "new"}});
    assert_eq!(bench.refused("CONSUMER.CREATE.S.new", &new), 0);
    let refused = bench.api("CONSUMER.RESET.S.new", &json!({"seq": 1}));
    assert_eq!(refused["error"]["description"], "invalid reset: not allowed");
}

#[test]
fn a_consumer_that_nobody_uses_is_deleted_and_the_account_is_told() {
    let bench = bench();
    bench.listen("$JS.EVENT.>");
    create(&bench, &json!({"ack_policy": "explicit"}));
    assert_eq!(bench.take("$JS.EVENT.ADVISORY.CONSUMER.CREATED.S.c").len(), 1);
    bench.pass(Duration::from_secs(4));
    assert_eq!(error_of(&info(&bench)), 0);
    bench.pass(Duration::from_secs(2));
    assert_eq!(error_of(&info(&bench)), 10014);
    let told = bench.take("$JS.EVENT.ADVISORY.CONSUMER.DELETED.S.c");
    assert!(told[0].payload.contains("\"action\":\"delete\""));
}

#[test]
fn whoever_waits_is_told_of_the_end_and_nobody_answers_afterwards() {
    let bench = bench();
    create(&bench, &json!({"ack_policy": "explicit", "durable_name": "c"}));
    assert!(bench.pull("S", "c", "1").is_empty());
    assert_eq!(bench.refused("CONSUMER.DELETE.S.c", &Value::Null), 0);
    assert_eq!(bench.take("_INBOX.pull")[0].header, "NATS/1.0 409 Consumer Deleted\r\n\r\n");
    assert!(!bench.account.request(("S", "c"), b"r", b"", b"", &mut Stream::begin), "no responders");
    create(&bench, &json!({"ack_policy": "none"}));
    assert!(bench.account.request(("S", "c"), b"r", b"", b"", &mut Stream::begin));
    assert!(
        !bench.account.acknowledge(b"$JS.ACK.S.c.1.1.1.1.0", b"r", b"", &mut Stream::begin),
        "nobody waits for acknowledgements"
    );
}

#[test]
fn consumers_hear_only_of_what_they_want() {
    let bench = bench();
    for (name, filters) in [
        ("one", vec!["a.1"]),
        ("all", vec![]),
        ("wild", vec!["a.*"]),
        ("wild2", vec!["a.*"]),
        ("two", vec!["b", "a.1"]),
    ] {
        let request = json!({"stream_name": "S", "config": {"ack_policy": "explicit", "filter_subjects": filters}});
        assert_eq!(bench.refused(&format!("CONSUMER.CREATE.S.{name}"), &request), 0);
    }
    let pending = |name: &str| bench.api(&format!("CONSUMER.INFO.S.{name}"), &Value::Null)["num_pending"].clone();
    let all = || ["one", "all", "wild", "wild2", "two"].map(|name| pending(name).as_u64().unwrap());
    bench.store("a.1", &[], "");
    bench.store("a.2", &[], "");
    bench.store("b", &[], "");
    assert_eq!(all(), [1, 3, 2, 2, 2]);
    let request = json!({"stream_name": "S", "config": {"ack_policy": "explicit", "filter_subject": "b"}});
    assert_eq!(bench.refused("CONSUMER.CREATE.S.one", &request), 0);
    assert_eq!(bench.refused("CONSUMER.DELETE.S.wild", &Value::Null), 0);
    bench.store("a.1", &[], "");
    bench.store("b", &[], "");
    assert_eq!(["one", "all", "wild2", "two"].map(|name| pending(name).as_u64().unwrap()), [2, 5, 3, 4]);
    assert_eq!(bench.refused("STREAM.MSG.DELETE.S", &json!({"seq": 5})), 0);
    assert_eq!(["one", "all", "wild2", "two"].map(|name| pending(name).as_u64().unwrap()), [1, 4, 3, 3]);
}

#[test]
fn who_acknowledged_and_asks_then_hears_of_it() {
    let bench = bench();
    create(&bench, &json!({"ack_policy": "explicit"}));
    bench.store("b", &[], "");
    let got = bench.pull("S", "c", "1");
    assert!(bench.account.acknowledge(got[0].reply.as_bytes(), b"", b"", &mut Stream::begin));
    assert!(bench.publish_to("b", "", &[], "not yet taken up"));
    let after = info(&bench);
    assert_eq!((&after["num_ack_pending"], &after["num_pending"]), (&json!(0), &json!(1)));
    assert!(bench.publish_to("b", "", &[], "before the purge"));
    assert_eq!(bench.api("STREAM.PURGE.S", &Value::Null)["purged"], 3);
}
