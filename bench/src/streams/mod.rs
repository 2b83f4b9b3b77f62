//! JetStream side by side: Cordon, which syncs before it acknowledges, nats-server as it is by default, which does not,
//! and nats-server with `sync_interval: always`.
//!
//! The scenarios are those of `compare` in form: a fresh server for each run, rounds in turn, every message accounted for.
//! [`disk`] says what the device can do; [`growth`] what a stream costs as it grows.

mod bucket;
mod client;
mod consume;
mod disk;
mod growth;
mod publish;
mod targets;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use self::disk::Disk;
#[cfg(test)]
pub(crate) use self::growth::GROWTHS;
pub(crate) use self::growth::grow;
use crate::args::Streams;
use crate::compare::note;
use crate::contender::Contender;
use crate::record::{Circumstances, Record};
use crate::report;
use crate::run::{Pace, Run};
use crate::scenario::Scenario;
use crate::security::{Own, Security};
use crate::setup::{circumstances, side_by_side, smoke_pace};
use crate::targets::{Judged, Standing};

/// What nats-server is called that syncs before it acknowledges.
const ALWAYS: &str = "nats-server, always";

/// A server with streams.
#[derive(Clone)]
pub(crate) struct Server {
    contender: Contender,
    /// `sync_interval: always`.
    always: bool,
}

impl Server {
    /// The configuration of its JetStream, with files below `folder`.
    fn security(&self, folder: &Path) -> Security {
        let always = if self.always { "  sync_interval: always\n" } else { "" };
        let folder = folder.display();
        let lines = format!(
            "jetstream {{\n  store_dir: \"{folder}\"\n  max_memory_store: 8GB\n  max_file_store: 60GB\n{always}}}\n"
        );
        Security::Own(Own { lines, tls: None, users: Vec::new() })
    }
}

/// What is compared: Cordon, and both ways of nats-server where it is named.
///
/// # Errors
///
/// When one is not there.
fn servers(options: &Streams) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for contender in side_by_side(&options.servers)? {
        servers.push(Server { contender, always: false });
    }
    if let Some(nats) = servers.get(1).cloned() {
        servers.push(Server { contender: nats.contender.called(ALWAYS), always: true });
    }
    Ok(servers)
}

/// All scenarios, each with whether its figures depend on when a server syncs.
fn all() -> Vec<(Scenario, bool)> {
    let with = |scenarios: &[Scenario], synced: bool| scenarios.iter().map(|one| (*one, synced)).collect::<Vec<_>>();
    [
        with(&publish::TO_FILES, true),
        with(&publish::TO_MEMORY, false),
        with(&consume::SCENARIOS, false),
        with(&bucket::PUTS, true),
        with(&bucket::GETS, false),
    ]
    .concat()
}

fn chosen(names: &[String]) -> Result<Vec<(Scenario, bool)>> {
    let mut all = all();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|(one, _)| one.name != name.as_str())) {
        let known: Vec<_> = all.iter().map(|(one, _)| one.name).collect();
        bail!("there is no scenario `{unknown}`; there are {}", known.join(", "));
    }
    all.retain(|(one, _)| names.is_empty() || names.iter().any(|name| name == one.name));
    Ok(all)
}

/// The command: measures, and gives the tables, whether every target that must be met is, and what failed.
///
/// # Errors
///
/// When a server or a folder is not there.
pub(crate) fn compare(options: &Streams) -> Result<Told> {
    let servers = servers(options)?;
    let scenarios = chosen(&options.scenario)?;
    let pace = if options.smoke {
        // Long enough for one sync on a busy disk.
        Pace { window: Duration::from_secs(1), ..smoke_pace() }
    } else {
        Pace {
            warm_up: Duration::from_millis(500),
            window: Duration::from_secs(options.seconds.into()),
            connections_divisor: 1,
        }
    };
    let rounds = if options.smoke { 1 } else { usize::from(options.rounds) };
    let contenders: Vec<Contender> = servers.iter().map(|server| server.contender.clone()).collect();
    let circumstances = circumstances(&contenders, rounds, Some(pace), None)?;
    let ground = Ground { folder: options.folder(), pace };
    let disk = disk::measure(&ground.folder, pace.window.min(Duration::from_secs(1)))?;
    let (records, failures) = ground.measure(&servers, &scenarios, rounds);
    let scenarios: Vec<Scenario> = scenarios.into_iter().map(|(scenario, _)| scenario).collect();
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name).collect();
    let judged = match contenders.as_slice() {
        [cordon, nats, always] if !options.smoke => {
            targets::judge(&names, &records, &cordon.name, &nats.name, &always.name)
        }
        _ => Vec::new(),
    };
    let whole = Whole { circumstances: &circumstances, disk, runs: &records, targets: &judged, failures: &failures };
    if let Some(path) = &options.json {
        let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        serde_json::to_writer_pretty(BufWriter::new(file), &whole)?;
    }
    let tables = report::markdown(&circumstances, &scenarios, &records, &judged);
    let tables = tables.replacen("\n\n", &format!("\n{}\n", disk.lines()), 1);
    let met = judged.iter().all(|judged| matches!(judged.standing, Standing::Aim | Standing::Must));
    Ok(Told { tables, met, failures })
}

/// What the command has to say.
pub(crate) struct Told {
    /// In Markdown.
    pub(crate) tables: String,
    /// Every target that must be met is.
    pub(crate) met: bool,
    /// Ready to print.
    pub(crate) failures: Vec<String>,
}

#[derive(Serialize)]
struct Whole<'a> {
    circumstances: &'a Circumstances,
    disk: Disk,
    runs: &'a [Record],
    targets: &'a [Judged],
    failures: &'a [String],
}

/// Where and how long runs are made.
struct Ground {
    folder: PathBuf,
    pace: Pace,
}

impl Ground {
    fn measure(&self, servers: &[Server], scenarios: &[(Scenario, bool)], rounds: usize) -> (Vec<Record>, Vec<String>) {
        let (mut records, mut failures) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            for (scenario, synced) in scenarios {
                let mut turn: Vec<&Server> = servers.iter().filter(|server| *synced || !server.always).collect();
                if round % 2 == 1 {
                    turn.reverse();
                }
                for server in turn {
                    let name = &server.contender.name;
                    match self.one_run(server, scenario) {
                        Ok(figures) => records.push(Record::new(round, scenario.name, name, figures)),
                        Err(error) => {
                            failures.push(format!("{}, round {}, {name}: {error:#}", scenario.name, round + 1));
                        }
                    }
                }
                note(&format!("round {}/{rounds}: {}", round + 1, scenario.name));
            }
        }
        (records, failures)
    }

    fn one_run(&self, server: &Server, scenario: &Scenario) -> Result<Vec<crate::figure::Figure>> {
        let folder = tempfile::Builder::new().prefix("cordon-bench-streams-").tempdir_in(&self.folder)?;
        let security = server.security(folder.path());
        let mut running = server.contender.start(&security)?;
        let measured = (scenario.measure)(&Run { server: &running, security: &security, pace: self.pace });
        running.check()?;
        measured.with_context(|| format!("the server printed:\n{}\nand then", running.output()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_refused() {
        let mut names: Vec<_> = all().iter().map(|(scenario, _)| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
        assert!(chosen(&["no_such".to_owned()]).is_err());
        assert_eq!(chosen(&["pull_file".to_owned()]).unwrap().len(), 1);
    }
}
