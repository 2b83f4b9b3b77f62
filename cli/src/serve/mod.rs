//! `cordon serve`: broker, control plane and monitoring on one data folder.
//!
//! ```text
//! DataFolder::open -> setup (first start only) -> data_plane (broker) -> control plane, connected to it
//!   as any other NATS client -> run.json -> announce -> wait for a signal
//! ```

pub(crate) mod announce;
pub(crate) mod certificate;
pub(crate) mod control_plane;
pub(crate) mod data_plane;
pub(crate) mod operators;
pub(crate) mod setup;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use cordon_admin::RunningControl;
use cordon_admin::store::{AccountState, Page};
use cordon_auth::authenticator::OperatorMode;
use cordon_auth::clock::Clock;
use cordon_server::config::LogOptions;
use cordon_server::websocket::WebsocketOptions;
use cordon_server::websocket::origin::Origin;
use cordon_server::{BrokerOptions, RunningBroker};

use self::operators::Operators;

use crate::data_folder::{self, DataFolder, Run};
use crate::lifecycle::{self, Signals, Term};
use crate::{dumps, log};

/// How long the first pushes are waited for before the installation is called ready all the same.
const PUSH_WAIT: Duration = Duration::from_secs(15);

#[derive(Args, Clone, Debug)]
pub(crate) struct Serve {
    /// Folder for everything that is kept
    #[arg(long, value_name = "DIR", env = "CORDON_DATA", default_value = data_folder::DEFAULT)]
    pub(crate) data: PathBuf,
    /// Port for NATS clients; 0 picks one
    #[arg(long, default_value_t = 4222)]
    pub(crate) port: u16,
    /// Port of the admin API; 0 picks one
    #[arg(long, default_value_t = 8443)]
    pub(crate) admin_port: u16,
    /// Port of monitoring, on loopback only; 0 picks one
    #[arg(long, default_value_t = 8222)]
    pub(crate) monitor_port: u16,
    /// Port for NATS clients over WebSocket, with the certificate of the others; none unless it is given, and 0 picks one
    #[arg(long, value_name = "PORT")]
    pub(crate) websocket_port: Option<u16>,
    /// Page that may connect over WebSocket, like https://app.example.org; may be repeated, and is every page without it
    #[arg(long, value_name = "ORIGIN", requires = "websocket_port")]
    pub(crate) websocket_origin: Vec<Origin>,
    /// Address to listen on (0.0.0.0 for all), or a further name for the server certificate
    #[arg(long, value_name = "ADDRESS|NAME")]
    pub(crate) host: Vec<String>,
    #[command(flatten)]
    pub(crate) keeping: control_plane::Keeping,
    /// Log more
    #[arg(short = 'D', long)]
    pub(crate) debug: bool,
}

/// Broker and control plane of one data folder, serving.
pub(crate) struct Site {
    pub(crate) folder: DataFolder,
    pub(crate) broker: RunningBroker,
    pub(crate) control: RunningControl,
    /// What the first start made, until it has been announced; `None` at later ones.
    pub(crate) made: Option<setup::Made>,
    certificate_names: Vec<String>,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        log::start(log::Shape::Plain, &LogOptions { debug: self.debug, ..LogOptions::default() })?;
        dumps::forbid();
        let mut signals = Signals::listen()?;
        let mut site = tokio::select! {
            site = Site::start(&self) => site?,
            // Whatever was done is on disk and taken up at the next start.
            _ = signals.next() => return Ok(()),
        };
        announce::ready(&site, &self);
        site.made = None;
        let wish = signals.until_end(async || site.reload().await).await;
        site.end(wish, &mut signals).await;
        Ok(())
    }

    /// The address to listen on: the first one among the hosts, else loopback.
    pub(crate) fn listen_ip(&self) -> IpAddr {
        self.host.iter().find_map(|host| host.parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST.into())
    }
}

impl Site {
    /// Starts everything; serving when this returns.
    pub(crate) async fn start(serve: &Serve) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let mut folder = DataFolder::open(&serve.data)?;
        let certificate_names = certificate::names(&serve.host);
        certificate::ensure(&mut folder, &certificate_names, &clock)?;
        let control = control_plane::open(&folder, serve, &clock).await?;
        let made = if folder.is_new() { Some(setup::run(&mut folder, &control).await?) } else { None };
        let broker = data_plane::start(&folder, &control, serve, &clock).await?;
        let control = match control_plane::start(control, &broker, &folder, serve).await {
            Ok(control) => control,
            Err(error) => {
                broker.shutdown().await;
                return Err(error);
            }
        };
        if tokio::time::timeout(PUSH_WAIT, pushed(&control)).await.is_err() {
            tracing::warn!("not all accounts are pushed to the broker yet; `cordon broker list` shows why");
        }
        folder.write_run(&Run {
            pid: std::process::id(),
            client_address: Some(broker.client_address),
            websocket_address: broker.websocket_address,
            admin_address: control.address,
            monitor_address: broker.monitor_address,
        })?;
        Ok(Self { folder, broker, control, made, certificate_names })
    }

    /// Takes over what has changed: the broker's certificates, who certificates stand for, and operators.
    async fn reload(&self) {
        let broker = &self.broker.broker;
        let files = data_plane::listener_files(self.folder.paths());
        match files.options().and_then(|options| Ok((options, files.options_without_clients()?))) {
            Ok((options, for_pages)) => {
                broker.replace_tls(Some(options));
                let options = broker.options.load_full();
                let tls = Some(Arc::new(for_pages));
                let websocket = options.websocket.as_ref().map(|own| WebsocketOptions { tls, ..own.clone() });
                broker.options.replace(BrokerOptions { websocket, ..(*options).clone() });
                tracing::info!("the broker's certificate was read again, for {}", self.certificate_names.join(", "));
            }
            Err(error) => tracing::error!("certificates were not read again, the running ones stay: {error:#}"),
        }
        match data_plane::certificate_users(self.folder.paths()) {
            Ok(users) => {
                let options = broker.options.load_full();
                broker.options.replace(BrokerOptions { map_certificates: !users.is_empty(), ..(*options).clone() });
                broker.update_operators(|mode| OperatorMode { certificate_users: users.clone(), ..mode.clone() });
            }
            Err(error) => tracing::error!("certificates stand for whom they stood before: {error:#}"),
        }
        let operators = Operators::new(self.control.issuer().store().clone(), self.folder.operator());
        if let Err(error) = operators.put_in_force(broker, false).await {
            tracing::error!("the broker trusts whom it trusted before: {error:#}");
        }
        tracing::info!("the admin API takes a new certificate at the next start");
    }

    /// Ends everything: the control plane first, since it is a client of the broker.
    pub(crate) async fn end(self, wish: lifecycle::Wish, signals: &mut Signals) {
        tokio::select! {
            () = self.control.shutdown() => {}
            _ = signals.next() => {}
        }
        lifecycle::end(&self.broker, wish, signals, Term::Soon).await;
    }

    /// Ends everything at once, for those who have no signals to wait for.
    pub(crate) async fn stop(self) {
        self.control.shutdown().await;
        self.broker.shutdown().await;
    }
}

/// Waits until the control plane knows its broker, and the broker has confirmed the claims of all
/// accounts that are in use.
async fn pushed(control: &RunningControl) {
    let mut look = tokio::time::interval(Duration::from_millis(50));
    loop {
        look.tick().await;
        if control.issuer().broker().is_none_or(|broker| broker.known().is_empty()) {
            continue;
        }
        match all_pushed(control).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!("the state of pushes cannot be read: {error:#}"),
        }
    }
}

async fn all_pushed(control: &RunningControl) -> anyhow::Result<bool> {
    let mut reader = control.issuer().store().read().await.context("the store cannot be read")?;
    let accounts = reader.accounts().list(&Page::first()).await?;
    let waiting = accounts.iter().filter(|row| row.state == AccountState::Active);
    Ok(waiting.into_iter().all(|row| row.pushed_jti.as_deref() == Some(row.jti.as_str())))
}

/// A port that is taken, with the flag that chooses another.
pub(crate) fn port_taken(address: SocketAddr, flag: &str, error: impl Into<anyhow::Error>) -> anyhow::Error {
    error.into().context(format!(
        "{address} cannot be listened on: stop what uses the port, or choose another with {flag} (0 picks one)"
    ))
}

#[cfg(test)]
mod tests;
