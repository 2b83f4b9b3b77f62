//! The chain of trust: operator keys from the configuration, and the account JWTs they signed.
//!
//! The broker believes an account because a trusted operator key signed its claims, and for no other
//! reason: not because a resolver stored it, nor because another broker sent it.

use std::collections::HashMap;
use std::sync::Arc;

use cordon_accounts::claims::{self, Account, ClaimsError, InvalidClaims, Operator, Verified};
use cordon_accounts::key::{AccountKey, KeyError, OperatorKey, PublicKey};
use cordon_accounts::permissions::PermissionsError;
use cordon_accounts::reason::Reason;

use crate::account_record::AccountRecord;
use crate::stand_in;

/// The operator keys that this broker believes.
#[derive(Clone, Debug)]
pub struct Trust {
    operators: Vec<Verified<Operator>>,
    keys: HashMap<PublicKey, TrustedKey>,
    system_account: Option<AccountKey>,
    cluster: Option<String>,
}

/// What is known of one trusted key.
#[derive(Clone, Copy, Debug)]
struct TrustedKey {
    /// The operator must sign accounts with signing keys only, and so must its accounts sign users.
    strict: bool,
    identity: bool,
    /// Of the first operator, whose keys alone may delete accounts.
    may_delete: bool,
}

/// Why operators cannot be trusted together.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No operator at all.
    #[error("no operator is configured: name at least one operator JWT")]
    Empty,
    /// A token that is no operator JWT.
    #[error("an operator JWT cannot be read: {0}")]
    Malformed(#[from] ClaimsError),
    /// An operator wants a newer server.
    #[error("the operator `{operator}` asks for server version {wanted}, and this is {ours}")]
    Version {
        /// The operator's name.
        operator: String,
        /// `assert_server_version` of the operator.
        wanted: String,
        /// The version asked about.
        ours: String,
    },
    /// Two operators name different system accounts.
    #[error("the operators name different system accounts, `{first}` and `{second}`: configure one")]
    SystemAccounts {
        /// Named by an earlier operator.
        first: AccountKey,
        /// Named by a later one.
        second: AccountKey,
    },
}

/// Why an account JWT is not believed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Past its `exp`.
    #[error("the account JWT expired at {expires}: push a newer one")]
    Expired {
        /// Unix seconds.
        expires: i64,
    },
    /// Decodes, but breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidClaims),
    /// The claims name a key that is no account key.
    #[error("the subject of the account JWT is no account key: {0}")]
    Key(#[from] KeyError),
    /// Does not decode, or its signature is not by its issuer.
    #[error(transparent)]
    Malformed(#[from] ClaimsError),
    /// Before its `nbf`.
    #[error("the account JWT is not valid before {not_before}")]
    NotYetValid {
        /// Unix seconds.
        not_before: i64,
    },
    /// The default permissions do not compile.
    #[error("the default permissions of the account are invalid: {0}")]
    Permissions(#[from] PermissionsError),
    /// Signed by the identity of a strict operator.
    #[error("operator requires issuer to be a signing key")]
    StrictOperator,
    /// About another account than expected.
    #[error("subject does not match jwt content")]
    SubjectMismatch,
    /// Signed by a key that is not trusted here.
    #[error("the account JWT is signed by `{issuer}`, which is no key of a trusted operator")]
    Untrusted {
        /// The key that signed.
        issuer: PublicKey,
    },
}

impl AccountError {
    /// The stable reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Expired { .. } => Reason::AccountExpired,
            Self::NotYetValid { .. } => Reason::NotYetValid,
            Self::Invalid(_) | Self::Key(_) | Self::Malformed(_) | Self::Permissions(_) | Self::SubjectMismatch => {
                Reason::ClaimsInvalid
            }
            Self::StrictOperator | Self::Untrusted { .. } => Reason::AccountUntrusted,
        }
    }
}

impl Trust {
    /// Trusts the keys of these operators: the identity, unless the operator is strict, and every signing key.
    ///
    /// Expiry of an operator JWT is not enforced, as in nats-server.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if there is none, or they disagree about the system account.
    pub fn new(operators: Vec<Verified<Operator>>) -> Result<Self, TrustError> {
        if operators.is_empty() {
            return Err(TrustError::Empty);
        }
        let mut system_account = None;
        let mut keys = HashMap::new();
        for (place, operator) in operators.iter().enumerate() {
            match (system_account, operator.nats.system_account) {
                (Some(first), Some(second)) if first != second => {
                    return Err(TrustError::SystemAccounts { first, second });
                }
                (None, named) => system_account = named,
                _ => {}
            }
            let strict = operator.nats.strict_signing_key_usage;
            let may_delete = place == 0;
            let signing = operator.nats.signing_keys.iter().map(|key| (key.public(), false));
            for (key, identity) in signing.chain([(operator.subject, true)]) {
                keys.entry(key).or_insert(TrustedKey { strict, identity, may_delete });
            }
        }
        Ok(Self { operators, keys, system_account, cluster: None })
    }

    /// Trusts the operators of these JWTs; see [`Trust::new`].
    ///
    /// # Errors
    ///
    /// [`TrustError`].
    pub fn from_tokens<S: AsRef<str>>(tokens: &[S]) -> Result<Self, TrustError> {
        let operators: Result<Vec<_>, ClaimsError> =
            tokens.iter().map(|token| claims::decode(token.as_ref().trim())).collect();
        Self::new(operators?)
    }

    /// Trusts bare operator keys (`trusted_keys`): none of them strict.
    ///
    /// # Errors
    ///
    /// [`TrustError::Empty`] without keys.
    pub fn from_keys(keys: &[OperatorKey]) -> Result<Self, TrustError> {
        if keys.is_empty() {
            return Err(TrustError::Empty);
        }
        let trusted = TrustedKey { strict: false, identity: true, may_delete: true };
        let keys = keys.iter().map(|key| (key.public(), trusted)).collect();
        Ok(Self { operators: Vec::new(), keys, system_account: None, cluster: None })
    }

    /// Names the cluster of this broker: account mappings may be bound to one.
    pub fn in_cluster(mut self, cluster: Option<String>) -> Self {
        self.cluster = cluster;
        self
    }

    /// Sets the system account where the configuration names it and the operators do not.
    pub fn with_system_account(mut self, account: Option<AccountKey>) -> Self {
        self.system_account = account.or(self.system_account);
        self
    }

    /// Checks that a broker which calls itself version `ours` (`x.y.z`) is as new as every operator asks.
    ///
    /// # Errors
    ///
    /// [`TrustError::Version`], which should stop the start of the broker.
    pub fn require_version(&self, ours: &str) -> Result<(), TrustError> {
        for operator in &self.operators {
            let wanted = &operator.nats.assert_server_version;
            if !wanted.is_empty() && version_of(wanted) > version_of(ours) {
                let (operator, wanted) = (operator.name.clone(), wanted.clone());
                return Err(TrustError::Version { operator, wanted, ours: ours.to_owned() });
            }
        }
        Ok(())
    }

    /// The operators.
    pub fn operators(&self) -> &[Verified<Operator>] {
        &self.operators
    }

    /// The account that administers the broker.
    pub fn system_account(&self) -> Option<AccountKey> {
        self.system_account
    }

    /// What stands in for the system account until its JWT is there; `None` where its identity key may sign nothing,
    /// since one of the operators is strict.
    pub fn stand_in(&self) -> Option<Arc<AccountRecord>> {
        self.system_account.filter(|_| self.may_stand_in()).and_then(stand_in::record)
    }

    /// Whether identity keys of accounts may sign users.
    pub(crate) fn may_stand_in(&self) -> bool {
        self.keys.values().all(|trusted| !trusted.strict)
    }

    /// Whether accounts signed by `key` are believed.
    pub fn trusts(&self, key: &PublicKey) -> bool {
        self.keys.get(key).is_some_and(|trusted| !(trusted.strict && trusted.identity))
    }

    /// Whether a request signed by `key` may delete accounts: only keys of the first operator, and its
    /// identity only if it is not strict.
    pub fn may_delete(&self, key: &PublicKey) -> bool {
        self.trusts(key) && self.keys.get(key).is_some_and(|trusted| trusted.may_delete)
    }

    /// Verifies an account JWT for use: signature, trusted issuer, and every rule and time.
    ///
    /// # Errors
    ///
    /// [`AccountError`], the issuer's trust being checked before anything the claims say.
    pub fn verify_account(
        &self,
        token: &str,
        expected: Option<&AccountKey>,
        now: i64,
    ) -> Result<Arc<AccountRecord>, AccountError> {
        let record = self.admit_account(token, expected, now)?;
        if record.is_expired(now) {
            return Err(AccountError::Expired { expires: record.claims.expires });
        }
        if record.is_not_yet_valid(now) {
            return Err(AccountError::NotYetValid { not_before: record.claims.not_before });
        }
        Ok(record)
    }

    /// Verifies an account JWT for storing: like [`Trust::verify_account`], but it may be past its time.
    ///
    /// # Errors
    ///
    /// [`AccountError`].
    pub fn admit_account(
        &self,
        token: &str,
        expected: Option<&AccountKey>,
        now: i64,
    ) -> Result<Arc<AccountRecord>, AccountError> {
        let claims: Verified<Account> = claims::decode(token)?;
        let key = AccountKey::try_from(claims.subject)?;
        if expected.is_some_and(|expected| *expected != key) {
            return Err(AccountError::SubjectMismatch);
        }
        let strict = self.strictness_under(&claims.issuer)?;
        claims.validate(now).require_no_blocking()?;
        Ok(Arc::new(AccountRecord::compile(claims, key, strict, self.cluster.as_deref())?))
    }

    /// Whether an account signed by `issuer` must sign its users with signing keys only.
    ///
    /// # Errors
    ///
    /// When the issuer is not trusted, or may not sign accounts.
    pub(crate) fn strictness_under(&self, issuer: &PublicKey) -> Result<bool, AccountError> {
        match self.keys.get(issuer) {
            None => Err(AccountError::Untrusted { issuer: *issuer }),
            Some(trusted) if trusted.strict && trusted.identity => Err(AccountError::StrictOperator),
            Some(trusted) => Ok(trusted.strict),
        }
    }
}

/// The three numbers of a version, whatever stands before or behind them; `None` sorts before all.
fn version_of(text: &str) -> Option<(u64, u64, u64)> {
    let core = text.trim_start_matches('v');
    let core = core.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use cordon_accounts::key::Role;

    use super::*;
    use crate::testing::{House, NOW, account_key, seed};

    fn operator_token(house: &House) -> String {
        house.operator_claims.encode(&house.operator, NOW - 1000).unwrap()
    }

    #[test]
    fn an_expired_operator_is_still_trusted() {
        let mut house = House::new();
        house.operator_claims.expires = NOW - 500;
        let trust = Trust::from_tokens(&[operator_token(&house)]).unwrap();
        assert!(trust.verify_account(&house.account_token(), None, NOW).is_ok());
    }

    #[test]
    fn operators_that_cannot_be_trusted_together_are_refused() {
        let (mut one, mut other) = (House::new(), House::new());
        one.operator_claims.nats.system_account = Some(account_key(&seed(Role::Account)));
        let tokens = [operator_token(&one), operator_token(&other)];
        assert_eq!(Trust::from_tokens(&tokens).unwrap().system_account(), one.operator_claims.nats.system_account);
        other.operator_claims.nats.system_account = Some(account_key(&seed(Role::Account)));
        let tokens = [operator_token(&one), operator_token(&other)];
        assert!(matches!(Trust::from_tokens(&tokens), Err(TrustError::SystemAccounts { .. })));
        assert!(matches!(Trust::from_tokens::<&str>(&[]), Err(TrustError::Empty)));
        assert!(matches!(Trust::from_keys(&[]), Err(TrustError::Empty)));
        assert!(matches!(Trust::from_tokens(&["x"]), Err(TrustError::Malformed(_))));
        assert!(matches!(Trust::from_tokens(&[one.account_token()]), Err(TrustError::Malformed(_))));
    }

    #[test]
    fn an_operator_may_ask_for_a_newer_server() {
        let mut house = House::new();
        house.operator_claims.nats.assert_server_version = "2.15.0".to_owned();
        let trust = Trust::from_tokens(&[operator_token(&house)]).unwrap();
        for (ours, new_enough) in [
            ("2.15.0", true),
            ("v2.15.1-dev", true),
            ("3.0.0", true),
            ("2.9.10", false),
            ("2.14.99", false),
            ("dev", false),
        ] {
            assert_eq!(trust.require_version(ours).is_ok(), new_enough, "{ours}");
        }
        assert!(House::new().trust().require_version("0.0.1").is_ok());
    }

    #[test]
    fn bare_keys_are_trusted_as_they_are() {
        let house = House::new();
        let key = OperatorKey::try_from(house.operator.public()).unwrap();
        let trust = Trust::from_keys(&[key]).unwrap();
        let by_identity = house.account_claims.encode(&house.operator, NOW).unwrap();
        assert!(trust.verify_account(&by_identity, None, NOW).is_ok());
        let error = trust.verify_account(&house.account_token(), None, NOW).unwrap_err();
        assert_eq!(error.reason(), Reason::AccountUntrusted);
    }

    #[test]
    fn the_issuer_is_asked_about_before_the_content() {
        let mut house = House::new();
        house.account_claims.expires = NOW - 1;
        house.account_claims.nats.limits.imports = cordon_accounts::limits::Limit(-7);
        let foreign = house.account_claims.encode(&seed(Role::Operator), NOW).unwrap();
        let error = house.trust().verify_account(&foreign, None, NOW).unwrap_err();
        assert!(matches!(error, AccountError::Untrusted { .. }), "{error}");
        let error = house.trust().verify_account(&house.account_token(), None, NOW).unwrap_err();
        assert!(matches!(error, AccountError::Invalid(_)), "{error}");
    }

    #[test]
    fn an_early_account_is_not_in_force_yet() {
        let mut house = House::new();
        house.account_claims.not_before = NOW + 5;
        let error = house.trust().verify_account(&house.account_token(), None, NOW).unwrap_err();
        assert_eq!(error.reason(), Reason::NotYetValid);
    }
}
