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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No operator at all.
    #[error("no operator is configured: name at least one operator JWT")]
    Empty,
    /// Two operators name different system accounts.
    #[error(
        "the operators name different system accounts, `{first}` and `{second}`: configure one"
    )]
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
            Self::Invalid(_) | Self::Key(_) | Self::Permissions(_) | Self::Malformed(_) => {
                Reason::ClaimsInvalid
            }
            Self::SubjectMismatch => Reason::ClaimsInvalid,
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
            let signing = operator
                .nats
                .signing_keys
                .iter()
                .map(|key| (key.public(), false));
            for (key, identity) in signing.chain([(operator.subject, true)]) {
                keys.entry(key).or_insert(TrustedKey {
                    strict,
                    identity,
                    may_delete,
                });
            }
        }
        Ok(Self {
            operators,
            keys,
            system_account,
            cluster: None,
        })
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
        let trusted = TrustedKey {
            strict: false,
            identity: true,
            may_delete: true,
        };
        let keys = keys.iter().map(|key| (key.public(), trusted)).collect();
        Ok(Self {
            operators: Vec::new(),
            keys,
            system_account: None,
            cluster: None,
        })
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

    /// The operators.
    pub fn operators(&self) -> &[Verified<Operator>] {
        &self.operators
    }

    /// The account that administers the broker.
    pub fn system_account(&self) -> Option<AccountKey> {
        self.system_account
    }

    /// Whether accounts signed by `key` are believed.
    pub fn trusts(&self, key: &PublicKey) -> bool {
        self.keys
            .get(key)
            .is_some_and(|trusted| !(trusted.strict && trusted.identity))
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
            return Err(AccountError::Expired {
                expires: record.claims.expires,
            });
        }
        if record.is_not_yet_valid(now) {
            return Err(AccountError::NotYetValid {
                not_before: record.claims.not_before,
            });
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
        Ok(Arc::new(AccountRecord::compile(
            claims,
            key,
            strict,
            self.cluster.as_deref(),
        )?))
    }

    /// Whether an account signed by `issuer` must sign its users with signing keys only.
    fn strictness_under(&self, issuer: &PublicKey) -> Result<bool, AccountError> {
        match self.keys.get(issuer) {
            None => Err(AccountError::Untrusted { issuer: *issuer }),
            Some(trusted) if trusted.strict && trusted.identity => {
                Err(AccountError::StrictOperator)
            }
            Some(trusted) => Ok(trusted.strict),
        }
    }
}
