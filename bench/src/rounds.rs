//! Runs brought together: the rounds of one scenario with one server, and the ratio of two servers in each.

use crate::figure::Metric;
use crate::record::Record;

/// The rounds of `scenario` with `server`: round and value.
pub(crate) fn of(records: &[Record], scenario: &str, server: &str, metric: Metric) -> Vec<(usize, f64)> {
    let matching = records.iter().filter(|record| record.scenario == scenario && record.server == server);
    matching.filter_map(|record| Some((record.round, record.value(metric)?))).collect()
}

/// The ratio of each round that both have, first over second.
pub(crate) fn ratios(first: &[(usize, f64)], second: &[(usize, f64)]) -> Vec<f64> {
    let pairs = first.iter().filter_map(|(round, value)| {
        let (_, other) = second.iter().find(|(other, _)| other == round)?;
        (*other > 0.0).then(|| value / other)
    });
    pairs.collect()
}

/// The values alone.
pub(crate) fn values(rounds: &[(usize, f64)]) -> Vec<f64> {
    rounds.iter().map(|(_, value)| *value).collect()
}
