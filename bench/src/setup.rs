//! What every command needs before it measures: the servers, where they run, how long, and on what machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::args::{Compare, Servers, Window};
use crate::contender::{Contender, Kind};
use crate::record::{Circumstances, LIMIT};
use crate::run::Pace;

/// Cordon, and nats-server where it is named.
///
/// # Errors
///
/// When one is not there.
pub(crate) fn side_by_side(servers: &Servers) -> Result<Vec<Contender>> {
    let mut contenders = vec![cordon(servers.cordon.as_deref(), None)?];
    if let Some(path) = &servers.nats_server {
        contenders.push(nats("nats-server", Some(path), None)?);
    }
    Ok(contenders)
}

/// The forwarder, which is this program.
///
/// # Errors
///
/// When this program is gone.
pub(crate) fn forwarder(cpus: Option<String>) -> Result<Contender> {
    Contender::new(LIMIT, Kind::Forwarder, &std::env::current_exe()?, cpus)
}

/// Servers inherit the generator's CPUs unless they are given their own: all of them, if need be.
pub(crate) fn server_cpus(window: &Window) -> Option<String> {
    let everywhere = window.client_cpus.as_ref().map(|_| format!("0-{}", cores() - 1));
    window.server_cpus.clone().or(everywhere)
}

/// The servers of a comparison, in the order of its tables.
///
/// # Errors
///
/// When one is not there.
pub(crate) fn contenders(options: &Compare) -> Result<Vec<Contender>> {
    let cpus = || server_cpus(&options.window);
    let nats = |name: &str| nats(name, options.nats_server.as_deref(), cpus());
    if options.self_check {
        return Ok(vec![nats("nats-server A")?, nats("nats-server B")?]);
    }
    let cordon = cordon(options.cordon.as_deref(), cpus())?;
    if options.alone { Ok(vec![cordon]) } else { Ok(vec![cordon, nats("nats-server")?]) }
}

/// Cordon from `path`, or the one beside this program.
///
/// # Errors
///
/// When it is not there.
pub(crate) fn cordon(path: Option<&Path>, cpus: Option<String>) -> Result<Contender> {
    let beside = std::env::current_exe()?.with_file_name("cordon");
    Contender::new("Cordon", Kind::Cordon, path.unwrap_or(&beside), cpus)
}

/// nats-server from `path`, or the first one in PATH.
///
/// # Errors
///
/// When it is not there.
pub(crate) fn nats(name: &str, path: Option<&Path>, cpus: Option<String>) -> Result<Contender> {
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

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// As long as the command line says.
pub(crate) fn pace(window: &Window) -> Pace {
    Pace {
        warm_up: Duration::from_millis(500),
        window: Duration::from_secs(window.seconds.into()),
        connections_divisor: 1,
    }
}

/// Many points in a few minutes: each is one of a curve, and its neighbours show what is noise.
pub(crate) fn plot_pace() -> Pace {
    Pace { warm_up: Duration::from_millis(300), window: Duration::from_secs(1), connections_divisor: 1 }
}

/// Long enough that every scenario delivers something, short enough for CI.
pub(crate) fn smoke_pace() -> Pace {
    Pace { warm_up: Duration::from_millis(50), window: Duration::from_millis(250), connections_divisor: 20 }
}

/// Where and how `contenders` are measured; without a `pace` where windows are not of one length.
///
/// # Errors
///
/// When one does not tell its version.
pub(crate) fn circumstances(
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
