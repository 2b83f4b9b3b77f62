//! What streams have to reach against nats-server: most against its default, which does not sync before it acknowledges,
//! some against its `sync_interval: always`, which does.

use crate::figure::Metric;
use crate::record::Record;
use crate::targets::{Judged, Target, judge_by, target};

/// Against nats-server as it is by default.
const DEFAULT: [Target; 14] = [
    target("publish_file_256", Metric::PerSecond, 1.0, 1.3),
    target("publish_file_256", Metric::CpuMicros, 0.5, 0.35),
    target("publish_file_many", Metric::CpuMicros, 0.5, 0.35),
    target("publish_memory_256", Metric::PerSecond, 1.0, 1.3),
    target("publish_memory_256", Metric::CpuMicros, 0.5, 0.35),
    target("pull_file", Metric::PerSecond, 1.5, 2.0),
    target("pull_file", Metric::CpuMicros, 0.5, 0.35),
    target("pull_memory", Metric::PerSecond, 1.5, 2.0),
    target("pull_memory", Metric::CpuMicros, 0.5, 0.35),
    target("fetch_file", Metric::CpuMicros, 0.5, 0.35),
    target("push_file", Metric::CpuMicros, 0.5, 0.35),
    target("kv_put_64", Metric::CpuMicros, 0.5, 0.35),
    target("kv_get_16", Metric::PerSecond, 1.0, 1.5),
    target("kv_get_16", Metric::CpuMicros, 0.5, 0.35),
];

/// Against its `sync_interval: always`.
const SYNCED: [Target; 3] = [
    target("publish_file_256", Metric::PerSecond, 20.0, 40.0),
    target("publish_file_1", Metric::PerSecond, 1.0, 1.5),
    target("publish_file_16x1", Metric::PerSecond, 1.5, 3.0),
];

/// Every target of `scenarios`.
pub(super) fn judge(scenarios: &[&str], records: &[Record], cordon: &str, nats: &str, always: &str) -> Vec<Judged> {
    let mut judged = judge_by(&DEFAULT, scenarios, records, cordon, nats);
    judged.extend(judge_by(&SYNCED, scenarios, records, cordon, always));
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_scenario() {
        let all = super::super::all();
        for target in DEFAULT.iter().chain(&SYNCED) {
            assert!(all.iter().any(|(scenario, _)| scenario.name == target.scenario), "{}", target.scenario);
        }
    }
}
