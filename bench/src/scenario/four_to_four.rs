//! Four publishers and four subscribers on four subjects: does the server use its cores?

use super::Scenario;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

pub(super) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "four_to_four_128",
    title: "4:4 on 4 subjects, 128 B",
    entry: Entry::Plain,
    limit: true,
    measure: |run| {
        let lane = |number| Lane::one_to_one(Shape::plain(format!("bench.four.{number}"), 128));
        traffic::measure(run, &[1, 2, 3, 4].map(lane))
    },
}];
