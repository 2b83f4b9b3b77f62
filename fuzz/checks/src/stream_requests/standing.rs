//! What holds of streams and consumers at any time, and what is left of them.

use cordon_jetstream::config::Storage;
use serde_json::Value;

use super::ground::{Ground, MEMORY_MAX};

/// Panics when a stream does not agree with itself, its limits or its account.
pub(super) fn check(ground: &Ground) {
    let mut bytes = 0;
    for stream in ground.account.streams() {
        stream.look(|core| {
            let (state, config) = (core.store().state(), core.config());
            let name = &config.name;
            assert!(state.first_seq <= state.last_seq + 1, "{name}: {state:?}");
            if state.messages > 0 {
                assert!(state.messages <= state.last_seq - state.first_seq + 1, "{name}: {state:?}");
                assert!(state.subjects > 0 && state.subjects <= state.messages, "{name}: {state:?}");
                assert!(core.store().get(state.first_seq).unwrap().is_some(), "{name}: its first is not there");
            } else {
                assert_eq!((state.bytes, state.subjects), (0, 0), "{name}: {state:?}");
            }
            assert!(core.durable() <= state.last_seq, "{name}: consumers may see what is not there");
            let within = |limit: i64, figure: u64| limit <= 0 || figure <= limit.unsigned_abs();
            assert!(within(config.max_msgs, state.messages), "{name}: {state:?}");
            assert!(within(config.max_bytes, state.bytes), "{name}: {state:?}");
            assert_eq!(core.trouble(), None, "{name}");
            assert_eq!(config.storage, Storage::Memory, "{name}: there is no folder");
            bytes += state.bytes;
        });
    }
    let ledger = ground.account.ledger();
    assert_eq!(ledger.used(Storage::Memory), bytes, "the account is charged for something else");
    assert!(bytes <= MEMORY_MAX.unsigned_abs(), "more is stored than is allowed");
    assert_eq!(ledger.waiting(), 0, "nothing waits, and room is held");
}

/// Panics when a consumer does not agree with its stream.
pub(super) fn check_consumers(ground: &Ground) {
    for stream in ground.account.streams() {
        let messages = stream.look(|core| core.store().state().messages);
        let subject = format!("$JS.API.CONSUMER.LIST.{}", stream.name());
        let answer = ground.api(&subject, b"", b"", b"r").unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let consumers = answer["consumers"].as_array().cloned().unwrap_or_default();
        assert_eq!(answer["total"].as_u64(), Some(consumers.len() as u64), "{answer}");
        for consumer in consumers {
            let number = |path: &str| consumer.pointer(path).and_then(Value::as_u64).unwrap_or_default();
            assert!(number("/num_pending") <= messages, "{consumer}");
            // A consumer may wait for what is yet to come, after it was reset.
            assert!(number("/ack_floor/stream_seq") <= number("/delivered/stream_seq"), "{consumer}");
            assert!(number("/ack_floor/consumer_seq") <= number("/delivered/consumer_seq"), "{consumer}");
            let most = consumer.pointer("/config/max_ack_pending").and_then(Value::as_i64).unwrap_or(0);
            assert!(most <= 0 || number("/num_ack_pending") <= most.unsigned_abs(), "{consumer}");
        }
    }
}

/// Deletes all streams; panics when anything is left.
pub(super) fn ends(ground: &mut Ground) {
    for stream in ground.account.streams() {
        ground.account.delete_stream(stream.name()).unwrap_or_else(|error| panic!("{}: {error}", stream.name()));
        ground.settle();
    }
    let ledger = ground.account.ledger();
    assert!(ground.account.streams().is_empty());
    assert_eq!((ledger.used(Storage::Memory), ledger.reserved(Storage::Memory), ledger.waiting()), (0, 0, 0));
    assert_eq!(ground.account.consumers(), 0);
    assert!(ground.storing(b"l.a").is_none(), "a deleted stream listens");
}
