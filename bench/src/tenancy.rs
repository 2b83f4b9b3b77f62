//! Operator, accounts and users for the JWT scenarios, made anew for each run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use cordon_accounts::claims::{AccountClaims, OperatorClaims, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use data_encoding::BASE64URL_NOPAD;
use rand::rngs::OsRng;

/// When everything is said to have been issued: in the past is all that counts, and claims need no clock.
const ISSUED_AT: i64 = 1_750_000_000;

/// What a JWT server is configured with, and a user for each tenant.
pub(crate) struct Tenancy {
    operator_file: PathBuf,
    system_account: AccountKey,
    /// Account key and JWT, the system account's included.
    accounts: Vec<(AccountKey, String)>,
    users: Vec<Arc<Identity>>,
}

/// A user: what it shows, and what it signs with.
pub(crate) struct Identity {
    jwt: String,
    seed: Seed,
}

impl Tenancy {
    /// An operator, a system account, and `count` accounts with one user each; the operator's JWT is
    /// written into `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub(crate) fn create(count: usize, folder: &Path) -> Result<Self> {
        let operator = Seed::generate(Role::Operator, &mut OsRng);
        let system = Seed::generate(Role::Account, &mut OsRng);
        let system_account = AccountKey::try_from(system.public())?;
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public())?);
        "bench".clone_into(&mut claims.name);
        claims.nats.system_account = Some(system_account);
        let operator_file = folder.join("operator.jwt");
        fs::write(&operator_file, claims.encode(&operator, ISSUED_AT)?).context("cannot write the operator's JWT")?;

        let mut tenancy = Self { operator_file, system_account, accounts: Vec::new(), users: Vec::new() };
        tenancy.add_account("SYS", &system, &operator)?;
        for number in 0..count {
            let account = Seed::generate(Role::Account, &mut OsRng);
            tenancy.add_account(&format!("tenant-{number}"), &account, &operator)?;
            tenancy.add_user(&account)?;
        }
        Ok(tenancy)
    }

    /// The user of `tenant`; they are used again in turn when there are fewer.
    pub(crate) fn identity(&self, tenant: usize) -> Option<Arc<Identity>> {
        self.users.get(tenant % self.users.len().max(1)).cloned()
    }

    /// The lines of a server's configuration. Writing to a `String` cannot fail.
    pub(crate) fn configuration(&self) -> String {
        let mut text = format!(
            "operator: \"{}\"\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n",
            self.operator_file.display(),
            self.system_account
        );
        for (key, jwt) in &self.accounts {
            let _ = writeln!(text, "  {key}: {jwt}");
        }
        text.push_str("}\n");
        text
    }

    fn add_account(&mut self, name: &str, account: &Seed, operator: &Seed) -> Result<()> {
        let key = AccountKey::try_from(account.public())?;
        let mut claims = AccountClaims::new(key);
        name.clone_into(&mut claims.name);
        self.accounts.push((key, claims.encode(operator, ISSUED_AT)?));
        Ok(())
    }

    fn add_user(&mut self, account: &Seed) -> Result<()> {
        let seed = Seed::generate(Role::User, &mut OsRng);
        let claims = UserClaims::new(UserKey::try_from(seed.public())?);
        let jwt = claims.encode(account, ISSUED_AT)?;
        self.users.push(Arc::new(Identity { jwt, seed }));
        Ok(())
    }
}

impl Identity {
    /// The user's JWT.
    pub(crate) fn jwt(&self) -> &str {
        &self.jwt
    }

    /// The signature over a server's nonce, as CONNECT carries it.
    ///
    /// # Errors
    ///
    /// Only if the seed cannot sign, which that of a user can.
    pub(crate) fn sign(&self, nonce: &[u8]) -> Result<String> {
        Ok(BASE64URL_NOPAD.encode(&self.seed.sign(nonce)?))
    }
}
