//! Operators, accounts and users with their seeds, for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use cordon_accounts::claims::{
    self, AccountClaims, Operator, OperatorClaims, Scope, SigningKey, User, UserClaims, Verified,
};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use data_encoding::BASE64URL_NOPAD;

use crate::account_record::AccountRecord;
use crate::authenticator::{Authenticator, Mode, OperatorMode};
use crate::clock::Clock;
use crate::lookup::CachedAccounts;
use crate::principal::Principal;
use crate::proof::{ClientDetails, ConnectCredentials, ConnectionType, Proof};
use crate::refusal::Refusal;
use crate::resolver::{MemoryResolver, PackLine, Resolver, ResolverError, StoreHash, StoreOutcome, StorePolicy};
use crate::trust::Trust;

/// The moment at which tests begin: 2023-11-14 22:13:20 UTC.
pub(crate) const NOW: i64 = 1_700_000_000;

/// The nonce of the vectors.
pub(crate) const NONCE: &str = "PXoWU7zWAMt75FY";

static NEXT: AtomicU8 = AtomicU8::new(1);

/// A seed that no other test call got.
pub(crate) fn seed(role: Role) -> Seed {
    let mut raw = [0x5a; 32];
    raw[0] = NEXT.fetch_add(1, Ordering::Relaxed);
    raw[1] = NEXT.fetch_add(1, Ordering::Relaxed);
    raw[2] = rand::random();
    raw[3] = rand::random();
    Seed::from_raw(role, raw)
}

/// The key of a seed, as the type wanted.
pub(crate) fn account_key(seed: &Seed) -> AccountKey {
    AccountKey::try_from(seed.public()).unwrap()
}

/// An operator with one account, both with seeds.
pub(crate) struct House {
    pub(crate) operator: Seed,
    pub(crate) operator_signer: Seed,
    pub(crate) operator_claims: OperatorClaims,
    pub(crate) account: Seed,
    /// A plain signing key of the account.
    pub(crate) signer: Seed,
    /// A scoped signing key of the account.
    pub(crate) scoped: Seed,
    pub(crate) account_claims: AccountClaims,
}

impl House {
    pub(crate) fn new() -> Self {
        let (operator, operator_signer) = (seed(Role::Operator), seed(Role::Operator));
        let (account, signer, scoped) = (seed(Role::Account), seed(Role::Account), seed(Role::Account));
        let mut operator_claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        operator_claims.nats.signing_keys.push(OperatorKey::try_from(operator_signer.public()).unwrap());
        let mut account_claims = AccountClaims::new(account_key(&account));
        account_claims.name = "tenant".to_owned();
        account_claims.nats.signing_keys.push(SigningKey::Plain(account_key(&signer)));
        let scope = Scope::new(account_key(&scoped), "worker");
        account_claims.nats.signing_keys.push(SigningKey::Scoped(Box::new(scope)));
        Self { operator, operator_signer, operator_claims, account, signer, scoped, account_claims }
    }

    /// The template of the scoped signing key.
    pub(crate) fn scope_mut(&mut self) -> &mut Scope {
        match &mut self.account_claims.nats.signing_keys[1] {
            SigningKey::Scoped(scope) => scope,
            SigningKey::Plain(_) => panic!("the second key is scoped"),
        }
    }

    pub(crate) fn trust(&self) -> Trust {
        let token = self.operator_claims.encode(&self.operator, NOW - 1000).unwrap();
        Trust::new(vec![claims::decode::<Operator>(&token).unwrap()]).unwrap()
    }

    /// The account JWT, signed by the operator's signing key.
    pub(crate) fn account_token(&self) -> String {
        self.account_token_at(NOW - 500)
    }

    pub(crate) fn account_token_at(&self, issued_at: i64) -> String {
        self.account_claims.encode(&self.operator_signer, issued_at).unwrap()
    }

    pub(crate) fn record(&self) -> Arc<AccountRecord> {
        self.trust().admit_account(&self.account_token(), None, NOW).unwrap()
    }

    /// A user of the account, signed by `signer`, after `change` had its way.
    pub(crate) fn user(&self, signer: &Seed, change: impl FnOnce(&mut UserClaims)) -> TestUser {
        let seed = seed(Role::User);
        let mut claims = UserClaims::new(UserKey::try_from(seed.public()).unwrap());
        claims.name = "alice".to_owned();
        if signer.public() != self.account.public() {
            claims.nats.issuer_account = Some(account_key(&self.account));
        }
        if signer.public() == self.scoped.public() {
            claims.nats.template = claims::UserTemplate::default();
        }
        change(&mut claims);
        let jwt = claims.encode(signer, NOW - 100).unwrap();
        TestUser { seed, jwt }
    }

    /// A broker in operator mode that has the account.
    pub(crate) fn authenticator(&self) -> Authenticator {
        self.authenticator_with(|_| {})
    }

    pub(crate) fn authenticator_with(&self, change: impl FnOnce(&mut OperatorMode)) -> Authenticator {
        let resolver = MemoryResolver::default();
        if let Ok(record) = self.trust().admit_account(&self.account_token(), None, NOW) {
            resolver.store(&record, StorePolicy::Push, NOW).unwrap();
        }
        let trust = Arc::new(self.trust());
        let accounts = Arc::new(CachedAccounts::new(Arc::clone(&trust), Arc::new(resolver)));
        let mut mode = OperatorMode::new(trust, accounts);
        change(&mut mode);
        Authenticator::new(Mode::Operator(mode), Clock::manual(NOW))
    }

    pub(crate) async fn connect(&self, user: &TestUser) -> Result<Principal, Refusal> {
        authenticate(&self.authenticator(), &user.connect()).await
    }
}

/// A user JWT with its seed.
pub(crate) struct TestUser {
    pub(crate) seed: Seed,
    pub(crate) jwt: String,
}

impl TestUser {
    /// What a stock client sends.
    pub(crate) fn connect(&self) -> ConnectCredentials {
        ConnectCredentials {
            jwt: Some(self.jwt.clone()),
            sig: Some(sign(&self.seed, NONCE.as_bytes())),
            ..ConnectCredentials::default()
        }
    }

    pub(crate) fn verified(&self) -> Verified<User> {
        claims::decode(&self.jwt).unwrap()
    }
}

pub(crate) fn sign(seed: &Seed, message: &[u8]) -> String {
    BASE64URL_NOPAD.encode(&seed.sign(message).unwrap())
}

/// A proof over plain TCP from a documentation address.
pub(crate) fn proof(connect: &ConnectCredentials) -> Proof<'_> {
    Proof {
        connect,
        nonce: NONCE.as_bytes(),
        peer_ip: Some("192.0.2.10".parse().unwrap()),
        certificates: &[],
        connection_type: ConnectionType::Standard,
        map_certificates: false,
        client: ClientDetails::default(),
    }
}

pub(crate) async fn authenticate(
    authenticator: &Authenticator,
    connect: &ConnectCredentials,
) -> Result<Principal, Refusal> {
    authenticator.authenticate(proof(connect), NOW).await
}

/// A memory resolver that counts look-ups, can be taken away, and can lie.
#[derive(Debug, Default)]
pub(crate) struct FakeResolver {
    pub(crate) inner: MemoryResolver,
    pub(crate) lookups: AtomicUsize,
    pub(crate) down: AtomicBool,
    /// While it is set, look-ups do not come back.
    pub(crate) stuck: AtomicBool,
    /// Answered for every key, whatever is stored.
    pub(crate) instead: Option<String>,
}

impl Resolver for FakeResolver {
    fn lookup(&self, key: &AccountKey) -> Result<Option<String>, ResolverError> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        while self.stuck.load(Ordering::SeqCst) {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(ResolverError::Full);
        }
        if self.instead.is_some() {
            return Ok(self.instead.clone());
        }
        self.inner.lookup(key)
    }

    fn store(&self, record: &AccountRecord, policy: StorePolicy, now: i64) -> Result<StoreOutcome, ResolverError> {
        self.inner.store(record, policy, now)
    }

    fn remove(&self, key: &AccountKey) -> Result<bool, ResolverError> {
        self.inner.remove(key)
    }

    fn list(&self, now: i64) -> Vec<AccountKey> {
        self.inner.list(now)
    }

    fn hash(&self, now: i64) -> StoreHash {
        self.inner.hash(now)
    }

    fn pack(&self, asker: Option<StoreHash>, now: i64, visit: &mut dyn FnMut(PackLine)) -> Result<(), ResolverError> {
        self.inner.pack(asker, now, visit)
    }

    fn sweep(&self, now: i64) -> Result<Vec<AccountKey>, ResolverError> {
        self.inner.sweep(now)
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn allows_delete(&self) -> bool {
        false
    }
}
