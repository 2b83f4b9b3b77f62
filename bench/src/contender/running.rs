//! A server process of one run, in a folder of its own, killed when the run is over.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Contender, Kind, config};
use crate::security::Security;
use crate::via::Via;

/// Reading thousands of accounts takes a server a while, and a busy machine longer.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// The last part of what a server printed is shown when it fails.
const SHOWN_BYTES: usize = 2_000;

/// The configuration, in the server's folder.
const CONFIGURATION: &str = "server.conf";

/// A running server.
pub(crate) struct Running {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    started_in: Duration,
    contender: Contender,
}

impl Running {
    pub(super) fn start(contender: &Contender, security: &Security) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cordon-bench-").tempdir()?;
        let address = free_address()?;
        fs::write(folder.path().join(CONFIGURATION), config::text(contender.kind, address, security))?;
        let start = Instant::now();
        let child = spawn(contender, folder.path(), address, security)?;
        let (contender, started_in) = (contender.clone(), Duration::ZERO);
        let mut running = Self { child, address, folder, started_in, contender };
        running.await_greeting()?;
        running.started_in = start.elapsed();
        Ok(running)
    }

    /// Ends the server at once, as a loss of power would, and starts it again with the same configuration, folder and
    /// address. Returns before it serves.
    ///
    /// # Errors
    ///
    /// When it cannot be run again.
    pub(crate) fn restart(&mut self, security: &Security) -> Result<()> {
        // It may have been stopped before.
        if self.child.try_wait()?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        self.child = spawn(&self.contender, self.folder.path(), self.address, security)?;
        Ok(())
    }

    /// Asks the server to end, and waits until it has; it can be started again by [`Running::restart`].
    ///
    /// # Errors
    ///
    /// When it does not end within a minute.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
        kill_process(pid, Signal::TERM)?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > START_PATIENCE {
                bail!("the server did not end within {} s", START_PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it took from the start of the process to its first greeting; 5 ms off at most.
    pub(crate) fn started_in(&self) -> Duration {
        self.started_in
    }

    /// What carries traffic to it.
    pub(crate) fn via(&self) -> Via {
        match self.contender.kind {
            Kind::Forwarder => Via::Forwarder,
            Kind::Cordon | Kind::Nats => Via::Server,
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Makes sure that the server is still there.
    ///
    /// # Errors
    ///
    /// When it has ended; with what it printed.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server ended by itself ({status}); it printed:\n{}", self.output()),
        }
    }

    /// The end of what the server printed.
    pub(crate) fn output(&self) -> String {
        let bytes = fs::read(self.folder.path().join("output")).unwrap_or_default();
        let start = bytes.len().saturating_sub(SHOWN_BYTES);
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    fn await_greeting(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            if greets(self.address) {
                return Ok(());
            }
            self.check()?;
            if start.elapsed() > START_PATIENCE {
                let seconds = START_PATIENCE.as_secs();
                bail!("no INFO on `{}` within {seconds} s; it printed:\n{}", self.address, self.output());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, and nothing of it is kept.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(contender: &Contender, folder: &Path, address: SocketAddr, security: &Security) -> Result<Child> {
    let output = File::options().create(true).append(true).open(folder.join("output"))?;
    command(contender, &folder.join(CONFIGURATION), address, security)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot run `{}`", contender.binary.display()))
}

/// The command line, through `taskset` where CPUs are given: that replaces itself, so the process id stays.
fn command(contender: &Contender, configuration: &Path, address: SocketAddr, security: &Security) -> Command {
    let mut command = match &contender.cpus {
        None => Command::new(&contender.binary),
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cpus]).arg(&contender.binary);
            command
        }
    };
    match contender.kind {
        Kind::Cordon => command.args(["broker", "-c"]).arg(configuration),
        Kind::Forwarder => command.args(["forward", "--listen", &address.to_string()]),
        Kind::Nats => command.arg("-c").arg(configuration),
    };
    if let (Kind::Forwarder, Security::Tls(certificate)) = (contender.kind, security) {
        command.arg("--chain").arg(&certificate.chain_file).arg("--key").arg(&certificate.key_file);
    }
    command
}

/// An address that nobody listens on at the moment.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Whether a server sends INFO to a new connection.
fn greets(address: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else {
        return false;
    };
    let mut start = [0; 5];
    socket.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && socket.read_exact(&mut start).is_ok()
        && &start == b"INFO "
}
