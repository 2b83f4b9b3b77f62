//! A broker in operator mode that takes claims from an operator whose key never leaves the story.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use cordon_accounts::claims::{AccountClaims, GenericClaims, OperatorClaims, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use rand::rngs::OsRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::isolation::sign::connect_line;
use crate::isolation::wire::{Item, Wire};
use crate::process::Process;
use crate::wait::{now, until};

/// Where claims are kept in memory, where there is such a place: each push is synced to the disk.
const MEMORY: &str = "/dev/shm";

/// How long ago, in seconds, the first claims were issued: later ones never come from the future.
const PAST: i64 = 50_000_000;

/// A running broker.
#[derive(Debug)]
pub struct Site {
    /// Signs accounts.
    pub operator: Seed,
    /// Where clients connect.
    pub address: SocketAddr,
    system: Wire,
    issued: i64,
    answers: u64,
    process: Process,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Site {
    /// Starts a broker that knows its system account alone.
    pub fn start() -> Self {
        let folder =
            if Path::new(MEMORY).is_dir() { tempfile::tempdir_in(MEMORY) } else { tempfile::tempdir() }.unwrap();
        let (operator, system) =
            (Seed::generate(Role::Operator, &mut OsRng), Seed::generate(Role::Account, &mut OsRng));
        let system_key = AccountKey::try_from(system.public()).unwrap();
        let issued = now() - PAST;
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        "isolation".clone_into(&mut claims.name);
        claims.nats.system_account = Some(system_key);
        let operator_jwt = claims.encode(&operator, issued).unwrap();
        let system_jwt = AccountClaims::new(system_key).encode(&operator, issued).unwrap();
        let config = format!(
            "listen: \"127.0.0.1:-1\"\noperator: {operator_jwt}\nsystem_account: {system_key}\n\
             resolver {{\n  type: full\n  dir: './jwt'\n  allow_delete: true\n}}\n\
             resolver_preload: {{\n  {system_key}: {system_jwt},\n}}\n"
        );
        fs::write(folder.path().join("broker.conf"), config).unwrap();
        let runtime = Runtime::new().unwrap();
        let entered = runtime.enter();
        let process = Process::start(folder.path(), "broker.log", ["broker", "-c", "broker.conf"], false);
        let address = runtime.block_on(until("the broker is ready", async || {
            let log = process.log();
            let line = log.lines().find(|line| line.contains("Listening for client connections on "))?;
            log.contains("Server is ready").then(|| line.rsplit(' ').next().unwrap().parse().unwrap())
        }));
        drop(entered);
        let user = Seed::generate(Role::User, &mut OsRng);
        let jwt = UserClaims::new(UserKey::try_from(user.public()).unwrap()).encode(&system, issued).unwrap();
        let mut system = Wire::open(address);
        let line = connect_line(&system.nonce, &jwt, Some(&user), true, true);
        system.send(format!("{line}SUB answers.* 1\r\n"));
        assert_eq!(system.fence(), [], "the system account lets its user in");
        Self { operator, address, system, issued, answers: 0, process, _runtime: runtime, _folder: folder }
    }

    /// A time of issue, later than all before.
    pub fn tick(&mut self) -> i64 {
        self.issued += 1;
        self.issued
    }

    /// Pushes a token as `nsc push` does; whether it was taken. When this returns it is in force.
    pub fn push(&mut self, token: &str) -> bool {
        self.request("$SYS.REQ.CLAIMS.UPDATE", token)
    }

    /// Deletes accounts; whether they are gone.
    pub fn delete(&mut self, accounts: &[String]) -> bool {
        let mut claims = GenericClaims::new(self.operator.public());
        claims.nats.members.insert("accounts".to_owned(), json!(accounts));
        let token = claims.encode(&self.operator, self.issued).unwrap();
        self.request("$SYS.REQ.CLAIMS.DELETE", &token)
    }

    /// The end of the broker's log.
    pub fn log(&self) -> String {
        let log = self.process.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    fn request(&mut self, subject: &str, body: &str) -> bool {
        self.answers += 1;
        let reply = format!("answers.{}", self.answers);
        self.system.send(format!("PUB {subject} {reply} {}\r\n{body}\r\n", body.len()));
        loop {
            match self.system.item() {
                Item::Message { subject, payload, .. } if subject == reply => {
                    let answer: Value = serde_json::from_str(&payload).unwrap();
                    return answer["data"]["code"] == 200;
                }
                Item::Message { .. } | Item::Pong => {}
                other => panic!("the system account is told {other:?}"),
            }
        }
    }
}
