//! The tables: for each metric the scenarios that have it, each server's median and range, the ratio, and what
//! the forwarder needs; then how the targets stand.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::figure::Metric;
use crate::record::{Circumstances, LIMIT, Record};
use crate::rounds::{of, ratios, values};
use crate::scenario::Scenario;
use crate::spread::{Spread, short};
use crate::targets::{Judged, Standing};

/// Fewer rounds than this are not judged.
const VERDICT_ROUNDS_MIN: usize = 3;

/// All tables, in Markdown.
pub(crate) fn markdown(
    circumstances: &Circumstances,
    scenarios: &[Scenario],
    records: &[Record],
    targets: &[Judged],
) -> String {
    let mut text = heading(circumstances);
    let metrics: BTreeSet<Metric> =
        records.iter().flat_map(|record| record.figures.iter().map(|figure| figure.metric)).collect();
    for metric in metrics {
        text.push_str(&table(metric, circumstances, scenarios, records));
    }
    text.push_str(&standings(scenarios, targets));
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
    let with_limit = names != [LIMIT] && records.iter().any(|run| run.server == LIMIT && run.value(metric).is_some());
    let mut columns: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    // One ratio and its verdict for each server but the first, which is compared with them.
    for name in names.iter().skip(1) {
        columns.extend([if names.len() == 2 { "ratio".to_owned() } else { format!("ratio to {name}") }, String::new()]);
    }
    columns.extend(["limit", "× limit"].iter().filter(|_| with_limit).map(|name| (*name).to_owned()));
    let rules: String = columns.iter().map(|name| if name.is_empty() { "---|" } else { "--:|" }).collect();
    let mut text = format!("\n### {}\n\n| scenario | {} |\n|---|{rules}\n", metric.title(), columns.join(" | "));
    for scenario in scenarios {
        let rounds: Vec<_> = names.iter().map(|name| of(records, scenario.name, name, metric)).collect();
        if rounds.iter().all(Vec::is_empty) {
            continue;
        }
        let mut cells = vec![scenario.title.to_owned()];
        // Of three servers the last does not take part everywhere.
        let missing = |at: usize| if at < 2 { "failed" } else { "" };
        for (at, rounds) in rounds.iter().enumerate() {
            cells.push(Spread::of(values(rounds)).map_or(missing(at).to_owned(), |spread| shown(spread, short)));
        }
        if let [first, others @ ..] = rounds.as_slice() {
            for other in others {
                let ratios = ratios(first, other);
                let word = verdict(metric, &ratios);
                let ratio = Spread::of(ratios);
                cells.push(ratio.map_or("–".to_owned(), |ratio| shown(ratio, |value| format!("{value:.2}"))));
                cells.push(word.to_owned());
            }
        }
        if with_limit {
            cells.extend(limit_cells(&rounds, &of(records, scenario.name, LIMIT, metric)));
        }
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// What the forwarder needs, and each server's figure over it.
fn limit_cells(servers: &[Vec<(usize, f64)>], limit: &[(usize, f64)]) -> [String; 2] {
    let over = servers.iter().filter_map(|rounds| Spread::of(ratios(rounds, limit)));
    let over: Vec<String> = over.map(|spread| short(spread.median)).collect();
    let limit = Spread::of(values(limit)).map(|spread| short(spread.median));
    [limit.unwrap_or_default(), over.join(" / ")]
}

/// How each target stands.
fn standings(scenarios: &[Scenario], targets: &[Judged]) -> String {
    let mut text = String::new();
    if !targets.is_empty() {
        let count = |standing| targets.iter().filter(|judged| judged.standing == standing).count();
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "\n### Targets\n\nOf {} ratios {} reach what is aimed at, {} what must be reached, {} miss it.\n\n\
             | scenario | figure | ratio | must | aim | |\n|---|---|--:|--:|--:|---|\n",
            targets.len(),
            count(Standing::Aim),
            count(Standing::Must),
            count(Standing::Missed),
        );
    }
    for Judged { target, ratio, standing } in targets {
        let title = scenarios.iter().find(|scenario| scenario.name == target.scenario).map_or("", |found| found.title);
        let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(
            text,
            "| {title} | {} | {ratio} | {} | {} | {} |",
            target.metric.name(),
            target.must,
            target.aim,
            standing.word()
        );
    }
    text
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
        let text = markdown(&circumstances, &scenarios, &records, &[]);
        let row = "| 1:1, 16 B | 350 (300–400) | 150 (100–200) | 2.50 (2.00–3.00) |  |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("servers on CPUs 0"), "{text}");
        let failed = markdown(&circumstances, &scenarios, &records[..1], &[]);
        assert!(failed.contains("| failed | – |"), "{failed}");
    }

    #[test]
    fn the_limit_stands_beside_both_and_the_targets_below() {
        let circumstances = Circumstances {
            servers: vec![("A".into(), "1".into()), ("B".into(), "2".into())],
            ..Circumstances::default()
        };
        let scenarios = crate::scenario::chosen(&["one_to_one_16".to_owned()]).unwrap();
        let records = [record(0, "A", 300.0), record(0, "B", 100.0), record(0, LIMIT, 600.0)];
        let judged = crate::targets::judge(&["one_to_one_16"], &records, "A", "B");
        let text = markdown(&circumstances, &scenarios, &records, &judged);
        for row in [
            "| scenario | A | B | ratio |  | limit | × limit |",
            "| 1:1, 16 B | 300 | 100 | 3.00 |  | 600 | 0.500 / 0.167 |",
            "| 1:1, 16 B | per second | 3.00 | 1.5 | 2.5 | aim |",
            "Of 2 ratios 1 reach what is aimed at, 0 what must be reached, 0 miss it.",
            "| 1:1, 16 B | CPU each | – | 0.5 | 0.3 | not measured |",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
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
