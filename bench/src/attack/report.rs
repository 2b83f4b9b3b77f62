//! The table of attacks: what each did to a tenant's requests, and whether the rule was kept.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Attack;
use crate::record::Circumstances;
use crate::spread::{Spread, short};

/// During an attack a tenant's p99 may be so many times its quiet one.
const RATIO_MAX: f64 = 2.0;

/// One attack on one server.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The attack's name.
    pub(super) attack: &'static str,
    /// The server's name.
    pub(super) server: String,
    /// From 0.
    pub(super) round: usize,
    /// What the attacker did in all: connections, messages or subscriptions.
    pub(super) attempts: u64,
    /// The same for each second.
    pub(super) attempts_per_second: f64,
    /// Connections of the attacker that the server ended.
    pub(super) closed: u64,
    /// The tenant's p99 in the quiet time before, µs.
    pub(super) quiet_before_p99_us: f64,
    /// The same afterwards.
    pub(super) quiet_after_p99_us: f64,
    /// The tenant's quiet p50: the higher of before and after, µs.
    pub(super) quiet_p50_us: f64,
    /// Its quiet p99, in the same way.
    pub(super) quiet_p99_us: f64,
    /// Its p50 during the attack, µs.
    pub(super) attack_p50_us: f64,
    /// Its p99 during the attack, µs.
    pub(super) attack_p99_us: f64,
    /// p99 during the attack over the quiet one.
    pub(super) ratio: f64,
    /// By how much the server's memory grew at its peak, MiB.
    pub(super) growth_mib: f64,
    /// By how much it may, MiB.
    pub(super) bound_mib: f64,
    /// CPU cores that the server used, the tenant's requests included.
    pub(super) server_cores: f64,
    /// CPU cores that the attacker used.
    pub(super) attacker_cores: f64,
    /// A new connection of the tenant during the attack: the median, ms.
    pub(super) connect_p50_ms: f64,
    /// The longest, ms.
    pub(super) connect_worst_ms: f64,
    /// Those that failed.
    pub(super) connects_failed: u64,
    /// Requests of the tenant that got their answer: all of them.
    pub(super) answered: u64,
}

#[derive(Serialize)]
struct Whole<'a> {
    circumstances: &'a Circumstances,
    rows: &'a [Row],
    failures: &'a [String],
}

/// The table. Writing to a `String` cannot fail.
pub(crate) fn markdown(circumstances: &Circumstances, attacks: &[Attack], rows: &[Row]) -> String {
    let mut text = circumstances.heading();
    text.push_str("- the attacker is a process of its own at the lowest priority (nice 19)\n");
    text.push_str("\n| attack | server | attempts/s | p50, p99 quiet, µs | p50, p99 under attack, µs | ratio of p99 | memory, MiB (bound) | server, attacker: cores | tenant connects p50, worst, ms (failed) | |\n");
    text.push_str("|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n");
    for attack in attacks {
        for (server, _) in &circumstances.servers {
            let of: Vec<&Row> = rows.iter().filter(|row| row.attack == attack.name && row.server == *server).collect();
            if !of.is_empty() {
                let _ = writeln!(text, "| {} | {server} |{}", attack.title, cells(&of));
            }
        }
    }
    text
}

fn cells(rows: &[&Row]) -> String {
    let median = |value: fn(&Row) -> f64| {
        Spread::of(rows.iter().map(|row| value(row)).collect()).map_or(f64::NAN, |spread| spread.median)
    };
    let (ratio, growth, bound) = (median(|row| row.ratio), median(|row| row.growth_mib), median(|row| row.bound_mib));
    let verdict = match (ratio <= RATIO_MAX, growth <= bound) {
        (true, true) => "met",
        (false, true) => "p99 **not met**",
        (true, false) => "memory **not met**",
        (false, false) => "p99, memory **not met**",
    };
    format!(
        " {} | {}, {} | {}, {} | {ratio:.2} | {growth:.0} ({bound:.0}) | {:.2}, {:.2} | {}, {} ({}) | {verdict} |",
        short(median(|row| row.attempts_per_second)),
        short(median(|row| row.quiet_p50_us)),
        short(median(|row| row.quiet_p99_us)),
        short(median(|row| row.attack_p50_us)),
        short(median(|row| row.attack_p99_us)),
        median(|row| row.server_cores),
        median(|row| row.attacker_cores),
        short(median(|row| row.connect_p50_ms)),
        short(median(|row| row.connect_worst_ms)),
        rows.iter().map(|row| row.connects_failed).sum::<u64>(),
    )
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
