//! Turns proofs into principals.
//!
//! The order for every connection: is the address throttled, is CONNECT acceptable at all, did a trusted
//! proxy sign, is the certificate still good; then the method of the mode. A failure counts against the
//! address; the peer is told the same whatever the cause.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use cordon_accounts::key::{AccountKey, PublicKey};
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;

use crate::account_record::AccountRecord;
use crate::callout::{self, Caller, Delegation};
use crate::certificate::CertificateIdentity;
use crate::clock::Clock;
use crate::configured::ConfiguredUsers;
use crate::lookup::AccountLookup;
pub use crate::method::certificate::CertificateUsers;
use crate::method::jwt::Decided;
use crate::method::{self, Attempt, verify_nonce};
use crate::password::PasswordChecker;
use crate::principal::{Method, Principal};
use crate::proof::{ConnectionType, Proof, present};
use crate::refusal::{ClosePolicy, Refusal};
use crate::standing::Standing;
use crate::throttle::{Throttle, ThrottleOptions};
use crate::trust::Trust;
use crate::zone::Zone;

/// Where identities come from.
#[derive(Debug)]
pub enum Mode {
    /// Users, nkeys, certificates and a token of the configuration; everybody if it asks for nothing.
    Configured(ConfiguredUsers),
    /// User JWTs of accounts that trusted operators signed.
    Operator(OperatorMode),
}

/// What operator mode needs.
#[derive(Clone, Debug)]
pub struct OperatorMode {
    /// The operators.
    pub trust: Arc<Trust>,
    /// Finds verified accounts.
    pub accounts: Arc<dyn AccountLookup>,
    /// Only these accounts, and the system account, are served here; `None` serves all.
    pub pinned_accounts: Option<HashSet<AccountKey>>,
    /// The user JWT of those who present none.
    pub default_sentinel: Option<String>,
    /// User JWTs that client certificates stand for, on listeners that map certificates.
    pub certificate_users: CertificateUsers,
}

impl OperatorMode {
    /// Operator mode without pinned accounts, sentinel or mapped certificates.
    pub fn new(trust: Arc<Trust>, accounts: Arc<dyn AccountLookup>) -> Self {
        Self {
            trust,
            accounts,
            pinned_accounts: None,
            default_sentinel: None,
            certificate_users: CertificateUsers::default(),
        }
    }
}

/// Decides who connections are. One for the whole broker.
#[derive(Debug)]
pub struct Authenticator {
    mode: ArcSwap<Mode>,
    throttle: Throttle,
    passwords: PasswordChecker,
    /// Keys of proxies that may vouch for connections by signing the nonce.
    trusted_proxies: Vec<PublicKey>,
    zone: Zone,
    clock: Clock,
    /// Who asks the services of accounts. Without one, whoever would be a service's to decide about is refused.
    caller: OnceLock<Caller>,
}

impl Authenticator {
    /// An authenticator of that mode, with default throttling and the machine's time zone.
    pub fn new(mode: Mode, clock: Clock) -> Self {
        Self {
            mode: ArcSwap::from_pointee(mode),
            throttle: Throttle::default(),
            passwords: PasswordChecker::default(),
            trusted_proxies: Vec::new(),
            zone: Zone::of_this_machine(),
            clock,
            caller: OnceLock::new(),
        }
    }

    /// Sets other bounds for failing addresses.
    pub fn with_throttle(mut self, options: ThrottleOptions) -> Self {
        self.throttle = Throttle::new(options);
        self
    }

    /// Trusts proxies with these keys to vouch for connections.
    pub fn with_trusted_proxies(mut self, keys: Vec<PublicKey>) -> Self {
        self.trusted_proxies = keys;
        self
    }

    /// Reads time ranges that name no zone in this one.
    pub fn with_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Exchanges what operator mode goes by, for connections from now on; nothing changes in another mode.
    pub fn update_operators(&self, change: impl Fn(&OperatorMode) -> OperatorMode) {
        self.mode.rcu(|mode| match &**mode {
            Mode::Operator(operator) => Arc::new(Mode::Operator(change(operator))),
            Mode::Configured(_) => Arc::clone(mode),
        });
    }

    /// Has the services of accounts asked by `caller`; only the first counts.
    pub fn call_out_by(&self, caller: Caller) {
        // Another one would have other keys than those that clients were told.
        let _first = self.caller.set(caller);
    }

    /// Who asks the services of accounts.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.get()
    }

    /// Whether a decision may wait for the service of an account.
    pub fn may_call_out(&self) -> bool {
        match &**self.mode.load() {
            Mode::Operator(_) => true,
            Mode::Configured(users) => users.callout().is_some(),
        }
    }

    /// Whether connections of the account `name`, whose claims are `record` in operator mode, may be decided about by
    /// a service that listens in it.
    pub fn asks_in(&self, name: &AccountName, record: Option<&AccountRecord>) -> bool {
        match (&**self.mode.load(), record) {
            (Mode::Operator(_), Some(record)) => !record.claims.nats.authorization.auth_users.is_empty(),
            (Mode::Operator(_), None) => false,
            (Mode::Configured(users), _) => users.callout().is_some_and(|settings| settings.account == *name),
        }
    }

    /// Whether `principal` may see the questions to the service of its account, and answer them: by its proved
    /// identity, never by what a service or its CONNECT says.
    pub fn answers_callouts(&self, principal: &Principal, record: Option<&AccountRecord>) -> bool {
        let named = match (&**self.mode.load(), record) {
            (Mode::Operator(_), Some(record)) => {
                let service = &record.claims.nats.authorization.auth_users;
                principal.user_key.is_some_and(|key| service.contains(&key))
            }
            (Mode::Operator(_), None) => false,
            (Mode::Configured(users), _) => users.callout().is_some_and(|settings| {
                settings.account == principal.account && settings.users.contains(&principal.user)
            }),
        };
        callout::is_service(named, principal)
    }

    /// Puts another mode in force, for connections from now on.
    pub fn replace_mode(&self, mode: Mode) {
        self.mode.store(Arc::new(mode));
    }

    /// Whether INFO must carry a nonce: in operator mode, with nkey users, or with trusted proxies.
    pub fn needs_nonce(&self) -> bool {
        !self.trusted_proxies.is_empty()
            || match &**self.mode.load() {
                Mode::Operator(_) => true,
                Mode::Configured(users) => users.has_nkeys(),
            }
    }

    /// What INFO says as `auth_required`: not if a `no_auth_user` stands in.
    pub fn announces_authentication(&self, kind: ConnectionType) -> bool {
        match &**self.mode.load() {
            Mode::Operator(_) => true,
            Mode::Configured(users) => {
                let users = users.of_listener(kind);
                users.is_required() && !users.has_no_auth_user()
            }
        }
    }

    /// Whether a connection must be authenticated before anything else, and so has an authentication timeout.
    pub fn requires_authentication(&self, kind: ConnectionType) -> bool {
        match &**self.mode.load() {
            Mode::Operator(_) => true,
            Mode::Configured(users) => users.of_listener(kind).is_required(),
        }
    }

    /// Whether a connection whose first operation is not CONNECT may go through [`Authenticator::authenticate`]
    /// with empty credentials, as the `no_auth_user`. Ordinary client connections only.
    pub fn admits_without_connect(&self, kind: ConnectionType) -> bool {
        match &**self.mode.load() {
            Mode::Operator(_) => false,
            Mode::Configured(users) => {
                let users = users.of_listener(kind);
                !users.is_required() || users.admits_without_connect(kind)
            }
        }
    }

    /// What the users that are configured now mean for a connection that was accepted earlier; `None` in operator mode.
    pub fn configured_standing(&self, principal: &Principal) -> Option<Standing> {
        match &**self.mode.load() {
            Mode::Operator(_) => None,
            Mode::Configured(users) if principal.method == Method::Callout => Some(users.standing(principal)),
            Mode::Configured(users) => Some(users.of_listener(principal.connection_type).standing(principal)),
        }
    }

    /// The throttle, for counting failures found elsewhere, such as in TLS handshakes.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Decides who the connection is. `now` is in Unix seconds.
    ///
    /// # Errors
    ///
    /// [`Refusal`], with the reason for logs and events and the ending for the peer.
    pub async fn authenticate(&self, proof: Proof<'_>, now: i64) -> Result<Principal, Refusal> {
        if let Some(ip) = proof.peer_ip {
            let throttled = self.throttle.check(ip, self.clock.nanos());
            throttled.map_err(|error| Refusal::new(Reason::Throttled, error.to_string()))?;
        }
        let outcome = self.decide(proof, now).await;
        if let Some(ip) = proof.peer_ip {
            match &outcome {
                Ok(_) => self.throttle.succeeded(ip, self.clock.nanos()),
                Err(refusal) if refusal.counts_as_failure() => {
                    self.throttle.failed(ip, self.clock.nanos());
                }
                Err(_) => {}
            }
        }
        outcome
    }

    async fn decide(&self, proof: Proof<'_>, now: i64) -> Result<Principal, Refusal> {
        if proof.connect.account {
            // A client that may name its account may choose it: CVE-2022-24450.
            let detail = "CONNECT must not have the fields `account` or `new_account`";
            return Err(Refusal::new(Reason::ObsoleteAccountField, detail));
        }
        let certificate = current_certificate(&proof, now)?;
        let attempt = Attempt {
            proof,
            now,
            zone: self.zone,
            proxied: self.require_proxy_signature(&proof)?,
            certificate: certificate.as_ref(),
        };
        let mode = self.mode.load_full();
        let mut principal = match &*mode {
            Mode::Operator(operator) => self.operator(operator, &attempt).await?,
            Mode::Configured(users) => match users.callout() {
                None => self.configured(users.of_listener(attempt.proof.connection_type), &attempt).await?,
                Some(settings) => {
                    let listed = users.of_listener(attempt.proof.connection_type);
                    let decided = self.configured(listed, &attempt).await;
                    if callout::keeps(users, settings, &attempt, &decided) {
                        decided?
                    } else {
                        self.call_out(&Delegation::Configured(users, settings), &attempt).await?
                    }
                }
            },
        };
        principal.connection_type = attempt.proof.connection_type;
        principal.proxied = attempt.proxied;
        if let Some(identity) = &certificate {
            // TLS checks a certificate once; a connection must not outlive it.
            principal.ends_by(identity.not_after, Reason::CertificateExpired);
        }
        Ok(principal)
    }

    /// User JWTs, and what the service of an account says of them.
    async fn operator(&self, mode: &OperatorMode, attempt: &Attempt<'_>) -> Result<Principal, Refusal> {
        match method::jwt::authenticate(mode, attempt).await? {
            Decided::Principal(principal) => Ok(*principal),
            Decided::Delegated { account, sentinel } => {
                self.call_out(&Delegation::Operator { mode, account, sentinel }, attempt).await
            }
        }
    }

    async fn call_out(&self, whom: &Delegation<'_>, attempt: &Attempt<'_>) -> Result<Principal, Refusal> {
        let nobody = || Refusal::new(Reason::CalloutUnavailable, "this broker calls out to nobody");
        let caller = self.caller.get().ok_or_else(nobody)?;
        // In a box: few connections need it, and every connection's task would have room for it.
        Box::pin(caller.decide(whom, attempt)).await
    }

    /// The order of `auth.md` 4.2.
    async fn configured(&self, users: &ConfiguredUsers, attempt: &Attempt<'_>) -> Result<Principal, Refusal> {
        if !users.is_required() {
            return Ok(Principal::anonymous(AccountName::global()));
        }
        let connect = attempt.proof.connect;
        let maps_certificates = attempt.proof.map_certificates;
        let nothing = connect.names_nobody(users.has_nkeys());
        if nothing && !(maps_certificates && users.has_users()) {
            return users.stand_in(attempt);
        }
        if users.has_nkeys()
            && let Some(nkey) = present(connect.nkey.as_deref())
        {
            return method::nkey::authenticate(users, attempt, nkey);
        }
        if users.has_users() && maps_certificates {
            return method::certificate::authenticate(users, attempt, &self.passwords).await;
        }
        if users.has_users()
            && let Some(name) = present(connect.user.as_deref())
        {
            return method::password::authenticate(users, attempt, name, &self.passwords).await;
        }
        if let Some(user) = users.token_user() {
            return method::token::authenticate(user, attempt, &self.passwords).await;
        }
        Err(Refusal::new(
            Reason::MissingCredentials,
            "none of the credentials presented is of a kind that is configured",
        ))
    }

    /// Whether a trusted proxy vouches for the connection; a signature that is none of theirs refuses it.
    fn require_proxy_signature(&self, proof: &Proof<'_>) -> Result<bool, Refusal> {
        let Some(signature) = present(proof.connect.proxy_sig.as_deref()) else {
            return Ok(false);
        };
        if self.trusted_proxies.is_empty() {
            return Ok(false);
        }
        let by = |key: &PublicKey| verify_nonce(key, Some(signature), proof.nonce).is_ok();
        if self.trusted_proxies.iter().any(by) {
            return Ok(true);
        }
        Err(Refusal::new(Reason::ProxyRequired, "`proxy_sig` is of no trusted proxy")
            .closing(ClosePolicy::PROXY_NOT_TRUSTED))
    }
}

/// Reads the verified leaf, if there is one, and refuses one that ended: a resumed TLS session is not
/// checked again. A leaf that cannot be read is refused where identities come from it, else left alone.
fn current_certificate(proof: &Proof<'_>, now: i64) -> Result<Option<CertificateIdentity>, Refusal> {
    let Some(leaf) = proof.certificates.first() else {
        return Ok(None);
    };
    match CertificateIdentity::of(leaf) {
        Ok(identity) if now > identity.not_after => {
            let detail = format!("the client certificate expired at {}", identity.not_after);
            Err(Refusal::new(Reason::CertificateExpired, detail))
        }
        Ok(identity) => Ok(Some(identity)),
        Err(error) if proof.map_certificates => Err(Refusal::new(Reason::CertificateUnmapped, error.to_string())),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod condition_tests;
#[cfg(test)]
mod configured_tests;
#[cfg(test)]
mod tests;
