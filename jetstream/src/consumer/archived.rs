//! A consumer as archives hold it: its configuration and how far it is (jetstream.md 2.13).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::progress::{Image, Pair, Pending};
use super::{Consumer, snapshot, tracking_of, waits_of};
use crate::config::{ConsumerConfig, ReplayPolicy};
use crate::consumer::progress::{Progress, Tracking};

/// A consumer in an archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Archived {
    /// Its configuration.
    pub(crate) config: ConsumerConfig,
    /// How far it is; one that is new has none.
    #[serde(default)]
    pub(crate) state: ArchivedState,
}

/// How far a consumer is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ArchivedState {
    delivered: Sequences,
    ack_floor: Sequences,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_empty")]
    pending: BTreeMap<u64, Waiting>,
    /// How often what waits was delivered again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_empty")]
    redelivered: BTreeMap<u64, u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Sequences {
    consumer_seq: u64,
    stream_seq: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Waiting {
    #[serde(rename = "Sequence")]
    sequence: u64,
    #[serde(rename = "Timestamp")]
    timestamp: i64,
}

fn or_empty<'de, D, T>(deserializer: D) -> Result<BTreeMap<u64, T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<BTreeMap<u64, T>>::deserialize(deserializer)?.unwrap_or_default())
}

impl Consumer {
    /// As archives hold it.
    pub(crate) fn archived(&self) -> Archived {
        let image = self.progress.image();
        let of = |pair: Pair| Sequences { consumer_seq: pair.consumer, stream_seq: pair.stream };
        let waiting = |(seq, one): &(u64, Pending)| (*seq, Waiting { sequence: one.consumer_seq, timestamp: one.sent });
        let again = image.counts.iter().map(|(seq, count)| (*seq, u64::from(*count).saturating_sub(1)));
        Archived {
            config: self.config.clone(),
            state: ArchivedState {
                delivered: of(self.progress.delivered_pair()),
                ack_floor: of(self.progress.floor_pair()),
                pending: image.pending.iter().map(waiting).collect(),
                redelivered: again.filter(|(_, count)| *count > 0).collect(),
            },
        }
    }
}

impl Archived {
    /// The snapshot that a journal has of it, in a stream whose last sequence is `last`. A consumer that is further than
    /// its stream is pulled back, as after a crash.
    ///
    /// # Errors
    ///
    /// What cannot be so.
    pub(crate) fn journalled(&self, last: u64, now: i64) -> Result<Vec<u8>, &'static str> {
        let ArchivedState { delivered, ack_floor, pending, redelivered } = &self.state;
        if ack_floor.stream_seq > delivered.stream_seq || ack_floor.consumer_seq > delivered.consumer_seq {
            return Err("more is acknowledged than was delivered");
        }
        if delivered.consumer_seq >= 1 << 62 {
            return Err("its sequence is larger than any can be");
        }
        let top = delivered.stream_seq.min(last);
        let waits = waits_of(&self.config);
        let progress = Progress::new(Tracking::Waiting, &waits, 1);
        let deliveries = |seq: &u64| {
            let again = redelivered.get(seq).copied().unwrap_or(0);
            u32::try_from(again.saturating_add(1)).unwrap_or(u32::MAX)
        };
        let mut image = Image {
            consumer_seq: delivered.consumer_seq,
            next: top + 1,
            last: top,
            floor: Pair { consumer: ack_floor.consumer_seq, stream: ack_floor.stream_seq.min(top) },
            ..Image::default()
        };
        if tracking_of(&self.config) == Tracking::Waiting {
            for (seq, one) in pending {
                let is_within = *seq > ack_floor.stream_seq && *seq <= delivered.stream_seq;
                if !is_within || one.sequence == 0 || one.sequence > delivered.consumer_seq {
                    return Err("a message waits that was never delivered");
                }
                if *seq <= top {
                    let sent = one.timestamp.min(now);
                    let deadline = progress.deadline_after(sent, deliveries(seq));
                    image.pending.push((*seq, Pending { consumer_seq: one.sequence, sent, deadline }));
                }
            }
            let most = u32::try_from(self.config.max_deliver).ok().filter(|most| *most > 0);
            for seq in redelivered.keys().filter(|seq| **seq <= top) {
                let count = deliveries(seq);
                let waits = pending.contains_key(seq);
                if waits || most.is_some_and(|most| count >= most) {
                    image.counts.push((*seq, count));
                    if !waits {
                        image.exhausted.push(*seq);
                    }
                }
            }
        }
        let replayed = if self.config.replay_policy == ReplayPolicy::Original { last } else { 0 };
        Ok(snapshot::write(&image, replayed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nats-server 2.15 writes it.
    const THEIRS: &str = r#"{"config":{"durable_name":"C","name":"C","deliver_policy":"all","ack_policy":"explicit",
        "ack_wait":1000000000,"max_deliver":-1,"replay_policy":"instant","max_waiting":512,"max_ack_pending":1000,
        "num_replicas":0,"metadata":{"_nats.req.level":"0"},"pause_until":"0001-01-01T00:00:00Z"},
        "state":{"delivered":{"consumer_seq":5,"stream_seq":3},"ack_floor":{"consumer_seq":0,"stream_seq":0},
        "pending":{"1":{"Sequence":1,"Timestamp":100},"2":{"Sequence":2,"Timestamp":200},
        "3":{"Sequence":3,"Timestamp":300}},"redelivered":{"1":1,"2":1}}}"#;

    fn image(text: &str, last: u64) -> Result<Image, &'static str> {
        let archived: Archived = serde_json::from_str(text).unwrap();
        Ok(snapshot::read(&archived.journalled(last, 1_000)?).unwrap().0)
    }

    #[test]
    fn the_other_servers_consumers_are_read() {
        let image = image(THEIRS, 5).unwrap();
        assert_eq!((image.consumer_seq, image.next, image.last, image.counts), (5, 4, 3, vec![(1, 2), (2, 2)]));
        let waiting: Vec<_> = image.pending.iter().map(|(seq, one)| (*seq, one.consumer_seq, one.deadline)).collect();
        assert_eq!(waiting, [(1, 1, 1_000_000_100), (2, 2, 1_000_000_200), (3, 3, 1_000_000_300)]);
    }

    #[test]
    fn one_that_is_further_than_its_stream_is_pulled_back() {
        let image = image(THEIRS, 2).unwrap();
        assert_eq!((image.next, image.last, image.pending.len()), (3, 2, 2));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (from, to) in [
            (r#""ack_floor":{"consumer_seq":0,"stream_seq":0}"#, r#""ack_floor":{"consumer_seq":0,"stream_seq":4}"#),
            (r#""ack_floor":{"consumer_seq":0,"stream_seq":0}"#, r#""ack_floor":{"consumer_seq":6,"stream_seq":0}"#),
            (r#""ack_floor":{"consumer_seq":0,"stream_seq":0}"#, r#""ack_floor":{"consumer_seq":2,"stream_seq":2}"#),
            (r#""3":{"Sequence":3"#, r#""3":{"Sequence":6"#),
            (r#""3":{"Sequence":3"#, r#""3":{"Sequence":0"#),
            (r#""3":{"Sequence":3"#, r#""4":{"Sequence":3"#),
            (r#""consumer_seq":5"#, r#""consumer_seq":18446744073709551615"#),
        ] {
            let text = THEIRS.replacen(from, to, 1);
            assert_ne!(text, THEIRS);
            assert!(image(&text, 5).is_err(), "{to}");
        }
    }
}
