//! A table for each run: its rows, each server's median and range, and the ratio.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{Better, Measure, Scale};
use crate::record::Circumstances;
use crate::spread::{Spread, short};

/// One measured value.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    run: &'static str,
    server: String,
    round: usize,
    what: &'static str,
    value: f64,
    #[serde(skip)]
    better: Better,
}

#[derive(Serialize)]
struct Whole<'a> {
    circumstances: &'a Circumstances,
    rows: &'a [Row],
    failures: &'a [String],
}

impl Row {
    /// What `measure` of `scale` was with `server`.
    pub(super) fn new(scale: &Scale, server: &str, round: usize, measure: Measure) -> Self {
        let Measure { what, value, better } = measure;
        Self { run: scale.name, server: server.to_owned(), round, what, value, better }
    }
}

/// The tables of `runs`. Writing to a `String` cannot fail.
pub(crate) fn markdown(circumstances: &Circumstances, runs: &[Scale], rows: &[Row]) -> String {
    let mut text = circumstances.heading();
    let servers: Vec<&str> = circumstances.servers.iter().map(|(name, _)| name.as_str()).collect();
    for scale in runs {
        let of_run: Vec<&Row> = rows.iter().filter(|row| row.run == scale.name).collect();
        let _ = write!(text, "\n### {}\n\n| | {} |", scale.title, servers.join(" | "));
        text.push_str(if servers.len() == 2 { " ratio | |\n|---|--:|--:|--:|---|\n" } else { "\n|---|--:|\n" });
        let mut whats: Vec<(&str, Better)> = Vec::new();
        for row in &of_run {
            if whats.iter().all(|(what, _)| *what != row.what) {
                whats.push((row.what, row.better));
            }
        }
        for (what, better) in whats {
            let _ = write!(text, "| {what} |");
            let values = |server: &str| {
                let matching = of_run.iter().filter(|row| row.what == what && row.server == server);
                Spread::of(matching.map(|row| row.value).collect())
            };
            for server in &servers {
                let _ = write!(text, " {} |", values(server).map_or("–".to_owned(), shown));
            }
            if let [first, second] = servers.as_slice() {
                let ratio = values(first).zip(values(second)).filter(|(_, second)| second.median > 0.0);
                let _ = write!(
                    text,
                    " {} | {} |",
                    ratio.map_or("–".to_owned(), |(first, second)| format!("{:.2}", first.median / second.median)),
                    match better {
                        Better::More => "more is better",
                        Better::Less => "less is better",
                        Better::Neither => "",
                    }
                );
            }
            text.push('\n');
        }
    }
    text
}

/// Writes every row to `path`.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn save(path: &Path, circumstances: &Circumstances, rows: &[Row], failures: &[String]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(serde_json::to_writer_pretty(BufWriter::new(file), &Whole { circumstances, rows, failures })?)
}

fn shown(spread: Spread) -> String {
    if spread.low.total_cmp(&spread.high).is_eq() {
        short(spread.median)
    } else {
        format!("{} ({}–{})", short(spread.median), short(spread.low), short(spread.high))
    }
}
