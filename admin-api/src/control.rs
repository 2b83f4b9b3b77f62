//! The control plane as a whole: opened, started, stopped.
//!
//! [`Control::open`] needs no socket and no broker, so that whoever sets an installation up can issue
//! what it needs first. [`Control::start`] then serves the API, empties the outbox and records events.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cordon_auth::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::credentials::{CredsFile, SystemUserSource};
use crate::broker::nats::{NatsBroker, NatsOptions};
use crate::broker::recorder::Recorder;
use crate::broker::{Broker, BrokerError};
use crate::http::app::App;
use crate::http::router::router;
use crate::http::server::Server;
use crate::http::tls::{TlsError, TlsFiles};
use crate::issuing::Issuer;
use crate::issuing::push::Outbox;
use crate::issuing::system_user::MintedSystemUser;
use crate::ledger::Ledger;
use crate::limits::{EVENT_QUEUE, SHUTDOWN_TIME_MAX};
use crate::pki::{Authority, PkiError};
use crate::store::{Store, StoreError};
use crate::vault::{KeySource, Vault, VaultError};

/// How often a checkpoint of the ledger is signed and written to its folder, when there is something new.
const CHECKPOINT_INTERVAL: Duration = Duration::from_mins(1);

/// Where the control plane keeps and finds everything.
#[derive(Debug)]
pub struct ControlOptions {
    /// Where the API listens; port 0 picks one.
    pub listen: SocketAddr,
    /// The API's certificate and key. Read when it starts, so they may be made after it was opened.
    pub tls: TlsFiles,
    /// A SQLite path or URL, or a `postgres://` URL.
    pub store_url: String,
    /// What opens the vault.
    pub vault: KeySource,
    /// The brokers, if any.
    pub broker: Option<BrokerAccess>,
    /// The folder for checkpoints and the ledger's public key.
    pub ledger_dir: Option<PathBuf>,
    /// The folder of the local certificate authority, if there is to be one.
    pub authority_dir: Option<PathBuf>,
    /// The clock.
    pub clock: Clock,
}

/// How brokers are reached.
#[derive(Clone, Debug)]
pub struct BrokerAccess {
    /// One or more URLs, comma-separated.
    pub url: String,
    /// The CA that signed the brokers' certificates; the system's own when left out.
    pub ca: Option<PathBuf>,
    /// How the control plane proves itself.
    pub credentials: SystemCredentials,
}

/// How the control plane proves itself to brokers.
#[derive(Clone, Debug)]
pub enum SystemCredentials {
    /// A creds file of a user of the system account.
    File(PathBuf),
    /// Short-lived users that it mints itself, since the vault holds the system account's key.
    Vault,
}

/// Why the control plane does not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The broker's URL or CA file cannot be used.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; choose another port, or stop what holds it")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The certificate authority cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The API's certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The vault cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// An opened control plane: issuing works, nothing is listened on.
#[derive(Debug)]
pub struct Control {
    listen: SocketAddr,
    tls: TlsFiles,
    broker: Option<BrokerAccess>,
    issuer: Issuer,
    ledger: Ledger,
    authority: Option<Arc<Authority>>,
    clock: Clock,
}

impl Control {
    /// Opens the store, the vault, the ledger's keys and the certificate authority; what is missing of
    /// them is made.
    ///
    /// # Errors
    ///
    /// [`ControlError`], with what cannot be used and what to do.
    pub async fn open(options: ControlOptions) -> Result<Self, ControlError> {
        let store = Store::open(&options.store_url).await?;
        let now = options.clock.unix_seconds();
        let vault = Vault::open(&options.vault, &store, now).await?;
        let ledger = Ledger::open(&store, &vault, options.ledger_dir, now).await?;
        let authority = match &options.authority_dir {
            Some(folder) => Some(Arc::new(Authority::open_or_create(folder, options.clock.clone())?)),
            None => None,
        };
        let issuer = Issuer::new(store, vault, options.clock.clone());
        Ok(Self {
            listen: options.listen,
            tls: options.tls,
            broker: options.broker,
            issuer,
            ledger,
            authority,
            clock: options.clock,
        })
    }

    /// Issuing, without HTTP.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The store.
    pub fn store(&self) -> &Store {
        self.issuer.store()
    }

    /// The ledger's signer.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The local certificate authority, if there is one.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_deref()
    }

    /// Says how brokers are reached, when that is known only after opening.
    pub fn set_broker(&mut self, broker: BrokerAccess) {
        self.broker = Some(broker);
    }

    /// Serves the API, connects to the brokers, empties the outbox and records what brokers report.
    ///
    /// Returns once the address is bound; the brokers may come later.
    ///
    /// # Errors
    ///
    /// [`ControlError`], with what cannot be used and what to do.
    pub async fn start(self) -> Result<RunningControl, ControlError> {
        let tls = TlsAcceptor::from(self.tls.server_config()?);
        let listen = |cause| ControlError::Listen { address: self.listen, cause };
        let listener = TcpListener::bind(self.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let nats = match &self.broker {
            Some(access) => Some(self.connect(access, &tasks, &stop).await?),
            None => None,
        };
        tasks.spawn(checkpoints(self.ledger.clone(), self.issuer.clone(), stop.clone()));
        let router = router(App::new(self.issuer.clone(), self.ledger.clone(), self.authority.clone()));
        let server = Server { listener, tls, router, stop: stop.clone(), tasks: tasks.clone() };
        tasks.spawn(server.run());
        tasks.close();
        Ok(RunningControl { address, issuer: self.issuer, ledger: self.ledger, nats, tasks, stop })
    }

    async fn connect(
        &self,
        access: &BrokerAccess,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<NatsBroker, ControlError> {
        let users: Arc<dyn SystemUserSource> = match &access.credentials {
            SystemCredentials::File(path) => Arc::new(CredsFile(path.clone())),
            SystemCredentials::Vault => Arc::new(MintedSystemUser(self.issuer.clone())),
        };
        let options = NatsOptions { url: access.url.clone(), ca: access.ca.clone() };
        let (sender, events) = mpsc::channel(EVENT_QUEUE);
        let nats = NatsBroker::start(&options, users, self.clock.clone(), sender, tasks, stop.clone()).await?;
        let broker: Arc<dyn Broker> = Arc::new(nats.clone());
        self.issuer.set_broker(Arc::clone(&broker));
        let outbox = || Outbox::new(self.issuer.clone(), Arc::clone(&broker));
        let recorder = Recorder::new(self.issuer.store().clone(), self.clock.clone(), Arc::clone(&broker), outbox());
        tasks.spawn(recorder.run(events, stop.clone()));
        tasks.spawn(outbox().run(stop.clone()));
        Ok(nats)
    }
}

/// Signs a checkpoint now and then. When this ends, the last one covers everything.
async fn checkpoints(ledger: Ledger, issuer: Issuer, stop: CancellationToken) {
    loop {
        if let Err(error) = ledger.checkpoint(issuer.store(), issuer.clock().unix_seconds()).await {
            tracing::error!(%error, "a checkpoint of the ledger could not be written");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CHECKPOINT_INTERVAL) => {}
        }
    }
}

/// A running control plane.
#[derive(Debug)]
#[must_use = "a control plane that is dropped is not stopped in order"]
pub struct RunningControl {
    /// The address that is bound.
    pub address: SocketAddr,
    issuer: Issuer,
    ledger: Ledger,
    nats: Option<NatsBroker>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl RunningControl {
    /// Issuing, without HTTP.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Stops: requests in progress end first, what is in the outbox stays for the next start, and a last
    /// checkpoint covers everything.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if tokio::time::timeout(SHUTDOWN_TIME_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        if let Some(nats) = &self.nats {
            nats.close().await;
        }
        if let Err(error) = self.ledger.checkpoint(self.issuer.store(), self.issuer.clock().unix_seconds()).await {
            tracing::error!(%error, "the last checkpoint could not be written");
        }
        self.issuer.store().close().await;
    }
}
