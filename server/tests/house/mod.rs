//! Accounts with seeds, signed by one operator, in a broker in this process.

#![expect(clippy::unwrap_used, unreachable_pub, dead_code, reason = "test helpers, shared by several test programs")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cordon_accounts::claims::{self, AccountClaims, Export, ExportKind, Import, Operator, OperatorClaims, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use cordon_accounts::name::AccountName;
use cordon_auth::authenticator::{Authenticator, Mode, OperatorMode};
use cordon_auth::clock::Clock;
use cordon_auth::lookup::CachedAccounts;
use cordon_auth::resolver::{MemoryResolver, Resolver, StorePolicy};
use cordon_auth::trust::Trust;
use cordon_server::tenant::directory::Tenants;
use cordon_server::BrokerOptions;
use data_encoding::BASE64URL_NOPAD;

use crate::support::{Peer, TestBroker};

/// A broker in operator mode, and all the seeds.
pub struct House {
    /// The broker.
    pub broker: TestBroker,
    trust: Arc<Trust>,
    operator: Seed,
    clock: Clock,
    issued: AtomicI64,
}

/// One account.
pub struct Account {
    /// Its seed.
    pub seed: Seed,
    /// Its claims, to be changed and pushed again.
    pub claims: AccountClaims,
}

/// One user.
pub struct TestUser {
    /// Its seed.
    pub seed: Seed,
    /// Its JWT.
    pub jwt: String,
}

impl House {
    /// A house with these accounts.
    pub fn new(accounts: &[&Account]) -> Self {
        let operator = Seed::generate(Role::Operator, &mut rand::rngs::OsRng);
        let clock = Clock::system();
        let now = clock.unix_seconds();
        let claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        let token = claims.encode(&operator, now - 100).unwrap();
        let trust = Arc::new(Trust::new(vec![claims::decode::<Operator>(&token).unwrap()]).unwrap());
        let resolver = MemoryResolver::default();
        let system = Account::new("SYS");
        for account in accounts.iter().copied().chain([&system]) {
            let token = account.claims.encode(&operator, now - 50).unwrap();
            let record = trust.admit_account(&token, None, now).unwrap();
            resolver.store(&record, StorePolicy::Push, now).unwrap();
        }
        let cached = Arc::new(CachedAccounts::new(trust.clone(), Arc::new(resolver)));
        let tenants = Tenants::new(Some(cached.clone()), Some(AccountName::from(system.key())));
        let authenticator = Authenticator::new(Mode::Operator(OperatorMode::new(trust.clone(), cached)), clock.clone());
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let options = BrokerOptions { listen, system_account: Some(system.key()), ..BrokerOptions::default() };
        let broker = TestBroker::start(options, authenticator, tenants);
        Self { broker, trust, operator, issued: AtomicI64::new(now - 40), clock }
    }

    /// Puts changed claims of an account in force, as a push would.
    pub fn push(&self, account: &Account) {
        // Every push is a second newer than the one before.
        let token = account.claims.encode(&self.operator, self.issued.fetch_add(1, Ordering::SeqCst)).unwrap();
        let now = self.clock.unix_seconds();
        let record = self.trust.admit_account(&token, Some(&account.key()), now).unwrap();
        let broker = &self.broker.running.broker;
        let record = broker.tenants.accounts().unwrap().put(record, now);
        self.broker.block_on(broker.tenants.install(broker, record));
    }

    /// Connects as a new user of an account.
    pub fn join(&self, account: &Account) -> Peer {
        self.join_as(&account.user(|_| {}))
    }

    /// Connects as this user; the PONG has been seen.
    pub fn join_as(&self, user: &TestUser) -> Peer {
        let mut peer = self.present(user);
        peer.expect("PONG\r\n");
        peer
    }

    /// Sends this user's CONNECT and a PING.
    pub fn present(&self, user: &TestUser) -> Peer {
        let mut peer = self.broker.raw();
        let info: serde_json::Value = serde_json::from_str(peer.info.strip_prefix("INFO ").unwrap()).unwrap();
        let nonce = info["nonce"].as_str().unwrap();
        let sig = BASE64URL_NOPAD.encode(&user.seed.sign(nonce.as_bytes()).unwrap());
        let connect = serde_json::json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "jwt": user.jwt, "sig": sig,
        });
        peer.send(format!("CONNECT {connect}\r\nPING\r\n"));
        peer
    }
}

impl Account {
    /// An account with nsc's defaults.
    pub fn new(name: &str) -> Self {
        let seed = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
        let mut claims = AccountClaims::new(AccountKey::try_from(seed.public()).unwrap());
        claims.name = name.to_owned();
        Self { seed, claims }
    }

    /// Its key.
    pub fn key(&self) -> AccountKey {
        AccountKey::try_from(self.seed.public()).unwrap()
    }

    /// With one more export.
    pub fn exporting(mut self, kind: ExportKind, subject: &str) -> Self {
        self.claims.nats.exports.push(Export::new(kind, subject));
        self
    }

    /// With one more import.
    pub fn importing(mut self, kind: ExportKind, from: &Account, subject: &str, local: &str) -> Self {
        let mut import = Import::new(kind, from.key(), subject);
        import.local_subject = local.to_owned();
        self.claims.nats.imports.push(import);
        self
    }

    /// A user of it, issued ten seconds ago.
    pub fn user(&self, change: impl FnOnce(&mut UserClaims)) -> TestUser {
        self.user_signed_by(&self.seed, change)
    }

    /// A user of it that this key signs.
    pub fn user_signed_by(&self, signer: &Seed, change: impl FnOnce(&mut UserClaims)) -> TestUser {
        let seed = Seed::generate(Role::User, &mut rand::rngs::OsRng);
        let mut claims = UserClaims::new(UserKey::try_from(seed.public()).unwrap());
        claims.name = "user".to_owned();
        if signer.public() != self.seed.public() {
            claims.nats.issuer_account = Some(self.key());
        }
        change(&mut claims);
        let jwt = claims.encode(signer, Clock::system().unix_seconds() - 10).unwrap();
        TestUser { seed, jwt }
    }
}
