//! The tables: for each metric the scenarios that have it, each server's median and range, and the ratio.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::figure::Metric;
use crate::record::{Circumstances, Record};
use crate::scenario::Scenario;
use crate::spread::{Spread, short};

/// Fewer rounds than this are not judged.
const VERDICT_ROUNDS_MIN: usize = 3;

/// All tables, in Markdown.
pub(crate) fn markdown(circumstances: &Circumstances, scenarios: &[Scenario], records: &[Record]) -> String {
    let mut text = heading(circumstances);
    let metrics: BTreeSet<Metric> =
        records.iter().flat_map(|record| record.figures.iter().map(|figure| figure.metric)).collect();
    for metric in metrics {
        text.push_str(&table(metric, circumstances, scenarios, records));
    }
    text
}

/// Who was compared, where and for how long. Writing to a `String` cannot fail.
fn heading(circumstances: &Circumstances) -> String {
    let mut text = String::new();
    for (name, version) in &circumstances.servers {
        let _ = writeln!(text, "- {name}: {version}");
    }
    let _ = writeln!(
        text,
        "- {}, {} cores, Linux {}; {} rounds of {} s, a fresh server for each run",
        circumstances.processor,
        circumstances.cores,
        circumstances.kernel,
        circumstances.rounds,
        circumstances.window_seconds
    );
    for (who, cpus) in [("servers", &circumstances.server_cpus), ("generator", &circumstances.client_cpus)] {
        if let Some(cpus) = cpus {
            let _ = writeln!(text, "- {who} on CPUs {cpus}");
        }
    }
    text
}

fn table(metric: Metric, circumstances: &Circumstances, scenarios: &[Scenario], records: &[Record]) -> String {
    let names: Vec<&str> = circumstances.servers.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("\n### {}\n\n| scenario |", metric.title());
    for name in &names {
        let _ = write!(text, " {name} |");
    }
    let with_ratio = names.len() == 2;
    text.push_str(if with_ratio { " ratio | |\n|---|" } else { "\n|---|" });
    text.push_str(&"--:|".repeat(names.len() + usize::from(with_ratio)));
    text.push_str(if with_ratio { "---|\n" } else { "\n" });
    for scenario in scenarios {
        let values = |name: &str| of(records, scenario.name, name, metric);
        if names.iter().all(|name| values(name).is_empty()) {
            continue;
        }
        let _ = write!(text, "| {} |", scenario.title);
        for name in &names {
            let spread = Spread::of(values(name).into_iter().map(|(_, value)| value).collect());
            let _ = write!(text, " {} |", spread.map_or("failed".to_owned(), |spread| shown(spread, short)));
        }
        if let [first, second] = names.as_slice() {
            let ratios = ratios(&values(first), &values(second));
            let word = verdict(metric, &ratios);
            let ratio = Spread::of(ratios);
            let _ = write!(
                text,
                " {} | {} |",
                ratio.map_or("–".to_owned(), |ratio| shown(ratio, |value| format!("{value:.2}"))),
                word
            );
        }
        text.push('\n');
    }
    text
}

/// The rounds of one scenario with one server.
fn of(records: &[Record], scenario: &str, server: &str, metric: Metric) -> Vec<(usize, f64)> {
    let matching = records.iter().filter(|record| record.scenario == scenario && record.server == server);
    matching.filter_map(|record| Some((record.round, record.value(metric)?))).collect()
}

/// The ratio of each round that both have, first over second.
fn ratios(first: &[(usize, f64)], second: &[(usize, f64)]) -> Vec<f64> {
    let pairs = first.iter().filter_map(|(round, value)| {
        let (_, other) = second.iter().find(|(other, _)| other == round)?;
        (*other > 0.0).then(|| value / other)
    });
    pairs.collect()
}

fn shown(spread: Spread, number: impl Fn(f64) -> String) -> String {
    if spread.low.total_cmp(&spread.high).is_eq() {
        number(spread.median)
    } else {
        format!("{} ({}–{})", number(spread.median), number(spread.low), number(spread.high))
    }
}

/// A word where every round points the same way; rounds that disagree, or are too few, prove nothing.
fn verdict(metric: Metric, ratios: &[f64]) -> &'static str {
    let Some(more_is_better) = metric.more_is_better().filter(|_| ratios.len() >= VERDICT_ROUNDS_MIN) else {
        return "";
    };
    let (all_more, all_less) = (ratios.iter().all(|ratio| *ratio > 1.0), ratios.iter().all(|ratio| *ratio < 1.0));
    match (all_more, all_less) {
        (false, false) => "≈",
        _ if all_more == more_is_better => "better",
        _ => "worse",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Figure;

    fn record(round: usize, server: &str, value: f64) -> Record {
        Record::new(round, "one_to_one_16", server, vec![Figure::new(Metric::PerSecond, value)])
    }

    #[test]
    fn rounds_are_paired_and_judged() {
        let circumstances = Circumstances {
            servers: vec![("A".into(), "1".into()), ("B".into(), "2".into())],
            processor: "P".into(),
            cores: 2,
            kernel: "K".into(),
            window_seconds: 3.0,
            rounds: 2,
            server_cpus: Some("0".into()),
            client_cpus: None,
        };
        let scenarios = crate::scenario::chosen(&["one_to_one_16".to_owned()]).unwrap();
        let records = [record(0, "A", 300.0), record(0, "B", 100.0), record(1, "B", 200.0), record(1, "A", 400.0)];
        let text = markdown(&circumstances, &scenarios, &records);
        let row = "| 1:1, 16 B | 350 (300–400) | 150 (100–200) | 2.50 (2.00–3.00) |  |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("servers on CPUs 0"), "{text}");
        let failed = markdown(&circumstances, &scenarios, &records[..1]);
        assert!(failed.contains("| failed | – |"), "{failed}");
    }

    #[test]
    fn rounds_that_disagree_prove_nothing() {
        let cases = [
            (Metric::PerSecond, 1.1, 1.3, "better"),
            (Metric::PerSecond, 0.7, 0.9, "worse"),
            (Metric::PerSecond, 0.9, 1.1, "≈"),
            (Metric::CpuMicros, 0.7, 0.9, "better"),
            (Metric::CpuMicros, 1.1, 1.3, "worse"),
            (Metric::Cores, 1.1, 1.3, ""),
        ];
        for (metric, low, high, expected) in cases {
            assert_eq!(verdict(metric, &[low, high, high]), expected, "{metric:?} {low} {high}");
            assert_eq!(verdict(metric, &[low, high]), "", "two rounds");
        }
    }
}
