//! A process of the binary, its output, and its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rand::Rng as _;
use tokio::process::{Child, Command};

use crate::binary;
use crate::wait::within;

/// A running `cordon`. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

impl Process {
    /// Starts `cordon` with these arguments in `folder`; what it prints is added to `log` there.
    pub fn start<'a>(folder: &Path, log: &str, arguments: impl IntoIterator<Item = &'a str>, debug: bool) -> Self {
        let mut command = command(folder, binary::cordon());
        if debug {
            // A dump is what the story looks for secrets in.
            command.env("CORDON_LOG", "trace").env("CORDON_CORE_DUMPS", "allow");
        }
        Self::spawn(command, folder, log, arguments)
    }

    /// The same under the name of `nats-server`.
    pub fn start_nats_server<'a>(folder: &Path, log: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::spawn(command(folder, &nats_server(folder)), folder, log, arguments)
    }

    fn spawn<'a>(mut command: Command, folder: &Path, log: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let log = folder.join(log);
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child =
            command.args(arguments).stdout(file.try_clone().unwrap()).stderr(file).kill_on_drop(true).spawn().unwrap();
        Self { child, log }
    }

    /// Everything that it has printed so far, its predecessors with the same log included.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Its exit status, when it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Ends it as power loss would: without a word to it.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends it a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs");
        let line = format!("kill -s {name} {id}");
        assert!(std::process::Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        within("the process ends", self.child.wait()).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- end of {} ---\n{}\n---", self.log.display(), shown.join("\n"));
        }
    }
}

/// Runs a command to its end.
pub async fn run<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    finish(command(folder, binary::cordon()), arguments).await
}

/// Runs a command under the name of `nats-server` to its end.
pub async fn run_nats_server<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    finish(command(folder, &nats_server(folder)), arguments).await
}

async fn finish<'a>(mut command: Command, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    let running = command.args(arguments).kill_on_drop(true).output();
    let output = within("the command ends", running).await.unwrap();
    Finished {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A port for a process that must come back to where it was: free just now, and outside the range from
/// which the system takes ports of outgoing connections.
pub fn free_port() -> u16 {
    let mut tries = std::iter::repeat_with(|| rand::thread_rng().gen_range(20_000..32_000));
    tries.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("an endless search")
}

/// A link to the binary in `folder`, under the name that makes it a nats-server.
fn nats_server(folder: &Path) -> PathBuf {
    let link = folder.join("nats-server");
    if !link.exists() {
        std::os::unix::fs::symlink(binary::cordon(), &link).unwrap();
    }
    link
}

/// The command, without what the environment of the tests might say to it.
pub(crate) fn command(folder: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    for name in ["CORDON_LOG", "CORDON_URL", "CORDON_CA", "CORDON_TOKEN", "CORDON_DATA"] {
        command.env_remove(name);
    }
    command
}
