//! `cordon-bench`: a load generator, and a comparison of Cordon with nats-server in one run.
//!
//! `compare` starts the servers in turn, drives each [`scenario`] with plain threads on plain sockets,
//! checks that nothing was lost, and prints tables of medians, ranges and ratios. How to read them stands
//! in `bench/README.md`.

mod args;
mod attack;
mod compare;
mod contender;
mod exchange;
mod figure;
mod flow;
mod forwarder;
mod histogram;
mod inbox;
mod link;
mod monitor;
mod plot;
mod process;
mod publisher;
mod realm;
mod receiver;
mod record;
mod report;
mod rounds;
mod run;
mod scale;
mod scenario;
mod security;
mod shape;
mod spread;
mod stamp;
mod targets;
mod tenancy;
mod tls;
mod tls_stream;
mod traffic;
mod via;
mod wire;
mod witness;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::args::{Arguments, Attack, Command, Compare, Plot, Scale, Servers, Window};
use crate::compare::{Outcome, Plan, compare};
use crate::contender::{Contender, Kind};
use crate::forwarder::TlsFiles;
use crate::record::{Circumstances, LIMIT};
use crate::run::Pace;
use crate::targets::Standing;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Compare(options) => run_compare(&options),
        Command::Forwarder(window) => run_forwarder(&window),
        Command::Plot(options) => run_plot(&options),
        Command::Scale(options) => run_scale(&options),
        Command::Attack(options) => run_attack(&options),
        Command::Assault { order } => attack::assault::carry_out(&order).map(|()| true),
        Command::List => list(),
        Command::Forward { listen, chain, key } => {
            let tls = chain.zip(key).map(|(chain, key)| TlsFiles { chain, key });
            forwarder::serve(listen, tls.as_ref()).map(|()| true)
        }
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
        limit: if options.no_limit { None } else { Some(forwarder(server_cpus(&options.window))?) },
        scenarios: scenario::chosen(&options.scenario)?,
        rounds: if options.smoke { 1 } else { options.window.rounds.into() },
        pace: if options.smoke { smoke_pace() } else { pace(&options.window) },
    };
    let circumstances = circumstances(&plan.contenders, plan.rounds, Some(plan.pace), Some(&options.window))?;
    let outcome = measure(&plan, &options.window)?;
    let names: Vec<&str> = plan.scenarios.iter().map(|scenario| scenario.name).collect();
    let targets = match plan.contenders.as_slice() {
        // A server against itself has no targets, and a smoke run no figures.
        [first, second] if !options.self_check && !options.smoke => {
            targets::judge(&names, &outcome.records, &first.name, &second.name)
        }
        _ => Vec::new(),
    };
    let tables = report::markdown(&circumstances, &plan.scenarios, &outcome.records, &targets);
    std::io::stdout().write_all(tables.as_bytes())?;
    if let Some(path) = &options.markdown {
        std::fs::write(path, &tables).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    if let Some(path) = &options.json {
        record::save(path, &circumstances, &outcome, &targets)?;
    }
    let met = targets.iter().all(|judged| matches!(judged.standing, Standing::Aim | Standing::Must));
    Ok(told(&outcome.failures)? && (met || !options.require_must))
}

fn run_forwarder(window: &Window) -> Result<bool> {
    let plan = Plan {
        contenders: vec![forwarder(server_cpus(window))?],
        limit: None,
        scenarios: scenario::forwarded(),
        rounds: window.rounds.into(),
        pace: pace(window),
    };
    let outcome = measure(&plan, window)?;
    let tables = report::markdown(
        &circumstances(&plan.contenders, plan.rounds, Some(plan.pace), Some(window))?,
        &plan.scenarios,
        &outcome.records,
        &[],
    );
    std::io::stdout().write_all(tables.as_bytes())?;
    told(&outcome.failures)
}

fn run_plot(options: &Plot) -> Result<bool> {
    if let Some(file) = &options.from {
        return plot::draw(&plot::Data::load(file)?, &options.out).map(|()| true);
    }
    let cordon = cordon(options.cordon.as_deref(), None)?;
    let plan = Plan {
        contenders: vec![cordon, nats("nats-server", options.nats_server.as_deref(), None)?],
        limit: Some(forwarder(None)?),
        scenarios: Vec::new(),
        rounds: if options.smoke { 1 } else { options.rounds.into() },
        pace: if options.smoke { smoke_pace() } else { plot_pace() },
    };
    process::raise_file_limit();
    let mut data = plot::Data::new(circumstances(&plan.contenders, plan.rounds, Some(plan.pace), None)?);
    plot::measure(&plan, &options.sweep, options.smoke, &mut data)?;
    plot::draw(&data, &options.out)?;
    told(&data.failures)
}

fn run_scale(options: &Scale) -> Result<bool> {
    let runs = scale::chosen(&options.run)?;
    let contenders = side_by_side(&options.servers)?;
    let rounds = usize::from(options.rounds);
    let circumstances = circumstances(&contenders, rounds, None, None)?;
    process::raise_file_limit();
    let (rows, failures) = scale::measure(&contenders, &runs, rounds, options.smoke);
    std::io::stdout().write_all(scale::markdown(&circumstances, &runs, &rows).as_bytes())?;
    if let Some(path) = &options.json {
        scale::save(path, &circumstances, &rows, &failures)?;
    }
    told(&failures)
}

fn run_attack(options: &Attack) -> Result<bool> {
    let attacks = attack::chosen(&options.only)?;
    let contenders = side_by_side(&options.servers)?;
    let rounds = usize::from(options.rounds);
    let circumstances = circumstances(&contenders, rounds, None, None)?;
    process::raise_file_limit();
    let (rows, failures) = attack::measure(&contenders, &attacks, rounds, options.smoke);
    std::io::stdout().write_all(attack::markdown(&circumstances, &attacks, &rows).as_bytes())?;
    if let Some(path) = &options.json {
        attack::save(path, &circumstances, &rows, &failures)?;
    }
    told(&failures)
}

/// Cordon, and nats-server where it is named.
fn side_by_side(servers: &Servers) -> Result<Vec<Contender>> {
    let mut contenders = vec![cordon(servers.cordon.as_deref(), None)?];
    if let Some(path) = &servers.nats_server {
        contenders.push(nats("nats-server", Some(path), None)?);
    }
    Ok(contenders)
}

/// The forwarder, which is this program.
fn forwarder(cpus: Option<String>) -> Result<Contender> {
    Contender::new(LIMIT, Kind::Forwarder, &std::env::current_exe()?, cpus)
}

/// Runs `plan` on the CPUs that are given.
fn measure(plan: &Plan, window: &Window) -> Result<Outcome> {
    process::raise_file_limit();
    if let Some(cpus) = &window.client_cpus {
        process::bind_to_cpus(cpus)?;
    }
    Ok(compare(plan))
}

/// Says what failed; whether nothing did.
fn told(failures: &[String]) -> Result<bool> {
    for failure in failures {
        writeln!(std::io::stderr(), "FAILED {failure}")?;
    }
    Ok(failures.is_empty())
}

/// Servers inherit the generator's CPUs unless they are given their own: all of them, if need be.
fn server_cpus(window: &Window) -> Option<String> {
    let everywhere = window.client_cpus.as_ref().map(|_| format!("0-{}", cores() - 1));
    window.server_cpus.clone().or(everywhere)
}

fn contenders(options: &Compare) -> Result<Vec<Contender>> {
    let cpus = || server_cpus(&options.window);
    let nats = |name: &str| nats(name, options.nats_server.as_deref(), cpus());
    if options.self_check {
        return Ok(vec![nats("nats-server A")?, nats("nats-server B")?]);
    }
    let cordon = cordon(options.cordon.as_deref(), cpus())?;
    if options.alone { Ok(vec![cordon]) } else { Ok(vec![cordon, nats("nats-server")?]) }
}

/// Cordon from `path`, or the one beside this program.
fn cordon(path: Option<&Path>, cpus: Option<String>) -> Result<Contender> {
    let beside = std::env::current_exe()?.with_file_name("cordon");
    Contender::new("Cordon", Kind::Cordon, path.unwrap_or(&beside), cpus)
}

/// nats-server from `path`, or the first one in PATH.
fn nats(name: &str, path: Option<&Path>, cpus: Option<String>) -> Result<Contender> {
    let found = path
        .map(Path::to_owned)
        .or_else(in_path)
        .context("there is no nats-server in PATH: name it with `--nats-server PATH`")?;
    Contender::new(name, Kind::Nats, &found, cpus)
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

/// Many points in a few minutes: each is one of a curve, and its neighbours show what is noise.
fn plot_pace() -> Pace {
    Pace { warm_up: Duration::from_millis(300), window: Duration::from_secs(1), connections_divisor: 1 }
}

/// Long enough that every scenario delivers something, short enough for CI.
fn smoke_pace() -> Pace {
    Pace { warm_up: Duration::from_millis(50), window: Duration::from_millis(250), connections_divisor: 20 }
}

fn circumstances(
    contenders: &[Contender],
    rounds: usize,
    pace: Option<Pace>,
    window: Option<&Window>,
) -> Result<Circumstances> {
    let (processor, kernel) = Circumstances::machine();
    let version = |contender: &Contender| Ok((contender.name.clone(), contender.version()?));
    Ok(Circumstances {
        servers: contenders.iter().map(version).collect::<Result<_>>()?,
        processor,
        cores: cores(),
        kernel,
        window_seconds: pace.map_or(0.0, |pace| pace.window.as_secs_f64()),
        rounds,
        server_cpus: window.and_then(|window| window.server_cpus.clone()),
        client_cpus: window.and_then(|window| window.client_cpus.clone()),
    })
}

fn list() -> Result<bool> {
    for scenario in scenario::all() {
        writeln!(std::io::stdout(), "{:22} {}", scenario.name, scenario.title)?;
    }
    Ok(true)
}
