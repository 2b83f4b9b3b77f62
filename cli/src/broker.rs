//! `cordon broker`: the data plane alone, from a configuration file.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use cordon_auth::clock::Clock;
use cordon_server::config::{self, LoadedConfig, StartFailure};
use cordon_server::{RunningBroker, StartError};

use crate::command::broker_list::BrokerList;
use crate::files::{self, Readable};
use crate::lifecycle::{self, Signals};
use crate::{dumps, log, output};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BrokerCommand {
    #[command(subcommand)]
    act: Option<Act>,
    #[command(flatten)]
    run: BrokerRun,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the brokers that the control plane knows, and what waits to be pushed
    List(BrokerList),
}

#[derive(Args, Debug)]
struct BrokerRun {
    /// Configuration file
    #[arg(short, long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Listen on this address instead of the configured one
    #[arg(short, long, value_name = "IP")]
    addr: Option<IpAddr>,
    /// Listen on this port instead of the configured one; 0 picks one
    #[arg(short, long)]
    port: Option<u16>,
    /// Port of monitoring instead of the configured one; 0 picks one
    #[arg(short = 'm', long)]
    http_port: Option<u16>,
    /// Write the process id to this file
    #[arg(short = 'P', long, value_name = "FILE")]
    pid: Option<PathBuf>,
    /// Log into this file
    #[arg(short, long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Log more
    #[arg(short = 'D', long)]
    debug: bool,
    /// Check the configuration and do nothing else
    #[arg(short = 't', long)]
    check: bool,
}

impl BrokerCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.act {
            Some(Act::List(list)) => list.run().await,
            None => self.run.run().await,
        }
    }
}

impl BrokerRun {
    async fn run(self) -> anyhow::Result<()> {
        let path = self.config.clone().context("no configuration file: name one with -c")?;
        let mut loaded =
            config::load(&path).map_err(|error| anyhow::anyhow!("the configuration cannot be used:\n{error}"))?;
        self.override_by_flags(&mut loaded);
        if self.check {
            for warning in &loaded.warnings {
                output::warn(warning);
            }
            output::say(&format!("configuration file {} is valid", path.display()));
            return Ok(());
        }
        log::start(log::Shape::Server, loaded.log.debug || loaded.log.trace, loaded.log.file.as_deref())?;
        dumps::forbid();
        let mut signals = Signals::listen()?;
        tracing::info!("Starting cordon");
        tracing::info!("  Version:  {}", env!("CARGO_PKG_VERSION"));
        tracing::info!("Using configuration file: {}", path.display());
        if let Some(pid_file) = &loaded.pid_file {
            files::write(pid_file, std::process::id().to_string().as_bytes(), Readable::ByOwner)
                .context("Could not write pidfile")?;
        }
        let running = config::start(loaded, Clock::system()).await.map_err(with_flag)?;
        let wish = signals.until_end(async || reload(&path, &running)).await;
        lifecycle::end(&running, wish, &mut signals).await;
        Ok(())
    }

    fn override_by_flags(&self, loaded: &mut LoadedConfig) {
        let broker = &mut loaded.broker;
        if let Some(ip) = self.addr {
            broker.listen.set_ip(ip);
        }
        if let Some(port) = self.port {
            broker.listen.set_port(port);
        }
        if let Some(port) = self.http_port {
            // As in nats-server: monitoring is where the clients are, unless configured otherwise.
            let ip = broker.monitor.map_or(broker.listen.ip(), |monitor| monitor.ip());
            broker.monitor = Some((ip, port).into());
        }
        loaded.log.debug |= self.debug;
        loaded.log.file = self.log.clone().or(loaded.log.file.take());
        loaded.pid_file = self.pid.clone().or(loaded.pid_file.take());
    }
}

/// Reads the certificates again; of the rest of the configuration nothing is applied to a running broker.
fn reload(path: &std::path::Path, running: &RunningBroker) {
    let files = match config::load(path) {
        Ok(loaded) => loaded.tls,
        Err(error) => {
            tracing::error!("the configuration was not reloaded, the running one stays: {error}");
            return;
        }
    };
    match files.map(|files| files.options()).transpose() {
        Ok(Some(options)) if running.broker.tls().is_some() => {
            running.broker.replace_tls(options);
            tracing::info!("Reloaded: tls (other options take effect at the next start)");
        }
        Ok(_) => tracing::info!("Reloaded: nothing (options other than tls take effect at the next start)"),
        Err(error) => tracing::error!("certificates were not reloaded, the running ones stay: {error}"),
    }
}

fn with_flag(error: StartFailure) -> anyhow::Error {
    match error {
        StartFailure::Broker(StartError::Bind { address, purpose, source }) => {
            let option = if purpose == "clients" { "`listen` (or --addr, --port)" } else { "`http` (or --http-port)" };
            anyhow::Error::new(source)
                .context(format!("{address} cannot be listened on: stop what uses the port, or change {option}"))
        }
        other => anyhow::Error::new(other).context("the broker cannot be started"),
    }
}
