//! Pull consumers: where they start, requests and their status messages, acknowledgements and redelivery.

use super::*;
use crate::config::{DeliverPolicy, Moment, ReplayPolicy};

#[test]
fn each_deliver_policy_starts_where_it_says() {
    let with = |deliver_policy| ConsumerConfig { deliver_policy, ..durable() };
    let filtered =
        |deliver_policy, filter: &str| ConsumerConfig { filter_subject: filter.into(), ..with(deliver_policy) };
    let from_seq = |opt_start_seq| ConsumerConfig { opt_start_seq, ..with(DeliverPolicy::ByStartSequence) };
    let from_time = |second: i64| ConsumerConfig {
        opt_start_time: Some(Moment(BEGIN + second * SECOND)),
        ..with(DeliverPolicy::ByStartTime)
    };
    let cases: [(&str, ConsumerConfig, &[u64]); 16] = [
        ("all", with(DeliverPolicy::All), &[1, 2, 3, 4, 5, 6]),
        ("all, filtered", filtered(DeliverPolicy::All, "a.2"), &[2, 5]),
        ("last", with(DeliverPolicy::Last), &[5, 6]),
        ("last, filtered", filtered(DeliverPolicy::Last, "a.1"), &[3, 6]),
        ("last, nothing matches", filtered(DeliverPolicy::Last, "a.9"), &[]),
        ("new", with(DeliverPolicy::New), &[6]),
        ("new, filtered", filtered(DeliverPolicy::New, "a.1"), &[6]),
        ("from 3", from_seq(3), &[3, 4, 5, 6]),
        ("from below the first", from_seq(1), &[1, 2, 3, 4, 5, 6]),
        ("from what is to come", from_seq(7), &[]),
        ("since 2 s", from_time(2), &[3, 4, 5, 6]),
        ("since before", from_time(-5), &[1, 2, 3, 4, 5, 6]),
        ("since later", from_time(60), &[6]),
        ("last of each", filtered(DeliverPolicy::LastPerSubject, ">"), &[3, 4, 5, 6]),
        ("last of some", filtered(DeliverPolicy::LastPerSubject, "a.*"), &[3, 5, 6]),
        ("last of one", filtered(DeliverPolicy::LastPerSubject, "b"), &[4]),
    ];
    for (name, config, expected) in cases {
        let mut world = World::new();
        for subject in FIVE {
            world.publish(subject, "x");
            world.now += SECOND;
        }
        world.create(config).unwrap();
        let pending = world.info().num_pending;
        assert_eq!(pending, expected.iter().filter(|seq| **seq <= 5).count() as u64, "{name}");
        world.publish("a.1", "new");
        world.pull("100", "in");
        let got: Vec<u64> = world.sent().iter().map(Sent::seq).collect();
        assert_eq!(got, expected, "{name}");
        assert_eq!(world.info().num_pending, 0, "{name}");
    }
}

#[test]
fn an_empty_stream_is_waited_for() {
    for deliver_policy in [DeliverPolicy::All, DeliverPolicy::Last, DeliverPolicy::New, DeliverPolicy::LastPerSubject] {
        let mut world = World::new();
        world.create(ConsumerConfig { deliver_policy, filter_subject: "a.>".into(), ..durable() }).unwrap();
        world.pull("2", "in");
        world.publish("b", "not wanted");
        world.publish("a.1", "wanted");
        assert_eq!(world.heard(), ["2"], "{deliver_policy:?}");
    }
}

#[test]
fn pending_in_the_reply_subject_is_exact() {
    for (policy, expected) in [(DeliverPolicy::All, vec![3, 2, 1, 0]), (DeliverPolicy::LastPerSubject, vec![1, 0])] {
        let mut world = World::with(&FIVE);
        world.create(ConsumerConfig { deliver_policy: policy, filter_subject: "a.*".into(), ..durable() }).unwrap();
        world.pull("10", "in");
        let got: Vec<u64> = world.sent().iter().map(|message| message.ack().tokens.pending).collect();
        assert_eq!(got, expected, "{policy:?}");
        let seqs: Vec<u64> = {
            world.publish("a.1", "x");
            world.sent().iter().map(|message| message.ack().tokens.consumer_seq).collect()
        };
        assert_eq!(seqs, [expected.len() as u64 + 1]);
    }
}

#[test]
fn a_replaced_last_message_is_delivered_once_as_the_new_one() {
    let mut world = World::with(&FIVE);
    world
        .create(ConsumerConfig {
            deliver_policy: DeliverPolicy::LastPerSubject,
            filter_subject: "a.*".into(),
            ..durable()
        })
        .unwrap();
    world.remove(3);
    assert_eq!(world.info().num_pending, 1);
    world.publish("a.1", "newer");
    assert_eq!(world.info().num_pending, 2);
    world.pull("10", "in");
    let got: Vec<(u64, u64)> = world.sent().iter().map(|one| (one.seq(), one.ack().tokens.pending)).collect();
    assert_eq!(got, [(5, 1), (6, 0)]);
}

#[test]
fn nothing_above_the_durable_sequence_is_delivered() {
    let mut world = World::with(&FIVE);
    world.durable = Some(2);
    world.create(durable()).unwrap();
    world.pull("{\"batch\":10,\"no_wait\":true}", "in");
    assert_eq!(world.heard(), ["1", "2"], "and the request goes on: more is there");
    world.durable = Some(5);
    world.pump();
    assert_eq!(world.heard(), ["3", "4", "5", "404 No Messages"]);
}

#[test]
fn requests_without_wait() {
    let no_wait = "{\"batch\":10,\"no_wait\":true}";
    let with_expires = "{\"batch\":10,\"no_wait\":true,\"expires\":5000000000}";
    let mut world = World::new();
    world.create(durable()).unwrap();
    world.pull(no_wait, "in");
    assert_eq!(world.heard(), ["404 No Messages"]);
    world.pull(with_expires, "in");
    assert!(world.heard().is_empty());
    world.wait(5 * SECOND);
    let sent = world.sent();
    assert_eq!(sent[0].status(), Some("408 Request Timeout"));
    assert_eq!(sent[0].value("Nats-Pending-Messages"), Some("10"));
    assert_eq!(sent[0].value("Nats-Pending-Bytes"), Some("0"));
    for body in [no_wait, with_expires] {
        for _ in 0..3 {
            world.publish("b", "x");
        }
        world.pull(body, "in");
        let heard = world.heard();
        assert_eq!((heard.len(), heard[3].as_str()), (4, "404 No Messages"), "{body}");
    }
    world.pull(with_expires, "in");
    world.publish("b", "x");
    assert_eq!(world.heard().len(), 2, "one message and the end");
}

#[test]
fn what_others_wait_for_is_not_there_for_a_request_without_wait() {
    let mut world = World::with(&FIVE);
    world.durable = Some(0);
    world.create(durable()).unwrap();
    world.pull("10", "first");
    world.pull("{\"batch\":1,\"no_wait\":true}", "second");
    assert_eq!(world.heard(), ["408 Requests Pending"]);
}

#[test]
fn a_request_ends_at_its_time_and_says_what_it_did_not_get() {
    let mut world = World::with(&["b"]);
    world.create(durable()).unwrap();
    world.pull("{\"batch\":3,\"expires\":1000000000,\"max_bytes\":1000}", "in");
    world.sent();
    world.wait(SECOND - 1);
    assert!(world.sent().is_empty());
    world.wait(1);
    let sent = world.sent();
    assert_eq!(sent[0].header.split("\r\n").next(), Some("NATS/1.0 408 Request Timeout"));
    assert_eq!(sent[0].value("Nats-Pending-Messages"), Some("2"));
    let left: i64 = sent[0].value("Nats-Pending-Bytes").unwrap().parse().unwrap();
    assert!(left > 900 && left < 1000, "{left}");
    assert_eq!(world.info().num_waiting, 0);
}

#[test]
fn a_request_is_told_that_the_consumer_is_there() {
    let mut world = World::with(&["b"]);
    world.create(durable()).unwrap();
    world.pull("{\"batch\":3,\"expires\":10000000000,\"idle_heartbeat\":2000000000}", "in");
    assert_eq!(world.heard(), ["1"]);
    world.wait(2 * SECOND);
    let sent = world.sent();
    assert_eq!(sent[0].status(), Some("100 Idle Heartbeat"));
    assert_eq!((sent[0].value("Nats-Last-Consumer"), sent[0].value("Nats-Last-Stream")), (Some("1"), Some("1")));
    world.wait(SECOND);
    world.publish("b", "y");
    world.wait(SECOND);
    assert_eq!(world.heard(), ["2"], "a message starts the interval anew");
    world.wait(SECOND);
    assert_eq!(world.heard(), ["100 Idle Heartbeat"]);
    world.wait(20 * SECOND);
    let heard = world.heard();
    assert_eq!(heard.last().map(String::as_str), Some("408 Request Timeout"));
    assert_eq!(heard.len(), 3);
}

#[test]
fn bytes_bound_a_request() {
    let mut world = World::new();
    world.create(durable()).unwrap();
    world.publish("b", &"x".repeat(100));
    world.publish("b", &"x".repeat(1000));
    world.pull("{\"batch\":5,\"max_bytes\":500}", "small");
    world.pull("{\"batch\":1,\"max_bytes\":5000}", "large");
    let sent = world.sent();
    let seen: Vec<(&str, Option<&str>)> = sent.iter().map(|one| (one.to.as_str(), one.status())).collect();
    assert_eq!(
        seen,
        [
            ("small", None),
            ("small", Some("409 Message Size Exceeds MaxBytes")),
            ("large", None),
            ("large", Some("409 Batch Completed")),
        ]
    );
    assert_eq!(sent[1].value("Nats-Pending-Messages"), Some("4"));
    assert_eq!(sent[3].value("Nats-Pending-Messages"), Some("0"));
}

#[test]
fn requests_over_a_cap_are_refused() {
    let config = ConsumerConfig { max_batch: 5, max_expires: SECOND, max_bytes: 100, max_waiting: 2, ..durable() };
    for (body, status) in [
        ("6", "409 Exceeded MaxRequestBatch of 5"),
        ("{\"expires\":2000000000}", "409 Exceeded MaxRequestExpires of 1s"),
        ("{\"max_bytes\":101}", "409 Exceeded MaxRequestMaxBytes of 100"),
        ("x", "400 Bad Request - batch is not a number"),
        ("{\"expires\":1000000000,\"idle_heartbeat\":600000000}", "400 Bad Request - heartbeat value too large"),
        ("{\"min_pending\":1}", "400 Bad Request - Not a Overflow Priority consumer"),
        ("{\"id\":\"x\"}", "400 Bad Request - Not a Pinned Client Priority consumer"),
        ("{\"priority\":10}", "400 Bad Request - Priority must be between 0 and 9"),
        ("{\"priority\":-1}", "400 Bad Request - Priority must be between 0 and 9"),
    ] {
        let mut world = World::new();
        world.create(config.clone()).unwrap();
        world.pull(body, "in");
        assert_eq!(world.heard(), [status], "{body}");
        assert_eq!(world.info().num_waiting, 0);
    }
    let mut world = World::new();
    world.create(config).unwrap();
    world.pull("1", "one");
    world.pull("1", "two");
    world.pull("1", "three");
    assert_eq!(world.heard(), ["409 Exceeded MaxWaiting"]);
    world.pull("{\"expires\":1000000000,\"idle_heartbeat\":500000000}", "four");
    assert!(world.heard().is_empty(), "it finds out by itself");
    world.away("one", true);
    world.pull("1", "five");
    assert!(world.heard().is_empty(), "who went makes room");
    assert_eq!(world.info().num_waiting, 2);
}

#[test]
fn a_request_may_require_a_level_of_the_api() {
    for (level, refused) in [("5", false), ("0", false), ("999", true), ("abc", true), ("-1", true)] {
        let mut world = World::with(&["b"]);
        world.create(durable()).unwrap();
        let header = format!("NATS/1.0\r\nNats-Required-Api-Level: {level}\r\n\r\n");
        world.act(|consumer, cx| consumer.request(header.as_bytes(), b"", b"in", cx));
        world.pump();
        assert_eq!(world.heard(), [if refused { "412 Required Api Level" } else { "1" }], "{level}");
    }
}

#[test]
fn two_requests_are_served_in_turn_and_one_that_left_loses_nothing() {
    let mut world = World::new();
    world.create(durable()).unwrap();
    world.pull("10", "one");
    world.pull("10", "two");
    for _ in 0..10 {
        world.publish("b", "x");
    }
    let to: Vec<String> = world.sent().iter().map(|message| message.to.clone()).collect();
    assert_eq!(to, ["one", "two"].repeat(5));
    world.away("one", true);
    world.publish("b", "x");
    let sent = world.sent();
    assert_eq!((sent[0].to.as_str(), sent[0].ack().tokens.deliveries, sent[0].seq()), ("two", 1, 11));
    assert_eq!(world.info().num_waiting, 1);
    assert_eq!(sent[0].ack().tokens.consumer_seq, 11, "nothing was lost");
    // What a border between accounts hears, and may pass on.
    let ended = "NATS/1.0 408 Interest Expired\r\nNats-Pending-Messages: 5\r\nNats-Pending-Bytes: 0\r\n\r\n";
    assert_eq!(world.wire.missed.lock().last().map(String::as_str), Some(ended));
}

#[test]
fn acknowledgements_are_answered_once_journalled_and_only_for_what_was_delivered() {
    let mut world = World::with(&FIVE);
    world.create(durable()).unwrap();
    world.pull("2", "in");
    let sent = world.sent();
    assert_eq!(world.answer(&sent[0], "+ACK", "again"), ["again"]);
    assert_eq!(world.answer(&sent[0], "", "again"), ["again"], "also a second time");
    assert_eq!(world.answer(&sent[1], "nonsense", "again"), ["again"]);
    assert!(world.answer(&sent[1], "+ACK", "").is_empty());
    let mut never = sent[1].clone();
    never.reply = never.reply.replace(".1.2.2.", ".1.3.3.");
    assert_eq!(never.seq(), 3);
    assert!(world.answer(&never, "", "again").is_empty());
    let info = world.info();
    assert_eq!((info.num_ack_pending, info.ack_floor.stream_seq, info.delivered.stream_seq), (0, 2, 2));
    assert_eq!(world.effects.settled, [1, 2]);
}

#[test]
fn the_floor_stays_below_a_gap() {
    let mut world = World::with(&FIVE);
    world.create(durable()).unwrap();
    world.pull("5", "in");
    let sent = world.sent();
    for (index, floor) in [(1, 0), (3, 0), (0, 2), (2, 4), (4, 5)] {
        world.answer(&sent[index], "", "");
        let info = world.info();
        assert_eq!((info.ack_floor.stream_seq, info.ack_floor.consumer_seq), (floor, floor), "after {index}");
    }
}

#[test]
fn one_acknowledgement_counts_for_all_before_it() {
    let mut world = World::with(&FIVE);
    world.create(ConsumerConfig { ack_policy: AckPolicy::All, ..durable() }).unwrap();
    world.pull("5", "in");
    let sent = world.sent();
    world.answer(&sent[2], "", "");
    let info = world.info();
    assert_eq!((info.num_ack_pending, info.ack_floor.stream_seq, info.ack_floor.consumer_seq), (2, 3, 3));
    world.answer(&sent[0], "", "");
    assert_eq!(world.info().ack_floor.stream_seq, 3);
    assert_eq!(world.effects.settled, [1, 2, 3]);
}

#[test]
fn what_is_given_back_comes_again_and_its_delay_is_kept() {
    for (body, after) in
        [("-NAK", 0), ("-NAK {\"delay\":2000000000}", 2 * SECOND), ("-NAK 2s", 2 * SECOND), ("-NAK nonsense", 0)]
    {
        let mut world = World::with(&["b"]);
        world.create(durable()).unwrap();
        world.pull("2", "in");
        let sent = world.sent();
        world.answer(&sent[0], body, "");
        if after > 0 {
            world.wait(after - 1);
            assert!(world.heard().is_empty(), "{body}");
            world.wait(1);
        }
        let sent = world.sent();
        let last = sent.last().unwrap();
        assert_eq!((last.ack().tokens.deliveries, last.ack().tokens.consumer_seq), (2, 2), "{body}");
        assert_eq!(world.info().num_redelivered, 1);
    }
}

#[test]
fn advisories_say_what_became_of_a_delivery() {
    let mut world = World::with(&FIVE);
    world.create(ConsumerConfig { max_deliver: 2, sample_freq: "100%".into(), ..durable() }).unwrap();
    world.pull("5", "in");
    let sent = world.sent();
    world.now += 7;
    let events = |world: &mut World, index: usize, body: &str| {
        world.answer(&sent[index], body, "");
        world.told().into_iter().map(|(tail, what)| (tail, what["type"].clone(), what)).collect::<Vec<_>>()
    };
    let kind = |name: &str| serde_json::Value::from(format!("io.nats.jetstream.{name}"));
    let acked = events(&mut world, 0, "");
    assert_eq!(acked[0].0, "METRIC.CONSUMER.ACK.S.D");
    assert_eq!((&acked[0].1, &acked[0].2["ack_time"]), (&kind("metric.v1.consumer_ack"), &7.into()));
    let naked = events(&mut world, 1, "-NAK");
    assert_eq!(naked[0].0, "ADVISORY.CONSUMER.MSG_NAKED.S.D");
    assert_eq!((&naked[0].1, &naked[0].2["stream_seq"]), (&kind("advisory.v1.nak"), &2.into()));
    let terminated = events(&mut world, 2, "+TERM why");
    assert_eq!(terminated[0].0, "ADVISORY.CONSUMER.MSG_TERMINATED.S.D");
    assert_eq!((&terminated[0].1, &terminated[0].2["reason"]), (&kind("advisory.v1.terminated"), &"why".into()));
    assert!(terminated[0].2["id"].as_str().is_some_and(|id| id.len() == 22));
    assert!(terminated[0].2["timestamp"].as_str().is_some_and(|at| at.starts_with("2023-11-14T")));
    world.remove(4);
    let removed = world.told();
    assert_eq!(removed[0].1["reason"], "Unacknowledged message was deleted");
    assert_eq!(world.info().num_ack_pending, 2);
    world.wait(30 * SECOND);
    world.pull("5", "in");
    world.wait(30 * SECOND);
    let exhausted: Vec<_> =
        world.told().into_iter().filter(|(tail, _)| tail == "ADVISORY.CONSUMER.MAX_DELIVERIES.S.D").collect();
    assert_eq!(exhausted.len(), 2);
    assert_eq!((&exhausted[0].1["stream_seq"], &exhausted[0].1["deliveries"]), (&2.into(), &2.into()));
}

#[test]
fn a_client_at_work_gets_more_time() {
    let mut world = World::with(&["b"]);
    world.create(ConsumerConfig { ack_wait: 10 * SECOND, ..durable() }).unwrap();
    world.pull("5", "in");
    let sent = world.sent();
    world.wait(9 * SECOND);
    world.answer(&sent[0], "+WPI", "");
    world.wait(9 * SECOND);
    assert!(world.heard().is_empty());
    world.wait(SECOND);
    assert_eq!(world.heard(), ["1"]);
}

#[test]
fn an_acknowledgement_can_ask_for_the_next_ones() {
    let mut world = World::with(&FIVE);
    world.create(durable()).unwrap();
    world.pull("1", "in");
    let first = world.sent().remove(0);
    assert!(world.answer(&first, "+NXT 2", "more").is_empty(), "the messages are the answer");
    assert_eq!(world.heard(), ["2", "3"]);
    assert_eq!(world.info().num_ack_pending, 2);
    let mut world = World::with(&FIVE);
    world.create(durable()).unwrap();
    world.pull("1", "in");
    let first = world.sent().remove(0);
    world.answer(&first, "+NXT {\"batch\":9,\"no_wait\":true}", "more");
    assert_eq!(world.heard(), ["2", "3", "4", "5", "404 No Messages"]);
}

#[test]
fn what_is_not_acknowledged_comes_before_new_messages_and_in_order() {
    let mut world = World::with(&FIVE);
    world.create(ConsumerConfig { ack_wait: 5 * SECOND, ..durable() }).unwrap();
    world.pull("3", "in");
    world.sent();
    world.wait(5 * SECOND);
    world.pull("5", "in");
    let sent = world.sent();
    let seen: Vec<(u64, u64, u64)> =
        sent.iter().map(|one| (one.seq(), one.ack().tokens.deliveries, one.ack().tokens.consumer_seq)).collect();
    assert_eq!(seen, [(1, 2, 4), (2, 2, 5), (3, 2, 6), (4, 1, 7), (5, 1, 8)]);
    assert_eq!(sent[0].ack().tokens.pending, 2);
}

#[test]
fn waits_follow_the_list_and_its_last_repeats() {
    let mut world = World::with(&["b"]);
    let config = ConsumerConfig { backoff: vec![SECOND, 5 * SECOND], max_deliver: 4, ..durable() };
    world.create(config).unwrap();
    assert_eq!(world.consumer().config().ack_wait, SECOND);
    world.pull("9", "in");
    let mut times = Vec::new();
    for _ in 0..20 {
        if world.sent().iter().any(|one| one.status().is_none() && !one.to.starts_with("$JS.EVENT")) {
            times.push((world.now - BEGIN) / SECOND);
        }
        world.wait(SECOND);
    }
    assert_eq!(times, [0, 1, 6, 11]);
    let info = world.info();
    assert_eq!((info.num_ack_pending, info.num_redelivered, info.ack_floor.stream_seq), (0, 1, 1));
}

#[test]
fn a_message_that_was_delivered_often_enough_is_kept_by_streams_that_keep_by_interest() {
    let mut world = World::with(&["b", "b"]);
    world.create(ConsumerConfig { max_deliver: 1, ..durable() }).unwrap();
    world.pull("2", "in");
    let sent = world.sent();
    assert_eq!(world.info().num_redelivered, 0);
    world.wait(40 * SECOND);
    assert_eq!(world.info().num_ack_pending, 0);
    assert!(world.consumer().still_needs(1, b"b"));
    assert!(world.effects.settled.is_empty());
    world.answer(&sent[0], "+ACK", "");
    assert!(!world.consumer().still_needs(1, b"b"), "a late acknowledgement is one");
    assert_eq!(world.effects.settled, [1]);
}

#[test]
fn no_new_message_while_too_many_wait() {
    let mut world = World::with(&FIVE);
    world.create(ConsumerConfig { max_ack_pending: 1, ack_wait: 5 * SECOND, ..durable() }).unwrap();
    world.pull("1", "one");
    world.pull("{\"batch\":2,\"no_wait\":true}", "two");
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    world.wait(5 * SECOND);
    let again = world.sent();
    assert_eq!((again[0].seq(), again[0].to.as_str()), (1, "two"), "what is due again goes on");
    world.answer(&again[0], "", "");
    assert_eq!(world.heard(), ["2"]);
}

#[test]
fn only_headers_are_sent_when_asked() {
    let mut world = World::new();
    world.create(ConsumerConfig { headers_only: true, ..durable() }).unwrap();
    world.publish_with("b", "NATS/1.0\r\nA: 1\r\nNats-Msg-Size: 7\r\n\r\n", "payload of 20 bytes!");
    world.publish("b", "");
    world.pull("2", "in");
    let sent = world.sent();
    assert_eq!(sent[0].header, "NATS/1.0\r\nA: 1\r\nNats-Msg-Size: 20\r\n\r\n");
    assert_eq!((sent[0].payload.as_str(), sent[0].shown.as_str()), ("", "b"));
    assert_eq!(sent[1].header, "NATS/1.0\r\nNats-Msg-Size: 0\r\n\r\n");
}

#[test]
fn the_original_pace_is_kept_until_it_has_caught_up() {
    let mut world = World::new();
    for gap in [0, 2, 3] {
        world.now += gap * SECOND;
        world.publish("b", "x");
    }
    world.now += 100 * SECOND;
    world.create(ConsumerConfig { replay_policy: ReplayPolicy::Original, ..durable() }).unwrap();
    world.pull("9", "in");
    let begin = world.now;
    let mut times = Vec::new();
    for _ in 0..8 {
        times.extend(world.heard().iter().map(|seq| (seq.clone(), (world.now - begin) / SECOND)));
        world.wait(SECOND);
    }
    assert_eq!(times, [("1".into(), 0), ("2".into(), 2), ("3".into(), 5)]);
    world.publish("b", "x");
    world.publish("b", "x");
    assert_eq!(world.heard(), ["4", "5"]);
}
