//! What Cordon has to reach against nats-server, and what it aims at: the ratio of one interleaved run.

use serde::Serialize;

use crate::figure::Metric;
use crate::record::Record;
use crate::rounds::{of, ratios};
use crate::spread::Spread;

/// One line of the table of targets. Of a cost the ratio must be at most this; of a rate, at least.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Target {
    /// The scenario's name.
    pub(crate) scenario: &'static str,
    /// Which of its figures.
    pub(crate) metric: Metric,
    /// The ratio that must be reached.
    pub(crate) must: f64,
    /// The ratio to aim at.
    pub(crate) aim: f64,
}

/// A line of a table.
pub(crate) const fn target(scenario: &'static str, metric: Metric, must: f64, aim: f64) -> Target {
    Target { scenario, metric, must, aim }
}

/// All targets, in the order of the scenarios.
pub(crate) const TARGETS: [Target; 31] = [
    target("publish_only_128", Metric::CpuMicros, 0.5, 0.3),
    target("one_to_one_16", Metric::CpuMicros, 0.5, 0.3),
    target("one_to_one_16", Metric::PerSecond, 1.5, 2.5),
    target("one_to_one_128", Metric::CpuMicros, 0.5, 0.3),
    target("one_to_one_128", Metric::PerSecond, 1.5, 2.5),
    target("one_to_one_1k", Metric::CpuMicros, 0.75, 0.5),
    target("one_to_one_64k", Metric::CpuMicros, 0.75, 0.5),
    target("four_to_four_128", Metric::CpuMicros, 0.5, 0.3),
    target("fan_out_100", Metric::CpuMicros, 0.6, 0.35),
    target("queue_4_8", Metric::CpuMicros, 0.5, 0.3),
    target("headers_100_128", Metric::CpuMicros, 0.5, 0.3),
    target("subscriptions_100k", Metric::CpuMicros, 0.5, 0.3),
    target("subscriptions_100k", Metric::SubscriptionBytes, 0.3, 0.15),
    target("random_100k", Metric::CpuMicros, 0.5, 0.3),
    target("request_reply_1", Metric::CpuMicros, 0.6, 0.4),
    target("request_reply_1", Metric::P50Micros, 0.8, 0.6),
    target("request_reply_16", Metric::CpuMicros, 0.6, 0.4),
    target("steady_10k", Metric::P50Micros, 1.0, 0.8),
    target("steady_10k", Metric::P99Micros, 1.0, 0.8),
    target("tls_one_to_one_128", Metric::CpuMicros, 0.5, 0.3),
    target("tls_one_to_one_1k", Metric::CpuMicros, 0.6, 0.4),
    target("tenants_20", Metric::CpuMicros, 0.5, 0.3),
    target("tenants_20", Metric::PeakRssMib, 0.5, 0.2),
    target("stream_import_128", Metric::CpuMicros, 0.6, 0.4),
    target("service_import_1", Metric::CpuMicros, 0.6, 0.4),
    target("service_import_16", Metric::CpuMicros, 0.6, 0.4),
    target("neighbour", Metric::P99Micros, 0.3, 0.1),
    target("connections_5000", Metric::ConnectionKib, 0.25, 0.12),
    target("connections_tls_2000", Metric::CpuMicros, 0.6, 0.45),
    target("connections_tls_2000", Metric::ConnectionKib, 0.5, 0.3),
    target("connections_jwt_2000", Metric::CpuMicros, 0.6, 0.45),
];

/// How a figure stands against its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// What was aimed at is reached.
    Aim,
    /// What must be reached is.
    Must,
    /// It is not.
    Missed,
    /// There is no ratio.
    Unknown,
}

/// A target and what was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Judged {
    /// The target.
    #[serde(flatten)]
    pub(crate) target: Target,
    /// The median of the rounds' ratios.
    pub(crate) ratio: Option<f64>,
    /// What follows.
    pub(crate) standing: Standing,
}

impl Target {
    fn standing(&self, ratio: f64) -> Standing {
        let reaches = |wanted: f64| match self.metric.more_is_better() {
            Some(true) => ratio >= wanted,
            Some(false) | None => ratio <= wanted,
        };
        match (reaches(self.aim), reaches(self.must)) {
            (true, _) => Standing::Aim,
            (false, true) => Standing::Must,
            (false, false) => Standing::Missed,
        }
    }
}

impl Standing {
    /// The word in the table.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Aim => "aim",
            Self::Must => "must",
            Self::Missed => "**missed**",
            Self::Unknown => "not measured",
        }
    }
}

/// Every target of `scenarios`, by the ratios of `first` over `second`.
pub(crate) fn judge(scenarios: &[&str], records: &[Record], first: &str, second: &str) -> Vec<Judged> {
    judge_by(&TARGETS, scenarios, records, first, second)
}

/// As [`judge`], by `targets`.
pub(crate) fn judge_by(
    targets: &[Target],
    scenarios: &[&str],
    records: &[Record],
    first: &str,
    second: &str,
) -> Vec<Judged> {
    let wanted = targets.iter().copied().filter(|target| scenarios.contains(&target.scenario));
    let judged = wanted.map(|target| {
        let rounds = |server| of(records, target.scenario, server, target.metric);
        let ratio = Spread::of(ratios(&rounds(first), &rounds(second))).map(|spread| spread.median);
        let standing = ratio.map_or(Standing::Unknown, |ratio| target.standing(ratio));
        Judged { target, ratio, standing }
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Figure;
    use crate::scenario;

    #[test]
    fn every_target_has_its_scenario_and_some_ambition() {
        let names: Vec<&str> = scenario::all().iter().map(|scenario| scenario.name).collect();
        for target in TARGETS {
            assert!(names.contains(&target.scenario), "{}", target.scenario);
            assert_eq!(
                target.standing(target.aim),
                Standing::Aim,
                "{}: aiming is more than having to",
                target.scenario
            );
        }
    }

    #[test]
    fn a_cost_is_met_from_above_and_a_rate_from_below() {
        let cost = target("one_to_one_16", Metric::CpuMicros, 0.5, 0.3);
        for (ratio, expected) in [(0.29, Standing::Aim), (0.5, Standing::Must), (0.51, Standing::Missed)] {
            assert_eq!(cost.standing(ratio), expected, "{ratio}");
        }
        let rate = target("one_to_one_16", Metric::PerSecond, 1.5, 2.5);
        for (ratio, expected) in [(1.4, Standing::Missed), (1.5, Standing::Must), (2.6, Standing::Aim)] {
            assert_eq!(rate.standing(ratio), expected, "{ratio}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let record = |server, value| Record::new(0, "fan_out_100", server, vec![Figure::new(Metric::CpuMicros, value)]);
        let records = [record("A", 1.0), record("B", 2.0)];
        let judged = judge(&["fan_out_100", "queue_4_8"], &records, "A", "B");
        let standings: Vec<_> = judged.iter().map(|one| (one.target.scenario, one.standing)).collect();
        assert_eq!(standings, [("fan_out_100", Standing::Must), ("queue_4_8", Standing::Unknown)]);
    }
}
