//! One publisher, one subscriber, in several payload sizes, plain and over TLS.

use anyhow::Result;

use super::{Measure, Scenario};
use crate::figure::Figure;
use crate::run::Run;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

pub(super) const SCENARIOS: [Scenario; 5] = [
    plain("one_to_one_16", "1:1, 16 B", |run| pair(run, 16)),
    plain("one_to_one_128", "1:1, 128 B", |run| pair(run, 128)),
    plain("one_to_one_1k", "1:1, 1 KiB", |run| pair(run, 1024)),
    plain("one_to_one_8k", "1:1, 8 KiB", |run| pair(run, 8 * 1024)),
    plain("one_to_one_64k", "1:1, 64 KiB", |run| pair(run, 64 * 1024)),
];

pub(super) const TLS_SCENARIOS: [Scenario; 3] = [
    tls("tls_one_to_one_128", "TLS 1:1, 128 B", |run| pair(run, 128)),
    tls("tls_one_to_one_1k", "TLS 1:1, 1 KiB", |run| pair(run, 1024)),
    tls("tls_one_to_one_64k", "TLS 1:1, 64 KiB", |run| pair(run, 64 * 1024)),
];

const fn plain(name: &'static str, title: &'static str, measure: Measure) -> Scenario {
    Scenario { name, title, entry: Entry::Plain, limit: true, measure }
}

const fn tls(name: &'static str, title: &'static str, measure: Measure) -> Scenario {
    Scenario { name, title, entry: Entry::Tls, limit: true, measure }
}

fn pair(run: &Run<'_>, payload: usize) -> Result<Vec<Figure>> {
    traffic::measure(run, &[Lane::one_to_one(Shape::plain("bench.one", payload))])
}
