//! Shows the two halves apart: `cordon broker` with a configuration file as `nsc` writes it, accounts
//! pushed by whoever holds the operator's key; and `cordon control` that drives it as a NATS client.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use cordon_accounts::claims::{AccountClaims, Export, ExportKind, Import, OperatorClaims, UserClaims};
use cordon_accounts::creds::Creds;
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use cordon_tests::peer::{self, connect_line};
use cordon_tests::process::Process;
use cordon_tests::wait::{now, until};
use rand::rngs::OsRng;
use serde_json::Value;
use tempfile::TempDir;

/// An operator whose key never leaves this story, and a broker that trusts it.
struct Site {
    folder: TempDir,
    operator: Seed,
    system: Seed,
    process: Process,
    address: SocketAddr,
}

fn account_key(seed: &Seed) -> AccountKey {
    AccountKey::try_from(seed.public()).unwrap()
}

/// A user of an account, signed by its identity.
fn user(account: &Seed) -> String {
    let seed = Seed::generate(Role::User, &mut OsRng);
    let claims = UserClaims::new(UserKey::try_from(seed.public()).unwrap());
    Creds { jwt: claims.encode(account, now()).unwrap(), seed }.to_text().to_string()
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = Seed::generate(Role::Operator, &mut OsRng);
        let system = Seed::generate(Role::Account, &mut OsRng);
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        "offline".clone_into(&mut claims.name);
        claims.nats.system_account = Some(account_key(&system));
        let operator_jwt = claims.encode(&operator, now()).unwrap();
        let system_jwt = AccountClaims::new(account_key(&system)).encode(&operator, now()).unwrap();
        let key = system.public();
        // As `nsc generate config --nats-resolver` lays it out.
        let config = format!(
            "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\n# Operator named offline\noperator: {operator_jwt}\n\
             # System Account named SYS\nsystem_account: {key}\nresolver {{\n  type: full\n  dir: './jwt'\n  allow_delete: true\n  \
             interval: \"2m\"\n  timeout: \"1.9s\"\n}}\nresolver_preload: {{\n  {key}: {system_jwt},\n}}\n"
        );
        fs::write(folder.path().join("broker.conf"), config).unwrap();
        let (process, address) = launch(folder.path(), "broker.log").await;
        Self { folder, operator, system, process, address }
    }

    async fn restart(&mut self) {
        self.process.kill().await;
        let fresh = format!("broker-{}.log", self.address.port());
        (self.process, self.address) = launch(self.folder.path(), &fresh).await;
    }

    async fn client(&self, creds: &str) -> async_nats::Client {
        let options = async_nats::ConnectOptions::with_credentials(creds).unwrap();
        options.connect(format!("nats://{}", self.address)).await.unwrap()
    }

    /// Pushes an account as `nsc push` does; the answer.
    async fn push(&self, jwt: String) -> Value {
        let system = self.client(&user(&self.system)).await;
        let answer = system.request("$SYS.REQ.CLAIMS.UPDATE", jwt.into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    async fn push_account(&self, account: &Seed, change: impl FnOnce(&mut AccountClaims)) {
        let mut claims = AccountClaims::new(account_key(account));
        "pushed".clone_into(&mut claims.name);
        change(&mut claims);
        let answer = self.push(claims.encode(&self.operator, now()).unwrap()).await;
        assert_eq!(answer["data"]["code"], 200, "{answer}");
    }
}

/// Starts the broker and waits until it says that it is ready, and where.
async fn launch(folder: &Path, log: &str) -> (Process, SocketAddr) {
    let process = Process::start(folder, log, ["broker", "-c", "broker.conf"], false);
    let address = until("the broker is ready", async || {
        let log = process.log();
        let line = log.lines().find(|line| line.contains("Listening for client connections on "))?;
        log.contains("Server is ready").then(|| line.rsplit(' ').next().unwrap().parse().unwrap())
    })
    .await;
    (process, address)
}

#[tokio::test]
async fn accounts_that_were_pushed_outlive_a_kill() {
    let mut site = Site::start().await;
    let account = Seed::generate(Role::Account, &mut OsRng);
    site.push_account(&account, |_| {}).await;
    let creds = user(&account);
    site.client(&creds).await.flush().await.unwrap();
    site.restart().await;
    let client = site.client(&creds).await;
    assert!(client.request("nobody", "".into()).await.is_err());
    let other = Seed::generate(Role::Account, &mut OsRng);
    let (mut socket, info) = peer::plain(site.address).await;
    tokio::io::AsyncWriteExt::write_all(&mut socket, connect_line(&info, &user(&other)).as_bytes()).await.unwrap();
    let mut told = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut told).await.unwrap();
    assert_eq!(told, "-ERR 'Authorization Violation'\r\n", "an account that nobody pushed");
}

#[tokio::test]
async fn a_cycle_of_pushed_imports_passes_nothing_on() {
    let site = Site::start().await;
    let accounts = [(); 3].map(|()| Seed::generate(Role::Account, &mut OsRng));
    for _ in 0..2 {
        for (index, account) in accounts.iter().enumerate() {
            let next = account_key(&accounts[(index + 1) % 3]);
            site.push_account(account, |claims| {
                claims.nats.exports.push(Export::new(ExportKind::Service, "help"));
                claims.nats.imports.push(Import::new(ExportKind::Service, next, "help"));
            })
            .await;
        }
    }
    let client = site.client(&user(&accounts[0])).await;
    let error = client.request("help", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders);
    // Its own subscribers still serve it.
    let mut own = client.subscribe("help").await.unwrap();
    let asking = client.clone();
    let asked = tokio::spawn(async move { asking.request("help", "".into()).await });
    let request = futures_util::StreamExt::next(&mut own).await.unwrap();
    client.publish(request.reply.unwrap(), "here".into()).await.unwrap();
    assert_eq!(&asked.await.unwrap().unwrap().payload[..], b"here");
}

#[tokio::test]
async fn a_wrong_configuration_is_named_by_line() {
    let folder = tempfile::tempdir().unwrap();
    for (config, told) in [
        ("listen: \"127.0.0.1:-1\"\nnonsense: 1\n", "nonsense"),
        ("listen: \"127.0.0.1:99999\"\n", "broker.conf:1:9"),
        ("operator: eyJ.bad.jwt\n", "operator"),
        ("listen {\n", "broker.conf"),
    ] {
        fs::write(folder.path().join("broker.conf"), config).unwrap();
        let done = cordon_tests::process::run(folder.path(), ["broker", "-c", "broker.conf"]).await;
        assert_eq!(done.status.code(), Some(1), "{config}: {done:?}");
        assert!(done.stderr.contains(told), "{config}: {}", done.stderr);
    }
    let done = cordon_tests::process::run(folder.path(), ["broker", "-c", "missing.conf"]).await;
    assert!(!done.status.success() && done.stderr.contains("missing.conf"), "{done:?}");
}
