//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Load generator, and side-by-side comparison of Cordon with nats-server.
#[derive(Debug, Parser)]
#[command(name = "cordon-bench", version)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every scenario against Cordon and nats-server in turn and print tables.
    Compare(Compare),
    /// Measure a byte forwarder that parses nothing: the floor for the same traffic on this machine.
    Forwarder(Window),
    /// Measure how costs grow with the work, for both servers, and draw plots.
    Plot(Plot),
    /// Run at the size of an installation: a million subscriptions, ten thousand accounts, reconnect storms.
    Scale(Scale),
    /// JetStream: Cordon, nats-server, and nats-server that syncs before it acknowledges.
    Streams(Streams),
    /// Attack the servers, and show what a tenant feels of it.
    Attack(Attack),
    /// List the scenarios.
    List,
    /// The attacker, as `attack` starts it.
    #[command(hide = true)]
    Assault {
        /// What to do.
        order: PathBuf,
    },
    /// The forwarder itself, as `forwarder` starts it.
    #[command(hide = true)]
    Forward {
        /// Where it listens.
        #[arg(long)]
        listen: SocketAddr,
        /// PEM certificate, for TLS.
        #[arg(long, requires = "key")]
        chain: Option<PathBuf>,
        /// Its PEM private key.
        #[arg(long, requires = "chain")]
        key: Option<PathBuf>,
    },
}

/// What `compare` takes.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// The nats-server binary; without it the first one in PATH.
    #[arg(long, value_name = "PATH", env = "NATS_SERVER")]
    pub(crate) nats_server: Option<PathBuf>,
    /// The Cordon binary; without it the one built beside this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) cordon: Option<PathBuf>,
    /// Compare the nats-server binary with itself: what differs is noise.
    #[arg(long, conflicts_with = "cordon")]
    pub(crate) self_check: bool,
    /// Measure Cordon alone, where there is no nats-server.
    #[arg(long, conflicts_with = "self_check")]
    pub(crate) alone: bool,
    /// Run everything once, as briefly as possible: shows that it works, measures nothing.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Only these scenarios (see `list`).
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) scenario: Vec<String>,
    /// Also write every single run to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also write the tables to this file, as docs/performance.md has them.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Leave out the forwarder, which shows the physical limit in each round.
    #[arg(long)]
    pub(crate) no_limit: bool,
    /// Exit with 1 also when a target that must be met is missed.
    #[arg(long, conflicts_with_all = ["smoke", "alone", "self_check"])]
    pub(crate) require_must: bool,
    /// How long, and where.
    #[command(flatten)]
    pub(crate) window: Window,
}

/// What `plot` takes.
#[derive(Args, Debug)]
pub(crate) struct Plot {
    /// Where the plots and their figures go.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// Draw the figures of this file again instead of measuring.
    #[arg(long, value_name = "FILE", conflicts_with = "smoke")]
    pub(crate) from: Option<PathBuf>,
    /// The nats-server binary; without it the first one in PATH.
    #[arg(long, value_name = "PATH", env = "NATS_SERVER")]
    pub(crate) nats_server: Option<PathBuf>,
    /// The Cordon binary; without it the one built beside this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) cordon: Option<PathBuf>,
    /// Only these sweeps: payload, subscribers, subscriptions, connections, accounts.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) sweep: Vec<String>,
    /// Two points of each sweep, once, as briefly as possible: shows that it works, measures nothing.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// How often each point is measured with each server.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
}

/// What `scale` takes.
#[derive(Args, Debug)]
pub(crate) struct Scale {
    /// The servers.
    #[command(flatten)]
    pub(crate) servers: Servers,
    /// Only these runs; without it all.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) run: Vec<String>,
    /// How often each run is made with each server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Small and short: shows that it works, measures nothing.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Also write every row to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `streams` takes.
#[derive(Args, Debug)]
pub(crate) struct Streams {
    /// The servers.
    #[command(flatten)]
    pub(crate) servers: Servers,
    /// Only these scenarios; without it all.
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "growth")]
    pub(crate) scenario: Vec<String>,
    /// How often each scenario is run with each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Seconds of each measured window.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) seconds: u16,
    /// Run everything once, as briefly as possible: shows that it works, measures nothing.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Where streams lie; without it the folder for temporary files. The device below it is what is measured.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Instead of scenarios: start-up and memory as a stream grows, and its rate as its subjects do; with plots.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) growth: Option<PathBuf>,
    /// Only these of the curves of `--growth`; without it all.
    #[arg(long, value_name = "A,B", value_delimiter = ',', requires = "growth")]
    pub(crate) curve: Vec<String>,
    /// The most messages, and subjects, that `--growth` grows to.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    pub(crate) messages: usize,
    /// Also write every single run to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also write the tables to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Exit with 1 also when a target that must be met is missed.
    #[arg(long, conflicts_with = "smoke")]
    pub(crate) require_must: bool,
}

impl Streams {
    /// Where streams lie.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// What `attack` takes.
#[derive(Args, Debug)]
pub(crate) struct Attack {
    /// The servers.
    #[command(flatten)]
    pub(crate) servers: Servers,
    /// Only these attacks; without it all.
    #[arg(long = "attack", value_name = "A,B", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// How often each attack is made on each server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Turn on a second server that nobody else uses: what the tenant feels then comes from the machine.
    #[arg(long)]
    pub(crate) aside: bool,
    /// Short: shows that it works, measures nothing.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Also write every row to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Which binaries take part.
#[derive(Args, Debug)]
pub(crate) struct Servers {
    /// The nats-server binary; without it Cordon runs alone.
    #[arg(long, value_name = "PATH", env = "NATS_SERVER")]
    pub(crate) nats_server: Option<PathBuf>,
    /// The Cordon binary; without it the one built beside this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) cordon: Option<PathBuf>,
}

/// How long to measure, and on which CPUs.
#[derive(Args, Debug)]
pub(crate) struct Window {
    /// How often each scenario is run with each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
    /// Seconds of each measured window.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) seconds: u16,
    /// CPUs of the servers, as `taskset -c` takes them.
    #[arg(long, value_name = "LIST")]
    pub(crate) server_cpus: Option<String>,
    /// CPUs of the generator.
    #[arg(long, value_name = "LIST")]
    pub(crate) client_cpus: Option<String>,
}
