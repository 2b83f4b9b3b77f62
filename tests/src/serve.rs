//! `cordon serve` on a data folder of its own and ports that the system chooses.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::api::Api;
use crate::client::Client;
use crate::peer::Peer;
use crate::process::{self, Finished, Process};
use crate::tenant::Tenant;
use crate::tls;
use crate::wait::until;

/// A running `cordon serve`.
#[derive(Debug)]
pub struct Serve {
    /// The process; stories end it in all manners.
    pub process: Process,
    /// Where clients connect.
    pub client_address: SocketAddr,
    /// Where the admin API is.
    pub admin_address: SocketAddr,
    /// Where monitoring is.
    pub monitor_address: SocketAddr,
    folder: Arc<TempDir>,
    debug: bool,
    port: u16,
}

impl Serve {
    /// Starts on a new data folder.
    pub async fn start() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), false, 0).await
    }

    /// As [`Serve::start`], with everything logged that can be.
    pub async fn start_talkative() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), true, 0).await
    }

    /// As [`Serve::start`], with a port that clients find again after a [`Serve::restart`].
    pub async fn start_to_stay() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), false, process::free_port()).await
    }

    /// Kills the process if it still runs, and starts another on the same data folder.
    pub async fn restart(mut self) -> Self {
        if self.process.ended().is_none() {
            self.process.kill().await;
        }
        Self::on(self.folder.clone(), self.debug, self.port).await
    }

    async fn on(folder: Arc<TempDir>, debug: bool, port: u16) -> Self {
        let run_file = folder.path().join("data").join("run.json");
        // That of a process that was killed.
        let _absent = fs::remove_file(&run_file);
        let port_text = port.to_string();
        let arguments = ["serve", "--data", "data", "--port", &port_text, "--admin-port", "0", "--monitor-port", "0"];
        let mut process = Process::start(folder.path(), "serve.log", arguments, debug);
        let run: Value = until("`cordon serve` writes run.json", async || {
            if let Some(status) = process.ended() {
                panic!("`cordon serve` ended with {status}");
            }
            serde_json::from_str(&fs::read_to_string(&run_file).ok()?).ok()
        })
        .await;
        let address = |name: &str| run[name].as_str().and_then(|text| text.parse().ok()).expect(name);
        let serve = Self {
            client_address: address("client_address"),
            admin_address: address("admin_address"),
            monitor_address: address("monitor_address"),
            process,
            folder,
            debug,
            port,
        };
        // The control plane is a client of the broker, and may be a moment later than its listeners.
        serve.api().settle().await;
        serve
    }

    /// The folder in which the processes run; the data folder is `data` in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file or folder of the data folder.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// The certificate authority of the installation.
    pub fn ca(&self) -> PathBuf {
        self.data("ca/ca.pem")
    }

    /// Creds of a user of the system account.
    pub fn system_creds(&self) -> String {
        fs::read_to_string(self.data("creds/system.creds")).unwrap()
    }

    /// The admin API, as its owner.
    pub fn api(&self) -> Api {
        let token = fs::read_to_string(self.data("admin-token")).unwrap();
        Api::new(self.admin_address, &self.ca(), token.trim())
    }

    /// A new account that the broker knows.
    pub async fn tenant(&self, name: &str) -> Tenant {
        Tenant::create(&self.api(), name).await
    }

    /// A client of a library, connected.
    pub async fn client(&self, creds: &str) -> Client {
        Client::connect(self, creds).await
    }

    /// A raw client that has authenticated.
    pub async fn peer(&self, creds: &str) -> Peer {
        let mut peer = self.stranger().await;
        peer.authenticate(creds).await;
        peer
    }

    /// A raw client that has read INFO over TLS and sent nothing.
    pub async fn stranger(&self) -> Peer {
        Peer::open(self.client_address, tls::trusting(&self.ca())).await
    }

    /// A page of the monitoring port.
    pub async fn monitor(&self, path: &str) -> Value {
        let url = format!("http://{}/{path}", self.monitor_address);
        tls::install_provider();
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    /// Runs a command of the binary in the folder.
    pub async fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        process::run(self.folder(), arguments).await
    }
}
