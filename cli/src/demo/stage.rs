//! The installation that the demo plays on: a temporary folder, ports that the system chooses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::{Client, ConnectOptions, Event};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::api::{Api, Connect};
use crate::data_folder::Paths;
use crate::files::{self, Readable};
use crate::serve::control_plane::Keeping;
use crate::serve::{Serve, Site};

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events of a client that are kept for the story.
const EVENTS: usize = 64;

/// A running installation and where its things are.
pub(super) struct Stage {
    folder: TempDir,
    site: Site,
    pub(super) api: Api,
}

/// A client of the broker, and what it was told apart from messages.
pub(super) struct Actor {
    pub(super) client: Client,
    events: mpsc::Receiver<Event>,
}

impl Stage {
    /// Starts an installation.
    pub(super) async fn open() -> anyhow::Result<Self> {
        Self::on(tempfile::Builder::new().prefix("cordon-demo-").tempdir()?).await
    }

    async fn on(folder: TempDir) -> anyhow::Result<Self> {
        let data = folder.path().join("data");
        let serve = Serve {
            data: data.clone(),
            port: 0,
            admin_port: 0,
            monitor_port: 0,
            websocket_port: None,
            websocket_origin: Vec::new(),
            host: Vec::new(),
            keeping: Keeping::default(),
            debug: false,
        };
        let site = Site::start(&serve).await?;
        let connect =
            Connect { url: None, ca: None, token_file: Some(Paths::new(&data).admin_token()), data, json: false };
        Ok(Self { api: connect.api()?, folder, site })
    }

    /// Stops the installation and starts it again on the same folder.
    pub(super) async fn restart(self) -> anyhow::Result<Self> {
        self.site.stop().await;
        Self::on(self.folder).await
    }

    /// Stops the installation; its folder goes.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.site.stop().await;
        self.folder.close().context("the demo's folder cannot be removed")
    }

    /// A file of the demo's own.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What lies where in the data folder.
    pub(super) fn paths(&self) -> Paths {
        self.site.folder.paths().clone()
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> String {
        format!("tls://localhost:{}", self.site.broker.client_address.port())
    }

    /// Where the admin API is.
    pub(super) fn admin_address(&self) -> String {
        format!("https://{}", self.site.control.address)
    }

    /// Writes a secret of the demo.
    pub(super) fn keep(&self, name: &str, secret: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        files::write(&path, secret.as_bytes(), Readable::ByOwner)?;
        Ok(path)
    }

    /// Waits until the broker has confirmed the account's claims.
    pub(super) async fn pushed(&self, account: &str) -> anyhow::Result<()> {
        let confirmed = async {
            let mut look = tokio::time::interval(Duration::from_millis(20));
            loop {
                look.tick().await;
                let state = self.api.get(&format!("accounts/{account}")).await?;
                if state.get("push").and_then(Value::as_str) == Some("confirmed") {
                    return anyhow::Ok(());
                }
            }
        };
        within("the broker confirms the account's claims", confirmed).await?
    }

    /// A client with the creds in this file.
    pub(super) async fn connect(&self, creds: &Path) -> anyhow::Result<Actor> {
        let text = files::read(creds)?;
        self.dial(ConnectOptions::with_credentials(&text).context("the creds cannot be used")?).await
    }

    /// A client with a certificate and nothing else.
    pub(super) async fn connect_by_certificate(&self, certificate: &Path, key: &Path) -> anyhow::Result<Actor> {
        self.dial(ConnectOptions::new().add_client_certificate(certificate.to_owned(), key.to_owned())).await
    }

    async fn dial(&self, options: ConnectOptions) -> anyhow::Result<Actor> {
        let (sender, events) = mpsc::channel(EVENTS);
        let options = options
            .require_tls(true)
            .add_root_certificates(self.paths().ca())
            .connection_timeout(PATIENCE)
            .event_callback(move |event| {
                let sender = sender.clone();
                async move {
                    // What does not fit is of no interest: the story waits for the first events.
                    let _full = sender.try_send(event);
                }
            });
        let client = options.connect(self.address()).await.context("the client does not get in")?;
        Ok(Actor { client, events })
    }
}

impl Actor {
    /// Waits for an event that `pick` wants.
    pub(super) async fn told<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> anyhow::Result<T> {
        let waiting = async {
            while let Some(event) = self.events.recv().await {
                if let Some(found) = pick(&event) {
                    return Ok(found);
                }
            }
            bail!("the client ended")
        };
        within(what, waiting).await?
    }
}

/// What happens in time, or an error that says what did not.
pub(super) async fn within<T>(what: &str, work: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .with_context(|| format!("it did not happen within {} s that {what}", PATIENCE.as_secs()))
}
