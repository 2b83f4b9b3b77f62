//! Accounts with seeds, signed by one operator, in a broker in this process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "test helpers, shared by several test programs"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cordon_accounts::claims::{
    self, AccountClaims, ActivationClaims, Export, ExportKind, Import, Operator, OperatorClaims, SigningKey, UserClaims,
};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use cordon_accounts::name::AccountName;
use cordon_auth::authenticator::{Authenticator, Mode, OperatorMode};
use cordon_auth::clock::Clock;
use cordon_auth::lookup::CachedAccounts;
use cordon_auth::resolver::{DeleteMode, DirectoryOptions, DirectoryResolver, MemoryResolver, Resolver, StorePolicy};
use cordon_auth::trust::Trust;
use cordon_server::BrokerOptions;
use cordon_server::tenant::Tenant;
use cordon_server::tenant::directory::Tenants;
use data_encoding::BASE64URL_NOPAD;

use crate::support::{Peer, TestBroker};

/// A broker in operator mode, and all the seeds.
pub struct House {
    /// The broker.
    pub broker: TestBroker,
    /// The operator.
    pub operator: Seed,
    /// The system account.
    pub system: Account,
    system_signer: Seed,
    signer: Seed,
    trust: Arc<Trust>,
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
        Self::build(accounts, BrokerOptions::default(), |_| {}, None, None)
    }

    /// A house that keeps account JWTs in a folder, where they may also be deleted.
    pub fn in_folder(accounts: &[&Account], folder: &Path) -> Self {
        Self::build(accounts, BrokerOptions::default(), |_| {}, Some(folder), None)
    }

    /// A house whose accounts `signer` signs, under an operator as `change` makes it.
    pub fn strict(account: &Account, signer: &Seed, change: impl FnOnce(&mut OperatorClaims), folder: &Path) -> Self {
        Self::build(&[account], BrokerOptions::default(), change, Some(folder), Some(signer))
    }

    /// A house whose broker knows the time from this clock.
    pub fn timed(accounts: &[&Account], clock: &Clock) -> Self {
        Self::built(accounts, BrokerOptions::default(), |_| {}, None, None, clock.clone())
    }

    /// A house with other options, under an operator as `change` makes it.
    pub fn build(
        accounts: &[&Account],
        options: BrokerOptions,
        change: impl FnOnce(&mut OperatorClaims),
        folder: Option<&Path>,
        signer: Option<&Seed>,
    ) -> Self {
        Self::built(accounts, options, change, folder, signer, Clock::system())
    }

    fn built(
        accounts: &[&Account],
        options: BrokerOptions,
        change: impl FnOnce(&mut OperatorClaims),
        folder: Option<&Path>,
        signer: Option<&Seed>,
        clock: Clock,
    ) -> Self {
        let operator = Seed::generate(Role::Operator, &mut rand::rngs::OsRng);
        let now = clock.unix_seconds();
        let signer = signer.unwrap_or(&operator).duplicate();
        let mut system = Account::new("SYS");
        let system_signer = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
        system.claims.nats.signing_keys.push(SigningKey::Plain(system_signer.public().try_into().unwrap()));
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        claims.nats.system_account = Some(system.key());
        change(&mut claims);
        let token = claims.encode(&operator, now - 100).unwrap();
        let trust = Arc::new(Trust::new(vec![claims::decode::<Operator>(&token).unwrap()]).unwrap());
        let resolver: Arc<dyn Resolver> = match folder {
            None => Arc::new(MemoryResolver::default()),
            Some(folder) => {
                let options = DirectoryOptions { delete: DeleteMode::Rename, ..DirectoryOptions::default() };
                Arc::new(DirectoryResolver::open(folder, options, now).unwrap())
            }
        };
        for account in accounts.iter().copied().chain([&system]) {
            let token = account.claims.encode(&signer, now - 50).unwrap();
            let record = trust.admit_account(&token, None, now).unwrap();
            resolver.store(&record, StorePolicy::Push, now).unwrap();
        }
        let cached = Arc::new(CachedAccounts::new(trust.clone(), resolver));
        let tenants = Tenants::new(Some(cached.clone()), Some(AccountName::from(system.key())));
        let authenticator = Authenticator::new(Mode::Operator(OperatorMode::new(trust.clone(), cached)), clock.clone());
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let options = BrokerOptions { listen, system_account: Some(system.key()), ..options };
        let broker = TestBroker::start_with(options, authenticator, tenants, clock.clone());
        Self { broker, operator, system, system_signer, signer, trust, issued: AtomicI64::new(now - 40), clock }
    }

    /// The JWT of an account, issued a second after the one before.
    pub fn token(&self, account: &Account) -> String {
        account.claims.encode(&self.signer, self.issued.fetch_add(1, Ordering::SeqCst)).unwrap()
    }

    /// A user of the system account that one of its signing keys signed.
    pub fn system_user(&self) -> TestUser {
        self.system.user_signed_by(&self.system_signer, |_| {})
    }

    /// The account as the broker runs it.
    pub fn tenant(&self, account: &Account) -> Arc<Tenant> {
        self.broker.running.broker.tenants.find(&account.key().into()).unwrap()
    }

    /// Puts changed claims of an account in force, as a push would.
    pub fn push(&self, account: &Account) {
        let token = self.token(account);
        let now = self.clock.unix_seconds();
        let record = self.trust.admit_account(&token, Some(&account.key()), now).unwrap();
        let broker = &self.broker.running.broker;
        let record = broker.tenants.accounts().unwrap().put(record, now).unwrap();
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
        let connect = connect_of(&peer, user);
        peer.send(format!("{connect}PING\r\n"));
        peer
    }
}

/// The CONNECT line of a user, for the nonce of `peer`.
pub fn connect_of(peer: &Peer, user: &TestUser) -> String {
    let info = peer.info();
    let sig = BASE64URL_NOPAD.encode(&user.seed.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap());
    let connect = serde_json::json!({
        "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "jwt": user.jwt, "sig": sig,
    });
    format!("CONNECT {connect}\r\n")
}

/// The next message: subject, reply, headers as lines, body as text.
pub struct Got {
    /// Its subject.
    pub subject: String,
    /// Its reply subject, or nothing.
    pub reply: String,
    /// Its header lines, the first of which is the version.
    pub header: Vec<String>,
    /// Its body, of one line.
    pub body: String,
}

impl Got {
    /// Reads the next message, which must come next.
    pub fn next(peer: &mut Peer) -> Self {
        let mut line = peer.line();
        while line == "PING" {
            line = peer.line();
        }
        let parts: Vec<&str> = line.split(' ').collect();
        let sizes = match parts.first() {
            Some(&"MSG") => 1,
            Some(&"HMSG") => 2,
            _ => panic!("no message: {line:?}"),
        };
        let reply = if parts.len() == 4 + sizes { parts[3].to_owned() } else { String::new() };
        let header = if sizes == 2 {
            std::iter::repeat_with(|| peer.line()).take_while(|line| !line.is_empty()).collect()
        } else {
            Vec::new()
        };
        Self { subject: parts[1].to_owned(), reply, header, body: peer.line() }
    }

    /// Its body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The values of a header.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.header.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned).collect()
    }
}

/// Asks and returns the first answer; that nobody is there has a header and no body.
pub fn ask(peer: &mut Peer, subject: &str, body: &str) -> Got {
    static NEXT: AtomicI64 = AtomicI64::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let (inbox, sid) = (format!("_INBOX.ask.{number}"), format!("ask{number}"));
    peer.send(format!("SUB {inbox} {sid}\r\nUNSUB {sid} 1\r\nPUB {subject} {inbox} {}\r\n{body}\r\n", body.len()));
    Got::next(peer)
}

/// Requires that nothing came but pings.
pub fn expect_quiet(peer: &mut Peer) {
    assert_eq!(String::from_utf8_lossy(&peer.fenced()).replace("PING\r\n", ""), "");
}

/// Requires the end of the connection, after `last` and perhaps a ping.
pub fn expect_end(peer: &mut Peer, last: &str) {
    assert_eq!(String::from_utf8_lossy(&peer.rest()).replace("PING\r\n", ""), last);
}

/// Whether the answer says that nobody is there.
pub fn is_nobody(answer: &Got) -> bool {
    answer.header.first().is_some_and(|status| status == "NATS/1.0 503")
}

impl Account {
    /// An account with nsc's defaults.
    pub fn new(name: &str) -> Self {
        let seed = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
        let mut claims = AccountClaims::new(AccountKey::try_from(seed.public()).unwrap());
        name.clone_into(&mut claims.name);
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
        local.clone_into(&mut import.local_subject);
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
        "user".clone_into(&mut claims.name);
        if signer.public() != self.seed.public() {
            claims.nats.issuer_account = Some(self.key());
        }
        change(&mut claims);
        let jwt = claims.encode(signer, Clock::system().unix_seconds() - 10).unwrap();
        TestUser { seed, jwt }
    }
    /// With one more import that an activation allows, for as long as `change` says.
    pub fn importing_with(
        mut self,
        kind: ExportKind,
        from: &Account,
        subject: &str,
        change: impl FnOnce(&mut ActivationClaims),
    ) -> Self {
        let mut import = Import::new(kind, from.key(), subject);
        import.token = from.activation(&self, kind, subject, change);
        self.claims.nats.imports.push(import);
        self
    }

    /// With one more export that demands an activation.
    pub fn exporting_privately(mut self, kind: ExportKind, subject: &str) -> Self {
        let mut export = Export::new(kind, subject);
        export.token_req = true;
        self.claims.nats.exports.push(export);
        self
    }

    /// An activation for `importer`, issued ten seconds ago.
    pub fn activation(
        &self,
        importer: &Self,
        kind: ExportKind,
        subject: &str,
        change: impl FnOnce(&mut ActivationClaims),
    ) -> String {
        let mut claims = ActivationClaims::new(importer.key(), kind, subject);
        change(&mut claims);
        claims.encode(&self.seed, Clock::system().unix_seconds() - 10).unwrap()
    }
}
