//! Priority groups: overflow, one pinned client, urgency.

use super::*;
use crate::config::PriorityPolicy;

#[test]
fn overflow_requests_are_served_while_much_is_there() {
    let config =
        ConsumerConfig { priority_groups: strings(&["G"]), priority_policy: PriorityPolicy::Overflow, ..durable() };
    let mut world = World::new();
    world.create(config).unwrap();
    world.pull("{\"batch\":5}", "none");
    world.pull("{\"batch\":5,\"group\":\"H\"}", "other");
    assert_eq!(world.heard(), ["400 Bad Request - Priority Group missing", "400 Bad Request - Invalid Priority Group"]);
    world.pull("{\"batch\":10,\"group\":\"G\",\"min_pending\":3}", "much");
    for _ in 0..2 {
        world.publish("b", "x");
    }
    assert!(world.heard().is_empty());
    world.publish("b", "x");
    assert_eq!(world.heard(), ["1"], "then only two are left");
    world.pull("{\"batch\":1,\"group\":\"G\",\"min_ack_pending\":1}", "busy");
    world.pull("{\"batch\":1,\"group\":\"G\"}", "always");
    let sent = world.sent();
    assert_eq!(sent.iter().map(|one| one.to.as_str()).collect::<Vec<_>>(), ["busy", "always"]);
}

#[test]
fn one_client_is_pinned_until_it_asks_no_more() {
    let config = ConsumerConfig {
        priority_groups: strings(&["G"]),
        priority_policy: PriorityPolicy::PinnedClient,
        priority_timeout: 10 * SECOND,
        ..durable()
    };
    let mut world = World::new();
    world.create(config).unwrap();
    world.pull("{\"batch\":2,\"group\":\"G\",\"id\":\"mine\"}", "wrong");
    assert_eq!(world.heard(), ["423 Nats-Wrong-Pin-Id"]);
    world.pull("{\"batch\":2,\"group\":\"G\"}", "one");
    world.pull("{\"batch\":2,\"group\":\"G\"}", "two");
    world.publish("b", "x");
    let sent = world.sent();
    let id = sent.iter().find_map(|one| one.value("Nats-Pin-Id")).unwrap().to_owned();
    assert_eq!(sent.iter().filter(|one| one.to.starts_with("$JS.EVENT.ADVISORY.CONSUMER.PINNED.S.D")).count(), 1);
    assert_eq!(world.info().priority_groups[0].pinned_client_id, id);
    for _ in 0..3 {
        world.publish("b", "x");
    }
    let sent = world.sent();
    assert_eq!(sent.iter().map(|one| one.to.as_str()).collect::<Vec<_>>(), ["one"], "its request is done");
    world.pull("{\"batch\":1,\"group\":\"G\",\"id\":\"mine\"}", "wrong");
    assert_eq!(world.heard(), ["423 Nats-Pin-Id mismatch"]);
    world.now += 9 * SECOND;
    world.pull(&format!("{{\"batch\":1,\"group\":\"G\",\"id\":\"{id}\"}}"), "one");
    assert_eq!(world.heard(), ["3"]);
    world.wait(9 * SECOND);
    assert!(world.heard().is_empty());
    world.wait(SECOND);
    let sent = world.sent();
    let told: Vec<&Sent> = sent.iter().filter(|one| one.to.contains("UNPINNED")).collect();
    assert!(told[0].payload.contains("\"reason\":\"timeout\""));
    let next = sent.iter().find(|one| one.to == "two").unwrap();
    assert_ne!(next.value("Nats-Pin-Id"), Some(id.as_str()));
    assert_eq!(world.act(|consumer, cx| consumer.unpin("other", cx)), Err(super::super::UnpinError::NoSuchGroup));
    assert_eq!(world.act(|consumer, cx| consumer.unpin("G", cx)), Ok(()));
    let sent = world.sent();
    assert!(sent.iter().any(|one| one.payload.contains("\"reason\":\"admin\"")));
    assert!(sent.iter().any(|one| one.status() == Some("423 Nats-Wrong-Pin-Id") && one.to == "two"));
    assert_eq!(world.info().priority_groups[0].pinned_client_id, "");
}

#[test]
fn urgent_requests_come_first() {
    let config =
        ConsumerConfig { priority_groups: strings(&["G"]), priority_policy: PriorityPolicy::Prioritized, ..durable() };
    let mut world = World::new();
    world.create(config).unwrap();
    for (priority, reply) in [(5, "five"), (0, "zero"), (9, "nine"), (0, "zero too")] {
        world.pull(&format!("{{\"batch\":1,\"group\":\"G\",\"priority\":{priority}}}"), reply);
    }
    for _ in 0..4 {
        world.publish("b", "x");
    }
    let to: Vec<String> = world.sent().into_iter().map(|one| one.to).filter(|to| !to.starts_with('$')).collect();
    assert_eq!(to, ["zero", "zero too", "five", "nine"]);
}
