//! The servers that are compared: which binary, which configuration, and one running process of it.

mod config;
mod running;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::running::Running;
use crate::security::{Entry, Security};

/// Whose command line and configuration a binary takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `cordon broker -c FILE`.
    Cordon,
    /// `cordon-bench forward`, which parses nothing.
    Forwarder,
    /// `nats-server -c FILE`.
    Nats,
}

/// One server to measure.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// What it is called in tables.
    pub(crate) name: String,
    kind: Kind,
    binary: PathBuf,
    /// CPUs it may use, as `taskset -c` writes them.
    cpus: Option<String>,
}

impl Contender {
    /// A server from `binary`.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub(crate) fn new(name: &str, kind: Kind, binary: &Path, cpus: Option<String>) -> Result<Self> {
        if !binary.is_file() {
            bail!("there is no `{}`: {}", binary.display(), kind.remedy());
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            // Servers run in folders of their own, where a relative path leads nowhere.
            binary: binary.canonicalize().with_context(|| format!("`{}` cannot be found", binary.display()))?,
            cpus,
        })
    }

    /// The same server under another name.
    pub(crate) fn called(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The first line that the binary prints for `--version`.
    ///
    /// # Errors
    ///
    /// When it cannot be run.
    pub(crate) fn version(&self) -> Result<String> {
        let output = Command::new(&self.binary).arg("--version").output();
        let output = output.with_context(|| format!("cannot run `{}`", self.binary.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or("unknown version").trim().to_owned())
    }

    /// How clients of a scenario reach this server: a forwarder knows no accounts.
    pub(crate) fn entry(&self, wanted: Entry) -> Entry {
        match (self.kind, wanted) {
            (Kind::Forwarder, Entry::Sharing | Entry::Tenants(_)) => Entry::Plain,
            _ => wanted,
        }
    }

    /// Starts a fresh server and waits until it greets a client.
    ///
    /// # Errors
    ///
    /// When it does not start; with what it printed.
    pub(crate) fn start(&self, security: &Security) -> Result<Running> {
        Running::start(self, security).with_context(|| format!("{} did not start", self.name))
    }
}

impl Kind {
    const fn remedy(self) -> &'static str {
        match self {
            Self::Cordon => "build it with `cargo build --release -p cordon`, or name it with `--cordon PATH`",
            Self::Forwarder => "build it with `cargo build --release -p cordon-bench`",
            Self::Nats => "name it with `--nats-server PATH`",
        }
    }
}
