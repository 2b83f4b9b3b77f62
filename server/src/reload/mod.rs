//! What changes while the broker runs: the configuration is read again, compared, and put in force as a whole.
//!
//! ```text
//! describe    a configuration -> settings, without secrets
//! change      two lists of settings -> the changes, and whether each can be made now
//! users, operators    what is checked before anything changes, and how it is put in force
//! open        what it means for the connections that are open
//! live        the options in force, as everything else reads them
//! ```
//!
//! A file that is wrong, or a change that needs a restart, changes nothing: everything that can fail is tried before
//! anything is changed. Whatever stays as it was is not touched, so that who is not concerned does not notice.
//!
//! To make a further option live: its line in [`describe`] says so, and who reads it asks [`LiveOptions`].

pub mod asker;
pub mod change;
mod describe;
pub mod live;
mod open;
pub mod operators;
mod refusal;
mod users;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::broker::Broker;
use crate::config::accounts::Configured;
use crate::config::tls::TlsFiles;
use crate::config::{ConfigError, Identities, LoadedConfig, StartFailure};
use crate::leaf;
use crate::monitoring::listening::Move;
use crate::options::BrokerOptions;

pub use asker::Asker;
pub use change::{Change, Effect, Setting, difference};
pub use describe::describe;
pub use live::LiveOptions;
pub use open::renew_limits;
pub use refusal::ReloadRefusal;

/// What is outside the broker: the file and the flags that it is read under, and the log.
pub trait Host: Send + Sync {
    /// Reads the configuration again, as it was read at the start. May block.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong.
    fn read(&self) -> Result<LoadedConfig, ConfigError>;

    /// Puts in force what is not the broker's: how is logged, and files about the process. May block.
    ///
    /// # Errors
    ///
    /// When that cannot be; everything is then as it was before.
    fn apply(&self, config: &LoadedConfig) -> Result<(), String>;

    /// Everything is in force now, and the broker may listen elsewhere: told in `ports_folder`, where there is one. May
    /// block.
    fn in_force(&self, _broker: &Broker, _ports_folder: Option<&Path>) {}
}

/// What a running broker keeps for the next reload.
#[derive(Default)]
pub struct Reloads {
    host: OnceLock<Arc<dyn Host>>,
    /// What the configuration in force says. Held while a reload is under way: there is one at a time.
    in_force: tokio::sync::Mutex<Option<InForce>>,
}

/// A configuration that was put in force.
struct InForce {
    settings: Vec<Setting>,
    preloaded: operators::Preloaded,
}

impl Reloads {
    /// Names what the configuration is read from; only the first call counts.
    pub fn read_from(&self, host: Arc<dyn Host>) {
        // A broker reads one file as long as it runs.
        let _first = self.host.set(host);
    }

    /// Remembers what the broker was started with.
    pub(crate) async fn started_with(&self, memory: Memory) {
        *self.in_force.lock().await = Some(memory.0);
    }
}

/// What is kept of a configuration after a start has used it up.
pub struct Memory(InForce);

impl Memory {
    /// Remembers a configuration.
    pub fn of(config: &LoadedConfig) -> Self {
        Self(InForce { settings: describe(config), preloaded: operators::Preloaded::of(config) })
    }
}

/// Reads the configuration again and puts what has changed in force. Whatever comes of it is logged, and is a security
/// event that says who asked.
///
/// # Errors
///
/// [`ReloadRefusal`]; nothing has changed then.
pub async fn reload(broker: &Arc<Broker>, asker: &Asker) -> Result<Vec<Change>, ReloadRefusal> {
    let outcome = attempt(broker).await;
    match &outcome {
        Ok((changes, digest)) => {
            for change in changes {
                tracing::info!("Reloaded: {change}");
            }
            tracing::info!("Reloaded server configuration ({digest})");
        }
        Err(refusal) => tracing::error!("Failed to reload server configuration: {refusal}"),
    }
    let outcome = outcome.map(|(changes, _)| changes);
    broker.security.note(asker.event(&outcome));
    outcome
}

/// The changes that were made, and the digest of the configuration that is in force now.
async fn attempt(broker: &Arc<Broker>) -> Result<(Vec<Change>, String), ReloadRefusal> {
    let host = broker.reloads.host.get().cloned().ok_or(ReloadRefusal::NoFile)?;
    let mut in_force = broker.reloads.in_force.lock().await;
    let before = in_force.as_ref().ok_or(ReloadRefusal::NoFile)?;
    let reader = host.clone();
    let read = move || reader.read().map(|config| (Memory::of(&config), config));
    let (Memory(memory), config) = blocking(read).await??;
    let changes = difference(&before.settings, &memory.settings);
    let fixed: Vec<Change> = changes.iter().filter(|change| change.effect != Effect::Live).cloned().collect();
    if !fixed.is_empty() {
        return Err(ReloadRefusal::NotLive(fixed));
    }
    let plan = Plan::check(broker, config)?;
    let around = host.clone();
    let (plan, done) = blocking(move || {
        let done = around.apply(&plan.config);
        (plan, done)
    })
    .await?;
    done.map_err(ReloadRefusal::Host)?;
    let (digest, ports_folder) = (plan.config.digest.clone(), plan.config.ports_file_dir.clone());
    plan.put_in_force(broker, &before.preloaded).await;
    *in_force = Some(memory);
    let running = broker.clone();
    // Nothing waits for it but who asked, and what it cannot do it says itself.
    let _told = blocking(move || host.in_force(&running, ports_folder.as_deref())).await;
    Ok((changes, digest))
}

/// Runs what touches the disk off the threads that carry messages.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReloadRefusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ReloadRefusal::Host(format!("the configuration could not be read: {error}")))
}

/// A configuration that has been checked against the running broker.
struct Plan {
    config: LoadedConfig,
    identities: PlannedIdentities,
    monitoring: Move,
    leafs: leaf::reload::Plan,
}

enum PlannedIdentities {
    Configured(Configured),
    Operator(operators::Operators),
}

impl Plan {
    fn check(broker: &Broker, mut config: LoadedConfig) -> Result<Self, ReloadRefusal> {
        let nothing = Identities::Operator(crate::config::OperatorConfig::default());
        let identities = match std::mem::replace(&mut config.identities, nothing) {
            Identities::Configured(configured) => PlannedIdentities::Configured(configured),
            Identities::Operator(operator) => {
                PlannedIdentities::Operator(operators::Operators::check(broker, operator)?)
            }
        };
        let monitoring = Move::between(broker.options.load().monitor, config.broker.monitor, "monitoring");
        let monitoring = monitoring.map_err(StartFailure::from)?;
        let leafs = leaf::reload::Plan::check(broker, &config.broker.leaf)?;
        Ok(Self { config, identities, monitoring, leafs })
    }

    /// Nothing here can fail.
    async fn put_in_force(self, broker: &Arc<Broker>, preloaded: &operators::Preloaded) {
        let running = broker.options.load_full();
        // What was decided at the start stays: ports that the system chose, and the account that operators named.
        let options =
            BrokerOptions { listen: running.listen, system_account: running.system_account, ..self.config.broker };
        broker.replace_tls(options.tls.clone());
        let leafs_before = self.leafs.put_in_force(broker);
        broker.options.replace(options);
        broker.monitoring.act(broker, self.monitoring);
        let pinned = |files: Option<TlsFiles>| files.map(|files| files.pinned).unwrap_or_default();
        open::close_unpinned(broker, broker.connections.open(), &pinned(self.config.tls));
        open::close_unpinned(broker, leaf::reload::accepted_over_tcp(broker), &pinned(self.config.leaf_tls));
        open::renew_all(broker).await;
        match self.identities {
            PlannedIdentities::Configured(users) => users::put_in_force(users, broker).await,
            PlannedIdentities::Operator(operators) => operators.put_in_force(broker, preloaded).await,
        }
        leafs_before.settle(broker);
        // Of those who are left.
        open::close_surplus(broker);
    }
}
