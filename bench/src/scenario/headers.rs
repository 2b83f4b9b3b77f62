//! One publisher, one subscriber, messages with 100 bytes of headers.

use super::Scenario;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

pub(super) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "headers_100_128",
    title: "1:1, 100 B headers + 128 B",
    entry: Entry::Plain,
    limit: true,
    measure: |run| {
        let shape = Shape { headers: true, ..Shape::plain("bench.headers", 128) };
        traffic::measure(run, &[Lane::one_to_one(shape)])
    },
}];
