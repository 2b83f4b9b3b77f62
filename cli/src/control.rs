//! `cordon control`: the control plane alone, for brokers that run elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use cordon_admin::{BrokerAccess, Control as ControlPlane, SystemCredentials};
use cordon_auth::clock::Clock;
use cordon_server::config::LogOptions;

use crate::data_folder::{self, DataFolder, Run};
use crate::lifecycle::Signals;
use crate::serve::control_plane::{self, Keeping};
use crate::serve::{certificate, setup};
use crate::{dumps, log, output};

#[derive(Args, Debug)]
pub(crate) struct Control {
    /// Folder for everything that is kept
    #[arg(long, value_name = "DIR", env = "CORDON_DATA", default_value = data_folder::DEFAULT)]
    data: PathBuf,
    /// Address of the brokers; several by commas
    #[arg(long, value_name = "URL")]
    nats: String,
    /// CA that signed the brokers' certificates [default: those of the system]
    #[arg(long, value_name = "FILE")]
    nats_ca: Option<PathBuf>,
    /// Creds of a user of the system account [default: short-lived ones from the vault]
    #[arg(long, value_name = "FILE")]
    nats_creds: Option<PathBuf>,
    /// Port of the admin API; 0 picks one
    #[arg(long, default_value_t = 8443)]
    admin_port: u16,
    /// Address to listen on (0.0.0.0 for all), or a further name for the server certificate
    #[arg(long, value_name = "ADDRESS|NAME")]
    host: Vec<String>,
    /// Make no operator at the first start: one is imported later
    #[arg(long)]
    no_operator: bool,
    #[command(flatten)]
    keeping: Keeping,
    /// Log more
    #[arg(short = 'D', long)]
    debug: bool,
}

impl Control {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        log::start(log::Shape::Plain, &LogOptions { debug: self.debug, ..LogOptions::default() })?;
        dumps::forbid();
        let mut signals = Signals::listen()?;
        let clock = Clock::system();
        let mut folder = DataFolder::open(&self.data)?;
        certificate::ensure(&mut folder, &certificate::names(&self.host), &clock)?;
        let ip: IpAddr = self.host.iter().find_map(|host| host.parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST.into());
        let listen = SocketAddr::new(ip, self.admin_port);
        let access = BrokerAccess {
            url: self.nats.clone(),
            ca: self.nats_ca.clone(),
            credentials: self.nats_creds.clone().map_or(SystemCredentials::Vault, SystemCredentials::File),
        };
        let options = control_plane::options(folder.paths(), &self.keeping, listen, Some(access), &clock)?;
        let control = ControlPlane::open(options).await.context("the control plane cannot be opened")?;
        if folder.is_new() {
            if !self.no_operator {
                setup::operator(&mut folder, &control).await?;
            }
            setup::owner_token(control.issuer(), &folder.paths().admin_token()).await?;
            folder.set_complete()?;
        }
        let running = control.start().await.map_err(|error| control_plane::listening(listen, error))?;
        let run = Run {
            pid: std::process::id(),
            client_address: None,
            websocket_address: None,
            admin_address: running.address,
            monitor_address: None,
        };
        folder.write_run(&run)?;
        let paths = folder.paths();
        output::say(&format!(
            "\nThe control plane of Cordon is ready.\n\n  admin API    https://{}\n  console      https://{}/console\n  CA           {}\n  admin token  {}\n  brokers      {}\n",
            running.address,
            running.address,
            paths.ca().display(),
            paths.admin_token().display(),
            self.nats
        ));
        signals.until_end(async || tracing::info!("the admin API takes a new certificate at the next start")).await;
        tokio::select! {
            () = running.shutdown() => {}
            _ = signals.next() => {}
        }
        Ok(())
    }
}
