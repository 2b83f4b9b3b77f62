//! A broker in operator mode with one account.

use std::sync::Arc;

use cordon_accounts::claims::{AccountClaims, OperatorClaims, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use cordon_auth::authenticator::{Authenticator, Mode, OperatorMode};
use cordon_auth::clock::Clock;
use cordon_auth::lookup::CachedAccounts;
use cordon_auth::resolver::{MemoryResolver, Resolver, StorePolicy};
use cordon_auth::trust::Trust;
use cordon_server::BrokerOptions;
use cordon_server::tenant::directory::Tenants;
use data_encoding::BASE64URL_NOPAD;

use super::{Peer, QUIET, TestBroker};

/// An account of a broker in operator mode.
pub struct TestTenant {
    account: Seed,
}

impl TestTenant {
    /// A broker that trusts an operator with one account, as `change` makes it.
    pub fn start(change: impl FnOnce(&mut AccountClaims)) -> (TestBroker, Self) {
        Self::start_with(BrokerOptions::default(), change)
    }

    /// The same with these options.
    pub fn start_with(options: BrokerOptions, change: impl FnOnce(&mut AccountClaims)) -> (TestBroker, Self) {
        let now = Clock::system().unix_seconds();
        let (operator, account) = (seed(Role::Operator), seed(Role::Account));
        let operator_claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        let trust = Arc::new(Trust::new(vec![operator_claims.sign(&operator, now - 10).unwrap()]).unwrap());
        let mut claims = AccountClaims::new(AccountKey::try_from(account.public()).unwrap());
        "tenant".clone_into(&mut claims.name);
        change(&mut claims);
        let token = claims.encode(&operator, now - 5).unwrap();
        let resolver = MemoryResolver::default();
        let record = trust.admit_account(&token, None, now).unwrap();
        resolver.store(&record, StorePolicy::Push, now).unwrap();
        let accounts = Arc::new(CachedAccounts::new(trust.clone(), Arc::new(resolver)));
        let mode = Mode::Operator(OperatorMode::new(trust, accounts.clone()));
        let authenticator = Authenticator::new(mode, Clock::system());
        let broker = TestBroker::start(options, authenticator, Tenants::new(Some(accounts), None));
        (broker, Self { account })
    }

    /// The JWT and the key of a new user of the account, as `change` makes it.
    pub fn user(&self, change: impl FnOnce(&mut UserClaims)) -> (String, Seed) {
        let user = seed(Role::User);
        let mut claims = UserClaims::new(UserKey::try_from(user.public()).unwrap());
        change(&mut claims);
        (claims.encode(&self.account, Clock::system().unix_seconds()).unwrap(), user)
    }

    /// CONNECT fields of a new user of the account, as `change` makes it, for the nonce of `peer`.
    pub fn credentials(&self, peer: &Peer, change: impl FnOnce(&mut UserClaims)) -> String {
        let (jwt, user) = self.user(change);
        let info = peer.info();
        let nonce = info["nonce"].as_str().unwrap();
        let sig = BASE64URL_NOPAD.encode(&user.sign(nonce.as_bytes()).unwrap());
        format!(r#""jwt":"{jwt}","sig":"{sig}""#)
    }

    /// A quiet connection of a new user.
    pub fn peer(&self, broker: &TestBroker, change: impl FnOnce(&mut UserClaims)) -> Peer {
        let mut peer = broker.raw();
        let credentials = self.credentials(&peer, change);
        let quiet = QUIET.trim_end_matches('}');
        peer.send(format!("CONNECT {quiet},{credentials}}}\r\nPING\r\n"));
        peer.expect("PONG\r\n");
        peer
    }
}

/// A new key.
pub fn seed(role: Role) -> Seed {
    Seed::generate(role, &mut rand::rngs::OsRng)
}
