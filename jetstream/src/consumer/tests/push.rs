//! Push consumers: who listens, heartbeats, flow control, rates, another deliver subject.

use super::*;
use crate::config::DeliverPolicy;

fn push() -> ConsumerConfig {
    ConsumerConfig {
        durable_name: "D".into(),
        ack_policy: AckPolicy::Explicit,
        deliver_subject: "to.me".into(),
        ..ConsumerConfig::default()
    }
}

#[test]
fn messages_go_out_while_somebody_listens() {
    let mut world = World::with(&["a.1", "b"]);
    world.away("to.me", true);
    world.create(push()).unwrap();
    assert!(world.heard().is_empty());
    assert_eq!(world.wire.watched.lock().get("to.me"), Some(&1));
    assert!(!world.info().push_bound);
    world.away("to.me", false);
    world.act(Consumer::interest_changed);
    world.pump();
    let sent = world.sent();
    assert_eq!((sent[0].to.as_str(), sent[0].shown.as_str(), sent[0].payload.as_str()), ("to.me", "a.1", "x"));
    assert_eq!(sent.len(), 2);
    assert!(world.info().push_bound);
    world.away("to.me", true);
    world.publish("b", "nobody hears");
    assert!(world.heard().is_empty());
    let info = world.info();
    assert_eq!((info.delivered.consumer_seq, info.num_pending, info.push_bound), (2, 1, false));
    world.act(|consumer, cx| consumer.end(super::super::End::Deleted, cx));
    assert_eq!(world.wire.watched.lock().get("to.me"), Some(&0));
}

#[test]
fn a_pull_request_is_refused() {
    let mut world = World::new();
    world.create(push()).unwrap();
    world.pull("1", "in");
    assert_eq!(world.heard(), ["409 Consumer is push based"]);
}

#[test]
fn deliveries_without_acknowledgement_settle_at_once() {
    let mut world = World::new();
    world.create(ConsumerConfig { ack_policy: AckPolicy::None, ..push() }).unwrap();
    world.publish("b", "x");
    assert_eq!(world.heard(), ["1"]);
    assert_eq!(world.effects.settled, [1]);
    let info = world.info();
    assert_eq!((info.num_ack_pending, info.ack_floor.stream_seq), (0, 1));
    assert!(!world.consumer().still_needs(1, b"b"));
    assert!(world.consumer().still_needs(2, b"b"));
}

#[test]
fn a_silent_consumer_says_that_it_is_there() {
    let mut world = World::new();
    world.create(ConsumerConfig { idle_heartbeat: SECOND, ..push() }).unwrap();
    world.publish("b", "x");
    world.sent();
    world.wait(SECOND / 2);
    world.publish("b", "x");
    world.sent();
    world.wait(SECOND - 1);
    assert!(world.heard().is_empty());
    world.wait(1);
    let sent = world.sent();
    assert_eq!((sent[0].to.as_str(), sent[0].status()), ("to.me", Some("100 Idle Heartbeat")));
    assert_eq!((sent[0].value("Nats-Last-Consumer"), sent[0].value("Nats-Last-Stream")), (Some("2"), Some("2")));
    assert_eq!(sent[0].value("Nats-Consumer-Stalled"), None);
    world.wait(3 * SECOND);
    assert_eq!(world.heard().len(), 3);
    world.act(|consumer, cx| consumer.pause(cx.now + 10 * SECOND, cx));
    world.sent();
    world.wait(2 * SECOND);
    assert_eq!(world.heard().len(), 2, "also while it is paused");
    world.away("to.me", true);
    world.act(Consumer::interest_changed);
    world.wait(3 * SECOND);
    assert!(world.heard().is_empty(), "nobody listens");
}

#[test]
fn a_receiver_that_does_not_follow_stalls_the_consumer() {
    let mut world = World::new();
    let config = ConsumerConfig { flow_control: true, idle_heartbeat: SECOND, ack_policy: AckPolicy::None, ..push() };
    world.create(config).unwrap();
    let body = "x".repeat(512 * 1024);
    for _ in 0..8 {
        world.publish("b", &body);
    }
    let sent = world.sent();
    assert_eq!(sent.len(), 5, "four messages exceed two MiB; one request");
    assert_eq!((sent[2].status(), sent[2].to.as_str()), (Some("100 FlowControl Request"), "to.me"));
    let reply = sent[2].reply.clone();
    assert!(reply.starts_with("$JS.FC.S.D.") && reply.len() == "$JS.FC.S.D.".len() + 4, "{reply}");
    world.wait(SECOND);
    let stalled = world.sent();
    assert_eq!(stalled[0].value("Nats-Consumer-Stalled"), Some(reply.as_str()));
    world.act(|consumer, cx| consumer.flow_reply(b"$JS.FC.S.D.none", b"", cx));
    world.pump();
    assert!(world.sent().is_empty());
    world.act(|consumer, cx| consumer.flow_reply(reply.as_bytes(), b"", cx));
    world.pump();
    let sent = world.sent();
    assert_eq!(sent.iter().filter(|one| one.status().is_none()).count(), 4);
}

#[test]
fn answers_to_flow_control_acknowledge_if_that_is_the_policy() {
    let config = ConsumerConfig {
        flow_control: true,
        idle_heartbeat: SECOND,
        ack_policy: AckPolicy::FlowControl,
        max_ack_pending: 100,
        ..push()
    };
    let mut world = World::new();
    world.create(config).unwrap();
    let body = "x".repeat(600 * 1024);
    for _ in 0..3 {
        world.publish("b", &body);
    }
    let sent = world.sent();
    world.answer(&sent[0], "+ACK", "again");
    assert_eq!(world.info().num_ack_pending, 3, "acknowledgements proper do nothing");
    let reply = sent.iter().find(|one| one.status().is_some()).unwrap().reply.clone();
    let header = b"NATS/1.0\r\nNats-Last-Consumer: 2\r\nNats-Last-Stream: 2\r\n\r\n";
    world.act(|consumer, cx| consumer.flow_reply(reply.as_bytes(), header, cx));
    let info = world.info();
    assert_eq!((info.num_ack_pending, info.ack_floor.stream_seq), (1, 2));
    assert_eq!(world.effects.settled, [1, 2]);
    world.wait(3600 * SECOND);
    assert_eq!(world.info().num_redelivered, 0);
}

#[test]
fn a_rate_limits_what_goes_out() {
    let mut world = World::new();
    world.create(ConsumerConfig { rate_limit_bps: 8 * 1024 * 1024, max_ack_pending: -1, ..push() }).unwrap();
    let body = "x".repeat(256 * 1024);
    for _ in 0..24 {
        world.publish("b", &body);
    }
    let begin = world.now;
    assert_eq!(world.sent().len(), 3, "one MiB at once, and what goes with each message is counted");
    while world.info().num_pending > 0 {
        world.wait(SECOND / 100);
    }
    let took = (world.now - begin) as f64 / SECOND as f64;
    assert!((4.9..5.2).contains(&took), "{took}");
}

#[test]
fn another_deliver_subject_gets_what_was_not_acknowledged() {
    let mut world = World::with(&["a.1", "b"]);
    world.create(push()).unwrap();
    let sent = world.sent();
    world.answer(&sent[0], "", "");
    let mut config = world.consumer().config().clone();
    config.deliver_subject = "to.other".into();
    world.act(|consumer, cx| consumer.update(config, cx));
    world.pump();
    let sent = world.sent();
    assert_eq!((sent[0].to.as_str(), sent[0].seq(), sent[0].ack().tokens.deliveries), ("to.other", 2, 2));
    let watched = world.wire.watched.lock().clone();
    assert_eq!((watched.get("to.me"), watched.get("to.other")), (Some(&0), Some(&1)));
}

#[test]
fn an_ephemeral_push_consumer_ends_when_nobody_listened_for_long() {
    let mut world = World::new();
    world.create(ConsumerConfig { durable_name: String::new(), ..push() }).unwrap();
    world.wait(20 * SECOND);
    assert!(!world.effects.unused);
    world.away("to.me", true);
    world.act(Consumer::interest_changed);
    world.wait(5 * SECOND - 1);
    assert!(!world.effects.unused);
    world.wait(1);
    assert!(world.effects.unused);

    let mut world = World::new();
    world.away("to.me", true);
    world.create(push()).unwrap();
    world.wait(3600 * SECOND);
    assert!(!world.effects.unused, "a durable one stays");
}

#[test]
fn a_client_that_orders_by_consumer_sequences_sees_no_gap() {
    let mut world = World::with(&["a.1", "b", "a.2", "a.1"]);
    let ordered = ConsumerConfig {
        ack_policy: AckPolicy::None,
        max_deliver: 1,
        mem_storage: true,
        deliver_policy: DeliverPolicy::ByStartSequence,
        opt_start_seq: 2,
        filter_subject: "a.>".into(),
        flow_control: true,
        idle_heartbeat: 5 * SECOND,
        deliver_subject: "inbox".into(),
        ..ConsumerConfig::default()
    };
    world.create(ordered).unwrap();
    assert!(!world.consumer().is_kept());
    world.publish("a.3", "x");
    let seen: Vec<(u64, u64, u64)> =
        world.sent().iter().map(|one| (one.ack().tokens.consumer_seq, one.seq(), one.ack().tokens.pending)).collect();
    assert_eq!(seen, [(1, 3, 1), (2, 4, 0), (3, 5, 0)]);
}
