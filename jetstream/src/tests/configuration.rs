//! Configurations of streams and the plumbing of the API: checklist A and B.

use serde_json::{Value, json};

use crate::account::{AccountLimits, Limits, Settings};
use crate::testing::{Bench, error_of};

/// The number of the refusal of a new stream; 0 for none. Fields are added to a name and storage in memory.
fn created(bench: &Bench, fields: &Value) -> u64 {
    let mut config = json!({"name": "X", "storage": "memory"});
    for (field, value) in fields.as_object().unwrap() {
        config[field] = value.clone();
    }
    let answer = bench.api("STREAM.CREATE.X", &config);
    bench.api("STREAM.DELETE.X", &Value::Null);
    error_of(&answer)
}

#[test]
fn a_stream_of_which_only_the_name_is_said() {
    let bench = Bench::new();
    let answer = bench.api("STREAM.CREATE.S", &json!({"name": "S", "storage": "memory"}));
    let config = json!({
        "name": "S", "subjects": ["S"], "retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1,
        "max_age": 0, "max_msgs_per_subject": -1, "max_msg_size": -1, "discard": "old", "storage": "memory",
        "num_replicas": 1, "duplicate_window": 120_000_000_000_i64, "compression": "none", "allow_direct": false,
        "mirror_direct": false, "sealed": false, "deny_delete": false, "deny_purge": false, "allow_rollup_hdrs": false,
        "consumer_limits": {}, "allow_msg_ttl": false,
        "metadata": {"_nats.level": "5", "_nats.req.level": "0", "_nats.ver": "2.15.0"}
    });
    assert_eq!((&answer["config"], &answer["did_create"]), (&config, &json!(true)));
    assert_eq!(answer["type"], "io.nats.jetstream.api.v1.stream_create_response");
    assert_eq!(answer["state"]["first_ts"], "0001-01-01T00:00:00Z");
    let mut again = config.clone();
    assert_eq!(error_of(&bench.api("STREAM.CREATE.S", &again)), 0, "what was shown is the same stream");
    again["max_msgs"] = json!(5);
    assert_eq!(error_of(&bench.api("STREAM.CREATE.S", &again)), 10058);
    let listed = bench.api("STREAM.LIST", &Value::Null)["streams"][0]["config"]["metadata"].clone();
    assert_eq!(listed, json!({"_nats.req.level": "0"}));
}

#[test]
fn what_a_new_stream_may_not_be() {
    let bench = Bench::new();
    bench.stream(json!({"name": "O", "subjects": ["o.>"]}));
    for (fields, code) in [
        (json!({"sealed": true}), 10052),
        (json!({"max_age": 50_000_000}), 10052),
        (json!({"max_age": 1_000_000_000, "duplicate_window": 2_000_000_000_i64}), 10052),
        (json!({"duplicate_window": 50_000_000}), 10052),
        (json!({"subjects": ["a.*", "a.b"]}), 10052),
        (json!({"subjects": ["a", "a"]}), 10052),
        (json!({"subjects": ["a..b"]}), 10052),
        (json!({"subjects": ["o.x"]}), 10065),
        (json!({"subjects": ["o.*"]}), 10065),
        (json!({"subjects": ["*.x"]}), 10052),
        (json!({"subjects": [">"]}), 10052),
        (json!({"subjects": ["$JS.API.>"]}), 10052),
        (json!({"subjects": ["$SYS.>"]}), 10052),
        (json!({"subjects": ["$JS.EVENT.ADVISORY.>"]}), 0),
        (json!({"subjects": ["$SYS.ACCOUNT.>"]}), 0),
        (json!({"num_replicas": 3}), 10074),
        (json!({"num_replicas": 6}), 10052),
        (json!({"num_replicas": -1}), 10133),
        (json!({"discard_new_per_subject": true}), 10052),
        (json!({"discard": "new", "discard_new_per_subject": true}), 10052),
        (json!({"republish": {"src": "X", "dest": "X"}}), 10052),
        (json!({"subject_transform": {"src": "a..", "dest": "b"}}), 10155),
        (json!({"subject_transform": {"src": "a.*", "dest": "b.{{wildcard(2)}}"}}), 10156),
        (json!({"subject_delete_marker_ttl": 500_000_000}), 10052),
        (json!({"deny_purge": true, "allow_rollup_hdrs": true}), 10052),
        (json!({"rollup_hdrs": true}), 10025),
        (json!({"compression": "zip"}), 10025),
        (json!({"description": "x".repeat(4097)}), 10052),
        (json!({"metadata": {"k": "v".repeat(131_072)}}), 10052),
        (json!({"max_msgs": -5, "pedantic": true}), 10157),
        (json!({"max_msgs": -5}), 0),
        (json!({"allow_msg_counter": true, "discard": "new"}), 10052),
        (json!({"allow_msg_counter": true, "allow_msg_ttl": true}), 10052),
        (json!({"allow_msg_counter": true, "retention": "interest"}), 10052),
        (json!({"allow_msg_schedules": true, "discard": "new"}), 10052),
        (json!({"persist_mode": "async"}), 10052),
    ] {
        assert_eq!(created(&bench, &fields), code, "{fields}");
    }
    for (name, body, code) in [
        ("X", json!({"name": "Y"}), 10056),
        ("a b", json!({"name": "a b"}), 10052),
        ("a/b", json!({"name": "a/b"}), 10128),
    ] {
        assert_eq!(bench.refused(&format!("STREAM.CREATE.{name}"), &body), code, "{name}");
    }
    let long = "n".repeat(256);
    assert_eq!(bench.refused(&format!("STREAM.CREATE.{long}"), &json!({"name": long})), 10052);
}

#[test]
fn what_a_mirror_and_a_source_may_not_be() {
    let bench = Bench::new();
    bench.stream(json!({"name": "O", "subjects": ["o.>"]}));
    for (fields, code) in [
        (json!({"mirror": {"name": "O"}, "subjects": ["x"]}), 10034),
        (json!({"mirror": {"name": "O"}, "sources": [{"name": "O"}]}), 10031),
        (json!({"mirror": {"name": "O"}, "first_seq": 5}), 10143),
        (json!({"mirror": {"name": "O"}, "allow_msg_counter": true}), 10173),
        (json!({"mirror": {"name": "O"}, "allow_atomic": true}), 10198),
        (json!({"mirror": {"name": "O"}, "allow_batched": true}), 10209),
        (json!({"mirror": {"name": "O"}, "allow_msg_schedules": true}), 10186),
        (json!({"mirror": {"name": "O.x"}}), 10142),
        (json!({"mirror": {"name": "O"}, "max_msg_size": 10}), 10030),
        (
            json!({"mirror": {"name": "O", "filter_subject": "a", "subject_transforms": [{"src": "a", "dest": ""}]}}),
            10150,
        ),
        (json!({"mirror": {"name": "O", "subject_transforms": [{"src": "a..", "dest": ""}]}}), 10151),
        (json!({"mirror": {"name": "O", "subject_transforms": [{"src": "a", "dest": "{{wildcard(1)}}"}]}}), 10154),
        (
            json!({"mirror": {"name": "O", "subject_transforms": [{"src": "a", "dest": ""}, {"src": "*", "dest": ""}]}}),
            10152,
        ),
        (json!({"mirror": {"name": "O", "consumer": {"name": "c"}}}), 10213),
        (json!({"mirror_direct": true}), 10052),
        (json!({"sources": [{"name": "O"}, {"name": "O"}]}), 10140),
        (json!({"sources": [{"name": "O.x"}]}), 10141),
        (
            json!({"sources": [{"name": "O", "filter_subject": "a", "subject_transforms": [{"src": "a", "dest": ""}]}]}),
            10144,
        ),
        (json!({"sources": [{"name": "O", "subject_transforms": [{"src": "a..", "dest": ""}]}]}), 10145),
        (json!({"sources": [{"name": "O", "subject_transforms": [{"src": "a", "dest": "{{wildcard(1)}}"}]}]}), 10146),
        (
            json!({"sources": [{"name": "O", "subject_transforms": [{"src": "a", "dest": ""}, {"src": "*", "dest": ""}]}]}),
            10147,
        ),
        (json!({"sources": [{"name": "O"}], "allow_msg_schedules": true}), 10187),
        (json!({"sources": [{"name": "X"}]}), 10052),
    ] {
        assert_eq!(created(&bench, &fields), code, "{fields}");
    }
}

#[test]
fn what_an_update_may_not_change() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s"], "allow_msg_ttl": true, "deny_delete": true}));
    bench.stream(json!({"name": "O", "subjects": ["o"]}));
    for (fields, code) in [
        (json!({"storage": "file"}), 10052),
        (json!({"retention": "workqueue"}), 10052),
        (json!({"allow_msg_ttl": false}), 10052),
        (json!({"deny_delete": false}), 10052),
        (json!({"allow_msg_counter": true, "allow_msg_ttl": false}), 10052),
        (json!({"first_seq": 100}), 10052),
        (json!({"subjects": ["o"]}), 10065),
        (json!({"max_msgs": 7, "metadata": {"_nats.ver": "x"}}), 0),
        (json!({"sealed": true}), 0),
        (json!({"sealed": false}), 10052),
    ] {
        assert_eq!(error_of(&bench.update("S", &fields)), code, "{fields}");
    }
    let config = bench.info("S")["config"].clone();
    assert_eq!(
        (&config["discard"], &config["deny_purge"], &config["max_age"], &config["metadata"]["_nats.ver"]),
        (&json!("new"), &json!(true), &json!(0), &json!("2.15.0"))
    );
    assert_eq!(bench.refused("STREAM.UPDATE.NONE", &json!({"name": "NONE"})), 10059);
}

#[test]
fn requests_are_read_strictly_and_answered_in_pages() {
    let bench = Bench::new();
    for n in 0..1100 {
        bench.stream(json!({"name": format!("S{n:04}"), "subjects": [format!("s.{n}")]}));
    }
    let page = bench.api("STREAM.NAMES", &Value::Null);
    let names = page["streams"].as_array().unwrap();
    assert_eq!(
        (names.len(), &names[0], &page["total"], &page["limit"]),
        (1024, &json!("S0000"), &json!(1100), &json!(1024))
    );
    assert_eq!(bench.api("STREAM.NAMES", &json!({"offset": 1024}))["streams"].as_array().unwrap().len(), 76);
    let beyond = bench.api("STREAM.NAMES", &json!({"offset": 5000}));
    assert_eq!((&beyond["streams"], &beyond["offset"]), (&Value::Null, &json!(1100)));
    assert_eq!(bench.api("STREAM.LIST", &Value::Null)["streams"].as_array().unwrap().len(), 256);
    assert_eq!(bench.api("STREAM.NAMES", &json!({"subject": "*.77"}))["streams"], json!(["S0077"]));
    for (subject, body, code) in [
        ("STREAM.DELETE.S0000", json!({"a": 1}), 10038),
        ("STREAM.NAMES", json!({"x": 1}), 10025),
        ("STREAM.MSG.GET.S0000", json!({}), 10003),
        ("STREAM.INFO.NONE", Value::Null, 10059),
        ("NOTHING", Value::Null, 10003),
    ] {
        assert_eq!(bench.refused(subject, &body), code, "{subject} {body}");
    }
    assert_eq!(bench.api("STREAM.DELETE.S0000", &json!({}))["success"], true);
    for level in ["999", "abc"] {
        let header = format!("NATS/1.0\r\nNats-Required-Api-Level: {level}\r\n\r\n");
        assert_eq!(error_of(&bench.api_bytes("STREAM.INFO.S0001", header.as_bytes(), b"")), 10185);
    }
    let before = bench.api("INFO", &Value::Null)["api"].clone();
    bench.info("NONE");
    let after = bench.api("INFO", &Value::Null)["api"].clone();
    assert_eq!(after["errors"].as_u64(), before["errors"].as_u64().map(|errors| errors + 1));
}

#[test]
fn limits_of_the_account_are_kept() {
    let limits = Limits { max_memory: 1000, max_streams: 2, memory_max_stream_bytes: 700, ..Limits::NONE };
    let bench = Bench::with(Settings::default(), AccountLimits::Flat(limits));
    assert_eq!(created(&bench, &json!({"max_bytes": 800})), 10122);
    bench.stream(json!({"name": "A", "max_bytes": 600}));
    assert_eq!(created(&bench, &json!({"max_bytes": 600})), 10028);
    bench.stream(json!({"name": "B"}));
    assert_eq!(created(&bench, &json!({})), 10027);
    bench.stream(json!({"name": "A", "max_bytes": 600}));
    assert_eq!(error_of(&bench.publish("B", &[], &"x".repeat(990))), 10002);
    bench.store("B", &[], &"x".repeat(900));
    assert_eq!(error_of(&bench.publish("B", &[], &"x".repeat(200))), 10002);
    bench.api("STREAM.PURGE.B", &Value::Null);
    bench.store("B", &[], &"x".repeat(200));
    bench.account.set_limits(AccountLimits::Flat(Limits { max_bytes_required: true, ..Limits::NONE }));
    assert_eq!(created(&bench, &json!({})), 10113);
    bench.account.set_limits(AccountLimits::Tiered([("R3".to_owned(), Limits::NONE)].into()));
    assert_eq!(created(&bench, &json!({})), 10120);
    assert!(bench.api("INFO", &Value::Null)["tiers"]["R3"].is_object());
}

#[test]
fn whoever_listens_is_told_of_streams_and_requests() {
    let bench = Bench::new();
    bench.stream(json!({"name": "Q"}));
    assert!(bench.take("$JS.EVENT.ADVISORY.API").is_empty());
    bench.listen("$JS.EVENT.>");
    bench.stream(json!({"name": "S"}));
    bench.update("S", &json!({"max_msgs": 5}));
    bench.api("STREAM.DELETE.S", &Value::Null);
    for (event, action) in [("CREATED", "create"), ("UPDATED", "modify"), ("DELETED", "delete")] {
        let told = bench.take(&format!("$JS.EVENT.ADVISORY.STREAM.{event}.S"));
        let told: Value = serde_json::from_str(&told[0].payload).unwrap();
        assert_eq!(
            (&told["action"], &told["type"]),
            (&json!(action), &json!("io.nats.jetstream.advisory.v1.stream_action"))
        );
    }
    assert_eq!(bench.take("$JS.EVENT.ADVISORY.API").len(), 4);
    bench.api("STREAM.MSG.GET.Q", &json!({"seq": 1}));
    assert!(bench.take("$JS.EVENT.ADVISORY.API").is_empty());
}

#[test]
fn the_state_says_what_is_there_and_what_is_not() {
    let bench = Bench::new();
    bench.stream(json!({"name": "S", "subjects": ["s.>"]}));
    for n in 0..6 {
        bench.store(&format!("s.{}", n % 2), &[], "x");
    }
    for seq in [2, 5] {
        bench.api("STREAM.MSG.DELETE.S", &json!({"seq": seq}));
    }
    let state = bench.api("STREAM.INFO.S", &json!({"deleted_details": true}))["state"].clone();
    assert_eq!(
        (&state["num_deleted"], &state["deleted"], &state["num_subjects"]),
        (&json!(2), &json!([2, 5]), &json!(2))
    );
    assert_eq!(bench.state("S").get("deleted"), None);
    assert_eq!(state["bytes"], 4 * (16 + 3 + 1));
    let info = bench.api("STREAM.INFO.S", &json!({"subjects_filter": "s.*"}));
    assert_eq!((&info["state"]["subjects"], &info["total"]), (&json!({"s.0": 2, "s.1": 2}), &json!(2)));
    assert_eq!(bench.api("STREAM.INFO.S", &json!({"subjects_filter": "none"}))["limit"], 0);
}
