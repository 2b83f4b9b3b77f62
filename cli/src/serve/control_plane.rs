//! The control plane as `serve` and `control` run it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use cordon_admin::vault::KeySource;
use cordon_admin::{BrokerAccess, Control, ControlError, ControlOptions, RunningControl, SystemCredentials, TlsFiles};
use cordon_auth::clock::Clock;
use cordon_server::RunningBroker;
use secrecy::SecretString;

use super::{Serve, port_taken};
use crate::data_folder::{DataFolder, Paths};
use crate::failure::usage;
use crate::files;

/// Where state and keys are kept.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Keeping {
    /// Keep state in this database instead of the data folder
    #[arg(long, value_name = "postgres://..", env = "CORDON_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Seal the vault by the passphrase in this file instead of by a key file
    #[arg(long, value_name = "FILE")]
    pub(crate) vault_passphrase_file: Option<PathBuf>,
    /// Seal the vault by the key that this command prints
    #[arg(long, value_name = "COMMAND", conflicts_with = "vault_passphrase_file")]
    pub(crate) vault_command: Option<String>,
}

impl Keeping {
    /// What the store is opened by.
    pub(crate) fn store_url(&self, paths: &Paths) -> String {
        self.store.clone().unwrap_or_else(|| paths.store().display().to_string())
    }

    /// What the vault is opened by.
    pub(crate) fn vault(&self, paths: &Paths) -> anyhow::Result<KeySource> {
        if let Some(file) = &self.vault_passphrase_file {
            let passphrase = files::read(file)?;
            return Ok(KeySource::Passphrase(SecretString::from(passphrase.trim_end_matches(['\r', '\n']).to_owned())));
        }
        if let Some(command) = &self.vault_command {
            let mut words = command.split_whitespace().map(str::to_owned);
            let program = words.next().ok_or_else(|| usage("--vault-command needs a program"))?;
            return Ok(KeySource::Command { program: program.into(), arguments: words.collect() });
        }
        Ok(KeySource::File(paths.vault_key()))
    }
}

/// What the control plane of a data folder is made of.
pub(crate) fn options(
    paths: &Paths,
    keeping: &Keeping,
    listen: SocketAddr,
    broker: Option<BrokerAccess>,
    clock: &Clock,
) -> anyhow::Result<ControlOptions> {
    Ok(ControlOptions {
        listen,
        tls: TlsFiles { certificate: paths.server_certificate(), key: paths.server_key() },
        store_url: keeping.store_url(paths),
        vault: keeping.vault(paths)?,
        broker,
        ledger_dir: Some(paths.ledger()),
        authority_dir: Some(paths.authority()),
        clock: clock.clone(),
    })
}

/// Opens store, vault and ledger; nothing listens yet.
pub(crate) async fn open(folder: &DataFolder, serve: &Serve, clock: &Clock) -> anyhow::Result<Control> {
    let listen = SocketAddr::new(serve.listen_ip(), serve.admin_port);
    let options = options(folder.paths(), &serve.keeping, listen, None, clock)?;
    Control::open(options).await.context("the control plane cannot be opened")
}

/// Starts the control plane as a client of this broker.
pub(crate) async fn start(
    mut control: Control,
    broker: &RunningBroker,
    folder: &DataFolder,
    serve: &Serve,
) -> anyhow::Result<RunningControl> {
    let mut address = broker.client_address;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let access = BrokerAccess {
        url: format!("tls://{address}"),
        ca: Some(folder.paths().ca()),
        credentials: SystemCredentials::Vault,
    };
    let listen = SocketAddr::new(serve.listen_ip(), serve.admin_port);
    control.set_broker(access);
    control.start().await.map_err(|error| listening(listen, error))
}

/// A failure to start, with the flag if it is about the port.
pub(crate) fn listening(listen: SocketAddr, error: ControlError) -> anyhow::Error {
    match error {
        ControlError::Listen { cause, .. } => port_taken(listen, "--admin-port", cause),
        other => anyhow::Error::new(other).context("the control plane cannot be started"),
    }
}
