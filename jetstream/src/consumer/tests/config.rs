//! Configurations: what is refused and how, what is completed, and what may change. The texts are those of nats-server.

use serde_json::{Value, json};

use super::super::update::{check_update, same};
use super::*;
use crate::config::{ConsumerLimits, Retention};
use check::{check_room, check_unique, complete, required_level};

fn completed(config: Value, stream: &StreamConfig, pedantic: bool) -> Result<ConsumerConfig, (u16, String)> {
    let mut config: ConsumerConfig = serde_json::from_value(config).unwrap();
    if config.name.is_empty() && config.durable_name.is_empty() {
        config.name = "c".into();
    }
    let bounds = Bounds { max_ack_pending: 0, max_request_batch: 0 };
    complete(&mut config, stream, &bounds, pedantic)
        .map_err(|error| (error.err_code, error.description.into_owned()))?;
    Ok(config)
}

fn work_queue() -> StreamConfig {
    StreamConfig { retention: Retention::WorkQueue, ..stream() }
}

fn limited() -> StreamConfig {
    let consumer_limits = ConsumerLimits { max_ack_pending: 10, inactive_threshold: 10 * SECOND };
    StreamConfig { consumer_limits, ..stream() }
}

/// Configuration, number and text of its refusal.
const REFUSED: &[(&str, u16, &str)] = &[
    (
        r#"{"deliver_policy": "by_start_sequence"}"#,
        10094,
        "consumer delivery policy is deliver by start sequence, but optional start sequence is not set",
    ),
    (
        r#"{"deliver_policy": "by_start_time"}"#,
        10094,
        "consumer delivery policy is deliver by start time, but optional start time is not set",
    ),
    (
        r#"{"opt_start_seq": 1}"#,
        10094,
        "consumer delivery policy is deliver all, but optional start sequence is also set",
    ),
    (
        r#"{"opt_start_time": "2024-01-01T00:00:00Z"}"#,
        10094,
        "consumer delivery policy is deliver all, but optional start time is also set",
    ),
    (
        r#"{"deliver_policy": "last", "opt_start_seq": 1}"#,
        10094,
        "consumer delivery policy is deliver last, but optional start sequence is also set",
    ),
    (
        r#"{"deliver_policy": "new", "opt_start_seq": 1}"#,
        10094,
        "consumer delivery policy is deliver new, but optional start sequence is also set",
    ),
    (
        r#"{"deliver_policy": "last_per_subject"}"#,
        10094,
        "consumer delivery policy is deliver last per subject, but optional filter subject is not set",
    ),
    (
        r#"{"deliver_policy": "by_start_time", "opt_start_seq": 1, "opt_start_time": "2024-01-01T00:00:00Z"}"#,
        10094,
        "consumer delivery policy is deliver by start time, but optional start start sequence is also set",
    ),
    (
        r#"{"filter_subject": "a.*", "filter_subjects": ["b"]}"#,
        10136,
        "consumer cannot have both FilterSubject and FilterSubjects specified",
    ),
    (r#"{"filter_subjects": ["a.>", "a.*"]}"#, 10138, "consumer subject filters cannot overlap"),
    (r#"{"filter_subjects": ["a.1", "a.1"]}"#, 10138, "consumer subject filters cannot overlap"),
    (r#"{"filter_subjects": [""]}"#, 10139, "consumer filter in FilterSubjects cannot be empty"),
    (r#"{"filter_subject": "a..b"}"#, 10052, "invalid subject"),
    (r#"{"ack_wait": -1}"#, 10183, "consumer ack wait needs to be positive"),
    (r#"{"backoff": [-1]}"#, 10184, "consumer backoff needs to be positive"),
    (r#"{"backoff": [1, 2, 3], "max_deliver": 2}"#, 10116, "max deliver is required to be > length of backoff values"),
    (r#"{"rate_limit_bps": 5}"#, 10086, "consumer in pull mode can not have rate limit set"),
    (r#"{"idle_heartbeat": 1000000000}"#, 10088, "consumer idle heartbeat requires a push based consumer"),
    (r#"{"flow_control": true}"#, 10089, "consumer flow control requires a push based consumer"),
    (r#"{"max_expires": 100}"#, 10115, "consumer max request expires needs to be >= 1ms"),
    (r#"{"deliver_subject": "x.*"}"#, 10079, "consumer deliver subject has wildcards"),
    (r#"{"deliver_subject": "x..y"}"#, 10112, "invalid push consumer deliver subject"),
    (r#"{"deliver_subject": "a.b"}"#, 10081, "consumer deliver subject forms a cycle"),
    (r#"{"deliver_subject": "x", "max_waiting": 5}"#, 10080, "consumer in push mode can not set max waiting"),
    (r#"{"deliver_subject": "x", "max_ack_pending": 5}"#, 10082, "consumer requires ack policy for max ack pending"),
    (r#"{"deliver_subject": "x", "idle_heartbeat": 5}"#, 10083, "consumer idle heartbeat needs to be >= 100ms"),
    (r#"{"deliver_subject": "x", "flow_control": true}"#, 10108, "consumer with flow control also needs heartbeats"),
    (r#"{"ack_policy": "flow_control"}"#, 10218, "flow control ack policy requires a push based consumer"),
    (
        r#"{"deliver_subject": "x", "ack_policy": "flow_control", "ack_wait": 5}"#,
        10221,
        "flow control ack policy requires unset ack wait",
    ),
    (
        r#"{"deliver_subject": "x", "ack_policy": "flow_control", "backoff": [5]}"#,
        10221,
        "flow control ack policy requires unset ack wait",
    ),
    (
        r#"{"deliver_subject": "x", "ack_policy": "flow_control", "max_deliver": 5}"#,
        10222,
        "flow control ack policy requires unset max deliver",
    ),
    (
        r#"{"deliver_subject": "x", "priority_groups": ["g"], "priority_policy": "overflow"}"#,
        10178,
        "priority groups can not be used with push consumers",
    ),
    (
        r#"{"priority_policy": "overflow"}"#,
        10159,
        "Setting PriorityPolicy requires at least one PriorityGroup to be set",
    ),
    (r#"{"priority_groups": ["g"]}"#, 10196, "consumer can not have priority groups when policy is none"),
    (r#"{"priority_timeout": 5}"#, 10197, "PinnedTTL cannot be set when PriorityPolicy is none"),
    (r#"{"priority_groups": [""], "priority_policy": "overflow"}"#, 10161, "Group name cannot be an empty string"),
    (
        r#"{"priority_groups": ["a b"], "priority_policy": "overflow"}"#,
        10162,
        "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters",
    ),
    (
        r#"{"priority_groups": ["12345678901234567"], "priority_policy": "overflow"}"#,
        10162,
        "Valid priority group name must match A-Z, a-z, 0-9, -_/=)+ and may not exceed 16 characters",
    ),
    (r#"{"direct": true}"#, 10090, "consumer direct requires a push based consumer"),
    (
        r#"{"direct": true, "deliver_subject": "x", "durable_name": "c"}"#,
        10091,
        "consumer direct requires an ephemeral consumer",
    ),
    (r#"{"num_replicas": 3}"#, 10074, "replicas > 1 not supported in non-clustered mode"),
    (r#"{"num_replicas": -1}"#, 10133, "replicas count cannot be negative"),
    (r#"{"name": "a", "durable_name": "b"}"#, 10132, "Consumer Durable and Name have to be equal if both are provided"),
    (r#"{"name": "a/b"}"#, 10127, "Consumer name can not contain path separators"),
    (r#"{"durable_name": "a.b"}"#, 10103, "durable name can not contain '.', '*', '>'"),
];

#[test]
fn what_is_refused_has_its_number_and_text() {
    for (config, number, text) in REFUSED {
        let config: Value = serde_json::from_str(config).unwrap();
        assert_eq!(completed(config.clone(), &stream(), false), Err((*number, (*text).to_owned())), "{config}");
    }
    for (config, number, text) in [
        (json!({"name": "x".repeat(256)}), 10102, "consumer name is too long, maximum allowed is 255"),
        (json!({"description": "x".repeat(4097)}), 10107, "consumer description is too long, maximum allowed is 4096"),
        (json!({"metadata": {"k": "x".repeat(128 * 1024)}}), 10135, "consumer metadata exceeds maximum size of 128KiB"),
    ] {
        assert_eq!(completed(config, &stream(), false), Err((number, text.to_owned())));
    }
    for text in ["x", "-5", "5%%", "1.5"] {
        assert_eq!(completed(json!({"sample_freq": text}), &stream(), false).unwrap_err().0, 10095, "{text}");
    }
    for (config, number) in [
        (json!({}), 10084),
        (json!({"ack_policy": "all"}), 10098),
        (json!({"deliver_subject": "x"}), 10098),
        (json!({"ack_policy": "explicit", "deliver_policy": "new"}), 10101),
    ] {
        assert_eq!(completed(config.clone(), &work_queue(), false).unwrap_err().0, number, "{config}");
    }
    for (config, number, text) in [
        (
            json!({"ack_policy": "explicit", "max_ack_pending": 20}),
            10121,
            "consumer max ack pending exceeds system limit of 10",
        ),
        (
            json!({"ack_policy": "explicit", "max_ack_pending": -1}),
            10121,
            "consumer max ack pending exceeds system limit of 10",
        ),
        (json!({"inactive_threshold": 20 * SECOND}), 10153, "consumer inactive threshold exceeds system limit of 10s"),
    ] {
        assert_eq!(completed(config.clone(), &limited(), false), Err((number, text.into())), "{config}");
    }
}

#[test]
fn what_is_not_said_is_completed() {
    let common =
        json!({"name": "c", "max_deliver": -1, "deliver_policy": "all", "replay_policy": "instant", "num_replicas": 0});
    let with = |more: Value| {
        let mut all = common.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let pull = |more: Value| {
        let mut all = with(json!({"max_waiting": 512, "inactive_threshold": 5 * SECOND, "ack_policy": "none"}));
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    for (config, expected) in [
        (json!({}), pull(json!({}))),
        (
            json!({"max_waiting": -1, "max_batch": -1, "max_expires": -1, "max_bytes": -1, "idle_heartbeat": -5}),
            pull(json!({})),
        ),
        (
            json!({"ack_policy": "explicit"}),
            pull(json!({"ack_policy": "explicit", "ack_wait": 30 * SECOND, "max_ack_pending": 1000})),
        ),
        (
            json!({"ack_policy": "all", "max_deliver": -5, "max_ack_pending": -5, "inactive_threshold": -5}),
            pull(json!({"ack_policy": "all", "ack_wait": 30 * SECOND, "max_ack_pending": -1})),
        ),
        (
            json!({"ack_policy": "explicit", "backoff": [5, 6], "ack_wait": 9, "max_deliver": 2}),
            pull(
                json!({"ack_policy": "explicit", "ack_wait": 5, "backoff": [5, 6], "max_deliver": 2, "max_ack_pending": 1000}),
            ),
        ),
        (json!({"ack_policy": "none", "max_ack_pending": 5}), pull(json!({"max_ack_pending": 5}))),
        (
            json!({"priority_groups": ["g"], "priority_policy": "pinned_client"}),
            pull(
                json!({"priority_groups": ["g"], "priority_policy": "pinned_client", "priority_timeout": 120 * SECOND}),
            ),
        ),
        (
            json!({"deliver_subject": "x", "ack_policy": "flow_control"}),
            with(json!({
                "deliver_subject": "x", "ack_policy": "flow_control", "flow_control": true, "idle_heartbeat": SECOND,
                "max_ack_pending": 1000, "inactive_threshold": 5 * SECOND,
            })),
        ),
    ] {
        let got = completed(config.clone(), &stream(), false).unwrap();
        assert_eq!(serde_json::to_value(&got).unwrap(), expected, "{config}");
    }
    let durable = completed(json!({"durable_name": "d", "ack_policy": "explicit"}), &limited(), false).unwrap();
    assert_eq!((durable.name.as_str(), durable.max_ack_pending, durable.inactive_threshold), ("d", 10, 10 * SECOND));
}

#[test]
fn the_pedantic_are_refused_where_others_are_completed() {
    for (config, stream) in [
        (json!({"max_deliver": -5}), stream()),
        (json!({"max_ack_pending": -5}), stream()),
        (json!({"max_batch": -1}), stream()),
        (json!({"ack_policy": "explicit", "backoff": [5, 6], "ack_wait": 9}), stream()),
        (json!({"deliver_subject": "x", "ack_policy": "flow_control"}), stream()),
        (json!({"ack_policy": "explicit"}), limited()),
    ] {
        assert_eq!(completed(config.clone(), &stream, true).unwrap_err().0, 10157, "{config}");
        assert!(completed(config, &stream, false).is_ok());
    }
    assert!(completed(json!({"ack_policy": "explicit", "backoff": [5, 6]}), &stream(), true).is_ok());
}

#[test]
fn updates_change_what_may_change() {
    let pull = json!({"durable_name": "d", "ack_policy": "explicit"});
    let push = json!({"durable_name": "d", "ack_policy": "explicit", "deliver_subject": "x", "idle_heartbeat": SECOND});
    let cases = [
        (&pull, json!({"deliver_policy": "new"}), Some("deliver policy can not be updated")),
        (&pull, json!({"ack_policy": "none"}), Some("ack policy can not be updated")),
        (&pull, json!({"replay_policy": "original"}), Some("replay policy can not be updated")),
        (&pull, json!({"max_waiting": 5}), Some("max waiting can not be updated")),
        (&pull, json!({"mem_storage": true}), Some("storage type can not be updated")),
        (&pull, json!({"deliver_subject": "x", "max_waiting": 0}), Some("can not update pull consumer to push based")),
        (&push, json!({"deliver_subject": "", "idle_heartbeat": 0}), Some("heart beats can not be updated")),
        (&push, json!({"idle_heartbeat": 2 * SECOND}), Some("heart beats can not be updated")),
        (&push, json!({"flow_control": true}), Some("flow control can not be updated")),
        (&push, json!({"deliver_group": "q", "rate_limit_bps": 500, "max_ack_pending": 7}), None),
        (
            &pull,
            json!({
                "max_deliver": 5, "backoff": [SECOND], "filter_subject": "b", "sample_freq": "50", "headers_only": true,
                "max_ack_pending": 7, "description": "d", "metadata": {"x": "y"}, "inactive_threshold": 100, "max_batch": 5,
                "max_expires": SECOND, "max_bytes": 100, "num_replicas": 1, "priority_groups": ["g"],
                "priority_policy": "overflow",
            }),
            None,
        ),
    ];
    for (base, change, refusal) in cases {
        let old = completed(base.clone(), &stream(), false).unwrap();
        let mut config = base.clone();
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let new = completed(config, &stream(), false).unwrap();
        let got = check_update(&old, &new, false).map_err(|error| (error.err_code, error.description.into_owned()));
        assert_eq!(got, refusal.map_or(Ok(()), |text| Err((10012, text.to_owned()))), "{change}");
        assert!(!same(&old, &new));
    }
    for (bound, refused) in [(true, Some(10013)), (false, None)] {
        let old = completed(push.clone(), &stream(), false).unwrap();
        let mut new = old.clone();
        new.deliver_subject = "y".into();
        assert_eq!(check_update(&old, &new, bound).err().map(|error| error.err_code), refused);
    }
}

#[test]
fn a_pause_and_what_the_server_says_do_not_make_another_configuration() {
    let one = completed(json!({"durable_name": "d", "metadata": {"a": "b"}}), &stream(), false).unwrap();
    let more = json!({"durable_name": "d", "pause_until": "2099-01-01T00:00:00Z", "metadata": {
        "a": "b", "_nats.ver": "1", "_nats.level": "2", "_nats.req.level": "1",
    }});
    let other = completed(more, &stream(), false).unwrap();
    assert!(same(&one, &other));
    assert_eq!((required_level(&one), required_level(&other)), (0, 1));
    let flow = completed(json!({"deliver_subject": "x", "ack_policy": "flow_control"}), &stream(), false).unwrap();
    assert_eq!(required_level(&flow), 4);
}

#[test]
fn each_message_of_a_work_queue_has_one_consumer() {
    let of = |filters: &[&str]| ConsumerConfig { filter_subjects: strings(filters), ..durable() };
    let one = |filter: &str| ConsumerConfig { filter_subject: filter.into(), ..durable() };
    for (config, others, refused) in [
        (of(&[]), vec![], None),
        (of(&[]), vec![of(&[])], Some(10099)),
        (one("a.1"), vec![of(&[])], Some(10099)),
        (of(&[]), vec![one("a.1")], Some(10099)),
        (one("a.1"), vec![one("a.2"), one("b")], None),
        (one("a.1"), vec![one("b"), one("a.*")], Some(10100)),
        (of(&["b", "a.*"]), vec![of(&["c", "a.1"])], Some(10100)),
        (one("a.1"), vec![ConsumerConfig { direct: true, ..of(&[]) }], None),
        (ConsumerConfig { sourcing: true, ..of(&[]) }, vec![of(&[])], None),
    ] {
        assert_eq!(check_unique(&config, &others).err().map(|error| error.err_code), refused, "{config:?}");
    }
    for (count, stream, account, refused) in [(5, 0, -1, false), (5, 5, -1, true), (5, 6, 5, true), (4, 5, 5, false)] {
        assert_eq!(check_room(count, stream, account).is_err(), refused);
    }
}

#[test]
fn another_filter_counts_anew_and_goes_on_where_it_was() {
    let mut world = World::with(&["a.1", "b", "a.2", "a.1", "b"]);
    world.create(ConsumerConfig { filter_subject: "a.*".into(), ..durable() }).unwrap();
    world.pull("2", "in");
    assert_eq!(world.heard(), ["1", "3"]);
    let mut config = world.consumer().config().clone();
    config.filter_subject = "b".into();
    config.ack_wait = SECOND;
    assert!(world.act(|consumer, cx| consumer.update(config.clone(), cx)));
    assert_eq!(world.info().num_pending, 1);
    world.pull("2", "in");
    assert_eq!(world.heard(), ["5"]);
    config.description = "new".into();
    assert!(!world.act(|consumer, cx| consumer.update(config, cx)));
    world.wait(SECOND);
    assert_eq!(world.heard(), ["1"], "the new wait counts for what waited before");
}
