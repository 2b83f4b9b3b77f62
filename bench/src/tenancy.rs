//! Operator, accounts and users for the JWT scenarios, made anew for each run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use cordon_accounts::claims::{Account, AccountClaims, Export, ExportKind, Import, OperatorClaims, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use data_encoding::BASE64URL_NOPAD;
use rand::rngs::OsRng;

use crate::exchange::SERVICE;

/// When everything is said to have been issued: in the past is all that counts, and claims need no clock.
const ISSUED_AT: i64 = 1_750_000_000;

/// The stream that crosses over where accounts share.
pub(crate) const STREAM: &str = "bench.shared";

/// What a JWT server is configured with, and a user for each tenant.
pub(crate) struct Tenancy {
    operator_file: PathBuf,
    system_account: AccountKey,
    /// Account key and JWT, the system account's included.
    accounts: Vec<(AccountKey, String)>,
    users: Vec<Arc<Identity>>,
}

/// A user: what it shows, and what it signs with.
pub(crate) enum Identity {
    /// Of a JWT account.
    Jwt {
        /// The user's JWT.
        jwt: String,
        /// What it signs nonces with.
        seed: Seed,
    },
    /// Of a configuration.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
}

impl Tenancy {
    /// An operator, a system account, and `count` accounts with one user each; the operator's JWT is
    /// written into `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub(crate) fn create(count: usize, folder: &Path) -> Result<Self> {
        let (mut tenancy, operator) = Self::begin(folder)?;
        for number in 0..count {
            tenancy.add_tenant(&format!("tenant-{number}"), &operator, |_| {})?;
        }
        Ok(tenancy)
    }

    /// As [`Tenancy::create`] with two accounts: the first exports the stream [`STREAM`] and the service
    /// [`SERVICE`], the second imports both under the same subjects.
    ///
    /// # Errors
    ///
    /// As [`Tenancy::create`].
    pub(crate) fn sharing(folder: &Path) -> Result<Self> {
        let offered = [(ExportKind::Stream, STREAM), (ExportKind::Service, SERVICE)];
        let (mut tenancy, operator) = Self::begin(folder)?;
        let exporter = tenancy.add_tenant("exporter", &operator, |account| {
            account.exports = offered.map(|(kind, subject)| Export::new(kind, subject)).to_vec();
        })?;
        tenancy.add_tenant("importer", &operator, |account| {
            account.imports = offered.map(|(kind, subject)| Import::new(kind, exporter, subject)).to_vec();
        })?;
        Ok(tenancy)
    }

    /// Operator and system account.
    fn begin(folder: &Path) -> Result<(Self, Seed)> {
        let operator = Seed::generate(Role::Operator, &mut OsRng);
        let system = Seed::generate(Role::Account, &mut OsRng);
        let system_account = AccountKey::try_from(system.public())?;
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public())?);
        "bench".clone_into(&mut claims.name);
        claims.nats.system_account = Some(system_account);
        let operator_file = folder.join("operator.jwt");
        fs::write(&operator_file, claims.encode(&operator, ISSUED_AT)?).context("cannot write the operator's JWT")?;

        let mut tenancy = Self { operator_file, system_account, accounts: Vec::new(), users: Vec::new() };
        tenancy.add_account("SYS", &system, &operator, |_| {})?;
        Ok((tenancy, operator))
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

    /// An account with one user.
    fn add_tenant(&mut self, name: &str, operator: &Seed, change: impl FnOnce(&mut Account)) -> Result<AccountKey> {
        let account = Seed::generate(Role::Account, &mut OsRng);
        let key = self.add_account(name, &account, operator, change)?;
        self.add_user(&account)?;
        Ok(key)
    }

    fn add_account(
        &mut self,
        name: &str,
        account: &Seed,
        operator: &Seed,
        change: impl FnOnce(&mut Account),
    ) -> Result<AccountKey> {
        let key = AccountKey::try_from(account.public())?;
        let mut claims = AccountClaims::new(key);
        name.clone_into(&mut claims.name);
        change(&mut claims.nats);
        self.accounts.push((key, claims.encode(operator, ISSUED_AT)?));
        Ok(key)
    }

    fn add_user(&mut self, account: &Seed) -> Result<()> {
        let seed = Seed::generate(Role::User, &mut OsRng);
        let claims = UserClaims::new(UserKey::try_from(seed.public())?);
        let jwt = claims.encode(account, ISSUED_AT)?;
        self.users.push(Arc::new(Identity::Jwt { jwt, seed }));
        Ok(())
    }
}

impl Identity {
    /// What CONNECT shows of it, with the signature over a server's nonce where it signs.
    ///
    /// # Errors
    ///
    /// When there is no nonce to sign.
    pub(crate) fn proof(&self, nonce: Option<&str>) -> Result<serde_json::Map<String, serde_json::Value>> {
        let fields = match self {
            Self::Jwt { jwt, seed } => {
                let signature = seed.sign(nonce.context("INFO has no nonce to sign")?.as_bytes())?;
                [("jwt", jwt.clone()), ("sig", BASE64URL_NOPAD.encode(&signature))]
            }
            Self::Password { user, password } => [("user", user.clone()), ("pass", password.clone())],
        };
        Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}
