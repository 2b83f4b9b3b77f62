//! What a running broker has around it, for when its configuration is read again: the file and the flags, the log,
//! the pid file and the ports file.

use std::path::{Path, PathBuf};

use cordon_server::Broker;
use cordon_server::config::{self, ConfigError, LoadedConfig, layer::Layer};
use cordon_server::reload::Host;
use parking_lot::Mutex;

use super::Program;
use super::ports::{Listeners, PortsFile};
use crate::files::{self, Readable};
use crate::log;

/// The surroundings of a broker.
pub(super) struct Surroundings {
    program: Program,
    /// The configuration file, if there is one.
    path: Option<PathBuf>,
    layer: Layer,
    ports: Mutex<Option<PortsFile>>,
}

impl Surroundings {
    pub(super) fn new(program: &Program, path: Option<&Path>, layer: Layer) -> Self {
        Self { program: program.clone(), path: path.map(Path::to_owned), layer, ports: Mutex::default() }
    }

    /// Writes where the broker listens now into the ports file in `folder`, or nowhere, and removes one that is
    /// elsewhere. A broker serves also where that fails.
    pub(super) fn announce_ports(&self, broker: &Broker, folder: Option<&Path>) {
        let mut ports = self.ports.lock();
        let listeners = Listeners::of(broker);
        if ports.as_ref().is_some_and(|before| before.is_in(folder) && before.names(&listeners)) {
            return;
        }
        // Where it stays it is replaced: a reader finds one or the other.
        if let Some(before) = ports.take_if(|before| !before.is_in(folder)) {
            before.remove();
        }
        *ports = folder.and_then(|folder| match PortsFile::write(folder, &self.program, listeners) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::error!("{error:#}");
                None
            }
        });
    }
}

impl Host for Surroundings {
    fn read(&self) -> Result<LoadedConfig, ConfigError> {
        config::load_under(self.path.as_deref(), &self.layer)
    }

    fn apply(&self, config: &LoadedConfig) -> Result<(), String> {
        // The log last: a pid file that was written too early says nothing wrong.
        write_pid(config).map_err(|error| format!("{error:#}"))?;
        log::apply(&config.log).map_err(|error| format!("{error:#}"))?;
        Ok(())
    }

    fn in_force(&self, broker: &Broker, ports_folder: Option<&Path>) {
        self.announce_ports(broker, ports_folder);
    }
}

/// Writes the pid file that a configuration names.
pub(super) fn write_pid(config: &LoadedConfig) -> anyhow::Result<()> {
    let Some(path) = &config.pid_file else { return Ok(()) };
    // Without a newline: there are readers that parse the whole file.
    files::write(path, std::process::id().to_string().as_bytes(), Readable::ByOwner)
}
