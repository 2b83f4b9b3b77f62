//! What ends, pauses, resets and outlives a consumer.

use super::*;
use crate::config::{DeliverPolicy, Moment};

#[test]
fn a_purge_moves_the_consumer_and_forgets_what_waited() {
    let mut world = World::with(&FIVE);
    world.create(durable()).unwrap();
    world.pull("2", "in");
    world.sent();
    let mut gone = Vec::new();
    world.store.remove_below(4, &mut |removed| gone.push(removed)).unwrap();
    for removed in &gone {
        world.act(|consumer, cx| consumer.removed(removed.seq, &removed.subject, cx));
    }
    world.act(|consumer, cx| consumer.purged(4, cx));
    let info = world.info();
    assert_eq!((info.num_pending, info.num_ack_pending), (2, 0));
    assert_eq!((info.delivered.stream_seq, info.ack_floor.stream_seq), (3, 3));
    world.sent();
    world.pull("9", "in");
    assert_eq!(world.heard(), ["4", "5"]);
}

#[test]
fn a_paused_consumer_takes_requests_and_delivers_nothing() {
    let mut world = World::with(&FIVE);
    world.create(durable()).unwrap();
    world.act(|consumer, cx| consumer.pause(cx.now + 3600 * SECOND, cx));
    let told = world.told();
    assert_eq!((told[0].0.as_str(), &told[0].1["paused"]), ("ADVISORY.CONSUMER.PAUSE.S.D", &true.into()));
    world.pull("{\"batch\":1,\"expires\":4000000000,\"idle_heartbeat\":2000000000}", "in");
    world.wait(4 * SECOND);
    assert_eq!(world.heard(), ["100 Idle Heartbeat", "408 Request Timeout"]);
    let info = world.info();
    assert_eq!((info.paused, info.pause_remaining), (true, 3596 * SECOND));
    world.pull("1", "in");
    world.wait(3600 * SECOND);
    let sent = world.sent();
    assert!(sent[0].payload.contains("\"paused\":false"));
    assert_eq!(sent[1].seq(), 1);
    world.act(|consumer, cx| consumer.pause(cx.now + 60 * SECOND, cx));
    world.act(|consumer, cx| consumer.pause(0, cx));
    assert_eq!(world.told().len(), 2);
    assert_eq!(world.consumer().config().pause_until, None);
    assert!(!world.info().paused);
}

#[test]
fn a_consumer_starts_over_where_it_may() {
    let mut world = World::with(&FIVE);
    world.create(durable()).unwrap();
    world.pull("4", "in");
    let sent = world.sent();
    world.answer(&sent[0], "", "");
    assert_eq!(world.act(|consumer, cx| consumer.reset(None, cx)), Ok(2));
    world.pull("1", "in");
    let again = world.sent();
    assert_eq!((again[0].seq(), again[0].ack().tokens.consumer_seq, again[0].ack().tokens.deliveries), (2, 1, 1));
    assert_eq!(world.act(|consumer, cx| consumer.reset(Some(5), cx)), Ok(5));
    assert_eq!(world.info().num_pending, 1);
    let start = ConsumerConfig { deliver_policy: DeliverPolicy::ByStartSequence, opt_start_seq: 3, ..durable() };
    let time = ConsumerConfig {
        deliver_policy: DeliverPolicy::ByStartTime,
        opt_start_time: Some(Moment(BEGIN + 1)),
        ..durable()
    };
    let new = ConsumerConfig { deliver_policy: DeliverPolicy::New, ..durable() };
    for (config, to, expected) in [
        (&start, 3, Ok(3)),
        (&start, 2, Err("below start seq")),
        (&time, 9, Ok(9)),
        (&time, 1, Err("below start time")),
        (&new, 1, Err("not allowed")),
    ] {
        let mut world = World::with(&FIVE);
        world.create(config.clone()).unwrap();
        let got = world.act(|consumer, cx| consumer.reset(Some(to), cx));
        assert_eq!(got.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }
}

#[test]
fn a_consumer_that_nobody_uses_ends() {
    let ephemeral =
        ConsumerConfig { ack_policy: AckPolicy::Explicit, ack_wait: 60 * SECOND, ..ConsumerConfig::default() };
    let mut world = World::with(&["b"]);
    world.create(ephemeral.clone()).unwrap();
    assert_eq!(world.consumer().config().inactive_threshold, 5 * SECOND);
    world.wait(4 * SECOND);
    world.pull("{\"expires\":8000000000,\"batch\":2}", "in");
    let sent = world.sent();
    world.wait(10 * SECOND);
    assert!(!world.effects.unused, "a message waits for its acknowledgement");
    world.answer(&sent[0], "", "");
    world.wait(60 * SECOND);
    assert!(world.effects.unused);

    let mut world = World::with(&["b"]);
    world.create(ephemeral).unwrap();
    world.pull("{\"batch\":9}", "gone");
    world.away("gone", true);
    world.sent();
    world.wait(61 * SECOND);
    assert!(!world.effects.unused);
    world.wait(10 * SECOND);
    assert!(world.effects.unused, "nobody listens for the request any more");

    let mut world = World::new();
    world.create(durable()).unwrap();
    world.wait(3600 * SECOND);
    assert!(!world.effects.unused);
}

#[test]
fn the_end_of_a_consumer_is_told_to_those_who_wait() {
    use super::super::End;
    for (why, status, rest) in
        [(End::Deleted, "409 Consumer Deleted", None), (End::Shutdown, "409 Server Shutdown", Some("2"))]
    {
        let mut world = World::new();
        world.create(durable()).unwrap();
        world.pull("2", "in");
        world.act(|consumer, cx| consumer.end(why, cx));
        let sent = world.sent();
        assert_eq!((sent[0].status(), sent[0].value("Nats-Pending-Messages")), (Some(status), rest));
    }
}
