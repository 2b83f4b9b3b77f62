//! A broker that runs by a configuration, and what it reads when that is read again.

use std::sync::{Arc, Mutex};

use cordon_auth::clock::Clock;
use cordon_server::config::{self, ConfigError, LoadedConfig};
use cordon_server::reload::{self, Asker, Change, Host, ReloadRefusal};

use crate::support::TestBroker;

/// What every configuration here begins with.
const HEAD: &str = "listen: \"127.0.0.1:-1\"\n";

/// A configuration that asks nobody who they are.
pub(crate) const OPEN: &str = "insecure_no_auth: true\n";

/// A broker, and its file.
pub(crate) struct Site {
    /// The broker.
    pub(crate) broker: TestBroker,
    file: Arc<File>,
}

struct File(Mutex<String>);

impl Host for File {
    fn read(&self) -> Result<LoadedConfig, ConfigError> {
        config::load_text(&self.0.lock().unwrap(), "test.conf")
    }

    fn apply(&self, config: &LoadedConfig) -> Result<(), String> {
        match &config.log.file {
            Some(file) => std::fs::write(file, "").map_err(|error| format!("cannot write the log: {error}")),
            None => Ok(()),
        }
    }
}

impl Site {
    /// Starts a broker.
    pub(crate) fn start(text: &str) -> Self {
        let text = format!("{HEAD}{text}");
        let loaded = config::load_text(&text, "test.conf").unwrap();
        let broker = TestBroker::begin(async || config::start(loaded, Clock::system()).await.unwrap());
        let file = Arc::new(File(Mutex::new(text)));
        broker.running.broker.reloads.read_from(file.clone());
        Self { broker, file }
    }

    /// Writes the file anew, to be read by whoever asks for it.
    pub(crate) fn write(&self, text: &str) {
        *self.file.0.lock().unwrap() = format!("{HEAD}{text}");
    }

    /// Writes the file anew and reads it.
    pub(crate) fn reload(&self, text: &str) -> Result<Vec<Change>, ReloadRefusal> {
        self.write(text);
        self.broker.block_on(reload::reload(&self.broker.running.broker, &Asker::Signal))
    }

    /// As [`Self::reload`], which must succeed: the changes as text.
    pub(crate) fn reloaded(&self, text: &str) -> Vec<String> {
        self.reload(text).unwrap().iter().map(ToString::to_string).collect()
    }
}
