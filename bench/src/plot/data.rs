//! What the sweeps measured, as a file beside the plots.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::figure::{Figure, Metric};
use crate::record::Circumstances;

/// Everything that the plots show.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Data {
    /// Where and how it was measured.
    pub(crate) circumstances: Circumstances,
    /// Every run.
    pub(super) points: Vec<Point>,
    /// What went wrong, ready to print.
    pub(crate) failures: Vec<String>,
}

/// One run at one point of one sweep.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Point {
    sweep: String,
    at: usize,
    round: usize,
    /// Who.
    pub(super) server: String,
    figures: Vec<Figure>,
}

impl Data {
    /// Nothing measured yet.
    pub(crate) fn new(circumstances: Circumstances) -> Self {
        Self { circumstances, points: Vec::new(), failures: Vec::new() }
    }

    /// Reads what [`Data::save`] wrote.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is something else.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        serde_json::from_reader(BufReader::new(file))
            .with_context(|| format!("`{}` is not a file of figures as `plot` writes it", path.display()))
    }

    /// Writes everything to `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(serde_json::to_writer_pretty(BufWriter::new(file), self)?)
    }

    /// Adds a run.
    pub(crate) fn push(&mut self, sweep: &str, at: usize, round: usize, server: &str, figures: Vec<Figure>) {
        self.points.push(Point { sweep: sweep.to_owned(), at, round, server: server.to_owned(), figures });
    }

    /// The rounds of `server` at one point.
    pub(crate) fn values(&self, sweep: &str, at: usize, server: &str, metric: Metric) -> Vec<f64> {
        let runs = self.points.iter().filter(|run| run.sweep == sweep && run.at == at && run.server == server);
        runs.filter_map(|run| run.figures.iter().find(|figure| figure.metric == metric))
            .map(|found| found.value)
            .collect()
    }
}
