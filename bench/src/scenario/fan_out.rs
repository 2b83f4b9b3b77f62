//! One publisher, a hundred subscribers of the same subject. Deliveries are counted.

use super::Scenario;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

pub(super) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "fan_out_100",
    title: "fan-out 1:100, 128 B, deliveries",
    entry: Entry::Plain,
    limit: true,
    measure: |run| {
        let lane = Lane { subscribers: 100, ..Lane::one_to_one(Shape::plain("bench.fan", 128)) };
        traffic::measure(run, &[lane])
    },
}];
