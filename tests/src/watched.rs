//! A process whose words are heard as they come, so that what it says is waited for, and not asked for.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::wait::{LONG_PATIENCE, within_time};

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Watched {
    child: Child,
    log: PathBuf,
    /// All it has said; closed once it has ended.
    words: watch::Receiver<String>,
}

impl Watched {
    /// Starts `command`; what it prints is heard, and added to `log` in `folder`.
    pub(crate) fn start(mut command: Command, folder: &Path, log: &str) -> Self {
        let log = folder.join(log);
        let mut file = File::options().create(true).append(true).open(&log).unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer).kill_on_drop(true);
        let child = command.spawn().unwrap();
        // Its ends of the pipe must be the last ones.
        drop(command);
        let (said, words) = watch::channel(String::new());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                file.write_all(&bytes[..count]).unwrap();
                said.send_modify(|all| all.push_str(&String::from_utf8_lossy(&bytes[..count])));
            }
        });
        Self { child, log, words }
    }

    /// Waits until what it has said so far is as wanted.
    pub(crate) async fn says(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let said = within_time(LONG_PATIENCE, what, self.words.wait_for(|all| wanted(all))).await.is_ok();
        assert!(said, "the process ended before it came to this: {what}");
    }

    /// All it has said so far.
    pub(crate) fn words(&self) -> String {
        self.words.borrow().clone()
    }

    /// Ends it as power loss would: without a word to it.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- end of {} ---\n{}\n---", self.log.display(), shown.join("\n"));
        }
    }
}
