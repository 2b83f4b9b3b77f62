//! `cordon migrate check`: what changes for whom when a nats-server is replaced, before it is.
//!
//! ```text
//! report   findings: what blocks, what differs
//! file     a configuration file: what would not start, is not acted on, or is stricter
//! jwt      operators, accounts and users: what would be refused
//! store    the folder in which `nsc` keeps them
//! ```

mod file;
mod jwt;
mod report;
mod store;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use cordon_auth::clock::Clock;

use crate::failure::Told;
use crate::{output, tls};
use report::Report;

#[derive(Args, Debug)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List what changes when a nats-server is replaced; the status is 1 when something would stop working
    Check(Check),
}

#[derive(Args, Debug)]
struct Check {
    /// Configuration file of the nats-server
    #[arg(short, long, value_name = "FILE", required_unless_present = "nsc")]
    config: Option<PathBuf>,
    /// Folder in which nsc keeps its operators, or one operator's in it
    #[arg(long, value_name = "DIR")]
    nsc: Option<PathBuf>,
    /// Print for scripts
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.act {
            Act::Check(check) => check.run(),
        }
    }
}

impl Check {
    fn run(&self) -> anyhow::Result<()> {
        // Certificates are loaded while a configuration is read.
        tls::install_provider();
        let now = Clock::system().unix_seconds();
        let mut report = Report::default();
        if let Some(path) = &self.config {
            file::check(path, now, &mut report);
        }
        if let Some(folder) = &self.nsc {
            store::check(folder, now, &mut report)?;
        }
        if self.json {
            output::json(&report.to_json());
        } else {
            output::say(&report.to_text());
        }
        if report.blocks() { Err(Told.into()) } else { Ok(()) }
    }
}
