//! One finished run as data, and the file that keeps all of them.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::compare::Outcome;
use crate::figure::{Figure, Metric};
use crate::targets::Judged;

/// What the forwarder is called among the servers.
pub(crate) const LIMIT: &str = "limit";

/// One run of one scenario against one server.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    /// From 0.
    pub(crate) round: usize,
    /// The scenario's name.
    pub(crate) scenario: &'static str,
    /// The server's name.
    pub(crate) server: String,
    /// What was measured.
    pub(crate) figures: Vec<Figure>,
}

/// Where and how the runs were made.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Circumstances {
    /// Each server's name and version line.
    pub(crate) servers: Vec<(String, String)>,
    /// The processor's name.
    pub(crate) processor: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// The kernel's version line.
    pub(crate) kernel: String,
    /// Seconds of each measured window.
    pub(crate) window_seconds: f64,
    /// Rounds.
    pub(crate) rounds: usize,
    /// CPUs that the servers were bound to.
    pub(crate) server_cpus: Option<String>,
    /// CPUs that the generator was bound to.
    pub(crate) client_cpus: Option<String>,
}

#[derive(Serialize)]
struct Whole<'a> {
    circumstances: &'a Circumstances,
    runs: &'a [Record],
    targets: &'a [Judged],
    failures: &'a [String],
}

impl Record {
    /// A finished run.
    pub(crate) fn new(round: usize, scenario: &'static str, server: &str, figures: Vec<Figure>) -> Self {
        Self { round, scenario, server: server.to_owned(), figures }
    }

    /// The value of `metric`, if the scenario measures it.
    pub(crate) fn value(&self, metric: Metric) -> Option<f64> {
        self.figures.iter().find(|figure| figure.metric == metric).map(|figure| figure.value)
    }
}

impl Circumstances {
    /// Name of the processor and version of the kernel, as Linux tells them.
    pub(crate) fn machine() -> (String, String) {
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = processors.lines().find(|line| line.starts_with("model name"));
        let name = name.and_then(|line| line.split_once(':')).map_or("unknown processor", |(_, name)| name.trim());
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        (name.to_owned(), kernel.trim().to_owned())
    }

    /// The lines above the tables of a run at scale or under attack: who, and where.
    pub(crate) fn heading(&self) -> String {
        let mut lines: Vec<String> =
            self.servers.iter().map(|(name, version)| format!("- {name}: {version}")).collect();
        lines.push(format!("- {}, {} cores, Linux {}", self.processor, self.cores, self.kernel));
        lines.join("\n") + "\n"
    }
}

/// Writes every run, and how the targets stand, to `path`.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn save(path: &Path, circumstances: &Circumstances, outcome: &Outcome, targets: &[Judged]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    let whole = Whole { circumstances, runs: &outcome.records, targets, failures: &outcome.failures };
    Ok(serde_json::to_writer_pretty(BufWriter::new(file), &whole)?)
}
