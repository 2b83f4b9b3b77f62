//! One publisher, one subscriber, in several payload sizes, plain and over TLS.

use anyhow::Result;

use super::Scenario;
use crate::figure::Figure;
use crate::run::Run;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

pub(super) const SCENARIOS: [Scenario; 4] = [
    Scenario { name: "one_to_one_16", title: "1:1, 16 B", entry: Entry::Plain, measure: |run| pair(run, 16) },
    Scenario { name: "one_to_one_128", title: "1:1, 128 B", entry: Entry::Plain, measure: |run| pair(run, 128) },
    Scenario { name: "one_to_one_1k", title: "1:1, 1 KiB", entry: Entry::Plain, measure: |run| pair(run, 1024) },
    Scenario { name: "one_to_one_64k", title: "1:1, 64 KiB", entry: Entry::Plain, measure: |run| pair(run, 64 * 1024) },
];

pub(super) const TLS_SCENARIOS: [Scenario; 2] = [
    Scenario { name: "tls_one_to_one_128", title: "TLS 1:1, 128 B", entry: Entry::Tls, measure: |run| pair(run, 128) },
    Scenario { name: "tls_one_to_one_1k", title: "TLS 1:1, 1 KiB", entry: Entry::Tls, measure: |run| pair(run, 1024) },
];

fn pair(run: &Run<'_>, payload: usize) -> Result<Vec<Figure>> {
    traffic::measure(run, &[Lane::one_to_one(Shape::plain("bench.one", payload))])
}

/// What a forwarder can be measured with: frames that already look delivered.
pub(super) const FORWARDED: [Scenario; 4] = [
    Scenario { measure: |run| forwarded(run, 16), ..SCENARIOS[0] },
    Scenario { measure: |run| forwarded(run, 128), ..SCENARIOS[1] },
    Scenario { measure: |run| forwarded(run, 1024), ..SCENARIOS[2] },
    Scenario { measure: |run| forwarded(run, 64 * 1024), ..SCENARIOS[3] },
];

fn forwarded(run: &Run<'_>, payload: usize) -> Result<Vec<Figure>> {
    let shape = Shape { as_delivered: true, ..Shape::plain("bench.one", payload) };
    traffic::measure(run, &[Lane::one_to_one(shape)])
}
