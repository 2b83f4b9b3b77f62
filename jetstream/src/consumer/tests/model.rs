//! A consumer held against a model that is as simple as can be, over random lives.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Publish(bool),
    Pull(u8),
    /// Answers the n-th of the deliveries so far.
    Answer(u16, u8),
    Wait(u8),
    Remove(u16),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Publish),
        4 => (1u8..5).prop_map(Step::Pull),
        6 => (any::<u16>(), 0u8..5).prop_map(|(which, word)| Step::Answer(which, word)),
        2 => (0u8..7).prop_map(Step::Wait),
        1 => any::<u16>().prop_map(Step::Remove),
        1 => Just(Step::Restart),
    ]
}

/// What the model knows of one message that matches.
#[derive(Clone, Debug, Default)]
struct Known {
    delivered: u64,
    due: Option<i64>,
    settled: bool,
    removed: bool,
}

const ACK_WAIT: i64 = 5 * SECOND;

struct Model {
    messages: BTreeMap<u64, Known>,
    asked: i64,
    consumer_seq: u64,
}

impl Model {
    fn pending(&self) -> usize {
        self.messages.values().filter(|known| known.delivered > 0 && !known.settled && !known.removed).count()
    }

    fn ahead(&self) -> u64 {
        self.messages.values().filter(|known| known.delivered == 0 && !known.removed).count() as u64
    }

    /// Checks what went out against what may.
    fn saw(&mut self, sent: &[Sent], now: i64) {
        for message in sent.iter().filter(|message| message.to == "in") {
            let tokens = message.ack().tokens;
            self.consumer_seq += 1;
            assert_eq!(tokens.consumer_seq, self.consumer_seq, "no gap");
            self.asked -= 1;
            assert!(self.asked >= 0, "more than was asked for");
            let lower_due = self.messages.range(..tokens.stream_seq).any(|(_, known)| {
                known.delivered > 0 && !known.settled && !known.removed && known.due.is_some_and(|due| due <= now)
            });
            let known = self.messages.get_mut(&tokens.stream_seq).unwrap();
            assert!(!known.settled && !known.removed, "{} is done", tokens.stream_seq);
            if known.delivered > 0 {
                assert!(known.due.is_some_and(|due| due <= now), "{} is not due", tokens.stream_seq);
                assert!(!lower_due, "the lowest comes first");
            }
            known.delivered += 1;
            assert_eq!(tokens.deliveries, known.delivered);
            known.due = Some(now + ACK_WAIT);
            if tokens.deliveries == 1 {
                assert_eq!(tokens.pending, self.ahead());
            }
        }
    }

    /// What must have gone out has.
    fn check(&self, info: &ConsumerInfo, now: i64) {
        assert_eq!(info.num_ack_pending, self.pending() as u64);
        assert_eq!(info.num_pending, self.ahead());
        assert_eq!(info.delivered.consumer_seq, self.consumer_seq);
        let floor = info.ack_floor.stream_seq;
        for (seq, known) in self.messages.range(..=floor) {
            assert!(known.settled || known.removed, "{seq} is below the floor {floor}");
        }
        if self.asked > 0 {
            assert_eq!(self.ahead(), 0, "somebody asked");
            let due = self.messages.values().any(|known| {
                known.delivered > 0 && !known.settled && !known.removed && known.due.is_some_and(|due| due <= now)
            });
            assert!(!due, "somebody asked");
        }
        if self.pending() == 0 {
            assert_eq!(info.ack_floor.stream_seq, info.delivered.stream_seq);
        }
    }
}

fn live(steps: &[Step]) {
    let mut world = World::new();
    let config = ConsumerConfig { ack_wait: ACK_WAIT, filter_subject: "a.*".into(), max_ack_pending: -1, ..durable() };
    world.create(config).unwrap();
    let mut model = Model { messages: BTreeMap::new(), asked: 0, consumer_seq: 0 };
    let mut deliveries: Vec<Sent> = Vec::new();
    for step in steps {
        match step {
            Step::Publish(matching) => {
                if *matching {
                    model.messages.insert(world.store.state().last_seq + 1, Known::default());
                }
                world.publish(if *matching { "a.1" } else { "b" }, "x");
            }
            Step::Pull(batch) => {
                model.asked += i64::from(*batch);
                world.pull(&batch.to_string(), "in");
            }
            Step::Answer(which, word) if !deliveries.is_empty() => {
                let delivery = deliveries[*which as usize % deliveries.len()].clone();
                let known = model.messages.get_mut(&delivery.seq()).unwrap();
                let open = !known.settled && !known.removed;
                let body = ["", "+TERM", "-NAK", "-NAK 2s", "+WPI"][*word as usize];
                match word {
                    0 | 1 => known.settled = true,
                    2 if open => known.due = Some(world.now),
                    3 if open => known.due = Some(world.now + 2 * SECOND),
                    4 if open => known.due = Some(world.now + ACK_WAIT),
                    _ => {}
                }
                assert_eq!(world.answer(&delivery, body, "reply"), ["reply"]);
            }
            Step::Answer(..) => {}
            Step::Wait(seconds) => {
                // One second at a time, so that the model sees each delivery at its time.
                for _ in 0..*seconds {
                    world.wait(SECOND);
                    let sent = world.sent();
                    model.saw(&sent, world.now);
                    deliveries.extend(sent.into_iter().filter(|message| message.to == "in"));
                }
            }
            Step::Remove(which) => {
                let last = world.store.state().last_seq;
                if last > 0 {
                    let seq = 1 + u64::from(*which) % last;
                    if let Some(known) = model.messages.get_mut(&seq) {
                        known.removed = true;
                    }
                    world.remove(seq);
                }
            }
            Step::Restart => {
                let snapshot = world.consumer().snapshot();
                let description = world.consumer().description();
                let journalled = Journalled { snapshot: Some(snapshot), entries: Vec::new() };
                world.consumer = None;
                let consumer = world.act_without(|cx| Consumer::recover(description, &journalled, cx));
                world.consumer = Some(consumer);
                model.asked = 0;
                world.act(Consumer::tick);
                world.pump();
            }
        }
        let sent = world.sent();
        model.saw(&sent, world.now);
        deliveries.extend(sent.into_iter().filter(|message| message.to == "in"));
        let info = world.info();
        model.check(&info, world.now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_consumer_is_what_the_model_says(steps in proptest::collection::vec(step(), 1..80)) {
        live(&steps);
    }
}
