//! A whole installation in operator mode: as many accounts and users as a run asks for, loaded with the configuration or
//! pushed to a running server.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cordon_accounts::claims::{AccountClaims, OperatorClaims, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use rand::rngs::OsRng;

use crate::inbox::Inbox;
use crate::link::{Link, PATIENCE, Received};
use crate::tenancy::Identity;
use crate::wire::Frame;

/// When everything is said to have been issued: in the past is all that counts.
const ISSUED_AT: i64 = 1_750_000_000;
/// Pushes on the way at the same time.
const PUSHES: usize = 64;
/// Where the answers to pushes arrive.
const ANSWERS: &str = "_INBOX.bench.push";

/// Operator, system account and accounts, with their keys.
pub(crate) struct Realm {
    operator_file: PathBuf,
    system: Signer,
    accounts: Vec<Signer>,
}

/// An account: the key that signs its users, and what the operator signed.
struct Signer {
    seed: Seed,
    key: AccountKey,
    jwt: String,
}

impl Realm {
    /// An operator, a system account and `count` accounts; the operator's JWT is written into `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub(crate) fn create(count: usize, folder: &Path) -> Result<Self> {
        let operator = Seed::generate(Role::Operator, &mut OsRng);
        let system = Signer::create("SYS", &operator)?;
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public())?);
        "bench".clone_into(&mut claims.name);
        claims.nats.system_account = Some(system.key);
        let operator_file = folder.join("operator.jwt");
        fs::write(&operator_file, claims.encode(&operator, ISSUED_AT)?).context("cannot write the operator's JWT")?;
        let accounts = (0..count).map(|number| Signer::create(&format!("tenant-{number}"), &operator));
        Ok(Self { operator_file, system, accounts: accounts.collect::<Result<_>>()? })
    }

    /// Lines of a configuration that knows all accounts from the start.
    pub(crate) fn preloaded(&self) -> String {
        self.lines("MEMORY", &self.accounts)
    }

    /// Lines of a configuration whose accounts are pushed to a folder of the server.
    pub(crate) fn pushed(&self) -> String {
        self.lines("{ type: full, dir: \"jwt\", interval: \"2m\", timeout: \"2s\" }", &[])
    }

    /// A new user of `account`, counted from 0 and again in turn.
    ///
    /// # Errors
    ///
    /// When there are no accounts.
    pub(crate) fn user(&self, account: usize) -> Result<Arc<Identity>> {
        let signer = self.accounts.get(account % self.accounts.len().max(1)).context("there are no accounts")?;
        signer.user()
    }

    /// A new user of the system account.
    ///
    /// # Errors
    ///
    /// None that a fresh key could cause.
    pub(crate) fn system_user(&self) -> Result<Arc<Identity>> {
        self.system.user()
    }

    /// Pushes every account through `link`, a connection of the system account.
    ///
    /// # Errors
    ///
    /// When the server does not answer each of them with code 200.
    pub(crate) fn push_all(&self, link: &mut Link) -> Result<()> {
        link.send(format!("SUB {ANSWERS} 1\r\n").as_bytes())?;
        let mut inbox = Inbox::new();
        inbox.load(&link.take_pending());
        let (mut sent, mut answered) = (0, 0);
        while answered < self.accounts.len() {
            let mut requests = String::new();
            for signer in self.accounts.iter().skip(sent).take(PUSHES.saturating_sub(sent - answered)) {
                // Writing to a `String` cannot fail.
                let _ =
                    write!(requests, "PUB $SYS.REQ.CLAIMS.UPDATE {ANSWERS} {}\r\n{}\r\n", signer.jwt.len(), signer.jwt);
                sent += 1;
            }
            if !requests.is_empty() {
                link.send(requests.as_bytes())?;
            }
            match inbox.fill(link)? {
                Received::Bytes(_) => {}
                Received::Closed => bail!("the server closed the connection of the system account"),
                Received::Nothing => bail!("no answer to a push within {} s", PATIENCE.as_secs()),
            }
            inbox.frames(|frame| {
                match frame {
                    Frame::Message(message) => {
                        accepted(message.payload)?;
                        answered += 1;
                    }
                    Frame::Error(text) => bail!("a push was refused: {}", String::from_utf8_lossy(text)),
                    Frame::Ping | Frame::Pong | Frame::Info(_) | Frame::Ok => {}
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn lines(&self, resolver: &str, preloaded: &[Signer]) -> String {
        let mut text = format!(
            "operator: \"{}\"\nsystem_account: {}\nresolver: {resolver}\nresolver_preload: {{\n",
            self.operator_file.display(),
            self.system.key
        );
        for signer in std::iter::once(&self.system).chain(preloaded) {
            let _ = writeln!(text, "  {}: {}", signer.key, signer.jwt);
        }
        text.push_str("}\n");
        text
    }
}

impl Signer {
    fn create(name: &str, operator: &Seed) -> Result<Self> {
        let seed = Seed::generate(Role::Account, &mut OsRng);
        let key = AccountKey::try_from(seed.public())?;
        let mut claims = AccountClaims::new(key);
        name.clone_into(&mut claims.name);
        let jwt = claims.encode(operator, ISSUED_AT)?;
        Ok(Self { seed, key, jwt })
    }

    fn user(&self) -> Result<Arc<Identity>> {
        let seed = Seed::generate(Role::User, &mut OsRng);
        let jwt = UserClaims::new(UserKey::try_from(seed.public())?).encode(&self.seed, ISSUED_AT)?;
        Ok(Arc::new(Identity::Jwt { jwt, seed }))
    }
}

/// Whether the answer to a push says that the account is taken.
fn accepted(answer: &[u8]) -> Result<()> {
    let value: serde_json::Value = serde_json::from_slice(answer).context("the answer to a push is not JSON")?;
    if value.pointer("/data/code").and_then(serde_json::Value::as_u64) == Some(200) {
        return Ok(());
    }
    bail!("a push was answered with `{}`", String::from_utf8_lossy(answer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_200_is_an_accepted_push() {
        let cases = [
            (r#"{"server":{},"data":{"code":200,"message":"jwt updated"}}"#, true),
            (r#"{"server":{},"error":{"code":500,"description":"no"}}"#, false),
            (r#"{"data":{"code":"200"}}"#, false),
            ("200", false),
            ("", false),
        ];
        for (answer, good) in cases {
            assert_eq!(accepted(answer.as_bytes()).is_ok(), good, "{answer}");
        }
    }

    #[test]
    fn pushed_configurations_know_the_system_account_alone() {
        let folder = tempfile::tempdir().unwrap();
        let realm = Realm::create(3, folder.path()).unwrap();
        assert_eq!(realm.preloaded().matches(": eyJ").count(), 4);
        assert_eq!(realm.pushed().matches(": eyJ").count(), 1);
    }
}
