//! Four publishers, eight members of one queue group: each message goes to one of them.

use super::Scenario;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

pub(super) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "queue_4_8",
    title: "queue 4:8, 128 B",
    entry: Entry::Plain,
    limit: true,
    measure: |run| {
        let lane =
            Lane { publishers: 4, subscribers: 8, queue: true, ..Lane::one_to_one(Shape::plain("bench.queue", 128)) };
        traffic::measure(run, &[lane])
    },
}];
