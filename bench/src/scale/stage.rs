//! What a run gets: a server to start, a folder, its size, and a meter of what the server uses.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::contender::{Contender, Running};
use crate::process::{cpu_seconds, rss_kib};
use crate::run::{Pace, Run};
use crate::security::Security;

/// Where one run happens.
pub(super) struct Stage<'a> {
    contender: &'a Contender,
    folder: TempDir,
    smoke: bool,
}

/// Time, CPU and memory of a server since a moment.
pub(super) struct Meter {
    pid: u32,
    at: Instant,
    cpu: f64,
    rss: f64,
}

impl<'a> Stage<'a> {
    /// A stage for `contender`; smoke runs are small and short.
    ///
    /// # Errors
    ///
    /// When there is no room for a folder.
    pub(super) fn new(contender: &'a Contender, smoke: bool) -> Result<Self> {
        Ok(Self { contender, folder: tempfile::Builder::new().prefix("cordon-bench-").tempdir()?, smoke })
    }

    /// Where certificates and keys may be written.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `full`, or `small` in a smoke run.
    pub(super) fn size(&self, full: usize, small: usize) -> usize {
        if self.smoke { small } else { full }
    }

    /// So many seconds, or a fifth of one in a smoke run.
    pub(super) fn seconds(&self, full: u64) -> Duration {
        if self.smoke { Duration::from_millis(200) } else { Duration::from_secs(full) }
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(super) fn start(&self, security: &Security) -> Result<Running> {
        self.contender.start(security)
    }

    /// The measured window of a scenario of `compare`.
    pub(super) fn run<'r>(&self, server: &'r Running, security: &'r Security) -> Run<'r> {
        let pace = Pace { warm_up: self.seconds(1), window: self.seconds(5), connections_divisor: 1 };
        Run { server, security, pace }
    }
}

impl Meter {
    /// Starts measuring `server`.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub(super) fn start(server: &Running) -> Result<Self> {
        let pid = server.pid();
        Ok(Self { pid, cpu: cpu_seconds(pid)?, rss: rss_kib(pid)?, at: Instant::now() })
    }

    /// Seconds since.
    pub(super) fn seconds(&self) -> f64 {
        self.at.elapsed().as_secs_f64()
    }

    /// Seconds of CPU time since.
    ///
    /// # Errors
    ///
    /// When the server has ended.
    pub(super) fn cpu(&self) -> Result<f64> {
        Ok(cpu_seconds(self.pid)? - self.cpu)
    }

    /// Bytes of resident memory gained since.
    ///
    /// # Errors
    ///
    /// When the server has ended.
    pub(super) fn memory(&self) -> Result<f64> {
        Ok((rss_kib(self.pid)? - self.rss) * 1024.0)
    }
}

/// Adds what the server printed to an error.
///
/// # Errors
///
/// That of `result`, or that the server has ended by itself.
pub(super) fn with_output<T>(server: &mut Running, result: Result<T>) -> Result<T> {
    server.check()?;
    result.with_context(|| format!("the server printed:\n{}\nand then", server.output()))
}
