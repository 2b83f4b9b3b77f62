//! `cordon-bench`: a load generator, and a comparison of Cordon with nats-server in one run.
//!
//! `compare` starts the servers in turn, drives each [`scenario`] with plain threads on plain sockets,
//! checks that nothing was lost, and prints tables of medians, ranges and ratios. How to read them stands
//! in `bench/README.md`.

mod args;
mod compare;
mod contender;
mod exchange;
mod figure;
mod flow;
mod forwarder;
mod histogram;
mod inbox;
mod link;
mod process;
mod publisher;
mod receiver;
mod record;
mod report;
mod run;
mod scenario;
mod security;
mod shape;
mod spread;
mod stamp;
mod tenancy;
mod tls;
mod traffic;
mod wire;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::args::{Arguments, Command, Compare, Window};
use crate::compare::{Plan, compare};
use crate::contender::{Contender, Kind};
use crate::record::Circumstances;
use crate::run::Pace;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Compare(options) => run_compare(&options),
        Command::Forwarder(window) => run_forwarder(window),
        Command::List => list(),
        Command::Forward { listen } => forwarder::serve(listen).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "cordon-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_compare(options: &Compare) -> Result<bool> {
    let plan = Plan {
        contenders: contenders(options)?,
        scenarios: scenario::chosen(&options.scenario)?,
        rounds: if options.smoke { 1 } else { options.window.rounds.into() },
        pace: if options.smoke { smoke_pace() } else { pace(&options.window) },
    };
    measure(&plan, &options.window, options.json.as_deref())
}

fn run_forwarder(window: Window) -> Result<bool> {
    let this = std::env::current_exe()?;
    let plan = Plan {
        contenders: vec![Contender::new("forwarder", Kind::Forwarder, &this, window.server_cpus.clone())?],
        scenarios: scenario::forwarded(),
        rounds: window.rounds.into(),
        pace: pace(&window),
    };
    measure(&plan, &window, None)
}

/// Runs, prints and saves; whether all runs went well.
fn measure(plan: &Plan, window: &Window, json: Option<&Path>) -> Result<bool> {
    let circumstances = circumstances(plan, window)?;
    process::raise_file_limit();
    if let Some(cpus) = &window.client_cpus {
        process::bind_to_cpus(cpus)?;
    }
    let outcome = compare(plan);
    let tables = report::markdown(&circumstances, &plan.scenarios, &outcome.records);
    std::io::stdout().write_all(tables.as_bytes())?;
    if let Some(path) = json {
        record::save(path, &circumstances, &outcome.records, &outcome.failures)?;
    }
    for failure in &outcome.failures {
        writeln!(std::io::stderr(), "FAILED {failure}")?;
    }
    Ok(outcome.failures.is_empty())
}

fn contenders(options: &Compare) -> Result<Vec<Contender>> {
    // Servers inherit the generator's CPUs unless they are given their own: all of them, if need be.
    let everywhere = options.window.client_cpus.as_ref().map(|_| format!("0-{}", cores() - 1));
    let cpus = options.window.server_cpus.clone().or(everywhere);
    let nats = |name: &str| {
        let found = options
            .nats_server
            .clone()
            .or_else(in_path)
            .context("there is no nats-server in PATH: name it with `--nats-server PATH`")?;
        Contender::new(name, Kind::Nats, &found, cpus.clone())
    };
    if options.self_check {
        return Ok(vec![nats("nats-server A")?, nats("nats-server B")?]);
    }
    let cordon = match &options.cordon {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("cordon"),
    };
    let cordon = Contender::new("Cordon", Kind::Cordon, &cordon, cpus.clone())?;
    if options.alone { Ok(vec![cordon]) } else { Ok(vec![cordon, nats("nats-server")?]) }
}

fn in_path() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join("nats-server")).find(|file| file.is_file())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn pace(window: &Window) -> Pace {
    Pace {
        warm_up: Duration::from_millis(500),
        window: Duration::from_secs(window.seconds.into()),
        connections_divisor: 1,
    }
}

/// Long enough that every scenario delivers something, short enough for CI.
fn smoke_pace() -> Pace {
    Pace { warm_up: Duration::from_millis(50), window: Duration::from_millis(250), connections_divisor: 20 }
}

fn circumstances(plan: &Plan, window: &Window) -> Result<Circumstances> {
    let (processor, kernel) = Circumstances::machine();
    let version = |contender: &Contender| Ok((contender.name.clone(), contender.version()?));
    Ok(Circumstances {
        servers: plan.contenders.iter().map(version).collect::<Result<_>>()?,
        processor,
        cores: cores(),
        kernel,
        window_seconds: plan.pace.window.as_secs_f64(),
        rounds: plan.rounds,
        server_cpus: window.server_cpus.clone(),
        client_cpus: window.client_cpus.clone(),
    })
}

fn list() -> Result<bool> {
    for scenario in scenario::all() {
        writeln!(std::io::stdout(), "{:22} {}", scenario.name, scenario.title)?;
    }
    Ok(true)
}
