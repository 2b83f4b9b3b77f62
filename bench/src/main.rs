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
mod setup;
mod shape;
mod spread;
mod stamp;
mod streams;
mod targets;
mod tenancy;
mod tls;
mod tls_stream;
mod traffic;
mod via;
mod wire;
mod witness;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::args::{Arguments, Attack, Command, Compare, Plot, Scale, Streams, Window};
use crate::compare::{Outcome, Plan, compare};
use crate::forwarder::TlsFiles;
use crate::setup::{
    circumstances, contenders, cordon, forwarder, nats, pace, plot_pace, server_cpus, side_by_side, smoke_pace,
};
use crate::targets::Standing;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Compare(options) => run_compare(&options),
        Command::Forwarder(window) => run_forwarder(&window),
        Command::Plot(options) => run_plot(&options),
        Command::Scale(options) => run_scale(&options),
        Command::Streams(options) => run_streams(&options),
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

fn run_streams(options: &Streams) -> Result<bool> {
    let done = match &options.growth {
        Some(folder) => streams::grow(options, folder)?,
        None => streams::compare(options)?,
    };
    std::io::stdout().write_all(done.tables.as_bytes())?;
    if let Some(path) = &options.markdown {
        std::fs::write(path, &done.tables).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(told(&done.failures)? && (done.met || !options.require_must))
}

fn run_attack(options: &Attack) -> Result<bool> {
    let attacks = attack::chosen(&options.only)?;
    let contenders = side_by_side(&options.servers)?;
    let rounds = usize::from(options.rounds);
    let circumstances = circumstances(&contenders, rounds, None, None)?;
    process::raise_file_limit();
    let (rows, failures) =
        attack::measure(&contenders, &attacks, rounds, attack::How { smoke: options.smoke, aside: options.aside });
    std::io::stdout().write_all(attack::markdown(&circumstances, &attacks, &rows).as_bytes())?;
    if let Some(path) = &options.json {
        attack::save(path, &circumstances, &rows, &failures)?;
    }
    told(&failures)
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

fn list() -> Result<bool> {
    for scenario in scenario::all() {
        writeln!(std::io::stdout(), "{:22} {}", scenario.name, scenario.title)?;
    }
    Ok(true)
}
